// What a Socket.IO client says and hears, on either transport: packets of Socket.IO 5 in packets of Engine.IO 4.

import type { WireHost, WireOptions } from '../../wire.js'
import { channelFor } from './target.js'

const PING = '2'
const PONG = '3'
const OPEN = '0'
const CLOSE = '1'
const CONNECTED = '40'
const REFUSED = '44'
const EVENT = Buffer.from('42')
const GREETING = Buffer.from('42["hello"]')

/** To the default namespace; the server reads from the payload whose it is. */
function connectPacket(options: WireOptions): string {
  return `40${JSON.stringify({ channel: channelFor(options) })}`
}

/** Of one packet that came: what is to be said to it, if anything. The session is there when the server has said `hello`. */
export function answerTo(packet: Buffer, host: WireHost, options: WireOptions): string | undefined {
  if (packet.subarray(0, EVENT.length).equals(EVENT)) {
    if (packet.equals(GREETING)) host.opened()
    else host.frames(packet)
    return undefined
  }
  const text = packet.toString('utf8', 0, 200)
  if (text === PING) return PONG
  if (text.startsWith(OPEN)) return connectPacket(options)
  if (text.startsWith(CONNECTED)) return undefined
  host.ended(text.startsWith(CLOSE) || text.startsWith(REFUSED) ? `ended by the server: ${text}` : `not understood: ${text}`)
  return undefined
}
