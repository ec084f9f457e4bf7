// The state machine: one lasting connection over whatever transport gets through, that falls back, comes back, and goes on where it stopped.

import { AckBatch } from './ack-batch.js'
import { Backoff } from './backoff.js'
import type { Environment } from './environment.js'
import { boundedDelay, HoldwireError, isFinal, isRefusedToken, isTransportFailure, type LinkEnd, networkEnd } from './errors.js'
import type { EventHandlers } from './event-handlers.js'
import { HttpRequest } from './http-request.js'
import type { Link, LinkContext, LinkOwner } from './link.js'
import { PendingSends } from './pending-sends.js'
import { PollLink } from './poll-transport.js'
import { SeenIds } from './seen-ids.js'
import { ServerAddress } from './server-address.js'
import { SseLink } from './sse-transport.js'
import { TokenSource } from './token-source.js'
import { TransportChoice } from './transport-choice.js'
import type { ClientFrame, ConnectOptions, EndReason, HelloFrame, SendOptions, ServerFrame, State, TransportName } from './types.js'
import { WebSocketLink } from './websocket-transport.js'

type StateOf<Kind extends State['kind']> = Extract<State, { kind: Kind }>

/** What each state needs besides what it shows. */
type Phase =
  | { readonly kind: 'idle'; readonly state: StateOf<'idle'> }
  | { readonly kind: 'connecting'; readonly state: StateOf<'connecting'>; link: Link | undefined; timer: unknown }
  | { readonly kind: 'open'; readonly state: StateOf<'open'>; readonly link: Link; readonly openedAt: number }
  | { readonly kind: 'waiting'; readonly state: StateOf<'waiting'>; readonly timer: unknown; readonly notBefore: number }
  | { readonly kind: 'closed'; readonly state: StateOf<'closed'> }

/** A connection that lived shorter is a failed attempt, whoever accepted it. */
const STABLE_MS = 5000
const LIMIT_SEEN = 2000
/** New tokens refused in a row before it is the user who is refused. */
const LIMIT_REFUSED_TOKENS = 3
const GOODBYE_MS = 5000
/** Those who were sent away together are told the same delay: up to this much spreads them. */
const SPREAD_MS = 500
const RENEW_AGAIN_MS = 10_000
const DEFAULT_PING_SECONDS = 30
/** The first attempt after these needs no delay. */
const AT_ONCE = new Set(['slow_consumer', 'unknown_session', 'unauthorized', 'token_expired'])

const LINKS: Readonly<Record<TransportName, new (context: LinkContext, owner: LinkOwner) => Link>> = {
  websocket: WebSocketLink,
  sse: SseLink,
  poll: PollLink,
}

export class Lifeline implements LinkOwner {
  readonly #options: ConnectOptions
  readonly #environment: Environment
  readonly #handlers: EventHandlers
  readonly #choice: TransportChoice
  readonly #backoff: Backoff
  readonly #acks: AckBatch
  readonly #pending: PendingSends
  readonly #seen = new SeenIds(LIMIT_SEEN)
  readonly #token: TokenSource
  readonly #context: LinkContext
  readonly #stopWaking: () => void
  /** Other connections of this user, earlier ones too, must not have the same. */
  readonly #refPrefix: string
  #refs = 0
  #phase: Phase = { kind: 'idle', state: { kind: 'idle' } }
  /** Of the session, over its connections. */
  #hello: HelloFrame | undefined
  #cursor: string | undefined
  /** As set last: a new session begins with `online`. */
  #presence: Extract<ClientFrame, { type: 'presence' }> | undefined
  #refusedTokens = 0
  #upgradeTimer: unknown
  #tokenTimer: unknown
  /** A draining server asked not to come back before. */
  #returnAt = 0

  constructor(options: ConnectOptions, environment: Environment, handlers: EventHandlers) {
    const { transports = ['websocket', 'sse', 'poll'], backoff = { baseMs: 500, maxMs: 30_000 } } = options
    const possible = transports.filter((name) => name !== 'websocket' || environment.WebSocket !== undefined)
    if (possible.length === 0) throw new TypeError('none of the transports exists here')
    this.#options = options
    this.#environment = environment
    this.#handlers = handlers
    this.#choice = new TransportChoice(possible, options.failuresBeforeFallback ?? 2, options.upgradeAfterMs ?? 300_000)
    this.#backoff = new Backoff(backoff, environment.random)
    this.#acks = new AckBatch(environment, (cursor) => {
      if (this.#phase.kind === 'open') this.#phase.link.ack(cursor)
    })
    this.#pending = new PendingSends(environment, options.maxPending ?? 1000, () => this.#sendDue())
    this.#token = new TokenSource(options.token, environment.now)
    this.#cursor = options.cursor
    this.#refPrefix = `${Math.floor(environment.random() * 2 ** 52).toString(36)}${environment.now().toString(36)}-`
    this.#context = this.#makeContext()
    this.#stopWaking = environment.onWake(() => this.#wake())
    queueMicrotask(() => {
      if (this.#phase.kind === 'idle') this.#connect()
    })
  }

  get state(): State {
    return this.#phase.state
  }

  get cursor(): string | undefined {
    return this.#cursor
  }

  send(frame: ClientFrame, options: SendOptions): Promise<unknown> {
    if (this.#phase.kind === 'closed') return Promise.reject(errorOf(this.#phase.state.reason))
    if (this.#pending.full) return Promise.reject(new HoldwireError('queue_full', 'too many frames wait for their reply'))
    this.#refs += 1
    const ref = `${this.#refPrefix}${this.#refs}`
    let text: string
    try {
      text = JSON.stringify(frame.type === 'message' ? { id: ref, ...frame, ref } : { ...frame, ref })
    } catch (cause) {
      return Promise.reject(new HoldwireError('malformed', 'the data has no JSON form', { cause }))
    }
    if (frame.type === 'presence') this.#presence = frame
    const result = this.#pending.add({ ref, text }, options.timeoutMs ?? this.#options.sendTimeoutMs ?? 30_000)
    this.#sendDue()
    return result
  }

  async close(): Promise<void> {
    const phase = this.#phase
    if (phase.kind === 'closed') return
    this.#acks.flush()
    const told = phase.kind === 'open' && phase.link.close()
    this.#close({ code: 'client', reason: 'closed by the application' })
    if (!told && this.#hello !== undefined && this.#cursor !== undefined) await this.#endSession(this.#cursor)
  }

  // ---- from the link: whoever is not the current one is not heard -------------------------------------------------

  onAlive(link: Link, cursor?: string): void {
    if (!this.#isCurrent(link)) return
    if (cursor !== undefined) this.#cursor = cursor
    if (this.#phase.kind === 'connecting') this.#open(link, true)
  }

  onFrame(link: Link, frame: ServerFrame): void {
    if (!this.#isCurrent(link)) return
    // Without a hello it is the session we know that goes on.
    if (frame.type === 'hello') this.#onHello(link, frame)
    else if (this.#phase.kind === 'connecting' && frame.type !== 'close') this.#open(link, true)
    switch (frame.type) {
      case 'message':
        if (this.#seen.isNew(frame)) this.#handlers.emit('message', frame)
        break
      case 'presence':
        this.#handlers.emit('presence', frame)
        break
      case 'roster':
        this.#handlers.emit('roster', frame)
        break
      case 'gap':
        this.#handlers.emit('gap', frame)
        break
      case 'reply':
        this.#pending.answered(frame)
        break
      case 'drain':
        this.#returnAt = this.#environment.now() + (boundedDelay(frame.retryAfterMs) ?? 0)
        break
      case 'close':
        link.abort()
        this.#ended({ code: frame.code, reason: frame.reason, retryAfterMs: boundedDelay(frame.retryAfterMs) })
        return
      default: // hello was first; a type of a newer server is not for us
        break
    }
    if (frame.cursor === undefined) return
    this.#cursor = frame.cursor
    // A handler may have closed the connection.
    if (this.#isCurrent(link)) this.#acks.handled(frame.cursor)
  }

  onEnd(link: Link, end: LinkEnd): void {
    if (this.#isCurrent(link)) this.#ended(end)
  }

  // ---- the states ------------------------------------------------------------------------------------------------

  #isCurrent(link: Link): boolean {
    return (this.#phase.kind === 'connecting' || this.#phase.kind === 'open') && this.#phase.link === link
  }

  #enter(phase: Phase): void {
    this.#phase = phase
    this.#handlers.emit('state', phase.state)
  }

  #connect(): void {
    const transport = this.#choice.current
    const phase: Phase = { kind: 'connecting', state: { kind: 'connecting', transport }, link: undefined, timer: undefined }
    phase.timer = this.#environment.setTimeout(() => {
      phase.link?.abort()
      if (this.#phase === phase) this.#ended(networkEnd('no answer in time'))
    }, this.#options.connectTimeoutMs ?? 10_000)
    this.#enter(phase)
    const open = () => {
      if (this.#phase === phase) phase.link = new LINKS[transport](this.#context, this)
    }
    if (!this.#token.stale) {
      open()
      return
    }
    this.#token.renew().then(open, (error: HoldwireError) => {
      if (this.#phase !== phase) return
      this.#handlers.emit('error', error)
      if (this.#phase === phase) this.#ended({ code: error.code, reason: error.message })
    })
  }

  #onHello(link: Link, hello: HelloFrame): void {
    const renewed = this.#hello !== undefined && this.#hello.session !== hello.session
    this.#hello = hello
    this.#open(link, hello.recovered)
    if (renewed && this.#presence !== undefined && this.#isCurrent(link)) {
      link.send([{ ref: '', text: JSON.stringify(this.#presence) }])
    }
  }

  #open(link: Link, recovered: boolean): void {
    const phase = this.#phase
    if (phase.kind !== 'connecting' && phase.kind !== 'open') return
    const { transport } = phase.state
    const state = { kind: 'open', transport, user: this.#hello?.user, device: this.#hello?.device, recovered } as const
    if (phase.kind === 'open') {
      this.#enter({ ...phase, state })
      return
    }
    this.#environment.clearTimeout(phase.timer)
    const { upgradeInMs } = this.#choice
    if (upgradeInMs !== undefined) this.#upgradeTimer = this.#environment.setTimeout(() => this.#tryBetter(), upgradeInMs)
    this.#armToken(this.#token.renewInMs())
    this.#pending.restart()
    this.#enter({ kind: 'open', state, link, openedAt: this.#environment.now() })
    this.#sendDue()
  }

  #sendDue(): void {
    if (this.#phase.kind !== 'open') return
    const due = this.#pending.due()
    if (due.length > 0) this.#phase.link.send(due)
  }

  /** The link of the current phase is gone already. */
  #ended(end: LinkEnd): void {
    const phase = this.#phase
    const now = this.#environment.now()
    this.#stopTimers()
    if (phase.kind === 'open' && now - phase.openedAt >= STABLE_MS) {
      this.#backoff.reset()
      this.#choice.lasted()
      this.#refusedTokens = 0
    } else if (isTransportFailure(end.code) && this.#choice.failed()) {
      this.#connect()
      return
    }
    if (isRefusedToken(end.code)) {
      this.#refusedTokens += 1
      this.#token.refused()
    }
    const refused = isRefusedToken(end.code) && (!this.#token.renewable || this.#refusedTokens > LIMIT_REFUSED_TOKENS)
    if (end.code === 'rate_limited' && phase.kind === 'open') this.#pending.slowDown()
    if (refused || isFinal(end.code)) this.#close(end)
    else this.#wait(end, now)
    if (end.code === 'too_large') this.#pending.rejectLargest(errorOf(end))
  }

  #wait(end: LinkEnd, now: number): void {
    const first = this.#backoff.attempts === 0
    const drawnMs = this.#backoff.next()
    const ownMs = first && AT_ONCE.has(end.code) ? 0 : drawnMs
    const notBefore = Math.max(now + (end.retryAfterMs ?? 0), this.#returnAt)
    const spreadMs = notBefore > now ? Math.round(this.#environment.random() * SPREAD_MS) : 0
    const until = Math.max(now + ownMs, notBefore + spreadMs)
    const timer = this.#environment.setTimeout(() => this.#connect(), until - now)
    const reason = { code: end.code, reason: end.reason }
    this.#enter({ kind: 'waiting', state: { kind: 'waiting', until, reason }, timer, notBefore })
  }

  #close({ code, reason }: EndReason): void {
    const phase = this.#phase
    this.#stopTimers()
    this.#stopWaking()
    if (phase.kind === 'connecting' || phase.kind === 'open') phase.link?.abort()
    const state = { kind: 'closed', reason: { code, reason } } as const
    this.#enter({ kind: 'closed', state })
    this.#pending.rejectAll(errorOf(state.reason))
  }

  #stopTimers(): void {
    const phase = this.#phase
    if (phase.kind === 'connecting' || phase.kind === 'waiting') this.#environment.clearTimeout(phase.timer)
    this.#environment.clearTimeout(this.#upgradeTimer)
    this.#environment.clearTimeout(this.#tokenTimer)
    this.#acks.drop()
  }

  /** The network may be back: no use in waiting longer than the server asked for. */
  #wake(): void {
    const phase = this.#phase
    if (phase.kind === 'open') phase.link.check()
    if (phase.kind !== 'waiting' || this.#environment.now() < phase.notBefore) return
    this.#stopTimers()
    this.#connect()
  }

  /** Leaves a transport that works; the session waits meanwhile and nothing is lost. */
  #tryBetter(): void {
    if (this.#phase.kind !== 'open') return
    this.#stopTimers()
    this.#phase.link.abort()
    this.#choice.tryBetter()
    this.#connect()
  }

  #armToken(delayMs: number | undefined): void {
    if (delayMs === undefined) return
    this.#tokenTimer = this.#environment.setTimeout(() => {
      this.#renewToken().catch((error: unknown) => this.#environment.report(error))
    }, delayMs)
  }

  /** In band, so that the session outlives its token. */
  async #renewToken(): Promise<void> {
    const phase = this.#phase
    try {
      const token = await this.#token.renew()
      if (this.#phase.kind !== 'open') return
      await this.send({ type: 'auth', token }, {})
      if (this.#sameLink(phase)) this.#armToken(this.#token.renewInMs())
    } catch (error) {
      if (!this.#sameLink(phase)) return
      this.#handlers.emit('error', error instanceof HoldwireError ? error : new HoldwireError('token', String(error), { cause: error }))
      if (this.#sameLink(phase)) this.#armToken(RENEW_AGAIN_MS)
    }
  }

  /** Another link arms its own timer when it opens. */
  #sameLink(phase: Phase): boolean {
    return phase.kind === 'open' && this.#phase.kind === 'open' && this.#phase.link === phase.link
  }

  /** Best effort: a session that nobody comes back to ends by itself. */
  async #endSession(cursor: string): Promise<void> {
    const url = this.#context.url('poll', { ...this.#context.identity, cursor })
    const request = new HttpRequest(this.#environment, 'DELETE', url, this.#context.headers())
    try {
      await (await request.send(GOODBYE_MS)).text()
    } catch {
      return // the network is gone, and so are we
    } finally {
      request.done()
    }
  }

  #makeContext(): LinkContext {
    const self = this
    const { url, user, device, pollWaitSeconds = 25, pollConnection = 'keep-alive' } = this.#options
    const address = new ServerAddress(url)
    return {
      environment: this.#environment,
      identity: { user, device },
      pollWaitSeconds,
      pollConnection,
      get cursor() {
        return self.#cursor
      },
      get session() {
        return self.#hello?.session
      },
      get pingSeconds() {
        return self.#hello?.pingSeconds ?? DEFAULT_PING_SECONDS
      },
      get token() {
        return self.#token.current
      },
      url: (path, query) => address.url(path, query),
      headers: () => (self.#token.current === undefined ? {} : { authorization: `Bearer ${self.#token.current}` }),
      nextDelayMs: (failures) => this.#backoff.drawn(failures),
    }
  }
}

function errorOf({ code, reason }: EndReason): HoldwireError {
  return new HoldwireError(code, reason)
}
