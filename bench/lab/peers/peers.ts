// Holdwire beside other servers that are installed: the same load, on the same machine, in the same run, in turns.
//
// First memory, of one server at a time: each begins anew for each transport, since what one has left behind another would find there.
// Then all run, and take turns at each thing that is measured, A B C A B C: so what the machine does at the time meets all alike. Those
// whose turn it is not have no sessions then, and nothing to do.

import { boshCycles } from '../bosh-cycles.js'
import type { Contender } from '../contender.js'
import { idleSteps } from '../idle-steps.js'
import { Notebook, type Place } from '../notebook.js'
import type { PartOptions, PartResult } from '../part.js'
import type { LabTransport } from '../result.js'
import { Rig } from '../rig.js'
import { subscribe } from '../subscribe.js'
import { comparisonNotes } from './comparison-notes.js'
import { type Entrant, Field, type Running } from './field.js'
import { FULL, type IdlePlan, type PeersPlan, QUICK } from './plan.js'
import { RECIPES } from './recipes.js'

const NEAR = { roundTripMs: 0, stalls: 0 }
const WARM_UP_SECONDS = 0.3
/** Sessions being opened at any time. With more, ejabberd keeps some logins over BOSH waiting until their `wait` is over. */
const CONCURRENCY = 16

export function measurePeers(options: PartOptions): Promise<PartResult> {
  return measurePeersBy(options.mode === 'quick' ? QUICK : FULL, options)
}

export async function measurePeersBy(plan: PeersPlan, options: PartOptions): Promise<PartResult> {
  const match = new Match(plan, options)
  return await match.play()
}

class Match {
  readonly #plan: PeersPlan
  readonly #options: PartOptions
  readonly #notebook: Notebook
  readonly #field: Field
  readonly #beganMs = performance.now()
  #topics = 0

  constructor(plan: PeersPlan, options: PartOptions) {
    this.#plan = plan
    this.#options = options
    this.#notebook = new Notebook(options)
    this.#field = new Field(plan, options)
  }

  async play(): Promise<PartResult> {
    const { signal } = this.#options
    const stop = () => void this.#field.stopAll()
    signal.addEventListener('abort', stop, { once: true })
    try {
      const { idle } = this.#plan
      if (idle !== undefined) for (const entrant of this.#field.entrants) await this.#idleOf(entrant, idle)
      const all = await this.#field.startAll()
      const rounds = Math.max(this.#plan.rounds, this.#options.rounds)
      for (let round = 1; round <= rounds; round++) {
        for (const transport of this.#plan.transports) await this.#round(round, transport, all)
      }
    } finally {
      signal.removeEventListener('abort', stop)
      await this.#field.stopAll()
    }
    const { rows, notes } = this.#notebook.result
    const unasked = RECIPES.filter((one) => !this.#plan.recipes.includes(one)).map(({ name }) => ({ name, reason: 'not in this mode' }))
    const skipped = [...this.#field.skipped, ...unasked]
    const compared = comparisonNotes(rows)
    for (const line of compared) this.#options.progress.say(line)
    return { servers: this.#field.servers, skipped, rows, notes: [...compared, ...notes] }
  }

  /** Memory of idle sessions: a new server for each transport. */
  async #idleOf(entrant: Entrant, plan: IdlePlan): Promise<void> {
    let left: readonly LabTransport[] | undefined
    do {
      this.#options.signal.throwIfAborted()
      const running = await this.#field.start(entrant)
      if (running === undefined) return
      try {
        const { wires } = running.contender
        left ??= plan.transports.filter((one) => wires[one] !== undefined)
        const [transport] = left
        left = left.slice(1)
        if (transport !== undefined) await this.#idle(running, transport, plan)
      } finally {
        await this.#field.stop(running.contender)
      }
    } while (left.length > 0)
  }

  async #idle(running: Running, transport: LabTransport, { sessions, seconds, settleMs, share }: IdlePlan): Promise<void> {
    const { contender: server } = running
    const place: Place = { ...this.#place(running, transport, 1), scenario: 'idle', sessions, sizeBytes: 0 }
    const wire = server.wires[transport]
    if (wire === undefined) return
    if (performance.now() - this.#beganMs > share * this.#options.budgetSeconds * 1000) {
      this.#notebook.lost([place], 'there was no time left for it')
      return
    }
    // Nobody has been here before.
    let users = 0
    const newUsers = (count: number) => {
      const first = users
      users += count
      return first
    }
    try {
      await idleSteps(this.#notebook, place, { server, wire, sessions: [sessions], seconds, settleMs, newUsers })
    } catch (error) {
      this.#notebook.failed(place, error)
    }
  }

  async #round(round: number, transport: LabTransport, all: readonly Running[]): Promise<void> {
    const { halfOfMaximum, broadcast, cycles } = this.#plan
    const able = all.filter(({ contender }) => contender.wires[transport] !== undefined)
    // Ours first: the others are asked for the latency at half of our maximum by the same sessions.
    const [ours, others] = [able.filter(({ contender }) => isOurs(contender)), able.filter(({ contender }) => !isOurs(contender))]
    for (const running of ours) await this.#unicast(running, transport, round)
    const half = halfOfMaximum ? this.#halfOfMaximum(transport, round) : undefined
    if (half !== undefined) for (const running of ours) await this.#latency(running, transport, round, half)
    for (const running of others) await this.#unicast(running, transport, round, half)
    if (broadcast.transports.includes(transport)) {
      for (const running of able) if (running.contender.topicSink !== undefined) await this.#broadcast(running, transport, round)
    }
    if (cycles.includes(transport)) {
      for (const running of able) await this.#cycles(running, transport, round)
    }
  }

  /** `half`: the rate of one more measurement of latency. */
  async #unicast(running: Running, transport: LabTransport, round: number, half?: number): Promise<void> {
    const { rate, seconds, window } = this.#plan
    const place = this.#place(running, transport, round)
    const latencies: Place[] = [rate, ...(half === undefined ? [] : [half])].map((one) => ({ ...place, rate: one }))
    const maximum: Place = { ...place, scenario: 'maximum' }
    await this.#withRig(running, [...latencies, maximum], async (rig) => {
      await rig.maximum(window, WARM_UP_SECONDS)
      for (const latency of latencies) await this.#notebook.row(latency, () => rig.latency(latency.rate ?? rate, seconds))
      await this.#notebook.row(maximum, () => rig.maximum(window, seconds))
    })
  }

  async #latency(running: Running, transport: LabTransport, round: number, rate: number): Promise<void> {
    const place: Place = { ...this.#place(running, transport, round), rate }
    await this.#withRig(running, [place], async (rig) => {
      await rig.maximum(this.#plan.window, WARM_UP_SECONDS)
      await this.#notebook.row(place, () => rig.latency(rate, this.#plan.seconds))
    })
  }

  /** Of Holdwire's slower engine in this round; undefined: there is none. */
  #halfOfMaximum(transport: LabTransport, round: number): number | undefined {
    const maxima = this.#notebook.rows.flatMap((row) => {
      const isIt = row.server === 'holdwire' && row.scenario === 'maximum' && row.transport === transport && row.round === round
      return isIt && row.figures.perSecond !== undefined ? [row.figures.perSecond] : []
    })
    return maxima.length === 0 ? undefined : Math.max(10, Math.floor(Math.min(...maxima) / 20) * 10)
  }

  async #broadcast(running: Running, transport: LabTransport, round: number): Promise<void> {
    const { broadcast, seconds } = this.#plan
    const { contender } = running
    const { subscribers, rate } = broadcast
    const place: Place = { ...this.#place(running, transport, round), scenario: 'broadcast', sessions: subscribers, rate, subscribers }
    const topic = `match-${++this.#topics}`
    await this.#withRig(
      running,
      [place],
      async (rig) => {
        await this.#notebook.row(place, () => rig.latency(rate, seconds))
      },
      async (firstUser) => {
        // Of Holdwire's users, who stay subscribers; those of others subscribe with their connection.
        if (isOurs(contender)) await subscribe(this.#notebook, contender, topic, firstUser, subscribers)
        return { topic }
      },
    )
  }

  async #cycles(running: Running, transport: LabTransport, round: number): Promise<void> {
    const { seconds, sessions } = this.#plan
    const { contender } = running
    const place: Place = { ...this.#place(running, transport, round), scenario: 'cycles', sizeBytes: 0 }
    const { bosh } = contender.wires
    if (transport === 'bosh' && bosh !== undefined) {
      const firstUser = this.#firstUser(contender, sessions)
      await this.#notebook.row(place, () => boshCycles(this.#options, contender, bosh, { sessions, firstUser, seconds }))
    } else if (contender.cycleSettings !== undefined) {
      const settings = contender.cycleSettings
      await this.#withRig(
        running,
        [place],
        async (rig) => {
          await this.#notebook.row(place, () => rig.cycles(seconds))
        },
        async () => ({ settings }),
      )
    }
  }

  /** Opens the sessions of the first place's number; where that fails, all places are lost. */
  async #withRig(
    { contender }: Running,
    places: readonly Place[],
    use: (rig: Rig) => Promise<void>,
    prepare: (firstUser: number) => Promise<{ topic?: string; settings?: Readonly<Record<string, string>> }> = async () => ({}),
  ): Promise<void> {
    const { root, seed, progress, places: cores, signal } = this.#options
    const [place] = places
    const wire = place === undefined ? undefined : contender.wires[place.transport]
    if (place === undefined || wire === undefined) return
    signal.throwIfAborted()
    if (!this.#notebook.hasTime) {
      this.#notebook.lost(places, 'there was no time left for it')
      return
    }
    const { sessions: users, sizeBytes, network } = place
    const before = this.#notebook.rows.length
    let rig: Rig | undefined
    try {
      const firstUser = this.#firstUser(contender, users)
      const { topic, settings } = await prepare(firstUser)
      rig = await Rig.open({
        ...{ root, seed, progress, users, firstUser, sizeBytes, network, topic },
        wire: { ...wire, settings: { ...wire.settings, ...settings, ...topicSetting(contender, topic) } },
        sink: (topic === undefined ? undefined : contender.topicSink) ?? contender.sink,
        processes: contender.processes,
        concurrency: CONCURRENCY,
        places: cores,
      })
      await use(rig)
    } catch (error) {
      const rows = this.#notebook.rows.length - before
      for (const one of places.slice(rows)) this.#notebook.failed(one, error)
    } finally {
      rig?.close()
    }
  }

  #firstUser({ accounts }: Contender, users: number): number {
    return accounts === 'given' ? 0 : this.#notebook.newUsers(users)
  }

  #place({ name, engine }: Entrant, transport: LabTransport, round: number): Place {
    return {
      part: 'peers',
      scenario: 'latency',
      server: name,
      engine,
      bus: engine === undefined ? undefined : 'nats',
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
}

/** Holdwire's subscribers were made before. */
function topicSetting(contender: Contender, topic: string | undefined): Readonly<Record<string, string>> {
  return topic === undefined || isOurs(contender) ? {} : { topic }
}

function isOurs({ name }: Contender): boolean {
  return name.startsWith('holdwire')
}
