// A user with sessions on this node: the one attachment to the user's subject, shared by all those sessions.

import type { Attachment, Bus, UserSink } from '../bus/bus.js'
import { userTag } from '../proto/cursor.js'
import { v1 } from '../proto/messages.js'
import type { EnvelopeReader } from './envelope.js'
import { flat } from './flat-string.js'
import { Outbound } from './outbound.js'
import type { Session, SessionUser } from './session.js'

/** Frames kept while a session moves. */
const CAPTURE_LIMIT = 1000

/** Shared by all that are. */
const READY: Promise<void> = Promise.resolve()

export interface UserEntryHost {
  /** Name of this node, for people. */
  readonly nodeName: string
  readonly envelopes: EnvelopeReader
  /** For the gateways themselves; the answer goes back if it was a request. */
  control(entry: UserEntry, control: v1.Control): v1.SessionList.$Properties | undefined
  gap(): void
  dropped(why: string): void
}

export class UserEntry implements UserSink, SessionUser {
  readonly user: string
  readonly #host: UserEntryHost
  readonly tag: string
  #attachment: Attachment | undefined = undefined
  #sessions: readonly Session[] = []
  /** Position of the last durable message that reached this node live (or was there when it attached). */
  #tail = 0
  cursorPrefix = ''
  #resets = 0
  #captured: Outbound[] | undefined = undefined
  ready: Promise<void> = READY
  /** Openings under way that need the entry. */
  pins = 0
  /** Sessions on their way here from other nodes. */
  expected = 0

  constructor(host: UserEntryHost, user: string) {
    this.#host = host
    this.user = flat(user)
    this.tag = userTag(user)
  }

  get sessions(): readonly Session[] {
    return this.#sessions
  }

  get tail(): number {
    return this.#tail
  }

  /** How often the store was made anew: what was read before means nothing after it. */
  get resets(): number {
    return this.#resets
  }

  get epoch(): string {
    return this.#attachment?.epoch ?? ''
  }

  /** Begins live delivery; `ready` says when. */
  begin(bus: Bus): void {
    const attaching = this.#attach(bus)
    this.ready = attaching
    attaching.then(
      () => {
        this.ready = READY
      },
      // Whoever waits for it sees the failure.
      () => undefined,
    )
  }

  async #attach(bus: Bus): Promise<void> {
    const attachment = await bus.attach(this.user, this)
    this.#attachment = attachment
    this.#tail = Math.max(this.#tail, attachment.from)
    this.cursorPrefix = flat(`${this.tag}.${attachment.epoch}.`)
  }

  /** Only when `ready`. */
  end(): void {
    this.#attachment?.detach()
    this.#attachment = undefined
  }

  /** From now to `captured` ephemeral frames are kept for a session that is on its way here; so many at the most. */
  capture(): void {
    this.#captured ??= []
  }

  captured(): readonly Outbound[] {
    const captured = this.#captured ?? []
    this.#captured = undefined
    return captured
  }

  add(session: Session): void {
    this.#sessions = [...this.#sessions, session]
  }

  remove(session: Session): void {
    this.#sessions = this.#sessions.filter((one) => one !== session)
  }

  // ---- UserSink ---------------------------------------------------------------------------------------------------

  durable(seq: number, data: Uint8Array): void {
    this.#tail = seq
    const incoming = this.#host.envelopes.durable(data)
    if (incoming.kind === 'frame') {
      for (const session of this.#sessions) session.durable(seq, incoming.outbound)
    } else this.#host.dropped(incoming.kind === 'invalid' ? incoming.why : 'control in an inbox')
  }

  ephemeral(data: Uint8Array): void {
    const incoming = this.#host.envelopes.ephemeral(data)
    switch (incoming.kind) {
      case 'control':
        this.#host.control(this, incoming.control)
        return
      case 'frame':
        if (this.#captured !== undefined && this.#captured.length < CAPTURE_LIMIT && incoming.onlySession === '')
          this.#captured.push(incoming.outbound)
        for (const session of this.#sessions) {
          if (incoming.onlySession === '' || incoming.onlySession === session.ref) session.deliver(incoming.outbound)
        }
        return
      case 'invalid':
        this.#host.dropped(incoming.why)
        return
    }
  }

  asked(data: Uint8Array): Uint8Array | undefined {
    const incoming = this.#host.envelopes.ephemeral(data)
    if (incoming.kind !== 'control') return undefined
    const answer = this.#host.control(this, incoming.control)
    return answer === undefined ? undefined : v1.SessionList.encode(answer).finish()
  }

  lost(after: number, reason: 'evicted' | 'reset'): void {
    if (reason === 'reset') {
      this.#tail = 0
      this.#resets++
      if (this.#attachment !== undefined) this.cursorPrefix = flat(`${this.tag}.${this.#attachment.epoch}.`)
    } else this.#tail = Math.max(this.#tail, after)
    for (const session of this.#sessions) {
      if (reason === 'reset') session.inboxReset()
      // Who is reading finds out about evictions by itself.
      else if (!session.live) continue
      this.#host.gap()
      session.deliver(new Outbound({ gap: { reason } }))
    }
  }
}
