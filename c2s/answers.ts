// Answering the requests of sessions: in order, one at a time, and each request once however often it comes.

import { v1 } from '../proto/messages.js'
import type { Frames } from './frames.js'
import type { WorkerLimits } from './limits.js'
import { errorReply, Refusal } from './refusal.js'
import type { Session } from './session.js'

export class Answers {
  readonly #frames: Frames
  readonly #limits: WorkerLimits
  #queued = 0

  constructor(frames: Frames, limits: WorkerLimits) {
    this.#frames = frames
    this.#limits = limits
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
      return refuse(session, request, new Refusal('rate_limited', 'too much is waiting here; try again'))
    }
    const answer = this.#inTurn(session, request, session.running.at(-1)?.answer)
    session.running = [...session.running, { sequence, answer }]
    return answer
  }

  async #inTurn(session: Session, request: v1.Uplink, before: Promise<unknown> | undefined): Promise<Uint8Array> {
    const { sequence } = request
    this.#queued++
    try {
      await before
      const replies = await this.#frames.run(session, sequence, request.frames as v1.ClientFrame.$Properties[])
      const reply = replyOf(session, replies)
      session.answered = { sequence, reply: reply.length <= this.#limits.keptReplyBytes ? reply : undefined }
      return reply
    } finally {
      this.#queued--
      session.running = session.running.filter((running) => running.sequence !== sequence)
    }
  }
}

/** An encoded UplinkReply with what the gateway has to know of the session. */
export function replyOf(session: Session, replies: v1.Reply.$Properties[]): Uint8Array {
  const { status, note } = session.shown
  return v1.UplinkReply.encode({ replies, context: session.context, status, note }).finish()
}

function refuse(session: Session, request: v1.Uplink, refusal: Refusal): Uint8Array {
  const replies = request.frames.map((frame) => errorReply(frame.ref ?? '', refusal))
  return replyOf(session, replies)
}
