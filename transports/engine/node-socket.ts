// One WebSocket on the node engine: `ws` reads and answers, messages are framed here and written in one piece.

import type { Duplex } from 'node:stream'
import { WebSocket } from 'ws'
import type { MessageSocket, Sent, SocketOwner } from './engine.js'
import { checkCloseCode, closeReason } from './handshake.js'
import type { NodeConnection, Writer } from './node-connection.js'
import { buildFrames, PING_FRAME } from './websocket-frames.js'

/** `full`: open, but the peer must take what was written first. `closing`: by us, only onClose is still to come. */
type State = 'opening' | 'open' | 'full' | 'closing' | 'closed'

const socketOf = Symbol('message socket')
type OwnedWebSocket = WebSocket & { [socketOf]?: NodeSocket }

export class NodeSocket implements MessageSocket, Writer {
  owner: SocketOwner
  readonly #ws: OwnedWebSocket
  readonly #connection: NodeConnection
  readonly #onError: (error: unknown) => void
  /** permessage-deflate was negotiated, which is the only extension there is. */
  readonly #deflates: boolean
  #state: State = 'opening'

  constructor(ws: WebSocket, connection: NodeConnection, owner: SocketOwner, onError: (error: unknown) => void) {
    this.owner = owner
    this.#ws = ws
    this.#connection = connection
    this.#onError = onError
    this.#deflates = ws.extensions !== ''
    this.#ws[socketOf] = this
    ws.on('message', onMessage)
    ws.on('pong', onPong)
    ws.on('close', onClose)
    // What went wrong is in the close frame that `ws` has sent (1002, 1007, 1009); `close` follows.
    ws.on('error', ignore)
    process.nextTick(open, this)
  }

  get protocol(): string {
    return this.#ws.protocol
  }

  get gone(): boolean {
    return this.#state === 'closing' || this.#state === 'closed' || this.#ws.readyState !== WebSocket.OPEN
  }

  send(payloads: readonly Uint8Array[], binary: boolean): Sent {
    if (this.gone || !this.#connection.writable) return 'gone'
    if (this.#state === 'full') return 'refused'
    if (payloads.length === 0) return 'ok'
    if (this.#deflates) return this.#sendDeflated(payloads, binary)
    const socket: Duplex = this.#connection.socket
    if (socket.write(buildFrames(payloads, binary)) || socket.writableLength === 0) return 'ok'
    this.#state = 'full'
    this.#connection.awaitDrain(this)
    return 'full'
  }

  ping(): void {
    // Behind a backlog it would say nothing: the limit on stalled readers applies already.
    if (this.gone || this.#state === 'full') return
    if (this.#deflates) this.#ws.ping()
    else if (this.#connection.writable) this.#connection.socket.write(PING_FRAME)
  }

  close(code: number, reason: string): void {
    checkCloseCode(code)
    if (this.gone) return
    this.#state = 'closing'
    this.#ws.close(code, closeReason(reason))
  }

  abort(): void {
    if (this.#state === 'closed') return
    this.#state = 'closing'
    this.#ws.terminate()
  }

  opened(): void {
    if (this.#state !== 'opening') return
    this.#state = 'open'
    this.#tell((owner) => owner.onOpen(this))
  }

  onSocketDrain(): void {
    if (this.#state !== 'full') return
    this.#state = 'open'
    if (!this.gone) this.#tell((owner) => owner.onDrain(this))
  }

  message(data: Buffer, binary: boolean): void {
    this.opened()
    if (this.#state === 'open' || this.#state === 'full') this.#tell((owner) => owner.onMessage(this, data, binary))
  }

  pong(): void {
    this.opened()
    if (this.#state === 'open' || this.#state === 'full') this.#tell((owner) => owner.onPong(this))
  }

  closed(code: number, reason: string): void {
    this.opened()
    this.#state = 'closed'
    this.#tell((owner) => owner.onClose(this, code, reason))
  }

  /** `ws` compresses on another thread and keeps what waits for it: the batch counts as taken when its last message was written. */
  #sendDeflated(payloads: readonly Uint8Array[], binary: boolean): Sent {
    const { socket } = this.#connection
    socket.cork()
    payloads.forEach((payload, index) => {
      this.#ws.send(payload, { binary, compress: true }, index === payloads.length - 1 ? () => this.#deflated() : undefined)
    })
    socket.uncork()
    if (this.#ws.bufferedAmount === 0) return 'ok'
    this.#state = 'full'
    this.#connection.watchBacklog()
    return 'full'
  }

  #deflated(): void {
    if (this.#connection.socket.writableLength === 0) this.onSocketDrain()
    else if (this.#state === 'full') this.#connection.awaitDrain(this)
  }

  #tell(call: (owner: SocketOwner) => void): void {
    try {
      call(this.owner)
    } catch (error) {
      this.#onError(error)
    }
  }
}

function open(socket: NodeSocket): void {
  socket.opened()
}

function onMessage(this: OwnedWebSocket, data: unknown, binary: boolean): void {
  // With binaryType `nodebuffer` (the default) it is always a Buffer.
  this[socketOf]?.message(data as Buffer, binary)
}

function onPong(this: OwnedWebSocket): void {
  this[socketOf]?.pong()
}

function onClose(this: OwnedWebSocket, code: number, reason: Buffer): void {
  this[socketOf]?.closed(code, reason.toString())
}

function ignore(): void {}
