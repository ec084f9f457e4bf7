// XML that goes wrong in the ways XML can: bytes and characters, nesting, entities, prefixes, attributes.

import { Element, type Node } from '../../proto/xml/element.js'
import type { Random } from './random.js'

const XML_NS = 'http://www.w3.org/XML/1998/namespace'

/** Put in anywhere. */
const SPLICES = [
  '<!-- c -->',
  '<?php x?>',
  '<?xml version="1.0"?>',
  "<?xml version='1.1'?>",
  '<!DOCTYPE a>',
  '<!DOCTYPE a [<!ENTITY x "y">]>',
  '<![CDATA[<a>&b]]>',
  '<![CDATA[',
  ']]>',
  '&amp;',
  '&lt;',
  '&x;',
  '&constructor;',
  '&__proto__;',
  '&#0;',
  '&#1;',
  '&#xD;',
  '&#x85;',
  '&#xD800;',
  '&#xFFFE;',
  '&#x10FFFF;',
  '&#x110000;',
  '&#99999999999999999999;',
  '&',
  '<',
  '>',
  '</',
  '/>',
  "'",
  '"',
  '=',
  '\u0000',
  '\u0001',
  '\t',
  '\r\n',
  '\r',
  '\u0085',
  '\u2028',
  '\ufeff',
  '\ufffe',
  '🙂',
  '<a/>',
  '<x:a/>',
  '<xml:a/>',
  '<xmlns:a/>',
  '<stream:a/>',
  "<x:1 xmlns:x='u'/>",
  "<a b:1='' xmlns:b='u'/>",
  '<__proto__/>',
  '<constructor/>',
]

const BYTES = ['ff', 'c080', 'eda080', 'f8888080', 'c3', 'efbbbf', 'f4908080', 'e282'].map((hex) => Buffer.from(hex, 'hex'))

/** Put in behind the name of an element. */
const ATTRIBUTES = [
  "xmlns='u'",
  "xmlns=''",
  "xmlns=' u '",
  "xmlns:x='u'",
  "xmlns:x=''",
  "xmlns:xml='u'",
  `xmlns:xml='${XML_NS}'`,
  `xmlns:x='${XML_NS}'`,
  `xmlns='${XML_NS}'`,
  "xmlns:xmlns='u'",
  "xmlns:__proto__='u'",
  "xmlns:a0='v'",
  "xmlns:stream='u'",
  "xmlns:stream='http://etherx.jabber.org/streams'",
  "xmlns:y='a}b{c'",
  "x:b='1'",
  "x:1='1'",
  "x:b='1' xmlns:x='u'",
  "x:-='1' xmlns:x='u'",
  "x:xmlns='1' xmlns:x='u'",
  "xml:lang='de'",
  "xml:space='&#9;&#10;'",
  "xml:1='x'",
  "constructor='1'",
  "__proto__='1'",
  "id='&quot;&apos;&lt;&gt;'",
  "id='<'",
  "to=''",
  'to',
  "a='1' a='1'",
]

const NAMES = ['x:a', 'x:1', 'xml:a', 'xmlns:a', 'stream:features', 'ü', '\u{10000}a', 'a.b-c', '-a', ':', 'a:b:c', '']

/** One to four changes. `others`: to be mixed in. */
export function mutateXml(random: Random, input: Buffer, others: readonly Buffer[]): Buffer {
  let bytes: Buffer = Buffer.from(input)
  for (let changes = 1 + random.int(4); changes > 0; changes--) bytes = mutateOnce(random, bytes, others)
  return bytes
}

function mutateOnce(random: Random, bytes: Buffer, others: readonly Buffer[]): Buffer {
  const at = random.int(bytes.length + 1)
  const to = Math.min(bytes.length, at + random.int(16))
  const insert = (place: number, made: Uint8Array | string): Buffer =>
    Buffer.concat([bytes.subarray(0, place), Buffer.from(made), bytes.subarray(place)])
  switch (random.int(14)) {
    case 0:
      if (at < bytes.length) bytes[at] = (bytes[at] ?? 0) ^ (1 << random.int(8))
      return bytes
    case 1:
      if (at < bytes.length) bytes[at] = random.int(256)
      return bytes
    case 2:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(to)])
    case 3:
      return Buffer.concat([bytes.subarray(0, to), bytes.subarray(at)])
    case 4:
      return bytes.subarray(0, at)
    case 5: {
      const other = random.pick(others)
      return random.chance(0.5)
        ? Buffer.concat([bytes.subarray(0, at), other.subarray(random.int(other.length + 1))])
        : insert(tagEnd(random, bytes), other)
    }
    case 6:
      return insert(at, random.pick(SPLICES))
    case 7:
      return insert(tagEnd(random, bytes), random.pick(SPLICES))
    case 8:
      return insert(at, random.pick(BYTES))
    case 9: {
      const depth = random.pick([1, 2, 5, 61, 62, 63, 64, 65, 300])
      return insert(tagEnd(random, bytes), '<a>'.repeat(depth) + (random.chance(0.9) ? '</a>'.repeat(depth) : ''))
    }
    case 10:
    case 11: {
      const place = nameEnd(random, bytes)
      return place === undefined ? bytes : insert(place, ` ${random.pick(ATTRIBUTES)} `)
    }
    case 12: {
      const place = nameEnd(random, bytes)
      return place === undefined ? bytes : insert(place, manyAttributes(random))
    }
    default:
      return renamed(random, bytes)
  }
}

/** Behind some `>`. */
function tagEnd(random: Random, bytes: Buffer): number {
  const place = bytes.indexOf('>', random.int(bytes.length + 1))
  return place < 0 ? bytes.length : place + 1
}

/** Behind the name of some start tag. */
function nameEnd(random: Random, bytes: Buffer): number | undefined {
  const match = /<[^\s/>!?]+/.exec(bytes.toString('latin1').slice(random.chance(0.5) ? 0 : random.int(bytes.length + 1)))
  if (match === null) return undefined
  const place = bytes.indexOf(match[0], 0, 'latin1')
  return place < 0 ? undefined : place + match[0].length
}

function manyAttributes(random: Random): string {
  const count = random.pick([1, 20, 30, 31, 32, 40, 58, 59, 60, 61, 62, 63, 64, 65, 200])
  const prefix = random.chance(0.4) ? 'x:' : ''
  let text = prefix === '' || random.chance(0.2) ? '' : " xmlns:x='u'"
  for (let i = 0; i < count; i++) text += ` ${prefix}m${i}=''`
  return `${text} `
}

/** Some elements get another name, at both ends. */
function renamed(random: Random, bytes: Buffer): Buffer {
  const name = /<([^\s/>!?]+)/.exec(bytes.toString('latin1').slice(random.int(bytes.length + 1)))?.[1]
  if (name === undefined) return bytes
  const other = Buffer.from(random.pick(NAMES)).toString('latin1')
  const text = bytes.toString('latin1').replaceAll(`<${name}`, `<${other}`).replaceAll(`</${name}`, `</${other}`)
  return Buffer.from(text, 'latin1')
}

const TEXTS = ['', 'a', ' ', '\t\n\r', '<>&\'"', ']]>', '\u0000\u001f', '\ufffe\uffff', '\u0085\u2028', '\ud800', '\udc00x', '🙂', 'é']
const NAMESPACES = ['', 'u', 'jabber:client', 'http://etherx.jabber.org/streams', "a'b<c>&"]
const GOOD_NAMES = ['a', 'body', 'ü', '\u{10000}a', '__proto__', 'constructor', 'a.b-c_1']
const KEYS = ['to', 'id', 'xml:lang', '{u}a', '{v}a', '{a}b}c', '__proto__', 'ü']

/** Anything that code here can make an element of: texts may have characters that XML has no way to say. */
export function randomElement(random: Random, depth = 0): Element {
  const attributes = new Map<string, string>()
  while (random.chance(0.4)) attributes.set(random.pick(KEYS), random.pick(TEXTS) + random.pick(TEXTS))
  const children: Node[] = []
  while (depth < 5 && children.length < 6 && random.chance(0.5))
    children.push(random.chance(0.5) ? random.pick(TEXTS) : randomElement(random, depth + 1))
  return new Element(random.pick(NAMESPACES), random.pick(GOOD_NAMES), attributes, children)
}

/** The same names, attributes, texts and children. Texts side by side are one. */
export function equalElements(a: Element, b: Element): boolean {
  if (a.ns !== b.ns || a.name !== b.name || a.attributes.size !== b.attributes.size) return false
  for (const [name, value] of a.attributes) if (b.attributes.get(name) !== value) return false
  const [ours, theirs] = [joined(a.children), joined(b.children)]
  return ours.length === theirs.length && ours.every((node, i) => equalNodes(node, theirs[i]))
}

function equalNodes(a: Node, b: Node | undefined): boolean {
  return a instanceof Element && b instanceof Element ? equalElements(a, b) : a === b
}

function joined(children: readonly Node[]): Node[] {
  const nodes: Node[] = []
  for (const child of children) {
    const last = nodes.at(-1)
    if (typeof child === 'string' && typeof last === 'string') nodes[nodes.length - 1] = last + child
    else if (child !== '') nodes.push(child)
  }
  return nodes
}
