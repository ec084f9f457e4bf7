// Which web pages of other origins may talk to the client port.

/** `*`: any. */
export type AllowedOrigins = readonly string[] | '*'

export type Headers = readonly (readonly [string, string])[]

const NONE: Headers = []
const PREFLIGHT_SECONDS = 86_400

export class Cors {
  readonly #allowed: '*' | ReadonlySet<string>

  constructor(allowed: AllowedOrigins) {
    this.#allowed = allowed === '*' ? '*' : new Set(allowed.map((origin) => origin.toLowerCase()))
  }

  /** Whether a page of this origin may; no origin at all is no browser, or a page of this very origin. */
  allows(origin: string, host: string): boolean {
    if (origin === '' || this.#allowed === '*' || this.#allowed.has(origin.toLowerCase())) return true
    return origin.toLowerCase() === `http://${host.toLowerCase()}` || origin.toLowerCase() === `https://${host.toLowerCase()}`
  }

  /** Headers for every response, errors too: the origin is echoed, since `*` is not enough with credentials. */
  headers(origin: string, host: string): Headers {
    if (origin === '' || !this.allows(origin, host) || !isHeaderValue(origin)) return NONE
    return [
      ['access-control-allow-origin', origin],
      ['access-control-allow-credentials', 'true'],
      ['access-control-expose-headers', 'retry-after'],
      ['vary', 'origin'],
    ]
  }

  /** For the answer to a preflight. */
  preflight(origin: string, host: string): Headers {
    const headers = this.headers(origin, host)
    if (headers.length === 0) return headers
    return [
      ...headers,
      ['access-control-allow-methods', 'GET, POST, DELETE, OPTIONS'],
      ['access-control-allow-headers', 'authorization, content-type, last-event-id'],
      ['access-control-max-age', String(PREFLIGHT_SECONDS)],
    ]
  }
}

/** It goes back out: only what can't break a header. */
function isHeaderValue(text: string): boolean {
  return /^[\x21-\x7e]+$/.test(text)
}
