// What is to be called in a later turn of the event loop, in order: nothing is ever delivered inside the call that caused it.

export class TurnQueue {
  readonly #onError: (error: unknown, what: string) => void
  #waiting: (() => void)[] = []
  #scheduled: NodeJS.Immediate | undefined

  constructor(onError: (error: unknown, what: string) => void) {
    this.#onError = onError
  }

  /** `run` must not throw; if it does, that is reported and the rest goes on. */
  add(run: () => void): void {
    this.#waiting.push(run)
    this.#scheduled ??= setImmediate(() => this.run())
  }

  /** Runs what waits now; what is added meanwhile waits for the next turn. */
  run(): void {
    if (this.#scheduled !== undefined) clearImmediate(this.#scheduled)
    this.#scheduled = undefined
    const waiting = this.#waiting
    this.#waiting = []
    for (const run of waiting) {
      try {
        run()
      } catch (error) {
        this.#onError(error, 'bus delivery')
      }
    }
  }
}
