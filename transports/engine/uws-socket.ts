// One WebSocket on the uws engine.

import type { WebSocket } from 'uWebSockets.js'
import type { MessageSocket, Sent, SocketOwner } from './engine.js'
import { checkCloseCode, closeReason } from './handshake.js'
import type { Sweepable } from './sweeper.js'
import type { UwsContext } from './uws-exchange.js'

/** What uWebSockets.js keeps with a WebSocket. */
export interface SocketData {
  readonly socket: UwsSocket
}

/**
 * `full`: open, but the peer must take what was written first. `drained`: it has, and the owner is to be told. `closing`:
 * only onClose is still to come.
 */
type State = 'opening' | 'open' | 'full' | 'drained' | 'closing' | 'closed'

export class UwsSocket implements MessageSocket, Sweepable {
  owner: SocketOwner
  readonly #context: UwsContext
  readonly #deflate: boolean
  #ws: WebSocket<SocketData> | null = null
  #state: State = 'opening'
  #unsentBytes = 0
  #deadlineMs = 0

  constructor(
    owner: SocketOwner,
    readonly protocol: string,
    context: UwsContext,
    deflate: boolean,
  ) {
    this.owner = owner
    this.#context = context
    this.#deflate = deflate
  }

  get gone(): boolean {
    return this.#state === 'closing' || this.#state === 'closed'
  }

  /** From inside `accept`, so that the owner hears of it only later. */
  attach(ws: WebSocket<SocketData>): void {
    this.#ws = ws
    this.#context.lender.add(this)
    queueMicrotask(() => this.#opened())
  }

  send(payloads: readonly Uint8Array[], binary: boolean): Sent {
    const ws = this.#ws
    if (ws === null || this.gone) return 'gone'
    if (this.#state === 'full' || this.#state === 'drained') return 'refused'
    const [only] = payloads
    if (payloads.length === 1 && only !== undefined) ws.send(only, binary, this.#deflate)
    else {
      ws.cork(() => {
        for (const payload of payloads) ws.send(payload, binary, this.#deflate)
      })
    }
    const unsent = ws.getBufferedAmount()
    if (unsent === 0) return 'ok'
    this.#state = 'full'
    this.#watch(unsent)
    return 'full'
  }

  ping(): void {
    // Behind a backlog it would say nothing: the limit on stalled readers applies already.
    if (this.gone || this.#state === 'full') return
    this.#ws?.ping()
  }

  close(code: number, reason: string): void {
    checkCloseCode(code)
    if (this.gone) return
    this.#state = 'closing'
    this.#ws?.end(code, closeReason(reason))
  }

  abort(): void {
    if (this.gone) return
    this.#state = 'closing'
    this.#ws?.close()
  }

  /** For what another connection has to write; see UwsLender. */
  lendCork(work: () => void): void {
    if (this.#ws === null) work()
    else this.#ws.cork(work)
  }

  message(data: ArrayBuffer, binary: boolean): void {
    this.#opened()
    if (!this.gone) this.#tell((owner) => owner.onMessage(this, Buffer.from(data), binary))
  }

  pong(): void {
    this.#opened()
    if (!this.gone) this.#tell((owner) => owner.onPong(this))
  }

  drain(): void {
    if (this.#state !== 'full') return
    const unsent = this.#ws?.getBufferedAmount() ?? 0
    if (unsent > 0) {
      this.#watch(unsent)
      return
    }
    this.#state = 'drained'
    this.#context.sweeper.delete(this)
    // Not from inside the callback: of a write there that the kernel takes in part the rest would never be sent
    // (us_socket_write2 does not set last_write_failed, so the loop stops waiting for room).
    setImmediate(() => this.#drained())
  }

  #drained(): void {
    if (this.#state !== 'drained') return
    this.#state = 'open'
    this.#tell((owner) => owner.onDrain(this))
  }

  /** Also from inside `end` and `close`, hence told later. */
  closed(code: number, reason: string): void {
    this.#ws = null
    this.#context.lender.delete(this)
    this.#context.sweeper.delete(this)
    queueMicrotask(() => {
      this.#opened()
      this.#state = 'closed'
      this.#tell((owner) => owner.onClose(this, code, reason))
    })
    if (this.#state !== 'opening') this.#state = 'closing'
  }

  sweep(nowMs: number): 'keep' | 'done' {
    if (this.#state !== 'full' || this.#ws === null) return 'done'
    const unsent = this.#ws.getBufferedAmount()
    if (unsent < this.#unsentBytes) this.#watch(unsent)
    else if (nowMs >= this.#deadlineMs) this.abort()
    return this.gone ? 'done' : 'keep'
  }

  #opened(): void {
    if (this.#state !== 'opening') return
    this.#state = 'open'
    this.#tell((owner) => owner.onOpen(this))
  }

  #watch(unsentBytes: number): void {
    this.#unsentBytes = unsentBytes
    this.#deadlineMs = this.#context.sweeper.now() + this.#context.stallTimeoutMs
    this.#context.sweeper.add(this)
  }

  #tell(call: (owner: SocketOwner) => void): void {
    try {
      call(this.owner)
    } catch (error) {
      this.#context.onError(error)
    }
  }
}
