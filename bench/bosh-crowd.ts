// The BOSH clients of one turn of a server: a generator process, its sessions logged in, told what to do, logged out.

import { join } from 'node:path'
import type { BoshFigures, BoshOrder, BoshReport, BoshRunOrder } from './bosh-orders.js'
import { Child } from './child.js'
import { type Contestant, PASSWORD } from './contestant.js'
import type { Progress } from './progress.js'

const CONCURRENCY = 50
const WAIT_SECONDS = 60
const CLOSE_TIMEOUT_MS = 5000

export class BoshCrowd {
  readonly #child: Child<BoshOrder, BoshReport>

  private constructor(root: string, label: string, progress: Progress) {
    this.#child = new Child('generator', join(root, 'bench', 'bosh-generator.js'), [], (report: BoshReport) => {
      if (report.kind === 'opening') progress.update(`${label}: ${report.open} sessions open`)
    })
  }

  /** Throws when not every session could be opened. */
  static async open(
    root: string,
    server: Contestant,
    sessions: number,
    seed: number,
    progress: Progress,
    firstUser = 0,
  ): Promise<BoshCrowd> {
    const crowd = new BoshCrowd(root, server.name, progress)
    const { ports, path, domain } = server
    const login = { ports, path, domain, password: PASSWORD }
    crowd.#child.tell({ kind: 'open', ...login, sessions, firstUser, seed, concurrency: CONCURRENCY, waitSeconds: WAIT_SECONDS })
    try {
      const { open, failed, why } = await crowd.#child.next('opened', 30_000 + sessions * 50)
      if (failed > 0) throw new Error(`${server.name}: ${open} sessions opened, ${failed} did not: ${JSON.stringify(why)}`)
    } catch (error) {
      crowd.#child.kill()
      throw error
    }
    return crowd
  }

  async run(order: Omit<BoshRunOrder, 'kind'>): Promise<BoshFigures> {
    const ran = this.#child.next('ran', order.seconds * 1000 + 30_000)
    this.#child.tell({ kind: 'run', ...order })
    return ran
  }

  get pid(): number {
    return this.#child.pid
  }

  /** Sessions are ended as the protocol wants it, so that they are no burden to what is measured next. */
  async close(): Promise<void> {
    const closed = this.#child.next('closed', CLOSE_TIMEOUT_MS)
    this.#child.tell({ kind: 'close' })
    await closed.finally(() => this.#child.kill())
  }
}
