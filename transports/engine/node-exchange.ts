// One HTTP request and its response on the node engine.

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Exchange, ExchangeOwner, Gone, Head, Sent } from './engine.js'
import { checkedHead, checkHeaders, isBodiless } from './heads.js'
import { type BodyReceiver, NodeBody } from './node-body.js'
import { NodeConnection, type PendingExchange, type Writer } from './node-connection.js'
import { internal } from './problem.js'
import { streamFiller } from './stream-filler.js'

/** `full`: streaming, but the peer must take what was written first. `ended`: by us. */
type State = 'new' | 'streaming' | 'full' | 'ended' | 'gone'

/** How the client asked for leave to send its body (`Expect: 100-continue`). */
type Continue = 'not asked' | 'asked' | 'given'

export interface ExchangeContext {
  readonly bodyTimeoutMs: number
  onError(error: unknown): void
}

const exchangeOf = Symbol('exchange')
type OwnedResponse = ServerResponse & { [exchangeOf]?: NodeExchange }

export class NodeExchange implements Exchange, PendingExchange, Writer, BodyReceiver {
  owner: ExchangeOwner | null = null
  readonly #connection: NodeConnection
  readonly #response: ServerResponse<IncomingMessage>
  readonly #context: ExchangeContext
  #state: State = 'new'
  #continue: Continue
  #bodyTooLong = false

  constructor(connection: NodeConnection, response: ServerResponse<IncomingMessage>, context: ExchangeContext, expectsContinue: boolean) {
    this.#connection = connection
    this.#response = response
    this.#context = context
    this.#continue = expectsContinue ? 'asked' : 'not asked'
    if (response.req.httpVersionMinor === 0) response.shouldKeepAlive = false
    connection.begin(this)
  }

  get gone(): boolean {
    return this.#state === 'gone' || (this.#state !== 'ended' && !this.#connection.writable)
  }

  get started(): boolean {
    return this.#state === 'streaming' || this.#state === 'full'
  }

  /** Whether the route has left the request without anybody to answer it. */
  get forgotten(): boolean {
    return this.owner === null && this.#state !== 'ended' && this.#state !== 'gone'
  }

  readBody(limitBytes: number): void {
    if (this.#state !== 'new') return
    const request = this.#response.req
    const declared = Number(request.headers['content-length'] ?? 0)
    if (declared > limitBytes) {
      process.nextTick(bodyTooLong, this)
      return
    }
    if (this.#continue === 'asked') {
      this.#continue = 'given'
      this.#response.writeContinue()
    }
    this.#connection.expectBody(this)
    new NodeBody(request, limitBytes, this)
  }

  respond(head: Head, body: Uint8Array | string | null, extra?: Head['headers'], close = false): void {
    const { flat, status } = checkedHead(head)
    if (extra !== undefined) checkHeaders(extra)
    if (this.#state === 'streaming' || this.#state === 'full') throw new Error('respond after openStream')
    if (this.#state !== 'new') return
    const response = this.#response
    const lingers = this.#bodyTooLong || this.#continue === 'asked'
    const fields = extra === undefined ? [...flat] : [...flat, ...extra.flat()]
    const content = isBodiless(status) ? null : (body ?? '')
    if (content !== null) fields.push('content-length', String(typeof content === 'string' ? Buffer.byteLength(content) : content.length))
    this.#leave()
    if (!this.#connection.writable) return
    if (close || lingers) response.shouldKeepAlive = false
    response.writeHead(status, fields)
    if (lingers && content !== null) this.#linger(content)
    else response.end(content ?? undefined)
    this.#watchRest()
  }

  openStream(head: Head, extra?: Head['headers'], filler?: string): void {
    const checked = checkedHead(head)
    if (extra !== undefined) checkHeaders(extra)
    streamFiller(checked, extra, filler)
    if (this.#state === 'streaming' || this.#state === 'full') throw new Error('openStream twice')
    if (this.#state !== 'new' || !this.#connection.writable) return
    this.#state = 'streaming'
    if (this.#continue === 'asked') this.#response.shouldKeepAlive = false
    this.#response.writeHead(checked.status, extra === undefined ? [...checked.flat] : [...checked.flat, ...extra.flat()])
    if (this.#response.req.method === 'HEAD') {
      this.#leave()
      this.#response.end()
      return
    }
    this.#response.flushHeaders()
  }

  write(chunk: Uint8Array | string): Sent {
    if (this.#state === 'new') throw new Error('write before openStream')
    if (this.#state === 'full') return this.#connection.writable ? 'refused' : 'gone'
    if (this.#state !== 'streaming' || !this.#connection.writable) return 'gone'
    const response = this.#response
    if (chunk.length === 0) return 'ok'
    const { socket } = response
    if (socket === null) {
      // A response of an earlier request is not finished: node:http keeps this until then.
      response.write(chunk)
      ;(response as OwnedResponse)[exchangeOf] = this
      response.once('drain', onResponseDrain)
      this.#state = 'full'
      return 'full'
    }
    // Past response.write, which corks the socket until the next tick and so can't say what the kernel took.
    const more = socket.write(response.chunkedEncoding ? httpChunk(chunk) : chunk)
    if (more || socket.writableLength === 0) return 'ok'
    this.#state = 'full'
    this.#connection.awaitDrain(this)
    return 'full'
  }

  finish(): void {
    if (this.#state === 'new') throw new Error('finish before openStream')
    if (!this.started) return
    this.#leave()
    if (!this.#connection.writable) return
    this.#response.end()
    this.#watchRest()
  }

  abort(): void {
    if (this.#state === 'ended' || this.#state === 'gone') return
    this.#leave()
    this.#connection.destroy('closed')
  }

  /** The route has thrown: says so if nothing was said yet. */
  fail(): void {
    if (this.#state === 'new') this.respond(internal.head, internal.body, undefined, true)
    else this.abort()
  }

  onSocketDrain(): void {
    if (this.#state !== 'full') return
    this.#state = 'streaming'
    this.#tell((owner) => owner.onDrain?.(this))
  }

  bodyRead(body: Buffer | null): void {
    this.#connection.bodyDone(this)
    if (this.#state !== 'new') return
    if (body === null) this.#bodyTooLong = true
    this.#tell((owner) => owner.onBody?.(this, body))
  }

  peerGone(why: Gone): void {
    if (this.#state === 'ended' || this.#state === 'gone') return
    this.#state = 'gone'
    this.#tell((owner) => owner.onGone(this, why))
  }

  #leave(): void {
    this.#state = 'ended'
    this.#connection.end(this)
  }

  /** The client may be sending yet and read the answer only afterwards: the response ends when the request does. */
  #linger(content: Uint8Array | string): void {
    const response = this.#response
    this.#connection.endWithin(this.#context.bodyTimeoutMs)
    response.write(content)
    if (response.req.complete) {
      response.end()
      return
    }
    ;(response.req as IncomingMessage & { [responseOf]?: ServerResponse })[responseOf] = response
    response.req.once('end', onRequestEnd)
    response.req.resume()
  }

  #watchRest(): void {
    const { socket } = this.#response
    if (socket === null) this.#response.once('socket', onTurn)
    else if (socket.writableLength > 0) this.#connection.watchBacklog()
  }

  #tell(call: (owner: ExchangeOwner) => void): void {
    if (this.owner === null) return
    try {
      call(this.owner)
    } catch (error) {
      this.#context.onError(error)
    }
  }
}

const responseOf = Symbol('response')

function bodyTooLong(exchange: NodeExchange): void {
  exchange.bodyRead(null)
}

function onRequestEnd(this: IncomingMessage & { [responseOf]?: ServerResponse }): void {
  this[responseOf]?.end()
}

function onResponseDrain(this: OwnedResponse): void {
  this[exchangeOf]?.onSocketDrain()
}

/** The response, all there already, is sent only now that those before it have been. */
function onTurn(this: ServerResponse<IncomingMessage>): void {
  NodeConnection.of(this.req.socket).watchBacklog()
}

/** RFC 9112 §7.1, in one piece: node:http makes three writes of it. */
function httpChunk(chunk: Uint8Array | string): Buffer | string {
  if (typeof chunk === 'string') return `${Buffer.byteLength(chunk).toString(16)}\r\n${chunk}\r\n`
  const size = `${chunk.length.toString(16)}\r\n`
  const framed = Buffer.allocUnsafe(size.length + chunk.length + 2)
  framed.write(size, 'latin1')
  framed.set(chunk, size.length)
  framed[framed.length - 2] = 0x0d
  framed[framed.length - 1] = 0x0a
  return framed
}
