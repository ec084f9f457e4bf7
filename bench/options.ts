// What `holdwire bench` can be told.

import { parseArgs } from 'node:util'
import type { TransportName } from './orders.js'

export interface BenchOptions {
  readonly scenario: 'idle' | 'unicast'
  readonly engines: readonly ('node' | 'uws')[]
  readonly transports: readonly TransportName[]
  readonly topology: 'split' | 'serve'
  readonly sessions: number
  readonly seed: number
  /** Unicast: how long each measurement takes, warm-up not counted. */
  readonly seconds: number
  /** Unicast: messages a second of the latency measurement. */
  readonly rate: number
  /** Unicast: published and not yet received at the most, while the maximum is looked for. */
  readonly window: number
  readonly sizeBytes: number
  readonly ackEvery: number
  readonly ephemeral: boolean
  /** Where the result goes as JSON; undefined: standard output. */
  readonly out: string | undefined
}

export const USAGE = `holdwire bench idle | unicast [options]

  idle      memory of the server for each session on which nothing happens
  unicast   messages to users at random, published straight to NATS: the most that is delivered, CPU for each, latency

  --engine node,uws                  engines to measure (default: node)
  --transport websocket,sse,poll     (default: idle: all three, unicast: websocket)
  --topology split|serve             separate gateway and c2s on nats-server, or one process (idle only; default: split)
  --sessions N                       sessions, a user each (default: idle 10000, unicast 5000)
  --seconds N                        length of each measurement (default 10)
  --rate N                           messages a second while latency is measured (default 5000)
  --window N                         messages under way while the maximum is looked for (default 8000)
  --size N                           bytes of a message's data (default 200)
  --ack-every N                      a WebSocket client acknowledges after so many messages (default 16)
  --ephemeral                        past the store, to live subjects
  --seed N                           (default 1)
  --out FILE                         the result as JSON goes there (default: standard output)
`

const OPTIONS = {
  engine: { type: 'string', default: 'node' },
  transport: { type: 'string' },
  topology: { type: 'string', default: 'split' },
  sessions: { type: 'string' },
  seconds: { type: 'string', default: '10' },
  rate: { type: 'string', default: '5000' },
  window: { type: 'string', default: '8000' },
  size: { type: 'string', default: '200' },
  'ack-every': { type: 'string', default: '16' },
  ephemeral: { type: 'boolean', default: false },
  seed: { type: 'string', default: '1' },
  out: { type: 'string' },
} as const

/** Throws an Error with a sentence for the user. */
export function parseOptions(args: readonly string[]): BenchOptions {
  const { values, positionals } = parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true })
  const scenario = oneOf('scenario', positionals[0] ?? '', ['idle', 'unicast'])
  const idle = scenario === 'idle'
  const topology = oneOf('--topology', values.topology, ['split', 'serve'])
  if (topology === 'serve' && !idle) throw new Error('unicast publishes to NATS: it needs --topology split')
  return {
    scenario,
    engines: listOf('--engine', values.engine, ['node', 'uws']),
    transports: listOf('--transport', values.transport ?? (idle ? 'websocket,sse,poll' : 'websocket'), ['websocket', 'sse', 'poll']),
    topology,
    sessions: integer('--sessions', values.sessions ?? (idle ? '10000' : '5000'), 1, 1_000_000),
    seed: integer('--seed', values.seed, 0, 0xffff_ffff),
    seconds: integer('--seconds', values.seconds, 1, 600),
    rate: integer('--rate', values.rate, 1, 1_000_000),
    window: integer('--window', values.window, 1, 1_000_000),
    sizeBytes: integer('--size', values.size, 64, 65_536),
    ackEvery: integer('--ack-every', values['ack-every'], 1, 1_000_000),
    ephemeral: values.ephemeral,
    out: values.out,
  }
}

function oneOf<const T extends string>(name: string, text: string, choices: readonly T[]): T {
  const choice = choices.find((one) => one === text)
  if (choice === undefined) throw new Error(`${name}: one of ${choices.join(', ')}`)
  return choice
}

function listOf<const T extends string>(name: string, text: string, choices: readonly T[]): T[] {
  return [...new Set(text.split(',').map((one) => oneOf(name, one.trim(), choices)))]
}

function integer(name: string, text: string, min: number, max: number): number {
  const value = Number(text)
  if (!/^\d+$/.test(text) || value < min || value > max) throw new Error(`${name}: a whole number from ${min} to ${max}`)
  return value
}
