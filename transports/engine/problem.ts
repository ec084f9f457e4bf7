// What an engine itself answers when a request never gets to a route, or when the route fails: problem+json (RFC 9457).

import { STATUS_CODES } from 'node:http'
import type { Head } from './engine.js'
import { checkedHead, defineHead } from './heads.js'

/** A whole response: what an engine says in its own name. */
export interface Problem {
  readonly head: Head
  readonly body: string
}

export const malformed = problem(400, 'malformed')
export const tooSlow = problem(408, 'timeout')
export const bodyTooLarge = problem(413, 'too_large')
export const upgradeRequired = problem(426, 'upgrade_required', [
  ['upgrade', 'websocket'],
  ['sec-websocket-version', '13'],
])
export const headTooLarge = problem(431, 'too_large')
export const internal = problem(500, 'internal')

function problem(status: number, code: string, headers: Head['headers'] = []): Problem {
  return {
    head: defineHead(status, [['content-type', 'application/problem+json'], ...headers]),
    body: JSON.stringify({ type: 'about:blank', title: STATUS_CODES[status], status, code, retryable: status >= 500 }),
  }
}

/** The bytes of a response that ends its connection, for sockets that have no response object. `head` and `extra` are checked. */
export function closingResponse(head: Head, body: string | null, extra: Head['headers'] = []): string {
  const checked = checkedHead(head)
  const fields = [...checked.headers, ...extra].map(([name, value]) => `${name}: ${value}\r\n`).join('')
  const statusLine = `HTTP/1.1 ${checked.status} ${STATUS_CODES[checked.status] ?? ''}\r\n`
  return `${statusLine}${fields}connection: close\r\ncontent-length: ${Buffer.byteLength(body ?? '')}\r\n\r\n${body ?? ''}`
}
