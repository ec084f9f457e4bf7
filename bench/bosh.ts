// BOSH: request cycles and messages, Holdwire and other servers in turns on the same machine in the same run, and what Holdwire's
// own bus adds.

import { type AddedPath, measureAdded } from './bosh-added.js'
import { BoshCrowd } from './bosh-crowd.js'
import { type BoshPhase, type BoshRow, measureRow } from './bosh-row.js'
import { type BoshSummary, type Ratio, ratiosOf, summarize } from './bosh-summary.js'
import { addedLines, summaryLines, turnLine } from './bosh-table.js'
import { type Contestant, NotInstalled, startHoldwire } from './contestant.js'
import type { BenchOptions } from './options.js'
import { userName } from './orders.js'
import type { Progress } from './progress.js'
import { startEjabberd } from './rival-ejabberd.js'
import { startProsody } from './rival-prosody.js'

export interface BoshResult {
  readonly servers: readonly Pick<Contestant, 'name' | 'version' | 'recipe'>[]
  readonly skipped: readonly { readonly name: string; readonly reason: string }[]
  readonly ratios: readonly Ratio[]
  readonly summaries: readonly BoshSummary[]
  /** Undefined: no engine that was asked for is installed. */
  readonly added: AddedPath | undefined
  readonly rows: readonly BoshRow[]
}

const PHASES: readonly BoshPhase[] = ['empty', 'message', 'latency']
/** Code that was compiled, buffers that were made, connections that were used: not measured. */
const FIRST_WARM_UP_SECONDS = 2
const WARM_UP_SECONDS = 1

export async function measureBosh(options: BenchOptions, version: string, root: string, progress: Progress): Promise<BoshResult> {
  const users = Array.from({ length: options.sessions }, (_, index) => userName(index))
  const servers: Contestant[] = []
  const skipped: { name: string; reason: string }[] = []
  const rows: BoshRow[] = []
  const join = async (name: string, start: () => Promise<Contestant>) => {
    progress.update(`${name}: starting`)
    try {
      const server = await start()
      servers.push(server)
      progress.say(`${name} ${server.version}: ${server.recipe}`)
    } catch (error) {
      if (!(error instanceof NotInstalled)) throw error
      skipped.push({ name, reason: error.message })
      progress.say(`${name}: skipped: ${error.message}`)
    }
  }
  try {
    for (const engine of options.engines) {
      await join(nameOf(engine), () =>
        startHoldwire(nameOf(engine), version, { kind: 'split', engine, root, profileFolder: options.profileFolder }),
      )
    }
    for (const rival of options.against) await join(rival, () => (rival === 'ejabberd' ? startEjabberd(users) : startProsody(users)))
    for (let round = 1; round <= options.rounds; round++) {
      for (const server of servers) {
        const turn = await takeTurn(options, server, round, root, progress)
        rows.push(...turn)
        progress.say(turnLine(round, options.rounds, turn))
      }
    }
  } finally {
    for (const server of servers) await server.stop()
  }
  const engine = options.engines.find((one) => servers.some(({ name }) => name === nameOf(one)))
  const added = engine === undefined ? undefined : await measureAdded(options, engine, version, root, progress)
  const summaries = summarize(rows)
  const ratios = ratiosOf(summaries, options.against)
  for (const line of [...summaryLines(summaries, ratios), ...(added === undefined ? [] : addedLines(added))]) progress.say(line)
  return { servers: servers.map(({ name, version, recipe }) => ({ name, version, recipe })), skipped, ratios, summaries, added, rows }
}

function nameOf(engine: 'node' | 'uws'): string {
  return `holdwire-${engine}`
}

async function takeTurn(options: BenchOptions, server: Contestant, round: number, root: string, progress: Progress): Promise<BoshRow[]> {
  const { sessions, seed, window, sizeBytes, ephemeral, seconds, rate } = options
  const crowd = await BoshCrowd.open(root, server, sessions, seed, progress)
  try {
    const shared = { window, sizeBytes, ephemeral }
    progress.update(`round ${round}, ${server.name}: warming up`)
    const warmUpSeconds = round === 1 ? FIRST_WARM_UP_SECONDS : WARM_UP_SECONDS
    const rows: BoshRow[] = []
    for (const phase of PHASES) {
      const cycle = phase === 'empty' ? 'empty' : 'message'
      if (phase !== 'latency') await crowd.run({ ...shared, cycle, rate: undefined, seconds: warmUpSeconds / 2 })
      progress.update(`round ${round}, ${server.name}: ${phase}`)
      const order = { ...shared, cycle, seconds, rate: phase === 'latency' ? rate : undefined } as const
      rows.push(await measureRow(server, crowd, { phase, round, sessions }, order))
    }
    return rows
  } finally {
    await crowd.close()
  }
}
