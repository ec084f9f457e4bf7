// A session on its way from one node to another.

import { v1 } from '../proto/messages.js'
import { Outbound } from './outbound.js'
import type { Session } from './session.js'

export interface Moved {
  readonly base: number
  readonly baseInbox: number
  readonly last: number
  readonly inbox: number
  readonly frames: readonly { readonly number: number; readonly inbox: number; readonly outbound: Outbound }[]
  readonly context: Uint8Array
  readonly status: string
  readonly note: string
  readonly sinceMs: number
  readonly device: string
}

export function encodeMoved(session: Session): v1.MovedSession.$Properties {
  const contents = session.contents((outbound) => v1.ServerFrame.encode(outbound.frame).finish())
  return { ...contents, context: session.uplink?.context ?? new Uint8Array() }
}

export function decodeMoved(moved: v1.MovedSession.$Properties): Moved {
  const frames = (moved.frames ?? []).map(({ number, frame, inbox, expires, collapseKey, durable }) => ({
    number: number ?? 0,
    inbox: inbox ?? 0,
    outbound: new Outbound(v1.ServerFrame.decode(frame ?? new Uint8Array()), {
      durable: durable ?? false,
      expiresAtMs: expires ? expires : Number.POSITIVE_INFINITY,
      collapseKey: collapseKey ?? '',
    }),
  }))
  return {
    base: moved.base ?? 0,
    baseInbox: moved.baseInbox ?? 0,
    last: moved.last ?? 0,
    inbox: moved.inbox ?? 0,
    frames,
    context: moved.context ?? new Uint8Array(),
    status: moved.status || 'offline',
    note: moved.note ?? '',
    sinceMs: moved.since ?? 0,
    device: moved.device ?? '',
  }
}
