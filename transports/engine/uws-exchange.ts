// One HTTP request and its response on the uws engine.

import type { HttpResponse } from 'uWebSockets.js'
import { STATUS_CODES } from 'node:http'
import type { Exchange, ExchangeOwner, Gone, Head, Sent } from './engine.js'
import { type CheckedHead, checkedHead, checkHeaders, isBodiless } from './heads.js'
import { internal, type Problem, tooSlow } from './problem.js'
import { streamFiller } from './stream-filler.js'
import type { Sweepable, Sweeper } from './sweeper.js'
import type { UwsLender } from './uws-lender.js'
import type { Late, UwsTurn } from './uws-turn.js'

/** `full`: streaming, but the peer must take what was written first. `ended`: by us. */
type State = 'new' | 'reading' | 'streaming' | 'full' | 'ended' | 'gone'

/** What there is of a stream's head before its first chunk: uWebSockets.js ends the head only with that. */
interface UnsentHead {
  readonly head: CheckedHead
  readonly extra: Head['headers']
}

/** What waits for the end of the turn. */
interface Answer {
  readonly head: CheckedHead
  readonly body: Uint8Array | string
  readonly extra: Head['headers']
  readonly close: boolean
}

export interface UwsContext {
  readonly turn: UwsTurn
  readonly lender: UwsLender
  readonly sweeper: Sweeper
  readonly bodyTimeoutMs: number
  readonly stallTimeoutMs: number
  onError(error: unknown): void
}

/** uWebSockets.js cuts off silent senders and readers by itself after 8 to 12 s and does not say that this was the reason. */
const NATIVE_TIMEOUT_MS = 7500

const NOTHING = Buffer.alloc(0)

export class UwsExchange implements Exchange, Sweepable, Late {
  owner: ExchangeOwner | null = null
  readonly #response: HttpResponse
  readonly #context: UwsContext
  readonly #isHead: boolean
  readonly #declaredBytes: number
  #state: State = 'new'
  #unsentHead: UnsentHead | null = null
  #unsent: Answer | null = null
  #filler = ''
  #bodyTooLong = false
  /** In sweeper time: when a body must be there, or a stalled reader is given up. */
  #deadlineMs = 0
  #progressAtMs = 0

  /** To be made first thing in the handler: a request without an onAborted handler ends the process. */
  constructor(response: HttpResponse, context: UwsContext, isHead: boolean, declaredBytes: number) {
    this.#response = response
    this.#context = context
    this.#isHead = isHead
    this.#declaredBytes = declaredBytes
    response.onAborted(() => this.#aborted())
  }

  get gone(): boolean {
    return this.#state === 'gone'
  }

  get forgotten(): boolean {
    return this.owner === null && this.#state !== 'ended' && this.#state !== 'gone'
  }

  readBody(limitBytes: number): void {
    if (this.#state !== 'new') return
    this.#state = 'reading'
    this.#watch(this.#context.bodyTimeoutMs)
    const chunks: Buffer[] = []
    let length = 0
    this.#response.onData((chunk, isLast) => {
      if (this.#state !== 'reading') return
      this.#progressAtMs = this.#context.sweeper.now()
      length += chunk.byteLength
      if (length > limitBytes || this.#declaredBytes > limitBytes) {
        chunks.length = 0
        this.#bodyRead(null)
        return
      }
      // A copy: the chunk is taken away when this returns.
      if (chunk.byteLength > 0) chunks.push(Buffer.from(new Uint8Array(chunk)))
      if (isLast) this.#bodyRead(chunks.length === 1 ? (chunks[0] ?? NOTHING) : Buffer.concat(chunks, length))
    })
  }

  respond(head: Head, body: Uint8Array | string | null, extra: Head['headers'] = [], close = false): void {
    const checked = checkedHead(head)
    checkHeaders(extra)
    if (this.#state === 'streaming' || this.#state === 'full') throw new Error('respond after openStream')
    if (this.#state !== 'new' && this.#state !== 'reading') return
    // A body that was not read whole leaves the connection in the middle of a request.
    const ends = close || this.#bodyTooLong || this.#state === 'reading'
    this.#leave()
    if (this.#context.turn.defers(this)) this.#unsent = { head: checked, body: body ?? '', extra, close: ends }
    else this.#send(checked, body ?? '', extra, ends)
  }

  sendLate(): void {
    const answer = this.#unsent
    this.#unsent = null
    if (answer !== null) this.#send(answer.head, answer.body, answer.extra, answer.close)
  }

  openStream(head: Head, extra: Head['headers'] = [], filler?: string): void {
    const checked = checkedHead(head)
    checkHeaders(extra)
    this.#filler = streamFiller(checked, extra, filler)
    if (this.#state === 'streaming' || this.#state === 'full') throw new Error('openStream twice')
    if (this.#state !== 'new') return
    if (this.#isHead) {
      this.#leave()
      this.#response.cork(() => {
        this.#writeHead(checked, extra)
        this.#response.endWithoutBody()
      })
      return
    }
    this.#state = 'streaming'
    this.#unsentHead = { head: checked, extra }
    this.#response.onWritable(() => this.#writable())
    queueMicrotask(() => this.#sendHead())
  }

  write(chunk: Uint8Array | string): Sent {
    if (this.#state === 'new' || this.#state === 'reading') throw new Error('write before openStream')
    if (this.#state === 'full') return 'refused'
    if (this.#state !== 'streaming') return 'gone'
    if (chunk.length === 0 || this.#push(chunk)) return 'ok'
    this.#state = 'full'
    this.#watch(this.#context.stallTimeoutMs)
    return 'full'
  }

  finish(): void {
    if (this.#state === 'new' || this.#state === 'reading') throw new Error('finish before openStream')
    if (this.#state !== 'streaming' && this.#state !== 'full') return
    this.#sendHead()
    this.#leave()
    this.#response.cork(() => this.#response.end(''))
  }

  abort(): void {
    if (this.#state === 'ended' || this.#state === 'gone') return
    this.#leave()
    this.#response.close()
  }

  /** Says `problem` if nothing was said yet, else cuts the connection. */
  refuse(problem: Problem): void {
    if (this.#state === 'new' || this.#state === 'reading') this.respond(problem.head, problem.body, undefined, true)
    else this.abort()
  }

  /** The route has thrown. */
  fail(): void {
    this.refuse(internal)
  }

  sweep(nowMs: number): 'keep' | 'done' {
    if (this.#state !== 'reading' && this.#state !== 'full') return 'done'
    if (nowMs < this.#deadlineMs) return 'keep'
    this.refuse(tooSlow)
    this.#state = 'gone'
    this.#tell((owner) => owner.onGone(this, 'timeout'))
    return 'done'
  }

  #leave(): void {
    this.#state = 'ended'
    this.#context.sweeper.delete(this)
  }

  #watch(withinMs: number): void {
    this.#progressAtMs = this.#context.sweeper.now()
    this.#deadlineMs = this.#progressAtMs + withinMs
    this.#context.sweeper.add(this)
  }

  #bodyRead(body: Buffer | null): void {
    this.#state = 'new'
    this.#bodyTooLong = body === null
    this.#context.sweeper.delete(this)
    this.#context.turn.begin(this)
    this.#tell((owner) => owner.onBody?.(this, body))
    this.#context.turn.leave()
  }

  /** The kernel has room again. What it refused before moves only when something more is written, hence the filler. */
  #writable(): boolean {
    if (this.#state !== 'streaming' && this.#state !== 'full') return true
    if (!this.#push(this.#filler)) {
      if (this.#state === 'full') this.#watch(this.#context.stallTimeoutMs)
      return false
    }
    if (this.#state === 'full') {
      this.#state = 'streaming'
      this.#context.sweeper.delete(this)
      this.#tell((owner) => owner.onDrain?.(this))
    }
    return true
  }

  #push(chunk: Uint8Array | string): boolean {
    let taken = true
    this.#response.cork(() => {
      const unsent = this.#unsentHead
      this.#unsentHead = null
      if (unsent !== null) this.#writeHead(unsent.head, unsent.extra)
      taken = this.#response.write(chunk)
    })
    return taken
  }

  #sendHead(): void {
    if (this.#unsentHead === null || this.#state === 'ended' || this.#state === 'gone') return
    this.#push(this.#filler)
  }

  #send(head: CheckedHead, body: Uint8Array | string, extra: Head['headers'], close: boolean): void {
    const response = this.#response
    response.cork(() => {
      this.#writeHead(head, extra)
      if (!this.#isHead && !isBodiless(head.status)) {
        response.end(body, close)
        return
      }
      // endWithoutBody can't close: the header asks the client to.
      if (close) response.writeHeader('connection', 'close')
      if (!isBodiless(head.status)) response.writeHeader('content-length', String(Buffer.byteLength(body)))
      response.endWithoutBody()
    })
  }

  #writeHead(head: CheckedHead, extra: Head['headers']): void {
    this.#response.writeStatus(`${head.status} ${STATUS_CODES[head.status] ?? ''}`)
    for (const [name, value] of head.headers) this.#response.writeHeader(name, value)
    for (const [name, value] of extra) this.#response.writeHeader(name, value)
  }

  /** Also called from inside `close`, when the state says that it was ours. */
  #aborted(): void {
    this.#unsent = null
    if (this.#state === 'ended' || this.#state === 'gone') return
    const waiting = this.#state === 'reading' || this.#state === 'full'
    const timedOut = waiting && this.#context.sweeper.now() - this.#progressAtMs >= NATIVE_TIMEOUT_MS
    const why: Gone = timedOut ? 'timeout' : 'closed'
    this.#state = 'gone'
    this.#context.sweeper.delete(this)
    // Not now: it may be a call of the owner's that has led here.
    queueMicrotask(() => this.#tell((owner) => owner.onGone(this, why)))
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
