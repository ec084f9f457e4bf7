// One stream of a BOSH session (XEP-0124 §16): the wire of its negotiation, and afterwards the carrier of its session for as
// long as that lives. The held requests belong to the BOSH session; nothing is written but into one of them.

import type { Carrier, Delivery, Written } from '../../gateway/carrier.js'
import type { CloseReason } from '../../gateway/close-reason.js'
import type { Session } from '../../gateway/session.js'
import type { Element } from '../../proto/xml/element.js'
import type { Stream, StreamEnd, StreamHeader, StreamWire } from '../xmpp/wire.js'
import { type Ending, endingOf } from './terminate.js'

/** The BOSH session as its streams see it. */
export interface StreamOwner {
  readonly ip: string
  readonly secure: boolean
  /** Answers requests with what the stream has, as far as it may now. True: more would find a request too. */
  offer(stream: BoshStream): boolean
  /** `payload`: what it had to say yet. */
  streamEnded(stream: BoshStream, ending: Ending, payload: string): void
  streamBound(stream: BoshStream): void
  render(delivery: Delivery, session: Session): string
}

/** Elements for one response, and the number of the last frame among them (0: no frames). */
export interface Payload {
  readonly text: string
  readonly frame: number
}

type State =
  | { readonly kind: 'negotiating'; readonly stream: Stream | undefined }
  | { readonly kind: 'bound'; readonly stream: Stream | undefined; readonly session: Session }
  | { readonly kind: 'ended' }

/** Elements that wait for a request before there is a session. */
const ELEMENTS_LIMIT = 256

export class BoshStream implements StreamWire, Carrier {
  readonly transport = 'bosh'
  /** Held requests have deadlines of their own. */
  readonly expiresAtMs = Number.POSITIVE_INFINITY
  readonly name: string
  /** How many streams the session had before it: 0 is the first. */
  readonly ordinal: number
  readonly #owner: StreamOwner
  #state: State = { kind: 'negotiating', stream: undefined }
  #elements: string[] = []
  /** Frames that were handed over when no request was there: right after the session was bound, or a client that had just gone. */
  #batch: readonly Delivery[] = NOTHING
  /** The last frame that is in a response. */
  #sent = 0

  constructor(owner: StreamOwner, name: string, ordinal: number, elements: readonly string[] = []) {
    this.#owner = owner
    this.name = name
    this.ordinal = ordinal
    this.#elements.push(...elements)
  }

  /** Once, right after it was made. */
  begin(stream: Stream): void {
    const state = this.#state
    if (state.kind === 'ended') stream.abandon()
    else this.#state = { ...state, stream }
  }

  get ip(): string {
    return this.#owner.ip
  }

  get secure(): boolean {
    return this.#owner.secure
  }

  get stream(): Stream | undefined {
    return this.#state.kind === 'ended' ? undefined : this.#state.stream
  }

  get session(): Session | undefined {
    return this.#state.kind === 'bound' ? this.#state.session : undefined
  }

  /** What waits from before there was a session. */
  get elements(): readonly string[] {
    return this.#elements
  }

  get hasPayload(): boolean {
    return this.#elements.length > 0 || this.#batch.length > 0
  }

  // ---- from the BOSH session --------------------------------------------------------------------------------------

  /** The header of the stream, or of its restart. */
  open(header: StreamHeader): void {
    this.stream?.open(header)
  }

  receive(element: Element, id: string): void {
    this.stream?.receive(element, id)
  }

  idle(): Promise<void> | undefined {
    return this.stream?.idle()
  }

  /** A request is there to be answered: what waits in the outbox may come. */
  drain(): void {
    this.session?.drained(this)
  }

  /** No request is there. */
  congest(): void {
    this.session?.congested(this)
  }

  /** What waits here, which now goes into a response. */
  take(): Payload {
    let text = ''
    if (this.#elements.length > 0) {
      text = this.#elements.join('')
      this.#elements = []
    }
    const state = this.#state
    if (state.kind !== 'bound' || this.#batch.length === 0) return { text, frame: 0 }
    for (const delivery of this.#batch) {
      text += this.#owner.render(delivery, state.session)
      this.#sent = Math.max(this.#sent, delivery.number)
    }
    this.#batch = NOTHING
    return { text, frame: this.#sent }
  }

  /** The client has every response up to one with this frame. */
  acknowledged(frame: number): void {
    this.session?.ack(frame)
  }

  /** Whatever is in a response counts as received. */
  acknowledgeSent(): void {
    if (this.#sent > 0) this.session?.ack(this.#sent)
  }

  /** The client has ended it. */
  close(): void {
    this.#leave()?.close()
  }

  /** The client is gone, or has broken the rules. */
  abandon(reason: CloseReason): void {
    const { session } = this
    const stream = this.#leave()
    if (session === undefined) stream?.abandon()
    else session.close(reason)
  }

  /** Its session goes on at another node: whatever becomes of the one here is no news. */
  forsake(): void {
    const { session } = this
    const stream = this.#leave()
    if (session === undefined) stream?.abandon()
  }

  // ---- StreamWire -------------------------------------------------------------------------------------------------

  send(elements: readonly string[]): void {
    if (this.#state.kind === 'ended') return
    if (this.#elements.length + elements.length > ELEMENTS_LIMIT) {
      this.#end(endingOf({ code: 'slow_consumer', reason: 'more was waiting for the client than it may' }, ''))
      return
    }
    this.#elements.push(...elements)
    this.#owner.offer(this)
  }

  /** Also StreamWire's `end`, whose reason comes with a condition. */
  end(end: StreamEnd | CloseReason): void {
    if (this.#state.kind === 'ended') return
    this.#end('condition' in end ? endingOf(end.reason, end.condition) : endingOf(end, end.streamError ?? ''))
  }

  bound(session: Session): Carrier {
    const state = this.#state
    if (state.kind !== 'ended') {
      this.#state = { kind: 'bound', stream: state.stream, session }
      this.#owner.streamBound(this)
    }
    return this
  }

  changed(): void {
    this.#owner.streamBound(this)
  }

  // ---- Carrier ----------------------------------------------------------------------------------------------------

  write(batch: readonly Delivery[]): Written {
    if (this.#state.kind !== 'bound') return 'gone'
    this.#batch = this.#batch.length === 0 ? batch : [...this.#batch, ...batch]
    return this.#owner.offer(this) ? 'more' : 'full'
  }

  /** The client asks again within its `wait`, or is gone. */
  ping(): Written {
    return 'more'
  }

  release(): void {
    this.end({ code: 'replaced', reason: 'the session goes on over another connection' })
  }

  // -----------------------------------------------------------------------------------------------------------------

  #end(ending: Ending): void {
    const { session } = this
    const payload = this.#elements.join('')
    const stream = this.#leave()
    if (session === undefined) stream?.abandon()
    this.#owner.streamEnded(this, ending, payload)
  }

  #leave(): Stream | undefined {
    const { stream } = this
    this.#state = { kind: 'ended' }
    this.#elements = []
    this.#batch = NOTHING
    return stream
  }
}

const NOTHING: readonly Delivery[] = []
