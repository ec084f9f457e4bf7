// One TCP connection of the node engine: who waits on it, what its peer has not taken yet, and when it must end.

import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Gone, ListenOptions } from './engine.js'
import { closingResponse, type Problem, tooSlow } from './problem.js'
import type { Sweepable, Sweeper } from './sweeper.js'

/** A request of the connection that is not answered yet. */
export interface PendingExchange {
  /** Its response has begun, nothing else can be said in its place. */
  readonly started: boolean
  peerGone(why: Gone): void
}

/** Who has written until the kernel refused, and waits. */
export interface Writer {
  onSocketDrain(): void
}

const connectionOf = Symbol('connection')
type OwnedSocket = Duplex & { [connectionOf]?: NodeConnection }

export class NodeConnection implements Sweepable {
  readonly #sweeper: Sweeper
  readonly #options: ListenOptions
  readonly #onClose: (connection: NodeConnection) => void
  #pending: PendingExchange[] | null = null
  #writer: Writer | null = null
  #reading: PendingExchange | null = null
  #why: Gone = 'closed'
  // Deadlines in sweeper time, 0 for none.
  #bodyUntilMs = 0
  #stalledUntilMs = 0
  #endsAtMs = 0
  #unsentBytes = 0

  constructor(
    readonly socket: Socket,
    sweeper: Sweeper,
    options: ListenOptions,
    onClose: (connection: NodeConnection) => void,
  ) {
    this.#sweeper = sweeper
    this.#options = options
    this.#onClose = onClose
    socket.on('close', onSocketClose)
    ;(socket as OwnedSocket)[connectionOf] = this
  }

  /** Of a socket that node:http hands out; every one has been given its connection when it was accepted. */
  static of(socket: Duplex): NodeConnection {
    const connection = (socket as OwnedSocket)[connectionOf]
    if (connection === undefined) throw new Error('a socket that this engine did not accept')
    return connection
  }

  /** Undefined: TLS was never agreed on. */
  static find(socket: Duplex): NodeConnection | undefined {
    return (socket as OwnedSocket)[connectionOf]
  }

  /** Nobody listens to the peer any more; what it still sends is thrown away. */
  get ending(): boolean {
    return this.#endsAtMs !== 0 || this.socket.destroyed
  }

  get writable(): boolean {
    return this.socket.writable && this.#endsAtMs === 0
  }

  /** Whether requests that came before wait for their answers. */
  get busy(): boolean {
    return this.#pending !== null
  }

  begin(exchange: PendingExchange): void {
    if (this.#pending === null) this.#pending = [exchange]
    else this.#pending.push(exchange)
  }

  /** The exchange has ended: it is told nothing any more. */
  end(exchange: PendingExchange): void {
    if (this.#reading === exchange) this.#reading = null
    if (this.#pending === null) return
    const at = this.#pending.indexOf(exchange)
    if (at >= 0) this.#pending.splice(at, 1)
    if (this.#pending.length === 0) this.#pending = null
  }

  expectBody(exchange: PendingExchange): void {
    this.#reading = exchange
    this.#bodyUntilMs = this.#sweeper.now() + this.#options.bodyTimeoutMs
    this.#sweeper.add(this)
  }

  bodyDone(exchange: PendingExchange): void {
    if (this.#reading === exchange) this.#reading = null
  }

  /** `writer` is told once when the peer has taken everything; a peer that takes nothing for stallTimeoutMs is gone. */
  awaitDrain(writer: Writer): void {
    // Also when a writer that has ended since still waits: there is one listener.
    if (this.#writer === null) this.socket.on('drain', onSocketDrain)
    this.#writer = writer
    this.watchBacklog()
  }

  /** The same limit of time for what was written last, with nobody to tell. */
  watchBacklog(): void {
    this.#stalledUntilMs = this.#sweeper.now() + this.#options.stallTimeoutMs
    this.#unsentBytes = unsentBytes(this.socket)
    this.#sweeper.add(this)
  }

  drained(): void {
    this.socket.removeListener('drain', onSocketDrain)
    const writer = this.#writer
    this.#writer = null
    writer?.onSocketDrain()
  }

  /** Says `problem` if that is still possible, and ends the connection; whoever waits on it hears `why`. */
  refuse(problem: Problem, why: Gone): void {
    if (this.ending) return
    if (this.#pending?.some((exchange) => exchange.started)) {
      this.destroy(why)
      return
    }
    this.#lose(why)
    this.endWith(closingResponse(problem.head, problem.body))
  }

  /**
   * Sends the last bytes, then throws away what comes until the peer closes, at most for closeTimeoutMs: closing while
   * it still sends would reset the connection and take the answer from it.
   */
  endWith(lastBytes: string): void {
    this.endWithin(this.#options.closeTimeoutMs)
    if (this.socket.writable) this.socket.end(lastBytes)
  }

  endWithin(ms: number): void {
    this.#endsAtMs = Math.max(1, this.#sweeper.now() + ms)
    this.#sweeper.add(this)
  }

  destroy(why: Gone): void {
    this.#why = why
    this.socket.destroy()
  }

  closed(): void {
    this.#onClose(this)
    this.#lose(this.#why)
  }

  sweep(nowMs: number): 'keep' | 'done' {
    if (this.socket.destroyed) return 'done'
    if (this.#endsAtMs !== 0 && nowMs >= this.#endsAtMs) {
      this.socket.destroy()
      return 'done'
    }
    if (this.#reading !== null && nowMs >= this.#bodyUntilMs) this.refuse(tooSlow, 'timeout')
    if (this.#stalledUntilMs !== 0) this.#checkBacklog(nowMs)
    return this.#endsAtMs !== 0 || this.#reading !== null || this.#stalledUntilMs !== 0 ? 'keep' : 'done'
  }

  /** Everybody who waits on the connection hears why it is gone. */
  #lose(why: Gone): void {
    const pending = this.#pending
    this.#pending = null
    this.#writer = null
    this.#reading = null
    if (pending !== null) for (const exchange of pending) exchange.peerGone(why)
  }

  #checkBacklog(nowMs: number): void {
    if (this.socket.writableLength === 0) {
      this.#stalledUntilMs = 0
      return
    }
    const unsent = unsentBytes(this.socket)
    if (unsent < this.#unsentBytes) {
      this.#unsentBytes = unsent
      this.#stalledUntilMs = nowMs + this.#options.stallTimeoutMs
    } else if (nowMs >= this.#stalledUntilMs) {
      this.destroy('timeout')
    }
  }
}

function onSocketClose(this: Socket): void {
  NodeConnection.of(this).closed()
}

function onSocketDrain(this: Socket): void {
  NodeConnection.of(this).drained()
}

/** Falls whenever the peer takes something. Without libuv's figure (not a public one) a single large write counts as one step. */
function unsentBytes(socket: Socket): number {
  const handle = (socket as Socket & { _handle?: { writeQueueSize?: number } | null })._handle
  return socket.writableLength + (handle?.writeQueueSize ?? 0)
}
