// Records that must last: one typed value a key in a bucket of the bus, changed by compare-and-set.

import type { Bucket } from '../bus/bus.js'
import { Refusal } from './refusal.js'

export interface Codec<T> {
  encode(value: T): Uint8Array
  /** Throws on what it can't read: a damaged record is an error, never an empty one. */
  decode(data: Uint8Array): T
}

export interface Change<T> {
  readonly before: T | undefined
  readonly after: T | undefined
}

/** Lost compare-and-sets in a row before giving up; each one means that somebody else got on. */
const TRIES = 64

export class Records<T> {
  readonly #bucket: Bucket
  readonly #codec: Codec<T>

  constructor(bucket: Bucket, codec: Codec<T>) {
    this.#bucket = bucket
    this.#codec = codec
  }

  /** What was written last, by anybody. Throws BusError. */
  async get(key: string): Promise<T | undefined> {
    const entry = await this.#bucket.get(key)
    return entry === undefined ? undefined : this.#codec.decode(entry.value)
  }

  /**
   * Writes what `change` makes of the present value; the same value back (or undefined) leaves the record alone. `change`
   * is called again whenever somebody else was faster. What it throws comes through. Throws BusError, and Refusal
   * `conflict` when others were always faster.
   */
  async change(key: string, change: (present: T | undefined) => T | undefined | Promise<T | undefined>): Promise<Change<T>> {
    for (let attempt = 0; attempt < TRIES; attempt++) {
      const entry = await this.#bucket.get(key)
      const before = entry === undefined ? undefined : this.#codec.decode(entry.value)
      const after = await change(before)
      if (after === undefined || after === before) return { before, after: before }
      const value = this.#codec.encode(after)
      const revision = entry === undefined ? await this.#bucket.create(key, value) : await this.#bucket.update(key, value, entry.revision)
      if (revision !== undefined) return { before, after }
    }
    throw new Refusal('conflict', 'too many others are changing this; try again')
  }
}
