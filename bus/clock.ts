// Time as a parameter: what a bus needs of clocks and timers, so that tests can have their own.

import type { Unsubscribe } from './bus.js'

export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number
  /** Calls `run` once, `ms` later, unless ended before. */
  after(ms: number, run: () => void): Unsubscribe
  /** Calls `run` every `ms` until ended; does not keep the process alive. */
  every(ms: number, run: () => void): Unsubscribe
}

export const systemClock: Clock = {
  now: () => Date.now(),
  after(ms, run) {
    const timer = setTimeout(run, ms)
    return () => clearTimeout(timer)
  },
  every(ms, run) {
    const timer = setInterval(run, ms)
    timer.unref()
    return () => clearInterval(timer)
  },
}
