// Bus envelopes → frames for clients. Envelopes of a topic reach a node once for each subscriber, one after the other and
// equal to the byte: the last one is remembered, so that it is decoded, and later encoded, once.

import { isAscii } from 'node:buffer'
import { v1 } from '../proto/messages.js'
import { Outbound, type OutboundOptions } from './outbound.js'

/** What an envelope says to a gateway. */
export type Incoming =
  | { readonly kind: 'frame'; readonly outbound: Outbound; readonly onlySession: string }
  | { readonly kind: 'control'; readonly control: v1.Control }
  /** Not an envelope, or one whose data is no JSON: counted and dropped. */
  | { readonly kind: 'invalid'; readonly why: string }

interface Remembered {
  readonly bytes: Uint8Array
  readonly incoming: Incoming
}

export class EnvelopeReader {
  #durable: Remembered | undefined = undefined
  #ephemeral: Remembered | undefined = undefined

  durable(bytes: Uint8Array): Incoming {
    if (this.#durable !== undefined && same(this.#durable.bytes, bytes)) return this.#durable.incoming
    const incoming = read(bytes, true)
    this.#durable = { bytes, incoming }
    return incoming
  }

  ephemeral(bytes: Uint8Array): Incoming {
    if (this.#ephemeral !== undefined && same(this.#ephemeral.bytes, bytes)) return this.#ephemeral.incoming
    const incoming = read(bytes, false)
    this.#ephemeral = { bytes, incoming }
    return incoming
  }
}

/** An envelope for the gateways that hold sessions of a user. */
export function controlEnvelope(control: v1.Control.$Properties): Uint8Array {
  return v1.Envelope.encode({ control }).finish()
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return a === b || (a.length === b.length && Buffer.compare(a, b) === 0)
}

function read(bytes: Uint8Array, durable: boolean): Incoming {
  let envelope: v1.Envelope
  try {
    envelope = v1.Envelope.decode(bytes)
  } catch (error) {
    return { kind: 'invalid', why: String(error) }
  }
  const { control, presence, roster, onlySession, native } = envelope
  if (control != null) return { kind: 'control', control: v1.Control.create(control) }
  if (presence != null || native != null)
    return { kind: 'frame', outbound: new Outbound(presence == null ? {} : { presence }, native == null ? {} : { native }), onlySession }
  if (roster != null) return { kind: 'frame', outbound: new Outbound({ roster }, forXmpp(envelope, durable)), onlySession }
  if (envelope.data == null) {
    if (envelope.xml.length === 0) return { kind: 'invalid', why: 'the envelope has no body' }
    return { kind: 'frame', outbound: new Outbound({}, forXmpp(envelope, durable)), onlySession }
  }
  const data = jsonLine(envelope.data)
  if (data === undefined) return { kind: 'invalid', why: 'the data is not JSON' }
  const { id, from, topic, time, expires, collapseKey } = envelope
  const message = { id, from, topic, time, data, ephemeral: !durable }
  const expiresAtMs = expires === 0 ? Number.POSITIVE_INFINITY : expires
  const options = { durable, expiresAtMs, collapseKey }
  const outbound = new Outbound({ message }, envelope.xml.length === 0 ? options : { ...forXmpp(envelope, durable), ...options })
  return { kind: 'frame', outbound, onlySession }
}

function forXmpp({ xml, resource, sent, time, uncopied, roster }: v1.Envelope, durable: boolean): OutboundOptions {
  const options = { durable, resource, sent, uncopied }
  // What is no message is not timed.
  const timed = roster == null ? { ...options, publishedAtMs: time } : options
  return xml.length === 0 ? timed : { ...timed, xml }
}

/** Bytes that are no UTF-8 would end every WebSocket they are sent to; a byte order mark is no JSON. */
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

const LINE_FEED = 10
const CARRIAGE_RETURN = 13

/** JSON text without line breaks (SSE needs it so; between tokens they are only white space). Undefined: not JSON. */
function jsonLine(data: Uint8Array): Uint8Array | undefined {
  try {
    // Most of it is ASCII, which is text as it stands.
    const text = isAscii(data) ? Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('latin1') : utf8.decode(data)
    JSON.parse(text)
    return data.includes(LINE_FEED) || data.includes(CARRIAGE_RETURN) ? Buffer.from(text.replace(/[\r\n]/g, ' ')) : data
  } catch {
    return undefined
  }
}
