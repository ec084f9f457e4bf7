// How far each device of a user has got: acknowledged positions, kept in a bucket, written in batches.

import { type Bucket, BusError } from '../bus/bus.js'
import type { Session } from './session.js'

export interface Position {
  readonly epoch: string
  readonly inbox: number
}

export interface PositionsOptions {
  readonly bucket: Bucket
  readonly flushMs: number
  /** Writes under way at a time. */
  readonly maxInFlight: number
  onError(error: unknown, what: string): void
}

/** Stands for a device: how far the sessions of a user's XMPP clients together have got with what was sent to the user. */
export const XMPP_SHARED = '\u0001'

/** Stands for a device: how far an XMPP client has got with what was sent to its resource. Undefined: it is not kept. */
export function xmppPositionKey(resource: string): string | undefined {
  // With a user id of full length it still is a key of a bucket.
  return Buffer.byteLength(resource) > RESOURCE_LIMIT_BYTES ? undefined : `${XMPP_SHARED}${resource}`
}

const RESOURCE_LIMIT_BYTES = 200
const decoder = new TextDecoder()

export class Positions {
  readonly #options: PositionsOptions
  /** By key; bounded by the sessions of this node. */
  #pending = new Map<string, Position>()
  /** Being written; still the truth for `load`. */
  #writing: ReadonlyMap<string, Position> = new Map()
  #flushing: Promise<void> | undefined = undefined
  #timer: NodeJS.Timeout | undefined = undefined
  #stopped = false

  constructor(options: PositionsOptions) {
    this.#options = options
  }

  /** `device`: '' is the position that all sessions without a device share. Undefined: nothing was ever acknowledged. Throws BusError. */
  async load(user: string, device: string): Promise<Position | undefined> {
    const key = keyOf(user, device)
    const known = this.#pending.get(key) ?? this.#writing.get(key)
    if (known !== undefined) return known
    const entry = await this.#options.bucket.get(key)
    return entry === undefined ? undefined : parse(entry.value)
  }

  /** Notes an acknowledgement; written within flushMs. A lower position of the same epoch changes nothing. */
  record(user: string, device: string, position: Position): void {
    const key = keyOf(user, device)
    const known = this.#pending.get(key)
    if (known !== undefined && known.epoch === position.epoch && known.inbox >= position.inbox) return
    this.#pending.set(key, position)
    if (this.#timer === undefined) this.#flushAfter(this.#options.flushMs)
  }

  /** The client of a session has handled its inbox up to there. */
  handled(session: Session, position: Position): void {
    const { owner, device, xmpp, base } = session
    this.record(owner.user, xmpp === undefined ? device : XMPP_SHARED, position)
    const key = xmpp === undefined ? undefined : xmppPositionKey(xmpp.resource)
    if (xmpp === undefined || key === undefined) return
    this.record(owner.user, key, { ...position, inbox: Math.max(position.inbox, xmpp.handledDirectly(base)) })
  }

  /** Nobody will ask for it again. */
  forget(user: string, device: string): void {
    const key = keyOf(user, device)
    this.#pending.delete(key)
    // Written meanwhile, it goes with the age of the bucket.
    this.#options.bucket.delete(key).catch((error) => this.#options.onError(error, 'forgetting a position'))
  }

  /** A session has ended: its client may be somewhere else in a moment. */
  hurry(): void {
    if (this.#pending.size > 0) this.#flushAfter(0)
  }

  /** Writes what is pending. What can't be written now stays pending. */
  async flush(): Promise<void> {
    while (this.#flushing !== undefined) await this.#flushing
    if (this.#pending.size === 0) return
    this.#flushing = this.#write().finally(() => {
      this.#flushing = undefined
      this.#writing = new Map()
    })
    await this.#flushing
  }

  async stop(): Promise<void> {
    this.#stopped = true
    clearTimeout(this.#timer)
    await this.flush()
  }

  #flushAfter(delayMs: number): void {
    if (this.#stopped) return
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.flush().catch((error) => this.#options.onError(error, 'writing positions'))
    }, delayMs)
  }

  async #write(): Promise<void> {
    const writing = this.#pending
    this.#writing = writing
    this.#pending = new Map()
    const entries = writing.entries()
    const worker = async () => {
      for (const [key, position] of entries) await this.#writeOne(key, position)
    }
    await Promise.all(Array.from({ length: Math.min(this.#options.maxInFlight, writing.size) }, worker))
  }

  async #writeOne(key: string, position: Position): Promise<void> {
    try {
      // The shared position may be ahead already, by a session at another node.
      for (;;) {
        const entry = await this.#options.bucket.get(key)
        const stored = entry === undefined ? undefined : parse(entry.value)
        if (stored !== undefined && stored.epoch === position.epoch && stored.inbox >= position.inbox) return
        const value = Buffer.from(`${position.epoch}.${position.inbox.toString(36)}`)
        const { bucket } = this.#options
        const revision = entry === undefined ? await bucket.create(key, value) : await bucket.update(key, value, entry.revision)
        if (revision !== undefined) return
      }
    } catch (error) {
      if (!(error instanceof BusError)) throw error
      if (!this.#pending.has(key)) {
        const [user = '', device = ''] = key.split('\n')
        this.record(user, device, position)
      }
    }
  }
}

/** Neither user ids nor devices have control characters. */
function keyOf(user: string, device: string): string {
  return `${user}\n${device}`
}

function parse(value: Uint8Array): Position | undefined {
  const match = /^([\w-]{1,16})\.([0-9a-z]{1,11})$/.exec(decoder.decode(value))
  if (match?.[1] === undefined || match[2] === undefined) return undefined
  return { epoch: match[1], inbox: Number.parseInt(match[2], 36) }
}
