// Bodies of POST /poll and /send: frames as JSON.

import { checkFrame, type Parsed } from '../proto/client-frame.js'

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** One frame or an array of frames; undefined: not JSON in UTF-8. A frame over the limit is a problem of its own. */
export function readFrames(body: Uint8Array, maxFrameBytes: number): Parsed[] | undefined {
  let value: unknown
  try {
    value = JSON.parse(utf8.decode(body))
  } catch {
    return undefined
  }
  const values: unknown[] = Array.isArray(value) ? value : [value]
  // Most bodies are shorter than one frame may be.
  if (body.length <= maxFrameBytes) return values.map(checkFrame)
  return values.map((one) => (Buffer.byteLength(JSON.stringify(one)) > maxFrameBytes ? tooLarge(one, maxFrameBytes) : checkFrame(one)))
}

function tooLarge(value: unknown, maxFrameBytes: number): Parsed {
  const checked = checkFrame(value)
  const ref = 'problem' in checked ? checked.ref : (checked.frame.ref ?? '')
  return { problem: `a frame has at most ${maxFrameBytes} bytes`, ref, code: 'too_large' }
}
