// Whom a request is from, behind proxies: X-Forwarded-For and X-Forwarded-Proto are believed as far as a trusted proxy wrote them.

import { isIP } from 'node:net'
import { Networks } from '../gateway/networks.js'
import type { RequestHead } from './engine/engine.js'

export interface ProxyOptions {
  /** So many last entries of X-Forwarded-For are believed, whoever the peer is. */
  readonly trustProxy: number
  /** Addresses and networks of proxies; not together with `trustProxy`. */
  readonly trustedProxies: readonly string[]
}

export class ClientAddresses {
  readonly #hops: number
  readonly #proxies: Networks | undefined

  constructor({ trustProxy, trustedProxies }: ProxyOptions) {
    this.#hops = trustProxy
    this.#proxies = trustedProxies.length === 0 ? undefined : new Networks(trustedProxies)
  }

  /** Call while the head can be read. */
  of(head: RequestHead): string {
    const peer = head.remoteAddress()
    if (this.#proxies !== undefined) return this.#walk(peer, this.#proxies, head.header('x-forwarded-for'))
    if (this.#hops === 0) return peer
    const hops = head.header('x-forwarded-for').split(',')
    return addressOf(hops[hops.length - this.#hops] ?? '') ?? peer
  }

  /** Whether the client speaks TLS, as the nearest proxy says; undefined: no proxy does. */
  secure(head: RequestHead): boolean | undefined {
    const trusted = this.#proxies === undefined ? this.#hops > 0 : this.#proxies.has(head.remoteAddress())
    const scheme = trusted ? lastOf(head.header('x-forwarded-proto')) : ''
    return scheme === '' ? undefined : scheme === 'https'
  }

  /** From the peer towards the client, as long as whoever wrote the next entry is trusted. */
  #walk(peer: string, proxies: Networks, forwarded: string): string {
    let client = peer
    const hops = forwarded.split(',')
    while (proxies.has(client)) {
      const before = addressOf(hops.pop() ?? '')
      if (before === undefined) break
      client = before
    }
    return client
  }
}

const MAPPED_IPV4 = /^::ffff:(?=\d+\.)/i

/** An entry of X-Forwarded-For, to which some proxies add a port. Undefined: it is no address. */
function addressOf(entry: string): string | undefined {
  const text = entry.trim()
  const bare = /^\[([^\]]+)\](?::\d+)?$/.exec(text)?.[1] ?? /^([^:]+):\d+$/.exec(text)?.[1] ?? text
  const address = bare.replace(MAPPED_IPV4, '')
  return isIP(address) === 0 ? undefined : address
}

/** Of a header to which each proxy may add: what the nearest one saw. */
function lastOf(list: string): string {
  return (list.split(',').at(-1) ?? '').trim().toLowerCase()
}
