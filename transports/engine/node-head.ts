// The head of a request on the node engine.

import { IncomingMessage, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { RequestHead } from './engine.js'
import { asksForWebSocket } from './handshake.js'

const NO_HEADERS = {}
const NO_STRINGS: string[] = []
const MAPPED_IPV4 = '::ffff:'

/** Legal until `release`, which also frees the headers: a held request does not need them. */
export class NodeHead implements RequestHead {
  readonly method: string
  readonly path: string
  readonly query: string
  readonly closing: boolean
  readonly verified: boolean
  #request: IncomingMessage | null

  constructor(request: IncomingMessage, response: ServerResponse | null) {
    const target = originForm(request.url ?? '')
    const mark = target.indexOf('?')
    this.method = request.method ?? ''
    this.path = mark < 0 ? target : target.slice(0, mark)
    this.query = mark < 0 ? '' : target.slice(mark + 1)
    this.closing = request.httpVersionMinor === 0 || response?.shouldKeepAlive === false
    this.verified = hasGoodCertificate(request.socket)
    this.#request = request
  }

  header(name: string): string {
    const value = this.#borrowed().headers[name]
    return value === undefined ? '' : typeof value === 'string' ? value : value.join(', ')
  }

  remoteAddress(): string {
    const address = this.#borrowed().socket.remoteAddress ?? ''
    return address.startsWith(MAPPED_IPV4) ? address.slice(MAPPED_IPV4.length) : address
  }

  release(): void {
    if (this.#request === null) return
    this.#request.headers = NO_HEADERS
    this.#request.rawHeaders = NO_STRINGS
    this.#request.url = ''
    this.#request = null
  }

  #borrowed(): IncomingMessage {
    if (this.#request === null) throw new Error('a request head was used after its route had returned')
    return this.#request
  }
}

/** `authorized` alone is not enough: it is also true for sessions of TLS 1.3 that are taken up again without a certificate. */
function hasGoodCertificate(socket: Socket | TLSSocket): boolean {
  return 'authorized' in socket && socket.authorized && socket.getPeerX509Certificate() !== undefined
}

/** Proxies may send the absolute form, which a server must take (RFC 9112 §3.2.2). */
function originForm(target: string): string {
  if (target.startsWith('/')) return target
  const authority = /^https?:\/\/[^/?]*/i.exec(target)
  if (authority === null) return target
  const rest = target.slice(authority[0].length)
  return rest.startsWith('/') ? rest : `/${rest}`
}

const upgradeSeen = Symbol('upgrade seen')

/**
 * node:http hands every request with an Upgrade header to the upgrade listener, also a client's offer to speak HTTP/2
 * (Java's HttpClient makes one each time). Only WebSockets are upgrades here, the others stay requests.
 */
export class WebSocketAwareMessage extends IncomingMessage {
  declare [upgradeSeen]: boolean | null

  set upgrade(seen: boolean | null) {
    this[upgradeSeen] = seen
  }

  get upgrade(): boolean {
    return this[upgradeSeen] === true && (this.method === 'CONNECT' || asksForWebSocket(this.headers.upgrade))
  }
}
