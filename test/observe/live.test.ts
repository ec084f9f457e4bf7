// What running servers export after traffic on every transport, against CONTRACT §8, docs/monitoring.md, the dashboard and the alerts.

import t, { type Test } from 'tap'
import type { Bus } from '../../bus/bus.js'
import { EmbeddedBroker } from '../../bus/embedded-bus.js'
import { connectNats } from '../../bus/nats-bus.js'
import { TRANSPORTS } from '../../gateway/carrier.js'
import { type HoldwireProcess, startProcess } from '../support/holdwire-process.js'
import { http } from '../support/http-client.js'
import { findNatsServer, startNats } from '../support/nats-server.js'
import { openClient } from '../support/wire-client.js'
import { eventually, World } from '../support/world.js'
import { type Family, merge, parseExposition } from './exposition.js'
import { alertExpression, type DocumentedMetric, expressionsOf, readDashboard, readDoc, readRules } from './files.js'
import { faultsOf } from './references.js'
import { mistakes, nativeTraffic, type Ports, push, xmppTraffic } from './traffic.js'

/** CONTRACT §8. */
const CONTRACT: Readonly<Record<string, readonly string[]>> = {
  holdwire_sessions: ['transport'],
  holdwire_users: [],
  holdwire_sessions_opened_total: ['transport'],
  holdwire_sessions_closed_total: ['transport', 'reason'],
  holdwire_resumes_total: ['transport', 'recovered'],
  holdwire_frames_total: ['transport', 'direction'],
  holdwire_bytes_total: ['transport', 'direction'],
  holdwire_delivery_seconds: ['transport'],
  holdwire_ack_seconds: ['transport'],
  holdwire_outbox_bytes: [],
  holdwire_gaps_total: [],
  holdwire_bus_connected: [],
  holdwire_c2s_request_seconds: ['kind'],
}

const scrape = async (internal: number) => (await http(internal, '/metrics')).text
const portsOf = ({ clientUrl, internalUrl }: HoldwireProcess): Ports => ({
  client: Number(new URL(clientUrl || internalUrl).port),
  internal: Number(new URL(internalUrl).port),
})

t.test('holdwire serve', { timeout: 180_000 }, async (t) => {
  const world = await World.start(t, 'node')
  const ports = { client: world.port, internal: world.running.internalPort }
  await nativeTraffic(ports)
  await xmppTraffic(ports)
  await mistakes(ports)
  const text = await eventually(async () => {
    const now = await scrape(ports.internal)
    return now.includes('holdwire_sessions_closed_total{transport="xmpp-websocket",reason="done"}') ? now : undefined
  }, 'the end of the last session')
  const value = (series: string) =>
    Number(
      text
        .split('\n')
        .find((line) => line.startsWith(`${series} `))
        ?.slice(series.length + 1) ?? Number.NaN,
    )

  t.test('exports what the contract promises, with values for every transport', async (t) => {
    const exported = parseExposition(text)
    for (const [name, labels] of Object.entries(CONTRACT)) {
      const family = exported.get(name)
      t.same([...(family?.labels ?? ['nothing'])].sort(), [...labels].sort(), name)
      if (name.endsWith('_seconds')) t.equal(family?.type, 'histogram', name)
    }
    for (const transport of TRANSPORTS) {
      t.ok(value(`holdwire_sessions{transport="${transport}"}`) >= 0, transport)
      for (const counter of [
        `holdwire_sessions_opened_total{transport="${transport}"}`,
        `holdwire_sessions_closed_total{transport="${transport}",reason="done"}`,
        `holdwire_frames_total{transport="${transport}",direction="in"}`,
        `holdwire_frames_total{transport="${transport}",direction="out"}`,
        `holdwire_bytes_total{transport="${transport}",direction="in"}`,
        `holdwire_bytes_total{transport="${transport}",direction="out"}`,
        `holdwire_delivery_seconds_count{transport="${transport}"}`,
      ])
        t.ok(value(counter) > 0, counter)
    }
    for (const transport of ['websocket', 'sse', 'keepalive', 'longpoll']) {
      t.ok(value(`holdwire_resumes_total{transport="${transport}",recovered="true"}`) > 0, `resumes over ${transport}`)
      t.ok(value(`holdwire_ack_seconds_count{transport="${transport}"}`) > 0, `acknowledgements over ${transport}`)
    }
  })

  t.test('says what it is, and counts what was refused', async (t) => {
    t.equal(value('holdwire_ready'), 1)
    t.equal(value('holdwire_cluster_processes{role="gateway"}'), 1)
    t.equal(value('holdwire_cluster_processes{role="c2s"}'), 1)
    t.ok(value('holdwire_memory_limit_bytes') > value('process_resident_memory_bytes'))
    t.ok(value('holdwire_heap_limit_bytes') > value('nodejs_heap_size_used_bytes'))
    t.equal(value('holdwire_refusals_total{transport="sse",code="unauthorized"}'), 1)
    t.equal(value('holdwire_refusals_total{transport="send",code="unknown_session"}'), 1)
    t.equal(value('holdwire_refusals_total{transport="websocket",code="malformed"}'), 1)
    t.equal(value('holdwire_c2s_failures_total{kind="stream",code="invalid-mechanism"}'), 1)
    t.ok(value('holdwire_c2s_request_seconds_count{kind="stream"}') > 1)
    t.equal(value('holdwire_push_seconds_count{target="user"}'), value('holdwire_pushes_total{target="user",code="done"}'))
  })
})

t.test('two gateways and a worker on NATS', { timeout: 180_000 }, async (t) => {
  const binary = await findNatsServer()
  if (binary === undefined) return void t.pass('', { skip: 'no nats-server on this machine' })
  const nats = await startNats({ binary })
  t.teardown(() => nats.stop())
  const flags = ['--nats-url', nats.url, '--nats-partitions', '2', '--drain-seconds', '1', '--log-level', 'error']
  const [worker, first, second] = await Promise.all([
    startProcess('c2s', ...flags),
    startProcess('gateway', ...flags),
    startProcess('gateway', ...flags),
  ])
  t.teardown(() => Promise.all([worker.stop(), first.stop(), second.stop()]))
  const [a, b, c] = [portsOf(first), portsOf(second), portsOf(worker)]
  await nativeTraffic(a)
  await xmppTraffic(a)
  await mistakes(a)
  await betweenNodes(a, b)
  const exports = await Promise.all(
    [a, b, c].map(async ({ internal }) => {
      // A process that has not collected garbage yet has no time for it to tell; each scrape makes some.
      const text = await eventually(async () => {
        const now = await scrape(internal)
        return now.includes('\nnodejs_gc_duration_seconds_sum{') ? now : undefined
      }, 'garbage to be collected')
      return parseExposition(text)
    }),
  )
  const gateways = merge(...exports.slice(0, 2))
  const all = merge(...exports)

  t.test('export together what docs/monitoring.md lists, and nothing else', async (t) =>
    compare(t, readDoc().metrics, gateways, exports[2], all),
  )

  t.test('have what the dashboard and the alerts refer to', async (t) => {
    const expressions = [...expressionsOf(readDashboard()), ...readRules().map(alertExpression)]
    t.ok(expressions.length > 80)
    for (const expression of expressions) t.same(faultsOf(expression, all), [], expression.where)
  })

  t.test('planted mistakes are found', async (t) => {
    const faults = (expr: string, ...shown: string[]) => faultsOf({ where: 'x', expr, shown }, all)
    t.same(faults('sum by (transport) (rate(holdwire_frames_total{direction="in"}[5m]))', 'transport'), [])
    t.match(faults('rate(holdwire_frame_total[5m])'), [/no server exports holdwire_frame_total/])
    t.match(
      faults('holdwire_delivery_seconds > 1'),
      [/no server exports holdwire_delivery_seconds/],
      'a histogram has no series of its own name',
    )
    t.match(faults('holdwire_users_bucket'), [/no server exports holdwire_users_bucket/])
    t.match(faults('holdwire_users{transport="sse"}'), [/holdwire_users has no label transport/])
    t.match(faults('sum by (reason) (holdwire_sessions)'), [/by \(reason\), which holdwire_sessions does not have/])
    t.match(faults('sum(holdwire_sessions) by (le)'), [/by \(le\), which holdwire_sessions does not have/])
    t.match(faults('holdwire_sessions / on (engine) holdwire_users'), [/on \(engine\)/, /on \(engine\)/])
    t.match(faults('sum by (job) (holdwire_sessions)', 'transport'), [/shows the label transport/])
    t.match(faults('sum without (transport) (holdwire_sessions)', 'transport'), [/shows the label transport/])
    t.match(faults('sum(holdwire_users'), [/can't be read/])
    t.match(faults('1 > 0'), [/no metric at all/])
    const bare: DocumentedMetric[] = [{ name: 'holdwire_users', labels: ['user'], type: 'gauge', unit: 'users', from: 'gateway' }]
    const differing = differences(bare, gateways, exports[2], all)
    t.ok(differing.includes('holdwire_sessions is not documented'))
    t.ok(differing.includes('holdwire_users: labels  exported, user documented'))
  })

  t.test('know of each other, and count what happens between them', async (t) => {
    const text = await scrape(b.internal)
    has(t, text, 'holdwire_cluster_processes{role="gateway"} 2')
    has(t, text, 'holdwire_cluster_processes{role="c2s"} 1')
    has(t, text, 'holdwire_sessions_moved_total{transport="sse",how="fetched"} 1')
    has(t, text, 'holdwire_relay_requests_total{kind="poll",outcome="answer"} 1')
    has(t, await scrape(a.internal), 'holdwire_sessions_moved_total{transport="longpoll",how="given"} 1')
    t.match(await scrape(c.internal), /^holdwire_c2s_sessions [1-9]/m)
    await first.kill9()
    const client = await openClient(b.client, 'websocket', { query: { user: 'left', cursor: left } })
    t.teardown(() => client.drop())
    has(t, await scrape(b.internal), 'holdwire_sessions_moved_total{transport="websocket",how="adopted"} 1')
  })

  t.test('show a drain, and the loss of the bus', async (t) => {
    const stopped = second.stop()
    const draining = await eventually(async () => {
      const now = await scrape(b.internal)
      return now.includes('\nholdwire_draining_seconds 0\n') ? undefined : now
    }, 'the drain')
    has(t, draining, 'holdwire_ready 0')
    await stopped
    await nats.kill9()
    const down = await eventually(async () => {
      const now = await scrape(c.internal)
      return now.includes('\nholdwire_bus_connected 0\n') ? now : undefined
    }, 'the loss of the bus')
    has(t, down, 'holdwire_ready 0')
    has(t, down, 'holdwire_bus_disconnects_total 1')
    await nats.restart()
  })
})

const BUS_OPTIONS = {
  inboxMaxMessages: 100,
  inboxMaxAgeSeconds: 3600,
  maxMessageBytes: 1024,
  duplicateWindowSeconds: 60,
  requestTimeoutMs: 300,
  maxInFlight: 1,
  onError: () => undefined,
}

/** Two at once where one may be, then one that is not answered. */
async function failTwice(t: Test, bus: Bus, cut: () => Promise<void> | void): Promise<void> {
  await bus.publish('alice', '1', new Uint8Array())
  t.equal(bus.stats().publishFailures.size, 0)
  const both = await bus.publishMany(['alice'], '2', new Uint8Array()).then(async () => {
    const one = bus.publish('alice', '3', new Uint8Array())
    return Promise.allSettled([one, bus.publish('alice', '4', new Uint8Array())])
  })
  t.same(
    both.map(({ status }) => status),
    ['fulfilled', 'rejected'],
  )
  await cut()
  await t.rejects(bus.publish('alice', '5', new Uint8Array()), { code: 'timeout' })
  t.same(
    [...bus.stats().publishFailures],
    [
      ['overloaded', 1],
      ['timeout', 1],
    ],
  )
}

t.test('publishes that fail are counted by the embedded bus', async (t) => {
  const broker = await EmbeddedBroker.open({ ...BUS_OPTIONS, dataDir: undefined })
  const bus = broker.bus()
  t.teardown(() => broker.close(0))
  await failTwice(t, bus, () => bus.cut())
})

t.test('publishes that fail are counted by the bus on NATS', { timeout: 180_000 }, async (t) => {
  const binary = await findNatsServer()
  if (binary === undefined) return void t.pass('', { skip: 'no nats-server on this machine' })
  const nats = await startNats({ binary })
  t.teardown(() => nats.stop())
  const options = { name: 'observed', servers: [nats.url], partitions: 1, replicas: 1, pingIntervalMs: 10_000, sweepSeconds: 600 }
  const bus = await connectNats({ ...BUS_OPTIONS, ...options })
  t.teardown(() => bus.close(0))
  await failTwice(t, bus, () => nats.kill9())
})

function has(t: Test, text: string, line: string): void {
  t.ok(text.split('\n').includes(line), line)
}

/** Cursor of a session that stays at the first gateway. */
let left = ''

/** A poll that is relayed, and a session that changes its node. */
async function betweenNodes(a: Ports, b: Ports): Promise<void> {
  const poll = async (query: Record<string, string>) => {
    const { text } = await http(b.client, `/poll?${new URLSearchParams(query)}`)
    return JSON.parse(text) as { cursor: string; frames: { type: string }[] }
  }
  const opened = JSON.parse((await http(a.client, '/poll?user=nomad')).text) as { cursor: string }
  await push(b.internal, 'nomad')
  const relayed = await poll({ user: 'nomad', cursor: opened.cursor, wait: '5' })
  const moved = await openClient(b.client, 'sse', { query: { user: 'nomad', cursor: relayed.cursor } })
  moved.drop()
  const staying = await openClient(a.client, 'websocket', { query: { user: 'left' } })
  left = String(staying.feed.frames[0]?.cursor)
}

function compare(
  t: Test,
  documented: readonly DocumentedMetric[],
  gateways: ReadonlyMap<string, Family>,
  worker: ReadonlyMap<string, Family> | undefined,
  all: ReadonlyMap<string, Family>,
): void {
  t.ok(documented.length >= Object.keys(CONTRACT).length)
  t.same(differences(documented, gateways, worker, all), [])
  for (const name of Object.keys(CONTRACT))
    t.ok(
      documented.some((metric) => metric.name === name),
      `${name} is documented`,
    )
}

function differences(
  documented: readonly DocumentedMetric[],
  gateways: ReadonlyMap<string, Family>,
  worker: ReadonlyMap<string, Family> | undefined,
  all: ReadonlyMap<string, Family>,
): string[] {
  const found: string[] = []
  const known = new Set(documented.map(({ name }) => name))
  for (const name of all.keys()) if (name.startsWith('holdwire_') && !known.has(name)) found.push(`${name} is not documented`)
  for (const { name, labels, type, from } of documented) {
    const family = (from === 'c2s' ? worker : from === 'gateway' ? gateways : all)?.get(name)
    if (family === undefined) found.push(`${name} is not exported`)
    else {
      const exported = [...family.labels].sort().join()
      if (exported !== [...labels].sort().join()) found.push(`${name}: labels ${exported} exported, ${labels.join()} documented`)
      if (family.type !== type) found.push(`${name}: a ${family.type}, ${type} documented`)
      if (family.samples === 0) found.push(`${name} has no values`)
    }
    if (from === 'all' && worker?.has(name) === false) found.push(`${name} is not exported by the worker`)
    if (from === 'c2s' && gateways.has(name)) found.push(`${name} is exported by gateways`)
  }
  return found
}
