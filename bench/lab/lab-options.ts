// What `holdwire bench lab` can be told.

import { parseArgs } from 'node:util'
import { integer, listOf } from '../option-values.js'
import type { LabPart, LabResult } from './result.js'

export interface LabOptions {
  readonly mode: LabResult['mode']
  /** None: the self-test alone. */
  readonly parts: readonly LabPart[]
  readonly seed: number
  /** How often everything is measured. */
  readonly rounds: number
  /** Where the result goes as JSON, as a page, and as Markdown; none: JSON to standard output. */
  readonly out: string | undefined
  readonly html: string | undefined
  readonly markdown: string | undefined
}

const PARTS = ['compare', 'scale', 'peers'] as const
const SCENARIOS = ['lab', ...PARTS, 'self-test'] as const

export const LAB_USAGE = `
holdwire bench lab | compare | scale | peers | self-test [options]

  lab        the transport lab: all three parts, after the self-test
  compare    all transports side by side: engines, buses, rates, networks with a distance
  scale      how costs grow with sessions, subscribers and known users, and where they bend
  peers      other servers that are installed, by the same generator
  self-test  whether the generator counts exactly and sees delays and losses that were planted

  --quick | --full          under 3 minutes | under 30 (default: --full)
  --parts compare,scale     lab: these only
  --seed N                  (default 1)
  --rounds N                how often everything is measured (default 1)
  --out FILE                the result as JSON goes there (default, without the two below: standard output)
  --html FILE               a page with charts
  --markdown FILE           its tables as Markdown; for the terminal they come on standard error
`

const OPTIONS = {
  quick: { type: 'boolean', default: false },
  full: { type: 'boolean', default: false },
  parts: { type: 'string' },
  seed: { type: 'string', default: '1' },
  rounds: { type: 'string', default: '1' },
  out: { type: 'string' },
  html: { type: 'string' },
  markdown: { type: 'string' },
} as const

export function isLabScenario(word: string | undefined): boolean {
  return SCENARIOS.some((one) => one === word)
}

/** Throws an Error with a sentence for the user. */
export function parseLabOptions(args: readonly string[]): LabOptions {
  const { values, positionals } = parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true })
  const [scenario, ...more] = positionals
  if (more.length > 0) throw new Error(`not understood: ${more.join(' ')}`)
  if (values.quick && values.full) throw new Error('--quick or --full')
  if (scenario !== 'lab' && values.parts !== undefined) throw new Error('--parts belongs to lab')
  return {
    mode: values.quick ? 'quick' : 'full',
    parts:
      scenario === 'self-test'
        ? []
        : scenario === 'lab'
          ? listOf('--parts', values.parts ?? PARTS.join(), PARTS)
          : listOf('scenario', scenario ?? '', PARTS),
    seed: integer('--seed', values.seed, 0, 0xffff_ffff),
    rounds: integer('--rounds', values.rounds, 1, 100),
    out: values.out,
    html: values.html,
    markdown: values.markdown,
  }
}
