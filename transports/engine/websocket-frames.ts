// Frames a server sends (RFC 6455 §5.2): whole messages, unmasked, a whole batch in one buffer so that it is one write.

const FIN = 0x80
const TEXT = 0x1
const BINARY = 0x2

/** A ping without payload. */
export const PING_FRAME: Uint8Array = Uint8Array.of(FIN | 0x9, 0)

/** Each payload as one unfragmented message. The buffer may come from a pool: write it, don't keep it. */
export function buildFrames(payloads: readonly Uint8Array[], binary: boolean): Buffer {
  let size = 0
  for (const payload of payloads) size += headBytes(payload.length) + payload.length
  const frames = Buffer.allocUnsafe(size)
  const first = FIN | (binary ? BINARY : TEXT)
  let at = 0
  for (const payload of payloads) {
    const length = payload.length
    frames[at++] = first
    if (length < 126) {
      frames[at++] = length
    } else if (length < 65_536) {
      frames[at++] = 126
      at = frames.writeUInt16BE(length, at)
    } else {
      frames[at++] = 127
      at = frames.writeUInt32BE(Math.floor(length / 2 ** 32), at)
      at = frames.writeUInt32BE(length % 2 ** 32, at)
    }
    frames.set(payload, at)
    at += length
  }
  return frames
}

function headBytes(length: number): number {
  return length < 126 ? 2 : length < 65_536 ? 4 : 10
}
