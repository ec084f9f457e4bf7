// The record of the bucket `presence`: what those who may see a user were told last, and how that follows from the sessions.

import { v1 } from '../proto/messages.js'
import { aggregate, isStatus, OFFLINE, type SessionPresence, type Shown, sameShown } from './status.js'
import type { Codec } from './store.js'

/** What others see of a user: all sessions as one. */
export interface View extends Shown {
  /** The sessions of the native protocol as one. */
  readonly native: Shown
  /** Of the sessions of XMPP clients that are available, sorted: XMPP clients see each of them. */
  readonly resources: readonly string[]
}

export interface PresenceRecord extends View {
  /** Of the last change between offline and not, milliseconds since the epoch. */
  readonly lastSeen: number
}

/** What a worker knows better than the gateways, which learn it from the worker's answer. */
export interface SessionChange {
  readonly session: SessionPresence
  readonly isNew: boolean
}

/** Of whom nobody was ever told anything. */
export const UNSEEN: PresenceRecord = { ...OFFLINE, native: OFFLINE, resources: [], lastSeen: 0 }

export function sameView(a: View, b: View): boolean {
  return sameShown(a, b) && sameShown(a.native, b.native) && a.resources.join('\n') === b.resources.join('\n')
}

/** What there is to see when these are all sessions. */
export function viewOf(sessions: readonly SessionPresence[], told: View): View {
  const resources = sessions.filter(({ xmpp }) => xmpp !== undefined && xmpp.stanza !== '').map(({ xmpp }) => xmpp?.resource ?? '')
  return {
    ...aggregate(sessions, told),
    native: aggregate(sessions.filter(isNative), told.native),
    resources: [...new Set(resources)].sort(),
  }
}

/**
 * What there is to see when a session says something else of itself, beside these others. Undefined `others`: what they say
 * makes no difference, because nothing outranks online. Resources that others have left are not taken away here: that is a
 * matter of the linger.
 */
export function viewAfter({ session, isNew }: SessionChange, others: readonly SessionPresence[] | undefined, told: View): View {
  const resources = resourcesAfter(session, told.resources)
  const merge = (before: Shown, rest: readonly SessionPresence[] | undefined): Shown => {
    if (rest !== undefined) return aggregate([...rest, session], before, session.session)
    return isNew && before.status === 'online' ? plain(before) : plain(session)
  }
  const native = isNative(session) ? merge(told.native, others?.filter(isNative)) : nativeOf(others, told.native)
  return { ...merge(told, others), native, resources }
}

function nativeOf(others: readonly SessionPresence[] | undefined, told: Shown): Shown {
  return others === undefined ? told : aggregate(others.filter(isNative), told)
}

function resourcesAfter({ xmpp }: SessionPresence, told: readonly string[]): readonly string[] {
  if (xmpp === undefined) return told
  if (xmpp.stanza === '') return told.filter((resource) => resource !== xmpp.resource)
  return told.includes(xmpp.resource) ? told : [...told, xmpp.resource].sort()
}

function isNative({ xmpp }: SessionPresence): boolean {
  return xmpp === undefined
}

function plain({ status, note }: Shown): Shown {
  return { status, note }
}

export const presenceCodec: Codec<PresenceRecord> = {
  encode: ({ status, note, lastSeen, native, resources }) =>
    v1.PresenceRecord.encode({
      status,
      note,
      lastSeen,
      nativeStatus: native.status,
      nativeNote: native.note,
      resources: [...resources],
    }).finish(),
  decode(data) {
    const { status: said, note, lastSeen, nativeStatus, nativeNote, resources } = v1.PresenceRecord.decode(data)
    const status = isStatus(said) ? said : 'offline'
    // A record that says nothing of native sessions was written when there were no others.
    const native = isStatus(nativeStatus) ? { status: nativeStatus, note: nativeNote } : { status, note }
    return { status, note, lastSeen, native, resources }
  },
}
