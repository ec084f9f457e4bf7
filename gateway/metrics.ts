// Everything that is counted, by the name of the business event. What happens per message is a plain number until it is scraped.

import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client'
import type { BusStats } from '../bus/bus.js'
import type { ReasonCode } from './close-reason.js'
import { FastHistogram, type Series } from './fast-histogram.js'

/** What is looked up when somebody scrapes, rather than kept in step. */
export interface MetricSources {
  /** Sessions of this node by transport. */
  sessions(): ReadonlyMap<string, number>
  /** Users with a session on this node. */
  users(): number
  /** Bytes that wait in the outboxes of this node. */
  outboxBytes(): number
  busConnected(): boolean
  bus(): BusStats
}

const LATENCY_SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10]
const ACK_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300]

export class Metrics {
  readonly registry = new Registry()
  readonly contentType = this.registry.contentType
  readonly #transports = new Map<string, TransportMetrics>()
  readonly #delivery = this.#latency('holdwire_delivery_seconds', 'From published to written to the connection.', LATENCY_SECONDS)
  readonly #ack = this.#latency('holdwire_ack_seconds', 'From published to acknowledged by the client.', ACK_SECONDS)
  readonly #c2s = new FastHistogram(
    this.registry,
    'holdwire_c2s_request_seconds',
    'Requests to the c2s workers, with their retries.',
    'kind',
    LATENCY_SECONDS,
  )
  readonly #opened = this.#counter('holdwire_sessions_opened_total', 'New sessions.', 'transport')
  readonly #closed = this.#counter('holdwire_sessions_closed_total', 'Sessions that ended, and why.', 'transport', 'reason')
  readonly #resumes = this.#counter(
    'holdwire_resumes_total',
    'Connections that gave a cursor; recovered: nothing was lost.',
    'transport',
    'recovered',
  )
  readonly #refused = this.#counter('holdwire_refusals_total', 'Requests and connections refused, and why.', 'transport', 'code')
  readonly #gaps = this.#counter('holdwire_gaps_total', 'Sessions told that messages are lost to them.')
  readonly #dropped = this.#counter('holdwire_envelopes_dropped_total', 'Messages on the bus that make no sense.')
  readonly #pushes = this.#counter('holdwire_pushes_total', 'Pushes by backends.', 'target', 'code')
  readonly #apiRequests = this.#counter('holdwire_api_requests_total', 'Requests on the internal port.', 'route', 'status')

  constructor() {
    collectDefaultMetrics({ register: this.registry })
    const frames = this.#counter('holdwire_frames_total', 'Frames from (in) and to (out) clients.', 'transport', 'direction')
    const bytes = this.#counter('holdwire_bytes_total', 'Bytes of the frames from and to clients.', 'transport', 'direction')
    collectInto(frames, () => this.#perDirection((one) => [one.framesIn, one.framesOut]))
    collectInto(bytes, () => this.#perDirection((one) => [one.bytesIn, one.bytesOut]))
  }

  /** Numbers of one transport; keep it on hot paths. */
  transport(name: string): TransportMetrics {
    let metrics = this.#transports.get(name)
    if (metrics === undefined) {
      metrics = new TransportMetrics(this.#delivery.series(name), this.#ack.series(name))
      this.#transports.set(name, metrics)
    }
    return metrics
  }

  /** Once, when the node stands. */
  observe(sources: MetricSources): void {
    const { registry } = this
    const gauge = (name: string, help: string, value: () => number) =>
      new Gauge({
        name,
        help,
        registers: [registry],
        collect() {
          this.set(value())
        },
      })
    new Gauge({
      name: 'holdwire_sessions',
      help: 'Sessions of this node; of one without a connection the transport it had last.',
      labelNames: ['transport'],
      registers: [registry],
      collect() {
        this.reset()
        for (const [transport, count] of sources.sessions()) this.set({ transport }, count)
      },
    })
    gauge('holdwire_users', 'Users with a session on this node.', () => sources.users())
    gauge('holdwire_outbox_bytes', 'Bytes that wait for clients of this node.', () => sources.outboxBytes())
    gauge('holdwire_bus_connected', '1 while the message bus can be reached.', () => Number(sources.busConnected()))
    gauge('holdwire_bus_in_flight', 'Calls on the message bus without an answer yet.', () => sources.bus().inFlight)
  }

  sessionOpened(transport: string): void {
    this.#opened.inc({ transport })
  }

  sessionClosed(transport: string, reason: ReasonCode): void {
    this.#closed.inc({ transport, reason })
  }

  resumed(transport: string, recovered: boolean): void {
    this.#resumes.inc({ transport, recovered: String(recovered) })
  }

  /** Before a session, or instead of one. */
  refused(transport: string, code: ReasonCode): void {
    this.#refused.inc({ transport, code })
  }

  gap(): void {
    this.#gaps.inc()
  }

  envelopeDropped(): void {
    this.#dropped.inc()
  }

  /** `kind`: open, frames, bye, topic. */
  c2sAnswered(kind: string, seconds: number): void {
    this.#c2s.series(kind).observe(seconds)
  }

  /** `target`: user, users, topic, all; `code`: `done` or why not. */
  pushed(target: string, code: ReasonCode): void {
    this.#pushes.inc({ target, code })
  }

  /** `route`: a path of the API description, never the path of the request. */
  apiAnswered(route: string, status: number): void {
    this.#apiRequests.inc({ route, status: String(status) })
  }

  /** In the text format of Prometheus. */
  text(): Promise<string> {
    return this.registry.metrics()
  }

  #counter(name: string, help: string, ...labelNames: string[]): Counter {
    return new Counter({ name, help, labelNames, registers: [this.registry] })
  }

  #latency(name: string, help: string, bounds: readonly number[]): FastHistogram {
    return new FastHistogram(this.registry, name, help, 'transport', bounds)
  }

  #perDirection(pick: (metrics: TransportMetrics) => [incoming: number, outgoing: number]): [Record<string, string>, number][] {
    return [...this.#transports].flatMap(([transport, metrics]) => {
      const [incoming, outgoing] = pick(metrics)
      return [
        [{ transport, direction: 'in' }, incoming],
        [{ transport, direction: 'out' }, outgoing],
      ]
    })
  }
}

export class TransportMetrics {
  framesIn = 0
  framesOut = 0
  bytesIn = 0
  bytesOut = 0
  readonly #delivery: Series
  readonly #ack: Series

  constructor(delivery: Series, ack: Series) {
    this.#delivery = delivery
    this.#ack = ack
  }

  received(frames: number, bytes: number): void {
    this.framesIn += frames
    this.bytesIn += bytes
  }

  written(frames: number, bytes: number): void {
    this.framesOut += frames
    this.bytesOut += bytes
  }

  /** Written to the connection so long after it was published. */
  delivered(seconds: number): void {
    this.#delivery.observe(seconds)
  }

  /** Acknowledged so long after it was published. */
  acknowledged(seconds: number): void {
    this.#ack.observe(seconds)
  }
}

/** A counter whose values are read off plain numbers at each scrape. */
function collectInto(counter: Counter, values: () => [labels: Record<string, string>, value: number][]): void {
  const collect = (): void => {
    counter.reset()
    for (const [labels, value] of values()) counter.inc(labels, value)
  }
  Object.assign(counter, { collect })
}
