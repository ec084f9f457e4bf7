// The generator's own test: a server that sends, delays, drops and repeats an exactly known number of messages, and what the
// generator saw of it; and the proxy's: how far it is away.

import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { Child } from '../child.js'
import { Crowd } from '../crowd.js'
import type { Progress } from '../progress.js'
import type { Counts } from '../tally.js'
import type { DummyOrder, DummyPlan, DummyReport } from './dummy-server.js'
import { Proxied } from './proxied.js'
import type { LatencyFigures, SelfTestFinding } from './result.js'

interface Seen {
  /** Of this case alone. */
  readonly counts: Counts
  readonly latency: LatencyFigures
  readonly done: DummyReport & { kind: 'done' }
}

interface Case {
  readonly name: string
  readonly plan: Partial<DummyPlan>
  readonly judge: (seen: Seen) => Omit<SelfTestFinding, 'name'>
}

const SESSIONS = 20
const MESSAGES = 100
const PLAIN: DummyPlan = {
  messages: MESSAGES,
  intervalMs: 4,
  delayMs: 0,
  delayEvery: 0,
  dropEvery: 0,
  repeatEvery: 0,
  seed: 1,
}
const DELAY_MS = 30
const ROUND_TRIP_MS = 40
/** A machine with other work to do is late by itself. */
const TOLERANCE_US = 5000
/** On such a machine a finding about time is tried again. */
const TRIES = 3
const TIMEOUT_MS = 10_000
const ARRIVAL_MS = 100

const NEAR_CASES: readonly Case[] = [
  {
    name: 'counts',
    plan: { repeatEvery: 200 },
    judge: ({ counts, done }) => ({
      expected: `${done.sent} received, 0 missing, ${done.repeated} repeated`,
      seen: `${counts.received} received, ${counts.missing} missing, ${counts.repeated} repeated`,
      ok:
        counts.received === done.sent &&
        done.sent === SESSIONS * MESSAGES + done.repeated &&
        done.repeated > 0 &&
        counts.missing === 0 &&
        counts.repeated === done.repeated,
    }),
  },
  {
    name: 'loss of 1 %',
    plan: { dropEvery: 100 },
    judge: ({ counts, done }) => ({
      expected: `${done.sent} received, ${done.dropped} missing`,
      seen: `${counts.received} received, ${counts.missing} missing`,
      ok: done.dropped > 0 && counts.received === done.sent && counts.missing === done.dropped,
    }),
  },
  {
    name: `delay of ${DELAY_MS} ms`,
    plan: { delayMs: DELAY_MS, delayEvery: 1 },
    judge: ({ latency, done }) => ({
      expected: `p50 ${ms(done.delayP50Us)} (as the server sent them)`,
      seen: `p50 ${ms(latency.p50)}`,
      ok: done.delayP50Us >= DELAY_MS * 1000 - 1000 && Math.abs(latency.p50 - done.delayP50Us) < TOLERANCE_US,
    }),
  },
  {
    name: `delay of ${DELAY_MS} ms on each 25th`,
    // A slow pace, so that few others wait behind a delayed one.
    plan: { delayMs: DELAY_MS, delayEvery: 25, intervalMs: 10, messages: MESSAGES / 2 },
    judge: ({ latency, done }) => ({
      expected: `p50 ${ms(done.delayP50Us)}, p99 ${ms(done.delayP99Us)} (as the server sent them)`,
      seen: `p50 ${ms(latency.p50)}, p99 ${ms(latency.p99)}`,
      ok:
        done.delayP99Us >= DELAY_MS * 1000 - 1000 &&
        Math.abs(latency.p50 - done.delayP50Us) < TOLERANCE_US &&
        Math.abs(latency.p99 - done.delayP99Us) < TOLERANCE_US,
    }),
  },
]

const FAR_CASE: Case = {
  name: `proxy, round trip of ${ROUND_TRIP_MS} ms`,
  plan: {},
  judge: ({ latency, counts }) => ({
    expected: `all received, p50 ${ROUND_TRIP_MS / 2} ms`,
    seen: `${counts.received} received, p50 ${ms(latency.p50)}`,
    ok: counts.received === SESSIONS * MESSAGES && Math.abs(latency.p50 - ROUND_TRIP_MS * 500) < TOLERANCE_US,
  }),
}

type DummyServer = Child<DummyOrder, DummyReport>

/** `onStarted`: told of the processes that make the load. */
export async function selfTest(root: string, progress: Progress, onStarted: (pid: number) => void): Promise<SelfTestFinding[]> {
  const server: DummyServer = new Child('dummy server', join(root, 'bench', 'lab', 'dummy-server.js'), [], () => undefined)
  const proxy = new Proxied(root)
  onStarted(proxy.pid)
  try {
    const { port } = await server.next('listening', TIMEOUT_MS)
    const near = await runAll(root, server, port, NEAR_CASES, progress, onStarted)
    const farPort = await proxy.listen(port, { roundTripMs: ROUND_TRIP_MS, stalls: 0 }, PLAIN.seed)
    return [...near, ...(await runAll(root, server, farPort, [FAR_CASE], progress, onStarted))]
  } finally {
    proxy.close()
    server.kill()
  }
}

async function runAll(
  root: string,
  server: DummyServer,
  port: number,
  cases: readonly Case[],
  progress: Progress,
  onStarted: (pid: number) => void,
): Promise<SelfTestFinding[]> {
  const wire = { kind: 'websocket', port, settings: {} }
  const crowd = await Crowd.open({ root, wire, users: SESSIONS, firstUser: 0, ackEvery: 16, timeoutMs: TIMEOUT_MS, onStarted }, progress)
  try {
    const findings: SelfTestFinding[] = []
    for (const one of cases) {
      progress.update(`self-test: ${one.name}`)
      let finding = await run(server, crowd, one)
      for (let tries = 1; !finding.ok && tries < TRIES; tries++) finding = await run(server, crowd, one)
      findings.push(finding)
      progress.say(`self-test: ${finding.name}: expected ${finding.expected}, seen ${finding.seen}${finding.ok ? '' : '  FAILED'}`)
    }
    return findings
  } finally {
    crowd.close()
    // So that the server has seen it before others come.
    await pause(ARRIVAL_MS)
  }
}

async function run(server: DummyServer, crowd: Crowd, { name, plan, judge }: Case): Promise<SelfTestFinding> {
  const { counts: before } = await crowd.figures()
  await crowd.reset()
  const all = server.next('done', TIMEOUT_MS)
  server.tell({ kind: 'go', plan: { ...PLAIN, ...plan } })
  const done = await all
  await pause(ARRIVAL_MS)
  const { counts, latency } = await crowd.figures()
  const own: Counts = {
    received: counts.received - before.received,
    missing: counts.missing - before.missing,
    repeated: counts.repeated - before.repeated,
  }
  return { name, ...judge({ counts: own, latency, done }) }
}

function ms(us: number): string {
  return `${(us / 1000).toFixed(1)} ms`
}
