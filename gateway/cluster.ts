// All gateways as one: what goes to each of them, and what they say together.

import { type Bus, BusError } from '../bus/bus.js'
import { v1 } from '../proto/messages.js'

/** A gateway process. */
export interface GatewayPeer {
  /** Where it answers on the bus: `gw.<address>`. */
  readonly address: string
  /** For people. */
  readonly name: string
  /** Its start, milliseconds since the epoch. */
  readonly since: number
}

/** The other gateways (bus/peers.ts). */
export interface GatewayPeers {
  list(role: 'gw'): readonly GatewayPeer[]
}

/** What a gateway tells of itself. */
export interface NodeReport {
  readonly node: string
  /** Milliseconds since the epoch. */
  readonly since: number
  /** By transport. */
  readonly sessions: Readonly<Record<string, number>>
  readonly users: number
}

export interface ClusterOptions {
  readonly bus: Bus
  readonly peers: GatewayPeers
  /** This process, where it is a gateway too. */
  readonly self: GatewayPeer | undefined
  readonly timeoutMs: number
}

export class Cluster {
  readonly #options: ClusterOptions

  constructor(options: ClusterOptions) {
    this.#options = options
  }

  /** Gateways known to be there, this one too. */
  get size(): number {
    return this.#gateways().length
  }

  /** Hands a message to every user with a session now; how many. Throws BusError when a gateway may have missed it. */
  async pushAll(push: v1.PushAll.$Properties): Promise<number> {
    const replies = await Promise.all(this.#gateways().map(({ address }) => this.#ask(address, { pushAll: push })))
    return replies.reduce((sum, reply) => sum + (reply?.accepted ?? 0), 0)
  }

  /** In no order. A gateway that does not answer is not among them. Throws BusError when the bus is away. */
  async stats(): Promise<NodeReport[]> {
    const reports = await Promise.all(this.#gateways().map((gateway) => this.#report(gateway)))
    return reports.filter((report) => report !== undefined)
  }

  #gateways(): GatewayPeer[] {
    const { peers, self } = this.#options
    return self === undefined ? [...peers.list('gw')] : [self, ...peers.list('gw')]
  }

  async #report({ address, name, since }: GatewayPeer): Promise<NodeReport | undefined> {
    try {
      const reply = await this.#ask(address, { stats: {} })
      if (reply === undefined) return undefined
      const sessions = Object.fromEntries(reply.sessions.map(({ transport, sessions }) => [transport ?? '', sessions ?? 0]))
      return { node: name, since, sessions, users: reply.users }
    } catch (error) {
      if (error instanceof BusError && error.code === 'timeout') return undefined
      throw error
    }
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
