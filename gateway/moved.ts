// A session on its way from one node to another: what its client can't have from the inbox.

import { v1 } from '../proto/messages.js'
import { Outbound } from './outbound.js'
import type { Session } from './session.js'
import type { XmppSession } from './xmpp-session.js'

/** Fits into one message of the bus, with room to spare. */
const LIMIT_BYTES = 512 * 1024

/** For a client at this frame. */
export function encodeMoved(session: Session, frame: number): v1.MovedSession.$Properties {
  // What was held back goes along: nobody sends it again.
  session.clientState('active')
  const { frames, complete } = session.notDurableAfter(frame, LIMIT_BYTES)
  const { xmpp } = session
  const own = frames.filter((outbound) => xmpp === undefined || outbound.resource === '' || outbound.resource === xmpp.resource)
  return {
    frames: own.map((outbound) => ({
      frame: v1.ServerFrame.encode(xmpp === undefined ? outbound.frame : stanzaFrame(outbound)).finish(),
      expires: Number.isFinite(outbound.expiresAtMs) ? outbound.expiresAtMs : 0,
      collapseKey: outbound.collapseKey,
    })),
    incomplete: !complete,
    context: session.uplink?.context ?? new Uint8Array(),
    status: session.status,
    note: session.note,
    since: session.sinceMs,
    device: session.device,
    xmpp: xmpp === undefined ? null : encodeXmpp(session, xmpp, frame),
  }
}

function encodeXmpp(session: Session, xmpp: XmppSession, frame: number): v1.MovedXmpp.$Properties {
  const { resource, language, generated, shown, receptiveSinceMs, management } = xmpp
  const inbox = session.inboxAt(frame)
  return {
    session: { resource, language },
    shown,
    streamManagement: management?.encode() ?? new Uint8Array(),
    frame,
    inbox,
    generated,
    receptiveSince: receptiveSinceMs,
    own: Math.max(inbox, xmpp.handledDirectly(frame)),
  }
}

/** What an XMPP client gets of it: a stanza, or what one is made of. */
function stanzaFrame({ frame, xml, native }: Outbound): v1.ServerFrame.$Properties {
  if (xml !== undefined) return { stanza: { xml } }
  return native === undefined ? frame : { presence: native }
}

export function movedFrames(moved: v1.MovedSession): Outbound[] {
  return moved.frames.map(({ frame: bytes, expires, collapseKey }) => {
    const options = { expiresAtMs: expires ? expires : Number.POSITIVE_INFINITY, collapseKey: collapseKey ?? '' }
    const frame = v1.ServerFrame.decode(bytes ?? new Uint8Array())
    // To XMPP clients presence that is no stanza is that of somebody's native sessions.
    if (moved.xmpp != null && frame.presence != null) return new Outbound({}, { ...options, native: frame.presence })
    return new Outbound(frame, options)
  })
}
