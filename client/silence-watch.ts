// Notices when a peer has been silent for too long; one timer, re-armed only when it fires.

import type { Environment } from './environment.js'

export class SilenceWatch {
  readonly #environment: Environment
  readonly #onSilent: () => void
  #limitMs = Number.POSITIVE_INFINITY
  #heardAt: number
  #timer: unknown

  constructor(environment: Environment, onSilent: () => void) {
    this.#environment = environment
    this.#onSilent = onSilent
    this.#heardAt = environment.now()
  }

  /** Calls `onSilent` once when nothing is heard for `limitMs` from now; `start` again to go on. */
  start(limitMs: number): void {
    this.stop()
    this.#limitMs = limitMs
    this.heard()
    this.#arm(limitMs)
  }

  heard(): void {
    this.#heardAt = this.#environment.now()
  }

  stop(): void {
    this.#environment.clearTimeout(this.#timer)
  }

  #arm(delayMs: number): void {
    this.#timer = this.#environment.setTimeout(() => {
      const leftMs = this.#heardAt + this.#limitMs - this.#environment.now()
      if (leftMs > 0) this.#arm(leftMs)
      else this.#onSilent()
    }, delayMs)
  }
}
