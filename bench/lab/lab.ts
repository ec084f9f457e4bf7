// The transport lab: the self-test, the parts that were asked for, each within its time, and the result of all of it.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { environment } from '../environment.js'
import type { Progress } from '../progress.js'
import { writeReport } from '../report/report.js'
import { terminalText } from '../report/terminal.js'
import { compare } from './compare.js'
import type { LabOptions } from './lab-options.js'
import type { PartOptions, PartResult } from './part.js'
import { measurePeers } from './peers/peers.js'
import { Places } from './places.js'
import type { LabPart, LabResult } from './result.js'
import { scale } from './scale.js'
import { selfTest } from './self-test.js'

/** Together under 3 minutes, and under 30, with the self-test and the starts: what there is no time for is left out and named. */
const BUDGET_SECONDS: Readonly<Record<LabResult['mode'], Readonly<Record<LabPart, number>>>> = {
  quick: { compare: 75, scale: 35, peers: 55 },
  full: { compare: 620, scale: 300, peers: 820 },
}
/** Signals that end it; what it started ends too. */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
/** Longer than a server takes that was just being started, and has to be there before it can be stopped. */
const GOING_MS = 25_000

const PARTS: Readonly<Record<LabPart, (options: PartOptions) => Promise<PartResult>>> = { compare, scale, peers: measurePeers }

/** Exit code: 0, 1 when a row is invalid or the self-test failed, 130 when it was interrupted. */
export async function runLab(options: LabOptions, root: string, progress: Progress): Promise<number> {
  const interrupted = new AbortController()
  const places = new Places()
  const onSignal = () => {
    progress.say('interrupted: ending what was started')
    interrupted.abort(new Error('interrupted'))
    setTimeout(() => process.exit(130), GOING_MS)
  }
  for (const signal of SIGNALS) process.once(signal, onSignal)
  try {
    const result = await measure(options, root, progress, places, interrupted.signal)
    deliver(options, result)
    const valid = result.selfTest.every(({ ok }) => ok) && result.rows.every(({ invalid }) => invalid.length === 0)
    return valid ? 0 : 1
  } catch (error) {
    if (interrupted.signal.aborted) return 130
    throw error
  } finally {
    for (const signal of SIGNALS) process.off(signal, onSignal)
    places.close()
  }
}

async function measure(
  { mode, parts, seed, rounds }: LabOptions,
  root: string,
  progress: Progress,
  places: Places,
  signal: AbortSignal,
): Promise<LabResult> {
  const startMs = performance.now()
  const machine = environment(join(root, '..', 'package.json'))
  const findings = await selfTest(root, progress, (pid) => places.put('load', pid))
  const results: PartResult[] = []
  if (findings.every(({ ok }) => ok)) {
    for (const name of parts) {
      signal.throwIfAborted()
      const budgetSeconds = BUDGET_SECONDS[mode][name] * (name === 'compare' ? rounds : 1)
      results.push(await PARTS[name]({ root, mode, seed, rounds, budgetSeconds, places, progress, signal }))
    }
  }
  const failed = findings.filter(({ ok }) => !ok).map(({ name }) => name)
  return {
    version: 1,
    mode,
    seed,
    startedAt: machine.time,
    tookSeconds: Math.round((performance.now() - startMs) / 1000),
    environment: machine,
    selfTest: findings,
    servers: results.flatMap(({ servers }) => servers),
    skipped: results.flatMap(({ skipped }) => skipped),
    rows: results.flatMap(({ rows }) => rows),
    notes: [
      ...(failed.length > 0 ? [`Nothing was measured: the generator failed its own test (${failed.join(', ')}).`] : []),
      ...places.notes,
      ...results.flatMap(({ notes }) => notes),
    ],
  }
}

function deliver({ out, html, markdown }: LabOptions, result: LabResult): void {
  const json = `${JSON.stringify(result, undefined, 2)}\n`
  if (out !== undefined) writeFileSync(out, json)
  writeReport(result, { html, markdown })
  process.stderr.write(`\n${terminalText(result)}`)
  if (out === undefined && html === undefined && markdown === undefined) process.stdout.write(json)
}
