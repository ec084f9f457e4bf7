// One connection of the load generator: a socket with a wire on it.

import { connect, type Socket } from 'node:net'
import type { TransportName } from './orders.js'
import type { Wire, WireHost, WireOptions } from './wire.js'
import { PollWire } from './wire-poll.js'
import { SseWire } from './wire-sse.js'
import { WebSocketWire } from './wire-websocket.js'

export interface PeerOwner {
  opened(peer: Peer): void
  frames(peer: Peer, bytes: Buffer): void
  /** Exactly once, unless it was closed by us. */
  ended(peer: Peer, why: string): void
}

const wires: Readonly<Record<TransportName, new (host: WireHost, options: WireOptions) => Wire>> = {
  websocket: WebSocketWire,
  sse: SseWire,
  poll: PollWire,
}

/** All sockets are read into the same buffer: what is read is used up before the next read. */
const input = Buffer.allocUnsafeSlow(256 * 1024)

/** Connections from one address to one port are limited by the ephemeral ports; there are more addresses on loopback. */
const PEERS_PER_ADDRESS = 20_000

export class Peer implements WireHost {
  readonly index: number
  readonly #owner: PeerOwner
  readonly #socket: Socket
  readonly #wire: Wire
  #state: 'going' | 'ended' = 'going'

  constructor(owner: PeerOwner, index: number, port: number, transport: TransportName, options: WireOptions) {
    this.index = index
    this.#owner = owner
    this.#wire = new wires[transport](this, options)
    this.#socket = connect({
      host: '127.0.0.1',
      port,
      // Named only when needed: a port bound to an address by name is taken for all destinations.
      ...(index < PEERS_PER_ADDRESS ? {} : { localAddress: `127.0.0.${1 + Math.floor(index / PEERS_PER_ADDRESS)}` }),
      noDelay: true,
      onread: { buffer: input, callback: (length) => this.#receive(length) },
    })
    this.#socket.on('connect', () => this.#wire.start())
    this.#socket.on('error', (error) => this.ended(error.message))
    this.#socket.on('close', () => this.ended('connection closed'))
  }

  send(bytes: Buffer): void {
    this.#socket.write(bytes)
  }

  opened(): void {
    this.#owner.opened(this)
  }

  frames(bytes: Buffer): void {
    this.#owner.frames(this, bytes)
  }

  ended(why: string): void {
    if (this.#state === 'ended') return
    this.close()
    this.#owner.ended(this, why)
  }

  close(): void {
    this.#state = 'ended'
    this.#socket.destroy()
  }

  #receive(length: number): boolean {
    if (this.#state === 'ended') return false
    this.#wire.receive(input.subarray(0, length))
    return true
  }
}
