// What the front ends (native frames here, XMPP streams beside them) do things with, opened on one bus.

import type { Bucket, Bus } from '../bus/bus.js'
import type { Clock } from '../bus/clock.js'
import { History } from './history.js'
import type { WorkerLimits } from './limits.js'
import { Presence } from './presence.js'
import { presenceCodec } from './presence-record.js'
import { Roster } from './roster.js'
import { rosterCodec } from './roster-record.js'
import { Routing } from './routing.js'
import { Records } from './store.js'
import { Topics } from './topics.js'

export interface ServicesOptions {
  readonly bus: Bus
  readonly clock: Clock
  readonly limits: WorkerLimits
  /** Of this worker. */
  readonly address: string
  readonly lingerMs: number
  onError(error: unknown): void
}

export interface Services {
  readonly presence: Presence
  readonly roster: Roster
  readonly topics: Topics
  readonly routing: Routing
  readonly history: History
  /** Of the records in it: what was told about whom. */
  readonly presenceBucket: Bucket
}

/** Throws BusError. */
export async function openServices({ bus, clock, limits, address, lingerMs, onError }: ServicesOptions): Promise<Services> {
  const presenceBucket = await bus.bucket('presence')
  const rosters = new Records(await bus.bucket('roster'), rosterCodec)
  const presence = await Presence.open({
    bus,
    records: new Records(presenceBucket, presenceCodec),
    rosters,
    clock,
    address,
    lingerMs,
    onError,
  })
  const topics = await Topics.open(bus, await bus.bucket('topics'), limits)
  return {
    presence,
    roster: new Roster({ bus, records: rosters, presence, clock, limits }),
    topics,
    routing: new Routing(bus, topics, clock, limits),
    history: new History(bus, clock, limits),
    presenceBucket,
  }
}
