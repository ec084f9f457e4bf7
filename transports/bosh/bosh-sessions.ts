// All BOSH sessions of this node by sid, their one timer, and what happens to requests that create one or name none.

import { randomBytes } from 'node:crypto'
import type { Clock } from '../../bus/clock.js'
import type { Delivery } from '../../gateway/carrier.js'
import type { CloseReason } from '../../gateway/close-reason.js'
import type { Session } from '../../gateway/session.js'
import { Wheel } from '../../gateway/wheel.js'
import type { Element } from '../../proto/xml/element.js'
import type { Asker, Origin } from './asker.js'
import type { Creation, Malformed, Request } from './attributes.js'
import type { BoshHost, BoshLimits, OpenStream } from './bosh-host.js'
import type { BoshRecord, BoshSnapshot } from './bosh-record.js'
import { BoshSession } from './bosh-session.js'
import { agree, type BoshOffer } from './creation.js'
import { DEFAULT_CONTENT_TYPE } from './response.js'
import { type Ending, endingAt, endingOf, endingWith, statusOf, terminateBytes } from './terminate.js'

export interface BoshSessionsOptions {
  readonly clock: Clock
  readonly offer: BoshOffer
  readonly limits: BoshLimits & {
    /** BOSH sessions of this node. */
    readonly sessions: number
  }
  /** Where clients are sent instead of being served; '': nowhere. */
  readonly seeOtherUri: string
  /** `<node>.<number>.<secret>`: names this node, and can't be guessed. */
  newSid(): string
  /** The stream of a new session, or one added to a session. */
  readonly openStream: OpenStream
  /** Why no session may be created now from there; undefined: it may. */
  refusal(ip: string): CloseReason | undefined
  /** One frame as one stanza. */
  render(delivery: Delivery, session: Session): string
  /** `session.record` is new or has changed: another node may need it. */
  recorded(session: BoshSession): void
  /** The session has ended here for good. */
  ended(session: BoshSession, reason: CloseReason): void
  received(transport: 'bosh', frames: number, bytes: number): void
  sentBytes(transport: 'bosh', bytes: number): void
  refused(transport: 'bosh', reason: CloseReason): void
  onError(error: unknown, what: string): void
}

/** What of it a BOSH request needs to be taken: its `<body/>`, as it came. */
export interface Incoming {
  readonly source: Element
  readonly sizeBytes: number
  readonly origin: Origin
  readonly asker: Asker
}

const WHEEL_MS = 100
/** Sessions of clients of old that have ended: these are told so by HTTP status. */
const LEGACY_GRAVES_LIMIT = 1000
const STREAM_NAME_BYTES = 12

export class BoshSessions implements BoshHost {
  readonly limits: BoshLimits
  readonly #options: BoshSessionsOptions
  readonly #sessions = new Map<string, BoshSession>()
  readonly #legacyGraves = new Set<string>()
  readonly #wheel: Wheel<BoshSession>
  readonly #stop: () => void

  constructor(options: BoshSessionsOptions) {
    this.#options = options
    this.limits = options.limits
    const { clock } = options
    this.#wheel = new Wheel(WHEEL_MS, clock.now(), (session, nowMs) => this.#tick(session, nowMs))
    this.#stop = clock.every(WHEEL_MS, () => this.#wheel.turn(clock.now()))
  }

  get size(): number {
    return this.#sessions.size
  }

  get all(): Iterable<BoshSession> {
    return this.#sessions.values()
  }

  get(sid: string): BoshSession | undefined {
    return this.#sessions.get(sid)
  }

  /** A session that does not exist yet. */
  create(creation: Creation, { sizeBytes, origin, asker }: Incoming): void {
    const { offer, newSid, openStream, received } = this.#options
    const ending = this.#obstacle(creation, origin)
    if (ending !== undefined) {
      this.answer(asker, ending, creation.version === undefined, creation.contentType)
      return
    }
    received('bosh', creation.payloads.length, sizeBytes)
    const terms = agree(creation, offer, newSid(), origin)
    const session = BoshSession.create(this, terms, openStream, creation, asker)
    if (session.isKnown) this.#sessions.set(session.sid, session)
  }

  /** A request of a session. False: it is not here. */
  receive(request: Request, { source, sizeBytes, origin, asker }: Incoming): boolean {
    const session = this.#sessions.get(request.sid)
    if (session === undefined) return false
    this.#options.received('bosh', request.payloads.length, sizeBytes)
    session.receive(request, source, sizeBytes, origin, asker)
    return true
  }

  /** What is no request: the session it names ends with it. */
  refuse({ sid, legacy, why }: Malformed, asker: Asker): void {
    const session = this.#sessions.get(sid)
    if (session === undefined) this.answer(asker, endingWith('bad-request', why), legacy)
    else session.refuse(why, asker)
  }

  /** Of a session that is nowhere. */
  answerUnknown(sid: string, asker: Asker): void {
    this.answer(asker, endingWith('item-not-found', 'no such session'), this.#legacyGraves.has(sid))
  }

  /** Without a session. */
  answer(asker: Asker, ending: Ending, legacy = false, contentType = ''): void {
    this.#options.refused('bosh', ending.reason)
    if (asker.gone) return
    const body = terminateBytes(ending)
    this.sentBytes(body.length)
    const status = statusOf(ending.condition, legacy)
    asker.settle({ status, contentType: contentType || DEFAULT_CONTENT_TYPE, body, close: ending.condition === 'system-shutdown' })
  }

  // ---- between nodes ----------------------------------------------------------------------------------------------

  /** Goes on with a session whose node has died; `openStream` gives its streams back. */
  adopt(record: BoshRecord, openStream: OpenStream): BoshSession {
    return this.#take(record.terms.sid, () => BoshSession.adopt(this, record, this.#then(record, openStream)))
  }

  /** Goes on with a session that another node gave up. */
  restore(snapshot: BoshSnapshot, openStream: OpenStream): BoshSession {
    const { record } = snapshot
    return this.#take(record.terms.sid, () => BoshSession.restore(this, snapshot, this.#then(record, openStream)))
  }

  /** Gives a session up for another node; undefined: there is nothing to go on with. */
  moveAway(sid: string): BoshSnapshot | undefined {
    return this.#sessions.get(sid)?.moveAway()
  }

  /** Ends every stream, logged in or not: held requests are told why. */
  end(reason: CloseReason): void {
    for (const session of [...this.#sessions.values()]) for (const stream of session.streams) stream.end(reason)
  }

  /** Ends no session: see `end`. */
  close(): void {
    this.#stop()
  }

  // ---- BoshHost ---------------------------------------------------------------------------------------------------

  now(): number {
    return this.#options.clock.now()
  }

  schedule(session: BoshSession): void {
    this.#wheel.schedule(session)
  }

  newStreamName(): string {
    return randomBytes(STREAM_NAME_BYTES).toString('base64url')
  }

  serves(domain: string): boolean {
    return domain.toLowerCase().replace(/\.$/, '') === this.#options.offer.domain
  }

  render(delivery: Delivery, session: Session): string {
    return this.#options.render(delivery, session)
  }

  changed(session: BoshSession): void {
    this.#options.recorded(session)
  }

  ended(session: BoshSession, reason: CloseReason): void {
    this.#options.ended(session, reason)
  }

  forget(session: BoshSession): void {
    if (this.#sessions.get(session.sid) !== session) return
    this.#sessions.delete(session.sid)
    if (!session.terms.legacy) return
    this.#legacyGraves.add(session.sid)
    for (const sid of this.#legacyGraves) {
      if (this.#legacyGraves.size <= LEGACY_GRAVES_LIMIT) return
      this.#legacyGraves.delete(sid)
    }
  }

  sentBytes(bytes: number): void {
    this.#options.sentBytes('bosh', bytes)
  }

  refused(reason: CloseReason): void {
    this.#options.refused('bosh', reason)
  }

  onError(error: unknown, what: string): void {
    this.#options.onError(error, what)
  }

  // -----------------------------------------------------------------------------------------------------------------

  /** Why there can be no session; undefined: there can. */
  #obstacle({ to }: Creation, { ip }: Origin): Ending | undefined {
    const { seeOtherUri, refusal, limits } = this.#options
    const refused = refusal(ip)
    if (refused !== undefined) return endingOf(refused, '')
    if (this.#sessions.size >= limits.sessions)
      return endingOf({ code: 'overloaded', reason: 'this node has as many BOSH sessions as it may', retryAfterMs: 5000 }, '')
    if (seeOtherUri !== '') return endingAt(seeOtherUri)
    if (to === '') return endingWith('improper-addressing', 'a session is with the domain that `to` names')
    return this.serves(to) ? undefined : endingWith('host-unknown', 'no such domain')
  }

  /** Streams of before are given back; those that are added later are opened as anywhere. */
  #then({ streams }: BoshRecord, openStream: OpenStream): OpenStream {
    const before = new Set(streams.map(({ name }) => name))
    return (wire, name) => (before.has(name) ? openStream(wire, name) : this.#options.openStream(wire, name))
  }

  #take(sid: string, make: () => BoshSession): BoshSession {
    const known = this.#sessions.get(sid)
    if (known !== undefined) return known
    const session = make()
    if (session.isKnown) this.#sessions.set(sid, session)
    return session
  }

  #tick(session: BoshSession, nowMs: number): void {
    try {
      session.tick(nowMs)
    } catch (error) {
      this.#options.onError(error, 'the clock of a BOSH session')
    }
  }
}
