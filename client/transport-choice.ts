// Which transport is next: the best one, the following one when it fails too often, and now and then the better ones again.

import type { TransportName } from './types.js'

const LIMIT_UPGRADE_MS = 3_600_000

export class TransportChoice {
  readonly #names: readonly TransportName[]
  readonly #limitFailures: number
  #index = 0
  /** Of the current one, in a row. */
  #failures = 0
  /** While better ones are tried: the one that worked. */
  #proven: number | undefined
  #upgradeMs: number

  /** `names`: not empty. */
  constructor(names: readonly TransportName[], limitFailures: number, upgradeMs: number) {
    this.#names = names
    this.#limitFailures = limitFailures
    this.#upgradeMs = upgradeMs
  }

  get current(): TransportName {
    return this.#names[this.#index] ?? 'poll'
  }

  /** After how long on the current one better ones should be tried. Undefined: there is none better. */
  get upgradeInMs(): number | undefined {
    return this.#index > 0 ? this.#upgradeMs : undefined
  }

  /** The current one has lasted. */
  lasted(): void {
    this.#failures = 0
    this.#proven = undefined
  }

  /** The current one failed. True: go on with the next at once, something better was only being tried. */
  failed(): boolean {
    if (this.#proven !== undefined) {
      this.#index += 1
      if (this.#index === this.#proven) {
        this.#proven = undefined
        this.#upgradeMs = Math.min(this.#upgradeMs * 2, LIMIT_UPGRADE_MS)
      }
      return true
    }
    this.#failures += 1
    if (this.#failures >= this.#limitFailures) {
      // After the last the first again: with no network at all every transport fails.
      this.#index = (this.#index + 1) % this.#names.length
      this.#failures = 0
    }
    return false
  }

  tryBetter(): void {
    this.#proven = this.#index
    this.#index = 0
  }
}
