// XMPP WebSockets with a clock that stands: sockets that write down what is sent, streams that do what the test says, and
// real sessions behind them.

import type { CloseReason } from '../../gateway/close-reason.js'
import { Session, type SessionHost, type SessionLimits } from '../../gateway/session.js'
import type { Resumed, ResumeVisitor } from '../../gateway/stream-door.js'
import { XmppSession } from '../../gateway/xmpp-session.js'
import type { Element } from '../../proto/xml/element.js'
import { CLIENT_NS, FRAMING_NS, SM_NS, STREAM_ERRORS_NS, STREAMS_NS } from '../../proto/xml/namespaces.js'
import { parseXml } from '../../proto/xml/parse.js'
import type { MessageSocket, Sent, SocketOwner } from '../../transports/engine/engine.js'
import type { Stream, StreamHeader, StreamRecord, StreamWire } from '../../transports/xmpp/wire.js'
import { XmppSocket, type XmppSocketOptions } from '../../transports/xmpp/ws-socket.js'
import { ManualClock } from './manual-clock.js'

export const FEATURES = `<stream:features xmlns:stream='${STREAMS_NS}'/>`
export const OPEN = `<open xmlns='${FRAMING_NS}' to='localhost' version='1.0'/>`
export const CLOSE = `<close xmlns="${FRAMING_NS}" />`

const LIMITS: SessionLimits = {
  pingMs: 25_000,
  resumeMs: 60_000,
  waitingMaxFrames: 1000,
  waitingMaxBytes: 1 << 20,
  sentMaxFrames: 1000,
  sentMaxBytes: 1 << 20,
}

/** Both ends of a socket: what the server does with it, and what its client does. */
export class TestSocket implements MessageSocket {
  owner: SocketOwner
  readonly protocol = 'xmpp'
  gone = false
  readonly got: string[] = []
  /** How many messages each write had. */
  readonly writes: number[] = []
  pings = 0
  closed: { readonly code: number; readonly reason: string } | undefined = undefined
  /** What the next writes come to. */
  answer: Sent = 'ok'
  #read = 0
  #isFull = false

  constructor(owner: SocketOwner) {
    this.owner = owner
    owner.onOpen(this)
  }

  send(payloads: readonly Uint8Array[], binary: boolean): Sent {
    if (binary) throw new Error('a binary frame')
    if (this.gone || this.closed !== undefined) return 'gone'
    if (this.#isFull) return 'refused'
    this.writes.push(payloads.length)
    for (const payload of payloads) this.got.push(Buffer.from(payload).toString())
    this.#isFull = this.answer === 'full'
    return this.answer
  }

  ping(): void {
    this.pings++
  }

  close(code: number, reason: string): void {
    this.closed ??= { code, reason }
  }

  abort(): void {
    this.gone = true
  }

  // ---- the client -------------------------------------------------------------------------------------------------

  say(...texts: (string | Buffer)[]): void {
    for (const text of texts) this.owner.onMessage(this, Buffer.from(text), typeof text !== 'string')
  }

  pong(): void {
    this.owner.onPong(this)
  }

  drain(): void {
    this.#isFull = false
    this.answer = 'ok'
    this.owner.onDrain(this)
  }

  leave(code = 1006): void {
    if (this.gone) return
    this.gone = true
    this.owner.onClose(this, code, '')
  }

  /** What has come since the last time. */
  heard(): string[] {
    const heard = this.got.slice(this.#read)
    this.#read = this.got.length
    return heard
  }

  /** The same in short: names, with ids of stanzas, counts, and conditions of errors. */
  gist(): string[] {
    return this.heard().map(gistOf)
  }
}

export function gistOf(text: string): string {
  const element = parseXml(text)
  const { name, ns } = element
  if (ns === STREAMS_NS && name === 'error') return `error:${element.childOf(STREAM_ERRORS_NS)?.name}`
  if (ns === CLIENT_NS) return element.attribute('id')
  if (ns === SM_NS && name === 'failed') return `failed:${element.elements[0]?.name}`
  const count = element.attribute('h')
  return count === '' ? name : `${name}:${count}`
}

export class TestStream implements Stream {
  user: string | undefined = undefined
  expiresAtMs = Number.POSITIVE_INFINITY
  session: Session | undefined = undefined
  readonly record: StreamRecord | undefined = undefined
  readonly headers: StreamHeader[] = []
  readonly received: Element[] = []
  readonly ids: string[] = []
  readonly ends: string[] = []

  constructor(
    readonly rig: WsRig,
    readonly wire: StreamWire,
  ) {}

  open(header: StreamHeader): void {
    this.headers.push(header)
    this.wire.send([FEATURES])
  }
  /** Stanzas wait in `unhandled` until the test calls them. */
  isSlow = false
  readonly unhandled: (() => void)[] = []

  receive(element: Element, id: string, handled?: () => void): void {
    this.received.push(element)
    this.ids.push(id)
    if (handled === undefined) return
    if (this.isSlow) this.unhandled.push(handled)
    else queueMicrotask(handled)
  }
  resumed(session: Session): void {
    this.session = session
  }
  close(): void {
    this.ends.push('closed')
    this.session?.close({ code: 'done', reason: 'the client ended the stream' })
  }
  abandon(): void {
    this.ends.push('abandoned')
  }
  idle(): Promise<void> {
    return Promise.resolve()
  }

  // What the other side does.

  bind(session = this.rig.newSession()): Session {
    this.session = session
    session.tell(Buffer.from(`<iq xmlns='${CLIENT_NS}' id='bind'/>`))
    session.attach(this.wire.bound(session), 0, undefined)
    return session
  }

  get stanzas(): string[] {
    return this.received.map((element) => element.attribute('id') || element.name)
  }
}

export class WsRig implements SessionHost {
  readonly clock = new ManualClock()
  readonly limits: SessionLimits
  readonly streams: TestStream[] = []
  readonly closes: CloseReason[] = []
  readonly refusals: CloseReason[] = []
  readonly errors: unknown[] = []
  readonly resumptions: ResumeVisitor[] = []
  acked = 0
  sentBytes = 0
  receivedFrames = 0
  resume: (visitor: ResumeVisitor) => Promise<Resumed>
  readonly #options: Partial<XmppSocketOptions>
  readonly #dirty = new Set<Session>()
  #sessions = 0
  #sockets = 0

  constructor(options: Partial<XmppSocketOptions> = {}, limits: Partial<SessionLimits> = {}) {
    this.#options = options
    this.limits = { ...LIMITS, ...limits }
    this.resume = (visitor) => Promise.resolve(this.resumeHere(visitor))
  }

  socket(client = { ip: '192.0.2.1', secure: false }): TestSocket {
    const owner = new XmppSocket(this.options(), client, `socket${++this.#sockets}`)
    return new TestSocket(owner)
  }

  options(): XmppSocketOptions {
    return {
      domain: 'localhost',
      seeOtherUri: '',
      maxFrameBytes: 10_000,
      frameRate: { perSecond: 1000, burst: 1000 },
      resumeSeconds: 60,
      clock: this.clock,
      newStream: (wire) => {
        const stream = new TestStream(this, wire)
        this.streams.push(stream)
        return stream
      },
      resume: (visitor) => {
        this.resumptions.push(visitor)
        return this.resume(visitor)
      },
      render: ({ outbound }) => Buffer.from(outbound.xml ?? []).toString(),
      refusal: () => undefined,
      received: () => void this.receivedFrames++,
      sentBytes: (_transport, bytes) => {
        this.sentBytes += bytes
      },
      refused: (_transport, reason) => this.refusals.push(reason),
      onError: (error) => this.errors.push(error),
      ...this.#options,
    }
  }

  /** Of the last socket. */
  get stream(): TestStream {
    const stream = this.streams.at(-1)
    if (stream === undefined) throw new Error('no stream')
    return stream
  }

  newSession(base = 0): Session {
    const owner = { user: 'alice', tag: 'tag', cursorPrefix: 'tag.epoch.', epoch: 'epoch', tail: 0 }
    const positions = { shared: 0, own: 0 }
    const xmpp = new XmppSession({ resource: 'home', generated: false, language: 'en', positions, tail: 0 })
    const expiresAtMs = Number.POSITIVE_INFINITY
    const ref = `node.${++this.#sessions}`
    return new Session(this, { owner, ref, secret: 's', device: 'home', sinceMs: 0, expiresAtMs, inbox: 0, base, xmpp })
  }

  /** A socket whose client has authenticated. */
  authenticated(): { readonly socket: TestSocket; readonly stream: TestStream } {
    const socket = this.socket()
    socket.say(OPEN)
    const { stream } = this
    stream.user = 'alice'
    socket.say(OPEN)
    socket.heard()
    return { socket, stream }
  }

  /** A socket with a session, whose client has got the answer to its bind request. */
  bound(): { readonly socket: TestSocket; readonly stream: TestStream; readonly session: Session } {
    const { socket, stream } = this.authenticated()
    const session = stream.bind()
    socket.pong()
    socket.heard()
    return { socket, stream, session }
  }

  /** The same with stream management. */
  managed(): ReturnType<WsRig['bound']> {
    const bound = this.bound()
    bound.socket.say(`<enable xmlns='${SM_NS}' resume='true'/>`)
    bound.socket.heard()
    return bound
  }

  /** Stanzas for the client, at the end of this tick. */
  tell(session: Session, ...ids: string[]): void {
    for (const id of ids) session.tell(Buffer.from(message(id)))
    this.endOfTick()
  }

  endOfTick(): void {
    const dirty = [...this.#dirty]
    this.#dirty.clear()
    for (const session of dirty) session.pump()
  }

  /** As StreamDoor does it. */
  resumeHere(visitor: ResumeVisitor): Resumed {
    const session = this.streams.find((stream) => stream.session?.id === visitor.previous)?.session
    const at = session?.xmpp?.management?.frameOf(visitor.handled)
    if (session === undefined || session.kind === 'closed')
      return { kind: 'refused', reason: { code: 'unknown_session', reason: 'no such session' } }
    if (at === undefined) return { kind: 'refused', reason: { code: 'malformed', reason: 'more than were sent' } }
    return { kind: 'session', session, seen: at.frame, management: undefined }
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
  acknowledged(session: Session): void {
    this.acked = session.base
  }
  closed(_session: Session, reason: CloseReason): void {
    this.closes.push(reason)
  }
}

export function message(id: string): string {
  return `<message xmlns='${CLIENT_NS}' id='${id}'/>`
}

/** Lets promises that are settled be heard of. */
export async function ticks(): Promise<void> {
  for (let i = 0; i < 10; i++) await Promise.resolve()
}
