// A result as one page that needs nothing else: data, charts and the library that draws them are in it.

import type { LabResult } from '../lab/result.js'
import { type Chart, chartsOf } from './charts.js'
import {
  environmentTable,
  invalidTable,
  ratioTable,
  selfTestTable,
  serverTable,
  skippedTable,
  type Table,
  valueTables,
  warningsOf,
} from './tables.js'

/** `chartLibrary`: the source of chart.js, as a classic script. */
export function htmlOf(result: LabResult, chartLibrary: string): string {
  const charts = chartsOf(result)
  const drawn = (section: Chart['section']) =>
    charts.map((chart, index) => (chart.section === section ? canvas(chart, index) : '')).join('')
  const sections = [
    section(
      'Against other servers',
      notes(result.notes) + optional(ratioTable(result.rows)) + drawn('peers'),
      'No other server was measured.',
    ),
    section('Latency', drawn('latency'), 'There is no latency that counts.'),
    section('CPU for a message, by rate', drawn('cpu'), 'There is no CPU figure that counts.'),
    section('Memory of an idle session', drawn('memory'), 'There is no memory figure that counts.'),
    section('All rows that count', valueTables(result.rows).map(table).join(''), 'No row counts.'),
    section('Rows that do not count', optional(invalidTable(result.rows)), 'None.'),
    section(
      'How it was made',
      [environmentTable(result), serverTable(result), skippedTable(result), selfTestTable(result)].map(optional).join(''),
      '',
    ),
  ]
  const warnings = warningsOf(result).map((warning) => `<p class="warning">${escaped(warning)}</p>\n`)
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Holdwire transport lab, ${escaped(result.startedAt)}</title>
<style>${STYLE}</style>
</head>
<body>
<h1>Holdwire transport lab</h1>
<p>${escaped(`${result.mode} run of ${result.startedAt}; medians over the rounds.`)}</p>
${warnings.join('')}${sections.join('')}<script type="application/json" id="data">${json({ charts, result })}</script>
<script>${chartLibrary.replaceAll(/<\/(script)/gi, '<\\/$1').replace(/^\/\/# sourceMappingURL=.*$/m, '')}</script>
<script>${SCRIPT}</script>
</body>
</html>
`
}

function section(title: string, content: string, otherwise: string): string {
  return `<section>\n<h2>${escaped(title)}</h2>\n${content === '' ? `<p>${escaped(otherwise)}</p>\n` : content}</section>\n`
}

function notes(sentences: readonly string[]): string {
  if (sentences.length === 0) return ''
  return `<ul>\n${sentences.map((sentence) => `<li>${escaped(sentence)}</li>\n`).join('')}</ul>\n`
}

function canvas({ title, kind, labels }: Chart, index: number): string {
  const height = kind === 'line' ? 320 : 70 + labels.length * 26
  const label = escaped(title)
  return `<h3>${label}</h3>\n<div class="chart" style="height:${height}px"><canvas data-chart="${index}" role="img" aria-label="${label}"></canvas></div>\n`
}

function optional(one: Table): string {
  return one.rows.length === 0 ? '' : table(one)
}

function table({ title, columns, rows }: Table): string {
  const head = columns.map((column) => `<th>${escaped(column)}</th>`).join('')
  const body = rows.map((cells) => `<tr>${cells.map((cell) => `<td>${escaped(cell)}</td>`).join('')}</tr>\n`).join('')
  return `<h3>${escaped(title)}</h3>\n<div class="table"><table>\n<thead><tr>${head}</tr></thead>\n<tbody>\n${body}</tbody>\n</table></div>\n`
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}

/** No `<`: `</script>` or `<!--` in a reason would end the element. */
function json(value: unknown): string {
  return JSON.stringify(value).replaceAll('<', '\\u003c')
}

const STYLE = `
:root { color-scheme: light dark; --line: #8886; --soft: #8882; --warn: #b3261e }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 1100px; padding: 16px; overflow-wrap: anywhere }
h1, h2, h3 { line-height: 1.2 }
h2 { border-top: 1px solid var(--line); margin-top: 2em; padding-top: 1em }
.chart { position: relative; width: 100% }
.table { overflow-x: auto }
table { border-collapse: collapse; font-size: 14px; font-variant-numeric: tabular-nums; overflow-wrap: normal }
td, th { border-bottom: 1px solid var(--line); padding: 4px 10px 4px 0; text-align: left; vertical-align: top }
tbody tr:hover { background: var(--soft) }
.warning { border-left: 4px solid var(--warn); padding-left: 12px }
@media (prefers-color-scheme: dark) { :root { --warn: #f2b8b5 } }
`

/** Colours that are told apart on light and on dark, and by most who see fewer of them; dashes after the first four. */
const SCRIPT = `
const { charts } = JSON.parse(document.getElementById('data').textContent)
const COLOURS = ['#3b82f6', '#e8833a', '#22a06b', '#c4549c', '#9a7bd0', '#b58a00', '#1ba3b8', '#d9534f']
const dark = matchMedia('(prefers-color-scheme: dark)')
const drawn = []
function draw() {
  for (const chart of drawn.splice(0)) chart.destroy()
  Chart.defaults.color = dark.matches ? '#ddd' : '#333'
  Chart.defaults.borderColor = dark.matches ? '#fff2' : '#0002'
  Chart.defaults.animation = false
  Chart.defaults.maintainAspectRatio = false
  for (const canvas of document.querySelectorAll('canvas[data-chart]')) drawn.push(new Chart(canvas, configOf(charts[canvas.dataset.chart])))
}
function configOf({ kind, xTitle, yTitle, logarithmic, labels, series }) {
  const title = (text) => ({ display: text !== '', text })
  if (kind === 'bar') {
    const data = series[0].points.map(([, length]) => length)
    const backgroundColor = labels.map((label) => COLOURS[/^holdwire/.test(label) ? 1 : 0])
    const options = { indexAxis: 'y', plugins: { legend: { display: false } }, scales: { x: { beginAtZero: true, title: title(xTitle) } } }
    return { type: 'bar', data: { labels, datasets: [{ data, backgroundColor }] }, options }
  }
  const datasets = series.map(({ name, points }, index) => ({
    label: name,
    data: points.map(([x, y]) => ({ x, y })),
    borderColor: COLOURS[index % COLOURS.length],
    backgroundColor: COLOURS[index % COLOURS.length],
    borderDash: index >= 4 ? [6, 3] : [],
    borderWidth: 2,
    pointRadius: points.length > 8 ? 0 : 4,
  }))
  const scales = {
    x: { type: logarithmic ? 'logarithmic' : 'linear', title: title(xTitle) },
    y: { beginAtZero: true, title: title(yTitle) },
  }
  return { type: 'line', data: { datasets }, options: { scales, plugins: { legend: { position: 'bottom' } } } }
}
draw()
dark.addEventListener('change', draw)
`
