// The embedded bus: the contract, in memory and on disk, and what is its own: faults, retention, the journal.

import { type ChildProcess, spawn } from 'node:child_process'
import { cp, readdir, readFile, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { seededRandom } from '../../bench/random.js'
import { BusError } from '../../bus/bus.js'
import { CommitQueue } from '../../bus/commit-queue.js'
import { DuplicateWindow } from '../../bus/duplicate-window.js'
import { EmbeddedBroker, type EmbeddedBusOptions, openEmbedded } from '../../bus/embedded-bus.js'
import { Inboxes } from '../../bus/embedded-inbox.js'
import { EmbeddedStore } from '../../bus/embedded-store.js'
import { TurnQueue } from '../../bus/turn-queue.js'
import { faultyBus, faultyDeliveries } from '../support/faulty-bus.js'
import { ManualClock } from '../support/manual-clock.js'
import { RecordingSink } from '../support/recording-sink.js'
import { type BusEnvironment, busContract } from './bus-contract.js'

const LIMITS = { inboxMaxMessages: 10, maxMessageBytes: 65536, maxInFlight: 256 }
const DATA = Buffer.from('data')

function options(more: Partial<EmbeddedBusOptions> = {}): EmbeddedBusOptions {
  return {
    ...LIMITS,
    inboxMaxAgeSeconds: 3600,
    duplicateWindowSeconds: 60,
    requestTimeoutMs: 2000,
    dataDir: undefined,
    onError: (error, what) => {
      if (!(error instanceof Error && error.message.endsWith('on purpose'))) throw new Error(`${what} failed`, { cause: error })
    },
    ...more,
  }
}

async function environment(more: Partial<EmbeddedBusOptions> = {}): Promise<BusEnvironment> {
  const broker = await EmbeddedBroker.open(options(more))
  return { bus: async () => broker.bus(), stop: () => broker.close(1000), options: LIMITS }
}

async function open(t: Test, more: Partial<EmbeddedBusOptions> = {}): Promise<EmbeddedBroker> {
  const broker = await EmbeddedBroker.open(options(more))
  t.teardown(() => broker.close(0))
  return broker
}

/** Lets everything that waits for its turn happen. */
async function turns(): Promise<void> {
  for (let i = 0; i < 4; i++) await new Promise((resolve) => setImmediate(resolve))
}

busContract('embedded, in memory', () => environment())
busContract('embedded, with a data directory', () => environment({ dataDir: t.testdir() }))

t.test('closing the only bus of openEmbedded closes its store', async (t) => {
  const dataDir = t.testdir()
  const bus = await openEmbedded(options({ dataDir }))
  const { seq } = await bus.publish('alice', 'm', DATA)
  await t.rejects(openEmbedded(options({ dataDir })), /in use by process/)
  await bus.close()
  const again = await openEmbedded(options({ dataDir }))
  t.strictSame(await again.publish('alice', 'm', DATA), { seq, duplicate: true })
  await again.close()
})

t.test('messages go away with age, and that counts as truncation', async (t) => {
  const clock = new ManualClock()
  const bus = (await open(t, { clock })).bus()
  const first = await bus.publish('alice', '1', DATA)
  clock.advance(3_000_000)
  const second = await bus.publish('alice', '2', DATA)
  clock.advance(599_999)
  t.equal((await bus.read('alice', 0, 10)).messages.length, 2)
  clock.advance(1)
  const page = await bus.read('alice', 0, 10)
  t.strictSame(
    page.messages.map(({ seq }) => seq),
    [second.seq],
  )
  t.equal((await bus.read('alice', first.seq, 10)).truncated, false, 'the first one had been seen')
  clock.advance(3_600_000)
  t.equal((await bus.read('alice', first.seq, 10)).truncated, true, 'the second one had not')
  t.strictSame(await bus.read('alice', second.seq, 10), { messages: [], truncated: false, more: false })
  const attachment = await bus.attach('alice', new RecordingSink())
  t.equal(attachment.from, second.seq, 'an empty inbox remembers how far it came')
})

t.test('beyond the limit of all inboxes together the oldest messages go', async (t) => {
  const bus = (await open(t, { maxStoreBytes: 100_000 })).bus()
  const seqs: number[] = []
  for (let i = 0; i < 20; i++) seqs.push((await bus.publish(`user${i}`, 'm', Buffer.alloc(10_000))).seq)
  const kept = await Promise.all(seqs.map(async (_, i) => (await bus.read(`user${i}`, 0, 10)).messages.length))
  t.strictSame(kept, [...Array(11).fill(0), ...Array(9).fill(1)])
})

t.test('a forgotten user: what can not be ruled out counts as truncated', async (t) => {
  const inboxes = new Inboxes({ maxMessages: 10, maxAgeMs: 1000, maxTotalBytes: 1e9 })
  for (let i = 1; i <= 100_010; i++) inboxes.append(`user${i}`, i, 0, DATA)
  inboxes.expire(1000)
  t.equal(inboxes.bytes, 0)
  t.equal(inboxes.forgottenThrough, 10)
  t.equal(inboxes.read('user3', 3, 10).truncated, true)
  t.equal(inboxes.read('user3', 10, 10).truncated, false)
  t.equal(inboxes.read('user11', 11, 10).truncated, false, 'of who is not forgotten it is known')
  t.equal(inboxes.read('user11', 10, 10).truncated, true)
  t.equal(inboxes.lastSeq('user3'), 10)
})

t.test('inboxes against a plain model, at random', async (t) => {
  const seed = Date.now() % 2 ** 31
  const random = seededRandom(seed)
  const inboxes = new Inboxes({ maxMessages: 7, maxAgeMs: 50, maxTotalBytes: 1e9 })
  const model = new Map<string, { seq: number; time: number }[]>()
  const evicted = new Map<string, number>()
  let seq = 0
  for (let now = 0; now < 3000; now++) {
    const user = `user${Math.floor(random() * random() * 10)}`
    if (random() < 0.7) {
      inboxes.append(user, ++seq, now, DATA)
      model.set(user, [...(model.get(user) ?? []), { seq, time: now }])
    }
    inboxes.expire(now)
    for (const [name, messages] of model) {
      while (messages.length > 7 || (messages[0] !== undefined && messages[0].time + 50 <= now))
        evicted.set(name, messages.shift()?.seq ?? 0)
    }
    const after = Math.floor(random() * (seq + 2))
    const limit = Math.floor(random() * 9)
    const expected = (model.get(user) ?? []).map((message) => message.seq)
    const later = expected.filter((each) => each > after)
    const page = inboxes.read(user, after, limit)
    const back = inboxes.readBefore(user, after, limit)
    const earlier = expected.filter((each) => each < after)
    const same =
      page.messages.map((message) => message.seq).join() === later.slice(0, limit).join() &&
      page.more === later.length > limit &&
      page.truncated === (after > 0 && (evicted.get(user) ?? 0) > after) &&
      back.messages.map((message) => message.seq).join() === earlier.slice(Math.max(0, earlier.length - limit)).join() &&
      back.more === earlier.length > limit
    if (!same) {
      t.fail(`at ${now}, seed ${seed}`)
      return
    }
  }
  t.pass()
})

t.test('an id is remembered for the window, and not much longer', async (t) => {
  const clock = new ManualClock()
  const bus = (await open(t, { clock })).bus()
  await bus.publish('alice', 'm', DATA)
  clock.advance(60_000)
  t.equal((await bus.publish('alice', 'm', DATA)).duplicate, true)
  clock.advance(10_000)
  t.equal((await bus.publish('alice', 'm', DATA)).duplicate, false)
})

t.test('entries of a bucket go away when nobody writes them again', async (t) => {
  const clock = new ManualClock()
  const bus = (await open(t, { clock })).bus()
  const bucket = await bus.bucket('leases', { ttlSeconds: 10 })
  const seen: string[] = []
  const follower = await bucket.follow((key, value) => seen.push(`${key} ${value === undefined ? 'gone' : 'here'}`))
  const revision = await bucket.put('a', DATA)
  await bucket.put('b', DATA)
  clock.advance(6000)
  t.not(await bucket.update('a', DATA, revision), undefined)
  clock.advance(6000)
  t.equal(await bucket.get('b'), undefined)
  t.ok(await bucket.get('a'))
  t.not(await bucket.create('b', DATA), undefined, 'what is gone may be created')
  await follower.caughtUp()
  t.strictSame(seen, ['a here', 'b here', 'a here', 'b gone', 'b here'])
})

t.test('acknowledgement and delivery come in either order', async (t) => {
  const bus = (await open(t)).bus()
  const orders = new Set<boolean>()
  const sink = new RecordingSink()
  await bus.attach('alice', sink)
  for (let i = 0; i < 4; i++) {
    await bus.publish('alice', `m${i}`, DATA)
    orders.add(sink.messages.length > i)
    await sink.until(() => sink.messages.length > i)
  }
  t.equal(orders.size, 2)
})

t.test('live deliveries that are lost, late or doubled: every sink still gets everything once, in order', async (t) => {
  const seed = Date.now() % 2 ** 31
  const random = seededRandom(seed)
  const faults = faultyDeliveries(random, { drop: 0.2, duplicate: 0.2, delay: 0.2, delayMs: 10, sweepMs: 10 })
  const broker = await open(t, { faults, inboxMaxMessages: 1000 })
  const bus = broker.bus()
  const other = broker.bus()
  const sinks = [new RecordingSink(), new RecordingSink()]
  await bus.attach('alice', sinks[0] ?? new RecordingSink())
  await other.attach('alice', sinks[1] ?? new RecordingSink())
  const seqs: number[] = []
  for (let i = 0; i < 300; i++) seqs.push((await bus.publish('alice', `m${i}`, DATA)).seq)
  for (const sink of sinks) {
    await sink.has(seqs.at(-1) ?? 0)
    t.strictSame(sink.seqs, seqs, `seed ${seed}`)
    t.strictSame(sink.losses, [])
  }
  t.ok(bus.stats().gaps > 0 && bus.stats().healed > 0 && bus.stats().duplicatesDropped > 0, `seed ${seed}`)
})

t.test('a bus that was cut off makes up for what it missed', async (t) => {
  const broker = await open(t)
  const bus = broker.bus()
  const other = broker.bus()
  const sink = new RecordingSink(DATA)
  await bus.attach('alice', sink)
  await bus.serve('work', (data) => data)
  const heard: string[] = []
  const bucket = await bus.bucket('names')
  const follower = await bucket.follow((key, value) => heard.push(`${key} ${Buffer.from(value ?? [])}`))
  const states: string[] = []
  bus.onState((state) => states.push(state))
  const first = await other.publish('alice', '1', DATA)
  await sink.has(first.seq)

  bus.cut()
  t.equal(bus.state, 'down')
  t.equal(await other.ask('alice', DATA), 'offline')
  await t.rejects(other.request('work', DATA), { code: 'no_responders' })
  await t.rejects(bus.read('alice', 0, 1), { code: 'disconnected' })
  await t.rejects(bus.request('work', DATA), { code: 'disconnected' })
  t.equal(bus.push('alice', DATA), false)
  t.equal(other.push('alice', Buffer.from('missed')), true)
  const missed = [await other.publish('alice', '2', DATA), await other.publish('alice', '3', DATA)]
  await (await other.bucket('names')).put('key', Buffer.from('1'))
  await (await other.bucket('names')).put('key', Buffer.from('2'))
  const waiting = bus.publish('alice', '4', DATA, { timeoutMs: 60_000 })
  await t.rejects(bus.publish('alice', '5', DATA, { timeoutMs: 1 }), { code: 'timeout' })
  await turns()
  t.equal(sink.messages.length, 1)

  bus.restore()
  const last = await waiting
  await sink.has(last.seq)
  t.strictSame(sink.seqs.slice(0, 4), [first.seq, ...missed.map(({ seq }) => seq), last.seq])
  t.strictSame(sink.pushes, [])
  t.strictSame(sink.losses, [])
  await follower.caughtUp()
  t.strictSame(heard, ['key 2'])
  t.strictSame(states, ['down', 'up'])
  await sink.has((await other.publish('alice', '6', DATA)).seq)
  t.equal(bus.stats().gaps, 1, 'made up for once')
})

t.test('a bus cut off for longer than the inbox reaches: lost, then what is left', async (t) => {
  const broker = await open(t)
  const bus = broker.bus()
  const other = broker.bus()
  const sink = new RecordingSink()
  await bus.attach('alice', sink)
  const { seq: seen } = await other.publish('alice', 'seen', DATA)
  await sink.has(seen)
  bus.cut()
  const seqs: number[] = []
  for (let i = 0; i < 11; i++) seqs.push((await other.publish('alice', `m${i}`, DATA)).seq)
  bus.restore()
  await sink.has(seqs.at(-1) ?? 0)
  t.strictSame(sink.losses, [{ after: seen, reason: 'evicted' }])
  t.strictSame(sink.seqs, [seen, ...seqs.slice(1)])
})

t.test('a process that dies leaves its callers waiting, and nobody behind', async (t) => {
  const broker = await open(t)
  const bus = broker.bus()
  const worker = broker.bus()
  await worker.serve('work', () => new Promise<Uint8Array>(() => {}))
  await worker.attach('alice', new RecordingSink(DATA))
  const asking = bus.request('work', DATA, { timeoutMs: 50 })
  await turns()
  await worker.crash()
  await t.rejects(asking, { code: 'timeout' })
  await t.rejects(bus.request('work', DATA), { code: 'no_responders' })
  t.equal(await bus.ask('alice', DATA), 'offline')
  t.equal(worker.state, 'closed')
})

t.test('a store made anew: sinks are told, and sequences start again', async (t) => {
  const dataDir = t.testdir()
  const broker = await EmbeddedBroker.open(options({ dataDir }))
  const bus = broker.bus()
  const sink = new RecordingSink()
  await bus.attach('alice', sink)
  await (await bus.bucket('names')).put('key', DATA)
  for (let i = 0; i < 3; i++) await bus.publish('alice', `m${i}`, DATA)
  const before = await bus.epoch('alice')
  await broker.reset()
  const after = await bus.epoch('alice')
  t.not(after, before)
  t.strictSame(sink.losses, [{ after: 3, reason: 'reset' }])
  t.strictSame((await bus.read('alice', 0, 10)).messages, [])
  t.strictSame(await bus.publish('alice', 'm0', DATA), { seq: 1, duplicate: false }, 'ids are forgotten too')
  await sink.until(() => sink.messages.length === 4)
  t.strictSame(sink.seqs, [1, 2, 3, 1])
  t.ok(await (await bus.bucket('names')).get('key'), 'buckets stay')
  await broker.close()
  const again = (await open(t, { dataDir })).bus()
  t.equal(await again.epoch('alice'), after)
  t.equal((await again.read('alice', 0, 10)).messages.length, 1)
})

t.test('retries through a bus that loses things store everything once', async (t) => {
  const seed = Date.now() % 2 ** 31
  const inner = (await open(t, { inboxMaxMessages: 1000 })).bus()
  const bus = faultyBus(inner, seededRandom(seed), {
    publishLost: 0.3,
    ackLost: 0.3,
    readFails: 0.3,
    requestLost: 0.3,
    pushLost: 0.3,
    pushTwice: 0.3,
  })
  const sink = new RecordingSink()
  await bus.attach('alice', sink)
  const retried = async <T>(call: () => Promise<T>): Promise<T> => {
    for (;;) {
      const result = await call().catch((error: unknown) => (error instanceof BusError ? undefined : Promise.reject(error)))
      if (result !== undefined) return result
    }
  }
  const seqs: number[] = []
  for (let i = 0; i < 100; i++) seqs.push((await retried(() => bus.publish('alice', `m${i}`, DATA))).seq)
  await sink.has(seqs.at(-1) ?? 0)
  t.strictSame(sink.seqs, seqs, `seed ${seed}`)
  t.strictSame(
    (await retried(() => bus.read('alice', 0, 1000))).messages.map(({ seq }) => seq),
    seqs,
  )
  for (let i = 0; i < 100; i++) t.equal(bus.push('alice', Buffer.from(`push ${i}`)), true)
  await turns()
  const came = new Set(sink.pushes.map((push) => Buffer.from(push).toString()))
  t.ok(came.size < 100, `some are lost, seed ${seed}`)
  t.ok(came.size < sink.pushes.length, `some come twice, seed ${seed}`)
})

t.test('pushes beyond what may wait are refused, and count no more once delivered', async (t) => {
  const bus = (await open(t, { maxMessageBytes: 2 ** 20 })).bus()
  const sink = new RecordingSink()
  await bus.attach('alice', sink)
  const large = Buffer.alloc(2 ** 20)
  let sent = 0
  while (sent < 100 && bus.push('alice', large)) sent++
  t.ok(sent >= 60 && sent < 70, `${sent} were taken`)
  await sink.until(() => sink.pushes.length === sent)
  t.equal(bus.push('alice', large), true)
})

// ---- the journal ------------------------------------------------------------------------------------------------

t.test('everything durable survives a restart', async (t) => {
  const dataDir = t.testdir()
  const broker = await EmbeddedBroker.open(options({ dataDir }))
  const bus = broker.bus()
  const acks = new Map<string, number>()
  for (let i = 0; i < 25; i++) acks.set(`m${i}`, (await bus.publish(i % 5 ? 'alice' : '用户 1', `m${i}`, Buffer.from(`text ${i}`))).seq)
  const epoch = await bus.epoch('alice')
  const bucket = await bus.bucket('names')
  await bucket.put('kept', Buffer.from('value'))
  const revision = await bucket.put('kept', Buffer.from('new value'))
  await bucket.put('gone', DATA)
  await bucket.delete('gone')
  await bus.bucket('leases', { ttlSeconds: 60 })
  const before = await bus.read('alice', 0, 100)
  await broker.close()

  const again = await EmbeddedBroker.open(options({ dataDir }))
  const next = again.bus()
  t.equal(await next.epoch('alice'), epoch)
  t.strictSame(toText(await next.read('alice', 0, 100)), toText(before))
  t.equal((await next.read('alice', acks.get('m1') ?? 0, 100)).truncated, true, 'what was evicted is still known')
  t.equal((await next.read('alice', acks.get('m12') ?? 0, 100)).truncated, false)
  t.strictSame(await next.publish('alice', 'm24', DATA), { seq: acks.get('m24'), duplicate: true })
  t.strictSame(await next.publish('用户 1', 'm0', DATA), { seq: acks.get('m0'), duplicate: true })
  t.ok((await next.publish('alice', 'later', DATA)).seq > 25)
  const names = await next.bucket('names')
  t.equal((await names.get('kept'))?.revision, revision)
  t.equal(await names.get('gone'), undefined)
  t.ok(((await names.create('gone', DATA)) ?? 0) > revision)
  await t.rejects(next.bucket('leases'), 'settings of buckets stay too')
  await again.close()
})

function toText(page: { messages: readonly { seq: number; data: Uint8Array }[] }): string[] {
  return page.messages.map(({ seq, data }) => `${seq} ${Buffer.from(data)}`)
}

t.test('compaction: many small journals become a snapshot, and nothing is forgotten', async (t) => {
  const dataDir = t.testdir()
  const more = { dataDir, compactBytes: 20_000 }
  let expected: string[] = []
  let epoch = ''
  const acks: number[] = []
  for (let round = 0; round < 5; round++) {
    const broker = await EmbeddedBroker.open(options(more))
    const bus = broker.bus()
    if (round > 0) {
      t.equal(await bus.epoch('alice'), epoch)
      t.strictSame(toText(await bus.read('alice', 0, 100)), expected)
      t.equal((await bus.read('alice', acks.at(-12) ?? 0, 100)).truncated, true)
      t.equal((await bus.read('alice', acks.at(-11) ?? 0, 100)).truncated, false)
      t.equal((await bus.publish('alice', `m${round - 1}-49`, DATA)).duplicate, true)
      t.equal((await bus.publish('alice', `m${round - 1}-0`, DATA)).duplicate, true)
      t.equal(`${Buffer.from((await (await bus.bucket('names')).get('round'))?.value ?? [])}`, `${round - 1}`)
    }
    epoch = await bus.epoch('alice')
    await (await bus.bucket('names')).put('round', Buffer.from(`${round}`))
    for (let i = 0; i < 50; i++) {
      acks.push((await bus.publish('alice', `m${round}-${i}`, Buffer.alloc(3000, i))).seq)
      if (round === 0) await bus.publish(`quiet${i}`, 'm', DATA)
    }
    expected = toText(await bus.read('alice', 0, 100))
    await broker.close()
    const names = (await readdir(dataDir)).filter((name) => name.startsWith('bus-')).sort()
    const snapshot = names.find((name) => name.endsWith('.snapshot'))
    if (snapshot !== undefined) t.ok((names[0] ?? '') >= snapshot, `what the snapshot replaces is gone: ${names}`)
  }
  const files = (await readdir(dataDir)).filter((name) => name.startsWith('bus-'))
  t.equal(files.filter((name) => name.endsWith('.snapshot')).length, 1, `${files}`)
  let bytes = 0
  for (const name of files) bytes += (await stat(join(dataDir, name))).size
  t.ok(bytes < 500_000, `${bytes} bytes remain of 750,000 and more`)
  const bus = (await open(t, more)).bus()
  for (let i = 0; i < 50; i++) t.equal((await bus.read(`quiet${i}`, 0, 10)).messages.length, 1)
})

t.test('what was written while a snapshot is made is in the journal after it', async (t) => {
  const dataDir = t.testdir()
  const broker = await EmbeddedBroker.open(options({ dataDir, compactBytes: 1, inboxMaxMessages: 10_000, maxInFlight: 100_000 }))
  const bus = broker.bus()
  const acks = await Promise.all(Array.from({ length: 5_000 }, (_, i) => bus.publish(`user${i % 50}`, `m${i}`, Buffer.from(`${i}`))))
  await broker.close()
  const again = (await open(t, { dataDir, inboxMaxMessages: 10_000, maxInFlight: 100_000 })).bus()
  let wrong = 0
  for (let user = 0; user < 50; user++) {
    const stored = toText(await again.read(`user${user}`, 0, 10_000))
    const expected = acks.flatMap(({ seq }, i) => (i % 50 === user ? [`${seq} ${i}`] : []))
    if (stored.join() !== expected.join()) wrong++
  }
  t.equal(wrong, 0)
  const repeats = await Promise.all(acks.map((_, i) => again.publish(`user${i % 50}`, `m${i}`, DATA)))
  t.ok(repeats.every(({ seq, duplicate }, i) => duplicate && seq === acks[i]?.seq))
})

/** A directory whose journal ends with three writes of one message each, and where the last one begins. */
async function written(t: Test): Promise<{ directory: string; file: string; lastAt: number; size: number }> {
  const directory = join(t.testdir(), 'written')
  const broker = await EmbeddedBroker.open(options({ dataDir: directory }))
  const bus = broker.bus()
  const file = 'bus-00000001.journal'
  let lastAt = 0
  for (let i = 0; i < 3; i++) {
    lastAt = (await stat(join(directory, file))).size
    await bus.publish('alice', `m${i}`, Buffer.from(`text ${i}`))
  }
  await broker.close()
  return { directory, file, lastAt, size: (await stat(join(directory, file))).size }
}

t.test('a write that was cut off at any byte: what was before is there, and it is said once', async (t) => {
  const { directory, file, lastAt, size } = await written(t)
  for (let end = lastAt; end < size; end++) {
    const copy = `${directory} to ${end}`
    await cp(directory, copy, { recursive: true })
    await truncate(join(copy, file), end)
    const said: string[] = []
    const broker = await EmbeddedBroker.open(options({ dataDir: copy, onError: (error) => said.push(`${error}`) }))
    const bus = broker.bus()
    const page = await bus.read('alice', 0, 10)
    if (page.messages.length !== 2 || said.length !== (end === lastAt ? 0 : 1)) t.fail(`cut at ${end}: ${said}`)
    if ((await bus.publish('alice', 'm2', DATA)).duplicate) t.fail(`cut at ${end}: the lost message counts as stored`)
    await broker.close()
    const again = await EmbeddedBroker.open(options({ dataDir: copy }))
    if ((await again.bus().read('alice', 0, 10)).messages.length !== 3) t.fail(`cut at ${end}: opened again`)
    await again.close()
  }
  t.pass(`${size - lastAt} places`)
})

t.test('a damaged end is cut off, damage before intact records stops the start', async (t) => {
  const { directory, file, lastAt, size } = await written(t)
  const intact = await readFile(join(directory, file))
  const damaged = async (at: number) => {
    const bytes = Buffer.from(intact)
    bytes[at] = (bytes[at] ?? 0) ^ 0x55
    await writeFile(join(directory, file), bytes)
    return options({ dataDir: directory, onError: () => {} })
  }
  for (let at = 0; at < lastAt; at += at < 40 ? 1 : 3) {
    await t.rejects(EmbeddedBroker.open(await damaged(at)), /damaged at byte|not a journal/, `byte ${at}`)
  }
  const broker = await EmbeddedBroker.open(await damaged(size - 3))
  t.equal((await broker.bus().read('alice', 0, 10)).messages.length, 2)
  await broker.close()
})

t.test('a message that looks like a journal is only a message', async (t) => {
  const { directory, file } = await written(t)
  const journal = await readFile(join(directory, file))
  const other = `${directory} again`
  const broker = await EmbeddedBroker.open(options({ dataDir: other }))
  const at = (await stat(join(other, file))).size
  await broker.bus().publish('alice', 'm', journal)
  await broker.close()
  await truncate(join(other, file), at + journal.length)
  const again = await EmbeddedBroker.open(options({ dataDir: other, onError: () => {} }))
  t.strictSame((await again.bus().read('alice', 0, 10)).messages, [], 'the rest of its write is missing: it is cut off')
  await again.close()
})

t.test('a missing segment, a damaged snapshot', async (t) => {
  const directory = join(t.testdir(), 'written')
  for (let i = 0; i < 3; i++) await (await EmbeddedBroker.open(options({ dataDir: directory }))).close()
  const copy = `${directory} in part`
  await cp(directory, copy, { recursive: true, filter: (path) => !path.endsWith('2.journal') })
  await t.rejects(EmbeddedBroker.open(options({ dataDir: copy })), /00000002.journal is missing/)
  await writeFile(join(directory, 'bus-00000003.snapshot'), 'HWJRNL1\nand then nonsense')
  await t.rejects(EmbeddedBroker.open(options({ dataDir: directory })), /snapshot is/)
})

t.test('a lock: of the living it holds, of the dead it does not', async (t) => {
  const dataDir = t.testdir()
  const child = await startChild(dataDir, 'lock', 100)
  await t.rejects(EmbeddedBroker.open(options({ dataDir })), /in use by process/)
  await child.kill()
  const broker = await EmbeddedBroker.open(options({ dataDir, onError: () => {} }))
  await t.rejects(EmbeddedBroker.open(options({ dataDir })), /in use by process/)
  await broker.close()
  // A container that was killed starts again with the same process id, on the same host.
  const owner = JSON.parse(`{"pid":${process.pid},"host":"${(await import('node:os')).hostname()}","started":"long ago"}`) as object
  await writeFile(join(dataDir, 'bus.lock'), JSON.stringify(owner))
  await (await EmbeddedBroker.open(options({ dataDir }))).close()
  await writeFile(join(dataDir, 'bus.lock'), 'no lock of ours')
  await (await EmbeddedBroker.open(options({ dataDir }))).close()
  t.notOk(
    (await readdir(dataDir)).some((name) => name.startsWith('bus.lock')),
    'nothing is left of it',
  )
})

t.test('a lock of another host is watched: void if nobody touches it', async (t) => {
  const dataDir = t.testdir()
  const lock = join(dataDir, 'bus.lock')
  await writeFile(lock, JSON.stringify({ pid: 1, host: 'another host', started: '' }))
  const clock = new ManualClock()
  const touched = EmbeddedBroker.open(options({ dataDir, clock }))
  const ticking = setInterval(() => clock.advance(1000), 1)
  const touching = setInterval(() => void writeFile(lock, JSON.stringify({ pid: 1, host: 'another host', started: '' })), 2)
  await t.rejects(touched, /in use by process 1 on another host/)
  clearInterval(touching)
  await new Promise((resolve) => setTimeout(resolve, 20))
  await (await EmbeddedBroker.open(options({ dataDir, clock }))).close()
  clearInterval(ticking)
})

t.test('a batch that can not be written fails as a whole, and may be sent again', async (t) => {
  const turnQueue = new TurnQueue((error) => t.fail(`${error}`))
  const said: string[] = []
  let broken = 0
  const commits = new CommitQueue({ onCommitted: () => {}, onBroken: () => broken++, onError: (error) => said.push(`${error}`) })
  const log = {
    broken: false,
    full: true,
    began: () => {},
    append: async () => {
      log.began()
      await turns()
      if (log.full) throw new Error('no space left')
    },
  }
  commits.writeTo(log)
  const inboxes = new Inboxes({ maxMessages: 10, maxAgeMs: 1e6, maxTotalBytes: 1e6 })
  const clock = new ManualClock()
  const duplicates = new DuplicateWindow(60_000)
  const store = new EmbeddedStore({ inboxes, duplicates, commits, turns: turnQueue, clock, onStored: () => {} })
  const first = store.publish('alice', 'm', DATA)
  const repeat = store.publish('alice', 'm', DATA)
  const meanwhile = new Promise((resolve) => {
    log.began = () => resolve(store.publish('alice', 'm', DATA))
  })
  const codes = (await Promise.allSettled([first, repeat, meanwhile])).map((result) => result.status === 'rejected' && result.reason.code)
  t.strictSame(codes, ['rejected', 'rejected', 'rejected'], 'a repeat does not count as stored either')
  log.began = () => {}
  t.equal(inboxes.read('alice', 0, 10).messages.length, 0)
  log.full = false
  const bucket = await store.bucket('names', 0)
  log.full = true
  await t.rejects(bucket.write('key', DATA, 0), { code: 'rejected' })
  t.equal(bucket.get('key'), undefined)
  log.full = false
  t.equal((await store.publish('alice', 'm', DATA)).duplicate, false)
  t.ok(await bucket.write('key', DATA, 0))
  t.equal(inboxes.read('alice', 0, 10).messages.length, 1)
  t.equal(broken, 0)
  Object.assign(log, { broken: true, full: true })
  await t.rejects(store.publish('alice', 'n', DATA), { code: 'disconnected' })
  await turns()
  t.equal(broken, 1)
  t.ok(said.length >= 3)
})

interface Child {
  readonly process: ChildProcess
  readonly acked: { seq: number; user: string; id: string }[]
  /** Resolves when so many were acknowledged. */
  until(count: number): Promise<void>
  kill(): Promise<void>
}

async function startChild(directory: string, run: string, inboxMaxMessages: number, compactBytes = 100_000): Promise<Child> {
  const script = fileURLToPath(new URL('../support/journal-child.js', import.meta.url))
  const child = spawn(process.execPath, [script, directory, run, `${inboxMaxMessages}`, `${compactBytes}`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const acked: Child['acked'] = []
  const waiting: { count: number; resolve: () => void }[] = []
  const lines = createInterface({ input: child.stdout })
  const ready = new Promise<void>((resolve, reject) => {
    child.on('exit', (code) => reject(new Error(`the child ended with ${code}`)))
    lines.on('line', (line) => {
      const [seq = '', user = '', id = ''] = line.split(' ')
      if (line === 'ready') resolve()
      // The last line may have been cut off by the kill.
      else if (/^\d+ user\d \w+-\d+-\d+$/.test(line)) acked.push({ seq: Number(seq), user, id })
      for (const { count, resolve } of waiting) if (acked.length >= count) resolve()
    })
  })
  await ready
  return {
    process: child,
    acked,
    until: (count) => new Promise((resolve) => waiting.push({ count, resolve })),
    async kill() {
      const closed = new Promise((resolve) => lines.on('close', resolve))
      child.kill('SIGKILL')
      await closed
    },
  }
}

t.test('kill -9 in the middle of writing and compacting: nothing that was acknowledged is lost', async (t) => {
  const dataDir = t.testdir()
  const limit = 200
  const acked: Child['acked'] = []
  for (let round = 0; round < 4; round++) {
    const child = await startChild(dataDir, `run${round}`, limit)
    await child.until(1000 + round * 777)
    await child.kill()
    // The last line is dropped: it may be half a line that looks whole.
    acked.push(...child.acked.slice(0, -1))
    const said: string[] = []
    const broker = await EmbeddedBroker.open(options({ dataDir, inboxMaxMessages: limit, onError: (error) => said.push(`${error}`) }))
    const bus = broker.bus()
    for (const user of ['user0', 'user1', 'user2', 'user3']) {
      const mine = acked.filter((ack) => ack.user === user)
      const stored = new Map((await bus.read(user, 0, limit)).messages.map(({ seq, data }) => [seq, `${Buffer.from(data)}`.split(' ')[0]]))
      const oldest = Math.min(...stored.keys())
      t.equal(stored.size, Math.min(limit, stored.size))
      const missing = mine.filter(({ seq, id }) => seq >= oldest && stored.get(seq) !== id)
      t.strictSame(missing, [], `round ${round}, ${user}`)
      if (stored.size < limit) t.ok(oldest <= (mine[0]?.seq ?? 0), 'an inbox that is not full has everything')
    }
    const recent = acked.slice(-200)
    const repeats = await Promise.all(recent.map(({ user, id }) => bus.publish(user, id, DATA)))
    t.ok(
      repeats.every(({ seq, duplicate }, i) => duplicate && seq === recent[i]?.seq),
      `round ${round}: repeats are known`,
    )
    await broker.close()
  }
  t.equal(new Set(acked.map(({ seq }) => seq)).size, acked.length, 'no sequence was given out twice')
})
