// The ways in which clients of the other servers talk, by the `kind` of a `WireTarget`.

import type { Wire, WireHost, WireOptions } from '../../wire.js'
import { BoshWire } from '../../wire-bosh.js'
import { XmppWebSocketWire } from '../../wire-xmpp-websocket.js'
import { CentrifugoWire } from './centrifugo-wire.js'
import { EventStreamWire } from './event-stream-wire.js'
import { NchanPollWire } from './nchan-poll-wire.js'
import { PlainWebSocketWire } from './plain-websocket-wire.js'
import { SocketioPollWire } from './socketio-poll-wire.js'
import { SocketioWire } from './socketio-wire.js'

type MakeWire = (host: WireHost, options: WireOptions) => Wire

export const PEER_WIRES: Readonly<Record<string, MakeWire>> = {
  'plain-websocket': (host, options) => new PlainWebSocketWire(host, options),
  'event-stream': (host, options) => new EventStreamWire(host, options),
  'nchan-poll': (host, options) => new NchanPollWire(host, options),
  centrifugo: (host, options) => new CentrifugoWire(host, options),
  socketio: (host, options) => new SocketioWire(host, options),
  'socketio-poll': (host, options) => new SocketioPollWire(host, options),
  'quoted-bosh': (host, options) => new BoshWire(unquoting(host), options),
  'quoted-xmpp-websocket': (host, options) => new XmppWebSocketWire(unquoting(host), options),
}

const QUOTE = Buffer.from('&quot;')

/** XMPP servers write the quotes of a body as entities, which would hide its payload. */
function unquoting(host: WireHost): WireHost {
  return {
    send: (bytes) => host.send(bytes),
    opened: () => host.opened(),
    reconnect: () => host.reconnect(),
    ended: (why) => host.ended(why),
    frames: (bytes) =>
      host.frames(bytes.includes(QUOTE) ? Buffer.from(bytes.toString('latin1').replaceAll('&quot;', '"'), 'latin1') : bytes),
  }
}
