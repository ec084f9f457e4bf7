// What a worker knows of a session. Soft state: the context that it gives to the gateway is enough to go on elsewhere.

import type { v1 } from '../proto/messages.js'
import { isStatus, OFFLINE, type SessionPresence, type Shown, type Status } from './status.js'
import type { TopicClaims } from './topic-pattern.js'
import { type XmppContext, XmppState } from './xmpp/state.js'

/** A request under way; a repetition of it gets the same answer. */
export interface Running {
  readonly sequence: number
  readonly answer: Promise<Uint8Array>
}

/** What has to outlive the worker. */
export interface Lasting {
  readonly shown: Shown
  /** Of the session of an XMPP client. */
  readonly xmpp: XmppContext | undefined
}

/** The request answered last. */
export interface Answered {
  readonly sequence: number
  /** Undefined: too long to keep. */
  readonly reply: Uint8Array | undefined
  /** What the session was when the request came: a reply that was not kept is worked out from there again. */
  readonly before: Lasting
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
  /** Undefined: a session of the native protocol. */
  xmpp: XmppState | undefined = undefined
  /** When it was last heard, milliseconds since the epoch. */
  heardAt: number
  /** In the order they came; the worker answers one after the other. */
  running: readonly Running[] = NONE
  answered: Answered | undefined = undefined

  /** `xmpp`: the client is one of XMPP. */
  constructor(
    identity: Pick<Session, 'user' | 'ref' | 'gateway' | 'since' | 'claims' | 'heardAt'>,
    context: Uint8Array,
    xmpp?: v1.XmppSession.$Properties | null,
  ) {
    this.user = identity.user
    this.ref = identity.ref
    this.gateway = identity.gateway
    this.since = identity.since
    this.claims = identity.claims
    this.heardAt = identity.heardAt
    const known = restore(context)
    if (xmpp == null) this.shown = known?.shown ?? NEW_SESSION
    else {
      this.xmpp = known?.xmpp ? new XmppState(known.xmpp) : XmppState.newcomer(xmpp.resource ?? '', xmpp.language ?? '')
      this.shown = known?.xmpp ? known.shown : OFFLINE
    }
  }

  get presence(): SessionPresence {
    const { ref, since, shown, xmpp } = this
    const own = { session: ref, since, ...shown }
    return xmpp === undefined ? own : { ...own, xmpp: { resource: xmpp.resource, stanza: xmpp.context.presence } }
  }

  get lasting(): Lasting {
    return { shown: this.shown, xmpp: this.xmpp?.context }
  }

  /** Makes the session what it was. The gateway is told anew. */
  restore({ shown, xmpp }: Lasting): void {
    this.shown = shown
    if (xmpp !== undefined) this.xmpp = new XmppState(xmpp)
  }

  /** Opaque to the gateway. Never empty, and the same as long as nothing that has to outlive the worker has changed. */
  get context(): Uint8Array {
    return Buffer.from(JSON.stringify({ ...this.shown, xmpp: this.xmpp?.context }))
  }
}

const NONE: readonly Running[] = []
const NEW_SESSION: Shown = { status: 'online', note: '' }

/** Undefined, for a context that can't be read (none, or one of another version): the session is like a new one. */
function restore(context: Uint8Array): Lasting | undefined {
  if (context.length === 0) return undefined
  try {
    const { status, note, xmpp } = JSON.parse(Buffer.from(context.buffer, context.byteOffset, context.byteLength).toString()) as {
      status: Status
      note: string
      xmpp?: XmppContext
    }
    return isStatus(status) && typeof note === 'string' ? { shown: { status, note }, xmpp } : undefined
  } catch {
    return undefined
  }
}
