// What a worker knows of a session. Soft state: the context that every answer carries is enough to go on elsewhere.

import { isStatus, type SessionPresence, type Shown, type Status } from './status.js'
import type { TopicClaims } from './topic-pattern.js'

/** A request under way; a repetition of it gets the same answer. */
export interface Running {
  readonly sequence: number
  readonly answer: Promise<Uint8Array>
}

export class Session {
  readonly user: string
  /** Public ref. */
  readonly ref: string
  /** Address of the node that holds it. */
  readonly gateway: string
  /** When it opened, milliseconds since the epoch. */
  readonly since: number
  claims: TopicClaims
  shown: Shown
  /** When it was last heard, milliseconds since the epoch. */
  heardAt: number
  /** In the order they came; the worker answers one after the other. */
  running: readonly Running[] = NONE
  /** The request answered last. `reply` undefined: too long to keep. */
  answered: { readonly sequence: number; readonly reply: Uint8Array | undefined } | undefined

  constructor(identity: Pick<Session, 'user' | 'ref' | 'gateway' | 'since' | 'claims' | 'heardAt'>, context: Uint8Array) {
    this.user = identity.user
    this.ref = identity.ref
    this.gateway = identity.gateway
    this.since = identity.since
    this.claims = identity.claims
    this.heardAt = identity.heardAt
    this.shown = shownOf(context)
  }

  get presence(): SessionPresence {
    return { session: this.ref, since: this.since, ...this.shown }
  }

  /** Opaque to the gateway. Never empty, and the same as long as nothing that has to outlive the worker has changed. */
  get context(): Uint8Array {
    return Buffer.from(JSON.stringify(this.shown))
  }
}

const NONE: readonly Running[] = []
const NEW_SESSION: Shown = { status: 'online', note: '' }

/** A context that can't be read (none, or one of another version) makes a session like a new one. */
function shownOf(context: Uint8Array): Shown {
  if (context.length === 0) return NEW_SESSION
  try {
    const { status, note } = JSON.parse(Buffer.from(context.buffer, context.byteOffset, context.byteLength).toString()) as {
      status: Status
      note: string
    }
    return isStatus(status) && typeof note === 'string' ? { status, note } : NEW_SESSION
  } catch {
    return NEW_SESSION
  }
}
