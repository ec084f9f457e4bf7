// What a user is shown as, worked out from what the sessions say of themselves.

export const STATUSES = ['offline', 'away', 'dnd', 'online'] as const
export type Status = (typeof STATUSES)[number]

/** What others see of a user. */
export interface Shown {
  readonly status: Status
  readonly note: string
}

export interface SessionPresence extends Shown {
  /** Public ref. */
  readonly session: string
  /** When the session opened, milliseconds since the epoch. */
  readonly since: number
  /** Of a session of an XMPP client: its resource, and its presence stanza ('': not available). */
  readonly xmpp?: { readonly resource: string; readonly stanza: string }
}

export const OFFLINE: Shown = { status: 'offline', note: '' }

export function isStatus(text: string): text is Status {
  return (STATUSES as readonly string[]).includes(text)
}

export function sameShown(a: Shown, b: Shown): boolean {
  return a.status === b.status && a.note === b.note
}

/**
 * The sessions as one: online before dnd before away before offline. Among those of the winning status the note is that
 * of the session that changed just now, else the one others see already (so that nothing changes without a cause), else
 * that of the newest session that has one.
 */
export function aggregate(sessions: readonly SessionPresence[], told: Shown, changed?: string): Shown {
  let rank = 0
  for (const session of sessions) rank = Math.max(rank, STATUSES.indexOf(session.status))
  const status = STATUSES[rank] ?? 'offline'
  const top = sessions.filter((session) => session.status === status)
  const changedNow = top.find((session) => session.session === changed)
  if (changedNow !== undefined) return { status, note: changedNow.note }
  if (told.status === status && (top.length === 0 || top.some((session) => session.note === told.note))) return { status, note: told.note }
  const noted = top.filter((session) => session.note !== '').sort((a, b) => b.since - a.since)
  return { status, note: noted[0]?.note ?? '' }
}
