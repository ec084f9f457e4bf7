// What XMPP clients can do besides presence and contacts, put together on one bus.

import type { Bus } from '../../bus/bus.js'
import type { Clock } from '../../bus/clock.js'
import {
  BLOCKING_NS,
  CARBONS_NS,
  DISCO_INFO_NS,
  DISCO_ITEMS_NS,
  MAM_NS,
  PING_NS,
  PRIVATE_NS,
  ROSTER_NS,
  SESSION_NS,
  TIME_NS,
  VCARD_NS,
  VERSION_NS,
} from '../../proto/xml/namespaces.js'
import type { WorkerLimits } from '../limits.js'
import { Archive } from './archive.js'
import type { BlockLists } from './block-lists.js'
import { Blocking, type BlockingPresence } from './blocking.js'
import { disableCarbons, enableCarbons } from './carbons.js'
import { accountInfo, noItems, serverInfo } from './disco.js'
import type { Handler } from './incoming.js'
import { IqForwarding } from './iq-forwarding.js'
import { iqKey } from './iq-result.js'
import { Iqs } from './iqs.js'
import { Mam } from './mam.js'
import { Messages } from './messages.js'
import { forbidden, PrivateStorage } from './private-storage.js'
import { Resources } from './resources.js'
import { entityTime, legacySession, ping, softwareVersion } from './server-queries.js'
import { VCards } from './vcards.js'

export interface MessagingOptions {
  readonly bus: Bus
  readonly clock: Clock
  readonly limits: WorkerLimits
  /** In lower case. */
  readonly domain: string
  /** Of this software. */
  readonly version: string
  readonly blockLists: BlockLists
  readonly presence: BlockingPresence
  /** More requests to the sender's own account, by `iqKey`: the roster. */
  readonly account: ReadonlyMap<string, Handler>
}

/** Handlers of `<message/>` and of `<iq/>`. */
export interface Messaging {
  readonly message: Handler
  readonly iq: Handler
}

/** Throws BusError. */
export async function openMessaging(options: MessagingOptions): Promise<Messaging> {
  const { bus, clock, domain, limits, version, blockLists, presence } = options
  const resources = new Resources(bus)
  const vcards = new VCards(await bus.bucket('vcard'), domain)
  const storage = new PrivateStorage(await bus.bucket('private'))
  const blocking = new Blocking({ bus, clock, domain, lists: blockLists, presence })
  const mam = new Mam({ archive: new Archive(bus, clock, domain, limits), domain, limits })
  const account = new Map<string, Handler>([
    [iqKey('query', DISCO_INFO_NS), accountInfo],
    [iqKey('query', DISCO_ITEMS_NS), noItems],
    [iqKey('ping', PING_NS), ping],
    [iqKey('session', SESSION_NS), legacySession],
    [iqKey('vCard', VCARD_NS), vcards.own],
    [iqKey('query', PRIVATE_NS), storage.handle],
    [iqKey('enable', CARBONS_NS), enableCarbons],
    [iqKey('disable', CARBONS_NS), disableCarbons],
    [iqKey('blocklist', BLOCKING_NS), blocking.list],
    [iqKey('block', BLOCKING_NS), blocking.block],
    [iqKey('unblock', BLOCKING_NS), blocking.unblock],
    [iqKey('query', MAM_NS), mam.query],
    [iqKey('metadata', MAM_NS), mam.metadata],
    [iqKey('prefs', MAM_NS), mam.preferences],
    ...options.account,
  ])
  const server = new Map<string, Handler>([
    [iqKey('query', DISCO_INFO_NS), serverInfo],
    [iqKey('query', DISCO_ITEMS_NS), noItems],
    [iqKey('ping', PING_NS), ping],
    [iqKey('session', SESSION_NS), legacySession],
    [iqKey('query', VERSION_NS), softwareVersion(version)],
    [iqKey('time', TIME_NS), entityTime(clock)],
    [iqKey('query', ROSTER_NS), forbidden],
  ])
  const others = new Map<string, Handler>([
    [iqKey('vCard', VCARD_NS), vcards.others],
    [iqKey('query', DISCO_ITEMS_NS), noItems],
    // RFC 6121 §2.1.5: nobody's roster but one's own.
    [iqKey('query', ROSTER_NS), forbidden],
    [iqKey('query', PRIVATE_NS), forbidden],
    [iqKey('query', MAM_NS), forbidden],
    [iqKey('metadata', MAM_NS), forbidden],
    [iqKey('prefs', MAM_NS), forbidden],
  ])
  const forwarding = new IqForwarding({ bus, clock, resources })
  return {
    message: new Messages({ bus, clock, domain, blockLists, resources }).handle,
    iq: new Iqs({ domain, blockLists, forwarding, account, server, others }).handle,
  }
}
