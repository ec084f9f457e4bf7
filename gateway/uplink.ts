// The way up: what a session's client says goes to one c2s worker, in order, one request at a time. When the worker is gone
// the session opens at another one with the context the last returned; repeats carry the same numbers, so that nothing is
// done twice.

import { type Bus, BusError } from '../bus/bus.js'
import type { ClientFrame } from '../proto/client-frame.js'
import { v1 } from '../proto/messages.js'
import type { Session } from './session.js'

export type Reply = v1.Reply.$Properties

export interface UplinkLimits {
  /** Frames of one session that may wait for the worker. */
  readonly queueMaxFrames: number
  /** How long frames are tried before they are answered with bus_unavailable. */
  readonly deadlineMs: number
  /** How long one request may take before the worker is asked whether it is still there. */
  readonly tryMs: number
}

/** What the token says of topics. */
export interface TopicClaims {
  readonly topics: readonly string[]
  readonly any: boolean
}

export interface UplinkHost {
  readonly bus: Bus
  /** Address of this node. */
  readonly node: string
  readonly limits: UplinkLimits
  /** A request was answered after so many seconds, or given up (`bus_unavailable`). */
  observe(kind: 'open' | 'frames' | 'bye', seconds: number, code: 'done' | 'bus_unavailable'): void
  onError(error: unknown, what: string): void
}

interface Queued {
  readonly frame: ClientFrame
  answer(reply: Reply): void
}

const BATCH_FRAMES = 64
const BACKOFF_MS = { first: 50, most: 1000 }

export class Uplink {
  readonly #host: UplinkHost
  readonly #session: Session
  #claims: TopicClaims
  /** What the worker knows of them. */
  #sentClaims: TopicClaims | undefined = undefined
  /** Undefined while there is nothing under way. */
  #queue: Queued[] | undefined = undefined
  #working: Promise<void> | undefined = undefined
  /** Number of the first frame in the queue. */
  #sequence = 1
  /** Where the worker that has the session takes its requests. */
  #worker: string | undefined = undefined
  #context: Uint8Array

  constructor(host: UplinkHost, session: Session, claims: TopicClaims, context: Uint8Array) {
    this.#host = host
    this.#session = session
    this.#claims = claims
    this.#context = context
  }

  get context(): Uint8Array {
    return this.#context
  }

  /** Takes a frame; false: too many wait already. `answer` is called exactly once. */
  submit(frame: ClientFrame, answer: (reply: Reply) => void): boolean {
    this.#queue ??= []
    if (this.#queue.length >= this.#host.limits.queueMaxFrames) return false
    this.#queue.push({ frame, answer })
    this.#work()
    return true
  }

  /** Opens at a worker now, rather than with the first frame: the user is there from then on. */
  open(): void {
    this.#work()
  }

  /** The worker with this address has gone. */
  workerLost(address: string): void {
    if (this.#worker === undefined || addressOf(this.#worker) !== address) return
    this.#worker = undefined
    this.#work()
  }

  claim(claims: TopicClaims): void {
    if (!sameClaims(this.#claims, claims)) this.#claims = claims
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    while (this.#working !== undefined) await this.#working
  }

  /** Tells the worker that the session has ended. Resolves when it knows, or can't be told. */
  async bye(): Promise<void> {
    await this.idle()
    const deadlineMs = Date.now() + this.#host.limits.deadlineMs
    await this.#try('bye', deadlineMs, () => {
      const bye = { session: this.#session.ref, sequence: this.#sequence, bye: true }
      return v1.Uplink.encode(bye).finish()
    })
  }

  #work(): void {
    if (this.#working !== undefined) return
    this.#working = this.#run()
      .catch((error) => this.#host.onError(error, 'the uplink of a session'))
      .finally(() => {
        this.#working = undefined
        if (this.#queue?.length === 0) this.#queue = undefined
        else if (this.#queue !== undefined) this.#work()
      })
  }

  async #run(): Promise<void> {
    const deadlineMs = Date.now() + this.#host.limits.deadlineMs
    if (this.#queue === undefined) {
      await this.#openBy(deadlineMs)
      return
    }
    while (this.#queue !== undefined && this.#queue.length > 0) {
      const batch = this.#queue.slice(0, BATCH_FRAMES)
      const replies = await this.#send(batch)
      this.#queue.splice(0, batch.length)
      this.#sequence += batch.length
      for (const [i, { frame, answer }] of batch.entries()) answer(replies?.[i] ?? unavailable(frame))
    }
  }

  async #send(batch: readonly Queued[]): Promise<readonly Reply[] | undefined> {
    const deadlineMs = Date.now() + this.#host.limits.deadlineMs
    let claimed = this.#claims
    const reply = await this.#try('frames', deadlineMs, () => {
      const { topics, any } = this.#claims
      claimed = this.#claims
      const claims = this.#claims === this.#sentClaims ? {} : { claims: true, topics: [...topics], anyTopic: any }
      const frames = batch.map(({ frame }) => frame)
      return v1.Uplink.encode({ session: this.#session.ref, sequence: this.#sequence, frames, ...claims }).finish()
    })
    if (reply === undefined) return undefined
    this.#sentClaims = claimed
    return reply.replies ?? []
  }

  /** One request, tried until it is answered or the deadline has passed (undefined). */
  async #try(kind: 'frames' | 'bye', deadlineMs: number, encode: () => Uint8Array): Promise<v1.UplinkReply | undefined> {
    const startedMs = performance.now()
    let code: 'done' | 'bus_unavailable' = 'bus_unavailable'
    try {
      for (let backoffMs = BACKOFF_MS.first; ; backoffMs = Math.min(backoffMs * 2, BACKOFF_MS.most)) {
        const worker = await this.#openBy(deadlineMs)
        if (worker === undefined) return undefined
        const answered = await this.#ask(worker, encode())
        if (answered !== undefined && !answered.unknown) {
          code = 'done'
          this.#take(answered)
          this.#hear(answered)
          return answered
        }
        // Unknown: the worker is there and has forgotten the session; else it may be gone.
        if (answered?.unknown || !(await this.#isThere(worker))) this.#worker = undefined
        if (Date.now() >= deadlineMs) return undefined
        // A worker that has gone is replaced at once, the first time.
        if (this.#worker !== undefined || backoffMs > BACKOFF_MS.first) await pause(backoffMs)
      }
    } finally {
      this.#host.observe(kind, (performance.now() - startedMs) / 1000, code)
    }
  }

  async #ask(worker: string, request: Uint8Array): Promise<v1.UplinkReply | undefined> {
    try {
      const answer = await this.#host.bus.request(worker, request, { timeoutMs: this.#host.limits.tryMs })
      return v1.UplinkReply.decode(answer)
    } catch (error) {
      this.#noAnswer(error)
      return undefined
    }
  }

  /** An answer that can't be read is none. */
  #noAnswer(error: unknown): void {
    if (!(error instanceof BusError)) this.#host.onError(error, 'an answer of a c2s worker')
  }

  async #isThere(worker: string): Promise<boolean> {
    try {
      await this.#host.bus.request(`c2s.${addressOf(worker)}.ping`, new Uint8Array(), { timeoutMs: PING_MS })
      return true
    } catch (error) {
      if (error instanceof BusError) return error.code === 'disconnected'
      throw error
    }
  }

  /** The worker's address, after opening at one if need be. Undefined: none could be had in time. */
  async #openBy(deadlineMs: number): Promise<string | undefined> {
    for (let backoffMs = BACKOFF_MS.first; this.#worker === undefined; backoffMs = Math.min(backoffMs * 2, BACKOFF_MS.most)) {
      const startedMs = performance.now()
      const opened = await this.#open()
      this.#host.observe('open', (performance.now() - startedMs) / 1000, opened === undefined ? 'bus_unavailable' : 'done')
      if (opened !== undefined) {
        this.#worker = opened.worker
        this.#take(opened)
        if (opened.xmpp != null) this.#session.show(v1.XmppShown.create(opened.xmpp))
      } else if (Date.now() + backoffMs >= deadlineMs) return undefined
      else await pause(backoffMs * (0.5 + Math.random()))
    }
    return this.#worker
  }

  async #open(): Promise<v1.OpenedSession | undefined> {
    const { owner, ref, device, sinceMs } = this.#session
    const claims = this.#claims
    const open = {
      user: owner.user,
      session: ref,
      device,
      gateway: this.#host.node,
      topics: [...claims.topics],
      anyTopic: claims.any,
      context: this.#context,
      since: sinceMs,
      xmpp: this.#session.xmpp === undefined ? null : { resource: this.#session.xmpp.resource, language: this.#session.xmpp.language },
    }
    try {
      const answer = await this.#host.bus.request('c2s.open', v1.OpenSession.encode(open).finish(), { timeoutMs: this.#host.limits.tryMs })
      const opened = v1.OpenedSession.decode(answer)
      this.#sentClaims = claims
      return opened
    } catch (error) {
      this.#noAnswer(error)
      return undefined
    }
  }

  /** What the answer has for an XMPP client. */
  #hear({ xmpp, stanzas, streamError }: v1.UplinkReply): void {
    if (xmpp != null) this.#session.show(v1.XmppShown.create(xmpp))
    for (const stanza of stanzas) this.#session.tell(stanza)
    if (streamError !== '') this.#session.close({ code: 'malformed', reason: 'the stream can not go on', streamError })
  }

  #take(answer: { readonly context: Uint8Array; readonly status: string; readonly note: string }): void {
    if (answer.context.length > 0 && Buffer.compare(this.#context, answer.context) !== 0) {
      this.#context = shared(answer.context)
      this.#session.onContext?.()
    }
    if (answer.status !== '') {
      this.#session.status = answer.status
      this.#session.note = answer.note
    }
  }
}

const PING_MS = 500

/** The context that was seen last: most sessions have the same one, and need not each keep a copy. */
let lastContext: Uint8Array = new Uint8Array()

function shared(context: Uint8Array): Uint8Array {
  if (Buffer.compare(lastContext, context) !== 0) lastContext = Uint8Array.from(context)
  return lastContext
}

function sameClaims(a: TopicClaims, b: TopicClaims): boolean {
  return a === b || (a.any === b.any && a.topics.length === b.topics.length && a.topics.every((topic, i) => topic === b.topics[i]))
}

/** `c2s.w.<address>` */
function addressOf(worker: string): string {
  return worker.slice(worker.lastIndexOf('.') + 1)
}

function unavailable(frame: ClientFrame): Reply {
  const error = { code: 'bus_unavailable', message: 'it could not be handed on in time; try again with the same id' }
  return { ref: frame.ref ?? '', ok: false, error }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
