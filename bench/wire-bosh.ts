// A BOSH session (XEP-0124, XEP-0206) that listens: logged in with SASL PLAIN, one request held, the next one sent when it is
// answered. So one connection is enough: a browser's second one is for what it says. Settings: `path`, `domain`, `password`.

import { type ResponseOwner, ResponseReader } from './http-response.js'
import { EMPTY, join, type Wire, type WireHost, type WireOptions } from './wire.js'
import { arrival, bindRequest, isRefusal, payloadParts, plainAuth } from './xmpp-payload.js'

interface LoginStep {
  readonly attributes: string
  readonly payload: string
  /** The step is done when this has come. */
  readonly until: RegExp
}

const BODY = "xmlns='http://jabber.org/protocol/httpbind'"
const XBOSH = "xmlns:xmpp='urn:xmpp:xbosh'"
const TERMINATE = Buffer.from('terminate')
/** rids go up to 2^53 - 1 (XEP-0124 §7). */
const FIRST_RID_LIMIT = 2 ** 31

export class BoshWire implements Wire, ResponseOwner {
  readonly #host: WireHost
  readonly #steps: readonly LoginStep[]
  readonly #head: string
  #reader: ResponseReader
  #step = 0
  #rid = 1 + Math.floor(Math.random() * FIRST_RID_LIMIT)
  #sid = ''
  #status = 0
  #body = EMPTY
  /** The request that is not answered yet: on a new connection it is repeated, which is how BOSH resumes. */
  #request = ''

  constructor(host: WireHost, { user, waitSeconds, settings }: WireOptions) {
    this.#host = host
    const domain = settings.domain ?? 'localhost'
    const creation = ` ${XBOSH} to='${domain}' xml:lang='en' wait='${waitSeconds}' hold='1' ver='1.11' xmpp:version='1.0'`
    this.#steps = [
      { attributes: creation, payload: '', until: /PLAIN/ },
      { attributes: '', payload: plainAuth(user, settings.password ?? 'bench'), until: /<success/ },
      { attributes: ` ${XBOSH} to='${domain}' xmpp:restart='true'`, payload: '', until: /urn:ietf:params:xml:ns:xmpp-bind/ },
      { attributes: '', payload: bindRequest('bench'), until: /<jid>/ },
      { attributes: '', payload: arrival(domain), until: /id=['"]ready['"]/ },
    ]
    const path = settings.path ?? '/http-bind'
    this.#head = `POST ${path} HTTP/1.1\r\nHost: ${domain}\r\nContent-Type: text/xml; charset=utf-8\r\nContent-Length: `
    this.#reader = new ResponseReader(this)
  }

  start(): void {
    this.#reader = new ResponseReader(this)
    this.#body = EMPTY
    if (this.#request === '') this.#loginStep()
    else {
      this.#host.send(Buffer.from(this.#request))
      if (this.#step >= this.#steps.length) this.#host.opened()
    }
  }

  receive(bytes: Buffer): void {
    this.#reader.receive(bytes)
  }

  head(status: number): void {
    this.#status = status
  }

  body(bytes: Buffer): void {
    this.#body = Buffer.from(join(this.#body, bytes))
  }

  end(): void {
    const body = this.#body
    this.#body = EMPTY
    if (this.#status !== 200 || body.includes(TERMINATE)) {
      const condition = /condition=['"]([^'"]+)/.exec(body.toString('latin1'))?.[1] ?? ''
      this.#host.ended(`ended by the server: HTTP ${this.#status} ${condition}`)
      return
    }
    payloadParts(body, (part) => this.#host.frames(part))
    if (this.#step < this.#steps.length) this.#loginAnswer(body.toString('latin1'))
    else this.#ask('', '')
  }

  #loginAnswer(answer: string): void {
    if (this.#sid === '') this.#sid = /\ssid=['"]([^'"]+)/.exec(answer)?.[1] ?? ''
    if (isRefusal(answer)) this.#host.ended(`refused in step ${this.#step} of the login: ${answer.slice(0, 300)}`)
    else if (this.#steps[this.#step]?.until.test(answer)) {
      this.#step++
      this.#loginStep()
    } else this.#ask('', '')
  }

  #loginStep(): void {
    const step = this.#steps[this.#step]
    this.#ask(step?.attributes ?? '', step?.payload ?? '')
    if (step === undefined) this.#host.opened()
  }

  #ask(attributes: string, payload: string): void {
    const sid = this.#sid === '' ? '' : ` sid='${this.#sid}'`
    const open = `<body rid='${this.#rid++}'${sid} ${BODY}${attributes}`
    const body = payload === '' ? `${open}/>` : `${open}>${payload}</body>`
    this.#request = `${this.#head}${body.length}\r\n\r\n${body}`
    this.#host.send(Buffer.from(this.#request))
  }
}
