// BOSH sessions with a clock that stands, streams that do what the test says, real sessions behind them, and clients that
// see nothing but what is on the wire.

import { createHash } from 'node:crypto'
import type { CloseReason } from '../../gateway/close-reason.js'
import { Session, type SessionHost, type SessionLimits } from '../../gateway/session.js'
import type { Element } from '../../proto/xml/element.js'
import { BOSH_NS, CLIENT_NS, STREAMS_NS } from '../../proto/xml/namespaces.js'
import { parseXml } from '../../proto/xml/parse.js'
import type { Asker, AskerHolder, BoshAnswer } from '../../transports/bosh/asker.js'
import { BoshPort, type BoshVisit, type Elsewhere } from '../../transports/bosh/bosh-port.js'
import type { BoshRecord } from '../../transports/bosh/bosh-record.js'
import type { BoshSession } from '../../transports/bosh/bosh-session.js'
import { BoshSessions, type BoshSessionsOptions } from '../../transports/bosh/bosh-sessions.js'
import type { BoshOffer } from '../../transports/bosh/creation.js'
import type { Stream, StreamHeader, StreamWire } from '../../transports/xmpp/wire.js'
import { ManualClock } from './manual-clock.js'

export const FEATURES = `<stream:features xmlns:stream='${STREAMS_NS}'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></stream:features>`

const LIMITS: SessionLimits = {
  pingMs: 25_000,
  resumeMs: 60_000,
  waitingMaxFrames: 1000,
  waitingMaxBytes: 1 << 20,
  sentMaxFrames: 1000,
  sentMaxBytes: 1 << 20,
}

/** A request, as its client sees it. */
export class TestAsker implements Asker {
  gone = false
  holder: AskerHolder | undefined = undefined
  readonly answers: (BoshAnswer | 'drop')[] = []

  settle(answer: BoshAnswer | 'drop'): void {
    if (this.answers.length > 0) throw new Error('answered twice')
    this.answers.push(answer)
  }

  /** The client closes the connection, and the server sees it. */
  leave(): void {
    this.gone = true
    const { holder } = this
    this.holder = undefined
    holder?.askerGone(this)
  }

  get held(): boolean {
    return this.answers.length === 0
  }

  get answer(): BoshAnswer {
    const [answer] = this.answers
    if (answer === undefined || answer === 'drop') throw new Error(`no answer: ${answer ?? 'held'}`)
    return answer
  }

  get text(): string {
    return Buffer.from(this.answer.body).toString()
  }

  get body(): Element {
    const body = parseXml(this.text)
    if (!body.is('body', BOSH_NS)) throw new Error(`no body: ${this.text}`)
    return body
  }

  attribute(name: string): string {
    return this.body.attribute(name)
  }

  /** Names of the payloads, `id`s where they have one. */
  get payloads(): string[] {
    return this.body.elements.map((element) => element.attribute('id') || element.name)
  }

  /** `terminate`, `terminate:item-not-found`, `error`, `empty`, `payload` or `held`. */
  get outcome(): string {
    if (this.held) return 'held'
    const type = this.attribute('type')
    const condition = this.attribute('condition')
    if (type !== '') return condition === '' ? type : `${type}:${condition}`
    return this.payloads.length === 0 ? 'empty' : 'payload'
  }
}

export class TestStream implements Stream {
  user: string | undefined = undefined
  session: Session | undefined = undefined
  readonly expiresAtMs = Number.POSITIVE_INFINITY
  readonly record = undefined
  readonly headers: StreamHeader[] = []
  readonly received: Element[] = []
  readonly ids: string[] = []
  readonly ends: string[] = []
  /** Called with each element. */
  whenReceived: ((element: Element) => void) | undefined = undefined
  #idle: Promise<void> = Promise.resolve()
  #wake: () => void = () => {}

  constructor(
    readonly rig: BoshRig,
    readonly wire: StreamWire,
    readonly name: string,
  ) {}

  resumed(): void {}

  open(header: StreamHeader): void {
    this.headers.push(header)
    this.rig.whenOpened?.(this)
  }

  receive(element: Element, id: string): void {
    this.received.push(element)
    this.ids.push(id)
    this.whenReceived?.(element)
  }

  close(): void {
    this.ends.push('closed')
    this.session?.close({ code: 'done', reason: 'the client ended the stream' })
  }

  abandon(): void {
    this.ends.push('abandoned')
  }

  idle(): Promise<void> {
    return this.#idle
  }

  // What the other side does.

  busy(): void {
    this.#idle = new Promise((resolve) => {
      this.#wake = resolve
    })
  }

  async rest(): Promise<void> {
    this.#wake()
    this.#idle = Promise.resolve()
    await ticks()
  }

  bind(session = this.rig.newSession()): Session {
    this.session = session
    session.attach(this.wire.bound(session), session.base, undefined)
    return session
  }

  /** A stanza for the client, at the end of this tick. */
  tell(id: string): void {
    this.session?.tell(Buffer.from(`<message xmlns='${CLIENT_NS}' id='${id}'/>`))
    this.rig.endOfTick()
  }
}

export interface RigOptions {
  readonly offer?: Partial<BoshOffer>
  readonly limits?: Partial<BoshSessionsOptions['limits']>
  readonly seeOtherUri?: string
  readonly maxBodyBytes?: number
  readonly clock?: ManualClock
  readonly node?: string
}

export class BoshRig implements SessionHost {
  readonly clock: ManualClock
  readonly sessions: BoshSessions
  readonly port: BoshPort
  readonly streams: TestStream[] = []
  readonly closes: CloseReason[] = []
  readonly refusals: CloseReason[] = []
  readonly records: BoshRecord[] = []
  readonly ended: CloseReason[] = []
  readonly errors: unknown[] = []
  sentBytes = 0
  /** Stanzas in requests. */
  stanzas = 0
  refusal: CloseReason | undefined = undefined
  whenOpened: ((stream: TestStream) => void) | undefined = undefined
  elsewhere: (visit: BoshVisit) => Promise<Elsewhere> = async () => 'absent'
  // SessionHost
  readonly limits = LIMITS
  readonly #dirty = new Set<Session>()
  readonly #node: string
  #sids = 0

  constructor(options: RigOptions = {}) {
    this.clock = options.clock ?? new ManualClock()
    this.#node = options.node ?? 'node'
    const offer = { domain: 'localhost', waitSeconds: 60, hold: 2, inactivitySeconds: 30, pollingSeconds: 2, maxPauseSeconds: 120 }
    const limits = { streams: 4, parkedBytes: 1 << 20, gapMs: 0, cachedBytes: 1 << 20, sessions: 1000 }
    this.sessions = new BoshSessions({
      clock: this.clock,
      offer: { ...offer, ...options.offer },
      limits: { ...limits, ...options.limits },
      seeOtherUri: options.seeOtherUri ?? '',
      newSid: () => `${this.#node}.${++this.#sids}.secret${this.#sids}`,
      openStream: (wire, name) => this.newStream(wire, name),
      refusal: () => this.refusal,
      render: ({ outbound }) => Buffer.from(outbound.xml ?? []).toString(),
      recorded: (session: BoshSession) => this.records.push(session.record),
      ended: (_session, reason) => this.ended.push(reason),
      received: (_transport, frames) => {
        this.stanzas += frames
      },
      sentBytes: (_transport, bytes) => {
        this.sentBytes += bytes
      },
      refused: (_transport, reason) => this.refusals.push(reason),
      onError: (error) => this.errors.push(error),
    })
    this.port = new BoshPort({
      sessions: this.sessions,
      maxBodyBytes: options.maxBodyBytes ?? 65_536,
      elsewhere: (visit) => this.elsewhere(visit),
      onError: (error) => this.errors.push(error),
    })
  }

  newStream(wire: StreamWire, name: string): TestStream {
    const stream = new TestStream(this, wire, name)
    this.streams.push(stream)
    return stream
  }

  newSession(base = 0): Session {
    const owner = { user: 'alice', tag: 'tag', cursorPrefix: 'tag.epoch.', epoch: 'epoch', tail: 0 }
    const expiresAtMs = Number.POSITIVE_INFINITY
    const session = new Session(this, { owner, ref: 'node.1', secret: 's', device: '', sinceMs: 0, expiresAtMs, inbox: 0, base })
    session.goLive(0)
    return session
  }

  /** The first stream. */
  get stream(): TestStream {
    const [stream] = this.streams
    if (stream === undefined) throw new Error('no stream')
    return stream
  }

  /** What a client posts. */
  post(body: string | Buffer | null, options: { encoding?: string; secure?: boolean; asker?: TestAsker } = {}): TestAsker {
    const asker = options.asker ?? new TestAsker()
    const bytes = typeof body === 'string' ? Buffer.from(body) : body
    this.port.received(bytes, options.encoding ?? '', { ip: '192.0.2.1', secure: options.secure ?? false }, asker)
    this.endOfTick()
    return asker
  }

  endOfTick(): void {
    const dirty = [...this.#dirty]
    this.#dirty.clear()
    for (const session of dirty) session.pump()
  }

  // ---- SessionHost ------------------------------------------------------------------------------------------------

  now(): number {
    return this.clock.now()
  }
  markDirty(session: Session): void {
    this.#dirty.add(session)
  }
  schedule(): void {}
  attached(): void {}
  detached(): void {}
  written(): void {}
  receptive(): void {}
  roomy(): void {}
  acknowledged(): void {}
  closed(_session: Session, reason: CloseReason): void {
    this.closes.push(reason)
  }
}

type Attributes = Readonly<Record<string, string | number | undefined>>

export function bodyText(attributes: Attributes, payload = ''): string {
  let text = `<body xmlns='${BOSH_NS}' xmlns:xmpp='urn:xmpp:xbosh'`
  for (const [name, value] of Object.entries(attributes)) if (value !== undefined) text += ` ${name}='${value}'`
  return payload === '' ? `${text}/>` : `${text}>${payload}</body>`
}

/** A client that keeps count of its rids. */
export class BoshClient {
  sid = ''
  rid: number
  /** Of the first stream. */
  streamName = ''

  constructor(
    readonly rig: BoshRig,
    rid = 1_573_741_820,
  ) {
    this.rid = rid - 1
  }

  create(attributes: Attributes = {}, payload = ''): TestAsker {
    const all = { to: 'localhost', ver: '1.6', wait: 60, hold: 1, 'xml:lang': 'en', 'xmpp:version': '1.0', ...attributes }
    return this.rig.post(bodyText({ rid: ++this.rid, ...all }, payload))
  }

  /** A session with one bound stream, whose client knows that. */
  static async begin(rig: BoshRig, attributes: Attributes = {}, rid?: number): Promise<BoshClient> {
    const client = new BoshClient(rig, rid)
    const created = client.create(attributes)
    const stream = rig.streams.at(-1)
    stream?.wire.send([FEATURES])
    client.sid = created.attribute('sid')
    client.streamName = created.attribute('stream')
    stream?.bind()
    await ticks()
    return client
  }

  /** The next request. */
  send(attributes: Attributes = {}, payload = ''): TestAsker {
    return this.sendAs(++this.rid, attributes, payload)
  }

  sendAs(rid: number, attributes: Attributes = {}, payload = ''): TestAsker {
    return this.rig.post(bodyText({ rid, sid: this.sid, ...attributes }, payload))
  }
}

export function message(id: string): string {
  return `<message xmlns='${CLIENT_NS}' id='${id}'/>`
}

/** K(n) … K(1) */
export function keySequence(seed: string, length: number): string[] {
  const keys: string[] = []
  for (let key = seed; keys.length < length; ) {
    key = createHash('sha1').update(key).digest('hex')
    keys.unshift(key)
  }
  return keys
}

/** Lets promises that are settled be heard of. */
export async function ticks(): Promise<void> {
  for (let i = 0; i < 10; i++) await Promise.resolve()
}
