// A backend that publishes, in a process of its own, by whatever sink the server has. Takes orders over IPC, see publisher-orders.ts;
// its setup is its argument.

import { DurationHistogram } from '../duration-histogram.js'
import { LoadMeter } from '../load-meter.js'
import { userName } from '../orders.js'
import { nowUs, payloadText } from '../payload.js'
import { seededRandom } from '../random.js'
import type { PublisherOrder, PublisherReport, PublisherSetup } from './publisher-orders.js'
import { connectSink } from './sink.js'

/** Published and not yet acknowledged, at the most. */
const UNACKNOWLEDGED_LIMIT = 4000
/** How many are sent before the socket and the acknowledgements get their turn. */
const BURST = 64
const SETTLE_MS = 10_000
/** A timer of the event loop is not more exact than a millisecond; shorter waits block, which costs nobody any CPU. */
const BLOCKING_US = 1500

const setup: PublisherSetup = JSON.parse(process.argv[2] ?? '{}')
const random = seededRandom(setup.seed)
const load = new LoadMeter()
const late = new DurationHistogram()
/** The last number of each user; of a topic the first one's. */
const numbers = new Uint32Array(setup.users)
/** Ids are not used twice, whichever publisher speaks to a server. */
const run = `${setup.seed}-${process.pid}`
let total = 0
let acknowledged = 0
let refused = 0
let received = 0

const sink = await connectSink(setup.sink, (taken) => {
  acknowledged++
  if (!taken) refused++
})

function publishTo(index: number, intendedUs: number): void {
  const k = (numbers[index] ?? 0) + 1
  numbers[index] = k
  total++
  const data = payloadText(k, intendedUs, setup.sizeBytes)
  sink.publish({ id: `${run}-${total}`, user: userName(setup.firstUser + index), topic: setup.topic, data })
}

function publishOne(intendedUs: number): void {
  publishTo(setup.topic === undefined ? Math.floor(random() * setup.users) : 0, intendedUs)
}

function mayPublish(): boolean {
  return total - acknowledged < UNACKNOWLEDGED_LIMIT
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve))
const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

/** At its time each, whatever became of those before: a late one counts from when it was due. */
async function publishAtRate(rate: number, seconds: number): Promise<void> {
  const startUs = nowUs()
  const count = Math.round(rate * seconds)
  for (let sent = 0; sent < count; ) {
    const now = nowUs()
    // The first is due at once.
    const due = Math.min(count, Math.floor(((now - startUs) * rate) / 1_000_000) + 1)
    const before = sent
    while (sent < due && sent - before < BURST && mayPublish()) {
      const intendedUs = startUs + Math.round((sent++ * 1_000_000) / rate)
      late.record(nowUs() - intendedUs)
      publishOne(intendedUs)
    }
    const leftUs = startUs + (sent * 1_000_000) / rate - nowUs()
    if (leftUs > BLOCKING_US) await pause(1)
    else {
      // Acknowledgements get their turn first.
      await turn()
      sleep(startUs + (sent * 1_000_000) / rate - nowUs())
    }
  }
}

const never = new Int32Array(new SharedArrayBuffer(4))

function sleep(us: number): void {
  if (us > 0) Atomics.wait(never, 0, 0, Math.min(us, BLOCKING_US) / 1000)
}

async function publishInWindow(window: number, seconds: number): Promise<void> {
  const endUs = nowUs() + seconds * 1_000_000
  while (nowUs() < endUs) {
    const before = total
    while (total - before < BURST && total - received < window && mayPublish()) publishOne(nowUs())
    await (total - before === BURST ? turn() : pause(1))
  }
}

async function publishToEach(): Promise<void> {
  for (let index = 0; index < setup.users; ) {
    for (let burst = 0; burst < BURST && index < setup.users && mayPublish(); burst++) publishTo(index++, nowUs())
    await turn()
  }
}

async function publish(order: PublisherOrder & { kind: 'publish' | 'each' }): Promise<void> {
  load.reset()
  late.reset()
  if (order.kind === 'each') await publishToEach()
  else if (order.rate === undefined) await publishInWindow(order.window, order.seconds)
  else await publishAtRate(order.rate, order.seconds)
  const busy = load.read()
  const untilMs = performance.now() + SETTLE_MS
  while (acknowledged < total && performance.now() < untilMs) await pause(2)
  tell({ kind: 'published', total, refused: refused + total - acknowledged, lateP99Us: late.figures.p99, load: busy })
}

function tell(report: PublisherReport): void {
  process.send?.(report)
}

process.on('message', (order: PublisherOrder) => {
  switch (order.kind) {
    case 'publish':
    case 'each':
      publish(order).catch((error) => {
        console.error(error)
        process.exit(1)
      })
      return
    case 'received':
      received = order.received
      return
    case 'close':
      sink.close().finally(() => process.exit())
      return
  }
})
process.on('disconnect', () => process.exit())
tell({ kind: 'ready' })
