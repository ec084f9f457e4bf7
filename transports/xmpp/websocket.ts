// GET /xmpp-websocket, or /ws with the subprotocol `xmpp`: the handshake (RFC 7395 §3.1).

import { randomBytes } from 'node:crypto'
import { type CloseReason, problemJson } from '../../gateway/close-reason.js'
import { problemExtra, problemHead } from '../answers.js'
import type { Upgrade } from '../engine/engine.js'
import type { Visit } from '../visit.js'
import { XmppSocket, type XmppSocketOptions } from './ws-socket.js'

export const XMPP_PROTOCOL = 'xmpp'

/** Whether the client of a path that serves several subprotocols is to be answered with `xmpp`: the first that it offers of those known here. */
export function prefersXmpp(offered: readonly string[], others: readonly string[]): boolean {
  return offered.find((protocol) => protocol === XMPP_PROTOCOL || others.includes(protocol)) === XMPP_PROTOCOL
}

export function openXmppSocket(options: XmppSocketOptions, visit: Visit, upgrade: Upgrade): void {
  const reason = options.refusal(visit.ip) ?? refusalOf(upgrade)
  if (reason === undefined) {
    const name = randomBytes(12).toString('base64url')
    upgrade.accept(new XmppSocket(options, visit, name), XMPP_PROTOCOL)
    return
  }
  options.refused('xmpp-websocket', reason)
  upgrade.reject(problemHead(reason), problemJson(reason), [...visit.cors, ...problemExtra(reason)])
}

function refusalOf({ protocols }: Upgrade): CloseReason | undefined {
  if (protocols.includes(XMPP_PROTOCOL)) return undefined
  return { code: 'malformed', reason: `the subprotocol here is \`${XMPP_PROTOCOL}\`` }
}
