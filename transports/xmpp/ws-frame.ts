// XMPP frames (RFC 7395): what a WebSocket message is, and the ones that are about the stream itself.

import { randomBytes } from 'node:crypto'
import { Element, escapeAttribute } from '../../proto/xml/element.js'
import { parseJid } from '../../proto/xml/jid.js'
import { FRAMING_NS, STREAM_ERRORS_NS, STREAMS_NS } from '../../proto/xml/namespaces.js'
import { parseXml, XmlError, type XmlProblem } from '../../proto/xml/parse.js'
import type { StreamHeader } from './wire.js'

/** What a client did wrong: a condition of RFC 6120 §4.9.3, and a sentence. */
export interface Fault {
  readonly condition: string
  readonly text: string
}

/** strophe.js compares it byte by byte. */
export const CLOSE = `<close xmlns="${FRAMING_NS}" />`

/** §3.6.1. strophe.js looks at how it begins. */
export function redirectText(uri: string): string {
  return `<close xmlns="${FRAMING_NS}" see-other-uri="${escapeAttribute(uri)}" />`
}

/** strophe.js looks at how it begins. `to`: '' for none. */
export function openText(domain: string, to: string): string {
  // RFC 6120 §4.7.3: unpredictable.
  const id = randomBytes(16).toString('base64url')
  const toText = to === '' ? '' : ` to='${escapeAttribute(to)}'`
  return `<open xmlns='${FRAMING_NS}' version='1.0' from='${escapeAttribute(domain)}'${toText} id='${id}' xml:lang='en'/>`
}

/** `detail`: an application-specific condition (RFC 6120 §4.9.4). */
export function streamErrorText(condition: string, text: string, detail?: Element): string {
  const children = [new Element(STREAM_ERRORS_NS, condition)]
  if (text !== '') children.push(new Element(STREAM_ERRORS_NS, 'text', { 'xml:lang': 'en' }, [text]))
  if (detail !== undefined) children.push(detail)
  return new Element(STREAMS_NS, 'error', {}, children).toString()
}

const CONDITIONS: Readonly<Record<XmlProblem, string>> = {
  'not-well-formed': 'not-well-formed',
  restricted: 'restricted-xml',
  'too-large': 'policy-violation',
}

/** One message, one element (§3.3.3). Undefined: nothing but white space, which some clients send to keep the connection. */
export function readFrame(text: string): Element | Fault | undefined {
  if (/^[\t\n\r ]*$/.test(text)) return undefined
  try {
    return parseXml(text)
  } catch (error) {
    if (!(error instanceof XmlError)) throw error
    // The header of a stream over TCP has no end of its own.
    if (/^\s*(?:<\?xml[^>]*>\s*)?<stream:stream[\s>]/.test(text))
      return { condition: 'invalid-namespace', text: 'streams begin with <open/> here' }
    return { condition: CONDITIONS[error.problem], text: error.problem === 'too-large' ? error.message : '' }
  }
}

/** The name of the element has a prefix. */
export function isPrefixed(text: string): boolean {
  return /^\s*(?:<\?xml[^>]*>\s*)?<[^\s/>:]+:/.test(text)
}

/** `text`: the frame as it came. `domain`: the only one served. */
export function readOpen(element: Element, text: string, domain: string): StreamHeader | Fault {
  if (isPrefixed(text)) return { condition: 'bad-namespace-prefix', text: '<open/> has no prefix' }
  const to = parseJid(element.attribute('to'))
  if (to === undefined || to.local !== '' || to.resource !== '' || to.domain !== domain) return { condition: 'host-unknown', text: '' }
  const version = /^(\d{1,9})\.\d{1,9}$/.exec(element.attribute('version'))
  // RFC 6120 §4.7.5: what is higher is answered with what there is here.
  if (version === null || Number(version[1]) < 1) return { condition: 'unsupported-version', text: 'the version is 1.0' }
  return { to: to.domain, from: element.attribute('from'), language: element.attribute('xml:lang') }
}
