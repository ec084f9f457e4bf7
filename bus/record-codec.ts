// Records of the store as bytes: one byte for the kind, then the fields in order; numbers as 8-byte floats, strings and
// bytes with their length (4 bytes) before them. Little-endian.

import type { StoreRecord } from './store-record.js'

/** On disk for good: a kind keeps its number and its fields. */
const KIND = { epoch: 1, message: 2, keptMessage: 3, inbox: 4, duplicate: 5, counters: 6, bucket: 7, put: 8, delete: 9 } as const

/** Appends to one buffer that grows as needed and is used again. */
export class RecordWriter {
  #buffer = Buffer.allocUnsafe(64 * 1024)
  #length = 0

  get length(): number {
    return this.#length
  }

  /** Valid until the next call of anything here. */
  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length)
  }

  /** Starts anew with so many bytes left free for the caller. */
  reset(free: number): void {
    // One huge batch should not be remembered in memory for ever.
    if (this.#buffer.length > 8 * 1024 * 1024) this.#buffer = Buffer.allocUnsafe(64 * 1024)
    this.#length = free
  }

  add(record: StoreRecord): void {
    switch (record.kind) {
      case 'epoch':
        this.#kind(KIND.epoch)
        this.#text(record.epoch)
        return
      case 'message':
        this.#kind(record.id === undefined ? KIND.keptMessage : KIND.message)
        this.#number(record.seq)
        this.#number(record.time)
        this.#text(record.user)
        if (record.id !== undefined) this.#text(record.id)
        this.#data(record.data)
        return
      case 'inbox':
        this.#kind(KIND.inbox)
        this.#text(record.user)
        this.#number(record.lastSeq)
        this.#number(record.evictedThrough)
        return
      case 'duplicate':
        this.#kind(KIND.duplicate)
        this.#text(record.key)
        this.#number(record.seq)
        this.#number(record.time)
        return
      case 'counters':
        this.#kind(KIND.counters)
        this.#number(record.lastSeq)
        this.#number(record.forgottenThrough)
        return
      case 'bucket':
        this.#kind(KIND.bucket)
        this.#text(record.name)
        this.#number(record.ttlMs)
        this.#number(record.revision)
        return
      case 'entry':
        this.#kind(record.value === undefined ? KIND.delete : KIND.put)
        this.#text(record.bucket)
        this.#text(record.key)
        this.#number(record.revision)
        this.#number(record.time)
        if (record.value !== undefined) this.#data(record.value)
        return
    }
  }

  #room(bytes: number): number {
    const at = this.#length
    this.#length += bytes
    if (this.#length > this.#buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(this.#length, this.#buffer.length * 2))
      this.#buffer.copy(larger, 0, 0, at)
      this.#buffer = larger
    }
    return at
  }

  #kind(kind: number): void {
    const at = this.#room(1)
    this.#buffer[at] = kind
  }

  #number(value: number): void {
    const at = this.#room(8)
    this.#buffer.writeDoubleLE(value, at)
  }

  #text(value: string): void {
    const bytes = Buffer.byteLength(value)
    const at = this.#room(4 + bytes)
    this.#buffer.writeUInt32LE(bytes, at)
    this.#buffer.write(value, at + 4)
  }

  #data(value: Uint8Array): void {
    const at = this.#room(4 + value.length)
    this.#buffer.writeUInt32LE(value.length, at)
    this.#buffer.set(value, at + 4)
  }
}

/** The records in a buffer, with copies of their bytes. Throws on what RecordWriter cannot have written. */
export function* readRecords(buffer: Buffer): Generator<StoreRecord> {
  let at = 0
  const number = () => {
    at += 8
    return buffer.readDoubleLE(at - 8)
  }
  const data = () => {
    const start = at + 4
    at = start + buffer.readUInt32LE(at)
    if (at > buffer.length) throw new Error('a record ends too early')
    return buffer.subarray(start, at)
  }
  const text = () => data().toString()
  while (at < buffer.length) {
    const kind = buffer[at++]
    switch (kind) {
      case KIND.epoch:
        yield { kind: 'epoch', epoch: text() }
        break
      case KIND.message:
        yield { kind: 'message', seq: number(), time: number(), user: text(), id: text(), data: new Uint8Array(data()) }
        break
      case KIND.keptMessage:
        yield { kind: 'message', seq: number(), time: number(), user: text(), id: undefined, data: new Uint8Array(data()) }
        break
      case KIND.inbox:
        yield { kind: 'inbox', user: text(), lastSeq: number(), evictedThrough: number() }
        break
      case KIND.duplicate:
        yield { kind: 'duplicate', key: text(), seq: number(), time: number() }
        break
      case KIND.counters:
        yield { kind: 'counters', lastSeq: number(), forgottenThrough: number() }
        break
      case KIND.bucket:
        yield { kind: 'bucket', name: text(), ttlMs: number(), revision: number() }
        break
      case KIND.put:
        yield { kind: 'entry', bucket: text(), key: text(), revision: number(), time: number(), value: new Uint8Array(data()) }
        break
      case KIND.delete:
        yield { kind: 'entry', bucket: text(), key: text(), revision: number(), time: number(), value: undefined }
        break
      default:
        throw new Error(`unknown kind of record: ${kind}`)
    }
  }
}
