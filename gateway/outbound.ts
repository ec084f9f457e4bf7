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
}

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

  constructor(frame: ServerFrame, options: OutboundOptions = {}) {
    this.frame = frame
    this.durable = options.durable ?? false
    this.expiresAtMs = options.expiresAtMs ?? Number.POSITIVE_INFINITY
    this.collapseKey = options.collapseKey ?? ''
    this.publishedAtMs = frame.message?.time ?? 0
    this.sizeBytes = OVERHEAD_BYTES + (frame.message?.data?.length ?? frame.reply?.result?.length ?? 0)
  }
}

/** Envelope of a frame: type, id, time and cursor. */
const OVERHEAD_BYTES = 160
