// BOSH on one gateway, put together: the port, the sessions, and how they go on at other nodes.

import { randomBytes } from 'node:crypto'
import type { Unsubscribe } from '../../bus/bus.js'
import { systemClock } from '../../bus/clock.js'
import type { CloseReason } from '../../gateway/close-reason.js'
import type { Hub } from '../../gateway/hub.js'
import type { RelayClient } from '../../gateway/relay.js'
import type { v1 } from '../../proto/messages.js'
import { renderStanza } from '../dialects/xmpp.js'
import type { StreamGateway } from '../xmpp/gateway.js'
import { XmppStream } from '../xmpp/stream.js'
import { BoshCluster } from './bosh-cluster.js'
import { BoshPort } from './bosh-port.js'
import { BoshRecords, RECORDS_TTL_SECONDS } from './bosh-records.js'
import type { BoshSession } from './bosh-session.js'
import { BoshSessions } from './bosh-sessions.js'
import type { BoshOffer } from './creation.js'

export interface BoshOptions {
  readonly gateway: StreamGateway
  readonly hub: Hub
  readonly relay: RelayClient
  readonly offer: BoshOffer
  /** How long requests that are missing are waited for; 0: as long as a later one may be held. */
  readonly gapMs: number
  readonly maxSessions: number
  readonly maxBodyBytes: number
  /** Where clients are sent instead of being served; '': nowhere. */
  readonly seeOtherUri: string
  /** Why no session may be created now. */
  refusal(): CloseReason | undefined
  /** Other gateways, by address. */
  peers(): readonly string[]
  received(transport: 'bosh', frames: number, bytes: number): void
  sentBytes(transport: 'bosh', bytes: number): void
}

const STREAMS_PER_SESSION = 8
const PARKED_BYTES = 512 * 1024
const CACHED_BYTES = 1024 * 1024
const SECRET_BYTES = 16

export class Bosh {
  readonly port: BoshPort
  readonly #sessions: BoshSessions
  readonly #records: BoshRecords
  readonly #cluster: BoshCluster
  readonly #unwatch: Unsubscribe

  /** Throws BusError. */
  static async open(options: BoshOptions): Promise<Bosh> {
    const { gateway, hub } = options
    const bucket = await gateway.bus.bucket('bosh', { ttlSeconds: RECORDS_TTL_SECONDS })
    const lost = (session: BoshSession) => session.lose()
    return new Bosh(options, new BoshRecords({ bucket, node: hub.node, lost, onError: gateway.onError }))
  }

  private constructor(options: BoshOptions, records: BoshRecords) {
    const { gateway, hub, relay, offer, maxBodyBytes } = options
    this.#records = records
    // Others may have taken this node for dead while it could not be heard.
    this.#unwatch = gateway.bus.onState((state) => (state === 'up' ? records.renew() : undefined))
    let number = 0
    this.#sessions = new BoshSessions({
      clock: systemClock,
      offer,
      limits: {
        sessions: options.maxSessions,
        streams: STREAMS_PER_SESSION,
        parkedBytes: PARKED_BYTES,
        gapMs: options.gapMs,
        cachedBytes: CACHED_BYTES,
      },
      seeOtherUri: options.seeOtherUri,
      newSid: () => `${hub.node}.${(++number).toString(36)}.${randomBytes(SECRET_BYTES).toString('base64url')}`,
      openStream: (wire) => new XmppStream(gateway, wire),
      refusal: (ip) => options.refusal() ?? hub.crowded(ip),
      render: (delivery, session) => renderStanza(delivery, session, offer.domain),
      recorded: (session) => records.note(session),
      ended: (session) => records.forget(session),
      received: options.received,
      sentBytes: options.sentBytes,
      refused: gateway.refused,
      onError: gateway.onError,
    })
    const holdMs = offer.waitSeconds * 1000
    const { refusal: leaving, peers } = options
    this.#cluster = new BoshCluster({ hub, relay, records, gateway, sessions: this.#sessions, holdMs, peers, leaving })
    this.port = new BoshPort({
      sessions: this.#sessions,
      maxBodyBytes,
      elsewhere: (visit) => this.#cluster.elsewhere(visit),
      onError: gateway.onError,
    })
  }

  /** For other nodes: see gateway/relay.ts. */
  relayed(request: v1.RelayBosh): Promise<v1.RelayReply.$Properties> {
    return this.#cluster.answer(request, this.port)
  }

  cancel(id: string): void {
    this.#cluster.cancel(id)
  }

  take(state: Uint8Array): Promise<v1.RelayReply.$Properties> {
    return this.#cluster.take(state)
  }

  /** Hands every session over to another node, if there is one. */
  handOver(): Promise<void> {
    return this.#cluster.handOver()
  }

  /** What is left: told that this node is going away. */
  end(reason: CloseReason): void {
    this.#sessions.end(reason)
  }

  async stop(): Promise<void> {
    this.#unwatch()
    this.#sessions.close()
    await this.#records.stop()
  }
}
