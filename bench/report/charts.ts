// What is drawn, as data: the page's script makes charts of it.

import type { LabResult } from '../lab/result.js'
import { type MedianRow, mediansOf } from './medians.js'
import { networkName, serverName } from './words.js'

export interface Chart {
  readonly title: string
  readonly section: 'latency' | 'cpu' | 'memory' | 'peers'
  readonly kind: 'line' | 'bar'
  readonly xTitle: string
  readonly yTitle: string
  /** Lines: the horizontal axis. */
  readonly logarithmic: boolean
  /** Bars: what each of them is. */
  readonly labels: readonly string[]
  readonly series: readonly { readonly name: string; readonly points: readonly (readonly [number, number])[] }[]
}

type Point = readonly [number, number]

/** Those that any row counts for. */
export function chartsOf({ rows }: LabResult): Chart[] {
  const medians = mediansOf(rows)
  const compare = medians.filter(({ row }) => row.part === 'compare')
  const peers = medians.filter(({ row }) => row.part === 'peers')
  const idle = compare.filter(({ row }) => row.scenario === 'idle')
  const shown = ({ row }: MedianRow) => `${row.transport} (${serverName(row).replace(/^holdwire /, '')})`
  const charts = [
    ...cdfs(compare.filter(({ row }) => row.scenario === 'latency')),
    ...cpuByRate(compare.filter(({ row }) => row.scenario === 'latency' && networkName(row.network) === 'loopback')),
    bars('memory', 'Memory of an idle session', 'kB, PSS', idle, shown, ({ figures }) => kilo(figures.pssBytesPerSession)),
    ...peerBars(peers),
  ]
  return charts.filter(({ series }) => series.some(({ points }) => points.length > 0))
}

/** One for each network, and for each engine, bus and rate in it: lines that are not alike are no comparison. */
function cdfs(medians: readonly MedianRow[]): Chart[] {
  const groups = grouped(medians, ({ row }) => `${networkName(row.network)}: ${serverName(row)}, ${row.rate ?? 0} messages a second`)
  return groups.map(([title, group]) => {
    const series = group.map(({ row, figures }) => {
      const points = (figures.latencyUs?.cdf ?? []).map(([us, share]): Point => [us / 1000, share * 100])
      return { name: row.transport, points: points.filter(([ms]) => ms > 0) }
    })
    return line('latency', title, 'latency, ms', '% of the messages within it', series)
  })
}

function cpuByRate(medians: readonly MedianRow[]): Chart[] {
  return grouped(medians, ({ row }) => serverName(row)).map(([title, group]) => {
    const series = grouped(group, ({ row }) => row.transport).map(([name, own]) => {
      const points = own.flatMap(({ row, figures }): Point[] => {
        return row.rate === undefined || figures.cpuUsPerMessage === undefined ? [] : [[row.rate, figures.cpuUsPerMessage]]
      })
      return { name, points: points.sort(([a], [b]) => a - b) }
    })
    return line('cpu', title, 'messages a second', 'CPU for a message, µs', series)
  })
}

function peerBars(medians: readonly MedianRow[]): Chart[] {
  const of = (scenario: string) => grouped(medians, ({ row }) => (row.scenario === scenario ? row.transport : undefined))
  const shown = ({ row }: MedianRow) => serverName(row)
  return [
    ...of('maximum').map(([transport, group]) =>
      bars('peers', `${transport}: messages for a second of one core`, 'messages', group, shown, ({ figures }) => figures.perCoreSecond),
    ),
    ...of('idle').map(([transport, group]) =>
      bars('peers', `${transport}: memory of an idle session`, 'kB, PSS', group, shown, ({ figures }) => kilo(figures.pssBytesPerSession)),
    ),
  ]
}

function line(section: Chart['section'], title: string, xTitle: string, yTitle: string, series: Chart['series']): Chart {
  const drawn = series.filter(({ points }) => points.length > 0)
  return { section, title, kind: 'line', xTitle, yTitle, logarithmic: true, labels: [], series: drawn }
}

function bars(
  section: Chart['section'],
  title: string,
  xTitle: string,
  medians: readonly MedianRow[],
  label: (one: MedianRow) => string,
  value: (one: MedianRow) => number | undefined,
): Chart {
  const drawn = medians.flatMap((one) => {
    const length = value(one)
    return length === undefined ? [] : [{ name: label(one), length }]
  })
  drawn.sort((a, b) => b.length - a.length)
  const points = drawn.map(({ length }, index): Point => [index, length])
  const labels = drawn.map(({ name }) => name)
  return { section, title, kind: 'bar', xTitle, yTitle: '', logarithmic: false, labels, series: [{ name: title, points }] }
}

function grouped(medians: readonly MedianRow[], keyOf: (one: MedianRow) => string | undefined): [string, MedianRow[]][] {
  const groups = new Map<string, MedianRow[]>()
  for (const one of medians) {
    const key = keyOf(one)
    if (key !== undefined) groups.set(key, [...(groups.get(key) ?? []), one])
  }
  return [...groups]
}

function kilo(bytes: number | undefined): number | undefined {
  return bytes === undefined ? undefined : bytes / 1000
}
