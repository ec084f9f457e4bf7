// Polling: each request brings back what is new since the cursor it carries, or is held until there is something.

import { endOfResponse, type LinkEnd, networkEnd } from './errors.js'
import { parseAnswer } from './frame.js'
import { HttpRequest } from './http-request.js'
import { HttpUplink } from './http-uplink.js'
import type { Link, LinkContext, LinkOwner, Outgoing } from './link.js'

/** What an answer may take beyond the hold. */
const GRACE_MS = 15_000

export class PollLink implements Link {
  readonly #context: LinkContext
  readonly #owner: LinkOwner
  readonly #uplink: HttpUplink
  #cursor: string | undefined
  #request: HttpRequest | undefined
  /** Frames for the next poll's body: only while the session id is unknown, so that POST /send can't be used. */
  #body: readonly Outgoing[] = []
  #waitTimer: unknown
  #phase: 'open' | 'ended' = 'open'

  constructor(context: LinkContext, owner: LinkOwner) {
    this.#context = context
    this.#owner = owner
    this.#cursor = context.cursor
    this.#uplink = new HttpUplink(context, {
      onReply: (frame) => owner.onFrame(this, frame),
      onUplinkEnd: (end) => this.#end(end),
    })
    this.#run().then(
      (end) => this.#end(end),
      (error: unknown) => this.#end(networkEnd(String(error))),
    )
  }

  /** Beside the held poll, not behind it. */
  send(frames: readonly Outgoing[]): void {
    if (this.#context.session !== undefined) {
      this.#uplink.send(frames)
      return
    }
    // A session that was resumed by a stored cursor: its id came in a hello long ago. The frames go with a poll of their own.
    this.#body = [...this.#body, ...frames]
    this.#request?.abort()
  }

  /** The next poll's cursor is the acknowledgement. */
  ack(): void {}

  check(): void {}

  abort(): void {
    this.#phase = 'ended'
    this.#context.environment.clearTimeout(this.#waitTimer)
    this.#uplink.stop()
    this.#request?.abort()
  }

  close(): boolean {
    this.abort()
    return false
  }

  async #run(): Promise<LinkEnd> {
    // The first answer comes at once: it shows that the way is free.
    let waitSeconds = 0
    let idleAnswers = 0
    while (!this.#gone()) {
      const startedAt = this.#context.environment.now()
      const body = this.#body
      const answer = await this.#poll(waitSeconds, body)
      if (this.#gone()) break
      if (answer === 'interrupted') continue
      if ('code' in answer) return answer
      this.#body = this.#body.slice(body.length)
      this.#cursor = answer.cursor ?? this.#cursor
      let drainMs: number | undefined
      for (const frame of answer.frames) {
        if (this.#gone()) break
        if (frame.type === 'drain') drainMs = frame.retryAfterMs
        this.#owner.onFrame(this, frame)
      }
      if (this.#gone()) break
      this.#owner.onAlive(this, this.#cursor)
      if (drainMs !== undefined) return { code: 'draining', reason: 'the server is going away', retryAfterMs: drainMs }
      // Empty answers that come at once (another tab polls the same session, or a proxy answers) must not become a busy loop.
      const idle = waitSeconds > 0 && answer.frames.length === 0 && this.#context.environment.now() - startedAt < 1000
      idleAnswers = idle ? idleAnswers + 1 : 0
      if (idleAnswers > 0) await this.#pause(this.#context.nextDelayMs(idleAnswers))
      waitSeconds = this.#context.pollWaitSeconds
    }
    return networkEnd('aborted')
  }

  /** `interrupted`: given up for frames that wait to be sent. */
  async #poll(waitSeconds: number, body: readonly Outgoing[]) {
    const { environment, pollConnection } = this.#context
    const url = this.#context.url('poll', {
      ...this.#context.identity,
      cursor: this.#cursor,
      wait: String(body.length > 0 ? 0 : waitSeconds),
      mode: pollConnection === 'close' ? 'close' : undefined,
    })
    const headers = { ...this.#context.headers(), ...(body.length > 0 ? { 'content-type': 'application/json' } : {}) }
    const text = body.length > 0 ? `[${body.map((frame) => frame.text).join(',')}]` : undefined
    const request = new HttpRequest(environment, text === undefined ? 'GET' : 'POST', url, headers, text)
    this.#request = request
    try {
      const response = await request.send(waitSeconds * 1000 + GRACE_MS)
      if (response.status !== 200) return await endOfResponse(response, environment.now())
      return parseAnswer(await response.text()) ?? networkEnd('an answer to /poll that is none')
    } catch (error) {
      return this.#body.length > body.length ? 'interrupted' : networkEnd(String(error))
    } finally {
      request.done()
    }
  }

  #pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.#waitTimer = this.#context.environment.setTimeout(resolve, delayMs)
    })
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
