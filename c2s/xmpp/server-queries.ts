// Questions that the server answers from what it knows anyway: whether it is there (XEP-0199), which software it is (XEP-0092), what
// time it is (XEP-0202).

import type { Clock } from '../../bus/clock.js'
import { Element } from '../../proto/xml/element.js'
import { TIME_NS, VERSION_NS } from '../../proto/xml/namespaces.js'
import type { Handler } from './incoming.js'
import { byType, iqResult } from './iq-result.js'

export const ping: Handler = byType({ get: async (incoming) => iqResult(incoming) })

/** RFC 3921 §3: there since the resource was bound; older clients ask for it all the same. */
export const legacySession: Handler = byType({ set: async (incoming) => iqResult(incoming) })

export function softwareVersion(version: string): Handler {
  const name = new Element(VERSION_NS, 'name', {}, ['Holdwire'])
  const query = new Element(VERSION_NS, 'query', {}, [name, new Element(VERSION_NS, 'version', {}, [version])])
  return byType({ get: async (incoming) => iqResult(incoming, [query]) })
}

export function entityTime(clock: Clock): Handler {
  return byType({
    get: async (incoming) => {
      const tzo = new Element(TIME_NS, 'tzo', {}, ['+00:00'])
      const utc = new Element(TIME_NS, 'utc', {}, [new Date(clock.now()).toISOString()])
      return iqResult(incoming, [new Element(TIME_NS, 'time', {}, [tzo, utc])])
    },
  })
}
