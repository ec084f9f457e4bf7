// The head of a request on the uws engine.

import type { HttpRequest, HttpResponse } from 'uWebSockets.js'
import type { RequestHead } from './engine.js'

/** Legal until `release`: uWebSockets.js reuses the request. */
export class UwsHead implements RequestHead {
  readonly method: string
  readonly path: string
  readonly query: string
  readonly closing: boolean
  #request: HttpRequest | null
  readonly #response: HttpResponse

  constructor(response: HttpResponse, request: HttpRequest) {
    this.method = request.getMethod().toUpperCase()
    this.path = request.getUrl()
    this.query = request.getQuery() ?? ''
    this.closing = /(^|[,\s])close([,\s]|$)/i.test(request.getHeader('connection'))
    this.#request = request
    this.#response = response
  }

  header(name: string): string {
    return this.#borrowed().getHeader(name)
  }

  remoteAddress(): string {
    this.#borrowed()
    return addressText(new Uint8Array(this.#response.getRemoteAddress()))
  }

  release(): void {
    this.#request = null
  }

  #borrowed(): HttpRequest {
    if (this.#request === null) throw new Error('a request head was used after its route had returned')
    return this.#request
  }
}

/** As node:net writes addresses; an IPv4 address in its IPv6 form as IPv4. */
function addressText(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.')
  if (bytes.length !== 16) return ''
  const mapped = bytes.subarray(0, 10).every((byte) => byte === 0) && bytes[10] === 0xff && bytes[11] === 0xff
  if (mapped) return bytes.subarray(12).join('.')
  const groups = Array.from({ length: 8 }, (_, index) => (((bytes[index * 2] ?? 0) << 8) | (bytes[index * 2 + 1] ?? 0)).toString(16))
  return new URL(`http://[${groups.join(':')}]/`).hostname.slice(1, -1)
}
