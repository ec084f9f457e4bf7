// All sessions of this node: by ref and by user, their one timer, and their pump once per tick.

import { randomBytes } from 'node:crypto'
import type { Bus } from '../bus/bus.js'
import type { v1 } from '../proto/messages.js'
import type { Delivery, Transport } from './carrier.js'
import type { CloseReason, SessionCause } from './close-reason.js'
import { controlEnvelope, EnvelopeReader } from './envelope.js'
import { flat } from './flat-string.js'
import { clientKey } from './networks.js'
import { Session, type SessionHost, type SessionLimits, type SessionOptions } from './session.js'
import { UserEntry, type UserEntryHost } from './user-entry.js'
import { Wheel } from './wheel.js'

export interface HubLimits extends SessionLimits {
  readonly maxSessions: number
  readonly maxSessionsPerUser: number
  /** 0: unlimited. */
  readonly maxSessionsPerIp: number
}

/** What the hub reports of its sessions: metrics, log lines, positions. */
export interface HubEvents {
  opened(session: Session, transport: Transport): void
  closed(session: Session, reason: CloseReason): void
  attached(transport: Transport): void
  detached(transport: Transport): void
  written(transport: Transport, batch: readonly Delivery[]): void
  acknowledged(session: Session, inbox: number, publishedAtMs: number): void
  /** The session of an XMPP client takes what is sent to its user from now on: the inbox has to be read. */
  receptive(session: Session): void
  gap(): void
  dropped(why: string): void
  /** A bug; the session it happened to was closed. */
  failed(error: unknown): void
}

export interface HubOptions {
  readonly bus: Bus
  /** Address of this process: random, new with every start. */
  readonly node: string
  readonly nodeName: string
  readonly limits: HubLimits
  readonly events: HubEvents
  now(): number
}

/** Its client was told not to come back, and is told so again for a while. */
interface Verdict {
  readonly reason: CloseReason
  readonly untilMs: number
}

/** What is left of a session that has ended. */
export type Grave =
  | { readonly kind: 'ended'; readonly cause: SessionCause; readonly verdict: Verdict | undefined }
  | { readonly kind: 'moved'; readonly secret: string; readonly node: string; readonly id: string }

const GRAVES_LIMIT = 10_000
const VERDICT_LEAST_MS = 60_000
const WHEEL_MS = 100

export class Hub implements SessionHost, UserEntryHost {
  readonly envelopes = new EnvelopeReader()
  readonly bus: Bus
  readonly node: string
  readonly nodeName: string
  readonly limits: HubLimits
  readonly #events: HubEvents
  readonly #now: () => number
  readonly #sessions = new Map<string, Session>()
  readonly #users = new Map<string, UserEntry>()
  /** Sessions, and clients on their way to one, by `clientKey` of the address. */
  readonly #perIp = new Map<string, number>()
  readonly #ips = new Map<Session, string>()
  readonly #graves = new Map<string, Grave>()
  readonly #rooms = new Map<Session, () => void>()
  readonly #wheel: Wheel<Session>
  readonly #timer: NodeJS.Timeout
  /** Places kept for sessions that are on their way here. */
  #expected = 0
  #dirty: Session[] = []
  #nextNumber = 1

  constructor(options: HubOptions) {
    this.bus = options.bus
    this.node = options.node
    this.nodeName = options.nodeName
    this.limits = options.limits
    this.#events = options.events
    this.#now = () => options.now()
    this.#wheel = new Wheel(WHEEL_MS, options.now(), (session, nowMs) => this.#guard(session, () => session.tick(nowMs)))
    this.#timer = setInterval(() => this.#wheel.turn(this.#now()), WHEEL_MS)
  }

  get sessions(): ReadonlyMap<string, Session> {
    return this.#sessions
  }

  get users(): ReadonlyMap<string, UserEntry> {
    return this.#users
  }

  session(ref: string): Session | undefined {
    return this.#sessions.get(ref)
  }

  /** What became of a session that is not here (any more). */
  grave(ref: string): Grave | undefined {
    return this.#graves.get(ref)
  }

  /** Why the client of a session that has ended may not come back by its cursor. */
  verdict(ref: string): CloseReason | undefined {
    const grave = this.#graves.get(ref)
    if (grave?.kind !== 'ended' || grave.verdict === undefined || grave.verdict.untilMs < this.#now()) return undefined
    return grave.verdict.reason
  }

  outboxBytes(): number {
    let bytes = 0
    for (const session of this.#sessions.values()) bytes += session.outboxBytes
    return bytes
  }

  /** Of them, those that were not sent yet. */
  waitingBytes(): number {
    let bytes = 0
    for (const session of this.#sessions.values()) bytes += session.waitingBytes
    return bytes
  }

  /** Sessions without a connection. */
  detachedSessions(): number {
    let count = 0
    for (const { kind } of this.#sessions.values()) if (kind === 'detached') count++
    return count
  }

  // ---- opening and closing ----------------------------------------------------------------------------------------

  /** Why no further session can be opened; undefined: it can. `replacing`: those of the user's that would end for it. */
  refusal(user: string, ip: string, replacing: readonly Session[]): CloseReason | undefined {
    const { maxSessions, maxSessionsPerUser } = this.limits
    if (this.#sessions.size + this.#expected - replacing.length >= maxSessions)
      return { code: 'overloaded', reason: 'this node has as many sessions as it may', retryAfterMs: 5000 }
    const entry = this.#users.get(user)
    if ((entry?.sessions.length ?? 0) + (entry?.expected ?? 0) - replacing.length >= maxSessionsPerUser) {
      return { code: 'rate_limited', reason: `the user has ${maxSessionsPerUser} sessions already`, retryAfterMs: 10_000 }
    }
    const key = clientKey(ip)
    return this.crowded(ip, replacing.filter((session) => this.#ips.get(session) === key).length)
  }

  /** Why no further session can come from the address, of which `leaving` would end for it; undefined: one can. */
  crowded(ip: string, leaving = 0): CloseReason | undefined {
    const { maxSessionsPerIp } = this.limits
    if (maxSessionsPerIp === 0 || (this.#perIp.get(clientKey(ip)) ?? 0) - leaving < maxSessionsPerIp) return undefined
    return { code: 'rate_limited', reason: `${maxSessionsPerIp} sessions come from this address already`, retryAfterMs: 10_000 }
  }

  /** Counts a client of the address that has no session yet. Call what it returns once, right before it gets one or when it has left. */
  waits(ip: string): () => void {
    this.#countIp(ip, 1)
    return () => this.#countIp(ip, -1)
  }

  /** The user's entry, attached to the bus. Throws BusError. Call `settle` when done with it, whatever came of it. */
  async enter(user: string): Promise<UserEntry> {
    let entry = this.#users.get(user)
    if (entry === undefined) {
      entry = new UserEntry(this, user)
      this.#users.set(user, entry)
      entry.begin(this.bus)
    }
    entry.pins++
    try {
      await entry.ready
      return entry
    } catch (error) {
      this.settle(entry)
      throw error
    }
  }

  /** Ends what `enter` began: an entry that no session came of is let go. */
  settle(entry: UserEntry): void {
    entry.pins--
    this.#releaseUnused(entry)
  }

  /** Keeps a place, within the limits, for a session that is on its way here. Call what it returns once, right before `open` or when none came. */
  expect(entry: UserEntry, ip: string): () => void {
    this.#expected++
    entry.expected++
    this.#countIp(ip, 1)
    return () => {
      this.#expected--
      entry.expected--
      this.#countIp(ip, -1)
    }
  }

  /** A name for a session to be: `<ref>.<secret>`. */
  newSessionId(): string {
    return `${this.node}.${(this.#nextNumber++).toString(36)}.${randomBytes(16).toString('base64url')}`
  }

  open(entry: UserEntry, id: string, ip: string, transport: Transport, options: Omit<SessionOptions, 'owner' | 'ref' | 'secret'>): Session {
    const { ref, secret } = splitSessionId(id)
    const session = new Session(this, { ...options, owner: entry, ref: flat(ref), secret: flat(secret) })
    session.transport = transport
    this.#sessions.set(session.ref, session)
    entry.add(session)
    if (this.limits.maxSessionsPerIp > 0) {
      this.#ips.set(session, clientKey(ip))
      this.#countIp(ip, 1)
    }
    this.#events.opened(session, transport)
    return session
  }

  /** The session goes on at another node under another id. */
  moved(session: Session, node: string, id: string): void {
    this.#bury(session.ref, { kind: 'moved', secret: session.secret, node, id })
    session.release()
    session.close({ code: 'replaced', reason: 'the session goes on at another node' })
  }

  /** Resolves when the session's outbox has room again, or the session has ended. */
  room(session: Session): Promise<void> {
    if (session.hasRoom || session.kind === 'closed') return Promise.resolve()
    return new Promise((resolve) => this.#rooms.set(session, resolve))
  }

  /** Tells every node that this session is the newest of its device. */
  announceDevice(session: Session): void {
    const replace = { device: session.device, session: session.ref, since: session.sinceMs }
    this.bus.push(session.owner.user, controlEnvelope({ replace }))
  }

  stop(): void {
    clearInterval(this.#timer)
    for (const entry of this.#users.values()) entry.end()
  }

  // ---- SessionHost ------------------------------------------------------------------------------------------------

  now(): number {
    return this.#now()
  }

  markDirty(session: Session): void {
    if (session.pumpQueued) return
    session.pumpQueued = true
    if (this.#dirty.push(session) === 1) setImmediate(() => this.#flush())
  }

  schedule(session: Session): void {
    this.#wheel.schedule(session)
  }

  attached(_session: Session, transport: Transport): void {
    this.#events.attached(transport)
  }

  detached(_session: Session, transport: Transport): void {
    this.#events.detached(transport)
  }

  written(transport: Transport, batch: readonly Delivery[]): void {
    this.#events.written(transport, batch)
  }

  acknowledged(session: Session, inbox: number, publishedAtMs: number): void {
    this.#events.acknowledged(session, inbox, publishedAtMs)
  }

  receptive(session: Session): void {
    this.#events.receptive(session)
  }

  roomy(session: Session): void {
    const resolve = this.#rooms.get(session)
    if (resolve === undefined) return
    this.#rooms.delete(session)
    resolve()
  }

  closed(session: Session, reason: CloseReason): void {
    this.#sessions.delete(session.ref)
    if (!this.#graves.has(session.ref))
      this.#bury(session.ref, { kind: 'ended', cause: reason.cause ?? 'closed', verdict: this.#verdict(reason) })
    const ip = this.#ips.get(session)
    if (ip !== undefined) {
      this.#ips.delete(session)
      this.#countIp(ip, -1)
    }
    const entry = this.#users.get(session.owner.user)
    entry?.remove(session)
    this.#events.closed(session, reason)
    this.roomy(session)
    if (entry !== undefined) this.#releaseUnused(entry)
  }

  // ---- UserEntryHost ----------------------------------------------------------------------------------------------

  control(entry: UserEntry, control: v1.Control): v1.SessionList.$Properties | undefined {
    const { close, replace, find } = control
    if (find != null) {
      const found = entry.sessions.find(({ xmpp }) => xmpp !== undefined && xmpp.resource === find.resource)
      return found === undefined ? undefined : { node: this.nodeName, sessions: [describe(found)] }
    }
    const sessions = entry.sessions.map((session) => describe(session))
    if (close != null) {
      for (const session of entry.sessions) session.close({ code: 'closed', reason: close.reason || 'closed by the operator' })
    }
    if (replace != null) this.#replace(entry, replace)
    return { node: this.nodeName, sessions }
  }

  gap(): void {
    this.#events.gap()
  }

  dropped(why: string): void {
    this.#events.dropped(why)
  }

  // -----------------------------------------------------------------------------------------------------------------

  #countIp(ip: string, change: 1 | -1): void {
    if (this.limits.maxSessionsPerIp === 0) return
    const key = clientKey(ip)
    const count = (this.#perIp.get(key) ?? 0) + change
    if (count === 0) this.#perIp.delete(key)
    else this.#perIp.set(key, count)
  }

  #releaseUnused(entry: UserEntry): void {
    if (entry.sessions.length > 0 || entry.pins > 0 || this.#users.get(entry.user) !== entry) return
    this.#users.delete(entry.user)
    entry.end()
  }

  /** Older sessions with the device end; a session here that is newer than the newcomer says so in turn. */
  #replace(entry: UserEntry, replace: v1.ReplaceDevice.$Properties): void {
    const device = replace.device ?? ''
    const since = replace.since ?? 0
    const ref = replace.session ?? ''
    for (const session of entry.sessions) {
      if (session.device !== device || session.ref === ref) continue
      const older = session.sinceMs < since || (session.sinceMs === since && session.ref < ref)
      if (older) session.close({ code: 'replaced', reason: 'a newer session of this device took over' })
      else this.announceDevice(session)
    }
  }

  #flush(): void {
    const dirty = this.#dirty
    this.#dirty = []
    for (const session of dirty) {
      session.pumpQueued = false
      this.#guard(session, () => session.pump())
    }
  }

  /** Without it two pages with one device would take turns in replacing each other, each coming back by its cursor. */
  #verdict(reason: CloseReason): Verdict | undefined {
    if (reason.code !== 'replaced' && reason.code !== 'closed') return undefined
    return { reason, untilMs: this.#now() + Math.max(VERDICT_LEAST_MS, this.limits.resumeMs) }
  }

  /** A bug with one session must not keep the others from being served. */
  #guard(session: Session, run: () => void): void {
    try {
      run()
    } catch (error) {
      this.#events.failed(error)
      session.close({ code: 'internal', reason: 'something went wrong here' })
    }
  }

  #bury(ref: string, grave: Grave): void {
    this.#graves.set(ref, grave)
    if (this.#graves.size <= GRAVES_LIMIT) return
    const oldest = this.#graves.keys().next()
    if (!oldest.done) this.#graves.delete(oldest.value)
  }
}

/** The public and the secret part of a session id; an id that is none has an empty secret. */
export function splitSessionId(id: string): { readonly ref: string; readonly node: string; readonly secret: string } {
  const [node = '', number = '', secret = ''] = id.split('.')
  return { node, ref: `${node}.${number}`, secret }
}

function describe(session: Session): v1.SessionInfo.$Properties {
  return {
    session: session.ref,
    transport: session.transport ?? '',
    since: session.sinceMs,
    device: session.device,
    status: session.status,
    note: session.note,
    xmpp: session.xmpp?.shown ?? null,
  }
}
