// What measures one transport of one server over one network: a generator, a publisher, and the proxy that is the network. Each
// measurement ends in a bounded time, with figures and the reasons for which they do not count.

import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { Child } from '../child.js'
import { Crowd } from '../crowd.js'
import type { GeneratorFigures } from '../orders.js'
import { cpuUsOf } from '../process-figures.js'
import type { Progress } from '../progress.js'
import type { SinkTarget, WireTarget } from './contender.js'
import type { Places } from './places.js'
import { Proxied } from './proxied.js'
import type { ProxyFigures } from './proxy/orders.js'
import type { Published, PublisherOrder, PublisherReport, PublisherSetup } from './publisher-orders.js'
import type { LabFigures, LatencyFigures, Network } from './result.js'

export interface RigOptions {
  /** Compiled tree: `dist`. */
  readonly root: string
  readonly wire: WireTarget
  readonly sink: SinkTarget
  /** Of the server: their CPU counts. */
  readonly processes: readonly { readonly name: string; readonly pid: number }[]
  readonly network: Network
  readonly users: number
  /** Names that nobody had before: what others left unread would come to them. */
  readonly firstUser: number
  readonly seed: number
  readonly sizeBytes: number
  /** Messages go to its subscribers, all of the users, and all of them get each. */
  readonly topic?: string | undefined
  readonly concurrency: number
  readonly places: Places
  readonly progress: Progress
}

export interface Finding {
  readonly figures: LabFigures
  /** Why they do not count; empty: they do. */
  readonly invalid: readonly string[]
}

/** Cores of the load's side that are busier than this share of them may have been what was measured. */
const LOAD_LIMIT = 0.9
/** Of one process, which has one thread that matters. */
const PROCESS_LIMIT = 0.85
/** What is due and not done for longer than this is the load's own lateness. */
const LATE_LIMIT_US = 5000
const READY_TIMEOUT_MS = 10_000
const DRAIN_TIMEOUT_MS = 8000
/** With a network that holds packets back. */
const STALLED_DRAIN_TIMEOUT_MS = 15_000
const RETURN_TIMEOUT_MS = 20_000
/** So that the server has seen that its clients are gone, and what is sent to them waits. */
const AWAY_MS = 300

type Publisher = Child<PublisherOrder, PublisherReport>

export class Rig {
  readonly #options: RigOptions
  readonly #crowd: Crowd
  readonly #publisher: Publisher
  readonly #proxy: Proxied | undefined
  /** Of sessions, when the last finding was made. */
  #ended = 0
  #received = 0
  #receivedAtMs = 0
  /** What should have come so far. */
  #expected = 0
  #repeated = 0
  #missing = 0
  #refused = 0

  private constructor(options: RigOptions, crowd: Crowd, publisher: Publisher, proxy: Proxied | undefined) {
    this.#options = options
    this.#crowd = crowd
    this.#publisher = publisher
    this.#proxy = proxy
    crowd.onReceived = (received) => {
      this.#received = received
      this.#receivedAtMs = performance.now()
      publisher.tell({ kind: 'received', received })
    }
    crowd.watch()
  }

  /** Throws when not all sessions could be opened. */
  static async open(options: RigOptions): Promise<Rig> {
    const { root, wire, sink, network, users, firstUser, seed, sizeBytes, topic, concurrency, places, progress } = options
    const setup: PublisherSetup = { sink, users: topic === undefined ? users : 1, firstUser, seed, sizeBytes, topic }
    let proxy: Proxied | undefined
    let crowd: Crowd | undefined
    try {
      let { port } = wire
      if (network.roundTripMs > 0 || network.stalls > 0) {
        proxy = new Proxied(root)
        places.put('load', proxy.pid)
        port = await proxy.listen(port, network, seed)
      }
      const timeoutMs = 10_000 + users * 10 + 20 * network.roundTripMs
      const onStarted = (pid: number) => places.put('load', pid)
      const there = { ...wire, port }
      crowd = await Crowd.open({ root, wire: there, users, firstUser, ackEvery: 16, concurrency, timeoutMs, onStarted }, progress)
      // Last: a server closes connections of backends that say nothing for some seconds.
      const script = join(root, 'bench', 'lab', 'publisher.js')
      const publisher: Publisher = new Child('publisher', script, [JSON.stringify(setup)], () => undefined)
      places.put('load', publisher.pid)
      await publisher.next('ready', READY_TIMEOUT_MS).catch((error) => {
        publisher.kill()
        throw error
      })
      return new Rig(options, crowd, publisher, proxy)
    } catch (error) {
      crowd?.close()
      proxy?.close()
      throw error
    }
  }

  /** How long the sessions took to open, in milliseconds. */
  async opening(): Promise<LatencyFigures> {
    const { opening } = await this.#crowd.figures()
    return inMilliseconds(opening)
  }

  /** Messages at a fixed rate. */
  latency(rate: number, seconds: number): Promise<Finding> {
    return this.#publishing(rate, 0, seconds)
  }

  /** As many as the window allows. */
  maximum(window: number, seconds: number): Promise<Finding> {
    return this.#publishing(undefined, window, seconds)
  }

  /** The sessions do by themselves what there is to do. */
  async cycles(seconds: number): Promise<Finding> {
    const cpuUs = await this.#start()
    const startMs = performance.now()
    await pause(seconds * 1000)
    const passed = (performance.now() - startMs) / 1000
    const { perProcess } = cpuUs()
    const figures = await this.#crowd.figures()
    return {
      figures: costs(perProcess, figures.batches, passed, figures),
      invalid: [...this.#ends(figures), ...this.#loadFaults(figures, undefined, await this.#proxy?.figures(), undefined)],
    }
  }

  /** Without publishing anything, for memory and idle CPU. */
  async idle(seconds: number): Promise<Finding> {
    const cpuUs = await this.#start()
    await pause(seconds * 1000)
    const { total } = cpuUs()
    const figures = await this.#crowd.figures()
    return { figures: { seconds, cpuUsPerSessionSecond: total / this.#options.users / seconds }, invalid: this.#ends(figures) }
  }

  /**
   * All connections are cut, each user is sent one message, and all come back: how long each takes from its new connection to that
   * message, and that none is lost.
   */
  async resume(concurrency: number): Promise<Finding> {
    await this.#start()
    await this.#crowd.cut()
    await pause(AWAY_MS + this.#options.network.roundTripMs)
    const published = await this.#published({ kind: 'each' }, 20_000)
    await this.#crowd.return(concurrency, RETURN_TIMEOUT_MS)
    await this.#drain()
    const figures = await this.#crowd.figures()
    return {
      figures: { resumeMs: inMilliseconds(figures.returning), delivered: figures.returning.count },
      invalid: [...this.#countFaults(published, figures), ...this.#ends(figures)],
    }
  }

  close(): void {
    this.#crowd.close()
    this.#publisher.tell({ kind: 'close' })
    this.#proxy?.close()
  }

  async #publishing(rate: number | undefined, window: number, seconds: number): Promise<Finding> {
    const cpuUs = await this.#start()
    const startMs = performance.now()
    const before = this.#received
    const published = await this.#published({ kind: 'publish', rate, window, seconds }, seconds * 1000 + 15_000)
    await this.#drain()
    const { perProcess } = cpuUs()
    const passed = Math.max((this.#receivedAtMs - startMs) / 1000, 0.001)
    const figures = await this.#crowd.figures()
    const proxy = await this.#proxy?.figures()
    const delivered = figures.counts.received - before
    return {
      figures: { ...costs(perProcess, delivered, passed, figures), latencyUs: figures.latency },
      invalid: [...this.#countFaults(published, figures), ...this.#ends(figures), ...this.#loadFaults(figures, published, proxy, rate)],
    }
  }

  /** From here on everything counts; answers with the CPU that the server took since. */
  async #start(): Promise<() => { readonly total: number; readonly perProcess: Readonly<Record<string, number>> }> {
    await this.#crowd.reset()
    this.#proxy?.reset()
    const { processes } = this.#options
    const before = processes.map(({ pid }) => cpuUsOf(pid))
    return () => {
      const perProcess: Record<string, number> = {}
      let total = 0
      processes.forEach(({ name, pid }, index) => {
        const us = cpuUsOf(pid) - (before[index] ?? 0)
        perProcess[name] = (perProcess[name] ?? 0) + us
        total += us
      })
      return { total, perProcess }
    }
  }

  async #published(order: PublisherOrder & { kind: 'publish' | 'each' }, timeoutMs: number): Promise<Published> {
    const { progress, topic, users } = this.#options
    const ticker = setInterval(() => progress.update(`${this.#received} messages received`), 500)
    try {
      const done = this.#publisher.next('published', timeoutMs)
      this.#publisher.tell(order)
      const published = await done
      this.#expected = published.total * (topic === undefined ? 1 : users)
      return published
    } finally {
      clearInterval(ticker)
    }
  }

  async #drain(): Promise<void> {
    const timeoutMs = this.#options.network.stalls > 0 ? STALLED_DRAIN_TIMEOUT_MS : DRAIN_TIMEOUT_MS
    const untilMs = performance.now() + timeoutMs
    while (this.#received < this.#expected && performance.now() < untilMs) await pause(5)
  }

  #countFaults({ refused }: Published, { counts }: GeneratorFigures): string[] {
    const faults: string[] = []
    const { received, missing, repeated } = counts
    if (received !== this.#expected || missing > this.#missing || repeated > this.#repeated) {
      faults.push(
        `of ${this.#expected} messages ${received} came, ${missing - this.#missing} missing and ${repeated - this.#repeated} repeated`,
      )
    }
    if (refused > this.#refused) faults.push(`the server did not take ${refused - this.#refused} messages`)
    this.#missing = missing
    this.#repeated = repeated
    this.#refused = refused
    return faults
  }

  #ends({ lost }: GeneratorFigures): string[] {
    const ended = Object.values(lost).reduce((sum, count) => sum + count, 0)
    const before = this.#ended
    this.#ended = ended
    return ended > before ? [`sessions ended: ${JSON.stringify(lost)}`] : []
  }

  /** Whether what was measured was the load and not the server. */
  #loadFaults(
    { load, latency }: GeneratorFigures,
    published: Published | undefined,
    proxy: ProxyFigures | undefined,
    rate: number | undefined,
  ): string[] {
    const faults: string[] = []
    const cores = [
      { name: 'generator', cores: load.cores },
      { name: 'publisher', cores: published?.load.cores ?? 0 },
      { name: 'proxy', cores: proxy?.cores ?? 0 },
    ]
    for (const one of cores) {
      if (one.cores > PROCESS_LIMIT) faults.push(`the ${one.name} was the bottleneck: ${one.cores.toFixed(2)} of a core`)
    }
    const sum = cores.reduce((all, one) => all + one.cores, 0)
    const limit = LOAD_LIMIT * this.#options.places.loadCores
    if (faults.length === 0 && sum > limit) faults.push(`the load had ${sum.toFixed(2)} cores busy of ${this.#options.places.loadCores}`)
    if (rate !== undefined) {
      const late = published?.lateP99Us ?? 0
      if (late > LATE_LIMIT_US) faults.push(`the publisher was late: p99 ${(late / 1000).toFixed(1)} ms`)
      // Its own delay is in every latency; what matters is a large share of the tail.
      const { loopDelayP99Us } = load
      if (loopDelayP99Us > LATE_LIMIT_US && loopDelayP99Us > latency.p99 / 2) {
        faults.push(`the generator's event loop was late: p99 ${(loopDelayP99Us / 1000).toFixed(1)} ms`)
      }
    }
    if (proxy !== undefined && proxy.lateP99Us > LATE_LIMIT_US) {
      faults.push(`the proxy was late: p99 ${(proxy.lateP99Us / 1000).toFixed(1)} ms`)
    }
    if (proxy !== undefined && proxy.overflowed > 0) faults.push(`the proxy ended ${proxy.overflowed} connections with too much in them`)
    return faults
  }
}

function costs(perProcess: Readonly<Record<string, number>>, count: number, seconds: number, { traffic }: GeneratorFigures): LabFigures {
  if (count === 0) return { delivered: 0, seconds }
  const each = (sum: number) => sum / count
  const cpuUsPerMessage = each(Object.values(perProcess).reduce((sum, one) => sum + one, 0))
  return {
    delivered: count,
    seconds,
    perSecond: Math.round(count / seconds),
    cpuUsPerMessage,
    cpuUsByProcess: Object.fromEntries(Object.entries(perProcess).map(([name, us]) => [name, each(us)])),
    ...(cpuUsPerMessage > 0 ? { perCoreSecond: Math.round(1_000_000 / cpuUsPerMessage) } : {}),
    bytesDownPerMessage: each(traffic.downBytes),
    bytesUpPerMessage: each(traffic.upBytes),
  }
}

function inMilliseconds({ count, p50, p90, p99, p999, max, cdf }: LatencyFigures): LatencyFigures {
  const ms = (us: number) => us / 1000
  return {
    count,
    p50: ms(p50),
    p90: ms(p90),
    p99: ms(p99),
    p999: ms(p999),
    max: ms(max),
    cdf: cdf.map(([us, share]) => [ms(us), share] as const),
  }
}
