// BOSH sessions in a cluster: any node takes the requests of any session. A request is relayed to the node that has the session;
// when that node is dead the session is adopted, and a node that goes away hands its sessions over.

import { randomBytes } from 'node:crypto'
import { BusError } from '../../bus/bus.js'
import { forEachLimited } from '../../bus/for-each-limited.js'
import type { CloseReason } from '../../gateway/close-reason.js'
import type { Hub } from '../../gateway/hub.js'
import { encodeMoved } from '../../gateway/moved.js'
import { type RelayClient, refusal } from '../../gateway/relay.js'
import { v1 } from '../../proto/messages.js'
import type { StreamGateway } from '../xmpp/gateway.js'
import { adoptedSession, type Continued, XmppStream } from '../xmpp/stream.js'
import type { StreamRecord, StreamWire } from '../xmpp/wire.js'
import type { Asker, AskerHolder, BoshAnswer } from './asker.js'
import type { BoshPort, BoshVisit, Elsewhere } from './bosh-port.js'
import { type BoshSnapshot, decodeSnapshot, encodeSnapshot } from './bosh-record.js'
import { type BoshRecords, type Found, streamsOf } from './bosh-records.js'
import type { BoshSession } from './bosh-session.js'
import type { BoshSessions } from './bosh-sessions.js'

export interface BoshClusterOptions {
  readonly hub: Hub
  readonly relay: RelayClient
  readonly records: BoshRecords
  readonly gateway: StreamGateway
  readonly sessions: BoshSessions
  /** How long a request may be held. */
  readonly holdMs: number
  /** Other gateways, by address. */
  peers(): readonly string[]
  /** Set while this node is going away: it takes no session any more. */
  leaving(): CloseReason | undefined
}

/** A session that moves on while it is looked for is followed this often. */
const HOPS_LIMIT = 4
const OWNERS_LIMIT = 10_000
/** In place of an HTTP status: the connection is closed without a word. */
const DROP_STATUS = 1
const IDLE_MS = 1000
/** Sessions that are handed over at a time. */
const MOVES = 32

/** What MoveBosh carries. */
interface MovedBosh {
  readonly snapshot: string
  readonly streams: readonly { readonly name: string; readonly record: StreamRecord; readonly moved: string }[]
}

export class BoshCluster {
  readonly #options: BoshClusterOptions
  /** Where sessions are that are not where their sid says. */
  readonly #owners = new Map<string, string>()
  /** Requests held for other nodes, by the id of their relay. */
  readonly #relayed = new Map<string, RelayAsker>()
  readonly #adoptions = new Map<string, Promise<'here' | 'lost'>>()
  /** Sessions on their way to another node: who asks for one has to wait until it is there. */
  readonly #moves = new Map<string, Promise<void>>()
  /** Sessions that no other node would take: they can be had from their records, as those of a dead node. */
  readonly #abandoned = new Set<string>()

  constructor(options: BoshClusterOptions) {
    this.#options = options
  }

  /** See BoshPortOptions. */
  async elsewhere(visit: BoshVisit): Promise<Elsewhere> {
    if (!/^[\w-]{8}\.[0-9a-z]{1,11}\.[\w-]{22}$/.test(visit.sid)) return 'absent'
    try {
      return await this.#find(visit)
    } catch (error) {
      if (!(error instanceof BusError)) throw error
      // The session may well be there: its client repeats what was not answered.
      visit.asker.settle('drop')
      return 'settled'
    }
  }

  async #find(visit: BoshVisit): Promise<Elsewhere> {
    const { hub, relay, records, holdMs, leaving } = this.#options
    const { sid, asker } = visit
    await this.#moves.get(sid)
    let node = this.#owners.get(sid) ?? nodeOf(sid)
    for (let hops = 0; hops < HOPS_LIMIT; hops++) {
      if (this.#options.sessions.get(sid) !== undefined) return 'here'
      const relayed = node === hub.node ? undefined : await this.#relay(node, visit, holdMs)
      if (relayed?.kind === 'answer') {
        asker.settle(answerOf(relayed.reply))
        return 'settled'
      }
      if (relayed?.kind === 'refused') {
        // Its client repeats what was not answered.
        asker.settle('drop')
        return 'settled'
      }
      if (relayed?.kind === 'moved') {
        node = this.#owner(sid, relayed.node)
        continue
      }
      if (relayed !== undefined && relayed.cause === 'node_lost') relay.gone(node)
      const found = await records.find(sid)
      if (found === undefined) return 'absent'
      const { owner } = found.stored
      if (owner !== node && owner !== hub.node) node = this.#owner(sid, owner)
      else if (leaving() !== undefined) break
      // Whoever has it, or had it, says that it has ended.
      else if (relayed === undefined ? !this.#adoptions.has(sid) : relayed.cause !== 'node_lost') return 'absent'
      else if ((await this.#adopt(sid, found)) === 'here') return 'here'
    }
    asker.settle('drop')
    return 'settled'
  }

  /** A request that came to another node. */
  async answer({ id, sid, body, ip, secure }: v1.RelayBosh, port: BoshPort): Promise<v1.RelayReply.$Properties> {
    const asker = new RelayAsker()
    this.#relayed.set(id, asker)
    try {
      await this.#moves.get(sid)
      const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength)
      if (!port.relayed({ sid, body: bytes, origin: { ip, secure }, asker })) return this.#absent(sid)
      const answer = await asker.answered
      return answer === 'drop' ? { status: DROP_STATUS } : { ...answer, body: Buffer.from(answer.body) }
    } finally {
      this.#relayed.delete(id)
    }
  }

  /** The client of a relayed request has gone. */
  cancel(id: string): void {
    this.#relayed.get(id)?.leave()
  }

  /** Hands every session over to another node, if there is one. */
  async handOver(): Promise<void> {
    const { sessions, peers, gateway } = this.#options
    const nodes = peers()
    if (nodes.length === 0) return
    await forEachLimited([...sessions.all].entries(), MOVES, ([i, session]) => {
      const first = i % nodes.length
      const move = this.#move(session, [...nodes.slice(first), ...nodes.slice(0, first)])
        .catch((error) => gateway.onError(error, 'handing a BOSH session over'))
        .finally(() => this.#moves.delete(session.sid))
      this.#moves.set(session.sid, move)
      return move
    })
  }

  /** A session that another node hands over. */
  async take(state: Uint8Array): Promise<v1.RelayReply.$Properties> {
    const { sessions, records, leaving } = this.#options
    const reason = leaving()
    if (reason !== undefined) return refusal(reason)
    const { snapshot: text, streams } = JSON.parse(Buffer.from(state).toString()) as MovedBosh
    const snapshot = decodeSnapshot(Buffer.from(text))
    if (snapshot === undefined) return refusal({ code: 'malformed', reason: 'a session of another version' })
    const continued = new Map<string, Continued>()
    for (const { name, record, moved } of streams) continued.set(name, await this.#rebuild(snapshot, record, Buffer.from(moved, 'base64')))
    records.note(sessions.restore(snapshot, (wire, name) => this.#stream(wire, continued.get(name))))
    return {}
  }

  async #relay(node: string, { sid, body, origin, asker }: BoshVisit, holdMs: number) {
    const { relay, gateway } = this.#options
    const id = randomBytes(9).toString('base64url')
    asker.holder = {
      askerGone: () => {
        relay.cancel(node, id).catch((error) => gateway.onError(error, 'cancelling a relayed BOSH request'))
      },
    }
    const relayed = await relay.bosh(node, { id, sid, body, ip: origin.ip, secure: origin.secure }, holdMs)
    asker.holder = undefined
    return relayed
  }

  #owner(sid: string, node: string): string {
    this.#owners.delete(sid)
    this.#owners.set(sid, node)
    if (this.#owners.size > OWNERS_LIMIT) {
      const [oldest] = this.#owners.keys()
      if (oldest !== undefined) this.#owners.delete(oldest)
    }
    return node
  }

  #absent(sid: string): v1.RelayReply.$Properties {
    const owner = this.#owners.get(sid)
    if (owner !== undefined && owner !== this.#options.hub.node) return { movedTo: owner }
    if (this.#abandoned.has(sid)) return refusal({ code: 'unknown_session', reason: 'no such session', cause: 'node_lost' })
    return refusal({ code: 'unknown_session', reason: 'no such session', cause: 'closed' })
  }

  /** Once at a time a session. `lost`: another node was faster, or nothing can be gone on with. */
  async #adopt(sid: string, found: Found): Promise<'here' | 'lost'> {
    const underWay = this.#adoptions.get(sid)
    if (underWay !== undefined) return underWay
    const adoption = this.#claim(sid, found).finally(() => this.#adoptions.delete(sid))
    this.#adoptions.set(sid, adoption)
    return adoption
  }

  async #claim(sid: string, found: Found): Promise<'here' | 'lost'> {
    const { records, sessions, gateway } = this.#options
    const revision = await records.claim(sid, found)
    if (revision === undefined) return 'lost'
    const { record, streams } = found.stored
    const continued = new Map<string, Continued>()
    for (const { name, record: stream } of streams) {
      const session = await adoptedSession(gateway, stream, 'bosh', record.terms.ip)
      if ('identity' in session) continued.set(name, session)
      else gateway.refused('bosh', session)
    }
    if (continued.size === 0) return 'lost'
    const names = new Set(continued.keys())
    const kept = { ...record, streams: record.streams.filter(({ name }) => names.has(name)) }
    const session = sessions.adopt(kept, (wire, name) => this.#stream(wire, continued.get(name)))
    records.own(session, revision)
    this.#owner(sid, this.#options.hub.node)
    return 'here'
  }

  #stream(wire: StreamWire, continued: Continued | undefined): XmppStream {
    const stream = new XmppStream(this.#options.gateway, wire)
    if (continued !== undefined) stream.goOn(continued)
    return stream
  }

  /** To the first of these nodes that takes it. */
  async #move(bosh: BoshSession, nodes: readonly string[]): Promise<void> {
    const { hub, sessions, records, gateway } = this.#options
    await Promise.race([
      Promise.all(bosh.streams.map((stream) => stream.idle())),
      new Promise((resolve) => setTimeout(resolve, IDLE_MS).unref()),
    ])
    const stored = streamsOf(bosh)
    const live = new Map(bosh.streams.map(({ name, session }) => [name, session]))
    // From here to the request nothing waits.
    const snapshot = sessions.moveAway(bosh.sid)
    if (snapshot === undefined) return
    const streams = stored.flatMap(({ name, record }) => {
      const session = live.get(name)
      return session === undefined ? [] : [{ name, record, session }]
    })
    const body: MovedBosh = {
      snapshot: Buffer.from(encodeSnapshot(snapshot)).toString(),
      streams: streams.map(({ name, record, session }) => {
        const moved = v1.MovedSession.encode(encodeMoved(session, session.base)).finish()
        return { name, record, moved: Buffer.from(moved).toString('base64') }
      }),
    }
    const taken = await this.#offer(Buffer.from(JSON.stringify(body)), nodes)
    // Whoever takes it up from its record writes of it.
    records.leave(bosh)
    if (typeof taken === 'string') {
      this.#owner(bosh.sid, taken)
      for (const { session } of streams) hub.moved(session, taken, '')
      return
    }
    gateway.refused('bosh', taken)
    this.#abandoned.add(bosh.sid)
    for (const { session } of streams) session.close({ code: 'replaced', reason: 'the session goes on at another node' })
  }

  /** The node that took it, or why none did. */
  async #offer(state: Uint8Array, nodes: readonly string[]): Promise<string | CloseReason> {
    let refused: CloseReason = { code: 'draining', reason: 'there is no other node' }
    for (const node of nodes) {
      const reason = await this.#options.relay.moveBosh(node, state)
      if (reason === undefined) return node
      refused = reason
      // One that did not answer may have taken it.
      if (reason.code !== 'draining') break
    }
    return refused
  }

  async #rebuild(snapshot: BoshSnapshot, record: StreamRecord, moved: Uint8Array): Promise<Continued> {
    const { hub, gateway } = this.#options
    const entry = await hub.enter(record.user)
    try {
      const expiresAtMs = record.expires || Number.POSITIVE_INFINITY
      const visitor = { sessionId: hub.newSessionId(), expiresAtMs, transport: 'bosh' as const, ip: snapshot.record.terms.ip }
      const session = gateway.streamDoor.rebuild(entry, visitor, v1.MovedSession.decode(moved))
      return { session, identity: { ...record, claims: { topics: record.topics, any: record.anyTopic }, expiresAtMs } }
    } finally {
      hub.settle(entry)
    }
  }
}

/** The near side of a request that another node relays. */
class RelayAsker implements Asker {
  gone = false
  holder: AskerHolder | undefined = undefined
  readonly answered: Promise<BoshAnswer | 'drop'>
  #resolve: (answer: BoshAnswer | 'drop') => void = () => {}

  constructor() {
    this.answered = new Promise((resolve) => {
      this.#resolve = resolve
    })
  }

  settle(answer: BoshAnswer | 'drop'): void {
    this.#resolve(answer)
  }

  leave(): void {
    if (this.gone) return
    this.gone = true
    const { holder } = this
    this.holder = undefined
    holder?.askerGone(this)
    this.#resolve('drop')
  }
}

function nodeOf(sid: string): string {
  return sid.slice(0, sid.indexOf('.'))
}

function answerOf({ status, contentType, body }: v1.RelayReply): BoshAnswer | 'drop' {
  return status === DROP_STATUS ? 'drop' : { status, contentType, body, close: false }
}
