// A clock that stands still until a test moves it.

import type { Unsubscribe } from '../../bus/bus.js'
import type { Clock } from '../../bus/clock.js'

interface Timer {
  at: number
  readonly everyMs: number | undefined
  readonly run: () => void
}

export class ManualClock implements Clock {
  #now: number
  readonly #timers = new Set<Timer>()

  /** Starts at `now` milliseconds. */
  constructor(now = 1_700_000_000_000) {
    this.#now = now
  }

  now(): number {
    return this.#now
  }

  after(ms: number, run: () => void): Unsubscribe {
    return this.#enter({ at: this.#now + ms, everyMs: undefined, run })
  }

  every(ms: number, run: () => void): Unsubscribe {
    return this.#enter({ at: this.#now + ms, everyMs: ms, run })
  }

  /** Moves on, and calls what falls due, in order. */
  advance(ms: number): void {
    const until = this.#now + ms
    for (let next = this.#next(until); next !== undefined; next = this.#next(until)) {
      this.#now = Math.max(this.#now, next.at)
      if (next.everyMs === undefined) this.#timers.delete(next)
      else next.at += next.everyMs
      next.run()
    }
    this.#now = until
  }

  #next(until: number): Timer | undefined {
    let first: Timer | undefined
    for (const timer of this.#timers) if (timer.at <= until && (first === undefined || timer.at < first.at)) first = timer
    return first
  }

  #enter(timer: Timer): Unsubscribe {
    this.#timers.add(timer)
    return () => {
      this.#timers.delete(timer)
    }
  }
}
