// One direction of a connection as it is over a distance: what goes in comes out later, in order, as fast as it went in. No socket
// and no clock: time is given.

import type { Network } from '../result.js'

export interface DelayLineOptions {
  readonly network: Network
  /** As Math.random. */
  readonly random: () => number
  /** Nothing comes out earlier: the connection's own handshake takes its time too. */
  readonly notBeforeUs: number
}

export interface Due {
  readonly dueUs: number
  /** Undefined: the end. */
  readonly bytes: Buffer | undefined
}

/** How long a sender waits before it sends a lost packet again, at the least (Linux: 200 ms). */
const RETRANSMIT_US = 200_000

export class DelayLine {
  readonly #options: DelayLineOptions
  readonly #delayUs: number
  readonly #waiting: Due[] = []
  #head = 0
  #lastUs = 0
  #waitingBytes = 0
  #stalled = 0

  constructor(options: DelayLineOptions) {
    this.#options = options
    this.#delayUs = (options.network.roundTripMs * 1000) / 2
  }

  get waitingBytes(): number {
    return this.#waitingBytes
  }

  get stalled(): number {
    return this.#stalled
  }

  /** When the next one comes out; undefined: nothing waits. */
  get nextUs(): number | undefined {
    return this.#waiting[this.#head]?.dueUs
  }

  /** Keeps the bytes. Answers when they come out. */
  put(bytes: Buffer | undefined, nowUs: number): number {
    const { network, random, notBeforeUs } = this.#options
    let dueUs = Math.max(nowUs, notBeforeUs) + this.#delayUs
    if (bytes !== undefined && network.stalls > 0 && random() < network.stalls) {
      this.#stalled++
      dueUs += RETRANSMIT_US + network.roundTripMs * 1000
    }
    // What was sent later waits behind what was held back.
    dueUs = Math.max(dueUs, this.#lastUs)
    this.#lastUs = dueUs
    this.#waiting.push({ dueUs, bytes })
    this.#waitingBytes += bytes?.length ?? 0
    return dueUs
  }

  /** The next one that is due; undefined: none is. */
  take(nowUs: number): Due | undefined {
    const next = this.#waiting[this.#head]
    if (next === undefined || next.dueUs > nowUs) return undefined
    this.#head++
    this.#waitingBytes -= next.bytes?.length ?? 0
    if (this.#head === this.#waiting.length) {
      this.#waiting.length = 0
      this.#head = 0
    }
    return next
  }
}
