// An XML element as XMPP has them: namespaced, without prefixes, comments or processing instructions; and how it is written.

export type Node = Element | string

/** Attribute names: `to`; `xml:lang`, `xml:space`; `{namespace}local` for those of another namespace. */
export type Attributes = Readonly<Record<string, string | undefined>>

export class Element {
  readonly ns: string
  /** Without a prefix. */
  readonly name: string
  readonly attributes: ReadonlyMap<string, string>
  readonly children: readonly Node[]

  /** Undefined attributes are left out. */
  constructor(ns: string, name: string, attributes: Attributes | ReadonlyMap<string, string> = {}, children: readonly Node[] = []) {
    this.ns = ns
    this.name = name
    this.attributes = attributes instanceof Map ? attributes : definedOnly(attributes as Attributes)
    this.children = children
  }

  /** '' when absent. */
  attribute(name: string): string {
    return this.attributes.get(name) ?? ''
  }

  is(name: string, ns: string): boolean {
    return this.name === name && this.ns === ns
  }

  get elements(): Element[] {
    return this.children.filter((child) => child instanceof Element)
  }

  child(name: string, ns: string): Element | undefined {
    return this.elements.find((child) => child.is(name, ns))
  }

  /** The first child element of that namespace. */
  childOf(ns: string): Element | undefined {
    return this.elements.find((child) => child.ns === ns)
  }

  /** Text directly in it. */
  get text(): string {
    return this.children.filter((child) => typeof child === 'string').join('')
  }

  /** The same with these attributes set; undefined removes one. */
  with(attributes: Attributes): Element {
    const changed = new Map(this.attributes)
    for (const [name, value] of Object.entries(attributes)) {
      if (value === undefined) changed.delete(name)
      else changed.set(name, value)
    }
    return new Element(this.ns, this.name, changed, this.children)
  }

  /** The same with other children. */
  containing(children: readonly Node[]): Element {
    return new Element(this.ns, this.name, this.attributes, children)
  }

  /** Its XML, complete in itself; inside an element of `defaultNs` that namespace is not declared again. */
  toString(defaultNs = ''): string {
    return write(this, defaultNs)
  }
}

export const STREAMS_NS = 'http://etherx.jabber.org/streams'

/** Characters that XML 1.0 has no way to say are left out, halves of characters become U+FFFD. */
export function escapeText(text: string): string {
  const said = text.toWellFormed()
  return TEXT_SPECIALS.test(said) ? said.replace(TEXT_SPECIALS_ALL, (char) => ESCAPES[char] ?? '') : said
}

export function escapeAttribute(text: string): string {
  const said = text.toWellFormed()
  return ATTRIBUTE_SPECIALS.test(said) ? said.replace(ATTRIBUTE_SPECIALS_ALL, (char) => ESCAPES[char] ?? '') : said
}

const UNSAYABLE = '\\u0000-\\u0008\\u000b\\u000c\\u000e-\\u001f\\ufffe\\uffff'
const TEXT_SPECIALS = new RegExp(`[&<>\\r${UNSAYABLE}]`)
const TEXT_SPECIALS_ALL = new RegExp(TEXT_SPECIALS, 'g')
const ATTRIBUTE_SPECIALS = new RegExp(`[&<>'"\\t\\n\\r${UNSAYABLE}]`)
const ATTRIBUTE_SPECIALS_ALL = new RegExp(ATTRIBUTE_SPECIALS, 'g')
const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  "'": '&apos;',
  '"': '&quot;',
  '\t': '&#x9;',
  '\n': '&#xA;',
  '\r': '&#xD;',
}

function definedOnly(attributes: Attributes): ReadonlyMap<string, string> {
  const defined = new Map<string, string>()
  for (const [name, value] of Object.entries(attributes)) if (value !== undefined) defined.set(name, value)
  return defined
}

/** Clients look for `stream:features` and `stream:error` under just these names. */
function write({ ns, name, attributes, children }: Element, outerNs: string): string {
  const isStreams = ns === STREAMS_NS
  const qualified = isStreams ? `stream:${name}` : name
  const innerNs = isStreams ? outerNs : ns
  let text = `<${qualified}`
  if (isStreams) text += ` xmlns:stream='${STREAMS_NS}'`
  else if (ns !== outerNs) text += ` xmlns='${escapeAttribute(ns)}'`
  let prefixes = 0
  for (const [key, value] of attributes) {
    const end = key.startsWith('{') ? key.lastIndexOf('}') : -1
    if (end < 0) text += ` ${key}='${escapeAttribute(value)}'`
    else {
      const prefix = `a${prefixes++}`
      text += ` xmlns:${prefix}='${escapeAttribute(key.slice(1, end))}' ${prefix}:${key.slice(end + 1)}='${escapeAttribute(value)}'`
    }
  }
  if (children.length === 0) return `${text}/>`
  text += '>'
  for (const child of children) text += typeof child === 'string' ? escapeText(child) : write(child, innerNs)
  return `${text}</${qualified}>`
}
