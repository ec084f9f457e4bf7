// At most so many calls at once; the others wait in line until their deadline. And the pauses between retries.

import { BusError } from './bus.js'

const WAITING_LIMIT = 65_536

export class Limiter {
  #running = 0
  readonly #waiting: { readonly deadline: number; readonly start: () => void; readonly refuse: (error: BusError) => void }[] = []

  constructor(readonly limit: number) {}

  /** Throws `timeout` when its turn comes after `deadline` (of performance.now()), `overloaded` when the line is too long. */
  async run<T>(deadline: number, work: () => Promise<T>): Promise<T> {
    if (this.#running < this.limit) this.#running++
    else await this.#turn(deadline)
    try {
      return await work()
    } finally {
      this.#next()
    }
  }

  #turn(deadline: number): Promise<void> {
    if (this.#waiting.length >= WAITING_LIMIT) return Promise.reject(new BusError('overloaded'))
    return new Promise((resolve, reject) => this.#waiting.push({ deadline, start: resolve, refuse: reject }))
  }

  /** The one who leaves hands its place to the next in line. */
  #next(): void {
    const now = performance.now()
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      if (next.deadline > now) {
        next.start()
        return
      }
      next.refuse(new BusError('timeout'))
    }
    this.#running--
  }
}

/** Doubles from `firstMs` to `limitMs` with each attempt (1, 2, …), ±50 %: many who failed together do not come back together. */
export function backoffMs(attempt: number, firstMs: number, limitMs: number): number {
  return Math.min(limitMs, firstMs * 2 ** Math.min(attempt - 1, 20)) * (0.5 + Math.random())
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

/** `work`, or the error when it has not settled by the deadline (of performance.now()). */
export function within<T>(deadline: number, work: Promise<T>, error: () => Error): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(error()), Math.max(0, deadline - performance.now()))
    work.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}
