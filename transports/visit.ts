// A request on the client port, read while its head can be read: who, from where, with what.

import type { Credentials } from '../gateway/auth/authenticator.js'
import type { Cors, Headers } from './cors.js'
import type { RequestHead } from './engine/engine.js'

export interface Visit {
  readonly method: string
  readonly path: string
  readonly params: URLSearchParams
  readonly credentials: Credentials
  /** `Last-Event-ID` wins over `?cursor=`. Undefined: none was given. */
  readonly cursor: string | undefined
  readonly ip: string
  /** The connection ends with this response: a long-polling client rather than a keep-alive one. */
  readonly closing: boolean
  /** Of the origin, for whatever is answered. */
  readonly cors: Headers
}

export interface VisitOptions {
  readonly cors: Cors
  /** How many proxies in front add to X-Forwarded-For; 0: none is believed. */
  readonly trustProxy: number
}

export function readVisit(head: RequestHead, options: VisitOptions): Visit {
  const params = new URLSearchParams(head.query)
  const lastEventId = head.header('last-event-id')
  return {
    method: head.method,
    path: head.path,
    params,
    credentials: {
      bearer: head.header('authorization'),
      queryToken: params.get('token') ?? '',
      queryUser: params.get('user') ?? '',
      device: params.get('device') ?? '',
    },
    cursor: lastEventId === '' ? (params.get('cursor') ?? undefined) : lastEventId,
    ip: clientAddress(head, options.trustProxy),
    closing: head.closing || params.get('mode') === 'close',
    cors: options.cors.headers(head.header('origin'), head.header('host')),
  }
}

/** The address that the outermost trusted proxy saw. */
function clientAddress(head: RequestHead, trustProxy: number): string {
  if (trustProxy > 0) {
    const hops = head.header('x-forwarded-for').split(',')
    const hop = hops[hops.length - trustProxy]?.trim()
    if (hop !== undefined && hop !== '') return hop
  }
  return head.remoteAddress()
}
