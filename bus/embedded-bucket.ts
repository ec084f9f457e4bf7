// One bucket of the embedded bus: a map with revisions, compare-and-set, expiry and followers.

import { type BucketEntry, BusError, type Follower } from './bus.js'
import type { Clock } from './clock.js'
import type { CommitQueue } from './commit-queue.js'
import type { EntryRecord } from './store-record.js'
import type { TurnQueue } from './turn-queue.js'

const LIMIT_KEY_BYTES = 512
/** Of one bucket; beyond it writing is refused. */
const LIMIT_BYTES = 512 * 1024 * 1024
const OVERHEAD_BYTES = 200

interface Entry extends BucketEntry {
  readonly time: number
}

type OnChange = (key: string, value: Uint8Array | undefined) => void

interface Following {
  readonly onChange: OnChange
  readonly reachable: () => boolean
  /** Last change of each key that came while unreachable. */
  readonly missed: Map<string, Uint8Array | undefined>
}

export class BucketStore {
  readonly name: string
  /** 0: entries stay. */
  readonly ttlMs: number
  readonly #clock: Clock
  readonly #commits: CommitQueue
  readonly #turns: TurnQueue
  readonly #entries = new Map<string, Entry>()
  /** Writes not yet committed: the revision of the last one of each key, 0 if it deletes. */
  readonly #pending = new Map<string, { readonly write: number; readonly revision: number }>()
  readonly #followers = new Set<Following>()
  /** Greatest revision given out. */
  #revision = 0
  #bytes = 0

  constructor(name: string, ttlMs: number, clock: Clock, commits: CommitQueue, turns: TurnQueue) {
    this.name = name
    this.ttlMs = ttlMs
    this.#clock = clock
    this.#commits = commits
    this.#turns = turns
  }

  get revision(): number {
    return this.#revision
  }

  /** What all entries take, roughly. */
  get bytes(): number {
    return this.#bytes
  }

  get(key: string): BucketEntry | undefined {
    checkKey(key)
    return this.#current(key)
  }

  /**
   * Writes (`value` undefined: deletes) if the last revision of the key is `expected` (0: the key must not exist;
   * undefined: whatever it is). Resolves after the commit: the new revision, or undefined if the comparison failed.
   */
  async write(key: string, value: Uint8Array | undefined, expected: number | undefined): Promise<number | undefined> {
    checkKey(key)
    if (value !== undefined && this.#bytes + value.length > LIMIT_BYTES) throw new BusError('rejected', `bucket ${this.name} is full`)
    const last = this.#pending.get(key)?.revision ?? this.#current(key)?.revision ?? 0
    return new Promise((resolve, reject) => {
      if (expected !== undefined && expected !== last) {
        // Only after what won: who lost and then reads must see it.
        this.#commits.add({ record: undefined, commit: () => resolve(undefined), fail: reject })
        return
      }
      const revision = ++this.#revision
      const pending = { write: revision, revision: value === undefined ? 0 : revision }
      this.#pending.set(key, pending)
      const settle = () => {
        if (this.#pending.get(key) === pending) this.#pending.delete(key)
      }
      const record: EntryRecord = { kind: 'entry', bucket: this.name, key, revision, time: this.#clock.now(), value }
      this.#commits.add({
        record,
        commit: () => {
          settle()
          this.apply(record)
          this.#tell(key, value)
          resolve(revision)
        },
        fail: (error) => {
          settle()
          reject(error)
        },
      })
    })
  }

  /** `reachable`: changes are held back while it says no, see `heal`. Resolves when the present entries were handed over. */
  follow(onChange: OnChange, reachable: () => boolean): Promise<Follower> {
    const following: Following = { onChange, reachable, missed: new Map() }
    this.expire()
    for (const [key, { value }] of this.#entries) this.#turns.add(() => this.#hand(following, key, value))
    this.#followers.add(following)
    const follower: Follower = {
      caughtUp: () => new Promise((resolve) => this.#turns.add(resolve)),
      stop: () => {
        this.#followers.delete(following)
      },
    }
    return new Promise((resolve) => this.#turns.add(() => resolve(follower)))
  }

  /** Hands over what followers missed that are reachable again. */
  heal(): void {
    for (const following of this.#followers) {
      if (!following.reachable()) continue
      const missed = [...following.missed]
      following.missed.clear()
      for (const [key, value] of missed) this.#turns.add(() => this.#hand(following, key, value))
    }
  }

  /** Removes what nobody wrote again in time. */
  expire(): void {
    if (this.ttlMs === 0) return
    const now = this.#clock.now()
    for (const [key, { time }] of this.#entries) {
      if (time + this.ttlMs > now) continue
      this.#remove(key)
      this.#tell(key, undefined)
    }
  }

  /** Takes over a written record; of an older revision than there is: nothing. */
  apply({ key, revision, time, value }: EntryRecord): void {
    this.#revision = Math.max(this.#revision, revision)
    if ((this.#entries.get(key)?.revision ?? 0) > revision) return
    this.#remove(key)
    if (value === undefined) return
    this.#entries.set(key, { value, revision, time })
    this.#bytes += key.length + value.length + OVERHEAD_BYTES
  }

  restoreRevision(revision: number): void {
    this.#revision = Math.max(this.#revision, revision)
  }

  *records(): Generator<EntryRecord> {
    for (const [key, { value, revision, time }] of this.#entries) {
      yield { kind: 'entry', bucket: this.name, key, revision, time, value }
    }
  }

  #current(key: string): Entry | undefined {
    const entry = this.#entries.get(key)
    return entry !== undefined && this.ttlMs > 0 && entry.time + this.ttlMs <= this.#clock.now() ? undefined : entry
  }

  #remove(key: string): void {
    const entry = this.#entries.get(key)
    if (entry === undefined) return
    this.#entries.delete(key)
    this.#bytes -= key.length + entry.value.length + OVERHEAD_BYTES
  }

  #tell(key: string, value: Uint8Array | undefined): void {
    for (const following of this.#followers) this.#turns.add(() => this.#hand(following, key, value))
  }

  #hand(following: Following, key: string, value: Uint8Array | undefined): void {
    if (!this.#followers.has(following)) return
    if (following.reachable()) following.onChange(key, value)
    else following.missed.set(key, value)
  }
}

function checkKey(key: string): void {
  const bytes = Buffer.byteLength(key)
  if (bytes < 1 || bytes > LIMIT_KEY_BYTES || !key.isWellFormed()) throw new BusError('rejected', 'a key has 1 to 512 bytes of UTF-8')
}
