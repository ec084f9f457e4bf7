// Answering the requests of sessions: in order, one at a time, and each request once however often it comes.

import { v1 } from '../proto/messages.js'
import { type Done, type Frames, kindOf, type Observe } from './frames.js'
import type { WorkerLimits } from './limits.js'
import { errorReply, Refusal } from './refusal.js'
import type { Answered, Lasting, Session } from './session.js'

export class Answers {
  readonly #frames: Frames
  readonly #limits: WorkerLimits
  readonly #observe: Observe
  #queued = 0

  constructor(frames: Frames, limits: WorkerLimits, observe: Observe) {
    this.#frames = frames
    this.#limits = limits
    this.#observe = observe
  }

  /** Requests begun or waiting for their turn. */
  get queued(): number {
    return this.#queued
  }

  /** The encoded UplinkReply to a request with frames, be it new, under way or answered before. Never rejects. */
  to(session: Session, request: v1.Uplink): Promise<Uint8Array> | Uint8Array {
    const { sequence } = request
    const underWay = session.running.find((running) => running.sequence === sequence)
    if (underWay !== undefined) return underWay.answer
    const { answered } = session
    if (answered !== undefined) {
      if (answered.sequence === sequence && answered.reply !== undefined) return answered.reply
      // Its answer has been received, else the next request would not have been sent: nobody waits for this one.
      if (answered.sequence > sequence) return refuse(session, request, new Refusal('conflict', 'answered before'))
    }
    const { queuedRequests, queuedRequestsPerSession } = this.#limits
    if (this.#queued >= queuedRequests || session.running.length >= queuedRequestsPerSession) {
      return this.#turnAway(session, request)
    }
    const answer = this.#inTurn(session, request, session.running.at(-1)?.answer)
    session.running = [...session.running, { sequence, answer }]
    return answer
  }

  #turnAway(session: Session, request: v1.Uplink): Uint8Array {
    for (const frame of request.frames) {
      const kind = kindOf(frame)
      if (kind !== undefined) this.#observe(kind, 0, 'rate_limited')
    }
    return refuse(session, request, new Refusal('rate_limited', 'too much is waiting here; try again'))
  }

  async #inTurn(session: Session, request: v1.Uplink, before: Promise<unknown> | undefined): Promise<Uint8Array> {
    const { sequence } = request
    this.#queued++
    try {
      await before
      const from = begin(session, sequence, session.answered)
      const done = await this.#frames.run(session, sequence, request.frames as v1.ClientFrame.$Properties[])
      const reply = replyOf(session, done, from)
      session.answered = { sequence, reply: reply.length <= this.#limits.keptReplyBytes ? reply : undefined, before: from }
      return reply
    } finally {
      this.#queued--
      session.running = session.running.filter((running) => running.sequence !== sequence)
    }
  }
}

/** What the session is when a request is begun: the same each time it is. */
function begin(session: Session, sequence: number, answered: Answered | undefined): Lasting {
  if (answered?.sequence !== sequence) return session.lasting
  session.restore(answered.before)
  return answered.before
}

/**
 * An encoded UplinkReply with what the gateway has to know of the session. The context of the session of an XMPP client is
 * left out when it is what it was `before`: the gateway has it, and it may be long.
 */
export function replyOf(session: Session, { replies, stanzas, streamError }: Done, before: Lasting = session.lasting): Uint8Array {
  const { shown, xmpp } = session
  const isKnown = xmpp !== undefined && xmpp.context === before.xmpp && shown === before.shown
  const { status, note } = shown
  const context = isKnown ? null : session.context
  return v1.UplinkReply.encode({ replies, context, status, note, stanzas, xmpp: xmpp?.takeNews() ?? null, streamError }).finish()
}

export const NOTHING_DONE: Done = { replies: [], stanzas: [], streamError: '' }

function refuse(session: Session, request: v1.Uplink, refusal: Refusal): Uint8Array {
  const replies = request.frames.map((frame) => errorReply(frame.ref ?? '', refusal))
  return replyOf(session, { ...NOTHING_DONE, replies })
}
