// What the parts of a process tell metrics when somebody scrapes.

import { totalmem } from 'node:os'
import { getHeapStatistics } from 'node:v8'
import type { Registry } from 'prom-client'
import type { BusStats } from '../bus/bus.js'
import { TRANSPORTS } from './carrier.js'
import { type Samples, scrapedCounter, scrapedGauge } from './scraped.js'

export interface MetricSources {
  /** Which process this is. */
  readonly build: { readonly version: string; readonly role: string; readonly engine: string; readonly bus: string }
  /** What `/readyz` says. */
  ready(): boolean
  busConnected(): boolean
  bus(): BusStats
  /** Processes of this role that are there as far as this one knows, itself among them. */
  processes(role: 'gateway' | 'c2s'): number
  /** Sessions of this node by transport. */
  sessions(): ReadonlyMap<string, number>
  /** Of them, those without a connection. */
  detachedSessions(): number
  /** Users with a session on this node. */
  users(): number
  /** Bytes in the outboxes of this node, and those of them that were not sent yet. */
  outboxBytes(): number
  waitingBytes(): number
  /** Undefined in a c2s worker. */
  readonly gateway: GatewaySources | undefined
  /** Undefined in a gateway without a worker of its own. */
  readonly worker: WorkerSources | undefined
}

export interface GatewaySources {
  readonly maxSessions: number
  readonly maxConnections: number
  /** Of the client port. */
  connections(): number
  /** Since the drain began; 0: it has not. */
  drainingSeconds(): number
}

export interface WorkerSources {
  readonly maxSessions: number
  readonly maxQueuedRequests: number
  sessions(): number
  queuedRequests(): number
}

const ROLES = ['gateway', 'c2s'] as const
/** Shown from the start, so that the first one is seen as an increase. */
const PUBLISH_FAILURES = ['timeout', 'disconnected', 'overloaded', 'rejected'] as const

export function registerSources(registry: Registry, sources: MetricSources): void {
  const gauge = (name: string, help: string, value: () => number) => scrapedGauge(registry, name, help, [], () => [[{}, value()]])
  // A transport whose last session has ended is shown as 0, not left out.
  const none = sources.gateway === undefined ? [] : TRANSPORTS.map((transport) => [transport, 0] as const)
  const build = { ...sources.build, node_version: process.version }
  scrapedGauge(registry, 'holdwire_build_info', 'Which process this is; always 1.', Object.keys(build), () => [[build, 1]])
  gauge('holdwire_ready', '1 while /readyz answers 200.', () => Number(sources.ready()))
  gauge('holdwire_memory_limit_bytes', 'Memory the process may have: that of its cgroup, else of the machine.', memoryLimitBytes)
  gauge(
    'holdwire_heap_limit_bytes',
    'Size of the JavaScript heap beyond which the process ends.',
    () => getHeapStatistics().heap_size_limit,
  )
  scrapedGauge(registry, 'holdwire_cluster_processes', 'Processes there as far as this one knows, itself among them.', ['role'], () =>
    ROLES.map((role) => [{ role }, sources.processes(role)]),
  )
  scrapedGauge(
    registry,
    'holdwire_sessions',
    'Sessions of this node; of one without a connection the transport it had last.',
    ['transport'],
    () => [...new Map([...none, ...sources.sessions()])].map(([transport, count]) => [{ transport }, count]),
  )
  gauge('holdwire_sessions_detached', 'Sessions of this node without a connection.', () => sources.detachedSessions())
  gauge('holdwire_users', 'Users with a session on this node.', () => sources.users())
  gauge('holdwire_outbox_bytes', 'Bytes kept for clients of this node.', () => sources.outboxBytes())
  gauge('holdwire_outbox_waiting_bytes', 'Of them, those that were not sent yet.', () => sources.waitingBytes())
  registerBus(registry, sources)
  const { gateway, worker } = sources
  if (gateway !== undefined) {
    gauge('holdwire_sessions_limit', 'Sessions that this node takes.', () => gateway.maxSessions)
    gauge('holdwire_connections', 'Open connections of the client port.', () => gateway.connections())
    gauge('holdwire_connections_limit', 'Connections that the client port takes.', () => gateway.maxConnections)
    gauge('holdwire_draining_seconds', 'Since the drain of this node began; 0: it has not.', () => gateway.drainingSeconds())
  }
  if (worker !== undefined) {
    gauge('holdwire_c2s_sessions', 'Sessions that this worker has.', () => worker.sessions())
    gauge('holdwire_c2s_sessions_limit', 'Sessions that this worker takes.', () => worker.maxSessions)
    gauge('holdwire_c2s_queued_requests', 'Requests of sessions begun or waiting in this worker.', () => worker.queuedRequests())
    gauge('holdwire_c2s_queued_requests_limit', 'Requests beyond which more are refused.', () => worker.maxQueuedRequests)
  }
}

function registerBus(registry: Registry, { bus, busConnected }: MetricSources): void {
  const gauge = (name: string, help: string, value: () => number) => scrapedGauge(registry, name, help, [], () => [[{}, value()]])
  const counter = (name: string, help: string, value: () => number) => scrapedCounter(registry, name, help, [], () => [[{}, value()]])
  gauge('holdwire_bus_connected', '1 while the message bus can be reached.', () => Number(busConnected()))
  gauge('holdwire_bus_in_flight', 'Calls on the message bus without an answer yet.', () => bus().inFlight)
  gauge('holdwire_bus_attached_users', 'Users whose messages come to this process.', () => bus().attached)
  counter('holdwire_bus_holes_total', 'Holes in what came live over the bus, to be filled from the store.', () => bus().gaps)
  counter('holdwire_bus_duplicates_total', 'Messages that came over the bus again and were dropped.', () => bus().duplicatesDropped)
  scrapedCounter(registry, 'holdwire_bus_publish_failures_total', 'Messages the store did not acknowledge, and why.', ['code'], () => {
    const { publishFailures } = bus()
    const codes = new Set([...PUBLISH_FAILURES, ...publishFailures.keys()])
    return [...codes].map((code): Samples[number] => [{ code }, publishFailures.get(code) ?? 0])
  })
}

function memoryLimitBytes(): number {
  // Without a limit some kernels say a number that no machine has.
  const constrained = process.constrainedMemory()
  return constrained > 0 && constrained < totalmem() ? constrained : totalmem()
}
