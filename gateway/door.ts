// Where clients come in: from an identity and perhaps a cursor to a session, here, taken over from another node, or new.

import { BusError } from '../bus/bus.js'
import { type Cursor, formatCursor, parseCursor, userTag } from '../proto/cursor.js'
import { v1 } from '../proto/messages.js'
import type { Identity } from './auth/authenticator.js'
import type { Transport } from './carrier.js'
import type { CloseReason } from './close-reason.js'
import { deliverGap, keepReading, type Reader, readHistory } from './history.js'
import { type Hub, splitSessionId } from './hub.js'
import { movedFrames } from './moved.js'
import { Outbound } from './outbound.js'
import type { Positions } from './positions.js'
import type { RelayClient } from './relay.js'
import type { Session } from './session.js'
import { type TopicClaims, Uplink, type UplinkHost } from './uplink.js'
import type { UserEntry } from './user-entry.js'

export interface Visitor {
  readonly identity: Identity
  /** As it came; undefined: none was given. */
  readonly cursor: string | undefined
  readonly transport: Transport
  readonly ip: string
  /** Its client has left meanwhile. */
  gone(): boolean
}

/**
 * `session`: attach to it, from after frame `seen`, with `greeting` first. `elsewhere`: only for polls, which are relayed
 * to `node` with `cursor` rather than taking the session over each time.
 */
export type Entrance =
  | { readonly kind: 'session'; readonly session: Session; readonly seen: number; readonly greeting: Outbound | undefined }
  | { readonly kind: 'elsewhere'; readonly node: string; readonly cursor: string }
  | { readonly kind: 'refused'; readonly reason: CloseReason }

/**
 * What to do with a cursor of another node's session: `relay` (polls go there; anything else takes the session over),
 * `take` (polls too: that node is going away), `adopt` (it is lost: go on from the inbox).
 */
export type Return = 'relay' | 'take' | 'adopt'

/**
 * The session of another node goes on here. `fetched`: that node gave it up; `adopted`: it is not there any more, or does
 * not have it.
 */
export type Arrived = (transport: Transport, how: 'fetched' | 'adopted') => void

export interface DoorOptions {
  readonly hub: Hub
  readonly positions: Positions
  readonly relay: RelayClient
  readonly uplinks: UplinkHost
  readonly pingSeconds: number
  readonly resumeSeconds: number
  /** Tokens without a `topics` claim may join any topic. */
  readonly anyTopic: boolean
  /** Set while the node is going away. */
  refusal(): CloseReason | undefined
  resumed(transport: Transport, recovered: boolean): void
  arrived: Arrived
  onError(error: unknown, what: string): void
}

/** Where a new session starts. */
interface Start {
  readonly inbox: number
  readonly gap: boolean
  readonly reader: Reader
}

export class Door {
  readonly #options: DoorOptions
  /** Sessions whose history is being read in the background. */
  readonly #reading = new Set<Session>()

  constructor(options: DoorOptions) {
    this.#options = options
  }

  /** `how`: see Return. */
  async enter(visitor: Visitor, how: Return = 'relay'): Promise<Entrance> {
    const { identity, cursor: text } = visitor
    try {
      if (text === undefined) return await this.#openNew(visitor, undefined)
      const cursor = parseCursor(text)
      if (cursor === undefined) return refused({ code: 'malformed', reason: 'that is no cursor' })
      const tag = this.#options.hub.users.get(identity.user)?.tag ?? userTag(identity.user)
      if (cursor.userTag !== tag) return refused({ code: 'forbidden', reason: 'that is a cursor of another user' })
      return how === 'adopt' ? await this.#adopt(visitor, cursor) : await this.#comeBack(visitor, cursor, how)
    } catch (error) {
      return busRefusal(error)
    }
  }

  // ---- coming back ------------------------------------------------------------------------------------------------

  async #comeBack(visitor: Visitor, cursor: Cursor, how: 'relay' | 'take'): Promise<Entrance> {
    const { hub } = this.#options
    const { at } = cursor
    const leaving = this.#options.refusal()
    if (leaving !== undefined) return refused(leaving)
    if (at === undefined) return this.#openNew(visitor, cursor)
    let { node } = at
    let ref = `${at.node}.${at.session}`
    if (node === hub.node) {
      if (isCarriedByStream(hub.session(ref))) {
        await pause(DISPLACE_MS)
        if (visitor.gone()) return LEFT
      }
      const session = hub.session(ref)
      if (session !== undefined) return this.#resume(visitor, cursor, at.frame, session)
      const grave = hub.grave(ref)
      const verdict = hub.verdict(ref)
      if (verdict !== undefined) return refused(verdict)
      if (grave?.kind !== 'moved') return this.#openNew(visitor, cursor)
      node = grave.node
      ref = splitSessionId(grave.id).ref
    }
    if (how === 'relay' && isPoll(visitor.transport)) {
      const [, session = ''] = ref.split('.')
      return { kind: 'elsewhere', node, cursor: formatCursor({ ...cursor, at: { node, session, frame: at.frame } }) }
    }
    return this.#takeOver(visitor, cursor, at.frame, node, ref)
  }

  async #resume(visitor: Visitor, cursor: Cursor, frame: number, session: Session): Promise<Entrance> {
    const { hub } = this.#options
    const entry = hub.users.get(visitor.identity.user)
    // The tag is only a check; the session itself says whose it is.
    if (session.owner.user !== visitor.identity.user || entry === undefined)
      return refused({ code: 'forbidden', reason: 'that is a cursor of another user' })
    if (frame > session.lastFrame) return refused({ code: 'malformed', reason: 'the cursor is ahead of its session' })
    session.extend(visitor.identity.expiresAtMs)
    this.#claim(session, visitor.identity)
    const stayed = isPoll(visitor.transport) && session.transport !== undefined && isPoll(session.transport)
    const turn = ++session.returns
    // What the old connection would still be sent is for the new one.
    session.release()
    if (session.holdsAfter(frame)) {
      this.#options.resumed(visitor.transport, true)
      return { kind: 'session', session, seen: frame, greeting: stayed ? undefined : this.#hello(session, true) }
    }
    const isSameStore = cursor.epoch === entry.epoch
    const complete = session.restart(frame, isSameStore ? cursor.inbox : 0) && isSameStore
    if (!complete) deliverGap(hub, session, isSameStore ? 'evicted' : 'reset')
    const { truncated } = await this.#catchUp(entry, session, 'known')
    if (session.returns !== turn)
      return refused({ code: 'overloaded', reason: 'another connection of the session was faster', retryAfterMs: 1000 })
    const recovered = complete && !truncated
    this.#options.resumed(visitor.transport, recovered)
    return { kind: 'session', session, seen: session.base, greeting: this.#hello(session, recovered) }
  }

  /** The entry first: from then on what is sent to the user reaches this node too, so that nothing falls between the two. */
  async #takeOver(visitor: Visitor, cursor: Cursor, frame: number, node: string, ref: string): Promise<Entrance> {
    const { hub, relay } = this.#options
    const { identity } = visitor
    if (visitor.gone()) return LEFT
    const entry = await hub.enter(identity.user)
    try {
      const full = hub.refusal(identity.user, visitor.ip, [])
      if (full !== undefined) return refused(full)
      const id = hub.newSessionId()
      entry.capture()
      const arrived = hub.expect(entry, visitor.ip)
      let answer: Awaited<ReturnType<RelayClient['move']>>
      try {
        answer = await relay.move(node, { user: identity.user, session: ref, to: hub.node, as: id, frame })
      } finally {
        // From here to `open` nothing waits.
        arrived()
      }
      const captured = entry.captured()
      if (answer === undefined) return await this.#adopt(visitor, cursor)
      if ('code' in answer) return refused(answer)
      const { session, complete } = this.#rebuild(visitor, entry, id, cursor, v1.MovedSession.create(answer), captured)
      const { truncated } = await this.#catchUp(entry, session, 'known')
      const recovered = complete && !truncated
      this.#options.resumed(visitor.transport, recovered)
      return { kind: 'session', session, seen: frame, greeting: this.#hello(session, recovered) }
    } finally {
      hub.settle(entry)
    }
  }

  /** The session as its client knows it: at the frame and position of the cursor. The inbox is read again from there. */
  #rebuild(
    visitor: Visitor,
    entry: UserEntry,
    id: string,
    cursor: Cursor,
    moved: v1.MovedSession,
    captured: readonly Outbound[],
  ): { readonly session: Session; readonly complete: boolean } {
    const { hub } = this.#options
    const { device, since, incomplete } = moved
    const isSameStore = cursor.epoch === entry.epoch
    const session = hub.open(entry, id, visitor.ip, visitor.transport, {
      device,
      sinceMs: since,
      expiresAtMs: visitor.identity.expiresAtMs,
      inbox: isSameStore ? cursor.inbox : 0,
      base: cursor.at?.frame ?? 0,
    })
    session.status = moved.status
    session.note = moved.note
    this.#options.arrived(visitor.transport, 'fetched')
    this.#connect(session, visitor.identity, moved.context)
    const complete = isSameStore && !incomplete
    if (!complete) deliverGap(hub, session, isSameStore ? 'evicted' : 'reset')
    const frames = movedFrames(moved)
    const ids = new Set(frames.map(messageId))
    for (const outbound of frames) session.takeOver(outbound)
    for (const outbound of captured) if (messageId(outbound) === '' || !ids.has(messageId(outbound))) session.takeOver(outbound)
    return { session, complete }
  }

  async #adopt(visitor: Visitor, cursor: Cursor): Promise<Entrance> {
    const entrance = await this.#openNew(visitor, cursor)
    if (entrance.kind === 'session') this.#options.arrived(visitor.transport, 'adopted')
    return entrance
  }

  // ---- new sessions -----------------------------------------------------------------------------------------------

  async #openNew(visitor: Visitor, cursor: Cursor | undefined): Promise<Entrance> {
    const { hub, refusal, positions } = this.#options
    const { identity, ip, transport } = visitor
    const { user } = identity
    const device = identity.device ?? ''
    const early = refusal()
    if (early !== undefined) return refused(early)
    const entry = await hub.enter(user)
    try {
      const start = cursor === undefined ? await this.#startOf(entry, device) : await this.#startAt(entry, cursor.epoch, cursor.inbox)
      // From here to `open` nothing waits, so that the limits hold.
      const older = device === '' ? [] : entry.sessions.filter((session) => session.device === device)
      const reason = hub.refusal(user, ip, older)
      if (reason !== undefined) return refused(reason)
      for (const session of older) session.close({ code: 'replaced', reason: 'a newer session of this device took over' })
      const { inbox } = start
      const options = { device, sinceMs: hub.now(), expiresAtMs: identity.expiresAtMs, inbox, base: 0 }
      const session = hub.open(entry, hub.newSessionId(), ip, transport, options)
      if (device !== '') hub.announceDevice(session)
      this.#connect(session, identity, NO_CONTEXT)
      if (start.gap) deliverGap(hub, session, 'reset')
      else if (cursor !== undefined) positions.record(user, device, { epoch: cursor.epoch, inbox })
      try {
        const { truncated } = await this.#catchUp(entry, session, start.reader)
        const recovered = cursor !== undefined && !start.gap && !truncated
        if (cursor !== undefined) this.#options.resumed(transport, recovered)
        return { kind: 'session', session, seen: 0, greeting: this.#hello(session, recovered) }
      } catch (error) {
        // Its client will never hear of it.
        session.close({ code: 'bus_unavailable', reason: 'history could not be read' })
        throw error
      }
    } finally {
      hub.settle(entry)
    }
  }

  async #startOf(entry: UserEntry, device: string): Promise<Start> {
    const position = await this.#options.positions.load(entry.user, device)
    return position === undefined ? { inbox: 0, gap: false, reader: 'newcomer' } : this.#startAt(entry, position.epoch, position.inbox)
  }

  async #startAt(entry: UserEntry, epoch: string, inbox: number): Promise<Start> {
    if (epoch !== entry.epoch) return { inbox: 0, gap: true, reader: 'newcomer' }
    if (inbox <= entry.tail) return { inbox, gap: false, reader: 'known' }
    // Ahead of what has reached this node: either that is on its way, or the store has lost its end.
    const { messages } = await this.#options.hub.bus.readBefore(entry.user, Number.POSITIVE_INFINITY, 1)
    const newest = messages.at(-1)?.seq ?? 0
    // The store may have been made anew meanwhile.
    return epoch === entry.epoch && inbox <= newest ? { inbox, gap: false, reader: 'known' } : { inbox: 0, gap: true, reader: 'newcomer' }
  }

  /** Its inbox has to be read. */
  read(session: Session): void {
    const entry = this.#options.hub.users.get(session.owner.user)
    if (entry !== undefined) this.#readOn(entry, session)
  }

  // ---- both -------------------------------------------------------------------------------------------------------

  #connect(session: Session, identity: Identity, context: Uint8Array): void {
    session.uplink = new Uplink(this.#options.uplinks, session, this.#claimsOf(identity), context)
    session.uplink.open()
  }

  #claim(session: Session, identity: Identity): void {
    session.uplink?.claim(this.#claimsOf(identity))
  }

  #claimsOf(identity: Identity): TopicClaims {
    if (identity.topics === undefined) return this.#options.anyTopic ? ANY_TOPIC : NO_TOPIC
    return { topics: identity.topics, any: false }
  }

  /** Reads what fits now; the rest, or all of it should that fail, as the client takes it. */
  async #catchUp(entry: UserEntry, session: Session, reader: Reader): Promise<{ readonly truncated: boolean }> {
    try {
      return await readHistory(this.#options.hub, entry, session, reader)
    } finally {
      this.#readOn(entry, session)
    }
  }

  #readOn(entry: UserEntry, session: Session): void {
    if (!session.isBehind || this.#reading.has(session)) return
    const { hub, onError } = this.#options
    this.#reading.add(session)
    keepReading(hub, entry, session)
      .catch((error) => {
        onError(error, 'reading history for a session')
        session.close({ code: 'internal', reason: 'history could not be read' })
      })
      .finally(() => this.#reading.delete(session))
  }

  #hello(session: Session, recovered: boolean): Outbound {
    const { pingSeconds, resumeSeconds } = this.#options
    return new Outbound({
      hello: { session: session.id, user: session.owner.user, device: session.device, recovered, pingSeconds, resumeSeconds },
    })
  }
}

/** Of tokens that say nothing of topics: shared, since most are such. */
const ANY_TOPIC: TopicClaims = { topics: [], any: true }
const NO_TOPIC: TopicClaims = { topics: [], any: false }

/**
 * A request whose client has given it up may be read after the connection that client made next. So before a stream is
 * displaced a little time is given for that to show.
 */
const DISPLACE_MS = 200

/** Nobody is there to hear it. */
const LEFT: Entrance = { kind: 'refused', reason: { code: 'done', reason: 'the client has left' } }

/** '': not a message. */
function messageId({ frame: { message } }: Outbound): string {
  return message == null ? '' : `${message.from} ${message.id}`
}

function isCarriedByStream(session: Session | undefined): boolean {
  return session?.kind === 'attached' && session.transport !== undefined && !isPoll(session.transport)
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

const NO_CONTEXT = new Uint8Array()

function isPoll(transport: Transport): boolean {
  return transport === 'keepalive' || transport === 'longpoll'
}

export function refused(reason: CloseReason): Extract<Entrance, { kind: 'refused' }> {
  return { kind: 'refused', reason }
}

/** Throws what is not the bus's. */
export function busRefusal(error: unknown): Extract<Entrance, { kind: 'refused' }> {
  if (!(error instanceof BusError)) throw error
  const { code } = error
  return refused(
    code === 'bad_user'
      ? { code: 'malformed', reason: error.message }
      : { code: 'bus_unavailable', reason: `the message bus: ${error.message}`, retryAfterMs: 2000 },
  )
}
