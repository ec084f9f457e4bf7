// The streams of one session by name: those that are open, and which a request is for (XEP-0124 §16).

import type { Element } from '../../proto/xml/element.js'
import type { Request } from './attributes.js'
import type { BoshStream } from './bosh-stream.js'

const CLOSED_NAMES_LIMIT = 16
const NONE: readonly BoshStream[] = []

export class StreamSet {
  /** Made anew with each change: it may be gone through while streams come and go. */
  #open: readonly BoshStream[] = NONE
  /** Of the last ones that were closed: the client may not know yet. */
  readonly #closedNames: string[] = []
  #opened: number

  constructor(opened: number) {
    this.#opened = opened
  }

  get open(): readonly BoshStream[] {
    return this.#open
  }

  /** How many there have been. */
  get opened(): number {
    return this.#opened
  }

  /** The ordinal of the next one. */
  count(): number {
    return this.#opened++
  }

  add(stream: BoshStream): void {
    this.#open = [...this.#open, stream]
  }

  /** False: it was removed before. */
  remove(stream: BoshStream): boolean {
    if (!this.#open.includes(stream)) return false
    this.#open = this.#open.filter((one) => one !== stream)
    this.#closedNames.push(stream.name)
    if (this.#closedNames.length > CLOSED_NAMES_LIMIT) this.#closedNames.shift()
    return true
  }

  clear(): void {
    this.#open = NONE
  }

  /** It was served: the others come first the next time. */
  moveToEnd(stream: BoshStream): void {
    if (this.#open.length > 1) this.#open = [...this.#open.filter((one) => one !== stream), stream]
  }

  /** The one with this name, none if it was closed lately, all without a name; undefined: there never was one. */
  named(name: string): readonly BoshStream[] | undefined {
    if (name === '') return this.#open
    const stream = this.#open.find((one) => one.name === name)
    if (stream !== undefined) return [stream]
    return this.#closedNames.includes(name) ? NONE : undefined
  }

  /** Those that a request is for. In an empty one a name means nothing (§16.4). */
  targets({ stream, payloads, restarts }: Request): readonly BoshStream[] | undefined {
    return payloads.length === 0 && !restarts ? this.#open : this.named(stream)
  }
}

/** `sid`: of the session; the ids of the elements are made of it, without its secret: they are stored. */
export function deliver(streams: readonly BoshStream[], payloads: readonly Element[], sid: string, rid: number): void {
  if (payloads.length === 0) return
  const ref = sid.slice(0, Math.max(0, sid.lastIndexOf('.')))
  for (const stream of streams) {
    const id = `${ref}:${rid}${stream.ordinal === 0 ? '' : `:s${stream.ordinal}`}`
    for (const [i, payload] of payloads.entries()) stream.receive(payload, `${id}:${i}`)
  }
}
