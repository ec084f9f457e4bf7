// Which transport for which load, by what was measured and nothing else: a transport of which a row is missing is not ranked.

import type { LabResult, LabTransport, Network } from '../lab/result.js'
import { type MedianRow, mediansOf } from './medians.js'
import { isHoldwire } from './tables.js'
import { figure, kilobytes, networkName, serverName } from './words.js'

export interface Load {
  readonly messagesPerHour: number
  readonly payloadBytes: number
  /** What is scarce: the client's battery, or the server's CPU and memory. */
  readonly mind: 'battery' | 'server'
  readonly roundTripMs: number
}

export interface Advice {
  /** Whose rows they are, `holdwire node, nats`; undefined: there are none. */
  readonly side: string | undefined
  /** Best first. `score`: 2 would be the best in both things that count. */
  readonly ranking: readonly { readonly transport: LabTransport; readonly score: number; readonly reasons: readonly string[] }[]
  /** Of each transport that can't be ranked: the rows that it takes. */
  readonly missing: readonly { readonly transport: LabTransport; readonly rows: readonly string[] }[]
  /** What the figures leave open. */
  readonly notes: readonly string[]
}

/** Two costs of which less is better. */
interface Candidate {
  readonly transport: LabTransport
  readonly costs: readonly [number, number]
  readonly reasons: readonly string[]
}

interface Judged {
  readonly candidates: readonly Candidate[]
  readonly missing: Advice['missing']
  readonly notes: readonly string[]
}

/** Seconds of silence until a ping, and until a held poll is answered: the server's defaults. */
const KEEP_ALIVE_SECONDS = 25
const HOUR_SECONDS = 3600
/** CPU of processes comes in ticks of so much. */
const TICK_US = 10_000
const POLLS: ReadonlySet<LabTransport> = new Set(['keepalive', 'longpoll', 'bosh'])

export function advise(result: LabResult, load: Load): Advice {
  const medians = mediansOf(result.rows).filter(({ row }) => row.part === 'compare' && isHoldwire(row))
  const sides = [...new Set(medians.map(({ row }) => serverName(row)))].map((side) => {
    const own = medians.filter(({ row }) => serverName(row) === side)
    return { side, own, ...judge(own, load) }
  })
  // Engines and buses are not mixed: a difference between them would be taken for one between transports.
  const [best] = sides.sort((a, b) => b.candidates.length - a.candidates.length)
  if (best === undefined) return { side: undefined, ranking: [], missing: [], notes: ['No row of `compare` counts.'] }
  const lowest = (index: 0 | 1) => Math.min(...best.candidates.map(({ costs }) => costs[index]))
  const score = ({ costs: [a, b] }: Candidate) => a / lowest(0) + b / lowest(1)
  const ranking = best.candidates.map((one) => ({ transport: one.transport, score: score(one), reasons: one.reasons }))
  return {
    side: best.side,
    ranking: ranking.sort((a, b) => a.score - b.score),
    missing: best.missing,
    notes: [...best.notes, ...distance(best.own, load)],
  }
}

/** What happens after so much silence, in an hour, when messages come at random: their gaps are exponential. */
export function keepAlivesPerHour(messagesPerHour: number): number {
  const inOne = (messagesPerHour * KEEP_ALIVE_SECONDS) / HOUR_SECONDS
  return inOne === 0 ? HOUR_SECONDS / KEEP_ALIVE_SECONDS : messagesPerHour / Math.expm1(inOne)
}

function judge(medians: readonly MedianRow[], load: Load): Judged {
  const candidates: Candidate[] = []
  const missing: { transport: LabTransport; rows: string[] }[] = []
  const notes = new Set<string>()
  for (const transport of new Set(medians.map(({ row }) => row.transport))) {
    const near = medians.filter(({ row }) => row.transport === transport && networkName(row.network) === 'loopback')
    const found = load.mind === 'server' ? serverCosts(near, load, notes) : batteryCosts(transport, near, load, notes)
    if ('lacks' in found) missing.push({ transport, rows: found.lacks })
    else candidates.push({ transport, ...found })
  }
  return { candidates, missing, notes: [...notes] }
}

type Costs = Pick<Candidate, 'costs' | 'reasons'> | { readonly lacks: string[] }

function serverCosts(near: readonly MedianRow[], { messagesPerHour }: Load, notes: Set<string>): Costs {
  const idle = near.find(({ row }) => row.scenario === 'idle')
  const idleUs = idle?.figures.cpuUsPerSessionSecond
  const bytes = idle?.figures.cgroupBytesPerSession ?? idle?.figures.pssBytesPerSession
  const messageUs = slowest(near)?.figures.cpuUsPerMessage
  if (idle === undefined || idleUs === undefined || bytes === undefined || messageUs === undefined) {
    const lacks = idleUs === undefined || bytes === undefined ? ['idle: CPU and memory'] : []
    return { lacks: messageUs === undefined ? [...lacks, 'latency: CPU for a message'] : lacks }
  }
  const seconds = idle.figures.seconds ?? 1
  if (seconds < KEEP_ALIVE_SECONDS) {
    const what = `pings and held polls, every ${KEEP_ALIVE_SECONDS} s, may have fallen outside of it`
    notes.add(`CPU of idle sessions was measured for ${figure(seconds)} s: ${what}.`)
  }
  // Below a tick nothing is told from nothing.
  const counted = idleUs > 0 ? idleUs : TICK_US / idle.row.sessions / seconds
  if (idleUs <= 0) notes.add(`Idle CPU that was too little to be seen is taken as one tick of ${TICK_US / 1000} ms over all sessions.`)
  const cpuUs = counted * HOUR_SECONDS + messageUs * messagesPerHour
  return {
    costs: [cpuUs, Math.max(1, bytes)],
    reasons: [
      `CPU of a session in an hour: ${figure(cpuUs / 1000)} ms (${figure(counted)} µs a second idle, ${figure(messageUs)} µs for a message)`,
      `memory of a session: ${kilobytes(bytes)} kB`,
    ],
  }
}

function batteryCosts(transport: LabTransport, near: readonly MedianRow[], load: Load, notes: Set<string>): Costs {
  const message = slowest(near)
  const cycle = near.find(({ row }) => row.scenario === 'cycles')?.figures
  const perMessage = bytesOf(message?.figures)
  const perCycle = bytesOf(cycle)
  const polls = POLLS.has(transport)
  if (message === undefined || perMessage === undefined || (polls && perCycle === undefined)) {
    const lacks = perMessage === undefined ? ['latency: bytes of a message'] : []
    return { lacks: polls && perCycle === undefined ? [...lacks, 'cycles: bytes of an empty poll'] : lacks }
  }
  const { messagesPerHour, payloadBytes } = load
  const { sizeBytes } = message.row
  if (sizeBytes !== payloadBytes) {
    notes.add(
      `Bytes of a message were measured with ${figure(sizeBytes)} bytes of data; the difference to ${figure(payloadBytes)} is added as it is.`,
    )
    if (transport === 'websocket-deflate') notes.add('How well larger or smaller messages compress was not measured.')
  }
  if (!polls) notes.add('Bytes of pings are in no row and not counted: a few for each.')
  const keepAlives = keepAlivesPerHour(messagesPerHour)
  const wakeUps = messagesPerHour + keepAlives
  // A poll on a new connection takes a handshake before it can ask.
  const roundTrips = wakeUps * (transport === 'longpoll' ? 2 : 1)
  const bytes = messagesPerHour * Math.max(0, perMessage + payloadBytes - sizeBytes) + (polls ? keepAlives * (perCycle ?? 0) : 0)
  const kind = polls ? 'held polls that end' : 'pings'
  return {
    costs: [roundTrips, Math.max(1, bytes)],
    reasons: [
      `radio wakes up ${figure(wakeUps)} times an hour (${figure(messagesPerHour)} messages, ${figure(keepAlives)} ${kind}), ${figure(roundTrips)} round trips`,
      `${kilobytes(bytes)} kB an hour (${figure(perMessage)} bytes for a message${polls ? `, ${figure(perCycle)} for an empty poll` : ''})`,
    ],
  }
}

/** The row with the lowest rate: closest to a session that gets little. */
function slowest(medians: readonly MedianRow[]): MedianRow | undefined {
  const rated = medians.filter(({ row }) => row.scenario === 'latency')
  return rated.sort((a, b) => (a.row.rate ?? 0) - (b.row.rate ?? 0))[0]
}

function bytesOf(figures: MedianRow['figures'] | undefined): number | undefined {
  const { bytesDownPerMessage: down, bytesUpPerMessage: up } = figures ?? {}
  return down === undefined || up === undefined ? undefined : down + up
}

/** p99 on the network that is nearest to the one asked about; it is told, not scored. */
function distance(medians: readonly MedianRow[], { roundTripMs }: Load): string[] {
  const latencies = medians.filter(({ row, figures }) => row.scenario === 'latency' && row.network.stalls === 0 && figures.latencyUs)
  const off = ({ roundTripMs: there }: Network) => Math.abs(there - roundTripMs)
  const nearest = Math.min(...latencies.map(({ row }) => off(row.network)))
  const there = latencies.filter(({ row }) => off(row.network) === nearest)
  const [first] = there
  if (first === undefined) return ['No latency was measured.']
  const told = there.map(
    ({ row, figures }) => `${row.transport} at ${figure(row.rate)}/s ${figure((figures.latencyUs?.p99 ?? 0) / 1000)} ms`,
  )
  const asked = nearest === 0 ? '' : `, the nearest to ${figure(roundTripMs)} ms that was measured`
  return [`p99 on ${networkName(first.row.network)}${asked}: ${told.join(', ')}.`]
}
