// How often the client of a polling session asks for nothing but payloads (XEP-0124 §12).

/** Clocks and networks are not that exact. */
const TOLERANCE = 0.9

export class PollPace {
  readonly #intervalMs: number
  /** The last request, if it asked for nothing else; `carried`: and got some. */
  #last: { readonly rid: number; readonly atMs: number; carried: boolean } | undefined = undefined

  /** 0: as often as it likes. */
  constructor(intervalMs: number) {
    this.#intervalMs = intervalMs
  }

  /** A new request. False: it comes too soon after one that got nothing. */
  keeps(rid: number, isPoll: boolean, nowMs: number): boolean {
    const last = this.#last
    this.#last = isPoll ? { rid, atMs: nowMs, carried: false } : undefined
    return !isPoll || last === undefined || last.carried || nowMs - last.atMs >= this.#intervalMs * TOLERANCE
  }

  /** The response to this request has payloads. */
  carried(rid: number): void {
    if (this.#last?.rid === rid) this.#last.carried = true
  }
}
