// A frame on its way to clients, without its cursor: made once, shared by every session it goes to.

import type { v1 } from '../proto/messages.js'

export type ServerFrame = v1.ServerFrame.$Properties

/** What one dialect made of a frame, up to where the cursor goes. */
export type Encoded = Buffer

export interface OutboundOptions {
  /** Comes from the inbox: can be had again from there. */
  readonly durable?: boolean
  /** Not delivered afterwards, in milliseconds since the epoch; Infinity: never expires. */
  readonly expiresAtMs?: number
  /** Of undelivered frames of one key only the newest is delivered; '': none. */
  readonly collapseKey?: string
  /** For XMPP clients: the stanza that stands for the frame. */
  readonly xml?: Uint8Array
  /** Of the sessions of XMPP clients only those with this resource get it (others perhaps a carbon copy); '': all. */
  readonly resource?: string
  /** A copy of what the user sent from `resource`. */
  readonly sent?: boolean
  /** Not to be copied to other sessions (XEP-0280 §6). */
  readonly uncopied?: boolean
  /** What XMPP clients see of the presence of somebody's native sessions. */
  readonly native?: v1.NativePresence.$Properties
  /** When it was accepted, where the frame does not say it. */
  readonly publishedAtMs?: number
}

/** Of the stanza that an XMPP client gets. */
export type StanzaKind = 'message' | 'presence' | 'iq'

export class Outbound {
  readonly frame: ServerFrame
  readonly durable: boolean
  readonly expiresAtMs: number
  readonly collapseKey: string
  /** When it was accepted, in milliseconds since the epoch; 0: not a message. */
  readonly publishedAtMs: number
  /** About what it takes on the wire and in memory. */
  readonly sizeBytes: number
  /** Encoded forms, each made by its dialect when first asked for. */
  json: Encoded | undefined = undefined
  protobuf: Encoded | undefined = undefined
  /** As text, without what a session adds. */
  stanza: string | undefined = undefined
  readonly xml: Uint8Array | undefined
  readonly resource: string
  readonly sent: boolean
  readonly uncopied: boolean
  readonly native: v1.NativePresence.$Properties | undefined

  constructor(frame: ServerFrame, options: OutboundOptions = {}) {
    this.frame = frame
    this.durable = options.durable ?? false
    this.expiresAtMs = options.expiresAtMs ?? Number.POSITIVE_INFINITY
    this.collapseKey = options.collapseKey ?? ''
    this.publishedAtMs = options.publishedAtMs ?? frame.message?.time ?? 0
    this.xml = options.xml ?? frame.stanza?.xml ?? undefined
    this.resource = options.resource ?? ''
    this.sent = options.sent ?? false
    this.uncopied = options.uncopied ?? false
    this.native = options.native
    this.sizeBytes = OVERHEAD_BYTES + (frame.message?.data?.length ?? frame.reply?.result?.length ?? 0) + (this.xml?.length ?? 0)
  }

  /** Nothing for clients of the native protocol. */
  get isForXmppOnly(): boolean {
    if (this.frame.message != null) return false
    const { presence, roster, reply, hello, gap, drain, close } = this.frame
    return (presence ?? roster ?? reply ?? hello ?? gap ?? drain ?? close) == null
  }

  /** Undefined: XMPP clients get nothing of it. Rosters aside, whose stanza depends on what has changed. */
  get kind(): StanzaKind | undefined {
    if (this.xml === undefined) return this.native !== undefined ? 'presence' : this.frame.message != null ? 'message' : undefined
    switch (this.xml[1]) {
      case P:
        return 'presence'
      case I:
        return 'iq'
      default:
        return 'message'
    }
  }

  /** A presence stanza about a subscription (RFC 6121 §3). */
  get isSubscription(): boolean {
    return this.kind === 'presence' && this.xml !== undefined && SUBSCRIPTION.test(Buffer.from(this.xml).toString())
  }

  /** Of presence: whose it is. */
  get address(): string {
    if (this.native !== undefined) return this.native.user ?? ''
    return /^<presence[^>]*? from='([^']*)'/.exec(Buffer.from(this.xml ?? []).toString())?.[1] ?? ''
  }
}

/** The worker writes attributes in single quotes, and no `>` in them. */
const SUBSCRIPTION = /^<presence[^>]* type='(un)?subscribed?'/
const P = 'p'.charCodeAt(0)
const I = 'i'.charCodeAt(0)

/** Envelope of a frame: type, id, time and cursor. */
const OVERHEAD_BYTES = 160
