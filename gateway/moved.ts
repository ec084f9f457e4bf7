// A session on its way from one node to another: what its client can't have from the inbox.

import { v1 } from '../proto/messages.js'
import { Outbound } from './outbound.js'
import type { Session } from './session.js'

/** Fits into one message of the bus, with room to spare. */
const LIMIT_BYTES = 512 * 1024

/** For a client at this frame. */
export function encodeMoved(session: Session, frame: number): v1.MovedSession.$Properties {
  const { frames, complete } = session.notDurableAfter(frame, LIMIT_BYTES)
  return {
    frames: frames.map((outbound) => ({
      frame: v1.ServerFrame.encode(outbound.frame).finish(),
      expires: Number.isFinite(outbound.expiresAtMs) ? outbound.expiresAtMs : 0,
      collapseKey: outbound.collapseKey,
    })),
    incomplete: !complete,
    context: session.uplink?.context ?? new Uint8Array(),
    status: session.status,
    note: session.note,
    since: session.sinceMs,
    device: session.device,
  }
}

export function movedFrames(moved: v1.MovedSession): Outbound[] {
  return moved.frames.map(({ frame, expires, collapseKey }) => {
    const expiresAtMs = expires ? expires : Number.POSITIVE_INFINITY
    return new Outbound(v1.ServerFrame.decode(frame ?? new Uint8Array()), { expiresAtMs, collapseKey: collapseKey ?? '' })
  })
}
