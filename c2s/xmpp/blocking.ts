// The blocking command (XEP-0191).

import type { Bus } from '../../bus/bus.js'
import type { Clock } from '../../bus/clock.js'
import { v1 } from '../../proto/messages.js'
import { Element } from '../../proto/xml/element.js'
import { formatJid, type Jid, parseJid, userJid } from '../../proto/xml/jid.js'
import { BLOCKING_NS, CLIENT_NS } from '../../proto/xml/namespaces.js'
import { StanzaError } from '../../proto/xml/stanza-error.js'
import type { BlockLists } from './block-lists.js'
import type { Handler, Incoming } from './incoming.js'
import { byType, iqResult, payloadOf } from './iq-result.js'
import { digest } from './message-envelope.js'

/** What blocking means for presence. Both are called when the lists have changed. */
export interface BlockingPresence {
  /** Shows those of them who see the user's presence that it has ended (§3.3), although they are blocked now. */
  blocked(user: string, jids: readonly Jid[]): Promise<void>
  /** Shows those of them who may see the user's presence what it is (§3.4), if nothing else blocks them. */
  unblocked(user: string, jids: readonly Jid[]): Promise<void>
}

export interface BlockingOptions {
  readonly bus: Bus
  readonly clock: Clock
  readonly domain: string
  readonly lists: BlockLists
  readonly presence: BlockingPresence
}

export class Blocking {
  readonly #options: BlockingOptions

  constructor(options: BlockingOptions) {
    this.#options = options
  }

  readonly list: Handler = byType({
    get: async (incoming) => {
      incoming.state.change({ blocklist: true })
      const jids = await this.#options.lists.get(incoming.session.user)
      return iqResult(incoming, [command('blocklist', jids)])
    },
  })

  readonly block: Handler = byType({
    set: async (incoming) => {
      const jids = itemsOf(incoming)
      if (jids.length === 0) throw new StanzaError('bad-request', 'nobody to block')
      const { user } = incoming.session
      await this.#options.lists.block(user, jids)
      this.#tell(incoming, command('block', jids))
      // Also for those who were blocked before: the command may complete one that was cut short here.
      await this.#options.presence.blocked(user, parsed(jids))
      return iqResult(incoming)
    },
  })

  /** Without items: everybody. */
  readonly unblock: Handler = byType({
    set: async (incoming) => {
      const jids = itemsOf(incoming)
      const { user } = incoming.session
      const isAll = jids.length === 0
      await this.#options.lists.unblock(user, isAll ? undefined : jids)
      this.#tell(incoming, command('unblock', jids))
      await this.#options.presence.unblocked(user, parsed(isAll ? [this.#options.domain] : jids))
      return iqResult(incoming)
    },
  })

  /** To all sessions of the user that have asked for the list: gateways know which. */
  #tell({ session, id }: Incoming, change: Element): void {
    const { bus, clock, domain } = this.#options
    const push = new Element(CLIENT_NS, 'iq', { type: 'set', id: `block-${digest(id).slice(0, 12)}`, to: userJid(session.user, domain) }, [
      change,
    ])
    bus.push(session.user, v1.Envelope.encode({ time: clock.now(), xml: Buffer.from(push.toString()) }).finish())
  }
}

function itemsOf({ stanza }: Incoming): string[] {
  const items = payloadOf(stanza).elements.filter((child) => child.is('item', BLOCKING_NS))
  return items.map((item) => {
    const jid = parseJid(item.attribute('jid'))
    if (jid === undefined) throw new StanzaError('jid-malformed')
    return formatJid(jid)
  })
}

function command(name: string, jids: readonly string[]): Element {
  const items = jids.map((jid) => new Element(BLOCKING_NS, 'item', { jid }))
  return new Element(BLOCKING_NS, name, {}, items)
}

function parsed(jids: readonly string[]): Jid[] {
  return jids.map(parseJid).filter((jid) => jid !== undefined)
}
