// What the gateways say of a user's sessions.

import type { Bus } from '../bus/bus.js'
import { v1 } from '../proto/messages.js'
import { isStatus, type SessionPresence } from './status.js'

const PROBE = v1.Envelope.encode({ control: { probe: {} } }).finish()
const ASK_TIMEOUT_MS = 2000

/** Undefined: there are gateways that have sessions of the user, but they don't answer. Throws BusError. */
export async function sessionsOf(bus: Bus, user: string): Promise<SessionPresence[] | undefined> {
  const answers = await bus.ask(user, PROBE, { timeoutMs: ASK_TIMEOUT_MS })
  if (answers === 'unknown') return undefined
  if (answers === 'offline') return []
  return answers.flatMap((answer) => (v1.SessionList.decode(answer).sessions ?? []).flatMap(presenceOf))
}

function presenceOf({ session, since, status, note, device, xmpp }: v1.SessionInfo.$Properties): SessionPresence[] {
  // A session without a status is being opened: its worker will tell.
  if (!session || !status || !isStatus(status)) return []
  const own = { session, since: since ?? 0, status, note: note ?? '' }
  return [xmpp == null ? own : { ...own, xmpp: { resource: device ?? '', stanza: text(xmpp.presence) } }]
}

function text(bytes: Uint8Array | null | undefined): string {
  return bytes == null ? '' : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString()
}
