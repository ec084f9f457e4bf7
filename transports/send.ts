// POST /send?session=…: frames for a session of any transport; their replies come back in the answer and nowhere else.
// DELETE /send?session=… ends the session. The session id is all that is asked for, wherever the session is.

import { timingSafeEqual } from 'node:crypto'
import type { CloseReason } from '../gateway/close-reason.js'
import { splitSessionId } from '../gateway/hub.js'
import { absent, refusal } from '../gateway/relay.js'
import type { Session } from '../gateway/session.js'
import type { Reply } from '../gateway/uplink.js'
import type { v1 } from '../proto/messages.js'
import { answerJson, answerProblem, EMPTY_HEAD } from './answers.js'
import { readFrames } from './body.js'
import type { Gateway } from './client-port.js'
import { jsonReply } from './dialects/json.js'
import type { Exchange } from './engine/engine.js'
import { overRate } from './rate.js'
import type { Visit } from './visit.js'

type Outcome = { readonly body: string | Uint8Array } | { readonly refused: CloseReason }

export function sendFrames(gateway: Gateway, visit: Visit, exchange: Exchange): void {
  const answer = (body: Buffer | null) => {
    handle(gateway, visit, body)
      .then((outcome) => {
        if ('refused' in outcome) gateway.refused('send', outcome.refused)
        if (exchange.gone) return
        if ('refused' in outcome) answerProblem(exchange, outcome.refused, visit.cors)
        else if (visit.method === 'DELETE') exchange.respond(EMPTY_HEAD, null, visit.cors)
        else answerJson(exchange, outcome.body, visit.cors, visit.closing)
      })
      .catch((error) => {
        gateway.onError(error, 'taking frames')
        if (!exchange.gone) answerProblem(exchange, { code: 'internal', reason: 'something went wrong here' }, visit.cors)
      })
  }
  exchange.owner = { onBody: (_exchange, body) => answer(body), onGone: () => undefined }
  if (visit.method === 'POST') exchange.readBody(gateway.maxBodyBytes)
  else answer(Buffer.alloc(0))
}

/** Frames that reached another node. */
export async function relayedSend(gateway: Gateway, send: v1.RelaySend): Promise<v1.RelayReply.$Properties> {
  const session = sessionOf(gateway, send.session)
  if (session === undefined) return absent(gateway.hub, splitSessionId(send.session).ref)
  const outcome = await take(gateway, session, Buffer.from(send.body), send.end)
  return 'refused' in outcome ? refusal(outcome.refused) : { body: Buffer.from(outcome.body) }
}

async function handle(gateway: Gateway, visit: Visit, body: Buffer | null): Promise<Outcome> {
  if (body === null) return { refused: { code: 'too_large', reason: `a body has at most ${gateway.maxBodyBytes} bytes` } }
  const id = visit.params.get('session') ?? ''
  if (id === '') return { refused: { code: 'malformed', reason: '`session` is missing' } }
  const end = visit.method === 'DELETE'
  const session = sessionOf(gateway, id)
  if (session !== undefined) return take(gateway, session, body, end)
  return passOn(gateway, id, body, end)
}

/** `<node>.<number>.<secret>`: nothing else has ever been a session. */
const SESSION_ID = /^[\w-]{8}\.[0-9a-z]{1,11}\.[\w-]{22}$/

/** The session is at another node, or nowhere. */
async function passOn(gateway: Gateway, id: string, body: Buffer, end: boolean): Promise<Outcome> {
  const { hub, relay } = gateway
  const { node, ref, secret } = splitSessionId(id)
  const unknown: CloseReason = { code: 'unknown_session', reason: 'no such session', cause: 'never_existed' }
  const grave = hub.grave(ref)
  if (grave?.kind === 'ended') return { refused: { ...unknown, cause: grave.cause } }
  if (grave?.kind === 'moved' && !sameSecret(grave.secret, secret)) return { refused: unknown }
  if (!SESSION_ID.test(id)) return { refused: unknown }
  const at = grave === undefined ? { node, id } : grave
  if (at.node === hub.node) return { refused: unknown }
  const relayed = await relay.send(at.node, { session: at.id, body, end })
  switch (relayed.kind) {
    case 'answer':
      return { body: relayed.reply.body }
    case 'refused':
      return { refused: relayed.reason }
    case 'lost':
      return { refused: { ...unknown, cause: relayed.cause } }
    case 'moved':
      // Only its own node knows the secret that the session had there; the client learns the new id from its `hello`.
      return { refused: { ...unknown, cause: 'closed' } }
  }
}

async function take(gateway: Gateway, session: Session, body: Buffer, end: boolean): Promise<Outcome> {
  const { hub, intake, frameRate, maxFrameBytes, received } = gateway
  if (end) {
    session.close({ code: 'done', reason: 'the client ended it' })
    return { body: '' }
  }
  const frames = readFrames(body, maxFrameBytes)
  if (frames === undefined) return { refused: { code: 'malformed', reason: 'the body is not JSON' } }
  received(session.transport ?? 'sse', frames.length, body.length)
  const nowMs = hub.now()
  const refused = overRate(session, frames.length, frameRate, nowMs)
  if (refused !== undefined) return { refused }
  const replies = await Promise.all(frames.map((parsed) => new Promise<Reply>((resolve) => intake.receive(session, parsed, resolve))))
  const answered = replies.filter(({ ref }) => ref).map(jsonReply)
  return { body: `{"frames":[${answered.join(',')}]}` }
}

function sessionOf({ hub }: Gateway, id: string): Session | undefined {
  const { ref, secret } = splitSessionId(id)
  const session = hub.session(ref)
  return session !== undefined && sameSecret(session.secret, secret) ? session : undefined
}

function sameSecret(a: string, b: string): boolean {
  const [one, other] = [Buffer.from(a), Buffer.from(b)]
  return one.length === other.length && timingSafeEqual(one, other)
}
