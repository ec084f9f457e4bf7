// Where XMPP clients come in once they have authenticated: with a resource they bound, or back to a session they had.

import { timingSafeEqual } from 'node:crypto'
import { v1 } from '../proto/messages.js'
import type { Transport } from './carrier.js'
import type { CloseReason } from './close-reason.js'
import { type Arrived, busRefusal, refused } from './door.js'
import { type Hub, splitSessionId } from './hub.js'
import { movedFrames } from './moved.js'
import { type Position, type Positions, XMPP_SHARED, xmppPositionKey } from './positions.js'
import type { RelayClient } from './relay.js'
import type { Session } from './session.js'
import { type TopicClaims, Uplink, type UplinkHost } from './uplink.js'
import type { UserEntry } from './user-entry.js'
import { XmppSession } from './xmpp-session.js'

export interface StreamDoorOptions {
  readonly hub: Hub
  readonly positions: Positions
  readonly relay: RelayClient
  readonly uplinks: UplinkHost
  /** Set while the node is going away. */
  refusal(): CloseReason | undefined
  /** The inbox has to be read for this session. */
  read(session: Session): void
  resumed(transport: Transport, recovered: boolean): void
  arrived: Arrived
}

/** Who has bound a resource. */
export interface StreamIdentity {
  readonly user: string
  readonly resource: string
  /** The server made the resource up. */
  readonly generated: boolean
  readonly language: string
  readonly claims: TopicClaims
  /** Milliseconds since the epoch; Infinity: never. */
  readonly expiresAtMs: number
}

export interface StreamVisitor extends StreamIdentity {
  readonly transport: Transport
  readonly ip: string
  /** What a worker returned of the session at a node that is not there any more; empty: a new session. */
  readonly context: Uint8Array
  /** How far what was sent to the resource had been handled when the session began there; undefined: a new session. */
  readonly own: Position | undefined
}

/** Somebody who wants to go on with a session after so many stanzas (XEP-0198 §5). */
export interface ResumeVisitor {
  readonly user: string
  /** The session id it was given. */
  readonly previous: string
  readonly handled: number
  /** Milliseconds since the epoch; Infinity: never. */
  readonly expiresAtMs: number
  readonly transport: Transport
  readonly ip: string
}

export type StreamEntrance =
  | { readonly kind: 'session'; readonly session: Session; readonly seen: number }
  | { readonly kind: 'refused'; readonly reason: CloseReason }

/** As StreamEntrance. `management`: of a session that came from another node, to be decoded; undefined: the session has it. */
export type Resumed =
  | { readonly kind: 'session'; readonly session: Session; readonly seen: number; readonly management: Uint8Array | undefined }
  | { readonly kind: 'refused'; readonly reason: CloseReason }

export class StreamDoor {
  readonly #options: StreamDoorOptions

  constructor(options: StreamDoorOptions) {
    this.#options = options
  }

  /** A new session. It reads the inbox when its client sends presence. */
  async open(visitor: StreamVisitor): Promise<StreamEntrance> {
    const { user, resource, ip, transport } = visitor
    const { hub } = this.#options
    try {
      const early = this.#options.refusal()
      if (early !== undefined) return refused(early)
      const entry = await hub.enter(user)
      try {
        const xmpp = await this.#xmppSession(entry, visitor)
        // From here to `open` nothing waits, so that the limits hold.
        const older = entry.sessions.filter((session) => session.device === resource)
        const reason = hub.refusal(user, ip, older)
        if (reason !== undefined) return refused(reason)
        for (const session of older) session.close({ code: 'replaced', reason: 'a newer session of this resource took over' })
        const inbox = Math.min(xmpp.positions.shared, xmpp.positions.own)
        const options = { device: resource, sinceMs: hub.now(), expiresAtMs: visitor.expiresAtMs, inbox, base: 0, xmpp }
        const session = hub.open(entry, hub.newSessionId(), ip, transport, options)
        hub.announceDevice(session)
        this.#connect(session, visitor.claims, visitor.context)
        if (visitor.own !== undefined) {
          this.#options.resumed(transport, true)
          this.#options.arrived(transport, 'adopted')
        }
        return { kind: 'session', session, seen: 0 }
      } finally {
        hub.settle(entry)
      }
    } catch (error) {
      return busRefusal(error)
    }
  }

  /** The session the client had, here or at another node. Refused as `unknown_session`: it has to bind anew. */
  async resume(visitor: ResumeVisitor): Promise<Resumed> {
    const { hub } = this.#options
    try {
      const early = this.#options.refusal()
      if (early !== undefined) return refused(early)
      // Under the name it was given first, wherever it has been since.
      const own = hub.users.get(visitor.user)?.sessions ?? []
      const session = own.find(({ xmpp }) => isSecret(visitor.previous, xmpp?.management?.id ?? ''))
      if (session !== undefined) return this.#resumeHere(visitor, session)
      const { ref, node } = splitSessionId(visitor.previous)
      const grave = hub.grave(ref)
      if (grave?.kind === 'moved') return await this.#take(visitor, grave.node, splitSessionId(grave.id).ref)
      return grave === undefined && node !== hub.node ? await this.#take(visitor, node, ref) : refused(UNKNOWN)
    } catch (error) {
      return busRefusal(error)
    }
  }

  /** A session of another node as it goes on here. Call with the entry entered. */
  rebuild(entry: UserEntry, visitor: Newcomer, moved: v1.MovedSession): Session {
    const { hub } = this.#options
    const { session: identity, shown, frame, inbox, generated, receptiveSince, own } = v1.MovedXmpp.create(moved.xmpp ?? {})
    const resource = identity?.resource ?? moved.device
    const positions = { shared: inbox, own }
    const xmpp = new XmppSession({ resource, generated, language: identity?.language ?? '', positions, tail: entry.tail })
    const { device, since } = moved
    const options = { device, sinceMs: since, expiresAtMs: visitor.expiresAtMs, inbox, base: frame, xmpp }
    const session = hub.open(entry, visitor.sessionId, visitor.ip, visitor.transport, options)
    session.status = moved.status
    session.note = moved.note
    for (const outbound of movedFrames(moved)) session.takeOver(outbound)
    if (shown != null) session.show(v1.XmppShown.create(shown))
    xmpp.receptiveSinceMs = receptiveSince
    this.#connect(session, NO_CLAIMS, moved.context)
    this.#options.resumed(visitor.transport, !moved.incomplete)
    this.#options.arrived(visitor.transport, 'fetched')
    return session
  }

  #resumeHere(visitor: ResumeVisitor, session: Session): Resumed {
    const { management } = session.xmpp ?? {}
    if (management === undefined) return refused(UNKNOWN)
    const at = management.frameOf(visitor.handled)
    if (at === undefined) return refused({ code: 'malformed', reason: 'more stanzas than were sent' })
    // What was trimmed is read from the inbox by a new session.
    if (!session.holdsAfter(at.frame)) return refused(UNKNOWN)
    session.extend(visitor.expiresAtMs)
    this.#options.resumed(visitor.transport, true)
    return { kind: 'session', session, seen: at.frame, management: undefined }
  }

  async #take(visitor: ResumeVisitor, node: string, ref: string): Promise<Resumed> {
    const { hub, relay } = this.#options
    const entry = await hub.enter(visitor.user)
    try {
      const full = hub.refusal(visitor.user, visitor.ip, [])
      if (full !== undefined) return refused(full)
      const sessionId = hub.newSessionId()
      const arrived = hub.expect(entry, visitor.ip)
      let answer: Awaited<ReturnType<RelayClient['move']>>
      try {
        const handled = { stanzas: visitor.handled, id: visitor.previous }
        answer = await relay.move(node, { user: visitor.user, session: ref, to: hub.node, as: sessionId, handled })
      } finally {
        // From here to `open` nothing waits.
        arrived()
      }
      if (answer === undefined) return refused(UNKNOWN)
      if ('code' in answer) return refused(answer)
      const moved = v1.MovedSession.create(answer)
      const session = this.rebuild(entry, { ...visitor, sessionId }, moved)
      const management = moved.xmpp?.streamManagement ?? new Uint8Array()
      return { kind: 'session', session, seen: moved.xmpp?.frame ?? 0, management }
    } finally {
      hub.settle(entry)
    }
  }

  #connect(session: Session, claims: TopicClaims, context: Uint8Array): void {
    session.uplink = new Uplink(this.#options.uplinks, session, claims, context)
    session.uplink.open()
  }

  async #xmppSession(entry: UserEntry, { resource, generated, language, own: began }: StreamVisitor): Promise<XmppSession> {
    const { positions } = this.#options
    const key = xmppPositionKey(resource)
    const [shared, known] = await Promise.all([
      positions.load(entry.user, XMPP_SHARED),
      key === undefined ? undefined : positions.load(entry.user, key),
    ])
    const { epoch, tail } = entry
    const own = known ?? began
    // A resource that was never there has missed nothing that was sent to it.
    const at = { shared: shared?.epoch === epoch ? shared.inbox : 0, own: own === undefined ? tail : own.epoch === epoch ? own.inbox : 0 }
    return new XmppSession({ resource, generated, language, positions: at, tail })
  }
}

interface Newcomer {
  readonly sessionId: string
  readonly expiresAtMs: number
  readonly transport: Transport
  readonly ip: string
}

/** XMPP has no topics. */
const NO_CLAIMS: TopicClaims = { topics: [], any: false }
const UNKNOWN: CloseReason = { code: 'unknown_session', reason: 'no such session', cause: 'never_existed' }

function isSecret(given: string, secret: string): boolean {
  const a = Buffer.from(given)
  const b = Buffer.from(secret)
  return a.length > 0 && a.length === b.length && timingSafeEqual(a, b)
}
