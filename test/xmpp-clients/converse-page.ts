// Converse.js on the page that the server itself serves: over BOSH and over WebSocket. What it has seen is what it shows.

import type { Browser, Page } from 'playwright-core'
import { leave, openPage } from './browser.js'
import { type Account, type ChatClient, type Mechanism, Seen, type Transport, userOf, type XmppServer } from './chat-client.js'

/** What happens in the page and is told to the test. */
type Event =
  | {
      readonly kind: 'message'
      readonly id: string
      readonly from: string
      readonly text: string
      readonly delayed: boolean
      readonly shown: number
    }
  | { readonly kind: 'presence'; readonly from: string; readonly status: string }
  | { readonly kind: 'request'; readonly from: string }
  | { readonly kind: 'wire'; readonly what: string }
  | { readonly kind: 'ready' | 'failed' }

export class ConversePage implements ChatClient {
  readonly seen: Seen
  readonly #browser: Browser
  readonly #server: XmppServer
  readonly #account: Account
  readonly #transport: Transport
  readonly #origin: string
  /** The messages it shows, by their ids in the archive: it asks for those of before when the page is loaded anew. */
  readonly #shown = new Set<string>()
  #opening: Promise<Page> | undefined = undefined
  #state: 'loading' | 'ready' | 'failed' = 'loading'
  #mechanism: Mechanism = 'SCRAM'

  constructor(browser: Browser, server: XmppServer, account: Account, transport: Transport) {
    this.#browser = browser
    this.#server = server
    this.#account = account
    this.#transport = transport
    this.#origin = new URL(server.boshUrl).origin
    this.seen = new Seen(account.user)
  }

  async login(mechanism: Mechanism): Promise<void> {
    this.#mechanism = mechanism
    const page = await this.#page()
    await page.goto(this.#url())
    await page.fill('#converse-login-jid', this.#bare(this.#account.user))
    await page.fill('#converse-login-password', this.#account.password)
    await page.click('#converse-login button[type=submit]')
    await this.#ready()
  }

  async addContact(user: string): Promise<void> {
    const contact = { jid: this.#bare(user), name: user, groups: [] }
    await (await this.#page()).evaluate((attributes) => spied.api.contacts.add(attributes).then(() => undefined), contact)
  }

  /** It does so by itself when the one who asks is a contact. */
  async approve(user: string): Promise<void> {
    await (await this.#page()).evaluate(async (jid) => {
      const contact = await spied.api.contacts.get(jid)
      if (!['from', 'both'].includes(contact.get('subscription'))) contact.authorize()
    }, this.#bare(user))
  }

  async show(show: 'away' | 'dnd' | 'online'): Promise<void> {
    await (await this.#page()).evaluate((value) => spied.state.profile.save({ show: value === 'online' ? undefined : value }), show)
  }

  /** By hand: opens the chat, types, and presses Enter. */
  async sendChat(user: string, text: string): Promise<void> {
    const page = await this.#page()
    await page.evaluate((jid) => spied.api.chats.open(jid, {}, true).then(() => undefined), this.#bare(user))
    const line = page.locator(`converse-chat[jid="${this.#bare(user)}"] textarea.chat-textarea`)
    await line.fill(text).catch(() => {
      throw this.seen.missed(`place to write to ${user}`)
    })
    await line.press('Enter')
  }

  async roster(): Promise<ReadonlyMap<string, string>> {
    const items = await (await this.#page()).evaluate(async () => {
      const contacts = await spied.api.contacts.get()
      return contacts.map((contact) => [contact.get('jid'), contact.get('subscription')] as const)
    })
    return new Map(items.map(([jid, subscription]) => [userOf(jid), subscription]))
  }

  /** BOSH: `keepalive`. WebSocket: it logs in again with the keys it derived, and resumes its stream (XEP-0198). */
  async reload(meanwhile: () => Promise<void>): Promise<void> {
    const page = await this.#page()
    this.#state = 'loading'
    await leave(page)
    await meanwhile()
    await page.goto(this.#url())
    await this.#ready()
    // Over WebSocket it goes by a new resource from here on, which the server knows better.
    if (!(await page.evaluate(() => spied.api.connection.get().hasResumed()))) throw new Error('a new session instead of the old one')
  }

  async logout(): Promise<void> {
    await this.seen.within(
      (await this.#page()).evaluate(() => spied.api.user.logout()),
      'logout',
    )
  }

  async dispose(): Promise<void> {
    if (this.#opening !== undefined) await (await this.#opening).context().close()
    this.#opening = undefined
  }

  #bare(user: string): string {
    return `${user}@${this.#server.domain}`
  }

  #url(): string {
    return `${this.#origin}/xmpp/?over=${this.#transport}${this.#mechanism === 'SCRAM' ? '&sasl=scram' : ''}`
  }

  #page(): Promise<Page> {
    this.#opening ??= this.#open()
    return this.#opening
  }

  async #open(): Promise<Page> {
    const page = await openPage(this.#browser)
    page.on('console', (line) => {
      if (line.text().includes('Content Security Policy')) this.seen.complaints.push(line.text())
    })
    page.on('request', (request) => {
      const { protocol, origin } = new URL(request.url())
      if (protocol !== 'data:' && origin !== this.#origin) this.seen.complaints.push(request.url())
    })
    await page.exposeFunction('tell', (event: Event) => this.#told(event))
    await page.addInitScript(spy)
    return page
  }

  #told(event: Event): void {
    if (event.kind === 'ready' || event.kind === 'failed') this.#state = event.kind
    if (event.kind === 'wire') this.seen.note(event.what)
    if (event.kind === 'request') this.seen.presence(event.from, 'subscribe', '')
    if (event.kind === 'presence') this.seen.presence(event.from, event.status === 'offline' ? 'unavailable' : '', event.status)
    if (event.kind === 'message' && event.shown !== 1) this.seen.complaints.push(`${event.text}: shown ${event.shown} times`)
    if (event.kind === 'message' && !this.#shown.has(event.id)) {
      this.#shown.add(event.id)
      this.seen.message(event.from, event.text, event.delayed)
    }
    this.seen.look()
  }

  async #ready(): Promise<void> {
    await this.seen.until(() => this.#state !== 'loading', 'end of the login')
    if (this.#state === 'failed') throw new Error('the login failed')
  }
}

// What follows runs in the page.

interface PageElement {
  readonly children: Iterable<PageElement>
  readonly tagName: string
  readonly outerHTML: string
  getAttribute(name: string): string | null
}

interface Model {
  get(name: string): string
  save(attributes: object): void
}

interface Contact extends Model {
  getStatus(): string
  authorize(): void
}

interface ChatBox extends Model {
  readonly messages: { on(event: 'add', listener: (message: Model) => void): void; filter(which: (message: Model) => boolean): Model[] }
}

interface Api {
  readonly connection: { get(): { hasResumed(): boolean; xmlInput(element: PageElement): void; xmlOutput(element: PageElement): void } }
  readonly contacts: { add(attributes: object): Promise<unknown>; get(jid: string): Promise<Contact>; get(): Promise<Contact[]> }
  readonly chats: { open(jid: string, attributes: object, force: boolean): Promise<unknown> }
  readonly user: { logout(): Promise<void> }
  readonly listen: { on(event: string, listener: (about: unknown) => void): void }
}

interface Converse {
  readonly plugins: { add(name: string, plugin: { initialize(this: { readonly _converse: typeof spied }): void }): void }
  initialize(settings: object): Promise<void>
}

declare const spied: { readonly api: Api; readonly state: { readonly profile: Model; readonly session: Model } }
declare const tell: (event: Event) => void
declare const addEventListener: (event: string, listener: (event: { readonly detail: { readonly converse: Converse } }) => void) => void

/** A plugin, as any page that uses Converse.js may have. */
function spy(): void {
  addEventListener('converse-loaded', ({ detail: { converse } }) => {
    const initialize = converse.initialize.bind(converse)
    converse.initialize = (settings) => initialize({ ...settings, whitelisted_plugins: ['spy'] })
    converse.plugins.add('spy', {
      initialize() {
        Object.assign(globalThis, { spied: this._converse })
        const { api, state } = this._converse
        api.listen.on('connectionInitialized', () => {
          // A request of somebody who is a contact already is granted without a word.
          api.connection.get().xmlOutput = (element) => tell({ kind: 'wire', what: `> ${element.outerHTML}` })
          api.connection.get().xmlInput = (element) => {
            tell({ kind: 'wire', what: `< ${element.outerHTML}` })
            for (const stanza of element.tagName === 'body' ? element.children : [element]) {
              if (stanza.getAttribute('type') === 'subscribe') tell({ kind: 'request', from: stanza.getAttribute('from') ?? '' })
            }
          }
        })
        api.listen.on('chatBoxInitialized', (about) => {
          const { messages } = about as ChatBox
          const archived = (message: Model) => message.get(`stanza_id ${state.session.get('bare_jid')}`)
          messages.on('add', (message) => {
            if (message.get('sender') !== 'them' || !message.get('body')) return
            const id = archived(message)
            const said = { id, from: message.get('from'), text: message.get('body'), delayed: Boolean(message.get('is_delayed')) }
            tell({ kind: 'message', ...said, shown: messages.filter((one) => archived(one) === id).length })
          })
        })
        api.listen.on('contactPresenceChanged', (about) => {
          const contact = about as Contact
          tell({ kind: 'presence', from: contact.get('jid'), status: contact.getStatus() })
        })
        api.listen.on('rosterContactsFetched', () => tell({ kind: 'ready' }))
        api.listen.on('rosterReadyAfterReconnection', () => tell({ kind: 'ready' }))
        api.listen.on('connfeedback', (about) => {
          if (['AUTHFAIL', 'CONNFAIL'].includes((about as Model).get('connection_status'))) tell({ kind: 'failed' })
        })
      },
    })
  })
}
