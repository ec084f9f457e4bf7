// XMPP over a WebSocket (RFC 7395) as a benchmark client speaks it: SASL PLAIN, bind, presence, and stream management (XEP-0198),
// by which it resumes. Settings: `path`, `domain`, `password`; `management`: `off` for servers that have none.

import { clientFrame, OPCODE, type WebSocketOwner, WebSocketReader } from './websocket-reader.js'
import type { Wire, WireHost, WireOptions } from './wire.js'
import { arrival, bindRequest, isRefusal, payloadParts, plainAuth, READY } from './xmpp-payload.js'

type Phase = 'opening' | 'authenticating' | 'restarting' | 'binding' | 'enabling' | 'resuming' | 'arriving' | 'open'

const SM = "xmlns='urn:xmpp:sm:3'"
const ASKED = Buffer.from('<r ')
const STANZA_STARTS = [Buffer.from('<message'), Buffer.from('<presence'), Buffer.from('<iq')]

export class XmppWebSocketWire implements Wire, WebSocketOwner {
  readonly #host: WireHost
  readonly #options: WireOptions
  readonly #domain: string
  #reader: WebSocketReader | undefined
  #phase: Phase = 'opening'
  /** What the session can be resumed by; '': it can't. */
  #previous = ''
  /** Stanzas received since it could. */
  #handled = 0

  constructor(host: WireHost, options: WireOptions) {
    this.#host = host
    this.#options = options
    this.#domain = options.settings.domain ?? 'localhost'
  }

  start(): void {
    this.#phase = 'opening'
    this.#reader = new WebSocketReader(this, { target: this.#options.settings.path ?? '/xmpp-websocket', protocol: 'xmpp' })
  }

  receive(bytes: Buffer): void {
    this.#reader?.receive(bytes)
  }

  send(bytes: Buffer): void {
    this.#host.send(bytes)
  }

  upgraded(): void {
    this.#open()
  }

  ended(why: string): void {
    this.#host.ended(why)
  }

  message(payload: Buffer): void {
    if (this.#phase !== 'open') {
      this.#login(payload.toString('latin1'))
      if (this.#previous === '' || !isStanza(payload)) return
    }
    if (isStanza(payload)) {
      this.#handled++
      payloadParts(payload, (part) => this.#host.frames(part))
    } else if (payload.subarray(0, ASKED.length).equals(ASKED)) this.#say(`<a ${SM} h='${this.#handled}'/>`)
    else if (payload.includes('<close') || payload.includes('error>')) this.#host.ended(payload.toString('utf8', 0, 200))
  }

  #login(text: string): void {
    const { user, settings } = this.#options
    if (text.includes('<failed')) this.#host.ended(`not resumed: ${text.slice(0, 200)}`)
    else if (isRefusal(text)) this.#host.ended(`refused while ${this.#phase}: ${text.slice(0, 200)}`)
    else if (this.#phase === 'opening' && text.includes('PLAIN')) {
      this.#phase = 'authenticating'
      this.#say(plainAuth(user, settings.password ?? 'bench'))
    } else if (this.#phase === 'authenticating' && text.includes('<success')) {
      this.#phase = 'restarting'
      this.#open()
    } else if (this.#phase === 'restarting' && text.includes('urn:ietf:params:xml:ns:xmpp-bind')) {
      this.#phase = this.#previous === '' ? 'binding' : 'resuming'
      this.#say(this.#previous === '' ? bindRequest('bench') : `<resume ${SM} previd='${this.#previous}' h='${this.#handled}'/>`)
    } else if (this.#phase === 'binding' && text.includes('<jid>')) {
      this.#phase = settings.management === 'off' ? 'arriving' : 'enabling'
      if (this.#phase === 'enabling') this.#say(`<enable ${SM} resume='true'/>`)
      else this.#arrive()
    } else if (this.#phase === 'enabling' && text.includes('<enabled')) {
      this.#previous = /\sid=['"]([^'"]+)/.exec(text)?.[1] ?? ''
      this.#phase = 'arriving'
      this.#arrive()
    } else if (this.#phase === 'resuming' && text.includes('<resumed')) this.#settle()
    else if (this.#phase === 'arriving' && READY.test(text)) this.#settle()
    else if (text.startsWith('<r ')) this.#say(`<a ${SM} h='${this.#handled}'/>`)
  }

  #settle(): void {
    this.#phase = 'open'
    this.#host.opened()
  }

  #arrive(): void {
    // RFC 7395 §3.3.3: a message of the WebSocket is one element.
    const [presence = '', ready = ''] = arrival(this.#domain).split(/(?=<iq)/)
    this.#say(presence)
    this.#say(ready)
  }

  #open(): void {
    this.#say(`<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='${this.#domain}' version='1.0'/>`)
  }

  #say(text: string): void {
    this.#host.send(clientFrame(OPCODE.text, Buffer.from(text)))
  }
}

function isStanza(payload: Buffer): boolean {
  return STANZA_STARTS.some((start) => payload.subarray(0, start.length).equals(start))
}
