// Keys of backends on the internal port: what each may do, compared in constant time.

import { createHash, timingSafeEqual } from 'node:crypto'

export const SCOPES = ['push', 'read', 'sessions', 'accounts', 'metrics'] as const

export type Scope = (typeof SCOPES)[number]

export interface ApiKey {
  /** For the log: not a secret. */
  readonly name: string
  readonly scopes: ReadonlySet<Scope>
  readonly key: string
}

const ALL: ReadonlySet<Scope> = new Set(SCOPES)
/** What has this shape is never a key alone: a misspelt scope must not become a key that may do everything. */
const SCOPED = /^([\w.-]{1,64}):([a-z]+(?:\+[a-z]+)*):(.+)$/s

/** Each entry is a key alone, which may do everything, or `name:scope+scope:key`. Throws RangeError, whose message has no key in it. */
export function parseApiKeys(entries: readonly string[]): ApiKey[] {
  const keys: ApiKey[] = []
  for (const [i, entry] of entries.entries()) {
    const [, name = `#${i + 1}`, words, key = entry] = SCOPED.exec(entry) ?? []
    const scopes = words === undefined ? ALL : scopesOf(words, i + 1)
    const same = keys.find((other) => other.key === key)
    if (same !== undefined && !sameScopes(same.scopes, scopes))
      throw new RangeError(`entry ${i + 1} is a key that is there before, with other scopes`)
    keys.push({ name, scopes, key })
  }
  return keys
}

/** Of the headers `Authorization` (`Bearer …`) and `X-API-Key`, '' when absent. */
export interface Presented {
  readonly authorization: string
  readonly apiKey: string
}

export class ApiKeys {
  #known: readonly { readonly digest: Buffer; readonly key: ApiKey }[] = []

  constructor(keys: readonly ApiKey[]) {
    this.replace(keys)
  }

  /** From now on only these are good. */
  replace(keys: readonly ApiKey[]): void {
    this.#known = keys.map((key) => ({ digest: digest(key.key), key }))
  }

  find({ authorization, apiKey }: Presented): ApiKey | undefined {
    const bearer = /^Bearer +(\S+) *$/i.exec(authorization)?.[1] ?? ''
    const presented = digest(bearer === '' ? apiKey : bearer)
    // No early end: the time must not tell which key was nearly right.
    let found: ApiKey | undefined
    for (const { digest: known, key } of this.#known) if (timingSafeEqual(known, presented)) found = key
    return found
  }
}

function scopesOf(words: string, place: number): ReadonlySet<Scope> {
  const scopes = new Set<Scope>()
  for (const word of words.split('+')) {
    const scope = SCOPES.find((known) => known === word)
    if (word === 'all') for (const each of SCOPES) scopes.add(each)
    else if (scope === undefined) throw new RangeError(`entry ${place} has a scope that there is not (there are ${SCOPES.join(', ')}, all)`)
    else scopes.add(scope)
  }
  return scopes
}

function sameScopes(a: ReadonlySet<Scope>, b: ReadonlySet<Scope>): boolean {
  return a.size === b.size && [...a].every((scope) => b.has(scope))
}

function digest(key: string): Buffer {
  return createHash('sha256').update(key).digest()
}
