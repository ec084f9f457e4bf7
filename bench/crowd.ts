// The clients of one measurement: a generator process, its sessions opened, its figures fetched.

import { join } from 'node:path'
import { Child } from './child.js'
import type { GeneratorFigures, GeneratorOrder, GeneratorReport, TransportName } from './orders.js'
import type { Progress } from './progress.js'

export interface CrowdOptions {
  readonly root: string
  readonly port: number
  readonly transport: TransportName
  readonly users: number
  readonly firstUser: number
  readonly ackEvery: number
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
  static async open({ root, ...rest }: CrowdOptions, progress: Progress): Promise<Crowd> {
    const crowd = new Crowd(root, progress)
    crowd.#child.tell({ kind: 'open', concurrency: CONCURRENCY, waitSeconds: WAIT_SECONDS, ...rest })
    const { open, failed, why } = await crowd.#child.next('opened', 30_000 + rest.users * 10)
    if (failed > 0) {
      crowd.close()
      throw new Error(`${open} sessions opened, ${failed} did not: ${JSON.stringify(why)}`)
    }
    return crowd
  }

  get pid(): number {
    return this.#child.pid
  }

  watch(): void {
    this.#child.tell({ kind: 'watch' })
  }

  reset(): void {
    this.#child.tell({ kind: 'reset' })
  }

  async figures(): Promise<GeneratorFigures> {
    const report = this.#child.next('report', REPORT_TIMEOUT_MS)
    this.#child.tell({ kind: 'report' })
    const { counts, latency, open, lost, load } = await report
    return { counts, latency, open, lost, load }
  }

  close(): void {
    this.#child.tell({ kind: 'close' })
  }
}
