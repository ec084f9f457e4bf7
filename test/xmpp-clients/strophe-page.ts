// strophe.js in a page of Chromium, over BOSH and over WebSocket. The page is of another origin than the server.

import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Browser, Page } from 'playwright-core'
import { leave, openPage } from './browser.js'
import { type Account, type ChatClient, type Mechanism, Seen, type Transport, userOf, type XmppServer } from './chat-client.js'

/** Nobody listens there: the page comes from here. */
const PAGE = 'http://127.0.0.1:1/strophe.html'
const LIBRARY = readFileSync(fileURLToPath(new URL('strophe.umd.min.js', import.meta.resolve('strophe.js'))), 'utf8')

/** What happens in the page and is told to the test. */
type Event =
  | { readonly kind: 'message'; readonly from: string; readonly text: string; readonly delayed: boolean }
  | { readonly kind: 'presence'; readonly from: string; readonly type: string; readonly show: string }
  | { readonly kind: 'status'; readonly status: string; readonly condition: string }
  | { readonly kind: 'wire'; readonly what: string }

interface Start {
  readonly url: string
  readonly jid: string
  readonly password: string
  /** `restore`: what the tab remembers of its session before it was loaded anew. */
  readonly how: Mechanism | 'restore'
}

export class StrophePage implements ChatClient {
  readonly seen: Seen
  readonly #browser: Browser
  readonly #server: XmppServer
  readonly #account: Account
  readonly #transport: Transport
  readonly #statuses: string[] = []
  #opening: Promise<Page> | undefined = undefined

  constructor(browser: Browser, server: XmppServer, account: Account, transport: Transport) {
    this.#browser = browser
    this.#server = server
    this.#account = account
    this.#transport = transport
    this.seen = new Seen(account.user)
  }

  async login(mechanism: Mechanism): Promise<void> {
    await this.#start(mechanism)
    await this.#status('CONNECTED')
    await this.roster()
    await this.#send('<presence xmlns="jabber:client"/>')
  }

  async addContact(user: string): Promise<void> {
    const jid = this.#bare(user)
    await this.#ask(`<iq xmlns="jabber:client" type="set"><query xmlns="jabber:iq:roster"><item jid="${jid}" name="${user}"/></query></iq>`)
    await this.#send(`<presence xmlns="jabber:client" type="subscribe" to="${jid}"/>`)
  }

  approve(user: string): Promise<void> {
    return this.#send(`<presence xmlns="jabber:client" type="subscribed" to="${this.#bare(user)}"/>`)
  }

  show(show: 'away' | 'dnd' | 'online'): Promise<void> {
    return this.#send(`<presence xmlns="jabber:client">${show === 'online' ? '' : `<show>${show}</show>`}</presence>`)
  }

  sendChat(user: string, text: string): Promise<void> {
    return this.#send(`<message xmlns="jabber:client" type="chat" to="${this.#bare(user)}"><body>${text}</body></message>`)
  }

  async roster(): Promise<ReadonlyMap<string, string>> {
    const answer = await this.#ask('<iq xmlns="jabber:client" type="get"><query xmlns="jabber:iq:roster"/></iq>')
    return new Map(answer.map(([jid, subscription]) => [userOf(jid), subscription]))
  }

  /** BOSH: `restore` in the new page. WebSocket: it logs in again and resumes its stream (XEP-0198). */
  async reload(meanwhile: () => Promise<void>): Promise<void> {
    const page = await this.#page()
    const bound = await page.evaluate(() => strophe.jid)
    await leave(page)
    await meanwhile()
    await page.goto(PAGE)
    await this.#start(this.#transport === 'bosh' ? 'restore' : 'SCRAM')
    await this.#status(this.#transport === 'bosh' ? 'ATTACHED' : 'CONNECTED')
    const now = await page.evaluate(() => ({ jid: strophe.jid, resumed: strophe.hasResumed() }))
    if (now.jid !== bound || (this.#transport === 'websocket' && !now.resumed)) throw new Error('a new session instead of the old one')
    await this.roster()
  }

  async logout(): Promise<void> {
    await (await this.#page()).evaluate(() => strophe.disconnect('bye'))
    await this.#status('DISCONNECTED')
  }

  async dispose(): Promise<void> {
    if (this.#opening !== undefined) await (await this.#opening).context().close()
  }

  #bare(user: string): string {
    return `${user}@${this.#server.domain}`
  }

  #page(): Promise<Page> {
    this.#opening ??= this.#open()
    return this.#opening
  }

  async #open(): Promise<Page> {
    const page = await openPage(this.#browser)
    await page.route(PAGE, (route) => route.fulfill({ contentType: 'text/html', body: `<!doctype html><script>${LIBRARY}</script>` }))
    await page.exposeFunction('tell', (event: Event) => this.#told(event))
    await page.goto(PAGE)
    return page
  }

  #told(event: Event): void {
    if (event.kind === 'message') this.seen.message(event.from, event.text, event.delayed)
    if (event.kind === 'presence') this.seen.presence(event.from, event.type, event.show)
    if (event.kind === 'wire') this.seen.note(event.what)
    if (event.kind === 'status') this.#statuses.push(event.status)
    this.seen.look()
  }

  async #start(how: Start['how']): Promise<void> {
    this.#statuses.length = 0
    const { websocketUrl, boshUrl, domain } = this.#server
    const { user, password } = this.#account
    const url = this.#transport === 'bosh' ? boshUrl : websocketUrl
    await (await this.#page()).evaluate(start, { url, jid: `${user}@${domain}/strophe`, password, how })
  }

  async #status(wanted: string): Promise<void> {
    await this.seen.until(() => this.#statuses.includes(wanted), `status ${wanted} (but ${this.#statuses})`)
  }

  async #send(xml: string): Promise<void> {
    await (await this.#page()).evaluate((text) => strophe.send(Strophe.toElement(text)), xml)
  }

  /** The items of the roster in the answer. */
  async #ask(xml: string): Promise<[string, string][]> {
    const page = await this.#page()
    const answer = page.evaluate(
      (text) =>
        new Promise<[string, string][]>((resolve, reject) => {
          const items = (iq: PageElement) =>
            [...iq.getElementsByTagName('item')].map((item): [string, string] => [
              item.getAttribute('jid') ?? '',
              item.getAttribute('subscription') ?? '',
            ])
          strophe.sendIQ(
            Strophe.toElement(text),
            (iq) => resolve(items(iq)),
            (error) => reject(new Error(error === null ? 'no answer' : error.outerHTML)),
          )
        }),
      xml,
    )
    return this.seen.within(answer, `answer to ${xml}`)
  }
}

// What follows runs in the page.

interface PageElement {
  readonly outerHTML: string
  readonly textContent: string | null
  getAttribute(name: string): string | null
  getElementsByTagName(name: string): Iterable<PageElement>
}

interface PageConnection {
  readonly jid: string
  rawInput: (data: string) => void
  rawOutput: (data: string) => void
  connect(jid: string, password: string, callback: (status: number, condition: string | null) => void): void
  restore(jid: string, callback: (status: number, condition: string | null) => void): void
  addHandler(handler: (stanza: PageElement) => boolean, namespace: string | null, name: string, type?: string): void
  send(stanza: PageElement): void
  sendIQ(stanza: PageElement, callback: (iq: PageElement) => void, failed: (iq: PageElement | null) => void): void
  hasResumed(): boolean
  disconnect(reason: string): void
}

declare const Strophe: {
  readonly Status: Readonly<Record<string, number>>
  readonly SASLPlain: unknown
  readonly SASLSHA256: unknown
  readonly Connection: new (url: string, options: object) => PageConnection
  toElement(xml: string): PageElement
}
declare let strophe: PageConnection
declare const tell: (event: Event) => void

function start({ url, jid, password, how }: Start): void {
  const mechanisms = { PLAIN: [Strophe.SASLPlain], SCRAM: undefined, restore: undefined }[how]
  const connection = new Strophe.Connection(url, { keepalive: true, enableStreamManagement: true, ...(mechanisms && { mechanisms }) })
  connection.rawInput = (data) => tell({ kind: 'wire', what: `< ${data}` })
  connection.rawOutput = (data) => tell({ kind: 'wire', what: `> ${data}` })
  Object.assign(globalThis, { strophe: connection })
  const text = (stanza: PageElement, name: string) => [...stanza.getElementsByTagName(name)][0]?.textContent ?? ''
  const from = (stanza: PageElement) => stanza.getAttribute('from') ?? ''
  const listen = () => {
    connection.addHandler(
      (stanza) => {
        const said = text(stanza, 'body')
        const delayed = [...stanza.getElementsByTagName('delay')].length > 0
        if (said !== '' && stanza.getAttribute('type') !== 'error') tell({ kind: 'message', from: from(stanza), text: said, delayed })
        return true
      },
      null,
      'message',
    )
    connection.addHandler(
      (stanza) => {
        tell({ kind: 'presence', from: from(stanza), type: stanza.getAttribute('type') ?? '', show: text(stanza, 'show') })
        return true
      },
      null,
      'presence',
    )
    connection.addHandler(
      (stanza) => {
        connection.send(Strophe.toElement(`<iq xmlns="jabber:client" type="result" id="${stanza.getAttribute('id')}"/>`))
        return true
      },
      'jabber:iq:roster',
      'iq',
      'set',
    )
  }
  const changed = (status: number, condition: string | null) => {
    const name = Object.entries(Strophe.Status).find(([, value]) => value === status)?.[0] ?? ''
    if (name === 'CONNECTED' || name === 'ATTACHED') listen()
    tell({ kind: 'status', status: name, condition: condition ?? '' })
  }
  if (how === 'restore') connection.restore(jid, changed)
  else connection.connect(jid, password, changed)
}
