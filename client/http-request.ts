// One fetch that can be aborted, by us or by its deadline.

import type { Environment, FetchResponse } from './environment.js'

export class HttpRequest {
  readonly #environment: Environment
  readonly #abort: { readonly signal: unknown; abort(): void }
  readonly #response: () => Promise<FetchResponse>
  #timer: unknown

  constructor(environment: Environment, method: string, url: string, headers: Record<string, string>, body?: string) {
    this.#environment = environment
    this.#abort = new environment.AbortController()
    const signal = this.#abort.signal as never
    this.#response = () =>
      environment.fetch(url, {
        method,
        headers,
        ...(body === undefined ? {} : { body }),
        cache: 'no-store',
        ...(method === 'DELETE' ? { keepalive: true } : {}), // it may be the last thing a page does
        signal,
      })
  }

  /** The deadline covers the body too: call `done` when that was read. Infinity: none. Rejects when there is no answer. */
  async send(limitMs: number): Promise<FetchResponse> {
    if (limitMs < Number.POSITIVE_INFINITY) this.#timer = this.#environment.setTimeout(() => this.abort(), limitMs)
    return this.#response()
  }

  done(): void {
    this.#environment.clearTimeout(this.#timer)
  }

  abort(): void {
    this.done()
    this.#abort.abort()
  }
}
