// What other XMPP servers have in common here: beside BOSH a WebSocket, and a component by which a backend's messages come in.

import type { Contestant } from './contestant.js'

export interface XmppRival extends Contestant {
  /** For components (XEP-0114). */
  readonly componentPort: number
}

export const XMPP_WEBSOCKET_PATH = '/xmpp-websocket'
export const COMPONENT = 'bus.localhost'
export const COMPONENT_SECRET = 'bench-secret'
