// What a worker knows of the session of an XMPP client besides what it knows of every session. Part of the session's context.

import type { v1 } from '../../proto/messages.js'

export interface XmppContext {
  readonly resource: string
  /** `xml:lang` of the stream; '': none. */
  readonly language: string
  /** Its last presence stanza as others see it (with `from`, without `to`); '': not available. */
  readonly presence: string
  readonly priority: number
  readonly interested: boolean
  readonly carbons: boolean
  /** It asked for the block list, and gets its changes (XEP-0191). */
  readonly blocklist: boolean
  /** Full or bare JIDs that were sent presence directly (RFC 6121 §4.6), and have to be told when it ends. */
  readonly directed: readonly string[]
}

/** BCP 47, as far as it matters here: it is added to every stanza that has none of its own. */
const LANGUAGE = /^[A-Za-z0-9-]{1,35}$/

export class XmppState {
  #context: XmppContext
  /** Something has changed that the gateway was not told yet. */
  #isNews = true

  constructor(context: XmppContext) {
    this.#context = context
  }

  static newcomer(resource: string, language: string): XmppState {
    return new XmppState({
      resource,
      language: LANGUAGE.test(language) ? language : '',
      presence: '',
      priority: 0,
      interested: false,
      carbons: false,
      blocklist: false,
      directed: [],
    })
  }

  get context(): XmppContext {
    return this.#context
  }

  get resource(): string {
    return this.#context.resource
  }

  get isAvailable(): boolean {
    return this.#context.presence !== ''
  }

  change(change: Partial<XmppContext>): void {
    this.#context = { ...this.#context, ...change }
    this.#isNews = true
  }

  get shown(): v1.XmppShown.$Properties {
    const { presence, priority, interested, carbons, blocklist } = this.#context
    return { available: presence !== '', priority, interested, carbons, blocklist, presence: Buffer.from(presence) }
  }

  /** What the gateway has to be told with the next answer. */
  takeNews(): v1.XmppShown.$Properties | undefined {
    if (!this.#isNews) return undefined
    this.#isNews = false
    return this.shown
  }
}
