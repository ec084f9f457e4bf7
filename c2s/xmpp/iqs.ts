// Where an iq stanza goes: to a service of the sender's account, of the server, or of somebody else's account, or to another
// client (RFC 6120 §10, RFC 6121 §8.5).

import { StanzaError } from '../../proto/xml/stanza-error.js'
import type { BlockLists } from './block-lists.js'
import type { Handler, Incoming } from './incoming.js'
import type { IqForwarding } from './iq-forwarding.js'
import { iqKey, payloadOf } from './iq-result.js'
import { type Target, targetOf } from './target.js'

/** By `iqKey` of the payload. */
export type IqTable = ReadonlyMap<string, Handler>

export interface IqsOptions {
  readonly domain: string
  readonly blockLists: BlockLists
  readonly forwarding: IqForwarding
  /** Requests without an address, or to the sender's own bare JID. */
  readonly account: IqTable
  /** Requests to the domain. */
  readonly server: IqTable
  /** Requests to the bare JID of another user. */
  readonly others: IqTable
}

const NOTHING: Awaited<ReturnType<Handler>> = []

export class Iqs {
  readonly #options: IqsOptions

  constructor(options: IqsOptions) {
    this.#options = options
  }

  /** A Handler of `<iq/>`. */
  readonly handle: Handler = async (incoming) => {
    const { session, stanza } = incoming
    const type = stanza.attribute('type')
    if (type === 'result' || type === 'error') return this.#answer(incoming)
    if (type !== 'get' && type !== 'set') throw new StanzaError('bad-request', '`type` has to be get, set, result or error')
    if (stanza.attribute('id') === '') throw new StanzaError('bad-request', '`id` is missing')
    const { name, ns } = payloadOf(stanza)
    const target = targetOf(stanza, session.user, this.#options.domain)
    if (target.kind === 'user') {
      this.#options.blockLists.check(session.user, stanza.attribute('from'), target.user, target.jid)
      if (target.jid.resource !== '') {
        await this.#options.forwarding.request(incoming, target.user, target.jid.resource)
        return NOTHING
      }
    }
    const handler = this.#tableOf(target)?.get(iqKey(name, ns))
    if (handler === undefined) throw new StanzaError('service-unavailable')
    return handler(incoming)
  }

  #tableOf(target: Target): IqTable | undefined {
    const { account, server, others } = this.#options
    switch (target.kind) {
      case 'account':
        return account
      case 'server':
        return target.jid.resource === '' ? server : undefined
      case 'user':
        return others
      case 'nobody':
        return undefined
    }
  }

  /** An answer that nobody asked for, or that can't be delivered, is dropped: answers are not answered (RFC 6120 §8.2.3). */
  #answer(incoming: Incoming): Awaited<ReturnType<Handler>> {
    const { blockLists, forwarding, domain } = this.#options
    const { session, stanza } = incoming
    try {
      const target = targetOf(stanza, session.user, domain)
      if (target.kind !== 'user' || target.jid.resource === '') return NOTHING
      if (blockLists.isBetween(session.user, stanza.attribute('from'), target.user, target.jid)) return NOTHING
      forwarding.answer(incoming, target.user, target.jid.resource)
    } catch (error) {
      if (!(error instanceof StanzaError)) throw error
    }
    return NOTHING
  }
}
