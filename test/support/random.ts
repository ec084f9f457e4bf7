// Seeded randomness for tests: the same seed gives the same run.

import { seededRandom } from '../../bench/random.js'

export class Random {
  readonly seed: number
  /** 0 ≤ x < 1 */
  readonly next: () => number

  constructor(seed: number) {
    this.seed = seed
    this.next = seededRandom(seed)
  }

  /** 0 ≤ n < limit */
  int(limit: number): number {
    return Math.floor(this.next() * limit)
  }

  chance(probability: number): boolean {
    return this.next() < probability
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.int(items.length)]
    if (item === undefined) throw new RangeError('nothing to pick from')
    return item
  }

  bytes(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => this.int(256)))
  }
}
