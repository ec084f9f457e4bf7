// One file of the journal: a header, then frames. A frame is what one group commit wrote: magic, length, checksum, records.
//
//   header: "HWJRNL1\n", 8 random bytes (the salt), crc32 u32      frame: "HWFR", length u32, crc32 u32, records
//
// The checksum of the header covers the salt, that of a frame salt, length and records. The salt makes sure that nobody can put something into a message that
// looks like a frame.

import { randomBytes } from 'node:crypto'
import { closeSync, openSync, readSync, statSync } from 'node:fs'
import { type FileHandle, open, rm } from 'node:fs/promises'

const MAGIC = Buffer.from('HWJRNL1\n')
const SALT_BYTES = 8
const FRAME_MAGIC = Buffer.from('HWFR')
const HEADER_BYTES = MAGIC.length + SALT_BYTES + 4
/** A caller of `write` leaves so many bytes free at the start. */
export const FRAME_HEADER_BYTES = 12
/** No batch is that large (see CommitQueue). */
const FRAME_LIMIT_BYTES = 256 * 1024 * 1024
const WINDOW_BYTES = 4 * 1024 * 1024

export class JournalWriter {
  readonly path: string
  readonly #file: FileHandle
  readonly #salt: Buffer
  #bytes = 0

  private constructor(path: string, file: FileHandle, salt: Buffer) {
    this.path = path
    this.#file = file
    this.#salt = salt
  }

  /** The file must not exist yet. */
  static async create(path: string): Promise<JournalWriter> {
    const file = await open(path, 'wx', 0o600)
    try {
      const salt = randomBytes(SALT_BYTES)
      const writer = new JournalWriter(path, file, salt)
      await writer.#append(headerOf(salt))
      await file.datasync()
      return writer
    } catch (error) {
      await file.close()
      await rm(path, { force: true })
      throw error
    }
  }

  /** Written so far, with the header. */
  get bytes(): number {
    return this.#bytes
  }

  /** Writes one frame; `frame` begins with FRAME_HEADER_BYTES for this to fill in. Not safe before `sync`. */
  async write(frame: Buffer): Promise<void> {
    FRAME_MAGIC.copy(frame)
    frame.writeUInt32LE(frame.length - FRAME_HEADER_BYTES, 4)
    frame.writeUInt32LE(checksum(this.#salt, frame.subarray(4, 8), frame.subarray(FRAME_HEADER_BYTES)), 8)
    await this.#append(frame)
  }

  sync(): Promise<void> {
    return this.#file.datasync()
  }

  /** Takes back what a failed `write` may have left. */
  async rewind(): Promise<void> {
    await this.#file.truncate(this.#bytes)
  }

  close(): Promise<void> {
    return this.#file.close()
  }

  async #append(bytes: Buffer): Promise<void> {
    let done = 0
    while (done < bytes.length) {
      const { bytesWritten } = await this.#file.write(bytes, done, bytes.length - done, this.#bytes + done)
      done += bytesWritten
    }
    this.#bytes += bytes.length
  }
}

/**
 * How a file ends: `clean`, or `torn` at `bytes` (a crash in the middle of the last write: nothing that was acknowledged).
 */
export interface JournalEnd {
  readonly kind: 'clean' | 'torn'
  readonly bytes: number
}

/**
 * Hands over the records of each frame, in order. Throws if the file is none of ours, or is damaged in the middle: a bad
 * frame with an intact one after it. (A frame is begun only after the one before is on disk.)
 */
export function readJournal(path: string, onFrame: (records: Buffer) => void): JournalEnd {
  const size = statSync(path).size
  const fd = openSync(path, 'r')
  try {
    const header = readAt(fd, 0, Math.min(HEADER_BYTES, size))
    const salt = header.subarray(MAGIC.length, MAGIC.length + SALT_BYTES)
    if (!header.equals(headerOf(salt))) {
      // Nothing but a header, and that not whole: a crash while the file was made.
      if (size <= HEADER_BYTES) return { kind: 'torn', bytes: 0 }
      throw new Error(`${path} is not a journal of this version, or is damaged in its first bytes`)
    }
    let window: Buffer = Buffer.alloc(0)
    let windowStart = HEADER_BYTES
    const view = (start: number, end: number): Buffer => {
      if (start < windowStart || end > windowStart + window.length) {
        window = readAt(fd, start, Math.min(size - start, Math.max(end - start, WINDOW_BYTES)))
        windowStart = start
      }
      return window.subarray(start - windowStart, end - windowStart)
    }
    let at = HEADER_BYTES
    while (at < size) {
      const records = frameAt(at, size, salt, view)
      if (records === undefined) {
        if (intactFrameAfter(at, size, salt, view)) {
          throw new Error(`${path} is damaged at byte ${at}, and there are intact records after it: restore it from a backup`)
        }
        return { kind: 'torn', bytes: at }
      }
      onFrame(records)
      at += FRAME_HEADER_BYTES + records.length
    }
    return { kind: 'clean', bytes: size }
  } finally {
    closeSync(fd)
  }
}

function headerOf(salt: Buffer): Buffer {
  const header = Buffer.alloc(HEADER_BYTES)
  MAGIC.copy(header)
  salt.copy(header, MAGIC.length)
  header.writeUInt32LE(checksum(salt), HEADER_BYTES - 4)
  return header
}

type View = (start: number, end: number) => Buffer

/** Undefined: no intact frame begins there. */
function frameAt(at: number, size: number, salt: Buffer, view: View): Buffer | undefined {
  const start = at + FRAME_HEADER_BYTES
  if (start > size) return undefined
  const header = view(at, start)
  const length = header.readUInt32LE(4)
  const crc = header.readUInt32LE(8)
  if (!header.subarray(0, 4).equals(FRAME_MAGIC) || length > FRAME_LIMIT_BYTES || start + length > size) return undefined
  const lengthBytes = Buffer.from(header.subarray(4, 8))
  const records = view(start, start + length)
  return checksum(salt, lengthBytes, records) === crc ? records : undefined
}

function intactFrameAfter(bad: number, size: number, salt: Buffer, view: View): boolean {
  for (let at = bad + 1; at + FRAME_HEADER_BYTES <= size; ) {
    const part = view(at, Math.min(size, at + WINDOW_BYTES))
    const found = part.indexOf(FRAME_MAGIC)
    if (found === -1) at += Math.max(1, part.length - FRAME_MAGIC.length + 1)
    else if (frameAt(at + found, size, salt, view) !== undefined) return true
    else at += found + 1
  }
  return false
}

function readAt(fd: number, position: number, length: number): Buffer {
  const buffer = Buffer.allocUnsafe(length)
  let done = 0
  while (done < length) {
    const count = readSync(fd, buffer, done, length - done, position + done)
    if (count === 0) throw new Error('the file became shorter while it was read')
    done += count
  }
  return buffer
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1
  return crc
})

/** CRC-32 (as in gzip) over all parts. */
function checksum(...parts: readonly Buffer[]): number {
  let crc = 0xffffffff
  for (const part of parts) {
    for (let i = 0; i < part.length; i++) crc = (CRC_TABLE[(crc ^ (part[i] ?? 0)) & 0xff] ?? 0) ^ (crc >>> 8)
  }
  return (crc ^ 0xffffffff) >>> 0
}
