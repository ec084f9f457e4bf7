// The dashboard, the rules and their unit tests, and the tables of docs/monitoring.md, read and checked for their shape.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { z } from 'zod'

const root = process.cwd()
export const RULES_FOLDER = join(root, 'helm', 'holdwire', 'rules')

const Rule = z.strictObject({
  alert: z.string().regex(/^Holdwire[A-Z]\w+$/),
  expr: z.string().min(1),
  for: z.string().regex(/^[1-9]\d*m$/),
  labels: z.strictObject({ severity: z.enum(['critical', 'warning']) }),
  annotations: z.strictObject({ summary: z.string().min(1), description: z.string().min(1), runbook: z.string().min(1) }),
})
const RuleFile = z.strictObject({ groups: z.array(z.strictObject({ name: z.string(), rules: z.array(Rule).min(1) })).min(1) })

const Case = z.object({
  name: z.string(),
  input_series: z.array(z.object({ series: z.string() })),
  alert_rule_test: z.array(
    z.object({ alertname: z.string(), exp_alerts: z.array(z.object({ exp_labels: z.record(z.string(), z.string()) })) }),
  ),
})
const TestFile = z.object({ rule_files: z.array(z.string()), tests: z.array(Case).min(1) })

// biome-ignore lint/suspicious/noTemplateCurlyInString: a variable of Grafana
const datasource = z.strictObject({ type: z.literal('prometheus'), uid: z.literal('${datasource}') })
const gridPos = z.strictObject({ h: z.int().min(1), w: z.int().min(1).max(24), x: z.int().min(0).max(23), y: z.int().min(0) })
const Row = z.object({ id: z.int(), type: z.literal('row'), title: z.string().min(1), gridPos, panels: z.array(z.never()) })
const Panel = z.object({
  id: z.int(),
  type: z.enum(['timeseries', 'stat', 'heatmap', 'table']),
  title: z.string().min(1),
  description: z.string().min(20),
  datasource,
  gridPos,
  fieldConfig: z.object({ defaults: z.object({ unit: z.string().min(1) }) }),
  targets: z.array(z.object({ refId: z.string(), datasource, expr: z.string().min(1), legendFormat: z.string() })).min(1),
})
const Variable = z.object({
  name: z.string(),
  type: z.literal('query'),
  datasource,
  definition: z.string(),
  query: z.object({ query: z.string() }),
})
const SourceVariable = z.object({ name: z.literal('datasource'), type: z.literal('datasource'), query: z.literal('prometheus') })
const Dashboard = z.object({
  uid: z.string().min(1).max(40),
  title: z.string(),
  schemaVersion: z.int().min(36).max(41),
  panels: z.array(z.discriminatedUnion('type', [Row, Panel])),
  templating: z.object({ list: z.array(z.discriminatedUnion('type', [SourceVariable, Variable])) }),
  annotations: z.object({ list: z.array(z.object({ expr: z.string().optional() })) }),
})

export type AlertRule = z.output<typeof Rule>
export type AlertCase = z.output<typeof Case>
export type DashboardFile = z.output<typeof Dashboard>

export function readRules(text = readFileSync(join(RULES_FOLDER, 'holdwire.yaml'), 'utf8')): AlertRule[] {
  return RuleFile.parse(parse(text)).groups.flatMap(({ rules }) => rules)
}

export function readCases(text = readFileSync(join(RULES_FOLDER, 'holdwire.test.yaml'), 'utf8')): AlertCase[] {
  return TestFile.parse(parse(text)).tests
}

export function readDashboard(): DashboardFile {
  return Dashboard.parse(JSON.parse(readFileSync(join(root, 'helm', 'holdwire', 'dashboards', 'holdwire.json'), 'utf8')))
}

/** Where an expression stands, and what shows its labels. */
export interface Expression {
  readonly where: string
  readonly expr: string
  /** `{{label}}` of a legend, `$labels.…` of an annotation. */
  readonly shown: readonly string[]
}

export function expressionsOf(dashboard: DashboardFile): Expression[] {
  const ofPanels = dashboard.panels.flatMap((panel) =>
    panel.type === 'row'
      ? []
      : panel.targets.map(({ expr, legendFormat, refId }) => ({
          where: `panel "${panel.title}" ${refId}`,
          expr,
          shown: [...legendFormat.matchAll(/\{\{\s*(\w+)\s*\}\}/g)].map(([, label = '']) => label),
        })),
  )
  const ofAnnotations = dashboard.annotations.list.flatMap(({ expr }) =>
    expr === undefined ? [] : [{ where: 'annotation', expr, shown: [] }],
  )
  return [...ofPanels, ...ofAnnotations, ...dashboard.templating.list.flatMap(variableExpression)]
}

export function alertExpression({ alert, expr, annotations }: AlertRule): Expression {
  const shown = [...JSON.stringify(annotations).matchAll(/\$labels\.(\w+)/g)].map(([, label = '']) => label)
  return { where: `alert ${alert}`, expr, shown }
}

/** `label_values(metric{…}, label)`: the metric, and its label as one that is shown. */
function variableExpression(variable: DashboardFile['templating']['list'][number]): Expression[] {
  if (variable.type === 'datasource') return []
  const [, expr, label] = /^label_values\((.+), (\w+)\)$/.exec(variable.query.query) ?? []
  if (expr === undefined || label === undefined) throw new Error(`variable ${variable.name}: ${variable.query.query}`)
  return [{ where: `variable ${variable.name}`, expr, shown: [label] }]
}

export interface DocumentedMetric {
  readonly name: string
  readonly labels: readonly string[]
  readonly type: string
  readonly unit: string
  readonly from: 'all' | 'gateway' | 'c2s'
}

export interface MonitoringDoc {
  readonly text: string
  readonly metrics: readonly DocumentedMetric[]
  /** Rows of the table of alerts. */
  readonly alerts: readonly { readonly alert: string; readonly severity: string; readonly for: string }[]
  /** Headings as the fragments that lead to them. */
  readonly anchors: ReadonlySet<string>
}

export function readDoc(text = readFileSync(join(root, 'docs', 'monitoring.md'), 'utf8')): MonitoringDoc {
  const metrics = [...text.matchAll(/^\| `(holdwire_\w+)(?:\{([\w,]+)\})?` \| (\w+) \| ([^|]+) \| (all|gateway|c2s) \| [^|]+ \|$/gm)]
  const alerts = [...text.matchAll(/^\| \[(\w+)\]\(#(\w+)\) \| (\w+) \| (\w+) \|$/gm)]
  return {
    text,
    metrics: metrics.map(([, name = '', labels = '', type = '', unit = '', from = '']) => ({
      name,
      labels: labels === '' ? [] : labels.split(','),
      type,
      unit,
      from: from as DocumentedMetric['from'],
    })),
    alerts: alerts.map(([, alert = '', , severity = '', time = '']) => ({ alert, severity, for: time })),
    anchors: new Set([...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => heading.toLowerCase().replaceAll(' ', '-'))),
  }
}
