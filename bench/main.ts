// `holdwire bench`, also `npm run bench`: measures this server on this machine, in processes of its own.

import { realpathSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { measureBosh } from './bosh.js'
import { environment } from './environment.js'
import { type IdleRow, measureIdle } from './idle.js'
import { runLab } from './lab/lab.js'
import { isLabScenario, LAB_USAGE, parseLabOptions } from './lab/lab-options.js'
import { type BenchOptions, parseOptions, USAGE } from './options.js'
import { type Progress, terminalProgress } from './progress.js'
import { ADVISE_USAGE, runAdvise } from './report/advise.js'
import { idleLine, unicastLine } from './table.js'
import { measureUnicast, type UnicastRow } from './unicast.js'

/** Runs it to its end; the exit code: 0, 1 when a row is invalid, 2 when the arguments are. */
export async function runBench(args: readonly string[]): Promise<number> {
  if (args.length === 0 || args[0] === 'help' || args.includes('--help')) {
    process.stdout.write(`${USAGE}${LAB_USAGE}${ADVISE_USAGE}`)
    return 0
  }
  if (args[0] === 'advise') return runAdvise(args.slice(1))
  const root = join(import.meta.dirname, '..')
  const progress = terminalProgress(process.stderr)
  if (isLabScenario(args[0])) {
    const lab = parsed(() => parseLabOptions(args), LAB_USAGE)
    return lab === undefined ? 2 : runLab(lab, root, progress)
  }
  const options = parsed(() => parseOptions(args), USAGE)
  if (options === undefined) return 2
  const machine = environment(join(root, '..', 'package.json'))
  const outcome =
    options.scenario === 'bosh'
      ? await measureBosh(options, machine.holdwire, root, progress)
      : { rows: await measureTransports(options, root, progress) }
  const rows: readonly { readonly invalid: readonly string[] }[] = outcome.rows
  const valid = rows.every(({ invalid }) => invalid.length === 0)
  const result = `${JSON.stringify({ valid, environment: machine, options, ...outcome }, undefined, 2)}\n`
  if (options.out === undefined) process.stdout.write(result)
  else writeFileSync(options.out, result)
  return valid ? 0 : 1
}

/** Undefined: they are wrong, and the user was told. */
function parsed<T>(parse: () => T, usage: string): T | undefined {
  try {
    return parse()
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${usage.trimStart()}`)
    return undefined
  }
}

async function measureTransports(options: BenchOptions, root: string, progress: Progress): Promise<(IdleRow | UnicastRow)[]> {
  const rows: (IdleRow | UnicastRow)[] = []
  for (const engine of options.engines) {
    for (const transport of options.transports) {
      progress.update(`${engine} ${transport}: starting`)
      if (options.scenario === 'idle') {
        const row = await measureIdle(options, engine, transport, root, progress)
        rows.push(row)
        progress.say(idleLine(row))
      } else {
        const pair = await measureUnicast(options, engine, transport, root, progress)
        rows.push(...pair)
        for (const row of pair) progress.say(unicastLine(row))
      }
    }
  }
  return rows
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  process.exitCode = await runBench(process.argv.slice(2))
}
