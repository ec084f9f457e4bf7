// How much memory the server takes for a session on which nothing happens.

import { setTimeout as pause } from 'node:timers/promises'
import { Crowd } from './crowd.js'
import type { BenchOptions } from './options.js'
import { type TransportName, wireTarget } from './orders.js'
import { cpuUsOf, type Memory, memoryOf } from './process-figures.js'
import type { Progress } from './progress.js'
import { type Measured, Topology } from './topology.js'

export interface IdleRow {
  readonly engine: 'node' | 'uws'
  readonly transport: TransportName
  readonly sessions: number
  /** Of the process that holds the sessions, garbage collected: the growth from before to after, for each session. */
  readonly rssBytesPerSession: number
  readonly pssBytesPerSession: number
  /** Of it, what the JavaScript engine knows of: heap and buffers. The rest is the runtime's and the allocator's. */
  readonly liveBytesPerSession: number
  /** RSS as it was before collecting: what the operating system sees on the way. */
  readonly uncollectedRssBytesPerSession: number
  readonly rssBytesBefore: number
  readonly rssBytesAfter: number
  /** RSS that the other processes grew by, for each session. */
  readonly othersRssBytesPerSession: Readonly<Record<string, number>>
  /** CPU of the process that holds the sessions while nothing happens. */
  readonly cpuUsPerSessionSecond: number
  /** Why the row does not count; empty: it does. */
  readonly invalid: readonly string[]
}

/** Enough to have been everywhere once; what they leave behind as garbage should not be enough to make the others look small. */
const WARM_UP_SESSIONS = 100
const SETTLE_MS = 3000
const IDLE_MS = 5000

export async function measureIdle(
  options: BenchOptions,
  engine: 'node' | 'uws',
  transport: TransportName,
  root: string,
  progress: Progress,
): Promise<IdleRow> {
  const topology = await Topology.start({ kind: options.topology, engine, root })
  const crowds: Crowd[] = []
  try {
    const crowd = { root, wire: wireTarget(transport, topology.clientPorts[0] ?? 0), ackEvery: options.ackEvery }
    const warmUp = await Crowd.open({ ...crowd, users: WARM_UP_SESSIONS, firstUser: options.sessions }, progress)
    crowds.push(warmUp)
    await pause(SETTLE_MS)
    const liveBefore = await topology.collectGarbage()
    await pause(SETTLE_MS)
    const before = readAll(topology.measured)
    const opened = await Crowd.open({ ...crowd, users: options.sessions, firstUser: 0 }, progress)
    crowds.push(opened)
    progress.update(`${options.sessions} sessions open, letting them settle`)
    await pause(SETTLE_MS)
    const cpuBeforeUs = cpuUsOf(topology.server.pid)
    await pause(IDLE_MS)
    const cpuUs = cpuUsOf(topology.server.pid) - cpuBeforeUs
    const uncollected = memoryOf(topology.server.pid)
    const liveAfter = await topology.collectGarbage()
    await pause(SETTLE_MS)
    const after = readAll(topology.measured)
    const { open, lost } = await opened.figures()
    const warm = await warmUp.figures()

    const { name } = topology.server
    const first = of(before, name)
    const last = of(after, name)
    const perSession = (bytes: number) => Math.round(bytes / options.sessions)
    const others = topology.measured.filter((one) => one.name !== name)
    return {
      engine,
      transport,
      sessions: options.sessions,
      rssBytesPerSession: perSession(last.rssBytes - first.rssBytes),
      pssBytesPerSession: perSession(last.pssBytes - first.pssBytes),
      liveBytesPerSession: perSession(liveAfter.liveBytes - liveBefore.liveBytes),
      uncollectedRssBytesPerSession: perSession(uncollected.rssBytes - first.rssBytes),
      rssBytesBefore: first.rssBytes,
      rssBytesAfter: last.rssBytes,
      othersRssBytesPerSession: Object.fromEntries(
        others.map((one) => [one.name, perSession(of(after, one.name).rssBytes - of(before, one.name).rssBytes)]),
      ),
      cpuUsPerSessionSecond: cpuUs / (options.sessions + WARM_UP_SESSIONS) / (IDLE_MS / 1000),
      invalid:
        open === options.sessions && warm.open === WARM_UP_SESSIONS ? [] : [`sessions ended: ${JSON.stringify({ ...lost, ...warm.lost })}`],
    }
  } finally {
    for (const one of crowds) one.close()
    await topology.stop()
  }
}

function readAll(processes: readonly Measured[]): ReadonlyMap<string, Memory> {
  return new Map(processes.map(({ name, pid }) => [name, memoryOf(pid)]))
}

function of(memories: ReadonlyMap<string, Memory>, name: string): Memory {
  const memory = memories.get(name)
  if (memory === undefined) throw new Error(`${name} was not measured`)
  return memory
}
