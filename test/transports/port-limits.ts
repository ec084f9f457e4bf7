// Client port: limits, exactly; and clients that do not read.

import type { Frame } from '../support/feed.js'
import { KINDS } from '../support/wire-client.js'
import { eventually, World } from '../support/world.js'
import type { Cases } from './port-delivery.js'

/** A message frame to the user with so many bytes. */
function frameOf(user: string, bytes: number, ref = 'big'): string {
  const frame = { type: 'message', to: user, ref, data: '' }
  const rest = bytes - Buffer.byteLength(JSON.stringify(frame))
  return JSON.stringify({ ...frame, data: 'x'.repeat(rest) })
}

export const limitCases: Cases = {
  'a frame has at most maxFrameBytes, a body at most maxBodyBytes': async (t, engine) => {
    const limit = 2000
    const bodyLimit = 5000
    const world = await World.start(t, engine, ['--max-frame-bytes', `${limit}`, '--max-body-bytes', `${bodyLimit}`])
    const user = world.user('big')
    const other = await world.socket({ user })
    const client = await world.socket({ user })
    client.sendRaw(frameOf(user, limit))
    t.match(await client.feed.next('reply'), { ref: 'big', ok: true }, 'exactly the limit')
    client.sendRaw(frameOf(user, limit + 1))
    const end = await client.feed.ending()
    t.equal(end.code, engine === 'node' ? 1009 : 1006, engine === 'node' ? 'one more' : 'one more; uWebSockets.js just ends it')
    t.match(await other.ask({ type: 'ping' }), { ok: true })
    t.equal(other.feed.count('message'), 1)

    const session = other.feed.frames[0]?.session
    const send = async (body: string) => world.http('/send', { session: String(session) }, { method: 'POST', body })
    t.match(JSON.parse((await send(frameOf(user, limit))).text).frames, [{ ok: true }])
    const mixed = JSON.parse((await send(`[${frameOf(user, limit + 1, 'a')},{"type":"ping","ref":"b"}]`)).text).frames
    t.match(
      mixed,
      [
        { ref: 'a', ok: false, error: { code: 'too_large' } },
        { ref: 'b', ok: true },
      ],
      'a frame of a body',
    )
    const padded = (bytes: number) => '[]'.padEnd(bytes, ' ')
    t.equal((await send(padded(bodyLimit))).status, 200)
    for (const base of ['/send', '/poll']) {
      const query = base === '/send' ? { session: String(session) } : { user }
      const { status, headers, text } = await world.http(base, query, { method: 'POST', body: padded(bodyLimit + 1) })
      t.equal(status, 413, base)
      t.match(headers['content-type'], /^application\/problem\+json/)
      t.match(JSON.parse(text), { code: 'too_large', retryable: false })
    }
    t.equal((await world.http('/poll', { user }, { method: 'POST', body: padded(bodyLimit) })).status, 200)
    t.match(await other.ask({ type: 'ping' }), { ok: true })
  },

  'sessions of a user, of an address, and of the node are counted': async (t, engine) => {
    for (const [flag, status, code] of [
      ['--max-sessions-per-user', 429, 'rate_limited'],
      ['--max-sessions-per-ip', 429, 'rate_limited'],
      ['--max-sessions', 503, 'overloaded'],
    ] as const) {
      const world = await World.start(t, engine, [flag, '4', '--resume-seconds', '0'])
      const user = world.user('many')
      const clients = []
      // Longer than all of this takes on a busy machine: between two polls the session would be over.
      for (const kind of KINDS) clients.push(await world.open(kind, { user, wait: '60' }))
      t.equal(clients.length, 4, `${flag}: as many as it says`)
      for (const kind of KINDS) {
        const client = world.start(kind, { user })
        const end = await client.feed.ending()
        t.equal(end.code, status, `${flag}: ${kind}`)
        t.match(end.problem, { code, retryable: true, status }, `${flag}: ${kind}`)
        t.ok(Number(end.headers?.['retry-after']) >= 1, `${flag}: ${kind}: Retry-After`)
      }
      if (flag === '--max-sessions-per-user') {
        const other = await world.open('websocket', { user: world.user('other') })
        t.match(await other.ask({ type: 'ping' }), { ok: true }, 'others are not meant')
      }
      const [first] = clients
      const cursor = first?.feed.cursor ?? ''
      const again = await world.open('sse', { user, cursor })
      t.match(again.feed.frames[0], { recovered: true }, `${flag}: coming back is no new session`)
      again.drop()
      await eventually(async () => ((await world.metric('holdwire_sessions{transport="sse"}')) === 1 ? true : undefined), 'the end of one')
      t.match((await world.open('websocket', { user })).feed.frames[0], { type: 'hello' }, `${flag}: one went, one may come`)
      await Promise.all(Array.from({ length: 20 }, () => world.start('websocket', { user }).feed.ending()))
    }
  },

  'one device needs one place only': async (t, engine) => {
    const world = await World.start(t, engine, ['--max-sessions-per-user', '1'])
    const user = world.user('device')
    const first = await world.open('websocket', { user, device: 'd' })
    const second = await world.open('sse', { user, device: 'd' })
    t.equal((await first.feed.ending()).code, 4009)
    t.match(await second.ask({ type: 'ping' }), { ok: true })
  },

  'frames come at a rate': async (t, engine) => {
    const burst = 10
    const world = await World.start(t, engine, ['--max-frames-per-second', '1', '--max-frames-burst', `${burst}`])
    const user = world.user('fast')
    const other = await world.socket({ user })
    const client = await world.socket({ user })
    for (let i = 0; i < burst; i++) client.sendRaw('{"type":"ping","ref":"x"}')
    await client.feed.until(() => (client.feed.count('reply') === burst ? true : undefined), 'all replies')
    client.sendRaw('{"type":"ping"}')
    const end = await client.feed.ending()
    t.equal(end.code, 4129)
    const back = await world.socket({ user, cursor: client.feed.cursor })
    t.match(back.feed.frames[0], { recovered: true }, 'the session is still there')
    const pings = (count: number) => Array.from({ length: count }, () => ({ type: 'ping', ref: 'x' }) as Frame)
    const session = other.feed.frames[0]?.session
    t.equal((await world.post(session, pings(burst))).status, 200)
    const { status, headers, text } = await world.post(session, pings(2))
    t.equal(status, 429)
    t.ok(Number(headers['retry-after']) >= 1)
    t.match(JSON.parse(text), { code: 'rate_limited', retryable: true })
    const { text: opened } = await world.http('/poll', { user }, { method: 'POST', body: JSON.stringify(pings(burst)) })
    const { cursor } = JSON.parse(opened)
    const polled = await world.http('/poll', { user, cursor, wait: '0' }, { method: 'POST', body: JSON.stringify(pings(2)) })
    t.equal(polled.status, 429)
    t.ok(Number(polled.headers['retry-after']) >= 1)
    t.equal((await world.http('/poll', { user, cursor, wait: '0' })).status, 200, 'the session goes on')
  },

  'who does not read ends as a slow consumer; everybody else goes on': async (t, engine) => {
    const maxBytes = 1024 * 1024
    const world = await World.start(t, engine, [
      '--outbox-max-bytes',
      `${maxBytes}`,
      '--stall-timeout-seconds',
      '2',
      '--sent-max-bytes',
      '0',
    ])
    const user = world.user('slow')
    const socket = await world.socket({ user })
    const events = await world.events({ user })
    const readers = await Promise.all([...KINDS, 'protobuf' as const].map((kind) => world.open(kind, { user, wait: '5' })))
    socket.pause()
    events.pause()
    const data = 'x'.repeat(100_000)
    const total = 250
    let most = 0
    for (let n = 0; n < total; n++) {
      await world.push(user, `${n} ${data}`)
      if (n % 25 === 0) most = Math.max(most, await world.metric('holdwire_outbox_bytes'))
    }
    const closed = (kind: string) => world.metric(`holdwire_sessions_closed_total{transport="${kind}",reason="slow_consumer"}`)
    for (const kind of ['websocket', 'sse'])
      t.equal(await eventually(async () => ((await closed(kind)) > 0 ? closed(kind) : undefined), `the end of the ${kind}`), 1)
    t.ok(most <= 8 * maxBytes, `what waits is bounded: ${most}`)
    const numbers = (feed: { readonly data: unknown[] }) => feed.data.map((text) => Number(String(text).split(' ')[0]))
    const all = Array.from({ length: total }, (_, n) => n)
    for (const { kind, feed } of readers) {
      await feed.next(({ data }) => String(data).startsWith(`${total - 1} `))
      t.strictSame(numbers(feed), all, `${kind}: everything`)
    }
    socket.resume()
    events.resume()
    const end = await socket.feed.ending()
    t.ok(end.code === 4208 || end.code === 1006, `the socket ended: ${end.code}`)
    await events.feed.ending()
    for (const client of [socket, events]) {
      const seen = numbers(client.feed)
      t.strictSame(seen, all.slice(0, seen.length), 'what came was in order')
      t.ok(seen.length < total)
      const back = await world.open('websocket', { user, cursor: client.feed.cursor })
      await back.feed.next(({ data }) => String(data).startsWith(`${total - 1} `))
      t.strictSame(numbers(back.feed), all.slice(seen.length), 'and the rest comes after the cursor')
      t.match(back.feed.frames[0], { recovered: true })
    }
  },
}
