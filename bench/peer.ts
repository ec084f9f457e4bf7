// One client of the load generator: a wire, and the connection that it has at the moment.

import { connect, type Socket } from 'node:net'
import type { Wire, WireHost, WireOptions } from './wire.js'
import type { MakeWire } from './wires.js'

export interface PeerOwner {
  /** The session is there; again when it has come back. */
  opened(peer: Peer): void
  frames(peer: Peer, bytes: Buffer): void
  /** Exactly once, unless it was closed by us. */
  ended(peer: Peer, why: string): void
}

/** Where the bytes of all peers are added up. */
export interface PeerTraffic {
  upBytes: number
  downBytes: number
}

/** All sockets are read into the same buffer: what is read is used up before the next read. */
const input = Buffer.allocUnsafeSlow(256 * 1024)

/** Connections from one address to one port are limited by the ephemeral ports; there are more addresses on loopback. */
const PEERS_PER_ADDRESS = 20_000

export class Peer implements WireHost {
  readonly index: number
  readonly #owner: PeerOwner
  readonly #port: number
  readonly #traffic: PeerTraffic
  readonly #wire: Wire
  /** Undefined: it was cut, or has ended. What others have to say is for nobody. */
  #socket: Socket | undefined
  #state: 'going' | 'ended' = 'going'

  constructor(owner: PeerOwner, index: number, port: number, make: MakeWire, options: WireOptions, traffic: PeerTraffic) {
    this.index = index
    this.#owner = owner
    this.#port = port
    this.#traffic = traffic
    this.#wire = make(this, options)
    this.connect()
  }

  /** The first connection, or another one after `cut`. */
  connect(): void {
    const { index } = this
    const socket: Socket = connect({
      host: '127.0.0.1',
      port: this.#port,
      // Named only when needed: a port bound to an address by name is taken for all destinations.
      ...(index < PEERS_PER_ADDRESS ? {} : { localAddress: `127.0.0.${1 + Math.floor(index / PEERS_PER_ADDRESS)}` }),
      noDelay: true,
      onread: { buffer: input, callback: (length) => this.#receive(socket, length) },
    })
    this.#socket = socket
    socket.on('connect', () => this.#socket === socket && this.#wire.start())
    socket.on('error', (error) => this.#lost(socket, error.message))
    socket.on('close', () => this.#lost(socket, 'connection closed'))
  }

  /** Destroys the connection; the wire keeps what it needs to resume. */
  cut(): void {
    const socket = this.#socket
    this.#socket = undefined
    socket?.destroy()
  }

  send(bytes: Buffer): void {
    this.#traffic.upBytes += bytes.length
    this.#socket?.write(bytes)
  }

  opened(): void {
    this.#owner.opened(this)
  }

  frames(bytes: Buffer): void {
    this.#owner.frames(this, bytes)
  }

  reconnect(): void {
    this.cut()
    if (this.#state === 'going') this.connect()
  }

  ended(why: string): void {
    if (this.#state === 'ended') return
    this.close()
    this.#owner.ended(this, why)
  }

  /** Ends the session too, if the protocol has words for it. */
  leave(): void {
    if (this.#state === 'going' && this.#socket !== undefined) this.#wire.leave?.()
    this.close()
  }

  close(): void {
    this.#state = 'ended'
    this.cut()
  }

  #lost(socket: Socket, why: string): void {
    if (this.#socket === socket) this.ended(why)
  }

  #receive(socket: Socket, length: number): boolean {
    if (this.#socket !== socket) return false
    this.#traffic.downBytes += length
    this.#wire.receive(input.subarray(0, length))
    return true
  }
}
