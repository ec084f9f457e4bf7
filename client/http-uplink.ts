// Sends frames by `POST /send`, in order, one request at a time, for the transports that only come down.

import { endOfResponse, type LinkEnd, networkEnd } from './errors.js'
import { parseAnswer } from './frame.js'
import { HttpRequest } from './http-request.js'
import type { LinkContext, Outgoing } from './link.js'
import type { ServerFrame } from './types.js'

/** Failures of the network in a row before the whole link counts as gone. */
const LIMIT_FAILURES = 4
const LIMIT_BATCH_FRAMES = 64
const LIMIT_BATCH_CHARS = 60_000
const REQUEST_MS = 20_000
/** The server is there and asks to wait. */
const WAITING = new Set(['rate_limited', 'overloaded', 'bus_unavailable', 'draining'])

/** Not called from inside `send` or `ack`. */
interface UplinkOwner {
  onReply(frame: ServerFrame): void
  onUplinkEnd(end: LinkEnd): void
}

export class HttpUplink {
  readonly #context: LinkContext
  readonly #owner: UplinkOwner
  /** As long as the connection's list of frames without a reply; it has the limit. */
  readonly #queue: Outgoing[] = []
  /** The newest only. */
  #ackCursor: string | undefined
  /** After a refusal of several frames at once each goes alone, so that the bad one is known. */
  #batchFrames = LIMIT_BATCH_FRAMES
  #phase: 'idle' | 'busy' | 'ended' = 'idle'
  #request: HttpRequest | undefined
  #waitTimer: unknown

  constructor(context: LinkContext, owner: UplinkOwner) {
    this.#context = context
    this.#owner = owner
  }

  send(frames: readonly Outgoing[]): void {
    this.#queue.push(...frames)
    this.#start()
  }

  ack(cursor: string): void {
    this.#ackCursor = cursor
    this.#start()
  }

  stop(): void {
    this.#phase = 'ended'
    this.#context.environment.clearTimeout(this.#waitTimer)
    this.#request?.abort()
  }

  #start(): void {
    if (this.#phase !== 'idle') return
    this.#phase = 'busy'
    this.#run().catch((error: unknown) => this.#context.environment.report(error))
  }

  async #run(): Promise<void> {
    let failures = 0
    while (!this.#gone()) {
      const batch = this.#nextBatch()
      const ackCursor = this.#ackCursor
      const { session } = this.#context
      if ((batch.length === 0 && ackCursor === undefined) || session === undefined) {
        this.#phase = 'idle'
        return
      }
      const end = await this.#post(session, batch, ackCursor)
      if (this.#gone()) return
      if (end === undefined) {
        failures = 0
        continue
      }
      if (batch.length > 0 && (end.code === 'malformed' || end.code === 'too_large')) {
        this.#refuse(batch, end)
        continue
      }
      const waiting = WAITING.has(end.code)
      failures += 1
      if (!waiting && (failures >= LIMIT_FAILURES || (end.code !== 'network' && end.code !== 'internal'))) {
        this.stop()
        return this.#owner.onUplinkEnd(end)
      }
      if (waiting) failures = Math.min(failures, LIMIT_FAILURES - 1)
      const delayMs = Math.max(end.retryAfterMs ?? 0, this.#context.nextDelayMs(failures))
      await new Promise<void>((resolve) => {
        this.#waitTimer = this.#context.environment.setTimeout(resolve, delayMs)
      })
    }
  }

  /** Undefined: delivered, and the replies handed over. */
  async #post(session: string, batch: readonly Outgoing[], ackCursor: string | undefined): Promise<LinkEnd | undefined> {
    const texts = batch.map((frame) => frame.text)
    if (ackCursor !== undefined) texts.push(JSON.stringify({ type: 'ack', cursor: ackCursor }))
    const headers = { 'content-type': 'application/json' }
    const request = new HttpRequest(
      this.#context.environment,
      'POST',
      this.#context.url('send', { session }),
      headers,
      `[${texts.join(',')}]`,
    )
    this.#request = request
    try {
      const response = await request.send(REQUEST_MS)
      if (response.status !== 200) return await endOfResponse(response, this.#context.environment.now())
      const answer = parseAnswer(await response.text())
      if (answer === undefined) return networkEnd('an answer to /send that is none')
      this.#queue.splice(0, batch.length)
      if (this.#ackCursor === ackCursor) this.#ackCursor = undefined
      if (this.#queue.length === 0) this.#batchFrames = LIMIT_BATCH_FRAMES
      for (const frame of answer.frames) {
        if (this.#gone()) break
        this.#owner.onReply(frame)
      }
      return undefined
    } catch (error) {
      return networkEnd(String(error))
    } finally {
      request.done()
    }
  }

  /** The server can't take this batch, whenever it comes. */
  #refuse(batch: readonly Outgoing[], end: LinkEnd): void {
    const [first, second] = batch
    if (second !== undefined) {
      this.#batchFrames = 1
    } else if (first !== undefined) {
      this.#queue.shift()
      this.#owner.onReply({ type: 'reply', ref: first.ref, ok: false, error: { code: end.code, message: end.reason } })
    }
  }

  #nextBatch(): Outgoing[] {
    let chars = 0
    const batch: Outgoing[] = []
    for (const frame of this.#queue) {
      chars += frame.text.length
      if (batch.length >= this.#batchFrames || (batch.length > 0 && chars > LIMIT_BATCH_CHARS)) break
      batch.push(frame)
    }
    return batch
  }

  /** A method, because the phase may have changed during an `await` or a callback. */
  #gone(): boolean {
    return this.#phase === 'ended'
  }
}
