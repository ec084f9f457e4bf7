// The clients of a benchmark, all in one process of its own. Takes orders over IPC, see orders.ts.

import { LoadMeter } from './load-meter.js'
import { type GeneratorOrder, type GeneratorReport, userName } from './orders.js'
import { nowUs, scanPayloads } from './payload.js'
import { Peer, type PeerOwner } from './peer.js'
import { Tally } from './tally.js'

const PROGRESS_MS = 5
const OPENING_MS = 500

class Generator implements PeerOwner {
  readonly #order: GeneratorOrder & { kind: 'open' }
  readonly #tally: Tally
  readonly #load = new LoadMeter()
  readonly #peers = new Map<number, Peer>()
  readonly #ready = new Set<number>()
  readonly #lost = new Map<string, number>()
  readonly #timers: NodeJS.Timeout[] = []
  #phase: 'opening' | 'running' = 'opening'
  #next = 0

  constructor(order: GeneratorOrder & { kind: 'open' }) {
    this.#order = order
    this.#tally = new Tally(order.users)
    this.#timers.push(setInterval(() => this.#phase === 'opening' && tell({ kind: 'opening', open: this.#ready.size }), OPENING_MS))
    for (let i = 0; i < order.concurrency; i++) this.#openNext()
  }

  #openNext(): void {
    const { users, firstUser, port, transport, ackEvery, waitSeconds } = this.#order
    if (this.#next >= users) return
    const index = this.#next++
    this.#peers.set(index, new Peer(this, index, port, transport, { user: userName(firstUser + index), ackEvery, waitSeconds }))
  }

  #settled(): void {
    this.#openNext()
    const failed = this.#lostCount()
    if (this.#phase === 'running' || this.#ready.size + failed < this.#order.users) return
    this.#phase = 'running'
    tell({ kind: 'opened', open: this.#ready.size, failed, why: Object.fromEntries(this.#lost) })
  }

  #lostCount(): number {
    return [...this.#lost.values()].reduce((sum, count) => sum + count, 0)
  }

  opened(peer: Peer): void {
    this.#ready.add(peer.index)
    this.#settled()
  }

  frames(peer: Peer, bytes: Buffer): void {
    const now = nowUs()
    scanPayloads(bytes, (k, intendedUs) => this.#tally.take(peer.index, k, now - intendedUs))
  }

  ended(peer: Peer, why: string): void {
    this.#peers.delete(peer.index)
    this.#ready.delete(peer.index)
    this.#lost.set(why, (this.#lost.get(why) ?? 0) + 1)
    this.#settled()
  }

  watch(): void {
    let told = -1
    const progress = () => {
      const { received } = this.#tally.counts
      if (received === told) return
      told = received
      tell({ kind: 'received', received })
    }
    this.#timers.push(setInterval(progress, PROGRESS_MS))
  }

  reset(): void {
    this.#tally.resetLatency()
    this.#load.reset()
  }

  report(): void {
    const { counts, latency } = this.#tally
    tell({ kind: 'report', counts, latency, open: this.#ready.size, lost: Object.fromEntries(this.#lost), load: this.#load.read() })
  }

  close(): void {
    for (const timer of this.#timers) clearInterval(timer)
    for (const peer of this.#peers.values()) peer.close()
    process.disconnect()
  }
}

function tell(report: GeneratorReport): void {
  process.send?.(report)
}

let generator: Generator | undefined
process.on('message', (order: GeneratorOrder) => {
  if (order.kind === 'open') generator = new Generator(order)
  else generator?.[order.kind]()
})
// The conductor is gone: nobody is left to measure for.
process.on('disconnect', () => process.exit())
