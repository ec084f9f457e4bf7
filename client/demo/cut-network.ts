// A network with a switch: what runs over it can be cut off and let back, for one session of the page alone.

import type { Environment, FetchInit, FetchResponse, WebSocketLike } from '../holdwire.js'

export class CutNetwork {
  readonly environment: Partial<Environment>
  #state: 'connected' | 'cut' = 'connected'
  /** How to break what is running. */
  readonly #running = new Set<() => void>()
  readonly #wakers = new Set<() => void>()

  constructor() {
    const network = this
    this.environment = {
      WebSocket: class extends CuttableSocket {
        constructor(url: string, protocols: string[]) {
          super(url, protocols, network)
        }
      },
      fetch: (url, init) => this.#fetch(url, init),
      onWake: (callback) => {
        this.#wakers.add(callback)
        window.addEventListener('online', callback)
        return () => {
          this.#wakers.delete(callback)
          window.removeEventListener('online', callback)
        }
      },
    }
  }

  get state(): 'connected' | 'cut' {
    return this.#state
  }

  cut(): void {
    this.#state = 'cut'
    for (const stop of this.#running) stop()
    this.#running.clear()
  }

  restore(): void {
    this.#state = 'connected'
    for (const wake of this.#wakers) wake()
  }

  /** Answers how to say that it has ended by itself. */
  started(stop: () => void): () => void {
    this.#running.add(stop)
    return () => {
      this.#running.delete(stop)
    }
  }

  async #fetch(url: string, init: FetchInit): Promise<FetchResponse> {
    if (this.#state === 'cut') throw new TypeError('the network is cut')
    const abort = new AbortController()
    const signal: AbortSignal = init.signal
    const done = this.started(() => abort.abort())
    // A stream goes on after the answer has begun, so it stays cuttable until the client gives it up.
    signal.addEventListener('abort', () => {
      done()
      abort.abort()
    })
    const response = await fetch(url, { ...init, signal: abort.signal })
    if (response.headers.get('content-type')?.includes('event-stream') !== true) done()
    return response
  }
}

type Listener = (event: never) => void

/** A WebSocket whose line seems to break when the network is cut. */
class CuttableSocket implements WebSocketLike {
  readonly #socket: WebSocket | undefined
  readonly #listeners: { readonly type: string; readonly listener: Listener }[] = []
  readonly #done: () => void

  constructor(url: string, protocols: string[], network: CutNetwork) {
    const broken = () => this.#tell('close', { code: 1006, reason: 'the network is cut' })
    if (network.state === 'cut') {
      this.#done = () => {}
      setTimeout(broken)
      return
    }
    const socket = new WebSocket(url, protocols)
    this.#socket = socket
    this.#done = network.started(() => {
      socket.close(4900, 'cut')
      broken()
    })
  }

  addEventListener(type: string, listener: Listener): void {
    this.#listeners.push({ type, listener })
    this.#socket?.addEventListener(type, (event) => {
      if (type === 'close') this.#done()
      listener(event as never)
    })
  }

  send(data: string): void {
    this.#socket?.send(data)
  }

  close(code?: number, reason?: string): void {
    this.#done()
    this.#socket?.close(code, reason)
  }

  #tell(name: string, event: object): void {
    for (const { type, listener } of this.#listeners) {
      if (type === name) listener(event as never)
    }
  }
}
