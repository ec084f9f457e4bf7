// Request bodies as they were before compression (XEP-0124 §7.2, `accept`).

import { constants, gunzipSync, inflateRawSync, inflateSync } from 'node:zlib'

/** What the creation response offers. */
export const ACCEPTED_ENCODINGS = 'gzip,deflate'

/** Decoded to `limitBytes` at the most. `malformed`: not what it says it is, or nothing known. */
export function decodeBody(body: Buffer, contentEncoding: string, limitBytes: number): Buffer | 'too large' | 'malformed' {
  if (contentEncoding === '' || contentEncoding === 'identity') return body
  // At most a body's worth of work, so it may be done at once.
  const options = { maxOutputLength: limitBytes, finishFlush: constants.Z_FINISH }
  try {
    switch (contentEncoding) {
      case 'gzip':
      case 'x-gzip':
        return gunzipSync(body, options)
      case 'deflate':
        // zlib's format (RFC 9110 §8.4.1.2), or bare as some send it.
        return ((body[0] ?? 0) & 0x0f) === 8 ? inflateSync(body, options) : inflateRawSync(body, options)
      default:
        return 'malformed'
    }
  } catch (error) {
    return error instanceof RangeError || (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE' ? 'too large' : 'malformed'
  }
}
