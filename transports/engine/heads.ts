// Response heads, made once and checked then: uWebSockets.js checks nothing itself, and one CR in a value splits a response.

import type { Head } from './engine.js'

type Headers = Head['headers']

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
/** What may not be in a field value (RFC 9110 §5.5); beyond ASCII the engines' encodings differ. */
const NOT_IN_VALUE = /[^\t\x20-\x7e]/
/** The engine frames messages and ends connections; a head that says otherwise corrupts the stream. */
const FRAMING = new Set(['content-length', 'transfer-encoding', 'connection', 'keep-alive', 'trailer'])

/** A head that has passed the checks, with its headers in the shape node:http takes. */
export class CheckedHead implements Head {
  /** Name, value, name, value… */
  readonly flat: readonly string[]

  constructor(
    readonly status: number,
    readonly headers: Headers,
  ) {
    if (!Number.isInteger(status) || status < 200 || status > 599) throw new RangeError(`not a final HTTP status: ${status}`)
    checkHeaders(headers)
    this.flat = headers.flat()
  }
}

/** Checks a response head once, for use in any number of responses. `status` is 200 to 599. Throws RangeError. */
export function defineHead(status: number, headers: Headers): Head {
  return new CheckedHead(status, Object.freeze(headers.map(([name, value]) => Object.freeze([name, value] as const))))
}

/** `head` itself when `defineHead` made it, else a checked copy. Throws RangeError. */
export function checkedHead(head: Head): CheckedHead {
  return head instanceof CheckedHead ? head : new CheckedHead(head.status, head.headers)
}

/** Throws RangeError at a name or value that can't be sent, or a header that is the engine's own. The value is not in the message: it may be a secret. */
export function checkHeaders(headers: Headers): void {
  for (const [name, value] of headers) {
    if (!TOKEN.test(name)) throw new RangeError('not a header name')
    if (FRAMING.has(name.toLowerCase())) throw new RangeError(`${name} is set by the engine`)
    if (NOT_IN_VALUE.test(value)) throw new RangeError(`the value of ${name} has characters that no header may have`)
  }
}

/** Whether a request's Transfer-Encoding can be read; parsers that take another one for chunked let requests be smuggled. */
export function isKnownCoding(transferEncoding: string | undefined): boolean {
  return transferEncoding === undefined || transferEncoding === '' || transferEncoding.toLowerCase() === 'chunked'
}

/** Responses with these have no body and no content-length (RFC 9110 §8.6). */
export function isBodiless(status: number): boolean {
  return status === 204 || status === 304
}
