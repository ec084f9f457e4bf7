// A c2s worker: takes sessions that gateways open, and answers what they send. Any number of workers share the work.
//
// Opens come by queue group on `c2s.open`; everything later comes to the worker's own address. Frames of a session are
// done in order, one request at a time. Nothing is lost with a worker: the gateway opens its sessions elsewhere with
// the context of the last answer and repeats what was not answered, and ids make every repetition harmless.

import { type Bus, BusError, type Unsubscribe } from '../bus/bus.js'
import { type Clock, systemClock } from '../bus/clock.js'
import type { Peers } from '../bus/peers.js'
import { isUserId } from '../bus/user-token.js'
import { v1 } from '../proto/messages.js'
import { Answers, NOTHING_DONE, replyOf } from './answers.js'
import { Frames, type Observe } from './frames.js'
import type { WorkerLimits } from './limits.js'
import type { Log } from './log.js'
import { Refusal, refusalOf } from './refusal.js'
import { openServices, type Services } from './services.js'
import { Session } from './session.js'
import { Sweep } from './sweep.js'
import { answerTopicPush } from './topic-push.js'
import { DEFAULT_STREAM_LIMITS, Streams, type StreamsOptions } from './xmpp/streams.js'

export interface WorkerOptions {
  readonly bus: Bus
  /** Eight random characters of [A-Za-z0-9_-], new for each process start. */
  readonly address: string
  /** For people. */
  readonly name: string
  /** Of this process, tracking gateways and workers; stopped by whoever started it, after the worker. */
  readonly peers: Peers
  readonly limits: WorkerLimits
  /** How long a user whose last session ended is still shown. */
  readonly lingerMs: number
  /** How long after a start or a loss presence is compared with the gateways; longer than the linger. */
  readonly sweepDelayMs: number
  /** Of the XMPP addresses of the users. */
  readonly xmppDomain: string
  /** Of this software. */
  readonly version: string
  /** How XMPP clients may log in. */
  readonly logins: Pick<StreamsOptions, 'dev' | 'anonymous' | 'verifyToken'>
  readonly clock?: Clock
  readonly log: Log
  readonly observe: Observe
  onError(error: unknown): void
}

export interface Worker {
  /** Sessions it has now. */
  readonly sessions: number
  /** Requests of sessions, begun or waiting for their turn. */
  readonly queuedRequests: number
  /** Takes no more, finishes what was begun. The sessions go on elsewhere. */
  stop(): Promise<void>
}

/** Resolves when sessions can be opened. Throws BusError. */
export async function startWorker(options: WorkerOptions): Promise<Worker> {
  const clock = options.clock ?? systemClock
  const services = await openServices({ ...options, clock })
  const { bus, xmppDomain: domain, logins, observe, onError } = options
  const accounts = await bus.bucket('accounts')
  const streams = new Streams({ ...logins, bus, accounts, domain, clock, limits: DEFAULT_STREAM_LIMITS, observe, onError })
  const worker = new SessionWorker(options, clock, services, streams)
  await worker.start()
  return worker
}

/** Whether opens are taken: a full worker is not asked any more. */
type Door = { readonly kind: 'open'; readonly close: Unsubscribe } | { readonly kind: 'changing' | 'shut' | 'stopped' }

/** Opened again when this part of the room is free. */
const ROOM_TO_REOPEN = 0.1
const IDLE_CHECKS_PER_LIMIT = 4
const EMPTY_REPLY = v1.UplinkReply.encode({}).finish()
const UNKNOWN_SESSION = v1.UplinkReply.encode({ unknown: true }).finish()

class SessionWorker implements Worker {
  readonly #options: WorkerOptions
  readonly #clock: Clock
  readonly #services: Services
  readonly #streams: Streams
  readonly #answers: Answers
  readonly #sweep: Sweep
  readonly #uplinkAddress: string
  /** By public ref; least recently heard first. */
  readonly #sessions = new Map<string, Session>()
  readonly #registrations: Unsubscribe[] = []
  /** Answers and snapshots under way. */
  readonly #begun = new Set<Promise<unknown>>()
  #door: Door = { kind: 'shut' }
  #cancelIdleCheck: () => void = () => {}

  constructor(options: WorkerOptions, clock: Clock, services: Services, streams: Streams) {
    this.#options = options
    this.#clock = clock
    this.#services = services
    this.#streams = streams
    this.#answers = new Answers(new Frames({ ...options, services }), options.limits, options.observe)
    this.#uplinkAddress = `c2s.w.${options.address}`
    this.#sweep = new Sweep({
      ...options,
      clock,
      bucket: services.presenceBucket,
      presence: services.presence,
      delayMs: options.sweepDelayMs,
      users: options.limits.sweptUsers,
    })
  }

  get sessions(): number {
    return this.#sessions.size
  }

  get queuedRequests(): number {
    return this.#answers.queued
  }

  async start(): Promise<void> {
    const { bus, peers, name, address, log } = this.#options
    this.#registrations.push(peers.onGone('gw', (gateway) => this.#gatewayGone(gateway)))
    this.#registrations.push(await bus.serve(this.#uplinkAddress, (data) => this.#track(this.#uplink(data))))
    this.#registrations.push(await bus.serve('c2s.topic', (data) => this.#track(this.#topicPush(data)), 'c2s'))
    this.#registrations.push(await bus.serve('c2s.xmpp', (data) => this.#track(this.#streams.answer(data)), 'c2s'))
    this.#checkIdleLater()
    await this.#openDoor()
    log.info({ worker: address, name }, 'worker started')
  }

  async stop(): Promise<void> {
    const { log, address } = this.#options
    if (this.#door.kind === 'open') this.#door.close()
    this.#door = { kind: 'stopped' }
    for (const unregister of this.#registrations.splice(0)) unregister()
    this.#cancelIdleCheck()
    while (this.#begun.size > 0) await Promise.allSettled([...this.#begun])
    await this.#sweep.stop()
    await this.#services.presence.stop()
    await this.#services.xmppPresence.stop()
    this.#services.topics.stop()
    this.#services.blockLists.stop()
    log.info({ worker: address, sessions: this.#sessions.size }, 'worker stopped')
    this.#sessions.clear()
  }

  // ---- sessions come and go

  async #openDoor(): Promise<void> {
    if (this.#door.kind !== 'shut') return
    this.#door = { kind: 'changing' }
    const close = await this.#options.bus.serve('c2s.open', (data) => this.#track(this.#open(data)), 'c2s')
    if (this.#door.kind === 'changing') this.#door = { kind: 'open', close }
    else close()
  }

  #shutDoor(): void {
    if (this.#door.kind !== 'open') return
    this.#door.close()
    this.#door = { kind: 'shut' }
    this.#options.log.warn({ sessions: this.#sessions.size }, 'worker is full: takes no more sessions')
  }

  async #open(data: Uint8Array): Promise<Uint8Array> {
    const startedAt = performance.now()
    const request = v1.OpenSession.decode(data)
    if (!isUserId(request.user) || request.session === '') throw new Error('a session was opened without a valid user and ref')
    const known = this.#sessions.get(request.session)
    // Without a context it is a repetition: the answer to the first one got lost.
    const session = known !== undefined && request.context.length === 0 ? known : this.#admit(request)
    if (session !== known && request.context.length === 0) await this.#welcome(session)
    // It was open all the time, but may have been given up meanwhile.
    else if (session !== known) this.#services.presence.recheck(session.user)
    this.#options.observe('open', (performance.now() - startedAt) / 1000, 'done')
    const { status, note } = session.shown
    // Everything that the gateway has to know: what was news is none any more.
    session.xmpp?.takeNews()
    const opened = { worker: this.#uplinkAddress, context: session.context, status, note, xmpp: session.xmpp?.shown ?? null }
    return v1.OpenedSession.encode(opened).finish()
  }

  #admit(request: v1.OpenSession): Session {
    const { limits, peers } = this.#options
    const { user, session: ref, gateway, since } = request
    if (this.#sessions.size >= limits.sessions && !this.#sessions.has(ref)) {
      this.#shutDoor()
      throw new Refusal('rate_limited', 'the worker is full')
    }
    const claims = { patterns: request.topics, any: request.anyTopic }
    const session = new Session({ user, ref, gateway, since, claims, heardAt: this.#clock.now() }, request.context, request.xmpp)
    this.#sessions.delete(ref)
    this.#sessions.set(ref, session)
    if (gateway !== '') peers.notice('gw', gateway)
    return session
  }

  /** A session opens whether or not the bus lets it be announced; what failed here is repeated by a later check. */
  async #welcome(session: Session): Promise<void> {
    // XMPP clients come with their first presence stanza, and are told of others then.
    if (session.xmpp !== undefined) return
    const { presence } = this.#services
    try {
      await presence.opened(session.user, session.presence)
    } catch (error) {
      this.#reportBugs(error)
    }
    this.#track(presence.snapshot(session.user, session.ref)).catch((error: unknown) => this.#reportBugs(error))
  }

  #forget(session: Session): void {
    if (this.#sessions.get(session.ref) !== session) return
    this.#sessions.delete(session.ref)
    const { limits } = this.#options
    if (this.#door.kind === 'shut' && this.#sessions.size <= limits.sessions * (1 - ROOM_TO_REOPEN)) {
      this.#track(this.#openDoor()).catch((error: unknown) => {
        if (this.#door.kind === 'changing') this.#door = { kind: 'shut' }
        this.#reportBugs(error)
      })
    }
  }

  #gatewayGone(gateway: string): void {
    let ended = 0
    for (const session of this.#sessions.values()) {
      if (session.gateway !== gateway) continue
      this.#forget(session)
      this.#services.presence.left(session.user)
      this.#services.xmppPresence.lost(session)
      ended++
    }
    this.#options.log.warn({ gateway, sessions: ended }, 'a gateway has gone')
  }

  /** Sessions that moved to another worker without a word would stay here for ever. */
  #checkIdleLater(): void {
    const { sessionIdleMs } = this.#options.limits
    this.#cancelIdleCheck = this.#clock.after(sessionIdleMs / IDLE_CHECKS_PER_LIMIT, () => {
      const heardBefore = this.#clock.now() - sessionIdleMs
      for (const session of this.#sessions.values()) {
        if (session.heardAt >= heardBefore) break
        if (session.running.length === 0) this.#forget(session)
      }
      this.#checkIdleLater()
    })
  }

  // ---- what sessions send

  async #uplink(data: Uint8Array): Promise<Uint8Array> {
    const request = v1.Uplink.decode(data)
    const session = this.#sessions.get(request.session)
    if (session === undefined) return UNKNOWN_SESSION
    this.#heard(session)
    if (request.claims) session.claims = { patterns: request.topics, any: request.anyTopic }
    const answer = request.frames.length > 0 ? await this.#answers.to(session, request) : undefined
    if (!request.bye) return answer ?? replyOf(session, NOTHING_DONE)
    await Promise.allSettled(session.running.map((running) => running.answer))
    this.#forget(session)
    await this.#services.xmppPresence.ended(session)
    this.#services.presence.left(session.user)
    return answer ?? EMPTY_REPLY
  }

  #heard(session: Session): void {
    session.heardAt = this.#clock.now()
    this.#sessions.delete(session.ref)
    this.#sessions.set(session.ref, session)
  }

  // ---- what backends send to topics

  async #topicPush(data: Uint8Array): Promise<Uint8Array> {
    const startedAt = performance.now()
    const { answer, error } = await answerTopicPush(this.#services.topics, data)
    this.#options.observe('topic', (performance.now() - startedAt) / 1000, error === undefined ? 'done' : refusalOf(error).code)
    if (error !== undefined) this.#reportBugs(error)
    return answer
  }

  // ---- helpers

  #track<T>(work: Promise<T>): Promise<T> {
    const tracked = work.finally(() => this.#begun.delete(tracked))
    this.#begun.add(tracked)
    return tracked
  }

  #reportBugs(error: unknown): void {
    if (!(error instanceof BusError) && !(error instanceof Refusal)) this.#options.onError(error)
  }
}
