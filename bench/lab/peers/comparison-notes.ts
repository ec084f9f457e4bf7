// What the rows of servers beside Holdwire come to: ratios first, then what was aimed at and what was seen. Medians of the rounds that
// count; where none does, there is no figure.

import { median } from '../../bosh-summary.js'
import type { LabRow, LabScenario, LabTransport } from '../result.js'

/** Whose row it is: `holdwire uws`, `centrifugo`. */
type Name = string
type Figure = (row: LabRow) => number | undefined

interface Place {
  readonly scenario: LabScenario
  readonly transport: LabTransport
  /** `latency`: at the plan's own rate, or at half of Holdwire's maximum, which is another one in each round. */
  readonly pace?: 'rate' | 'half'
}

interface Aim {
  readonly text: string
  /** Undefined: messages are stored. */
  readonly variant?: 'ephemeral'
  readonly ours: Place
  readonly engines: readonly Engine[]
  readonly theirs: Place
  /** Of one engine: the ratio is taken to each of them, and the worst one counts; those that were not measured are left out. */
  readonly peers: (engine: Engine) => readonly Name[]
  readonly figure: Figure
  readonly isReached: (ours: number, theirs: number) => boolean
  readonly words: (ours: number, theirs: number) => string
}

type Engine = 'uws' | 'node'

const ENGINES: readonly Engine[] = ['uws', 'node']
const CENTRIFUGO = ['centrifugo', 'centrifugo-history', 'centrifugo-nats']
const FULL_FEATURED = [...CENTRIFUGO, 'socketio', 'ejabberd', 'prosody']
const NEAR_BYTES = 2048

const perCore: Figure = ({ figures }) => figures.perCoreSecond
const memory: Figure = ({ figures }) => figures.pssBytesPerSession
const p99: Figure = ({ figures }) => figures.latencyUs?.p99
/** Without nats-server on either side. */
const perCoreWithoutBus: Figure = ({ figures: { cpuUsByProcess } }) => {
  if (cpuUsByProcess === undefined) return undefined
  const us = Object.entries(cpuUsByProcess).reduce((sum, [name, one]) => (name === 'nats-server' ? sum : sum + one), 0)
  return us > 0 ? 1_000_000 / us : undefined
}

const TRANSPORTS: readonly LabTransport[] = ['websocket', 'sse', 'keepalive', 'longpoll', 'bosh', 'xmpp-websocket']

interface Comparison {
  readonly title: string
  readonly scenario: LabScenario
  readonly figure: Figure
  /** `more`: the ratio is ours to theirs; `less`: ours to theirs, and small is good. */
  readonly better: 'more' | 'less'
  readonly shown: (value: number) => string
  readonly pace?: 'half'
}

const COMPARISONS: readonly Comparison[] = [
  { title: 'messages for a second of one core', scenario: 'maximum', figure: perCore, better: 'more', shown: whole },
  {
    title: 'messages for a second of one core, nats-server not counted on either side',
    scenario: 'maximum',
    figure: perCoreWithoutBus,
    better: 'more',
    shown: whole,
  },
  { title: 'deliveries of a broadcast for a second of one core', scenario: 'broadcast', figure: perCore, better: 'more', shown: whole },
  { title: 'empty cycles for a second of one core', scenario: 'cycles', figure: perCore, better: 'more', shown: whole },
  { title: 'memory of an idle session', scenario: 'idle', figure: memory, better: 'less', shown: kilobytes },
  { title: "p99 at half of Holdwire's own maximum", scenario: 'latency', figure: p99, better: 'less', shown: milliseconds, pace: 'half' },
]

const UNICAST = 'messages to random users from NATS for a second of one core'
const RATIO = (ours: number, theirs: number) => times(ours / theirs)

const AIMS: readonly Aim[] = [
  {
    text: 'memory of an idle WebSocket at most half of the leanest of Centrifugo and Socket.IO',
    ours: { scenario: 'idle', transport: 'websocket' },
    engines: ENGINES,
    theirs: { scenario: 'idle', transport: 'websocket' },
    peers: () => [...CENTRIFUGO, 'socketio'],
    figure: memory,
    isReached: (ours, theirs) => ours <= theirs / 2,
    words: RATIO,
  },
  {
    text: "memory of an idle WebSocket at most half of ejabberd's (XMPP over WebSocket)",
    ours: { scenario: 'idle', transport: 'websocket' },
    engines: ENGINES,
    theirs: { scenario: 'idle', transport: 'xmpp-websocket' },
    peers: () => ['ejabberd'],
    figure: memory,
    isReached: (ours, theirs) => ours <= theirs / 2,
    words: RATIO,
  },
  ...(['keepalive', 'bosh'] as const).map(
    (transport): Aim => ({
      text: `memory of an idle session, ${transport}, at most a third of ejabberd's with BOSH`,
      ours: { scenario: 'idle', transport },
      engines: ENGINES,
      theirs: { scenario: 'idle', transport: 'bosh' },
      peers: () => ['ejabberd'],
      figure: memory,
      isReached: (ours, theirs) => ours <= theirs / 3,
      words: RATIO,
    }),
  ),
  {
    text: 'memory of an idle WebSocket within 2 KB of the bare engine',
    ours: { scenario: 'idle', transport: 'websocket' },
    engines: ENGINES,
    theirs: { scenario: 'idle', transport: 'websocket' },
    peers: bareOf,
    figure: memory,
    isReached: (ours, theirs) => ours <= theirs + NEAR_BYTES,
    words: (ours, theirs) => `${kilobytes(ours)} against ${kilobytes(theirs)}`,
  },
  ...[{}, { variant: 'ephemeral' } as const].flatMap((variant) => [
    { ...atLeast(UNICAST, 'maximum', 'websocket', 2, () => [...CENTRIFUGO, 'socketio']), ...variant },
    { ...atLeast(UNICAST, 'maximum', 'websocket', 0.5, () => ['bare-ws']), ...variant },
  ]),
  ...[{}, { variant: 'ephemeral' } as const].map((variant) => ({
    ...atLeast('deliveries of a broadcast for a second of one core', 'broadcast', 'websocket', 0.8, bareOf),
    ...variant,
  })),
  atLeast('empty cycles for a second of one core', 'cycles', 'bosh', 3, () => ['ejabberd', 'prosody']),
  ...(['keepalive', 'longpoll'] as const).flatMap((transport) => [
    atLeast('empty cycles for a second of one core', 'cycles', transport, 0.5, () => ['nchan'], ['node']),
    atLeast('empty cycles for a second of one core', 'cycles', transport, 1, () => ['nchan'], ['uws']),
  ]),
  ...(['websocket', 'keepalive', 'bosh', 'xmpp-websocket'] as const).map(
    (transport): Aim => ({
      text: `p99 at half of its own maximum below that of the full-featured, ${transport}`,
      ours: { scenario: 'latency', transport, pace: 'half' },
      engines: ENGINES,
      theirs: { scenario: 'latency', transport, pace: 'half' },
      peers: () => FULL_FEATURED,
      figure: p99,
      isReached: (ours, theirs) => ours < theirs,
      words: (ours, theirs) => `${milliseconds(ours)} against ${milliseconds(theirs)}`,
    }),
  ),
]

/** Sentences for the reader. */
export function comparisonNotes(rows: readonly LabRow[]): string[] {
  return [...ratioLines(rows), ...AIMS.flatMap((aim) => aim.engines.map((engine) => aimLine(rows, aim, engine)))]
}

function ratioLines(rows: readonly LabRow[]): string[] {
  const lines: string[] = []
  for (const { title, scenario, figure, better, shown, pace } of COMPARISONS) {
    for (const transport of TRANSPORTS) {
      const place: Place = { scenario, transport, ...(pace === undefined ? {} : { pace }) }
      for (const name of ENGINES.flatMap((engine) => [`holdwire ${engine}`, `holdwire-ephemeral ${engine}`])) {
        const ours = medianOf(rows, place, name, figure)
        if (ours === undefined) continue
        const others = namesOf(rows).flatMap((name) => {
          const theirs = medianOf(rows, place, name, figure)
          return theirs === undefined ? [] : [`${times(ours / theirs)} ${name}'s (${shown(theirs)})`]
        })
        if (others.length === 0) continue
        const hint = better === 'less' ? ', less is better' : ''
        lines.push(`${transport}, ${title}${hint}: ${name} ${shown(ours)}: ${others.join(', ')}.`)
      }
    }
  }
  return lines
}

function aimLine(rows: readonly LabRow[], { text, variant, ours, theirs, peers, figure, isReached, words }: Aim, engine: Engine): string {
  const name = variant === undefined ? `holdwire ${engine}` : `holdwire-${variant} ${engine}`
  const value = medianOf(rows, ours, name, figure)
  if (value === undefined) return `Aim not measured (${name}): ${text}: no row of Holdwire counts.`
  const seen = peers(engine).flatMap((name) => {
    const other = medianOf(rows, theirs, name, figure)
    return other === undefined ? [] : [{ name, other, isReached: isReached(value, other) }]
  })
  if (seen.length === 0) return `Aim not measured (${name}): ${text}: no row of ${peers(engine).join(', ')} counts.`
  const verdict = seen.every((one) => one.isReached) ? 'reached' : 'missed'
  return `Aim ${verdict} (${name}): ${text}: ${seen.map(({ name, other }) => `${name} ${words(value, other)}`).join(', ')}.`
}

function atLeast(
  what: string,
  scenario: LabScenario,
  transport: LabTransport,
  factor: number,
  peers: (engine: Engine) => readonly Name[],
  engines: readonly Engine[] = ENGINES,
): Aim {
  return {
    text: `${what}, ${transport}, at least ${factor} times those of ${peers('uws').map(familyOf).filter(isFirst).join(' and ')}`,
    ours: { scenario, transport },
    engines,
    theirs: { scenario, transport },
    peers,
    figure: perCore,
    isReached: (ours, theirs) => ours >= factor * theirs,
    words: RATIO,
  }
}

function bareOf(engine: Engine): readonly Name[] {
  return [engine === 'uws' ? 'bare-uws' : 'bare-ws']
}

function familyOf(name: Name): string {
  return name.startsWith('bare-') ? 'the bare engine' : name.startsWith('centrifugo') ? 'centrifugo' : name
}

function isFirst<T>(value: T, index: number, all: readonly T[]): boolean {
  return all.indexOf(value) === index
}

function namesOf(rows: readonly LabRow[]): Name[] {
  return rows.map(({ server }) => server).filter((name, index, all) => !name.startsWith('holdwire') && all.indexOf(name) === index)
}

function medianOf(rows: readonly LabRow[], place: Place, name: Name, figure: Figure): number | undefined {
  const values = rows.flatMap((row) => {
    const whose = row.engine === undefined ? row.server : `${row.server} ${row.engine}`
    if (whose !== name || row.scenario !== place.scenario || row.transport !== place.transport || row.invalid.length > 0) return []
    if (row.scenario === 'latency' && isHalf(rows, row) !== (place.pace === 'half')) return []
    const value = figure(row)
    return value === undefined ? [] : [value]
  })
  return values.length === 0 ? undefined : median(values)
}

/** Each server has two latencies in a round: the first one is at the plan's rate. */
function isHalf(rows: readonly LabRow[], row: LabRow): boolean {
  const first = rows.find(
    (one) =>
      one.scenario === 'latency' &&
      one.server === row.server &&
      one.engine === row.engine &&
      one.transport === row.transport &&
      one.round === row.round,
  )
  return first !== row
}

function times(ratio: number): string {
  return `${ratio >= 10 ? ratio.toFixed(0) : ratio >= 1 ? ratio.toFixed(1) : ratio.toFixed(2)} ×`
}

function whole(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}

function kilobytes(bytes: number): string {
  return `${(bytes / 1000).toFixed(1)} kB`
}

function milliseconds(us: number): string {
  return `${(us / 1000).toFixed(2)} ms`
}
