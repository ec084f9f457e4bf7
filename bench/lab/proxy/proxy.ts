// The network that loopback is not: a TCP proxy in a process of its own through which everything takes half a round trip each way,
// at unlimited bandwidth, and some of it is held back as after a lost packet. Takes orders over IPC, see orders.ts.

import { connect, createServer, type Socket } from 'node:net'
import { DurationHistogram } from '../../duration-histogram.js'
import { LoadMeter } from '../../load-meter.js'
import { nowUs } from '../../payload.js'
import { seededRandom } from '../../random.js'
import type { Network } from '../result.js'
import { DelayLine, type DelayLineOptions } from './delay-line.js'
import type { ProxyOrder, ProxyReport } from './orders.js'

/** Of one direction of a connection; beyond it the connection ends. */
const WAITING_LIMIT_BYTES = 16 * 1024 * 1024
const LINGER_MS = 1000
const SLOT_US = 1000
/** Chunks further ahead than this wait in the last slot and are looked at again. */
const SLOTS = 4096

interface Flow {
  readonly line: DelayLine
  readonly to: Socket
  /** In a slot of the wheel. */
  scheduled: 'yes' | 'no'
}

const load = new LoadMeter()
const late = new DurationHistogram()
const wheel: Flow[][] = Array.from({ length: SLOTS }, () => [])
let slotUs = Math.floor(nowUs() / SLOT_US) * SLOT_US
let connections = 0
let chunks = 0
let stalled = 0
let overflowed = 0

function schedule(flow: Flow): void {
  const { nextUs } = flow.line
  if (flow.scheduled === 'yes' || nextUs === undefined) return
  flow.scheduled = 'yes'
  const ahead = Math.min(Math.max(Math.ceil((nextUs - slotUs) / SLOT_US), 1), SLOTS - 1)
  wheel[(slotUs / SLOT_US + ahead) % SLOTS]?.push(flow)
}

/** Every slot whose time has come. */
function turn(): void {
  const now = nowUs()
  while (slotUs + SLOT_US <= now) {
    slotUs += SLOT_US
    const place = (slotUs / SLOT_US) % SLOTS
    const flows = wheel[place] ?? []
    if (flows.length === 0) continue
    wheel[place] = []
    for (const flow of flows) {
      flow.scheduled = 'no'
      release(flow, now)
      schedule(flow)
    }
  }
}

function release({ line, to }: Flow, now: number): void {
  for (let due = line.take(now); due !== undefined; due = line.take(now)) {
    if (due.bytes === undefined) to.end()
    else {
      late.record(now - due.dueUs)
      to.write(due.bytes)
    }
  }
}

function flowOf(to: Socket, options: DelayLineOptions): Flow {
  return { line: new DelayLine(options), to, scheduled: 'no' }
}

function take(flow: Flow, bytes: Buffer | undefined): void {
  const before = flow.line.stalled
  flow.line.put(bytes, nowUs())
  chunks++
  stalled += flow.line.stalled - before
  schedule(flow)
}

function join(near: Socket, port: number, network: Network, random: () => number): void {
  connections++
  // SYN and its answer: to the client the connection seems to be there at once, so what it says first waits that long.
  const notBeforeUs = nowUs() + network.roundTripMs * 1000
  const far = connect({ host: '127.0.0.1', port, noDelay: true, allowHalfOpen: true })
  const up = flowOf(far, { network, random, notBeforeUs })
  const down = flowOf(near, { network, random, notBeforeUs: 0 })
  near.setNoDelay()
  const bind = (from: Socket, flow: Flow) => {
    from.on('data', (bytes) => {
      take(flow, bytes)
      if (flow.line.waitingBytes <= WAITING_LIMIT_BYTES) return
      overflowed++
      near.destroy()
      far.destroy()
    })
    from.on('end', () => take(flow, undefined))
    // A reset: the other side learns of it as of an end.
    from.on('error', () => take(flow, undefined))
    // Nobody is left to read what the other one says; what is on its way to it still arrives.
    from.on('close', () => setTimeout(() => flow.to.destroy(), LINGER_MS + 2 * network.roundTripMs))
  }
  bind(near, up)
  bind(far, down)
}

function listen(order: ProxyOrder & { kind: 'listen' }): void {
  const random = seededRandom(order.seed)
  const server = createServer({ allowHalfOpen: true }, (socket) => join(socket, order.port, order.network, random))
  server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () => {
    const address = server.address()
    tell({ kind: 'listening', port: typeof address === 'object' && address !== null ? address.port : 0 })
  })
}

function tell(report: ProxyReport): void {
  process.send?.(report)
}

process.on('message', (order: ProxyOrder) => {
  switch (order.kind) {
    case 'listen':
      listen(order)
      return
    case 'reset':
      load.reset()
      late.reset()
      connections = 0
      chunks = 0
      stalled = 0
      overflowed = 0
      return
    case 'report': {
      const { p99, max } = late.figures
      tell({ kind: 'report', connections, chunks, stalled, overflowed, lateP99Us: p99, lateMaxUs: max, cores: load.read().cores })
      return
    }
    case 'close':
      process.exit()
  }
})
process.on('disconnect', () => process.exit())
setInterval(turn, 1)
