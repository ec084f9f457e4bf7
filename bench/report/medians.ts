// Rows of several rounds as one: medians of those that count. What does not count is in no figure.

import type { LabFigures, LabRow, LatencyFigures } from '../lab/result.js'

export interface MedianRow {
  /** The first of them: what they have in common. */
  readonly row: LabRow
  readonly figures: LabFigures
  /** Rounds that count, of all. */
  readonly valid: number
  readonly rounds: number
}

type Key<T> = { [K in keyof LabFigures]-?: LabFigures[K] extends T | undefined ? K : never }[keyof LabFigures]

const NUMBERS: readonly Key<number>[] = [
  'delivered',
  'seconds',
  'perSecond',
  'cpuUsPerMessage',
  'perCoreSecond',
  'bytesDownPerMessage',
  'bytesUpPerMessage',
  'rssBytesPerSession',
  'pssBytesPerSession',
  'cgroupBytesPerSession',
  'cpuUsPerSessionSecond',
]
const LATENCIES: readonly Key<LatencyFigures>[] = ['latencyUs', 'openMs', 'resumeMs']

/** One for each set of rows that differ in their round only, in the order in which they first come; none where no round counts. */
export function mediansOf(rows: readonly LabRow[]): MedianRow[] {
  const groups = new Map<string, LabRow[]>()
  for (const row of rows) {
    const key = keyOf(row)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [row])
    else group.push(row)
  }
  return [...groups.values()].flatMap((group) => {
    const valid = group.filter(({ invalid }) => invalid.length === 0)
    const [row] = valid
    if (row === undefined) return []
    return [{ row, figures: figuresOf(valid.map(({ figures }) => figures)), valid: valid.length, rounds: group.length }]
  })
}

/** Undefined: there are none. A figure that is no number, as JSON has it in place of NaN, is none. */
export function medianOf(values: readonly (number | undefined)[]): number | undefined {
  const sorted = values.filter((value): value is number => Number.isFinite(value)).sort((a, b) => a - b)
  const upper = sorted[Math.floor(sorted.length / 2)]
  const lower = sorted[Math.ceil(sorted.length / 2) - 1]
  return upper === undefined || lower === undefined ? undefined : (upper + lower) / 2
}

function keyOf(row: LabRow): string {
  const { part, scenario, server, engine, bus, transport, network, sessions, rate, sizeBytes, subscribers, knownUsers } = row
  const { roundTripMs, stalls } = network
  return [part, scenario, server, engine, bus, transport, roundTripMs, stalls, sessions, rate, sizeBytes, subscribers, knownUsers].join('|')
}

function figuresOf(all: readonly LabFigures[]): LabFigures {
  const figures: { -readonly [K in keyof LabFigures]: LabFigures[K] } = {}
  for (const key of NUMBERS) {
    const value = medianOf(all.map((one) => one[key]))
    if (value !== undefined) figures[key] = value
  }
  for (const key of LATENCIES) {
    const value = latencyOf(all.flatMap((one) => one[key] ?? []))
    if (value !== undefined) figures[key] = value
  }
  const processes = [...new Set(all.flatMap(({ cpuUsByProcess }) => Object.keys(cpuUsByProcess ?? {})))]
  if (processes.length > 0) {
    const cpu = processes.map((name) => [name, medianOf(all.map(({ cpuUsByProcess }) => cpuUsByProcess?.[name])) ?? 0] as const)
    figures.cpuUsByProcess = Object.fromEntries(cpu)
  }
  return figures
}

/** The curve is that of the round in the middle: one of medians would be nobody's. */
function latencyOf(all: readonly LatencyFigures[]): LatencyFigures | undefined {
  const sorted = [...all].sort((a, b) => a.p50 - b.p50)
  const middle = sorted[Math.ceil(sorted.length / 2) - 1]
  if (middle === undefined) return undefined
  const of = (key: Exclude<keyof LatencyFigures, 'cdf'>) => medianOf(all.map((one) => one[key])) ?? middle[key]
  return { count: of('count'), p50: of('p50'), p90: of('p90'), p99: of('p99'), p999: of('p999'), max: of('max'), cdf: middle.cdf }
}
