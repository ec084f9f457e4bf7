// A user on a transport of Holdwire's own as the other side.

import { openClient, type WireClient } from '../support/wire-client.js'
import type { Peer } from './scenario.js'

export type NativeKind = WireClient['kind']

export class NativePeer implements Peer {
  readonly user: string
  readonly #client: WireClient

  constructor(user: string, client: WireClient) {
    this.user = user
    this.#client = client
  }

  static async open(port: number, kind: NativeKind, user: string): Promise<NativePeer> {
    return new NativePeer(user, await openClient(port, kind, { query: { user } }))
  }

  async addContact(user: string): Promise<void> {
    await this.#ask({ type: 'roster', op: 'subscribe', user })
  }

  async approveWhenAsked(user: string): Promise<void> {
    await this.#until((frame) => frame.type === 'roster' && frame.op === 'request' && frame.user === user, `request of ${user}`)
    await this.#ask({ type: 'roster', op: 'approve', user })
  }

  async sendChat(user: string, text: string): Promise<void> {
    await this.#ask({ type: 'message', to: user, data: { body: text } })
  }

  async show(show: 'away' | 'online'): Promise<void> {
    await this.#ask({ type: 'presence', status: show })
  }

  async seesPresence(user: string, status: string): Promise<void> {
    const { feed } = this.#client
    const last = () => feed.frames.findLast((frame) => frame.type === 'presence' && frame.user === user)?.status === status
    await feed.until(() => last() || undefined, `presence ${status} of ${user}`)
  }

  async seesChats(user: string, texts: readonly string[]): Promise<void> {
    const { feed } = this.#client
    const chats = () => feed.frames.filter(({ type, from }) => type === 'message' && from === user).map(({ data }) => data)
    const wanted = JSON.stringify(texts.map((body) => ({ body })))
    await feed.until(() => JSON.stringify(chats()) === wanted || undefined, `chats ${wanted} of ${user}`)
  }

  drop(): void {
    this.#client.drop()
  }

  async #ask(frame: Parameters<WireClient['ask']>[0]): Promise<void> {
    const reply = await this.#client.ask(frame)
    if (reply.ok !== true) throw new Error(`${JSON.stringify(frame)} was answered ${JSON.stringify(reply)}`)
  }

  async #until(match: (frame: WireClient['feed']['frames'][number]) => boolean, what: string): Promise<void> {
    await this.#client.feed.until(() => this.#client.feed.frames.find(match), what)
  }
}
