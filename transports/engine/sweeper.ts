// One coarse timer for all deadlines of a listener (stalled readers, slow bodies, connections that should have ended).

/** Looked at on every sweep until it says `done`. Times are whole milliseconds of `Sweeper.now`. */
export interface Sweepable {
  sweep(nowMs: number): 'keep' | 'done'
}

/** Runs only while there is something to look at. A deadline is met up to `everyMs` late. */
export class Sweeper {
  readonly #watched = new Set<Sweepable>()
  readonly #everyMs: number
  #timer: NodeJS.Timeout | null = null

  /** `shortestMs`: the shortest deadline there will be. */
  constructor(shortestMs: number) {
    this.#everyMs = Math.min(1000, Math.max(10, Math.floor(shortestMs / 4)))
  }

  /** Monotonic. */
  now(): number {
    return Math.trunc(performance.now())
  }

  /** Adding what is there already does nothing. */
  add(thing: Sweepable): void {
    this.#watched.add(thing)
    this.#timer ??= setInterval(() => this.#sweep(), this.#everyMs).unref()
  }

  delete(thing: Sweepable): void {
    this.#watched.delete(thing)
  }

  stop(): void {
    this.#watched.clear()
    this.#sweep()
  }

  #sweep(): void {
    const nowMs = this.now()
    for (const thing of this.#watched) if (thing.sweep(nowMs) === 'done') this.#watched.delete(thing)
    if (this.#watched.size > 0 || this.#timer === null) return
    clearInterval(this.#timer)
    this.#timer = null
  }
}
