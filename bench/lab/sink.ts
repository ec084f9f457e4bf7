// How the publisher gets messages to a server, as a backend does, by the `kind` of a `SinkTarget`.

import type { SinkTarget } from './contender.js'
import { PEER_SINKS } from './peers/sinks.js'
import { connectHttpSink } from './sink-http.js'
import { connectNatsSink } from './sink-nats.js'

export interface SinkMessage {
  readonly id: string
  readonly user: string
  /** To its subscribers instead of the user. */
  readonly topic: string | undefined
  /** JSON. */
  readonly data: string
}

export interface Sink {
  /** Messages to one user arrive in this order. */
  publish(message: SinkMessage): void
  close(): Promise<void>
}

/** Told once for each message that the server has answered: whether it took it. */
export type Acknowledged = (taken: boolean) => void

const SINKS: Readonly<Record<string, (target: SinkTarget, acknowledged: Acknowledged) => Promise<Sink>>> = {
  'holdwire-nats': connectNatsSink,
  'holdwire-http': connectHttpSink,
  ...PEER_SINKS,
}

export function connectSink(target: SinkTarget, acknowledged: Acknowledged): Promise<Sink> {
  const connect = SINKS[target.kind]
  if (connect === undefined) throw new Error(`no sink is called ${target.kind}`)
  return connect(target, acknowledged)
}
