// The Holdwire client for browsers and Node: one connection over WebSocket, SSE or polling, whichever gets through.
//
//   import { connect } from 'holdwire/client'
//
//   const connection = connect({ url: 'https://push.example.com', token: () => fetchToken(), device: 'laptop' })
//   connection.on('message', (message) => console.log(message.from, message.data))
//   connection.on('gap', () => reloadState())
//   connection.on('state', (state) => console.log(state.kind))
//   await connection.message('bob', { text: 'hello' })
//
// In Node before 22 there is no WebSocket: pass one (`environment: { WebSocket }`), or SSE and polling are used.

import { Connection } from './connection.js'
import type { ConnectOptions } from './types.js'

/** Returns at once, in the state `idle`: register handlers before the next `await`. Throws when no transport of the list exists here. */
export function connect(options: ConnectOptions): Connection {
  return new Connection(options)
}

export type { Connection, Roster } from './connection.js'
export type { Environment, FetchInit, FetchResponse, WebSocketLike } from './environment.js'
export { HoldwireError } from './errors.js'
export type {
  ClientFrame,
  ConnectOptions,
  EndReason,
  Events,
  GapFrame,
  HistoryPage,
  HistoryQuery,
  MessageFrame,
  MessageOptions,
  PresenceFrame,
  PresenceStatus,
  RosterFrame,
  RosterItem,
  SendOptions,
  State,
  TransportName,
} from './types.js'
