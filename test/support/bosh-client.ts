// A BOSH client over any number of gateways, each request to the next one: one held request, a second one to send, the same
// request again whenever one fails. Shares no code with the server.

import { randomInt } from 'node:crypto'

const BOSH = 'http://jabber.org/protocol/httpbind'
const GIVE_UP_MS = 20_000

interface Sent {
  readonly rid: number
  readonly body: string
}

export class BoshClient {
  readonly #urls: readonly string[]
  readonly user: string
  /** Stanzas as they came, in order. */
  readonly stanzas: string[] = []
  /** Why the session ended. */
  ended: string | undefined = undefined
  #sid = ''
  #rid = randomInt(1, 2 ** 40)
  #turn = 0
  #queue: string[] = []
  #open = 0
  #repeats = 0
  #running = true
  /** Answers by rid, until those before are there. */
  readonly #answers = new Map<number, string>()
  #next = 0
  #wake: () => void = () => {}
  readonly #wait: number

  constructor(user: string, urls: readonly string[], waitSeconds = 5) {
    this.user = user
    this.#urls = urls
    this.#wait = waitSeconds
  }

  /** Requests that were sent again. */
  get repeats(): number {
    return this.#repeats
  }

  /** PLAIN, restart, bind, presence. */
  async login(password: string, resource: string): Promise<void> {
    this.#next = this.#rid
    const creation = await this.#ask(`to='localhost' wait='${this.#wait}' hold='1' ver='1.11' xmpp:version='1.0'`, '')
    this.#sid = /sid='([^']+)'/.exec(creation)?.[1] ?? ''
    const secret = Buffer.from(`\0${this.user}\0${password}`).toString('base64')
    await this.#ask('', `<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>${secret}</auth>`)
    await this.#ask("xmpp:restart='true' to='localhost'", '')
    const bind = `<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>${resource}</resource></bind>`
    const bound = await this.#ask('', `<iq xmlns='jabber:client' type='set' id='bind'>${bind}</iq>`)
    if (!bound.includes('<jid>')) throw new Error(`not bound: ${bound}`)
    this.send("<presence xmlns='jabber:client'/>")
    this.#poll()
  }

  send(stanza: string): void {
    this.#queue.push(stanza)
    this.#poll()
  }

  message(to: string, body: string): void {
    this.send(`<message xmlns='jabber:client' type='chat' to='${to}' id='${this.user}-${body}'><body>${body}</body></message>`)
  }

  /** Bodies of messages, in the order they came. */
  get bodies(): string[] {
    return this.stanzas.flatMap((stanza) => (stanza.startsWith('<message') ? (/<body>([^<]*)<\/body>/.exec(stanza)?.[1] ?? []) : []))
  }

  async until(condition: () => boolean, ms: number, what: string): Promise<void> {
    const deadline = Date.now() + ms
    while (!condition()) {
      if (this.ended !== undefined) throw new Error(`${this.user}: ended (${this.ended}) before ${what}`)
      if (Date.now() > deadline) throw new Error(`${this.user}: no ${what}; ${this.stanzas.slice(-3).join('\n')}`)
      await Promise.race([new Promise<void>((resolve) => (this.#wake = resolve)), new Promise((resolve) => setTimeout(resolve, 50))])
    }
  }

  async logout(): Promise<void> {
    this.#running = false
    await this.#request(this.#body("type='terminate'", ''))
  }

  stop(): void {
    this.#running = false
  }

  /** As long as it runs, one request is held; a second one only to send something. */
  #poll(): void {
    // Never further ahead of the oldest unanswered request than `requests` allows.
    while (this.#running && this.#rid - this.#next < 2 && (this.#open === 0 || this.#queue.length > 0)) {
      this.#open++
      this.#request(this.#body('', this.#queue.splice(0, 20).join('')))
        .catch((error: unknown) => {
          this.ended ??= String(error)
        })
        .finally(() => {
          this.#open--
          this.#poll()
        })
    }
  }

  #body(attributes: string, payload: string): Sent {
    const rid = this.#rid++
    const sid = this.#sid === '' ? '' : ` sid='${this.#sid}'`
    return { rid, body: `<body xmlns='${BOSH}' xmlns:xmpp='urn:xmpp:xbosh' rid='${rid}'${sid} ${attributes}>${payload}</body>` }
  }

  async #ask(attributes: string, payload: string): Promise<string> {
    return this.#request(this.#body(attributes, payload))
  }

  async #request({ rid, body }: Sent): Promise<string> {
    const deadline = Date.now() + GIVE_UP_MS
    for (;;) {
      const url = this.#urls[this.#turn++ % this.#urls.length] ?? ''
      try {
        const signal = AbortSignal.timeout(this.#wait * 1100 + 2000)
        const response = await fetch(`${url}/http-bind`, { method: 'POST', body, headers: { 'content-type': 'text/xml' }, signal })
        const text = await response.text()
        if (!text.includes("type='error'")) {
          this.#take(rid, text)
          return text
        }
      } catch (error) {
        if (Date.now() > deadline) throw error
      }
      this.#repeats++
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }

  #take(rid: number, text: string): void {
    this.#answers.set(rid, text)
    for (let answer = this.#answers.get(this.#next); answer !== undefined; answer = this.#answers.get(this.#next)) {
      this.#answers.delete(this.#next++)
      if (answer.includes("type='terminate'")) {
        this.ended ??= /condition='([^']+)'/.exec(answer)?.[1] ?? 'done'
        this.#running = false
      }
      for (const [stanza] of answer.matchAll(/<(message|presence|iq)\b[^>]*?(\/>|>.*?<\/\1>)/gs)) this.stanzas.push(stanza)
    }
    this.#wake()
  }
}
