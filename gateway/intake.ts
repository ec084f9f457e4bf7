// What clients say, once it has been read: acknowledgements, pings and tokens are settled here, the rest goes up.

import type { ClientFrame, Parsed } from '../proto/client-frame.js'
import { parseCursor } from '../proto/cursor.js'
import type { Authenticator, Identity } from './auth/authenticator.js'
import type { CloseReason, ReasonCode } from './close-reason.js'
import type { Position } from './positions.js'
import type { Session } from './session.js'
import type { Reply } from './uplink.js'

/** Takes the reply to a frame; called exactly once for each frame. Replies to frames without a ref have `ref: ''` and go nowhere. */
export type Answer = (reply: Reply) => void

export interface IntakeOptions {
  readonly authenticator: Authenticator
  readonly anyTopic: boolean
  /** The device of the session has handled its inbox up to there. */
  position(session: Session, position: Position): void
  onError(error: unknown, what: string): void
}

export class Intake {
  readonly #options: IntakeOptions

  constructor(options: IntakeOptions) {
    this.#options = options
  }

  receive(session: Session, parsed: Parsed, answer: Answer): void {
    if ('problem' in parsed) {
      answer(failure(parsed.ref, parsed.code ?? 'malformed', parsed.problem))
      return
    }
    const { frame } = parsed
    const ref = frame.ref ?? ''
    if (frame.ack != null) answer(this.#acknowledge(session, ref, frame.ack.cursor ?? ''))
    else if (frame.ping != null) answer({ ref, ok: true })
    else if (frame.auth != null) this.#refresh(session, ref, frame.auth.token ?? '', answer)
    else this.#up(session, frame, answer)
  }

  #up(session: Session, frame: ClientFrame, answer: Answer): void {
    const taken = session.uplink?.submit(frame, answer) ?? false
    if (!taken) answer(failure(frame.ref ?? '', 'overloaded', 'too many frames of this session wait already'))
  }

  #acknowledge(session: Session, ref: string, text: string): Reply {
    const cursor = parseCursor(text)
    if (cursor === undefined) return failure(ref, 'malformed', 'that is no cursor')
    if (cursor.userTag !== session.owner.tag) return failure(ref, 'forbidden', 'that is a cursor of another user')
    if (cursor.at !== undefined && `${cursor.at.node}.${cursor.at.session}` === session.ref) session.ack(cursor.at.frame)
    // Of history, or of a session before this one: it says how far the device has got in the inbox, and nothing of frames.
    else this.#options.position(session, { epoch: cursor.epoch, inbox: cursor.inbox })
    return { ref, ok: true }
  }

  #refresh(session: Session, ref: string, token: string, answer: Answer): void {
    const authenticated = this.#options.authenticator.authenticate({ bearer: token, queryToken: '', queryUser: '', device: session.device })
    Promise.resolve(authenticated)
      .then((result) => answer(this.#refreshed(session, ref, result)))
      .catch((error) => {
        this.#options.onError(error, 'refreshing a token')
        answer(failure(ref, 'internal', 'the token could not be checked'))
      })
  }

  #refreshed(session: Session, ref: string, result: Identity | CloseReason): Reply {
    if ('code' in result) return failure(ref, result.code, result.reason)
    if (result.user !== session.owner.user) return failure(ref, 'forbidden', 'that is a token of another user')
    session.extend(result.expiresAtMs)
    session.uplink?.claim({ topics: result.topics ?? [], any: result.topics === undefined && this.#options.anyTopic })
    return { ref, ok: true }
  }
}

function failure(ref: string, code: ReasonCode, message: string): Reply {
  return { ref, ok: false, error: { code, message } }
}
