// XEP-0198 as far as it belongs to the session rather than to a connection: how many stanzas went each way since it was
// enabled, and which frame a count of stanzas means. Counts are whole here; on the wire they are those modulo 2^32.

/** What the gateway has to know of it. */
export interface StreamManagement {
  /** What the client names the session by when it comes back: a secret. The same at every node. '': it can't come back. */
  readonly id: string
  /** Where a client is that has handled so many stanzas (mod 2^32); undefined: it can't have, or that was long ago. */
  frameOf(handled: number): { readonly frame: number } | undefined
  /** What another node needs to go on. */
  encode(): Uint8Array
}

/** `earlier`: the client said more before, nothing changes. `too-high`: so many were never sent. */
export type Acknowledged = { readonly kind: 'frame'; readonly frame: number } | { readonly kind: 'earlier' } | { readonly kind: 'too-high' }

/** From `count` on stanzas and frames go in step. */
interface Run {
  readonly count: number
  readonly frame: number
}

const MODULUS = 2 ** 32
/** A new run needs a frame that was dropped unsent, so there are few. */
const RUNS_LIMIT = 1024
/** So many more stanzas, and the client is asked again although it has not answered. */
const REQUEST_EVERY = 8

export class StanzaCounts implements StreamManagement {
  readonly id: string
  /** Stanzas of the client that were taken. */
  #received: number
  #sent: number
  #handled: number
  /** The frame as of `#handled`. */
  #handledFrame: number
  /** Of what is not acknowledged, the oldest first. */
  #runs: Run[] = []
  /** `#sent` when the client was asked last. */
  #asked = 0

  /** `frame`: the last one that was sent before counting began. */
  constructor(id: string, frame: number, received = 0, sent = 0, handled = 0) {
    this.id = id
    this.#handledFrame = frame
    this.#received = received
    this.#sent = sent
    this.#handled = handled
    this.#asked = handled
  }

  /** Of another node's `encode`. `resume` has to follow. Undefined: it can't be read. */
  static decode(bytes: Uint8Array): StanzaCounts | undefined {
    const [id = '', ...texts] = Buffer.from(bytes).toString('latin1').split(' ')
    const counts = texts.map(Number)
    const [received = 0, sent = 0, handled = 0] = counts
    const isValid = id !== '' && counts.length === 3 && counts.every((count) => Number.isSafeInteger(count) && count >= 0)
    return isValid && handled <= sent ? new StanzaCounts(id, 0, received, sent, handled) : undefined
  }

  /** Frame numbers are those of this node, and the client says how far it is: neither travels. */
  encode(): Uint8Array {
    return Buffer.from(`${this.id} ${this.#received} ${this.#sent} ${this.#handled}`, 'latin1')
  }

  /** The client may come back. */
  get resumable(): boolean {
    return this.id !== ''
  }

  /** `h` of what the client has sent. */
  get received(): number {
    return this.#received % MODULUS
  }

  /** The same without the last `count`. */
  receivedBefore(count: number): number {
    return (this.#received - count) % MODULUS
  }

  /** What `h` of the client may be at the most. */
  get sent(): number {
    return this.#sent % MODULUS
  }

  get allHandled(): boolean {
    return this.#handled === this.#sent
  }

  /** A stanza of the client was taken. */
  take(): void {
    this.#received++
  }

  /** A frame went out as a stanza. */
  send(frame: number): void {
    const count = ++this.#sent
    const last = this.#runs.at(-1)
    if (last !== undefined && frame - last.frame === count - last.count) return
    this.#runs.push({ count, frame })
    if (this.#runs.length > RUNS_LIMIT) this.#runs.shift()
  }

  frameOf(handled: number): { readonly frame: number } | undefined {
    const count = this.#handled + this.#ahead(handled)
    return count <= this.#sent ? this.#frameAt(count) : undefined
  }

  /** The client has handled so many (mod 2^32). */
  acknowledge(handled: number): Acknowledged {
    const ahead = this.#ahead(handled)
    if (this.#handled + ahead > this.#sent) {
      const behind = MODULUS - ahead
      return behind <= this.#handled && behind < MODULUS / 2 ? { kind: 'earlier' } : { kind: 'too-high' }
    }
    const count = this.#handled + ahead
    const { frame } = this.#frameAt(count) ?? { frame: this.#handledFrame }
    this.#settle(count, frame)
    return { kind: 'frame', frame }
  }

  /** The session goes on: the client has handled so many, which is `frame` here, and everything after it is sent again. */
  resume(handled: number, frame: number): void {
    const count = Math.min(this.#handled + this.#ahead(handled), this.#sent)
    this.#handled = count
    this.#sent = count
    this.#asked = count
    this.#handledFrame = frame
    this.#runs = []
  }

  /** Whether it is time to ask the client; it counts as asked then. */
  ask(): boolean {
    const isOpen = this.#asked > this.#handled
    if (this.allHandled || (isOpen && this.#sent - this.#asked < REQUEST_EVERY)) return false
    this.#asked = this.#sent
    return true
  }

  /** How many more than it has handled. */
  #ahead(handled: number): number {
    return (handled - (this.#handled % MODULUS) + MODULUS) % MODULUS
  }

  #frameAt(count: number): { readonly frame: number } | undefined {
    if (count === this.#handled) return { frame: this.#handledFrame }
    const run = this.#runs.findLast((one) => one.count <= count)
    return run === undefined ? undefined : { frame: run.frame + count - run.count }
  }

  #settle(count: number, frame: number): void {
    this.#handled = count
    this.#handledFrame = frame
    // The run that `count` is in is still needed: it goes on behind it.
    const at = this.#runs.findLastIndex((run) => run.count <= count)
    if (at > 0) this.#runs.splice(0, at)
  }
}
