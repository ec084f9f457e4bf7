// Remembers the messages handled last, so that one that comes again (delivery is at least once) is dropped.

import type { MessageFrame } from './types.js'

export class SeenIds {
  readonly #limit: number
  // Two generations instead of an order: the older one is dropped whole when the younger is full.
  #young = new Set<string>()
  #old = new Set<string>()

  /** The last `limit` to 2 × `limit` messages are known. */
  constructor(limit: number) {
    this.#limit = limit
  }

  /** True the first time. An id is unique per sender and recipient, and a topic is a recipient too. */
  isNew(message: Pick<MessageFrame, 'id' | 'from' | 'topic'>): boolean {
    // No user, topic or id has control characters, so the joint is unmistakable.
    const key = `${message.from ?? ''}\n${message.topic ?? ''}\n${message.id}`
    if (this.#young.has(key) || this.#old.has(key)) return false
    if (this.#young.size >= this.#limit) {
      this.#old = this.#young
      this.#young = new Set()
    }
    this.#young.add(key)
    return true
  }
}
