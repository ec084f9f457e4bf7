// Messages of XMPP clients: to whom, kept for how long, and copied to whom (RFC 6121 §8.5).

import type { Bus } from '../../bus/bus.js'
import { BusError } from '../../bus/bus.js'
import type { Clock } from '../../bus/clock.js'
import { v1 } from '../../proto/messages.js'
import { parseJid, userJid } from '../../proto/xml/jid.js'
import { NATIVE_RESOURCE } from '../../proto/xml/native-presence.js'
import { StanzaError } from '../../proto/xml/stanza-error.js'
import type { BlockLists } from './block-lists.js'
import type { Incoming } from './incoming.js'
import { pushLive } from './live.js'
import { busId, deliverable, envelopeId, isCopied, keepingOf, messageData, messageType } from './message-envelope.js'
import type { Resources } from './resources.js'
import { targetOf } from './target.js'

export interface MessagesOptions {
  readonly bus: Bus
  readonly clock: Clock
  readonly domain: string
  readonly blockLists: BlockLists
  readonly resources: Resources
}

/** `resource`: of one session; '': for all of the user. */
interface Recipient {
  readonly user: string
  readonly resource: string
}

const NOTHING: readonly never[] = []
/** No bus takes less. */
const SURE_BYTES = 4096

export class Messages {
  readonly #options: MessagesOptions

  constructor(options: MessagesOptions) {
    this.#options = options
  }

  /** A Handler of `<message/>`; a message is not answered unless it fails. */
  readonly handle = async (incoming: Incoming): Promise<readonly never[]> => {
    if (messageType(incoming.stanza) === 'error') await this.#error(incoming)
    else {
      const recipient = await this.#recipient(incoming)
      if (recipient !== undefined) await this.#send(incoming, recipient)
    }
    return NOTHING
  }

  /** Undefined: dropped without a word. */
  async #recipient({ session, stanza }: Incoming): Promise<Recipient | undefined> {
    const { domain, blockLists, resources } = this.#options
    const target = targetOf(stanza, session.user, domain)
    const type = messageType(stanza)
    if (target.kind === 'server' || target.kind === 'nobody') throw new StanzaError('service-unavailable')
    if (target.kind === 'user') blockLists.check(session.user, stanza.attribute('from'), target.user, target.jid)
    const user = target.kind === 'account' ? session.user : target.user
    const resource = target.kind === 'account' ? '' : target.jid.resource
    const everybody = { user, resource: '' }
    if (resource === '' || resource === NATIVE_RESOURCE) {
      // §8.5.2.1.1: never to a bare JID.
      if (type === 'groupchat') throw new StanzaError('service-unavailable')
      return everybody
    }
    if (await resources.isConnected(user, resource)) return { user, resource }
    // §8.5.3.2.1
    if (type === 'chat') return everybody
    if (type === 'headline') return undefined
    throw new StanzaError('service-unavailable')
  }

  async #send({ session, state, stanza, id }: Incoming, { user, resource }: Recipient): Promise<void> {
    const { bus, clock, domain } = this.#options
    const keeping = keepingOf(stanza)
    const isOwn = user === session.user
    const data = messageData(stanza)
    const xml = Buffer.from(deliverable(stanza, userJid(session.user, domain), domain).toString())
    const uncopied = !isCopied(stanza)
    const head = { id: envelopeId(id), from: session.user, time: clock.now(), xml, uncopied }
    const envelope = v1.Envelope.encode({ ...head, resource, ...(data === undefined ? {} : { data: Buffer.from(data) }) }).finish()
    // Once in each archive (XEP-0313 §5.1.1): what users send to themselves is in theirs already.
    const copy = isOwn ? undefined : v1.Envelope.encode({ ...head, resource: state.resource, sent: true }).finish()
    const isCopyKept = copy !== undefined && keeping === 'durable'
    if (keeping === 'live') pushLive(bus, user, envelope)
    else {
      const sent = this.#publish(user, id, envelope)
      // What is refused must have no copy; what is not, takes no longer for having one.
      if (envelope.length > SURE_BYTES) await sent
      await Promise.all([sent, isCopyKept ? this.#publish(session.user, id, copy) : undefined])
    }
    if (copy !== undefined && !isCopyKept && !uncopied) pushLive(bus, session.user, copy)
  }

  /** To the resource it is for, if that is there; nobody is told if not (§8.5.2.1.1, §8.5.3.2.1). */
  async #error({ session, stanza, id }: Incoming): Promise<void> {
    const { bus, clock, domain, blockLists } = this.#options
    const to = parseJid(stanza.attribute('to'))
    if (to?.domain !== domain || to.resource === '') return
    const target = targetOf(stanza, session.user, domain)
    if (target.kind !== 'user' || blockLists.isBetween(session.user, stanza.attribute('from'), target.user, target.jid)) return
    const xml = Buffer.from(deliverable(stanza, '', domain).toString())
    const head = { id: envelopeId(id), from: session.user, time: clock.now(), uncopied: true }
    bus.push(target.user, v1.Envelope.encode({ ...head, resource: to.resource, xml }).finish())
  }

  async #publish(user: string, id: string, envelope: Uint8Array): Promise<void> {
    try {
      await this.#options.bus.publish(user, busId(id), envelope)
    } catch (error) {
      if (error instanceof BusError && error.code === 'too_large') throw new StanzaError('policy-violation', 'the message is too large')
      throw error
    }
  }
}
