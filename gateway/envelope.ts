// Bus envelopes → frames for clients. Envelopes of a topic reach a node once for each subscriber, one after the other and
// equal to the byte: the last one is remembered, so that it is decoded, and later encoded, once.

import { v1 } from '../proto/messages.js'
import { Outbound } from './outbound.js'

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
  const { control, presence, roster, onlySession } = envelope
  if (control != null) return { kind: 'control', control: v1.Control.create(control) }
  if (presence != null) return { kind: 'frame', outbound: new Outbound({ presence }), onlySession }
  if (roster != null) return { kind: 'frame', outbound: new Outbound({ roster }), onlySession }
  if (envelope.data == null) return { kind: 'invalid', why: 'the envelope has no body' }
  const data = jsonLine(envelope.data)
  if (data === undefined) return { kind: 'invalid', why: 'the data is not JSON' }
  const { id, from, topic, time, expires, collapseKey } = envelope
  const message = { id, from, topic, time, data, ephemeral: !durable }
  const outbound = new Outbound({ message }, { durable, expiresAtMs: expires === 0 ? Number.POSITIVE_INFINITY : expires, collapseKey })
  return { kind: 'frame', outbound, onlySession }
}

/** Bytes that are no UTF-8 would end every WebSocket they are sent to; a byte order mark is no JSON. */
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** JSON text without line breaks (SSE needs it so; between tokens they are only white space). Undefined: not JSON. */
function jsonLine(data: Uint8Array): Uint8Array | undefined {
  try {
    const text = utf8.decode(data)
    JSON.parse(text)
    return /[\r\n]/.test(text) ? Buffer.from(text.replace(/[\r\n]/g, ' ')) : data
  } catch {
    return undefined
  }
}
