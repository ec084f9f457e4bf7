// GET /sse: frames as server-sent events (WHATWG HTML §9.2): `id:` is the cursor, `event:` the type, `data:` the frame as JSON.

import { type Carrier, type Delivery, uncounted, type Written } from '../gateway/carrier.js'
import type { CloseReason } from '../gateway/close-reason.js'
import { Outbound } from '../gateway/outbound.js'
import type { Session } from '../gateway/session.js'
import { answerProblem } from './answers.js'
import type { Gateway } from './client-port.js'
import { frameType, jsonHead, jsonTail } from './dialects/json.js'
import type { Exchange, ExchangeOwner, Sent } from './engine/engine.js'
import { defineHead } from './engine/heads.js'
import type { Visit } from './visit.js'

const STREAM_HEAD = defineHead(200, [
  ['content-type', 'text/event-stream; charset=utf-8'],
  ['cache-control', 'no-cache, no-transform'],
  // Or nginx would keep events back.
  ['x-accel-buffering', 'no'],
])

/** What EventSource waits before it comes back by itself. */
const RETRY_MS = 2000
const PING = ':\n\n'
const WRITTEN: Record<Sent, Written> = { ok: 'more', full: 'full', refused: 'gone', gone: 'gone' }

export function openEvents(gateway: Gateway, visit: Visit, exchange: Exchange): void {
  const owner = new EventCarrier(gateway, exchange)
  exchange.owner = owner
  open(gateway, visit, exchange, owner).catch((error) => {
    gateway.onError(error, 'opening an event stream')
    if (!exchange.gone) answerProblem(exchange, { code: 'internal', reason: 'something went wrong here' }, visit.cors)
  })
}

async function open(gateway: Gateway, visit: Visit, exchange: Exchange, carrier: EventCarrier): Promise<void> {
  const identity = await gateway.identify(visit)
  if ('code' in identity) {
    gateway.refused('sse', identity)
    if (!exchange.gone) answerProblem(exchange, identity, visit.cors)
    return
  }
  const entrance = await gateway.door.enter({ identity, cursor: visit.cursor, transport: 'sse', ip: visit.ip, gone: () => exchange.gone })
  if (exchange.gone) return
  switch (entrance.kind) {
    case 'session':
      exchange.openStream(STREAM_HEAD, visit.cors)
      carrier.begin(entrance.session, entrance.seen, entrance.greeting)
      return
    case 'refused':
      gateway.refused('sse', entrance.reason)
      answerProblem(exchange, entrance.reason, visit.cors)
      return
    case 'elsewhere':
      throw new Error('only polls are relayed')
  }
}

class EventCarrier implements Carrier, ExchangeOwner {
  readonly transport = 'sse'
  readonly expiresAtMs = Number.POSITIVE_INFINITY
  readonly #gateway: Gateway
  readonly #exchange: Exchange
  #session: Session | undefined = undefined
  /** Of the last frame written here. */
  #cursor = ''

  constructor(gateway: Gateway, exchange: Exchange) {
    this.#gateway = gateway
    this.#exchange = exchange
  }

  begin(session: Session, seen: number, greeting: Outbound | undefined): void {
    this.#session = session
    this.#cursor = session.cursor
    this.#exchange.write(`retry: ${RETRY_MS}\n\n`)
    session.attach(this, seen, greeting)
  }

  // ---- Carrier ----------------------------------------------------------------------------------------------------

  write(batch: readonly Delivery[]): Written {
    const chunk = encodeEvents(batch)
    const sent = this.#exchange.write(chunk)
    if (sent === 'ok' || sent === 'full') {
      this.#cursor = batch.at(-1)?.cursor ?? this.#cursor
      this.#gateway.sentBytes('sse', chunk.length)
    }
    return WRITTEN[sent]
  }

  ping(): Written {
    const sent = this.#exchange.write(PING)
    // A stalled reader is the engine's to end.
    return sent === 'refused' ? 'full' : WRITTEN[sent]
  }

  release(): void {
    this.end({ code: 'replaced', reason: 'the session goes on over another connection' })
  }

  end({ code, reason, retryAfterMs = 0 }: CloseReason): void {
    if (this.#exchange.gone) return
    const cursor = this.#cursor
    if (code === 'draining') {
      this.#exchange.write(`retry: ${Math.max(1, Math.round(retryAfterMs))}\n`)
      this.#exchange.write(encodeEvents([uncounted(new Outbound({ drain: { retryAfterMs } }), cursor)]))
    }
    const close = new Outbound({ close: { code, reason, retryAfterMs } })
    this.#exchange.write(encodeEvents([uncounted(close, cursor)]))
    this.#exchange.finish()
  }

  // ---- ExchangeOwner ----------------------------------------------------------------------------------------------

  onDrain(): void {
    this.#session?.drained(this)
  }

  onGone(): void {
    this.#session?.detach(this)
  }
}

/** All events of a batch as one chunk. */
function encodeEvents(batch: readonly Delivery[]): Buffer {
  const parts: { readonly lead: string; readonly head: Buffer; readonly tail: string }[] = []
  let bytes = 0
  for (const { outbound, cursor } of batch) {
    const lead = `id: ${cursor}\nevent: ${frameType(outbound.frame)}\ndata: `
    const head = jsonHead(outbound)
    const tail = `${jsonTail(cursor)}\n\n`
    bytes += lead.length + head.length + tail.length
    parts.push({ lead, head, tail })
  }
  const chunk = Buffer.allocUnsafe(bytes)
  let at = 0
  for (const { lead, head, tail } of parts) {
    at += chunk.write(lead, at, 'latin1')
    chunk.set(head, at)
    at += head.length
    at += chunk.write(tail, at, 'latin1')
  }
  return chunk
}
