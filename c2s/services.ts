// What the front ends (native frames here, XMPP streams beside them) do things with, opened on one bus.

import type { Bucket, Bus } from '../bus/bus.js'
import type { Clock } from '../bus/clock.js'
import { ROSTER_NS } from '../proto/xml/namespaces.js'
import { History } from './history.js'
import type { WorkerLimits } from './limits.js'
import { Presence } from './presence.js'
import { presenceCodec } from './presence-record.js'
import { Roster } from './roster.js'
import { rosterCodec } from './roster-record.js'
import { Routing } from './routing.js'
import { Records } from './store.js'
import { Topics } from './topics.js'
import { BlockLists } from './xmpp/block-lists.js'
import { Delivery } from './xmpp/delivery.js'
import { iqKey } from './xmpp/iq-result.js'
import { openMessaging } from './xmpp/messaging.js'
import { XmppPresence } from './xmpp/presence.js'
import { rosterIq } from './xmpp/roster-iq.js'
import { Stanzas } from './xmpp/stanzas.js'
import { subscriptions } from './xmpp/subscriptions.js'

export interface ServicesOptions {
  readonly bus: Bus
  readonly clock: Clock
  readonly limits: WorkerLimits
  /** Of this worker. */
  readonly address: string
  readonly lingerMs: number
  readonly xmppDomain: string
  /** Of this software. */
  readonly version: string
  onError(error: unknown): void
}

export interface Services {
  readonly presence: Presence
  readonly blockLists: BlockLists
  readonly roster: Roster
  readonly topics: Topics
  readonly routing: Routing
  readonly history: History
  readonly stanzas: Stanzas
  /** Of the sessions of XMPP clients. */
  readonly xmppPresence: XmppPresence
  /** Of the records in it: what was told about whom. */
  readonly presenceBucket: Bucket
}

/** Throws BusError. */
export async function openServices({
  bus,
  clock,
  limits,
  address,
  lingerMs,
  xmppDomain,
  version,
  onError,
}: ServicesOptions): Promise<Services> {
  const presenceBucket = await bus.bucket('presence')
  const rosters = new Records(await bus.bucket('roster'), rosterCodec)
  const delivery = new Delivery({ bus, clock, domain: xmppDomain })
  const blockLists = await BlockLists.open(bus, xmppDomain)
  const isBlocked = (user: string, other: string): boolean => blockLists.isBetweenNative(user, other)
  const presence = await Presence.open({
    bus,
    delivery,
    records: new Records(presenceBucket, presenceCodec),
    rosters,
    isBlocked,
    clock,
    address,
    lingerMs,
    onError,
  })
  const topics = await Topics.open(bus, await bus.bucket('topics'), limits)
  const roster = new Roster({ bus, records: rosters, presence, delivery, isBlocked, clock, limits })
  const xmppPresence = new XmppPresence({
    bus,
    presence,
    rosters,
    delivery,
    blockLists,
    subscriptions: subscriptions(roster, blockLists, xmppDomain),
    clock,
    limits,
    lingerMs,
    onError,
  })
  const messaging = await openMessaging({
    bus,
    clock,
    limits,
    domain: xmppDomain,
    version,
    blockLists,
    presence: xmppPresence,
    account: new Map([[iqKey('query', ROSTER_NS), rosterIq(roster, xmppDomain)]]),
  })
  const stanzas = new Stanzas({
    domain: xmppDomain,
    message: messaging.message,
    presence: (incoming) => xmppPresence.handle(incoming),
    iq: messaging.iq,
    onError,
  })
  return {
    presence,
    blockLists,
    roster,
    topics,
    routing: new Routing(bus, topics, clock, limits, isBlocked),
    history: new History(bus, clock, limits),
    stanzas,
    xmppPresence,
    presenceBucket,
  }
}
