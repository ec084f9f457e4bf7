// A conformance case, and how cases run: several at a time, each on its own accounts, with a transcript when it fails.

import { type Ability, Context, Skip, type Target } from '../support/conformance-context.js'

export interface Case {
  readonly clause: string
  readonly name: string
  readonly needs: readonly Ability[]
  run(context: Context): Promise<void>
}

export interface Outcome {
  readonly group: string
  readonly clause: string
  readonly name: string
  readonly result: 'pass' | 'fail' | 'skip'
  /** Why it failed or was skipped. */
  readonly reason: string
  readonly transcript: readonly string[]
  readonly ms: number
}

const CASE_TIMEOUT_MS = 25_000

export function test(clause: string, name: string, run: (context: Context) => Promise<void>, ...needs: Ability[]): Case {
  return { clause, name, needs, run }
}

export interface RunOptions {
  readonly concurrency: number
  /** Only cases whose group, clause or name matches. */
  readonly only?: RegExp
  readonly onOutcome?: (outcome: Outcome) => void
}

/** In the order of the groups, whatever the order in which they ended. */
export async function runSuite(target: Target, groups: Readonly<Record<string, readonly Case[]>>, options: RunOptions): Promise<Outcome[]> {
  const all = Object.entries(groups).flatMap(([group, cases]) => cases.map((one) => ({ group, one })))
  const chosen = all.filter(({ group, one }) => options.only?.test(`${group} ${one.clause} ${one.name}`) ?? true)
  const outcomes: Outcome[] = []
  let next = 0
  const worker = async () => {
    for (;;) {
      const index = next++
      const item = chosen[index]
      if (item === undefined) return
      const outcome = await runCase(target, item.group, item.one)
      outcomes[index] = outcome
      options.onOutcome?.(outcome)
    }
  }
  await Promise.all(Array.from({ length: options.concurrency }, worker))
  return outcomes
}

async function runCase(target: Target, group: string, one: Case): Promise<Outcome> {
  const startMs = performance.now()
  const outcome = (result: Outcome['result'], reason: string, transcript: readonly string[] = []): Outcome => {
    return { group, clause: one.clause, name: one.name, result, reason, transcript, ms: performance.now() - startMs }
  }
  const lacking = one.needs.find((ability) => target.lacks[ability] !== undefined)
  if (lacking !== undefined) return outcome('skip', target.lacks[lacking] ?? '')
  const context = new Context(target)
  let timer: NodeJS.Timeout | undefined
  try {
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`not done within ${CASE_TIMEOUT_MS} ms`)), CASE_TIMEOUT_MS)
    })
    await Promise.race([one.run(context), late])
    return outcome('pass', '')
  } catch (error) {
    if (error instanceof Skip) return outcome('skip', error.message)
    return outcome('fail', error instanceof Error ? `${error.message}${line(error)}` : String(error), context.transcript)
  } finally {
    clearTimeout(timer)
    context.end()
  }
}

/** Where in the case it failed. */
function line(error: Error): string {
  const at = error.stack?.split('\n').find((text) => text.includes('/conformance/') && !text.includes('/suite.'))
  return at === undefined
    ? ''
    : ` [${at
        .trim()
        .replace(/^at .*\/conformance\//, '')
        .replace(')', '')}]`
}
