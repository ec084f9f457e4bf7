// Holdwire as one of the servers that the lab measures.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { NotInstalled } from '../contestant.js'
import { findProgram } from '../processes.js'
import { Topology } from '../topology.js'
import type { Contender, WireTarget } from './contender.js'
import type { LabTransport } from './result.js'

export type Engine = 'node' | 'uws'
export type BusKind = 'embedded' | 'nats'

export interface HoldwireOptions {
  /** Compiled tree: `dist`. */
  readonly root: string
  readonly engine: Engine
  readonly bus: BusKind
  /** permessage-deflate is offered to clients. */
  readonly deflate: boolean
  /** Undefined: the default. */
  readonly pingSeconds?: number | undefined
  readonly onStarted: (pid: number) => void
}

export interface Holdwire extends Contender {
  readonly topology: Topology
  readonly engine: Engine
  readonly bus: BusKind
  readonly internalUrl: string
}

export const TRANSPORTS: readonly LabTransport[] = [
  'websocket',
  'websocket-protobuf',
  'websocket-deflate',
  'sse',
  'keepalive',
  'longpoll',
  'bosh',
  'xmpp-websocket',
]

/** What most is measured on: NATS, where it is installed. */
export function usualBus(): BusKind {
  return findProgram('nats-server') === undefined ? 'embedded' : 'nats'
}

/** Rejects with `NotInstalled` when the engine or nats-server is not there. */
export async function startHoldwire({ root, engine, bus, deflate, pingSeconds, onStarted }: HoldwireOptions): Promise<Holdwire> {
  if (bus === 'nats' && findProgram('nats-server') === undefined) throw new NotInstalled('there is no nats-server')
  if (engine === 'uws') await requireUws()
  const flags = [...(deflate ? ['--deflate'] : []), ...(pingSeconds === undefined ? [] : ['--ping-seconds', String(pingSeconds)])]
  const topology = await Topology.start({ kind: bus === 'nats' ? 'split' : 'serve', engine, root, flags, onStarted })
  const port = topology.clientPorts[0] ?? 0
  const { partitions, natsUrl, internalUrl, measured } = topology
  return {
    name: 'holdwire',
    version: String(JSON.parse(readFileSync(join(root, '..', 'package.json'), 'utf8')).version),
    recipe: `${measured.map((one) => one.name).join(' + ')}, auth: dev, engine ${engine}, ${['default settings', ...flags].join(' ')}`,
    topology,
    engine,
    bus,
    internalUrl,
    wires: Object.fromEntries(TRANSPORTS.map((kind): [LabTransport, WireTarget] => [kind, { kind, port, settings: {} }])),
    sink:
      bus === 'nats'
        ? { kind: 'holdwire-nats', url: natsUrl, settings: { partitions: String(partitions) } }
        : { kind: 'holdwire-http', url: internalUrl, settings: {} },
    topicSink: { kind: 'holdwire-http', url: internalUrl, settings: {} },
    cycleSettings: { wait: '0' },
    processes: measured,
    collectGarbage: () => topology.collectAllGarbage(),
    stop: () => topology.stop(),
  }
}

async function requireUws(): Promise<void> {
  try {
    await import('uWebSockets.js')
  } catch (error) {
    throw new NotInstalled(`uWebSockets.js: ${error instanceof Error ? error.message : String(error)}`)
  }
}
