// What a run of the transport lab found: written as JSON, read by the report, the advisor and whoever compares runs.

import type { Environment } from '../environment.js'

/** How a message gets to the client. `longpoll`: a connection for each poll; `keepalive`: polls on one connection. */
export type LabTransport =
  | 'websocket'
  | 'websocket-protobuf'
  | 'websocket-deflate'
  | 'sse'
  | 'keepalive'
  | 'longpoll'
  | 'bosh'
  | 'xmpp-websocket'

export type LabPart = 'compare' | 'scale' | 'peers'

/** What was done to the server in a row. */
export type LabScenario =
  /** Sessions on which nothing happens. */
  | 'idle'
  /** Messages to sessions drawn at random, at a fixed rate, each due at its time. */
  | 'latency'
  /** As many messages as the window allows. */
  | 'maximum'
  /** Each message to every subscriber of a topic. */
  | 'broadcast'
  /** Polls that are answered and asked again, nothing in them. */
  | 'cycles'
  /** Sessions opened one after the other in a bounded crowd. */
  | 'open'
  /** Connections cut, sessions resumed by their cursors. */
  | 'resume'

export interface LabResult {
  readonly version: 1
  readonly mode: 'quick' | 'full'
  readonly seed: number
  /** When it began, RFC 3339. */
  readonly startedAt: string
  readonly tookSeconds: number
  readonly environment: Environment
  /** The generator's own test, made before anything was measured. */
  readonly selfTest: readonly SelfTestFinding[]
  readonly servers: readonly LabServerInfo[]
  readonly skipped: readonly { readonly name: string; readonly reason: string }[]
  readonly rows: readonly LabRow[]
  /** Sentences for the reader: where a cost bends and why, what limited a row. */
  readonly notes: readonly string[]
}

export interface SelfTestFinding {
  /** `counts`, `delay`, `loss`. */
  readonly name: string
  readonly expected: string
  readonly seen: string
  readonly ok: boolean
}

export interface LabServerInfo {
  /** `holdwire`, `ejabberd`, `bare-ws` … */
  readonly name: string
  readonly version: string
  /** How it was started and with what settings: enough to do it again. */
  readonly recipe: string
}

export interface LabRow {
  readonly part: LabPart
  readonly scenario: LabScenario
  /** Name of the server, as in `servers`. */
  readonly server: string
  /** Holdwire only. */
  readonly engine: 'node' | 'uws' | undefined
  readonly bus: 'embedded' | 'nats' | undefined
  readonly transport: LabTransport
  readonly network: Network
  /** Turn of the server, from 1. */
  readonly round: number
  readonly sessions: number
  /** Messages (or cycles) a second that were asked for; undefined: as many as possible, or none. */
  readonly rate: number | undefined
  /** Bytes of a message's data. */
  readonly sizeBytes: number
  /** `broadcast`: sessions a message goes to. */
  readonly subscribers: number | undefined
  /** `scale`: users with a mailbox that are not connected. */
  readonly knownUsers: number | undefined
  readonly figures: LabFigures
  /** Why the row does not count; empty: it does. */
  readonly invalid: readonly string[]
}

export interface Network {
  readonly roundTripMs: number
  /** Share of the chunks that are held back for a while, 0–1, as a lost packet would be. */
  readonly stalls: number
}

/** A figure is undefined where the scenario has none. CPU is user and system time of all processes of the server. */
export interface LabFigures {
  readonly delivered?: number
  readonly seconds?: number
  readonly perSecond?: number
  readonly cpuUsPerMessage?: number
  /** The same by process: `gateway`, `c2s`, `nats-server`. */
  readonly cpuUsByProcess?: Readonly<Record<string, number>>
  /** What one core would do at that price, all processes counted. */
  readonly perCoreSecond?: number
  readonly latencyUs?: LatencyFigures
  /** On the wire, for each delivered message (or cycle), heads and framing counted, TCP and IP not. */
  readonly bytesDownPerMessage?: number
  readonly bytesUpPerMessage?: number
  /** For each session, all processes of the server. */
  readonly rssBytesPerSession?: number
  readonly pssBytesPerSession?: number
  /** With the kernel's socket memory, where the system tells it (cgroup v2). */
  readonly cgroupBytesPerSession?: number
  readonly cpuUsPerSessionSecond?: number
  readonly openMs?: LatencyFigures
  readonly resumeMs?: LatencyFigures
}

export interface LatencyFigures {
  readonly count: number
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly p999: number
  readonly max: number
  /** Points of the cumulative distribution, [value, share of all that took at most this], ascending; for charts. */
  readonly cdf: readonly (readonly [number, number])[]
}
