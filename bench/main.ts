// `holdwire bench`, also `npm run bench`: measures this server on this machine, in processes of its own.

import { realpathSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { environment } from './environment.js'
import { type IdleRow, measureIdle } from './idle.js'
import { type BenchOptions, parseOptions, USAGE } from './options.js'
import { terminalProgress } from './progress.js'
import { idleLine, unicastLine } from './table.js'
import { measureUnicast, type UnicastRow } from './unicast.js'

/** Runs it to its end; the exit code: 0, 1 when a row is invalid, 2 when the arguments are. */
export async function runBench(args: readonly string[]): Promise<number> {
  if (args.length === 0 || args[0] === 'help' || args.includes('--help')) {
    process.stdout.write(USAGE)
    return 0
  }
  let options: BenchOptions
  try {
    options = parseOptions(args)
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`)
    return 2
  }
  const root = join(import.meta.dirname, '..')
  const progress = terminalProgress(process.stderr)
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
  const valid = rows.every(({ invalid }) => invalid.length === 0)
  const result = `${JSON.stringify({ valid, environment: environment(join(root, '..', 'package.json')), options, rows }, undefined, 2)}\n`
  if (options.out === undefined) process.stdout.write(result)
  else writeFileSync(options.out, result)
  return valid ? 0 : 1
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  process.exitCode = await runBench(process.argv.slice(2))
}
