// Durable publishes of one Bus that ended without an acknowledgement, by why.

import { BusError, type BusErrorCode } from './bus.js'

export class PublishFailures {
  readonly counts = new Map<BusErrorCode, number>()

  note(error: unknown): void {
    if (error instanceof BusError) this.counts.set(error.code, (this.counts.get(error.code) ?? 0) + 1)
  }
}
