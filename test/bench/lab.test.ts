// The transport lab: its wires on split input, the delaying network, its own self-test, and a miniature of it against a real server.

import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { constants, createDeflateRaw } from 'node:zlib'
import t from 'tap'
import { compareBy } from '../../bench/lab/compare.js'
import { parseLabOptions } from '../../bench/lab/lab-options.js'
import type { PartOptions } from '../../bench/lab/part.js'
import { Places } from '../../bench/lab/places.js'
import { DelayLine } from '../../bench/lab/proxy/delay-line.js'
import type { LabRow } from '../../bench/lab/result.js'
import { bendsOf, scaleBy } from '../../bench/lab/scale.js'
import { selfTest } from '../../bench/lab/self-test.js'
import { payloadText, scanPayloads } from '../../bench/payload.js'
import { seededRandom } from '../../bench/random.js'
import type { Wire, WireHost } from '../../bench/wire.js'
import { wireOf } from '../../bench/wires.js'
import { v1 } from '../../proto/messages.js'

// Processes start slowly where many do.
t.setTimeout(240_000)

const root = join(import.meta.dirname, '..', '..')
const SILENT = { update: () => undefined, say: () => undefined }
const data = (k: number, size = 64) => payloadText(k, 1000 + k, size)

class Recorder implements WireHost {
  readonly sent: string[] = []
  readonly numbers: number[] = []
  readonly ends: string[] = []
  /** What was sent when a connection had been asked for anew. */
  readonly reconnects: number[] = []
  opens = 0
  onSend: (text: string) => void = () => undefined

  send(bytes: Buffer): void {
    const text = bytes.toString('latin1')
    this.sent.push(text)
    this.onSend(text)
  }

  opened(): void {
    this.opens++
  }

  frames(bytes: Buffer): void {
    scanPayloads(bytes, (k) => this.numbers.push(k))
  }

  reconnect(): void {
    this.reconnects.push(this.sent.length)
  }

  ended(why: string): void {
    this.ends.push(why)
  }
}

function frame(payload: Buffer, first = 0x81): Buffer {
  const head = payload.length < 126 ? Buffer.from([first, payload.length]) : Buffer.from([first, 126, 0, 0])
  if (payload.length >= 126) head.writeUInt16BE(payload.length, 2)
  return Buffer.concat([head, payload])
}

/** Gives each answer in pieces of `step` bytes through the same memory, as a socket does, as soon as its request was sent. */
function converse(kind: string, answers: readonly Buffer[], step: number): { readonly recorder: Recorder; readonly wire: Wire } {
  const recorder = new Recorder()
  const wire = wireOf(kind)(recorder, { user: 'bench-1', ackEvery: 2, waitSeconds: 30, settings: {} })
  wire.start()
  for (const answer of answers) {
    const memory = Buffer.alloc(answer.length)
    for (let at = 0; at < answer.length; at += step) {
      const piece = answer.subarray(at, at + step)
      memory.fill(0)
      piece.copy(memory)
      wire.receive(memory.subarray(0, piece.length))
    }
  }
  return { recorder, wire }
}

/** As `ws` does it: one stream for all messages, flushed after each, the end of each flush left away. */
async function deflatedAll(texts: readonly string[]): Promise<Buffer[]> {
  const deflate = createDeflateRaw()
  const out: Buffer[] = []
  let parts: Buffer[] = []
  deflate.on('data', (part: Buffer) => parts.push(part))
  for (const text of texts) {
    parts = []
    deflate.write(text)
    await new Promise<void>((resolve) => deflate.flush(constants.Z_SYNC_FLUSH, resolve))
    out.push(Buffer.concat(parts).subarray(0, -4))
  }
  return out
}

const http = (body: string) => Buffer.from(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`)
const stanza = (k: number) =>
  `<message xmlns='jabber:client' type='chat'><body>${data(k)}</body><json xmlns='urn:xmpp:json:0'>${data(k)}</json></message>`

t.test('a wire reads the same whatever the pieces are', async (t) => {
  const upgraded = (more = '') => Buffer.from(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n${more}\r\n`)
  const json = (k: number) => `{"type":"message","id":"m${k}","data":${data(k, 300)},"cursor":"c.${k}"}`
  const proto = (fields: v1.IServerFrame) => frame(Buffer.from(v1.ServerFrame.encode(fields).finish()), 0x82)
  const deflated = await deflatedAll(['{"type":"hello","cursor":"c.0"}', json(1), json(2), json(3)])
  t.ok((deflated[3]?.length ?? 999) < 60, 'what was said before is referred to')
  const bosh = (content: string) => http(`<body xmlns='http://jabber.org/protocol/httpbind' sid='s1'>${content}</body>`)
  const dialogues: Readonly<Record<string, readonly Buffer[]>> = {
    'websocket-protobuf': [
      upgraded(),
      proto({ hello: { session: 's' }, cursor: 'c.0' }),
      ...[1, 2, 3].map((k) => proto({ message: { id: `m${k}`, data: Buffer.from(data(k, 300)) }, cursor: `c.${k}` })),
    ],
    'websocket-deflate': [upgraded('Sec-WebSocket-Extensions: permessage-deflate\r\n'), ...deflated.map((payload) => frame(payload, 0xc1))],
    longpoll: [
      http('{"cursor":"c.0","frames":[{"type":"hello","cursor":"c.0"}]}'),
      http(`{"cursor":"c.2","frames":[${json(1)},${json(2)}]}`),
      http(`{"cursor":"c.3","frames":[${json(3)}]}`),
    ],
    bosh: [
      bosh('<mechanism>PLAIN</mechanism>'),
      bosh('<success/>'),
      bosh("<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>"),
      bosh('<iq><jid>bench-1@localhost/bench</jid></iq>'),
      bosh("<presence/><iq type='result' id='ready'/>"),
      bosh(stanza(1) + stanza(2)),
      bosh(''),
      bosh(stanza(3)),
    ],
    'xmpp-websocket': [
      upgraded(),
      ...[
        '<open/>',
        '<stream:features><mechanism>PLAIN</mechanism></stream:features>',
        '<success/>',
        '<open/>',
        "<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></stream:features>",
        '<iq><jid>bench-1@localhost/bench</jid></iq>',
        "<enabled xmlns='urn:xmpp:sm:3' id='r1' resume='true'/>",
        "<presence xmlns='jabber:client'/>",
        "<iq type='result' id='ready'/>",
        stanza(1),
        stanza(2),
        "<r xmlns='urn:xmpp:sm:3'/>",
        stanza(3),
      ].map((text) => frame(Buffer.from(text))),
    ],
  }
  for (const [kind, answers] of Object.entries(dialogues)) {
    const wrong: number[] = []
    for (const step of [1, 2, 3, 5, 7, 11, 64, 127, 1000, 100_000]) {
      const { recorder } = converse(kind, answers, step)
      if (recorder.numbers.join() !== '1,2,3' || recorder.opens !== 1 || recorder.ends.length > 0) wrong.push(step)
    }
    t.strictSame(wrong, [], `${kind}: pieces of every size`)
  }

  t.test('and resumes on another connection where it was', async (t) => {
    const again = (kind: string) => {
      const { recorder, wire } = converse(kind, dialogues[kind] ?? [], 100_000)
      const before = recorder.sent.length
      wire.start()
      return { recorder, wire, said: recorder.sent.slice(before).join('') }
    }
    for (const kind of ['websocket-protobuf', 'websocket-deflate', 'longpoll']) t.match(again(kind).said, 'cursor=c.3', kind)
    const bosh = again('bosh')
    t.equal(bosh.said, bosh.recorder.sent.at(-2), 'bosh: the request that was not answered is repeated')
    const xmpp = again('xmpp-websocket')
    for (const answer of (dialogues['xmpp-websocket'] ?? []).slice(0, 6)) xmpp.wire.receive(answer)
    t.match(xmpp.recorder.sent.at(-1), "previd='r1' h='5'", 'presence, answer and three messages were handled')
    t.ok(
      xmpp.recorder.sent.some((one) => one.includes("<a xmlns='urn:xmpp:sm:3' h='4'/>")),
      'and it says so when it is asked',
    )
    t.equal(again('longpoll').recorder.reconnects.length, 3, 'longpoll: a connection for each poll')
  })
})

t.test('a delay line keeps the order, and the distance', async (t) => {
  const far = { roundTripMs: 50, stalls: 0 }
  const line = new DelayLine({ network: far, random: Math.random, notBeforeUs: 50_000 })
  const of = (n: number) => Buffer.from([n])
  t.equal(line.put(of(1), 0), 75_000, 'the handshake took a round trip, the way half of one')
  t.equal(line.put(of(2), 60_000), 85_000)
  t.equal(line.waitingBytes, 2)
  t.equal(line.take(74_999), undefined)
  t.strictSame(line.take(75_000)?.bytes, of(1))
  t.equal(line.take(75_000), undefined)
  t.equal(line.nextUs, 85_000)
  line.put(undefined, 61_000)
  t.strictSame([line.take(90_000)?.bytes, line.take(90_000)?.bytes, line.nextUs], [of(2), undefined, undefined])

  const random = seededRandom(5)
  const stalling = new DelayLine({ network: { roundTripMs: 50, stalls: 0.01 }, random, notBeforeUs: 0 })
  let last = 0
  let late = 0
  for (let i = 0; i < 10_000; i++) {
    const now = i * 1000
    const due = stalling.put(of(0), now)
    if (due < last) t.fail(`chunk ${i} overtook the one before`)
    if (due > now + 25_000) late++
    last = due
  }
  t.ok(stalling.stalled > 60 && stalling.stalled < 140, `1 % of 10,000 are held back: ${stalling.stalled}`)
  t.ok(late > 50 * stalling.stalled, `and those behind them wait: ${late}`)
})

t.test('options of the lab', async (t) => {
  t.match(parseLabOptions(['lab', '--quick', '--parts', 'scale,compare', '--seed', '7']), {
    mode: 'quick',
    parts: ['scale', 'compare'],
    seed: 7,
    rounds: 1,
    out: undefined,
  })
  t.match(parseLabOptions(['lab']), { mode: 'full', parts: ['compare', 'scale', 'peers'] })
  t.strictSame(parseLabOptions(['peers']).parts, ['peers'])
  t.strictSame(parseLabOptions(['self-test']).parts, [])
  for (const bad of [
    ['lab', '--quick', '--full'],
    ['lab', '--parts', 'idle'],
    ['compare', '--parts', 'scale'],
    ['lab', 'more'],
    ['lab', '--rounds', '0'],
    ['lab', '--x'],
  ]) {
    t.throws(() => parseLabOptions(bad), `refused: ${bad.join(' ')}`)
  }
})

t.test('a curve is flat, or it is told where it bends and whose it is', async (t) => {
  const row = (sessions: number, cost: number): LabRow => ({
    ...{ part: 'scale', scenario: 'idle', server: 'holdwire', engine: 'node', bus: 'nats', transport: 'websocket', round: 1 },
    ...{ network: { roundTripMs: 0, stalls: 0 }, sessions, rate: undefined, sizeBytes: 200, subscribers: undefined, knownUsers: undefined },
    figures: { cpuUsPerSessionSecond: cost },
    invalid: [],
  })
  t.match(bendsOf([row(1000, 10), row(5000, 10.5), row(15_000, 9.9)])[0], /10\.00 at 1,000, .*flat, within 7 %/)
  t.match(bendsOf([row(1000, 10), row(5000, 10.5), row(15_000, 20)])[0], /bends up between 5,000 and 15,000/)
  t.match(bendsOf([row(1000, -1), row(5000, 2)])[0], /too little to be told/)
  t.strictSame(bendsOf([row(1000, 10), { ...row(5000, 20), invalid: ['no'] }]), [], 'what does not count bends nothing')
  const broadcast = (subscribers: number, gateway: number, c2s: number): LabRow => ({
    ...row(subscribers, 0),
    scenario: 'broadcast',
    subscribers,
    figures: { cpuUsPerMessage: gateway + c2s, cpuUsByProcess: { gateway, c2s } },
  })
  t.match(bendsOf([broadcast(1, 50, 100), broadcast(100, 45, 10)])[0], /bends down between 1 and 100, mostly in c2s \(−90\.0 µs/)
})

t.test('the generator counts exactly, and sees the delay and the loss that were planted', async (t) => {
  const findings = await selfTest(root, SILENT, () => undefined)
  t.equal(findings.length, 5)
  for (const { name, expected, seen, ok } of findings) t.ok(ok, `${name}: expected ${expected}, seen ${seen}`)
})

t.test('a miniature of the lab', async (t) => {
  const places = new Places()
  t.teardown(() => places.close())
  const options: PartOptions = {
    ...{ root, mode: 'quick', seed: 1, rounds: 1, budgetSeconds: 30, places, progress: SILENT, signal: new AbortController().signal },
  }
  const comparing = compareBy(
    {
      sides: [{ engine: 'node', bus: 'embedded', transports: ['longpoll', 'xmpp-websocket'], rates: [100], whole: false }],
      ...{ sessions: 12, sizeBytes: 200, seconds: 0.3, window: 50, broadcastRate: 10 },
      far: { engine: 'node', bus: 'embedded', networks: [], transports: [], sessions: 0, rate: 0, seconds: 0 },
      idle: { bus: 'embedded', sides: [], sessions: 0, seconds: 0, settleMs: 0 },
    },
    options,
  )
  const scaling = scaleBy(
    {
      engines: ['node'],
      bus: 'embedded',
      idle: { transport: 'websocket', sessions: [10], seconds: 0.2, settleMs: 20, pingSeconds: undefined },
      subscribers: { steps: [{ count: 5, rate: 20 }], seconds: 0.3 },
      known: { counts: [50], sessions: 5, rate: 50, seconds: 0.3 },
    },
    options,
  )
  const [compared, scaled] = await Promise.all([comparing, scaling])
  const shape = (row: LabRow) => `${row.transport} ${row.scenario}`
  t.strictSame(
    compared.rows.map(shape),
    ['longpoll', 'xmpp-websocket'].flatMap((transport) => ['open', 'latency', 'maximum', 'resume'].map((one) => `${transport} ${one}`)),
  )
  t.strictSame(
    scaled.rows.map(shape),
    ['idle', 'latency', 'broadcast'].map((one) => `websocket ${one}`),
  )
  for (const row of [...compared.rows, ...scaled.rows]) {
    // On a busy machine the load may be late, and then says so. What was counted is exact all the same.
    const wrong = row.invalid.filter((why) => !/late|bottleneck|cores busy/.test(why))
    t.strictSame(wrong, [], shape(row))
  }
  const latency = compared.rows.filter(({ scenario }) => scenario === 'latency')
  t.strictSame(
    latency.map(({ figures }) => figures.delivered),
    [30, 30],
  )
  t.equal(scaled.rows.at(-1)?.figures.delivered, 30, '20 a second for 0.3 seconds to 5')
  t.ok(
    compared.rows.every(({ scenario, figures }) => scenario !== 'resume' || figures.resumeMs?.count === 12),
    'all came back',
  )
  t.match(compared.servers[0]?.recipe, /serve, auth: dev, engine node/)
})

t.test('the command says what it can do, and refuses what it can not', async (t) => {
  const main = join(root, 'bench', 'main.js')
  t.match(execFileSync(process.execPath, [main, 'help'], { encoding: 'utf8' }), /holdwire bench lab/)
})
