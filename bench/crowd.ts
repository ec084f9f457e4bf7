// The clients of one measurement: a generator process, its sessions opened, its figures fetched.

import { join } from 'node:path'
import { Child } from './child.js'
import type { WireTarget } from './lab/contender.js'
import type { GeneratorFigures, GeneratorOrder, GeneratorReport } from './orders.js'
import type { Progress } from './progress.js'

export interface CrowdOptions {
  readonly root: string
  readonly wire: WireTarget
  readonly users: number
  readonly firstUser: number
  readonly ackEvery: number
  /** Undefined: 100. */
  readonly concurrency?: number
  /** To open all of them; undefined: half a minute and 10 ms for each. */
  readonly timeoutMs?: number
  /** Told of the generator process before it does anything. */
  readonly onStarted?: (pid: number) => void
}

const CONCURRENCY = 100
/** Polls are held as long as they may be, so that few are answered while idle sessions are measured. */
const WAIT_SECONDS = 120
const REPORT_TIMEOUT_MS = 10_000

export class Crowd {
  readonly #child: Child<GeneratorOrder, GeneratorReport>
  /** Told of the number of messages received, a few hundred times a second once `watch` was called. */
  onReceived: (received: number) => void = () => undefined

  private constructor(root: string, progress: Progress) {
    this.#child = new Child('generator', join(root, 'bench', 'generator.js'), [], (report: GeneratorReport) => {
      if (report.kind === 'opening') progress.update(`${report.open} sessions open`)
      else if (report.kind === 'received') this.onReceived(report.received)
    })
  }

  /** Throws when not every session could be opened. */
  static async open(options: CrowdOptions, progress: Progress): Promise<Crowd> {
    const { root, wire, users, firstUser, ackEvery, concurrency = CONCURRENCY, timeoutMs = 30_000 + users * 10 } = options
    const crowd = new Crowd(root, progress)
    options.onStarted?.(crowd.pid)
    try {
      const opened = crowd.#child.next('opened', timeoutMs)
      crowd.#child.tell({ kind: 'open', wire, users, firstUser, ackEvery, concurrency, waitSeconds: WAIT_SECONDS })
      const { open, failed, why } = await opened
      if (failed > 0) throw new Error(`${open} sessions opened, ${failed} did not: ${JSON.stringify(why)}`)
    } catch (error) {
      crowd.#child.kill()
      throw error
    }
    return crowd
  }

  get pid(): number {
    return this.#child.pid
  }

  watch(): void {
    this.#child.tell({ kind: 'watch' })
  }

  /** When this is over, what comes counts anew. */
  async reset(): Promise<void> {
    this.#child.tell({ kind: 'reset' })
    await this.figures()
  }

  async figures(): Promise<GeneratorFigures> {
    const report = this.#child.next('report', REPORT_TIMEOUT_MS)
    this.#child.tell({ kind: 'report' })
    const { kind: _, ...figures } = await report
    return figures
  }

  async cut(): Promise<void> {
    const cut = this.#child.next('cut', REPORT_TIMEOUT_MS)
    this.#child.tell({ kind: 'cut' })
    await cut
  }

  /** Until the next message of each has come on its new connection. */
  async return(concurrency: number, timeoutMs: number): Promise<void> {
    const returned = this.#child.next('returned', timeoutMs)
    this.#child.tell({ kind: 'return', concurrency })
    await returned
  }

  close(): void {
    this.#child.tell({ kind: 'close' })
  }
}
