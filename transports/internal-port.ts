// The internal port: plain requests and answers, handed to the API.

import type { InternalApi } from '../gateway/api/internal-api.js'
import { type CloseReason, problemJson } from '../gateway/close-reason.js'
import { problemHead } from './answers.js'
import type { ClientAddresses } from './client-address.js'
import type { Exchange, RequestHead, Routes, Upgrade } from './engine/engine.js'
import { defineHead } from './engine/heads.js'

export interface InternalPortOptions {
  readonly api: InternalApi
  readonly addresses: ClientAddresses
  onError(error: unknown, what: string): void
}

/** The headers an API request may carry; read while the head can be read. */
const HEADERS = ['authorization', 'x-api-key', 'content-type', 'idempotency-key', 'accept', 'origin', 'host'] as const

export class InternalPort implements Routes {
  readonly #options: InternalPortOptions

  constructor(options: InternalPortOptions) {
    this.#options = options
  }

  request(head: RequestHead, exchange: Exchange): void {
    const { method, path } = head
    const query = new URLSearchParams(head.query)
    const headers = new Map<string, string>(HEADERS.map((name) => [name, head.header(name)]))
    const ip = this.#options.addresses.of(head)
    const { verified } = head
    const answer = (body: Buffer | null) => {
      const request = { method, path, query, ip, verified, headers: (name: string) => headers.get(name) ?? '', body }
      this.#options.api
        .handle(request)
        .then(({ status, headers, body: answered }) => {
          if (!exchange.gone) exchange.respond(defineHead(status, headers), answered, [], body === null)
        })
        .catch((error) => {
          this.#options.onError(error, `answering ${method} on the internal port`)
          const reason: CloseReason = { code: 'internal', reason: 'something went wrong here' }
          if (!exchange.gone) exchange.respond(problemHead(reason), problemJson(reason))
        })
    }
    exchange.owner = { onBody: (_exchange, body) => answer(body), onGone: () => undefined }
    if (method === 'GET' || method === 'HEAD') answer(EMPTY)
    else exchange.readBody(this.#options.api.maxBodyBytes)
  }

  upgrade(_head: RequestHead, upgrade: Upgrade): void {
    const reason: CloseReason = { code: 'not_found', reason: 'no WebSocket there' }
    upgrade.reject(problemHead(reason), problemJson(reason))
  }
}

const EMPTY = Buffer.alloc(0)
