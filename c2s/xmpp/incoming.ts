// One stanza of an XMPP client on its way through the handlers.

import type { Element } from '../../proto/xml/element.js'
import type { Session } from '../session.js'
import type { XmppState } from './state.js'

export interface Incoming {
  readonly session: Session
  /** Of the session. */
  readonly state: XmppState
  /** `jabber:client`, with `from` set to the full JID of the session. */
  readonly stanza: Element
  /** Of this stanza, the same whenever it is repeated: what message ids on the bus are made of. */
  readonly id: string
}

/** Stanzas for the session the stanza came from, in order. Throws StanzaError (the client's fault), Refusal and BusError. */
export type Handler = (incoming: Incoming) => Promise<readonly Element[]>
