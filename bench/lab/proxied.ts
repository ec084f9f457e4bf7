// The delaying proxy as the conductor has it: a process that puts distance in front of ports.

import { join } from 'node:path'
import { Child } from '../child.js'
import type { ProxyFigures, ProxyOrder, ProxyReport } from './proxy/orders.js'
import type { Network } from './result.js'

const TIMEOUT_MS = 10_000

export class Proxied {
  readonly #child: Child<ProxyOrder, ProxyReport>

  constructor(root: string) {
    this.#child = new Child('proxy', join(root, 'bench', 'lab', 'proxy', 'proxy.js'), [], () => undefined)
  }

  get pid(): number {
    return this.#child.pid
  }

  /** The port behind which `port` is, that far away. */
  async listen(port: number, network: Network, seed: number): Promise<number> {
    const listening = this.#child.next('listening', TIMEOUT_MS)
    this.#child.tell({ kind: 'listen', port, network, seed })
    return (await listening).port
  }

  reset(): void {
    this.#child.tell({ kind: 'reset' })
  }

  async figures(): Promise<ProxyFigures> {
    const report = this.#child.next('report', TIMEOUT_MS)
    this.#child.tell({ kind: 'report' })
    return await report
  }

  close(): void {
    this.#child.kill()
  }
}
