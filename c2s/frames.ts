// Frames: what each of them does, and what it is answered. Those of XMPP clients carry stanzas, which have a dispatcher of their own.

import type { v1 } from '../proto/messages.js'
import type { WorkerLimits } from './limits.js'
import { errorReply, Refusal, refusalOf } from './refusal.js'
import type { Services } from './services.js'
import type { Session } from './session.js'
import { isStatus } from './status.js'
import type { Answer } from './xmpp/stanzas.js'

/** What is measured: the label `kind` of `holdwire_c2s_request_seconds`. */
export type RequestKind = 'open' | 'message' | 'presence' | 'roster' | 'topic' | 'history' | 'stanza' | 'stream'
/** `code`: `done` or why not: a RefusalCode, or, of a stream, the condition of its end or of its SASL failure. */
export type Observe = (kind: RequestKind, seconds: number, code: string) => void

/** What came of the frames of one request. */
export interface Done {
  /** One a frame, in order. */
  readonly replies: v1.Reply.$Properties[]
  /** For the session, encoded, in order. */
  readonly stanzas: Uint8Array[]
  /** The stream ends with this condition; '': it goes on. */
  readonly streamError: string
}

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
   * failed or the stream has ended, the rest is not tried: what the client is told was done is always a beginning of what it sent.
   */
  async run(session: Session, sequence: number, frames: readonly v1.ClientFrame.$Properties[]): Promise<Done> {
    const replies: v1.Reply.$Properties[] = []
    const stanzas: Uint8Array[] = []
    let streamError = ''
    let failed: Refusal | undefined
    for (const [i, frame] of frames.entries()) {
      const ref = frame.ref ?? ''
      if (failed !== undefined) {
        replies.push(errorReply(ref, failed))
        continue
      }
      try {
        const result = await this.#measured(session, sequence + i, frame)
        if (typeof result !== 'object')
          replies.push(result === undefined ? { ref, ok: true } : { ref, ok: true, result: Buffer.from(result) })
        else {
          replies.push({ ref, ok: true })
          for (const stanza of result.stanzas) stanzas.push(Buffer.from(stanza.toString()))
          streamError = result.streamError
          if (streamError !== '') failed = new Refusal('malformed', streamError)
        }
      } catch (error) {
        const refusal = refusalOf(error)
        if (refusal.code === 'internal') this.#options.onError(error)
        if (refusal.code === 'bus_unavailable') failed = refusal
        replies.push(errorReply(ref, refusal))
      }
    }
    return { replies, stanzas, streamError }
  }

  async #measured(session: Session, number: number, frame: v1.ClientFrame.$Properties): Promise<string | Answer | undefined> {
    const startedAt = performance.now()
    let code = 'done'
    try {
      return await this.#frame(session, number, frame)
    } catch (error) {
      code = refusalOf(error).code
      throw error
    } finally {
      const kind = kindOf(frame)
      if (kind !== undefined) this.#options.observe(kind, (performance.now() - startedAt) / 1000, code)
    }
  }

  /** JSON text for the reply, or the answer to a stanza. */
  async #frame(session: Session, number: number, frame: v1.ClientFrame.$Properties): Promise<string | Answer | undefined> {
    const { roster, topics, routing, history, stanzas } = this.#options.services
    const { user, ref, claims } = session
    if (session.xmpp !== undefined && frame.stanza) return stanzas.run(session, session.xmpp, frame.stanza)
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

/** Undefined: it is not measured. */
export function kindOf(frame: v1.ClientFrame.$Properties): RequestKind | undefined {
  if (frame.message) return 'message'
  if (frame.presence) return 'presence'
  if (frame.roster) return 'roster'
  if (frame.subscribe || frame.unsubscribe) return 'topic'
  if (frame.stanza) return 'stanza'
  return frame.history ? 'history' : undefined
}
