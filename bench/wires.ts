// The ways in which the generator's clients talk, by the `kind` of a `WireTarget`: the transports of Holdwire by their
// names, and those of other servers.

import { PEER_WIRES } from './lab/peers/wires.js'
import type { Wire, WireHost, WireOptions } from './wire.js'
import { BoshWire } from './wire-bosh.js'
import { PollWire } from './wire-poll.js'
import { ProtobufWire } from './wire-protobuf.js'
import { SseWire } from './wire-sse.js'
import { WebSocketWire } from './wire-websocket.js'
import { XmppWebSocketWire } from './wire-xmpp-websocket.js'

export type MakeWire = (host: WireHost, options: WireOptions) => Wire

const WIRES: Readonly<Record<string, MakeWire>> = {
  websocket: (host, options) => new WebSocketWire(host, options),
  'websocket-protobuf': (host, options) => new ProtobufWire(host, options),
  'websocket-deflate': (host, options) => new WebSocketWire(host, having(options, { deflate: 'on' })),
  sse: (host, options) => new SseWire(host, options),
  keepalive: (host, options) => new PollWire(host, options),
  longpoll: (host, options) => new PollWire(host, having(options, { connection: 'close' })),
  bosh: (host, options) => new BoshWire(host, options),
  'xmpp-websocket': (host, options) => new XmppWebSocketWire(host, options),
  ...PEER_WIRES,
}

/** Throws when there is none of this kind. */
export function wireOf(kind: string): MakeWire {
  const make = WIRES[kind]
  if (make === undefined) throw new Error(`no wire is called ${kind}`)
  return make
}

function having(options: WireOptions, settings: Readonly<Record<string, string>>): WireOptions {
  return { ...options, settings: { ...options.settings, ...settings } }
}
