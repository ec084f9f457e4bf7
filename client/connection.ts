// What an application holds: events to listen to and commands to give, whatever the lifeline goes through meanwhile.

import { environmentWith } from './environment.js'
import { EventHandlers } from './event-handlers.js'
import { Lifeline } from './lifeline.js'
import type {
  ClientFrame,
  ConnectOptions,
  Events,
  HistoryPage,
  HistoryQuery,
  MessageOptions,
  PresenceStatus,
  RosterItem,
  SendOptions,
  State,
} from './types.js'

interface ContactDetails {
  readonly name?: string
  readonly groups?: readonly string[]
}

/** Contacts: the list that native and XMPP clients of the user share. */
export interface Roster {
  get(): Promise<readonly RosterItem[]>
  set(user: string, details?: ContactDetails): Promise<unknown>
  remove(user: string): Promise<unknown>
  /** Asks to see the user's presence. */
  subscribe(user: string, details?: ContactDetails): Promise<unknown>
  /** Lets the user see yours. */
  approve(user: string): Promise<unknown>
  deny(user: string): Promise<unknown>
}

/** Every command resolves and rejects as `send` does. */
export class Connection {
  readonly #handlers: EventHandlers
  readonly #lifeline: Lifeline

  readonly roster: Roster = {
    get: async () => (await this.#command<{ items: readonly RosterItem[] }>({ type: 'roster', op: 'get' })).items,
    set: (user, details) => this.send({ type: 'roster', op: 'set', user, ...details }),
    remove: (user) => this.send({ type: 'roster', op: 'remove', user }),
    subscribe: (user, details) => this.send({ type: 'roster', op: 'subscribe', user, ...details }),
    approve: (user) => this.send({ type: 'roster', op: 'approve', user }),
    deny: (user) => this.send({ type: 'roster', op: 'deny', user }),
  }

  /** Begins in the next microtask. Throws TypeError when the URL is none or no transport of the list exists here. */
  constructor(options: ConnectOptions) {
    const environment = environmentWith(options.environment)
    this.#handlers = new EventHandlers(environment.report)
    this.#lifeline = new Lifeline(options, environment, this.#handlers)
  }

  get state(): State {
    return this.#lifeline.state
  }

  /** Up to where everything was handled; keep it to go on from there in a later `connect`. */
  get cursor(): string | undefined {
    return this.#lifeline.cursor
  }

  /** Answers how to stop. An exception or a rejection of the handler becomes an `error` event. */
  on<Name extends keyof Events>(name: Name, handler: (event: Events[Name]) => unknown): () => void {
    return this.#handlers.add(name, handler)
  }

  /**
   * Resolves with the reply's result, however many connections it takes; a frame is sent again with the same id, so that it takes
   * effect once. Rejects with HoldwireError: what the reply says, `timeout`, `queue_full`, or why the connection closed for good.
   */
  send(frame: ClientFrame, options: SendOptions = {}): Promise<unknown> {
    return this.#lifeline.send(frame, options)
  }

  message(to: string, data: unknown, options?: MessageOptions): Promise<unknown> {
    return this.send({ type: 'message', to, data, ...options })
  }

  publish(topic: string, data: unknown, options?: MessageOptions): Promise<unknown> {
    return this.send({ type: 'message', topic, data, ...options })
  }

  /** Lasts until `unsubscribe`, for the user and not only for this session. */
  subscribe(topic: string): Promise<unknown> {
    return this.send({ type: 'subscribe', topic })
  }

  unsubscribe(topic: string): Promise<unknown> {
    return this.send({ type: 'unsubscribe', topic })
  }

  /** Said again by itself when the session had to be opened anew. */
  presence(status: PresenceStatus, note?: string): Promise<unknown> {
    return this.send({ type: 'presence', status, ...(note === undefined ? {} : { note }) })
  }

  history(query: HistoryQuery = {}): Promise<HistoryPage> {
    return this.#command<HistoryPage>({ type: 'history', ...query })
  }

  /** Ends the session and this object. What was sent without a reply so far is rejected. Resolves when the server was told. */
  close(): Promise<void> {
    return this.#lifeline.close()
  }

  /** The shape of a result is the server's promise. */
  async #command<Result>(frame: ClientFrame): Promise<Result> {
    return (await this.send(frame)) as Result
  }
}
