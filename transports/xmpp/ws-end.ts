// How streams over WebSockets end: which stream error a reason is, and which close code follows.

import { type CloseReason, REASONS, type ReasonCode } from '../../gateway/close-reason.js'

/** RFC 6120 §4.9.3; '': none. */
const CONDITIONS: Readonly<Record<ReasonCode, string>> = {
  done: '',
  malformed: 'bad-format',
  unauthorized: 'not-authorized',
  token_expired: 'not-authorized',
  forbidden: 'not-authorized',
  unknown_session: 'connection-timeout',
  replaced: 'conflict',
  closed: 'policy-violation',
  not_found: 'host-unknown',
  method_not_allowed: 'bad-format',
  upgrade_required: 'bad-format',
  conflict: 'conflict',
  internal: 'internal-server-error',
  too_large: 'policy-violation',
  rate_limited: 'policy-violation',
  slow_consumer: 'policy-violation',
  draining: 'system-shutdown',
  overloaded: 'resource-constraint',
  bus_unavailable: 'internal-server-error',
}

export function conditionOf(reason: CloseReason): string {
  return reason.streamError ?? CONDITIONS[reason.code]
}

/** The stream has said why, so ours (4000 on) say nothing more; the others mean the same to everybody. */
export function closeCodeOf({ code }: CloseReason): number {
  const own = REASONS[code].websocket ?? 1000
  return own < 4000 ? own : 1000
}
