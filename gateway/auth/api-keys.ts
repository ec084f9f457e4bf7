// Keys of backends on the internal port, compared in constant time.

import { createHash, timingSafeEqual } from 'node:crypto'

export class ApiKeys {
  readonly #digests: readonly Buffer[]

  constructor(keys: readonly string[]) {
    this.#digests = keys.map(digest)
  }

  /** `authorization` and `apiKey`: the headers `Authorization` (`Bearer …`) and `X-API-Key`, '' when absent. */
  accepts(authorization: string, apiKey: string): boolean {
    const bearer = /^Bearer +(\S+) *$/i.exec(authorization)?.[1] ?? ''
    const presented = digest(bearer === '' ? apiKey : bearer)
    // No early end: the time must not tell which key was nearly right.
    let found = 0
    for (const known of this.#digests) found |= Number(timingSafeEqual(known, presented))
    return found === 1
  }
}

function digest(key: string): Buffer {
  return createHash('sha256').update(key).digest()
}
