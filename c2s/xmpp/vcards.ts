// vCards (XEP-0054): one a user, for everybody to read. Bucket `vcard`, key: the user, value: the element as XML.

import type { Bucket } from '../../bus/bus.js'
import { jidUser, parseJid } from '../../proto/xml/jid.js'
import { parseStored } from '../../proto/xml/parse.js'
import { StanzaError } from '../../proto/xml/stanza-error.js'
import type { Handler, Incoming } from './incoming.js'
import { byType, iqResult, payloadOf } from './iq-result.js'

const LIMIT_BYTES = 64 * 1024

export class VCards {
  readonly #bucket: Bucket
  readonly #domain: string

  constructor(bucket: Bucket, domain: string) {
    this.#bucket = bucket
    this.#domain = domain
  }

  /** Of requests to one's own account. */
  readonly own: Handler = byType({
    get: async (incoming) => this.#get(incoming, incoming.session.user, 'item-not-found'),
    set: async (incoming) => {
      const value = Buffer.from(payloadOf(incoming.stanza).toString())
      if (value.length > LIMIT_BYTES) throw new StanzaError('policy-violation', `a vCard has at most ${LIMIT_BYTES} bytes`)
      await this.#bucket.put(incoming.session.user, value)
      return iqResult(incoming)
    },
  })

  /** Of requests to somebody else's. No vCard and no such user look the same (XEP-0054 §3.3). */
  readonly others: Handler = byType({
    get: async (incoming) => {
      const jid = parseJid(incoming.stanza.attribute('to'))
      return this.#get(incoming, (jid && jidUser(jid, this.#domain)) ?? '', 'service-unavailable')
    },
    set: async () => {
      throw new StanzaError('forbidden')
    },
  })

  async #get(incoming: Incoming, user: string, missing: 'item-not-found' | 'service-unavailable'): ReturnType<Handler> {
    const entry = user === '' ? undefined : await this.#bucket.get(user)
    if (entry === undefined) throw new StanzaError(missing)
    return iqResult(incoming, [parseStored(entry.value)])
  }
}
