// What the tests want of an XMPP client, whichever it is, and what such a client has seen so far.

export interface XmppServer {
  readonly domain: string
  readonly boshUrl: string
  readonly websocketUrl: string
}

export interface Account {
  readonly user: string
  readonly password: string
}

/** SCRAM: the client takes the strongest it has in common with the server. */
export type Mechanism = 'SCRAM' | 'PLAIN'
export type Transport = 'bosh' | 'websocket'

/** Users are named by the localparts of their addresses. */
export interface ChatClient {
  readonly seen: Seen
  /** Resolves when the session is there, the roster was asked for, and the initial presence is sent. */
  login(mechanism: Mechanism): Promise<void>
  /** Into the roster, and asks to see the presence. */
  addContact(user: string): Promise<void>
  /** Lets somebody who asked see the presence. */
  approve(user: string): Promise<void>
  show(show: 'away' | 'dnd' | 'online'): Promise<void>
  sendChat(user: string, text: string): Promise<void>
  /** The subscription of each contact, as the client's roster has it. */
  roster(): Promise<ReadonlyMap<string, string>>
  /**
   * The page is loaded anew, or the connection breaks; `meanwhile` runs while the client is away. Resolves when the old session
   * goes on. Undefined: the client cannot do that.
   */
  readonly reload?: ((meanwhile: () => Promise<void>) => Promise<void>) | undefined
  /** Resolves when the client says that it is disconnected. */
  logout(): Promise<void>
  /** Leaves nothing open, whatever state it is in. */
  dispose(): Promise<void>
}

export type MakeClient = (server: XmppServer, account: Account) => ChatClient

export interface Chat {
  readonly from: string
  readonly text: string
  /** It says when it was sent (XEP-0203). */
  readonly delayed: boolean
}

/** @xmpp/client makes 20,000 promises of the thread pool for its key: alone it takes 1 s, on a busy machine more than ten. */
const PATIENCE_MS = 30_000
const WIRE_KEPT = 40

export class Seen {
  readonly messages: Chat[] = []
  /** What should not have happened. */
  readonly complaints: string[] = []
  /** Who asked to see the presence. */
  readonly requests = new Set<string>()
  /** What came and went last, with the time in ms: shown when something is missed. */
  readonly wire: string[] = []
  readonly #name: string
  readonly #presence = new Map<string, Map<string, string>>()
  readonly #waiting = new Set<() => void>()

  constructor(name: string) {
    this.#name = name
  }

  /** What came from others: `jid` is the full address. */
  message(jid: string, text: string, delayed: boolean): void {
    this.messages.push({ from: userOf(jid), text, delayed })
    this.look()
  }

  /** `type` and `show` as in the stanza. */
  presence(jid: string, type: string, show: string): void {
    const user = userOf(jid)
    if (type === 'subscribe') this.requests.add(user)
    if (type === '' || type === 'available') this.#resources(user).set(jid, show || 'online')
    if (type === 'unavailable') this.#resources(user).delete(jid)
    this.look()
  }

  /** `online`, `offline`, or what the user's one resource shows. */
  presenceOf(user: string): string {
    return this.#presence.get(user)?.values().next().value ?? 'offline'
  }

  /** Something went over the wire. */
  note(what: string): void {
    this.wire.push(`${performance.now().toFixed(0)} ${what}`)
    if (this.wire.length > WIRE_KEPT) this.wire.shift()
  }

  textsFrom(user: string): string[] {
    return this.messages.filter(({ from }) => from === user).map(({ text }) => text)
  }

  /** Resolves with what `look` finds, now or after something else was seen. */
  until<T>(look: () => T | undefined | false, what: string): Promise<T> {
    return new Promise((resolve, reject) => {
      const attempt = () => {
        const found = look()
        if (found === undefined || found === false) return
        clearTimeout(timer)
        this.#waiting.delete(attempt)
        resolve(found)
      }
      const timer = setTimeout(() => {
        this.#waiting.delete(attempt)
        reject(this.missed(what))
      }, PATIENCE_MS)
      this.#waiting.add(attempt)
      attempt()
    })
  }

  /** Rejects when `promise` takes longer than it may. */
  within<T>(promise: Promise<T>, what: string): Promise<T> {
    let timer: ReturnType<typeof setTimeout> | undefined
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(this.missed(what)), PATIENCE_MS)
    })
    return Promise.race([promise, late]).finally(() => clearTimeout(timer))
  }

  missed(what: string): Error {
    return new Error(`${this.#name}: no ${what} in ${PATIENCE_MS} ms; ${this.#summary()}\n${this.wire.join('\n')}`)
  }

  #resources(user: string): Map<string, string> {
    const known = this.#presence.get(user) ?? new Map<string, string>()
    this.#presence.set(user, known)
    return known
  }

  /** Something else has changed that may be waited for. */
  look(): void {
    for (const attempt of [...this.#waiting]) attempt()
  }

  #summary(): string {
    const presence = [...this.#presence].map(([user, resources]) => [user, [...resources.values()]])
    return JSON.stringify({ messages: this.messages.slice(-8), presence, requests: [...this.requests] })
  }
}

export function userOf(jid: string): string {
  return jid.split('@')[0] ?? ''
}
