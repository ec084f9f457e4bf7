// What a SASL mechanism is to the rest, and how it fails.

/** RFC 6120 §6.5, as far as they occur here. */
export type SaslCondition =
  | 'aborted'
  | 'credentials-expired'
  | 'incorrect-encoding'
  | 'invalid-authzid'
  | 'invalid-mechanism'
  | 'malformed-request'
  | 'not-authorized'
  | 'temporary-auth-failure'

/** Thrown by mechanisms; `message` is for the client's developer and tells nothing that a stranger should not know. */
export class SaslFailure extends Error {
  override readonly name = 'SaslFailure'
  constructor(
    readonly condition: SaslCondition,
    message = '',
  ) {
    super(message)
  }
}

/** Who has authenticated, and what the token said, if it was one. */
export interface Identity {
  readonly user: string
  /** Undefined: nothing was said of topics. */
  readonly topics: readonly string[] | undefined
  /** Milliseconds since the epoch; 0: never. */
  readonly expiresAtMs: number
}

export type Step =
  | { readonly kind: 'challenge'; readonly data: Uint8Array; readonly state: string }
  /** `data`: undefined for none, which is not the same as an empty one (RFC 6120 §6.4.6). */
  | { readonly kind: 'success'; readonly data: Uint8Array | undefined; readonly identity: Identity }

export interface Mechanism {
  readonly name: string
  /** It has nothing to be asked: without an initial response it goes on as with an empty one. */
  readonly isSilent?: true
  /**
   * What a message of the client is answered. `state`: what the last challenge went with, by whichever worker; '' for the first
   * message. Throws SaslFailure and BusError.
   */
  step(state: string, message: Uint8Array, ip: string): Promise<Step>
}

export function accountIdentity(user: string): Identity {
  return { user, topics: undefined, expiresAtMs: 0 }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Throws SaslFailure. */
export function decodeText(message: Uint8Array): string {
  try {
    return utf8.decode(message)
  } catch {
    throw new SaslFailure('malformed-request', 'not UTF-8')
  }
}
