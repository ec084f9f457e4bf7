// Whatever bytes come: each parser answers in one of its documented ways, in short time, and what it takes goes round.
// SEED=… repeats a run, FUZZ_INPUTS=… makes it longer.

import t, { type Test } from 'tap'
import { EnvelopeReader } from '../../gateway/envelope.js'
import { Outbound, type ServerFrame } from '../../gateway/outbound.js'
import { decodeFrame, type Parsed } from '../../proto/client-frame.js'
import { type Cursor, formatCursor, parseCursor, userTag } from '../../proto/cursor.js'
import { v1 } from '../../proto/messages.js'
import { readFrames } from '../../transports/body.js'
import { jsonHead, jsonTail, parseFrame } from '../../transports/dialects/json.js'
import { protobufFrame } from '../../transports/dialects/protobuf.js'
import { Random } from '../support/random.js'
import { fromProtobuf, type JsonFrame, toProtobuf } from '../support/wire-client.js'

const INPUTS = Number(process.env.FUZZ_INPUTS ?? 100_000)
const ROUND_TRIPS = 5000
/** No input of a few hundred bytes may take longer; garbage collection of a busy machine may. */
const SLOW_MS = 1000
const seed = Number(process.env.SEED ?? Date.now() % 1_000_000_007)
t.comment(`seed ${seed}`)

// ---- random things -------------------------------------------------------------------------------------------------

const TEXTS = [
  '',
  'a',
  'alice',
  '用户1',
  '🙂',
  '"',
  '\\',
  '\n',
  '\u0000',
  '\u2028',
  ' ',
  '%',
  '*',
  'x'.repeat(128),
  'x'.repeat(300),
  '\ud800',
]

/** Only what can be said in both dialects; `limit` in characters. */
function text(random: Random, limit = 40): string {
  let made = ''
  while (made.length < limit && random.chance(0.7)) made += random.pick(TEXTS.filter((one) => one.isWellFormed() && one.length < 10))
  return made
}

function json(random: Random, depth = 0): unknown {
  switch (random.int(depth > 3 ? 5 : 7)) {
    case 0:
      return null
    case 1:
      return random.chance(0.5)
    case 2:
      return random.pick([0, 1, -1, 1.5, 1e21, 2 ** 53, -1e-7])
    case 3:
    case 4:
      return text(random)
    case 5:
      return Array.from({ length: random.int(4) }, () => json(random, depth + 1))
    default:
      return Object.fromEntries(Array.from({ length: random.int(4) }, () => [text(random), json(random, depth + 1)]))
  }
}

function name(random: Random): string {
  return random.pick(['alice', 'bob@example.com', '用户1', 'x'.repeat(256), 'a b'])
}

/** A frame a client may send: the same in both dialects, so without empty texts and zeros, which protobuf has no way to say. */
function clientFrame(random: Random): JsonFrame {
  const maybe = (field: string, value: unknown) => (random.chance(0.5) ? { [field]: value } : {})
  const ref = maybe('ref', random.pick(['1', 'r', 'x'.repeat(128), 'ü']))
  const target = random.chance(0.5) ? { to: name(random) } : { topic: random.pick(['news', 'a.b', '話題']) }
  const extra = { ...maybe('id', random.pick(['1', 'x'.repeat(128)])), ...maybe('ttlSeconds', 1 + random.int(1e6)) }
  const roster = { ...maybe('name', 'Bob'), ...maybe('groups', ['a', 'b']) }
  const frames: readonly JsonFrame[] = [
    { type: 'message', ...target, ...extra, ephemeral: random.chance(0.5), data: json(random) },
    { type: 'ack', cursor: formatCursor(cursor(random)) },
    { type: 'presence', status: random.pick(['online', 'away', 'dnd', 'offline']), ...maybe('note', 'busy') },
    { type: 'roster', op: random.pick(['set', 'remove', 'subscribe', 'approve', 'deny']), user: name(random), ...roster },
    { type: 'roster', op: 'get' },
    { type: random.pick(['subscribe', 'unsubscribe']), topic: 'news' },
    { type: 'history', ...maybe(random.pick(['cursor', 'before']), formatCursor(cursor(random))), ...maybe('limit', 1 + random.int(1e4)) },
    { type: 'auth', token: 'a.b.c' },
    { type: 'ping' },
  ]
  return { ...random.pick(frames), ...ref }
}

function cursor(random: Random): Cursor {
  const word = (length: number) => random.bytes(12).toString('base64url').slice(0, length)
  const at = { node: word(8), session: random.int(1e6).toString(36), frame: random.int(2 ** 31) }
  return {
    userTag: userTag(name(random)),
    epoch: word(1 + random.int(16)),
    inbox: random.int(2 ** 31) * random.int(2 ** 20),
    at: random.chance(0.7) ? at : undefined,
  }
}

function serverFrame(random: Random): ServerFrame {
  const frames: readonly ServerFrame[] = [
    {
      hello: {
        session: 'n.1.s',
        user: name(random),
        device: text(random),
        recovered: random.chance(0.5),
        pingSeconds: 25,
        resumeSeconds: 60,
      },
    },
    { message: message(random) },
    { presence: { user: name(random), status: 'away', note: text(random) } },
    { roster: { op: 'set', user: name(random), name: text(random), groups: [text(random), 'g'], subscription: 'both', ask: text(random) } },
    { reply: { ref: text(random), ok: true, result: bytesOf(json(random)) } },
    { reply: { ref: text(random), ok: random.chance(0.5) } },
    { reply: { ref: text(random), ok: false, error: { code: 'malformed', message: text(random) } } },
    { gap: { reason: 'evicted' } },
    { drain: { retryAfterMs: 1 + random.int(1e5) } },
    { close: { code: 'closed', reason: text(random), retryAfterMs: random.int(3) } },
  ]
  return random.pick(frames)
}

function message(random: Random): v1.Message.$Properties {
  return {
    id: text(random),
    from: text(random),
    topic: text(random),
    time: 1.7e12 + random.int(1e9),
    data: bytesOf(json(random)),
    ephemeral: random.chance(0.5),
  }
}

function bytesOf(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value))
}

// ---- mutation ------------------------------------------------------------------------------------------------------

const SPLICES = [
  '"',
  '{',
  '}',
  '[',
  ']',
  ',',
  ':',
  '\\',
  '\u0000',
  'null',
  '1e999',
  '\n',
  '.',
  '-',
  '🙂',
  '\\ud800',
  '"type"',
  '"ref":"x"',
  '__proto__',
].map((one) => Buffer.from(one))

/** One to four changes: bits, bytes, cuts, repetitions, and things that parsers look for. */
function mutate(random: Random, input: Buffer, others: readonly Buffer[]): Buffer {
  let bytes = Buffer.from(input)
  for (let changes = 1 + random.int(4); changes > 0; changes--) {
    const at = random.int(bytes.length + 1)
    const to = Math.min(bytes.length, at + random.int(12))
    switch (random.int(7)) {
      case 0:
        if (at < bytes.length) bytes[at] = (bytes[at] ?? 0) ^ (1 << random.int(8))
        break
      case 1:
        if (at < bytes.length) bytes[at] = random.int(256)
        break
      case 2:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(to)])
        break
      case 3:
        bytes = Buffer.concat([bytes.subarray(0, to), bytes.subarray(at)])
        break
      case 4:
        bytes = Buffer.concat([bytes.subarray(0, at), random.pick(SPLICES), bytes.subarray(random.chance(0.5) ? at : to)])
        break
      case 5:
        bytes = bytes.subarray(0, at)
        break
      default: {
        const other = random.pick(others)
        bytes = Buffer.concat([bytes.subarray(0, at), other.subarray(random.int(other.length + 1))])
      }
    }
  }
  return bytes
}

interface Fuzz {
  /** Good inputs to begin with. */
  valid(random: Random): Buffer
  /** Throws, or says what is wrong; undefined: as documented. */
  check(input: Buffer): string | undefined
}

function fuzz(t: Test, { valid, check }: Fuzz): void {
  const random = new Random(seed)
  const corpus = Array.from({ length: 500 }, () => valid(random))
  for (const input of corpus) {
    const wrong = outcome(() => check(input))
    if (wrong === undefined) continue
    t.fail(`valid input: ${wrong}`, { seed, base64: input.toString('base64') })
    return
  }
  let slowestMs = 0
  for (let n = 0; n < INPUTS; n++) {
    const input = n % 10 === 0 ? random.bytes(random.int(100)) : mutate(random, random.pick(corpus), corpus)
    const startedAt = performance.now()
    const wrong = outcome(() => check(input))
    const tookMs = performance.now() - startedAt
    slowestMs = Math.max(slowestMs, tookMs)
    if (wrong === undefined) continue
    t.fail(wrong, { seed, n, base64: input.toString('base64'), text: input.toString('latin1') })
    return
  }
  t.ok(slowestMs < SLOW_MS, `${INPUTS} inputs, the slowest took ${slowestMs.toFixed(1)} ms (seed ${seed})`)
}

function outcome(check: () => string | undefined): string | undefined {
  try {
    return check()
  } catch (error) {
    return `not a documented end: ${error instanceof Error ? error.stack : error}`
  }
}

/** What is wrong with what a parser of client frames gave. */
function wrongWith(parsed: Parsed): string | undefined {
  if ('problem' in parsed) {
    if (parsed.problem === '' || typeof parsed.ref !== 'string' || Buffer.byteLength(parsed.ref) > 128)
      return `problem ${JSON.stringify(parsed)}`
    return undefined
  }
  const bytes = v1.ClientFrame.encode(parsed.frame).finish()
  const again = decodeFrame(bytes)
  if ('problem' in again) return `taken, but not again: ${again.problem}`
  if (Buffer.compare(bytes, v1.ClientFrame.encode(again.frame).finish()) !== 0) return 'another frame after a round trip'
  return undefined
}

// ---- the parsers ---------------------------------------------------------------------------------------------------

t.test('frames as JSON', async (t) => {
  fuzz(t, {
    valid: (random) => bytesOf(clientFrame(random)),
    check(input) {
      try {
        return wrongWith(parseFrame(input.toString('utf8')))
      } catch (error) {
        if (error instanceof SyntaxError) return undefined
        throw error
      }
    },
  })
})

t.test('frames as protobuf', async (t) => {
  fuzz(t, {
    valid: (random) => Buffer.from(toProtobuf(clientFrame(random))),
    check(input) {
      let parsed: Parsed
      try {
        parsed = decodeFrame(input)
      } catch (error) {
        // Of a bug of ours it would be another TypeError.
        const ofBytes = !(error instanceof TypeError) || (error as NodeJS.ErrnoException).code === 'ERR_ENCODING_INVALID_ENCODED_DATA'
        return error instanceof Error && ofBytes ? undefined : `threw ${error}`
      }
      return wrongWith(parsed)
    },
  })
})

t.test('cursors', async (t) => {
  fuzz(t, {
    valid: (random) => Buffer.from(formatCursor(cursor(random))),
    check(input) {
      const parsed = parseCursor(input.toString('utf8'))
      if (parsed === undefined) return undefined
      const text = formatCursor(parsed)
      if (text.length > 128 || !/^[\w.-]+$/.test(text)) return `made into ${text}`
      return JSON.stringify(parseCursor(text)) === JSON.stringify(parsed) ? undefined : 'another cursor after a round trip'
    },
  })
})

t.test('bodies of polls and of /send', async (t) => {
  const limitBytes = 200
  fuzz(t, {
    valid: (random) => bytesOf(random.chance(0.3) ? clientFrame(random) : Array.from({ length: random.int(4) }, () => clientFrame(random))),
    check(input) {
      const frames = readFrames(input, limitBytes)
      if (frames === undefined) return undefined
      for (const parsed of frames) {
        const wrong = wrongWith(parsed)
        if (wrong !== undefined) return wrong
      }
      return undefined
    },
  })
})

t.test('envelopes of the bus', async (t) => {
  fuzz(t, {
    valid(random) {
      const { id = '', from = '', topic = '', time = 0, data = null } = message(random)
      const common = { id, from, topic, time, expires: random.int(2) * 2e12, collapseKey: text(random), onlySession: text(random) }
      const bodies: readonly v1.Envelope.$Properties[] = [
        { data: data ?? bytesOf(null) },
        { data: Buffer.from(JSON.stringify(json(random), undefined, '\r\n ')) },
        { presence: { user: 'bob', status: 'away', note: text(random) } },
        { roster: { op: 'set', user: 'bob', groups: [text(random)] } },
        { control: { close: { code: 'closed', reason: text(random) } } },
      ]
      return Buffer.from(v1.Envelope.encode({ ...common, ...random.pick(bodies) }).finish())
    },
    check(input) {
      const reader = new EnvelopeReader()
      for (const incoming of [reader.durable(input), reader.ephemeral(input)]) {
        // What is for XMPP clients only is never written as JSON or protobuf.
        if (incoming.kind !== 'frame' || incoming.outbound.isForXmppOnly) continue
        const head = jsonHead(incoming.outbound)
        if (head.includes(0x0a) || head.includes(0x0d)) return 'a line break in an event'
        const line = Buffer.concat([head, Buffer.from(jsonTail('c'))])
        const frame = JSON.parse(strict.decode(line)) as { type?: unknown; cursor?: unknown }
        if (typeof frame.type !== 'string' || frame.cursor !== 'c') return 'no frame'
        const { type } = fromProtobuf(protobufFrame(incoming.outbound, 'c'))
        if (type !== frame.type) return `as protobuf it is ${type}`
      }
      return undefined
    },
  })
})

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

// ---- dialects ------------------------------------------------------------------------------------------------------

t.test('a frame says the same in both dialects', async (t) => {
  const random = new Random(seed)
  for (let n = 0; n < ROUND_TRIPS; n++) {
    const frame = serverFrame(random)
    const outbound = new Outbound(frame)
    const cursorText = formatCursor(cursor(random))
    const asJson = JSON.parse(jsonHead(outbound).toString() + jsonTail(cursorText))
    const asProtobuf = fromProtobuf(protobufFrame(outbound, cursorText))
    if (!same(present(asJson), present(asProtobuf))) {
      t.strictSame(asProtobuf, asJson, `server frame ${n}, seed ${seed}`)
      return
    }
  }
  for (let n = 0; n < ROUND_TRIPS; n++) {
    const frame = clientFrame(random)
    const asJson = parseFrame(JSON.stringify(frame))
    const asProtobuf = decodeFrame(toProtobuf(frame))
    if ('problem' in asJson || 'problem' in asProtobuf || !same(encoded(asJson.frame), encoded(asProtobuf.frame))) {
      t.strictSame(asProtobuf, asJson, `client frame ${n}, seed ${seed}`)
      return
    }
  }
  t.pass(`${ROUND_TRIPS} frames each way (seed ${seed})`)
})

t.test('what is not UTF-8, or no JSON, reaches nobody', async (t) => {
  const reader = new EnvelopeReader()
  for (const data of [[0x22, 0xff, 0x22], [0x22, 0xc3, 0x28, 0x22], [0xef, 0xbb, 0xbf, 0x31], [0x22, 0xed, 0xa0, 0x80, 0x22], [], [0x7b]])
    t.equal(
      reader.durable(v1.Envelope.encode({ id: 'x', data: Buffer.from(data) }).finish()).kind,
      'invalid',
      Buffer.from(data).toString('hex'),
    )
})

t.test('a result of any depth and with line breaks is passed on', async (t) => {
  const deep = `{"messages":[${'['.repeat(50_000)}\r\n${']'.repeat(50_000)}]}`
  const line = jsonHead(new Outbound({ reply: { ref: 'r', ok: true, result: Buffer.from(deep) } })).toString() + jsonTail('c')
  t.ok(!/[\r\n]/.test(line), 'on one line')
  t.match(JSON.parse(line), { type: 'reply', ref: 'r', ok: true, cursor: 'c' })
})

/** Without what says nothing: protobuf does not tell an absent text from an empty one, nor zero and false. */
function present(frame: object): object {
  return Object.fromEntries(
    Object.entries(frame)
      .map(([key, value]) => [key, key === 'error' && value ? present(value) : value] as const)
      .filter(
        ([key, value]) => key === 'data' || key === 'result' || (value !== undefined && value !== '' && value !== 0 && value !== false),
      )
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  )
}

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}

function encoded(frame: v1.ClientFrame.$Properties): string {
  return Buffer.from(v1.ClientFrame.encode(frame).finish()).toString('base64')
}
