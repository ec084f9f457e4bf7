// What the kernel says of a process. Linux only, as the benchmarks are.

import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

export interface Memory {
  readonly rssBytes: number
  /** Proportional set size: shared pages divided among those who share them. */
  readonly pssBytes: number
}

const KIB = 1024
const ticksPerSecond = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }))

export function memoryOf(pid: number): Memory {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')
  const field = (name: string) => Number(new RegExp(`^${name}: +(\\d+) kB`, 'm').exec(text)?.[1]) * KIB
  return { rssBytes: field('Rss'), pssBytes: field('Pss') }
}

/** User and system time since the process began, in microseconds, to about 10 ms. */
export function cpuUsOf(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // The name of the command, in parentheses, may contain anything; utime and stime are fields 14 and 15.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return ((Number(fields[11]) + Number(fields[12])) / ticksPerSecond) * 1_000_000
}

export interface MachineTime {
  readonly busy: number
  readonly all: number
}

/** Of all cores and processes since the machine started, in ticks: differences tell how busy it was. */
export function machineTime(): MachineTime {
  const [first = ''] = readFileSync('/proc/stat', 'utf8').split('\n', 1)
  // user nice system idle iowait irq softirq steal; guest time is part of user.
  const ticks = first.trim().split(/ +/).slice(1, 9).map(Number)
  const all = ticks.reduce((sum, one) => sum + one, 0)
  return { busy: all - (ticks[3] ?? 0) - (ticks[4] ?? 0), all }
}
