// One WebSocket of an XMPP client (RFC 7395): the wire of its stream, and afterwards the carrier of its session, with stream
// management (XEP-0198) if the client wants it.
//
//   silent → negotiating ⇄ resuming → bound → leaving → ended

import type { Clock } from '../../bus/clock.js'
import type { Carrier, Delivery, Transport, Written } from '../../gateway/carrier.js'
import type { CloseReason } from '../../gateway/close-reason.js'
import type { Session } from '../../gateway/session.js'
import type { Resumed, ResumeVisitor } from '../../gateway/stream-door.js'
import { StanzaCounts } from '../../gateway/stream-management.js'
import { type Rate, TokenBucket } from '../../gateway/token-bucket.js'
import { Element } from '../../proto/xml/element.js'
import { CLIENT_NS, FRAMING_NS, SM_NS } from '../../proto/xml/namespaces.js'
import type { MessageSocket, SocketOwner } from '../engine/engine.js'
import type { Stream, StreamEnd, StreamWire } from './wire.js'
import { closeCodeOf, conditionOf } from './ws-end.js'
import { CLOSE, type Fault, isPrefixed, openText, readFrame, readOpen, redirectText, streamErrorText } from './ws-frame.js'
import { answerText, countOf, enabledText, type Failure, failedText, isTrue, REQUEST, resumedText, tooHigh } from './ws-management.js'
import { SocketWriter } from './ws-writer.js'

export interface XmppSocketOptions {
  /** The only one served, in lower case. */
  readonly domain: string
  /** Where clients are sent instead of being served: a ws(s) URL. Anything else: nowhere. */
  readonly seeOtherUri: string
  readonly maxFrameBytes: number
  /** Of all messages of a socket. */
  readonly frameRate: Rate
  /** How long a session waits for its client to come back. */
  readonly resumeSeconds: number
  readonly clock: Clock
  /** Ends the stream if its client takes too long to bind a resource. */
  newStream(wire: StreamWire): Stream
  resume(visitor: ResumeVisitor): Promise<Resumed>
  /** The stanza that a frame is. */
  render(delivery: Delivery, session: Session): string
  /** Set while the node is going away. */
  refusal(ip: string): CloseReason | undefined
  received(transport: Transport, frames: number, bytes: number): void
  sentBytes(transport: Transport, bytes: number): void
  refused(transport: Transport, reason: CloseReason): void
  onError(error: unknown, what: string): void
}

interface Open {
  readonly writer: SocketWriter
  readonly stream: Stream
}

type State =
  | { readonly kind: 'connecting' }
  /** Nothing was said yet. */
  | (Open & { readonly kind: 'silent' })
  | (Open & { readonly kind: 'negotiating' })
  /** `waiting`: what came since, as text. */
  | (Open & { readonly kind: 'resuming'; readonly waiting: string[] })
  | (Open & { readonly kind: 'bound'; readonly session: Session })
  /** The client has closed the stream; what it has received is still being found out. */
  | (Open & { readonly kind: 'leaving'; readonly session: Session; readonly stop: () => void })
  /** `session`: one that was carried here. */
  | { readonly kind: 'ended'; readonly session: Session | undefined }

type Live = Exclude<State, { kind: 'connecting' | 'ended' }>

const STANZAS = new Set(['message', 'presence', 'iq'])
/** The client asks again. */
const QUESTIONS_LIMIT = 64
/** Frames that may wait while a session is looked for. */
const WAITING_LIMIT = 64
/** How long a client that has closed the stream may take to show what it has received. */
const LEAVING_MS = 500
/** 1003: only text is understood here (RFC 6455 §7.4.1). */
const NOT_TEXT = 1003

export class XmppSocket implements SocketOwner, StreamWire, Carrier {
  readonly transport = 'xmpp-websocket'
  readonly expiresAtMs = Number.POSITIVE_INFINITY
  readonly ip: string
  readonly secure: boolean
  readonly #options: XmppSocketOptions
  #state: State = { kind: 'connecting' }
  #rate: TokenBucket | undefined = undefined
  /** Of the `id` of the stream, that its elements are named after. */
  readonly #name: string
  #elements = 0
  /** Stanzas of a client that counts, and how many of them a worker has answered. */
  #taken = 0
  #answered = 0
  /** How many had been taken when the client asked. */
  readonly #questions: number[] = []

  /** `name`: unlike any other socket's. */
  constructor(options: XmppSocketOptions, client: { readonly ip: string; readonly secure: boolean }, name: string) {
    this.#options = options
    this.ip = client.ip
    this.secure = client.secure
    this.#name = name
  }

  // ---- SocketOwner ------------------------------------------------------------------------------------------------

  onOpen(socket: MessageSocket): void {
    const writer = new SocketWriter(socket, (bytes) => this.#options.sentBytes(this.transport, bytes))
    this.#state = { kind: 'silent', writer, stream: this.#options.newStream(this) }
  }

  onMessage(_socket: MessageSocket, data: Buffer, binary: boolean): void {
    const { received, maxFrameBytes } = this.#options
    received(this.transport, 1, data.length)
    const state = this.#state
    if (state.kind === 'connecting' || state.kind === 'ended') return
    state.writer.heard()
    if (state.kind === 'leaving') return
    const tooMany = this.#overRate()
    if (tooMany !== undefined) this.#fail('policy-violation', tooMany)
    else if (binary) this.#fail('bad-format', { code: 'malformed', reason: 'frames are text here' }, NOT_TEXT)
    else if (data.length > maxFrameBytes) {
      this.#fail('policy-violation', { code: 'too_large', reason: `a frame has at most ${maxFrameBytes} bytes` })
    } else this.#take(state, data.toString('utf8'))
  }

  onPong(): void {
    const state = this.#state
    if (state.kind === 'connecting' || state.kind === 'ended') return
    const frame = state.writer.pong()
    if (state.kind !== 'bound' && state.kind !== 'leaving') return
    if (countsOf(state.session) === undefined) state.session.ack(frame)
    if (state.kind === 'leaving' && state.writer.allReceived) this.#left(state)
  }

  onDrain(): void {
    const state = this.#state
    if (state.kind === 'connecting' || state.kind === 'ended') return
    if (!state.writer.drained()) return
    state.writer.ensurePing()
    if (state.kind === 'bound') state.session.drained(this)
  }

  onClose(): void {
    const state = this.#state
    this.#state = { kind: 'ended', session: undefined }
    switch (state.kind) {
      case 'silent':
      case 'negotiating':
      case 'resuming':
        state.stream.abandon()
        return
      case 'bound':
        // §3.6: without a `<close/>` the stream was not closed, whatever the WebSocket says.
        if (countsOf(state.session)?.resumable) state.session.detach(this)
        else state.session.close(GONE)
        return
      case 'leaving':
        state.stop()
        state.session.close(LEFT)
        return
      case 'ended':
        // It can't be resumed, so nobody will come for it.
        if (state.session?.kind === 'detached' && !countsOf(state.session)?.resumable) state.session.close(GONE)
        return
      case 'connecting':
        return
    }
  }

  // ---- StreamWire -------------------------------------------------------------------------------------------------

  send(elements: readonly string[]): void {
    const state = this.#state
    if (state.kind === 'connecting' || state.kind === 'ended') return
    if (state.writer.send(elements) === 'overrun') this.#fail('policy-violation', SLOW)
  }

  bound(session: Session): Carrier {
    const state = this.#state
    if (state.kind !== 'negotiating' && state.kind !== 'resuming') return this
    const { writer, stream } = state
    this.#state = { kind: 'bound', writer, stream, session }
    if (state.kind === 'resuming') {
      // It had asked for both at once.
      this.send([failedText('unexpected-request')])
      this.#again(state.waiting)
    }
    return this
  }

  /** Also Carrier's `end`, whose reason has the condition in it. */
  end(end: StreamEnd | CloseReason): void {
    if ('condition' in end) this.#finish(end.condition, end.reason)
    else this.#finish(conditionOf(end), end)
  }

  // ---- Carrier ----------------------------------------------------------------------------------------------------

  write(batch: readonly Delivery[]): Written {
    const state = this.#state
    if (state.kind !== 'bound' || state.writer.gone) return 'gone'
    const { session, writer } = state
    const counts = countsOf(session)
    const texts: string[] = []
    for (const delivery of batch) {
      texts.push(this.#options.render(delivery, session))
      counts?.send(delivery.number)
    }
    if (counts?.ask()) texts.push(REQUEST)
    const sent = writer.send(texts)
    // The session lets go of this socket, so it must not stay as if it had one.
    if (sent === 'overrun') this.#finish('policy-violation', SLOW)
    if (sent === 'overrun' || sent === 'gone') return 'gone'
    if (counts === undefined) writer.track(batch.at(-1)?.number ?? 0)
    return sent
  }

  ping(): Written {
    const state = this.#state
    if (state.kind === 'connecting' || state.kind === 'ended' || !state.writer.probe()) return 'gone'
    if (state.kind === 'bound' && countsOf(state.session)?.allHandled === false) state.writer.send([REQUEST])
    return 'more'
  }

  release(): void {
    this.end({ code: 'replaced', reason: 'the session goes on over another connection' })
  }

  // ---- what the client says ---------------------------------------------------------------------------------------

  #take(state: Live, text: string): void {
    const frame = readFrame(text)
    if (frame === undefined) return
    if (!(frame instanceof Element)) this.#blame(frame)
    else if (state.kind === 'resuming') {
      state.waiting.push(text)
      if (state.waiting.length > WAITING_LIMIT) this.#fail('policy-violation', { code: 'rate_limited', reason: 'too much at once' })
    } else if (frame.ns === FRAMING_NS) this.#frame(state, frame, text)
    else if (state.kind === 'silent') this.#tooEarly(frame)
    else if (frame.ns === SM_NS) this.#manage(state, frame)
    else if (frame.ns === '' || (STANZAS.has(frame.name) && frame.ns !== CLIENT_NS)) {
      // §3.3.3: each frame is complete with its namespaces.
      this.#blame({ condition: 'invalid-namespace', text: `${frame.name} is not of ${CLIENT_NS}` })
    } else this.#receive(state, frame)
  }

  #receive(state: Live, element: Element): void {
    const counts = state.kind === 'bound' && element.ns === CLIENT_NS && STANZAS.has(element.name) ? countsOf(state.session) : undefined
    this.#elements++
    const id = `${this.#name}:${this.#elements.toString(36)}`
    if (counts === undefined) {
      state.stream.receive(element, id)
      return
    }
    counts.take()
    this.#taken++
    state.stream.receive(element, id, () => this.#handled(counts))
  }

  /** What the client is told that it need not repeat has been done, not merely received: it outlives this node. */
  #handled(counts: StanzaCounts): void {
    this.#answered++
    const answer = answerText(counts.receivedBefore(this.#taken - this.#answered))
    for (; this.#questions[0] !== undefined && this.#questions[0] <= this.#answered; this.#questions.shift()) this.send([answer])
  }

  /** `<r/>`: answered when all that came before it has been. */
  #answer(counts: StanzaCounts): void {
    if (this.#answered === this.#taken) this.send([answerText(counts.received)])
    else if (this.#questions.length < QUESTIONS_LIMIT) this.#questions.push(this.#taken)
  }

  #tooEarly(element: Element): void {
    if (element.name === 'open' || element.name === 'stream')
      this.#blame({ condition: 'invalid-namespace', text: `a stream begins with <open/> of ${FRAMING_NS}` })
    else this.#blame({ condition: 'not-authorized', text: 'a stream begins with <open/>' })
  }

  #frame(state: Live, element: Element, text: string): void {
    if (element.name === 'open') this.#open(state, element, text)
    else if (element.name !== 'close') this.#blame({ condition: 'unsupported-stanza-type', text: '' })
    else if (isPrefixed(text)) this.#blame({ condition: 'bad-namespace-prefix', text: '<close/> has no prefix' })
    else this.#leave(state)
  }

  /** The beginning of a stream, or of the same anew after authentication (§3.7). */
  #open(state: Live, element: Element, text: string): void {
    const { writer, stream } = state
    if (state.kind !== 'silent' && (state.kind !== 'negotiating' || stream.user === undefined)) {
      this.#blame({ condition: 'policy-violation', text: 'the stream is open' })
      return
    }
    const header = readOpen(element, text, this.#options.domain)
    if ('condition' in header) {
      // So that another header precedes the error only when there was none.
      this.#blame(header)
      return
    }
    writer.send([openText(this.#options.domain, header.from)])
    this.#state = { kind: 'negotiating', writer, stream }
    if (state.kind === 'silent' && this.#redirects()) {
      stream.abandon()
      this.#finish('', { code: 'done', reason: 'clients are served elsewhere' }, { close: redirectText(this.#options.seeOtherUri) })
    } else stream.open(header)
  }

  /** §3.6.1: never to where there is less security. */
  #redirects(): boolean {
    const scheme = /^(wss?):\/\/./i.exec(this.#options.seeOtherUri)?.[1]?.toLowerCase()
    return scheme === 'wss' || (scheme === 'ws' && !this.secure)
  }

  #leave(state: Live): void {
    const { writer, stream } = state
    if (state.kind === 'bound' && countsOf(state.session) === undefined && !writer.allReceived) {
      writer.ensurePing()
      const { session } = state
      const stop = this.#options.clock.after(LEAVING_MS, () => {
        if (this.#state.kind === 'leaving') this.#left(this.#state)
      })
      this.#state = { kind: 'leaving', writer, stream, session, stop }
      return
    }
    stream.close()
    this.#finish('', LEFT)
  }

  #left({ stream }: Live): void {
    stream.close()
    this.#finish('', LEFT)
  }

  // ---- stream management ------------------------------------------------------------------------------------------

  #manage(state: Live, element: Element): void {
    switch (element.name) {
      case 'enable':
        this.#enable(state, element)
        return
      case 'resume':
        this.#resume(state, element)
        return
      case 'r':
      case 'a':
        break
      default:
        this.#blame({ condition: 'unsupported-stanza-type', text: '' })
        return
    }
    const counts = state.kind === 'bound' ? countsOf(state.session) : undefined
    if (state.kind !== 'bound' || counts === undefined) this.send([failedText('unexpected-request')])
    else if (element.name === 'r') this.#answer(counts)
    else this.#acknowledge(state.session, counts, element)
  }

  #enable(state: Live, element: Element): void {
    const session = state.kind === 'bound' ? state.session : undefined
    if (session?.xmpp === undefined || session.xmpp.management !== undefined) {
      this.send([failedText('unexpected-request')])
      return
    }
    const { xmpp } = session
    const id = isTrue(element.attribute('resume')) ? session.id : ''
    this.send([enabledText(id, this.#options.resumeSeconds)])
    xmpp.management = new StanzaCounts(id, session.lastSent)
  }

  #acknowledge(session: Session, counts: StanzaCounts, element: Element): void {
    const handled = countOf(element)
    if (handled === undefined) {
      this.#blame({ condition: 'invalid-xml', text: '`h` is a count' })
      return
    }
    const before = counts.allHandled
    const outcome = counts.acknowledge(handled)
    switch (outcome.kind) {
      case 'frame':
        session.ack(outcome.frame)
        // What was written since the client was asked.
        if (!before && counts.ask()) this.send([REQUEST])
        return
      case 'too-high':
        this.#tooHigh(handled, counts.sent)
        return
      case 'earlier':
        return
    }
  }

  #tooHigh(handled: number, sent: number | undefined): void {
    const reason: CloseReason = { code: 'malformed', reason: 'more stanzas were acknowledged than sent' }
    this.#fail('undefined-condition', reason, undefined, tooHigh(handled, sent))
  }

  #resume(state: Live, element: Element): void {
    const { writer, stream } = state
    const { user } = stream
    if (state.kind !== 'negotiating' || user === undefined) {
      this.send([failedText('unexpected-request')])
      return
    }
    const previous = element.attribute('previd')
    const handled = countOf(element)
    if (previous === '' || handled === undefined) {
      this.send([failedText('bad-request')])
      return
    }
    const waiting: string[] = []
    this.#state = { kind: 'resuming', writer, stream, waiting }
    const { transport, ip } = this
    this.#options
      .resume({ user, previous, handled, expiresAtMs: stream.expiresAtMs, transport, ip })
      .then((resumed) => this.#resumed(resumed, previous, handled))
      .catch((error) => {
        this.#options.onError(error, 'resuming an XMPP session')
        this.#failed('internal-server-error')
      })
  }

  #resumed(resumed: Resumed, previous: string, handled: number): void {
    if (resumed.kind === 'refused') {
      this.#options.refused(this.transport, resumed.reason)
      if (resumed.reason.code === 'malformed' && this.#state.kind === 'resuming') this.#tooHigh(handled, undefined)
      else this.#failed(failureOf(resumed.reason))
      return
    }
    const { session, seen, management } = resumed
    const { xmpp } = session
    const state = this.#state
    const counts = management === undefined ? countsOf(session) : StanzaCounts.decode(management)
    if (counts === undefined || xmpp === undefined || session.kind === 'closed') {
      if (management !== undefined) session.close({ code: 'internal', reason: 'what another node counted can not be read' })
      this.#failed('item-not-found')
      return
    }
    // One that came from another node waits for its client even if that has gone again. One of here may be carried yet.
    if (management !== undefined) xmpp.management = counts
    if (management !== undefined || state.kind === 'resuming') counts.resume(handled, seen)
    if (state.kind !== 'resuming') return
    const { writer, stream, waiting } = state
    stream.resumed(session)
    this.#state = { kind: 'bound', writer, stream, session }
    this.send([resumedText(previous, counts.received)])
    session.attach(this, seen, undefined)
    // XEP-0352 §5: what is held back is not, until the client says so again.
    session.clientState('active')
    this.#again(waiting)
  }

  /** The session is not there; the client may bind another one. */
  #failed(condition: Failure): void {
    const state = this.#state
    if (state.kind !== 'resuming') return
    const { writer, stream, waiting } = state
    this.#state = { kind: 'negotiating', writer, stream }
    this.send([failedText(condition)])
    this.#again(waiting)
  }

  #again(waiting: readonly string[]): void {
    for (const text of waiting) {
      const state = this.#state
      if (state.kind === 'connecting' || state.kind === 'ended' || state.kind === 'leaving') return
      this.#take(state, text)
    }
  }

  // ---- the end ----------------------------------------------------------------------------------------------------

  #overRate(): CloseReason | undefined {
    const { frameRate, clock } = this.#options
    this.#rate ??= new TokenBucket(frameRate, clock.now())
    const retryAfterMs = this.#rate.take(frameRate, 1, clock.now())
    return retryAfterMs === 0
      ? undefined
      : { code: 'rate_limited', reason: `more than ${frameRate.perSecond} frames a second`, retryAfterMs }
  }

  #blame({ condition, text }: Fault): void {
    this.#fail(condition, { code: condition === 'host-unknown' ? 'not_found' : 'malformed', reason: text })
  }

  /** The client has broken the rules: stream errors are final, for the session too. */
  #fail(condition: string, reason: CloseReason, closeCode?: number, detail?: Element): void {
    const state = this.#state
    this.#finish(condition, reason, { closeCode, detail })
    if (state.kind === 'bound' || state.kind === 'leaving') state.session.close({ ...reason, streamError: condition })
    else if (state.kind !== 'connecting' && state.kind !== 'ended') {
      state.stream.abandon()
      this.#options.refused(this.transport, reason)
    }
  }

  #finish(condition: string, reason: CloseReason, last: Last = {}): void {
    const state = this.#state
    if (state.kind === 'ended') return
    const isBound = state.kind === 'bound' || state.kind === 'leaving'
    this.#state = { kind: 'ended', session: isBound ? state.session : undefined }
    if (state.kind === 'connecting') return
    if (state.kind === 'leaving') state.stop()
    // §3.5: a header comes before the error.
    const header = state.kind === 'silent' ? [openText(this.#options.domain, '')] : []
    const error = condition === '' ? [] : [streamErrorText(condition, reason.reason, last.detail)]
    state.writer.close([...header, ...error, last.close ?? CLOSE], last.closeCode ?? closeCodeOf(reason), reason.reason)
  }
}

interface Last {
  readonly close?: string | undefined
  readonly closeCode?: number | undefined
  readonly detail?: Element | undefined
}

const LEFT: CloseReason = { code: 'done', reason: 'the client ended the stream' }
const GONE: CloseReason = { code: 'done', reason: 'the connection of the client has ended' }
const SLOW: CloseReason = { code: 'slow_consumer', reason: 'more was waiting for the client than it may' }

function countsOf({ xmpp }: Session): StanzaCounts | undefined {
  return xmpp?.management instanceof StanzaCounts ? xmpp.management : undefined
}

function failureOf({ code }: CloseReason): Failure {
  if (code === 'unknown_session' || code === 'replaced' || code === 'forbidden') return 'item-not-found'
  return code === 'internal' ? 'internal-server-error' : 'resource-constraint'
}
