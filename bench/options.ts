// What `holdwire bench` can be told.

import { parseArgs } from 'node:util'
import { integer, listOf, oneOf } from './option-values.js'
import type { TransportName } from './orders.js'

export type RivalName = 'ejabberd' | 'prosody'

export interface BenchOptions {
  readonly scenario: 'idle' | 'unicast' | 'bosh'
  readonly engines: readonly ('node' | 'uws')[]
  readonly transports: readonly TransportName[]
  readonly topology: 'split' | 'serve'
  readonly sessions: number
  readonly seed: number
  /** Unicast, BOSH: how long each measurement takes, warm-up not counted. */
  readonly seconds: number
  /** Unicast, BOSH: messages a second of the latency measurement. */
  readonly rate: number
  /** Unicast, BOSH: sent and not yet received at the most, while the maximum is looked for. */
  readonly window: number
  /** BOSH: how often every server has its turn. */
  readonly rounds: number
  /** BOSH: servers to compare with. */
  readonly against: readonly RivalName[]
  /** BOSH and unicast: CPU profiles of Holdwire's processes go there when they end. */
  readonly profileFolder: string | undefined
  readonly sizeBytes: number
  readonly ackEvery: number
  readonly ephemeral: boolean
  /** Where the result goes as JSON; undefined: standard output. */
  readonly out: string | undefined
}

export const USAGE = `holdwire bench idle | unicast | bosh [options]

  idle      memory of the server for each session on which nothing happens
  unicast   messages to users at random, published straight to NATS: the most that is delivered, CPU for each, latency
  bosh      BOSH request cycles and messages between users: how many, CPU for each, latency; beside ejabberd and prosody, where
            they are installed; and what the bus and the c2s worker add to a round trip

  --engine node,uws                  engines to measure (default: node; bosh: node,uws)
  --transport websocket,sse,poll     (default: idle: all three, unicast: websocket)
  --topology split|serve             separate gateway and c2s on nats-server, or one process (idle only; default: split)
  --sessions N                       sessions, a user each (default: idle 10000, unicast 5000, bosh 500)
  --seconds N                        length of each measurement (default 10; bosh 1)
  --rate N                           messages a second while latency is measured (default 5000; bosh 250)
  --window N                         messages under way while the maximum is looked for (default 8000; bosh 64)
  --size N                           bytes of a message's data (default 200)
  --ack-every N                      a WebSocket client acknowledges after so many messages (default 16)
  --ephemeral                        past the store, to live subjects; bosh: messages that are not to be stored
  --rounds N                         bosh: turns of each server, of which the median counts (default 3)
  --against ejabberd,prosody|none    bosh: whom to compare with (default: both)
  --profile DIR                      bosh, unicast: CPU profiles of Holdwire's processes go there, which costs them time
  --seed N                           (default 1)
  --out FILE                         the result as JSON goes there (default: standard output)
`

const OPTIONS = {
  engine: { type: 'string' },
  transport: { type: 'string' },
  topology: { type: 'string', default: 'split' },
  sessions: { type: 'string' },
  seconds: { type: 'string' },
  rate: { type: 'string' },
  window: { type: 'string' },
  rounds: { type: 'string', default: '3' },
  against: { type: 'string', default: 'ejabberd,prosody' },
  profile: { type: 'string' },
  size: { type: 'string', default: '200' },
  'ack-every': { type: 'string', default: '16' },
  ephemeral: { type: 'boolean', default: false },
  seed: { type: 'string', default: '1' },
  out: { type: 'string' },
} as const

const DEFAULTS = {
  idle: { engine: 'node', transport: 'websocket,sse,poll', sessions: '10000', seconds: '10', rate: '5000', window: '8000' },
  unicast: { engine: 'node', transport: 'websocket', sessions: '5000', seconds: '10', rate: '5000', window: '8000' },
  bosh: { engine: 'node,uws', transport: 'websocket', sessions: '500', seconds: '1', rate: '250', window: '64' },
} as const

/** Throws an Error with a sentence for the user. */
export function parseOptions(args: readonly string[]): BenchOptions {
  const { values, positionals } = parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true })
  const scenario = oneOf('scenario', positionals[0] ?? '', ['idle', 'unicast', 'bosh'])
  const usual = DEFAULTS[scenario]
  const topology = oneOf('--topology', values.topology, ['split', 'serve'])
  if (topology === 'serve' && scenario === 'unicast') throw new Error('unicast publishes to NATS: it needs --topology split')
  if (topology === 'serve' && scenario === 'bosh') throw new Error('bosh measures both topologies')
  const sessions = integer('--sessions', values.sessions ?? usual.sessions, 1, 1_000_000)
  if (scenario === 'bosh' && sessions % 2 !== 0) throw new Error('--sessions: an even number, they talk in pairs')
  return {
    scenario,
    engines: listOf('--engine', values.engine ?? usual.engine, ['node', 'uws']),
    transports: listOf('--transport', values.transport ?? usual.transport, ['websocket', 'sse', 'poll']),
    topology,
    sessions,
    seed: integer('--seed', values.seed, 0, 0xffff_ffff),
    seconds: integer('--seconds', values.seconds ?? usual.seconds, 1, 600),
    rate: integer('--rate', values.rate ?? usual.rate, 1, 1_000_000),
    window: integer('--window', values.window ?? usual.window, 1, 1_000_000),
    rounds: integer('--rounds', values.rounds, 1, 100),
    against: values.against === 'none' ? [] : listOf('--against', values.against, ['ejabberd', 'prosody']),
    profileFolder: values.profile,
    sizeBytes: integer('--size', values.size, 64, 65_536),
    ackEvery: integer('--ack-every', values['ack-every'], 1, 1_000_000),
    ephemeral: values.ephemeral,
    out: values.out,
  }
}
