// Everything that is counted, by the name of the business event. What happens per message is a plain number until it is scraped.

import { Counter, collectDefaultMetrics, Registry } from 'prom-client'
import type { BusState } from '../bus/bus.js'
import { TRANSPORTS } from './carrier.js'
import type { ReasonCode } from './close-reason.js'
import { FastHistogram } from './fast-histogram.js'
import { type MetricSources, registerSources } from './metric-sources.js'
import { type Samples, scrapedCounter } from './scraped.js'
import { TransportMetrics } from './transport-metrics.js'

const LATENCY_SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
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
  readonly #push = new FastHistogram(
    this.registry,
    'holdwire_push_seconds',
    'From the push of a backend to its answer.',
    'target',
    LATENCY_SECONDS,
  )
  readonly #c2sFailures = this.#counter(
    'holdwire_c2s_failures_total',
    'Requests to the c2s workers that were not done, and why.',
    'kind',
    'code',
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
  readonly #moves = this.#counter('holdwire_sessions_moved_total', 'Sessions that changed their node.', 'transport', 'how')
  readonly #relayed = this.#counter('holdwire_relay_requests_total', 'Requests to other gateways.', 'kind', 'outcome')
  readonly #busLosses = this.#counter('holdwire_bus_disconnects_total', 'Times that the message bus went away.')
  readonly #gaps = this.#counter('holdwire_gaps_total', 'Sessions told that messages are lost to them.')
  readonly #dropped = this.#counter('holdwire_envelopes_dropped_total', 'Messages on the bus that make no sense.')
  readonly #pushes = this.#counter('holdwire_pushes_total', 'Pushes by backends.', 'target', 'code')
  readonly #apiRequests = this.#counter('holdwire_api_requests_total', 'Requests on the internal port.', 'route', 'status')

  constructor() {
    collectDefaultMetrics({ register: this.registry })
    const labels = ['transport', 'direction']
    scrapedCounter(this.registry, 'holdwire_frames_total', 'Frames from (in) and to (out) clients.', labels, () =>
      this.#perDirection((one) => [one.framesIn, one.framesOut]),
    )
    scrapedCounter(this.registry, 'holdwire_bytes_total', 'Bytes of the frames from and to clients.', labels, () =>
      this.#perDirection((one) => [one.bytesIn, one.bytesOut]),
    )
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

  /** Once, when the process stands. */
  observe(sources: MetricSources): void {
    registerSources(this.registry, sources)
    if (sources.gateway === undefined) return
    // From the start, so that the first one is seen as an increase.
    for (const transport of TRANSPORTS) {
      this.transport(transport)
      this.#opened.inc({ transport }, 0)
      this.#closed.inc({ transport, reason: 'slow_consumer' }, 0)
    }
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

  /** A session has come here from another node (see Arrived in door.ts), or was given to one. */
  sessionMoved(transport: string, how: 'fetched' | 'adopted' | 'given'): void {
    this.#moves.inc({ transport, how })
  }

  /** `kind` and `outcome`: see RelayCounter. */
  relayed(kind: string, outcome: string): void {
    this.#relayed.inc({ kind, outcome })
  }

  busChanged(state: BusState): void {
    if (state === 'down') this.#busLosses.inc()
  }

  /** `kind`: open, frames, bye of a gateway; RequestKind of a worker. `code`: `done` or why not. */
  c2sAnswered(kind: string, seconds: number, code: string): void {
    this.#c2s.series(kind).observe(seconds)
    if (code !== 'done') this.#c2sFailures.inc({ kind, code })
  }

  /** `target`: user, users, topic, all; `code`: `done` or why not. */
  pushed(target: string, code: ReasonCode, seconds: number): void {
    this.#pushes.inc({ target, code })
    this.#push.series(target).observe(seconds)
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

  #perDirection(pick: (metrics: TransportMetrics) => [incoming: number, outgoing: number]): Samples {
    return [...this.#transports].flatMap(([transport, metrics]): Samples => {
      const [incoming, outgoing] = pick(metrics)
      return [
        [{ transport, direction: 'in' }, incoming],
        [{ transport, direction: 'out' }, outgoing],
      ]
    })
  }
}
