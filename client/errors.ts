// What can go wrong, in the words of the server's error table plus a few of the client's own.

import type { FetchResponse } from './environment.js'
import type { EndReason } from './types.js'

/** WebSocket close codes of the error table. */
const WORD_OF_CLOSE_CODE: Readonly<Record<number, string>> = {
  1001: 'draining',
  1009: 'too_large',
  1011: 'internal',
  1012: 'draining',
  1013: 'overloaded',
  4000: 'malformed',
  4001: 'unauthorized',
  4003: 'forbidden',
  4004: 'unknown_session',
  4009: 'replaced',
  4010: 'closed',
  4101: 'token_expired',
  4129: 'rate_limited',
  4208: 'slow_consumer',
}

const RETRYABLE = new Set(
  'unknown_session internal rate_limited slow_consumer draining overloaded bus_unavailable network timeout queue_full'.split(' '),
)

/** Trying again can't change these. */
const FINAL = new Set(['malformed', 'forbidden', 'replaced', 'closed'])

/** Nobody's fault but the way's: a proxy that blocks, a path that isn't there, a line that breaks. */
const TRANSPORT_FAILURE = new Set(['network', 'not_found', 'method_not_allowed', 'upgrade_required'])

/** A delay longer than this is taken for a mistake. */
const LIMIT_RETRY_AFTER_MS = 3_600_000

/**
 * `code`: a word of the server's error table, or of the client: `timeout` (no reply in time), `queue_full` (too many frames wait
 * for a reply), `client` (close() was called), `handler`, `token`, `frame` (see the `error` event). `retryable`: the same call may succeed later.
 */
export class HoldwireError extends Error {
  override readonly name = 'HoldwireError'
  readonly code: string
  readonly retryable: boolean

  constructor(code: string, message: string, options?: { cause?: unknown; retryable?: boolean }) {
    super(message || code, options)
    this.code = code
    this.retryable = options?.retryable ?? RETRYABLE.has(code)
  }
}

/** Why a link ended. `code` is `network` when nobody said why. */
export interface LinkEnd extends EndReason {
  /** The server's wish. */
  readonly retryAfterMs?: number | undefined
}

export function networkEnd(reason: string): LinkEnd {
  return { code: 'network', reason }
}

export function isFinal(code: string): boolean {
  return FINAL.has(code)
}

export function isRefusedToken(code: string): boolean {
  return code === 'unauthorized' || code === 'token_expired'
}

export function isTransportFailure(code: string): boolean {
  return TRANSPORT_FAILURE.has(code)
}

/** What a WebSocket close says; `opened`: frames had come, so that the line itself was fine. */
export function endOfCloseCode(code: number, reason: string): LinkEnd {
  return { code: WORD_OF_CLOSE_CODE[code] ?? 'network', reason: reason || `WebSocket closed with ${code}` }
}

/**
 * What an HTTP answer other than 2xx says. Only problem+json is the server speaking; anything else is a proxy on the way: `network`.
 * The later of `Retry-After` (RFC 9110 §10.2.3: seconds or a date) and the member `retryAfterMs` counts.
 */
export async function endOfResponse(response: FetchResponse, nowMs: number): Promise<LinkEnd> {
  const retryAfter = response.headers.get('retry-after') ?? ''
  const headerMs = /^\d+$/.test(retryAfter) ? Number(retryAfter) * 1000 : Date.parse(retryAfter) - nowMs
  const problem = parseObject(await response.text())
  const fromServer = (response.headers.get('content-type') ?? '').includes('problem+json') && typeof problem?.code === 'string'
  const bodyMs = typeof problem?.retryAfterMs === 'number' ? problem.retryAfterMs : 0
  return {
    code: fromServer ? String(problem?.code) : 'network',
    reason: fromServer ? String(problem?.detail ?? problem?.title ?? '') : `HTTP status ${response.status}`,
    retryAfterMs: boundedDelay(Math.max(headerMs || 0, bodyMs)),
  }
}

/** A delay that the server asked for, within sense. Undefined: none. */
export function boundedDelay(delayMs: number | undefined): number | undefined {
  return delayMs !== undefined && delayMs > 0 ? Math.min(delayMs, LIMIT_RETRY_AFTER_MS) : undefined
}

/** A JSON object, or undefined for anything else. */
export function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined // not JSON: no object either
  }
}
