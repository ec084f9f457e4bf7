// A page of a user's inbox for backends.

import type { Bus } from '../../bus/bus.js'
import { formatCursor, parseCursor, userTag } from '../../proto/cursor.js'
import { v1 } from '../../proto/messages.js'
import type { CloseReason } from '../close-reason.js'
import { malformed } from './route.js'

/** Some of what is read is left out: it has expired, or is no message. */
const LEAST_READ = 64
/** A page ends after this much, so that big messages don't make a huge answer. */
const MAX_PAGE_BYTES = 4 * 1024 * 1024

interface MessageView {
  readonly type: 'message'
  readonly id: string
  readonly from?: string
  readonly topic?: string
  readonly time: number
  readonly data: unknown
  readonly cursor: string
}

export interface InboxView {
  readonly messages: readonly MessageView[]
  readonly cursor: string
  readonly truncated?: true
}

/** Messages after the cursor (undefined: from the oldest), oldest first; none: there are none any more. Throws BusError. */
export async function inboxPage(
  bus: Bus,
  user: string,
  cursor: string | undefined,
  limit: number,
  now: number,
): Promise<InboxView | CloseReason> {
  const given = cursor === undefined ? undefined : parseCursor(cursor)
  if (cursor !== undefined && given === undefined) return malformed('cursor: this is none')
  const tag = userTag(user)
  if (given !== undefined && given.userTag !== tag) return { code: 'forbidden', reason: 'cursor: it belongs to another user' }
  const epoch = await bus.epoch(user)
  // A store that was made anew: all that is in it came after the cursor.
  const reset = given !== undefined && given.epoch !== epoch
  let position = given === undefined || reset ? 0 : given.inbox
  let truncated = reset
  const cursorAt = (inbox: number): string => formatCursor({ userTag: tag, epoch, inbox, at: undefined })
  const messages: MessageView[] = []
  let bytes = 0
  for (;;) {
    const page = await bus.read(user, position, Math.max(limit - messages.length, LEAST_READ))
    truncated ||= page.truncated
    for (const { seq, data } of page.messages) {
      if (messages.length === limit) break
      bytes += data.length
      if (bytes > MAX_PAGE_BYTES && messages.length > 0)
        return { messages, cursor: cursorAt(position), ...(truncated ? { truncated } : {}) }
      position = seq
      const message = view(data, now, cursorAt(seq))
      if (message !== undefined) messages.push(message)
    }
    if (!page.more || messages.length === limit) break
  }
  return { messages, cursor: cursorAt(position), ...(truncated ? { truncated } : {}) }
}

/** Undefined: expired, or no message at all. */
function view(bytes: Uint8Array, now: number, cursor: string): MessageView | undefined {
  try {
    const { id, from, topic, time, expires, data } = v1.Envelope.decode(bytes)
    if (data == null || (expires > 0 && expires <= now)) return undefined
    return {
      type: 'message',
      id,
      ...(from === '' ? {} : { from }),
      ...(topic === '' ? {} : { topic }),
      time,
      data: JSON.parse(Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('utf8')) as unknown,
      cursor,
    }
  } catch {
    // Backends may publish on the bus themselves: what is no envelope was never delivered to anybody either.
    return undefined
  }
}
