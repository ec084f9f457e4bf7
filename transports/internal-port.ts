// The internal port: plain requests and answers, handed to the API.

import { type CloseReason, problemJson } from '../gateway/close-reason.js'
import { problemHead } from './answers.js'
import type { Exchange, RequestHead, Routes, Upgrade } from './engine/engine.js'
import { defineHead } from './engine/heads.js'

export interface ApiRequest {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  header(name: string): string
  readonly body: Buffer
}

export interface ApiResponse {
  readonly status: number
  readonly headers: readonly (readonly [string, string])[]
  readonly body: string | Buffer
}

export interface Api {
  handle(request: ApiRequest): Promise<ApiResponse>
}

export interface InternalPortOptions {
  readonly api: Api
  readonly maxBodyBytes: number
  onError(error: unknown, what: string): void
}

/** The headers an API request may carry; read while the head can be read. */
const HEADERS = ['authorization', 'x-api-key', 'content-type', 'idempotency-key', 'accept'] as const

export class InternalPort implements Routes {
  readonly #options: InternalPortOptions

  constructor(options: InternalPortOptions) {
    this.#options = options
  }

  request(head: RequestHead, exchange: Exchange): void {
    const { method, path } = head
    const query = new URLSearchParams(head.query)
    const headers = new Map<string, string>(HEADERS.map((name) => [name, head.header(name)]))
    const header = (name: string) => headers.get(name.toLowerCase()) ?? ''
    const answer = (body: Buffer | null) => {
      if (body === null) {
        this.#refuse(exchange, { code: 'too_large', reason: `a body has at most ${this.#options.maxBodyBytes} bytes` }, true)
        return
      }
      this.#options.api
        .handle({ method, path, query, header, body })
        .then((response) => {
          if (!exchange.gone) exchange.respond(defineHead(response.status, response.headers), response.body)
        })
        .catch((error) => {
          this.#options.onError(error, `answering ${method} on the internal port`)
          this.#refuse(exchange, { code: 'internal', reason: 'something went wrong here' }, false)
        })
    }
    exchange.owner = { onBody: (_exchange, body) => answer(body), onGone: () => undefined }
    if (method === 'GET' || method === 'HEAD') answer(EMPTY)
    else exchange.readBody(this.#options.maxBodyBytes)
  }

  upgrade(_head: RequestHead, upgrade: Upgrade): void {
    const reason: CloseReason = { code: 'not_found', reason: 'no WebSocket there' }
    upgrade.reject(problemHead(reason), problemJson(reason))
  }

  #refuse(exchange: Exchange, reason: CloseReason, close: boolean): void {
    if (!exchange.gone) exchange.respond(problemHead(reason), problemJson(reason), [], close)
  }
}

const EMPTY = Buffer.alloc(0)
