// A request on the client port, read while its head can be read: who, from where, with what.

import type { Credentials } from '../gateway/auth/authenticator.js'
import type { ClientAddresses } from './client-address.js'
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
  /** Over TLS: to the proxy in front, as it says, or to us. */
  readonly secure: boolean
  /** Of the body, in lower case; '' for none. */
  readonly contentEncoding: string
  /** Of the origin, for whatever is answered. */
  readonly cors: Headers
}

export interface VisitOptions {
  readonly cors: Cors
  readonly addresses: ClientAddresses
  /** The port speaks TLS itself. */
  readonly tls: boolean
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
    ip: options.addresses.of(head),
    closing: head.closing || params.get('mode') === 'close',
    secure: options.addresses.secure(head) ?? options.tls,
    contentEncoding: head.header('content-encoding').trim().toLowerCase(),
    cors: options.cors.headers(head.header('origin'), head.header('host')),
  }
}
