// The composition root: makes the parts of a process and puts them together, in order, and takes them apart again.

import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type Bus, BusError } from '../bus/bus.js'
import { systemClock } from '../bus/clock.js'
import { openEmbedded } from '../bus/embedded-bus.js'
import { connectNats } from '../bus/nats-bus.js'
import { type PeerRole, Peers } from '../bus/peers.js'
import { DEFAULT_LIMITS } from '../c2s/limits.js'
import { startWorker } from '../c2s/worker.js'
import { v1 } from '../proto/messages.js'
import { ClientPort } from '../transports/client-port.js'
import { Cors } from '../transports/cors.js'
import { chooseEngine } from '../transports/engine/choose-engine.js'
import type { ListenOptions } from '../transports/engine/engine.js'
import { nodeEngine } from '../transports/engine/node-engine.js'
import { InternalPort } from '../transports/internal-port.js'
import { StaticFiles } from '../transports/static-files.js'
import { Accounts } from './accounts.js'
import { InternalApi } from './api/internal-api.js'
import { ApiKeys } from './auth/api-keys.js'
import { createAuthenticator } from './auth/authenticator.js'
import type { CloseReason } from './close-reason.js'
import { Cluster } from './cluster.js'
import { type Config, ConfigError } from './config.js'
import type { Logger } from './logger.js'
import { Metrics } from './metrics.js'
import { ENVELOPE_OVERHEAD_BYTES, GatewayNode, report } from './node.js'
import { Pusher } from './push.js'
import { serveRelay } from './relay.js'
import type { Role, Running } from './running.js'

const BEAT_MS = 2000
const NATS_PING_MS = 10_000
const SWEEP_SECONDS = 300
const REQUEST_TIMEOUT_MS = 5000
const MAX_IN_FLIGHT = 8192
/** Ports that are closed wait this long for a close frame to be answered. */
const CLOSE_TIMEOUT_MS = 3000

/** Undone in reverse order when the process stops, or when it can't start. */
class Teardown {
  readonly #log: Logger
  readonly #steps: (() => Promise<void> | void)[] = []

  constructor(log: Logger) {
    this.#log = log
  }

  add(step: () => Promise<void> | void): void {
    this.#steps.push(step)
  }

  async run(): Promise<void> {
    for (const step of this.#steps.splice(0).reverse()) {
      try {
        await step()
      } catch (error) {
        report(this.#log, error, 'stopping')
      }
    }
  }
}

/** Rejects when the process can't start: an address taken, no bus, keys that can't be used. */
export async function startHoldwire(config: Config, role: Role, log: Logger): Promise<Running> {
  const teardown = new Teardown(log)
  try {
    return await start(config, role, log, teardown)
  } catch (error) {
    await teardown.run()
    throw error
  }
}

async function start(config: Config, role: Role, log: Logger, teardown: Teardown): Promise<Running> {
  const bus = await openBus(config, role, log)
  teardown.add(() => bus.close(REQUEST_TIMEOUT_MS))
  bus.onState((state) => log.info({ bus: bus.kind, state }, 'message bus'))
  const metrics = new Metrics()
  const gateway = role === 'c2s' ? undefined : newAddress()
  const workerPeers = role === 'gateway' ? undefined : await startC2s(config, bus, log, metrics, teardown)
  const peers =
    gateway === undefined && workerPeers !== undefined
      ? workerPeers
      : await startPeers(config, bus, 'gw', gateway ?? newAddress(), log, teardown)
  const self = gateway === undefined ? undefined : { address: gateway, name: config.nodeId, since: Date.now() }
  const cluster = new Cluster({ bus, peers, self, timeoutMs: config.c2sTimeoutSeconds * 1000 })
  const pusher = await Pusher.open({
    bus,
    cluster,
    maxDataBytes: config.maxFrameBytes,
    duplicateWindowSeconds: config.duplicateWindowSeconds,
    c2sTimeoutMs: config.c2sTimeoutSeconds * 1000,
    metrics,
  })

  const engine =
    gateway === undefined ? nodeEngine : await chooseEngine(config.engine, { info: (msg) => log.info(msg), warn: (msg) => log.warn(msg) })
  let node: GatewayNode | undefined
  let clientPort: number | undefined
  let stopAccepting = () => {}
  if (gateway !== undefined) {
    const authenticator = createAuthenticator(config)
    const created = await GatewayNode.create({ bus, config, address: gateway, peers, metrics, log, authenticator })
    node = created
    teardown.add(() => created.stop())
    const port = new ClientPort({
      door: created.door,
      hub: created.hub,
      intake: created.intake,
      relay: created.relay,
      authenticator,
      cors: new Cors(config.allowedOrigins.includes('*') ? '*' : config.allowedOrigins),
      pages: new StaticFiles(demoFolder()),
      trustProxy: config.trustProxy,
      maxFrameBytes: config.maxFrameBytes,
      maxBodyBytes: config.maxBodyBytes,
      frameRate: { perSecond: config.maxFramesPerSecond, burst: config.maxFramesBurst },
      authTimeoutMs: config.authTimeoutSeconds * 1000,
      received: (transport, frames, bytes) => metrics.transport(transport).received(frames, bytes),
      sentBytes: (transport, bytes) => metrics.transport(transport).written(0, bytes),
      refused: (transport, reason) => metrics.refused(transport, reason.code),
      onError: (error, what) => report(log, error, what),
    })
    const unserve = await serveRelay(bus, created.hub, {
      poll: (poll) => port.relayedPoll(poll),
      cancel: (id) => port.cancelPoll(id),
      send: (send) => port.relayedSend(send),
      pushAll: (push) => pushToAll(bus, created, push),
      stats: () => created.stats(),
    })
    teardown.add(unserve)
    const listener = await engine.listen(listenOptions(config, config.clientPort, log), port)
    teardown.add(() => listener.close())
    clientPort = listener.port
    stopAccepting = () => listener.stopAccepting()
  }

  metrics.observe({
    sessions: () => node?.sessionsByTransport() ?? new Map(),
    users: () => node?.hub.users.size ?? 0,
    outboxBytes: () => node?.hub.outboxBytes() ?? 0,
    busConnected: () => bus.state === 'up',
    bus: () => bus.stats(),
  })
  const api = new InternalApi({
    bus,
    pusher,
    cluster,
    accounts: new Accounts(await bus.bucket('accounts')),
    presence: await bus.bucket('presence'),
    metrics,
    engine: engine.name,
    historyMaxMessages: config.historyMaxMessages,
    unready: () => unready(bus, node),
    now: Date.now,
    keys: config.auth === 'dev' ? undefined : new ApiKeys(config.apiKeys),
    publicMetrics: config.publicMetrics,
    maxBodyBytes: config.maxApiBodyBytes,
    onError: (error, what) => report(log, error, what),
  })
  const internal = await nodeEngine.listen(
    listenOptions(config, config.internalPort, log),
    new InternalPort({ api, onError: (error, what) => report(log, error, what) }),
  )
  teardown.add(() => internal.close())

  return {
    ...(clientPort === undefined ? {} : { clientUrl: url(config, clientPort), clientPort }),
    internalUrl: url(config, internal.port),
    internalPort: internal.port,
    engine: engine.name,
    bus: bus.kind,
    async stop() {
      if (node !== undefined) {
        await node.drain(config.drainSeconds * 1000)
        stopAccepting()
        await node.stop()
      }
      await teardown.run()
    },
  }
}

async function openBus(config: Config, role: Role, log: Logger): Promise<Bus> {
  const common = {
    inboxMaxMessages: config.inboxMaxMessages,
    inboxMaxAgeSeconds: config.inboxMaxAgeSeconds,
    maxMessageBytes: config.maxFrameBytes + ENVELOPE_OVERHEAD_BYTES,
    duplicateWindowSeconds: Math.min(config.duplicateWindowSeconds, config.inboxMaxAgeSeconds),
    requestTimeoutMs: REQUEST_TIMEOUT_MS,
    maxInFlight: MAX_IN_FLIGHT,
    onError(error: unknown, what: string) {
      // That the bus is away is no bug, and where it was noticed says nothing.
      if (error instanceof BusError) log.warn({ code: error.code }, `message bus: ${what}: ${error.message}`)
      else log.warn({ err: error }, `message bus: ${what}`)
    },
  }
  if (config.natsUrl.length > 0) {
    return connectNats({
      ...common,
      servers: config.natsUrl,
      name: `${role}-${config.nodeId}`,
      partitions: config.natsPartitions,
      replicas: config.natsReplicas,
      pingIntervalMs: NATS_PING_MS,
      sweepSeconds: SWEEP_SECONDS,
    })
  }
  if (role !== 'serve')
    throw new ConfigError(
      `\`holdwire ${role}\` needs --nats-url: without it there is nothing to meet the other processes on (\`holdwire serve\` does it all in one process)`,
    )
  if (config.dataDir === undefined) log.warn('no --data-dir: messages are kept in memory and do not survive a restart')
  return openEmbedded({ ...common, dataDir: config.dataDir })
}

async function startPeers(config: Config, bus: Bus, role: PeerRole, address: string, log: Logger, teardown: Teardown): Promise<Peers> {
  const peers = await Peers.start({
    bus,
    role,
    address,
    name: config.nodeId,
    track: ['gw', 'c2s'],
    beatMs: BEAT_MS,
    clock: systemClock,
    onError: (error) => report(log, error, 'heartbeats'),
  })
  teardown.add(() => peers.stop())
  return peers
}

async function startC2s(config: Config, bus: Bus, log: Logger, metrics: Metrics, teardown: Teardown): Promise<Peers> {
  const address = newAddress()
  const peers = await startPeers(config, bus, 'c2s', address, log, teardown)
  const lingerMs = config.presenceLingerSeconds * 1000
  const worker = await startWorker({
    bus,
    address,
    name: config.nodeId,
    peers,
    limits: {
      ...DEFAULT_LIMITS,
      sessions: Math.max(DEFAULT_LIMITS.sessions, config.maxSessions),
      contactsPerUser: config.rosterMaxItems,
      topicsPerUser: config.topicsMaxPerUser,
      subscribersPerTopic: config.topicMaxSubscribers,
      historyMax: config.historyMaxMessages,
      historyDefault: Math.min(DEFAULT_LIMITS.historyDefault, config.historyMaxMessages),
    },
    lingerMs,
    sweepDelayMs: lingerMs + 10_000,
    log,
    observe: (kind, seconds) => metrics.c2sAnswered(kind, seconds),
    onError: (error) => report(log, error, 'c2s'),
  })
  teardown.add(() => worker.stop())
  return peers
}

/** Publishes to every user with a session here. A user at two nodes gets it once: the ids are the same. */
async function pushToAll(bus: Bus, node: GatewayNode, { envelope, ephemeral, dedupe }: v1.PushAll): Promise<v1.RelayReply.$Properties> {
  const users = [...node.hub.users.values()].filter(({ sessions }) => sessions.length > 0).map(({ user }) => user)
  const data = v1.Envelope.encode(envelope ?? {}).finish()
  if (ephemeral) {
    // Only to the sessions of this node: other nodes see to theirs.
    for (const user of users) node.hub.users.get(user)?.ephemeral(data)
    return { accepted: users.length }
  }
  const results = await bus.publishMany(users, dedupe, data)
  const failed = results.find((result) => result.status === 'rejected')
  if (failed?.status === 'rejected') {
    const reason: unknown = failed.reason
    return { code: 'bus_unavailable', message: reason instanceof BusError ? reason.message : 'not all could be stored' }
  }
  return { accepted: results.filter((result) => result.status === 'fulfilled' && !result.value.duplicate).length }
}

function unready(bus: Bus, node: GatewayNode | undefined): CloseReason | undefined {
  if (node?.leaving) return { code: 'draining', reason: 'this node is going away', retryAfterMs: 1000 }
  if (bus.state !== 'up') return { code: 'bus_unavailable', reason: 'the message bus is away', retryAfterMs: 1000 }
  return undefined
}

function listenOptions(config: Config, port: number, log: Logger): ListenOptions {
  return {
    host: config.host,
    port,
    maxMessageBytes: config.maxFrameBytes,
    maxHeaderBytes: config.maxHeaderBytes,
    headersTimeoutMs: config.headersTimeoutSeconds * 1000,
    bodyTimeoutMs: config.bodyTimeoutSeconds * 1000,
    keepAliveMs: config.keepAliveSeconds * 1000,
    stallTimeoutMs: config.stallTimeoutSeconds * 1000,
    closeTimeoutMs: CLOSE_TIMEOUT_MS,
    maxConnections: config.maxConnections,
    deflate: config.deflate,
    onError: (error) => report(log, error, 'a request'),
  }
}

/** Built by client/build.js next to the compiled code. */
function demoFolder(): string | undefined {
  const folder = join(import.meta.dirname, '..', 'client', 'demo')
  return existsSync(join(folder, 'index.html')) ? folder : undefined
}

function newAddress(): string {
  return randomBytes(6).toString('base64url')
}

function url(config: Config, port: number): string {
  const host = config.host.includes(':') ? `[${config.host.replace(/^\[|\]$/g, '')}]` : config.host
  return `http://${host}:${port}`
}
