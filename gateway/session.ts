// The session: what a client has with Holdwire, whichever connection carries it at the moment. Holds the outbox, knows its
// carrier, outlives it. Everything here runs to its end without waiting; nothing here knows a socket, the bus or a timer.
//
//   attached{carrier} ⇄ detached{until} → closed{reason}

import type { v1 } from '../proto/messages.js'
import type { Carrier, Delivery, Transport } from './carrier.js'
import type { CloseReason } from './close-reason.js'
import { Outbound } from './outbound.js'
import { Outbox, type OutboxLimits } from './outbox.js'
import type { TokenBucket } from './token-bucket.js'
import type { Uplink } from './uplink.js'
import type { XmppSession } from './xmpp-session.js'

export interface SessionLimits extends OutboxLimits {
  readonly pingMs: number
  /** How long a session waits for its client to come back. */
  readonly resumeMs: number
}

/** What a session tells its surroundings. Called from inside session methods; must not call back into the session. */
export interface SessionHost {
  readonly limits: SessionLimits
  now(): number
  /** Call `session.pump()` once at the end of this tick. */
  markDirty(session: Session): void
  /** `session.deadlineMs` has become earlier. */
  schedule(session: Session): void
  attached(session: Session, transport: Transport): void
  detached(session: Session, transport: Transport): void
  /** Frames were handed to the engine. */
  written(transport: Transport, batch: readonly Delivery[]): void
  /** The client handled everything up to this position; `publishedAtMs` of the last message among it (0: none). */
  acknowledged(session: Session, inbox: number, publishedAtMs: number): void
  /** The session of an XMPP client takes what is sent to its user from now on: the inbox has to be read. */
  receptive(session: Session): void
  /** There is room in the outbox again. */
  roomy(session: Session): void
  /** Exactly once. */
  closed(session: Session, reason: CloseReason): void
}

/** The user as the session sees it: shared by all sessions of a user on this node. */
export interface SessionUser {
  readonly user: string
  /** As in cursors of this user. */
  readonly tag: string
  /** `<tag>.<epoch>.`: how cursors of this user begin. */
  readonly cursorPrefix: string
  /** Of the inbox. */
  readonly epoch: string
  /** End of the inbox, as far as this node knows. */
  readonly tail: number
}

export interface SessionOptions {
  readonly owner: SessionUser
  /** Public name: `<node>.<number>`. */
  readonly ref: string
  /** The unguessable part of the session id. */
  readonly secret: string
  readonly device: string
  readonly sinceMs: number
  readonly expiresAtMs: number
  /** Inbox position the session starts after. */
  readonly inbox: number
  /** Of a session taken over from another node: number of the frame its client is at. */
  readonly base: number
  /** Of an XMPP client. */
  readonly xmpp?: XmppSession
}

type State =
  | { readonly kind: 'attached'; readonly carrier: Carrier; writable: boolean; pingAtMs: number; greeting: Outbound | undefined }
  | { readonly kind: 'detached'; readonly untilMs: number }
  | { readonly kind: 'closed'; readonly reason: CloseReason }

/** How much is encoded and handed to the engine at a time. */
const BATCH_BYTES = 256 * 1024

export class Session {
  readonly owner: SessionUser
  readonly ref: string
  readonly secret: string
  readonly device: string
  readonly sinceMs: number
  /** When the token ends, in milliseconds since the epoch. */
  expiresAtMs: number
  /** What this session says of itself; kept by the c2s worker, known here to answer probes. */
  status = 'offline'
  note = ''
  /** Of the carrier it has or had last. */
  transport: Transport | undefined = undefined
  /** Where the wheel has it; see wheel.ts. */
  scheduledAtMs = Number.POSITIVE_INFINITY
  /** The hub's note that it will pump this session at the end of the tick. */
  pumpQueued = false
  /** Counts the clients that came back to it: of several at once the last one counts. */
  returns = 0
  /** What the client sends goes through here. Set once, right after the session was made. */
  uplink: Uplink | undefined = undefined
  /** Of an XMPP client. */
  readonly xmpp: XmppSession | undefined
  /** Called when the worker's context has changed: what another node would need to go on. */
  onContext: (() => void) | undefined = undefined
  /** How much its client may still say; made with the first frame. */
  rate: TokenBucket | undefined = undefined
  readonly #host: SessionHost
  readonly #outbox: Outbox
  #state: State
  /** Position of the last inbox message taken into the outbox. */
  #inbox: number
  /** Live: durable messages are taken as they come. Else history is being read and comes first. */
  #live = false
  #deadlineMs = Number.POSITIVE_INFINITY

  constructor(host: SessionHost, options: SessionOptions) {
    this.#host = host
    this.xmpp = options.xmpp
    this.owner = options.owner
    this.ref = options.ref
    this.secret = options.secret
    this.device = options.device
    this.sinceMs = options.sinceMs
    this.expiresAtMs = options.expiresAtMs
    this.#inbox = options.inbox
    this.#outbox = new Outbox(host.limits, options.base, options.inbox)
    this.#state = { kind: 'detached', untilMs: host.now() + host.limits.resumeMs }
    this.#reschedule()
  }

  /** What the client is given to name its session: a secret. */
  get id(): string {
    return `${this.ref}.${this.secret}`
  }

  get kind(): State['kind'] {
    return this.#state.kind
  }

  get closeReason(): CloseReason | undefined {
    return this.#state.kind === 'closed' ? this.#state.reason : undefined
  }

  get inbox(): number {
    return this.#inbox
  }

  get live(): boolean {
    return this.#live
  }

  get deadlineMs(): number {
    return this.#deadlineMs
  }

  get outboxBytes(): number {
    return this.#outbox.bytes
  }

  /** Of them, those not sent yet. */
  get waitingBytes(): number {
    return this.#outbox.waitingBytes
  }

  get hasRoom(): boolean {
    return this.#outbox.hasRoom
  }

  /** Number of the last frame there is, and of the last one acknowledged. */
  get lastFrame(): number {
    return this.#outbox.last
  }

  get base(): number {
    return this.#outbox.base
  }

  /** The cursor of a frame number at an inbox position. */
  cursorAt(number: number, inbox: number): string {
    return `${this.owner.cursorPrefix}${inbox.toString(36)}.${this.ref}.${number.toString(36)}`
  }

  /** The cursor of the last frame acknowledged: what a client has that has seen nothing since. */
  get cursor(): string {
    return this.cursorAt(this.#outbox.base, this.#outbox.baseInbox)
  }

  // ---- from the bus -----------------------------------------------------------------------------------------------

  /** A frame that is not from the inbox. */
  deliver(outbound: Outbound): void {
    const { xmpp } = this
    if (xmpp === undefined) {
      if (!outbound.isForXmppOnly) this.#push(outbound, false)
      return
    }
    const taking = xmpp.takes(outbound)
    if (taking === 'now') for (const held of xmpp.release()) this.#push(held, false)
    if (taking === 'later') for (const held of xmpp.holdBack(outbound)) this.#push(held, false)
    else if (taking === 'now') this.#push(outbound, false)
  }

  /** A stanza of the server for just this session. */
  tell(xml: Uint8Array): void {
    this.#push(new Outbound({ stanza: { xml } }), false)
  }

  /** A message that has just been stored. Dropped while history is being read: it will be read too. */
  durable(inbox: number, outbound: Outbound): void {
    const { xmpp } = this
    if (!this.#live) {
      if (xmpp !== undefined && !xmpp.receptive && xmpp.takesDirectly(outbound)) this.#takeDirectly(xmpp, inbox, outbound)
      return
    }
    if (inbox <= this.#inbox) return
    this.#inbox = inbox
    this.deliver(outbound)
  }

  /** A message read from the inbox. */
  history(inbox: number, outbound: Outbound | undefined): void {
    this.#inbox = inbox
    if (outbound === undefined) return
    if (this.xmpp === undefined ? !outbound.isForXmppOnly : this.xmpp.takesStored(inbox, outbound)) this.#push(outbound, true)
  }

  /** What the worker says of the session of an XMPP client. */
  show(shown: v1.XmppShown): void {
    const { xmpp } = this
    if (xmpp === undefined) return
    const before = xmpp.receptive
    xmpp.show(shown, this.owner.tail, this.#host.now())
    if (before === xmpp.receptive) return
    this.#live = false
    if (!before) this.#host.receptive(this)
  }

  /** XEP-0352. */
  clientState(state: 'active' | 'inactive'): void {
    if (state === 'inactive') this.xmpp?.inactive()
    else for (const held of this.xmpp?.active() ?? []) this.#push(held, false)
  }

  /** History has to be read before the session is live. */
  get isBehind(): boolean {
    return !this.#live && this.#state.kind !== 'closed' && (this.xmpp === undefined || this.xmpp.receptive)
  }

  /** History is read up to `inbox`; from here on messages are taken as they come. Call only when nothing lies between. */
  goLive(inbox: number): void {
    this.#inbox = Math.max(inbox, this.#inbox)
    this.#live = true
  }

  /** The inbox was made anew: its positions start again. */
  inboxReset(): void {
    this.#inbox = 0
    this.#outbox.resetPositions()
    this.xmpp?.inboxReset()
  }

  // ---- from transports --------------------------------------------------------------------------------------------

  /**
   * Whether a client at `frame` can be served from here (else call `restart`). The inbox must be read again if not.
   */
  holdsAfter(frame: number): boolean {
    return this.#outbox.holdsAfter(frame)
  }

  /**
   * The client is at `frame` and `inbox`, which is further back than the outbox: history is read again from there.
   * False: frames that are not in the inbox are lost.
   */
  restart(frame: number, inbox: number): boolean {
    this.#inbox = inbox
    this.#live = false
    return this.#outbox.forgetDurable(frame, inbox)
  }

  /**
   * Goes on over this carrier, from after frame `seen` on (which acknowledges everything up to it). `greeting` is sent
   * first, without a number of its own. An older carrier is released.
   */
  attach(carrier: Carrier, seen: number, greeting: Outbound | undefined): void {
    const state = this.#state
    if (state.kind === 'closed') {
      carrier.end(state.reason)
      return
    }
    this.release()
    this.ack(seen)
    this.#outbox.rewind(this.#outbox.base)
    this.transport = carrier.transport
    // A carrier that expires is held for its own time: its client is waiting, and asks again when it wants to know.
    const pingAtMs = Number.isFinite(carrier.expiresAtMs) ? Number.POSITIVE_INFINITY : this.#host.now() + this.#host.limits.pingMs
    this.#state = { kind: 'attached', carrier, writable: true, pingAtMs, greeting }
    this.#host.attached(this, carrier.transport)
    this.#reschedule()
    this.pump()
  }

  /** Another connection is about to take over: nothing is written to the old one any more. */
  release(): void {
    const state = this.#state
    if (state.kind !== 'attached') return
    state.carrier.release()
    this.detach(state.carrier)
  }

  /** The carrier has ended. Anyone but the current one changes nothing. */
  detach(carrier: Carrier): void {
    const state = this.#state
    if (state.kind !== 'attached' || state.carrier !== carrier) return
    this.#state = { kind: 'detached', untilMs: this.#host.now() + this.#host.limits.resumeMs }
    this.#host.detached(this, carrier.transport)
    this.#reschedule()
  }

  isCarriedBy(carrier: Carrier): boolean {
    return this.#state.kind === 'attached' && this.#state.carrier === carrier
  }

  /** The carrier can be written to again. */
  drained(carrier: Carrier): void {
    const state = this.#state
    if (state.kind !== 'attached' || state.carrier !== carrier) return
    state.writable = true
    this.pump()
  }

  /** The carrier can take nothing until it has drained: what comes meanwhile waits in the outbox. May be called from inside `write`. */
  congested(carrier: Carrier): void {
    const state = this.#state
    if (state.kind === 'attached' && state.carrier === carrier) state.writable = false
  }

  /** The client handled everything up to frame `number`. */
  ack(number: number): void {
    const outbox = this.#outbox
    if (number <= outbox.base || number > outbox.last) return
    const publishedAtMs = outbox.publishedAtMs(number)
    outbox.acknowledge(number)
    this.#host.acknowledged(this, outbox.baseInbox, publishedAtMs)
    if (outbox.hasRoom) this.#host.roomy(this)
  }

  /** The token was refreshed. */
  extend(expiresAtMs: number): void {
    this.expiresAtMs = expiresAtMs
    this.#reschedule()
  }

  /** Ends the carrier, but not the session. */
  disconnect(reason: CloseReason): void {
    const state = this.#state
    if (state.kind !== 'attached') return
    state.carrier.end(reason)
    this.detach(state.carrier)
  }

  // ---- from the hub -----------------------------------------------------------------------------------------------

  /** Hands what waits to the carrier. */
  pump(): void {
    const state = this.#state
    if (state.kind !== 'attached' || !state.writable) return
    for (;;) {
      const batch = this.#nextBatch(state.greeting)
      if (batch.length === 0) return
      state.greeting = undefined
      const written = state.carrier.write(batch)
      if (written !== 'gone') this.#host.written(state.carrier.transport, batch)
      if (this.#outbox.hasRoom) this.#host.roomy(this)
      switch (written) {
        case 'more':
          if (this.#outbox.waiting === 0) return
          continue
        case 'full':
          state.writable = false
          return
        case 'spent':
        case 'gone':
          this.detach(state.carrier)
          return
      }
    }
  }

  /** The deadline has passed. */
  tick(nowMs: number): void {
    const state = this.#state
    if (state.kind === 'closed') return
    if (nowMs >= this.expiresAtMs) {
      this.close({ code: 'token_expired', reason: 'the token has expired' })
      return
    }
    if (state.kind === 'detached') {
      if (nowMs >= state.untilMs) this.close({ code: 'unknown_session', reason: 'the client did not come back', cause: 'expired' })
      else this.#reschedule()
      return
    }
    const { carrier } = state
    if (nowMs < state.pingAtMs && nowMs < carrier.expiresAtMs) {
      this.#reschedule()
      return
    }
    switch (carrier.ping()) {
      case 'more':
      case 'full':
        state.pingAtMs = nowMs + this.#host.limits.pingMs
        this.#reschedule()
        return
      case 'spent':
        this.detach(carrier)
        return
      case 'gone':
        carrier.end({ code: 'done', reason: 'no sign of life' })
        this.detach(carrier)
        return
    }
  }

  /** Ends the session for good. */
  close(reason: CloseReason): void {
    const state = this.#state
    if (state.kind === 'closed') return
    this.#state = { kind: 'closed', reason }
    this.#deadlineMs = Number.POSITIVE_INFINITY
    if (state.kind === 'attached') {
      state.carrier.end(reason)
      this.#host.detached(this, state.carrier.transport)
    }
    this.#host.closed(this, reason)
  }

  // ---- between nodes ----------------------------------------------------------------------------------------------

  /** See Outbox.notDurableAfter. */
  notDurableAfter(frame: number, limitBytes: number): { readonly frames: readonly Outbound[]; readonly complete: boolean } {
    return this.#outbox.notDurableAfter(frame, limitBytes)
  }

  /** Position in the inbox as of a frame that is still here, or the last one acknowledged. */
  inboxAt(frame: number): number {
    return this.#outbox.inboxAt(frame)
  }

  /** Frames that were not acknowledged, sent or not. */
  unacknowledged(): readonly Outbound[] {
    return this.#outbox.unacknowledged()
  }

  /** Number of the last frame that was written. */
  get lastSent(): number {
    return this.#outbox.sent
  }

  /** A frame that waited at another node, whatever its number was there. */
  takeOver(outbound: Outbound): void {
    this.#push(outbound, true)
  }

  // -----------------------------------------------------------------------------------------------------------------

  #push(outbound: Outbound, fromHistory: boolean): void {
    if (this.#state.kind === 'closed') return
    if (!this.#outbox.push(outbound, this.#inbox, fromHistory)) {
      this.close({ code: 'slow_consumer', reason: 'more was waiting for the client than it may' })
      return
    }
    if (this.#state.kind === 'attached' && this.#state.writable) this.#host.markDirty(this)
  }

  #takeDirectly(xmpp: XmppSession, inbox: number, outbound: Outbound): void {
    this.#push(outbound, false)
    xmpp.tookDirectly(this.#outbox.last, inbox, this.#outbox.base)
  }

  #nextBatch(greeting: Outbound | undefined): readonly Delivery[] {
    const first = greeting === undefined ? undefined : { outbound: greeting, cursor: this.cursor, number: 0, inbox: this.#outbox.baseInbox }
    const batch = this.#outbox.take(BATCH_BYTES, this.#host.now())
    for (const one of batch) {
      // XMPP has no cursors: positions travel as stanza ids and counts.
      if (this.xmpp === undefined) one.cursor = this.cursorAt(one.number, one.inbox)
      else one.inbox = this.xmpp.inboxOf(one.number) ?? one.inbox
    }
    return first === undefined ? batch : [first, ...batch]
  }

  #reschedule(): void {
    const state = this.#state
    const next =
      state.kind === 'attached'
        ? Math.min(state.pingAtMs, state.carrier.expiresAtMs)
        : state.kind === 'detached'
          ? state.untilMs
          : Number.POSITIVE_INFINITY
    this.#deadlineMs = Math.min(next, this.expiresAtMs)
    if (this.#deadlineMs < this.scheduledAtMs) this.#host.schedule(this)
  }
}
