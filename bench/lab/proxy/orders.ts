// What the conductor and the delaying proxy say to each other over IPC.

import type { Network } from '../result.js'

export type ProxyOrder =
  /** Another port, behind which `port` is, that far away. */
  | { readonly kind: 'listen'; readonly port: number; readonly network: Network; readonly seed: number }
  /** Figures count from here on. */
  | { readonly kind: 'reset' }
  | { readonly kind: 'report' }
  | { readonly kind: 'close' }

export type ProxyReport = { readonly kind: 'listening'; readonly port: number } | ({ readonly kind: 'report' } & ProxyFigures)

export interface ProxyFigures {
  readonly connections: number
  readonly chunks: number
  /** Chunks that were held back as a lost packet would be. */
  readonly stalled: number
  /** How long after its moment a chunk was passed on. */
  readonly lateP99Us: number
  readonly lateMaxUs: number
  /** Connections that were ended because too much waited in them. */
  readonly overflowed: number
  /** Cores that it kept busy. */
  readonly cores: number
}
