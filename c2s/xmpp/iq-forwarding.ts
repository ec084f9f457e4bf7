// Requests and answers from one XMPP client to another (RFC 6121 §8.5.3).

import type { Bus } from '../../bus/bus.js'
import type { Clock } from '../../bus/clock.js'
import { v1 } from '../../proto/messages.js'
import { NATIVE_RESOURCE } from '../../proto/xml/native-presence.js'
import { StanzaError } from '../../proto/xml/stanza-error.js'
import type { Incoming } from './incoming.js'
import { pushLive } from './live.js'
import type { Resources } from './resources.js'

export interface IqForwardingOptions {
  readonly bus: Bus
  readonly clock: Clock
  readonly resources: Resources
}

export class IqForwarding {
  readonly #options: IqForwardingOptions

  constructor(options: IqForwardingOptions) {
    this.#options = options
  }

  /** Throws StanzaError `service-unavailable`, Refusal and BusError. */
  async request(incoming: Incoming, user: string, resource: string): Promise<void> {
    // Sessions of the native protocol know no requests.
    const isThere = resource !== NATIVE_RESOURCE && (await this.#options.resources.isConnected(user, resource))
    if (!isThere) throw new StanzaError('service-unavailable')
    pushLive(this.#options.bus, user, this.#envelope(incoming, resource))
  }

  /** Of a request that came from there; if its sender has gone, nobody is told. */
  answer(incoming: Incoming, user: string, resource: string): void {
    this.#options.bus.push(user, this.#envelope(incoming, resource))
  }

  #envelope({ stanza }: Incoming, resource: string): Uint8Array {
    const { clock } = this.#options
    return v1.Envelope.encode({ time: clock.now(), resource, xml: Buffer.from(stanza.toString()) }).finish()
  }
}
