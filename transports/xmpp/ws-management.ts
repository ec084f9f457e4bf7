// The elements of stream management (XEP-0198) as they are on the wire.

import { Element } from '../../proto/xml/element.js'
import { SM_NS, STANZA_ERRORS_NS } from '../../proto/xml/namespaces.js'

export const REQUEST = new Element(SM_NS, 'r').toString()

export function answerText(received: number): string {
  return new Element(SM_NS, 'a', { h: String(received) }).toString()
}

/** `id`: what the client comes back with, within `maxSeconds`; '': it can't. */
export function enabledText(id: string, maxSeconds: number): string {
  return new Element(SM_NS, 'enabled', id === '' ? {} : { id, resume: 'true', max: String(maxSeconds) }).toString()
}

export function resumedText(previous: string, received: number): string {
  return new Element(SM_NS, 'resumed', { previd: previous, h: String(received) }).toString()
}

export type Failure =
  | 'bad-request'
  | 'feature-not-implemented'
  | 'internal-server-error'
  | 'item-not-found'
  | 'resource-constraint'
  | 'unexpected-request'

export function failedText(condition: Failure): string {
  return new Element(SM_NS, 'failed', {}, [new Element(STANZA_ERRORS_NS, condition)]).toString()
}

/** `sent`: undefined when it is not known here. */
export function tooHigh(handled: number, sent: number | undefined): Element {
  return new Element(SM_NS, 'handled-count-too-high', { h: String(handled), 'send-count': sent?.toString() })
}

/** `h`, an unsignedInt. Undefined: missing, or none. */
export function countOf(element: Element): number | undefined {
  const text = element.attribute('h').trim()
  const count = /^\+?\d{1,12}$/.test(text) ? Number(text) : Number.NaN
  return count < 2 ** 32 ? count : undefined
}

export function isTrue(text: string): boolean {
  return text === 'true' || text === '1'
}
