// The servers that Holdwire is measured beside.

import type { Recipe } from '../contender.js'
import { bareUws, bareWs, socketio } from './bare.js'
import { centrifugo, centrifugoHistory, centrifugoNats } from './centrifugo.js'
import { mercure } from './mercure.js'
import { nchan } from './nchan.js'
import { pushpin } from './pushpin.js'
import { ejabberd, prosody } from './xmpp.js'

export const RECIPES: readonly Recipe[] = [
  bareUws,
  bareWs,
  socketio,
  centrifugo,
  centrifugoHistory,
  centrifugoNats,
  nchan,
  mercure,
  pushpin,
  ejabberd,
  prosody,
]
