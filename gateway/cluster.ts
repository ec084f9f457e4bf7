// All gateways as one: what goes to each of them, and what they say together.

import { type Bus, BusError } from '../bus/bus.js'
import { v1 } from '../proto/messages.js'

/** The other gateways (bus/peers.ts). */
export interface GatewayPeers {
  list(role: 'gw'): readonly { readonly address: string; readonly name: string }[]
}

/** What a gateway tells of itself: the `body` of its answer to NodeStats, as JSON. */
export interface NodeReport {
  readonly node: string
  readonly version: string
  readonly engine: string
  /** Milliseconds since the epoch. */
  readonly since: number
  /** Sessions by transport. */
  readonly sessions: Readonly<Record<string, number>>
  readonly users: number
  readonly outboxBytes: number
  /** Of the process. */
  readonly rssBytes: number
}

export interface ClusterOptions {
  readonly bus: Bus
  readonly peers: GatewayPeers
  /** Address under which this process answers as a gateway; undefined: it is none. */
  readonly address: string | undefined
  readonly timeoutMs: number
}

export class Cluster {
  readonly #options: ClusterOptions

  constructor(options: ClusterOptions) {
    this.#options = options
  }

  /** Gateways known to be there, this one too. */
  get size(): number {
    return this.#addresses().length
  }

  /** Hands a message to every user with a session now; how many. Throws BusError when a gateway may have missed it. */
  async pushAll(push: v1.PushAll.$Properties): Promise<number> {
    const replies = await Promise.all(this.#addresses().map((address) => this.#ask(address, { pushAll: push })))
    return replies.reduce((sum, reply) => sum + (reply?.accepted ?? 0), 0)
  }

  /** In no order. A gateway that does not answer is not among them. Throws BusError when the bus is away. */
  async stats(): Promise<NodeReport[]> {
    const replies = await Promise.all(
      this.#addresses().map((address) =>
        this.#ask(address, { stats: {} }).catch((error: unknown) => {
          if (error instanceof BusError && error.code === 'timeout') return undefined
          throw error
        }),
      ),
    )
    return replies.flatMap((reply) => (reply === undefined ? [] : [JSON.parse(Buffer.from(reply.body).toString('utf8')) as NodeReport]))
  }

  #addresses(): string[] {
    const { peers, address } = this.#options
    const others = peers.list('gw').map((peer) => peer.address)
    return address === undefined ? others : [address, ...others]
  }

  /** Undefined: it is gone, and its sessions with it. */
  async #ask(address: string, request: v1.RelayRequest.$Properties): Promise<v1.RelayReply | undefined> {
    const { bus, timeoutMs } = this.#options
    try {
      const reply = v1.RelayReply.decode(await bus.request(`gw.${address}`, v1.RelayRequest.encode(request).finish(), { timeoutMs }))
      if (reply.code !== '') throw new BusError('rejected', `gateway: ${reply.code}: ${reply.message}`)
      return reply
    } catch (error) {
      if (error instanceof BusError && error.code === 'no_responders') return undefined
      throw error
    }
  }
}
