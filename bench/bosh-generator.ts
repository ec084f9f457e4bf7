// The BOSH clients of a benchmark, all in one process of its own. Takes orders over IPC, see bosh-orders.ts.

import { BoshSocket, type Traffic } from './bosh-connection.js'
import type { BoshOrder, BoshReport, BoshRunOrder } from './bosh-orders.js'
import { BoshRun } from './bosh-run.js'
import { BoshSession, type BoshSessionOwner } from './bosh-session.js'
import { userName } from './orders.js'
import { nowUs } from './payload.js'
import { seededRandom } from './random.js'
import { Tally } from './tally.js'

const OPENING_MS = 500
const DRAIN_TIMEOUT_US = 5_000_000
const LEAVE_TIMEOUT_MS = 2000
/** A timer is not more exact than this: shorter waits are spent looking. */
const TIMER_US = 1000
/** With more than this many a second there is no time for it, and cycles start up to a millisecond or two late. */
const EXACT_RATE = 250
const RESOURCE = 'bench'
/** For what comes after a login: presence of one's own. */
const SETTLE_MS = 300
/** rids go up to 2^53 - 1, and should not be easy to guess. */
const FIRST_RID_LIMIT = 2 ** 31

const turn = () => new Promise<void>((resolve) => setImmediate(resolve))
const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

class BoshGenerator implements BoshSessionOwner {
  readonly #order: BoshOrder & { kind: 'open' }
  readonly #sessions: BoshSession[] = []
  readonly #addresses: readonly string[]
  readonly #numbers: Uint32Array
  readonly #tally: Tally
  readonly #traffic: Traffic = { upBytes: 0, downBytes: 0 }
  readonly #lost = new Map<string, number>()
  readonly #random: () => number
  #open = 0
  #ended = 0
  #run: BoshRun | undefined
  #opening: NodeJS.Timeout | undefined

  constructor(order: BoshOrder & { kind: 'open' }) {
    this.#order = order
    this.#numbers = new Uint32Array(order.sessions)
    this.#tally = new Tally(order.sessions)
    this.#random = seededRandom(order.seed)
    this.#addresses = Array.from({ length: order.sessions }, (_, i) => `${userName(order.firstUser + i)}@${order.domain}/${RESOURCE}`)
    this.#opening = setInterval(() => tell({ kind: 'opening', open: this.#open }), OPENING_MS)
    for (let i = 0; i < order.concurrency; i++) this.#openNext()
  }

  opened(): void {
    this.#open++
    this.#settled()
  }

  answered(session: BoshSession, body: Buffer, released: boolean): void {
    const run = this.#run
    if (run === undefined) return
    const now = nowUs()
    run.answered(session.index, body, released, now)
    run.pump(now)
  }

  ended(_: BoshSession, why: string): void {
    this.#ended++
    this.#lost.set(why, (this.#lost.get(why) ?? 0) + 1)
    this.#settled()
  }

  async run(order: BoshRunOrder): Promise<void> {
    this.#tally.resetLatency()
    const countsBefore = this.#tally.counts
    const trafficBefore = { ...this.#traffic }
    const cpuBefore = process.cpuUsage()
    const startUs = nowUs()
    const run = new BoshRun(order, this.#sessions, this.#addresses, { numbers: this.#numbers, tally: this.#tally }, startUs)
    this.#run = run
    await startAll(run, order)
    const untilUs = nowUs() + DRAIN_TIMEOUT_US
    while (run.underWay > 0 && nowUs() < untilUs) await pause(1)
    this.#run = undefined

    const { user, system } = process.cpuUsage(cpuBefore)
    const counts = this.#tally.counts
    tell({
      kind: 'ran',
      ...run.figures,
      missing: counts.missing - countsBefore.missing,
      repeated: counts.repeated - countsBefore.repeated,
      upBytes: this.#traffic.upBytes - trafficBefore.upBytes,
      downBytes: this.#traffic.downBytes - trafficBefore.downBytes,
      latencyUs: this.#tally.latency,
      cores: (user + system) / (nowUs() - startUs),
      lost: Object.fromEntries(this.#lost),
    })
  }

  async close(): Promise<void> {
    clearInterval(this.#opening)
    for (const session of this.#sessions) session.terminate()
    const untilMs = performance.now() + LEAVE_TIMEOUT_MS
    while (this.#ended < this.#sessions.length && performance.now() < untilMs) await pause(5)
    tell({ kind: 'closed' })
    process.disconnect()
    process.exit()
  }

  #openNext(): void {
    const index = this.#sessions.length
    const { sessions, firstUser, ports, password, domain, path, waitSeconds } = this.#order
    if (index >= sessions) return
    // Partners are at different ones.
    const port = ports[Math.floor((index * ports.length) / sessions)] ?? 0
    const firstRid = 1 + Math.floor(this.#random() * FIRST_RID_LIMIT)
    const login = { user: userName(firstUser + index), password, domain, resource: RESOURCE, path, waitSeconds, firstRid }
    this.#sessions.push(new BoshSession(index, login, this, (owner) => new BoshSocket(port, owner, this.#traffic)))
  }

  #settled(): void {
    if (this.#opening === undefined) return
    this.#openNext()
    if (this.#open + this.#ended < this.#order.sessions) return
    clearInterval(this.#opening)
    this.#opening = undefined
    setTimeout(() => this.#tellOpened(), SETTLE_MS)
  }

  #tellOpened(): void {
    tell({ kind: 'opened', open: this.#open, failed: this.#ended, why: Object.fromEntries(this.#lost) })
  }
}

/** Until all that belong to the run were started. */
async function startAll(run: BoshRun, { rate }: BoshRunOrder): Promise<void> {
  for (;;) {
    const now = nowUs()
    run.pump(now)
    if (run.isSpent(now)) return
    // With no rate, what comes back starts the next ones; this only sees the end.
    const leftUs = rate === undefined ? TIMER_US : run.nextDueUs - now
    if (leftUs >= TIMER_US || (rate ?? 0) > EXACT_RATE) await pause(Math.max(1, Math.floor(leftUs / 1000)))
    else await turn()
  }
}

function tell(report: BoshReport): void {
  process.send?.(report)
}

let generator: BoshGenerator | undefined
process.on('message', (order: BoshOrder) => {
  if (order.kind === 'open') {
    generator = new BoshGenerator(order)
    return
  }
  const done = order.kind === 'run' ? generator?.run(order) : generator?.close()
  done?.catch((error) => {
    console.error(error)
    process.exit(1)
  })
})
// The conductor is gone: nobody is left to measure for.
process.on('disconnect', () => process.exit())
