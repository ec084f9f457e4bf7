// Whatever XMPP clients send over BOSH or a WebSocket: each layer ends it in one of its documented ways, in short time, and
// keeps nothing of it. SEED=… repeats a run, FUZZ_FACTOR=… makes it longer.

import { performance } from 'node:perf_hooks'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { deflateRawSync, gzipSync } from 'node:zlib'
import t from 'tap'
import { DEFAULT_LIMITS } from '../../c2s/limits.js'
import { openServices } from '../../c2s/services.js'
import { Session } from '../../c2s/session.js'
import { v1 } from '../../proto/messages.js'
import { Element } from '../../proto/xml/element.js'
import { CLIENT_NS } from '../../proto/xml/namespaces.js'
import { parseStored, parseXml, XmlError } from '../../proto/xml/parse.js'
import { BoshRig, bodyText, FEATURES, keySequence, message, type TestAsker, type TestStream, ticks } from '../support/bosh-rig.js'
import { World } from '../support/c2s-world.js'
import { Random } from '../support/random.js'
import { equalElements, mutateXml, randomElement } from '../support/xml-mutations.js'
import { escapeXml, ns, parseXml as readXml } from '../support/xml-tree.js'
import { conditionOf } from '../support/xmpp-desk.js'
import { CLOSE, OPEN, type TestSocket, WsRig, type TestStream as WsStream } from '../support/xmpp-ws-rig.js'

const FACTOR = Number(process.env.FUZZ_FACTOR ?? 1)
const COUNTS = { xml: 60_000 * FACTOR, elements: 10_000 * FACTOR, bosh: 60_000 * FACTOR, frames: 30_000 * FACTOR, stanzas: 20_000 * FACTOR }
/** No input may take longer; garbage collection of a busy machine may. */
const SLOW_MS = 3000
// Some 20 s on a quiet machine; FUZZ_FACTOR makes it longer.
t.setTimeout(120_000 * FACTOR)
const seed = Number(process.env.SEED ?? Date.now() % 1_000_000_007)
t.comment(`seed ${seed}`)

const DOCUMENTS = [
  `<body xmlns='http://jabber.org/protocol/httpbind' rid='1' sid='s'><message xmlns='jabber:client' to='bob@localhost'><body>hi &amp; all</body></message></body>`,
  `<body xmlns='http://jabber.org/protocol/httpbind' xmlns:xmpp='urn:xmpp:xbosh' xmpp:restart='true' rid='2' sid='s' xml:lang='en'/>`,
  `<message xmlns='jabber:client' type='chat' id='m'><body xml:lang='de'>ü 🙂</body><x:json xmlns:x='urn:xmpp:json:0'>{"a":1}</x:json></message>`,
  `<?xml version='1.0' encoding='UTF-8'?><iq xmlns='jabber:client' type='get' id='1'><query xmlns='jabber:iq:roster' ver=''/></iq>`,
  `<stream:features xmlns:stream='http://etherx.jabber.org/streams' xmlns='jabber:client'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/><ver/></stream:features>`,
  `<presence xmlns="jabber:client"><show>away</show><status>tea</status><priority>5</priority><c xmlns='caps' p:q='1' xmlns:p='u'/></presence>`,
  `<a xmlns:x='u' xmlns:y='v' x:i='1' y:i='2' i='3'><x:b><y:c xmlns=''><d/></y:c></x:b>t<![CDATA[<&]]>&#x1F642;</a>`,
].map((one) => Buffer.from(one))

/** Of what is reachable after a run; what the engine itself keeps varies by some hundred kilobytes. */
const GROWN_LIMIT_BYTES = 4 * 1024 * 1024

/** How much more is reachable at the end than at some time before. */
class Heap {
  readonly #collect: () => void
  #beforeBytes = 0

  constructor() {
    setFlagsFromString('--expose-gc')
    this.#collect = runInNewContext('gc') as () => void
  }

  begin(): void {
    this.#beforeBytes = this.#usedBytes()
  }

  grownBytes(): number {
    return this.#usedBytes() - this.#beforeBytes
  }

  #usedBytes(): number {
    // What has a finalizer (buffers) goes the second time.
    this.#collect()
    this.#collect()
    const { heapUsed, external, arrayBuffers } = process.memoryUsage()
    return heapUsed + external + arrayBuffers
  }
}

class Stopwatch {
  slowestMs = 0

  time<T>(work: () => T): T {
    const startedAt = performance.now()
    try {
      return work()
    } finally {
      this.slowestMs = Math.max(this.slowestMs, performance.now() - startedAt)
    }
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}

// ---- XML -----------------------------------------------------------------------------------------------------------

/** Undefined: refused with an XmlError. */
function parsed(input: Uint8Array | string): Element | undefined {
  try {
    return parseXml(input)
  } catch (error) {
    if (error instanceof XmlError) return undefined
    throw error
  }
}

/** What is wrong with how an element that was taken is written. */
function wrongWith(element: Element, inputLength: number): string | undefined {
  const text = element.toString()
  // Escaping makes six characters of one at the most; namespaces are written again for each element.
  if (text.length > 6 * inputLength + 100_000) return `${inputLength} characters became ${text.length}`
  const again = parseXml(text)
  if (!equalElements(element, again)) return `another element after a round trip: ${text.slice(0, 500)}`
  const inside = parseStored(new Element(CLIENT_NS, 'x', {}, [element]).toString())
  return inside.elements.length === 1 && inside.elements[0] !== undefined && equalElements(element, inside.elements[0])
    ? undefined
    : `another element inside of one: ${inside}`
}

t.test('XML: refused, or the same after a round trip', async (t) => {
  const random = new Random(seed)
  const watch = new Stopwatch()
  let taken = 0
  for (let n = 0; n < COUNTS.xml; n++) {
    const bytes = n % 20 === 0 ? random.bytes(random.int(100)) : mutateXml(random, random.pick(DOCUMENTS), DOCUMENTS)
    let input: Buffer | string = random.chance(0.7) ? bytes : bytes.toString()
    if (typeof input === 'string' && random.chance(0.3)) {
      const at = random.int(input.length + 1)
      input = input.slice(0, at) + random.pick(['\ud800', '\udfff', '\udc00\ud800', '\uffff']) + input.slice(at)
    }
    let wrong: string | undefined
    try {
      const element = watch.time(() => parsed(input))
      if (element !== undefined) taken++
      wrong = element && wrongWith(element, input.length)
    } catch (error) {
      wrong = describe(error)
    }
    if (wrong === undefined) continue
    t.fail(wrong, { seed, n, input: typeof input === 'string' ? JSON.stringify(input) : input.toString('latin1') })
    return
  }
  t.ok(taken > COUNTS.xml / 20, `${taken} of ${COUNTS.xml} were taken`)
  t.ok(watch.slowestMs < SLOW_MS, `the slowest took ${watch.slowestMs.toFixed(1)} ms (seed ${seed})`)
})

t.test('whatever an element is made of, it is written so that it can be read', async (t) => {
  const random = new Random(seed)
  for (let n = 0; n < COUNTS.elements; n++) {
    const element = randomElement(random)
    try {
      const again = parseXml(element.toString())
      if (again.toString() === parseXml(again.toString()).toString() && again.name === element.name && again.ns === element.ns) continue
      t.fail('another element after a round trip', { seed, n, text: element.toString() })
    } catch (error) {
      t.fail(describe(error), { seed, n, text: JSON.stringify(element.toString()) })
    }
    return
  }
  t.pass(`${COUNTS.elements} elements (seed ${seed})`)
})

t.test('what can not be written again is not taken', async (t) => {
  const u = "xmlns:x='u'"
  const cases: [string, string, string][] = [
    ['a digit behind a prefix', `<x:1 ${u}/>`, 'not-well-formed'],
    ['a combining character there', `<x:\u0301 ${u}/>`, 'not-well-formed'],
    ['the same in an attribute', `<a x:-b='' ${u}/>`, 'not-well-formed'],
    ['behind a prefix that is not declared', "<a xml:1=''/>", 'not-well-formed'],
    ['an element of the reserved prefix', '<xml:a/>', 'not-well-formed'],
    ['half a character, and what comes after it', '<a>\ud800</a>', 'not-well-formed'],
    ['a character of XML 1.1', "<?xml version='1.1'?><a>&#1;</a>", 'restricted'],
    ['attributes that each need a declaration', `<a ${u} ${attributes('x:m', 32)}/>`, 'too-large'],
    [
      'a long namespace for each element',
      `<a xmlns:x='${'u'.repeat(8000)}'>${'<x:b/>'.repeat(1000)}</a>`.replaceAll('b/>', 'b/><c/>'),
      'too-large',
    ],
    ['a long namespace for each attribute', `<a xmlns:x='${'u'.repeat(8000)}'>${"<b x:c='' x:d=''/>".repeat(10)}</a>`, 'too-large'],
  ]
  for (const [name, text, problem] of cases) t.equal(problemOf(text), problem, name)
  for (const text of [`<a ${u} ${attributes('x:m', 31)}/>`, `<a xmlns='u' ${attributes('m', 63)}/>`])
    t.equal(wrongWith(parseXml(text), text.length), undefined, text.slice(0, 40))
  t.equal(
    new Element('', 'a', { b: '\udc00🙂\ud800' }, ['\ud800🙂']).toString(),
    "<a b='\ufffd🙂\ufffd'>\ufffd🙂</a>",
    'halves of characters',
  )
})

function problemOf(text: string): string {
  try {
    return `taken: ${parseXml(text)}`
  } catch (error) {
    return error instanceof XmlError ? error.problem : describe(error)
  }
}

function attributes(name: string, count: number): string {
  return Array.from({ length: count }, (_, i) => `${name}${i}=''`).join(' ')
}

// ---- BOSH ----------------------------------------------------------------------------------------------------------

const RIDS = [
  '0',
  '-1',
  '1',
  '+7',
  ' 5 ',
  '007',
  '1.5',
  '1e3',
  '0x10',
  '',
  'NaN',
  '9007199254740990',
  '9007199254740991',
  '9007199254740992',
]
const VALUES = [
  ...RIDS,
  '18446744073709551616',
  '9'.repeat(400),
  'true',
  'terminate',
  'localhost',
  'LOCALHOST.',
  'example.com',
  'text/html; charset="x"',
  'x'.repeat(4000),
  '\n\t',
  'ü🙂',
  'a\u2028',
]
const NAMES = ['rid', 'sid', 'wait', 'hold', 'ver', 'to', 'from', 'content', 'ack', 'key', 'newkey', 'pause', 'type', 'stream', 'route']
const MORE_NAMES = ['xml:lang', 'xmpp:restart', 'xmpp:version', 'report', 'time', 'requests', 'polling', 'condition']
const PAYLOADS = [
  '',
  message('m'),
  message('m').repeat(5),
  "<presence xmlns='jabber:client'/>",
  "<iq type='get' id='1'/>",
  "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGEAYg==</auth>",
  ' \n',
  'text',
  "<x:y xmlns:x='u' x:z='1'/>",
  '<body/>',
]
const STATUSES = new Map([
  [200, undefined],
  [400, 'bad-request'],
  [403, 'policy-violation'],
  [404, 'item-not-found'],
])
const KEYS = keySequence('fuzz', 400)
/** What a session may have open, by `requests`, and one for a pause or the end. */
const HELD_LIMIT = 256
/** Longer than any session lives that nobody asks for. */
const LIFE_MS = 170_000
/** Requests until all sessions are left to end. */
const ROUND = 600

interface FuzzedClient {
  sid: string
  rid: number
  stream: string
  /** Number of the next key; undefined: none. */
  key: number | undefined
}

/** Clients that say mostly what is allowed, to one server that lives as long as the run. */
class BoshFuzz {
  readonly rig = new BoshRig({ offer: { pollingSeconds: 0 } })
  readonly #random: Random
  #clients: FuzzedClient[] = []
  #held: TestAsker[] = []
  #bodies: Buffer[] = DOCUMENTS.slice(0, 2)
  answered = 0
  outcomes = new Map<string, number>()

  constructor(random: Random) {
    this.#random = random
    this.rig.whenOpened = (stream) => this.#opened(stream)
  }

  /** One request, and at times something else. Throws what is wrong. */
  async step(): Promise<void> {
    const random = this.#random
    const client = this.#clients.length > 0 && random.chance(0.92) ? random.pick(this.#clients) : undefined
    const text = client === undefined ? this.#creation() : this.#request(client)
    let body: Buffer = Buffer.from(text)
    if (random.chance(0.12)) body = mutateXml(random, body, this.#bodies)
    this.#bodies[random.int(20)] = Buffer.from(text)
    this.#bodies = this.#bodies.filter((one) => one !== undefined)
    const asker = this.#post(body)
    if (asker.held || asker.answers[0] === 'drop') return this.#after()
    if (client === undefined) this.#created(asker)
    else if (asker.text.includes('terminate') && random.chance(0.7)) this.#clients = this.#clients.filter((one) => one !== client)
    return this.#after()
  }

  async #after(): Promise<void> {
    const random = this.#random
    if (random.chance(0.1)) this.#elsewise()
    if (random.chance(0.05)) await ticks()
    this.#check()
  }

  /** Nobody asks any more: all sessions end, and nothing is left of them. */
  async end(): Promise<void> {
    const { rig } = this
    // Compression that failed is let go of by the event loop.
    await turn()
    for (let ms = 0; ms < LIFE_MS; ms += 1000) {
      rig.clock.advance(1000)
      rig.endOfTick()
      if (ms % 10_000 === 0) await ticks()
    }
    await ticks()
    this.#check()
    if (this.#held.length > 0) throw new Error(`${this.#held.length} requests were never answered`)
    if (rig.sessions.size > 0) throw new Error(`${rig.sessions.size} sessions are left`)
    if ([...rig.sessions.all].length > 0) throw new Error('sessions are left')
    for (const { ends, session, wire, name } of rig.streams) {
      const isOver = ends.length === 1 || session?.kind === 'closed' || this.#ended.has(wire)
      if (ends.length > 1 || !isOver) throw new Error(`stream ${name} ended so: ${ends}, its session is ${session?.kind}`)
    }
    const { sid } = this.#probe()
    const sessions = Number(/\.(\d+)\./.exec(sid)?.[1])
    if (rig.ended.length !== sessions - this.#sessionsBefore)
      throw new Error(`${rig.ended.length} ends of ${sessions - this.#sessionsBefore} sessions`)
    this.#sessionsBefore = sessions
    this.#clients = []
    this.#ended.clear()
    for (const kept of [rig.streams, rig.closes, rig.refusals, rig.records, rig.ended]) kept.length = 0
  }

  readonly #ended = new Set<unknown>()
  #sessionsBefore = 0

  /** A session that is created and ended as it should be. */
  #probe(): { readonly sid: string } {
    const opened = this.rig.whenOpened
    this.rig.whenOpened = (stream) => stream.wire.send([FEATURES])
    const created = this.rig.post(bodyText({ rid: 1, to: 'localhost', ver: '1.6', wait: 60, hold: 1 }))
    this.rig.whenOpened = opened
    const sid = created.attribute('sid')
    const ended = this.rig.post(bodyText({ rid: 2, sid, type: 'terminate' }))
    if (sid === '' || ended.outcome !== 'terminate') throw new Error(`an ordinary session: ${created.outcome}, ${ended.outcome}`)
    return { sid }
  }

  #creation(): string {
    const random = this.#random
    const rid = random.chance(0.1) ? Number.MAX_SAFE_INTEGER - random.int(4) : 1 + random.int(2 ** 31)
    const attributes: Record<string, string | number | undefined> = {
      rid,
      to: 'localhost',
      ver: random.chance(0.8) ? '1.6' : undefined,
      wait: random.chance(0.1) ? undefined : random.pick([60, 60, 5, 0]),
      hold: random.pick([1, 1, 2, 0, 250]),
      ack: random.chance(0.3) ? 1 : undefined,
      newkey: random.chance(0.2) ? KEYS[0] : undefined,
      content: random.chance(0.1) ? 'text/plain' : undefined,
    }
    return this.#written(attributes, 0.15)
  }

  #created(asker: TestAsker): void {
    const sid = asker.attribute('sid')
    if (sid === '') return
    const created = this.#lastCreation
    this.#clients.push({ sid, rid: created.rid, stream: asker.attribute('stream'), key: created.isKeyed ? 1 : undefined })
    if (this.#clients.length > 12) this.#clients.shift()
  }

  #lastCreation = { rid: 0, isKeyed: false }

  #request(client: FuzzedClient): string {
    const random = this.#random
    const dice = random.next()
    let rid = client.rid + 1
    if (dice < 0.1) rid = client.rid - random.int(4)
    else if (dice < 0.16) rid = client.rid + 2 + random.int(3)
    else client.rid++
    const attributes: Record<string, string | number | undefined> = { rid, sid: client.sid }
    if (client.key !== undefined) attributes.key = KEYS[rid === client.rid ? client.key++ : Math.max(1, client.key - 1)]
    if (client.key !== undefined && (client.key >= KEYS.length || random.chance(0.02))) {
      attributes.newkey = KEYS[0]
      client.key = 1
    }
    const extra = random.next()
    if (extra < 0.02) attributes.type = 'terminate'
    else if (extra < 0.05) attributes.pause = random.pick([0, 1, 60, 120, 121])
    else if (extra < 0.1) attributes['xmpp:restart'] = 'true'
    else if (extra < 0.14) attributes.to = random.pick(['localhost', 'example.com'])
    else if (extra < 0.24) attributes.stream = random.pick([client.stream, this.rig.streams.at(-1)?.name ?? '', 'none'])
    else if (extra < 0.34) attributes.ack = Math.max(1, rid - random.int(4))
    return this.#written(attributes, 0.06)
  }

  #written(attributes: Record<string, string | number | undefined>, evil: number): string {
    const random = this.#random
    while (random.chance(evil)) attributes[random.pick(random.chance(0.7) ? NAMES : MORE_NAMES)] = escapeXml(random.pick(VALUES))
    if (attributes.sid === undefined) this.#lastCreation = { rid: Number(attributes.rid), isKeyed: attributes.newkey === KEYS[0] }
    return bodyText(attributes, random.pick(random.chance(0.9) ? PAYLOADS.slice(0, 6) : PAYLOADS))
  }

  #post(body: Buffer): TestAsker {
    const random = this.#random
    const dice = random.next()
    const encoded = dice < 0.02 ? gzipSync(body) : dice < 0.03 ? deflateRawSync(body) : body
    const encoding = dice < 0.02 ? 'gzip' : dice < 0.035 ? 'deflate' : dice < 0.04 ? 'br' : ''
    const asker = this.rig.post(dice > 0.999 ? null : encoded, { encoding, secure: random.chance(0.02) })
    this.#held.push(asker)
    return asker
  }

  #opened(stream: TestStream): void {
    const random = this.#random
    const dice = random.next()
    if (stream.session === undefined && dice < 0.75) stream.wire.send([FEATURES])
    else if (stream.session === undefined && dice < 0.8)
      stream.wire.send(Array.from({ length: 60 * random.int(6) }, () => message('early')))
    else if (stream.session === undefined && dice < 0.83) this.#endWire(stream)
    if (dice < 0.5 && stream.session === undefined && !this.#ended.has(stream.wire)) stream.bind()
    stream.whenReceived = (element) => {
      const answer = random.next()
      if (answer < 0.4) stream.tell('answer')
      else if (answer < 0.5 && stream.session === undefined && !this.#ended.has(stream.wire)) stream.bind()
      else if (answer < 0.505) this.#endWire(stream)
      else if (answer < 0.55) stream.busy()
      else if (element.name === 'auth' && stream.session === undefined)
        stream.wire.send(["<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"])
    }
  }

  /** The other side ends the stream. */
  #endWire(stream: TestStream): void {
    const reason = { code: this.#random.pick(['malformed', 'draining', 'replaced', 'internal', 'done'] as const), reason: 'so <it> is' }
    if (stream.session !== undefined) stream.session.close(reason)
    else if (!this.#ended.has(stream.wire)) {
      this.#ended.add(stream.wire)
      stream.wire.end({ condition: this.#random.pick(['', 'conflict', 'host-unknown', 'see-other-host']), reason })
    }
  }

  /** What happens besides requests. */
  #elsewise(): void {
    const random = this.#random
    const stream = this.rig.streams.length > 0 ? random.pick(this.rig.streams.slice(-12)) : undefined
    switch (random.int(6)) {
      case 0:
        this.rig.clock.advance(random.pick([100, 1000, 5000, 61_000]))
        return
      case 1:
        if (this.#held.length > 0) random.pick(this.#held).leave()
        return
      case 2:
        for (let n = random.int(20); n > 0; n--) stream?.tell(`t${n}`)
        return
      case 3:
        if (stream !== undefined && random.chance(0.2)) this.#endWire(stream)
        return
      case 4:
        stream?.rest().catch((error) => this.rig.errors.push(error))
        return
      default:
        // The connection is lost, and the server has not seen it yet.
        if (this.#held.length > 0) random.pick(this.#held).gone = true
    }
  }

  #check(): void {
    const { rig } = this
    if (rig.errors.length > 0) throw rig.errors[0]
    this.#held = this.#held.filter((asker) => {
      if (asker.held) return !asker.gone
      if (asker.answers[0] !== 'drop') this.#checkAnswer(asker)
      return false
    })
    if (this.#held.length > HELD_LIMIT * Math.max(1, rig.sessions.size)) throw new Error(`${this.#held.length} requests are held`)
  }

  #checkAnswer(asker: TestAsker): void {
    const { status, contentType, body } = asker.answer
    const { uri, local, attributes, children } = readXml(Buffer.from(body).toString())
    if (local !== 'body' || uri !== ns.httpbind) throw new Error(`no <body/>: ${asker.text}`)
    const { type = children.length === 0 ? 'empty' : 'payload', condition = '' } = attributes
    if (!STATUSES.has(status)) throw new Error(`status ${status}`)
    if (status !== 200 && (type !== 'terminate' || condition !== STATUSES.get(status))) throw new Error(`status ${status}: ${asker.text}`)
    if (!/^[\x20-\x7e]+$/.test(contentType)) throw new Error(`content type ${JSON.stringify(contentType)}`)
    const outcome = `${type} ${condition}`.trim()
    this.outcomes.set(outcome, (this.outcomes.get(outcome) ?? 0) + 1)
    this.answered++
  }
}

t.test('BOSH: every request is answered once, every session ends', async (t) => {
  const random = new Random(seed)
  const fuzz = new BoshFuzz(random)
  const heap = new Heap()
  let slowestMs = 0
  for (let n = 0; n < COUNTS.bosh; n++) {
    const startedAt = performance.now()
    try {
      await fuzz.step()
      slowestMs = Math.max(slowestMs, performance.now() - startedAt)
      if (n % ROUND !== 0) continue
      await fuzz.end()
    } catch (error) {
      t.fail(describe(error), { seed, n })
      return
    }
    if (n === 30 * ROUND) heap.begin()
  }
  await fuzz.end()
  t.comment(fuzz.outcomes)
  t.ok(slowestMs < SLOW_MS, `${COUNTS.bosh} bodies, ${fuzz.answered} answers, the slowest took ${slowestMs.toFixed(1)} ms (seed ${seed})`)
  const grownBytes = heap.grownBytes()
  t.ok(grownBytes < GROWN_LIMIT_BYTES, `the heap has grown by ${grownBytes} bytes`)
})

// ---- WebSockets ----------------------------------------------------------------------------------------------------

const SM = ns.sm
const FRAMES = [
  OPEN,
  OPEN,
  CLOSE,
  "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGEAYg==</auth>",
  "<iq xmlns='jabber:client' type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>",
  message('m'),
  "<presence xmlns='jabber:client' xml:lang='de'><show>away</show></presence>",
  "<active xmlns='urn:xmpp:csi:0'/>",
  `<enable xmlns='${SM}' resume='true'/>`,
  `<enable xmlns='${SM}'/>`,
  `<r xmlns='${SM}'/>`,
  `<a xmlns='${SM}' h='0'/>`,
  `<a xmlns='${SM}' h='1'/>`,
  `<a xmlns='${SM}' h='4294967295'/>`,
  `<a xmlns='${SM}' h='-1'/>`,
  `<resume xmlns='${SM}' previd='x' h='0'/>`,
  `<resume xmlns='${SM}' previd='' h='4294967296'/>`,
  `<failed xmlns='${SM}'/>`,
  ' \n',
  "<stream:stream xmlns:stream='http://etherx.jabber.org/streams' to='localhost' version='1.0'>",
  `<f:open xmlns:f='urn:ietf:params:xml:ns:xmpp-framing' to='localhost' version='1.0'/>`,
  `<f:close xmlns:f='urn:ietf:params:xml:ns:xmpp-framing'/>`,
  '</stream:stream>',
  "<?xml version='1.0'?>",
  'hello',
  '',
].map((one) => Buffer.from(one))

/** Without what ends the stream wherever it comes. */
const GOOD_FRAMES = FRAMES.slice(3, 12)

/** A client and the other side, for one socket. Resolves to how many frames the client sent. Throws what is wrong. */
async function fuzzSocket(rig: WsRig, random: Random): Promise<number> {
  const socket = rig.socket({ ip: '192.0.2.1', secure: random.chance(0.5) })
  const { stream } = rig
  let frames = 0
  const say = (frame: Buffer): void => {
    frames++
    rig.clock.advance(random.pick([0, 1, 10]))
    socket.say(random.chance(0.01) ? frame : (frame.toString() as string))
  }
  if (random.chance(0.9)) say(Buffer.from(OPEN))
  if (random.chance(0.8)) stream.user = 'alice'
  if (stream.user !== undefined && random.chance(0.5)) say(Buffer.from(OPEN))
  for (let left = random.int(16); left > 0 && (socket.closed === undefined || random.chance(0.3)); left--) {
    let frame: Buffer = random.pick(random.chance(0.85) ? GOOD_FRAMES : FRAMES)
    if (random.chance(0.12)) frame = mutateXml(random, frame, FRAMES)
    if (random.chance(0.005)) frame = Buffer.from(message('x'.repeat(10_000)))
    if (random.chance(0.05)) {
      const previous = random.pick(rig.streams).session?.id ?? ''
      frame = Buffer.from(`<resume xmlns='${SM}' previd='${previous}' h='${random.pick([0, 0, 1, 2, 7])}'/>`)
    }
    say(frame)
    otherSide(rig, random, socket, stream)
    if (random.chance(0.3)) await ticks()
  }
  await ticks()
  if (random.chance(0.3)) socket.drain()
  socket.leave(random.pick([1000, 1001, 1006]))
  // For a session that waits for its client, that was long enough.
  if (stream.session?.kind === 'detached') stream.session.close({ code: 'unknown_session', reason: 'the client did not come back' })
  await ticks()
  checkSocket(rig, socket, stream)
  return frames
}

function otherSide(rig: WsRig, random: Random, socket: TestSocket, stream: WsStream): void {
  const { session } = stream
  const isOver = stream.ends.length > 0 || socket.closed !== undefined || session?.kind === 'closed'
  switch (random.int(12)) {
    case 0:
    case 1:
      if (session === undefined && stream.user !== undefined && !isOver) stream.bind()
      break
    case 2:
    case 3:
      if (session !== undefined) rig.tell(session, ...['a', 'b', 'c'].slice(random.int(3)))
      break
    case 4:
      socket.pong()
      break
    case 5:
      socket.answer = 'full'
      break
    case 6:
    case 7:
      socket.drain()
      break
    case 8:
      if (random.chance(0.2))
        session?.close({ code: random.pick(['draining', 'replaced', 'internal', 'done'] as const), reason: 'so <it> is' })
      break
    case 9:
      if (session === undefined && !isOver && random.chance(0.2))
        stream.wire.end({ condition: 'not-authorized', reason: { code: 'unauthorized', reason: "it's & so" } })
      break
    case 10:
      if (session?.kind === 'attached' && random.chance(0.2)) session.tick(rig.clock.now() + 30_000)
      break
    default:
      rig.clock.advance(random.pick([0, 100, 500, 2000]))
  }
  rig.endOfTick()
}

function checkSocket(rig: WsRig, { got, closed }: TestSocket, stream: WsStream): void {
  if (rig.errors.length > 0) throw rig.errors[0]
  const names = got.map((text) => readXml(text)).map(({ local, uri }) => (uri === ns.framing || uri === ns.streams ? local : ''))
  const closes = names.filter((name) => name === 'close').length
  if (closes > 1 || (closes === 1 && names.at(-1) !== 'close')) throw new Error(`<close/> where it should not be: ${got.join('\n')}`)
  const errors = names.filter((name) => name === 'error').length
  if (errors > 1 || (errors === 1 && names.at(-2) !== 'error')) throw new Error(`an error where it should not be: ${got.join('\n')}`)
  if (names.length > 0 && names[0] !== 'open') throw new Error(`begins with ${got[0]}`)
  if (closes === 1 && closed === undefined) throw new Error('said to close, and did not')
  const { session, ends } = stream
  if (ends.length > 1 || (session !== undefined && session.kind !== 'closed'))
    throw new Error(`the stream ended so: ${ends}, ${session?.kind}`)
}

t.test('WebSocket: frames in, well-formed frames out, and one end', async (t) => {
  const random = new Random(seed)
  const heap = new Heap()
  const ends = new Map<string, number>()
  let frames = 0
  let slowestMs = 0
  for (let sockets = 0; frames < COUNTS.frames; ) {
    const rig = new WsRig({
      frameRate: random.pick([
        { perSecond: 1000, burst: 1000 },
        { perSecond: 10, burst: 10 },
      ]),
    })
    // Of one rig, so that their sessions can be resumed by others.
    for (let n = 0; n < 10; n++) {
      const startedAt = performance.now()
      try {
        frames += await fuzzSocket(rig, random)
      } catch (error) {
        t.fail(describe(error), { seed, sockets })
        return
      }
      slowestMs = Math.max(slowestMs, performance.now() - startedAt)
      if (++sockets === 500) heap.begin()
    }
    for (const { code } of [...rig.closes, ...rig.refusals]) ends.set(code, (ends.get(code) ?? 0) + 1)
  }
  t.comment(ends)
  t.ok(slowestMs < SLOW_MS, `${frames} frames, the slowest socket took ${slowestMs.toFixed(1)} ms (seed ${seed})`)
  const grownBytes = heap.grownBytes()
  t.ok(grownBytes < GROWN_LIMIT_BYTES, `the heap has grown by ${grownBytes} bytes`)
})

// ---- stanzas -------------------------------------------------------------------------------------------------------

const USERS = ['alice', 'bob', 'carol']
const RESOURCES = ['phone', 'desk']
const ADDRESSES = [
  'alice@localhost',
  'bob@localhost',
  'bob@localhost/desk',
  'bob@localhost/none',
  'carol@localhost',
  'localhost',
  'nobody@localhost',
]
const MORE_ADDRESSES = [
  'bob@example.com',
  'localhost/x',
  '@',
  'a b@localhost',
  'o\\27neil@localhost',
  'bob@localhost/holdwire',
  'x'.repeat(2000),
  '',
]
const TYPES = [
  'get',
  'set',
  'result',
  'error',
  'chat',
  'headline',
  'groupchat',
  'normal',
  'unavailable',
  'subscribe',
  'subscribed',
  'unsubscribe',
]
const IQ_PAYLOADS = [
  "<query xmlns='jabber:iq:roster'/>",
  "<query xmlns='jabber:iq:roster'><item jid='bob@localhost' name='B'><group>g</group></item></query>",
  "<query xmlns='jabber:iq:roster'><item jid='bob@localhost' subscription='remove'/></query>",
  "<query xmlns='jabber:iq:private'><x xmlns='u:x'><y a='1'/></x></query>",
  "<query xmlns='jabber:iq:private'><x xmlns='u:x'/></query>",
  "<query xmlns='jabber:iq:version'/>",
  "<query xmlns='http://jabber.org/protocol/disco#info'/>",
  "<query xmlns='http://jabber.org/protocol/disco#items' node='n'/>",
  "<vCard xmlns='vcard-temp'><FN>Bob</FN></vCard>",
  "<ping xmlns='urn:xmpp:ping'/>",
  "<time xmlns='urn:xmpp:time'/>",
  "<enable xmlns='urn:xmpp:carbons:2'/>",
  "<disable xmlns='urn:xmpp:carbons:2'/>",
  "<blocklist xmlns='urn:xmpp:blocking'/>",
  "<block xmlns='urn:xmpp:blocking'><item jid='carol@localhost'/></block>",
  "<unblock xmlns='urn:xmpp:blocking'><item jid='carol@localhost'/></unblock>",
  "<unblock xmlns='urn:xmpp:blocking'/>",
  "<query xmlns='urn:xmpp:mam:2' queryid='q'><set xmlns='http://jabber.org/protocol/rsm'><max>5</max><before/></set></query>",
  "<query xmlns='urn:xmpp:mam:2'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>urn:xmpp:mam:2</value></field><field var='with'><value>bob@localhost</value></field><field var='start'><value>2010-06-07T00:00:00Z</value></field></x></query>",
  "<metadata xmlns='urn:xmpp:mam:2'/>",
  "<prefs xmlns='urn:xmpp:mam:2'/>",
]
const MESSAGE_PAYLOADS = [
  '<body>hi</body>',
  "<body>hi</body><active xmlns='http://jabber.org/protocol/chatstates'/>",
  '<json xmlns="urn:xmpp:json:0">{"a":[1,"ü"]}</json>',
  "<body>x</body><no-store xmlns='urn:xmpp:hints'/>",
  "<store xmlns='urn:xmpp:hints'/><x:1 xmlns:x='u'/>",
  "<delay xmlns='urn:xmpp:delay' from='localhost'/><stanza-id xmlns='urn:xmpp:sid:0' by='alice@localhost' id='1'/>",
  '',
]
const PRESENCE_PAYLOADS = [
  '',
  '<show>away</show><status>tea</status>',
  '<priority>-1</priority>',
  '<priority>300</priority>',
  '<show>x</show>',
]

function randomStanza(random: Random): string {
  const name = random.pick(['message', 'presence', 'iq', 'iq'])
  let attributes = ` id='s${random.int(50)}'`
  if (random.chance(0.6)) attributes += ` to='${random.pick(random.chance(0.9) ? ADDRESSES : MORE_ADDRESSES)}'`
  if (name === 'iq' ? random.chance(0.98) : random.chance(0.5))
    attributes += ` type='${random.pick(name === 'iq' && random.chance(0.9) ? ['get', 'set'] : TYPES)}'`
  const payloads = name === 'iq' ? IQ_PAYLOADS : name === 'message' ? MESSAGE_PAYLOADS : PRESENCE_PAYLOADS
  return `<${name} xmlns='${CLIENT_NS}'${attributes}>${random.pick(random.chance(0.95) ? payloads : IQ_PAYLOADS)}</${name}>`
}

/** Its answer, or what it throws, on a clock that stands unless nothing else helps. */
async function finished<T>(work: Promise<T>, world: World): Promise<T> {
  let isDone = false
  const done = work.finally(() => {
    isDone = true
  })
  done.catch(() => {})
  for (let turns = 0; !isDone; turns++) {
    if (turns > 1000) throw new Error('a stanza is not answered')
    if (turns > 30) world.clock.advance(100)
    await turn()
  }
  return done
}

t.test('stanzas: each is answered by well-formed XML, or ends the stream', async (t) => {
  const random = new Random(seed)
  const world = await World.open(t)
  const options = { bus: world.bus(), clock: world.clock, limits: DEFAULT_LIMITS, address: 'worker', lingerMs: 1000 }
  const services = await openServices({ ...options, xmppDomain: 'localhost', version: '1', onError: (error) => world.errors.push(error) })
  t.teardown(async () => {
    await services.presence.stop()
    await services.xmppPresence.stop()
    services.topics.stop()
    services.blockLists.stop()
  })
  const sessions = USERS.flatMap((user) =>
    RESOURCES.map((resource) => {
      const identity = { user, ref: `${user}-${resource}`, gateway: 'gate', since: 1, claims: { patterns: [], any: false }, heardAt: 0 }
      return new Session(identity, new Uint8Array(), { resource, language: 'en' })
    }),
  )
  let envelopes = 0
  const read = (data: Uint8Array): void => {
    const { xml } = v1.Envelope.decode(data)
    envelopes++
    if (xml.length > 0) readXml(Buffer.from(xml).toString())
  }
  for (const user of USERS) {
    const own = sessions.filter((session) => session.user === user)
    await world.bus().attach(user, {
      durable: (_seq, data) => read(data),
      ephemeral: (data) => read(data),
      asked: (data) => answerOf(own, v1.Envelope.decode(data).control?.find?.resource ?? undefined),
      lost: () => {},
    })
  }
  const outcomes = new Map<string, number>()
  let corpus: readonly Buffer[] = IQ_PAYLOADS.map((one) => Buffer.from(one))
  let slowestMs = 0
  for (let n = 0; n < COUNTS.stanzas; n++) {
    let xml: Buffer = Buffer.from(randomStanza(random))
    if (random.chance(0.4)) xml = mutateXml(random, xml, corpus)
    else if (random.chance(0.1)) corpus = [...corpus.slice(-30), xml]
    const session = random.pick(sessions)
    const { xmpp } = session
    if (xmpp === undefined) return
    const startedAt = performance.now()
    try {
      const answer = await finished(services.stanzas.run(session, xmpp, { xml, id: random.chance(0.9) ? `i:${n}` : 'i:1' }), world)
      for (const stanza of answer.stanzas) {
        const { uri, local } = readXml(stanza.toString())
        if (uri !== ns.client || !['message', 'presence', 'iq'].includes(local)) throw new Error(`answered by ${stanza}`)
      }
      const asked = answer.streamError === '' ? unanswered(xml, answer.stanzas) : undefined
      if (asked !== undefined) throw new Error(`not answered: ${asked}`)
      const outcome = answer.streamError || conditionOf(answer.stanzas.at(-1)) || (answer.stanzas.length > 0 ? 'answer' : 'nothing')
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
      if (world.errors.length > 0) throw world.errors[0]
      if (n % 500 === 0) await world.pass(1000)
    } catch (error) {
      t.fail(describe(error), { seed, n, xml: xml.toString('latin1') })
      return
    }
    slowestMs = Math.max(slowestMs, performance.now() - startedAt)
  }
  await world.pass(5000)
  t.same(world.errors, [], 'no bugs')
  t.comment(outcomes)
  t.ok(envelopes > COUNTS.stanzas / 10, `${envelopes} envelopes, all well-formed`)
  t.ok(slowestMs < SLOW_MS, `${COUNTS.stanzas} stanzas, the slowest took ${slowestMs.toFixed(1)} ms (seed ${seed})`)
})

/** A gateway's answer about these sessions. `resource`: only whether one has it. */
function answerOf(sessions: readonly Session[], resource: string | undefined): Uint8Array | undefined {
  const about = sessions.filter(({ xmpp }) => resource === undefined || xmpp?.resource === resource)
  if (about.length === 0) return undefined
  const infos = about.map(({ ref, since, shown, xmpp }) => ({
    session: ref,
    since,
    ...shown,
    device: xmpp?.resource ?? '',
    xmpp: xmpp?.shown ?? null,
  }))
  return v1.SessionList.encode({ node: 'gate', sessions: infos }).finish()
}

/** A request to the server itself, which has to be answered (RFC 6120 §8.2.3), and was not. Undefined: nothing of the kind. */
function unanswered(xml: Buffer, answers: readonly Element[]): string | undefined {
  const stanza = parsed(xml)
  const type = stanza?.attribute('type')
  if (stanza?.name !== 'iq' || (type !== 'get' && type !== 'set')) return undefined
  if (stanza.attribute('to').includes('/')) return undefined
  const last = answers.at(-1)
  const isAnswer =
    last?.name === 'iq' && ['result', 'error'].includes(last.attribute('type')) && last.attribute('id') === stanza.attribute('id')
  return isAnswer ? undefined : stanza.toString()
}
