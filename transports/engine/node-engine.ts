// The engine on node:http and ws: the reference, correct wherever Node runs.

import { constants } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https'
import { type AddressInfo, Server as NetServer, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { WebSocketServer } from 'ws'
import type { Engine, Listener, ListenOptions, Routes, TlsMaterial } from './engine.js'
import { readHandshake } from './handshake.js'
import { isKnownCoding } from './heads.js'
import { checkListenOptions, shortestDeadlineMs } from './listen-options.js'
import { NodeConnection } from './node-connection.js'
import { NodeExchange } from './node-exchange.js'
import { NodeHead, WebSocketAwareMessage } from './node-head.js'
import { chosenProtocolOf, NodeUpgrade } from './node-upgrade.js'
import { bodyTooLarge, headTooLarge, malformed, tooSlow } from './problem.js'
import { Sweeper } from './sweeper.js'

export const nodeEngine: Engine = {
  name: 'node',
  knownFaults: [],
  async listen(options, routes) {
    checkListenOptions(options)
    const listener = new NodeListener(options, routes)
    await listener.listen()
    return listener
  },
}

class NodeListener implements Listener {
  readonly #options: ListenOptions
  readonly #routes: Routes
  readonly #server: Server | TlsServer
  readonly #webSockets: WebSocketServer
  readonly #sweeper: Sweeper
  readonly #connections = new Set<NodeConnection>()
  /** Below TLS; also those whose handshake is not done. */
  readonly #sockets = new Set<Socket>()
  readonly #disconnected = (connection: NodeConnection): void => {
    this.#connections.delete(connection)
    this.#sweeper.delete(connection)
    if (this.#connections.size === 0) this.#onEmpty?.()
  }
  #onEmpty: (() => void) | null = null

  constructor(options: ListenOptions, routes: Routes) {
    this.#options = options
    this.#routes = routes
    this.#sweeper = new Sweeper(shortestDeadlineMs(options))
    const webSocketOptions = {
      noServer: true,
      clientTracking: false,
      perMessageDeflate: options.deflate,
      maxPayload: options.maxMessageBytes,
      closeTimeout: options.closeTimeoutMs,
      handleProtocols: (_offered: Set<string>, request: IncomingMessage) => chosenProtocolOf(request),
    }
    this.#webSockets = new WebSocketServer(webSocketOptions)
    const serverOptions = {
      IncomingMessage: WebSocketAwareMessage,
      maxHeaderSize: options.maxHeaderBytes,
      headersTimeout: options.headersTimeoutMs,
      // For bodies that nobody reads; those that somebody does have bodyTimeoutMs of their own.
      requestTimeout: options.headersTimeoutMs + options.bodyTimeoutMs,
      connectionsCheckingInterval: Math.min(1000, Math.max(10, Math.floor(options.headersTimeoutMs / 4))),
      keepAliveTimeout: options.keepAliveMs,
      // A write that the kernel did not take whole is reported at once, instead of 16 KiB being queued first.
      highWaterMark: 1,
      // Ours is answered with problem+json.
      requireHostHeader: false,
      noDelay: true,
    }
    if (options.tls === undefined) {
      this.#server = createServer(serverOptions)
      this.#server.on('connection', (socket: Socket) => this.#connected(socket))
    } else {
      const { clientCa } = options.tls
      this.#server = createTlsServer({
        ...serverOptions,
        ...secureContext(options.tls),
        handshakeTimeout: options.headersTimeoutMs,
        requestCert: clientCa !== undefined,
        // Probes have none: it is the route that asks for it.
        rejectUnauthorized: false,
      })
      this.#server.on('connection', (socket: Socket) => {
        this.#sockets.add(socket)
        socket.once('close', () => this.#sockets.delete(socket))
      })
      this.#server.on('secureConnection', (socket) => this.#connected(socket))
    }
    this.#server.maxConnections = options.maxConnections
    this.#server.on('request', (request, response) => this.#requested(request, response, false))
    this.#server.on('checkContinue', (request, response) => this.#requested(request, response, true))
    this.#server.on('upgrade', (request, socket, early) => this.#upgradeAsked(request, socket, early))
    this.#server.on('clientError', (error: NodeJS.ErrnoException, socket) => this.#clientFailed(error, socket))
  }

  get port(): number {
    return (this.#server.address() as AddressInfo | null)?.port ?? this.#options.port
  }

  get connections(): number {
    return this.#connections.size
  }

  listen(): Promise<void> {
    const { host, port } = this.#options
    return new Promise((resolve, reject) => {
      const failed = (error: Error) => reject(new Error(`can't listen on ${host}:${port}: ${error.message}`, { cause: error }))
      this.#server.once('error', failed)
      this.#server.listen({ host, port, exclusive: true }, () => {
        this.#server.removeListener('error', failed)
        this.#server.on('error', (error) => this.#options.onError(error))
        resolve()
      })
    })
  }

  renewTls(tls: TlsMaterial): void {
    if (!('setSecureContext' in this.#server)) throw new Error('this port has no TLS')
    this.#server.setSecureContext(secureContext(tls))
  }

  stopAccepting(): void {
    // Not the one of http.Server, which also ends idle connections and no longer looks for slow requests.
    if (this.#server.listening) NetServer.prototype.close.call(this.#server)
  }

  async close(): Promise<void> {
    this.stopAccepting()
    // Stops looking for slow requests too.
    this.#server.close()
    if (this.#connections.size > 0) {
      await new Promise<void>((resolve) => {
        this.#onEmpty = resolve
        for (const connection of this.#connections) connection.destroy('closed')
      })
    }
    for (const socket of this.#sockets) socket.destroy()
    this.#sweeper.stop()
    // A WebSocket's owner hears of it after the connection has.
    await new Promise((resolve) => setImmediate(resolve))
  }

  #connected(socket: Socket): void {
    this.#connections.add(new NodeConnection(socket, this.#sweeper, this.#options, this.#disconnected))
  }

  #requested(request: IncomingMessage, response: ServerResponse<IncomingMessage>, expectsContinue: boolean): void {
    const connection = NodeConnection.of(request.socket)
    if (connection.ending || !isServable(request)) {
      connection.refuse(malformed, 'protocol')
      // Thrown away: a body that nobody takes would stop the reading, and the end of the connection not be seen.
      request.resume()
      return
    }
    const exchange = new NodeExchange(connection, response, this.#options, expectsContinue)
    const head = new NodeHead(request, response)
    try {
      this.#routes.request(head, exchange)
      if (exchange.forgotten) throw new Error('a route has neither answered a request nor taken it over')
    } catch (error) {
      exchange.fail()
      this.#options.onError(error)
    }
    head.release()
  }

  #upgradeAsked(request: IncomingMessage, socket: Duplex, early: Buffer): void {
    // node:http has let go of the socket, its listener for errors too; `close` follows each.
    socket.on('error', destroyed)
    const connection = NodeConnection.of(socket)
    if (connection.busy || connection.ending) {
      connection.destroy('protocol')
      return
    }
    const head = new NodeHead(request, null)
    const handshake = readHandshake(head)
    if ('body' in handshake) {
      connection.refuse(handshake, 'protocol')
      socket.resume()
      return
    }
    const upgrade = new NodeUpgrade(connection, request, early, this.#webSockets, handshake, this.#options.onError)
    try {
      this.#routes.upgrade(head, upgrade)
    } catch (error) {
      upgrade.fail()
      this.#options.onError(error)
    }
    upgrade.wait()
  }

  #clientFailed(error: NodeJS.ErrnoException, socket: Duplex): void {
    const connection = NodeConnection.find(socket)
    // A handshake of TLS that came to nothing.
    if (connection === undefined) socket.destroy()
    else if (error.code === 'HPE_HEADER_OVERFLOW') connection.refuse(headTooLarge, 'protocol')
    else if (error.code === 'HPE_CHUNK_EXTENSIONS_OVERFLOW') connection.refuse(bodyTooLarge, 'protocol')
    else if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') connection.refuse(tooSlow, 'timeout')
    // The client has ended in the middle of a request.
    else if (error.code === 'HPE_INVALID_EOF_STATE') connection.destroy('closed')
    else if (error.code?.startsWith('HPE_')) connection.refuse(malformed, 'protocol')
    else connection.destroy('closed')
  }
}

/** No tickets with client certificates: a session that is taken up again would not be checked against the authorities of today. */
function secureContext({ cert, key, clientCa }: TlsMaterial) {
  const common = { cert, key, minVersion: 'TLSv1.2' } as const
  return clientCa === undefined ? common : { ...common, ca: clientCa, secureOptions: constants.SSL_OP_NO_TICKET }
}

/** RFC 9112: a version that we speak (0.9 gets through the parser), §3.2 a host, §6.1 a coding that we know. */
function isServable(request: IncomingMessage): boolean {
  const { host, 'transfer-encoding': coding } = request.headers
  const versionFits = request.httpVersionMajor === 1 && (host !== undefined || request.httpVersionMinor === 0)
  return versionFits && isKnownCoding(coding)
}

function destroyed(this: Duplex): void {
  this.destroy()
}
