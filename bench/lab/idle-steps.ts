// Sessions on which nothing happens, more of them with each step on the same server: memory and CPU of each.

import { setTimeout as pause } from 'node:timers/promises'
import { median } from '../bosh-summary.js'
import { Crowd } from '../crowd.js'
import { cpuUsOf, memoryOf } from '../process-figures.js'
import type { Contender, WireTarget } from './contender.js'
import type { Notebook, Place } from './notebook.js'
import type { Finding } from './rig.js'

export interface IdleSteps {
  readonly server: Pick<Contender, 'processes' | 'collectGarbage'>
  readonly wire: WireTarget
  /** Sessions of each step, rising. */
  readonly sessions: readonly number[]
  /** How long CPU is measured, in windows of two seconds, of which the median counts. */
  readonly seconds: number
  readonly settleMs: number
  /** Undefined: names that nobody had before. */
  readonly newUsers?: (count: number) => number
}

interface State {
  readonly rssBytes: number
  readonly pssBytes: number
  readonly groupBytes: number | undefined
}

/** Enough to have been everywhere once. */
const WARM_UP_SESSIONS = 100
/**
 * Sessions being opened at any time. What many at once need is not given back to the system, and would count as memory of idle
 * ones; and ejabberd keeps some logins over BOSH waiting until their `wait` is over.
 */
const CONCURRENCY = 16
/** Long enough for the grain of CPU times; what comes once in a while, such as a collection of garbage, is in few of them. */
const WINDOW_SECONDS = 2
/** Of one generator process. */
const CROWD_LIMIT = 8000

/** A row for each step, `place` with its sessions. */
export async function idleSteps(notebook: Notebook, place: Place, steps: IdleSteps): Promise<void> {
  const { server, wire, seconds, settleMs, newUsers = (count: number) => notebook.newUsers(count) } = steps
  const { root, places, progress } = notebook.options
  const crowds: Crowd[] = []
  const open = async (count: number) => {
    for (let left = count; left > 0; left -= CROWD_LIMIT) {
      const users = Math.min(left, CROWD_LIMIT)
      const firstUser = newUsers(users)
      const onStarted = (pid: number) => places.put('load', pid)
      const timeoutMs = 10_000 + users * 10
      crowds.push(
        await Crowd.open({ root, wire, users, firstUser, ackEvery: 16, timeoutMs, onStarted, concurrency: CONCURRENCY }, progress),
      )
    }
  }
  /** What was left to do afterwards is done: the engine would collect some seconds later, in the middle of what is measured. */
  const quiet = async () => {
    await pause(settleMs)
    await server.collectGarbage?.()
    await pause(settleMs)
  }
  const read = (): State => {
    const memories = server.processes.map(({ pid }) => memoryOf(pid))
    return {
      rssBytes: memories.reduce((sum, one) => sum + one.rssBytes, 0),
      pssBytes: memories.reduce((sum, one) => sum + one.pssBytes, 0),
      groupBytes: places.groupBytes(),
    }
  }
  /** In each second. */
  const cpuUs = async (): Promise<number> => {
    const sum = () => places.groupCpuUs() ?? server.processes.reduce((all, { pid }) => all + cpuUsOf(pid), 0)
    const count = Math.max(1, Math.round(seconds / WINDOW_SECONDS))
    const windows: number[] = []
    for (let i = 0; i < count; i++) {
      const before = sum()
      const startMs = performance.now()
      await pause((seconds * 1000) / count)
      windows.push(((sum() - before) * 1000) / (performance.now() - startMs))
    }
    return median(windows)
  }

  try {
    await open(WARM_UP_SESSIONS)
    await quiet()
    const emptyUs = await cpuUs()
    await quiet()
    const before = read()
    let opened = 0
    for (const sessions of steps.sessions) {
      const measure = async (): Promise<Finding> => {
        await open(sessions - opened)
        opened = sessions
        progress.update(`${sessions} sessions open, nothing happens`)
        await quiet()
        const busyUs = await cpuUs()
        await quiet()
        const after = read()
        const each = (bytes: number) => Math.round(bytes / sessions)
        return {
          figures: {
            seconds,
            rssBytesPerSession: each(after.rssBytes - before.rssBytes),
            pssBytesPerSession: each(after.pssBytes - before.pssBytes),
            ...(after.groupBytes === undefined || before.groupBytes === undefined
              ? {}
              : { cgroupBytesPerSession: each(after.groupBytes - before.groupBytes) }),
            // So little that it may be less than nothing: what the processes do by themselves is not always the same.
            cpuUsPerSessionSecond: (busyUs - emptyUs) / sessions,
          },
          invalid: await endsOf(crowds),
        }
      }
      if (!(await notebook.row({ ...place, sessions }, measure))) return
    }
  } finally {
    for (const crowd of crowds) crowd.close()
  }
}

async function endsOf(crowds: readonly Crowd[]): Promise<string[]> {
  const faults: string[] = []
  for (const crowd of crowds) {
    const { lost } = await crowd.figures()
    if (Object.keys(lost).length > 0) faults.push(`sessions ended: ${JSON.stringify(lost)}`)
  }
  return faults
}
