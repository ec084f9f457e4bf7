// SCRAM-SHA-1 and SCRAM-SHA-256, the server's side, without channel binding (RFC 5802, RFC 7677).
//
// What a stranger can see is the same for users with and without an account: the second get a salt that never changes
// and keys that nothing fits.

import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import type { ScramMechanism } from '../../../proto/scram.js'
import { checkAuthzid } from './authzid.js'
import { decodeBase64 } from './base64.js'
import type { Directory, Keys } from './directory.js'
import type { Failures } from './failures.js'
import { parseGs2, parseSaslname } from './gs2.js'
import { accountIdentity, decodeText, type Mechanism, SaslFailure, type Step } from './mechanism.js'

export interface ScramOptions {
  readonly directory: Directory
  readonly failures: Failures
  readonly domain: string
  /** So many bytes that can't be foreseen. */
  random(bytes: number): Uint8Array
}

/** Between the two messages of the client. */
interface Exchange {
  /** As the client wrote it. */
  readonly name: string
  readonly authzid: string
  readonly gs2: string
  readonly nonce: string
  readonly clientFirstBare: string
  readonly serverFirst: string
}

const NONCE_BYTES = 18
const MESSAGE_LIMIT_BYTES = 4096
/** `[!-+--~]`: printable without the comma. */
const CLIENT_FIRST = /^n=([^,]*),r=([!-+\--~]+)((?:,[A-Za-z]=[^,\0]+)*)$/
const CLIENT_FINAL = /^(c=([^,]+),r=([!-+\--~]+)(?:,[A-Za-z]=[^,\0]+)*),p=([^,]+)$/

export class Scram implements Mechanism {
  readonly name: string
  readonly #mechanism: ScramMechanism
  readonly #options: ScramOptions

  constructor(mechanism: ScramMechanism, options: ScramOptions) {
    this.name = mechanism.name
    this.#mechanism = mechanism
    this.#options = options
  }

  async step(state: string, message: Uint8Array, ip: string): Promise<Step> {
    if (message.length > MESSAGE_LIMIT_BYTES) throw new SaslFailure('malformed-request', 'too long')
    const text = decodeText(message)
    return state === '' ? this.#first(text, ip) : this.#final(JSON.parse(state) as Exchange, text, ip)
  }

  async #first(message: string, ip: string): Promise<Step> {
    const { directory, failures, random } = this.#options
    const { header, authzid, rest } = parseGs2(message)
    // RFC 5802 §5.1: an extension that must be understood.
    if (rest.startsWith('m=')) throw new SaslFailure('malformed-request', 'no extensions are supported')
    const [, saslname, clientNonce] = CLIENT_FIRST.exec(rest) ?? []
    if (saslname === undefined || clientNonce === undefined) throw new SaslFailure('malformed-request', 'no first message of SCRAM')
    const name = parseSaslname(saslname)
    const login = await directory.find(name)
    failures.check(login.user, ip)
    const { salt, iterations } = login.keys(this.#mechanism)
    const nonce = clientNonce + Buffer.from(random(NONCE_BYTES)).toString('base64')
    const serverFirst = `r=${nonce},s=${Buffer.from(salt).toString('base64')},i=${iterations}`
    const exchange: Exchange = { name, authzid, gs2: header, nonce, clientFirstBare: rest, serverFirst }
    return { kind: 'challenge', data: Buffer.from(serverFirst), state: JSON.stringify(exchange) }
  }

  async #final(exchange: Exchange, message: string, ip: string): Promise<Step> {
    const { directory, failures, domain } = this.#options
    const [, withoutProof, channel, nonce, encodedProof] = CLIENT_FINAL.exec(message) ?? []
    if (withoutProof === undefined || channel === undefined || encodedProof === undefined) {
      throw new SaslFailure('malformed-request', 'no final message of SCRAM')
    }
    const binding = decodeBase64(channel)
    const proof = decodeBase64(encodedProof)
    if (binding === undefined || proof === undefined) throw new SaslFailure('malformed-request', 'not Base64')
    const login = await directory.find(exchange.name)
    const data = await failures.guard(login.user, ip, async () => {
      const serverSignature = this.#verify(login.keys(this.#mechanism), exchange, withoutProof, proof)
      if (serverSignature === undefined || nonce !== exchange.nonce || binding.toString() !== exchange.gs2) {
        throw new SaslFailure('not-authorized')
      }
      return Buffer.from(`v=${serverSignature.toString('base64')}`)
    })
    checkAuthzid(exchange.authzid, login.user, domain)
    return { kind: 'success', data, identity: accountIdentity(login.user) }
  }

  /** The server's signature; undefined: the client does not know the password (RFC 5802 §3). */
  #verify(keys: Keys, { clientFirstBare, serverFirst }: Exchange, clientFinal: string, proof: Uint8Array): Buffer | undefined {
    const { hash, bytes } = this.#mechanism
    const authMessage = `${clientFirstBare},${serverFirst},${clientFinal}`
    const clientSignature = createHmac(hash, keys.storedKey).update(authMessage).digest()
    const clientKey = clientSignature.map((byte, i) => byte ^ (proof[i] ?? 0))
    const isRight = timingSafeEqual(createHash(hash).update(clientKey).digest(), keys.storedKey)
    const serverSignature = createHmac(hash, keys.serverKey).update(authMessage).digest()
    return isRight && !keys.isFake && proof.length === bytes ? serverSignature : undefined
  }
}
