// Sending what is not kept.

import type { Bus } from '../../bus/bus.js'
import { StanzaError } from '../../proto/xml/stanza-error.js'
import { Refusal } from '../refusal.js'

/** Hands an encoded Envelope to whoever is there. Throws StanzaError `resource-constraint`, Refusal `bus_unavailable` and BusError. */
export function pushLive(bus: Bus, user: string, envelope: Uint8Array): void {
  if (bus.push(user, envelope)) return
  if (bus.state === 'up') throw new StanzaError('resource-constraint', 'this is too large, or too much at once')
  throw new Refusal('bus_unavailable', "the bus can't take it now; try again")
}
