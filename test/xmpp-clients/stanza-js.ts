// stanza: over BOSH and over WebSocket.

import type { EventEmitter } from 'node:events'
import { type Agent, type AgentConfig, createClient } from 'stanza'
import { type Account, type ChatClient, type Mechanism, Seen, type Transport, userOf, type XmppServer } from './chat-client.js'

const SCRAMS = ['SCRAM-SHA-256-PLUS', 'SCRAM-SHA-256', 'SCRAM-SHA-1-PLUS', 'SCRAM-SHA-1']

export class StanzaJs implements ChatClient {
  readonly seen: Seen
  /** Over BOSH it has nothing to come back with. */
  readonly reload: ChatClient['reload']
  readonly #server: XmppServer
  readonly #account: Account
  readonly #transport: Transport
  #agent: Agent | undefined = undefined

  constructor(server: XmppServer, account: Account, transport: Transport) {
    this.#server = server
    this.#account = account
    this.#transport = transport
    this.seen = new Seen(account.user)
    this.reload = transport === 'bosh' ? undefined : (meanwhile) => this.#resume(meanwhile)
  }

  async login(mechanism: Mechanism): Promise<void> {
    const { websocketUrl, boshUrl } = this.#server
    const agent = this.#make(this.#transport === 'bosh' ? { bosh: boshUrl, websocket: false } : { websocket: websocketUrl, bosh: false })
    // What is left is what it may use.
    for (const name of ['X-OAUTH2', 'OAUTHBEARER', 'ANONYMOUS', ...(mechanism === 'PLAIN' ? SCRAMS : ['PLAIN'])]) agent.sasl.disable(name)
    await this.#started(agent)
    await agent.getRoster()
    agent.sendPresence()
  }

  async addContact(user: string): Promise<void> {
    await this.#online().updateRosterItem({ jid: this.#bare(user), name: user, subscription: 'none' })
    this.#online().subscribe(this.#bare(user))
  }

  async approve(user: string): Promise<void> {
    this.#online().acceptSubscription(this.#bare(user))
  }

  async show(show: 'away' | 'dnd' | 'online'): Promise<void> {
    this.#online().sendPresence(show === 'online' ? {} : { show })
  }

  async sendChat(user: string, text: string): Promise<void> {
    this.#online().sendMessage({ to: this.#bare(user), type: 'chat', body: text })
  }

  async roster(): Promise<ReadonlyMap<string, string>> {
    this.#online().updateConfig({ rosterVer: '' }) // all of it, not what has changed
    const { items = [] } = await this.#online().getRoster()
    return new Map(items.map(({ jid, subscription }) => [userOf(jid), subscription ?? '']))
  }

  async logout(): Promise<void> {
    const agent = this.#online()
    await this.#ended(agent, () => agent.disconnect())
    this.#agent = undefined
  }

  async dispose(): Promise<void> {
    if (this.#agent !== undefined) await this.logout()
  }

  #make(transports: NonNullable<AgentConfig['transports']>): Agent {
    const { user, password } = this.#account
    const agent = createClient({ jid: this.#bare(user), resource: 'stanza', password, transports })
    agent.on('presence', ({ from, type = '', show = '' }) => this.seen.presence(from ?? '', type, show))
    agent.on('message', ({ from, type, body, delay }) => {
      if (body !== undefined && type !== 'error') this.seen.message(from, body, delay !== undefined)
    })
    agent.on('raw:*', (direction, data) => this.seen.note(`${direction === 'incoming' ? '<' : '>'} ${data}`))
    this.#agent = agent
    return agent
  }

  async #started(agent: Agent): Promise<void> {
    const started = new Promise<void>((resolve, reject) => {
      agent.once('session:started', () => resolve())
      agent.once('auth:failed', () => reject(new Error('authentication failed')))
      agent.once('stream:error', ({ condition, text }) => reject(new Error(`stream error ${condition} ${text ?? ''}`)))
    })
    agent.connect()
    await this.seen.within(started, 'login')
  }

  /** Not until `disconnected`: with something left in its queue it never says that over BOSH. */
  async #ended(agent: Agent, end: () => void): Promise<void> {
    const ended = new Promise<void>((resolve) => agent.once('--transport-disconnected', () => resolve()))
    // It trips over an answer that comes behind the last one.
    ;(agent.transport as unknown as EventEmitter).on('error', () => undefined)
    end()
    await this.seen.within(ended, 'end of the connection')
  }

  async #resume(meanwhile: () => Promise<void>): Promise<void> {
    const agent = this.#online()
    // What it does itself with a connection that seems dead: the stream is not closed.
    await this.#ended(agent, () => agent.transport?.disconnect(false))
    await meanwhile()
    const resumed = new Promise<void>((resolve, reject) => {
      agent.once('stream:management:resumed', () => resolve())
      agent.once('session:started', () => reject(new Error('a new session instead of the old one')))
    })
    agent.connect()
    await this.seen.within(resumed, 'resumption')
  }

  #online(): Agent {
    if (this.#agent === undefined) throw new Error('not logged in')
    return this.#agent
  }

  #bare(user: string): string {
    return `${user}@${this.#server.domain}`
  }
}
