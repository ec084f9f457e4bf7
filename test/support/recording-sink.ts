// A sink that remembers everything and lets a test wait for it.

import type { UserSink } from '../../bus/bus.js'

export interface Received {
  readonly seq: number
  readonly data: Uint8Array
}

export interface Lost {
  readonly after: number
  readonly reason: 'evicted' | 'reset'
}

const DEADLINE_MS = 30_000

export class RecordingSink implements UserSink {
  readonly messages: Received[] = []
  readonly pushes: Uint8Array[] = []
  readonly losses: Lost[] = []
  readonly #answer: Uint8Array | undefined
  readonly #waiting = new Set<() => void>()

  /** `answer`: to `asked`. */
  constructor(answer?: Uint8Array) {
    this.#answer = answer
  }

  get seqs(): number[] {
    return this.messages.map(({ seq }) => seq)
  }

  durable(seq: number, data: Uint8Array): void {
    this.messages.push({ seq, data })
    this.#changed()
  }

  ephemeral(data: Uint8Array): void {
    this.pushes.push(data)
    this.#changed()
  }

  asked(_data: Uint8Array): Uint8Array | undefined {
    return this.#answer
  }

  lost(after: number, reason: 'evicted' | 'reset'): void {
    this.losses.push({ after, reason })
    this.#changed()
  }

  /** Resolves when `check` holds after something came; rejects after ten seconds. */
  until(check: () => boolean, what = 'a delivery'): Promise<void> {
    if (check()) return Promise.resolve()
    return new Promise((resolve, reject) => {
      const done = () => {
        if (!check()) return
        clearTimeout(timer)
        this.#waiting.delete(done)
        resolve()
      }
      const timer = setTimeout(() => {
        this.#waiting.delete(done)
        reject(
          new Error(
            `waited in vain for ${what}: ${this.messages.length} messages, ${this.pushes.length} pushes, ${this.losses.length} losses`,
          ),
        )
      }, DEADLINE_MS)
      this.#waiting.add(done)
    })
  }

  /** Resolves when the message with this sequence has come. */
  has(seq: number): Promise<void> {
    return this.until(() => this.messages.some((message) => message.seq === seq), `sequence ${seq}`)
  }

  #changed(): void {
    for (const check of [...this.#waiting]) check()
  }
}
