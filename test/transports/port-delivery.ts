// Client port: hello, what is pushed, and what is sent, on every transport.

import type { Test } from 'tap'
import type { Frame } from '../support/feed.js'
import { ask, http, keepAliveAgent } from '../support/http-client.js'
import { RawConnection } from '../support/raw-http.js'
import { type Kind, path } from '../support/wire-client.js'
import { type EngineName, eventually, World } from '../support/world.js'

export type Cases = Readonly<Record<string, (t: Test, engine: EngineName) => Promise<void>>>

const ALL: readonly Kind[] = ['websocket', 'protobuf', 'sse', 'keepalive', 'longpoll']

/** What JSON can be, and what trips encoders. */
const VALUES: readonly unknown[] = [
  { n: 1 },
  'text',
  'two\nlines\r\nand \u2028 \u2029 \u0000 "quotes" \\ and 用户 🙂',
  '',
  null,
  false,
  0,
  -1.5e-7,
  [],
  {},
  [[[{ deep: [null] }]]],
  { __proto__x: 1, 'k\n': 'v' },
  'data: x\n\nid: y\n\n',
]

interface PollBody {
  readonly cursor: string
  readonly frames: readonly Frame[]
}

function pollBody(text: string): PollBody {
  return JSON.parse(text) as PollBody
}

export const deliveryCases: Cases = {
  'a session begins with hello on every transport': async (t, engine) => {
    const world = await World.start(t, engine, ['--resume-seconds', '17', '--ping-seconds', '13'])
    for (const kind of ALL) {
      const user = world.user('hello')
      const { feed } = await world.open(kind, { user, device: 'phone' })
      const [hello] = feed.frames
      t.match(hello, { type: 'hello', user, device: 'phone', recovered: false, pingSeconds: 13, resumeSeconds: 17 }, kind)
      t.match(hello?.session, /^.{20,}$/, `${kind}: the session id is long`)
      t.match(hello?.cursor, /^[\w.-]+$/, `${kind}: the cursor needs no escaping`)
    }
    const { feed } = await world.open('websocket', { user: world.user('hello') })
    t.notOk('device' in (feed.frames[0] ?? {}), 'no device, no field')
    const sessions = await Promise.all(ALL.map((kind) => world.open(kind, { user: world.user('hello') })))
    t.equal(new Set(sessions.map(({ feed }) => feed.frames[0]?.session)).size, ALL.length, 'every session has an id of its own')
  },

  'a push arrives on every transport, in order, with a cursor in each frame': async (t, engine) => {
    const world = await World.start(t, engine)
    const user = world.user('用户')
    const clients = await Promise.all(ALL.map((kind) => world.open(kind, { user })))
    for (const value of VALUES) await world.push(user, value)
    const id = await world.push(user, 'last', { id: 'the-id', from: 'bob@example.com' })
    for (const { kind, feed } of clients) {
      const last = await feed.next(({ data }) => data === 'last')
      t.strictSame(feed.data, [...VALUES, 'last'], `${kind}: everything, as it was`)
      t.match(last, { type: 'message', id, from: 'bob@example.com' }, `${kind}: the fields`)
      t.equal(id, 'the-id')
      t.ok(Math.abs(Number(last.time) - Date.now()) < 60_000, `${kind}: time in milliseconds`)
      t.notOk('topic' in last || 'ephemeral' in last, `${kind}: absent fields are absent`)
      t.ok(
        feed.frames.every(({ cursor }) => typeof cursor === 'string' && cursor !== ''),
        `${kind}: each frame has a cursor`,
      )
      const messages = feed.frames.filter(({ type }) => type === 'message')
      t.equal(new Set(messages.map(({ cursor }) => cursor)).size, messages.length, `${kind}: and no two the same`)
    }
  },

  'ephemeral messages reach who is there and are nowhere afterwards': async (t, engine) => {
    const world = await World.start(t, engine)
    const user = world.user('eph')
    const clients = await Promise.all(ALL.map((kind) => world.open(kind, { user })))
    await world.push(user, 'now', { ephemeral: true })
    for (const { kind, feed } of clients) t.match(await feed.next('message'), { data: 'now', ephemeral: true }, kind)
    const late = await world.open('websocket', { user })
    await late.ask({ type: 'ping' })
    t.equal(late.feed.count('message'), 0, 'nothing of it is in the inbox')
  },

  'SSE: the response and the fields of its events': async (t, engine) => {
    const world = await World.start(t, engine, ['--ping-seconds', '1'])
    const user = world.user('sse')
    const events = await world.events({ user })
    t.match(events.headers['content-type'], /^text\/event-stream/)
    t.match(events.headers['cache-control'], /no-cache|no-store/)
    t.equal(events.headers['x-accel-buffering'], 'no')
    await world.push(user, 'a\nb')
    await events.feed.next('message')
    t.ok((events.retries[0] ?? 0) > 0, 'retry: with a number')
    t.equal(events.events.length, 2)
    for (const { id, event, data } of events.events) {
      const frame = JSON.parse(data) as Frame
      t.equal(id, frame.cursor, 'id: is the cursor')
      t.equal(event, frame.type, 'event: is the type')
    }
    await eventually(async () => (events.comments > 0 ? true : undefined), 'a comment as ping')
  },

  'poll: opens at once, is held, and answers at the first frame': async (t, engine) => {
    const world = await World.start(t, engine)
    const user = world.user('poll')
    const startedAt = Date.now()
    const first = await world.http('/poll', { user })
    t.equal(first.status, 200)
    t.match(first.headers['content-type'], /^application\/json/)
    t.match(first.headers['cache-control'], /no-store|no-cache/)
    const opened = pollBody(first.text)
    t.equal(opened.frames[0]?.type, 'hello')
    t.equal(opened.cursor, opened.frames.at(-1)?.cursor)

    const held = ask(world.port, path('/poll', { user, cursor: opened.cursor, wait: '20' }))
    await eventually(async () => ((await sessionsOf(world, user))[0]?.transport === 'longpoll' ? true : undefined), 'the poll')
    await world.push(user, 1)
    const second = pollBody((await held.answer).text)
    t.strictSame(
      second.frames.map(({ data }) => data),
      [1],
      'no second hello, only what is new',
    )
    t.ok(Date.now() - startedAt < 15_000, 'long before its wait was over')

    await world.push(user, 2)
    await world.push(user, 3)
    const third = pollBody((await world.http('/poll', { user, cursor: second.cursor })).text)
    t.strictSame(
      third.frames.map(({ data }) => data),
      [2, 3],
      'what waits comes at once and together',
    )
    const again = pollBody((await world.http('/poll', { user, cursor: second.cursor })).text)
    t.strictSame(again, third, 'the same cursor again: the answer that was lost')
    const empty = pollBody((await world.http('/poll', { user, cursor: third.cursor, wait: '0' })).text)
    t.strictSame(empty, { cursor: third.cursor, frames: [] }, 'wait=0 answers at once, with its own cursor')
  },

  'poll: wait is a number of seconds, kept as it is between 0 and 120': async (t, engine) => {
    const world = await World.start(t, engine, ['--ping-seconds', '1'])
    const user = world.user('wait')
    const { cursor } = pollBody((await world.http('/poll', { user })).text)
    for (const wait of ['0', '-3', '-0.5', '0.0']) {
      const at = Date.now()
      const { status, text } = await world.http('/poll', { user, cursor, wait })
      t.equal(status, 200, `wait=${wait}`)
      t.strictSame(pollBody(text), { cursor, frames: [] })
      t.ok(Date.now() - at < 2000, `wait=${wait} is none`)
    }
    for (const wait of ['x', '', '1s', 'NaN', '1e400', '0x10']) {
      const { status, text } = await world.http('/poll', { user, cursor, wait })
      t.equal(status, 400, `wait=${wait}`)
      t.match(JSON.parse(text), { code: 'malformed', retryable: false })
    }
    const at = Date.now()
    t.strictSame(pollBody((await world.http('/poll', { user, cursor, wait: '2' })).text), { cursor, frames: [] })
    const tookMs = Date.now() - at
    t.ok(tookMs >= 1900, `held for its wait, not for the time between pings: ${tookMs} ms`)
    const long = ask(world.port, path('/poll', { user, cursor, wait: '99999' }))
    await eventually(async () => ((await world.metric('holdwire_sessions{transport="longpoll"}')) > 0 ? true : undefined), 'the poll')
    await world.push(user, 'x')
    t.equal((await long.answer).status, 200, 'more than 120 is 120')
  },

  'poll: a second one releases the first, which answers 200 with no frames and its own cursor': async (t, engine) => {
    const world = await World.start(t, engine)
    const user = world.user('two')
    const { cursor } = pollBody((await world.http('/poll', { user })).text)
    const first = ask(world.port, path('/poll', { user, cursor, wait: '30' }))
    await held(world)
    const second = ask(world.port, path('/poll', { user, cursor, wait: '30' }))
    const released = await first.answer
    t.equal(released.status, 200)
    t.strictSame(pollBody(released.text), { cursor, frames: [] })
    await world.push(user, 'for the second')
    t.match(pollBody((await second.answer).text).frames, [{ data: 'for the second' }])
  },

  'poll: frames of the client in the body of a POST': async (t, engine) => {
    const world = await World.start(t, engine)
    const user = world.user('post')
    const open = await world.http('/poll', { user }, { method: 'POST', body: JSON.stringify({ type: 'ping', ref: 'p0' }) })
    const opened = pollBody(open.text)
    t.equal(opened.frames[0]?.type, 'hello', 'a POST opens a session too')
    t.match(opened.frames[1], { type: 'reply', ref: 'p0', ok: true })
    t.ok(opened.frames[1]?.cursor, 'a reply on the stream has a cursor')
    const body = JSON.stringify([
      { type: 'message', to: user, data: 'me', ref: 'a' },
      { type: 'nonsense', ref: 'b' },
      { type: 'nonsense' },
      { type: 'ping', ref: 'c' },
    ])
    const got: Frame[] = []
    let { cursor } = opened
    const first = await world.http('/poll', { user, cursor }, { method: 'POST', body })
    for (let answer = first; got.length < 4; answer = await world.http('/poll', { user, cursor, wait: '5' })) {
      got.push(...pollBody(answer.text).frames)
      cursor = pollBody(answer.text).cursor
    }
    const replies = new Map(got.filter(({ type }) => type === 'reply').map((reply) => [reply.ref, reply]))
    t.match(replies.get('a'), { ok: true, result: { id: /./ } })
    t.match(replies.get('b'), { ok: false, error: { code: 'malformed', message: /./ } })
    t.match(replies.get('c'), { ok: true })
    t.equal(replies.size, 3)
    t.match(
      got.find(({ type }) => type === 'message'),
      { from: user, data: 'me' },
    )
    const empty = await world.http('/poll', { user, cursor, wait: '0' }, { method: 'POST' })
    t.strictSame(pollBody(empty.text), { cursor, frames: [] }, 'an empty body is no frame')
  },

  'frames of clients are counted, however many come at once': async (t, engine) => {
    const world = await World.start(t, engine)
    const user = world.user('counted')
    const incoming = (what: string, transport: string) => world.metric(`holdwire_${what}_total{transport="${transport}",direction="in"}`)
    const two = '[{"type":"ping"},{"type":"ping"}]'
    await world.http('/poll', { user }, { method: 'POST', body: two })
    t.equal(await incoming('frames', 'longpoll'), 2)
    t.equal(await incoming('bytes', 'longpoll'), two.length)
    const { feed } = await world.events({ user })
    await world.post(feed.frames[0]?.session, [{ type: 'ping' }, { type: 'ping' }, { type: 'ping' }])
    t.equal(await incoming('frames', 'sse'), 3)
    const socket = await world.socket({ user })
    await socket.ask({ type: 'ping' })
    t.equal(await incoming('frames', 'websocket'), 1)
  },

  'keep-alive long connections and long polls are told apart': async (t, engine) => {
    const world = await World.start(t, engine)
    const sessions = (transport: string) => world.metric(`holdwire_sessions{transport="${transport}"}`)
    const opened = (transport: string) => world.metric(`holdwire_sessions_opened_total{transport="${transport}"}`)
    const agent = keepAliveAgent()
    t.teardown(() => agent.destroy())
    const user = world.user('kept')
    const first = await http(world.port, path('/poll', { user }), { agent })
    t.not(first.headers.connection, 'close', 'the connection stays')
    await http(world.port, path('/poll', { user, cursor: pollBody(first.text).cursor, wait: '0' }), { agent })
    t.equal(await sessions('keepalive'), 1)
    t.equal(await opened('keepalive'), 1)
    const closing = await world.http('/poll', { user: world.user('closing') })
    t.equal(closing.status, 200)
    t.equal(await sessions('longpoll'), 1)
    t.equal(await opened('longpoll'), 1)
    const closed = await RawConnection.open(world.port)
    await closed.send(`GET /poll?user=${world.user('closed')} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n`)
    t.equal((await closed.readResponse()).status, 200)
    await closed.ended()
    closed.destroy()
    if (engine === 'uws') {
      t.comment('HTTP/1.0 is left out: uWebSockets.js does not speak it')
      return
    }
    const raw = await RawConnection.open(world.port)
    await raw.send(`GET /poll?user=${world.user('old')} HTTP/1.0\r\nHost: test\r\n\r\n`)
    t.equal((await raw.readResponse()).status, 200)
    await raw.ended()
    raw.destroy()
    t.equal(await sessions('longpoll'), 3, 'HTTP/1.0 is long polling')
  },

  '/send: replies in the answer and nowhere else, for sessions of every transport': async (t, engine) => {
    const world = await World.start(t, engine)
    for (const kind of ALL) {
      const user = world.user('send')
      const { feed } = await world.open(kind, { user })
      const session = feed.frames[0]?.session
      const one = await world.post(session, { type: 'ping', ref: 'one' })
      t.equal(one.status, 200, kind)
      t.match(one.headers['content-type'], /^application\/json/)
      t.strictSame(JSON.parse(one.text), { frames: [{ type: 'reply', ref: 'one', ok: true }] }, `${kind}: no cursor in it`)
      const many = await world.post(session, [
        { type: 'message', to: user, data: 1, ref: 'a', id: 'm' },
        { type: 'message', to: user, data: 2 },
        5,
        { type: 'message', ref: 'b' },
        { type: 'subscribe', topic: 'news', ref: 'c' },
      ])
      t.match(
        JSON.parse(many.text),
        {
          frames: [
            { ref: 'a', ok: true, result: { id: 'm' } },
            { ref: 'b', ok: false, error: { code: 'malformed' } },
            { ref: 'c', ok: true },
          ],
        },
        `${kind}: one reply for each frame with a ref, in order`,
      )
      await feed.next(({ data }) => data === 2)
      t.strictSame(feed.data, [1, 2], `${kind}: in order`)
      t.equal(feed.count('reply'), 0, `${kind}: no reply on the stream`)
      t.strictSame(JSON.parse((await world.post(session, [])).text), { frames: [] })
    }
  },

  '/send: what it refuses': async (t, engine) => {
    const world = await World.start(t, engine, ['--resume-seconds', '1'])
    const user = world.user('refused')
    const client = await world.socket({ user })
    const session = String(client.feed.frames[0]?.session)
    const cause = async (id: string) => {
      const { status, text, headers } = await world.post(id, { type: 'ping', ref: 'x' })
      t.match(headers['content-type'], /^application\/problem\+json/)
      const problem = JSON.parse(text)
      t.match({ status, problem }, { status: 404, problem: { code: 'unknown_session', retryable: true, status: 404 } })
      return problem.cause
    }
    t.equal(await cause('nonsense'), 'never_existed')
    t.equal(await cause('a.b.c'), 'never_existed')
    t.equal(await cause(`AAAAAAAA.1.${'A'.repeat(22)}`), 'node_lost', 'one of a node that is nowhere')
    t.equal(await cause(`${session}x`), 'never_existed', 'nearly right is wrong')
    t.equal(await cause(`${session.slice(0, -1)}${session.endsWith('A') ? 'B' : 'A'}`), 'never_existed')
    t.equal((await world.http('/send', {}, { method: 'POST', body: '{}' })).status, 400, 'without a session')
    for (const body of ['', '{', 'null x', '[{"type":"ping"},', Buffer.from([0x22, 0xff, 0xfe, 0x22])]) {
      const { status, text } = await world.http('/send', { session }, { method: 'POST', body })
      t.equal(status, 400, `body ${JSON.stringify(body)}`)
      t.match(JSON.parse(text), { code: 'malformed', retryable: false })
    }
    t.match(await client.ask({ type: 'ping' }), { ok: true }, 'the session is unharmed')
    await world.api('DELETE', `/api/v1/users/${user}/sessions`)
    await client.feed.ending()
    t.equal(await cause(session), 'closed')
    const other = await world.socket({ user })
    const gone = String(other.feed.frames[0]?.session)
    other.drop()
    t.equal(await eventually(async () => ((await world.post(gone, [])).status === 404 ? cause(gone) : undefined), 'the end'), 'expired')
  },
}

/** A poll is held somewhere. */
async function held(world: World): Promise<void> {
  await eventually(async () => ((await world.metric('holdwire_sessions{transport="longpoll"}')) > 0 ? true : undefined), 'a poll')
  await new Promise((resolve) => setTimeout(resolve, 50))
}

async function sessionsOf(world: World, user: string): Promise<{ readonly transport: string }[]> {
  const { text } = await world.api('GET', `/api/v1/users/${encodeURIComponent(user)}`)
  return (JSON.parse(text) as { sessions: { transport: string }[] }).sessions
}
