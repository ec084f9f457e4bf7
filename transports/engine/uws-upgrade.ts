// A WebSocket handshake on the uws engine, between the request and the answer to it.

import type { HttpRequest, HttpResponse, UpgradeContext } from 'uWebSockets.js'
import { STATUS_CODES } from 'node:http'
import type { Head, SocketOwner, Upgrade } from './engine.js'
import { checkChosenProtocol } from './handshake.js'
import { checkedHead, checkHeaders } from './heads.js'
import { internal } from './problem.js'
import type { UwsContext } from './uws-exchange.js'
import { UwsSocket } from './uws-socket.js'

export class UwsUpgrade implements Upgrade {
  onGone: (() => void) | null = null
  readonly #response: HttpResponse
  readonly #upgradeContext: UpgradeContext
  readonly #context: UwsContext
  readonly #deflate: boolean
  readonly #key: string
  readonly #extensions: string
  #state: 'new' | 'answered' | 'gone' = 'new'

  /** To be made first thing in the handler: a request without an onAborted handler ends the process. */
  constructor(
    response: HttpResponse,
    request: HttpRequest,
    upgradeContext: UpgradeContext,
    readonly protocols: readonly string[],
    context: UwsContext,
    deflate: boolean,
  ) {
    this.#response = response
    this.#upgradeContext = upgradeContext
    this.#context = context
    this.#deflate = deflate
    this.#key = request.getHeader('sec-websocket-key')
    this.#extensions = deflate ? request.getHeader('sec-websocket-extensions') : ''
    response.onAborted(() => this.#aborted())
  }

  get gone(): boolean {
    return this.#state === 'gone'
  }

  accept(owner: SocketOwner, protocol: string): void {
    checkChosenProtocol(protocol, this.protocols)
    if (this.#state !== 'new') return
    this.#state = 'answered'
    const socket = new UwsSocket(owner, protocol, this.#context, this.#deflate)
    this.#response.cork(() => {
      this.#response.upgrade({ socket }, this.#key, protocol, this.#extensions, this.#upgradeContext)
    })
  }

  reject(head: Head, body: string | null, extra: Head['headers'] = []): void {
    const { status, headers } = checkedHead(head)
    checkHeaders(extra)
    if (this.#state !== 'new') return
    this.#state = 'answered'
    this.#response.cork(() => {
      this.#response.writeStatus(`${status} ${STATUS_CODES[status] ?? ''}`)
      for (const [name, value] of [...headers, ...extra]) this.#response.writeHeader(name, value)
      this.#response.end(body ?? '', true)
    })
  }

  /** The route has thrown. */
  fail(): void {
    this.reject(internal.head, internal.body)
  }

  #aborted(): void {
    if (this.#state !== 'new') return
    this.#state = 'gone'
    queueMicrotask(() => {
      try {
        this.onGone?.()
      } catch (error) {
        this.#context.onError(error)
      }
    })
  }
}
