// How sessions and streams end: which condition a reason is (XEP-0124 §17.2), and what the `<body/>` says then.

import { type CloseReason, REASONS, type ReasonCode } from '../../gateway/close-reason.js'
import { Element } from '../../proto/xml/element.js'
import { BOSH_NS, STREAM_ERRORS_NS, STREAMS_NS } from '../../proto/xml/namespaces.js'
import type { Notice } from './bosh-record.js'
import { attributeText, bodyBytes } from './response.js'

export type Condition =
  | 'bad-request'
  | 'host-gone'
  | 'host-unknown'
  | 'improper-addressing'
  | 'internal-server-error'
  | 'item-not-found'
  | 'other-request'
  | 'policy-violation'
  | 'remote-connection-failed'
  | 'remote-stream-error'
  | 'see-other-uri'
  | 'system-shutdown'
  | 'undefined-condition'

/** `condition` '': a normal end. `child`: an element that says more; '' for none. */
export interface Ending {
  readonly condition: Condition | ''
  readonly child: string
  readonly reason: CloseReason
}

/** Stream errors that are about the connection manager itself, and have a condition of their own. */
const OF_THE_MANAGER = new Set<string>(['host-gone', 'host-unknown', 'improper-addressing', 'remote-connection-failed', 'see-other-uri'])

/** `streamError`: a condition of RFC 6120 §4.9.3; '' for none. */
export function endingOf(reason: CloseReason, streamError: string): Ending {
  const condition = REASONS[reason.code].bosh
  const error = streamError === '' && condition === 'remote-stream-error' ? 'conflict' : streamError
  // These are told by the table of reasons alone (CONTRACT: `draining`, and what is our own fault).
  if (error === '' || condition === 'system-shutdown' || condition === 'internal-server-error')
    return { condition: asCondition(condition), child: '', reason }
  if (OF_THE_MANAGER.has(error)) return { condition: asCondition(error), child: '', reason }
  return { condition: 'remote-stream-error', child: streamErrorText(error, reason.reason), reason }
}

/** An end that the manager itself has found. */
export function endingWith(condition: Condition, reason: string, child = ''): Ending {
  return { condition, child, reason: { code: CODES[condition] ?? 'internal', reason } }
}

/** `uri`: where clients are served. */
export function endingAt(uri: string): Ending {
  return endingWith('see-other-uri', 'clients are served elsewhere', new Element(BOSH_NS, 'uri', {}, [uri]).toString(BOSH_NS))
}

/** `payload`: elements that go before. */
export function terminateBytes({ condition, child }: Ending, payload = ''): Buffer {
  const attributes = attributeText({ type: 'terminate', condition: condition || undefined })
  return bodyBytes(attributes, payload + child)
}

/** The response that says that one stream of several has ended. `payload`: what it had to say yet. */
export function noticeOf({ condition, child }: Ending, payload: string, stream: string): Notice {
  return { attributes: attributeText({ type: 'terminate', condition: condition || undefined, stream }), payload: payload + child }
}

/** §17.1: what a client of old is told by; everybody else sees 200. */
export function statusOf(condition: Condition | '', legacy: boolean): number {
  return (legacy ? LEGACY[condition] : undefined) ?? 200
}

const LEGACY: Readonly<Record<string, number>> = { 'bad-request': 400, 'policy-violation': 403, 'item-not-found': 404 }

const CODES: Partial<Record<Condition, ReasonCode>> = {
  'bad-request': 'malformed',
  'host-unknown': 'not_found',
  'improper-addressing': 'malformed',
  'item-not-found': 'unknown_session',
  'policy-violation': 'rate_limited',
  'see-other-uri': 'not_found',
  'system-shutdown': 'draining',
}

const CONDITIONS = new Set<string>([
  'bad-request',
  'internal-server-error',
  'item-not-found',
  'policy-violation',
  'remote-stream-error',
  'system-shutdown',
  ...OF_THE_MANAGER,
])

function asCondition(text: string | undefined): Condition | '' {
  if (text === undefined) return ''
  return CONDITIONS.has(text) ? (text as Condition) : 'undefined-condition'
}

function streamErrorText(condition: string, text: string): string {
  const children = [new Element(STREAM_ERRORS_NS, condition)]
  if (text !== '') children.push(new Element(STREAM_ERRORS_NS, 'text', { 'xml:lang': 'en' }, [text]))
  return new Element(STREAMS_NS, 'error', {}, children).toString()
}
