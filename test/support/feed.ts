// The frames a test client was sent, and waiting for the next one that matters.

export interface Frame {
  readonly type: string
  readonly cursor?: string
  readonly [field: string]: unknown
}

/** How a client's connection came to its end. */
export interface End {
  /** Close code of a WebSocket, or status of an HTTP answer; 0: the stream just ended. */
  readonly code: number
  readonly reason: string
  /** Of an HTTP answer. */
  readonly headers?: Readonly<Record<string, string | string[] | undefined>>
  /** Body of an HTTP answer, if it is JSON. */
  readonly problem?: Readonly<Record<string, unknown>>
}

export type Match = string | ((frame: Frame) => boolean)

const PATIENCE_MS = 30_000

export class Feed {
  readonly frames: Frame[] = []
  readonly #name: string
  #hasEnded: End | undefined = undefined
  #read = 0
  readonly #waiting = new Set<() => void>()

  constructor(name: string) {
    this.#name = name
  }

  push(frame: Frame): void {
    this.frames.push(frame)
    for (const wake of this.#waiting) wake()
  }

  end(end: End): void {
    if (this.#hasEnded !== undefined) return
    this.#hasEnded = end
    for (const wake of this.#waiting) wake()
  }

  /** How the connection ends. Rejects when it does not. */
  async ending(withinMs = PATIENCE_MS): Promise<End> {
    await this.until(() => this.#hasEnded, 'end', withinMs)
    return this.#hasEnded as End
  }

  /** The next frame of this type (or that matches); those before it are passed over. Rejects when none comes. */
  next(match: Match, withinMs = PATIENCE_MS): Promise<Frame> {
    return this.until(
      () => {
        const at = this.frames.findIndex((frame, index) => index >= this.#read && matches(frame, match))
        if (at < 0) return undefined
        this.#read = at + 1
        return this.frames[at]
      },
      `${match}`,
      withinMs,
    )
  }

  /** Resolves with what `look` finds, now or after some more frames. */
  until<T>(look: () => T | undefined, what: string, withinMs = PATIENCE_MS): Promise<T> {
    return new Promise((resolve, reject) => {
      const fail = (why: string) => {
        const got = this.frames.slice(-12).map((frame) => JSON.stringify(frame).slice(0, 150))
        reject(new Error(`${this.#name}: no ${what} ${why}; ${this.frames.length} frames, the last: ${got.join(' ')}`))
      }
      const timer = setTimeout(() => {
        this.#waiting.delete(attempt)
        fail(`in ${withinMs} ms`)
      }, withinMs)
      const attempt = () => {
        const found = look()
        if (found === undefined && this.#hasEnded === undefined) return
        clearTimeout(timer)
        this.#waiting.delete(attempt)
        if (found !== undefined) resolve(found)
        else fail(`before the end (${JSON.stringify(this.#hasEnded)})`)
      }
      this.#waiting.add(attempt)
      attempt()
    })
  }

  /** `data` of all messages so far. */
  get data(): unknown[] {
    return this.frames.filter(({ type }) => type === 'message').map(({ data }) => data)
  }

  /** Cursor of the last frame. */
  get cursor(): string {
    return this.frames.at(-1)?.cursor ?? ''
  }

  count(type: string): number {
    return this.frames.filter((frame) => frame.type === type).length
  }
}

function matches(frame: Frame, match: Match): boolean {
  return typeof match === 'string' ? frame.type === match : match(frame)
}
