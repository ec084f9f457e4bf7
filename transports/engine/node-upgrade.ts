// A WebSocket handshake on the node engine, between the request and the answer to it.

import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { WebSocket, WebSocketServer } from 'ws'
import type { Head, SocketOwner, Upgrade } from './engine.js'
import { checkChosenProtocol } from './handshake.js'
import { checkHeaders } from './heads.js'
import type { NodeConnection } from './node-connection.js'
import { NodeSocket } from './node-socket.js'
import { closingResponse, internal } from './problem.js'

/** A client must not send before it has the answer (RFC 6455 §4.1); one that sends more than this is cut off. */
const EARLY_LIMIT_BYTES = 16_384

const upgradeOf = Symbol('upgrade')
type PendingSocket = Duplex & { [upgradeOf]?: NodeUpgrade }

/** The subprotocol that `accept` has chosen, for `handleProtocols` of the WebSocketServer. */
const chosenProtocol = Symbol('chosen protocol')
type ChosenRequest = IncomingMessage & { [chosenProtocol]?: string }

export function chosenProtocolOf(request: ChosenRequest): string | false {
  return request[chosenProtocol] || false
}

export class NodeUpgrade implements Upgrade {
  onGone: (() => void) | null = null
  readonly #connection: NodeConnection
  readonly #request: ChosenRequest
  readonly #server: WebSocketServer
  readonly #onError: (error: unknown) => void
  #early: Buffer
  #state: 'new' | 'waiting' | 'answered' | 'gone' = 'new'

  constructor(
    connection: NodeConnection,
    request: IncomingMessage,
    early: Buffer,
    server: WebSocketServer,
    readonly protocols: readonly string[],
    onError: (error: unknown) => void,
  ) {
    this.#connection = connection
    this.#request = request
    this.#early = early
    this.#server = server
    this.#onError = onError
  }

  get gone(): boolean {
    return this.#state === 'gone' || (this.#state !== 'answered' && !this.#connection.writable)
  }

  accept(owner: SocketOwner, protocol: string): void {
    checkChosenProtocol(protocol, this.protocols)
    if (!this.#answer()) return
    this.#request[chosenProtocol] = protocol
    const { socket } = this.#connection
    // `ws` gives the early bytes back to the socket, which must not flow until somebody listens.
    socket.pause()
    this.#server.handleUpgrade(this.#request, socket, this.#early, (ws: WebSocket) => {
      new NodeSocket(ws, this.#connection, owner, this.#onError)
    })
    socket.resume()
  }

  reject(head: Head, body: string | null, extra?: Head['headers']): void {
    if (extra !== undefined) checkHeaders(extra)
    const response = closingResponse(head, body, extra)
    if (!this.#answer()) return
    this.#connection.endWith(response)
    this.#connection.socket.resume()
  }

  /** The route has thrown. */
  fail(): void {
    this.reject(internal.head, internal.body)
  }

  /** The route has returned. Without an answer the socket must be read, or nobody would notice the client leaving. */
  wait(): void {
    if (this.#state !== 'new') return
    this.#state = 'waiting'
    const socket: PendingSocket = this.#connection.socket
    socket[upgradeOf] = this
    socket.on('data', onEarlyData)
    socket.on('end', onPendingEnd)
    socket.on('close', onPendingClose)
    socket.resume()
  }

  early(chunk: Buffer): void {
    if (this.#early.length + chunk.length > EARLY_LIMIT_BYTES) this.#connection.destroy('protocol')
    else this.#early = Buffer.concat([this.#early, chunk])
  }

  peerGone(): void {
    if (this.#state === 'answered' || this.#state === 'gone') return
    this.#state = 'gone'
    try {
      this.onGone?.()
    } catch (error) {
      this.#onError(error)
    }
  }

  #answer(): boolean {
    if (this.#state === 'answered' || this.#state === 'gone') return false
    const waited = this.#state === 'waiting'
    if (!this.#connection.writable) return false
    this.#state = 'answered'
    if (waited) stopWaiting(this.#connection.socket)
    return true
  }
}

function stopWaiting(socket: PendingSocket): void {
  delete socket[upgradeOf]
  socket.removeListener('data', onEarlyData)
  socket.removeListener('end', onPendingEnd)
  socket.removeListener('close', onPendingClose)
}

function onEarlyData(this: PendingSocket, chunk: Buffer): void {
  this[upgradeOf]?.early(chunk)
}

function onPendingEnd(this: PendingSocket): void {
  this.destroy()
}

function onPendingClose(this: PendingSocket): void {
  this[upgradeOf]?.peerGone()
}
