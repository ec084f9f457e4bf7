// What a result says, as tables and sentences: the page and the Markdown have the same ones.

import type { LabFigures, LabResult, LabRow, LabScenario } from '../lab/result.js'
import { type MedianRow, mediansOf } from './medians.js'
import { circumstances, figure, kilobytes, milliseconds, NONE, serverName } from './words.js'

export interface Table {
  readonly title: string
  readonly columns: readonly string[]
  readonly rows: readonly (readonly string[])[]
}

const PARTS: Readonly<Record<LabRow['part'], string>> = {
  compare: 'Transports side by side',
  scale: 'How costs grow',
  peers: 'Servers side by side',
}

/** Where two servers are told apart by one figure. */
const COMPARED: Readonly<Partial<Record<LabScenario, Compared>>> = {
  maximum: { name: 'messages for a core second', of: ({ perCoreSecond }) => perCoreSecond, better: 'more', shown: figure },
  broadcast: { name: 'deliveries for a core second', of: ({ perCoreSecond }) => perCoreSecond, better: 'more', shown: figure },
  cycles: { name: 'cycles for a core second', of: ({ perCoreSecond }) => perCoreSecond, better: 'more', shown: figure },
  idle: { name: 'idle session, PSS, kB', of: ({ pssBytesPerSession }) => pssBytesPerSession, better: 'less', shown: kilobytes },
  latency: { name: 'latency p99, ms', of: ({ latencyUs }) => latencyUs?.p99, better: 'less', shown: milliseconds },
}

interface Compared {
  readonly name: string
  readonly of: (figures: LabFigures) => number | undefined
  readonly better: 'more' | 'less'
  readonly shown: (value: number) => string
}

/** Empty: everything that was asked for was measured. */
export function warningsOf({ rows, selfTest }: LabResult): string[] {
  const failed = selfTest.filter(({ ok }) => !ok).map(({ name }) => name)
  const warnings = failed.length > 0 ? [`The generator failed its own test: ${failed.join(', ')}.`] : []
  if (rows.length === 0) return [...warnings, 'There are no rows: nothing was measured.']
  const invalid = rows.filter((row) => row.invalid.length > 0).length
  if (invalid === rows.length) return [...warnings, `All ${invalid} rows are INVALID: there is no figure that counts.`]
  return invalid === 0 ? warnings : [...warnings, `${invalid} of ${rows.length} rows are INVALID and in no figure.`]
}

/** All that have a row, the most telling first. */
export function tablesOf(result: LabResult): Table[] {
  const { rows } = result
  const telling = [ratioTable(rows), ...valueTables(rows), invalidTable(rows)]
  return [...telling, environmentTable(result), serverTable(result), skippedTable(result)].filter((table) => table.rows.length > 0)
}

/** How many times better Holdwire is than another server at the same; below 1: worse. */
export function ratioTable(rows: readonly LabRow[]): Table {
  const medians = mediansOf(rows.filter(({ part }) => part === 'peers'))
  const ours = medians.filter(({ row }) => isHoldwire(row))
  const lines = medians
    .filter(({ row }) => !isHoldwire(row))
    .flatMap((theirs) => ours.filter((own) => sameWork(own.row, theirs.row)).flatMap((own) => ratioLines(own, theirs)))
  return { title: 'Ratios', columns: ['what', 'transport', 'Holdwire', '', 'against', '', 'times as good'], rows: lines }
}

export function valueTables(rows: readonly LabRow[]): Table[] {
  const medians = mediansOf(rows)
  return Object.entries(PARTS).flatMap(([part, title]) => {
    const own = medians.filter(({ row }) => row.part === part)
    const scenarios = [...new Set(own.map(({ row }) => row.scenario))]
    return scenarios.map((scenario) =>
      valueTable(
        `${title}: ${scenario}`,
        own.filter(({ row }) => row.scenario === scenario),
      ),
    )
  })
}

export function invalidTable(rows: readonly LabRow[]): Table {
  return {
    title: 'INVALID rows',
    columns: ['part', 'scenario', 'server', 'transport', 'at', 'round', 'why'],
    rows: rows
      .filter(({ invalid }) => invalid.length > 0)
      .map((row) => [
        ...[row.part, row.scenario, serverName(row), row.transport, circumstances(row), String(row.round)],
        row.invalid.join('; '),
      ]),
  }
}

export function environmentTable({ environment, startedAt, tookSeconds, mode, seed }: LabResult): Table {
  const { holdwire, node, natsServer, kernel, cpu, cores, memoryBytes } = environment
  const rows = [
    ['run', `${mode}, seed ${seed}, ${startedAt}, ${figure(tookSeconds)} s`],
    ['holdwire', holdwire],
    ['Node', node],
    ['nats-server', natsServer],
    ['system', kernel],
    ['processor', `${cpu}, ${cores} cores`],
    ['memory', `${figure(memoryBytes / 1e9)} GB`],
  ]
  return { title: 'Environment', columns: ['', ''], rows }
}

export function serverTable({ servers }: LabResult): Table {
  return {
    title: 'Servers',
    columns: ['', 'version', 'how it was started'],
    rows: servers.map((one) => [one.name, one.version, one.recipe]),
  }
}

export function skippedTable({ skipped }: LabResult): Table {
  return { title: 'Skipped', columns: ['', 'why'], rows: skipped.map(({ name, reason }) => [name, reason]) }
}

export function selfTestTable({ selfTest }: LabResult): Table {
  const rows = selfTest.map(({ name, expected, seen, ok }) => [name, expected, seen, ok ? 'ok' : 'FAILED'])
  return { title: 'Self-test of the generator', columns: ['', 'expected', 'seen', ''], rows }
}

export function isHoldwire({ server }: LabRow): boolean {
  return server.startsWith('holdwire')
}

function sameWork(a: LabRow, b: LabRow): boolean {
  const keys = ['scenario', 'transport', 'sessions', 'rate', 'sizeBytes', 'subscribers'] as const
  const sameNetwork = a.network.roundTripMs === b.network.roundTripMs && a.network.stalls === b.network.stalls
  return sameNetwork && keys.every((key) => a[key] === b[key])
}

/** None where one of them has no such figure. */
function ratioLines(own: MedianRow, theirs: MedianRow): string[][] {
  const compared = COMPARED[own.row.scenario]
  const ours = compared?.of(own.figures)
  const others = compared?.of(theirs.figures)
  if (compared === undefined || ours === undefined || others === undefined || ours <= 0 || others <= 0) return []
  const ratio = compared.better === 'more' ? ours / others : others / ours
  const { row } = own
  const what = `${compared.name} (${circumstances(row)})`
  return [[what, row.transport, serverName(row), compared.shown(ours), serverName(theirs.row), compared.shown(others), figure(ratio)]]
}

type Column = readonly [name: string, cell: (figures: LabFigures) => string]

const COLUMNS: readonly Column[] = [
  ['per second', ({ perSecond }) => figure(perSecond)],
  ['per core second', ({ perCoreSecond }) => figure(perCoreSecond)],
  ['CPU each, µs', ({ cpuUsPerMessage }) => figure(cpuUsPerMessage)],
  ['p50, ms', ({ latencyUs }) => milliseconds(latencyUs?.p50)],
  ['p90, ms', ({ latencyUs }) => milliseconds(latencyUs?.p90)],
  ['p99, ms', ({ latencyUs }) => milliseconds(latencyUs?.p99)],
  ['p99.9, ms', ({ latencyUs }) => milliseconds(latencyUs?.p999)],
  ['bytes down', ({ bytesDownPerMessage }) => figure(bytesDownPerMessage)],
  ['bytes up', ({ bytesUpPerMessage }) => figure(bytesUpPerMessage)],
  ['open p50, ms', ({ openMs }) => figure(openMs?.p50)],
  ['open p99, ms', ({ openMs }) => figure(openMs?.p99)],
  ['resume p50, ms', ({ resumeMs }) => figure(resumeMs?.p50)],
  ['resume p99, ms', ({ resumeMs }) => figure(resumeMs?.p99)],
  ['PSS, kB', ({ pssBytesPerSession }) => kilobytes(pssBytesPerSession)],
  ['RSS, kB', ({ rssBytesPerSession }) => kilobytes(rssBytesPerSession)],
  ['cgroup, kB', ({ cgroupBytesPerSession }) => kilobytes(cgroupBytesPerSession)],
  ['CPU a session and second, µs', ({ cpuUsPerSessionSecond }) => figure(cpuUsPerSessionSecond)],
]

/** With the columns that any of the rows has a figure for. */
function valueTable(title: string, medians: readonly MedianRow[]): Table {
  const columns = COLUMNS.filter(([, cell]) => medians.some(({ figures }) => cell(figures) !== NONE))
  return {
    title,
    columns: ['server', 'transport', 'at', 'rounds', ...columns.map(([name]) => name)],
    rows: medians.map(({ row, figures, valid, rounds }) => [
      ...[serverName(row), row.transport, circumstances(row), valid === rounds ? String(rounds) : `${valid} of ${rounds}`],
      ...columns.map(([, cell]) => cell(figures)),
    ]),
  }
}
