// Client port: what is wrong is answered as documented, and harms nobody else.

import type { Frame } from '../support/feed.js'
import { RawConnection } from '../support/raw-http.js'
import { opcodes, RawWebSocket } from '../support/raw-websocket.js'
import { KINDS, path } from '../support/wire-client.js'
import { World } from '../support/world.js'
import type { Cases } from './port-delivery.js'

/** Each with a ref in its place. */
const WRONG: readonly object[] = [
  {},
  { type: 'nonsense' },
  { type: 5 },
  { type: null },
  { type: 'message' },
  { type: 'message', to: 'bob' },
  { type: 'message', data: 1 },
  { type: 'message', to: 'bob', topic: 'news', data: 1 },
  { type: 'message', to: 5, data: 1 },
  { type: 'message', to: '', data: 1 },
  { type: 'message', to: 'a\u0000b', data: 1 },
  { type: 'message', to: 'x'.repeat(257), data: 1 },
  { type: 'message', to: ['bob'], data: 1 },
  { type: 'message', topic: '', data: 1 },
  { type: 'message', topic: 'a\nb', data: 1 },
  { type: 'message', topic: 'news.*', data: 1 },
  { type: 'message', to: 'bob', data: 1, id: 5 },
  { type: 'message', to: 'bob', data: 1, id: 'x'.repeat(129) },
  { type: 'message', to: 'bob', data: 1, ttlSeconds: -1 },
  { type: 'message', to: 'bob', data: 1, ttlSeconds: 1.5 },
  { type: 'message', to: 'bob', data: 1, ttlSeconds: '5' },
  { type: 'message', to: 'bob', data: 1, ephemeral: 'yes' },
  { type: 'ack' },
  { type: 'ack', cursor: 5 },
  { type: 'ack', cursor: 'nonsense' },
  { type: 'presence' },
  { type: 'presence', status: 'asleep' },
  { type: 'presence', status: 'online', note: 'x'.repeat(1025) },
  { type: 'presence', status: 'online', note: {} },
  { type: 'roster' },
  { type: 'roster', op: 'nonsense' },
  { type: 'roster', op: 'set' },
  { type: 'roster', op: 'set', user: '' },
  { type: 'roster', op: 'set', user: 'bob', name: 5 },
  { type: 'roster', op: 'set', user: 'bob', groups: 'g' },
  { type: 'roster', op: 'set', user: 'bob', groups: [5] },
  { type: 'subscribe' },
  { type: 'subscribe', topic: '*' },
  { type: 'unsubscribe', topic: 5 },
  { type: 'history', limit: -1 },
  { type: 'history', cursor: {} },
  { type: 'history', before: 'nonsense' },
  { type: 'history', cursor: '\ud800' },
  { type: 'message', to: '\ud800', data: 1 },
  { type: 'subscribe', topic: '\ud800' },
  { type: 'auth' },
  { type: 'auth', token: '' },
]

const NO_FRAMES: readonly unknown[] = [null, 5, 'text', true, []]

/** Nested so deep that what walks it by recursion breaks. */
const DEEP = `{"type":"message","to":"bob","ref":"deep","data":${'['.repeat(60_000)}${']'.repeat(60_000)}}`

export const refusalCases: Cases = {
  'what can not be parsed ends that connection with 4000, and nothing else': async (t, engine) => {
    const world = await World.start(t, engine)
    const user = world.user('bad')
    const other = await world.socket({ user })
    const json = ['', '{', 'nul', '{"type":"ping"}{}', "{'type':'ping'}", '\u0000', '{"type":"ping",}', Buffer.from('{"type":"ping"}')]
    const protobuf = [Buffer.from([0xff]), Buffer.from([0x0a, 0x05, 0x61]), Buffer.from([0x12, 0x7f]), '{"type":"ping"}']
    for (const [kind, inputs] of [['websocket', json] as const, ['protobuf', protobuf] as const]) {
      for (const input of inputs) {
        const what = `${kind}: ${typeof input === 'string' ? input : `bytes ${input.toString('hex')}`}`
        const client = await world.socket({ user }, kind)
        client.sendRaw(input)
        const end = await client.feed.ending()
        t.equal(end.code, 4000, what)
        t.not(end.reason, '', what)
        const back = await world.socket({ user, cursor: client.feed.cursor }, kind)
        t.match(back.feed.frames[0], { recovered: true, session: client.feed.frames[0]?.session }, `${what}: the session is still there`)
        back.close(1000)
        await back.feed.ending()
      }
    }
    const raw = await RawWebSocket.open(world.port, { path: path('/ws', { user }) })
    await raw.nextFrame()
    await raw.send(opcodes.text, Buffer.from([0x22, 0xc3, 0x28, 0x22]))
    if (engine === 'node') t.ok([1007, 4000].includes((await raw.nextClose()).code), 'text that is no UTF-8')
    await raw.connection.ended()
    raw.destroy()
    t.match(await other.ask({ type: 'ping' }), { ok: true }, 'other sessions of the user go on')
    t.equal(other.feed.frames.length, 2, 'and were told nothing')
  },

  'frames that parse but are wrong: a reply to those with a ref, and the session stays': async (t, engine) => {
    const world = await World.start(t, engine)
    for (const kind of KINDS) {
      const user = world.user('wrong')
      const client = await world.open(kind, { user })
      for (const frame of WRONG) {
        const reply = await client.ask(frame as Frame)
        t.match(reply, { type: 'reply', ok: false, error: { message: /./ } }, `${kind}: ${JSON.stringify(frame).slice(0, 60)}`)
        const { code } = reply.error as { code: string }
        t.equal(
          code,
          'auth' === (frame as Frame).type && 'token' in frame && frame.token !== '' ? 'unauthorized' : 'malformed',
          `${kind}: ${JSON.stringify(frame)}`,
        )
      }
      t.match(await client.ask({ type: 'ping', unknown: [1], more: {} }), { ok: true }, `${kind}: fields nobody knows are no mistake`)
    }
    const user = world.user('wrong')
    const socket = await world.socket({ user })
    for (const frame of [...WRONG, ...NO_FRAMES, { type: 'ping', ref: 5 }, { type: 'ping', ref: null }])
      socket.sendRaw(JSON.stringify(frame))
    await socket.ask({ type: 'ping' })
    t.equal(socket.feed.count('reply'), 1, 'without a ref: nothing')
    const { text } = await world.post(socket.feed.frames[0]?.session, [...WRONG, ...NO_FRAMES, { type: 'ping', ref: 'last' }])
    t.strictSame(JSON.parse(text), { frames: [{ type: 'reply', ref: 'last', ok: true }] }, 'each frame of an array stands alone')
    const proto = await world.socket({ user }, 'protobuf')
    for (const frame of [
      { type: 'message', to: user },
      { type: 'presence', status: 'asleep' },
      { type: 'subscribe', topic: '' },
      { type: 'ack', cursor: 'x' },
    ])
      t.match(await proto.ask(frame), { ok: false, error: { code: 'malformed' } }, `protobuf: ${JSON.stringify(frame)}`)
    proto.sendRaw(Buffer.alloc(0))
    t.match(await proto.ask({ type: 'ping' }), { ok: true }, 'an empty frame is one of a kind that is not known')
  },

  'data nested without end is refused, on whatever way it comes': async (t, engine) => {
    const world = await World.start(t, engine, ['--max-frame-bytes', '131072'])
    const user = world.user('deep')
    const client = await world.socket({ user })
    const session = String(client.feed.frames[0]?.session)
    client.sendRaw(DEEP)
    t.match(await client.feed.next('reply'), { ref: 'deep', ok: false, error: { code: 'malformed' } })
    const bodies = [DEEP, `[${DEEP},{"type":"ping","ref":"p"}]`]
    for (const body of bodies) {
      const { status, text } = await world.http('/send', { session }, { method: 'POST', body })
      t.equal(status, 200)
      t.match(JSON.parse(text).frames[0], { ref: 'deep', ok: false, error: { code: 'malformed' } })
    }
    const poll = await world.http('/poll', { user: world.user('deep') }, { method: 'POST', body: DEEP })
    t.equal(poll.status, 200)
    t.match(await client.ask({ type: 'ping' }), { ok: true })
    // As deep as it may be: it must come back by history too, which has it some levels deeper still.
    let deepest = 60_000
    for (let low = 1, high = deepest; low <= high; ) {
      const depth = (low + high) >> 1
      const body = `{"type":"message","to":${JSON.stringify(user)},"ref":"x","data":${'['.repeat(depth)}${']'.repeat(depth)}}`
      const { text } = await world.http('/send', { session }, { method: 'POST', body })
      const ok = JSON.parse(text).frames[0].ok
      if (ok) low = depth + 1
      else high = depth - 1
      deepest = high
    }
    t.ok(deepest >= 100, `as deep as ${deepest} is fine`)
    t.match(await client.ask({ type: 'history', limit: 100 }), { ok: true })
    t.match((await world.post(session, { type: 'history', limit: 100, ref: 'h' })).status, 200)
    t.match(await client.ask({ type: 'ping' }), { ok: true })
  },

  'paths, methods, and what is no WebSocket': async (t, engine) => {
    const world = await World.start(t, engine)
    const answer = async (method: string, base: string) => {
      const { status, headers, text } = await world.http(base, { user: 'alice' }, { method })
      if (status >= 400) {
        t.match(headers['content-type'], /^application\/problem\+json/, `${method} ${base}`)
        t.match(JSON.parse(text), { type: String, title: String, status, code: String, retryable: false }, `${method} ${base}`)
      }
      return { status, allow: headers.allow, code: status >= 400 ? JSON.parse(text).code : '', upgrade: headers.upgrade }
    }
    for (const base of ['/nothing', '/ws/', '/poll/x', '/SSE', '/api/v1/stats', '/metrics', '/..%2f..%2fetc/passwd', '//'])
      t.match(await answer('GET', base), { status: 404, code: 'not_found' }, base)
    t.match(await answer('GET', '/ws'), { status: 426, code: 'upgrade_required', upgrade: /websocket/i })
    const wrong: readonly (readonly [string, string, readonly string[]])[] = [
      ['POST', '/ws', ['GET']],
      ['POST', '/sse', ['GET']],
      ['PUT', '/sse', ['GET']],
      ['PUT', '/poll', ['GET', 'POST']],
      ['PATCH', '/poll', ['GET', 'POST']],
      ['GET', '/send', ['POST']],
      ['PUT', '/send', ['POST']],
    ]
    for (const [method, base, allowed] of wrong) {
      const { status, code, allow = '' } = await answer(method, base)
      t.match({ status, code }, { status: 405, code: 'method_not_allowed' }, `${method} ${base}`)
      const methods = allow.split(/, */)
      t.ok(allowed.every((one) => methods.includes(one)) && !methods.includes(method), `${method} ${base}: Allow: ${allow}`)
    }
    for (const base of ['/sse', '/poll', '/nothing'])
      await t.rejects(RawWebSocket.open(world.port, { path: path(base, { user: 'a' }) }), /404/)
    await t.rejects(RawWebSocket.open(world.port, { path: path('/ws', { user: 'a' }), headers: { 'sec-websocket-version': '7' } }), /4\d\d/)
    await t.rejects(RawWebSocket.open(world.port, { path: path('/ws', { user: 'a' }), headers: { 'sec-websocket-key': 'x' } }), /400/)
  },

  'CORS: any page in dev, those on the list, and no others': async (t, engine) => {
    const page = 'https://app.example.com'
    const dev = await World.start(t, engine)
    const listed = await World.start(t, engine, ['--allowed-origins', `${page},http://localhost:3000`])
    const none = await World.start(t, engine, ['--jwt-secret', 'x'.repeat(32), '--api-keys', 'x'.repeat(16)])
    const get = (world: World, base: string, origin: string, method = 'GET', body?: string) =>
      world.http(base, { user: 'alice' }, { method, headers: { origin }, ...(body === undefined ? {} : { body }) })
    const preflight = async (world: World, base: string, origin: string) => {
      const headers = { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization,content-type' }
      const answer = await world.http(base, {}, { method: 'OPTIONS', headers })
      t.ok([200, 204].includes(answer.status))
      return answer.headers
    }
    for (const [world, origin, allowed] of [
      [dev, 'https://anything.example', true],
      [dev, 'null', true],
      [listed, page, true],
      [listed, 'http://localhost:3000', true],
      [listed, 'https://app.example.com.evil.example', false],
      [listed, 'http://app.example.com', false],
      [listed, 'null', false],
      [none, page, false],
    ] as const) {
      for (const base of ['/poll', '/send', '/sse']) {
        const headers = await preflight(world, base, origin)
        t.equal(headers['access-control-allow-origin'], allowed ? origin : undefined, `preflight of ${base} from ${origin}`)
        if (!allowed) continue
        t.match(headers['access-control-allow-methods'], /POST/)
        t.match(headers['access-control-allow-headers'], /authorization/i)
        t.match(headers['access-control-allow-headers'], /content-type/i)
      }
      const answers = [
        await get(world, '/poll', origin),
        await get(world, '/nothing', origin),
        await get(world, '/send', origin, 'POST', '{'),
      ]
      const statuses = world === none ? [401, 404, 400] : [200, 404, 400]
      for (const [i, { status, headers }] of answers.entries()) {
        t.equal(status, statuses[i])
        t.equal(headers['access-control-allow-origin'], allowed ? origin : undefined, `${origin}, status ${status}`)
        if (allowed) t.match(headers.vary, /origin/i, 'caches must tell the origins apart')
      }
      if (world === none) continue
      const opened = RawWebSocket.open(world.port, { path: path('/ws', { user: 'alice' }), headers: { origin } })
      if (allowed) (await opened).destroy()
      else await t.rejects(opened, /403/, `a WebSocket from ${origin}`)
    }
    const own = await RawWebSocket.open(listed.port, {
      path: path('/ws', { user: 'alice' }),
      headers: { host: 'a.example', origin: 'https://a.example' },
    })
    own.destroy()
    const events = await dev.events({ user: 'alice' }, { origin: page })
    t.equal(events.headers['access-control-allow-origin'], page)
  },

  'a head of 10 MB ends its own connection only': async (t, engine) => {
    const world = await World.start(t, engine)
    const other = await world.socket({ user: 'other' })
    const raw = await RawConnection.open(world.port)
    await raw.send(`GET /poll?user=a HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(10 * 1024 * 1024)}`)
    await raw.ended()
    raw.destroy()
    const long = await RawConnection.open(world.port)
    await long.send(`GET /poll?user=${'x'.repeat(10 * 1024 * 1024)}`)
    await long.ended()
    long.destroy()
    t.match(await other.ask({ type: 'ping' }), { ok: true })
  },

  'heads that are too large, too slow, or none': async (t, engine) => {
    if (engine === 'uws') {
      t.comment('uWebSockets.js has its own limits of heads: docs/engines.md')
      return
    }
    const world = await World.start(t, engine, [
      '--headers-timeout-seconds',
      '0.5',
      '--body-timeout-seconds',
      '0.5',
      '--max-header-bytes',
      '4096',
    ])
    const other = await world.socket({ user: 'other' })
    const client = await world.socket({ user: 'slow' })
    const session = String(client.feed.frames[0]?.session)
    const statusOf = async (...segments: string[]) => {
      const raw = await RawConnection.open(world.port)
      t.teardown(() => raw.destroy())
      await raw.send(...segments)
      return (await raw.readHead()).status
    }
    t.equal(await statusOf(`GET /poll?user=a HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(5000)}\r\n\r\n`), 431)
    t.equal(await statusOf('NONSENSE\r\n\r\n'), 400)
    t.equal(await statusOf('GET /poll?user=slow HTTP/1.1\r\nHost: x\r\nX-Slow'), 408, 'a head that does not come')
    t.equal(
      await statusOf(`POST /send?session=${session} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n[`),
      408,
      'a body that does not come',
    )
    t.equal(await statusOf('POST /poll?user=a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx'), 400)
    const idle = await RawConnection.open(world.port)
    await idle.ended()
    idle.destroy()
    t.match(await other.ask({ type: 'ping' }), { ok: true })
  },
}
