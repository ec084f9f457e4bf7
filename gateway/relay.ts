// Between gateways: requests for a session that another node holds, and sessions that change their node.

import { type Bus, BusError, type Unsubscribe } from '../bus/bus.js'
import { v1 } from '../proto/messages.js'
import { type CloseReason, isReasonCode, type SessionCause } from './close-reason.js'
import { type Hub, splitSessionId } from './hub.js'
import { encodeMoved } from './moved.js'
import type { Session } from './session.js'

/**
 * What the other node said. `lost`: it is not there any more, or does not know the session. `moved`: it is at `node` now,
 * under `ref`.
 */
export type Relayed =
  | { readonly kind: 'answer'; readonly reply: v1.RelayReply }
  | { readonly kind: 'moved'; readonly node: string; readonly ref: string }
  | { readonly kind: 'lost'; readonly cause: SessionCause }
  | { readonly kind: 'refused'; readonly reason: CloseReason }

/** What was asked of another node, and what came of it: told to metrics. */
export type RelayKind = 'poll' | 'send' | 'cancel' | 'move' | 'bosh' | 'bosh_move'
export type RelayCounter = (kind: RelayKind, outcome: Relayed['kind']) => void

const MARGIN_MS = 5000
/** How many nodes a session is followed to. */
const MOVES_LIMIT = 4

export class RelayClient {
  readonly #bus: Bus
  readonly #timeoutMs: number
  readonly #count: RelayCounter
  /** Held requests at other nodes, by node: what ends them when the node has gone. */
  readonly #held = new Map<string, Set<() => void>>()

  constructor(bus: Bus, timeoutMs: number, count: RelayCounter) {
    this.#bus = bus
    this.#timeoutMs = timeoutMs
    this.#count = count
  }

  /** A held poll; answered after its wait at the latest. */
  poll(node: string, poll: v1.RelayPoll.$Properties): Promise<Relayed> {
    return this.#ask(node, 'poll', { poll }, (poll.waitMs ?? 0) + MARGIN_MS)
  }

  /** A BOSH request; answered within `holdMs`. Lost as soon as the node is known to have gone. */
  async bosh(node: string, bosh: v1.RelayBosh.$Properties, holdMs: number): Promise<Relayed> {
    let whenGone = () => {}
    const gone = new Promise<Relayed>((resolve) => {
      whenGone = () => resolve({ kind: 'lost', cause: 'node_lost' })
    })
    const held = this.#held.get(node) ?? new Set()
    this.#held.set(node, held.add(whenGone))
    try {
      return await Promise.race([this.#ask(node, 'bosh', { bosh }, holdMs + MARGIN_MS), gone])
    } finally {
      held.delete(whenGone)
      if (held.size === 0 && this.#held.get(node) === held) this.#held.delete(node)
    }
  }

  /** Hands a BOSH session over. Undefined: the other node has it. */
  async moveBosh(node: string, state: Uint8Array): Promise<CloseReason | undefined> {
    const answer = await this.#ask(node, 'bosh_move', { moveBosh: { state } }, this.#timeoutMs)
    if (answer.kind === 'answer') return undefined
    return answer.kind === 'refused'
      ? answer.reason
      : { code: 'bus_unavailable', reason: 'the other node did not answer', retryAfterMs: 1000 }
  }

  /** The node is not there any more: nothing it holds will be answered. */
  gone(node: string): void {
    for (const whenGone of this.#held.get(node) ?? []) whenGone()
  }

  send(node: string, send: v1.RelaySend.$Properties): Promise<Relayed> {
    // The other node answers, if with bus_unavailable, when its own time is over.
    return this.#ask(node, 'send', { send }, this.#timeoutMs + MARGIN_MS)
  }

  /** The client of a relayed poll has gone. */
  async cancel(node: string, id: string): Promise<void> {
    await this.#ask(node, 'cancel', { cancel: { id } }, this.#timeoutMs)
  }

  /** Undefined: there is no session to take over (any more). A reason: its client is not to come back. */
  async move(node: string, move: v1.MoveSession.$Properties): Promise<v1.MovedSession.$Properties | CloseReason | undefined> {
    let answer = await this.#ask(node, 'move', { move }, this.#timeoutMs)
    for (let hops = 1; answer.kind === 'moved' && hops < MOVES_LIMIT; hops++)
      answer = await this.#ask(answer.node, 'move', { move: { ...move, session: answer.ref } }, this.#timeoutMs)
    if (answer.kind === 'refused') return answer.reason
    return answer.kind === 'answer' ? (answer.reply.moved ?? undefined) : undefined
  }

  async #ask(node: string, kind: RelayKind, request: v1.RelayRequest.$Properties, timeoutMs: number): Promise<Relayed> {
    const relayed = await this.#exchange(node, request, timeoutMs)
    this.#count(kind, relayed.kind)
    return relayed
  }

  async #exchange(node: string, request: v1.RelayRequest.$Properties, timeoutMs: number): Promise<Relayed> {
    let reply: v1.RelayReply
    try {
      reply = v1.RelayReply.decode(await this.#bus.request(`gw.${node}`, v1.RelayRequest.encode(request).finish(), { timeoutMs }))
    } catch (error) {
      if (!(error instanceof BusError)) throw error
      if (error.code === 'no_responders') return { kind: 'lost', cause: 'node_lost' }
      // A node that does not answer in time is taken for dead: what it held can be had from the inbox. Not so frames that
      // it may be about to carry out.
      if (error.code === 'timeout' && request.send == null) return { kind: 'lost', cause: 'node_lost' }
      const code = error.code === 'too_large' ? 'too_large' : 'bus_unavailable'
      return { kind: 'refused', reason: { code, reason: `the message bus: ${error.message}`, retryAfterMs: 2000 } }
    }
    if (reply.movedTo !== '') return { kind: 'moved', node: reply.movedTo, ref: reply.movedAs }
    if (reply.code === 'unknown_session') return { kind: 'lost', cause: sessionCause(reply.cause) }
    if (reply.code === '') return { kind: 'answer', reply }
    const code = isReasonCode(reply.code) ? reply.code : 'internal'
    const retry = reply.retryAfterMs > 0 ? { retryAfterMs: reply.retryAfterMs } : {}
    return { kind: 'refused', reason: { code, reason: reply.message, ...retry } }
  }
}

export interface RelayHandlers {
  /** Polls a session of this node for another one. */
  poll(poll: v1.RelayPoll): Promise<v1.RelayReply.$Properties>
  cancel(id: string): void
  send(send: v1.RelaySend): Promise<v1.RelayReply.$Properties>
  bosh(bosh: v1.RelayBosh): Promise<v1.RelayReply.$Properties>
  /** Takes a BOSH session over. */
  moveBosh(state: Uint8Array): Promise<v1.RelayReply.$Properties>
  pushAll(push: v1.PushAll): Promise<v1.RelayReply.$Properties>
  stats(): v1.RelayReply.$Properties
}

/** Answers other gateways. */
export async function serveRelay(bus: Bus, hub: Hub, handlers: RelayHandlers): Promise<Unsubscribe> {
  async function answer({ poll, send, cancel, move, pushAll, stats, bosh, moveBosh }: v1.RelayRequest): Promise<v1.RelayReply.$Properties> {
    if (poll != null) return handlers.poll(v1.RelayPoll.create(poll))
    if (send != null) return handlers.send(v1.RelaySend.create(send))
    if (bosh != null) return handlers.bosh(v1.RelayBosh.create(bosh))
    if (moveBosh != null) return handlers.moveBosh(moveBosh.state ?? new Uint8Array())
    if (cancel != null) {
      handlers.cancel(cancel.id ?? '')
      return {}
    }
    if (move != null) return giveUp(hub, v1.MoveSession.create(move))
    if (pushAll != null) return handlers.pushAll(v1.PushAll.create(pushAll))
    if (stats != null) return handlers.stats()
    return refusal({ code: 'malformed', reason: 'a request this version does not know' })
  }
  return bus.serve(`gw.${hub.node}`, async (data) => v1.RelayReply.encode(await answer(v1.RelayRequest.decode(data))).finish())
}

export function refusal(reason: CloseReason): v1.RelayReply.$Properties {
  return { code: reason.code, message: reason.reason, cause: reason.cause ?? '', retryAfterMs: reason.retryAfterMs ?? 0 }
}

/** What is to be said of a session that is not here. */
export function absent(hub: Hub, ref: string): v1.RelayReply.$Properties {
  const grave = hub.grave(ref)
  if (grave?.kind === 'moved') return { movedTo: grave.node, movedAs: splitSessionId(grave.id).ref }
  return refusal({ code: 'unknown_session', reason: 'no such session', cause: grave?.cause ?? 'never_existed' })
}

/** As `absent`, to a client that wants to come back. */
export function noReturn(hub: Hub, ref: string): v1.RelayReply.$Properties {
  const verdict = hub.verdict(ref)
  return verdict === undefined ? absent(hub, ref) : refusal(verdict)
}

/** How long replies under way may hold up a move. */
const IDLE_MS = 1000

async function giveUp(hub: Hub, move: v1.MoveSession): Promise<v1.RelayReply.$Properties> {
  const session = hub.session(move.session)
  if (session === undefined) return noReturn(hub, move.session)
  if (session.owner.user !== move.user) return refusal({ code: 'forbidden', reason: 'a session of another user' })
  const frame = move.handled == null ? move.frame : handledFrame(session, v1.Handled.create(move.handled))
  if (frame === undefined) return refusal({ code: 'unknown_session', reason: 'no such session', cause: 'never_existed' })
  if (session.uplink !== undefined)
    await Promise.race([session.uplink.idle(), new Promise((resolve) => setTimeout(resolve, IDLE_MS).unref())])
  // Somebody else may have had it meanwhile.
  if (hub.session(move.session) !== session) return absent(hub, move.session)
  const moved = encodeMoved(session, frame)
  hub.moved(session, move.to, move.as)
  return { moved }
}

/** Undefined: it is not the client's session, or it can't be resumed from there. */
function handledFrame(session: Session, { stanzas, id }: v1.Handled): number | undefined {
  const { management } = session.xmpp ?? {}
  if (management === undefined || id === '' || management.id !== id) return undefined
  const at = management.frameOf(stanzas)
  // What was trimmed is read from the inbox by a new session.
  return at !== undefined && session.holdsAfter(at.frame) ? at.frame : undefined
}

function sessionCause(text: string): SessionCause {
  return text === 'expired' || text === 'closed' || text === 'node_lost' ? text : 'never_existed'
}
