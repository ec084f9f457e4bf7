// The calls of one Bus that wait for their answer: how many there may be, their timeouts, and their common end.

import { BusError } from './bus.js'
import type { Clock } from './clock.js'

export class CallsInFlight {
  readonly #limit: number
  readonly #clock: Clock
  readonly #onEnded: () => void
  /** How each is made to fail. */
  readonly #calls = new Set<(error: BusError) => void>()
  /** Those who wait in `place`. */
  readonly #waiting: (() => void)[] = []
  #phase: 'open' | 'ended' = 'open'

  /** `onEnded` is called after the end of each call. */
  constructor(limit: number, clock: Clock, onEnded: () => void) {
    this.#limit = limit
    this.#clock = clock
    this.#onEnded = onEnded
  }

  get size(): number {
    return this.#calls.size
  }

  /**
   * One call: settles once, by what `begin` is given, by the timeout (undefined: none) or by `end`. Rejects with BusError
   * `overloaded` beyond the limit; `begin` is not called then.
   */
  call<T>(timeoutMs: number | undefined, begin: (resolve: (value: T) => void, reject: (error: BusError) => void) => void): Promise<T> {
    if (this.#calls.size >= this.#limit) return Promise.reject(new BusError('overloaded', 'too many calls in flight'))
    return new Promise((resolve, reject) => {
      const leave = (): boolean => {
        if (!this.#calls.delete(fail)) return false
        stop?.()
        this.passOn()
        this.#onEnded()
        return true
      }
      const fail = (error: BusError) => {
        if (leave()) reject(error)
      }
      this.#calls.add(fail)
      const stop = timeoutMs === undefined ? undefined : this.#clock.after(timeoutMs, () => fail(new BusError('timeout')))
      begin((value) => {
        if (leave()) resolve(value)
      }, fail)
    })
  }

  /** Resolves when fewer than `limit` calls are in flight, or after the end. Who does not use the place calls `passOn`. */
  async place(limit: number): Promise<void> {
    while (this.#calls.size >= limit && this.#phase === 'open') await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }

  passOn(): void {
    this.#waiting.shift()?.()
  }

  /** All calls fail, and nobody waits for a place any more. */
  end(error: BusError): void {
    this.#phase = 'ended'
    for (const fail of [...this.#calls]) fail(error)
    for (const go of this.#waiting.splice(0)) go()
  }
}
