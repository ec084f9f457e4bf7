// What a BOSH session needs of its surroundings.

import type { Delivery } from '../../gateway/carrier.js'
import type { CloseReason } from '../../gateway/close-reason.js'
import type { Session } from '../../gateway/session.js'
import type { Stream, StreamWire } from '../xmpp/wire.js'
import type { BoshSession } from './bosh-session.js'

/** Makes the stream behind a wire. It may call `wire.bound` at once, when the stream goes on with a session that it has. */
export type OpenStream = (wire: StreamWire, name: string) => Stream

export interface BoshLimits {
  /** Open at once in one session. */
  readonly streams: number
  /** Of requests that came before their turn. */
  readonly parkedBytes: number
  /** How long a parked request waits for the ones before it; 0: as long as it may be held. */
  readonly gapMs: number
  /** Of responses kept for repeated requests; the last one is kept whatever its size. */
  readonly cachedBytes: number
}

export interface BoshHost {
  readonly limits: BoshLimits
  now(): number
  /** `session.deadlineMs` has become earlier. */
  schedule(session: BoshSession): void
  newStreamName(): string
  /** Whether streams to this domain can be opened. */
  serves(domain: string): boolean
  /** One stanza. */
  render(delivery: Delivery, session: Session): string
  /** `session.record` is new or has changed. */
  changed(session: BoshSession): void
  /** Exactly once, unless it moved to another node: it is not to be adopted any more. */
  ended(session: BoshSession, reason: CloseReason): void
  /** Its sid means nothing any more. */
  forget(session: BoshSession): void
  sentBytes(bytes: number): void
  /** The client broke a rule. */
  refused(reason: CloseReason): void
  onError(error: unknown, what: string): void
}
