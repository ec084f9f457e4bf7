// Base64 as SASL has it: no blanks, no line breaks, no bits left over (RFC 6120 §13.9.1, RFC 5802 §5.1).

/** Undefined: not the one spelling that these bytes have. '' is no bytes. */
export function decodeBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64')
  return bytes.toString('base64') === text ? bytes : undefined
}
