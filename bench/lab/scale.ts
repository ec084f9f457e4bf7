// How costs grow with the work: sessions on which nothing happens, subscribers of a topic, users known to the bus. And where they
// bend: what costs more (or less) than in proportion.

import { join } from 'node:path'
import { Child } from '../child.js'
import { memoryOf } from '../process-figures.js'
import type { SinkTarget } from './contender.js'
import { type BusKind, type Engine, type Holdwire, usualBus } from './holdwire.js'
import { idleSteps } from './idle-steps.js'
import { Notebook, type Place } from './notebook.js'
import type { PartOptions, PartResult } from './part.js'
import type { PublisherOrder, PublisherReport, PublisherSetup } from './publisher-orders.js'
import type { LabRow, LabTransport, Network } from './result.js'
import { Rig } from './rig.js'

export interface ScalePlan {
  readonly engines: readonly Engine[]
  readonly bus: BusKind
  readonly idle: {
    readonly transport: LabTransport
    readonly sessions: readonly number[]
    readonly seconds: number
    readonly settleMs: number
    /** Undefined: the default, 25. */
    readonly pingSeconds: number | undefined
  }
  readonly subscribers: {
    /** `rate`: messages to the topic a second. */
    readonly steps: readonly { readonly count: number; readonly rate: number }[]
    readonly seconds: number
  }
  readonly known: { readonly counts: readonly number[]; readonly sessions: number; readonly rate: number; readonly seconds: number }
}

const NEAR: Network = { roundTripMs: 0, stalls: 0 }
const OPENING = 100
const WARM_UP_SECONDS = 0.5
/** What is within it is called flat. */
const FLAT = 0.1
const READY_TIMEOUT_MS = 10_000

const quick = (bus: BusKind): ScalePlan => ({
  bus,
  engines: ['node'],
  idle: { transport: 'websocket', sessions: [500, 1500], seconds: 2, settleMs: 300, pingSeconds: 1 },
  subscribers: {
    steps: [
      { count: 1, rate: 100 },
      { count: 100, rate: 20 },
    ],
    seconds: 1,
  },
  known: { counts: [100, 2000], sessions: 50, rate: 200, seconds: 1 },
})

const full = (bus: BusKind): ScalePlan => ({
  bus,
  engines: ['node', 'uws'],
  // Pinged far more often than by default: else the pings of 1,000 sessions would be lost in what the processes do by themselves.
  idle: { transport: 'websocket', sessions: [1000, 5000, 15_000], seconds: 20, settleMs: 1500, pingSeconds: 1 },
  subscribers: {
    steps: [
      { count: 1, rate: 200 },
      { count: 100, rate: 50 },
      { count: 1000, rate: 10 },
      { count: 10_000, rate: 1 },
    ],
    seconds: 4,
  },
  known: { counts: [1000, 10_000, 100_000], sessions: 200, rate: 500, seconds: 3 },
})

export function scale(options: PartOptions): Promise<PartResult> {
  const bus = usualBus()
  return scaleBy(options.mode === 'quick' ? quick(bus) : full(bus), options)
}

export async function scaleBy(plan: ScalePlan, options: PartOptions): Promise<PartResult> {
  const notebook = new Notebook(options)
  for (const engine of plan.engines) {
    const { transport, sessions, seconds, settleMs, pingSeconds } = plan.idle
    const idle = placeOf(plan, 'idle', engine, transport)
    const places = sessions.map((count) => ({ ...idle, sessions: count }))
    await notebook.withServer({ engine, bus: plan.bus, deflate: false, pingSeconds }, places, async (server) => {
      const wire = server.wires[transport]
      if (wire === undefined) return
      try {
        await idleSteps(notebook, idle, { server, wire, sessions, seconds, settleMs })
      } catch (error) {
        notebook.failed(idle, error)
      }
    })
  }
  const [engine = 'node'] = plan.engines
  const broadcast = plan.subscribers.steps.map(({ count, rate }) => {
    return { ...placeOf(plan, 'broadcast', engine, 'websocket'), sessions: count, subscribers: count, rate }
  })
  const { sessions, rate } = plan.known
  const known = plan.known.counts.map((knownUsers) => ({ ...placeOf(plan, 'latency', engine, 'websocket'), sessions, rate, knownUsers }))
  await notebook.withServer({ engine, bus: plan.bus, deflate: false }, [...known, ...broadcast], async (server) => {
    await measureKnown(notebook, server, known, plan)
    for (const place of broadcast) await measureBroadcast(notebook, server, place, plan.subscribers.seconds)
  })
  const { pingSeconds } = plan.idle
  if (pingSeconds !== undefined)
    notebook.note(`Idle sessions of scale were pinged every ${pingSeconds} s (25 by default), which is most of what they cost.`)
  for (const sentence of bendsOf(notebook.rows)) notebook.note(sentence)
  return notebook.result
}

function placeOf({ bus }: ScalePlan, scenario: LabRow['scenario'], engine: Engine, transport: LabTransport): Place {
  return {
    part: 'scale',
    scenario,
    server: 'holdwire',
    engine,
    bus,
    transport,
    network: NEAR,
    round: 1,
    sessions: 0,
    rate: undefined,
    sizeBytes: 200,
    subscribers: undefined,
    knownUsers: undefined,
  }
}

async function measureBroadcast(notebook: Notebook, server: Holdwire, place: Place, seconds: number): Promise<void> {
  const { sessions: users, rate = 1 } = place
  await notebook.row(place, async () => {
    const { root, seed, places, progress } = notebook.options
    const topic = `lab-${users}`
    const wire = { kind: 'websocket', port: server.wires.websocket?.port ?? 0, settings: { topic } }
    const sink = { kind: 'holdwire-http', url: server.internalUrl, settings: {} }
    const { processes } = server
    const firstUser = notebook.newUsers(users)
    const { sizeBytes } = place
    const shared = { root, seed, places, progress, processes, network: NEAR, sizeBytes }
    const rig = await Rig.open({ ...shared, wire, sink, topic, users, firstUser, concurrency: OPENING })
    try {
      return await rig.latency(rate, seconds)
    } finally {
      rig.close()
    }
  })
}

/** Each of the known users has a mailbox with one message in it, and is not connected. */
async function measureKnown(notebook: Notebook, server: Holdwire, known: readonly Place[], plan: ScalePlan): Promise<void> {
  const { sessions, rate, seconds } = plan.known
  const { root, seed, places, progress } = notebook.options
  const { processes, sink } = server
  const wire = server.wires.websocket
  if (wire === undefined) return
  const nats = processes.find(({ name }) => name === 'nats-server')
  const natsBytes = () => (nats === undefined ? 0 : memoryOf(nats.pid).rssBytes)
  const before = natsBytes()
  let made = 0
  for (const place of known) {
    const count = place.knownUsers ?? 0
    await notebook.row(place, async () => {
      progress.update(`making ${count - made} users known`)
      await makeKnown(notebook, sink, count - made)
      made = count
      const rig = await Rig.open({
        ...{ root, seed, places, progress, processes, sink, wire, network: NEAR, sizeBytes: place.sizeBytes },
        ...{ users: sessions, firstUser: notebook.newUsers(sessions), concurrency: OPENING },
      })
      try {
        await rig.latency(rate, WARM_UP_SECONDS)
        return await rig.latency(rate, seconds)
      } finally {
        rig.close()
      }
    })
  }
  if (made > 0 && nats !== undefined) {
    const each = Math.round((natsBytes() - before) / made)
    notebook.note(`A known user with one message waiting took ${each} bytes of nats-server's memory (RSS), over ${made} users.`)
  }
}

async function makeKnown(notebook: Notebook, sink: SinkTarget, users: number): Promise<void> {
  const { root, seed, places } = notebook.options
  const setup: PublisherSetup = { sink, users, firstUser: notebook.newUsers(users), seed, sizeBytes: 200, topic: undefined }
  const script = join(root, 'bench', 'lab', 'publisher.js')
  const publisher = new Child<PublisherOrder, PublisherReport>('publisher', script, [JSON.stringify(setup)], () => undefined)
  places.put('load', publisher.pid)
  try {
    await publisher.next('ready', READY_TIMEOUT_MS)
    const published = publisher.next('published', READY_TIMEOUT_MS + users)
    publisher.tell({ kind: 'each' })
    const { refused } = await published
    if (refused > 0) throw new Error(`${refused} users could not be made known`)
  } finally {
    publisher.kill()
  }
}

/** What a row costs for each unit of its work, and how much work that was. */
interface Curve {
  readonly what: string
  readonly unit: string
  readonly rows: readonly LabRow[]
  readonly work: (row: LabRow) => number
  readonly cost: (row: LabRow) => number | undefined
  readonly digits: number
}

/** A sentence for each curve: flat, or where it bends and whose share has grown. */
export function bendsOf(rows: readonly LabRow[]): string[] {
  const counted = rows.filter(({ invalid }) => invalid.length === 0)
  const idle = counted.filter(({ scenario }) => scenario === 'idle')
  const engines = [...new Set(idle.map(({ engine }) => engine))]
  const curves: Curve[] = [
    ...engines.flatMap((engine) => {
      const own = idle.filter((row) => row.engine === engine)
      const work = (row: LabRow) => row.sessions
      return [
        {
          ...{ what: `${engine}: CPU of an idle session a second`, unit: 'µs', rows: own, work, digits: 2 },
          cost: ({ figures }: LabRow) => figures.cpuUsPerSessionSecond,
        },
        {
          ...{ what: `${engine}: memory of an idle session (PSS)`, unit: 'bytes', rows: own, work, digits: 0 },
          cost: ({ figures }: LabRow) => figures.pssBytesPerSession,
        },
      ]
    }),
    {
      what: 'CPU of a delivery to a subscriber',
      unit: 'µs',
      rows: counted.filter(({ scenario }) => scenario === 'broadcast'),
      work: ({ subscribers }) => subscribers ?? 0,
      cost: ({ figures }) => figures.cpuUsPerMessage,
      digits: 1,
    },
    {
      what: 'latency p50 with users known to the bus',
      unit: 'µs',
      rows: counted.filter(({ scenario }) => scenario === 'latency'),
      work: ({ knownUsers }) => knownUsers ?? 0,
      cost: ({ figures }) => figures.latencyUs?.p50,
      digits: 0,
    },
    {
      what: 'CPU of a message with users known to the bus',
      unit: 'µs',
      rows: counted.filter(({ scenario }) => scenario === 'latency'),
      work: ({ knownUsers }) => knownUsers ?? 0,
      cost: ({ figures }) => figures.cpuUsPerMessage,
      digits: 1,
    },
  ]
  return curves.flatMap((curve) => sentenceOf(curve) ?? [])
}

function sentenceOf({ what, unit, rows, work, cost, digits }: Curve): string | undefined {
  const points = rows
    .map((row) => ({ row, work: work(row), cost: cost(row) ?? Number.NaN }))
    .filter((point) => Number.isFinite(point.cost))
    .sort((a, b) => a.work - b.work)
  const [first, ...others] = points
  if (first === undefined || others.length === 0) return undefined
  const told = points.map((point) => `${point.cost.toFixed(digits)} at ${point.work.toLocaleString('en')}`).join(', ')
  const line = `${what}: ${told} (${unit})`
  const costs = points.map((point) => point.cost)
  if (Math.min(...costs) <= 0) return `${line}: too little to be told from what the processes do by themselves.`
  const spread = Math.max(...costs) / Math.min(...costs) - 1
  if (spread <= FLAT) return `${line}: flat, within ${Math.max(1, Math.ceil(spread * 100))} %.`
  const bend = points.slice(1).find((point, index) => Math.abs(point.cost / (points[index]?.cost ?? 1) - 1) > FLAT)
  if (bend === undefined) return `${line}: it drifts by ${Math.round(spread * 100)} % without a bend.`
  const before = points[points.indexOf(bend) - 1] ?? first
  return `${line}: it bends ${bend.cost < before.cost ? 'down' : 'up'} between ${before.work.toLocaleString('en')} and ${bend.work.toLocaleString('en')}${whyOf(before.row, bend.row)}.`
}

/** Whose CPU has changed most; '' when that is not known. */
function whyOf({ figures: before }: LabRow, { figures: after }: LabRow): string {
  const changes = Object.entries(after.cpuUsByProcess ?? {}).map(([name, us]) => ({ name, us: us - (before.cpuUsByProcess?.[name] ?? 0) }))
  const [most] = changes.sort((a, b) => Math.abs(b.us) - Math.abs(a.us))
  if (most === undefined) return ''
  return `, mostly in ${most.name} (${most.us >= 0 ? '+' : '−'}${Math.abs(most.us).toFixed(1)} µs for each)`
}
