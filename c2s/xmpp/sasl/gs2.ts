// The GS2 header that SCRAM and OAUTHBEARER messages begin with (RFC 5801 §4).

import { SaslFailure } from './mechanism.js'

export interface Gs2 {
  /** As it was sent, with its last comma. */
  readonly header: string
  /** '' for none. */
  readonly authzid: string
  readonly rest: string
}

/** Throws SaslFailure. A client that could bind to the channel is as welcome as one that can't: it was not offered. */
export function parseGs2(message: string): Gs2 {
  const match = /^(?:[ny]|p=[A-Za-z0-9.-]+),(?:a=([^,]+))?,/.exec(message)
  if (match === null) throw new SaslFailure('malformed-request', 'no GS2 header')
  const [header, authzid] = match
  if (header.startsWith('p')) throw new SaslFailure('malformed-request', 'channel binding was not offered')
  return { header, authzid: authzid === undefined ? '' : parseSaslname(authzid), rest: message.slice(header.length) }
}

/** RFC 5802 §5.1: a comma is `=2C` and an equals sign `=3D`. Throws SaslFailure. */
export function parseSaslname(text: string): string {
  if (text === '' || /\0|=(?!2C|3D)/.test(text)) throw new SaslFailure('malformed-request', 'a name that is not encoded as it should be')
  return text.replace(/=(2C|3D)/g, (_, hex: string) => (hex === '2C' ? ',' : '='))
}
