// What is wrong with an expression: metrics that no server exports, labels that they do not have.

import { type Family, labelsOf } from './exposition.js'
import type { Expression } from './files.js'
import { type Usage, usageOf } from './promql.js'

/** Put there by Prometheus and Kubernetes. */
const SCRAPED = new Set(['instance', 'job', 'namespace', 'pod'])
/** Made by Prometheus itself. */
const OWN_METRICS = new Map([['up', new Set<string>()]])

/** Empty: nothing is. */
export function faultsOf({ where, expr, shown }: Expression, exported: ReadonlyMap<string, Family>): string[] {
  let usage: Usage
  try {
    usage = usageOf(expr)
  } catch (error) {
    return [`${where}: can't be read: ${error instanceof Error ? error.message : String(error)}`]
  }
  const { selectors, groupings } = usage
  const labels = (metric: string) => OWN_METRICS.get(metric) ?? labelsOf(metric, exported)
  const faults = selectors.length === 0 ? [`${where}: no metric at all`] : []
  for (const { metric, labels: matched } of selectors) {
    const known = labels(metric)
    if (known === undefined) faults.push(`${where}: no server exports ${metric}`)
    else for (const label of matched) if (!known.has(label) && !SCRAPED.has(label)) faults.push(`${where}: ${metric} has no label ${label}`)
  }
  for (const { kind, labels: grouped, selectors: under } of groupings) {
    for (const label of grouped) {
      if (SCRAPED.has(label)) continue
      for (const { metric } of under)
        if (labels(metric)?.has(label) === false) faults.push(`${where}: ${kind} (${label}), which ${metric} does not have`)
    }
  }
  const remaining = remainingLabels(usage, labels)
  for (const label of shown) if (!remaining.has(label)) faults.push(`${where}: shows the label ${label}, which the result does not have`)
  return faults
}

/** Labels that the result may have. */
function remainingLabels(
  { selectors, groupings }: Usage,
  labels: (metric: string) => ReadonlySet<string> | undefined,
): ReadonlySet<string> {
  const by = groupings.filter(({ kind }) => kind === 'by')
  const without = new Set(groupings.filter(({ kind }) => kind === 'without').flatMap((grouping) => grouping.labels))
  if (by.length > 0) return new Set(by.flatMap((grouping) => grouping.labels))
  return new Set([...SCRAPED, ...selectors.flatMap(({ metric }) => [...(labels(metric) ?? [])])].filter((label) => !without.has(label)))
}
