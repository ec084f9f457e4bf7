// The clients of a benchmark, all in one process of its own. Takes orders over IPC, see orders.ts.

import { DurationHistogram } from './duration-histogram.js'
import { LoadMeter } from './load-meter.js'
import { type GeneratorOrder, type GeneratorReport, userName } from './orders.js'
import { nowUs, scanPayloads } from './payload.js'
import { Peer, type PeerOwner, type PeerTraffic } from './peer.js'
import { Tally } from './tally.js'
import { type MakeWire, wireOf } from './wires.js'

const PROGRESS_MS = 5
const OPENING_MS = 500

type OpenOrder = GeneratorOrder & { kind: 'open' }

class Generator implements PeerOwner {
  readonly #order: OpenOrder
  readonly #makeWire: MakeWire
  readonly #tally: Tally
  readonly #load = new LoadMeter()
  readonly #traffic: PeerTraffic = { upBytes: 0, downBytes: 0 }
  readonly #peers = new Map<number, Peer>()
  readonly #ready = new Set<number>()
  readonly #lost = new Map<string, number>()
  readonly #timers: NodeJS.Timeout[] = []
  readonly #opening = new DurationHistogram()
  readonly #returning = new DurationHistogram()
  /** When the present connection of each was begun; 0: what has come since shows that it is there. */
  readonly #begunUs: Float64Array
  /** Peers that were cut, and are still to be connected. */
  readonly #away: Peer[] = []
  /** Connected again, and without a message so far. */
  #onTheirWay = 0
  #batches = 0
  #phase: 'opening' | 'running' | 'returning' = 'opening'
  #next = 0

  constructor(order: OpenOrder) {
    this.#order = order
    this.#makeWire = wireOf(order.wire.kind)
    this.#tally = new Tally(order.users)
    this.#begunUs = new Float64Array(order.users)
    this.#timers.push(setInterval(() => this.#phase === 'opening' && tell({ kind: 'opening', open: this.#ready.size }), OPENING_MS))
    for (let i = 0; i < order.concurrency; i++) this.#openNext()
  }

  #openNext(): void {
    const { users, firstUser, wire, ackEvery, waitSeconds } = this.#order
    if (this.#next >= users) return
    const index = this.#next++
    const options = { user: userName(firstUser + index), ackEvery, waitSeconds, settings: wire.settings }
    this.#begunUs[index] = nowUs()
    this.#peers.set(index, new Peer(this, index, wire.port, this.#makeWire, options, this.#traffic))
  }

  #settled(): void {
    if (this.#phase !== 'opening') return
    this.#openNext()
    const failed = this.#lostCount()
    if (this.#ready.size + failed < this.#order.users) return
    this.#phase = 'running'
    tell({ kind: 'opened', open: this.#ready.size, failed, why: Object.fromEntries(this.#lost) })
  }

  #lostCount(): number {
    return [...this.#lost.values()].reduce((sum, count) => sum + count, 0)
  }

  opened(peer: Peer): void {
    if (this.#ready.has(peer.index)) return
    this.#ready.add(peer.index)
    this.#opening.record(nowUs() - (this.#begunUs[peer.index] ?? 0))
    this.#begunUs[peer.index] = 0
    this.#settled()
  }

  frames(peer: Peer, bytes: Buffer): void {
    const now = nowUs()
    this.#batches++
    let messages = 0
    scanPayloads(bytes, (k, intendedUs) => {
      messages++
      this.#tally.take(peer.index, k, now - intendedUs)
    })
    if (messages > 0 && this.#phase === 'returning') this.#isBack(peer, now)
  }

  ended(peer: Peer, why: string): void {
    this.#peers.delete(peer.index)
    this.#ready.delete(peer.index)
    this.#lost.set(why, (this.#lost.get(why) ?? 0) + 1)
    if (this.#phase === 'returning') this.#isBack(peer, undefined)
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
    this.#batches = 0
    this.#traffic.upBytes = 0
    this.#traffic.downBytes = 0
  }

  cut(): void {
    for (const peer of this.#peers.values()) {
      peer.cut()
      this.#away.push(peer)
    }
    tell({ kind: 'cut' })
  }

  return(concurrency: number): void {
    this.#phase = 'returning'
    this.#returning.reset()
    for (let i = 0; i < concurrency; i++) this.#returnNext()
    this.#allBack()
  }

  #returnNext(): void {
    const peer = this.#away.pop()
    if (peer === undefined) return
    this.#begunUs[peer.index] = nowUs()
    this.#onTheirWay++
    peer.connect()
  }

  /** `now`: undefined when it has ended instead. */
  #isBack(peer: Peer, now: number | undefined): void {
    const begunUs = this.#begunUs[peer.index] ?? 0
    if (begunUs === 0) return
    this.#begunUs[peer.index] = 0
    this.#onTheirWay--
    if (now !== undefined) this.#returning.record(now - begunUs)
    this.#returnNext()
    this.#allBack()
  }

  #allBack(): void {
    if (this.#onTheirWay > 0 || this.#phase !== 'returning') return
    this.#phase = 'running'
    tell({ kind: 'returned' })
  }

  report(): void {
    tell({
      kind: 'report',
      counts: this.#tally.counts,
      latency: this.#tally.latencyFigures,
      opening: this.#opening.figures,
      returning: this.#returning.figures,
      traffic: this.#traffic,
      batches: this.#batches,
      open: this.#ready.size,
      lost: Object.fromEntries(this.#lost),
      load: this.#load.read(),
    })
  }

  close(): void {
    for (const timer of this.#timers) clearInterval(timer)
    for (const peer of this.#peers.values()) peer.leave()
    process.disconnect()
  }
}

function tell(report: GeneratorReport): void {
  process.send?.(report)
}

let generator: Generator | undefined
process.on('message', (order: GeneratorOrder) => {
  if (order.kind === 'open') generator = new Generator(order)
  else if (order.kind === 'return') generator?.return(order.concurrency)
  else generator?.[order.kind]()
})
// The conductor is gone: nobody is left to measure for.
process.on('disconnect', () => process.exit())
