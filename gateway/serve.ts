// The composition root: makes the parts of a process and puts them together, in order, and takes them apart again.

import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Bus, BusError } from '../bus/bus.js'
import { systemClock } from '../bus/clock.js'
import { openEmbedded } from '../bus/embedded-bus.js'
import { connectNats } from '../bus/nats-bus.js'
import { type PeerRole, Peers } from '../bus/peers.js'
import { DEFAULT_LIMITS } from '../c2s/limits.js'
import { startWorker } from '../c2s/worker.js'
import type { VerifyToken } from '../c2s/xmpp/sasl/tokens.js'
import { v1 } from '../proto/messages.js'
import { Bosh } from '../transports/bosh/bosh.js'
import { ClientAddresses } from '../transports/client-address.js'
import { ClientPort } from '../transports/client-port.js'
import { Cors } from '../transports/cors.js'
import { renderStanza } from '../transports/dialects/xmpp.js'
import { chooseEngine } from '../transports/engine/choose-engine.js'
import type { Engine, Listener, ListenOptions, Routes, TlsMaterial } from '../transports/engine/engine.js'
import { nodeEngine } from '../transports/engine/node-engine.js'
import { InternalPort } from '../transports/internal-port.js'
import { StaticFiles } from '../transports/static-files.js'
import type { StreamGateway } from '../transports/xmpp/gateway.js'
import { XmppStream } from '../transports/xmpp/stream.js'
import { Accounts } from './accounts.js'
import { InternalApi } from './api/internal-api.js'
import { ApiKeys } from './auth/api-keys.js'
import { createAuthenticator } from './auth/authenticator.js'
import { FailureLimit } from './auth/failure-limit.js'
import type { Transport } from './carrier.js'
import { tlsFiles, tlsMaterial, validUntil } from './certificates.js'
import type { CloseReason } from './close-reason.js'
import { Cluster } from './cluster.js'
import { apiKeysOf, type Config, ConfigError, readApiKeys } from './config.js'
import type { Logger } from './logger.js'
import type { WorkerSources } from './metric-sources.js'
import { Metrics } from './metrics.js'
import { GatewayNode, largestEnvelope, report } from './node.js'
import { portUrl } from './port-url.js'
import { Pusher } from './push.js'
import { serveRelay } from './relay.js'
import type { Role, Running } from './running.js'
import { VERSION } from './version.js'
import { WatchedFiles } from './watched-files.js'

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
  const metrics = new Metrics()
  bus.onState((state) => {
    metrics.busChanged(state)
    log.info({ bus: bus.kind, state }, 'message bus')
  })
  const gateway = role === 'c2s' ? undefined : newAddress()
  const worker = role === 'gateway' ? undefined : await startC2s(config, bus, log, metrics, teardown)
  const peers =
    gateway === undefined && worker !== undefined
      ? worker.peers
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
    gateway === undefined
      ? nodeEngine
      : await chooseEngine(
          config.engine,
          { info: (msg) => log.info(msg), warn: (msg) => log.warn(msg) },
          undefined,
          config.clientTlsCert === undefined ? 'plain' : 'tls',
        )
  const files = new WatchedFiles(config.reloadSeconds * 1000, log)
  teardown.add(() => files.stop())
  const addresses = new ClientAddresses(config)
  let node: GatewayNode | undefined
  let clientListener: Listener | undefined
  let stopAccepting = () => {}
  let handOver = async () => {}
  let endStreams: (reason: CloseReason) => void = () => {}
  if (gateway !== undefined) {
    const authenticator = createAuthenticator(config)
    const created = await GatewayNode.create({ bus, config, address: gateway, peers, metrics, log, authenticator })
    node = created
    teardown.add(() => created.stop())
    const onError = (error: unknown, what: string) => report(log, error, what)
    const refused = (transport: Transport | 'send', reason: CloseReason) => created.refused(transport, reason)
    const frameRate = { perSecond: config.maxFramesPerSecond, burst: config.maxFramesBurst }
    const streams: StreamGateway = {
      bus,
      streamDoor: created.streamDoor,
      anyTopic: config.anyTopic,
      frameRate,
      authTimeoutMs: config.authTimeoutSeconds * 1000,
      c2sTimeoutMs: config.c2sTimeoutSeconds * 1000,
      waits: (ip) => created.hub.waits(ip),
      refused,
      onError,
    }
    const bosh = await Bosh.open({
      gateway: streams,
      hub: created.hub,
      relay: created.relay,
      offer: {
        domain: config.xmppDomain,
        waitSeconds: config.boshWaitSeconds,
        hold: config.boshMaxHold,
        inactivitySeconds: config.boshInactivitySeconds,
        pollingSeconds: config.boshPollingSeconds,
        maxPauseSeconds: config.boshMaxPauseSeconds,
      },
      gapMs: config.boshGapSeconds * 1000,
      maxSessions: config.maxSessions,
      maxBodyBytes: config.maxBodyBytes,
      seeOtherUri: /^https?:/.test(config.xmppSeeOtherUri ?? '') ? (config.xmppSeeOtherUri ?? '') : '',
      refusal: () => created.refusal,
      peers: () => peers.list('gw').map(({ address }) => address),
      received: (transport, frames, bytes) => metrics.transport(transport).received(frames, bytes),
      sentBytes: (transport, bytes) => metrics.transport(transport).written(0, bytes),
    })
    teardown.add(() => bosh.stop())
    handOver = () => bosh.handOver()
    endStreams = (reason) => bosh.end(reason)
    const port = new ClientPort({
      door: created.door,
      hub: created.hub,
      intake: created.intake,
      relay: created.relay,
      authenticator,
      cors: new Cors(config.allowedOrigins.includes('*') ? '*' : config.allowedOrigins),
      pages: new StaticFiles(config.demoPage ? demoFolder() : undefined),
      addresses,
      tls: config.clientTlsCert !== undefined,
      failures: failureLimit(config),
      maxFrameBytes: config.maxFrameBytes,
      maxBodyBytes: config.maxBodyBytes,
      frameRate,
      authTimeoutMs: config.authTimeoutSeconds * 1000,
      bosh: bosh.port,
      xmpp: {
        domain: config.xmppDomain,
        seeOtherUri: config.xmppSeeOtherUri ?? '',
        maxFrameBytes: config.maxFrameBytes,
        frameRate,
        resumeSeconds: config.resumeSeconds,
        clock: systemClock,
        newStream: (wire) => new XmppStream(streams, wire),
        resume: (visitor) => created.streamDoor.resume(visitor),
        render: (delivery, session) => renderStanza(delivery, session, config.xmppDomain),
        refusal: (ip) => created.refusal ?? created.hub.crowded(ip),
        received: (transport, frames, bytes) => metrics.transport(transport).received(frames, bytes),
        sentBytes: (transport, bytes) => metrics.transport(transport).written(0, bytes),
        refused,
        onError,
      },
      hostMeta: { publicUrl: config.publicUrl ?? '', boshPath: '/http-bind', websocketPath: '/xmpp-websocket' },
      received: (transport, frames, bytes) => metrics.transport(transport).received(frames, bytes),
      sentBytes: (transport, bytes) => metrics.transport(transport).written(0, bytes),
      refused,
      onError,
    })
    const unserve = await serveRelay(bus, created.hub, {
      poll: (poll) => port.relayedPoll(poll),
      cancel: (id) => {
        port.cancelPoll(id)
        bosh.cancel(id)
      },
      send: (send) => port.relayedSend(send),
      bosh: (request) => bosh.relayed(request),
      moveBosh: (state) => bosh.take(state),
      pushAll: (push) => pushToAll(bus, created, push),
      stats: () => created.stats(),
    })
    teardown.add(unserve)
    const listener = await listen(engine, 'client', config, port, files, log)
    teardown.add(() => listener.close())
    clientListener = listener
    stopAccepting = () => listener.stopAccepting()
  }

  metrics.observe({
    build: { version: VERSION, role, engine: engine.name, bus: bus.kind },
    ready: () => unready(bus, node) === undefined,
    busConnected: () => bus.state === 'up',
    bus: () => bus.stats(),
    processes: (of) => peers.list(of === 'gateway' ? 'gw' : 'c2s').length + Number(role === of || (role === 'serve' && of === 'gateway')),
    sessions: () => node?.sessionsByTransport() ?? new Map(),
    detachedSessions: () => node?.hub.detachedSessions() ?? 0,
    users: () => node?.hub.users.size ?? 0,
    outboxBytes: () => node?.hub.outboxBytes() ?? 0,
    waitingBytes: () => node?.hub.waitingBytes() ?? 0,
    gateway:
      node === undefined
        ? undefined
        : {
            maxSessions: config.maxSessions,
            maxConnections: config.maxConnections,
            connections: () => clientListener?.connections ?? 0,
            drainingSeconds: () => node?.drainingSeconds ?? 0,
          },
    worker: worker?.sources,
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
    keys: config.auth === 'dev' ? undefined : watchedKeys(config, files),
    failures: failureLimit(config),
    mutualTls: config.internalTlsClientCa !== undefined,
    outOfScope: (key, scope) => log.warn({ key, scope }, 'an API key was refused what it is not for'),
    publicMetrics: config.publicMetrics,
    maxBodyBytes: config.maxApiBodyBytes,
    onError: (error, what) => report(log, error, what),
  })
  const internalPort = new InternalPort({ api, addresses, onError: (error, what) => report(log, error, what) })
  const internal = await listen(nodeEngine, 'internal', config, internalPort, files, log)
  teardown.add(() => internal.close())

  return {
    ...(clientListener === undefined ? {} : { clientUrl: portUrl(config, 'client', clientListener.port), clientPort: clientListener.port }),
    internalUrl: portUrl(config, 'internal', internal.port),
    internalPort: internal.port,
    engine: engine.name,
    bus: bus.kind,
    async stop() {
      if (node !== undefined) {
        await node.drain(config.drainSeconds * 1000, handOver)
        endStreams(node.refusal ?? { code: 'draining', reason: 'this node is going away' })
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
    maxMessageBytes: largestEnvelope(config.maxFrameBytes),
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

interface StartedWorker {
  readonly peers: Peers
  readonly sources: WorkerSources
}

async function startC2s(config: Config, bus: Bus, log: Logger, metrics: Metrics, teardown: Teardown): Promise<StartedWorker> {
  const address = newAddress()
  const peers = await startPeers(config, bus, 'c2s', address, log, teardown)
  const lingerMs = config.presenceLingerSeconds * 1000
  const limits = {
    ...DEFAULT_LIMITS,
    sessions: Math.max(DEFAULT_LIMITS.sessions, config.maxSessions),
    contactsPerUser: config.rosterMaxItems,
    topicsPerUser: config.topicsMaxPerUser,
    subscribersPerTopic: config.topicMaxSubscribers,
    historyMax: config.historyMaxMessages,
    historyDefault: Math.min(DEFAULT_LIMITS.historyDefault, config.historyMaxMessages),
  }
  const worker = await startWorker({
    bus,
    address,
    name: config.nodeId,
    peers,
    limits,
    lingerMs,
    sweepDelayMs: lingerMs + 10_000,
    xmppDomain: config.xmppDomain,
    version: VERSION,
    logins: {
      dev: config.auth === 'dev',
      anonymous: config.xmppAnonymous,
      verifyToken: tokenVerifier(config),
    },
    log,
    observe: (kind, seconds, code) => metrics.c2sAnswered(kind, seconds, code),
    onError: (error) => report(log, error, 'c2s'),
  })
  teardown.add(() => worker.stop())
  const sources = {
    maxSessions: limits.sessions,
    maxQueuedRequests: limits.queuedRequests,
    sessions: () => worker.sessions,
    queuedRequests: () => worker.queuedRequests,
  }
  return { peers, sources }
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

/** With TLS if there are certificates, which are taken anew when their files change. Throws ConfigError when they can't be used. */
async function listen(
  engine: Engine,
  port: 'client' | 'internal',
  config: Config,
  routes: Routes,
  files: WatchedFiles,
  log: Logger,
): Promise<Listener> {
  const paths = tlsFiles(config, port)
  if (paths === undefined) return engine.listen(listenOptions(config, port, undefined, log), routes)
  const texts: string[] = []
  let tls: TlsMaterial
  try {
    for (const path of paths) texts.push(readFileSync(path ?? '', 'utf8'))
    tls = tlsMaterial(texts)
  } catch (error) {
    throw new ConfigError(`the certificate of the ${port} port: ${error instanceof Error ? error.message : String(error)}`)
  }
  const listener = await engine.listen(listenOptions(config, port, tls, log), routes)
  const tell = (material: TlsMaterial) => {
    const until = validUntil(material)
    if (until.getTime() > Date.now()) log.info({ port, until }, 'certificate in use')
    else log.warn({ port, until }, 'the certificate in use has expired')
  }
  tell(tls)
  files.watch(
    `the certificate of the ${port} port`,
    paths.flatMap((path) => path ?? []),
    texts,
    (renewed) => {
      const material = tlsMaterial(renewed)
      listener.renewTls(material)
      tell(material)
    },
  )
  return listener
}

/** The keys of backends; those of a file are read again when it changes. */
function watchedKeys(config: Config, files: WatchedFiles): ApiKeys {
  const keys = new ApiKeys(apiKeysOf(config.apiKeys))
  const path = config.apiKeysFile
  if (path !== undefined)
    files.watch('the API keys', [path], [readFileSync(path, 'utf8')], ([text = '']) => keys.replace(readApiKeys(text)))
  return keys
}

/** Clients whose failures are remembered, a port. */
const FAILING_CLIENTS_LIMIT = 10_000

function failureLimit({ authFailuresPerMinute }: Config): FailureLimit {
  return new FailureLimit({ perMinute: authFailuresPerMinute, maxClients: FAILING_CLIENTS_LIMIT, now: () => performance.now() })
}

function listenOptions(config: Config, port: 'client' | 'internal', tls: TlsMaterial | undefined, log: Logger): ListenOptions {
  return {
    host: port === 'client' ? config.host : config.internalHost,
    port: port === 'client' ? config.clientPort : config.internalPort,
    tls,
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

/** Tokens of XMPP clients are those of all clients. Undefined: there are none. */
function tokenVerifier(config: Config): VerifyToken | undefined {
  const hasKey = config.jwtSecret !== undefined || config.jwtPublicKey !== undefined || config.jwksUrl !== undefined
  if (!hasKey) return undefined
  const authenticator = createAuthenticator({ ...config, auth: 'jwt' })
  return async (token) => {
    const result = await authenticator.authenticate({ bearer: token, queryToken: '', queryUser: '', device: '' })
    if (!('code' in result)) return { user: result.user, topics: result.topics, expiresAtMs: result.expiresAtMs }
    const refused = result.code === 'token_expired' ? 'expired' : result.code === 'unauthorized' ? 'invalid' : 'unavailable'
    return { refused, reason: result.reason }
  }
}
