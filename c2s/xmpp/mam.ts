// Queries of one's own message archive (XEP-0313).

import { Element } from '../../proto/xml/element.js'
import { parseJid, userJid } from '../../proto/xml/jid.js'
import { CLIENT_NS, DATA_FORMS_NS, DELAY_NS, FORWARD_NS, MAM_NS } from '../../proto/xml/namespaces.js'
import { StanzaError } from '../../proto/xml/stanza-error.js'
import type { WorkerLimits } from '../limits.js'
import type { Archive, Archived, ArchiveQuery } from './archive.js'
import type { Handler, Incoming } from './incoming.js'
import { byType, iqResult, payloadOf } from './iq-result.js'
import { pageElement, readPageRequest } from './rsm.js'

const VALIDATE_NS = 'http://jabber.org/protocol/xdata-validate'

/** Fields of a query, and their types. */
const FIELDS: Readonly<Record<string, string>> = {
  FORM_TYPE: 'hidden',
  with: 'jid-single',
  start: 'text-single',
  end: 'text-single',
  'before-id': 'text-single',
  'after-id': 'text-single',
  ids: 'list-multi',
  // There are no messages of rooms here, with or without.
  'include-groupchat': 'boolean',
}

export interface MamOptions {
  readonly archive: Archive
  readonly domain: string
  readonly limits: WorkerLimits
}

export class Mam {
  readonly #options: MamOptions

  constructor(options: MamOptions) {
    this.#options = options
  }

  /** Of `<query/>`: the form (get), or a page of the archive (set). */
  readonly query: Handler = byType({
    get: async (incoming) => iqResult(incoming, [new Element(MAM_NS, 'query', {}, [FORM])]),
    set: async (incoming) => this.#query(incoming),
  })

  readonly metadata: Handler = byType({
    get: async (incoming) => {
      const ends = await this.#options.archive.ends(incoming.session.user)
      const children = ends?.map(({ id, time }, i) => new Element(MAM_NS, i === 0 ? 'start' : 'end', { id, timestamp: stamp(time) }))
      return iqResult(incoming, [new Element(MAM_NS, 'metadata', {}, children)])
    },
  })

  /** Everything is kept, for everybody: XEP-0441 has nothing to choose here. */
  readonly preferences: Handler = async () => {
    throw new StanzaError('feature-not-implemented')
  }

  async #query(incoming: Incoming): Promise<readonly Element[]> {
    const { archive, domain } = this.#options
    const { user } = incoming.session
    const query = payloadOf(incoming.stanza)
    // XEP-0442: nodes of pubsub services have archives of their own.
    if (query.attribute('node') !== '') throw new StanzaError('item-not-found')
    const wanted = this.#read(query)
    if (wanted.max === 0) {
      const count = await archive.count(user, wanted)
      return iqResult(incoming, [fin(pageElement([], count), count === 0)])
    }
    const { items, complete } = await archive.page(user, wanted)
    const bare = userJid(user, domain)
    const to = incoming.stanza.attribute('from')
    const queryid = query.attributes.get('queryid')
    const results = items.map((item) => new Element(CLIENT_NS, 'message', { from: bare, to }, [result(item, queryid)]))
    if (query.child('flip-page', MAM_NS) !== undefined) results.reverse()
    const page = pageElement(items.map(({ id }) => id))
    return [...results, ...iqResult(incoming, [fin(page, complete)])]
  }

  #read(query: Element): ArchiveQuery {
    const { historyDefault, historyMax } = this.#options.limits
    const { max = historyDefault, after, before } = readPageRequest(query)
    const fields = readForm(query.child('x', DATA_FORMS_NS))
    const one = (name: string): string | undefined => fields.get(name)?.[0] || undefined
    const withText = one('with')
    const withJid = withText === undefined ? undefined : parseJid(withText)
    if (withText !== undefined && withJid === undefined) throw new StanzaError('bad-request', '`with` has to be an address')
    const ids = fields.get('ids')
    if (ids !== undefined && ids.length > historyMax) throw new StanzaError('policy-violation', `at most ${historyMax} ids`)
    return {
      with: withJid,
      start: timeOf(one('start')) ?? Number.NEGATIVE_INFINITY,
      end: timeOf(one('end')) ?? Number.POSITIVE_INFINITY,
      after: [after, one('after-id')].filter((id) => id !== undefined),
      before: [before || undefined, one('before-id')].filter((id) => id !== undefined),
      ids,
      max: Math.min(max, historyMax),
      backwards: before !== undefined,
    }
  }
}

/** Values by field. Throws StanzaError (`bad-request`; `feature-not-implemented` for unknown fields, XEP-0313 §4.1.5). */
function readForm(form: Element | undefined): ReadonlyMap<string, readonly string[]> {
  const values = new Map<string, readonly string[]>()
  if (form === undefined) return values
  for (const field of form.elements.filter((child) => child.is('field', DATA_FORMS_NS))) {
    const name = field.attribute('var')
    if (!Object.hasOwn(FIELDS, name)) throw new StanzaError('feature-not-implemented', 'a field that is not known here')
    const texts = field.elements.filter((child) => child.is('value', DATA_FORMS_NS)).map(({ text }) => text.trim())
    values.set(name, texts)
  }
  if (values.get('FORM_TYPE')?.[0] !== MAM_NS) throw new StanzaError('bad-request', `FORM_TYPE has to be ${MAM_NS}`)
  return values
}

const DATE_TIME = /^-?\d{4,6}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/

/** XEP-0082 §3.2. */
function timeOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const time = DATE_TIME.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isNaN(time)) throw new StanzaError('bad-request', 'times look like 2010-06-07T00:00:00Z')
  return time
}

function result({ id, time, message }: Archived, queryid: string | undefined): Element {
  const delay = new Element(DELAY_NS, 'delay', { stamp: stamp(time) })
  const forwarded = new Element(FORWARD_NS, 'forwarded', {}, [delay, message])
  return new Element(MAM_NS, 'result', { queryid, id }, [forwarded])
}

function fin(page: Element, complete: boolean): Element {
  return new Element(MAM_NS, 'fin', { complete: complete ? 'true' : undefined }, [page])
}

function stamp(time: number): string {
  return new Date(time).toISOString()
}

const FORM = new Element(
  DATA_FORMS_NS,
  'x',
  { type: 'form' },
  Object.entries(FIELDS).map(([name, type]) => {
    const value = name === 'FORM_TYPE' ? [new Element(DATA_FORMS_NS, 'value', {}, [MAM_NS])] : []
    // Any ids, not those of a list.
    const open = name === 'ids' ? [new Element(VALIDATE_NS, 'validate', { datatype: 'xs:string' }, [new Element(VALIDATE_NS, 'open')])] : []
    return new Element(DATA_FORMS_NS, 'field', { type, var: name }, [...value, ...open])
  }),
)
