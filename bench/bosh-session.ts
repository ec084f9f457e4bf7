// One BOSH session of the load generator (XEP-0124, XEP-0206), as a browser's client has it: two connections, one request held, a
// second one to send. Logs in with SASL PLAIN, then sends what it is told to. No more work than needed: one process is many of them.

import type { BoshConnection, BoshConnectionOwner } from './bosh-connection.js'

export interface BoshLogin {
  readonly user: string
  readonly password: string
  readonly domain: string
  readonly resource: string
  /** Of the HTTP resource. */
  readonly path: string
  readonly waitSeconds: number
  readonly firstRid: number
}

export interface BoshSessionOwner {
  /** Logged in, a request is held. */
  opened(session: BoshSession): void
  /**
   * A request was answered. `released`: because the next one took its place, not because there was something to say to a session
   * that had a single one. `body` is borrowed.
   */
  answered(session: BoshSession, body: Buffer, released: boolean): void
  /** Exactly once, also after `terminate`. */
  ended(session: BoshSession, why: string): void
}

interface LoginStep {
  readonly attributes: string
  readonly payload: string
  /** The step is done when this has come. */
  readonly until: string
}

type State = { readonly kind: 'login'; step: number } | { readonly kind: 'open' } | { readonly kind: 'leaving' } | { readonly kind: 'over' }

const BODY = "xmlns='http://jabber.org/protocol/httpbind'"
const XBOSH = "xmlns:xmpp='urn:xmpp:xbosh'"
const TERMINATE = Buffer.from('terminate')
/** How a session ends that was told to. */
export const LEFT = 'left'

export class BoshSession implements BoshConnectionOwner {
  readonly index: number
  readonly #owner: BoshSessionOwner
  readonly #connections: readonly BoshConnection[]
  /** Those that have no request on them. */
  readonly #free: BoshConnection[]
  readonly #steps: readonly LoginStep[]
  readonly #head: string
  #state: State = { kind: 'login', step: 0 }
  #rid: number
  #sid = ''

  constructor(index: number, login: BoshLogin, owner: BoshSessionOwner, connect: (owner: BoshConnectionOwner) => BoshConnection) {
    this.index = index
    this.#owner = owner
    this.#rid = login.firstRid
    this.#head = `POST ${login.path} HTTP/1.1\r\nHost: ${login.domain}\r\nContent-Type: text/xml; charset=utf-8\r\nContent-Length: `
    this.#steps = stepsOf(login)
    this.#connections = [connect(this), connect(this)]
    this.#free = [...this.#connections]
    this.#step()
  }

  /** Sends a request with this payload, which releases the one that is held. False: it can't at the moment, two are under way. */
  cycle(payload: string): boolean {
    if (this.#state.kind !== 'open' || this.#free.length === 0) return false
    this.#request('', payload)
    return true
  }

  /** Ends it as the protocol wants it. */
  terminate(): void {
    if (this.#state.kind !== 'open' || this.#free.length === 0) {
      this.#end(LEFT)
      return
    }
    this.#state = { kind: 'leaving' }
    this.#request(" type='terminate'", '')
  }

  answered(connection: BoshConnection, status: number, body: Buffer): void {
    this.#free.push(connection)
    if (status !== 200 || body.includes(TERMINATE)) {
      const condition = /condition=['"]([^'"]+)/.exec(body.toString('latin1'))?.[1] ?? ''
      this.#end(this.#state.kind === 'leaving' ? LEFT : `ended by the server: HTTP ${status} ${condition}`)
      return
    }
    switch (this.#state.kind) {
      case 'login':
        this.#loginAnswer(this.#state, body.toString('latin1'))
        return
      case 'open': {
        const released = this.#free.length === 1
        if (!released) this.#request('', '')
        this.#owner.answered(this, body, released)
        return
      }
      case 'leaving':
      case 'over':
    }
  }

  lost(why: string): void {
    this.#end(this.#state.kind === 'leaving' ? LEFT : why)
  }

  #loginAnswer(state: State & { kind: 'login' }, answer: string): void {
    if (this.#sid === '') this.#sid = /\ssid=['"]([^'"]+)/.exec(answer)?.[1] ?? ''
    const { until } = this.#steps[state.step] ?? { until: '' }
    if (/<failure|<error|type=['"]error/.test(answer)) this.#end(`refused before ${until}: ${answer.slice(0, 500)}`)
    else if (!answer.includes(until)) this.#request('', '')
    else {
      state.step++
      this.#step()
    }
  }

  #step(): void {
    if (this.#state.kind !== 'login') return
    const step = this.#steps[this.#state.step]
    if (step !== undefined) {
      this.#request(step.attributes, step.payload)
      return
    }
    this.#state = { kind: 'open' }
    this.#request('', "<presence xmlns='jabber:client'/>")
    this.#owner.opened(this)
  }

  #request(attributes: string, payload: string): void {
    const connection = this.#free.pop()
    if (connection === undefined) throw new Error('two requests are under way')
    const sid = this.#sid === '' ? '' : ` sid='${this.#sid}'`
    const open = `<body rid='${this.#rid++}'${sid} ${BODY}${attributes}`
    const body = payload === '' ? `${open}/>` : `${open}>${payload}</body>`
    connection.send(`${this.#head}${body.length}\r\n\r\n${body}`)
  }

  #end(why: string): void {
    if (this.#state.kind === 'over') return
    this.#state = { kind: 'over' }
    for (const connection of this.#connections) connection.close()
    this.#owner.ended(this, why)
  }
}

function stepsOf({ user, password, domain, resource, waitSeconds }: BoshLogin): LoginStep[] {
  const creation = ` ${XBOSH} to='${domain}' xml:lang='en' wait='${waitSeconds}' hold='1' ver='1.11' xmpp:version='1.0'`
  const secret = Buffer.from(`\0${user}\0${password}`).toString('base64')
  const bind = `<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>${resource}</resource></bind>`
  return [
    { attributes: creation, payload: '', until: 'PLAIN' },
    { attributes: '', payload: `<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>${secret}</auth>`, until: '<success' },
    { attributes: ` ${XBOSH} to='${domain}' xmpp:restart='true'`, payload: '', until: 'urn:ietf:params:xml:ns:xmpp-bind' },
    { attributes: '', payload: `<iq xmlns='jabber:client' type='set' id='bind'>${bind}</iq>`, until: '<jid>' },
  ]
}
