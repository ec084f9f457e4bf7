// Group commit: changes collect while the last batch is written; a batch takes effect as a whole after it is safe.

import { BusError } from './bus.js'
import type { StoreRecord } from './store-record.js'

/** One change to the store. Exactly one of `commit` and `fail` is called, in the order of `add`, never inside it. */
export interface Change {
  /** Undefined: nothing to write, only to wait for what was added before (a duplicate's answer, a lost compare-and-set). */
  readonly record: StoreRecord | undefined
  commit(): void
  fail(error: BusError): void
}

/** Where records become safe. Rejects if this batch was not written; after `broken` nothing can be written any more. */
export interface RecordLog {
  readonly broken: boolean
  append(records: readonly StoreRecord[]): Promise<void>
}

/** A batch is one write: keeps a single one from growing without end. */
const BATCH_LIMIT_CHANGES = 4096
const BATCH_LIMIT_BYTES = 4 * 1024 * 1024

export interface CommitQueueOptions {
  /** Called after each batch. */
  readonly onCommitted: () => void
  /** The log is broken: nothing will be committed any more. */
  readonly onBroken: () => void
  readonly onError: (error: unknown, what: string) => void
}

export class CommitQueue {
  readonly #options: CommitQueueOptions
  #log: RecordLog | undefined
  #waiting: Change[] = []
  #phase: 'idle' | 'scheduled' | 'writing' = 'idle'
  #idle: (() => void)[] = []

  constructor(options: CommitQueueOptions) {
    this.#options = options
  }

  /** From here on records are written; without a log, changes take effect in the next turn of the event loop. */
  writeTo(log: RecordLog): void {
    this.#log = log
  }

  add(change: Change): void {
    this.#waiting.push(change)
    if (this.#phase === 'idle') this.#schedule()
  }

  /** Resolves when everything added so far has been committed or has failed. */
  settled(): Promise<void> {
    if (this.#phase === 'idle') return Promise.resolve()
    return new Promise((resolve) => this.#idle.push(resolve))
  }

  #schedule(): void {
    this.#phase = 'scheduled'
    setImmediate(() => this.#flush())
  }

  #flush(): void {
    const log = this.#log
    const batch = this.#take()
    const records = log === undefined ? [] : batch.flatMap((change) => (change.record === undefined ? [] : [change.record]))
    if (log === undefined || records.length === 0) {
      this.#finish(batch, undefined)
      return
    }
    this.#phase = 'writing'
    log.append(records).then(
      () => this.#finish(batch, undefined),
      (error: unknown) => {
        this.#options.onError(error, 'journal')
        // What waits may build on what failed (a duplicate of it, a revision), so it fails with it.
        const failed = batch.concat(this.#waiting)
        this.#waiting = []
        // Broken: some of it may be on disk.
        this.#finish(failed, new BusError(log.broken ? 'disconnected' : 'rejected', 'the journal could not be written'))
        if (log.broken) this.#options.onBroken()
      },
    )
  }

  #take(): Change[] {
    let bytes = 0
    let count = 0
    for (const { record } of this.#waiting) {
      if (count === BATCH_LIMIT_CHANGES || bytes >= BATCH_LIMIT_BYTES) break
      if (record?.kind === 'message') bytes += record.data.length
      else if (record?.kind === 'entry') bytes += record.value?.length ?? 0
      count++
    }
    return this.#waiting.splice(0, count)
  }

  #finish(batch: readonly Change[], error: BusError | undefined): void {
    for (const change of batch) {
      try {
        if (error === undefined) change.commit()
        else change.fail(error)
      } catch (thrown) {
        this.#options.onError(thrown, 'bus commit')
      }
    }
    if (this.#waiting.length > 0) this.#schedule()
    else {
      this.#phase = 'idle'
      for (const resolve of this.#idle.splice(0)) resolve()
    }
    this.#options.onCommitted()
  }
}
