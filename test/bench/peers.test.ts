// Other servers in the lab: their wires on split input, their sinks against servers that are none, the recipes that need nothing but
// npm's packages and nats-server, and what the rows come to. The others run with HOLDWIRE_TEST_PEERS=1 where they are installed.

import { createServer, type Server } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { NotInstalled } from '../../bench/contestant.js'
import type { Contender, Recipe } from '../../bench/lab/contender.js'
import { bareUws, bareWs, socketio } from '../../bench/lab/peers/bare.js'
import { comparisonNotes } from '../../bench/lab/peers/comparison-notes.js'
import { measurePeersBy } from '../../bench/lab/peers/peers.js'
import type { PeersPlan } from '../../bench/lab/peers/plan.js'
import { RECIPES } from '../../bench/lab/peers/recipes.js'
import { Places } from '../../bench/lab/places.js'
import type { LabFigures, LabRow, LabScenario, LabTransport } from '../../bench/lab/result.js'
import { Rig } from '../../bench/lab/rig.js'
import { connectSink } from '../../bench/lab/sink.js'
import { userName } from '../../bench/orders.js'
import { payloadText, scanPayloads } from '../../bench/payload.js'
import { findProgram } from '../../bench/processes.js'
import type { WireHost } from '../../bench/wire.js'
import { wireOf } from '../../bench/wires.js'

// Processes start slowly where many do.
t.setTimeout(240_000)

const root = join(import.meta.dirname, '..', '..')
const SILENT = { update: () => undefined, say: () => undefined }
const data = (k: number, size = 64) => payloadText(k, 1000 + k, size)

class Recorder implements WireHost {
  readonly sent: string[] = []
  readonly numbers: number[] = []
  readonly ends: string[] = []
  opens = 0
  reconnects = 0

  send(bytes: Buffer): void {
    this.sent.push(bytes.toString('latin1'))
  }

  opened(): void {
    this.opens++
  }

  frames(bytes: Buffer): void {
    scanPayloads(bytes, (k) => this.numbers.push(k))
  }

  reconnect(): void {
    this.reconnects++
  }

  ended(why: string): void {
    this.ends.push(why)
  }
}

/** What a wire makes of a stream in pieces of this size, which all come through the same memory. */
function heard(kind: string, settings: Readonly<Record<string, string>>, stream: string | Buffer, step: number): Recorder {
  const recorder = new Recorder()
  const wire = wireOf(kind)(recorder, { user: 'bench-1', ackEvery: 16, waitSeconds: 60, settings })
  wire.start()
  const bytes = Buffer.from(stream)
  const memory = Buffer.alloc(bytes.length)
  for (let at = 0; at < bytes.length; at += step) {
    const piece = bytes.subarray(at, at + step)
    memory.fill(0)
    piece.copy(memory)
    wire.receive(memory.subarray(0, piece.length))
  }
  return recorder
}

function frames(...texts: string[]): Buffer {
  const parts = texts.flatMap((text) => {
    const payload = Buffer.from(text)
    const head = payload.length < 126 ? Buffer.from([0x81, payload.length]) : Buffer.from([0x81, 126, 0, 0])
    if (payload.length >= 126) head.writeUInt16BE(payload.length, 2)
    return [head, payload]
  })
  return Buffer.concat([Buffer.from('HTTP/1.1 101 Switching Protocols\r\n\r\n'), ...parts])
}

const answer = (body: string, head = '', status = '200 OK') =>
  `HTTP/1.1 ${status}\r\n${head}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
const chunk = (text: string) => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`

t.test('a wire hears the same whatever the pieces are', async (t) => {
  const push = (k: number) => `{"push":{"channel":"user:bench-1","pub":{"data":${data(k)}}}}`
  const position = (time: string) => `Last-Modified: ${time}\r\nEtag: 0\r\n`
  const streams: Readonly<Record<string, readonly [Readonly<Record<string, string>>, string | Buffer]>> = {
    'plain-websocket': [{ target: '/?channel={channel}', greeting: 'on' }, frames('{"type":"hello"}', data(1, 200), data(2))],
    centrifugo: [{ secret: 's' }, frames('{"id":1,"connect":{"client":"c"}}', '{}', push(1), `${push(2)}`)],
    socketio: [{}, frames('0{"sid":"s"}', '40{"sid":"t"}', '42["hello"]', '2', `42["message",${data(1)}]`, `42["message",${data(2)}]`)],
    'event-stream': [
      { target: '/sse?id={channel}' },
      `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunk(': hi\n\n')}${chunk(`id: 1\ndata: ${data(1)}\n\nid: 2\nda`)}${chunk(`ta: ${data(2)}\n\n`)}`,
    ],
    'nchan-poll': [
      { target: '/poll?id={channel}' },
      `${answer(data(1), position('a'))}${answer('', '', '408 Request Timeout')}${answer(data(2), position('b'))}`,
    ],
    'socketio-poll': [
      {},
      `${answer('0{"sid":"s1"}')}${answer('ok')}${answer('40{"sid":"t"}')}${answer(`42["hello"]\x1e2\x1e42["message",${data(1)}]`)}${answer('ok')}${answer(`42["message",${data(2)}]`)}`,
    ],
  }
  for (const [kind, [settings, stream]] of Object.entries(streams)) {
    const whole = heard(kind, settings, stream, 1_000_000)
    t.strictSame(whole.numbers, [1, 2], `${kind}: what came`)
    t.equal(whole.opens, 1, `${kind}: opened once`)
    t.strictSame(whole.ends, [], `${kind}: not ended`)
    for (const step of [1, 2, 3, 7, 64]) {
      const { numbers, sent, opens } = heard(kind, settings, stream, step)
      t.strictSame([numbers, sent, opens], [whole.numbers, whole.sent, 1], `${kind}: in pieces of ${step}`)
    }
  }
})

t.test('a wire says what its server wants to hear', async (t) => {
  const centrifugo = heard('centrifugo', { secret: 's' }, frames('{"id":1,"connect":{"client":"c"}}', '{}'), 9)
  const [, connect = '', pong = ''] = centrifugo.sent
  const claims = /"token":"[^.]+\.([^.]+)\./.exec(connect)?.[1] ?? ''
  t.strictSame(JSON.parse(Buffer.from(claims, 'base64url').toString()), { sub: 'bench-1', channels: ['user:bench-1'] })
  t.match(pong, /\{\}$/, 'a ping is answered')
  t.match(heard('centrifugo', { secret: 's' }, frames('{"id":1,"error":{"code":109}}'), 9).ends, [/not connected/])

  const polls = heard(
    'nchan-poll',
    { target: '/poll?id={channel}', connection: 'close' },
    answer(data(1), 'Last-Modified: now\r\nEtag: 3\r\n'),
    5,
  )
  t.equal(polls.reconnects, 1, 'another connection for the next poll')
  t.match(polls.sent, [/^GET \/poll\?id=user%3Abench-1 HTTP\/1\.1\r\nHost: [^\r]+\r\nConnection: close\r\n\r\n$/])
  const kept = heard('nchan-poll', { target: '/poll?id={channel}' }, answer(data(1), 'Last-Modified: now\r\nEtag: 3\r\n'), 5)
  t.match(kept.sent[1], /If-Modified-Since: now\r\nIf-None-Match: 3\r\n/)
  const cycles = heard('nchan-poll', { target: '/poll?id=cycle', wait: '0' }, answer('{}', 'Last-Modified: now\r\nEtag: 3\r\n'), 5)
  t.notMatch(cycles.sent[1], /If-Modified-Since/, 'the oldest one again')
  t.match(heard('nchan-poll', { target: '/' }, answer('', '', '404 Not Found'), 5).ends, ['HTTP 404'])

  const poll = heard('socketio-poll', {}, `${answer('0{"sid":"s1"}')}${answer('ok')}${answer('2')}`, 4)
  t.match(poll.sent, [
    /^GET .*transport=polling HTTP/,
    /^POST .*&sid=s1 .*\r\n\r\n40\{"channel":"user:bench-1"\}$/s,
    /^GET .*&sid=s1/,
    /\r\n\r\n3$/,
  ])
  t.match(heard('socketio', { topic: 'x' }, frames('0{"sid":"s"}'), 9).sent[1], /40\{"channel":"topic:x"\}$/)
  t.match(heard('socketio', {}, frames('44{"message":"no"}'), 9).ends, [/ended by the server/])
  t.match(heard('event-stream', { target: '/' }, answer('', '', '503 No'), 9).ends, ['HTTP 503'])
})

t.test('what XMPP servers quote is read', async (t) => {
  const login = [
    'PLAIN',
    '<success/>',
    "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>",
    '<jid>a</jid>',
    "<iq type='result' id='ready'/>",
  ]
  const bodies = [...login, `<message><body>${data(7).replaceAll('"', '&quot;')}</body></message>`]
  const stream = bodies.map((body) => answer(`<body sid='s'>${body}</body>`)).join('')
  t.strictSame(heard('quoted-bosh', {}, stream, 11).numbers, [7])
})

/** Answers each POST with what `reply` says; keeps what came. */
async function fakeHttp(t: Test, reply: (body: string) => readonly [number, string]) {
  const requests: { readonly url: string; readonly body: string; readonly headers: Readonly<Record<string, unknown>> }[] = []
  const server: Server = createServer((request, response) => {
    const pieces: Buffer[] = []
    request.on('data', (piece: Buffer) => pieces.push(piece))
    request.on('end', () => {
      const body = Buffer.concat(pieces).toString()
      requests.push({ url: request.url ?? '', body, headers: request.headers })
      const [status, text] = reply(body)
      response.writeHead(status).end(text)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return { requests, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

async function publishAll(kind: string, url: string, settings: Readonly<Record<string, string>>, count: number): Promise<boolean[]> {
  const taken: boolean[] = []
  return new Promise((resolve, reject) => {
    const answered = (one: boolean) => {
      if (taken.push(one) === count) resolve(taken)
    }
    connectSink({ kind, url, settings }, answered).then((sink) => {
      for (let k = 1; k <= count; k++) sink.publish({ id: `i${k}`, user: 'ann', topic: k % 2 === 0 ? 'news' : undefined, data: data(k) })
      t.teardown(() => sink.close())
    }, reject)
  })
}

t.test('a sink counts what was taken and what was not', async (t) => {
  const centrifugo = await fakeHttp(t, (body) => {
    const { commands } = JSON.parse(body)
    return [
      200,
      JSON.stringify({ replies: commands.map((_: unknown, i: number) => (i === 1 ? { error: { code: 102 } } : { publish: {} })) }),
    ]
  })
  const taken = await publishAll('centrifugo', centrifugo.url, { key: 'k' }, 8)
  t.ok(taken.includes(false) && taken.includes(true), 'errors are among the replies')
  t.match(centrifugo.requests[0], { url: '/api/batch', headers: { 'x-api-key': 'k' } })
  const channels = centrifugo.requests.flatMap(({ body }) =>
    JSON.parse(body).commands.map((one: { publish: { channel: string } }) => one.publish.channel),
  )
  t.strictSame(channels.filter((one) => one === 'user:ann').length, 4)
  t.strictSame(channels.filter((one) => one === 'topic:news').length, 4)

  const nchan = await fakeHttp(t, (body) => [body.includes('"k":3') ? 500 : 202, ''])
  t.equal((await publishAll('nchan', nchan.url, {}, 4)).filter((one) => !one).length, 1)
  t.strictSame(new Set(nchan.requests.map(({ url }) => url)), new Set(['/pub?id=user%3Aann', '/pub?id=topic%3Anews']))

  const mercure = await fakeHttp(t, () => [200, 'urn:uuid:1'])
  t.strictSame(await publishAll('mercure', mercure.url, { token: 'tok' }, 2), [true, true])
  t.match(mercure.requests[0], { url: '/.well-known/mercure', headers: { authorization: 'Bearer tok' } })
  t.equal(new URLSearchParams(mercure.requests[0]?.body).get('data'), data(1))
})

t.test('a PUSH socket says its frames as ZMTP wants them', async (t) => {
  let input: Buffer = Buffer.alloc(0)
  const server = createTcpServer((socket) => {
    socket.on('error', () => undefined)
    socket.on('data', (bytes) => {
      if (input.length === 0) socket.write(Buffer.from('\x04\x1a\x05READY'))
      input = Buffer.concat([input, bytes])
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const sink = await connectSink(
    { kind: 'pushpin', url: `tcp://127.0.0.1:${(server.address() as AddressInfo).port}`, settings: {} },
    () => undefined,
  )
  const long = data(1, 300)
  sink.publish({ id: 'i', user: 'ann', topic: undefined, data: long })
  await sink.close()
  const escaped = JSON.stringify(long).slice(1, -1)
  while (!input.includes(escaped)) await new Promise((resolve) => setImmediate(resolve))
  const greeting = input.subarray(0, 64)
  t.strictSame([greeting[0], greeting[9], greeting[10], greeting.toString('latin1', 12, 16)], [0xff, 0x7f, 3, 'NULL'])
  const ready = input.subarray(64)
  t.strictSame([ready[0], ready.toString('latin1', 2, 8)], [0x04, '\x05READY'])
  const message = ready.subarray(2 + (ready[1] ?? 0))
  t.equal(message[0], 0x02, 'a long one')
  const length = Number(message.readBigUInt64BE(1))
  const text = message.toString('utf8', 9, 9 + length)
  t.equal(text[0], 'J')
  t.match(JSON.parse(text.slice(1)), { channel: 'user:ann', formats: { 'ws-message': { content: long } } })
})

const SESSIONS = 12

/** Each of its transports: so many messages to a dozen users, and to the subscribers of a topic, all counted. */
async function deliversExactly(t: Test, recipe: Recipe): Promise<void> {
  const users = Array.from({ length: SESSIONS }, (_, index) => userName(index))
  let contender: Contender
  try {
    contender = await recipe.start({ root, users, onStarted: () => undefined })
  } catch (error) {
    if (!(error instanceof NotInstalled)) throw error
    t.pass(`skipped: ${error.message}`)
    return
  }
  const { name, sink, topicSink, processes, wires, cycleSettings } = contender
  t.ok(contender.version.length > 0 && contender.recipe.length > 20, `${name} says what it is`)
  let firstUser = 0
  try {
    for (const [transport, wire] of Object.entries(wires)) {
      const open = async (more: Partial<Parameters<typeof Rig.open>[0]>) => {
        const places = new Places()
        const options = { root, wire, sink, processes, network: { roundTripMs: 0, stalls: 0 }, users: SESSIONS, firstUser, seed: 1 }
        const rig = await Rig.open({ ...options, sizeBytes: 100, concurrency: SESSIONS, places, progress: SILENT, ...more })
        if (contender.accounts !== 'given') firstUser += SESSIONS
        return { rig, close: () => [rig.close(), places.close()] }
      }
      const unicast = await open({})
      const { figures, invalid } = await unicast.rig.latency(200, 0.3)
      unicast.close()
      t.strictSame([figures.delivered, countFaults(invalid)], [60, []], `${name}, ${transport}: to users`)
      if (topicSink !== undefined && transport !== 'keepalive' && transport !== 'longpoll') {
        const broadcast = await open({ sink: topicSink, topic: 'news', wire: { ...wire, settings: { ...wire.settings, topic: 'news' } } })
        const finding = await broadcast.rig.latency(20, 0.3)
        broadcast.close()
        t.strictSame([finding.figures.delivered, countFaults(finding.invalid)], [6 * SESSIONS, []], `${name}, ${transport}: to a topic`)
      }
      if (cycleSettings !== undefined && (transport === 'keepalive' || transport === 'longpoll')) {
        const cycles = await open({ wire: { ...wire, settings: { ...wire.settings, ...cycleSettings } } })
        const finding = await cycles.rig.cycles(0.3)
        cycles.close()
        t.ok((finding.figures.delivered ?? 0) > SESSIONS, `${name}, ${transport}: cycles`)
      }
    }
    await contender.collectGarbage?.()
  } finally {
    await contender.stop()
  }
  for (const { pid } of processes) t.throws(() => process.kill(pid, 0), { code: 'ESRCH' }, `${name}: process ${pid} has ended`)
}

function countFaults(invalid: readonly string[]): string[] {
  // A busy machine is late, which is none of the recipe's faults.
  return invalid.filter((one) => /messages|sessions/.test(one))
}

const noNats = findProgram('nats-server') === undefined ? 'there is no nats-server' : false
const OURS = [bareUws, bareWs, socketio]

for (const recipe of OURS) {
  t.test(`${recipe.name} delivers exactly what was published`, { skip: noNats }, (t) => deliversExactly(t, recipe))
}

const notAsked = process.env.HOLDWIRE_TEST_PEERS === '1' ? false : 'only with HOLDWIRE_TEST_PEERS=1'
for (const recipe of RECIPES.filter((one) => !OURS.includes(one))) {
  t.test(`${recipe.name} delivers exactly what was published`, { skip: notAsked }, (t) => deliversExactly(t, recipe))
}

const MINIATURE: PeersPlan = {
  engines: [],
  recipes: [],
  transports: ['websocket'],
  rounds: 2,
  sessions: SESSIONS,
  sizeBytes: 100,
  seconds: 0.2,
  rate: 100,
  halfOfMaximum: false,
  window: 50,
  broadcast: { transports: [], subscribers: SESSIONS, rate: 20 },
  cycles: [],
  ephemeral: [],
  idle: undefined,
}
const OPTIONS = { root, mode: 'quick', seed: 1, rounds: 1, progress: SILENT } as const

t.test('servers take turns, and one that is missing is skipped with the reason', { skip: noNats }, async (t) => {
  const places = new Places()
  t.teardown(() => places.close())
  const absent: Recipe = { name: 'absent', start: () => Promise.reject(new NotInstalled('there is no absent; apt-get install absent')) }
  const broken: Recipe = { name: 'broken', start: () => Promise.reject(new Error('port in use')) }
  const recipes = [absent, bareWs, broken, bareUws]
  const { servers, skipped, rows } = await measurePeersBy(
    { ...MINIATURE, recipes },
    { ...OPTIONS, budgetSeconds: 60, places, signal: new AbortController().signal },
  )
  t.match(skipped.slice(0, 2), [
    { name: 'absent', reason: 'there is no absent; apt-get install absent' },
    { name: 'broken', reason: 'did not start: port in use' },
  ])
  const running = servers.map(({ name }) => name).sort()
  t.strictSame(running, skipped.some(({ name }) => name === 'bare-uws') ? ['bare-ws'] : ['bare-uws', 'bare-ws'])
  const turns = rows.filter(({ scenario }) => scenario === 'maximum').map(({ server, round }) => `${server} ${round}`)
  const inTurn = [1, 2].flatMap((round) =>
    ['bare-ws', 'bare-uws'].filter((name) => running.includes(name)).map((name) => `${name} ${round}`),
  )
  t.strictSame(turns, inTurn)
  for (const { scenario, figures, invalid } of rows) {
    t.ok((figures.delivered ?? 0) > 0, scenario)
    t.strictSame(countFaults(invalid), [])
  }
})

t.test('what there is no time for is a row that does not count', { skip: noNats }, async (t) => {
  const places = new Places()
  t.teardown(() => places.close())
  const idle = { transports: ['websocket'], sessions: SESSIONS, seconds: 1, settleMs: 1, share: 0.4 } as const
  const { rows } = await measurePeersBy(
    { ...MINIATURE, recipes: [bareWs], rounds: 1, idle, broadcast: { ...MINIATURE.broadcast, transports: ['websocket'] } },
    { ...OPTIONS, budgetSeconds: 0, places, signal: new AbortController().signal },
  )
  t.strictSame(
    rows.map(({ scenario, invalid }) => [scenario, ...invalid]),
    ['idle', 'latency', 'maximum', 'broadcast'].map((scenario) => [scenario, 'there was no time left for it']),
  )
})

function row(server: string, scenario: LabScenario, transport: LabTransport, figures: LabFigures, more: Partial<LabRow> = {}): LabRow {
  return {
    part: 'peers',
    ...{ scenario, server, engine: server.startsWith('holdwire') ? 'uws' : undefined, bus: undefined, transport },
    ...{ network: { roundTripMs: 0, stalls: 0 }, round: 1, sessions: 1, rate: undefined, sizeBytes: 1, subscribers: undefined },
    ...{ knownUsers: undefined, figures, invalid: [], ...more },
  }
}

t.test('ratios come first, then aims, from medians of the rounds that count', async (t) => {
  const core = (perCoreSecond: number, nats = 0) => ({
    perCoreSecond,
    cpuUsByProcess: { it: 1e6 / perCoreSecond - nats, 'nats-server': nats },
  })
  const p99 = (us: number) => ({ latencyUs: { count: 1, p50: 1, p90: 1, p99: us, p999: us, max: us, cdf: [] } })
  const notes = comparisonNotes([
    row('holdwire', 'maximum', 'websocket', core(10_000, 50)),
    row('holdwire', 'maximum', 'websocket', core(30_000), { round: 2 }),
    row('holdwire', 'maximum', 'websocket', core(1), { round: 3, invalid: ['the generator was the bottleneck'] }),
    row('holdwire-ephemeral', 'maximum', 'websocket', core(50_000)),
    row('centrifugo', 'maximum', 'websocket', core(10_000)),
    row('bare-ws', 'maximum', 'websocket', core(80_000)),
    row('holdwire', 'idle', 'websocket', { pssBytesPerSession: 6000 }),
    row('bare-uws', 'idle', 'websocket', { pssBytesPerSession: 4000 }),
    row('socketio', 'idle', 'websocket', { pssBytesPerSession: 11_000 }),
    row('holdwire', 'latency', 'bosh', p99(1)),
    row('holdwire', 'latency', 'bosh', p99(3000)),
    row('ejabberd', 'latency', 'bosh', p99(1)),
    row('ejabberd', 'latency', 'bosh', p99(2000)),
    row('nchan', 'cycles', 'longpoll', core(1000)),
  ])
  t.equal(
    notes[0],
    "websocket, messages for a second of one core: holdwire uws 20,000: 2.0 × centrifugo's (10,000), 0.25 × bare-ws's (80,000).",
  )
  t.ok(notes.findLastIndex((one) => !one.startsWith('Aim')) < notes.findIndex((one) => one.startsWith('Aim')))
  const noteOf = (start: string, end: string) => notes.find((one) => one.startsWith(start) && one.includes(end))
  t.match(noteOf('Aim reached (holdwire uws)', 'at least 2 times'), 'centrifugo 2.0 ×')
  t.match(noteOf('Aim missed (holdwire uws)', 'at least 0.5 times'), 'bare-ws 0.25 ×')
  t.match(noteOf('Aim reached (holdwire-ephemeral uws)', 'at least 0.5 times'), 'bare-ws 0.63 ×')
  t.match(noteOf('Aim reached (holdwire uws)', 'within 2 KB'), '6.0 kB against 4.0 kB')
  t.match(noteOf('Aim missed (holdwire uws)', 'at most half of the leanest'), 'socketio 0.55 ×')
  t.match(noteOf('Aim missed (holdwire uws)', 'p99 at half'), '3.00 ms against 2.00 ms')
  t.match(noteOf('Aim not measured (holdwire uws)', 'cycles for a second of one core, longpoll'), 'no row of Holdwire counts')
  t.match(noteOf('Aim not measured (holdwire node)', 'within 2 KB'), 'no row of Holdwire counts')
  t.match(noteOf('bosh, p99', ''), "holdwire uws 3.00 ms: 1.5 × ejabberd's (2.00 ms).")
})
