// Frames sent and not answered yet: kept as text, in order, to be sent again on the next link.

import type { Environment } from './environment.js'
import { HoldwireError } from './errors.js'
import type { Outgoing } from './link.js'
import type { ReplyFrame } from './types.js'

interface Pending extends Outgoing {
  resolve(result: unknown): void
  reject(error: HoldwireError): void
  readonly timer: unknown
}

/** Frames on their way at once. A server limits the frames of a moment; after a reconnect not all may come in one. */
const LIMIT_FLYING = 64
/** The pace after the server refused a faster one; each further refusal halves it. */
const PACE = { most: 64, least: 8 }
const PACE_TICK_MS = 250

export class PendingSends {
  readonly #environment: Environment
  readonly #limit: number
  readonly #onRoom: () => void
  #waiting = new Map<string, Pending>()
  readonly #flying = new Map<string, Pending>()
  /** Undefined: as fast as replies come. `allowed`: frames at `since`; it grows by `perSecond`. */
  #pace: { readonly perSecond: number; allowed: number; since: number } | undefined
  #paceTimer: unknown

  /** `onRoom`: a frame is done with, so `due` may have more. */
  constructor(environment: Environment, limit: number, onRoom: () => void) {
    this.#environment = environment
    this.#limit = limit
    this.#onRoom = onRoom
  }

  get full(): boolean {
    return this.#waiting.size + this.#flying.size >= this.#limit
  }

  /** Resolves with the result of the reply. Rejects with HoldwireError: what the reply says, or `timeout`. */
  add({ ref, text }: Outgoing, timeoutMs: number): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const expire = () => this.#settle(ref)?.reject(new HoldwireError('timeout', 'no reply in time'))
      const timer = timeoutMs < Number.POSITIVE_INFINITY ? this.#environment.setTimeout(expire, timeoutMs) : undefined
      this.#waiting.set(ref, { ref, text, resolve, reject, timer })
    })
  }

  /** What to send now, in order; each frame once a link. */
  due(): readonly Outgoing[] {
    const due: Outgoing[] = []
    let room = Math.min(LIMIT_FLYING - this.#flying.size, this.#allowed())
    for (const [ref, pending] of this.#waiting) {
      if (room < 1) break
      room -= 1
      this.#waiting.delete(ref)
      this.#flying.set(ref, pending)
      due.push(pending)
    }
    if (this.#pace !== undefined) {
      this.#pace.allowed -= due.length
      this.#environment.clearTimeout(this.#paceTimer)
      if (this.#waiting.size > 0) this.#paceTimer = this.#environment.setTimeout(this.#onRoom, PACE_TICK_MS)
    }
    return due
  }

  /** The server ended the connection because frames came too fast. */
  slowDown(): void {
    const perSecond = this.#pace === undefined ? PACE.most : Math.max(PACE.least, this.#pace.perSecond / 2)
    this.#pace = { perSecond, allowed: 0, since: this.#environment.now() }
  }

  /** A new link: everything without a reply is due again. */
  restart(): void {
    this.#waiting = new Map([...this.#flying, ...this.#waiting])
    this.#flying.clear()
  }

  /** A reply to something else (a repeat, a ping) is ignored. */
  answered(reply: ReplyFrame): void {
    const pending = this.#settle(reply.ref)
    if (reply.ok) pending?.resolve(reply.result)
    else pending?.reject(new HoldwireError(reply.error?.code ?? 'internal', reply.error?.message ?? ''))
  }

  /** The server ended the connection because a frame was too large for it; it can only be the largest. */
  rejectLargest(error: HoldwireError): void {
    let largest: Pending | undefined
    for (const pending of this.#flying.values()) {
      if (largest === undefined || pending.text.length > largest.text.length) largest = pending
    }
    if (largest !== undefined) this.#settle(largest.ref)?.reject(error)
  }

  rejectAll(error: HoldwireError): void {
    for (const ref of [...this.#flying.keys(), ...this.#waiting.keys()]) this.#settle(ref)?.reject(error)
    this.#environment.clearTimeout(this.#paceTimer)
  }

  #allowed(): number {
    const pace = this.#pace
    if (pace === undefined) return LIMIT_FLYING
    const now = this.#environment.now()
    pace.allowed = Math.min(pace.perSecond, pace.allowed + ((now - pace.since) / 1000) * pace.perSecond)
    pace.since = now
    return pace.allowed
  }

  #settle(ref: string): Pending | undefined {
    const pending = this.#flying.get(ref) ?? this.#waiting.get(ref)
    if (pending === undefined) return undefined
    this.#flying.delete(ref)
    this.#waiting.delete(ref)
    this.#environment.clearTimeout(pending.timer)
    this.#onRoom()
    return pending
  }
}
