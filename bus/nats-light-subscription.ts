// Subscriptions of 170 bytes instead of 1,100: an object of ours registered with the client's protocol handler, which is
// private API of `nats` 2.29. This is the only file that touches it; should its shape change, plain callback subscriptions do.

import type { Msg, NatsConnection, Subscription } from 'nats'

/** What the protocol handler needs of a subscription. `callback` must not throw: an exception there stops the client's reader for good. */
export interface LightSubscription {
  readonly subject: string
  /** Set by the client. */
  sid: number
  /** Counted by the client. */
  received: number
  /** Set by the client when it unsubscribes; else undefined. */
  max: number | undefined
  callback(error: Error | null, message: Msg): void
  close(): void
  drain(): Promise<void>
  unsubscribe(): void
}

interface Protocol {
  subscribe(subscription: LightSubscription): void
  unsubscribe(subscription: LightSubscription): void
}

/** The fields of a received message that spare decoding what nobody reads. */
interface RawMessage {
  readonly _msg?: { readonly hdr: number; readonly reply?: Uint8Array }
  readonly _rdata?: Uint8Array
}

export class LightSubscriptions {
  readonly #client: NatsConnection
  readonly #protocol: Protocol | undefined
  readonly #plain = new Map<LightSubscription, Subscription>()

  constructor(client: NatsConnection) {
    this.#client = client
    this.#protocol = protocolOf(client)
  }

  /** False: the client is not the one this was made for, and subscriptions cost six times as much. */
  get light(): boolean {
    return this.#protocol !== undefined
  }

  /** Survives reconnects, like any subscription of the client. */
  add(subscription: LightSubscription): void {
    if (this.#protocol !== undefined) {
      this.#protocol.subscribe(subscription)
      return
    }
    const plain = this.#client.subscribe(subscription.subject, { callback: (error, message) => subscription.callback(error, message) })
    this.#plain.set(subscription, plain)
  }

  remove(subscription: LightSubscription): void {
    if (this.#protocol !== undefined) {
      this.#protocol.unsubscribe(subscription)
      return
    }
    this.#plain.get(subscription)?.unsubscribe()
    this.#plain.delete(subscription)
  }
}

/** The header block as text, '' when there is none: a fifth of the cost of `message.headers`. */
export function headerText(message: Msg): string {
  const { _msg: raw, _rdata: bytes } = message as unknown as RawMessage
  if (raw === undefined || bytes === undefined) return message.headers?.toString() ?? ''
  if (!(raw.hdr > 0)) return ''
  return Buffer.from(bytes.buffer, bytes.byteOffset, raw.hdr).toString('latin1')
}

export function hasReply(message: Msg): boolean {
  const { _msg: raw } = message as unknown as RawMessage
  return raw === undefined ? (message.reply ?? '') !== '' : (raw.reply?.length ?? 0) > 0
}

/**
 * The number a header carries, 0 when it is absent. The server appends its headers, so of several with one name the last
 * one is the server's and the others are the publisher's.
 */
export function lastNumber(header: string, name: string): number {
  const line = `\n${name}: `
  const at = header.lastIndexOf(line)
  if (at < 0) return 0
  const number = Number.parseInt(header.slice(at + line.length, at + line.length + 16), 10)
  return Number.isNaN(number) ? 0 : number
}

function protocolOf(client: NatsConnection): Protocol | undefined {
  const { protocol } = client as unknown as { protocol?: Partial<Protocol> & { subscriptions?: { subs?: unknown } } }
  if (typeof protocol?.subscribe !== 'function' || typeof protocol.unsubscribe !== 'function') return undefined
  return protocol.subscriptions?.subs instanceof Map ? (protocol as Protocol) : undefined
}
