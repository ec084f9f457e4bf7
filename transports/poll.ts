// GET and POST /poll: a held request that answers as soon as there is a frame. A client that closes its connection each
// time is long-polling; one that keeps it has a keep-alive long connection. Also polls that other nodes relay to here.

import { randomBytes } from 'node:crypto'
import type { Identity } from '../gateway/auth/authenticator.js'
import { type Carrier, type Delivery, uncounted, type Written } from '../gateway/carrier.js'
import type { CloseReason } from '../gateway/close-reason.js'
import type { Return } from '../gateway/door.js'
import { splitSessionId } from '../gateway/hub.js'
import { Outbound } from '../gateway/outbound.js'
import { absent, noReturn, refusal } from '../gateway/relay.js'
import type { Session } from '../gateway/session.js'
import type { Parsed } from '../proto/client-frame.js'
import { parseCursor, userTag } from '../proto/cursor.js'
import type { v1 } from '../proto/messages.js'
import { answerJson, answerProblem, EMPTY_HEAD } from './answers.js'
import { readFrames } from './body.js'
import type { Gateway } from './client-port.js'
import type { Headers } from './cors.js'
import { jsonHead, jsonTail } from './dialects/json.js'
import type { Exchange, ExchangeOwner } from './engine/engine.js'
import { overRate } from './rate.js'
import type { Visit } from './visit.js'

const WAIT_SECONDS = { default: 25, most: 120 }
/** A session that moves on while it is looked for is followed this often. */
const HOPS_LIMIT = 3

/** What a poll comes to. */
type Answer = { readonly body: Buffer | string; readonly close?: boolean } | { readonly refused: CloseReason }

/** A poll as it was asked, here or at another node. */
interface Poll {
  readonly transport: 'keepalive' | 'longpoll'
  readonly waitMs: number
  readonly frames: readonly Parsed[]
  /** Of the body that the frames came in. */
  readonly bytes: number
}

export class Polls {
  readonly #gateway: Gateway
  /** Polls held for other nodes, by the id of their relay. */
  readonly #relayed = new Map<string, RelayedPoll>()

  constructor(gateway: Gateway) {
    this.#gateway = gateway
  }

  poll(visit: Visit, exchange: Exchange): void {
    const request = new PollRequest(this.#gateway, exchange, visit)
    request.whenBody = (body) => {
      this.#find(visit, request, body)
        // A held poll is answered by its session; nothing of all this is kept meanwhile.
        .then((answer) => answer !== 'held' && request.settle(answer))
        .catch((error) => {
          this.#gateway.onError(error, 'answering a poll')
          request.settle({ refused: { code: 'internal', reason: 'something went wrong here' } })
        })
    }
    exchange.owner = request
    if (visit.method === 'POST') exchange.readBody(this.#gateway.maxBodyBytes)
    else request.onBody(exchange, EMPTY)
  }

  /** DELETE: the client is done with its session. */
  end(visit: Visit, exchange: Exchange): void {
    exchange.owner = { onGone: () => undefined }
    this.#end(visit)
      .then((reason) => {
        if (exchange.gone) return
        if (reason === undefined) exchange.respond(EMPTY_HEAD, null, visit.cors)
        else answerProblem(exchange, reason, visit.cors)
      })
      .catch((error) => {
        this.#gateway.onError(error, 'ending a session')
        if (!exchange.gone) answerProblem(exchange, { code: 'internal', reason: 'something went wrong here' }, visit.cors)
      })
  }

  /** A poll that reached another node. */
  async relayed(poll: v1.RelayPoll): Promise<v1.RelayReply.$Properties> {
    const { hub, door, maxFrameBytes } = this.#gateway
    const ref = refOf(poll.cursor)
    if (ref === undefined || hub.session(ref) === undefined) return noReturn(hub, ref ?? '')
    const frames = poll.body.length === 0 ? [] : readFrames(poll.body, maxFrameBytes)
    if (frames === undefined) return refusal({ code: 'malformed', reason: 'the body is not JSON' })
    const transport = poll.closing ? 'longpoll' : 'keepalive'
    const expiresAtMs = poll.tokenExpires === 0 ? Number.POSITIVE_INFINITY : poll.tokenExpires
    const topics = poll.anyTopics ? undefined : poll.topics
    const identity: Identity = { user: poll.user, topics, expiresAtMs }
    const relayed = new RelayedPoll()
    this.#relayed.set(poll.id, relayed)
    try {
      const entrance = await door.enter({ identity, cursor: poll.cursor, transport, ip: '', gone: () => relayed.gone })
      if (entrance.kind === 'refused') return refusal(entrance.reason)
      if (entrance.kind === 'elsewhere') return absent(hub, ref)
      const { session, seen, greeting } = entrance
      if (relayed.gone) return {}
      const answer = await new Promise<Answer>((resolve) => {
        const carrier = new PollCarrier(this.#gateway, transport, hub.now() + poll.waitMs, poll.cursor, { settle: resolve })
        relayed.whenGone = () => {
          session.detach(carrier)
          carrier.abandon()
        }
        this.#carry(session, carrier, seen, greeting, { transport, waitMs: poll.waitMs, frames, bytes: poll.body.length })
      })
      return 'refused' in answer ? refusal(answer.refused) : { body: Buffer.from(answer.body) }
    } finally {
      this.#relayed.delete(poll.id)
    }
  }

  /** The client of a relayed poll has gone. */
  cancel(id: string): void {
    this.#relayed.get(id)?.cancel()
  }

  async #find(visit: Visit, request: PollRequest, body: Buffer | null): Promise<Answer | 'held'> {
    const { maxBodyBytes, maxFrameBytes } = this.#gateway
    if (body === null) return { refused: { code: 'too_large', reason: `a body has at most ${maxBodyBytes} bytes` } }
    const waitMs = waitOf(visit)
    if (waitMs === undefined) return { refused: { code: 'malformed', reason: '`wait` is a number of seconds' } }
    const frames = body.length === 0 ? [] : readFrames(body, maxFrameBytes)
    if (frames === undefined) return { refused: { code: 'malformed', reason: 'the body is not JSON' } }
    const identity = await this.#gateway.identify(visit)
    if ('code' in identity) return { refused: identity }
    const poll: Poll = {
      transport: visit.closing ? 'longpoll' : 'keepalive',
      waitMs: visit.cursor === undefined ? 0 : waitMs,
      frames,
      bytes: body.length,
    }
    return this.#enter(visit, request, identity, poll, body)
  }

  async #enter(visit: Visit, request: PollRequest, identity: Identity, poll: Poll, body: Buffer): Promise<Answer | 'held'> {
    const { door, hub, relay } = this.#gateway
    let { cursor } = visit
    let how: Return = 'relay'
    for (let hops = 0; hops < HOPS_LIMIT; hops++) {
      const entrance = await door.enter({ identity, cursor, transport: poll.transport, ip: visit.ip, gone: () => request.gone }, how)
      if (entrance.kind === 'refused') return { refused: entrance.reason }
      if (entrance.kind === 'session') {
        if (request.gone) return { body: '' }
        const { session, seen, greeting } = entrance
        const carrier = new PollCarrier(this.#gateway, poll.transport, hub.now() + poll.waitMs, cursor ?? session.cursor, request)
        request.held = { session, carrier }
        this.#carry(session, carrier, seen, greeting, poll)
        return 'held'
      }
      const { node } = entrance
      const id = randomBytes(9).toString('base64url')
      request.whenGone = () => {
        relay.cancel(node, id).catch((error) => this.#gateway.onError(error, 'cancelling a relayed poll'))
      }
      const relayed = await relay.poll(node, {
        id,
        user: identity.user,
        cursor: entrance.cursor,
        waitMs: poll.waitMs,
        body,
        tokenExpires: Number.isFinite(identity.expiresAtMs) ? identity.expiresAtMs : 0,
        closing: poll.transport === 'longpoll',
        topics: [...(identity.topics ?? [])],
        anyTopics: identity.topics === undefined,
      })
      request.whenGone = undefined
      switch (relayed.kind) {
        case 'answer':
          return { body: Buffer.from(relayed.reply.body) }
        case 'lost':
          how = 'adopt'
          continue
        case 'moved':
          cursor = withRef(entrance.cursor, relayed.ref)
          continue
        case 'refused':
          if (relayed.reason.code !== 'draining') return { refused: relayed.reason }
          how = 'take'
          continue
      }
    }
    return { refused: { code: 'overloaded', reason: 'the session is on the move; try again', retryAfterMs: 1000 } }
  }

  /** Hands the frames over and holds the poll. */
  #carry(
    session: Session,
    carrier: PollCarrier,
    seen: number,
    greeting: Outbound | undefined,
    { transport, frames, bytes, waitMs }: Poll,
  ): void {
    const { hub, intake, frameRate, received } = this.#gateway
    const nowMs = hub.now()
    if (frames.length > 0) received(transport, frames.length, bytes)
    const refused = frames.length === 0 ? undefined : overRate(session, frames.length, frameRate, nowMs)
    if (refused !== undefined) {
      carrier.end(refused)
      return
    }
    for (const parsed of frames) {
      intake.receive(session, parsed, (reply) => {
        if (reply.ref) session.deliver(new Outbound({ reply }))
      })
    }
    session.attach(carrier, seen, greeting)
    if (waitMs === 0 && session.isCarriedBy(carrier)) session.tick(nowMs)
  }

  async #end(visit: Visit): Promise<CloseReason | undefined> {
    const { hub, relay } = this.#gateway
    const identity = await this.#gateway.identify(visit)
    if ('code' in identity) return identity
    const cursor = parseCursor(visit.cursor ?? '')
    if (cursor === undefined) return { code: 'malformed', reason: 'a cursor names the session to end' }
    if (cursor.userTag !== userTag(identity.user)) return { code: 'forbidden', reason: 'that is a cursor of another user' }
    const { at } = cursor
    const unknown: CloseReason = { code: 'unknown_session', reason: 'no such session', cause: 'never_existed' }
    if (at === undefined) return unknown
    const ref = `${at.node}.${at.session}`
    const session = hub.session(ref)
    if (session !== undefined && session.owner.user === identity.user) {
      session.ack(at.frame)
      session.close({ code: 'done', reason: 'the client ended it' })
      return undefined
    }
    const grave = hub.grave(ref)
    if (grave?.kind === 'ended') return { ...unknown, cause: grave.cause }
    // Taken from the node that has it, and not gone on with.
    const node = grave?.node ?? at.node
    const there = grave === undefined ? ref : splitSessionId(grave.id).ref
    const move = { user: identity.user, session: there, to: hub.node, as: hub.newSessionId(), frame: at.frame }
    const moved = node === hub.node ? undefined : await relay.move(node, move)
    if (moved !== undefined && 'code' in moved) return { ...unknown, cause: 'closed' }
    return moved === undefined ? { ...unknown, cause: 'node_lost' } : undefined
  }
}

/** A poll on behalf of another node. */
class RelayedPoll {
  gone = false
  whenGone: (() => void) | undefined = undefined

  cancel(): void {
    this.gone = true
    this.whenGone?.()
  }
}

const EMPTY = Buffer.alloc(0)

/** Where the answer of a poll goes. */
interface Asker {
  settle(answer: Answer): void
}

/** The HTTP side of a poll: its body, its client leaving, its answer. */
class PollRequest implements ExchangeOwner, Asker {
  readonly #gateway: Gateway
  readonly #exchange: Exchange
  readonly #cors: Headers
  readonly #closing: boolean
  whenBody: ((body: Buffer | null) => void) | undefined = undefined
  /** While another node is asked. */
  whenGone: (() => void) | undefined = undefined
  held: { readonly session: Session; readonly carrier: PollCarrier } | undefined = undefined

  constructor(gateway: Gateway, exchange: Exchange, { cors, closing }: Visit) {
    this.#gateway = gateway
    this.#exchange = exchange
    this.#cors = cors
    this.#closing = closing
  }

  get gone(): boolean {
    return this.#exchange.gone
  }

  onBody(_exchange: Exchange, body: Buffer | null): void {
    const { whenBody } = this
    this.whenBody = undefined
    whenBody?.(body)
  }

  onGone(): void {
    this.whenGone?.()
    this.held?.session.detach(this.held.carrier)
  }

  settle(answer: Answer): void {
    if (this.gone) return
    if ('refused' in answer) {
      this.#gateway.refused(this.#closing ? 'longpoll' : 'keepalive', answer.refused)
      answerProblem(this.#exchange, answer.refused, this.#cors)
    } else answerJson(this.#exchange, answer.body, this.#cors, this.#closing || answer.close === true)
  }
}

/** One held request. Its first write answers it. */
class PollCarrier implements Carrier {
  readonly transport: 'keepalive' | 'longpoll'
  readonly expiresAtMs: number
  readonly #gateway: Gateway
  /** What the client gave: what it keeps when there is nothing. */
  readonly #cursor: string
  #asker: Asker | undefined

  constructor(gateway: Gateway, transport: 'keepalive' | 'longpoll', expiresAtMs: number, cursor: string, asker: Asker) {
    this.#gateway = gateway
    this.transport = transport
    this.expiresAtMs = expiresAtMs
    this.#cursor = cursor
    this.#asker = asker
  }

  write(batch: readonly Delivery[]): Written {
    if (this.#asker === undefined) return 'gone'
    const body = encodePoll(batch, this.#cursor)
    this.#gateway.sentBytes(this.transport, body.length)
    this.#settle({ body })
    return 'spent'
  }

  ping(): Written {
    this.release()
    return 'spent'
  }

  release(): void {
    this.#settle({ body: encodePoll([], this.#cursor) })
  }

  end(reason: CloseReason): void {
    if (reason.code !== 'draining') {
      this.#settle({ refused: reason })
      return
    }
    const drain = new Outbound({ drain: { retryAfterMs: reason.retryAfterMs ?? 0 } })
    // The next request must find another node.
    this.#settle({ body: encodePoll([uncounted(drain, this.#cursor)], this.#cursor), close: true })
  }

  /** Nobody waits for the answer any more. */
  abandon(): void {
    this.#settle({ body: '' })
  }

  #settle(answer: Answer): void {
    const asker = this.#asker
    this.#asker = undefined
    asker?.settle(answer)
  }
}

/** `{"cursor":…,"frames":[…]}` */
function encodePoll(batch: readonly Delivery[], cursor: string): Buffer {
  const lead = `{"cursor":"${batch.at(-1)?.cursor ?? cursor}","frames":[`
  const parts: Buffer[] = [Buffer.from(lead, 'latin1')]
  for (const [i, delivery] of batch.entries()) {
    if (i > 0) parts.push(COMMA)
    parts.push(jsonHead(delivery.outbound), Buffer.from(jsonTail(delivery.cursor), 'latin1'))
  }
  parts.push(END)
  return Buffer.concat(parts)
}

const COMMA = Buffer.from(',')
const END = Buffer.from(']}')

/** Undefined: not a number. */
function waitOf(visit: Visit): number | undefined {
  const text = visit.params.get('wait')
  if (text === null) return WAIT_SECONDS.default * 1000
  if (!/^-?\d+(\.\d+)?$/.test(text)) return undefined
  return Math.round(Math.min(Math.max(Number(text), 0), WAIT_SECONDS.most) * 1000)
}

function refOf(cursor: string): string | undefined {
  const at = parseCursor(cursor)?.at
  return at === undefined ? undefined : `${at.node}.${at.session}`
}

/** The same cursor for a session under another ref. */
function withRef(cursor: string, ref: string): string {
  const [user = '', epoch = '', inbox = '', , , frame = ''] = cursor.split('.')
  return `${user}.${epoch}.${inbox}.${ref}.${frame}`
}
