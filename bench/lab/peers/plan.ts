// What is measured of Holdwire beside other servers, in short and at length.

import type { Recipe } from '../contender.js'
import type { Engine } from '../holdwire.js'
import type { LabTransport } from '../result.js'
import { bareUws, bareWs, socketio } from './bare.js'
import { centrifugo } from './centrifugo.js'
import { nchan } from './nchan.js'
import { RECIPES } from './recipes.js'
import { ejabberd, prosody } from './xmpp.js'

export interface PeersPlan {
  readonly engines: readonly Engine[]
  readonly recipes: readonly Recipe[]
  readonly transports: readonly LabTransport[]
  readonly rounds: number
  readonly sessions: number
  readonly sizeBytes: number
  /** Of each measurement. */
  readonly seconds: number
  /** `latency`: messages a second, over all sessions. */
  readonly rate: number
  /** `latency` once more, at half of what Holdwire's slower engine did at most. */
  readonly halfOfMaximum: boolean
  /** `maximum`: messages under way. */
  readonly window: number
  readonly broadcast: { readonly transports: readonly LabTransport[]; readonly subscribers: number; readonly rate: number }
  readonly cycles: readonly LabTransport[]
  /** Holdwire once more, with messages past the store, as the others have them. */
  readonly ephemeral: readonly LabTransport[]
  /** Undefined: not measured. */
  readonly idle: IdlePlan | undefined
}

export interface IdlePlan {
  readonly transports: readonly LabTransport[]
  readonly sessions: number
  readonly seconds: number
  readonly settleMs: number
  /** Of the whole time, at the most. */
  readonly share: number
}

const SHARED = {
  engines: ['uws', 'node'],
  recipes: RECIPES,
  sizeBytes: 200,
  window: 1000,
  rate: 200,
  cycles: ['keepalive', 'longpoll', 'bosh'],
} as const

export const QUICK: PeersPlan = {
  ...SHARED,
  recipes: [bareUws, bareWs, socketio, centrifugo, nchan, ejabberd, prosody],
  transports: ['websocket', 'keepalive', 'bosh'],
  rounds: 1,
  sessions: 40,
  seconds: 0.5,
  halfOfMaximum: false,
  broadcast: { transports: [], subscribers: 0, rate: 0 },
  ephemeral: [],
  idle: undefined,
}

export const FULL: PeersPlan = {
  ...SHARED,
  transports: ['websocket', 'sse', 'keepalive', 'longpoll', 'bosh', 'xmpp-websocket'],
  rounds: 2,
  sessions: 200,
  seconds: 1.2,
  halfOfMaximum: true,
  ephemeral: ['websocket'],
  broadcast: { transports: ['websocket', 'sse'], subscribers: 2000, rate: 4 },
  idle: { transports: ['websocket', 'keepalive', 'bosh', 'xmpp-websocket'], sessions: 1000, seconds: 1, settleMs: 250, share: 0.4 },
}
