// The opening handshake of RFC 6455 as far as the engines leave it to us, and what may be said in a close frame.

import type { RequestHead } from './engine.js'
import { malformed, type Problem, upgradeRequired } from './problem.js'

const KEY = /^[+/0-9A-Za-z]{22}==$/
const PROTOCOL = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
/** RFC 6455 §5.5: a control frame's payload is at most 125 bytes, two of them the code. */
const REASON_LIMIT_BYTES = 123

/** Whether a request wants to become a WebSocket; other upgrades (h2c) are ignored, as RFC 9110 §7.8 lets a server do. */
export function asksForWebSocket(upgradeHeader: string | undefined): boolean {
  return upgradeHeader !== undefined && upgradeHeader.toLowerCase() === 'websocket'
}

/** What is wrong with a WebSocket handshake (RFC 6455 §4.2.1), or the protocols it offers. */
export function readHandshake(head: Pick<RequestHead, 'method' | 'header'>): Problem | readonly string[] {
  if (head.method !== 'GET' || !/(^|[,\s])upgrade([,\s]|$)/i.test(head.header('connection'))) return malformed
  if (head.header('sec-websocket-version') !== '13') return upgradeRequired
  if (!KEY.test(head.header('sec-websocket-key'))) return malformed
  const header = head.header('sec-websocket-protocol')
  if (header === '') return []
  const protocols = header.split(',').map((name) => name.trim())
  const valid = protocols.every((name) => PROTOCOL.test(name)) && new Set(protocols).size === protocols.length
  return valid ? protocols : malformed
}

/** Throws RangeError unless `chosen` is '' or one of those offered: a client fails a handshake that names another. */
export function checkChosenProtocol(chosen: string, offered: readonly string[]): void {
  if (chosen !== '' && !offered.includes(chosen)) throw new RangeError('the chosen subprotocol was not offered')
}

/** Throws RangeError at a close code that may not be sent (RFC 6455 §7.4). */
export function checkCloseCode(code: number): void {
  const standard = code >= 1000 && code <= 1014 && code !== 1004 && code !== 1005 && code !== 1006
  if (!Number.isInteger(code) || !(standard || (code >= 3000 && code <= 4999))) throw new RangeError(`not a close code: ${code}`)
}

/** As much of `reason` as fits into a close frame, cut between characters. */
export function closeReason(reason: string): string {
  if (Buffer.byteLength(reason) <= REASON_LIMIT_BYTES) return reason
  const bytes = Buffer.from(reason)
  let end = REASON_LIMIT_BYTES
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end--
  return bytes.toString('utf8', 0, end)
}
