// Which request ids a session may get next, and which it has had (XEP-0124 §14).

/**
 * `next`: in order. `ahead`: some before it are missing. `seen`: it was in order once. `earlier`: it may have been, at the
 * node that had the session before, or was given up. `beyond`: outside of the window.
 */
export type Place = 'next' | 'ahead' | 'seen' | 'earlier' | 'beyond'

export class RidWindow {
  readonly #requests: number
  /** The last one in order; undefined: of a session that was adopted, whose client has not come yet. */
  #last: number | undefined
  /** Which may come late, once: after an adoption, because the node before may have answered them or not; after a gap that was skipped. */
  readonly #earlier = new Set<number>()
  /** After an adoption: up to this one they may be missing for good, because the node before has answered them. */
  #gapsUpTo = 0

  /** `requests`: how many a client may have open. */
  constructor(requests: number, last: number | undefined) {
    this.#requests = requests
    this.#last = last
  }

  /** The last one in order; undefined: not known. */
  get last(): number | undefined {
    return this.#last
  }

  /** `extra`: one more than `requests` may be open, for a pause or the end (§11). */
  place(rid: number, extra: 0 | 1): Place {
    if (!Number.isFinite(rid)) return 'beyond'
    const last = this.#last
    if (last === undefined || rid === last + 1) return 'next'
    if (rid <= last) return this.#earlier.has(rid) ? 'earlier' : 'seen'
    if (rid <= this.#gapsUpTo + 1) return 'next'
    return rid <= Math.max(last, this.#gapsUpTo) + this.#requests + extra ? 'ahead' : 'beyond'
  }

  /** It was `next` or `earlier`, or the first of those `ahead`, and is taken. */
  take(rid: number): void {
    const last = this.#last
    if (last !== undefined && rid <= last) {
      this.#earlier.delete(rid)
      return
    }
    if (last === undefined) this.#gapsUpTo = rid + this.#requests - 1
    for (let missing = (last ?? Math.max(0, rid - this.#requests - 1)) + 1; missing < rid; missing++) this.#earlier.add(missing)
    this.#last = rid
    // Nothing that old is open any more.
    for (const missing of this.#earlier) if (missing < rid - this.#requests) this.#earlier.delete(missing)
  }
}
