// Requests that came before their turn: some rids before theirs are missing yet (XEP-0124 §14.2). Never answered with
// payloads, since the client would have to wait for those before.

import type { Element } from '../../proto/xml/element.js'
import type { Asker } from './asker.js'
import type { Request } from './attributes.js'

export interface Parked {
  readonly request: Request
  /** As it came, for another node. */
  readonly source: Element
  readonly sizeBytes: number
  /** Undefined: its connection has gone, or was told to ask again. */
  asker: Asker | undefined
  /** When its client is told to ask again. */
  untilMs: number
  /** When it came first. */
  readonly sinceMs: number
  /** Nothing of its client was here when it came. */
  readonly afterAbsence: boolean
}

export class ParkedRequests {
  #parked: Map<number, Parked> | undefined = undefined
  #bytes = 0

  get size(): number {
    return this.#parked?.size ?? 0
  }

  /** Those whose client is there. */
  get live(): number {
    let live = 0
    for (const { asker } of this.all) if (asker !== undefined && !asker.gone) live++
    return live
  }

  get bytes(): number {
    return this.#bytes
  }

  get all(): readonly Parked[] {
    return this.#parked === undefined ? NOTHING : [...this.#parked.values()]
  }

  get(rid: number): Parked | undefined {
    return this.#parked?.get(rid)
  }

  add(parked: Parked): void {
    this.#parked ??= new Map()
    this.#parked.set(parked.request.rid, parked)
    this.#bytes += parked.sizeBytes
  }

  /** It is its turn. */
  take(rid: number): Parked | undefined {
    const parked = this.#parked?.get(rid)
    if (parked === undefined) return undefined
    this.#parked?.delete(rid)
    this.#bytes -= parked.sizeBytes
    return parked
  }

  /** The one whose turn comes first. */
  get first(): Parked | undefined {
    let first: Parked | undefined
    for (const parked of this.all) if (first === undefined || parked.request.rid < first.request.rid) first = parked
    return first
  }

  lose(asker: Asker): void {
    for (const parked of this.all) if (parked.asker === asker) parked.asker = undefined
  }

  /** When the first of those whose client is there has to be answered; Infinity: none. */
  get deadlineMs(): number {
    let deadlineMs = Number.POSITIVE_INFINITY
    for (const { asker, untilMs } of this.all) if (asker !== undefined && !asker.gone) deadlineMs = Math.min(deadlineMs, untilMs)
    return deadlineMs
  }
}

const NOTHING: readonly Parked[] = []
