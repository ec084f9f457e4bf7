// Service discovery (XEP-0030): what the server and an account can do. Neither has items.

import { Element } from '../../proto/xml/element.js'
import {
  BLOCKING_NS,
  CARBONS_NS,
  DISCO_INFO_NS,
  DISCO_ITEMS_NS,
  JSON_NS,
  MAM_NS,
  PING_NS,
  PRIVATE_NS,
  RSM_NS,
  STANZA_ID_NS,
  TIME_NS,
  VCARD_NS,
  VERSION_NS,
} from '../../proto/xml/namespaces.js'
import { StanzaError } from '../../proto/xml/stanza-error.js'
import type { Handler } from './incoming.js'
import { byType, iqResult, payloadOf } from './iq-result.js'

const SERVER_FEATURES = [
  DISCO_INFO_NS,
  DISCO_ITEMS_NS,
  PING_NS,
  VERSION_NS,
  TIME_NS,
  VCARD_NS,
  PRIVATE_NS,
  BLOCKING_NS,
  CARBONS_NS,
  STANZA_ID_NS,
  JSON_NS,
  // XEP-0160
  'msgoffline',
]

const ACCOUNT_FEATURES = [
  DISCO_INFO_NS,
  DISCO_ITEMS_NS,
  MAM_NS,
  `${MAM_NS}#extended`,
  `${MAM_NS}#groupchat-field`,
  RSM_NS,
  STANZA_ID_NS,
  VCARD_NS,
]

export const serverInfo = info({ category: 'server', type: 'im', name: 'Holdwire' }, SERVER_FEATURES)
/** For the user alone: others are not told whether an account is there (XEP-0030 §8). */
export const accountInfo = info({ category: 'account', type: 'registered' }, ACCOUNT_FEATURES)

export const noItems: Handler = byType({
  get: async (incoming) => {
    const node = incoming.stanza.child('query', DISCO_ITEMS_NS)?.attributes.get('node')
    return iqResult(incoming, [new Element(DISCO_ITEMS_NS, 'query', { node })])
  },
})

function info(identity: Readonly<Record<string, string>>, features: readonly string[]): Handler {
  const children = [
    new Element(DISCO_INFO_NS, 'identity', identity),
    ...features.map((feature) => new Element(DISCO_INFO_NS, 'feature', { var: feature })),
  ]
  const query = new Element(DISCO_INFO_NS, 'query', {}, children)
  return byType({
    get: async (incoming) => {
      if (payloadOf(incoming.stanza).attribute('node') !== '') throw new StanzaError('item-not-found')
      return iqResult(incoming, [query])
    },
  })
}
