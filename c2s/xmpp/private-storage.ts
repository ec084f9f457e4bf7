// Private XML storage (XEP-0049): fragments that a user's clients keep at the server, by name and namespace. Bucket `private`, key: the
// user, value: all of the user's fragments in one `<query/>`.

import type { Bucket } from '../../bus/bus.js'
import { Element } from '../../proto/xml/element.js'
import { CLIENT_NS, PRIVATE_NS } from '../../proto/xml/namespaces.js'
import { parseStored } from '../../proto/xml/parse.js'
import { StanzaError } from '../../proto/xml/stanza-error.js'
import { type Codec, Records } from '../store.js'
import type { Handler } from './incoming.js'
import { byType, iqResult, payloadOf } from './iq-result.js'

/** Of all fragments of a user. */
const LIMIT_BYTES = 64 * 1024

const codec: Codec<Element> = {
  encode: (query) => Buffer.from(query.toString()),
  decode: (data) => parseStored(data),
}

export class PrivateStorage {
  readonly #records: Records<Element>

  constructor(bucket: Bucket) {
    this.#records = new Records(bucket, codec)
  }

  readonly handle: Handler = byType({
    get: async (incoming) => {
      const [wanted, ...more] = payloadOf(incoming.stanza).elements
      if (wanted === undefined || more.length > 0) throw new StanzaError('bad-request', 'one fragment can be asked for at a time')
      const stored = await this.#records.get(incoming.session.user)
      const fragment = stored?.child(wanted.name, wanted.ns) ?? new Element(wanted.ns, wanted.name)
      return iqResult(incoming, [new Element(PRIVATE_NS, 'query', {}, [fragment])])
    },
    set: async (incoming) => {
      const fragments = payloadOf(incoming.stanza).elements
      if (fragments.length === 0 || fragments.some(({ ns }) => ns === PRIVATE_NS || ns === CLIENT_NS || ns === ''))
        throw new StanzaError('not-acceptable', 'a fragment has a namespace of its own')
      await this.#records.change(incoming.session.user, (stored) => {
        const kept = (stored?.elements ?? []).filter(({ name, ns }) => !fragments.some((fragment) => fragment.is(name, ns)))
        const query = new Element(PRIVATE_NS, 'query', {}, [...kept, ...fragments])
        if (codec.encode(query).length > LIMIT_BYTES) throw new StanzaError('policy-violation', `at most ${LIMIT_BYTES} bytes are kept`)
        return query
      })
      return iqResult(incoming)
    },
  })
}

/** Of requests for what is another user's. */
export const forbidden: Handler = async () => {
  throw new StanzaError('forbidden')
}
