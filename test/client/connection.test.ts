// The client's state machine against surroundings that the test plays: fallback, delays, resuming, acks, sending, tokens, ends.

import t from 'tap'
import { Backoff } from '../../client/backoff.js'
import type { Connection } from '../../client/connection.js'
import type { HoldwireError } from '../../client/errors.js'
import { connect } from '../../client/holdwire.js'
import type { ConnectOptions, MessageFrame, State } from '../../client/types.js'
import { FakeSurroundings } from '../support/fake-surroundings.js'

const HELLO = { type: 'hello', session: 's1', user: 'alice', recovered: false, pingSeconds: 25, resumeSeconds: 60, cursor: 'c0' }

function message(n: number, more: object = {}) {
  return { type: 'message', id: `m${n}`, from: 'bob', time: 1, data: { n }, cursor: `c${n}`, ...more }
}

interface Bench {
  fake: FakeSurroundings
  connection: Connection
  states: State[]
  got: MessageFrame[]
  errors: HoldwireError[]
  kinds(): string[]
}

/** A connection that has begun its first attempt. */
async function start(options: Partial<ConnectOptions> = {}, prepare?: (fake: FakeSurroundings) => void): Promise<Bench> {
  const fake = new FakeSurroundings()
  prepare?.(fake)
  const connection = connect({ url: 'https://push.test/', user: 'alice', environment: fake.environment, ...options })
  const bench: Bench = {
    fake,
    connection,
    states: [connection.state],
    got: [],
    errors: [],
    kinds: () => bench.states.map(({ kind }) => kind),
  }
  connection.on('state', (state) => bench.states.push(state))
  connection.on('message', (frame) => bench.got.push(frame))
  connection.on('error', (error) => bench.errors.push(error))
  await fake.settle()
  return bench
}

/** Open over WebSocket, for long enough to count as stable. */
async function opened(options: Partial<ConnectOptions> = {}): Promise<Bench> {
  const bench = await start(options)
  bench.fake.socket.open()
  bench.fake.socket.receive(HELLO)
  await bench.fake.advance(6000)
  return bench
}

/** Open over SSE. */
async function openedSse(options: Partial<ConnectOptions> = {}): Promise<Bench> {
  const bench = await start({ transports: ['sse'], ...options })
  bench.fake.request('/sse').stream()
  bench.fake.request('/sse').event(HELLO)
  await bench.fake.advance(6000)
  // The acknowledgement of the hello.
  bench.fake.request('/send').answer(200, { frames: [] })
  await bench.fake.settle()
  return bench
}

/** Open over polling: the first answer is there, the second poll is held. */
async function openedPoll(options: Partial<ConnectOptions> = {}): Promise<Bench> {
  const bench = await start({ transports: ['poll'], ...options })
  bench.fake.request('/poll').answer(200, { cursor: 'c0', frames: [HELLO] })
  await bench.fake.advance(6000)
  return bench
}

function codeOf(bench: Bench): string | undefined {
  const { state } = bench.connection
  return state.kind === 'waiting' || state.kind === 'closed' ? `${state.kind} ${state.reason.code}` : state.kind
}

function waitMs(bench: Bench): number {
  const { state } = bench.connection
  if (state.kind !== 'waiting') throw new Error(`${state.kind} instead of waiting`)
  return state.until - bench.fake.now
}

t.test('opening', async (t) => {
  t.test('says who it is and what it speaks, and is open with the hello', async (t) => {
    const bench = await start({ url: 'https://push.test/below/', user: 'al ice+&用', device: 'laptop', token: 'a.b+c', cursor: 'c-stored' })
    const { url, protocols } = bench.fake.socket
    t.equal(url.href.split('?')[0], 'wss://push.test/below/ws')
    t.same(Object.fromEntries(url.searchParams), { user: 'al ice+&用', device: 'laptop', token: 'a.b+c', cursor: 'c-stored' })
    t.match(url.search, '%20', 'a space is not written as +')
    t.same(protocols, ['holdwire.v1+json'])
    bench.fake.socket.open()
    t.equal(bench.connection.state.kind, 'connecting', 'an open socket is not yet a session')
    bench.fake.socket.receive({ ...HELLO, recovered: true, device: 'laptop' })
    t.same(bench.connection.state, { kind: 'open', transport: 'websocket', user: 'alice', device: 'laptop', recovered: true })
    bench.fake.socket.receive(message(1))
    t.same(bench.got, [message(1)])
    t.equal(bench.connection.cursor, 'c1')
    t.same(bench.kinds(), ['idle', 'connecting', 'open'])
  })

  t.test('a token goes into headers where they can be set, and never into a URL there', async (t) => {
    const bench = await start({ token: 'secret', transports: ['sse', 'poll'], failuresBeforeFallback: 1 })
    const sse = bench.fake.request('/sse')
    t.equal(sse.headers.authorization, 'Bearer secret')
    sse.fail()
    await bench.fake.advance(1000)
    t.equal(bench.fake.request('/poll').headers.authorization, 'Bearer secret')
    t.notOk(bench.fake.requests.some(({ url }) => url.href.includes('secret')))
  })

  t.test('without a WebSocket the next transport is the first', async (t) => {
    const fake = new FakeSurroundings()
    const environment = { ...fake.environment, WebSocket: undefined }
    const connection = connect({ url: 'ws://push.test', environment })
    await fake.settle()
    t.equal(fake.request('/sse').url.protocol, 'http:')
    await connection.close()
    t.throws(() => connect({ url: 'http://push.test', transports: ['websocket'], environment }), /none of the transports/)
    t.throws(() => connect({ url: 'nonsense', environment }), { name: 'TypeError' })
  })

  t.test('frames before a hello open the known session; a hello that comes late is taken', async (t) => {
    const bench = await openedSse()
    bench.fake.request('/sse').push(undefined)
    await bench.fake.advance(600)
    bench.fake.request('/sse').stream()
    bench.fake.request('/sse').push(': back\n\n')
    await bench.fake.settle()
    t.equal(bench.connection.state.kind, 'connecting', 'a hello may follow')
    await bench.fake.advance(1000)
    t.match(bench.connection.state, { kind: 'open', user: 'alice', recovered: true })
    bench.fake.request('/sse').event({ ...HELLO, session: 's2', cursor: 'c5' } as never)
    await bench.fake.settle()
    t.match(bench.connection.state, { kind: 'open', recovered: false })
  })

  t.test('unknown frame types are ignored and acknowledged; what is no frame ends the link', async (t) => {
    const bench = await opened()
    bench.fake.socket.receive({ type: 'novelty', cursor: 'c9' })
    t.equal(bench.connection.cursor, 'c9')
    bench.fake.socket.receive('<html>')
    t.equal(codeOf(bench), 'waiting network')
  })
})

t.test('fallback', async (t) => {
  t.test('two failures lead to the next transport, after the last comes the first', async (t) => {
    const bench = await start()
    const seen: string[] = []
    for (let attempt = 0; attempt < 7; attempt++) {
      const { state } = bench.connection
      if (state.kind !== 'connecting') throw new Error(state.kind)
      seen.push(state.transport)
      if (state.transport === 'websocket') bench.fake.socket.end()
      else bench.fake.requests.at(-1)?.fail()
      await bench.fake.advance(0)
      await bench.fake.advance(waitMs(bench))
    }
    t.same(seen, ['websocket', 'websocket', 'sse', 'sse', 'poll', 'poll', 'websocket'])
  })

  t.test('opened and died within five seconds is a failure, later is not', async (t) => {
    const bench = await start({ failuresBeforeFallback: 1 })
    bench.fake.socket.receive(HELLO)
    await bench.fake.advance(5000)
    bench.fake.socket.end()
    await bench.fake.advance(600)
    t.match(bench.connection.state, { kind: 'connecting', transport: 'websocket' })
    bench.fake.socket.receive(HELLO)
    await bench.fake.advance(4999)
    bench.fake.socket.end()
    await bench.fake.advance(1000)
    t.match(bench.connection.state, { kind: 'connecting', transport: 'sse' })
  })

  t.test("a server's own word is no failure of the transport", async (t) => {
    const bench = await start({ failuresBeforeFallback: 1 })
    for (const code of [1012, 1013, 1011, 4208, 4129]) {
      bench.fake.socket.end(code)
      await bench.fake.advance(waitMs(bench))
      t.match(bench.connection.state, { kind: 'connecting', transport: 'websocket' }, String(code))
    }
  })

  t.test('silence at the start is a failure; the late answer is not heard', async (t) => {
    const bench = await start({ connectTimeoutMs: 3000 })
    const { socket } = bench.fake
    await bench.fake.advance(3000)
    t.equal(codeOf(bench), 'waiting network')
    t.equal(socket.closedWith, 4999)
    socket.receive(HELLO)
    socket.end()
    t.equal(codeOf(bench), 'waiting network')
    t.equal(bench.kinds().filter((kind) => kind === 'waiting').length, 1)
  })

  t.test('a WebSocket that the page may not open is a failure like any other', async (t) => {
    const fake = new FakeSurroundings()
    const WebSocket = class {
      constructor() {
        throw new Error('refused by policy')
      }
    } as never
    const connection = connect({ url: 'http://push.test', environment: { ...fake.environment, WebSocket } })
    await fake.advance(0)
    t.match(connection.state, { kind: 'waiting', reason: { code: 'network', reason: /policy/ } })
  })

  t.test('better transports are tried again, with the session kept, less often each time they fail', async (t) => {
    const bench = await start({ failuresBeforeFallback: 1, upgradeAfterMs: 10_000 })
    const { fake } = bench
    const openPoll = async () => {
      fake.request('/poll').answer(200, { cursor: 'c0', frames: bench.connection.cursor === undefined ? [HELLO] : [] })
      await fake.settle()
      t.match(bench.connection.state, { kind: 'open', transport: 'poll' })
    }
    fake.socket.end()
    await fake.advance(600)
    fake.request('/sse').fail()
    await fake.advance(1000)
    await openPoll()
    const sockets = fake.sockets.length
    await fake.advance(9000)
    t.equal(fake.sockets.length, sockets)
    await fake.advance(1000)
    t.equal(fake.sockets.length, sockets + 1)
    t.equal(fake.socket.url.searchParams.get('cursor'), 'c0')
    fake.socket.end()
    await fake.settle()
    t.match(bench.connection.state, { kind: 'connecting', transport: 'sse' }, 'at once')
    fake.request('/sse').fail()
    await fake.settle()
    t.match(bench.connection.state, { kind: 'connecting', transport: 'poll' }, 'at once')
    t.notOk(bench.kinds().slice(-4).includes('waiting'))
    await openPoll()
    await fake.advance(19_000)
    t.equal(fake.sockets.length, sockets + 1, 'twice as long now')
    await fake.advance(1000)
    t.equal(fake.sockets.length, sockets + 2)
    fake.socket.receive({ ...HELLO, recovered: true, pingSeconds: 1e6 })
    t.match(bench.connection.state, { kind: 'open', transport: 'websocket' })
    await fake.advance(400_000)
    t.match(bench.connection.state, { kind: 'open', transport: 'websocket' })
  })
})

t.test('delays', async (t) => {
  t.test('full jitter stays within its bounds and uses them', async (t) => {
    const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31))
    let word = seed
    const random = () => {
      word = (Math.imul(word, 1_103_515_245) + 12_345) >>> 0
      return word / 2 ** 32
    }
    for (let round = 0; round < 200; round++) {
      const backoff = new Backoff({ baseMs: 500, maxMs: 30_000 }, random)
      for (let n = 0; n < 12; n++) {
        const delayMs = backoff.next()
        if (delayMs < 0 || delayMs > Math.min(30_000, 500 * 2 ** n)) t.fail(`seed ${seed}: ${delayMs} at ${n}`)
      }
    }
    const highest = new Backoff({ baseMs: 500, maxMs: 30_000 }, () => 0.999999)
    t.same(
      [0, 1, 2, 3, 4, 5, 6, 60].map(() => highest.next()),
      [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000],
    )
    highest.reset()
    t.equal(highest.next(), 500)
  })

  t.test('failures make them longer, five good seconds short again', async (t) => {
    const bench = await start({ transports: ['websocket'] })
    const delays: number[] = []
    for (let attempt = 0; attempt < 4; attempt++) {
      bench.fake.socket.end()
      delays.push(waitMs(bench))
      await bench.fake.advance(waitMs(bench))
    }
    t.same(delays, [250, 500, 1000, 2000])
    bench.fake.socket.receive(HELLO)
    await bench.fake.advance(5000)
    bench.fake.socket.end()
    t.equal(waitMs(bench), 250)
  })

  t.test('a drain frame says when to come back, by whatever the end comes', async (t) => {
    for (const code of [1012, 1006]) {
      const bench = await opened()
      bench.fake.socket.receive({ type: 'drain', retryAfterMs: 7000, cursor: 'c1' })
      t.equal(bench.connection.state.kind, 'open', 'until the server closes')
      await bench.fake.advance(1000)
      bench.fake.socket.end(code)
      t.equal(waitMs(bench), 6250, 'what is left of it, spread a little')
      bench.fake.wake()
      t.equal(bench.connection.state.kind, 'waiting', 'the network being back is no reason to come early')
      await bench.fake.advance(6250)
      t.equal(bench.connection.state.kind, 'connecting')
    }
  })

  t.test('a close frame brings its code and delay', async (t) => {
    const bench = await openedSse()
    bench.fake.request('/sse').event({ type: 'close', code: 'overloaded', reason: 'full', retryAfterMs: 9000, cursor: 'c1' } as never)
    await bench.fake.settle()
    t.equal(codeOf(bench), 'waiting overloaded')
    t.equal(waitMs(bench), 9250)
    t.equal(bench.fake.request('/sse').state, 'aborted')
  })

  t.test('Retry-After counts in seconds and as a date, and nonsense is bounded', async (t) => {
    const values: [string, number][] = [
      ['4', 4250],
      [new Date(1_700_000_011_000).toUTCString(), 11_250],
      ['soon', 250],
      ['-5', 250],
      ['99999999999', 3_600_250],
    ]
    for (const [value, expected] of values) {
      const bench = await start({ transports: ['poll'] })
      bench.fake.request('/poll').problem(503, 'bus_unavailable', { 'retry-after': value })
      await bench.fake.settle()
      t.equal(codeOf(bench), 'waiting bus_unavailable')
      t.equal(waitMs(bench), expected, value)
    }
  })

  t.test('the reconnection time that a stream gives at its end counts', async (t) => {
    const bench = await openedSse()
    bench.fake.request('/sse').push('retry: 8000\n\n')
    bench.fake.request('/sse').push(undefined)
    await bench.fake.settle()
    t.equal(waitMs(bench), 8250)
  })

  t.test('when the network is back there is no waiting', async (t) => {
    const bench = await start({ transports: ['websocket'], backoff: { baseMs: 60_000, maxMs: 60_000 }, connectTimeoutMs: 100_000 })
    bench.fake.socket.end()
    t.equal(bench.connection.state.kind, 'waiting')
    bench.fake.wake()
    t.equal(bench.connection.state.kind, 'connecting')
    await bench.fake.advance(40_000)
    t.equal(bench.fake.sockets.length, 2, 'the old wait is over')
  })
})

t.test('acknowledging', async (t) => {
  const cursors = (bench: Bench) => bench.fake.socket.sentOf('ack').map((frame) => frame.cursor)

  t.test('one ack for the frames of half a second', async (t) => {
    const bench = await opened()
    t.same(cursors(bench), ['c0'])
    for (let n = 1; n <= 10; n++) bench.fake.socket.receive(message(n))
    await bench.fake.advance(499)
    t.same(cursors(bench), ['c0'])
    await bench.fake.advance(1)
    t.same(cursors(bench), ['c0', 'c10'])
    await bench.fake.advance(5000)
    t.same(cursors(bench), ['c0', 'c10'], 'and none for nothing')
  })

  t.test('at 64 frames it does not wait', async (t) => {
    const bench = await opened()
    for (let n = 1; n <= 130; n++) bench.fake.socket.receive(message(n))
    t.same(cursors(bench), ['c0', 'c64', 'c128'])
    await bench.fake.advance(500)
    t.same(cursors(bench), ['c0', 'c64', 'c128', 'c130'])
  })

  t.test('over SSE it is posted', async (t) => {
    const bench = await openedSse()
    bench.fake.request('/sse').event(message(1))
    bench.fake.request('/sse').event(message(2))
    await bench.fake.advance(500)
    const post = bench.fake.request('/send')
    t.same(post.frames, [{ type: 'ack', cursor: 'c2' }])
    t.equal(post.query('session'), 's1')
  })

  t.test('a poll acknowledges by its cursor', async (t) => {
    const bench = await openedPoll()
    bench.fake.request('/poll').answer(200, { cursor: 'c1', frames: [message(1)] })
    await bench.fake.advance(600)
    t.equal(bench.fake.request('/poll').query('cursor'), 'c1')
    t.equal(bench.fake.count('/send'), 0)
  })

  t.test('what was not acknowledged before the end goes by the next cursor', async (t) => {
    const bench = await opened()
    bench.fake.socket.receive(message(1))
    const { socket } = bench.fake
    socket.end()
    await bench.fake.advance(600)
    t.equal(bench.fake.socket.url.searchParams.get('cursor'), 'c1')
    t.same(socket.sentOf('ack').length, 1)
  })
})

t.test('handling', async (t) => {
  t.test('each message once: known by sender, topic and id, over connections', async (t) => {
    const bench = await opened()
    const { socket } = bench.fake
    for (const frame of [
      message(1),
      message(1),
      message(1, { from: 'carol' }),
      message(1, { topic: 'news' }),
      message(1, { from: undefined }),
    ]) {
      socket.receive(frame)
    }
    socket.end()
    await bench.fake.advance(600)
    bench.fake.socket.receive({ ...HELLO, session: 's2' })
    bench.fake.socket.receive(message(1))
    bench.fake.socket.receive(message(2))
    t.same(
      bench.got.map((frame) => `${frame.from}/${frame.topic}/${frame.id}`),
      ['bob/undefined/m1', 'carol/undefined/m1', 'bob/news/m1', 'undefined/undefined/m1', 'bob/undefined/m2'],
    )
  })

  t.test('events of every kind reach their handlers, and a handler can be removed', async (t) => {
    const bench = await opened()
    const seen: string[] = []
    const stop = bench.connection.on('presence', (frame) => seen.push(`${frame.user} ${frame.status}`))
    bench.connection.on('roster', (frame) => seen.push(`${frame.op} ${frame.user}`))
    bench.connection.on('gap', (frame) => seen.push(frame.reason))
    bench.fake.socket.receive({ type: 'presence', user: 'bob', status: 'away', cursor: 'c1' })
    bench.fake.socket.receive({ type: 'roster', op: 'request', user: 'bob', subscription: 'none', cursor: 'c2' })
    bench.fake.socket.receive({ type: 'gap', reason: 'evicted', cursor: 'c3' })
    stop()
    bench.fake.socket.receive({ type: 'presence', user: 'bob', status: 'online', cursor: 'c4' })
    t.same(seen, ['bob away', 'request bob', 'evicted'])
  })

  t.test('a handler that fails is reported and nothing else happens', async (t) => {
    const bench = await opened()
    bench.connection.on('message', () => {
      throw new Error('first')
    })
    bench.connection.on('message', async () => {
      throw new Error('second')
    })
    let others = 0
    bench.connection.on('message', () => {
      others += 1
    })
    bench.fake.socket.receive(message(1))
    bench.fake.socket.receive(message(2))
    await bench.fake.settle()
    t.equal(others, 2)
    t.equal(bench.connection.state.kind, 'open')
    t.equal(bench.connection.cursor, 'c2')
    t.same(bench.errors.map(({ code, cause }) => `${code} ${cause}`).sort(), [
      'handler Error: first',
      'handler Error: first',
      'handler Error: second',
      'handler Error: second',
    ])
  })

  t.test('without anybody for errors they reach the surroundings; so do those of the error handler', async (t) => {
    const fake = new FakeSurroundings()
    const connection = connect({ url: 'http://push.test', environment: fake.environment })
    connection.on('message', () => {
      throw new Error('nobody listens')
    })
    await fake.settle()
    fake.socket.receive(HELLO)
    fake.socket.receive(message(1))
    connection.on('error', () => {
      throw new Error('worse')
    })
    fake.socket.receive(message(2))
    t.same(fake.reported.map(String), ['Error: nobody listens', 'Error: worse'])
  })

  t.test('closing in a handler stops what comes after', async (t) => {
    const bench = await openedPoll()
    bench.connection.on('message', (frame) => (frame.id === 'm1' ? bench.connection.close() : undefined))
    bench.fake.request('/poll').answer(200, { cursor: 'c3', frames: [message(1), message(2), message(3)] })
    await bench.fake.settle()
    t.same(
      bench.got.map(({ id }) => id),
      ['m1'],
    )
    t.equal(codeOf(bench), 'closed client')
  })
})

t.test('sending', async (t) => {
  t.test('resolves and rejects with the reply', async (t) => {
    const bench = await opened()
    const { socket } = bench.fake
    const good = bench.connection.message('bob', { hi: 1 }, { ttlSeconds: 5 })
    const bad = bench.connection.publish('news', 'x', { id: 'mine' })
    const [first, second] = socket.sentOf('message')
    t.match(first, { to: 'bob', data: { hi: 1 }, ttlSeconds: 5, id: first?.ref as string })
    t.match(second, { topic: 'news', data: 'x', id: 'mine' })
    t.not(first?.ref, second?.ref)
    socket.receive({ type: 'reply', ref: 'of another', ok: true, cursor: 'c1' })
    socket.receive({ type: 'reply', ref: second?.ref, ok: false, error: { code: 'rate_limited', message: 'slower' }, cursor: 'c2' })
    socket.receive({ type: 'reply', ref: first?.ref, ok: true, result: { id: 'm9' }, cursor: 'c3' })
    t.same(await good, { id: 'm9' })
    await t.rejects(bad, { name: 'HoldwireError', code: 'rate_limited', retryable: true, message: 'slower' })
    const refused = bench.connection.subscribe('secret')
    socket.receive({ type: 'reply', ref: socket.sent.at(-1)?.ref, ok: false, error: { code: 'forbidden', message: '' }, cursor: 'c4' })
    await t.rejects(refused, { code: 'forbidden', retryable: false })
  })

  t.test('every command has its frame', async (t) => {
    const bench = await opened()
    const { connection, fake } = bench
    const before = fake.socket.sent.length
    const results = [
      connection.subscribe('t'),
      connection.unsubscribe('t'),
      connection.presence('away', 'lunch'),
      connection.roster.set('bob', { name: 'Bob', groups: ['g'] }),
      connection.roster.remove('bob'),
      connection.roster.subscribe('bob'),
      connection.roster.approve('bob'),
      connection.roster.deny('bob'),
      connection.history({ before: 'c5', limit: 3 }),
      connection.roster.get(),
    ]
    const sent = fake.socket.sent.slice(before)
    t.same(
      sent.map(({ ref: _, ...frame }) => frame),
      [
        { type: 'subscribe', topic: 't' },
        { type: 'unsubscribe', topic: 't' },
        { type: 'presence', status: 'away', note: 'lunch' },
        { type: 'roster', op: 'set', user: 'bob', name: 'Bob', groups: ['g'] },
        { type: 'roster', op: 'remove', user: 'bob' },
        { type: 'roster', op: 'subscribe', user: 'bob' },
        { type: 'roster', op: 'approve', user: 'bob' },
        { type: 'roster', op: 'deny', user: 'bob' },
        { type: 'history', before: 'c5', limit: 3 },
        { type: 'roster', op: 'get' },
      ],
    )
    for (const { ref } of sent) fake.socket.receive({ type: 'reply', ref, ok: true, result: { items: [{ user: 'bob' }] }, cursor: 'c1' })
    const answers = await Promise.all(results)
    t.same(answers.at(-1), [{ user: 'bob' }])
  })

  t.test('without a reply it is sent again, the same, on the next connection and another transport', async (t) => {
    const bench = await opened({ failuresBeforeFallback: 1, sendTimeoutMs: 100_000 })
    const { fake, connection } = bench
    const result = connection.message('bob', 1)
    const once = fake.socket.sentOf('message')[0]
    fake.socket.end()
    const meanwhile = connection.message('bob', 2)
    await fake.advance(600)
    fake.socket.end()
    await fake.advance(1000)
    fake.request('/sse').stream()
    fake.request('/sse').event({ ...HELLO, recovered: true } as never)
    await fake.settle()
    const post = fake.request('/send')
    t.same(post.frames[0], once, 'the same id and ref')
    t.match(post.frames[1], { data: 2 })
    post.answer(200, { frames: post.frames.map(({ ref, data }) => ({ type: 'reply', ref, ok: true, result: data })) })
    t.equal(await result, 1)
    t.equal(await meanwhile, 2)
    fake.request('/sse').push(undefined)
    await fake.advance(2000)
    fake.socket.receive(HELLO)
    t.equal(fake.socket.sentOf('message').length, 0, 'what was answered is not sent again')
  })

  t.test('a deadline ends the waiting, whatever the state', async (t) => {
    const bench = await opened({ sendTimeoutMs: 4000 })
    const usual = bench.connection.message('bob', 1)
    const own = bench.connection.send({ type: 'ping' }, { timeoutMs: 1000 })
    const patient = bench.connection.send({ type: 'ping' }, { timeoutMs: Number.POSITIVE_INFINITY })
    bench.fake.socket.end()
    await Promise.all([
      t.rejects(own, { code: 'timeout', retryable: true }),
      t.rejects(usual, { code: 'timeout', retryable: true }),
      bench.fake.advance(4000),
    ])
    bench.fake.socket.receive(HELLO)
    t.same(bench.fake.socket.sent.map(({ type }) => type).sort(), ['ping'], 'only the patient one is still sent')
    bench.fake.socket.receive({ type: 'reply', ref: bench.fake.socket.sent[0]?.ref, ok: true, cursor: 'c1' })
    t.equal(await patient, undefined)
  })

  t.test('only so many wait for a reply, and fewer are on their way at once', async (t) => {
    const bench = await opened({ maxPending: 100 })
    const { connection, fake } = bench
    const results = Array.from({ length: 100 }, (_, n) => connection.message('bob', n))
    await t.rejects(connection.message('bob', 'one more'), { code: 'queue_full', retryable: true })
    t.equal(fake.socket.sentOf('message').length, 64)
    for (let n = 0; n < 100; n++) {
      fake.socket.receive({ type: 'reply', ref: fake.socket.sentOf('message')[n]?.ref, ok: true, result: n, cursor: `c${n}` })
    }
    t.same(
      await Promise.all(results),
      Array.from({ length: 100 }, (_, n) => n),
    )
    t.same(
      fake.socket.sentOf('message').map(({ data }) => data),
      Array.from({ length: 100 }, (_, n) => n),
      'in order',
    )
  })

  t.test('a server that finds it too fast gets frames at a pace', async (t) => {
    const bench = await opened({ sendTimeoutMs: 1e6 })
    const { connection, fake } = bench
    for (let n = 0; n < 300; n++) connection.message('bob', n).catch(() => undefined)
    const sent = () => fake.socket.sentOf('message').length
    const run = async (seconds: number) => {
      for (let tick = 0; tick < seconds * 4; tick++) {
        await fake.advance(250)
        for (const { ref } of fake.socket.sentOf('message')) fake.socket.receive({ type: 'reply', ref, ok: true, cursor: 'c1' })
      }
    }
    for (const perSecond of [64, 32]) {
      fake.socket.end(4129)
      await fake.advance(waitMs(bench))
      fake.socket.receive(HELLO)
      const first = sent()
      t.ok(first <= perSecond / 2, `${first} at once`)
      await run(2)
      t.ok(Math.abs(sent() - first - 2 * perSecond) <= 2, `${sent()} after 2 s at ${perSecond}`)
    }
    await run(10)
    t.same(new Set(fake.socket.sentOf('message').map(({ data }) => data)).has(299), true, 'all of them in the end')
    await connection.close()
    t.equal(fake.timers, 0)
  })

  t.test('what has no JSON form, or comes after the end, is refused', async (t) => {
    const bench = await opened()
    const circle: Record<string, unknown> = {}
    circle.self = circle
    await t.rejects(bench.connection.message('bob', circle), { code: 'malformed' })
    const open = bench.connection.message('bob', 1)
    const closing = bench.connection.close()
    await t.rejects(open, { code: 'client', retryable: false })
    await closing
    await t.rejects(bench.connection.message('bob', 1), { code: 'client' })
  })

  t.test('a frame too large for a WebSocket is rejected, the others go again', async (t) => {
    const bench = await opened()
    const small = bench.connection.message('bob', 'small')
    const large = bench.connection.message('bob', 'x'.repeat(1000))
    bench.fake.socket.end(1009)
    await t.rejects(large, { code: 'too_large', retryable: false })
    await bench.fake.advance(600)
    bench.fake.socket.receive(HELLO)
    const again = bench.fake.socket.sentOf('message')
    t.same(
      again.map(({ data }) => data),
      ['small'],
    )
    bench.fake.socket.receive({ type: 'reply', ref: again[0]?.ref, ok: true, cursor: 'c1' })
    await small
  })

  t.test('one POST at a time; what comes meanwhile goes together', async (t) => {
    const bench = await openedSse()
    const { fake, connection } = bench
    const before = fake.count('/send')
    const results = [1, 2, 3].map((n) => connection.message('bob', n))
    await fake.settle()
    t.equal(fake.count('/send'), before + 1)
    const answer = () => {
      const post = fake.request('/send')
      post.answer(200, { frames: post.frames.map(({ ref, data }) => ({ type: 'reply', ref, ok: true, result: data })) })
      return post.frames.map(({ data }) => data)
    }
    t.same(answer(), [1])
    await fake.settle()
    t.same(answer(), [2, 3])
    t.same(await Promise.all(results), [1, 2, 3])
    t.same(fake.request('/send').headers, { 'content-type': 'application/json' }, 'the session id is all it takes')
  })

  t.test('a POST that fails is repeated, one that is told to wait waits, and a dead network ends the link', async (t) => {
    const bench = await openedSse()
    const { fake, connection } = bench
    const result = connection.message('bob', 1)
    await fake.settle()
    const { body } = fake.request('/send')
    fake.request('/send').fail()
    await fake.advance(1000)
    t.equal(fake.request('/send').body, body)
    const before = fake.count('/send')
    fake.request('/send').problem(429, 'rate_limited', { 'retry-after': '3' })
    await fake.advance(2999)
    t.equal(fake.count('/send'), before)
    await fake.advance(1)
    t.equal(fake.count('/send'), before + 1)
    const { frames } = fake.request('/send')
    fake.request('/send').answer(200, { frames: [{ type: 'reply', ref: frames[0]?.ref, ok: true, result: 'done' }] })
    t.equal(await result, 'done')
    connection.message('bob', 2).catch(() => undefined)
    for (let failure = 0; failure < 4; failure++) {
      await fake.settle()
      t.equal(connection.state.kind, 'open')
      fake.request('/send').fail()
      await fake.settle()
      if (failure < 3) await fake.advance(4000)
    }
    t.equal(codeOf(bench), 'waiting network')
    t.equal(fake.request('/sse').state, 'aborted')
  })

  t.test('a POST that hangs is given up', async (t) => {
    const bench = await openedSse()
    bench.connection.message('bob', 1).catch(() => undefined)
    await bench.fake.advance(20_000)
    t.equal(bench.fake.request('/send').state, 'aborted')
  })

  t.test('the frame that the server cannot take is found among those sent with it', async (t) => {
    const bench = await openedSse()
    const { fake, connection } = bench
    const first = connection.message('bob', 0)
    const results = Promise.allSettled([1, 2, 3].map((n) => connection.message('bob', n)))
    const ok = () => {
      const post = fake.request('/send')
      post.answer(200, { frames: post.frames.map(({ ref, data }) => ({ type: 'reply', ref, ok: true, result: data })) })
      return fake.settle()
    }
    await fake.settle()
    await ok()
    t.equal(await first, 0)
    fake.request('/send').problem(413, 'too_large')
    await fake.settle()
    await ok()
    fake.request('/send').problem(413, 'too_large')
    await fake.settle()
    await ok()
    t.match(await results, [{ value: 1 }, { reason: { code: 'too_large' } }, { value: 3 }])
    t.equal(connection.state.kind, 'open')
  })
})

t.test('tokens', async (t) => {
  const now = new FakeSurroundings().now
  const jwt = (expMs: number, name = 'x') =>
    `h.${Buffer.from(JSON.stringify({ exp: expMs / 1000, name: `${name}ÿ?>` })).toString('base64url')}.s`

  t.test('a new one is sent in band before the old one expires', async (t) => {
    const tokens = [jwt(now + 600_000, 'one'), jwt(now + 1_200_000, 'two'), jwt(now + 1_800_000, 'three')]
    let calls = 0
    const bench = await start({ token: () => tokens[calls++] ?? '' })
    t.equal(bench.fake.socket.url.searchParams.get('token'), tokens[0])
    bench.fake.socket.receive({ ...HELLO, pingSeconds: 1000 })
    await bench.fake.advance(539_000)
    t.equal(bench.fake.socket.sentOf('auth').length, 0)
    await bench.fake.advance(1000)
    t.match(bench.fake.socket.sentOf('auth'), [{ token: tokens[1] }])
    bench.fake.socket.receive({ type: 'reply', ref: bench.fake.socket.sentOf('auth')[0]?.ref, ok: true, cursor: 'c1' })
    bench.fake.socket.receive({ type: 'reply', ref: 'alive', ok: true, cursor: 'c2' })
    await bench.fake.settle()
    bench.fake.socket.end()
    await bench.fake.advance(600)
    t.equal(bench.fake.socket.url.searchParams.get('token'), tokens[1], 'it is still good')
    t.equal(calls, 2)
    t.equal(bench.connection.state.kind, 'connecting')
  })

  t.test('a renewal that fails is an error and is tried again', async (t) => {
    let calls = 0
    const bench = await start({
      token: async () => {
        calls += 1
        if (calls === 2) throw new Error('no backend')
        return jwt(now + calls * 100_000)
      },
    })
    bench.fake.socket.receive({ ...HELLO, pingSeconds: 1000 })
    await bench.fake.advance(80_000)
    t.match(bench.errors, [{ code: 'token', cause: { message: 'no backend' } }])
    await bench.fake.advance(10_000)
    t.equal(bench.fake.socket.sentOf('auth').length, 1)
    bench.fake.socket.receive({
      type: 'reply',
      ref: bench.fake.socket.sentOf('auth')[0]?.ref,
      ok: false,
      error: { code: 'forbidden', message: 'another user' },
      cursor: 'c1',
    })
    await bench.fake.settle()
    t.match(bench.errors.at(-1), { code: 'forbidden' })
    await bench.fake.advance(10_000)
    t.equal(bench.fake.socket.sentOf('auth').length, 2)
    t.equal(bench.connection.state.kind, 'open')
  })

  t.test('a refused token is replaced at once, then with delays, then it is over', async (t) => {
    let calls = 0
    const bench = await start({
      token: async () => {
        calls += 1
        return `token${calls}`
      },
    })
    bench.fake.socket.end(4001)
    t.equal(waitMs(bench), 0)
    await bench.fake.advance(0)
    t.equal(bench.fake.socket.url.searchParams.get('token'), 'token2')
    bench.fake.socket.end(4101)
    t.ok(waitMs(bench) > 0)
    await bench.fake.advance(waitMs(bench))
    bench.fake.socket.end(4001)
    await bench.fake.advance(waitMs(bench))
    t.equal(bench.fake.socket.url.searchParams.get('token'), 'token4')
    bench.fake.socket.end(4001)
    t.equal(codeOf(bench), 'closed unauthorized')
  })

  t.test('an expired token of its own word leads to a new one', async (t) => {
    let calls = 0
    const bench = await start({ transports: ['poll'], token: () => `token${++calls}` })
    bench.fake.request('/poll').problem(401, 'token_expired')
    await bench.fake.advance(0)
    t.equal(bench.fake.request('/poll').headers.authorization, 'Bearer token2')
  })

  t.test('a token that cannot be renewed ends it when refused', async (t) => {
    const bench = await start({ token: 'fixed' })
    bench.fake.socket.end(4101, 'expired')
    t.same(bench.connection.state, { kind: 'closed', reason: { code: 'token_expired', reason: 'expired' } })
  })

  t.test('a token function that fails is an error and is asked again; one that hangs is not waited for', async (t) => {
    let calls = 0
    const bench = await start({
      token: () => {
        calls += 1
        if (calls === 1) throw new Error('no login')
        return new Promise(() => undefined)
      },
    })
    t.match(bench.errors, [{ code: 'token', cause: { message: 'no login' }, retryable: true }])
    t.equal(codeOf(bench), 'waiting token')
    await bench.fake.advance(300)
    t.equal(bench.connection.state.kind, 'connecting')
    await bench.fake.advance(10_000)
    t.equal(codeOf(bench), 'waiting network')
    t.equal(bench.fake.sockets.length, 0)
  })
})

t.test('ends', async (t) => {
  t.test('every WebSocket close code means what the table says', async (t) => {
    const table: [number, string, 'at once' | 'later' | 'closed'][] = [
      [4000, 'malformed', 'closed'],
      [4001, 'unauthorized', 'closed'],
      [4101, 'token_expired', 'closed'],
      [4003, 'forbidden', 'closed'],
      [4004, 'unknown_session', 'at once'],
      [4009, 'replaced', 'closed'],
      [4010, 'closed', 'closed'],
      [1011, 'internal', 'later'],
      [1009, 'too_large', 'later'],
      [4129, 'rate_limited', 'later'],
      [4208, 'slow_consumer', 'at once'],
      [1012, 'draining', 'later'],
      [1013, 'overloaded', 'later'],
      [1000, 'network', 'later'],
      [1001, 'draining', 'later'],
      [1006, 'network', 'later'],
      [4777, 'network', 'later'],
    ]
    for (const [code, word, what] of table) {
      const bench = await opened()
      bench.fake.socket.receive(message(1))
      bench.fake.socket.end(code)
      t.equal(codeOf(bench), `${what === 'closed' ? 'closed' : 'waiting'} ${word}`, `${code}`)
      if (what === 'closed') {
        t.equal(bench.fake.timers, 0, 'no timer is left')
        t.equal(bench.fake.wakers, 0, 'nothing is listened to')
        await t.rejects(bench.connection.message('bob', 1), { code: word })
        continue
      }
      t.equal(waitMs(bench) === 0, what === 'at once', `${code} ${what}`)
      await bench.fake.advance(waitMs(bench))
      t.equal(bench.fake.socket.url.searchParams.get('cursor'), 'c1', `${code} keeps the cursor`)
    }
  })

  t.test('every problem over HTTP too, on both transports', async (t) => {
    const table: [number, string, string][] = [
      [400, 'malformed', 'closed malformed'],
      [401, 'unauthorized', 'closed unauthorized'],
      [403, 'forbidden', 'closed forbidden'],
      [404, 'unknown_session', 'waiting unknown_session'],
      [404, 'not_found', 'waiting not_found'],
      [409, 'replaced', 'closed replaced'],
      [410, 'closed', 'closed closed'],
      [429, 'rate_limited', 'waiting rate_limited'],
      [500, 'internal', 'waiting internal'],
      [503, 'draining', 'waiting draining'],
    ]
    for (const transport of ['sse', 'poll'] as const) {
      for (const [status, code, expected] of table) {
        const bench = await start({ transports: [transport], cursor: 'c1' })
        bench.fake.request(`/${transport}`).problem(status, code)
        await bench.fake.settle()
        t.equal(codeOf(bench), expected, `${transport} ${status} ${code}`)
        if (expected.startsWith('closed')) continue
        await bench.fake.advance(waitMs(bench))
        t.equal(bench.fake.request(`/${transport}`).query('cursor'), 'c1', 'the cursor is kept')
      }
      const bench = await start({ transports: [transport] })
      bench.fake.request(`/${transport}`).answer(403, '<html>', { 'content-type': 'text/html' })
      await bench.fake.settle()
      t.equal(codeOf(bench), 'waiting network', 'what a proxy says ends nothing for good')
    }
  })

  t.test('when the session is gone a new one is opened, and presence said again', async (t) => {
    const bench = await opened()
    bench.connection.presence('dnd', 'busy').catch(() => undefined)
    const { ref } = bench.fake.socket.sentOf('presence')[0] ?? {}
    bench.fake.socket.receive({ type: 'reply', ref, ok: true, cursor: 'c1' })
    bench.fake.socket.end(4004)
    await bench.fake.advance(0)
    bench.fake.socket.receive({ ...HELLO, recovered: true, cursor: 'c1' })
    t.same(bench.fake.socket.sentOf('presence'), [], 'not for the same session')
    bench.fake.socket.end(4004)
    await bench.fake.advance(1000)
    bench.fake.socket.receive({ ...HELLO, session: 's2', recovered: true, cursor: 'c1' })
    t.same(bench.fake.socket.sentOf('presence'), [{ type: 'presence', status: 'dnd', note: 'busy' }])
  })

  t.test('a silent WebSocket is asked, and left when it does not answer', async (t) => {
    const bench = await opened()
    const pings = () => bench.fake.socket.sentOf('ping').length
    bench.fake.socket.receive(message(1))
    await bench.fake.advance(49_000)
    t.equal(pings(), 0)
    await bench.fake.advance(1000)
    t.equal(pings(), 1)
    bench.fake.socket.receive({ type: 'reply', ref: 'alive', ok: true, cursor: 'c2' })
    await bench.fake.advance(49_000)
    t.equal(pings(), 1)
    await bench.fake.advance(1000)
    t.equal(pings(), 2)
    const { socket } = bench.fake
    await bench.fake.advance(9999)
    t.equal(bench.connection.state.kind, 'open')
    await bench.fake.advance(1)
    t.equal(codeOf(bench), 'waiting network')
    t.equal(socket.closedWith, 4999, 'the session is not ended by it')
  })

  t.test('when the network may have changed a WebSocket is asked at once', async (t) => {
    const bench = await opened()
    bench.fake.wake()
    t.equal(bench.fake.socket.sentOf('ping').length, 1)
    await bench.fake.advance(10_000)
    t.equal(codeOf(bench), 'waiting network')
  })

  t.test('a silent stream is left; comments keep it', async (t) => {
    const bench = await openedSse()
    const stream = bench.fake.request('/sse')
    stream.push(':\n')
    await bench.fake.advance(49_000)
    stream.push(':\n')
    await bench.fake.advance(49_000)
    t.equal(bench.connection.state.kind, 'open')
    await bench.fake.advance(1000)
    t.equal(codeOf(bench), 'waiting network')
    t.equal(stream.state, 'aborted')
  })

  t.test('close() acknowledges and ends the session: by its code, or by DELETE', async (t) => {
    const overSocket = await opened()
    overSocket.fake.socket.receive(message(1))
    await overSocket.connection.close()
    t.equal(overSocket.fake.socket.closedWith, 1000)
    t.match(overSocket.fake.socket.sent.at(-1), { type: 'ack', cursor: 'c1' })
    t.equal(overSocket.fake.requests.length, 0)
    overSocket.fake.socket.end(1000)
    t.equal(codeOf(overSocket), 'closed client')
    t.equal(overSocket.fake.timers, 0)

    for (const open of [openedSse, openedPoll]) {
      const bench = await open({ device: 'd', token: 'secret' })
      const held = bench.fake.requests.find(({ state, path }) => state === 'held' && path !== '/send')
      const done = bench.connection.close()
      await bench.connection.close()
      const bye = bench.fake.request('/poll')
      t.match(bye, { method: 'DELETE', keepalive: true, headers: { authorization: 'Bearer secret' } })
      t.same(Object.fromEntries(bye.url.searchParams), { user: 'alice', device: 'd', cursor: 'c0' })
      t.equal(held?.state, 'aborted')
      bye.answer(204, '')
      await done
      t.equal(bench.fake.timers, 0)
    }

    const waiting = await opened()
    waiting.fake.socket.end()
    const done = waiting.connection.close()
    t.equal(waiting.fake.request('/poll').method, 'DELETE', 'while it waits too')
    await waiting.fake.settle()
    waiting.fake.request('/poll').fail()
    await done
    t.equal(waiting.fake.timers, 0)

    const early = connect({ url: 'http://push.test', environment: new FakeSurroundings().environment })
    await early.close()
    t.equal(early.state.kind, 'closed')
  })
})

t.test('polling', async (t) => {
  t.test('the first answer comes at once, the next polls are held', async (t) => {
    const bench = await openedPoll({ pollWaitSeconds: 40, device: 'd' })
    const { fake } = bench
    t.equal(fake.requests[0]?.query('wait'), '0')
    t.equal(fake.requests[0]?.query('cursor'), null)
    t.same(Object.fromEntries(fake.request('/poll').url.searchParams), { user: 'alice', device: 'd', cursor: 'c0', wait: '40' })
    fake.request('/poll').answer(200, { cursor: 'c2', frames: [message(1), message(2)] })
    await fake.settle()
    t.equal(fake.request('/poll').query('cursor'), 'c2')
    t.same(
      bench.got.map(({ id }) => id),
      ['m1', 'm2'],
    )
    fake.request('/poll').fail()
    await fake.advance(300)
    t.same([fake.request('/poll').query('cursor'), fake.request('/poll').query('wait')], ['c2', '0'], 'a lost answer is asked for again')
    fake.request('/poll').answer(200, { cursor: 'c2', frames: [] })
    await fake.settle()
    t.equal(bench.connection.state.kind, 'open', 'an empty answer opens a known session')
  })

  t.test('an answer that does not come is given up', async (t) => {
    const bench = await openedPoll()
    await bench.fake.advance(25_000 + 15_000 - 6000)
    t.equal(codeOf(bench), 'waiting network')
  })

  t.test('empty answers that come at once do not make it run hot', async (t) => {
    const bench = await openedPoll()
    bench.fake.request('/poll').answer(200, { cursor: 'c0', frames: [] })
    await bench.fake.settle()
    for (let n = 0; n < 10; n++) {
      if (bench.fake.request('/poll').state === 'held') bench.fake.request('/poll').answer(200, { cursor: 'c0', frames: [] })
      await bench.fake.settle()
    }
    t.equal(bench.fake.count('/poll'), 3)
    await bench.fake.advance(600)
    t.equal(bench.fake.count('/poll'), 4)
  })

  t.test('a draining server is left after its answer', async (t) => {
    const bench = await openedPoll()
    bench.fake.request('/poll').answer(200, { cursor: 'c2', frames: [message(1), { type: 'drain', retryAfterMs: 3000, cursor: 'c2' }] })
    await bench.fake.settle()
    t.equal(codeOf(bench), 'waiting draining')
    t.equal(waitMs(bench), 3250)
    await bench.fake.advance(3250)
    t.equal(bench.fake.request('/poll').query('cursor'), 'c2')
  })

  t.test('sending does not wait for the held poll', async (t) => {
    const bench = await openedPoll()
    const result = bench.connection.message('bob', 1)
    await bench.fake.settle()
    t.equal(bench.fake.request('/poll').state, 'held')
    const post = bench.fake.request('/send')
    post.answer(200, { frames: [{ type: 'reply', ref: post.frames[0]?.ref, ok: true, result: 7 }] })
    t.equal(await result, 7)
  })

  t.test('resumed by a stored cursor without a hello, frames go with polls', async (t) => {
    const bench = await start({ transports: ['poll'], cursor: 'c7' })
    const { fake } = bench
    fake.request('/poll').answer(200, { cursor: 'c7', frames: [] })
    await fake.settle()
    t.equal(bench.connection.state.kind, 'open')
    const held = fake.request('/poll')
    const result = bench.connection.message('bob', 1)
    await fake.settle()
    t.equal(held.state, 'aborted')
    const post = fake.request('/poll')
    t.equal(post.method, 'POST')
    t.equal(post.query('wait'), '0')
    const ref = post.frames[0]?.ref
    post.answer(200, { cursor: 'c8', frames: [{ type: 'reply', ref, ok: true, result: 'ok', cursor: 'c8' }] })
    t.equal(await result, 'ok')
    await fake.settle()
    t.match(fake.request('/poll'), { method: 'GET', body: undefined })
    t.equal(fake.count('/send'), 0)
  })

  t.test('the classic long-poll asks for its connection to be closed', async (t) => {
    const bench = await openedPoll({ pollConnection: 'close' })
    t.equal(bench.fake.request('/poll').query('mode'), 'close')
  })
})
