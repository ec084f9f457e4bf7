// What is the NATS bus's own: servers that die, connections that break, messages that get lost, streams that are made anew.

import { rm } from 'node:fs/promises'
import { connect as dial } from 'node:net'
import t, { type Test } from 'tap'
import { seededRandom } from '../../bench/random.js'
import { type Bus, BusError, type UserSink } from '../../bus/bus.js'
import { decodeKey, encodeKey } from '../../bus/nats-bucket-key.js'
import { connectNats, type NatsBusOptions } from '../../bus/nats-bus.js'
import { lastNumber } from '../../bus/nats-light-subscription.js'
import { parseDelivered } from '../../bus/nats-pull-consumer.js'
import { partitionOf, userToken } from '../../bus/user-token.js'
import { getNatsServer, type NatsServer, startNats } from '../support/nats-server.js'
import { TcpProxy } from '../support/tcp-proxy.js'

const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31))
const PARTITIONS = 4

class Sink implements UserSink {
  readonly seqs: number[] = []
  readonly texts: string[] = []
  readonly pushes: string[] = []
  readonly losses: string[] = []
  durable(seq: number, data: Uint8Array): void {
    this.seqs.push(seq)
    this.texts.push(text(data))
  }
  ephemeral(data: Uint8Array): void {
    this.pushes.push(text(data))
  }
  asked(data: Uint8Array): Uint8Array | undefined {
    return data
  }
  lost(after: number, reason: 'evicted' | 'reset'): void {
    this.losses.push(`${reason} after ${after}`)
  }
}

function bytes(words: string): Uint8Array {
  return Buffer.from(words)
}

function text(data: Uint8Array): string {
  return Buffer.from(data).toString()
}

function range(count: number, from = 0): number[] {
  return Array.from({ length: count }, (_, i) => from + i)
}

function isRising(numbers: readonly number[]): boolean {
  return numbers.every((n, i) => i === 0 || n > (numbers[i - 1] ?? 0))
}

async function until(check: () => boolean | Promise<boolean>, what: string, withinMs = 10_000): Promise<void> {
  const deadline = Date.now() + withinMs
  while (!(await check())) {
    if (Date.now() > deadline) throw new Error(`waited in vain until ${what} (seed ${seed})`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

async function codeOf(call: Promise<unknown>): Promise<string> {
  return call.then(
    () => 'none',
    (error) => (error instanceof BusError ? error.code : String(error)),
  )
}

/** A server, buses on it, and what their `onError` was told; all ended with the test. */
async function world(t: Test, server: { configExtra?: string } = {}) {
  const nats = await startNats(server)
  const errors: string[] = []
  const ends: (() => Promise<void>)[] = []
  let names = 0
  const bus = async (more: Partial<NatsBusOptions> = {}): Promise<Bus> => {
    const opened = await connectNats({
      servers: [nats.url],
      name: `bus${names++}`,
      partitions: PARTITIONS,
      replicas: 1,
      inboxMaxMessages: 5_000,
      inboxMaxAgeSeconds: 3_600,
      maxMessageBytes: 131_072,
      duplicateWindowSeconds: 60,
      requestTimeoutMs: 3_000,
      maxInFlight: 1_024,
      pingIntervalMs: 10_000,
      sweepSeconds: 600,
      onError: (error, what) => errors.push(`${what}: ${error instanceof Error ? error.message : String(error)}`),
      ...more,
    })
    ends.push(() => opened.close(0))
    return opened
  }
  const proxy = async (): Promise<TcpProxy> => {
    const started = await TcpProxy.start(nats.port)
    ends.push(() => started.stop())
    return started
  }
  t.teardown(async () => {
    for (const end of ends) await end()
    await nats.stop()
  })
  return { nats, errors, bus, proxy }
}

/** Lines of the NATS protocol, as somebody else's client would send them. Resolves when the server has taken them. */
function speak(server: NatsServer, lines: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = dial({ port: server.port, host: '127.0.0.1' })
    socket.once('error', reject)
    socket.on('data', (chunk: Buffer) => {
      if (chunk.includes('PONG')) {
        socket.destroy()
        resolve()
      }
    })
    socket.write(`CONNECT {"verbose":false,"headers":true}\r\n${lines}PING\r\n`)
  })
}

function inboxSubject(user: string): string {
  const token = userToken(user)
  return `in.${partitionOf(token, PARTITIONS)}.${token}`
}

const binary = await getNatsServer()
const options = binary === undefined ? { skip: 'no nats-server here, and none to be had (stderr says why)' } : {}

t.test('numbers of headers: the last of a name is the server’s', async (t) => {
  const header = 'NATS/1.0\r\nNats-Sequence: 99999\r\nX: a\r\nNats-Stream: IN3\r\nNats-Sequence: 41\r\nNats-Last-Sequence: 7\r\n\r\n'
  t.equal(lastNumber(header, 'Nats-Sequence'), 41)
  t.equal(lastNumber(header, 'Nats-Last-Sequence'), 7)
  t.equal(lastNumber(header.replace('\r\nNats-Last', '\r\nNats-Time-Stamp: 2025\r\nNats-Last'), 'Nats-Last-Sequence'), 7)
  t.equal(lastNumber('NATS/1.0\r\nX-Nats-Sequence: 5\r\n\r\n', 'Nats-Sequence'), 0)
  t.equal(lastNumber('NATS/1.0\r\nNats-Sequence: no\r\n\r\n', 'Nats-Sequence'), 0)
})

t.test('the place of a delivered message, in both forms', async (t) => {
  const place = { seq: 41, count: 3, storedAt: 1_700_000_000_000, pending: 9 }
  t.strictSame(parseDelivered('$JS.ACK.IN3.consumer.1.41.3.1700000000000000000.9'), place)
  t.strictSame(parseDelivered('$JS.ACK.hub.account.IN3.consumer.1.41.3.1700000000000000000.9.token'), place)
  t.throws(() => parseDelivered('_INBOX.x'))
})

t.test('any key survives the characters of a KV key', async (t) => {
  const next = seededRandom(seed)
  for (let round = 0; round < 2_000; round++) {
    const key = String.fromCodePoint(...range(1 + Math.floor(next() * 8)).map(() => Math.floor(next() * (next() < 0.8 ? 0x80 : 0xd800))))
    const encoded = encodeKey(key)
    if (!/^[A-Za-z0-9_/=-]+$/.test(encoded) || decodeKey(encoded) !== key) t.fail(`${JSON.stringify(key)} (seed ${seed})`)
  }
  t.pass('2,000 keys')
})

t.test('kill -9 of the server under publishing: nothing lost, nothing twice, in order', options, async (t) => {
  const { nats, bus } = await world(t)
  const [gateway, publisher] = [await bus(), await bus({ maxInFlight: 4_096 })]
  const states: string[] = []
  gateway.onState((state) => states.push(state))
  const users = range(8).map((i) => `user${i}`)
  const sinks = users.map(() => new Sink())
  await Promise.all(users.map((user, i) => gateway.attach(user, sinks[i] ?? new Sink())))
  const count = 400
  let sent = 0
  const acks: Promise<{ seq: number }>[][] = users.map(() => [])
  const publishing = (async () => {
    for (let n = 0; n < count; n++) {
      for (const [i, user] of users.entries()) acks[i]?.push(publisher.publish(user, `m${n}`, bytes(`${n}`), { timeoutMs: 15_000 }))
      sent = n
      await new Promise((resolve) => setTimeout(resolve, 3))
    }
  })()
  await until(() => sent > 100, 'some were sent')
  await nats.kill9()
  await until(() => sent > 200, 'some were sent without a server')
  t.equal(gateway.state, 'down')
  t.equal(gateway.push('user0', bytes('x')), false, 'nothing is pushed into the void')
  t.equal(await codeOf(gateway.ask('user0', bytes('?'))), 'disconnected')
  await nats.restart()
  await publishing
  for (const [i, sink] of sinks.entries()) {
    const seqs = (await Promise.all(acks[i] ?? [])).map(({ seq }) => seq)
    t.ok(isRising(seqs), 'stored in the order they were published')
    await until(() => sink.seqs.length >= count, `all came to user${i}`)
    t.strictSame(sink.seqs, seqs, 'delivered: what was acknowledged, once, in order')
    t.strictSame(sink.texts, range(count).map(String))
    t.strictSame(sink.losses, [])
    t.equal((await gateway.read(users[i] ?? '', 0, 1_000)).messages.length, count, 'stored once')
  }
  await until(() => gateway.state === 'up', 'the bus is up')
  t.strictSame(states, ['down', 'up'])
})

t.test('publishes wait for a server that comes back, and give up in time', options, async (t) => {
  const { nats, bus } = await world(t)
  const publisher = await bus({ maxInFlight: 8 })
  await nats.kill9()
  await until(() => publisher.state === 'down', 'it is noticed')
  const early = publisher.publish('alice', 'early', bytes('x'), { timeoutMs: 200 })
  const waiting = range(7).map((i) => publisher.publish('alice', `m${i}`, bytes(`${i}`), { timeoutMs: 15_000 }))
  t.equal(await codeOf(publisher.publish('alice', 'over', bytes('x'))), 'overloaded', 'the limit of calls in flight holds')
  t.equal(publisher.stats().inFlight, 8)
  t.equal(await codeOf(early), 'timeout')
  await nats.restart()
  t.strictSame(
    (await Promise.all(waiting)).map(({ seq }) => seq),
    range(7, 1),
  )
  const results = await publisher.publishMany(
    range(50).map((i) => `many${i}`),
    'm',
    bytes('x'),
  )
  t.ok(results.every(({ status }) => status === 'fulfilled'))
})

t.test('a message to many users comes again after the server did', options, async (t) => {
  const { nats, bus, errors } = await world(t)
  const [gateway, other] = [await bus(), await bus()]
  const users = range(30).map((i) => `user${i}`)
  const sinks = users.map(() => new Sink())
  for (const [i, sink] of sinks.entries()) await gateway.attach(users[i] ?? '', sink)
  await nats.kill9()
  await until(() => gateway.state === 'down' && other.state === 'down', 'it is noticed')
  t.equal(other.pushMany(users, bytes('lost')), 0, 'nothing is pushed into the void')
  await nats.restart()
  await until(() => gateway.state === 'up' && other.state === 'up', 'it is back')
  await gateway.attach('another', new Sink())
  t.equal(other.pushMany(users, bytes('here')), 30)
  await until(() => sinks.every(({ pushes }) => pushes.length > 0), 'it came to all')
  for (const sink of sinks) t.strictSame(sink.pushes, ['here'], 'once')
  t.strictSame(errors, [])
})

t.test('a gateway that may not hear messages to many users attaches nobody, and says why', options, async (t) => {
  const users = "{ user: 'gateway', password: 'x', permissions: { subscribe: { deny: ['us'] } } }, { user: 'all', password: 'x' }"
  const { nats, bus, errors } = await world(t, { configExtra: `authorization { users: [${users}] }` })
  const as = (user: string) => bus({ servers: [nats.url.replace('//', `//${user}:x@`)] })
  const gateway = await as('gateway')
  for (const user of ['alice', 'bob']) {
    const refused = gateway.attach(user, new Sink())
    await t.rejects(refused, { code: 'rejected', message: 'not allowed to subscribe to us' })
  }
  t.match(errors[0], /^message to many users: .*us/)
  const other = await as('all')
  const sink = new Sink()
  await other.attach('alice', sink)
  t.equal(gateway.pushMany(['alice', ...range(20).map(String)], bytes('x')), 21)
  await until(() => sink.pushes.length === 1, 'it may send them')
})

t.test('what was lost on the way is read from the store, in order', options, async (t) => {
  const { bus, errors } = await world(t)
  const next = seededRandom(seed)
  let dropAll = false
  let last = 0
  const gateway = await bus({ testHooks: { dropLive: (_user, seq) => seq < last && (dropAll || next() < 0.3) } })
  const publisher = await bus()
  const [alice, bob] = [new Sink(), new Sink()]
  const attachment = await gateway.attach('alice', alice)
  await gateway.attach('bob', bob)
  last = Number.POSITIVE_INFINITY
  for (const round of [0, 1, 2]) {
    for (const i of range(60, round * 60))
      await Promise.all(['alice', 'bob'].map((user) => publisher.publish(user, `m${i}`, bytes(`${i}`))))
    // A stretch too long to ask for one by one.
    dropAll = round === 1
  }
  dropAll = false
  last = 0
  for (const user of ['alice', 'bob']) await publisher.publish(user, 'end', bytes('end'))
  for (const sink of [alice, bob]) {
    await until(() => sink.texts.length >= 181, 'all came')
    t.strictSame(sink.texts, [...range(180).map(String), 'end'])
    t.ok(isRising(sink.seqs))
    t.strictSame(sink.losses, [])
  }
  const { gaps, healed } = gateway.stats()
  t.ok(gaps > 0 && healed > 0, `${gaps} gaps, ${healed} healed`)
  attachment.detach()
  t.strictSame(errors, [])
})

t.test('a lost last message is found by the sweep', options, async (t) => {
  const { bus } = await world(t)
  let drop = false
  const gateway = await bus({ sweepSeconds: 1, testHooks: { dropLive: () => drop } })
  const sink = new Sink()
  await gateway.attach('alice', sink)
  await gateway.publish('alice', 'a', bytes('a'))
  await until(() => sink.texts.length === 1, 'the first came')
  drop = true
  await gateway.publish('alice', 'b', bytes('b'))
  await until(() => sink.texts.length === 2, 'the lost one was found')
  t.strictSame(sink.texts, ['a', 'b'])
})

t.test('a lost message that was evicted meanwhile is declared', options, async (t) => {
  const { bus } = await world(t)
  let drop = false
  const gateway = await bus({ inboxMaxMessages: 5, testHooks: { dropLive: () => drop } })
  const [alice, bob] = [new Sink(), new Sink()]
  await gateway.attach('bob', bob)
  await gateway.publish('alice', 'm0', bytes('0'))
  await gateway.attach('alice', alice)
  drop = true
  for (const i of range(6, 1)) for (const user of ['alice', 'bob']) await gateway.publish(user, `m${i}`, bytes(`${i}`))
  drop = false
  for (const user of ['alice', 'bob']) await gateway.publish(user, 'm7', bytes('7'))
  await until(() => alice.texts.at(-1) === '7' && bob.texts.at(-1) === '7', 'the newest came')
  t.strictSame(alice.texts, ['2', '3', '4', '5', '6', '7'])
  t.strictSame(alice.losses, ['evicted after 1'])
  t.strictSame(bob.losses, ['evicted after 0'], 'even for whom nothing had come before')
})

t.test('after a lost connection all is replayed at once', options, async (t) => {
  const { bus, proxy } = await world(t)
  const between = await proxy()
  const gateway = await bus({ servers: [between.url], name: 'gateway', inboxMaxMessages: 50 })
  const publisher = await bus({ inboxMaxMessages: 50 })
  const users = range(40).map((i) => `user${i}`)
  const sinks = new Map(users.map((user) => [user, new Sink()]))
  await Promise.all([...sinks].map(([user, sink]) => gateway.attach(user, sink)))
  const publish = async (from: number, count: number) => {
    for (const i of range(count, from)) await publisher.publishMany(users, `m${i}`, bytes(`${i}`))
  }
  await publish(0, 5)
  await until(() => [...sinks.values()].every(({ texts }) => texts.length === 5), 'all came')

  between.cut('gateway-data')
  await until(() => gateway.state === 'down', 'the loss is noticed')
  await publish(5, 20)
  // While it is away users come and go, and one gets more than the inbox keeps.
  await publisher.publishMany(Array(1).fill('user0'), 'x', bytes('x'))
  for (const i of range(60, 100)) await publisher.publish('user1', `m${i}`, bytes(`${i}`))
  t.equal(await codeOf(gateway.publish('elsewhere', 'm', bytes('x'))), 'none', 'the other connection goes on')
  const late = new Sink()
  const attaching = gateway.attach('late', late)
  // Live messages come before the replay has asked for anything: they must not hide what came before them.
  between.delay('STREAM.INFO', 500)
  between.admit()
  await until(async () => (await publisher.ask('user0', bytes('?'), { timeoutMs: 20 })) !== 'offline', 'it is back')
  await publish(25, 20)
  t.equal(gateway.state, 'down', 'not up before the replay')
  await attaching
  await publisher.publish('late', 'm', bytes('late'))
  for (const [user, sink] of sinks) {
    await until(() => sink.texts.at(-1) === '44', `all came to ${user}`)
    t.ok(isRising(sink.seqs))
    if (user === 'user1') t.strictSame([sink.losses, sink.texts.slice(0, 5)], [[`evicted after ${sink.seqs[4]}`], range(5).map(String)])
    else t.strictSame([sink.losses, sink.texts.filter((each) => each !== 'x')], [[], range(45).map(String)])
  }
  await until(() => late.texts.length === 1 && gateway.state === 'up', 'who came late is served, and the bus is up')
  t.equal(gateway.stats().gaps, 1, 'only user1 had to be read alone')

  // Few users and a long tail: cheaper one by one.
  const before = gateway.stats().gaps
  for (const user of [...users]) if (user !== 'user2') sinks.delete(user)
  between.cut('gateway-data')
  await until(() => gateway.state === 'down', 'the loss is noticed')
  for (const i of range(30))
    await publisher.publishMany(
      range(100).map((n) => `other${n}`),
      `m${i}`,
      bytes('x'),
    )
  await publisher.publish('user2', 'after', bytes('after'))
  between.admit()
  await until(() => sinks.get('user2')?.texts.at(-1) === 'after', 'it came')
  await until(() => gateway.state === 'up', 'the bus is up')
  t.ok(gateway.stats().gaps > before, 'read user by user')
})

t.test('a connection that the server cuts for being slow loses nothing', options, async (t) => {
  const { bus, proxy } = await world(t, { configExtra: 'max_pending: 4MB\nwrite_deadline: "1s"' })
  const between = await proxy()
  const gateway = await bus({ servers: [between.url], name: 'gateway' })
  const publisher = await bus()
  const sink = new Sink()
  await gateway.attach('alice', sink)
  const states: string[] = []
  gateway.onState((state) => states.push(state))
  between.stall('gateway-data')
  const body = 'x'.repeat(100_000)
  const acks = []
  for (const i of range(300)) acks.push(await publisher.publish('alice', `m${i}`, bytes(`${i} ${body}`)))
  between.flow('gateway-data')
  await until(() => sink.texts.length >= 300, 'all came')
  t.strictSame(
    sink.texts.map((each) => Number.parseInt(each, 10)),
    range(300),
  )
  t.strictSame(
    sink.seqs,
    acks.map(({ seq }) => seq),
  )
  t.strictSame(sink.losses, [])
  await until(() => gateway.state === 'up', 'the bus is up')
  t.strictSame(states.slice(0, 2), ['down', 'up'], 'it was cut')
})

t.test('a stream made anew is another epoch: declared, and all of it delivered', options, async (t) => {
  const { nats, bus, errors } = await world(t)
  const gateway = await bus()
  const [alice, bob] = [new Sink(), new Sink()]
  const attachment = await gateway.attach('alice', alice)
  await gateway.attach('bob', bob)
  for (const i of range(3)) await gateway.publish('alice', `m${i}`, bytes(`${i}`))
  await until(() => alice.texts.length === 3, 'all came')
  const before = await gateway.epoch('alice')
  t.equal(attachment.epoch, before)

  // Deleted and made again by others, under a live connection.
  await speak(
    nats,
    range(PARTITIONS)
      .map((p) => `PUB $JS.API.STREAM.DELETE.IN${p} 0\r\n\r\n`)
      .join(''),
  )
  const other = await bus()
  t.not(await other.epoch('alice'), before)
  await other.publish('alice', 'again', bytes('again'))
  await until(() => alice.texts.at(-1) === 'again', 'it came')
  t.strictSame(alice.losses, ['reset after 3'])
  t.equal(await gateway.epoch('alice'), await other.epoch('alice'))
  t.equal(attachment.epoch, await other.epoch('alice'))

  // The server comes back without its store.
  await nats.kill9()
  await rm(nats.storeDir, { recursive: true })
  await nats.restart()
  const { seq } = await other.publish('alice', 'third', bytes('third'), { timeoutMs: 10_000 })
  t.equal(seq, 1)
  await until(() => alice.texts.at(-1) === 'third', 'it came')
  t.equal(alice.losses.length, 2)
  t.ok(bob.losses.every((loss) => loss === 'reset after 0'))
  t.strictSame(errors, [])
})

t.test('streams and buckets with other settings are refused, and the setting is named', options, async (t) => {
  const { bus } = await world(t)
  const both = await Promise.all([bus(), bus()])
  t.equal(both.length, 2, 'two that start at once agree')
  await t.rejects(bus({ inboxMaxMessages: 7 }), { code: 'rejected', message: /IN\d: max_msgs_per_subject is 5001 at the server, wanted 8/ })
  await t.rejects(bus({ maxMessageBytes: 1_000 }), { message: /max_msg_size/ })
  await t.rejects(bus({ duplicateWindowSeconds: 90 }), { message: /duplicate_window/ })
  await t.rejects(bus({ maxMessageBytes: 8_000_000 }), { message: /max_payload/ })
  const [one, two] = both
  await Promise.all([one?.bucket('b', { ttlSeconds: 60 }), two?.bucket('b', { ttlSeconds: 60 })])
  await t.rejects(one?.bucket('b', { ttlSeconds: 61 }) ?? Promise.resolve(), { message: /KV_b: max_age is 60000000000 at the server/ })
})

t.test('forged headers, shared ids and foreign messages', options, async (t) => {
  const { nats, bus, errors } = await world(t)
  const gateway = await bus()
  const sink = new Sink()
  await gateway.attach('alice', sink)
  const header = 'NATS/1.0\r\nNats-Sequence: 99999\r\nNats-Last-Sequence: 99998\r\n\r\n'
  await speak(nats, `HPUB ${inboxSubject('alice')} ${header.length} ${header.length + 6}\r\n${header}forged\r\n`)
  await until(() => sink.texts.length === 1, 'it came')
  t.strictSame(
    [await gateway.publish('alice', 'same', bytes('a')), await gateway.publish('bob', 'same', bytes('b'))].map((ack) => ack.duplicate),
    [false, false],
  )
  t.equal((await gateway.publish('alice', 'same', bytes('a'))).duplicate, true)
  await speak(nats, `PUB u.alice 4\r\npush\r\nPUB ${inboxSubject('alice')} 5\r\nplain\r\n`)
  await until(() => sink.texts.length === 3 && sink.pushes.length === 1, 'all came')
  t.strictSame(sink.texts, ['forged', 'a', 'plain'])
  t.ok(isRising(sink.seqs) && (sink.seqs.at(-1) ?? 0) < 10)
  t.strictSame([...sink.losses, ...errors], [])
  t.equal(gateway.stats().gaps, 0)
})

t.test('sinks and handlers that throw are reported and harm nobody', options, async (t) => {
  const { bus, errors } = await world(t)
  const gateway = await bus()
  const fail = () => {
    throw new Error('on purpose')
  }
  const seen: number[] = []
  const good = new Sink()
  await gateway.attach('bad', { durable: (seq) => seen.push(seq) && fail(), ephemeral: fail, asked: fail, lost: fail })
  await gateway.attach('good', good)
  await gateway.onSignal('news.*', fail)
  await gateway.serve('work', fail)
  const ended = new Sink()
  const attachment = await gateway.attach('ended', {
    ...ended,
    durable: () => attachment.detach(),
    asked: () => undefined,
    ephemeral: fail,
    lost: fail,
  })
  for (const i of range(3)) {
    gateway.push('bad', bytes('x'))
    gateway.signal('news.today', bytes('x'))
    for (const user of ['bad', 'good', 'ended']) await gateway.publish(user, `m${i}`, bytes(`${i}`))
  }
  t.equal(await gateway.ask('bad', bytes('?'), { timeoutMs: 100 }), 'unknown')
  t.equal(await codeOf(gateway.request('work', bytes('?'), { timeoutMs: 100 })), 'timeout')
  await until(() => good.texts.length === 3 && seen.length === 3, 'all came')
  t.strictSame(await gateway.ask('good', bytes('!'), { expect: 1 }), [Buffer.from('!')])
  t.equal(errors.length, 11)
  t.ok(errors.every((error) => error.endsWith('on purpose')))
  t.equal(await gateway.ask('ended', bytes('?')), 'offline')
})

t.test('a follower survives its server, and compare-and-set is exact', options, async (t) => {
  const { nats, bus, errors } = await world(t)
  const [one, two] = [await bus(), await bus()]
  const [here, there] = [await one.bucket('things'), await two.bucket('things')]
  await here.put('a.b', bytes('1'))
  const seen = new Map<string, string | undefined>()
  const follower = await there.follow((key, value) => seen.set(key, value && text(value)))
  t.strictSame([...seen], [['a.b', '1']])
  await nats.kill9()
  const waiting = here.create('c', bytes('2'))
  await nats.restart()
  t.ok(await waiting)
  t.equal(await there.create('c', bytes('3')), undefined)
  await there.delete('a.b')
  await follower.caughtUp()
  t.strictSame(
    [...seen],
    [
      ['a.b', undefined],
      ['c', '2'],
    ],
  )
  follower.stop()

  const leases = await one.bucket('leases', { ttlSeconds: 1 })
  const held = new Map<string, string | undefined>()
  const watching = await (await two.bucket('leases', { ttlSeconds: 1 })).follow((key, value) => held.set(key, value && text(value)))
  t.ok(await leases.create('lease', bytes('x')))
  await until(() => held.get('lease') === 'x', 'the lease is seen')
  await until(() => held.has('lease') && held.get('lease') === undefined, 'its expiry is told')
  t.equal(await leases.get('lease'), undefined)
  t.ok(await leases.create('lease', bytes('y')), 'and it can be had again')
  await watching.caughtUp()
  t.equal(held.get('lease'), 'y')
  watching.stop()
  t.strictSame(errors, [])
})
