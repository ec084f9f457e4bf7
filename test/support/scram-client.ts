// SASL as a client does it: PLAIN and SCRAM (RFC 5802, RFC 7677), written from the specifications.

import { createHash, createHmac, pbkdf2Sync, randomBytes, timingSafeEqual } from 'node:crypto'

export type ScramHash = 'sha1' | 'sha256'

export const scramHashes: Readonly<Record<string, ScramHash>> = { 'SCRAM-SHA-1': 'sha1', 'SCRAM-SHA-256': 'sha256' }

export function base64(text: string | Uint8Array): string {
  return Buffer.from(text).toString('base64')
}

export function plain(user: string, password: string, authzid = ''): string {
  return base64(`${authzid}\0${user}\0${password}`)
}

export class ScramClient {
  readonly nonce = randomBytes(18).toString('base64')
  readonly #hash: ScramHash
  readonly #password: string
  readonly #gs2: string
  readonly #bare: string
  #signature: Buffer = Buffer.alloc(0)

  constructor(hash: ScramHash, user: string, password: string, gs2 = 'n,,') {
    this.#hash = hash
    this.#password = password
    this.#gs2 = gs2
    this.#bare = `n=${user.replaceAll('=', '=3D').replaceAll(',', '=2C')},r=${this.nonce}`
  }

  /** In base64, like everything here. */
  first(): string {
    return base64(this.#gs2 + this.#bare)
  }

  /** Throws when the challenge is not a good one. `nonce` sends another one back than the server's. */
  final(challenge: string, nonce?: string): string {
    const text = Buffer.from(challenge, 'base64').toString()
    const fields = new Map(text.split(',').map((field) => [field[0], field.slice(2)]))
    const given = fields.get('r') ?? ''
    if (!given.startsWith(this.nonce) || given === this.nonce) throw new Error(`the server's nonce does not extend the client's: ${text}`)
    const rounds = Number(fields.get('i'))
    if (!(rounds >= 4096)) throw new Error(`iteration count: ${text}`)
    const length = this.#hash === 'sha1' ? 20 : 32
    const salted = pbkdf2Sync(this.#password, Buffer.from(fields.get('s') ?? '', 'base64'), rounds, length, this.#hash)
    const withoutProof = `c=${base64(this.#gs2)},r=${nonce ?? given}`
    const auth = `${this.#bare},${text},${withoutProof}`
    const clientKey = this.#hmac(salted, 'Client Key')
    const stored = createHash(this.#hash).update(clientKey).digest()
    const signature = this.#hmac(stored, auth)
    this.#signature = this.#hmac(this.#hmac(salted, 'Server Key'), auth)
    return base64(`${withoutProof},p=${base64(clientKey.map((byte, i) => byte ^ (signature[i] ?? 0)))}`)
  }

  /** Of the server's signature in the success. */
  verify(success: string): boolean {
    const given = Buffer.from(/^v=(.*)$/.exec(Buffer.from(success, 'base64').toString())?.[1] ?? '', 'base64')
    return given.length === this.#signature.length && timingSafeEqual(given, this.#signature)
  }

  #hmac(key: Uint8Array, data: string): Buffer {
    return createHmac(this.#hash, key).update(data).digest()
  }
}
