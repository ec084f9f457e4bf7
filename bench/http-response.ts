// HTTP/1.1 responses as they come in pieces: head, then a body by length, in chunks, or until the end of the connection.

import { EMPTY, join, keep } from './wire.js'

export interface ResponseOwner {
  /** `text`: the whole head, without the empty line. */
  head(status: number, text: string): void
  /** A piece of the body; borrowed. */
  body(bytes: Buffer): void
  /** The response is complete (never for a body that lasts until the end of the connection). */
  end(): void
}

type Part =
  | { readonly kind: 'head' }
  | { readonly kind: 'counted'; left: number }
  | { readonly kind: 'chunk size' }
  | { readonly kind: 'chunk'; left: number }
  | { readonly kind: 'open-ended' }

const END_OF_HEAD = Buffer.from('\r\n\r\n')
const LINE_END = Buffer.from('\r\n')
const HEAD: Part = { kind: 'head' }
const CHUNK_SIZE: Part = { kind: 'chunk size' }

export class ResponseReader {
  readonly #owner: ResponseOwner
  #part: Part = HEAD
  #rest = EMPTY

  constructor(owner: ResponseOwner) {
    this.#owner = owner
  }

  receive(bytes: Buffer): void {
    const input = join(this.#rest, bytes)
    let at = 0
    for (;;) {
      const next = this.#step(input, at)
      if (next === undefined) break
      at = next
    }
    this.#rest = keep(input, at)
  }

  /** Where to go on; undefined: more bytes are needed. */
  #step(input: Buffer, at: number): number | undefined {
    const part = this.#part
    switch (part.kind) {
      case 'head': {
        const end = input.indexOf(END_OF_HEAD, at)
        if (end === -1) return undefined
        this.#readHead(input.toString('latin1', at, end))
        return end + END_OF_HEAD.length
      }
      case 'counted': {
        const taken = Math.min(part.left, input.length - at)
        if (taken > 0) this.#owner.body(input.subarray(at, at + taken))
        part.left -= taken
        if (part.left > 0) return taken > 0 ? at + taken : undefined
        this.#part = HEAD
        this.#owner.end()
        return at + taken
      }
      case 'chunk size': {
        const end = input.indexOf(LINE_END, at)
        if (end === -1) return undefined
        const size = Number.parseInt(input.toString('latin1', at, end), 16)
        if (!(size >= 0)) throw new Error('not a chunk size')
        if (size > 0) {
          this.#part = { kind: 'chunk', left: size }
          return end + LINE_END.length
        }
        // The last one: an empty trailer follows.
        if (input.length < end + END_OF_HEAD.length) return undefined
        this.#part = HEAD
        this.#owner.end()
        return end + END_OF_HEAD.length
      }
      case 'chunk': {
        const taken = Math.min(part.left, input.length - at)
        if (taken > 0) this.#owner.body(input.subarray(at, at + taken))
        part.left -= taken
        if (part.left > 0 || input.length < at + taken + LINE_END.length) return taken > 0 ? at + taken : undefined
        this.#part = CHUNK_SIZE
        return at + taken + LINE_END.length
      }
      case 'open-ended':
        if (at < input.length) this.#owner.body(input.subarray(at))
        return at < input.length ? input.length : undefined
    }
  }

  #readHead(head: string): void {
    const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1]
    if (/\r\ntransfer-encoding: *chunked/i.test(head)) this.#part = CHUNK_SIZE
    else this.#part = length === undefined ? { kind: 'open-ended' } : { kind: 'counted', left: Number(length) }
    this.#owner.head(Number(head.slice(9, 12)), head)
  }
}
