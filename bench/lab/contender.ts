// A server that the lab measures, Holdwire or a peer: what runs, how clients connect, how a backend publishes.

import type { LabServerInfo, LabTransport } from './result.js'

/**
 * How the generator's clients talk to it, told to the generator process as JSON. `kind` names a wire in `bench/wires.ts`:
 * the transports of Holdwire by their names, others for peers (`centrifugo`, `socketio`, `nchan-longpoll` …).
 */
export interface WireTarget {
  readonly kind: string
  readonly port: number
  /** What else the wire wants to know: paths, keys, a channel pattern in which `{user}` stands for the name. */
  readonly settings: Readonly<Record<string, string>>
}

/** How the publisher process publishes, as JSON. `kind` names a sink in `bench/sinks.ts`. */
export interface SinkTarget {
  readonly kind: string
  /** `nats://…`, `http://127.0.0.1:…`, a Unix socket or a port, as the sink wants it. */
  readonly url: string
  readonly settings: Readonly<Record<string, string>>
}

export interface Contender extends LabServerInfo {
  /** By transport; the bare servers and most peers have only some. */
  readonly wires: Readonly<Partial<Record<LabTransport, WireTarget>>>
  readonly sink: SinkTarget
  /** All that work for it: their CPU and memory count. */
  readonly processes: readonly { readonly name: string; readonly pid: number }[]
  /** For messages to the subscribers of a topic; undefined: it has none. */
  readonly topicSink?: SinkTarget
  /** What a wire is told beside its settings for polls that are answered at once. Undefined: there are none. */
  readonly cycleSettings?: Readonly<Record<string, string>>
  /** `given`: it knows nobody but the users that it was started with. Else anybody. */
  readonly accounts?: 'given'
  /** Before memory is read, of servers that can be told to. */
  collectGarbage?(): Promise<void>
  stop(): Promise<void>
}

/** Starts one on free loopback ports with data in a directory of its own. Rejects with `NotInstalled` when it is not there. */
export interface Recipe {
  readonly name: string
  start(options: RecipeOptions): Promise<Contender>
}

export interface RecipeOptions {
  /** Compiled tree: `dist`. */
  readonly root: string
  /** Accounts and channels are made for them where the server needs it. */
  readonly users: readonly string[]
  /** Told of each process as soon as it has been started. */
  readonly onStarted: (pid: number) => void
}
