// The engine on uWebSockets.js: less memory and time than node, and faults that depend on the binary.

import type { HttpRequest, HttpResponse, ListenSocket, Module, TemplatedApp, UpgradeContext } from 'uWebSockets.js'
import { createServer } from 'node:net'
import type { Engine, Listener, ListenOptions, Routes } from './engine.js'
import { asksForWebSocket, readHandshake } from './handshake.js'
import { isKnownCoding } from './heads.js'
import { checkListenOptions, shortestDeadlineMs } from './listen-options.js'
import { upgradeRequired } from './problem.js'
import { Sweeper } from './sweeper.js'
import { type UwsContext, UwsExchange } from './uws-exchange.js'
import { UwsHead } from './uws-head.js'
import { UwsLender } from './uws-lender.js'
import type { SocketData } from './uws-socket.js'
import { UwsTurn } from './uws-turn.js'
import { UwsUpgrade } from './uws-upgrade.js'

/** What holds for every uWebSockets.js; docs/engines.md has the details. */
const KNOWN_LIMITS: readonly string[] = [
  'a second request on a connection whose first is not answered yet ends that connection (no pipelining)',
  'HTTP/1.0, chunk extensions and trailers are not understood',
  'header, keep-alive and slow-body limits are its own 8 to 12 s where those configured are longer, and the largest head is its own',
  'client frames without a mask are not refused',
  'protocol errors and messages that are too long end a WebSocket without a close frame, and so do close codes 3000 to 3999',
  'a WebSocket that does not answer a close is ended after 4 s, whatever is configured',
]

const FREE_PORT_ATTEMPTS = 3

/** An engine on a module that has been loaded. `faults` are those found in this binary. */
export function createUwsEngine(uws: Module, faults: readonly string[]): Engine {
  return {
    name: 'uws',
    knownFaults: [...faults, ...KNOWN_LIMITS],
    async listen(options, routes) {
      checkListenOptions(options)
      if (options.tls !== undefined) throw new Error('the engine uws has no TLS here: it could not reload certificates')
      const listener = new UwsListener(uws, options, routes)
      await listener.listen()
      return listener
    },
  }
}

class UwsListener implements Listener {
  readonly #uws: Module
  readonly #options: ListenOptions
  readonly #routes: Routes
  readonly #context: UwsContext
  readonly #app: TemplatedApp
  #listenSocket: ListenSocket | null = null
  /** `crowded`: not listening until connections are fewer again. */
  #state: 'accepting' | 'crowded' | 'stopped' = 'accepting'
  #connections = 0
  #port: number

  constructor(uws: Module, options: ListenOptions, routes: Routes) {
    this.#uws = uws
    this.#options = options
    this.#routes = routes
    this.#port = options.port
    this.#context = {
      turn: new UwsTurn(),
      lender: new UwsLender(),
      sweeper: new Sweeper(shortestDeadlineMs(options)),
      bodyTimeoutMs: options.bodyTimeoutMs,
      stallTimeoutMs: options.stallTimeoutMs,
      onError: (error) => options.onError(error),
    }
    this.#app = uws
      .App()
      .filter((_response, count) => this.#counted(count))
      .any('/*', (response, request) => this.#requested(response, request))
      .ws<SocketData>('/*', {
        compression: options.deflate ? uws.SHARED_COMPRESSOR : uws.DISABLED,
        maxPayloadLength: options.maxMessageBytes,
        // Sessions have their own heartbeat and Sweeper finds stalled readers.
        idleTimeout: 0,
        sendPingsAutomatically: false,
        // 0 is no limit: after the first write that is not taken whole there is no second.
        maxBackpressure: 0,
        upgrade: (response, request, context) => this.#upgradeAsked(response, request, context),
        open: (ws) => ws.getUserData().socket.attach(ws),
        message: (ws, message, isBinary) => {
          this.#context.turn.begin(null)
          ws.getUserData().socket.message(message, isBinary)
        },
        pong: (ws) => ws.getUserData().socket.pong(),
        drain: (ws) => ws.getUserData().socket.drain(),
        close: (ws, code, reason) => {
          this.#counted(-1)
          ws.getUserData().socket.closed(code, Buffer.from(reason).toString())
        },
      })
  }

  get port(): number {
    return this.#port
  }

  get connections(): number {
    return this.#connections
  }

  async listen(): Promise<void> {
    const { host, port } = this.#options
    // Somebody else may take a free port before we do.
    for (let attempt = 0; attempt < FREE_PORT_ATTEMPTS; attempt++) {
      this.#port = await bindablePort(host, port)
      if (this.#tryListen()) return
    }
    throw new Error(`can't listen on ${host}:${port}: uWebSockets.js does not say why`)
  }

  renewTls(): void {
    throw new Error('this port has no TLS')
  }

  stopAccepting(): void {
    this.#state = 'stopped'
    this.#closeListenSocket()
  }

  async close(): Promise<void> {
    this.stopAccepting()
    this.#context.turn.flush()
    this.#app.close()
    this.#context.sweeper.stop()
    // Owners hear of it in microtasks.
    await new Promise((resolve) => setImmediate(resolve))
  }

  /** Calls back at once, whatever comes of it. */
  #tryListen(): boolean {
    this.#app.listen(this.#options.host, this.#port, this.#uws.LIBUS_LISTEN_EXCLUSIVE_PORT, (socket) => {
      if (socket === false) return
      this.#listenSocket = socket
    })
    return this.#listenSocket !== null
  }

  #closeListenSocket(): void {
    if (this.#listenSocket !== null) this.#uws.us_listen_socket_close(this.#listenSocket)
    this.#listenSocket = null
  }

  /** At the limit of file descriptors uWebSockets.js spins, so below it nothing is accepted: new connections are refused. */
  #counted(count: number): void {
    this.#connections += count
    if (this.#state === 'accepting' && this.#connections >= this.#options.maxConnections) {
      this.#state = 'crowded'
      this.#closeListenSocket()
    } else if (this.#state === 'crowded' && this.#connections < this.#options.maxConnections) {
      // Not from inside the callback of a connection that is being closed.
      setImmediate(() => this.#acceptAgain())
    }
  }

  #acceptAgain(): void {
    if (this.#state !== 'crowded' || this.#connections >= this.#options.maxConnections) return
    this.#state = 'accepting'
    if (this.#tryListen()) return
    this.#state = 'crowded'
    this.#options.onError(new Error(`can't listen on ${this.#options.host}:${this.#port} again`))
    setTimeout(() => this.#acceptAgain(), 1000).unref()
  }

  #requested(response: HttpResponse, request: HttpRequest): void {
    const isHead = request.getMethod() === 'head'
    const exchange = new UwsExchange(response, this.#context, isHead, Number(request.getHeader('content-length')))
    let head: UwsHead | null = null
    this.#context.turn.begin(exchange)
    try {
      head = new UwsHead(response, request)
      if (hasDoubtfulLength(request)) {
        // Without an answer: after one, uWebSockets.js still reads the next request from what it has received.
        exchange.abort()
        return
      }
      if (asksForWebSocket(head.header('upgrade'))) {
        // One that uWebSockets.js did not take for a handshake.
        const handshake = readHandshake(head)
        exchange.refuse('body' in handshake ? handshake : upgradeRequired)
        return
      }
      this.#routes.request(head, exchange)
      if (exchange.forgotten) throw new Error('a route has neither answered a request nor taken it over')
    } catch (error) {
      exchange.fail()
      this.#options.onError(error)
    } finally {
      this.#context.turn.leave()
      head?.release()
    }
  }

  #upgradeAsked(response: HttpResponse, request: HttpRequest, upgradeContext: UpgradeContext): void {
    if (!asksForWebSocket(request.getHeader('upgrade'))) {
      this.#requested(response, request)
      return
    }
    const head = new UwsHead(response, request)
    const handshake = readHandshake(head)
    if ('body' in handshake) {
      new UwsExchange(response, this.#context, false, 0).refuse(handshake)
      return
    }
    const upgrade = new UwsUpgrade(response, request, upgradeContext, handshake, this.#context, this.#options.deflate)
    this.#context.turn.begin(upgrade)
    try {
      this.#routes.upgrade(head, upgrade)
    } catch (error) {
      upgrade.fail()
      this.#options.onError(error)
    } finally {
      this.#context.turn.leave()
    }
    head.release()
  }
}

/** uWebSockets.js takes the first of several Content-Lengths, and any Transfer-Encoding for chunked: a proxy may see other requests. */
function hasDoubtfulLength(request: HttpRequest): boolean {
  if (!isKnownCoding(request.getHeader('transfer-encoding'))) return true
  const length = request.getHeader('content-length')
  if (length === '') return false
  if (!/^\d{1,15}$/.test(length)) return true
  let lengths = 0
  request.forEach((name) => {
    if (name === 'content-length') lengths++
  })
  return lengths > 1
}

/**
 * `port`, or a free one for 0: with 0 uWebSockets.js does not set SO_REUSEADDR and could never listen there again. Rejects
 * with the reason, which uWebSockets.js does not give, when it can't be had.
 */
function bindablePort(host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', (error) => reject(new Error(`can't listen on ${host}:${port}: ${error.message}`, { cause: error })))
    server.listen({ host, port, exclusive: true }, () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : port))
    })
  })
}
