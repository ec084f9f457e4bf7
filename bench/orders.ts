// What the conductor (main) and its child processes say to each other over IPC.

import type { Counts, LatencyUs } from './tally.js'

export type TransportName = 'websocket' | 'sse' | 'poll'

export type GeneratorOrder =
  | {
      readonly kind: 'open'
      readonly transport: TransportName
      readonly port: number
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
  /** Latencies, CPU and event loop delay count from here on. */
  | { readonly kind: 'reset' }
  | { readonly kind: 'report' }
  | { readonly kind: 'close' }

export type GeneratorReport =
  | { readonly kind: 'opening'; readonly open: number }
  | { readonly kind: 'opened'; readonly open: number; readonly failed: number; readonly why: Readonly<Record<string, number>> }
  | { readonly kind: 'received'; readonly received: number }
  | ({ readonly kind: 'report' } & GeneratorFigures)

export interface GeneratorFigures {
  readonly counts: Counts
  readonly latency: LatencyUs
  /** Sessions that are there now, and those that ended unasked, by reason. */
  readonly open: number
  readonly lost: Readonly<Record<string, number>>
  readonly load: Load
}

/** How busy a process was since the last reset: when it had no time to spare, its figures are its own, not the server's. */
export interface Load {
  /** Share of the time its event loop was not waiting, 0–1. */
  readonly utilization: number
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
