// Native frames: what each of them does, and what it is answered.

import type { v1 } from '../proto/messages.js'
import type { WorkerLimits } from './limits.js'
import { errorReply, Refusal, refusalOf } from './refusal.js'
import type { Services } from './services.js'
import type { Session } from './session.js'
import { isStatus } from './status.js'

/** What is measured: the label `kind` of `holdwire_c2s_request_seconds`. */
export type RequestKind = 'open' | 'message' | 'presence' | 'roster' | 'topic' | 'history'
export type Observe = (kind: RequestKind, seconds: number) => void

export interface FramesOptions {
  readonly services: Services
  readonly limits: WorkerLimits
  readonly observe: Observe
  onError(error: unknown): void
}

export class Frames {
  readonly #options: FramesOptions

  constructor(options: FramesOptions) {
    this.#options = options
  }

  /**
   * One reply a frame, in order; frames are done one after the other. `sequence` numbers the first. Once the bus has
   * failed, the rest is not tried: what the client is told was done is always a beginning of what it sent.
   */
  async run(session: Session, sequence: number, frames: readonly v1.ClientFrame.$Properties[]): Promise<v1.Reply.$Properties[]> {
    const replies: v1.Reply.$Properties[] = []
    let failed: Refusal | undefined
    for (const [i, frame] of frames.entries()) {
      const ref = frame.ref ?? ''
      if (failed !== undefined) {
        replies.push(errorReply(ref, failed))
        continue
      }
      try {
        const result = await this.#measured(session, sequence + i, frame)
        replies.push(result === undefined ? { ref, ok: true } : { ref, ok: true, result: Buffer.from(result) })
      } catch (error) {
        const refusal = refusalOf(error)
        if (refusal.code === 'internal') this.#options.onError(error)
        if (refusal.code === 'bus_unavailable') failed = refusal
        replies.push(errorReply(ref, refusal))
      }
    }
    return replies
  }

  async #measured(session: Session, number: number, frame: v1.ClientFrame.$Properties): Promise<string | undefined> {
    const startedAt = performance.now()
    try {
      return await this.#frame(session, number, frame)
    } finally {
      const kind = kindOf(frame)
      if (kind !== undefined) this.#options.observe(kind, (performance.now() - startedAt) / 1000)
    }
  }

  async #frame(session: Session, number: number, frame: v1.ClientFrame.$Properties): Promise<string | undefined> {
    const { roster, topics, routing, history } = this.#options.services
    const { user, ref, claims } = session
    if (frame.message) {
      const id = await routing.send({ user, session: ref, claims, frame: number }, frame.message)
      return JSON.stringify({ id })
    }
    if (frame.presence) await this.#presence(session, frame.presence)
    else if (frame.roster) return roster.run(user, frame.roster)
    else if (frame.subscribe) await topics.subscribe(user, frame.subscribe.topic ?? '', claims)
    else if (frame.unsubscribe) await topics.unsubscribe(user, frame.unsubscribe.topic ?? '')
    else if (frame.history) return history.page(user, frame.history)
    else if (!frame.ping) throw new Refusal('malformed', 'no frame that can be answered here')
    return undefined
  }

  async #presence(session: Session, frame: v1.SetPresence.$Properties): Promise<void> {
    const { limits, services } = this.#options
    const status = frame.status ?? ''
    const note = frame.note ?? ''
    if (!isStatus(status)) throw new Refusal('malformed', '`status` has to be online, away, dnd or offline')
    if (Buffer.byteLength(note) > limits.noteBytes) throw new Refusal('too_large', `\`note\` has at most ${limits.noteBytes} bytes`)
    session.shown = { status, note }
    await services.presence.changed(session.user, session.presence)
  }
}

function kindOf(frame: v1.ClientFrame.$Properties): RequestKind | undefined {
  if (frame.message) return 'message'
  if (frame.presence) return 'presence'
  if (frame.roster) return 'roster'
  if (frame.subscribe || frame.unsubscribe) return 'topic'
  return frame.history ? 'history' : undefined
}
