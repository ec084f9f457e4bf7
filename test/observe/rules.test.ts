// The alerts have unit tests that mean something and a runbook; the dashboard is one that Grafana can show; promtool agrees.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import t from 'tap'
import { parse, stringify } from 'yaml'
import { labelsOf, merge, parseExposition } from './exposition.js'
import { type AlertCase, type AlertRule, expressionsOf, RULES_FOLDER, readCases, readDashboard, readDoc, readRules } from './files.js'
import { usageOf } from './promql.js'

/** What an operator has to be told of. */
const WANTED = [
  'HoldwireDown',
  'HoldwireNotReady',
  'HoldwireBusDisconnected',
  'HoldwireGapsDeclared',
  'HoldwireDeliverySlow',
  'HoldwireSessionsNearLimit',
  'HoldwireOutboxGrowing',
  'HoldwireSlowConsumers',
  'HoldwireRefusing',
  'HoldwireAuthFailures',
  'HoldwireC2sSlow',
  'HoldwireC2sFailing',
  'HoldwireDrainingTooLong',
  'HoldwireEventLoopLag',
  'HoldwireMemoryNearLimit',
  'HoldwireNoC2sWorkers',
]
const ROWS = ['Overview', 'Traffic', 'Latency', 'Bus', 'c2s', 'Resources']

const promtool = process.env.PROMTOOL || 'promtool'
const env = { ...process.env, PATH: [process.env.PATH ?? '', '/usr/sbin', '/usr/local/bin'].join(delimiter) }
const found = spawnSync(promtool, ['--version'], { encoding: 'utf8', env, timeout: 10_000 })
const skip = found.status === 0 ? false : `no promtool: ${found.error?.message ?? found.stderr} (on PATH, or named by PROMTOOL)`

/** Alerts without a unit test in which they fire, or without one in which they keep quiet about series they look at. */
function untested(rules: readonly AlertRule[], cases: readonly AlertCase[]): string[] {
  const faults: string[] = []
  for (const { alert, expr, labels } of rules) {
    const metrics = new Set(usageOf(expr).selectors.map(({ metric }) => metric))
    const own = cases.filter(({ alert_rule_test: checks }) => checks.some(({ alertname }) => alertname === alert))
    const expected = (one: AlertCase) =>
      one.alert_rule_test.filter(({ alertname }) => alertname === alert).flatMap(({ exp_alerts }) => exp_alerts)
    const firing = own.filter((one) => expected(one).some(({ exp_labels }) => exp_labels.severity === labels.severity))
    const quiet = own.filter((one) => {
      const given = new Set(one.input_series.map(({ series }) => /^[\w:]+/.exec(series)?.[0]))
      return expected(one).length === 0 && [...metrics].every((metric) => given.has(metric))
    })
    if (firing.length === 0) faults.push(`${alert} fires in no test`)
    if (quiet.length === 0) faults.push(`${alert} keeps quiet in no test with all of its metrics`)
  }
  const known = new Set(rules.map(({ alert }) => alert))
  for (const { name, alert_rule_test: checks } of cases)
    for (const { alertname } of checks) if (!known.has(alertname)) faults.push(`"${name}" tests ${alertname}, which there is not`)
  return faults
}

/** A copy of the rules with something changed, and the unit tests of one alert. */
function planted(alert: string, change: (rules: string) => string): string {
  const folder = mkdtempSync(join(tmpdir(), 'holdwire-rules-'))
  const read = (name: string) => readFileSync(join(RULES_FOLDER, name), 'utf8')
  const { tests, ...rest } = parse(read('holdwire.test.yaml')) as { tests: AlertCase[] }
  writeFileSync(join(folder, 'holdwire.yaml'), change(read('holdwire.yaml')))
  writeFileSync(join(folder, 'holdwire.test.yaml'), stringify({ ...rest, tests: tests.filter(({ name }) => name.startsWith(`${alert} `)) }))
  return folder
}

function run(folder: string, ...args: string[]): { readonly status: number | null; readonly output: string } {
  const { status, stdout, stderr } = spawnSync(promtool, args, { cwd: folder, encoding: 'utf8', env, timeout: 30_000 })
  return { status, output: stdout + stderr }
}

t.test('each alert has a unit test in which it fires and one in which it does not', async (t) => {
  const rules = readRules()
  const cases = readCases()
  t.same(untested(rules, cases), [])
  for (const alert of WANTED)
    t.ok(
      rules.some((rule) => rule.alert === alert),
      alert,
    )
  t.equal(new Set(rules.map(({ alert }) => alert)).size, rules.length, 'names are told apart')

  const without = (gone: (one: AlertCase) => boolean) => cases.filter((one) => !gone(one))
  t.same(
    untested(
      rules,
      without(({ name }) => name === 'HoldwireDown fires'),
    ),
    ['HoldwireDown fires in no test'],
  )
  t.match(
    untested(
      rules,
      without(({ name }) => name.startsWith('HoldwireDown keeps')),
    ),
    [/^HoldwireDown keeps quiet in no test/],
  )
  const blind = cases.map((one) => (one.name.startsWith('HoldwireDown keeps') ? { ...one, input_series: [{ series: 'up' }] } : one))
  t.match(untested(rules, blind), [/^HoldwireDown keeps quiet in no test/], 'nothing to look at is no reason to keep quiet')
  t.match(untested(rules.slice(1), cases), [/"HoldwireDown fires" tests HoldwireDown, which there is not/])
})

t.test('each alert has a runbook, and stands in the table', async (t) => {
  const { alerts, anchors } = readDoc()
  const rules = readRules()
  t.same(
    alerts,
    rules.map(({ alert, labels, for: time }) => ({ alert, severity: labels.severity, for: time })),
  )
  for (const { alert, annotations } of rules) {
    t.equal(annotations.runbook, `docs/monitoring.md#${alert.toLowerCase()}`)
    t.ok(anchors.has(alert.toLowerCase()), alert)
  }
})

t.test('the dashboard can be shown', async (t) => {
  const dashboard = readDashboard()
  const { panels, templating } = dashboard
  t.same(
    panels.filter(({ type }) => type === 'row').map(({ title }) => title),
    ROWS,
  )
  t.same(
    templating.list.map(({ name }) => name),
    ['datasource', 'namespace', 'job', 'pod'],
  )
  t.equal(new Set(panels.map(({ id }) => id)).size, panels.length, 'ids are told apart')
  const taken = new Map<string, string>()
  for (const { title, gridPos } of panels) {
    t.ok(gridPos.x + gridPos.w <= 24, title)
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
        const other = taken.get(`${x} ${y}`)
        if (other !== undefined) t.fail(`${title} lies on ${other}`)
        taken.set(`${x} ${y}`, title)
      }
    }
  }
  for (const { where, expr } of expressionsOf(dashboard)) {
    if (where.startsWith('variable')) continue
    for (const { metric, labels } of usageOf(expr).selectors)
      for (const label of ['namespace', 'job', 'pod']) t.ok(labels.includes(label), `${where}: ${metric} is not narrowed by ${label}`)
  }
})

t.test('expressions are read for what they refer to', async (t) => {
  const { selectors, groupings } = usageOf(
    'histogram_quantile(0.9, sum(rate(a_bucket{x="}", y=~"b(c",z!="$v"}[$__rate_interval])) by (le, x)) > on (q) group_left (r) 2 * b and topk by (s) (3, c offset 5m)',
  )
  t.same(selectors, [
    { metric: 'a_bucket', labels: ['x', 'y', 'z'] },
    { metric: 'b', labels: [] },
    { metric: 'c', labels: [] },
  ])
  t.same(
    groupings.map(({ kind, labels, selectors: under }) => [
      kind,
      labels.join(),
      kind === 'on' ? 'all' : under.map(({ metric }) => metric).join(),
    ]),
    [
      ['by', 'le,x', 'a_bucket'],
      ['on', 'q', 'all'],
      ['group_left', 'r', 'a_bucket,b,c'],
      ['by', 's', 'c'],
    ],
  )
  for (const wrong of ['sum(a', 'a)', 'a{b="c"', 'sum by (x) a', 'a ; b', '}']) t.throws(() => usageOf(wrong), wrong)
  const text = [
    '# HELP h x',
    '# TYPE h histogram',
    'h_bucket{le="+Inf",a="x,y=\\"z\\""} 1',
    'h_sum{a="x"} 1',
    '# TYPE g gauge',
    'g 3',
    '',
  ].join('\n')
  const families = merge(parseExposition(text), parseExposition('# TYPE g gauge\ng{n="1"} 2'))
  t.same([...(labelsOf('h_bucket', families) ?? [])], ['a', 'le'])
  t.same([...(labelsOf('g', families) ?? [])], ['n'])
  t.same([labelsOf('h', families), labelsOf('g_sum', families)], [undefined, undefined])
  t.throws(() => parseExposition('g 1'), /without a type/)
  t.throws(() => parseExposition('<html>'), /no sample/)
})

t.test('promtool finds nothing wrong, and what is planted', { skip }, async (t) => {
  t.match(run(RULES_FOLDER, 'check', 'rules', 'holdwire.yaml'), { status: 0 })
  t.match(run(RULES_FOLDER, 'test', 'rules', 'holdwire.test.yaml'), { status: 0 })
  const same = (rules: string) => rules
  const mistakes: [what: string, alert: string, change: (rules: string) => string, status: 0 | 1][] = [
    ['nothing', 'HoldwireSessionsNearLimit', same, 0],
    ['a threshold', 'HoldwireSessionsNearLimit', (rules) => rules.replace('sessions_limit > 0.85', 'sessions_limit > 0.95'), 1],
    ['a metric', 'HoldwireBusDisconnected', (rules) => rules.replace('expr: holdwire_bus_connected', 'expr: holdwire_bus_conected'), 1],
    ['a severity', 'HoldwireDown', (rules) => rules.replace('severity: critical', 'severity: warning'), 1],
    ['a shorter time', 'HoldwireNoGateway', (rules) => rules.replace('for: 5m', 'for: 1m'), 1],
    ['a condition left out', 'HoldwireNotReady', (rules) => rules.replace(' unless holdwire_draining_seconds > 0', ''), 1],
  ]
  for (const [what, alert, change, status] of mistakes) {
    const folder = planted(alert, change)
    t.teardown(() => rmSync(folder, { recursive: true }))
    const { status: ended, output } = run(folder, 'test', 'rules', 'holdwire.test.yaml')
    t.equal(ended, status, what)
    t.match(output, status === 0 ? /SUCCESS/ : /FAILED/, what)
  }
})

t.test('promtool can read every expression of the dashboard', { skip }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'holdwire-dashboard-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const check = (expressions: readonly string[]) => {
    const rules = expressions.map((expr, i) => ({ record: `dashboard:${i}`, expr: expr.replace(/\$__(rate_interval|range)\b/g, '5m') }))
    writeFileSync(join(folder, 'rules.yaml'), stringify({ groups: [{ name: 'dashboard', rules }] }))
    return run(folder, 'check', 'rules', 'rules.yaml')
  }
  t.match(check(expressionsOf(readDashboard()).map(({ expr }) => expr)), { status: 0 })
  t.match(check(['rate(holdwire_users)']), { status: 1 })
})
