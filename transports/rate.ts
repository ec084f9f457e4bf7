// How many frames a session may send.

import type { CloseReason } from '../gateway/close-reason.js'
import type { Session } from '../gateway/session.js'
import { type Rate, TokenBucket } from '../gateway/token-bucket.js'

/** Counts `frames` more. A reason: they are too many, none of them is to be taken. */
export function overRate(session: Session, frames: number, rate: Rate, nowMs: number): CloseReason | undefined {
  // More at once than there ever can be would be refused again and again.
  if (frames > rate.burst) return { code: 'too_large', reason: `at most ${rate.burst} frames can be sent at once` }
  session.rate ??= new TokenBucket(rate, nowMs)
  const retryAfterMs = session.rate.take(rate, frames, nowMs)
  return retryAfterMs === 0 ? undefined : { code: 'rate_limited', reason: `more than ${rate.perSecond} frames a second`, retryAfterMs }
}
