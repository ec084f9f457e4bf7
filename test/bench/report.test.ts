// The report and the advisor, on a small result made up here.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { LabFigures, LabResult, LabRow, LabTransport, LatencyFigures } from '../../bench/lab/result.js'
import { adviceText, parseAdvise } from '../../bench/report/advise.js'
import { advise, keepAlivesPerHour, type Load } from '../../bench/report/advisor.js'
import { chartsOf } from '../../bench/report/charts.js'
import { medianOf, mediansOf } from '../../bench/report/medians.js'
import { writeReport } from '../../bench/report/report.js'
import { ratioTable } from '../../bench/report/tables.js'
import { terminalText } from '../../bench/report/terminal.js'

const folder = mkdtempSync(join(tmpdir(), 'holdwire-report-'))
t.teardown(() => rmSync(folder, { recursive: true }))

const latency = (p50: number): LatencyFigures => {
  return {
    count: 100,
    p50,
    p90: p50 * 2,
    p99: p50 * 3,
    p999: p50 * 4,
    max: p50 * 5,
    cdf: [
      [p50, 0.5],
      [p50 * 5, 1],
    ],
  }
}

const row = (transport: LabTransport, scenario: LabRow['scenario'], figures: LabFigures, more: Partial<LabRow> = {}): LabRow => ({
  part: 'compare',
  scenario,
  server: 'holdwire',
  engine: 'node',
  bus: 'nats',
  transport,
  network: { roundTripMs: 0, stalls: 0 },
  round: 1,
  sessions: 100,
  rate: scenario === 'latency' ? 200 : undefined,
  sizeBytes: 200,
  subscribers: undefined,
  knownUsers: undefined,
  figures,
  invalid: [],
  ...more,
})

const message = (cpuUs: number, bytes: number, p50 = 1000): LabFigures => {
  return { cpuUsPerMessage: cpuUs, bytesDownPerMessage: bytes, bytesUpPerMessage: 10, latencyUs: latency(p50) }
}
const idle = (pss: number, cpuUs: number): LabFigures => ({ seconds: 30, pssBytesPerSession: pss, cpuUsPerSessionSecond: cpuUs })
const cycle = (bytes: number): LabFigures => ({ perCoreSecond: 5000, bytesDownPerMessage: bytes, bytesUpPerMessage: bytes })

const peer = (server: string, scenario: LabRow['scenario'], figures: LabFigures): LabRow => {
  const ours = server === 'holdwire'
  return row('websocket', scenario, figures, { part: 'peers', server, engine: ours ? 'node' : undefined, bus: ours ? 'nats' : undefined })
}

const ROWS: readonly LabRow[] = [
  row('websocket', 'latency', message(100, 240, 1000)),
  row('websocket', 'latency', message(130, 240, 3000), { round: 2 }),
  row('websocket', 'latency', message(900, 240, 9000), { round: 3, invalid: ['a message was <missing>'] }),
  row('websocket', 'latency', message(60, 240), { rate: 2000 }),
  row('keepalive', 'latency', message(200, 600)),
  row('longpoll', 'latency', message(300, 600)),
  row('keepalive', 'latency', message(200, 600, 80_000), { network: { roundTripMs: 50, stalls: 0.01 } }),
  row('websocket', 'idle', idle(10_000, 2)),
  row('keepalive', 'idle', idle(14_000, 5)),
  row('longpoll', 'idle', idle(12_000, -0.5)),
  row('keepalive', 'cycles', cycle(300)),
  row('longpoll', 'cycles', cycle(300)),
  peer('holdwire', 'maximum', { perCoreSecond: 30_000 }),
  peer('other</script>', 'maximum', { perCoreSecond: 10_000 }),
  peer('holdwire', 'idle', { pssBytesPerSession: 8000 }),
  peer('other</script>', 'idle', { pssBytesPerSession: 32_000 }),
]

const resultOf = (rows: readonly LabRow[]): LabResult => ({
  version: 1,
  mode: 'quick',
  seed: 1,
  startedAt: '2026-01-02T03:04:05.000Z',
  tookSeconds: 12,
  environment: {
    holdwire: '0.1.0',
    node: 'v20.0.0',
    natsServer: 'none',
    kernel: 'linux',
    cpu: 'one',
    cores: 2,
    memoryBytes: 8e9,
    time: '2026-01-02T03:04:05.000Z',
  },
  selfTest: [{ name: 'counts', expected: '2000', seen: '2000', ok: true }],
  servers: [{ name: 'holdwire', version: '0.1.0', recipe: 'holdwire serve' }],
  skipped: [{ name: 'prosody', reason: 'not installed <!-- here' }],
  rows,
  notes: rows.length > 0 ? ['A note with <b>markup</b> and </script>.'] : [],
})

/** Both as a reader sees them; the page without the library. */
function written(result: LabResult): { readonly html: string; readonly data: string; readonly text: string; readonly markdown: string } {
  const paths = { html: join(folder, 'report.html'), markdown: join(folder, 'report.md') }
  writeReport(result, paths)
  const html = readFileSync(paths.html, 'utf8')
  const [text = '', rest = ''] = html.split('<script type="application/json" id="data">')
  return {
    html,
    text: text.replace(/<style>.*<\/style>/s, ''),
    data: rest.split('</script>')[0] ?? '',
    markdown: readFileSync(paths.markdown, 'utf8'),
  }
}

const BAD = /NaN|undefined|Infinity|\bnull\b|\[object/

t.test('medians are those of the rounds that count', async (t) => {
  const [first, ...others] = mediansOf(ROWS)
  t.match(first, { valid: 2, rounds: 3, figures: { cpuUsPerMessage: 115, latencyUs: { p50: 2000, p99: 6000 } } })
  t.same(first?.figures.latencyUs?.cdf, latency(1000).cdf, 'the curve of a round')
  t.match(others[0], { rounds: 1, figures: { cpuUsPerMessage: 60 } }, 'another rate is another row')
  t.equal(medianOf([5, 1, 3]), 3)
  t.equal(medianOf([4, undefined, 1, Number.NaN]), 2.5)
  t.equal(medianOf([undefined]), undefined)
})

t.test('the tables for a terminal are in columns', async (t) => {
  const text = terminalText(resultOf(ROWS))
  t.notMatch(text, BAD)
  const [, table = ''] = /^Transports side by side: latency\n(.*?)\n\n/ms.exec(text) ?? []
  const [head = '', ...lines] = table.split('\n')
  t.ok(lines.length > 0)
  const at = head.indexOf('p99, ms') + 'p99, ms'.length
  for (const line of lines) t.match(line.slice(0, at), /[\d–-]$/, `a figure ends where its heading does: ${line}`)
  t.notMatch(text, /[^\n]{400}/)
  t.match(terminalText(resultOf([])), /nothing was measured/)
})

t.test('the page and the Markdown', async (t) => {
  const { html, text, data, markdown } = written(resultOf(ROWS))
  for (const [name, one] of Object.entries({ text, data, markdown, advice: adviceText(advise(resultOf(ROWS), LOAD)) })) {
    t.notMatch(one, BAD, `${name} has a figure or a dash everywhere`)
  }
  t.equal(html.match(/<\/script>/g)?.length, 3, 'nothing ends a script early')
  t.notMatch(data, /</)
  t.notMatch(text, /<b>|<missing>|<!-- here/)
  t.notMatch(markdown, /<b>|<missing>/)
  t.notMatch(html, /<(script|link|img)[^>]+(src|href)=|sourceMappingURL/, 'it needs nothing else')
  t.match(html, /prefers-color-scheme: dark/)
  t.match(text, 'a message was &lt;missing&gt;')
  t.match(text, '1 of 16 rows are INVALID')
  t.match(text, '2 of 3')
  const drawn = [...text.matchAll(/data-chart="(\d+)"/g)].map(([, index]) => Number(index))
  const { charts } = JSON.parse(data)
  t.same(drawn.sort(), Object.keys(charts).map(Number), 'each chart is drawn once')
})

t.test('ratios say how many times as good', async (t) => {
  t.same(
    ratioTable(ROWS).rows.map((cells) => [cells[0]?.split(' (')[0], cells.at(-1)]),
    [
      ['messages for a core second', '3'],
      ['idle session, PSS, kB', '4'],
    ],
  )
})

t.test('charts', async (t) => {
  const charts = chartsOf(resultOf(ROWS))
  const of = (section: string) => charts.filter((chart) => chart.section === section)
  t.same(
    of('latency').map(({ series }) => series.map(({ name }) => name)),
    [['websocket', 'keepalive', 'longpoll'], ['websocket'], ['keepalive']],
  )
  t.same(of('cpu')[0]?.series[0], {
    name: 'websocket',
    points: [
      [200, 115],
      [2000, 60],
    ],
  })
  t.same(of('memory')[0]?.series[0]?.points, [
    [0, 14],
    [1, 12],
    [2, 10],
  ])
  t.same(
    of('peers').map(({ labels }) => labels),
    [
      ['holdwire node, nats', 'other</script>'],
      ['other</script>', 'holdwire node, nats'],
    ],
  )
})

t.test('a result without a figure says so', async (t) => {
  const empty = written(resultOf([]))
  const invalid = written(resultOf([row('websocket', 'latency', {}, { invalid: ['there was no time left for it'] })]))
  for (const one of [empty.text, empty.markdown]) t.match(one, 'nothing was measured')
  for (const one of [invalid.text, invalid.markdown]) {
    t.match(one, 'All 1 rows are INVALID')
    t.match(one, 'there was no time left for it')
  }
  for (const { text, markdown } of [empty, invalid]) {
    t.notMatch(text, BAD)
    t.notMatch(markdown, BAD)
    t.notMatch(text, '<canvas')
  }
  t.same(advise(resultOf([]), LOAD).ranking, [])
  t.match(adviceText(advise(resultOf([]), LOAD)), 'Nothing to go by.')
})

const LOAD: Load = { messagesPerHour: 10, payloadBytes: 200, mind: 'battery', roundTripMs: 0 }
const ranking = (rows: readonly LabRow[], load: Load) => advise(resultOf(rows), load).ranking.map(({ transport }) => transport)

t.test('the advisor follows the figures', async (t) => {
  t.same(ranking(ROWS, LOAD), ['websocket', 'keepalive', 'longpoll'], 'a handshake for each poll costs round trips')
  const dearer = ROWS.map((one) => (one.transport === 'keepalive' && one.scenario === 'cycles' ? { ...one, figures: cycle(3000) } : one))
  t.same(ranking(dearer, LOAD), ['websocket', 'longpoll', 'keepalive'], 'bytes of a poll turn it')

  const server: Load = { ...LOAD, mind: 'server' }
  const before = ranking(ROWS, server)
  t.equal(before[0], 'websocket')
  const heavier = ROWS.map((one) => {
    return one.transport === 'websocket' && one.scenario === 'idle' ? { ...one, figures: idle(90_000, 2) } : one
  })
  t.equal(ranking(heavier, server).at(-1), 'websocket', 'memory of an idle session turns it')
  const busy: Load = { ...server, messagesPerHour: 1_000_000 }
  t.match(advise(resultOf(ROWS), busy).ranking[0]?.reasons[0], /115 µs for a message/, 'at the lowest rate, the median')
})

t.test('the advisor does not guess', async (t) => {
  const without = ROWS.filter(({ scenario, transport }) => scenario !== 'cycles' || transport === 'longpoll')
  const advice = advise(resultOf(without), LOAD)
  t.same(advice.missing, [{ transport: 'keepalive', rows: ['cycles: bytes of an empty poll'] }])
  t.notOk(advice.ranking.some(({ transport }) => transport === 'keepalive'))
  t.match(adviceText(advice), 'Not ranked: keepalive, for want of cycles')
  const noIdle = advise(resultOf(ROWS.filter(({ scenario }) => scenario !== 'idle')), { ...LOAD, mind: 'server' })
  t.same(noIdle.ranking, [])
  t.equal(noIdle.missing.length, 3)
  t.match(advise(resultOf(ROWS), { ...LOAD, payloadBytes: 500 }).notes.join(), /measured with 200 bytes of data/)
})

t.test('pings come after silence only', async (t) => {
  t.equal(keepAlivesPerHour(0), 144)
  t.ok(keepAlivesPerHour(10) < 144 && keepAlivesPerHour(10) > 135)
  t.ok(keepAlivesPerHour(36_000) < 1e-6)
})

t.test('the command', async (t) => {
  const { file, load } = parseAdvise(['r.json', '--messages-per-hour', '10', '--payload', '200', '--mind', 'battery'])
  t.same([file, load], ['r.json', LOAD])
  t.throws(() => parseAdvise(['r.json', '--messages-per-hour', '10', '--payload', '200']), /--mind/)
  t.throws(() => parseAdvise(['--mind', 'server']), /which result/)
  t.throws(() => parseAdvise(['r.json', '--messages-per-hour', 'x', '--payload', '200', '--mind', 'server']), /messages-per-hour/)
})
