// `holdwire bench advise`: the advisor on the terminal.

import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import type { LabResult } from '../lab/result.js'
import { integer } from '../option-values.js'
import { type Advice, advise, type Load } from './advisor.js'

export const ADVISE_USAGE = `
holdwire bench advise RESULT.json --messages-per-hour N --payload BYTES --mind battery|server [--round-trip MS]

  ranks the transports for a session that gets so much, by the rows of a result that \`lab\` or \`compare\` wrote
`

const OPTIONS = {
  'messages-per-hour': { type: 'string' },
  payload: { type: 'string' },
  mind: { type: 'string' },
  'round-trip': { type: 'string', default: '0' },
} as const

/** Throws an Error with a sentence for the user. */
export function parseAdvise(args: readonly string[]): { readonly file: string; readonly load: Load } {
  const { values, positionals } = parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true })
  const [file, ...more] = positionals
  if (file === undefined) throw new Error('which result?')
  if (more.length > 0) throw new Error(`not understood: ${more.join(' ')}`)
  const { mind } = values
  if (mind !== 'battery' && mind !== 'server') throw new Error('--mind battery or server')
  return {
    file,
    load: {
      mind,
      messagesPerHour: integer('--messages-per-hour', values['messages-per-hour'] ?? '', 0, 1_000_000_000),
      payloadBytes: integer('--payload', values.payload ?? '', 0, 1_000_000_000),
      roundTripMs: integer('--round-trip', values['round-trip'], 0, 60_000),
    },
  }
}

/** Exit code: 0, 1 when no transport can be ranked, 2 when the arguments or the file are wrong. */
export function runAdvise(args: readonly string[]): number {
  try {
    const { file, load } = parseAdvise(args)
    const result: LabResult = JSON.parse(readFileSync(file, 'utf8'))
    if (result.version !== 1 || !Array.isArray(result.rows)) throw new Error(`${file} is no result of the transport lab`)
    const advice = advise(result, load)
    process.stdout.write(adviceText(advice))
    return advice.ranking.length > 0 ? 0 : 1
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n${ADVISE_USAGE}`)
    return 2
  }
}

export function adviceText({ side, ranking, missing, notes }: Advice): string {
  const lines = [side === undefined ? 'Nothing to go by.' : `By the rows of ${side}:`]
  for (const [index, { transport, score, reasons }] of ranking.entries()) {
    lines.push(`${index + 1}. ${transport} (${score.toFixed(2)}; 2 is the best in both)`, ...reasons.map((reason) => `   ${reason}`))
  }
  if (ranking.length === 0 && side !== undefined) lines.push('No transport has all the rows it takes.')
  for (const { transport, rows } of missing) lines.push(`Not ranked: ${transport}, for want of ${rows.join(' and ')}.`)
  return `${[...lines, ...notes].join('\n')}\n`
}
