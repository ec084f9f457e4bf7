// Results for people.

import type { IdleRow } from './idle.js'
import type { UnicastRow } from './unicast.js'

export function idleLine(row: IdleRow): string {
  const kb = (bytes: number) => `${(bytes / 1000).toFixed(1)} kB`
  const others = Object.entries(row.othersRssBytesPerSession).map(([name, bytes]) => `${name} ${kb(bytes)}`)
  const figures = [
    `${kb(row.rssBytesPerSession)} RSS`,
    `${kb(row.pssBytesPerSession)} PSS`,
    `${kb(row.liveBytesPerSession)} heap and buffers`,
    `${kb(row.uncollectedRssBytesPerSession)} RSS before collecting`,
    `${row.cpuUsPerSessionSecond.toFixed(1)} µs CPU a second`,
    ...others,
  ]
  return `${label(row)} idle, a session: ${figures.join(', ')}${verdict(row)}`
}

export function unicastLine(row: UnicastRow): string {
  const ms = (us: number) => `${(us / 1000).toFixed(1)} ms`
  const { p50, p99, max } = row.latencyUs
  const busy = Object.entries(row.cores).map(([name, cores]) => `${name} ${cores.toFixed(2)}`)
  const figures = [
    `${row.deliveredPerSecond} delivered/s`,
    `${row.cpuUsPerMessage.toFixed(1)} µs CPU a message (${row.perCoreSecond}/s a core)`,
    `p50 ${ms(p50)}, p99 ${ms(p99)}, max ${ms(max)}`,
    `limited by ${row.limitedBy}; cores busy: ${busy.join(', ')}, machine ${Math.round(row.machineBusy * 100)} %`,
  ]
  return `${label(row)} unicast, ${row.phase}: ${figures.join('; ')}${verdict(row)}`
}

function label({ engine, transport, sessions }: IdleRow | UnicastRow): string {
  return `${engine} ${transport} × ${sessions}`
}

function verdict({ invalid }: IdleRow | UnicastRow): string {
  return invalid.length === 0 ? '' : `  INVALID: ${invalid.join('; ')}`
}
