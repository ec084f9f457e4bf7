// What the last requests of a session were answered with, for clients that ask again, and which frames that acknowledges
// once the client is known to have it (XEP-0124 §9.2, §14.3).

import type { BoshStream } from './bosh-stream.js'

export interface Response {
  readonly rid: number
  /** The key of its request. */
  readonly key: string
  readonly body: Uint8Array
  readonly atMs: number
  /** Whose frames it carries, up to number `frame`; undefined: none. */
  readonly stream: BoshStream | undefined
  readonly frame: number
}

export interface CacheLimits {
  /** How many are kept: as many as the client may have open. */
  readonly responses: number
  /** Beyond that, how many of those that were not acknowledged. */
  readonly unacknowledged: number
  readonly bytes: number
}

export class ResponseCache {
  readonly #limits: CacheLimits
  /** In the order of their rids. */
  readonly #responses: Response[] = []
  #bytes = 0
  #acknowledged = 0

  constructor(limits: CacheLimits, responses: readonly Response[] = []) {
    this.#limits = limits
    for (const response of responses) this.add(response)
  }

  /** The last rid that was answered; 0: none. */
  get newest(): number {
    return this.#responses.at(-1)?.rid ?? 0
  }

  get all(): readonly Response[] {
    return this.#responses
  }

  get(rid: number): Response | undefined {
    return this.#responses.find((response) => response.rid === rid)
  }

  add(response: Response): void {
    const responses = this.#responses
    responses.push(response)
    // Only after an adoption, when an earlier request comes late.
    if (responses.length > 1 && (responses[responses.length - 2]?.rid ?? 0) > response.rid) responses.sort((a, b) => a.rid - b.rid)
    this.#bytes += response.body.length
    this.#trim()
  }

  /** The client has got everything up to this rid. */
  acknowledge(rid: number): void {
    if (rid <= this.#acknowledged) return
    for (const { rid: answered, stream, frame } of this.#responses) {
      if (answered > rid) break
      if (answered > this.#acknowledged && frame > 0) stream?.acknowledged(frame)
    }
    this.#acknowledged = rid
    this.#trim()
  }

  #trim(): void {
    const responses = this.#responses
    const { responses: kept, unacknowledged, bytes } = this.#limits
    for (let oldest = responses[0]; oldest !== undefined && responses.length > 1; oldest = responses[0]) {
      const isKept = responses.length <= kept || (oldest.rid > this.#acknowledged && responses.length <= kept + unacknowledged)
      if (isKept && this.#bytes <= bytes) return
      this.#bytes -= oldest.body.length
      responses.shift()
    }
  }
}
