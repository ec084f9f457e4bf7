// What a request's `<body/>` says: its attributes, checked, and its payloads (XEP-0124 §6–§16, XEP-0206 §3–§5).

import { Element, type Node } from '../../proto/xml/element.js'
import { BOSH_NS, CLIENT_NS, XBOSH_NS } from '../../proto/xml/namespaces.js'

/** Asks for a session: has no `sid`. */
export interface Creation {
  readonly kind: 'creation'
  readonly rid: number
  /** '': neither `to` nor a host in `route`. */
  readonly to: string
  readonly from: string
  readonly language: string
  /** Major and minor; undefined: a client of old, which is told errors by HTTP status. */
  readonly version: readonly [number, number] | undefined
  /** Seconds; undefined: as the server likes. */
  readonly wait: number | undefined
  readonly hold: number | undefined
  /** '': the default. */
  readonly contentType: string
  /** Responses will be acknowledged (§9.2). */
  readonly acks: boolean
  readonly newKey: string
  readonly payloads: readonly Element[]
}

export interface Request {
  readonly kind: 'request'
  readonly sid: string
  /** Infinity: more than a rid can be. */
  readonly rid: number
  readonly key: string
  readonly newKey: string
  readonly terminates: boolean
  /** Seconds. */
  readonly pause: number | undefined
  readonly ack: number | undefined
  /** '': all streams. */
  readonly stream: string
  readonly to: string
  readonly from: string
  readonly language: string
  readonly restarts: boolean
  readonly payloads: readonly Element[]
}

export interface Malformed {
  readonly kind: 'malformed'
  /** Of the session that ends with it; '': none. */
  readonly sid: string
  /** It would have created a session for a client of old. */
  readonly legacy: boolean
  readonly why: string
}

/** §14.1: 2^53 - 1. */
export const RID_LIMIT = Number.MAX_SAFE_INTEGER
const CONTENT_TYPE_LIMIT = 128
const TEXT_LIMIT = 3071
const STANZAS = new Set(['message', 'presence', 'iq'])
const NOTHING: readonly Element[] = []

export function readBody(body: Element): Creation | Request | Malformed {
  const sid = body.attribute('sid')
  const fail = (why: string): Malformed => ({ kind: 'malformed', sid, legacy: sid === '' && !body.attributes.has('ver'), why })
  if (!body.is('body', BOSH_NS)) return { ...fail('no <body/> of BOSH'), sid: '', legacy: false }
  const rid = positive(body.attribute('rid'))
  if (rid === undefined) return fail('`rid` is a positive number')
  const payloads = payloadsOf(body)
  if (payloads === undefined) return fail('text between the payloads')
  for (const name of ['to', 'from', 'xml:lang', 'stream', 'key', 'newkey'])
    if (body.attribute(name).length > TEXT_LIMIT) return fail(`\`${name}\` is too long`)
  return body.attributes.has('sid') ? readRequest(body, sid, rid, payloads, fail) : readCreation(body, rid, payloads, fail)
}

type Fail = (why: string) => Malformed

function readCreation(body: Element, rid: number, payloads: readonly Element[], fail: Fail): Creation | Malformed {
  if (rid > RID_LIMIT) return fail('`rid` is at most 2^53 - 1')
  if (body.attribute('type') === 'terminate') return fail('there is no session to end: `sid` is missing')
  const version = versionOf(body.attributes.get('ver'))
  if (version === 'malformed') return fail('`ver` is no version')
  const wait = optional(body, 'wait')
  const hold = optional(body, 'hold')
  if (wait === 'malformed' || hold === 'malformed') return fail('`wait` and `hold` are numbers')
  const contentType = body.attribute('content').trim()
  if (contentType !== '' && (contentType.length > CONTENT_TYPE_LIMIT || !CONTENT_TYPE.test(contentType)))
    return fail('`content` is no media type')
  return {
    kind: 'creation',
    rid,
    to: body.attribute('to') || hostOf(body.attribute('route')),
    from: body.attribute('from'),
    language: body.attribute('xml:lang'),
    version,
    wait,
    hold,
    contentType,
    acks: body.attribute('ack') === '1',
    newKey: body.attribute('newkey'),
    payloads,
  }
}

function readRequest(body: Element, sid: string, rid: number, payloads: readonly Element[], fail: Fail): Request | Malformed {
  const pause = optional(body, 'pause')
  if (pause === 'malformed') return fail('`pause` is a number')
  const ack = body.attributes.has('ack') ? positive(body.attribute('ack')) : undefined
  if (body.attributes.has('ack') && ack === undefined) return fail('`ack` is a positive number')
  return {
    kind: 'request',
    sid,
    rid,
    key: body.attribute('key'),
    newKey: body.attribute('newkey'),
    terminates: body.attribute('type') === 'terminate',
    pause,
    ack,
    stream: body.attribute('stream'),
    to: body.attribute('to'),
    from: body.attribute('from'),
    language: body.attribute('xml:lang'),
    restarts: isTrue(body.attribute(`{${XBOSH_NS}}restart`)),
    payloads,
  }
}

/** Media type and parameters as RFC 9110 §8.3.1 has them; nothing that could break a header. */
const CONTENT_TYPE = /^[\w!#$%&'*+.^`|~-]+\/[\w!#$%&'*+.^`|~-]+(?: *; *[\w!#$%&'*+.^`|~-]+=(?:[\w!#$%&'*+.^`|~-]+|"[ !#-[\]-~]*"))*$/

/** xs:positiveInteger. Infinity: beyond 2^53 - 1. */
function positive(text: string): number | undefined {
  const digits = /^\s*\+?0*([1-9]\d*)\s*$/.exec(text)?.[1]
  if (digits === undefined) return undefined
  const number = Number(digits)
  return number <= RID_LIMIT ? number : Number.POSITIVE_INFINITY
}

/** xs:nonNegativeInteger. */
function optional(body: Element, name: string): number | undefined | 'malformed' {
  const text = body.attributes.get(name)
  if (text === undefined) return undefined
  return /^\s*\+?\d+\s*$/.test(text) ? Number(text) : 'malformed'
}

function versionOf(text: string | undefined): readonly [number, number] | undefined | 'malformed' {
  if (text === undefined) return undefined
  const [, major, minor] = /^\s*(\d{1,9})\.(\d{1,9})(?:\.\d+)*\s*$/.exec(text) ?? []
  return major === undefined || minor === undefined ? 'malformed' : [Number(major), Number(minor)]
}

/** `proto:host:port` */
function hostOf(route: string): string {
  return /^[^:]+:([^:[\]]+|\[[^\]]+\]):\d+$/.exec(route.trim())?.[1] ?? ''
}

/** xs:boolean */
function isTrue(text: string): boolean {
  return text === 'true' || text === '1'
}

/** Undefined: there is text between them. */
function payloadsOf(body: Element): readonly Element[] | undefined {
  if (body.children.length === 0) return NOTHING
  const payloads: Element[] = []
  for (const child of body.children) {
    if (child instanceof Element) payloads.push(child.ns === BOSH_NS && STANZAS.has(child.name) ? inClientNs(child) : child)
    else if (/[^ \t\r\n]/.test(child)) return undefined
  }
  return payloads
}

/** Stanzas whose namespace was not declared have that of the wrapper (XEP-0206 §2). */
function inClientNs(element: Element): Element {
  const children = element.children.map((child: Node) => (child instanceof Element && child.ns === BOSH_NS ? inClientNs(child) : child))
  return new Element(CLIENT_NS, element.name, element.attributes, children)
}
