// ANONYMOUS (RFC 4505, XEP-0175): somebody without a name is given one.

import { accountIdentity, type Mechanism, type Step } from './mechanism.js'

const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567'
const CHARACTERS = 22

export class Anonymous implements Mechanism {
  readonly name = 'ANONYMOUS'
  readonly isSilent = true
  readonly #random: (bytes: number) => Uint8Array

  constructor(random: (bytes: number) => Uint8Array) {
    this.#random = random
  }

  /** What the client says of itself ("trace information") is not looked at. The id has 110 bits, and no capitals: some clients fold them. */
  async step(): Promise<Step> {
    const characters = Array.from(this.#random(CHARACTERS), (byte) => ALPHABET[byte % ALPHABET.length])
    return { kind: 'success', data: undefined, identity: accountIdentity(`anon-${characters.join('')}`) }
  }
}
