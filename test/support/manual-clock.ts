// A clock that stands until it is told to go.

import type { Clock } from '../../bus/clock.js'

interface Timer {
  readonly at: number
  readonly order: number
  readonly run: () => void
  readonly everyMs: number | undefined
}

export class ManualClock implements Clock {
  #now: number
  #order = 0
  readonly #timers = new Set<Timer>()

  constructor(now = 1_700_000_000_000) {
    this.#now = now
  }

  now(): number {
    return this.#now
  }

  after(ms: number, run: () => void): () => void {
    return this.#add(ms, run, undefined)
  }

  every(ms: number, run: () => void): () => void {
    return this.#add(ms, run, ms)
  }

  /** Timers that are set. */
  get timers(): number {
    return this.#timers.size
  }

  /** Time passes: what falls due is called at its time, in order. */
  advance(ms: number): void {
    const end = this.#now + ms
    for (let timer = this.#next(end); timer !== undefined; timer = this.#next(end)) {
      this.#timers.delete(timer)
      this.#now = Math.max(this.#now, timer.at)
      timer.run()
    }
    this.#now = end
  }

  /** Time passed while nobody could run: everything is late. */
  jump(ms: number): void {
    this.#now += ms
    this.advance(0)
  }

  #add(ms: number, run: () => void, everyMs: number | undefined): () => void {
    let timer: Timer
    const again = (): void => {
      if (everyMs !== undefined) timer = this.#put({ at: this.#now + everyMs, order: this.#order++, run: again, everyMs })
      run()
    }
    timer = this.#put({ at: this.#now + ms, order: this.#order++, run: again, everyMs })
    return () => this.#timers.delete(timer)
  }

  #put(timer: Timer): Timer {
    this.#timers.add(timer)
    return timer
  }

  #next(end: number): Timer | undefined {
    let next: Timer | undefined
    for (const timer of this.#timers) {
      if (timer.at > end) continue
      if (next === undefined || timer.at < next.at || (timer.at === next.at && timer.order < next.order)) next = timer
    }
    return next
  }
}
