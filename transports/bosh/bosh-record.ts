// What is known of a BOSH session as plain values: what was agreed at its creation, the small record from which another node
// can go on with it after this one has died, and all of it for a planned move.

import type { KeyState } from './key-sequence.js'

/** Fixed when the session is created. */
export interface BoshTerms {
  readonly sid: string
  /** `ver` was not given: errors are told by HTTP status (XEP-0124 §17.1). */
  readonly legacy: boolean
  readonly waitMs: number
  readonly hold: number
  /** How many requests the client may have open. */
  readonly requests: number
  readonly inactivityMs: number
  readonly pollingMs: number
  readonly maxPauseMs: number
  readonly contentType: string
  /** The client acknowledges responses (§9.2). */
  readonly acks: boolean
  /** The client was told that it may open further streams, at this domain. */
  readonly domain: string
  readonly ip: string
  /** Created over TLS. */
  readonly secure: boolean
}

/** Written when the session is created and when a stream begins, is bound or ends; never for a message. */
export interface BoshRecord {
  readonly version: 1
  readonly terms: BoshTerms
  /** Requests carry keys (§15). */
  readonly keyed: boolean
  /** How many streams there have been. */
  readonly opened: number
  /** Those that are open; `ordinal`: how many there were before. */
  readonly streams: readonly { readonly name: string; readonly ordinal: number }[]
}

/** All of a session, once nothing is held any more. */
export interface BoshSnapshot {
  readonly record: BoshRecord
  /** The last rid in order; 0: not known. */
  readonly last: number
  readonly keys: KeyState
  readonly responses: readonly { readonly rid: number; readonly key: string; readonly body: string; readonly atMs: number }[]
  /** Requests that came before their turn. */
  readonly parked: readonly { readonly rid: number; readonly body: string }[]
  /** Elements that wait for a request, by stream. */
  readonly elements: Readonly<Record<string, readonly string[]>>
  /** Ends of streams that the client was not told yet. */
  readonly notices: readonly Notice[]
}

/** A response of its own that says that a stream has ended. */
export interface Notice {
  /** See attributeText. */
  readonly attributes: string
  readonly payload: string
}

export function encodeSnapshot(snapshot: BoshSnapshot): Uint8Array {
  return Buffer.from(JSON.stringify(snapshot))
}

/** Undefined: not one, or of another version. */
export function decodeSnapshot(bytes: Uint8Array): BoshSnapshot | undefined {
  const value = parse(bytes) as Partial<BoshSnapshot> | undefined
  return value?.record?.version === 1 ? (value as BoshSnapshot) : undefined
}

export function encodeRecord(record: BoshRecord): Uint8Array {
  return Buffer.from(JSON.stringify(record))
}

/** Undefined: not one, or of another version. */
export function decodeRecord(bytes: Uint8Array): BoshRecord | undefined {
  const value = parse(bytes) as Partial<BoshRecord> | undefined
  return value?.version === 1 ? (value as BoshRecord) : undefined
}

function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString())
  } catch {
    return undefined
  }
}
