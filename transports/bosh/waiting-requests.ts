// The requests of a session that were taken and not yet answered: held, in the order of their rids, in which they are answered.

import type { Asker } from './asker.js'
import type { BoshStream } from './bosh-stream.js'

export interface Waiting {
  readonly rid: number
  readonly key: string
  /** Undefined: its connection has gone; the client may ask again over another one. */
  asker: Asker | undefined
  /** Answered then at the latest. */
  untilMs: number
  /** What its response says of a stream that was asked for; see attributeText. Empty: it did not ask for one. */
  readonly attributes: string
  /** Its response tells the name of this stream, and carries payloads of no other. Undefined with attributes: it could not be opened. */
  readonly announces: BoshStream | undefined
  /** Held, whatever `hold` is, until what came with it has been answered. */
  readonly patient: boolean
}

export class WaitingRequests {
  readonly #requests: Waiting[] = []

  get size(): number {
    return this.#requests.length
  }

  /** Those whose client is there. */
  get live(): number {
    let live = 0
    for (const request of this.#requests) if (isLive(request)) live++
    return live
  }

  /** The first one, whether its client is there or not. */
  get oldest(): Waiting | undefined {
    return this.#requests[0]
  }

  get newest(): Waiting | undefined {
    return this.#requests.at(-1)
  }

  /** The first one whose client is there. */
  get oldestLive(): Waiting | undefined {
    for (const request of this.#requests) if (isLive(request)) return request
    return undefined
  }

  get(rid: number): Waiting | undefined {
    return this.#requests.find((request) => request.rid === rid)
  }

  has(request: Waiting): boolean {
    return this.#requests.includes(request)
  }

  add(request: Waiting): void {
    const requests = this.#requests
    const isLast = (requests.at(-1)?.rid ?? 0) < request.rid
    requests.push(request)
    if (!isLast) requests.sort((a, b) => a.rid - b.rid)
  }

  remove({ rid }: Waiting): void {
    const at = this.#requests.findIndex((request) => request.rid === rid)
    if (at >= 0) this.#requests.splice(at, 1)
  }

  /** The client has gone. False: it was none of these. */
  lose(asker: Asker): boolean {
    const request = this.#requests.find((one) => one.asker === asker)
    if (request === undefined) return false
    request.asker = undefined
    return true
  }

  /** When the first of those whose client is there has to be answered; Infinity: none. */
  get deadlineMs(): number {
    let deadlineMs = Number.POSITIVE_INFINITY
    for (const request of this.#requests) if (isLive(request) && request.untilMs < deadlineMs) deadlineMs = request.untilMs
    return deadlineMs
  }

  /** The last one that is due; those before it are to be answered too. */
  due(nowMs: number): Waiting | undefined {
    return this.#requests.findLast((request) => isLive(request) && request.untilMs <= nowMs)
  }
}

/** Its client is there. */
export function isLive({ asker }: Waiting): boolean {
  return asker !== undefined && !asker.gone
}
