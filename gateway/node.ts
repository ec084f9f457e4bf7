// A gateway node: hub, door, intake and relay on one bus, and how it leaves.

import { createHash } from 'node:crypto'
import type { Bus, Unsubscribe } from '../bus/bus.js'
import type { Peers } from '../bus/peers.js'
import { v1 } from '../proto/messages.js'
import type { Element } from '../proto/xml/element.js'
import { jidUser, parseJid } from '../proto/xml/jid.js'
import { parseStored, XmlError } from '../proto/xml/parse.js'
import { errorStanza, StanzaError } from '../proto/xml/stanza-error.js'
import type { Authenticator } from './auth/authenticator.js'
import type { Transport } from './carrier.js'
import type { CloseReason } from './close-reason.js'
import type { Config } from './config.js'
import { Door } from './door.js'
import { Hub, type HubEvents } from './hub.js'
import { Intake } from './intake.js'
import type { Logger } from './logger.js'
import type { Metrics } from './metrics.js'
import type { Outbound } from './outbound.js'
import { type Position, Positions, xmppPositionKey } from './positions.js'
import { RelayClient } from './relay.js'
import type { Session } from './session.js'
import { StreamDoor } from './stream-door.js'
import type { XmppSession } from './xmpp-session.js'

export interface NodeOptions {
  readonly bus: Bus
  readonly config: Config
  /** Random, new with every start: names the node on the bus. */
  readonly address: string
  readonly peers: Peers
  readonly metrics: Metrics
  readonly log: Logger
  readonly authenticator: Authenticator
}

const UPLINK_QUEUE_FRAMES = 256
const UPLINK_TRY_MS = 1500
const POSITION_WRITES = 64
/** Sessions told to leave at a time while draining, and how often at the fastest. */
const DRAIN_BATCH = 64
const DRAIN_STEP_MS = 20
/** How long a client that was told to leave stays away, at least and at the most. */
const RETURN_MS = { least: 500, most: 3000 }

export class GatewayNode {
  readonly hub: Hub
  readonly door: Door
  readonly streamDoor: StreamDoor
  readonly intake: Intake
  readonly relay: RelayClient
  readonly #options: NodeOptions
  readonly #positions: Positions
  readonly #unsubscribe: Unsubscribe
  readonly #goodbyes = new Set<Promise<void>>()
  #leaving: CloseReason | undefined = undefined
  #drainingSinceMs = Number.POSITIVE_INFINITY
  #stopped = false

  static async create(options: NodeOptions): Promise<GatewayNode> {
    const { bus, config } = options
    const bucket = await bus.bucket('positions', { ttlSeconds: config.inboxMaxAgeSeconds })
    return new GatewayNode(
      options,
      new Positions({
        bucket,
        flushMs: config.positionsFlushMs,
        maxInFlight: POSITION_WRITES,
        onError: (error, what) => report(options.log, error, what),
      }),
    )
  }

  private constructor(options: NodeOptions, positions: Positions) {
    const { bus, config, address, peers, authenticator, metrics, log } = options
    const onError = (error: unknown, what: string) => report(log, error, what)
    this.#options = options
    this.#positions = positions
    this.hub = new Hub({ bus, node: address, nodeName: config.nodeId, limits: hubLimits(config), events: this.#events(), now: Date.now })
    this.relay = new RelayClient(bus, config.c2sTimeoutSeconds * 1000, (kind, outcome) => metrics.relayed(kind, outcome))
    this.intake = new Intake({
      authenticator,
      anyTopic: config.anyTopic,
      position: (session, position) => this.#record(session, position),
      onError,
    })
    const ways = {
      hub: this.hub,
      positions,
      relay: this.relay,
      uplinks: {
        bus,
        node: address,
        limits: { queueMaxFrames: UPLINK_QUEUE_FRAMES, deadlineMs: config.c2sTimeoutSeconds * 1000, tryMs: UPLINK_TRY_MS },
        observe: (kind: string, seconds: number, code: string) => metrics.c2sAnswered(kind, seconds, code),
        onError,
      },
      refusal: () => this.#leaving,
      resumed: (transport: Transport, recovered: boolean) => metrics.resumed(transport, recovered),
      arrived: (transport: Transport, how: 'fetched' | 'adopted') => {
        metrics.sessionMoved(transport, how)
        log.debug({ transport, how }, 'session came from another node')
      },
    }
    const { pingSeconds, resumeSeconds, anyTopic } = config
    this.door = new Door({ ...ways, pingSeconds, resumeSeconds, anyTopic, onError })
    this.streamDoor = new StreamDoor({ ...ways, read: (session) => this.door.read(session) })
    // Idle sessions of a worker that has gone would never notice.
    const gone = peers.onGone('c2s', (worker) => {
      for (const session of this.hub.sessions.values()) session.uplink?.workerLost(worker)
    })
    // Sessions that opened while there was none.
    const up = peers.onUp('c2s', () => {
      for (const session of this.hub.sessions.values()) session.uplink?.open()
    })
    const lost = peers.onGone('gw', (node) => this.relay.gone(node))
    this.#unsubscribe = () => {
      gone()
      up()
      lost()
    }
  }

  /** Why nobody is let in any more. */
  get refusal(): CloseReason | undefined {
    return this.#leaving
  }

  get leaving(): boolean {
    return this.#leaving !== undefined
  }

  /** Since the drain began; 0: it has not. */
  get drainingSeconds(): number {
    return Math.max(0, (Date.now() - this.#drainingSinceMs) / 1000)
  }

  /** A request or a connection was turned away before it had a session, or ended for a fault of its client. */
  refused(transport: Transport | 'send', { code }: CloseReason): void {
    // The client has left meanwhile.
    if (code === 'done') return
    const { metrics, log } = this.#options
    metrics.refused(transport, code)
    log.debug({ transport, code }, 'refused')
  }

  stats(): v1.RelayReply.$Properties {
    const sessions = [...this.sessionsByTransport()].map(([transport, count]) => ({ transport, sessions: count }))
    return { users: this.hub.users.size, sessions }
  }

  sessionsByTransport(): ReadonlyMap<string, number> {
    const counts = new Map<string, number>()
    for (const { transport = 'none' } of this.hub.sessions.values()) counts.set(transport, (counts.get(transport) ?? 0) + 1)
    return counts
  }

  /**
   * Hands the sessions over, paced over at most `drainMs`: their clients are told to come back, which they do elsewhere (or
   * here, after a restart, by cursor). Resolves when they have been told and, where there is another node, have been
   * fetched or the time is over. `handOver`: first of all, for sessions that move without their clients.
   */
  async drain(drainMs: number, handOver: () => Promise<void>): Promise<void> {
    const { log, peers } = this.#options
    this.#drainingSinceMs = Date.now()
    const deadlineMs = this.#drainingSinceMs + drainMs
    this.#leaving = { code: 'draining', reason: 'this node is going away', retryAfterMs: RETURN_MS.most }
    await handOver()
    const sessions = [...this.hub.sessions.values()]
    log.info({ sessions: sessions.length }, 'draining')
    const steps = Math.ceil(sessions.length / DRAIN_BATCH)
    const stepMs = Math.min(DRAIN_STEP_MS, drainMs / 2 / Math.max(1, steps))
    for (let i = 0; i < sessions.length; i += DRAIN_BATCH) {
      for (const session of sessions.slice(i, i + DRAIN_BATCH)) {
        const retryAfterMs = Math.round(RETURN_MS.least + Math.random() * (RETURN_MS.most - RETURN_MS.least))
        session.disconnect({ code: 'draining', reason: 'this node is going away', retryAfterMs })
      }
      await sleep(stepMs)
    }
    // Nobody else can take them over; they come back by cursor when this node is there again.
    if (peers.list('gw').length === 0) return
    const patienceMs = Math.min(deadlineMs, Date.now() + 2 * RETURN_MS.most)
    while (this.hub.sessions.size > 0 && Date.now() < patienceMs) await sleep(DRAIN_STEP_MS)
  }

  /** Ends what is left, and says so to the c2s workers. Idempotent. */
  async stop(): Promise<void> {
    if (this.#stopped) return
    this.#stopped = true
    this.#leaving ??= { code: 'draining', reason: 'this node is going away', retryAfterMs: RETURN_MS.most }
    this.#unsubscribe()
    for (const session of [...this.hub.sessions.values()]) session.close(this.#leaving)
    await Promise.race([Promise.all(this.#goodbyes), sleep(GOODBYES_MS)])
    await this.#positions.stop()
    this.hub.stop()
  }

  #events(): HubEvents {
    const { metrics, log, config } = this.#options
    return {
      opened: (session, transport) => {
        metrics.sessionOpened(transport)
        log.debug({ ref: session.ref, user: session.owner.user, transport }, 'session opened')
      },
      closed: (session, reason) => {
        const { transport = 'none' } = session
        const isGiven = this.hub.grave(session.ref)?.kind === 'moved'
        metrics.sessionClosed(transport, reason.code)
        if (isGiven) metrics.sessionMoved(transport, 'given')
        log.debug({ ref: session.ref, user: session.owner.user, code: reason.code, given: isGiven }, 'session closed')
        this.#sayGoodbye(session.uplink?.bye())
        if (session.xmpp !== undefined) this.#leave(session, session.xmpp, reason)
        this.#positions.hurry()
      },
      attached: () => undefined,
      detached: () => undefined,
      written: (transport: Transport, batch) => {
        const counters = metrics.transport(transport)
        const nowMs = Date.now()
        for (const { outbound } of batch) {
          if (outbound.publishedAtMs > 0) counters.delivered((nowMs - outbound.publishedAtMs) / 1000)
        }
        counters.written(batch.length, 0)
      },
      acknowledged: (session, inbox, publishedAtMs) => {
        if (publishedAtMs > 0 && session.transport !== undefined)
          metrics.transport(session.transport).acknowledged((Date.now() - publishedAtMs) / 1000)
        this.#record(session, { epoch: this.hub.users.get(session.owner.user)?.epoch ?? '', inbox })
      },
      receptive: (session) => this.door.read(session),
      gap: () => metrics.gap(),
      failed: (error) => report(log, error, 'serving a session'),
      dropped: (why) => {
        metrics.envelopeDropped()
        log.debug({ why, limit: config.maxFrameBytes }, 'envelope dropped')
      },
    }
  }

  /** A position in another store, or beyond what there is, would hide messages. */
  #record(session: Session, position: Position): void {
    const entry = this.hub.users.get(session.owner.user)
    if (entry === undefined || entry.epoch !== position.epoch || position.inbox > entry.tail) return
    this.#positions.handled(session, position)
  }

  /** What was sent to the resource and never arrived goes to the user instead, once nobody comes back for it. */
  #leave(session: Session, xmpp: XmppSession, { code }: CloseReason): void {
    // It goes on elsewhere, with all that waits.
    if (this.hub.grave(session.ref)?.kind === 'moved') return
    const left = session.unacknowledged()
    for (const { kind, xml } of left) if (kind === 'iq' && xml !== undefined) this.#bounce(xml)
    const { user } = session.owner
    const key = xmppPositionKey(xmpp.resource)
    const isLastingKey = key !== undefined && !xmpp.generated
    // The resource is there, or will be again, and gets it then.
    if (code === 'replaced' || (code === 'draining' && isLastingKey)) return
    if (key !== undefined && xmpp.generated) this.#positions.forget(user, key)
    const undelivered = left.filter(({ durable, resource, sent }) => durable && resource === xmpp.resource && !sent)
    if (undelivered.length === 0) return
    const epoch = this.hub.users.get(user)?.epoch ?? ''
    // What was not read yet waits for the resource.
    const inbox = xmpp.receptive && !session.live ? session.inbox : session.owner.tail
    const sends = undelivered.map((outbound) => this.#options.bus.publish(user, redirectedId(outbound), redirected(outbound)))
    const all = Promise.all(sends).then(() => {
      if (isLastingKey) this.#positions.record(user, key, { epoch, inbox })
    })
    const done = all
      .catch((error) => report(this.#options.log, error, 'messages to a resource that has gone'))
      .finally(() => this.#goodbyes.delete(done))
    this.#goodbyes.add(done)
  }

  /** A request to a client that is not there any more (XEP-0206 §7): its sender must not wait for ever. */
  #bounce(xml: Uint8Array): void {
    const { bus, config } = this.#options
    const request = parsed(xml)
    if (request === undefined) return
    const sender = parseJid(request.attribute('from'))
    const user = sender === undefined ? undefined : jidUser(sender, config.xmppDomain)
    const type = request.attribute('type')
    if (sender === undefined || user === undefined || (type !== 'get' && type !== 'set')) return
    const error = errorStanza(request, new StanzaError('service-unavailable'))
    if (error === undefined) return
    bus.push(user, v1.Envelope.encode({ time: Date.now(), xml: Buffer.from(error.toString()), resource: sender.resource }).finish())
  }

  #sayGoodbye(bye: Promise<void> | undefined): void {
    if (bye === undefined) return
    const said = bye.catch((error) => report(this.#options.log, error, 'a goodbye')).finally(() => this.#goodbyes.delete(said))
    this.#goodbyes.add(said)
  }
}

const GOODBYES_MS = 2000

/** Messages carry this much besides their data: id, sender, topic, key. */
const ENVELOPE_OVERHEAD_BYTES = 4096
/** What one message of NATS holds, with room for its headers. */
const BUS_LIMIT_BYTES = 768 * 1024

/** A message of an XMPP client travels twice in its envelope: as it came, and as data for the others. */
export function largestEnvelope(maxFrameBytes: number): number {
  return Math.max(maxFrameBytes, Math.min(2 * maxFrameBytes, BUS_LIMIT_BYTES)) + ENVELOPE_OVERHEAD_BYTES
}

function hubLimits(config: Config) {
  return {
    pingMs: config.pingSeconds * 1000,
    resumeMs: config.resumeSeconds * 1000,
    waitingMaxFrames: config.outboxMaxFrames,
    waitingMaxBytes: config.outboxMaxBytes,
    sentMaxFrames: config.sentMaxFrames,
    sentMaxBytes: config.sentMaxBytes,
    maxSessions: config.maxSessions,
    maxSessionsPerUser: config.maxSessionsPerUser,
    maxSessionsPerIp: config.maxSessionsPerIp,
  }
}

/** The message as one to the user. */
function redirected({ frame: { message }, xml, publishedAtMs, uncopied, expiresAtMs }: Outbound): Uint8Array {
  const { id = '', from = '', topic = '', data } = message ?? {}
  return v1.Envelope.encode({
    id,
    from,
    topic,
    time: publishedAtMs,
    expires: Number.isFinite(expiresAtMs) ? expiresAtMs : 0,
    xml: xml ?? new Uint8Array(),
    uncopied,
    ...(data == null ? {} : { data }),
  }).finish()
}

function redirectedId({ frame: { message }, publishedAtMs }: Outbound): string {
  return `r:${createHash('sha256').update(`${message?.from}\n${message?.id}\n${publishedAtMs}`).digest('base64url')}`
}

/** Undefined: none. Anybody may write to the bus. */
function parsed(xml: Uint8Array): Element | undefined {
  try {
    return parseStored(Buffer.from(xml))
  } catch (error) {
    if (error instanceof XmlError) return undefined
    throw error
  }
}

export function report(log: Logger, error: unknown, what: string): void {
  log.error({ err: error }, `failed: ${what}`)
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
