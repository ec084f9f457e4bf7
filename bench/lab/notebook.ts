// A part of the lab while it runs: its rows, what was skipped, and the time it has left. Nothing that fails ends it: a row that can't
// be had is one that does not count, and says why.

import { NotInstalled } from '../contestant.js'
import { type Holdwire, type HoldwireOptions, startHoldwire } from './holdwire.js'
import type { PartOptions, PartResult } from './part.js'
import type { LabRow, LabServerInfo } from './result.js'
import type { Finding } from './rig.js'
import { rowLine } from './row-line.js'

export type Place = Omit<LabRow, 'figures' | 'invalid'>

export class Notebook {
  readonly options: PartOptions
  readonly #endMs: number
  readonly #servers: LabServerInfo[] = []
  readonly #skipped: { name: string; reason: string }[] = []
  readonly #rows: LabRow[] = []
  readonly #notes: string[] = []
  #users = 0

  constructor(options: PartOptions) {
    this.options = options
    this.#endMs = performance.now() + options.budgetSeconds * 1000
  }

  get result(): PartResult {
    return { servers: this.#servers, skipped: this.#skipped, rows: this.#rows, notes: this.#notes }
  }

  get rows(): readonly LabRow[] {
    return this.#rows
  }

  get hasTime(): boolean {
    return performance.now() < this.#endMs
  }

  note(sentence: string): void {
    if (!this.#notes.includes(sentence)) this.#notes.push(sentence)
  }

  /** Index of the first of so many users whose names nobody had before. */
  newUsers(count: number): number {
    const first = this.#users
    this.#users += count
    return first
  }

  add(place: Place, { figures, invalid }: Finding): void {
    const row = { ...place, figures, invalid }
    this.#rows.push(row)
    this.options.progress.say(rowLine(row))
  }

  /** Measures, if there is time, and notes whatever comes of it. Whether it counts. */
  async row(place: Place, measure: () => Promise<Finding>): Promise<boolean> {
    this.options.signal.throwIfAborted()
    if (!this.hasTime) {
      this.lost([place], 'there was no time left for it')
      return false
    }
    try {
      this.add(place, await measure())
      return true
    } catch (error) {
      this.failed(place, error)
      return false
    }
  }

  failed(place: Place, error: unknown): void {
    this.options.signal.throwIfAborted()
    this.lost([place], sentenceOf(error))
  }

  /** Rows that could not be measured. */
  lost(places: readonly Place[], why: string): void {
    for (const place of places) this.add(place, { figures: {}, invalid: [why] })
  }

  /**
   * Runs `use` with a server of its own, which is stopped afterwards. One that is not installed is skipped; `places`: the rows that
   * are lost when it can't be started, or when there is no time.
   */
  async withServer(
    options: Pick<HoldwireOptions, 'engine' | 'bus' | 'deflate' | 'pingSeconds'>,
    places: readonly Place[],
    use: (server: Holdwire) => Promise<void>,
  ): Promise<void> {
    const { root, places: cores, progress, signal } = this.options
    signal.throwIfAborted()
    if (!this.hasTime) {
      this.lost(places, 'there was no time left for it')
      return
    }
    const name = `holdwire (${options.engine}, ${options.bus})`
    progress.update(`${name}: starting`)
    const start = () => startHoldwire({ ...options, root, onStarted: (pid) => cores.put('server', pid) })
    let server: Holdwire
    try {
      // A port that was free may be taken by one of thousands of connections before the server has it: once more, then.
      server = await start().catch((error) => (error instanceof NotInstalled ? Promise.reject(error) : start()))
    } catch (error) {
      if (error instanceof NotInstalled) this.#skip(name, error.message)
      else this.lost(places, `the server did not start: ${sentenceOf(error)}`)
      return
    }
    const { version, recipe } = server
    if (!this.#servers.some((one) => one.recipe === recipe)) this.#servers.push({ name: server.name, version, recipe })
    const stop = () => void server.stop()
    signal.addEventListener('abort', stop, { once: true })
    try {
      await use(server)
    } catch (error) {
      signal.throwIfAborted()
      this.lost(
        places.filter((place) => !this.#has(place)),
        sentenceOf(error),
      )
    } finally {
      signal.removeEventListener('abort', stop)
      await server.stop()
    }
  }

  #has(place: Place): boolean {
    const keys = ['scenario', 'transport', 'sessions', 'rate', 'subscribers', 'knownUsers', 'round', 'engine', 'bus'] as const
    return this.#rows.some((row) => keys.every((key) => row[key] === place[key]))
  }

  #skip(name: string, reason: string): void {
    if (this.#skipped.some((one) => one.name === name)) return
    this.#skipped.push({ name, reason })
    this.options.progress.say(`${name}: skipped: ${reason}`)
  }
}

function sentenceOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
