// The body of a request on the node engine, up to its limit.

import type { IncomingMessage } from 'node:http'

/** Called once, not from inside the constructor; null when there was more than the limit. */
export interface BodyReceiver {
  bodyRead(body: Buffer | null): void
}

const NOTHING = Buffer.alloc(0)
const bodyOf = Symbol('body')
type ReadMessage = IncomingMessage & { [bodyOf]?: NodeBody }

export class NodeBody {
  readonly #chunks: Buffer[] = []
  readonly #receiver: BodyReceiver
  readonly #limitBytes: number
  #length = 0

  constructor(request: IncomingMessage, limitBytes: number, receiver: BodyReceiver) {
    this.#receiver = receiver
    this.#limitBytes = limitBytes
    ;(request as ReadMessage)[bodyOf] = this
    request.on('data', onData)
    request.on('end', onEnd)
  }

  take(chunk: Buffer, request: IncomingMessage): void {
    this.#length += chunk.length
    if (this.#length > this.#limitBytes) {
      stop(request)
      this.#chunks.length = 0
      this.#receiver.bodyRead(null)
    } else {
      this.#chunks.push(chunk)
    }
  }

  /** A copy even of one chunk: chunks are views of the read buffer, which a kept one would keep whole. */
  whole(): void {
    this.#receiver.bodyRead(this.#length === 0 ? NOTHING : Buffer.concat(this.#chunks, this.#length))
  }
}

function onData(this: ReadMessage, chunk: Buffer): void {
  this[bodyOf]?.take(chunk, this)
}

function onEnd(this: ReadMessage): void {
  const body = this[bodyOf]
  stop(this)
  body?.whole()
}

function stop(request: ReadMessage): void {
  delete request[bodyOf]
  request.removeListener('data', onData)
  request.removeListener('end', onEnd)
}
