// Frames as protobuf (proto/frames.proto): encoded once without the cursor, which is appended as the last field.

import type { Outbound } from '../../gateway/outbound.js'
import { v1 } from '../../proto/messages.js'

export { decodeFrame } from '../../proto/client-frame.js'

/** Field 15, length-delimited. */
const CURSOR_TAG = (15 << 3) | 2

/** A ServerFrame. Cursors are ASCII and shorter than 128 bytes, so their length takes one byte. */
export function protobufFrame(outbound: Outbound, cursor: string): Buffer {
  outbound.protobuf ??= Buffer.from(v1.ServerFrame.encode(outbound.frame).finish())
  const head = outbound.protobuf
  const whole = Buffer.allocUnsafe(head.length + 2 + cursor.length)
  whole.set(head, 0)
  whole[head.length] = CURSOR_TAG
  whole[head.length + 1] = cursor.length
  whole.write(cursor, head.length + 2, 'latin1')
  return whole
}
