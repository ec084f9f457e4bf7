// Stanzas of XMPP clients: checked and stamped (RFC 6120 §8.1), given to the handler they are for, and answered.

import type { v1 } from '../../proto/messages.js'
import type { Element } from '../../proto/xml/element.js'
import { formatJid, type Jid, parseJid, userJid } from '../../proto/xml/jid.js'
import { CLIENT_NS } from '../../proto/xml/namespaces.js'
import { parseXml, XmlError } from '../../proto/xml/parse.js'
import { errorStanza, type StanzaCondition, StanzaError } from '../../proto/xml/stanza-error.js'
import { type Refusal, refusalOf } from '../refusal.js'
import type { Session } from '../session.js'
import type { Handler, Incoming } from './incoming.js'
import type { XmppState } from './state.js'

export interface StanzasOptions {
  readonly domain: string
  readonly message: Handler
  /** Presence of every kind. */
  readonly presence: Handler
  /** iqs of every type. */
  readonly iq: Handler
  /** Bugs. */
  onError(error: unknown): void
}

/** What a stanza is answered. */
export interface Answer {
  readonly stanzas: readonly Element[]
  /** The stream ends with this condition (RFC 6120 §4.9.3); '': it goes on. */
  readonly streamError: string
}

const PRESENCE_TYPES = new Set(['', 'unavailable', 'subscribe', 'subscribed', 'unsubscribe', 'unsubscribed', 'probe', 'error'])

export class Stanzas {
  readonly #options: StanzasOptions

  constructor(options: StanzasOptions) {
    this.#options = options
  }

  /** Throws BusError and Refusal `bus_unavailable`: the stanza could not be handled now. */
  async run(session: Session, state: XmppState, { xml, id }: v1.Stanza.$Properties): Promise<Answer> {
    let stanza: Element
    try {
      stanza = parseXml(xml ?? '')
    } catch (error) {
      if (!(error instanceof XmlError)) throw error
      return streamError(
        error.problem === 'restricted' ? 'restricted-xml' : error.problem === 'too-large' ? 'policy-violation' : 'not-well-formed',
      )
    }
    if (stanza.ns !== CLIENT_NS) return streamError('invalid-namespace')
    if (stanza.name !== 'message' && stanza.name !== 'presence' && stanza.name !== 'iq') return streamError('unsupported-stanza-type')
    if (!this.#isOwn(session, stanza.attribute('from'))) return streamError('invalid-from')
    const from = userJid(session.user, this.#options.domain, state.resource)
    const incoming = { session, state, stanza: stanza.with({ from, 'xml:lang': languageOf(stanza, state) }), id: id ?? '' }
    try {
      return { stanzas: await this.#handle(incoming), streamError: '' }
    } catch (error) {
      const answer = errorStanza(incoming.stanza, this.#stanzaError(error))
      return { stanzas: answer === undefined ? [] : [answer], streamError: '' }
    }
  }

  /**
   * RFC 6120 §8.1.2.1: an address of the user, or none. It is overridden by that of the session: Converse.js, loaded anew, resumes a
   * stream but goes on by the resource that it would have bound instead.
   */
  #isOwn(session: Session, from: string): boolean {
    if (from === '') return true
    const jid = parseJid(from)
    return jid !== undefined && formatJid({ ...jid, resource: '' }) === userJid(session.user, this.#options.domain)
  }

  async #handle(incoming: Incoming): Promise<readonly Element[]> {
    const { domain, message, presence, iq } = this.#options
    const { stanza } = incoming
    const { name } = stanza
    const type = stanza.attribute('type')
    if (name === 'presence' && !PRESENCE_TYPES.has(type)) throw new StanzaError('bad-request', 'no such type of presence')
    const to = this.#to(stanza)
    if (to !== undefined && to.domain !== domain) {
      if (name === 'presence') return []
      throw new StanzaError('remote-server-not-found', `there is nothing but ${domain} here`)
    }
    if (name === 'message') return message(incoming)
    if (name === 'presence') return presence(incoming)
    return iq(incoming)
  }

  #to(stanza: Element): Jid | undefined {
    const text = stanza.attributes.get('to')
    if (text === undefined) return undefined
    const jid = parseJid(text)
    if (jid === undefined) throw new StanzaError('jid-malformed', '`to` is no address')
    return jid
  }

  /** Throws what is nobody's fault: the bus, which may be back when the client tries again. */
  #stanzaError(error: unknown): StanzaError {
    if (error instanceof StanzaError) return error
    const refusal = refusalOf(error)
    if (refusal.code === 'bus_unavailable') throw error
    if (refusal.code === 'internal') this.#options.onError(error)
    return new StanzaError(conditionOf(refusal), refusal.message)
  }
}

/** RFC 6120 §8.1.5: its own, else that of the stream; undefined: neither says. */
function languageOf(stanza: Element, state: XmppState): string | undefined {
  return stanza.attributes.get('xml:lang') ?? (state.context.language || undefined)
}

function streamError(condition: string): Answer {
  return { stanzas: [], streamError: condition }
}

const CONDITIONS: Readonly<Record<Refusal['code'], StanzaCondition>> = {
  malformed: 'bad-request',
  forbidden: 'forbidden',
  not_found: 'item-not-found',
  conflict: 'resource-constraint',
  too_large: 'policy-violation',
  rate_limited: 'resource-constraint',
  bus_unavailable: 'internal-server-error',
  internal: 'internal-server-error',
}

function conditionOf({ code }: Refusal): StanzaCondition {
  return CONDITIONS[code]
}
