// What XMPP streams need of the gateway.

import type { Bus } from '../../bus/bus.js'
import type { Transport } from '../../gateway/carrier.js'
import type { CloseReason } from '../../gateway/close-reason.js'
import type { StreamDoor } from '../../gateway/stream-door.js'
import type { Rate } from '../../gateway/token-bucket.js'

export interface StreamGateway {
  readonly bus: Bus
  readonly streamDoor: StreamDoor
  /** Tokens that say nothing of topics may join any. */
  readonly anyTopic: boolean
  readonly frameRate: Rate
  /** A client must have bound a resource after this long. */
  readonly authTimeoutMs: number
  /** How long a worker is waited for. */
  readonly c2sTimeoutMs: number
  /** Counts a stream that has no session yet. Call what it returns once, right before it gets one or when it has ended. */
  waits(ip: string): () => void
  refused(transport: Transport, reason: CloseReason): void
  onError(error: unknown, what: string): void
}
