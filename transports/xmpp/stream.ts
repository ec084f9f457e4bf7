// An XMPP stream, whatever carries it: before there is a session its elements are negotiated with any c2s worker (features,
// SASL, resource binding), afterwards its stanzas go up through the session.

import { BusError } from '../../bus/bus.js'
import type { CloseReason } from '../../gateway/close-reason.js'
import type { Session } from '../../gateway/session.js'
import type { StreamIdentity } from '../../gateway/stream-door.js'
import { v1 } from '../../proto/messages.js'
import type { Element } from '../../proto/xml/element.js'
import { CLIENT_NS, CSI_NS } from '../../proto/xml/namespaces.js'
import { errorStanza, StanzaError } from '../../proto/xml/stanza-error.js'
import { overRate } from '../rate.js'
import type { StreamGateway } from './gateway.js'
import type { Stream, StreamEnd, StreamHeader, StreamRecord, StreamWire } from './wire.js'

type Item =
  | { readonly kind: 'header'; readonly header: StreamHeader }
  | { readonly kind: 'element'; readonly element: Element; readonly id: string; readonly handled: (() => void) | undefined }

type State =
  /** `arrived`: it waits no longer; undefined: it is not counted. */
  | { readonly kind: 'negotiating'; readonly deadline: NodeJS.Timeout; arrived: (() => void) | undefined }
  | { readonly kind: 'bound'; readonly session: Session; readonly identity: StreamIdentity }
  | { readonly kind: 'ended' }

/** Elements that may wait for the answer to the ones before. */
const QUEUE_LIMIT = 32
const RETRY_MS = 100
const NOTHING = new Uint8Array()

export class XmppStream implements Stream {
  readonly #gateway: StreamGateway
  readonly #wire: StreamWire
  #state: State
  #queue: Item[] = []
  #working: Promise<void> | undefined = undefined
  #context: Uint8Array = NOTHING
  #language = ''
  user: string | undefined = undefined
  /** When the client's token ends, in milliseconds since the epoch. */
  expiresAtMs = Number.POSITIVE_INFINITY

  constructor(gateway: StreamGateway, wire: StreamWire) {
    this.#gateway = gateway
    this.#wire = wire
    const deadline = setTimeout(() => this.#late(), gateway.authTimeoutMs)
    deadline.unref()
    this.#state = { kind: 'negotiating', deadline, arrived: gateway.waits(wire.ip) }
  }

  get session(): Session | undefined {
    return this.#state.kind === 'bound' ? this.#state.session : undefined
  }

  open(header: StreamHeader): void {
    this.#language = header.language
    this.#take({ kind: 'header', header })
  }

  receive(element: Element, id: string, handled?: () => void): void {
    this.#take({ kind: 'element', element, id, handled })
  }

  /** The stream goes on with a session that was there before (XEP-0198 §5), here or at another node. */
  resumed(session: Session): void {
    const { owner, xmpp } = session
    if (xmpp === undefined) return
    this.user = owner.user
    const { resource, generated, language } = xmpp
    this.#bound(session, { user: owner.user, resource, generated, language, claims: NO_CLAIMS, expiresAtMs: session.expiresAtMs })
  }

  /** Goes on with a session from another node, which its wire carries from now on. Right after it was made. */
  goOn({ session, identity }: Continued): void {
    this.user = identity.user
    this.#bound(session, identity)
    session.attach(this.#wire.bound(session), session.base, undefined)
  }

  get record(): StreamRecord | undefined {
    if (this.#state.kind !== 'bound') return undefined
    const { session, identity } = this.#state
    const { user, resource, generated, language, claims, expiresAtMs } = identity
    return {
      user,
      resource,
      generated,
      language,
      topics: claims.topics,
      anyTopic: claims.any,
      expires: Number.isFinite(expiresAtMs) ? expiresAtMs : 0,
      context: Buffer.from(session.uplink?.context ?? NOTHING).toString('base64'),
      own: { epoch: session.owner.epoch, inbox: session.xmpp?.positions.own ?? 0 },
    }
  }

  close(): void {
    if (this.#state.kind === 'bound') this.#state.session.close({ code: 'done', reason: 'the client ended the stream' })
    else this.abandon()
  }

  abandon(): void {
    if (this.#state.kind !== 'negotiating') return
    this.#arrive()
    clearTimeout(this.#state.deadline)
    this.#state = { kind: 'ended' }
    this.#queue = []
  }

  async idle(): Promise<void> {
    while (this.#working !== undefined) await this.#working
    await this.session?.uplink?.idle()
  }

  #take(item: Item): void {
    const state = this.#state
    if (state.kind === 'ended') return
    if (state.kind === 'bound' && this.#queue.length === 0) {
      this.#pass(state.session, item)
      return
    }
    if (this.#queue.length >= QUEUE_LIMIT) {
      this.#end('policy-violation', { code: 'rate_limited', reason: 'too much before there is a session' })
      return
    }
    this.#queue.push(item)
    this.#working ??= this.#work()
  }

  // ---- before there is a session ----------------------------------------------------------------------------------

  async #work(): Promise<void> {
    try {
      for (let item = this.#queue[0]; item !== undefined; item = this.#queue[0]) {
        if (this.#state.kind === 'bound') this.#pass(this.#state.session, item)
        else if (this.#state.kind === 'negotiating') await this.#negotiate(item)
        this.#queue.shift()
      }
    } catch (error) {
      this.#gateway.onError(error, 'an XMPP stream')
      this.#end('internal-server-error', { code: 'internal', reason: 'something went wrong here' })
    } finally {
      this.#working = undefined
    }
  }

  async #negotiate(item: Item): Promise<void> {
    const reply = await this.#ask(item)
    if (this.#state.kind !== 'negotiating') return
    if (reply === undefined) {
      this.#end('internal-server-error', { code: 'bus_unavailable', reason: 'nobody is there to answer', retryAfterMs: 2000 })
      return
    }
    this.#context = Uint8Array.from(reply.context)
    if (reply.user !== '') this.user = reply.user
    if (reply.expires !== 0) this.expiresAtMs = reply.expires
    if (reply.elements.length > 0) this.#wire.send(reply.elements.map(textOf))
    if (reply.streamError !== '')
      this.#end(reply.streamError, { code: codeOf(reply.streamError), reason: reply.errorText || reply.streamError })
    else if (reply.bound != null) await this.#bind(v1.StreamBound.create(reply.bound))
  }

  /** Asks until somebody answers; undefined: nobody did in time. */
  async #ask(item: Item): Promise<v1.StreamReply | undefined> {
    const { bus, c2sTimeoutMs } = this.#gateway
    const { transport, ip, secure } = this.#wire
    const what =
      item.kind === 'header' ? { open: { ...item.header, transport, secure } } : { element: Buffer.from(item.element.toString()) }
    const request = v1.StreamRequest.encode({ context: this.#context, ip, ...what }).finish()
    const deadlineMs = Date.now() + c2sTimeoutMs
    for (;;) {
      try {
        return v1.StreamReply.decode(await bus.request('c2s.xmpp', request, { timeoutMs: TRY_MS }))
      } catch (error) {
        if (!(error instanceof BusError)) throw error
        if (Date.now() + RETRY_MS >= deadlineMs || this.#state.kind !== 'negotiating') return undefined
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
      }
    }
  }

  async #bind(bound: v1.StreamBound): Promise<void> {
    const { user } = this
    if (user === undefined) throw new Error('a resource was bound for nobody')
    const identity = {
      user,
      resource: bound.resource,
      generated: bound.generated,
      language: this.#language,
      claims: { topics: bound.topics, any: bound.anyTopic && this.#gateway.anyTopic },
      expiresAtMs: bound.expires === 0 ? Number.POSITIVE_INFINITY : bound.expires,
    }
    const { transport, ip } = this.#wire
    this.#arrive()
    const entrance = await this.#gateway.streamDoor.open({ ...identity, transport, ip, context: NOTHING, own: undefined })
    if (entrance.kind === 'refused') {
      this.#gateway.refused(this.#wire.transport, entrance.reason)
      if (this.#state.kind === 'negotiating') {
        this.#state.arrived = this.#gateway.waits(ip)
        this.#wire.send([textOf(bound.failure)])
      }
      return
    }
    const { session } = entrance
    if (this.#state.kind !== 'negotiating') {
      session.close({ code: 'done', reason: 'the client left meanwhile' })
      return
    }
    this.#bound(session, identity)
    session.tell(bound.result)
    session.attach(this.#wire.bound(session), 0, undefined)
  }

  #bound(session: Session, identity: StreamIdentity): void {
    this.#arrive()
    if (this.#state.kind === 'negotiating') clearTimeout(this.#state.deadline)
    this.#state = { kind: 'bound', session, identity }
    session.onContext = () => this.#wire.changed?.()
  }

  /** Counted no longer: from here on its session is. */
  #arrive(): void {
    if (this.#state.kind !== 'negotiating') return
    this.#state.arrived?.()
    this.#state.arrived = undefined
  }

  #late(): void {
    this.#end('policy-violation', { code: 'unauthorized', reason: 'the client did not log in in time' })
  }

  #end(condition: string, reason: CloseReason): void {
    const state = this.#state
    if (state.kind === 'ended') return
    if (state.kind === 'bound') {
      state.session.close({ ...reason, streamError: condition })
      return
    }
    this.abandon()
    this.#gateway.refused(this.#wire.transport, reason)
    const end: StreamEnd = { condition, reason }
    this.#wire.end(end)
  }

  // ---- with a session ---------------------------------------------------------------------------------------------

  #pass(session: Session, item: Item): void {
    // A header after the session began asks for nothing (XEP-0206 §5 restarts a stream after authentication only).
    if (item.kind === 'header' || session.kind === 'closed') return
    const { element, id, handled } = item
    const refused = overRate(session, 1, this.#gateway.frameRate, Date.now())
    if (refused !== undefined) session.close({ ...refused, streamError: 'policy-violation' })
    else if (element.ns === CSI_NS && (element.name === 'active' || element.name === 'inactive')) session.clientState(element.name)
    else if (element.ns === CLIENT_NS && STANZAS.has(element.name)) this.#up(session, element, id, handled)
    else {
      const streamError = STANZAS.has(element.name) ? 'invalid-namespace' : 'unsupported-stanza-type'
      session.close({ code: 'malformed', reason: `no stanza: ${element.name}`, streamError })
    }
  }

  #up(session: Session, element: Element, id: string, handled: (() => void) | undefined): void {
    const xml = Buffer.from(element.toString())
    const taken = session.uplink?.submit({ stanza: { xml, id } }, (reply) => {
      if (!reply.ok) refuse(session, element, reply.error?.code === 'too_large' ? 'policy-violation' : 'internal-server-error')
      handled?.()
    })
    if (taken === true) return
    refuse(session, element, 'resource-constraint')
    if (handled !== undefined) queueMicrotask(handled)
  }
}

/** A session that goes on at this node, and who bound it. */
export interface Continued {
  readonly session: Session
  readonly identity: StreamIdentity
}

/** The session of a stream whose node has died, from its record. A reason: there can be none. */
export async function adoptedSession(
  gateway: StreamGateway,
  record: StreamRecord,
  transport: StreamWire['transport'],
  ip: string,
): Promise<Continued | CloseReason> {
  const { user, resource, generated, language, topics, anyTopic, expires, context, own } = record
  const claims = { topics, any: anyTopic }
  const identity = { user, resource, generated, language, claims, expiresAtMs: expires || Number.POSITIVE_INFINITY }
  const entrance = await gateway.streamDoor.open({ ...identity, transport, ip, context: Buffer.from(context, 'base64'), own })
  return entrance.kind === 'refused' ? entrance.reason : { session: entrance.session, identity }
}

const TRY_MS = 2000
const NO_CLAIMS = { topics: [], any: false }
const STANZAS = new Set(['message', 'presence', 'iq'])

function refuse(session: Session, stanza: Element, condition: 'policy-violation' | 'internal-server-error' | 'resource-constraint'): void {
  const answer = errorStanza(stanza, new StanzaError(condition, 'it could not be handed on; try again'))
  if (answer !== undefined) session.tell(Buffer.from(answer.toString()))
}

/** What a worker says is no news to the log: it is the client's doing, or the worker reported it. */
function codeOf(condition: string): CloseReason['code'] {
  switch (condition) {
    case 'not-authorized':
      return 'unauthorized'
    case 'policy-violation':
      return 'rate_limited'
    case 'host-unknown':
      return 'not_found'
    case 'internal-server-error':
      return 'internal'
    default:
      return 'malformed'
  }
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString()
}
