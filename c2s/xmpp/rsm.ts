// Result set management (XEP-0059): which page is asked for, and what is said about it.

import { Element } from '../../proto/xml/element.js'
import { RSM_NS } from '../../proto/xml/namespaces.js'
import { StanzaError } from '../../proto/xml/stanza-error.js'

/** Ids as the client gave them. */
export interface PageRequest {
  readonly max: number | undefined
  /** After this item; undefined: from the start. */
  readonly after: string | undefined
  /** Before this item; '': before the end. Undefined: not backwards. */
  readonly before: string | undefined
}

/** Throws StanzaError: `bad-request`; `feature-not-implemented` when a page is asked for by its index. */
export function readPageRequest(query: Element): PageRequest {
  const set = query.child('set', RSM_NS)
  const textOf = (name: string): string | undefined => set?.child(name, RSM_NS)?.text.trim()
  if (textOf('index') !== undefined) throw new StanzaError('feature-not-implemented', 'pages go by ids')
  const max = textOf('max')
  if (max !== undefined && !/^\d{1,9}$/.test(max)) throw new StanzaError('bad-request', '`max` has to be a number')
  return { max: max === undefined ? undefined : Number(max), after: textOf('after') || undefined, before: textOf('before') }
}

/** `ids`: of the page, in order. */
export function pageElement(ids: readonly string[], count?: number): Element {
  const first = ids[0] === undefined ? [] : [new Element(RSM_NS, 'first', {}, [ids[0]])]
  const last = ids.slice(-1).map((id) => new Element(RSM_NS, 'last', {}, [id]))
  const total = count === undefined ? [] : [new Element(RSM_NS, 'count', {}, [String(count)])]
  return new Element(RSM_NS, 'set', {}, [...first, ...last, ...total])
}
