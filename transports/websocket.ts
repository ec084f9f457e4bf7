// GET /ws: one frame a message, both ways; JSON text or, under `holdwire.v1+proto`, protobuf.

import { type Carrier, type Delivery, uncounted, type Written } from '../gateway/carrier.js'
import { type CloseReason, problemJson, REASONS } from '../gateway/close-reason.js'
import type { Entrance } from '../gateway/door.js'
import { Outbound } from '../gateway/outbound.js'
import type { Session } from '../gateway/session.js'
import type { Parsed } from '../proto/client-frame.js'
import { problemExtra, problemHead } from './answers.js'
import type { Gateway } from './client-port.js'
import { jsonHead, jsonTail, parseFrame } from './dialects/json.js'
import { decodeFrame, protobufFrame } from './dialects/protobuf.js'
import type { MessageSocket, Sent, SocketOwner, Upgrade } from './engine/engine.js'
import { overRate } from './rate.js'
import type { Visit } from './visit.js'

/** How one subprotocol puts frames on the wire. */
interface Dialect {
  readonly protocol: string
  readonly binary: boolean
  encode(delivery: Delivery): Buffer
  /** Throws when it can't be read at all. */
  decode(data: Buffer): Parsed
}

const JSON_DIALECT: Dialect = {
  protocol: 'holdwire.v1+json',
  binary: false,
  encode({ outbound, cursor }) {
    const head = jsonHead(outbound)
    const tail = jsonTail(cursor)
    const whole = Buffer.allocUnsafe(head.length + tail.length)
    whole.set(head, 0)
    whole.write(tail, head.length, 'latin1')
    return whole
  },
  decode: (data) => parseFrame(data.toString('utf8')),
}

const PROTOBUF_DIALECT: Dialect = {
  protocol: 'holdwire.v1+proto',
  binary: true,
  encode: ({ outbound, cursor }) => protobufFrame(outbound, cursor),
  decode: decodeFrame,
}

const DIALECTS = [JSON_DIALECT, PROTOBUF_DIALECT]

/** Subprotocols of the native protocol. */
export const PROTOCOLS: readonly string[] = DIALECTS.map(({ protocol }) => protocol)

/** Codes that are refused over HTTP, before the upgrade: clients can do nothing but wait. */
const REFUSED_BEFORE = new Set(['overloaded', 'rate_limited', 'bus_unavailable', 'draining'])

/** Who the client is and where it goes on is settled first: nothing can be sent or received before there is a session. */
export function openSocket(gateway: Gateway, visit: Visit, upgrade: Upgrade): void {
  const dialect = DIALECTS.find(({ protocol }) => upgrade.protocols.includes(protocol))
  admit(gateway, visit, upgrade)
    .then((entrance) => {
      if (entrance.kind === 'session') {
        const { session, seen, greeting } = entrance
        const carrier = new SocketCarrier(gateway, session, dialect ?? JSON_DIALECT, seen, greeting)
        if (upgrade.gone) return
        upgrade.accept(carrier, dialect?.protocol ?? '')
      } else {
        gateway.refused('websocket', entrance.reason)
        refuse(visit, upgrade, entrance.reason, dialect?.protocol ?? '')
      }
    })
    .catch((error) => {
      gateway.onError(error, 'opening a WebSocket')
      refuse(visit, upgrade, { code: 'internal', reason: 'something went wrong here' }, dialect?.protocol ?? '')
    })
}

async function admit(gateway: Gateway, visit: Visit, upgrade: Upgrade): Promise<Exclude<Entrance, { kind: 'elsewhere' }>> {
  const identity = await gateway.identify(visit)
  if ('code' in identity) return { kind: 'refused', reason: identity }
  const entrance = await gateway.door.enter({
    identity,
    cursor: visit.cursor,
    transport: 'websocket',
    ip: visit.ip,
    gone: () => upgrade.gone,
  })
  if (entrance.kind === 'elsewhere') throw new Error('only polls are relayed')
  return entrance
}

function refuse(visit: Visit, upgrade: Upgrade, reason: CloseReason, protocol: string): void {
  if (upgrade.gone) return
  if (REFUSED_BEFORE.has(reason.code)) upgrade.reject(problemHead(reason), problemJson(reason), [...visit.cors, ...problemExtra(reason)])
  else upgrade.accept(new ClosingSocket(reason), protocol)
}

/** A socket that is only there to say why it closes. */
class ClosingSocket implements SocketOwner {
  readonly #reason: CloseReason

  constructor(reason: CloseReason) {
    this.#reason = reason
  }

  onOpen(socket: MessageSocket): void {
    closeWith(socket, this.#reason)
  }

  onMessage(): void {}
  onPong(): void {}
  onDrain(): void {}
  onClose(): void {}
}

const WRITTEN: Record<Sent, Written> = { ok: 'more', full: 'full', refused: 'gone', gone: 'gone' }

class SocketCarrier implements Carrier, SocketOwner {
  readonly transport = 'websocket'
  readonly expiresAtMs = Number.POSITIVE_INFINITY
  readonly #gateway: Gateway
  readonly #session: Session
  readonly #dialect: Dialect
  #socket: MessageSocket | undefined = undefined
  /** Until the socket is open. */
  #start: { readonly seen: number; readonly greeting: Outbound | undefined } | undefined
  #unanswered: 'nothing' | 'ping' = 'nothing'
  /** Of the last frame written here. */
  #cursor = ''

  constructor(gateway: Gateway, session: Session, dialect: Dialect, seen: number, greeting: Outbound | undefined) {
    this.#gateway = gateway
    this.#session = session
    this.#dialect = dialect
    this.#start = { seen, greeting }
  }

  // ---- Carrier ----------------------------------------------------------------------------------------------------

  write(batch: readonly Delivery[]): Written {
    if (this.#socket === undefined) return 'gone'
    const payloads: Buffer[] = []
    let bytes = 0
    for (const delivery of batch) {
      const payload = this.#dialect.encode(delivery)
      bytes += payload.length
      payloads.push(payload)
    }
    const sent = this.#socket.send(payloads, this.#dialect.binary)
    if (sent === 'ok' || sent === 'full') {
      this.#cursor = batch.at(-1)?.cursor ?? this.#cursor
      this.#gateway.sentBytes('websocket', bytes)
    }
    return WRITTEN[sent]
  }

  ping(): Written {
    if (this.#socket === undefined || this.#socket.gone || this.#unanswered === 'ping') return 'gone'
    this.#unanswered = 'ping'
    this.#socket.ping()
    return 'more'
  }

  release(): void {
    this.end({ code: 'replaced', reason: 'the session goes on over another connection' })
  }

  end(reason: CloseReason): void {
    const socket = this.#socket
    if (socket === undefined || socket.gone) return
    // Close codes have no room for a delay, so it goes before.
    if (reason.code === 'draining') {
      const drain = new Outbound({ drain: { retryAfterMs: reason.retryAfterMs ?? 0 } })
      socket.send([this.#dialect.encode(uncounted(drain, this.#cursor))], this.#dialect.binary)
    }
    closeWith(socket, reason)
  }

  // ---- SocketOwner ------------------------------------------------------------------------------------------------

  onOpen(socket: MessageSocket): void {
    this.#socket = socket
    const start = this.#start
    this.#start = undefined
    if (start !== undefined) this.#session.attach(this, start.seen, start.greeting)
  }

  onMessage(socket: MessageSocket, data: Buffer, binary: boolean): void {
    this.#unanswered = 'nothing'
    const { intake, frameRate, hub, maxFrameBytes, received } = this.#gateway
    received('websocket', 1, data.length)
    const session = this.#session
    const refused = overRate(session, 1, frameRate, hub.now()) ?? this.#checked(data, binary, maxFrameBytes)
    if (refused !== undefined) {
      this.#refuse(refused)
      return
    }
    let parsed: Parsed
    try {
      parsed = this.#dialect.decode(data)
    } catch {
      this.#refuse({ code: 'malformed', reason: 'that is no frame' })
      return
    }
    if (socket.gone) return
    intake.receive(session, parsed, (reply) => {
      if (reply.ref) session.deliver(new Outbound({ reply }))
    })
  }

  #checked(data: Buffer, binary: boolean, maxFrameBytes: number): CloseReason | undefined {
    if (data.length > maxFrameBytes) return { code: 'too_large', reason: `a frame has at most ${maxFrameBytes} bytes` }
    if (binary !== this.#dialect.binary) return { code: 'malformed', reason: binary ? 'frames are text here' : 'frames are binary here' }
    return undefined
  }

  /** Ends this connection; the session stays, and so does another connection that may carry it by now. */
  #refuse(reason: CloseReason): void {
    this.#gateway.refused('websocket', reason)
    this.end(reason)
    this.#session.detach(this)
  }

  onPong(): void {
    this.#unanswered = 'nothing'
  }

  onDrain(): void {
    this.#session.drained(this)
  }

  onClose(_socket: MessageSocket, code: number): void {
    // A client that closes on purpose is not coming back; one that leaves for another page is (1001).
    if (code === 1000 && this.#session.isCarriedBy(this)) this.#session.close({ code: 'done', reason: 'the client closed' })
    else this.#session.detach(this)
  }
}

/** The engine cuts the reason to what a close frame holds. */
function closeWith(socket: MessageSocket, { code, reason }: CloseReason): void {
  socket.close(REASONS[code].websocket ?? 1011, reason)
}
