// The append-only journal of the embedded bus in a directory: numbered segments, now and then a snapshot that replaces
// all segments up to its number.
//
//   bus-00000007.snapshot   everything up to the end of segment 7
//   bus-00000008.journal    …and what came after, in order

import { mkdir, open, readdir, rename, rm, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from './clock.js'
import type { RecordLog } from './commit-queue.js'
import { DirectoryLock } from './directory-lock.js'
import { FRAME_HEADER_BYTES, JournalWriter, readJournal } from './journal-file.js'
import { RecordWriter, readRecords } from './record-codec.js'
import type { StoreRecord } from './store-record.js'

export interface JournalOptions {
  readonly directory: string
  readonly clock: Clock
  readonly onError: (error: unknown, what: string) => void
  /** Called while opening, for every record in order. */
  readonly apply: (record: StoreRecord) => void
  /** The whole state, for a snapshot: taken in pieces while appending goes on (see EmbeddedStore.records). */
  readonly records: () => Iterable<StoreRecord>
  /** What the state takes, roughly: journals twice as large are compacted. */
  readonly stateBytes: () => number
  /** Below this the journals are not worth compacting. */
  readonly compactBytes?: number
}

const COMPACT_BYTES = 64 * 1024 * 1024
const SEGMENT_BYTES = 64 * 1024 * 1024
const SNAPSHOT_FRAME_BYTES = 1024 * 1024
const NAME = /^bus-(\d{8})\.(journal|snapshot)$/

export class Journal implements RecordLog {
  readonly #options: JournalOptions
  readonly #lock: DirectoryLock
  readonly #frame = new RecordWriter()
  #state: 'open' | 'broken' | 'closing' = 'open'
  #writer: JournalWriter
  /** Number of the segment being written. */
  #segment: number
  /** What the segments before it take that no snapshot replaces yet. */
  #oldBytes: number
  #compacting: Promise<void> | undefined
  /** Not to be compacted before there is so much: rises when a snapshot fails. */
  #compactFromBytes: number

  private constructor(options: JournalOptions, lock: DirectoryLock, writer: JournalWriter, segment: number, oldBytes: number) {
    this.#options = options
    this.#lock = lock
    this.#writer = writer
    this.#segment = segment
    this.#oldBytes = oldBytes
    this.#compactFromBytes = options.compactBytes ?? COMPACT_BYTES
  }

  /** Replays what is there. Throws if another process has the directory, or if something acknowledged is damaged. */
  static async open(options: JournalOptions): Promise<Journal> {
    const { directory } = options
    await mkdir(directory, { recursive: true, mode: 0o700 })
    const lock = await DirectoryLock.take(directory, options.clock, options.onError)
    try {
      const { last, bytes } = await replay(options)
      const writer = await JournalWriter.create(segmentPath(directory, last + 1))
      await syncDirectory(directory)
      return new Journal(options, lock, writer, last + 1, bytes)
    } catch (error) {
      await lock.release()
      throw error
    }
  }

  get broken(): boolean {
    return this.#state === 'broken'
  }

  /** One batch at a time. Resolves when it is on disk. */
  async append(records: readonly StoreRecord[]): Promise<void> {
    if (this.#state === 'broken') throw new Error('the journal is broken')
    if (this.#shouldCompact()) {
      await this.#rotate()
      this.#compacting = this.#compact(this.#segment - 1)
    } else if (this.#writer.bytes >= SEGMENT_BYTES) await this.#rotate()
    this.#frame.reset(FRAME_HEADER_BYTES)
    for (const record of records) this.#frame.add(record)
    try {
      await this.#writer.write(this.#frame.bytes)
    } catch (error) {
      await this.#orBreak(() => this.#writer.rewind())
      throw error
    }
    // After a failed fsync nobody knows what is on disk, and asking again would not tell.
    await this.#orBreak(() => this.#writer.sync())
  }

  async close(): Promise<void> {
    if (this.#state === 'open') this.#state = 'closing'
    await this.#compacting
    await this.#writer.close()
    await this.#lock.release()
  }

  #shouldCompact(): boolean {
    if (this.#compacting !== undefined || this.#state !== 'open') return false
    const bytes = this.#oldBytes + this.#writer.bytes
    return bytes > this.#compactFromBytes && bytes > 2 * this.#options.stateBytes()
  }

  async #rotate(): Promise<void> {
    const { directory } = this.#options
    const next = await JournalWriter.create(segmentPath(directory, this.#segment + 1))
    await syncDirectory(directory)
    await this.#writer.close()
    this.#oldBytes += this.#writer.bytes
    this.#segment++
    this.#writer = next
  }

  /** Writes a snapshot that replaces everything up to segment `through`; what fails is reported and tried again later. */
  async #compact(through: number): Promise<void> {
    const { directory, onError } = this.#options
    const replacedBytes = this.#oldBytes
    const path = snapshotPath(directory, through)
    try {
      if (!(await this.#writeSnapshot(`${path}.tmp`))) return
      await rename(`${path}.tmp`, path)
      await syncDirectory(directory)
      this.#oldBytes -= replacedBytes
      await removeReplaced(directory, through)
    } catch (error) {
      onError(error, 'journal snapshot')
      this.#compactFromBytes = 2 * (this.#oldBytes + this.#writer.bytes)
    } finally {
      this.#compacting = undefined
    }
  }

  /** False: the journal closes, never mind. */
  async #writeSnapshot(path: string): Promise<boolean> {
    await rm(path, { force: true })
    const writer = await JournalWriter.create(path)
    const frame = new RecordWriter()
    try {
      frame.reset(FRAME_HEADER_BYTES)
      for (const record of this.#options.records()) {
        frame.add(record)
        if (frame.length < SNAPSHOT_FRAME_BYTES) continue
        await writer.write(frame.bytes)
        frame.reset(FRAME_HEADER_BYTES)
        if (this.#state !== 'open') return false
      }
      await writer.write(frame.bytes)
      await writer.sync()
      return true
    } finally {
      await writer.close()
    }
  }

  async #orBreak(step: () => Promise<void>): Promise<void> {
    try {
      await step()
    } catch (error) {
      this.#state = 'broken'
      throw error
    }
  }
}

async function replay({ directory, apply, onError }: JournalOptions): Promise<{ last: number; bytes: number }> {
  const files = (await readdir(directory)).flatMap((name) => {
    const [, number, kind] = NAME.exec(name) ?? []
    return number === undefined ? [] : [{ number: Number(number), kind, path: join(directory, name) }]
  })
  const onFrame = (records: Buffer) => {
    for (const record of readRecords(records)) apply(record)
  }
  const snapshots = files.filter(({ kind }) => kind === 'snapshot').sort((a, b) => b.number - a.number)
  const snapshot = snapshots[0]
  if (snapshot !== undefined && readJournal(snapshot.path, onFrame).kind !== 'clean') {
    throw new Error(`${snapshot.path} is damaged: restore it from a backup`)
  }
  const from = snapshot?.number ?? 0
  const segments = files.filter(({ kind, number }) => kind === 'journal' && number > from).sort((a, b) => a.number - b.number)
  let last = from
  let bytes = 0
  for (const [index, { number, path }] of segments.entries()) {
    if (number !== last + 1) throw new Error(`${segmentPath(directory, last + 1)} is missing: restore it from a backup`)
    last = number
    const end = readJournal(path, onFrame)
    bytes += end.bytes
    if (end.kind === 'clean') continue
    if (index < segments.length - 1) throw new Error(`${path} is damaged at byte ${end.bytes}: restore it from a backup`)
    if (end.bytes === 0) {
      // Not even its header was written: its number is used again.
      await rm(path)
      last--
    } else await cutOff(path, end.bytes)
    onError(new Error(`${path} ended in the middle of a write and was cut off at byte ${end.bytes}`), 'journal')
  }
  await removeReplaced(directory, from)
  return { last, bytes }
}

async function cutOff(path: string, bytes: number): Promise<void> {
  await truncate(path, bytes)
  const file = await open(path, 'r+')
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}

/** Removes segments that the snapshot replaces, older snapshots, and snapshots that were never finished. */
async function removeReplaced(directory: string, through: number): Promise<void> {
  for (const name of await readdir(directory)) {
    const [, number, kind] = NAME.exec(name) ?? []
    const replaced = number !== undefined && (kind === 'journal' ? Number(number) <= through : Number(number) < through)
    if (replaced || (name.startsWith('bus-') && name.endsWith('.snapshot.tmp'))) await rm(join(directory, name))
  }
}

/** Makes files that were created, renamed or removed stay so over a loss of power. */
async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

function segmentPath(directory: string, number: number): string {
  return join(directory, `bus-${String(number).padStart(8, '0')}.journal`)
}

function snapshotPath(directory: string, number: number): string {
  return join(directory, `bus-${String(number).padStart(8, '0')}.snapshot`)
}
