// XML as a black-box test sees it: a namespace-aware tree of what the server sent. Shares no code with the server.

import { SaxesParser } from 'saxes'

export interface XmlElement {
  readonly local: string
  readonly prefix: string
  readonly uri: string
  /** Attributes without a namespace by their name, others as `{uri}local`. */
  readonly attributes: Readonly<Record<string, string>>
  readonly children: readonly XmlElement[]
  /** Of this element itself, without that of its children. */
  readonly text: string
  /** Namespace declarations of this element itself by prefix ('' for the default). */
  readonly declared: Readonly<Record<string, string>>
}

export const ns = {
  bind: 'urn:ietf:params:xml:ns:xmpp-bind',
  client: 'jabber:client',
  framing: 'urn:ietf:params:xml:ns:xmpp-framing',
  httpbind: 'http://jabber.org/protocol/httpbind',
  sasl: 'urn:ietf:params:xml:ns:xmpp-sasl',
  sm: 'urn:xmpp:sm:3',
  stanzas: 'urn:ietf:params:xml:ns:xmpp-stanzas',
  streamErrors: 'urn:ietf:params:xml:ns:xmpp-streams',
  streams: 'http://etherx.jabber.org/streams',
  xbosh: 'urn:xmpp:xbosh',
} as const

interface Open {
  local: string
  prefix: string
  uri: string
  attributes: Record<string, string>
  children: Open[]
  text: string
  declared: Record<string, string>
}

/** Throws what the parser finds wrong. */
export function parseXml(text: string): XmlElement {
  const parser = new SaxesParser({ xmlns: true })
  const open: Open[] = []
  const roots: Open[] = []
  parser.on('error', (error) => {
    throw error
  })
  parser.on('opentag', (tag) => {
    const attributes: Record<string, string> = {}
    for (const { local, prefix, uri, value } of Object.values(tag.attributes)) {
      if (prefix === 'xmlns' || (prefix === '' && local === 'xmlns')) continue
      attributes[uri === '' ? local : `{${uri}}${local}`] = value
    }
    const { local, prefix, uri, ns: declared } = tag
    const element: Open = { local, prefix, uri, attributes, children: [], text: '', declared }
    const siblings = open.at(-1)?.children ?? roots
    siblings.push(element)
    open.push(element)
  })
  const addText = (data: string) => {
    const element = open.at(-1)
    if (element !== undefined) element.text += data
  }
  parser.on('text', addText)
  parser.on('cdata', addText)
  parser.on('closetag', () => open.pop())
  parser.write(text).close()
  const [root] = roots
  if (root === undefined) throw new Error('no root element')
  return root
}

export function child(element: XmlElement | undefined, local: string, uri?: string): XmlElement | undefined {
  return element?.children.find((one) => one.local === local && (uri === undefined || one.uri === uri))
}

/** Text of the child, '' without one. */
export function childText(element: XmlElement | undefined, local: string): string {
  return child(element, local)?.text ?? ''
}

/** The element itself or the first below it that fits, in document order. */
export function find(element: XmlElement | undefined, local: string, uri?: string): XmlElement | undefined {
  if (element === undefined) return undefined
  if (element.local === local && (uri === undefined || element.uri === uri)) return element
  for (const one of element.children) {
    const found = find(one, local, uri)
    if (found !== undefined) return found
  }
  return undefined
}

/** For text and for attribute values in single quotes; what a parser would normalise goes as a character reference. */
export function escapeXml(text: string): string {
  return text.replace(/[&<>'"\r\n\t]/g, (char) => `&#${char.charCodeAt(0)};`)
}
