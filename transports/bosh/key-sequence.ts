// Keys: each request proves that it comes from whom the one before it came from (XEP-0124 §15).

import { createHash } from 'node:crypto'

/**
 * `none`: no keys. `expected`: SHA-1 of the next key, in hexadecimal. `unknown`: there are keys, but those before are not known
 * (the session was adopted): the next one is believed.
 */
export type KeyState = { readonly kind: 'none' } | { readonly kind: 'expected'; readonly hash: string } | { readonly kind: 'unknown' }

export class KeySequence {
  #state: KeyState
  /** Of a session that was adopted: the newest one there is. */
  #newest: { readonly rid: number; readonly key: string } | undefined = undefined

  constructor(state: KeyState) {
    this.#state = state
  }

  /** `newKey` of the creation request; '': none. */
  static startingWith(newKey: string): KeySequence {
    return new KeySequence(newKey === '' ? { kind: 'none' } : { kind: 'expected', hash: newKey.toLowerCase() })
  }

  get state(): KeyState {
    return this.#state
  }

  /** Of the next request in order, so many `steps` after the one before. False: it comes from somebody else. */
  accepts(rid: number, steps: number, key: string, newKey: string): boolean {
    const state = this.#state
    if (state.kind !== 'none') {
      if (key === '') return false
      if (state.kind === 'expected' && hashed(key, steps) !== state.hash) return false
      if (steps > 1 || state.kind === 'unknown' || this.#newest !== undefined) this.#newest = { rid, key }
    }
    const last = newKey === '' ? key : newKey
    if (newKey !== '' || state.kind !== 'none') this.#state = { kind: 'expected', hash: last.toLowerCase() }
    return true
  }

  /** Of one that comes late, after an adoption or a gap: the newest one must follow from it. */
  acceptsEarlier(rid: number, key: string, newKey: string): boolean {
    if (this.#state.kind === 'none') return true
    const newest = this.#newest
    if (newest === undefined || key === '') return false
    const hash = hashed(newest.key, newest.rid - rid)
    return hash === key.toLowerCase() || hash === newKey.toLowerCase()
  }

  /** Of a request that came before: the key must be the same. */
  matches(key: string, first: string): boolean {
    return this.#state.kind === 'none' || key.toLowerCase() === first.toLowerCase()
  }
}

function hashed(key: string, times: number): string {
  let hash = key
  for (let i = 0; i < times; i++) hash = createHash('sha1').update(hash).digest('hex')
  return hash
}
