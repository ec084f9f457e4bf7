// What the lab and its publisher process say to each other over IPC.

import type { Load } from '../orders.js'
import type { SinkTarget } from './contender.js'

/** The argument of the process, as JSON. */
export interface PublisherSetup {
  readonly sink: SinkTarget
  readonly users: number
  /** Index of the first user. */
  readonly firstUser: number
  readonly seed: number
  readonly sizeBytes: number
  /** To its subscribers, who all get the same numbers, instead of to users. */
  readonly topic: string | undefined
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
  /** One to each user. */
  | { readonly kind: 'each' }
  | { readonly kind: 'received'; readonly received: number }
  | { readonly kind: 'close' }

export type PublisherReport = { readonly kind: 'ready' } | ({ readonly kind: 'published' } & Published)

export interface Published {
  /** Since the process began. */
  readonly total: number
  /** Of them, not taken by the server. */
  readonly refused: number
  /** With a rate: how long after its moment a message was handed to the sink. */
  readonly lateP99Us: number
  readonly load: Load
}
