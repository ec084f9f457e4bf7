// What the small servers here have in common: a connection to NATS, and messages of users' and topics' subjects. Servers that know no
// bus are used with one in this way: each process subscribes to what its clients are here for.

import { connect, type Msg, type NatsConnection } from 'nats'
import { subjectOfChannel } from '../channels.js'

export interface ServerSetup {
  readonly port: number
  readonly natsUrl: string
}

export const setup: ServerSetup = JSON.parse(process.argv[2] ?? '{}')

/** What a client hears when its subject has been subscribed to. */
export const HELLO = '{"type":"hello"}'

export class Subjects {
  readonly #nc: NatsConnection
  readonly #topics = new Set<string>()

  private constructor(nc: NatsConnection) {
    this.#nc = nc
  }

  static async connect(): Promise<Subjects> {
    return new Subjects(await connect({ servers: setup.natsUrl, noAsyncTraces: true, pingInterval: 10_000 }))
  }

  /** Until the function that it answers with is called. */
  take(channel: string, take: (data: Uint8Array) => void): () => void {
    const subscription = this.#nc.subscribe(subjectOfChannel(channel), { callback: (_: Error | null, msg: Msg) => take(msg.data) })
    return () => subscription.unsubscribe()
  }

  /** Of a topic: once, for good, and for all who are there then. */
  takeOnce(channel: string, take: (data: Uint8Array) => void): void {
    if (this.#topics.has(channel)) return
    this.#topics.add(channel)
    this.take(channel, take)
  }

  /** Whatever was subscribed to before is there. */
  ready(then: () => void): void {
    this.#nc.flush().then(then, (error) => {
      console.error(error)
      process.exit(1)
    })
  }
}

// The conductor is gone.
process.on('disconnect', () => process.exit())
