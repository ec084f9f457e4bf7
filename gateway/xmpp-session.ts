// What a session of an XMPP client has beyond any other: its resource, what it takes of what is sent to its user, and what is
// held back while its client is inactive (XEP-0352).
//
// A session whose client has sent presence with a priority of 0 or more is *receptive*: it gets what is sent to the user, from
// the inbox on, like any session. Another one gets live only what is sent to its own resource (RFC 6121 §8.5.3), and what
// was taken that way is left out when the inbox is read later.

import { v1 } from '../proto/messages.js'
import type { Outbound } from './outbound.js'
import type { StreamManagement } from './stream-management.js'

/** `later`: presence, while the client is inactive. */
export type Taking = 'now' | 'later' | 'no'

/** How far the inbox was handled when the session began: what was sent to the user, and what was sent to this resource. */
export interface XmppPositions {
  readonly shared: number
  readonly own: number
}

export interface XmppSessionOptions {
  readonly resource: string
  /** The server made the resource up: its client will not come back under it. */
  readonly generated: boolean
  /** `xml:lang` of the stream. */
  readonly language: string
  readonly positions: XmppPositions
  /** End of the inbox as the session begins. */
  readonly tail: number
}

/** A stretch of the inbox in which what was sent to the resource was taken live. */
interface Stretch {
  readonly from: number
  to: number
}

/** A frame that was taken live, out of the order of the inbox. */
interface Ahead {
  readonly number: number
  readonly inbox: number
}

const HELD_BACK_LIMIT = 1000
const NOT_SHOWN = v1.XmppShown.create({})

export class XmppSession {
  readonly resource: string
  readonly generated: boolean
  readonly language: string
  /** XEP-0198, once the client has enabled it. */
  management: StreamManagement | undefined = undefined
  /** When the session became receptive, in milliseconds since the epoch: what was sent before is delayed (XEP-0203). */
  receptiveSinceMs = 0
  positions: XmppPositions
  #stretches: Stretch[]
  #ahead: Ahead[] = []
  #ownHandled: number
  #shown: v1.XmppShown = NOT_SHOWN
  /** While the client is inactive: the latest presence of each address. */
  #heldBack: Map<string, Outbound> | undefined = undefined

  constructor({ resource, generated, language, positions, tail }: XmppSessionOptions) {
    this.resource = resource
    this.generated = generated
    this.language = language
    this.positions = positions
    this.#ownHandled = positions.own
    this.#stretches = [{ from: tail, to: Number.POSITIVE_INFINITY }]
  }

  get shown(): v1.XmppShown {
    return this.#shown
  }

  get receptive(): boolean {
    return this.#shown.available && this.#shown.priority >= 0
  }

  /** `tail`: end of the inbox now. */
  show(shown: v1.XmppShown, tail: number, nowMs: number): void {
    const before = this.receptive
    this.#shown = shown
    if (before === this.receptive) return
    const last = this.#stretches.at(-1)
    if (before) {
      // Whoever goes and comes while nothing is sent leaves no trace.
      if (last?.to === tail) last.to = Number.POSITIVE_INFINITY
      else this.#stretches.push({ from: tail, to: Number.POSITIVE_INFINITY })
    } else {
      if (last !== undefined) last.to = tail
      this.receptiveSinceMs = nowMs
    }
  }

  /** Of what comes live. Durable messages only while the session is live. */
  takes(outbound: Outbound): Taking {
    const { frame, resource, sent, kind } = outbound
    const { available, interested, carbons, blocklist } = this.#shown
    if (frame.roster != null && outbound.xml === undefined) {
      const isWanted = frame.roster.op === 'request' ? available : interested
      return isWanted && (resource === '' || resource === this.resource) ? 'now' : 'no'
    }
    // About subscriptions: who waits for it should not wait longer.
    if (outbound.isSubscription) return available ? 'now' : 'no'
    if (kind === 'presence') return available && (resource === '' || resource === this.resource) ? this.#presence() : 'no'
    if (sent) return carbons && resource !== this.resource && !outbound.uncopied ? 'now' : 'no'
    if (resource === this.resource) return 'now'
    if (resource !== '') return carbons && kind === 'message' && !outbound.uncopied ? 'now' : 'no'
    if (kind === 'message') return this.receptive ? 'now' : 'no'
    return kind === 'iq' && blocklist ? 'now' : 'no'
  }

  /** Of what comes live while the session is not receptive. */
  takesDirectly({ resource, sent }: Outbound): boolean {
    return resource === this.resource && !sent
  }

  /** Of what is read from the inbox. */
  takesStored(inbox: number, { resource, sent, kind }: Outbound): boolean {
    if (sent || kind !== 'message') return false
    if (resource === '') return inbox > this.positions.shared
    if (resource !== this.resource || inbox <= this.positions.own) return false
    // The inbox is read from its beginning to its end.
    while (this.#stretches[0] !== undefined && this.#stretches[0].to < inbox) this.#stretches.shift()
    return !this.#stretches.some(({ from, to }) => inbox > from && inbox <= to)
  }

  /** Frame `number` is the message at `inbox`, taken directly. `base`: what is not kept any more. */
  tookDirectly(number: number, inbox: number, base: number): void {
    while (this.#ahead[0] !== undefined && this.#ahead[0].number <= base) this.#ahead.shift()
    this.#ahead.push({ number, inbox })
  }

  /** The inbox was made anew: no position of before means anything in it. */
  inboxReset(): void {
    this.positions = { shared: 0, own: 0 }
    this.#ownHandled = 0
    this.#ahead = []
    this.#stretches = this.receptive ? [] : [{ from: 0, to: Number.POSITIVE_INFINITY }]
  }

  /** Position of the message that is frame `number` if it was taken directly. */
  inboxOf(number: number): number | undefined {
    return this.#ahead.find((ahead) => ahead.number === number)?.inbox
  }

  /** Everything up to frame `number` was handled. The position up to which what was sent to this resource is. */
  handledDirectly(number: number): number {
    while (this.#ahead[0] !== undefined && this.#ahead[0].number <= number) {
      this.#ownHandled = Math.max(this.#ownHandled, this.#ahead[0].inbox)
      this.#ahead.shift()
    }
    return this.#ownHandled
  }

  // ---- XEP-0352 ---------------------------------------------------------------------------------------------------

  inactive(): void {
    this.#heldBack ??= new Map()
  }

  /** What was held back, in order. */
  active(): readonly Outbound[] {
    const released = this.release()
    this.#heldBack = undefined
    return released
  }

  /** Keeps presence for later; what has to go now after all, because it is too much. */
  holdBack(outbound: Outbound): readonly Outbound[] {
    const held = this.#heldBack
    if (held === undefined) return [outbound]
    const { address } = outbound
    held.delete(address)
    held.set(address, outbound)
    return held.size > HELD_BACK_LIMIT ? this.release() : []
  }

  release(): readonly Outbound[] {
    if (this.#heldBack === undefined || this.#heldBack.size === 0) return NOTHING
    const released = [...this.#heldBack.values()]
    this.#heldBack.clear()
    return released
  }

  #presence(): Taking {
    return this.#heldBack === undefined ? 'now' : 'later'
  }
}

const NOTHING: readonly Outbound[] = []
