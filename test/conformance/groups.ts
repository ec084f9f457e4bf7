// All groups of the conformance suite, in the order of the report.

import { acks, overactivity } from './acks.js'
import { creation } from './creation.js'
import { exchange } from './exchange.js'
import { http } from './http.js'
import { httpBodies } from './http-bodies.js'
import { inactivity } from './inactivity.js'
import { keys } from './keys.js'
import { legacyClients } from './legacy-clients.js'
import { pause } from './pause.js'
import { polling } from './polling.js'
import { rids } from './rids.js'
import { sasl } from './sasl.js'
import { stanzas } from './stanzas.js'
import { streamManagement } from './stream-management.js'
import { discovery, streams } from './streams.js'
import { terminate } from './terminate.js'
import { websocket } from './websocket.js'
import { websocketFrames } from './websocket-frames.js'
import { xml } from './xml.js'

export const groups = {
  creation,
  exchange,
  rids,
  acks,
  inactivity,
  pause,
  overactivity,
  polling,
  terminate,
  keys,
  legacyClients,
  streams,
  sasl,
  stanzas,
  xml,
  http,
  httpBodies,
  websocket,
  websocketFrames,
  streamManagement,
  discovery,
}
