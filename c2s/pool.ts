// Doing things one after the other, or a few at a time.

/** Runs what is given for one key one after the other; different keys don't wait for each other. */
export class KeyedQueue {
  readonly #tails = new Map<string, Promise<unknown>>()

  async run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(key)
    const result = before === undefined ? work() : before.then(work, work)
    this.#tails.set(key, result)
    try {
      return await result
    } finally {
      if (this.#tails.get(key) === result) this.#tails.delete(key)
    }
  }
}

/** At most `limit` at once; the others wait in order. How many may wait is bounded by whoever calls. */
export class Gate {
  readonly #limit: number
  readonly #waiting: (() => void)[] = []
  #inside = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#inside < this.#limit) this.#inside++
    else await new Promise<void>((enter) => this.#waiting.push(enter))
    try {
      return await work()
    } finally {
      const next = this.#waiting.shift()
      if (next === undefined) this.#inside--
      else next()
    }
  }
}
