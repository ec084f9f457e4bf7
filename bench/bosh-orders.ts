// What the conductor (main) and the BOSH load generator say to each other over IPC.

import type { LatencyUs } from './tally.js'

/**
 * `empty`: an empty request that releases the one before. `message`: a chat message to the partner's full JID, until the partner
 * has it. `ping`: an iq that the server answers (XEP-0199), until the answer is there.
 */
export type BoshCycle = 'empty' | 'message' | 'ping'

export interface BoshRunOrder {
  readonly kind: 'run'
  readonly cycle: BoshCycle
  /** Cycles a second, at fixed times; undefined: the next one as soon as one is over. */
  readonly rate: number | undefined
  /** Without a rate: cycles under way at the most. */
  readonly window: number
  readonly seconds: number
  /** Of the body of a message. */
  readonly sizeBytes: number
  /** Messages say that they are not to be stored (XEP-0334). */
  readonly ephemeral: boolean
}

export type BoshOrder =
  | {
      readonly kind: 'open'
      /** Each has a share of the sessions, and the partners of its own are at another one. */
      readonly ports: readonly number[]
      readonly path: string
      readonly domain: string
      readonly password: string
      /** Even. */
      readonly sessions: number
      /** Index of the first user. */
      readonly firstUser: number
      /** Being logged in at any time. */
      readonly concurrency: number
      readonly waitSeconds: number
      readonly seed: number
    }
  | BoshRunOrder
  | { readonly kind: 'close' }

export type BoshReport =
  | { readonly kind: 'opening'; readonly open: number }
  | { readonly kind: 'opened'; readonly open: number; readonly failed: number; readonly why: Readonly<Record<string, number>> }
  | ({ readonly kind: 'ran' } & BoshFigures)
  | { readonly kind: 'closed' }

export interface BoshFigures {
  readonly started: number
  readonly completed: number
  /** Of messages and pings, by their numbers. */
  readonly missing: number
  readonly repeated: number
  /** Stanzas that came to somebody they were not for: errors that were sent back. */
  readonly strayed: number
  /** HTTP requests that were answered while it ran. */
  readonly answers: number
  readonly upBytes: number
  readonly downBytes: number
  /** From the first to the last that was completed. */
  readonly seconds: number
  readonly latencyUs: LatencyUs
  /** With a rate: how long after its moment each was sent. */
  readonly lateP99Us: number
  /** Of the generator itself: cores its process kept busy. */
  readonly cores: number
  /** Sessions that ended, by reason. */
  readonly lost: Readonly<Record<string, number>>
}
