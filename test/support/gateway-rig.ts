// Gateway nodes on one embedded broker, put together as gateway/node.ts does it, with buses that can be steered and clients
// that are plain carriers.

import type { Test } from 'tap'
import type { Bus } from '../../bus/bus.js'
import { EmbeddedBroker, type EmbeddedBusOptions } from '../../bus/embedded-bus.js'
import type { Identity } from '../../gateway/auth/authenticator.js'
import { FailureLimit } from '../../gateway/auth/failure-limit.js'
import type { Carrier, Delivery, Transport, Written } from '../../gateway/carrier.js'
import type { CloseReason } from '../../gateway/close-reason.js'
import { Door, type Entrance, type Return } from '../../gateway/door.js'
import { Hub, type HubLimits } from '../../gateway/hub.js'
import { Intake } from '../../gateway/intake.js'
import type { Outbound } from '../../gateway/outbound.js'
import { Positions } from '../../gateway/positions.js'
import { RelayClient, type RelayHandlers, serveRelay } from '../../gateway/relay.js'
import type { Session } from '../../gateway/session.js'
import { StreamDoor } from '../../gateway/stream-door.js'
import { v1 } from '../../proto/messages.js'
import { Bosh } from '../../transports/bosh/bosh.js'
import { ClientAddresses } from '../../transports/client-address.js'
import { ClientPort } from '../../transports/client-port.js'
import { Cors } from '../../transports/cors.js'
import type { Routes } from '../../transports/engine/engine.js'
import { nodeEngine } from '../../transports/engine/node-engine.js'
import { StaticFiles } from '../../transports/static-files.js'
import { patient } from './engine-host.js'
import { freely, type Steering, steered } from './steered-bus.js'

const LIMITS: HubLimits = {
  pingMs: 25_000,
  resumeMs: 60_000,
  waitingMaxFrames: 8192,
  waitingMaxBytes: 8 << 20,
  sentMaxFrames: 1024,
  sentMaxBytes: 8 << 20,
  maxSessions: 1000,
  maxSessionsPerUser: 20,
  maxSessionsPerIp: 0,
}

/** Uplinks give up as fast: most tests have no c2s worker. */
const DEADLINE_MS = 20
const NODES_LIMIT = 36
/** Requests that a test leaves unanswered are not waited for. */
const CLOSE_MS = 50

export interface NodeOptions {
  readonly limits?: Partial<HubLimits>
  /** How long another node may take for an answer. */
  readonly relayMs?: number
  readonly uplinkDeadlineMs?: number
}

/** One broker for a test. */
export class Rig {
  readonly broker: EmbeddedBroker
  readonly bus: Bus
  readonly #t: Test
  #nodes = 0

  static async start(t: Test, options: Partial<EmbeddedBusOptions> = {}): Promise<Rig> {
    const errors: unknown[] = []
    const broker = await EmbeddedBroker.open({
      inboxMaxMessages: 5000,
      inboxMaxAgeSeconds: 3600,
      maxMessageBytes: 1 << 20,
      duplicateWindowSeconds: 120,
      requestTimeoutMs: 1000,
      maxInFlight: 1000,
      dataDir: undefined,
      onError: (error) => errors.push(error),
      ...options,
    })
    const rig = new Rig(t, broker)
    t.teardown(async () => {
      await broker.close(CLOSE_MS)
      for (const error of errors) throw error
    })
    return rig
  }

  private constructor(t: Test, broker: EmbeddedBroker) {
    this.#t = t
    this.broker = broker
    this.bus = broker.bus()
  }

  async node(options: NodeOptions = {}): Promise<RigNode> {
    const name = (this.#nodes++ % NODES_LIMIT).toString(36)
    const node = await RigNode.start(this.broker.bus(), `node000${name}`, options)
    this.#t.teardown(async () => {
      await node.stop()
      for (const error of node.errors) throw error
    })
    return node
  }

  /** Stores a message for the user under each id. */
  async publish(user: string, ids: readonly string[], options: { readonly key?: string; readonly bytes?: number } = {}): Promise<void> {
    for (const id of ids) await this.bus.publish(user, id, envelope(id, options))
  }

  /** Hands a message to whoever is attached. */
  push(user: string, id: string, options: { readonly key?: string; readonly bytes?: number } = {}): void {
    this.bus.push(user, envelope(id, options))
  }
}

/** `m1` … `m<count>` */
export function ids(count: number, from = 1): string[] {
  return Array.from({ length: count }, (_, i) => `m${from + i}`)
}

function envelope(id: string, { key = '', bytes = 1 }: { readonly key?: string; readonly bytes?: number }): Uint8Array {
  const data = Buffer.from(JSON.stringify('x'.repeat(bytes)))
  return v1.Envelope.encode({ id, from: 'test', time: 1, data, collapseKey: key }).finish()
}

export class RigNode {
  readonly address: string
  readonly bus: Bus
  readonly steering: Steering
  readonly hub: Hub
  readonly door: Door
  readonly streamDoor: StreamDoor
  readonly intake: Intake
  readonly positions: Positions
  readonly relay: RelayClient
  /** Bugs that were reported. */
  readonly errors: unknown[] = []
  readonly closed: CloseReason[] = []
  readonly resumes: string[] = []
  gaps = 0
  /** Set while the node is going away. */
  leaving: CloseReason | undefined = undefined
  /** Of this node alone. */
  nowMs = () => Date.now()
  /** Once it listens. */
  routes: Routes | undefined = undefined
  #handlers: Pick<RelayHandlers, 'poll' | 'cancel' | 'send'> | undefined = undefined
  #bosh: Bosh | undefined = undefined
  readonly #stops: (() => Promise<void> | void)[] = []

  static async start(raw: Bus, address: string, options: NodeOptions): Promise<RigNode> {
    const bucket = await raw.bucket('positions', { ttlSeconds: 3600 })
    const node = new RigNode(raw, address, options, new Positions({ bucket, flushMs: 5, maxInFlight: 4, onError: fail }))
    const unserve = await serveRelay(node.bus, node.hub, {
      poll: async (poll) => (await node.#handlers?.poll(poll)) ?? {},
      cancel: (id) => {
        node.#handlers?.cancel(id)
        node.#bosh?.cancel(id)
      },
      send: async (send) => (await node.#handlers?.send(send)) ?? {},
      bosh: async (request) => (await node.#bosh?.relayed(request)) ?? {},
      moveBosh: async (state) => (await node.#bosh?.take(state)) ?? {},
      pushAll: async () => ({}),
      stats: () => ({}),
    })
    node.#stops.push(unserve)
    return node
  }

  private constructor(raw: Bus, address: string, options: NodeOptions, positions: Positions) {
    const onError = (error: unknown) => this.errors.push(error)
    this.address = address
    this.steering = freely()
    this.bus = steered(raw, this.steering)
    this.positions = positions
    this.hub = new Hub({
      bus: this.bus,
      node: address,
      nodeName: address,
      limits: { ...LIMITS, ...options.limits },
      now: () => this.nowMs(),
      events: {
        opened: () => undefined,
        closed: (_session, reason) => this.closed.push(reason),
        attached: () => undefined,
        detached: () => undefined,
        written: () => undefined,
        acknowledged: (session, inbox) => {
          const epoch = this.hub.users.get(session.owner.user)?.epoch ?? ''
          positions.handled(session, { epoch, inbox })
        },
        receptive: (session) => this.door.read(session),
        gap: () => void this.gaps++,
        dropped: () => undefined,
        failed: onError,
      },
    })
    this.relay = new RelayClient(this.bus, options.relayMs ?? 500, () => undefined)
    this.intake = new Intake({ authenticator: DEV, anyTopic: true, position: () => undefined, onError })
    const deadlineMs = options.uplinkDeadlineMs ?? DEADLINE_MS
    const ways = {
      hub: this.hub,
      positions,
      relay: this.relay,
      uplinks: {
        bus: this.bus,
        node: address,
        limits: { queueMaxFrames: 256, deadlineMs, tryMs: deadlineMs },
        observe: () => undefined,
        onError,
      },
      refusal: () => this.leaving,
      resumed: (transport: Transport, recovered: boolean) => this.resumes.push(`${transport} ${recovered}`),
      arrived: () => undefined,
    }
    this.door = new Door({ ...ways, pingSeconds: 25, resumeSeconds: 60, anyTopic: true, onError })
    this.streamDoor = new StreamDoor({ ...ways, read: (session) => this.door.read(session) })
  }

  enter(who: Who, how?: Return): Promise<Entrance> {
    return this.door.enter(visitorOf(who), how)
  }

  /** Enters and attaches a client; throws if it is refused. */
  async join(who: Who, client = new Client(who.transport)): Promise<Client> {
    client.enter(await this.enter(who))
    return client
  }

  /** Tells its clients to come back, as GatewayNode.drain does. */
  drain(): void {
    this.leaving = { code: 'draining', reason: 'going away', retryAfterMs: 1000 }
    for (const session of this.hub.sessions.values()) session.disconnect(this.leaving)
  }

  /** Opens a client port; its number. */
  async listen(frameRate = { perSecond: 1000, burst: 1000 }): Promise<number> {
    const port = new ClientPort({
      door: this.door,
      hub: this.hub,
      intake: this.intake,
      relay: this.relay,
      authenticator: DEV,
      cors: new Cors('*'),
      pages: new StaticFiles(undefined),
      addresses: new ClientAddresses({ trustProxy: 0, trustedProxies: [] }),
      tls: false,
      failures: new FailureLimit({ perMinute: 0, maxClients: 1, now: Date.now }),
      maxFrameBytes: 10_000,
      maxBodyBytes: 100_000,
      frameRate,
      authTimeoutMs: 1000,
      bosh: undefined,
      xmpp: undefined,
      hostMeta: { publicUrl: '', boshPath: undefined, websocketPath: undefined },
      received: () => undefined,
      sentBytes: () => undefined,
      refused: () => undefined,
      onError: (error) => this.errors.push(error),
    })
    this.routes = port
    this.#handlers = {
      poll: (poll) => port.relayedPoll(poll),
      cancel: (id) => port.cancelPoll(id),
      send: (send) => port.relayedSend(send),
    }
    const listener = await nodeEngine.listen({ ...patient, onError: (error) => this.errors.push(error) }, port)
    this.#stops.push(() => listener.close())
    return listener.port
  }

  /** BOSH at this node, which hands its sessions over to `peers`. */
  async speakBosh(peers: () => readonly string[]): Promise<Bosh> {
    const bosh = await Bosh.open({
      gateway: {
        bus: this.bus,
        streamDoor: this.streamDoor,
        anyTopic: true,
        frameRate: { perSecond: 1000, burst: 1000 },
        authTimeoutMs: 5000,
        c2sTimeoutMs: 1000,
        waits: (ip) => this.hub.waits(ip),
        refused: () => undefined,
        onError: (error) => this.errors.push(error),
      },
      hub: this.hub,
      relay: this.relay,
      offer: { domain: 'localhost', waitSeconds: 10, hold: 1, inactivitySeconds: 30, pollingSeconds: 2, maxPauseSeconds: 120 },
      gapMs: 5000,
      maxSessions: 1000,
      maxBodyBytes: 100_000,
      seeOtherUri: '',
      refusal: () => this.leaving,
      peers,
      received: () => undefined,
      sentBytes: () => undefined,
    })
    this.#bosh = bosh
    this.#stops.push(() => bosh.stop())
    return bosh
  }

  async stop(): Promise<void> {
    for (const session of [...this.hub.sessions.values()]) session.close({ code: 'done', reason: 'the test is over' })
    for (const stop of this.#stops.splice(0)) await stop()
    await this.positions.stop()
    this.hub.stop()
  }
}

/** Users as they say they are. */
const DEV = {
  authenticate: async ({ queryUser, device }: { readonly queryUser: string; readonly device: string }) =>
    identityOf({ user: queryUser, device }),
}

export interface Who {
  readonly user: string
  readonly cursor?: string | undefined
  readonly transport?: Transport
  readonly device?: string
  readonly topics?: readonly string[]
  readonly ip?: string
  readonly gone?: () => boolean
}

function identityOf({ user, device = '', topics }: Who): Identity {
  return { user, topics, expiresAtMs: Number.POSITIVE_INFINITY, ...(device === '' ? {} : { device }) }
}

function visitorOf(who: Who) {
  const { cursor, transport = 'websocket', ip = '127.0.0.1', gone = () => false } = who
  return { identity: identityOf(who), cursor, transport, ip, gone }
}

/** A client, as the session sees it. */
export class Client implements Carrier {
  readonly transport: Transport
  readonly expiresAtMs = Number.POSITIVE_INFINITY
  readonly got: Delivery[] = []
  answer: Written = 'more'
  released = 0
  readonly ends: CloseReason[] = []
  #session: Session | undefined = undefined
  #wake: () => void = () => undefined

  constructor(transport: Transport = 'websocket') {
    this.transport = transport
  }

  get session(): Session {
    if (this.#session === undefined) throw new Error('the client has no session')
    return this.#session
  }

  enter(entrance: Entrance): void {
    if (entrance.kind !== 'session') throw new Error(`not let in: ${JSON.stringify(entrance)}`)
    this.#session = entrance.session
    entrance.session.attach(this, entrance.seen, entrance.greeting)
  }

  /** The connection breaks. */
  leave(): void {
    this.session.detach(this)
  }

  write(batch: readonly Delivery[]): Written {
    this.got.push(...batch)
    this.#wake()
    return this.answer
  }
  ping(): Written {
    return this.answer
  }
  release(): void {
    this.released++
  }
  end(reason: CloseReason): void {
    this.ends.push(reason)
  }

  /** Ids of messages, kinds of all else. */
  get ids(): string[] {
    return this.got.map(({ outbound }) => nameOf(outbound))
  }

  get messages(): string[] {
    return this.got.flatMap(({ outbound }) => outbound.frame.message?.id ?? [])
  }

  /** Of its last greeting. */
  get recovered(): boolean | undefined {
    return this.got.findLast(({ outbound }) => outbound.frame.hello != null)?.outbound.frame.hello?.recovered ?? undefined
  }

  /** Of the last frame with that name, or of the last one. */
  cursor(name?: string): string {
    const delivery = this.got.findLast(({ outbound }) => name === undefined || nameOf(outbound) === name)
    if (delivery === undefined) throw new Error(`there is no ${name}, only ${this.ids.join()}`)
    return delivery.cursor
  }

  /** Resolves when it has got a frame with that name. */
  async until(name: string): Promise<void> {
    while (!this.ids.includes(name)) {
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`no ${name}, only ${this.ids.join()}`)), PATIENCE_MS)
        this.#wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  }
}

const PATIENCE_MS = 20_000

function nameOf({ frame }: Outbound): string {
  return frame.message?.id ?? Object.keys(frame).find((key) => key !== 'cursor') ?? '?'
}

function fail(error: unknown): never {
  throw error
}

/** alice enters with this resource of XMPP. Rejects with the reason when she may not. */
export async function enterXmpp(
  { streamDoor }: { readonly streamDoor: StreamDoor },
  resource: string,
  generated = false,
): Promise<Session> {
  const entrance = await streamDoor.open({
    user: 'alice',
    resource,
    generated,
    language: 'en',
    claims: { topics: [], any: true },
    expiresAtMs: Number.POSITIVE_INFINITY,
    transport: 'xmpp-websocket',
    ip: '127.0.0.1',
    context: new Uint8Array(),
    own: undefined,
  })
  if (entrance.kind !== 'session') throw new Error(entrance.reason.reason)
  return entrance.session
}

/** The same, and a client for her. */
export async function bindXmpp(
  node: { readonly streamDoor: StreamDoor },
  resource: string,
  generated = false,
): Promise<{ readonly session: Session; readonly client: Client }> {
  const session = await enterXmpp(node, resource, generated)
  const client = new Client('xmpp-websocket')
  client.enter({ kind: 'session', session, seen: 0, greeting: undefined })
  return { session, client }
}
