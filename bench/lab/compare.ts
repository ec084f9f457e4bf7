// All transports of Holdwire side by side: engines, buses, rates, and networks that are further away than loopback.

import { boshCycles } from './bosh-cycles.js'
import { type BusKind, type Engine, type Holdwire, TRANSPORTS, usualBus } from './holdwire.js'
import { idleSteps } from './idle-steps.js'
import { Notebook, type Place } from './notebook.js'
import type { PartOptions, PartResult } from './part.js'
import type { LabTransport, Network } from './result.js'
import { Rig, type RigOptions } from './rig.js'
import { subscribe } from './subscribe.js'

export interface ComparePlan {
  readonly sides: readonly {
    readonly engine: Engine
    readonly bus: BusKind
    readonly transports: readonly LabTransport[]
    /** Messages a second, over all sessions. */
    readonly rates: readonly number[]
    /** Beside latency: maximum, broadcast, cycles, resumption. */
    readonly whole: boolean
  }[]
  readonly sessions: number
  readonly sizeBytes: number
  /** Of each measurement. */
  readonly seconds: number
  /** `maximum`: messages under way. */
  readonly window: number
  /** Messages to the topic a second. */
  readonly broadcastRate: number
  readonly far: {
    readonly engine: Engine
    readonly bus: BusKind
    readonly networks: readonly Network[]
    readonly transports: readonly LabTransport[]
    readonly sessions: number
    readonly rate: number
    readonly seconds: number
  }
  readonly idle: {
    readonly bus: BusKind
    readonly sides: readonly { readonly engine: Engine; readonly transports: readonly LabTransport[] }[]
    readonly sessions: number
    readonly seconds: number
    readonly settleMs: number
  }
}

const NEAR: Network = { roundTripMs: 0, stalls: 0 }
/** So few that a session does not wait for others that open at the same time. */
const OPENING = 8
/** Over a distance they wait for the network, not for each other. */
const OPENING_FAR = 40
const RETURNING = 8
const WARM_UP_SECONDS = 0.5

const quick = (bus: BusKind): ComparePlan => ({
  sides: [
    { engine: 'node', bus: 'nats', transports: TRANSPORTS, rates: [200], whole: false },
    { engine: 'uws', bus: 'nats', transports: ['websocket', 'keepalive', 'bosh'], rates: [200], whole: false },
    { engine: 'node', bus: 'embedded', transports: ['websocket', 'keepalive'], rates: [200], whole: false },
  ],
  sessions: 50,
  sizeBytes: 200,
  seconds: 0.8,
  window: 500,
  broadcastRate: 20,
  far: {
    engine: 'node',
    bus,
    networks: [{ roundTripMs: 50, stalls: 0 }],
    transports: ['websocket', 'keepalive', 'longpoll', 'bosh'],
    sessions: 40,
    rate: 100,
    seconds: 1,
  },
  idle: {
    bus,
    sides: [{ engine: 'node', transports: ['websocket', 'keepalive'] }],
    sessions: 500,
    seconds: 1,
    settleMs: 500,
  },
})

const full = (bus: BusKind): ComparePlan => ({
  sides: [
    { engine: 'node', bus: 'nats', transports: TRANSPORTS, rates: [200, 2000], whole: true },
    { engine: 'uws', bus: 'nats', transports: TRANSPORTS, rates: [200, 2000], whole: true },
    { engine: 'node', bus: 'embedded', transports: ['websocket', 'sse', 'keepalive', 'longpoll'], rates: [200, 2000], whole: false },
    { engine: 'uws', bus: 'embedded', transports: ['websocket', 'sse', 'keepalive', 'longpoll'], rates: [200, 2000], whole: false },
  ],
  sessions: 200,
  sizeBytes: 200,
  seconds: 2,
  window: 2000,
  broadcastRate: 10,
  far: {
    engine: 'node',
    bus,
    networks: [
      { roundTripMs: 50, stalls: 0 },
      { roundTripMs: 200, stalls: 0 },
      { roundTripMs: 50, stalls: 0.01 },
    ],
    transports: TRANSPORTS,
    sessions: 60,
    rate: 100,
    seconds: 2,
  },
  idle: {
    bus,
    sides: [
      { engine: 'node', transports: TRANSPORTS },
      { engine: 'uws', transports: ['websocket', 'websocket-deflate', 'sse', 'keepalive'] },
    ],
    sessions: 1000,
    seconds: 2,
    settleMs: 500,
  },
})

export function compare(options: PartOptions): Promise<PartResult> {
  const bus = usualBus()
  return compareBy(options.mode === 'quick' ? quick(bus) : full(bus), options)
}

export async function compareBy(plan: ComparePlan, options: PartOptions): Promise<PartResult> {
  const notebook = new Notebook(options)
  const comparison = new Comparison(plan, notebook)
  for (let round = 1; round <= options.rounds; round++) await comparison.round(round)
  notebook.note(
    'On NATS messages are published straight to the bus; on the embedded bus over the backend API, whose HTTP is part of the CPU. ' +
      'Broadcasts go over the backend API everywhere.',
  )
  return notebook.result
}

class Comparison {
  readonly #plan: ComparePlan
  readonly #notebook: Notebook
  #topics = 0

  constructor(plan: ComparePlan, notebook: Notebook) {
    this.#plan = plan
    this.#notebook = notebook
  }

  async round(round: number): Promise<void> {
    const { sides, far, idle } = this.#plan
    for (const { engine, bus, transports, rates, whole } of sides) {
      const places = transports.map((transport) => this.#place(engine, bus, transport, round))
      await this.#each(places, (server, place) => this.#near(server, place, rates, whole))
    }
    const distant = far.transports.map((transport) => ({ ...this.#place(far.engine, far.bus, transport, round), sessions: far.sessions }))
    await this.#each(distant, (server, place) => this.#far(server, place))
    for (const { engine, transports } of idle.sides) {
      // Memory that one transport has left behind would be found there by the next one.
      for (const transport of transports) {
        const place: Place = { ...this.#place(engine, idle.bus, transport, round), scenario: 'idle', sessions: idle.sessions }
        await this.#each([place], (server) => this.#idle(server, place))
      }
    }
  }

  /** One server for all transports, and one with permessage-deflate for that one. */
  async #each(places: readonly Place[], use: (server: Holdwire, place: Place) => Promise<void>): Promise<void> {
    const [{ engine = 'node', bus = 'nats' } = {}] = places
    for (const deflate of [false, true]) {
      const chosen = places.filter(({ transport }) => (transport === 'websocket-deflate') === deflate)
      if (chosen.length === 0) continue
      await this.#notebook.withServer({ engine, bus, deflate }, chosen, async (server) => {
        for (const place of chosen) await use(server, place)
      })
    }
  }

  #place(engine: Engine, bus: BusKind, transport: LabTransport, round: number): Place {
    return {
      part: 'compare',
      scenario: 'latency',
      server: 'holdwire',
      engine,
      bus,
      transport,
      network: NEAR,
      round,
      sessions: this.#plan.sessions,
      rate: undefined,
      sizeBytes: this.#plan.sizeBytes,
      subscribers: undefined,
      knownUsers: undefined,
    }
  }

  async #near(server: Holdwire, place: Place, rates: readonly number[], whole: boolean): Promise<void> {
    const { seconds, window } = this.#plan
    await this.#withRig(server, place, { concurrency: OPENING }, async (rig) => {
      await rig.latency(rates[0] ?? 1, WARM_UP_SECONDS)
      for (const rate of rates) await this.#notebook.row({ ...place, rate }, () => rig.latency(rate, seconds))
      await this.#notebook.row({ ...place, scenario: 'maximum' }, () => rig.maximum(window, seconds))
      await this.#notebook.row({ ...place, scenario: 'resume' }, () => rig.resume(RETURNING))
    })
    if (!whole) return
    await this.#broadcast(server, place)
    await this.#cycles(server, place)
  }

  async #far(server: Holdwire, place: Place): Promise<void> {
    const { networks, rate, seconds } = this.#plan.far
    for (const network of networks) {
      const there: Place = { ...place, network }
      await this.#withRig(server, there, { concurrency: OPENING_FAR }, async (rig) => {
        await this.#notebook.row({ ...there, rate }, () => rig.latency(rate, seconds))
        await this.#notebook.row({ ...there, scenario: 'resume' }, () => rig.resume(OPENING_FAR))
      })
    }
  }

  async #idle(server: Holdwire, place: Place): Promise<void> {
    const { sessions, seconds, settleMs } = this.#plan.idle
    const wire = server.wires[place.transport]
    if (wire === undefined) return
    try {
      await idleSteps(this.#notebook, place, { server, wire, sessions: [sessions], seconds, settleMs })
    } catch (error) {
      this.#notebook.failed(place, error)
    }
  }

  async #broadcast(server: Holdwire, place: Place): Promise<void> {
    const { broadcastRate, seconds, sessions } = this.#plan
    const there: Place = { ...place, scenario: 'broadcast', rate: broadcastRate, subscribers: sessions }
    const topic = `lab-${++this.#topics}`
    await this.#notebook.row(there, async () => {
      const firstUser = this.#notebook.newUsers(sessions)
      await subscribe(this.#notebook, server, topic, firstUser, sessions)
      const sink = { kind: 'holdwire-http', url: server.internalUrl, settings: {} }
      const rig = await Rig.open({ ...this.#rigOptions(server, there), firstUser, sink, topic, concurrency: OPENING })
      try {
        return await rig.latency(broadcastRate, seconds)
      } finally {
        rig.close()
      }
    })
  }

  /** Polls with nothing in them, as fast as they come back. */
  async #cycles(server: Holdwire, place: Place): Promise<void> {
    const { seconds, sessions } = this.#plan
    const there: Place = { ...place, scenario: 'cycles', sizeBytes: 0 }
    const { bosh } = server.wires
    if (place.transport === 'bosh' && bosh !== undefined) {
      const firstUser = this.#notebook.newUsers(sessions)
      await this.#notebook.row(there, () => boshCycles(this.#notebook.options, server, bosh, { sessions, firstUser, seconds }))
    }
    if (place.transport !== 'keepalive' && place.transport !== 'longpoll') return
    await this.#notebook.row(there, async () => {
      const options = this.#rigOptions(server, there)
      const wire = { ...options.wire, settings: { wait: '0' } }
      const rig = await Rig.open({ ...options, wire, firstUser: this.#notebook.newUsers(sessions), concurrency: OPENING })
      try {
        return await rig.cycles(seconds)
      } finally {
        rig.close()
      }
    })
  }

  #rigOptions(server: Holdwire, place: Place): Omit<RigOptions, 'firstUser' | 'concurrency'> {
    const { root, seed, places, progress } = this.#notebook.options
    const wire = server.wires[place.transport]
    if (wire === undefined) throw new Error(`no wire for ${place.transport}`)
    const { sink, processes } = server
    const { network, sessions, sizeBytes } = place
    return { root, wire, sink, processes, network, users: sessions, seed, sizeBytes, places, progress }
  }

  /** Opens the sessions, which is a row of its own, and then measures what `use` does. */
  async #withRig(
    server: Holdwire,
    place: Place,
    { concurrency }: { concurrency: number },
    use: (rig: Rig) => Promise<void>,
  ): Promise<void> {
    const { progress } = this.#notebook.options
    progress.update(`${place.engine} ${place.bus} ${place.transport}, ${place.network.roundTripMs} ms: opening`)
    const opened: Rig[] = []
    await this.#notebook.row({ ...place, scenario: 'open' }, async () => {
      const firstUser = this.#notebook.newUsers(place.sessions)
      const rig = await Rig.open({ ...this.#rigOptions(server, place), firstUser, concurrency })
      opened.push(rig)
      return { figures: { openMs: await rig.opening() }, invalid: [] }
    })
    try {
      for (const rig of opened) await use(rig)
    } catch (error) {
      this.#notebook.failed(place, error)
    } finally {
      for (const rig of opened) rig.close()
    }
  }
}
