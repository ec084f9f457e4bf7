// Why something ended or was refused: the one table from a reason to HTTP, WebSocket, BOSH, retry and metric label.

/** The stable words clients, backends and metrics see. `done`: the normal end, nobody's fault. */
export type ReasonCode =
  | 'done'
  | 'malformed'
  | 'unauthorized'
  | 'token_expired'
  | 'forbidden'
  | 'unknown_session'
  | 'replaced'
  | 'closed'
  | 'not_found'
  | 'method_not_allowed'
  | 'upgrade_required'
  | 'conflict'
  | 'internal'
  | 'too_large'
  | 'rate_limited'
  | 'slow_consumer'
  | 'draining'
  | 'overloaded'
  | 'bus_unavailable'

/** What became of a session that is not there. */
export type SessionCause = 'expired' | 'closed' | 'node_lost' | 'never_existed'

/** A value, not an exception: every expected end and refusal is one of these. */
export interface CloseReason {
  readonly code: ReasonCode
  /** One sentence for a human; no secrets. At most 123 bytes of it reach a WebSocket close frame. */
  readonly reason: string
  /** When to come back. Undefined: at once, or never (see `retryable`). */
  readonly retryAfterMs?: number
  /** What an XMPP stream ends with (RFC 6120 §4.9.3), where it is not what the table of transports/xmpp says. */
  readonly streamError?: string
  /** Only with `unknown_session`. */
  readonly cause?: SessionCause
}

export interface ReasonRow {
  /** Status of an HTTP answer. */
  readonly http: number
  /** Close code; undefined: never ends a WebSocket (it is refused before, over HTTP). */
  readonly websocket: number | undefined
  /** `condition` of a BOSH terminate body (XEP-0124 §17.2); undefined: a plain terminate. */
  readonly bosh: string | undefined
  /** The same request may succeed later without a change by the caller. */
  readonly retryable: boolean
  /** The answer carries `Retry-After`, so `retryAfterMs` should be set. */
  readonly retryAfter: boolean
  readonly title: string
}

function row(
  http: number,
  websocket: number | undefined,
  bosh: string | undefined,
  retry: 'no' | 'now' | 'later',
  title: string,
): ReasonRow {
  return { http, websocket, bosh, retryable: retry !== 'no', retryAfter: retry === 'later', title }
}

export const REASONS: Readonly<Record<ReasonCode, ReasonRow>> = {
  done: row(200, 1000, undefined, 'no', 'Done'),
  malformed: row(400, 4000, 'bad-request', 'no', 'Malformed request'),
  // While SASL is going on it is answered as a SASL failure (RFC 6120 §6.5) instead.
  unauthorized: row(401, 4001, 'policy-violation', 'no', 'Authentication required'),
  token_expired: row(401, 4101, 'policy-violation', 'no', 'Token expired'),
  forbidden: row(403, 4003, 'policy-violation', 'no', 'Not allowed'),
  unknown_session: row(404, 4004, 'item-not-found', 'now', 'Unknown session'),
  // The body then carries the stream error `conflict` (RFC 6120 §4.9.3.3).
  replaced: row(409, 4009, 'remote-stream-error', 'no', 'Replaced by a newer session'),
  closed: row(410, 4010, 'policy-violation', 'no', 'Closed by the operator'),
  not_found: row(404, undefined, 'item-not-found', 'no', 'Not found'),
  method_not_allowed: row(405, undefined, 'bad-request', 'no', 'Method not allowed'),
  upgrade_required: row(426, undefined, 'bad-request', 'no', 'Upgrade required'),
  conflict: row(409, undefined, 'policy-violation', 'no', 'Conflict'),
  internal: row(500, 1011, 'internal-server-error', 'now', 'Internal error'),
  too_large: row(413, 1009, 'bad-request', 'no', 'Too large'),
  rate_limited: row(429, 4129, 'policy-violation', 'later', 'Too many requests'),
  // An open stream just ends; the status is for a request that finds its session ending this way.
  slow_consumer: row(503, 4208, 'policy-violation', 'now', 'Too slow'),
  draining: row(503, 1012, 'system-shutdown', 'later', 'Going away'),
  overloaded: row(503, 1013, 'internal-server-error', 'later', 'Overloaded'),
  bus_unavailable: row(503, 1013, 'internal-server-error', 'later', 'Message bus unavailable'),
}

export function isReasonCode(text: string): text is ReasonCode {
  return Object.hasOwn(REASONS, text)
}

/** `Retry-After` in whole seconds, at least 1; undefined: no such header. */
export function retryAfterSeconds(reason: CloseReason): number | undefined {
  if (!REASONS[reason.code].retryAfter) return undefined
  return Math.max(1, Math.ceil((reason.retryAfterMs ?? 1000) / 1000))
}

/** The body of an `application/problem+json` answer (RFC 9457). `extra` members replace none of ours. */
export function problemJson(reason: CloseReason, extra?: Readonly<Record<string, unknown>>): string {
  const { http, retryable, title } = REASONS[reason.code]
  const { code, retryAfterMs, cause } = reason
  return JSON.stringify({
    ...extra,
    type: `urn:holdwire:problem:${code}`,
    title,
    status: http,
    detail: reason.reason,
    code,
    retryable,
    retryAfterMs,
    cause,
  })
}
