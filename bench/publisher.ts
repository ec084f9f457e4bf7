// A backend that publishes straight to NATS, in a process of its own. Takes orders over IPC, see orders.ts; its setup is its argument.

import { connect, headers, type Msg } from 'nats'
import { encodeToken, partitionOf } from '../bus/user-token.js'
import { v1 } from '../proto/messages.js'
import { LoadMeter } from './load-meter.js'
import { type PublisherOrder, type PublisherReport, type PublisherSetup, userName } from './orders.js'
import { nowUs, payloadText } from './payload.js'
import { seededRandom } from './random.js'

/** Published and not yet acknowledged by the store, at the most. */
const UNACKNOWLEDGED_LIMIT = 4000
/** How many are sent before the socket and the acknowledgements get their turn. */
const BURST = 64

const setup: PublisherSetup = JSON.parse(process.argv[2] ?? '{}')
const nc = await connect({ servers: setup.natsUrl, noAsyncTraces: true, pingInterval: 10_000 })
const random = seededRandom(setup.seed)
const load = new LoadMeter()
const numbers = new Uint32Array(setup.users)
const subjects = Array.from({ length: setup.users }, (_, index) => {
  const token = encodeToken(userName(index))
  return setup.ephemeral ? `u.${token}` : `in.${partitionOf(token, setup.partitions)}.${token}`
})
const inbox = `_INBOX.bench.${process.pid}.${setup.seed}`
let total = 0
let acknowledged = 0
let refused = 0
let received = 0

nc.subscribe(inbox, {
  callback: (error: Error | null, msg: Msg) => {
    acknowledged++
    if (error !== null || !Buffer.from(msg.data).includes('"seq"')) refused++
  },
})
await nc.flush()

function publishOne(intendedUs: number): void {
  const index = Math.floor(random() * setup.users)
  const k = (numbers[index] ?? 0) + 1
  numbers[index] = k
  total++
  const id = `${setup.seed}-${total}`
  const data = Buffer.from(payloadText(k, intendedUs, setup.sizeBytes))
  const envelope = v1.Envelope.encode({ id, from: 'bench', time: Date.now(), data }).finish()
  const subject = subjects[index] ?? ''
  if (setup.ephemeral) {
    nc.publish(subject, envelope)
    return
  }
  const named = headers()
  // The duplicate window is a stream's, so the recipient is part of the id.
  named.set('Nats-Msg-Id', `${id}:${index}`)
  nc.publish(subject, envelope, { headers: named, reply: inbox })
}

function mayPublish(): boolean {
  return setup.ephemeral || total - acknowledged < UNACKNOWLEDGED_LIMIT
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve))
const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

/** At its time each, whatever became of those before: a late one counts from when it was due. */
async function publishAtRate(rate: number, seconds: number): Promise<void> {
  const startUs = nowUs()
  const count = Math.round(rate * seconds)
  for (let sent = 0; sent < count; ) {
    const due = Math.min(count, Math.floor(((nowUs() - startUs) * rate) / 1_000_000) + 1)
    const before = sent
    while (sent < due && sent - before < BURST && mayPublish()) publishOne(startUs + Math.round((sent++ * 1_000_000) / rate))
    await (sent - before === BURST ? turn() : pause(1))
  }
}

async function publishInWindow(window: number, seconds: number): Promise<void> {
  const endUs = nowUs() + seconds * 1_000_000
  while (nowUs() < endUs) {
    const before = total
    while (total - before < BURST && total - received < window && mayPublish()) publishOne(nowUs())
    await (total - before === BURST ? turn() : pause(1))
  }
}

/** Until every message is acknowledged, or a while has passed. */
async function settle(): Promise<void> {
  await nc.flush()
  const untilMs = Date.now() + 10_000
  while (!setup.ephemeral && acknowledged < total && Date.now() < untilMs) await pause(5)
}

function tell(report: PublisherReport): void {
  process.send?.(report)
}

process.on('message', (order: PublisherOrder) => {
  switch (order.kind) {
    case 'publish': {
      load.reset()
      const { rate, window, seconds } = order
      const published = rate === undefined ? publishInWindow(window, seconds) : publishAtRate(rate, seconds)
      published
        .then(() => {
          const busy = load.read()
          return settle().then(() =>
            tell({ kind: 'published', total, refused: refused + (setup.ephemeral ? 0 : total - acknowledged), load: busy }),
          )
        })
        .catch((error) => {
          console.error(error)
          process.exit(1)
        })
      return
    }
    case 'received':
      received = order.received
      return
    case 'close':
      nc.close().finally(() => process.exit())
      return
  }
})
process.on('disconnect', () => process.exit())
tell({ kind: 'ready' })
