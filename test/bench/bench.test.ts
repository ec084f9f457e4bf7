// The benchmark's own parts: wires on split input, exact counting, options; and the load generator against a small fake server.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { WebSocketServer } from 'ws'
import { Crowd } from '../../bench/crowd.js'
import { parseOptions } from '../../bench/options.js'
import { wireTarget } from '../../bench/orders.js'
import { payloadText, scanPayloads } from '../../bench/payload.js'
import { seededRandom } from '../../bench/random.js'
import { Tally } from '../../bench/tally.js'
import type { Wire, WireHost, WireOptions } from '../../bench/wire.js'
import { PollWire } from '../../bench/wire-poll.js'
import { SseWire } from '../../bench/wire-sse.js'
import { WebSocketWire } from '../../bench/wire-websocket.js'

const SILENT = { update: () => undefined, say: () => undefined }
const HELLO = '{"type":"hello","session":"s","cursor":"c.0"}'
const message = (k: number, size = 64) =>
  `{"type":"message","id":"m${k}","time":1,"data":${payloadText(k, 1000 + k, size)},"cursor":"c.${k}"}`

class Recorder implements WireHost {
  readonly sent: Buffer[] = []
  readonly numbers: number[] = []
  readonly ends: string[] = []
  hellos = 0

  send(bytes: Buffer): void {
    this.sent.push(Buffer.from(bytes))
  }

  opened(): void {
    this.hellos++
  }

  frames(bytes: Buffer): void {
    scanPayloads(bytes, (k, intendedUs) => {
      this.numbers.push(k)
      if (intendedUs !== 1000 + k) this.ends.push(`message ${k} carries ${intendedUs}`)
    })
  }

  reconnect(): void {
    this.ends.push('wanted another connection')
  }

  ended(why: string): void {
    this.ends.push(why)
  }
}

/** Gives `stream` in pieces of every size, always through the same memory, as a socket does. */
function feed(make: (host: WireHost) => Wire, stream: Buffer, step: number): Recorder {
  const recorder = new Recorder()
  const wire = make(recorder)
  wire.start()
  const memory = Buffer.alloc(stream.length)
  for (let at = 0; at < stream.length; at += step) {
    const piece = stream.subarray(at, at + step)
    memory.fill(0)
    piece.copy(memory)
    wire.receive(memory.subarray(0, piece.length))
  }
  return recorder
}

function serverFrame(text: string, opcode = 1): Buffer {
  const payload = Buffer.from(text)
  const head = payload.length < 126 ? Buffer.from([0x80 | opcode, payload.length]) : Buffer.from([0x80 | opcode, 126, 0, 0])
  if (payload.length >= 126) head.writeUInt16BE(payload.length, 2)
  return Buffer.concat([head, payload])
}

const chunk = (text: string) => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`
const event = (text: string) => `id: c\nevent: message\ndata: ${text}\n\n`
const options: WireOptions = { user: 'bench-1', ackEvery: 2, waitSeconds: 30, settings: {} }

t.test('a wire reads the same whatever the pieces are', async (t) => {
  const upgraded = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n'
  const websocket = Buffer.concat([
    Buffer.from(upgraded),
    serverFrame(HELLO),
    serverFrame(message(1)),
    serverFrame('ping!', 9),
    serverFrame(message(2, 400)),
    serverFrame(message(3)),
  ])
  const sseHead = 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n'
  const sse = Buffer.from(
    `${sseHead}${chunk(event(HELLO))}${chunk(`: ping\n\n${event(message(1))}${event(message(2, 400)).slice(0, 50)}`)}${chunk(
      event(message(2, 400)).slice(50),
    )}${chunk(event(message(3)))}`,
  )
  const answer = (body: string) => `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`
  const poll = Buffer.from(
    answer(`{"cursor":"c.0","frames":[${HELLO}]}`) +
      answer(`{"cursor":"c.2","frames":[${message(1)},${message(2, 400)}]}`) +
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n' +
      chunk(`{"cursor":"c.3","frames":[${message(3)}`) +
      chunk(']}') +
      chunk(''),
  )
  const cases = [
    { name: 'websocket', make: (host: WireHost) => new WebSocketWire(host, options), stream: websocket },
    { name: 'sse', make: (host: WireHost) => new SseWire(host, options), stream: sse },
    { name: 'poll', make: (host: WireHost) => new PollWire(host, options), stream: poll },
  ]
  for (const { name, make, stream } of cases) {
    const wrong: number[] = []
    for (let step = 1; step <= stream.length; step++) {
      const { numbers, hellos, ends } = feed(make, stream, step)
      if (numbers.join() !== '1,2,3' || hellos !== 1 || ends.length > 0) wrong.push(step)
    }
    t.strictSame(wrong, [], `${name}: pieces of every size`)
  }

  const { sent } = feed((host) => new PollWire(host, options), poll, 7)
  t.match(
    sent.map((one) => one.toString().split(' ')[1]),
    [
      '/poll?user=bench-1',
      '/poll?user=bench-1&cursor=c.0&wait=30',
      '/poll?user=bench-1&cursor=c.2&wait=30',
      '/poll?user=bench-1&cursor=c.3&wait=30',
    ],
    'each poll gives back the cursor of the answer before',
  )
  const spoken = feed((host) => new WebSocketWire(host, options), websocket, 11)
    .sent.slice(1)
    .map((one) => one.toString('latin1'))
  t.ok(
    spoken.some((one) => one.endsWith('ping!')),
    'a ping is answered',
  )
  t.ok(
    spoken.some((one) => one.endsWith('{"type":"ack","cursor":"c.1"}')),
    'the second frame is acknowledged',
  )
})

t.test('a refusal is an end', async (t) => {
  const refusal = Buffer.from('HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\n{}')
  for (const make of [WebSocketWire, SseWire, PollWire]) {
    // Whatever comes after the first end is for nobody.
    t.equal(feed((host) => new make(host, options), refusal, 5).ends[0], 'HTTP 503', make.name)
  }
  const closed = Buffer.concat([Buffer.from('HTTP/1.1 101 x\r\n\r\n'), Buffer.from([0x88, 2, 0x0f, 0xa9])])
  t.strictSame(feed((host) => new WebSocketWire(host, options), closed, 3).ends, ['close 4009'])
})

t.test('the tally counts what is missing and what came twice', async (t) => {
  const tally = new Tally(2)
  for (const k of [1, 2, 5, 5, 4, 6]) tally.take(0, k, 100)
  tally.take(1, 1, 2000)
  t.strictSame(tally.counts, { received: 7, missing: 2, repeated: 2 })
  t.equal(tally.latency.count, 5, 'what came twice has no latency')
  t.ok(tally.latency.max >= 2000)
  tally.resetLatency()
  t.equal(tally.latency.count, 0)
  t.equal(tally.counts.received, 7)
})

t.test('random numbers are the same for the same seed, and even', async (t) => {
  const [a, b, other] = [seededRandom(7), seededRandom(7), seededRandom(8)]
  const numbers = Array.from({ length: 10_000 }, a)
  t.strictSame(numbers, Array.from({ length: 10_000 }, b))
  t.not(numbers[0], other())
  const mean = numbers.reduce((sum, one) => sum + one, 0) / numbers.length
  t.ok(Math.abs(mean - 0.5) < 0.02, `mean ${mean}`)
})

t.test('options', async (t) => {
  t.match(parseOptions(['idle', '--engine', 'node,uws']), {
    engines: ['node', 'uws'],
    transports: ['websocket', 'sse', 'poll'],
    sessions: 10_000,
  })
  t.match(parseOptions(['unicast', '--rate', '100', '--ephemeral']), {
    transports: ['websocket'],
    sessions: 5000,
    rate: 100,
    ephemeral: true,
  })
  for (const bad of [
    [],
    ['other'],
    ['idle', '--sessions', '0'],
    ['idle', '--engine', 'bun'],
    ['unicast', '--topology', 'serve'],
    ['idle', '--nonsense'],
  ]) {
    t.throws(() => parseOptions(bad), `refused: ${bad.join(' ')}`)
  }
})

/** Speaks the three transports as far as the generator needs them; `push` sends a text to everybody on a stream. */
async function fakeServer(t: Test) {
  const streams: ((text: string) => void)[] = []
  const users: string[] = []
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    const url = new URL(request.url ?? '/', 'http://fake')
    users.push(url.searchParams.get('user') ?? '')
    if (url.pathname === '/sse') {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write(event(HELLO))
      streams.push((text) => response.write(event(text)))
    } else if (url.searchParams.has('cursor')) streams.push((text) => response.end(`{"cursor":"c.1","frames":[${text}]}`))
    else response.end(`{"cursor":"c.0","frames":[${HELLO}]}`)
  })
  new WebSocketServer({ server }).on('connection', (socket) => {
    socket.send(HELLO)
    streams.push((text) => socket.send(text))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  // Polls that were answered are not there any more; a push to one is one too many.
  return { port: (server.address() as AddressInfo).port, users, take: () => streams.splice(0), streams }
}

t.test('the generator opens its sessions, counts what they get, and ends', async (t) => {
  const root = join(import.meta.dirname, '..', '..')
  for (const transport of ['websocket', 'sse', 'poll'] as const) {
    const server = await fakeServer(t)
    const wire = wireTarget(transport, server.port)
    const crowd = await Crowd.open({ root, wire, users: 40, firstUser: 0, ackEvery: 16 }, SILENT)
    const all = new Promise<void>((resolve) => {
      crowd.onReceived = (received) => received === 40 && resolve()
    })
    crowd.watch()
    await crowd.reset()
    // A poll is held only after its first answer.
    while (server.streams.length < 40) await new Promise((resolve) => setImmediate(resolve))
    for (const push of server.take()) push(message(1))
    await all
    const { counts, open, lost, latency } = await crowd.figures()
    t.strictSame({ counts, open, lost }, { counts: { received: 40, missing: 0, repeated: 0 }, open: 40, lost: {} }, transport)
    t.equal(latency.count, 40)
    crowd.close()
  }
})

t.test('sessions that can not be opened are an error that says why', async (t) => {
  const server = createServer((_, response) => response.writeHead(503).end('{}'))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  const root = join(import.meta.dirname, '..', '..')
  await t.rejects(Crowd.open({ root, wire: wireTarget('sse', port), users: 3, firstUser: 0, ackEvery: 16 }, SILENT), /3 did not.*HTTP 503/)
})
