// What is known of one partition: its stream, the stream's epoch, and up to where live delivery got.

import { Lane } from './nats-ack-inbox.js'
import { subjects } from './nats-streams.js'

export class Partition {
  readonly stream: string
  readonly lane = new Lane()
  /** Everything up to here that was stored for a user attached then has come live (or is being healed for that user). */
  high: number
  /** `high` as it was when the connection was lost; undefined: not lost, or replayed since. Live messages do not move it. */
  frozen: number | undefined = undefined
  epoch: string
  /** When the epoch was last compared with the server's (of performance.now()). */
  checkedAt = performance.now()
  /** The next comparison, when one is wanted. */
  check: NodeJS.Timeout | undefined = undefined

  constructor(
    readonly index: number,
    epoch: string,
    lastSeq: number,
  ) {
    this.stream = subjects.stream(index)
    this.epoch = epoch
    this.high = lastSeq
  }
}
