// Stanzas that are not kept, on their way to the sessions of XMPP clients: ephemeral envelopes that are for them alone.

import type { Bus } from '../../bus/bus.js'
import type { Clock } from '../../bus/clock.js'
import { v1 } from '../../proto/messages.js'
import { Element } from '../../proto/xml/element.js'
import { userJid } from '../../proto/xml/jid.js'
import { CLIENT_NS } from '../../proto/xml/namespaces.js'

export interface DeliveryOptions {
  readonly bus: Bus
  readonly clock: Clock
  /** Of the users' addresses. */
  readonly domain: string
}

export class Delivery {
  readonly domain: string
  readonly #bus: Bus
  readonly #clock: Clock

  constructor({ bus, clock, domain }: DeliveryOptions) {
    this.#bus = bus
    this.#clock = clock
    this.domain = domain
  }

  /** To every session of the user that takes such a stanza; `to` becomes the user's bare JID. */
  toUser(user: string, stanza: Element): void {
    this.#push(user, stanza.with({ to: userJid(user, this.domain) }), {})
  }

  /** To the session with this resource; `to` becomes its full JID. */
  toResource(user: string, resource: string, stanza: Element): void {
    this.#push(user, stanza.with({ to: userJid(user, this.domain, resource) }), { resource })
  }

  /** To the session with this public ref, as it stands. */
  toSession(user: string, onlySession: string, stanza: Element): void {
    this.#push(user, stanza, { onlySession })
  }

  #push(user: string, stanza: Element, to: Pick<v1.Envelope.$Properties, 'resource' | 'onlySession'>): void {
    const xml = Buffer.from(stanza.toString())
    this.#bus.push(user, v1.Envelope.encode({ time: this.#clock.now(), xml, ...to }).finish())
  }
}

/** The end of a resource, without `to`; '' for the end of all there are. */
export function unavailable(user: string, resource: string, domain: string): Element {
  return new Element(CLIENT_NS, 'presence', { from: userJid(user, domain, resource), type: 'unavailable' })
}
