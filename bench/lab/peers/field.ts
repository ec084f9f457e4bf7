// Who takes part: Holdwire's engines and the servers of the recipes, started one by one or all together, and stopped.

import { NotInstalled } from '../../contestant.js'
import { userName } from '../../orders.js'
import type { Contender, SinkTarget } from '../contender.js'
import { type Engine, startHoldwire } from '../holdwire.js'
import type { PartOptions } from '../part.js'
import type { LabServerInfo, LabTransport } from '../result.js'
import type { PeersPlan } from './plan.js'

export interface Entrant {
  readonly name: string
  /** Holdwire only. */
  readonly engine: Engine | undefined
  start(): Promise<Contender>
}

export interface Running extends Entrant {
  readonly contender: Contender
}

const EPHEMERAL = 'holdwire-ephemeral'
/** Servers that are being started at any time: each takes a core for a while. */
const STARTING = 3
/** More than the sessions that are counted are opened for warming up. */
const SPARE_USERS = 100

export class Field {
  /** In the order in which they take turns. */
  readonly entrants: readonly Entrant[]
  readonly servers: LabServerInfo[] = []
  readonly #options: PartOptions
  readonly #ephemeral: readonly LabTransport[]
  readonly #skipped = new Map<string, string>()
  /** Started and not stopped. */
  readonly #running = new Set<Contender>()

  constructor({ engines, recipes, sessions, idle, ephemeral }: PeersPlan, options: PartOptions) {
    const { root, places } = options
    const onStarted = (pid: number) => places.put('server', pid)
    const users = Array.from({ length: Math.max(sessions, idle?.sessions ?? 0) + SPARE_USERS }, (_, index) => userName(index))
    this.#options = options
    this.#ephemeral = ephemeral
    this.entrants = [
      ...engines.map((engine) => ({
        name: 'holdwire',
        engine,
        start: () => startHoldwire({ root, engine, bus: 'nats', deflate: false, onStarted }),
      })),
      ...recipes.map((recipe) => ({ name: recipe.name, engine: undefined, start: () => recipe.start({ root, users, onStarted }) })),
    ]
  }

  get skipped(): readonly { readonly name: string; readonly reason: string }[] {
    return [...this.#skipped].map(([name, reason]) => ({ name, reason }))
  }

  /** Undefined: it can't be had, now or before, and is skipped. Does not throw. */
  async start(entrant: Entrant): Promise<Running | undefined> {
    const { progress, places } = this.#options
    const label = labelOf(entrant)
    if (this.#skipped.has(label)) return undefined
    progress.update(`${label}: starting`)
    try {
      const contender = await entrant.start()
      this.#running.add(contender)
      // Some have started others that nobody was told of.
      for (const { pid } of contender.processes) places.put('server', pid)
      this.#name(contender)
      return { ...entrant, contender }
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      const reason = error instanceof NotInstalled ? why : `did not start: ${why}`
      this.#skipped.set(label, reason)
      progress.say(`${label}: skipped: ${reason}`)
      return undefined
    }
  }

  /** Those that can be had. */
  async startAll(): Promise<Running[]> {
    const { signal } = this.#options
    const left = [...this.entrants]
    const all = new Map<Entrant, Running>()
    const startSome = async () => {
      for (let entrant = left.shift(); entrant !== undefined && !signal.aborted; entrant = left.shift()) {
        const running = await this.start(entrant)
        if (running !== undefined) all.set(entrant, running)
      }
    }
    // None of them throws: whoever was started by then is known, and will be stopped.
    await Promise.all(Array.from({ length: STARTING }, startSome))
    signal.throwIfAborted()
    return this.entrants.flatMap((entrant) => {
      const running = all.get(entrant)
      return running === undefined ? [] : [running, ...this.#variants(running)]
    })
  }

  async stop(contender: Contender): Promise<void> {
    if (this.#running.delete(contender)) await contender.stop()
  }

  async stopAll(): Promise<void> {
    await Promise.all([...this.#running].map((one) => this.stop(one)))
  }

  /** The same server, to which messages come in another way. */
  #variants(running: Running): Running[] {
    const { contender, engine } = running
    if (engine === undefined || this.#ephemeral.length === 0) return []
    const { topicSink, cycleSettings: _, ...rest } = contender
    const wires = Object.fromEntries(Object.entries(contender.wires).filter(([name]) => this.#ephemeral.some((one) => one === name)))
    const variant = {
      ...rest,
      name: EPHEMERAL,
      recipe: `${contender.recipe}; messages past the store`,
      wires,
      sink: pastTheStore(contender.sink),
      ...(topicSink === undefined ? {} : { topicSink: pastTheStore(topicSink) }),
    }
    this.#name(variant)
    return [{ ...running, name: EPHEMERAL, contender: variant }]
  }

  #name({ name, version, recipe }: LabServerInfo): void {
    if (this.servers.some((one) => one.recipe === recipe)) return
    this.servers.push({ name, version, recipe })
    this.#options.progress.say(`${name} ${version}: ${recipe}`)
  }
}

function pastTheStore(sink: SinkTarget): SinkTarget {
  return { ...sink, settings: { ...sink.settings, ephemeral: 'on' } }
}

function labelOf({ name, engine }: Entrant): string {
  return engine === undefined ? name : `${name} (${engine})`
}
