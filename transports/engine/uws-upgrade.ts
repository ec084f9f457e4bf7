// A WebSocket handshake on the uws engine, between the request and the answer to it.

import type { HttpRequest, HttpResponse, UpgradeContext } from 'uWebSockets.js'
import { STATUS_CODES } from 'node:http'
import type { Head, SocketOwner, Upgrade } from './engine.js'
import { checkChosenProtocol } from './handshake.js'
import { checkedHead, checkHeaders } from './heads.js'
import { internal } from './problem.js'
import type { UwsContext } from './uws-exchange.js'
import { UwsSocket } from './uws-socket.js'
import type { Late } from './uws-turn.js'

/** What waits for the end of the turn. */
type Answer =
  | { readonly kind: 'accept'; readonly socket: UwsSocket }
  | { readonly kind: 'reject'; readonly status: number; readonly headers: Head['headers']; readonly body: string }

export class UwsUpgrade implements Upgrade, Late {
  onGone: (() => void) | null = null
  readonly #response: HttpResponse
  readonly #upgradeContext: UpgradeContext
  readonly #context: UwsContext
  readonly #deflate: boolean
  readonly #key: string
  readonly #extensions: string
  #state: 'new' | 'answered' | 'gone' = 'new'
  #unsent: Answer | null = null

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
    this.#answer({ kind: 'accept', socket: new UwsSocket(owner, protocol, this.#context, this.#deflate) })
  }

  reject(head: Head, body: string | null, extra: Head['headers'] = []): void {
    const { status, headers } = checkedHead(head)
    checkHeaders(extra)
    if (this.#state !== 'new') return
    this.#state = 'answered'
    this.#answer({ kind: 'reject', status, headers: [...headers, ...extra], body: body ?? '' })
  }

  sendLate(): void {
    const answer = this.#unsent
    this.#unsent = null
    if (answer !== null) this.#send(answer)
  }

  /** The route has thrown. */
  fail(): void {
    this.reject(internal.head, internal.body)
  }

  /**
   * While another connection is being read, uWebSockets.js takes a socket that is upgraded for that one, which it then closes.
   */
  #answer(answer: Answer): void {
    if (this.#context.turn.defers(this)) this.#unsent = answer
    else this.#send(answer)
  }

  #send(answer: Answer): void {
    const response = this.#response
    if (answer.kind === 'accept') {
      const { socket } = answer
      const upgrade = () => response.upgrade({ socket }, this.#key, socket.protocol, this.#extensions, this.#upgradeContext)
      // In the callback for this handshake uWebSockets.js has corked it already, and takes good care of what it becomes.
      if (this.#context.turn.isFor(this)) upgrade()
      else this.#context.lender.run(response, upgrade)
      return
    }
    response.cork(() => {
      response.writeStatus(`${answer.status} ${STATUS_CODES[answer.status] ?? ''}`)
      for (const [name, value] of answer.headers) response.writeHeader(name, value)
      response.end(answer.body, true)
    })
  }

  #aborted(): void {
    const answer = this.#unsent
    this.#unsent = null
    if (answer?.kind === 'accept') answer.socket.closed(1006, '')
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
