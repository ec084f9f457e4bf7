// @xmpp/client: over WebSocket, with stream management and resumption of its own.

import { type Client, client, type Element, xml } from '@xmpp/client'
import { WebSocket } from 'ws'
import { type Account, type ChatClient, type Mechanism, Seen, userOf, type XmppServer } from './chat-client.js'

// It counts on a global one, which Node 20 has not got.
if (!('WebSocket' in globalThis)) Object.assign(globalThis, { WebSocket })

const ROSTER = 'jabber:iq:roster'

export class XmppJs implements ChatClient {
  readonly seen: Seen
  readonly #server: XmppServer
  readonly #account: Account
  /** 0.14 leaves the answers to its own iqs out of `h`, so that a resumption repeats that many stanzas: an application has to know them. */
  readonly #stanzaIds = new Set<string>()
  readonly #problems: Error[] = []
  #mechanism: Mechanism = 'SCRAM'
  #client: Client | undefined = undefined

  constructor(server: XmppServer, account: Account) {
    this.#server = server
    this.#account = account
    this.seen = new Seen(account.user)
  }

  async login(mechanism: Mechanism): Promise<void> {
    this.#mechanism = mechanism
    const { user, password } = this.#account
    const made = client({
      service: this.#server.websocketUrl,
      domain: this.#server.domain,
      resource: 'xmpp-js',
      credentials: async (authenticate, mechanisms) => {
        const wanted = mechanisms.find((name) => name.startsWith(this.#mechanism))
        if (wanted === undefined) throw new Error(`no ${this.#mechanism} among ${mechanisms}`)
        await authenticate({ username: user, password }, wanted)
      },
    })
    made.reconnect.delay = 1
    made.on('error', (error) => {
      this.#problems.push(error)
      this.seen.note(String(error))
    })
    made.on('status', (status) => this.seen.note(status))
    made.on('element', (element) => this.seen.note(`< ${element}`))
    made.on('send', (element) => this.seen.note(`> ${element}`))
    made.on('stanza', (stanza) => this.#read(stanza))
    made.iqCallee.set(ROSTER, 'query', () => ({}))
    this.#client = made
    await this.seen.within(made.start(), 'login')
    await this.roster()
    await made.send(xml('presence'))
  }

  async addContact(user: string): Promise<void> {
    const item = xml('item', { jid: this.#bare(user), name: user })
    await this.#online().iqCaller.request(xml('iq', { type: 'set' }, xml('query', { xmlns: ROSTER }, item)))
    await this.#online().send(xml('presence', { type: 'subscribe', to: this.#bare(user) }))
  }

  approve(user: string): Promise<void> {
    return this.#online().send(xml('presence', { type: 'subscribed', to: this.#bare(user) }))
  }

  show(show: 'away' | 'dnd' | 'online'): Promise<void> {
    return this.#online().send(show === 'online' ? xml('presence') : xml('presence', {}, xml('show', {}, show)))
  }

  sendChat(user: string, text: string): Promise<void> {
    return this.#online().send(xml('message', { type: 'chat', to: this.#bare(user) }, xml('body', {}, text)))
  }

  async roster(): Promise<ReadonlyMap<string, string>> {
    const answer = await this.#online().iqCaller.request(xml('iq', { type: 'get' }, xml('query', { xmlns: ROSTER })))
    const items = answer.getChild('query', ROSTER)?.getChildren('item') ?? []
    return new Map(items.map(({ attrs }) => [userOf(attrs.jid ?? ''), attrs.subscription ?? '']))
  }

  async reload(meanwhile: () => Promise<void>): Promise<void> {
    const online = this.#online()
    if (!online.streamManagement.enabled) throw new Error('stream management is off')
    const gone = new Promise<void>((resolve) => online.on('disconnect', resolve))
    const resumed = new Promise<void>((resolve, reject) => {
      online.streamManagement.on('resumed', resolve)
      online.on('online', () => reject(new Error('a new session instead of the old one')))
    })
    online.reconnect.delay = 500
    online.socket?.socket.terminate()
    await this.seen.within(gone, 'end of the connection')
    await meanwhile()
    await this.seen.within(resumed, 'resumption')
    this.#problems.length = 0 // it reports its own cut connection
  }

  async logout(): Promise<void> {
    await this.seen.within(this.#online().stop(), 'logout')
    if (this.#problems.length > 0) throw this.#problems[0]
  }

  async dispose(): Promise<void> {
    this.#client?.reconnect.stop()
    if (this.#client !== undefined && this.#client.status !== 'offline') await this.#client.stop().catch(() => undefined)
  }

  #online(): Client {
    if (this.#client === undefined) throw new Error('not logged in')
    return this.#client
  }

  #bare(user: string): string {
    return `${user}@${this.#server.domain}`
  }

  #read(stanza: Element): void {
    const { from = '', type = '' } = stanza.attrs
    if (stanza.is('presence')) this.seen.presence(from, type, stanza.getChildText('show') ?? '')
    const body = stanza.is('message') && type !== 'error' ? stanza.getChildText('body') : null
    const id = stanza.getChild('stanza-id', 'urn:xmpp:sid:0')?.attrs.id
    if (body === null || (id !== undefined && this.#stanzaIds.has(id))) return
    if (id !== undefined) this.#stanzaIds.add(id)
    this.seen.message(from, body, stanza.getChild('delay', 'urn:xmpp:delay') !== undefined)
  }
}
