// Text → element: strict and namespace-aware, without what XMPP forbids (RFC 6120 §11.1), and bounded.

import { type SaxesAttributeNS, SaxesParser, type SaxesTagNS } from 'saxes'
import { Element, type Node } from './element.js'

/**
 * `not-well-formed`: no XML, no UTF-8, or an undeclared prefix. `restricted`: a doctype, an entity reference, a processing
 * instruction or a comment. `too-large`: over one of the limits.
 */
export type XmlProblem = 'not-well-formed' | 'restricted' | 'too-large'

export class XmlError extends Error {
  override readonly name = 'XmlError'
  constructor(
    readonly problem: XmlProblem,
    message: string,
  ) {
    super(message)
  }
}

export interface XmlLimits {
  readonly depth: number
  readonly elements: number
  /** Of one element, namespace declarations included: those it has, and those it has when it is written again. */
  readonly attributes: number
}

export const XML_LIMITS: XmlLimits = { depth: 64, elements: 8192, attributes: 64 }

/** How many characters longer a document may become by its namespaces when it is written again. */
const NAMESPACES_LIMIT = 65_536
/** May be in a name but not begin it (XML 1.0 §2.3): looked for behind prefixes, where the parser does not look. */
const NO_NAME_START = /^[\u0300-\u036f\u00b7\u203f\u2040\d.-]/

/** Of what was parsed before, and may have grown at the limits: an address added, namespaces declared where they are used. */
const NO_LIMITS: XmlLimits = { depth: Number.POSITIVE_INFINITY, elements: Number.POSITIVE_INFINITY, attributes: Number.POSITIVE_INFINITY }

/** What was written here (Element.toString) and kept. Throws XmlError when it was damaged since. */
export function parseStored(document: Uint8Array | string): Element {
  return parseXml(document, NO_LIMITS)
}

/** The one element of a document, with an XML declaration before it at the most. Throws XmlError. How long it may be was checked before. */
export function parseXml(document: Uint8Array | string, limits: XmlLimits = XML_LIMITS): Element {
  const text = typeof document === 'string' ? document : decode(document)
  if (!text.isWellFormed()) throw new XmlError('not-well-formed', 'half a character')
  const builder = new Builder(limits)
  return builder.build(text)
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

function decode(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes)
  } catch {
    throw new XmlError('not-well-formed', 'not UTF-8')
  }
}

interface Open {
  readonly ns: string
  readonly name: string
  readonly attributes: ReadonlyMap<string, string>
  readonly children: Node[]
}

class Builder {
  readonly #limits: XmlLimits
  readonly #open: Open[] = []
  #root: Element | undefined = undefined
  #elements = 0
  #attributes = 0
  /** Characters of the namespaces that have to be declared when the elements are written again: prefixes are not kept. */
  #namespaces = 0
  #namespacesLimit = 0

  constructor(limits: XmlLimits) {
    this.#limits = limits
  }

  build(text: string): Element {
    this.#namespacesLimit = text.length + NAMESPACES_LIMIT
    // Whatever version the document says: a processor of XML 1.0 takes it for that (§2.8), and XMPP has no other.
    const parser = new SaxesParser({ xmlns: true, defaultXMLVersion: '1.0', forceXMLVersion: true })
    const restricted = (what: string) => () => {
      throw new XmlError('restricted', `${what} is not allowed`)
    }
    parser.on('doctype', restricted('a doctype'))
    parser.on('processinginstruction', restricted('a processing instruction'))
    parser.on('comment', restricted('a comment'))
    parser.on('xmldecl', ({ encoding }) => {
      if (encoding !== undefined && encoding.toLowerCase() !== 'utf-8') throw new XmlError('restricted', 'the encoding is UTF-8')
    })
    parser.on('error', (error) => {
      const isEntity = /entity/.test(error.message)
      throw new XmlError(isEntity ? 'restricted' : 'not-well-formed', error.message)
    })
    parser.on('opentagstart', () => {
      this.#attributes = 0
      if (++this.#elements > this.#limits.elements) throw new XmlError('too-large', `more than ${this.#limits.elements} elements`)
      if (this.#open.length >= this.#limits.depth) throw new XmlError('too-large', `elements more than ${this.#limits.depth} deep`)
    })
    parser.on('attribute', () => {
      if (++this.#attributes > this.#limits.attributes) throw new XmlError('too-large', `more than ${this.#limits.attributes} attributes`)
    })
    parser.on('opentag', (tag) => this.#begin(tag))
    parser.on('text', (value) => this.#append(value))
    parser.on('cdata', (value) => this.#append(value))
    parser.on('closetag', () => this.#end())
    parser.write(text).close()
    if (this.#root === undefined) throw new XmlError('not-well-formed', 'no element')
    return this.#root
  }

  #begin({ prefix, uri, local, attributes }: SaxesTagNS): void {
    // Reserved (Namespaces in XML §3), and without a prefix there is no way to write it.
    if (prefix === 'xml') throw new XmlError('not-well-formed', 'the prefix `xml` is for attributes')
    const map = new Map<string, string>()
    let declared = 1
    let isName = !NO_NAME_START.test(local)
    if (uri !== this.#open.at(-1)?.ns) this.#namespaces += uri.length
    for (const { prefix, local: name, uri: ns, value } of Object.values(attributes) as SaxesAttributeNS[]) {
      if (prefix === 'xmlns' || (prefix === '' && name === 'xmlns')) continue
      isName &&= !NO_NAME_START.test(name)
      if (prefix === '') map.set(name, value)
      else if (prefix === 'xml') map.set(`xml:${name}`, value)
      else {
        map.set(`{${ns}}${name}`, value)
        declared++
        this.#namespaces += ns.length
      }
    }
    if (!isName) throw new XmlError('not-well-formed', 'no name behind a prefix')
    if (map.size + declared > this.#limits.attributes) throw new XmlError('too-large', `more than ${this.#limits.attributes} attributes`)
    if (this.#namespaces > this.#namespacesLimit) throw new XmlError('too-large', 'too many and too long namespaces')
    this.#open.push({ ns: uri, name: local, attributes: map, children: [] })
  }

  #append(text: string): void {
    this.#open.at(-1)?.children.push(text)
  }

  #end(): void {
    const open = this.#open.pop()
    if (open === undefined) return
    const element = new Element(open.ns, open.name, open.attributes, open.children)
    const outer = this.#open.at(-1)
    if (outer === undefined) this.#root = element
    else outer.children.push(element)
  }
}
