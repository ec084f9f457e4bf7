// Most requests are empty polls: `<body/>` with a few plain attributes. They are read here without the XML parser; whatever
// is any different (payloads, prefixes, references, anything but ASCII) is left to it.

import { Element } from '../../proto/xml/element.js'
import { BOSH_NS } from '../../proto/xml/namespaces.js'

const LIMIT_BYTES = 512
/** In values: ASCII without controls, `&`, `<` and the quotes. */
const VALUE = '[ !#-%(-;=-~]*'
const BODY = new RegExp(`^<body((?: +[a-z]+=(?:'${VALUE}'|"${VALUE}"))+) *(?:/>|></body>)\\s*$`)
const ATTRIBUTE = new RegExp(` +([a-z]+)=(?:'(${VALUE})'|"(${VALUE})")`, 'g')

/** Exactly what parseXml would make of it; undefined: ask that. */
export function readPlainBody(bytes: Buffer): Element | undefined {
  if (bytes.length > LIMIT_BYTES || bytes.length === 0) return undefined
  const inner = BODY.exec(bytes.toString('latin1'))?.[1]
  if (inner === undefined) return undefined
  const attributes = new Map<string, string>()
  let ns = ''
  for (const [, name = '', single, double = ''] of inner.matchAll(ATTRIBUTE)) {
    const value = single ?? double
    // Twice the same is no XML.
    if (attributes.has(name) || (name === 'xmlns' && ns !== '')) return undefined
    if (name === 'xmlns') ns = value
    else attributes.set(name, value)
  }
  return ns === BOSH_NS ? new Element(ns, 'body', attributes) : undefined
}
