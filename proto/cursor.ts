// The cursor: one opaque string that means "up to and including this frame" on every transport and node.
//
//   <user>.<epoch>.<inbox>[.<node>.<session>.<frame>]
//
// user: tag of the user it belongs to · epoch: of the store that holds the inbox · inbox: position there (base 36) ·
// node, session, frame: the session that numbered the frame, while it lives (frame in base 36). All parts are
// [A-Za-z0-9_-], so a cursor needs no escaping in a URL, a header or JSON.

import { createHash } from 'node:crypto'

export interface SessionPosition {
  /** Address of the node that held the session. */
  readonly node: string
  /** Number of the session there. */
  readonly session: string
  /** Number of the frame in the session; 0: before the first. */
  readonly frame: number
}

export interface Cursor {
  readonly userTag: string
  readonly epoch: string
  readonly inbox: number
  /** Undefined: a position in the inbox alone (history). */
  readonly at: SessionPosition | undefined
}

const SHAPE = /^([\w-]{8})\.([\w-]{1,16})\.([0-9a-z]{1,11})(?:\.([\w-]{1,32})\.([0-9a-z]{1,11})\.([0-9a-z]{1,11}))?$/

/** Eight characters that stand for a user; not secret, only there to notice a cursor of somebody else. */
export function userTag(user: string): string {
  return createHash('sha256').update(user).digest('base64url').slice(0, 8)
}

export function formatCursor(cursor: Cursor): string {
  const inbox = `${cursor.userTag}.${cursor.epoch}.${cursor.inbox.toString(36)}`
  return cursor.at === undefined ? inbox : `${inbox}.${cursor.at.node}.${cursor.at.session}.${cursor.at.frame.toString(36)}`
}

/** Undefined: not a cursor. Whose it is has to be checked by the caller. */
export function parseCursor(text: string): Cursor | undefined {
  const match = SHAPE.exec(text)
  if (match === null) return undefined
  const [, tag = '', epoch = '', inboxText = '', node, session = '', frameText = ''] = match
  const inbox = Number.parseInt(inboxText, 36)
  const frame = node === undefined ? 0 : Number.parseInt(frameText, 36)
  if (!Number.isSafeInteger(inbox) || !Number.isSafeInteger(frame)) return undefined
  return { userTag: tag, epoch, inbox, at: node === undefined ? undefined : { node, session, frame } }
}
