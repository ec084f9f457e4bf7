// A row for whoever watches the terminal.

import type { LabRow } from './result.js'

export function rowLine(row: LabRow): string {
  const { figures, network } = row
  const parts: string[] = []
  if (figures.latencyUs !== undefined) parts.push(`p50 ${ms(figures.latencyUs.p50)}, p99 ${ms(figures.latencyUs.p99)}`)
  if (row.rate === undefined && figures.perSecond !== undefined) parts.push(`${figures.perSecond}/s`)
  if (figures.cpuUsPerMessage !== undefined) parts.push(`${figures.cpuUsPerMessage.toFixed(0)} µs CPU`)
  if (figures.bytesDownPerMessage !== undefined) {
    parts.push(`${figures.bytesDownPerMessage.toFixed(0)} B down, ${(figures.bytesUpPerMessage ?? 0).toFixed(0)} B up`)
  }
  if (figures.openMs !== undefined) parts.push(`open p50 ${figures.openMs.p50.toFixed(1)} ms`)
  if (figures.resumeMs !== undefined) parts.push(`resume p50 ${figures.resumeMs.p50.toFixed(1)} ms`)
  if (figures.pssBytesPerSession !== undefined) parts.push(`${kb(figures.pssBytesPerSession)} PSS`)
  if (figures.cgroupBytesPerSession !== undefined) parts.push(`${kb(figures.cgroupBytesPerSession)} cgroup`)
  if (figures.cpuUsPerSessionSecond !== undefined) parts.push(`${figures.cpuUsPerSessionSecond.toFixed(1)} µs CPU a session and second`)
  const server = [row.server, row.engine, row.bus].filter((one) => one !== undefined).join(' ')
  const far = network.roundTripMs > 0 || network.stalls > 0 ? `, ${network.roundTripMs} ms${network.stalls > 0 ? ' stalling' : ''}` : ''
  const how = [row.rate === undefined ? '' : ` at ${row.rate}/s`, row.knownUsers === undefined ? '' : `, ${row.knownUsers} users known`]
  const verdict = row.invalid.length === 0 ? '' : `  INVALID: ${row.invalid.join('; ')}`
  return `${row.part} ${server} ${row.transport} × ${row.sessions}${far}: ${row.scenario}${how.join('')}: ${parts.join('; ')}${verdict}`
}

function ms(us: number): string {
  return `${(us / 1000).toFixed(2)} ms`
}

function kb(bytes: number): string {
  return `${(bytes / 1000).toFixed(1)} kB`
}
