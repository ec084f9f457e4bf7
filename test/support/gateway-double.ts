// A gateway as far as the rest of the cluster sees it: users attached to the bus, answers to probes, pushes to all.

import type { Bus, UserSink } from '../../bus/bus.js'
import type { GatewayPeer } from '../../gateway/cluster.js'
import { v1 } from '../../proto/messages.js'

export class GatewayDouble {
  readonly peer: GatewayPeer
  /** By user: envelopes as they came, durable ones and ephemeral ones. */
  readonly received = new Map<string, { durable: v1.Envelope[]; ephemeral: v1.Envelope[]; controls: v1.Control.$Properties[] }>()
  readonly #bus: Bus
  readonly #sessions = new Map<string, v1.SessionInfo.$Properties[]>()

  private constructor(bus: Bus, peer: GatewayPeer) {
    this.#bus = bus
    this.peer = peer
  }

  static async start(bus: Bus, peer: GatewayPeer): Promise<GatewayDouble> {
    const gateway = new GatewayDouble(bus, peer)
    await bus.serve(`gw.${peer.address}`, async (data) =>
      v1.RelayReply.encode(await gateway.#answer(v1.RelayRequest.decode(data))).finish(),
    )
    return gateway
  }

  /** The user has these sessions here. */
  async hold(user: string, sessions: v1.SessionInfo.$Properties[]): Promise<void> {
    const known = this.#sessions.has(user)
    this.#sessions.set(user, sessions)
    if (known) return
    const log = { durable: [] as v1.Envelope[], ephemeral: [] as v1.Envelope[], controls: [] as v1.Control.$Properties[] }
    this.received.set(user, log)
    const sink: UserSink = {
      durable: (_seq, data) => void log.durable.push(v1.Envelope.decode(data)),
      ephemeral: (data) => void log.ephemeral.push(v1.Envelope.decode(data)),
      lost: () => undefined,
      asked: (data) => {
        const control = v1.Envelope.decode(data).control ?? {}
        log.controls.push(control)
        const sessions = this.#sessions.get(user) ?? []
        if (control.close != null) this.#sessions.set(user, [])
        return v1.SessionList.encode({ node: this.peer.name, sessions }).finish()
      },
    }
    await this.#bus.attach(user, sink)
  }

  async #answer({ pushAll, stats }: v1.RelayRequest): Promise<v1.RelayReply.$Properties> {
    const users = [...this.#sessions.keys()]
    if (pushAll != null) {
      const bytes = v1.Envelope.encode(pushAll.envelope ?? {}).finish()
      if (pushAll.ephemeral) {
        for (const user of users) this.received.get(user)?.ephemeral.push(v1.Envelope.decode(bytes))
        return { accepted: users.length }
      }
      const results = await this.#bus.publishMany(users, pushAll.dedupe ?? '', bytes)
      return { accepted: results.filter((result) => result.status === 'fulfilled' && !result.value.duplicate).length }
    }
    if (stats == null) return { code: 'malformed' }
    const counts = new Map<string, number>()
    for (const info of [...this.#sessions.values()].flat()) counts.set(info.transport ?? '', (counts.get(info.transport ?? '') ?? 0) + 1)
    return { users: users.length, sessions: [...counts].map(([transport, sessions]) => ({ transport, sessions })) }
  }
}
