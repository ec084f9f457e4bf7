// The head of a request on the uws engine.

import type { HttpRequest, HttpResponse } from 'uWebSockets.js'
import type { RequestHead } from './engine.js'

const PROXY_LISTS = new Set(['x-forwarded-for', 'x-forwarded-proto'])

/** Legal until `release`: uWebSockets.js reuses the request. */
export class UwsHead implements RequestHead {
  readonly method: string
  readonly path: string
  readonly query: string
  readonly closing: boolean
  readonly verified = false
  #request: HttpRequest | null
  readonly #response: HttpResponse

  constructor(response: HttpResponse, request: HttpRequest) {
    this.method = request.getMethod().toUpperCase()
    this.path = request.getUrl()
    this.query = request.getQuery() ?? ''
    const connection = request.getHeader('connection')
    this.closing = connection !== '' && connection !== 'keep-alive' && /(^|[,\s])close([,\s]|$)/i.test(connection)
    this.#request = request
    this.#response = response
  }

  header(name: string): string {
    const request = this.#borrowed()
    const first = request.getHeader(name)
    if (first === '' || !PROXY_LISTS.has(name)) return first
    // getHeader gives the first line alone: that of the client, where a proxy has added one of its own.
    const lines: string[] = []
    request.forEach((each, value) => {
      if (each === name) lines.push(value)
    })
    return lines.join(', ')
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

/** An IPv4 address in its IPv6 form (RFC 4291 §2.5.5.2). */
function isMapped(bytes: Uint8Array): boolean {
  for (let i = 0; i < 10; i++) if (bytes[i] !== 0) return false
  return bytes[10] === 0xff && bytes[11] === 0xff
}

/** As node:net writes addresses; an IPv4 address in its IPv6 form as IPv4. */
function addressText(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.')
  if (bytes.length !== 16) return ''
  if (isMapped(bytes)) return `${bytes[12]}.${bytes[13]}.${bytes[14]}.${bytes[15]}`
  const groups = Array.from({ length: 8 }, (_, index) => (((bytes[index * 2] ?? 0) << 8) | (bytes[index * 2 + 1] ?? 0)).toString(16))
  return new URL(`http://[${groups.join(':')}]/`).hostname.slice(1, -1)
}
