// Numbers of one transport: plain ones until somebody scrapes, because they change with every message.

import type { Series } from './fast-histogram.js'

export class TransportMetrics {
  framesIn = 0
  framesOut = 0
  bytesIn = 0
  bytesOut = 0
  readonly #delivery: Series
  readonly #ack: Series

  constructor(delivery: Series, ack: Series) {
    this.#delivery = delivery
    this.#ack = ack
  }

  received(frames: number, bytes: number): void {
    this.framesIn += frames
    this.bytesIn += bytes
  }

  written(frames: number, bytes: number): void {
    this.framesOut += frames
    this.bytesOut += bytes
  }

  /** Written to the connection so long after it was published. */
  delivered(seconds: number): void {
    this.#delivery.observe(seconds)
  }

  /** Acknowledged so long after it was published. */
  acknowledged(seconds: number): void {
    this.#ack.observe(seconds)
  }
}
