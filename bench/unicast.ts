// Messages to users at random, published straight to NATS: the most that is delivered, the server's CPU for each, and the latency
// at a fixed rate.

import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { Child } from './child.js'
import { Crowd } from './crowd.js'
import type { BenchOptions } from './options.js'
import {
  type GeneratorFigures,
  type Load,
  type PublisherOrder,
  type PublisherReport,
  type PublisherSetup,
  type TransportName,
  wireTarget,
} from './orders.js'
import { cpuUsOf, machineTime } from './process-figures.js'
import type { Progress } from './progress.js'
import type { LatencyUs } from './tally.js'
import { type Measured, Topology } from './topology.js'

export interface UnicastRow {
  readonly engine: 'node' | 'uws'
  readonly transport: TransportName
  readonly sessions: number
  /** `maximum`: as many under way as the window allows. `latency`: at a fixed rate, counted from the moment each was due. */
  readonly phase: 'maximum' | 'latency'
  readonly published: number
  readonly delivered: number
  readonly seconds: number
  readonly deliveredPerSecond: number
  /** Of the gateway. */
  readonly cpuUsPerMessage: number
  /** What one core of the gateway would deliver at that price. */
  readonly perCoreSecond: number
  /** What had no time to spare: then the figure is a lower bound for all the others. `pace`: nothing, the rate or window did. */
  readonly limitedBy: LimitedBy
  /** Cores that each process kept busy. */
  readonly cores: Readonly<Record<string, number>>
  /** Share of the whole machine that was busy, with whatever else ran on it. */
  readonly machineBusy: number
  readonly latencyUs: LatencyUs
  readonly generator: Load
  readonly publisher: Load
  readonly invalid: readonly string[]
}

type LimitedBy = 'gateway' | 'generator' | 'publisher' | 'nats-server' | 'machine' | 'pace'

const WARM_UP_SECONDS = 3
const DRAIN_TIMEOUT_MS = 15_000
/** A process that waits less than this share of its time is as fast as it can be. */
const SATURATED = 0.9

type Publisher = Child<PublisherOrder, PublisherReport>

export async function measureUnicast(
  options: BenchOptions,
  engine: 'node' | 'uws',
  transport: TransportName,
  root: string,
  progress: Progress,
): Promise<UnicastRow[]> {
  const topology = await Topology.start({ kind: 'split', engine, root, profileFolder: options.profileFolder })
  let crowd: Crowd | undefined
  let publisher: Publisher | undefined
  try {
    const { sessions, ackEvery, seed, sizeBytes, ephemeral } = options
    const wire = wireTarget(transport, topology.clientPorts[0] ?? 0)
    crowd = await Crowd.open({ root, wire, users: sessions, firstUser: 0, ackEvery }, progress)
    const setup: PublisherSetup = {
      natsUrl: topology.natsUrl,
      partitions: topology.partitions,
      users: sessions,
      seed,
      sizeBytes,
      ephemeral,
    }
    publisher = new Child('publisher', join(root, 'bench', 'publisher.js'), [JSON.stringify(setup)], () => undefined)
    await publisher.next('ready', 10_000)
    const measured = [
      ...topology.measured,
      { name: 'generator' as const, pid: crowd.pid },
      { name: 'publisher' as const, pid: publisher.pid },
    ]
    const run = new Run({ options, engine, transport, measured, crowd, publisher, progress })
    await run.publish(undefined, WARM_UP_SECONDS)
    return [await run.row('maximum', undefined), await run.row('latency', options.rate)]
  } finally {
    crowd?.close()
    publisher?.tell({ kind: 'close' })
    await topology.stop()
  }
}

interface Published {
  readonly total: number
  readonly refused: number
  readonly load: Load
  /** From the first to the last that was received. */
  readonly seconds: number
}

interface Parts {
  readonly options: BenchOptions
  readonly engine: 'node' | 'uws'
  readonly transport: TransportName
  readonly measured: readonly { readonly name: Measured['name'] | 'generator' | 'publisher'; readonly pid: number }[]
  readonly crowd: Crowd
  readonly publisher: Publisher
  readonly progress: Progress
}

class Run {
  readonly #parts: Parts
  #received = 0
  #receivedAtMs = 0
  #published = 0
  /** Sessions that had ended when the last row was made. */
  #ended = 0

  constructor(parts: Parts) {
    this.#parts = parts
    parts.crowd.onReceived = (received) => {
      this.#received = received
      this.#receivedAtMs = performance.now()
      parts.publisher.tell({ kind: 'received', received })
    }
    parts.crowd.watch()
  }

  /** Publishes for so long, and waits until all has come or no more comes. */
  async publish(rate: number | undefined, seconds: number): Promise<Published> {
    const { publisher, progress, options } = this.#parts
    const startMs = performance.now()
    const ticker = setInterval(() => progress.update(`${this.#received} messages received`), 500)
    try {
      const published = publisher.next('published', seconds * 1000 + 60_000)
      publisher.tell({ kind: 'publish', rate, window: options.window, seconds })
      const { total, refused, load } = await published
      this.#published = total
      const untilMs = performance.now() + DRAIN_TIMEOUT_MS
      while (this.#received < total && performance.now() < untilMs) await pause(5)
      return { total, refused, load, seconds: (this.#receivedAtMs - startMs) / 1000 }
    } finally {
      clearInterval(ticker)
    }
  }

  async row(phase: UnicastRow['phase'], rate: number | undefined): Promise<UnicastRow> {
    const { options, engine, transport, measured, crowd } = this.#parts
    const receivedBefore = this.#received
    const publishedBefore = this.#published
    await crowd.reset()
    const machineBefore = machineTime()
    const cpuBefore = measured.map(({ pid }) => cpuUsOf(pid))
    const published = await this.publish(rate, options.seconds)
    const cpuUs = measured.map(({ pid }, index) => cpuUsOf(pid) - (cpuBefore[index] ?? 0))
    const machine = machineTime()
    const machineBusy = (machine.busy - machineBefore.busy) / (machine.all - machineBefore.all)
    const figures = await crowd.figures()

    const delivered = figures.counts.received - receivedBefore
    const cores = Object.fromEntries(measured.map(({ name }, index) => [name, (cpuUs[index] ?? 0) / (published.seconds * 1_000_000)]))
    const cpuUsPerMessage = ((cores.gateway ?? 0) * published.seconds * 1_000_000) / delivered
    const limitedBy = bottleneck(cores, machineBusy, figures.load, published.load)
    return {
      engine,
      transport,
      sessions: options.sessions,
      phase,
      published: published.total - publishedBefore,
      delivered,
      seconds: published.seconds,
      deliveredPerSecond: Math.round(delivered / published.seconds),
      cpuUsPerMessage,
      perCoreSecond: Math.round(1_000_000 / cpuUsPerMessage),
      limitedBy,
      cores,
      machineBusy,
      latencyUs: figures.latency,
      generator: figures.load,
      publisher: published.load,
      invalid: this.#faults(published, figures, limitedBy),
    }
  }

  #faults({ total, refused }: Published, { counts, lost }: GeneratorFigures, limitedBy: LimitedBy): string[] {
    const faults: string[] = []
    const { received, missing, repeated } = counts
    if (received !== total || missing > 0 || repeated > 0) {
      faults.push(`of ${total} messages ${received} came, ${missing} missing and ${repeated} repeated`)
    }
    if (refused > 0) faults.push(`the store did not acknowledge ${refused} messages`)
    const ended = Object.values(lost).reduce((sum, count) => sum + count, 0)
    if (ended > this.#ended) faults.push(`sessions ended: ${JSON.stringify(lost)}`)
    this.#ended = ended
    if (limitedBy === 'generator' || limitedBy === 'publisher') faults.push(`the ${limitedBy} was the bottleneck`)
    return faults
  }
}

function bottleneck(cores: Readonly<Record<string, number>>, machineBusy: number, generator: Load, publisher: Load): LimitedBy {
  const busy = (name: string) => cores[name] ?? 0
  if (busy('gateway') > SATURATED) return 'gateway'
  if (busy('generator') > SATURATED) return 'generator'
  if (busy('publisher') > SATURATED) return 'publisher'
  // Waiting for a core looks like work in an event loop's own figures, so the machine comes before them.
  if (machineBusy > SATURATED) return 'machine'
  if (generator.utilization > SATURATED) return 'generator'
  if (publisher.utilization > SATURATED) return 'publisher'
  return busy('nats-server') > SATURATED ? 'nats-server' : 'pace'
}
