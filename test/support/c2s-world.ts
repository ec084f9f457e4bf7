// Gateways and c2s workers around one embedded broker, with a clock that stands still.

import type { Bus } from '../../bus/bus.js'
import { EmbeddedBroker } from '../../bus/embedded-bus.js'
import type { EmbeddedHandle } from '../../bus/embedded-handle.js'
import { Peers } from '../../bus/peers.js'
import type { RequestKind } from '../../c2s/frames.js'
import { DEFAULT_LIMITS, type WorkerLimits } from '../../c2s/limits.js'
import { startWorker, type Worker } from '../../c2s/worker.js'
import { FakeGateway } from './fake-gateway.js'
import { ManualClock } from './manual-clock.js'

export const LINGER_MS = 5000
export const SWEEP_DELAY_MS = 20_000
export const BEAT_MS = 2000
export const MAX_MESSAGE_BYTES = 64 * 1024

export interface RunningWorker {
  readonly address: string
  readonly bus: EmbeddedHandle
  readonly worker: Worker
  /** Politely. */
  stop(): Promise<void>
  /** Like kill -9. */
  kill(): Promise<void>
}

export class World {
  readonly clock: ManualClock
  readonly broker: EmbeddedBroker
  /** Reported as bugs, by anybody. */
  readonly errors: unknown[]
  readonly observed: RequestKind[] = []
  /** Codes of those that were not done. */
  readonly failures: string[] = []
  readonly warnings: string[] = []
  readonly #limits: WorkerLimits
  readonly #running = new Set<RunningWorker>()
  readonly #peers = new Set<Peers>()
  #names = 0

  private constructor(broker: EmbeddedBroker, clock: ManualClock, errors: unknown[], limits: Partial<WorkerLimits>) {
    this.broker = broker
    this.clock = clock
    this.errors = errors
    this.#limits = { ...DEFAULT_LIMITS, ...limits }
  }

  /** Ends with the test. */
  static async open(t: { teardown(end: () => Promise<void>): unknown }, limits: Partial<WorkerLimits> = {}): Promise<World> {
    const clock = new ManualClock()
    const errors: unknown[] = []
    const broker = await EmbeddedBroker.open({
      inboxMaxMessages: 1000,
      inboxMaxAgeSeconds: 604_800,
      maxMessageBytes: MAX_MESSAGE_BYTES,
      duplicateWindowSeconds: 60,
      requestTimeoutMs: 5000,
      maxInFlight: 256,
      dataDir: undefined,
      onError: (error) => errors.push(error),
      clock,
    })
    const world = new World(broker, clock, errors, limits)
    t.teardown(() => world.end())
    return world
  }

  bus(): EmbeddedHandle {
    return this.broker.bus()
  }

  async worker(wrap: (bus: Bus) => Bus = (bus) => bus, address = `worker-${++this.#names}`): Promise<RunningWorker> {
    const own = this.bus()
    const bus = wrap(own)
    const onError = (error: unknown): void => void this.errors.push(error)
    const log = {
      info: () => {},
      warn: (_fields: object, message: string) => void this.warnings.push(message),
      error: (_fields: object, message: string) => void this.warnings.push(message),
    }
    const peers = await this.peers('c2s', address, own)
    const worker = await startWorker({
      bus,
      address,
      name: address,
      peers,
      limits: this.#limits,
      lingerMs: LINGER_MS,
      sweepDelayMs: SWEEP_DELAY_MS,
      xmppDomain: 'localhost',
      version: '0.0.0',
      logins: { dev: true, anonymous: true, verifyToken: undefined },
      clock: this.clock,
      log,
      observe: (kind, _seconds, code) => {
        this.observed.push(kind)
        if (code !== 'done') this.failures.push(`${kind} ${code}`)
      },
      onError,
    })
    const running: RunningWorker = {
      address,
      bus: own,
      worker,
      stop: async () => {
        if (!this.#running.delete(running)) return
        await worker.stop()
        await peers.stop()
        await own.close()
      },
      kill: async () => {
        if (!this.#running.delete(running)) return
        await own.crash()
        await worker.stop()
        await peers.stop()
      },
    }
    this.#running.add(running)
    return running
  }

  /** A gateway that beats. */
  async gateway(address = `gate-${++this.#names}`): Promise<FakeGateway<EmbeddedHandle> & { readonly peers: Peers }> {
    const bus = this.bus()
    const peers = await this.peers('gw', address, bus)
    return Object.assign(new FakeGateway(bus, address), { peers })
  }

  async peers(role: 'gw' | 'c2s', address: string, bus = this.bus()): Promise<Peers> {
    const peers = await Peers.start({
      bus,
      role,
      address,
      name: address,
      track: ['gw', 'c2s'],
      beatMs: BEAT_MS,
      clock: this.clock,
      onError: (error) => this.errors.push(error),
    })
    this.#peers.add(peers)
    return peers
  }

  /** Time passes in small steps, with everything that follows from it. */
  async pass(ms: number): Promise<void> {
    await this.settle()
    for (let left = ms; left > 0; left -= 500) {
      this.clock.advance(Math.min(left, 500))
      await this.settle()
    }
  }

  /** Everything that was begun on the embedded bus ends within a few turns of the event loop. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < 40; turn++) await new Promise((resolve) => setImmediate(resolve))
  }

  async end(): Promise<void> {
    for (const running of [...this.#running]) await running.stop()
    for (const peers of this.#peers) await peers.stop()
    const closed = this.broker.close(0)
    this.clock.advance(1)
    await closed
  }
}

/** The same bus with some methods replaced. */
export function changed(bus: Bus, methods: Partial<Bus>): Bus {
  return new Proxy(bus, {
    get(target, name) {
      const own = methods[name as keyof Bus]
      if (own !== undefined) return own
      const value = Reflect.get(target, name, target) as unknown
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}
