// An XMPP stream and the wire that carries it (BOSH or a WebSocket): what each is to the other.

import type { Carrier } from '../../gateway/carrier.js'
import type { CloseReason } from '../../gateway/close-reason.js'
import type { Session } from '../../gateway/session.js'
import type { Element } from '../../proto/xml/element.js'

/** Attributes of a stream header (RFC 6120 §4.7), of `<open/>` (RFC 7395 §3.4), or of the `<body/>` that creates or restarts a stream. */
export interface StreamHeader {
  readonly to: string
  readonly from: string
  /** `xml:lang` */
  readonly language: string
}

/**
 * Why a stream ends. `condition`: a stream error (RFC 6120 §4.9.3); '' for none. `reason` is its text and goes to metrics
 * and, for BOSH, through the table of gateway/close-reason.ts to a terminate condition.
 */
export interface StreamEnd {
  readonly condition: string
  readonly reason: CloseReason
}

/** The wire as the stream sees it. Called from anywhere but from inside calls of the stream's own methods' callers; must not throw. */
export interface StreamWire {
  readonly transport: 'bosh' | 'xmpp-websocket'
  readonly ip: string
  readonly secure: boolean
  /** Before there is a session: elements for the client, each a complete XML text, in order. */
  send(elements: readonly string[]): void
  /** The stream has ended before there was a session: say so to the client. Called once, nothing follows. */
  end(end: StreamEnd): void
  /**
   * There is a session now. The wire makes its carrier, which `session.attach`es at once; `first` (the answer to the bind
   * request) is the session's first frame already. From here on everything for the client, its end too, comes through the carrier.
   */
  bound(session: Session): Carrier
  /** What another node would need to go on with the stream (`Stream.record`) has changed. */
  changed?(): void
}

/** Plain values (JSON). */
export interface StreamRecord {
  readonly user: string
  readonly resource: string
  readonly generated: boolean
  readonly language: string
  readonly topics: readonly string[]
  readonly anyTopic: boolean
  /** Milliseconds since the epoch; 0: never. */
  readonly expires: number
  /** Of the c2s worker, in base64. */
  readonly context: string
  /** How far what was sent to the resource had been handled when the session began; `epoch`: of the inbox. */
  readonly own: { readonly epoch: string; readonly inbox: number }
}

/** The stream as the wire sees it: one for each stream, from its header to its end. */
export interface Stream {
  /** Set by `bound`, and stays. */
  readonly session: Session | undefined
  /** The user, from the moment the client has authenticated (XEP-0198 §5: whose session may be resumed). */
  readonly user: string | undefined
  /** When the client's token ends, in milliseconds since the epoch; Infinity: never. */
  readonly expiresAtMs: number
  /** The stream goes on with a session that was there before, which `user` may resume: `bound` is not called. */
  resumed(session: Session): void
  /** The header: of a new stream or of a restart. Answered by features through `send`. */
  open(header: StreamHeader): void
  /**
   * A top-level element of the client. `id`: of this element, the same whenever it is repeated and unlike any other's
   * (`<sid>:<rid>:<index>`). Anything: what is not allowed now is answered by an error. `handled`: called once a stanza for a
   * session has been answered by a worker, or refused; never from inside this call.
   */
  receive(element: Element, id: string, handled?: () => void): void
  /** Of a stream with a session: from it, another node can go on after this one has died. */
  readonly record: StreamRecord | undefined
  /** The client has ended the stream. */
  close(): void
  /** The wire is gone before there was a session: nothing can be said any more. With a session: see Session.detach. */
  abandon(): void
  /** Resolves when everything received so far has been answered, as far as it will be. */
  idle(): Promise<void>
}
