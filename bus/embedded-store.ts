// The durable half of the embedded bus: inboxes, duplicate window and buckets, changed only through the commit queue.

import { randomBytes } from 'node:crypto'
import { BusError, type PublishAck } from './bus.js'
import type { Clock } from './clock.js'
import type { CommitQueue } from './commit-queue.js'
import { DuplicateWindow } from './duplicate-window.js'
import { BucketStore } from './embedded-bucket.js'
import type { Inboxes } from './embedded-inbox.js'
import type { StoreRecord } from './store-record.js'
import type { TurnQueue } from './turn-queue.js'

const BUCKET_NAME = /^[A-Za-z0-9_-]{1,64}$/

export interface StoreParts {
  readonly inboxes: Inboxes
  readonly duplicates: DuplicateWindow
  readonly commits: CommitQueue
  readonly turns: TurnQueue
  readonly clock: Clock
  /** A message is in its inbox now. */
  readonly onStored: (user: string, seq: number, data: Uint8Array) => void
}

export class EmbeddedStore {
  readonly #parts: StoreParts
  readonly #buckets = new Map<string, BucketStore>()
  #epoch = newEpoch()
  /** Last sequence given out; of a batch that could not be written they stay unused. */
  #lastSeq = 0
  /** What is not greater has been committed or has failed. */
  #committedSeq = 0

  constructor(parts: StoreParts) {
    this.#parts = parts
  }

  /** Fits into a cursor: [A-Za-z0-9_-]. */
  get epoch(): string {
    return this.#epoch
  }

  get buckets(): Iterable<BucketStore> {
    return this.#buckets.values()
  }

  /** `data` is kept: it must belong to the store. Rejects with BusError. */
  publish(user: string, id: string, data: Uint8Array): Promise<PublishAck> {
    const { commits, duplicates, inboxes, clock, onStored } = this.#parts
    const key = DuplicateWindow.key(user, id)
    const original = duplicates.seqOf(key)
    return new Promise((resolve, reject) => {
      if (original !== undefined) {
        commits.add({ record: undefined, commit: () => resolve({ seq: original, duplicate: true }), fail: reject })
        return
      }
      if (duplicates.full) {
        reject(new BusError('overloaded', 'the duplicate window is full'))
        return
      }
      const seq = ++this.#lastSeq
      const time = clock.now()
      duplicates.add(key, seq, time)
      commits.add({
        record: { kind: 'message', seq, time, user, id, data },
        commit: () => {
          this.#committedSeq = seq
          inboxes.append(user, seq, time, data)
          onStored(user, seq, data)
          resolve({ seq, duplicate: false })
        },
        fail: (error) => {
          duplicates.delete(key)
          reject(error)
        },
      })
    })
  }

  /** Throws BusError if there is one with other settings. */
  async bucket(name: string, ttlMs: number): Promise<BucketStore> {
    if (!BUCKET_NAME.test(name)) throw new BusError('rejected', 'a bucket is named with 1 to 64 of [A-Za-z0-9_-]')
    const { commits, turns, clock } = this.#parts
    const present = this.#buckets.get(name)
    if (present !== undefined && present.ttlMs !== ttlMs) throw new BusError('rejected', `bucket ${name} has other settings`)
    const bucket = present ?? new BucketStore(name, ttlMs, clock, commits, turns)
    this.#buckets.set(name, bucket)
    // Who finds one that is just being made waits for it too.
    await new Promise<void>((resolve, reject) => {
      commits.add({
        record: present === undefined ? { kind: 'bucket', name, ttlMs, revision: 0 } : undefined,
        commit: resolve,
        fail: (error) => {
          if (present === undefined) this.#buckets.delete(name)
          reject(error)
        },
      })
    })
    return bucket
  }

  /** All inboxes are gone, and sequences start again in a new epoch; buckets stay. `onReset` is called when it is so. */
  reset(onReset: () => void): Promise<void> {
    const { commits, duplicates, inboxes } = this.#parts
    const epoch = newEpoch()
    this.#lastSeq = 0
    duplicates.clear()
    return new Promise((resolve, reject) => {
      commits.add({
        record: { kind: 'epoch', epoch },
        commit: () => {
          inboxes.clear()
          this.#epoch = epoch
          this.#committedSeq = 0
          onReset()
          resolve()
        },
        fail: reject,
      })
    })
  }

  expire(): void {
    const now = this.#parts.clock.now()
    this.#parts.inboxes.expire(now)
    this.#parts.duplicates.expire(now)
    for (const bucket of this.#buckets.values()) bucket.expire()
  }

  /** Takes over a record of a journal or a snapshot. */
  apply(record: StoreRecord): void {
    const { inboxes, duplicates, clock, commits, turns } = this.#parts
    switch (record.kind) {
      case 'epoch':
        if (record.epoch === this.#epoch) return
        this.#epoch = record.epoch
        this.#lastSeq = 0
        this.#committedSeq = 0
        inboxes.clear()
        duplicates.clear()
        return
      case 'message':
        this.#restoreSeq(record.seq)
        inboxes.append(record.user, record.seq, record.time, record.data)
        if (record.id !== undefined) duplicates.add(DuplicateWindow.key(record.user, record.id), record.seq, record.time)
        return
      case 'inbox':
        inboxes.restore(record.user, record.lastSeq, record.evictedThrough)
        return
      case 'duplicate':
        duplicates.add(record.key, record.seq, record.time)
        return
      case 'counters':
        this.#restoreSeq(record.lastSeq)
        inboxes.restoreForgotten(record.forgottenThrough)
        return
      case 'bucket': {
        const bucket = this.#buckets.get(record.name) ?? new BucketStore(record.name, record.ttlMs, clock, commits, turns)
        bucket.restoreRevision(record.revision)
        this.#buckets.set(record.name, bucket)
        return
      }
      case 'entry':
        this.#buckets.get(record.bucket)?.apply(record)
        return
    }
  }

  /** What the state takes, roughly. */
  get bytes(): number {
    let bytes = this.#parts.inboxes.bytes + this.#parts.duplicates.size * 100
    for (const bucket of this.#buckets.values()) bytes += bucket.bytes
    return bytes
  }

  /**
   * Everything as records. May be taken in pieces while changes go on, if the journal of those changes is replayed
   * after it: what they have in common is recognised by sequence and revision.
   */
  *records(): Generator<StoreRecord> {
    const { inboxes, duplicates } = this.#parts
    yield { kind: 'epoch', epoch: this.#epoch }
    for (const bucket of this.#buckets.values()) {
      yield { kind: 'bucket', name: bucket.name, ttlMs: bucket.ttlMs, revision: bucket.revision }
      yield* bucket.records()
    }
    for (const { user, lastSeq, evictedThrough, messages } of inboxes.all()) {
      for (const { seq, time, data } of messages) yield { kind: 'message', seq, time, user, id: undefined, data }
      yield { kind: 'inbox', user, lastSeq, evictedThrough }
    }
    for (const entry of duplicates.entries()) {
      // Not of a message that is not written yet: a repeat of it must not be taken for stored after a crash.
      if (entry.seq <= this.#committedSeq) yield { kind: 'duplicate', ...entry }
    }
    // Last: a user without a record counts as forgotten from here on.
    yield { kind: 'counters', lastSeq: this.#lastSeq, forgottenThrough: inboxes.forgottenThrough }
  }

  #restoreSeq(seq: number): void {
    this.#lastSeq = Math.max(this.#lastSeq, seq)
    this.#committedSeq = this.#lastSeq
  }
}

function newEpoch(): string {
  return randomBytes(8).toString('base64url').slice(0, 10)
}
