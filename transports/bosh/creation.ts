// What a client and the server agree on when a session is created (XEP-0124 §7, XEP-0206 §3 and §4).

import { XBOSH_NS } from '../../proto/xml/namespaces.js'
import type { Origin } from './asker.js'
import type { Creation } from './attributes.js'
import type { BoshTerms } from './bosh-record.js'
import { ACCEPTED_ENCODINGS } from './content-encoding.js'
import { attributeText, DEFAULT_CONTENT_TYPE } from './response.js'

/** What the server offers at the most, or prefers. */
export interface BoshOffer {
  readonly domain: string
  readonly waitSeconds: number
  readonly hold: number
  readonly inactivitySeconds: number
  /** 0: polls may come as often as they like. */
  readonly pollingSeconds: number
  /** 0: no pauses. */
  readonly maxPauseSeconds: number
}

/** Of XEP-0124. */
const VERSION = [1, 11] as const
/** `requests` is one byte in the schema. */
const ASKED_HOLD_LIMIT = 254
/** What polling clients may be silent for longer than others, in polling intervals (§12: more than one). */
const POLLS_MISSED = 5

export function agree(creation: Creation, offer: BoshOffer, sid: string, { ip, secure }: Origin): BoshTerms {
  const asked = Math.min(creation.hold ?? 1, ASKED_HOLD_LIMIT)
  const waitSeconds = Math.min(creation.wait ?? offer.waitSeconds, offer.waitSeconds)
  const polls = asked === 0 || waitSeconds === 0
  const inactivitySeconds = offer.inactivitySeconds + (polls ? POLLS_MISSED * Math.max(1, offer.pollingSeconds) : 0)
  return {
    sid,
    legacy: creation.version === undefined,
    waitMs: waitSeconds * 1000,
    hold: polls ? 0 : Math.min(asked, offer.hold),
    // More than what was asked for, although less may be held (§7.2).
    requests: Math.max(asked, 1) + 1,
    inactivityMs: inactivitySeconds * 1000,
    pollingMs: offer.pollingSeconds * 1000,
    maxPauseMs: offer.maxPauseSeconds * 1000,
    contentType: creation.contentType || DEFAULT_CONTENT_TYPE,
    acks: creation.acks,
    domain: offer.domain,
    ip,
    secure,
  }
}

/** Of the creation response. */
export function creationAttributes(terms: BoshTerms, { rid, version }: Creation, stream: string): string {
  const attributes = attributeText({
    sid: terms.sid,
    wait: terms.waitMs / 1000,
    requests: terms.requests,
    hold: terms.hold,
    inactivity: terms.inactivityMs / 1000,
    polling: terms.pollingMs === 0 ? undefined : terms.pollingMs / 1000,
    maxpause: terms.maxPauseMs === 0 ? undefined : terms.maxPauseMs / 1000,
    ver: lower(version ?? VERSION).join('.'),
    from: terms.domain,
    accept: ACCEPTED_ENCODINGS,
    charsets: 'UTF-8',
    // Requests are acknowledged whether the client acknowledges responses or not.
    ack: rid,
    stream,
  })
  return `${attributes}${XMPP_ATTRIBUTES} xmpp:restartlogic='true'`
}

/** Of the response that tells the name of a further stream (§16.3). */
export function additionAttributes({ domain }: BoshTerms, stream: string): string {
  return attributeText({ stream, from: domain }) + XMPP_ATTRIBUTES
}

const XMPP_ATTRIBUTES = ` xmlns:xmpp='${XBOSH_NS}' xmpp:version='1.0'`

function lower(version: readonly [number, number]): readonly [number, number] {
  const [major, minor] = version
  return major < VERSION[0] || (major === VERSION[0] && minor < VERSION[1]) ? version : VERSION
}
