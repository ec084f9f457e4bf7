// Server-sent events, read from a fetch (EventSource can't carry a token and doesn't exist in Node); frames go up by POST /send.

import { endOfResponse, type LinkEnd, networkEnd } from './errors.js'
import { parseFrame } from './frame.js'
import { HttpRequest } from './http-request.js'
import { HttpUplink } from './http-uplink.js'
import type { Link, LinkContext, LinkOwner, Outgoing } from './link.js'
import { SilenceWatch } from './silence-watch.js'
import { type ServerSentEvent, SseParser } from './sse-parser.js'

const LIMIT_EVENT_CHARS = 4_194_304
const HELLO_MS = 1000

export class SseLink implements Link {
  readonly #context: LinkContext
  readonly #owner: LinkOwner
  readonly #request: HttpRequest
  readonly #uplink: HttpUplink
  readonly #watch: SilenceWatch
  /** `greeted`: bytes came, but no frame yet. */
  #phase: 'connecting' | 'greeted' | 'open' | 'ended' = 'connecting'
  #helloTimer: unknown
  /** From a `retry:` that came after the first frame: the server is about to end the stream and says when to come back. */
  #retryAfterMs: number | undefined

  constructor(context: LinkContext, owner: LinkOwner) {
    this.#context = context
    this.#owner = owner
    const { environment, cursor } = context
    const url = context.url('sse', { ...context.identity, cursor })
    this.#request = new HttpRequest(environment, 'GET', url, { accept: 'text/event-stream', ...context.headers() })
    this.#watch = new SilenceWatch(environment, () => this.#end(networkEnd('the stream is silent')))
    this.#uplink = new HttpUplink(context, {
      onReply: (frame) => owner.onFrame(this, frame),
      onUplinkEnd: (end) => this.#end(end),
    })
    this.#run().then(
      (end) => this.#end(end),
      (error: unknown) => this.#end(networkEnd(String(error))),
    )
  }

  send(frames: readonly Outgoing[]): void {
    this.#uplink.send(frames)
  }

  ack(cursor: string): void {
    this.#uplink.ack(cursor)
  }

  /** Nothing can be asked of a stream; its silence is watched anyway. */
  check(): void {}

  abort(): void {
    this.#phase = 'ended'
    this.#watch.stop()
    this.#context.environment.clearTimeout(this.#helloTimer)
    this.#uplink.stop()
    this.#request.abort()
  }

  close(): boolean {
    this.abort()
    return false
  }

  async #run(): Promise<LinkEnd> {
    const response = await this.#request.send(Number.POSITIVE_INFINITY)
    const { environment } = this.#context
    if (response.status !== 200) return endOfResponse(response, environment.now())
    const reader = response.body?.getReader()
    if (reader === undefined) return networkEnd('this fetch has no streams')
    const parser = new SseParser(
      {
        onEvent: (event) => this.#onEvent(event),
        onRetry: (retryMs) => {
          if (this.#phase === 'open') this.#retryAfterMs = retryMs
        },
      },
      LIMIT_EVENT_CHARS,
    )
    for (let read = await reader.read(); !read.done && !this.#gone(); read = await reader.read()) {
      this.#watch.heard()
      if (read.value !== undefined) parser.push(read.value)
      // A hello is the first thing, if there is one. If not, the stream of a known session goes on.
      if (this.#phase === 'connecting') {
        this.#phase = 'greeted'
        this.#helloTimer = environment.setTimeout(() => this.#onNoHello(), HELLO_MS)
      }
    }
    return { ...networkEnd('the stream ended'), retryAfterMs: this.#retryAfterMs }
  }

  #onEvent(event: ServerSentEvent): void {
    if (this.#gone()) return
    const frame = parseFrame(event.data)
    if (frame === undefined) {
      this.#end(networkEnd('an event that is not a frame'))
      return
    }
    if (frame.type === 'hello' || this.#phase !== 'open') {
      this.#open(frame.type === 'hello' ? frame.pingSeconds : this.#context.pingSeconds)
    }
    this.#owner.onFrame(this, frame.cursor === undefined && event.id !== '' ? { ...frame, cursor: event.id } : frame)
  }

  #onNoHello(): void {
    this.#open(this.#context.pingSeconds)
    this.#owner.onAlive(this)
  }

  #open(pingSeconds: number): void {
    this.#phase = 'open'
    this.#context.environment.clearTimeout(this.#helloTimer)
    this.#watch.start(2000 * pingSeconds)
  }

  #end(end: LinkEnd): void {
    if (this.#gone()) return
    this.abort()
    this.#owner.onEnd(this, end)
  }

  #gone(): boolean {
    return this.#phase === 'ended'
  }
}
