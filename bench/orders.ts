// What the conductor (main) and its child processes say to each other over IPC.

import type { WireTarget } from './lab/contender.js'
import type { LatencyFigures } from './lab/result.js'
import type { Counts } from './tally.js'

/** Of the scenarios `idle` and `unicast`; `poll` is the wire `keepalive`. */
export type TransportName = 'websocket' | 'sse' | 'poll'

export type GeneratorOrder =
  | {
      readonly kind: 'open'
      readonly wire: WireTarget
      readonly users: number
      /** Index of the first user. */
      readonly firstUser: number
      /** Connections being opened at any time. */
      readonly concurrency: number
      readonly ackEvery: number
      readonly waitSeconds: number
    }
  /** Progress is reported from here on, every few milliseconds. */
  | { readonly kind: 'watch' }
  /** Latencies, traffic, CPU and event loop delay count from here on. */
  | { readonly kind: 'reset' }
  /** All connections are destroyed, as when a network goes away. */
  | { readonly kind: 'cut' }
  /** And made again, so many at any time; each is back when its next message has come. */
  | { readonly kind: 'return'; readonly concurrency: number }
  | { readonly kind: 'report' }
  | { readonly kind: 'close' }

export type GeneratorReport =
  | { readonly kind: 'opening'; readonly open: number }
  | { readonly kind: 'opened'; readonly open: number; readonly failed: number; readonly why: Readonly<Record<string, number>> }
  | { readonly kind: 'cut' }
  | { readonly kind: 'returned' }
  | { readonly kind: 'received'; readonly received: number }
  | ({ readonly kind: 'report' } & GeneratorFigures)

export interface GeneratorFigures {
  readonly counts: Counts
  readonly latency: LatencyFigures
  /** From the first connection to a session that is there, in microseconds. */
  readonly opening: LatencyFigures
  /** From the new connection to the first message on it, in microseconds. */
  readonly returning: LatencyFigures
  /** What was written to and read from the sockets. */
  readonly traffic: Traffic
  /** How often frames came: for polls the answers. */
  readonly batches: number
  /** Sessions that are there now, and those that ended unasked, by reason. */
  readonly open: number
  readonly lost: Readonly<Record<string, number>>
  readonly load: Load
}

export interface Traffic {
  readonly upBytes: number
  readonly downBytes: number
}

/** How busy a process was since the last reset: when it had no time to spare, its figures are its own, not the server's. */
export interface Load {
  /** Share of the time its event loop was not waiting, 0–1. */
  readonly utilization: number
  /** User and system time over the time that has passed. */
  readonly cores: number
  readonly loopDelayP99Us: number
}

export type PublisherOrder =
  | {
      readonly kind: 'publish'
      /** Messages a second, at fixed times; undefined: as fast as they are received. */
      readonly rate: number | undefined
      /** Without a rate: published and not yet received, at the most. */
      readonly window: number
      readonly seconds: number
    }
  | { readonly kind: 'received'; readonly received: number }
  | { readonly kind: 'close' }

export type PublisherReport =
  | { readonly kind: 'ready' }
  | { readonly kind: 'published'; readonly total: number; readonly refused: number; readonly load: Load }

export interface PublisherSetup {
  readonly natsUrl: string
  readonly partitions: number
  readonly users: number
  readonly seed: number
  readonly sizeBytes: number
  /** Straight to the user's live subject, past the store. */
  readonly ephemeral: boolean
}

export function userName(index: number): string {
  return `bench-${index}`
}

export function wireTarget(transport: TransportName, port: number): WireTarget {
  return { kind: transport === 'poll' ? 'keepalive' : transport, port, settings: {} }
}
