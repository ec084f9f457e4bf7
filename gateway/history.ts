// A session that is behind reads its user's inbox up to where live delivery is, then goes live.

import { BusError } from '../bus/bus.js'
import type { Hub } from './hub.js'
import { Outbound } from './outbound.js'
import type { Session } from './session.js'
import type { UserEntry } from './user-entry.js'

const PAGE_MESSAGES = 128
const RETRY_MS = 500

export type GapReason = 'evicted' | 'reset'

export function deliverGap(hub: Hub, session: Session, reason: GapReason): void {
  hub.gap()
  session.deliver(new Outbound({ gap: { reason } }))
}

/** Whether the client has said how far it is. To a newcomer nothing is missing: it gets what there is. */
export type Reader = 'known' | 'newcomer'

/**
 * Reads until the session is live, or its outbox is half full. Says whether history had been truncated (then the session
 * got a gap frame in its place). Throws BusError.
 */
export async function readHistory(hub: Hub, entry: UserEntry, session: Session, reader: Reader): Promise<{ readonly truncated: boolean }> {
  let truncated = false
  while (session.isBehind && session.hasRoom) {
    const { tail, resets } = entry
    if (session.inbox >= tail) {
      session.goLive(session.inbox)
      break
    }
    const after = session.inbox
    const page = await hub.bus.read(entry.user, after, PAGE_MESSAGES)
    // The bus takes position 0 for a newcomer's; it may also be that of somebody who was there before the first message.
    const missed = page.truncated || (after === 0 && reader === 'known' && !(await hub.bus.isWhole(entry.user)))
    if (entry.resets !== resets) {
      // The gap frame went to all sessions of the user.
      truncated = true
      continue
    }
    // Another reader was faster, or the client went back meanwhile.
    if (session.inbox !== after || !session.isBehind) continue
    if (missed) {
      truncated = true
      deliverGap(hub, session, 'evicted')
    }
    for (const { seq, data } of page.messages) {
      if (seq <= session.inbox) continue
      const incoming = hub.envelopes.durable(data)
      if (incoming.kind !== 'frame') hub.dropped('an inbox message that is none')
      session.history(seq, incoming.kind === 'frame' ? incoming.outbound : undefined)
    }
    // What lay between has expired.
    if (!page.more && session.inbox < tail) session.history(tail, undefined)
  }
  return { truncated }
}

/** Goes on with what readHistory left, as the client takes it. Resolves when the session is live or closed. */
export async function keepReading(hub: Hub, entry: UserEntry, session: Session): Promise<void> {
  while (session.isBehind) {
    await hub.room(session)
    try {
      await readHistory(hub, entry, session, 'known')
    } catch (error) {
      if (!(error instanceof BusError)) throw error
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
    }
  }
}
