// Gathers acknowledgements: one for many frames, but none later than a moment.

import type { Environment } from './environment.js'

const LIMIT_FRAMES = 64
const LIMIT_MS = 500

export class AckBatch {
  readonly #environment: Environment
  readonly #send: (cursor: string) => void
  #frames = 0
  #cursor = ''
  #timer: unknown

  constructor(environment: Environment, send: (cursor: string) => void) {
    this.#environment = environment
    this.#send = send
  }

  /** The frame with this cursor, and all before it, were handled. */
  handled(cursor: string): void {
    this.#cursor = cursor
    this.#frames += 1
    if (this.#frames >= LIMIT_FRAMES) this.flush()
    else if (this.#frames === 1) this.#timer = this.#environment.setTimeout(() => this.flush(), LIMIT_MS)
  }

  flush(): void {
    const { length } = this.#cursor
    this.drop()
    if (length > 0) this.#send(this.#cursor)
    this.#cursor = ''
  }

  /** The cursor goes with the next connection anyway. */
  drop(): void {
    this.#frames = 0
    this.#environment.clearTimeout(this.#timer)
  }
}
