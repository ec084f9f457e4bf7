// What every Bus promises, as tests: any implementation runs them. Users, addresses and buckets are named anew for each
// case, so that one store can serve them all.

import t, { type Test } from 'tap'
import { type Bus, BusError, type BusErrorCode, type PublishAck, type Unsubscribe } from '../../bus/bus.js'
import { RecordingSink } from '../support/recording-sink.js'

/** A store, and as many buses on it as a test wants. */
export interface BusEnvironment {
  /** Opens another Bus on the same store. */
  bus(): Promise<Bus>
  /** Closes what is still open, and the store. */
  stop(): Promise<void>
  /** What the buses were opened with. A small `inboxMaxMessages` (10) makes the suite short. */
  readonly options: { readonly inboxMaxMessages: number; readonly maxMessageBytes: number; readonly maxInFlight: number }
}

const run = Math.random().toString(36).slice(2, 8)
let names = 0

/** Nobody else has this name; fit for users, addresses and buckets. */
function fresh(name: string): string {
  return `${name}-${run}-${names++}`
}

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

function text(data: Uint8Array): string {
  return new TextDecoder().decode(data)
}

async function codeOf(call: Promise<unknown>): Promise<BusErrorCode | 'none' | 'other'> {
  try {
    await call
    return 'none'
  } catch (error) {
    return error instanceof BusError ? error.code : 'other'
  }
}

/** Runs `step` until it says true: for what another process notices in its own time. */
async function eventually(step: () => Promise<boolean>, what: string): Promise<void> {
  const deadline = Date.now() + 10_000
  while (!(await step())) {
    if (Date.now() > deadline) throw new Error(`waited in vain until ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

/** Calls `make` once; the cases share what it made. */
export function busContract(name: string, make: () => Promise<BusEnvironment>): void {
  t.test(`bus contract: ${name}`, async (t) => {
    const env = await make()
    t.teardown(() => env.stop())
    const one = await env.bus()
    const two = await env.bus()
    const shared = { env, one, two }
    await inboxCases(t, shared)
    await readingCases(t, shared)
    await liveCases(t, shared)
    await askCases(t, shared)
    await requestCases(t, shared)
    await signalCases(t, shared)
    await userCases(t, shared)
    await bucketCases(t, shared)
    await lifeCases(t, shared)
  })
}

interface Shared {
  readonly env: BusEnvironment
  readonly one: Bus
  readonly two: Bus
}

async function publishSome(bus: Bus, user: string, count: number, from = 0): Promise<number[]> {
  const seqs: number[] = []
  for (let i = from; i < from + count; i++) seqs.push((await bus.publish(user, `m${i}`, bytes(`text ${i}`))).seq)
  return seqs
}

async function inboxCases(t: Test, { env, one, two }: Shared): Promise<void> {
  const { inboxMaxMessages, maxMessageBytes, maxInFlight } = env.options

  await t.test('sequences of a user rise, and each message reaches its user only', async (t) => {
    const users = [fresh('alice'), fresh('bob'), fresh('carol')]
    const sinks = users.map(() => new RecordingSink())
    const attachments = await Promise.all(users.map((user, i) => one.attach(user, sinks[i] ?? new RecordingSink())))
    const acked = users.map((): number[] => [])
    for (let i = 0; i < 30; i++) {
      const { seq, duplicate } = await two.publish(users[i % 3] ?? '', `chain${i}`, bytes(`${i}`))
      t.equal(duplicate, false)
      acked[i % 3]?.push(seq)
    }
    for (const [i, sink] of sinks.entries()) {
      await sink.until(() => sink.messages.length === 10)
      t.strictSame(sink.seqs, acked[i], 'delivered with the sequences that were acknowledged')
      t.strictSame(
        sink.seqs,
        [...sink.seqs].sort((a, b) => a - b),
      )
      t.strictSame(
        sink.messages.map(({ data }) => Number(text(data)) % 3),
        Array(10).fill(i),
      )
      t.strictSame(sink.losses, [])
    }
    for (const attachment of attachments) attachment.detach()
  })

  await t.test('a repeated id is stored and delivered once, and answered like the first', async (t) => {
    const user = fresh('alice')
    const sink = new RecordingSink()
    const attachment = await one.attach(user, sink)
    const first = await one.publish(user, 'same', bytes('first'))
    const other = await two.publish(user, 'other', bytes('other'))
    t.strictSame(await one.publish(user, 'same', bytes('first')), { seq: first.seq, duplicate: true })
    t.strictSame(await two.publish(user, 'same', bytes('again')), { seq: first.seq, duplicate: true })
    const fence = await one.publish(user, 'fence', bytes('fence'))
    await sink.has(fence.seq)
    t.strictSame(sink.seqs, [first.seq, other.seq, fence.seq])
    const page = await two.read(user, 0, 10)
    t.strictSame(
      page.messages.map(({ data }) => text(data)),
      ['first', 'other', 'fence'],
    )
    attachment.detach()
  })

  await t.test('of repeats at the same time one is the original', async (t) => {
    const user = fresh('alice')
    const acks = await Promise.all(Array.from({ length: 20 }, (_, i) => (i % 2 ? one : two).publish(user, 'same', bytes('x'))))
    t.equal(acks.filter(({ duplicate }) => !duplicate).length, 1)
    t.equal(new Set(acks.map(({ seq }) => seq)).size, 1)
    t.equal((await one.read(user, 0, 10)).messages.length, 1)
  })

  await t.test('the same id for another user is another message', async (t) => {
    const alice = fresh('alice')
    const bob = fresh('bob')
    t.equal((await one.publish(alice, 'same', bytes('a'))).duplicate, false)
    t.equal((await one.publish(bob, 'same', bytes('b'))).duplicate, false)
    t.equal((await one.read(alice, 0, 10)).messages.length, 1)
    t.equal((await one.read(bob, 0, 10)).messages.length, 1)
  })

  await t.test('ids may hold any characters', async (t) => {
    const user = fresh('alice')
    const ids = ['a b', 'a\r\nb', 'a.b', '*', 'ü', '%', '%25', 'a:b', ' a b', 'x'.repeat(200)]
    for (const id of ids) t.equal((await one.publish(user, id, bytes(id))).duplicate, false, JSON.stringify(id))
    for (const id of ids) t.equal((await one.publish(user, id, bytes(id))).duplicate, true, JSON.stringify(id))
  })

  await t.test('publishMany answers for each user, in order', async (t) => {
    const users = Array.from({ length: 100 }, (_, i) => (i === 50 ? 'bad\nuser' : fresh('many')))
    const results = await one.publishMany(users, 'to-all', bytes('hello'))
    t.equal(results.length, 100)
    for (const [i, result] of results.entries()) {
      if (i === 50) t.ok(result.status === 'rejected' && result.reason instanceof BusError && result.reason.code === 'bad_user')
      else t.ok(result.status === 'fulfilled' && !result.value.duplicate && result.value.seq > 0)
    }
    const again = await two.publishMany(users, 'to-all', bytes('hello'))
    for (const [i, result] of again.entries()) {
      const before = results[i]
      if (i === 50) continue
      t.ok(
        result.status === 'fulfilled' && before?.status === 'fulfilled' && result.value.duplicate && result.value.seq === before.value.seq,
      )
    }
    t.equal(text((await two.read(users[99] ?? '', 0, 1)).messages[0]?.data ?? bytes('')), 'hello')
  })

  await t.test('publishMany goes beyond the limit of calls in flight, publish does not', async (t) => {
    const users = Array.from({ length: maxInFlight + 50 }, () => fresh('limit'))
    const results = await one.publishMany(users, 'wide', bytes('x'))
    t.equal(results.filter(({ status }) => status === 'fulfilled').length, users.length)
    const codes = await Promise.all(users.map((user) => codeOf(one.publish(user, 'narrow', bytes('x')))))
    t.strictSame([...new Set(codes)].sort(), ['none', 'overloaded'])
    const refused = users.findIndex((_, i) => codes[i] === 'overloaded')
    t.equal((await one.read(users[refused] ?? '', 0, 10)).messages.length, 1, 'nothing was stored of what was refused')
  })

  await t.test('publishMany waits for a place while other calls are in flight', async (t) => {
    const address = `test.${fresh('held')}`
    const release: (() => void)[] = []
    const end = await two.serve(address, (data) => new Promise((resolve) => release.push(() => resolve(data))))
    const held = Array.from({ length: maxInFlight }, () => one.request(address, bytes('x'), { timeoutMs: 8000 }))
    const users = Array.from({ length: 20 }, () => fresh('waits'))
    const publishing = Promise.all([one.publishMany(users, 'a', bytes('x')), one.publishMany(users, 'b', bytes('x'))])
    await eventually(async () => release.length === maxInFlight, 'all requests arrived')
    for (const answer of release) answer()
    await Promise.all(held)
    for (const results of await publishing) t.ok(results.length === 20 && results.every(({ status }) => status === 'fulfilled'))
    end()
  })

  await t.test('a message may be as large as the limit and no larger', async (t) => {
    const user = fresh('alice')
    const sink = new RecordingSink()
    const attachment = await one.attach(user, sink)
    for (const size of [1, maxMessageBytes - 1, maxMessageBytes]) {
      const data = new Uint8Array(size).fill(size % 251)
      const { seq } = await two.publish(user, `size${size}`, data)
      await sink.has(seq)
      t.ok(Buffer.compare(sink.messages.at(-1)?.data ?? bytes(''), data) === 0)
    }
    t.equal(await codeOf(two.publish(user, 'over', new Uint8Array(maxMessageBytes + 1))), 'too_large')
    const [result] = await two.publishMany([user], 'over', new Uint8Array(maxMessageBytes + 1))
    t.ok(result?.status === 'rejected' && result.reason instanceof BusError && result.reason.code === 'too_large')
    t.equal((await one.read(user, 0, 10)).messages.length, 3)
    attachment.detach()
  })

  await t.test('any bytes arrive as they were, and later changes to the buffer do not matter', async (t) => {
    const user = fresh('alice')
    const sink = new RecordingSink()
    const attachment = await two.attach(user, sink)
    const all = Uint8Array.from({ length: 256 }, (_, i) => i)
    const data = Uint8Array.from([...all, 13, 10, 13, 10, 0])
    const expected = data.slice()
    const stored = one.publish(user, 'bytes', data)
    one.push(user, data)
    data.fill(7)
    const { seq } = await stored
    await sink.until(() => sink.messages.length === 1 && sink.pushes.length === 1)
    t.strictSame([...(sink.messages[0]?.data ?? [])], [...expected])
    t.strictSame([...(sink.pushes[0] ?? [])], [...expected])
    const page = await one.read(user, seq - 1, 1)
    t.strictSame([...(page.messages[0]?.data ?? [])], [...expected])
    attachment.detach()
  })

  await t.test('as many messages as the limit may be missed, one more is a truncation', async (t) => {
    const user = fresh('alice')
    const [position = 0] = await publishSome(one, user, 1)
    const missed = await publishSome(one, user, inboxMaxMessages, 1)
    const whole = await two.read(user, position, inboxMaxMessages + 5)
    t.equal(whole.truncated, false)
    t.strictSame(
      whole.messages.map(({ seq }) => seq),
      missed,
    )
    const next = await publishSome(one, user, 1, inboxMaxMessages + 1)
    const cut = await two.read(user, position, inboxMaxMessages + 5)
    t.equal(cut.truncated, true)
    t.equal(cut.messages.at(-1)?.seq, next[0])
    t.equal((await two.read(user, missed[0] ?? 0, inboxMaxMessages + 5)).truncated, false, 'who saw one more has missed nothing')
    const start = await two.read(user, 0, inboxMaxMessages + 5)
    t.equal(start.truncated, false, 'from the start nothing counts as missed')
    t.ok(start.messages.length >= inboxMaxMessages && start.messages.length <= inboxMaxMessages + 1)
    t.equal((await two.read(user, next[0] ?? 0, 10)).truncated, false)
  })

  await t.test('an inbox is whole until something has been evicted', async (t) => {
    const user = fresh('alice')
    t.equal(await two.isWhole(user), true, 'nothing was ever there')
    await publishSome(one, user, inboxMaxMessages)
    t.equal(await two.isWhole(user), true, 'exactly as many as the limit')
    await publishSome(one, user, 2, inboxMaxMessages)
    t.equal(await two.isWhole(user), false)
  })
}

async function readingCases(t: Test, { env, one, two }: Shared): Promise<void> {
  const { inboxMaxMessages } = env.options

  await t.test('an inbox that never had a message', async (t) => {
    const user = fresh('nobody')
    t.strictSame(await one.read(user, 0, 10), { messages: [], truncated: false, more: false })
    t.strictSame((await one.readBefore(user, Number.POSITIVE_INFINITY, 10)).messages, [])
  })

  await t.test('reading forwards: none, one, all, and the limit', async (t) => {
    const user = fresh('alice')
    const seqs = await publishSome(one, user, 6)
    for (let after = 0; after <= 6; after++) {
      for (const limit of [1, 5, 6, 7]) {
        const page = await two.read(user, after === 0 ? 0 : (seqs[after - 1] ?? 0), limit)
        const expected = seqs.slice(after, after + limit)
        t.strictSame(
          page.messages.map(({ seq }) => seq),
          expected,
          `after ${after}, limit ${limit}`,
        )
        t.equal(page.more, after + limit < 6, `more after ${after}, limit ${limit}`)
        t.equal(page.truncated, false)
        for (const { seq, data } of page.messages) t.equal(text(data), `text ${seqs.indexOf(seq)}`)
      }
    }
  })

  await t.test('reading backwards, oldest first', async (t) => {
    const user = fresh('alice')
    const seqs = await publishSome(one, user, 6)
    for (const [index, before] of [...seqs, Number.POSITIVE_INFINITY].entries()) {
      for (const limit of [1, 5, 6, 7]) {
        const page = await two.readBefore(user, before, limit)
        t.strictSame(
          page.messages.map(({ seq }) => seq),
          seqs.slice(Math.max(0, index - limit), index),
          `before ${index}, limit ${limit}`,
        )
        t.equal(page.more, index - limit > 0, `more before ${index}, limit ${limit}`)
        for (const { seq, data } of page.messages) t.equal(text(data), `text ${seqs.indexOf(seq)}`)
      }
    }
  })

  await t.test('reading backwards among others, with sequences of theirs in between', async (t) => {
    const alice = fresh('alice')
    const bob = fresh('bob')
    const seqs: number[] = []
    for (let i = 0; i < 5; i++) {
      await publishSome(one, bob, 3, i * 3)
      seqs.push(...(await publishSome(one, alice, 1, i)))
    }
    await publishSome(one, bob, 3, 100)
    t.strictSame(
      (await two.readBefore(alice, Number.POSITIVE_INFINITY, 2)).messages.map(({ seq }) => seq),
      seqs.slice(3),
    )
    t.strictSame(
      (await two.readBefore(alice, seqs[3] ?? 0, 2)).messages.map(({ seq }) => seq),
      seqs.slice(1, 3),
    )
  })

  await t.test('what was acknowledged is read at once, from any bus', async (t) => {
    const users = Array.from({ length: 50 }, () => fresh('fresh'))
    const seen = await Promise.all(
      users.map(async (user, i) => {
        const { seq } = await (i % 2 ? one : two).publish(user, 'm', bytes('x'))
        const page = await (i % 2 ? two : one).read(user, 0, 10)
        const back = await (i % 2 ? two : one).readBefore(user, Number.POSITIVE_INFINITY, 10)
        return page.messages[0]?.seq === seq && back.messages[0]?.seq === seq
      }),
    )
    t.strictSame(seen, Array(50).fill(true))
  })

  await t.test('reading while somebody publishes has no holes', async (t) => {
    const user = fresh('alice')
    const publishing = Promise.all(Array.from({ length: inboxMaxMessages }, (_, i) => one.publish(user, `m${i}`, bytes(`${i}`))))
    const seen: number[] = []
    while (seen.length < inboxMaxMessages) {
      const page = await two.read(user, seen.at(-1) ?? 0, 3)
      t.equal(page.truncated, false)
      seen.push(...page.messages.map(({ seq }) => seq))
    }
    const acked = (await publishing).map(({ seq }) => seq).sort((a, b) => a - b)
    t.strictSame(seen, acked)
  })

  await t.test('the epoch is the same everywhere and fits into a cursor', async (t) => {
    const user = fresh('alice')
    const epoch = await one.epoch(user)
    t.match(epoch, /^[\w-]{1,16}$/)
    t.equal(await two.epoch(user), epoch)
    const attachment = await two.attach(user, new RecordingSink())
    t.equal(attachment.epoch, epoch)
    attachment.detach()
  })
}

async function liveCases(t: Test, { env, one, two }: Shared): Promise<void> {
  const { inboxMaxMessages } = env.options

  await t.test('an attachment says from where it delivers', async (t) => {
    const user = fresh('alice')
    const before = await one.attach(user, new RecordingSink())
    t.equal(before.from, 0)
    t.equal(before.user, user)
    before.detach()
    const seqs = await publishSome(two, user, 3)
    const sink = new RecordingSink()
    const after = await one.attach(user, sink)
    t.equal(after.from, seqs[2])
    const [next = 0] = await publishSome(two, user, 1, 3)
    await sink.has(next)
    t.strictSame(sink.seqs, [next], 'nothing of before')
    after.detach()
  })

  await t.test('attaching while somebody publishes leaves no hole between reading and live', async (t) => {
    for (let round = 0; round < 20; round++) {
      const user = fresh('alice')
      const sink = new RecordingSink()
      const count = inboxMaxMessages
      const acks: Promise<PublishAck>[] = []
      for (let i = 0; i < round % count; i++) acks.push(two.publish(user, `m${i}`, bytes(`${i}`)))
      const attaching = one.attach(user, sink)
      for (let i = round % count; i < count; i++) acks.push((i % 2 ? one : two).publish(user, `m${i}`, bytes(`${i}`)))
      const attachment = await attaching
      const acked = (await Promise.all(acks)).map(({ seq }) => seq).sort((a, b) => a - b)
      const live = acked.filter((seq) => seq > attachment.from)
      await sink.until(() => sink.messages.length >= live.length)
      t.strictSame(sink.seqs, live, 'live: everything after `from`, in order')
      const read = (await one.read(user, 0, count)).messages.map(({ seq }) => seq)
      t.strictSame(read, acked)
      attachment.detach()
    }
  })

  await t.test('two publishers on two buses: every sink sees one order', async (t) => {
    const user = fresh('alice')
    const here = new RecordingSink()
    const there = new RecordingSink()
    const attachments = [await one.attach(user, here), await two.attach(user, there)]
    const order: number[] = []
    // As many at once as the inbox keeps: of more, a sink that is slower than the publishers is told that they are lost.
    const wave = inboxMaxMessages
    for (let sent = 0; sent < 10 * wave; sent += wave) {
      const names = Array.from({ length: wave }, (_, i) => `m${sent + i}`)
      const acks = await Promise.all(names.map((name, i) => (i % 2 ? one : two).publish(user, name, bytes(name))))
      order.push(...acks.map(({ seq }) => seq).sort((a, b) => a - b))
      for (const sink of [here, there]) await sink.until(() => sink.messages.length >= order.length)
    }
    t.strictSame(here.seqs, order)
    t.strictSame(there.seqs, order)
    t.strictSame(
      here.messages.map(({ data }) => text(data)),
      there.messages.map(({ data }) => text(data)),
    )
    t.strictSame([...here.losses, ...there.losses], [])
    for (const attachment of attachments) attachment.detach()
  })

  await t.test('nothing is delivered inside the call that caused it', async (t) => {
    const user = fresh('alice')
    const sink = new RecordingSink()
    const attachment = await one.attach(user, sink)
    const publishing = one.publish(user, 'm', bytes('x'))
    one.push(user, bytes('y'))
    t.equal(sink.messages.length + sink.pushes.length, 0)
    await publishing
    await sink.until(() => sink.messages.length === 1 && sink.pushes.length === 1)
    attachment.detach()
  })

  await t.test('a sink may publish, push, detach and attach from inside', async (t) => {
    const user = fresh('alice')
    const inner = new RecordingSink()
    const echo: Promise<unknown>[] = []
    let depth = 0
    let deepest = 0
    const attachment = await one.attach(user, {
      durable(seq, data) {
        deepest = Math.max(deepest, ++depth)
        if (text(data) === 'start') echo.push(one.publish(user, 'second', bytes('second')))
        else {
          attachment.detach()
          echo.push(one.attach(user, inner).then((next) => echo.push(one.publish(user, 'third', bytes(`third after ${next.from - seq}`)))))
        }
        depth--
      },
      ephemeral() {},
      asked: () => undefined,
      lost() {},
    })
    await one.publish(user, 'first', bytes('start'))
    await inner.until(() => inner.messages.length === 1)
    t.equal(text(inner.messages[0]?.data ?? bytes('')), 'third after 0')
    t.equal(deepest, 1)
    while (echo.length > 0) await echo.shift()
  })

  await t.test('one attachment a user and bus; after detaching another may follow', async (t) => {
    const user = fresh('alice')
    const first = new RecordingSink()
    const attachment = await one.attach(user, first)
    await t.rejects(one.attach(user, new RecordingSink()))
    const [before = 0] = await publishSome(two, user, 1)
    await first.has(before)
    attachment.detach()
    attachment.detach()
    const second = new RecordingSink()
    const again = await one.attach(user, second)
    attachment.detach()
    const [after = 0] = await publishSome(two, user, 1, 1)
    await second.has(after)
    t.strictSame(first.seqs, [before], 'the old sink hears nothing more')
    t.strictSame(second.seqs, [after], 'a late detach of the old attachment does not harm the new one')
    again.detach()
  })

  await t.test('attached on two buses, either one leaves: the other goes on', async (t) => {
    for (const leaver of [0, 1]) {
      const user = fresh('alice')
      const sinks = [new RecordingSink(), new RecordingSink()] as const
      const attachments = [await one.attach(user, sinks[0]), await two.attach(user, sinks[1])]
      const leaving = leaver === 0 ? sinks[0] : sinks[1]
      const staying = leaver === 0 ? sinks[1] : sinks[0]
      const [first = 0] = await publishSome(one, user, 1)
      await Promise.all([leaving.has(first), staying.has(first)])
      attachments[leaver]?.detach()
      const [second = 0] = await publishSome(one, user, 1, 1)
      await staying.has(second)
      t.strictSame(leaving.seqs, [first])
      t.strictSame(staying.seqs, [first, second])
      for (const attachment of attachments) attachment.detach()
    }
  })

  await t.test('a push reaches whoever is attached and is not stored', async (t) => {
    const user = fresh('alice')
    t.equal(one.push(fresh('nobody'), bytes('into the void')), true)
    const here = new RecordingSink()
    const there = new RecordingSink()
    const attachments = [await one.attach(user, here), await two.attach(user, there)]
    t.equal(one.push(user, bytes('hello')), true)
    await Promise.all([here.until(() => here.pushes.length === 1), there.until(() => there.pushes.length === 1)])
    t.equal(text(here.pushes[0] ?? bytes('')), 'hello')
    t.equal(text(there.pushes[0] ?? bytes('')), 'hello')
    t.strictSame((await one.read(user, 0, 10)).messages, [])
    t.strictSame(here.messages, [])
    for (const attachment of attachments) attachment.detach()
  })

  await t.test('a push to many reaches each who is attached, after what was pushed before, and is not stored', async (t) => {
    for (const count of [0, 1, 15, 16, 17, 3000]) {
      // Long ones, so that the list of them takes more than one message.
      const users = Array.from({ length: count }, (_, i) => fresh(`crowd ${'x'.repeat(50)} ${i}`))
      const outsider = fresh('outsider')
      const attached = [...users.filter((_, i) => i % 100 === 0), ...users.slice(-1), outsider]
      const sinks = new Map([...new Set(attached)].map((user) => [user, [new RecordingSink(), new RecordingSink()]]))
      const attachments = await Promise.all(
        [...sinks].flatMap(([user, [here, there]]) => [
          one.attach(user, here ?? new RecordingSink()),
          two.attach(user, there ?? new RecordingSink()),
        ]),
      )
      const first = users[0] ?? outsider
      one.push(first, bytes('before'))
      t.equal(one.pushMany(users, bytes('to many')), count)
      one.push(first, bytes('after'))
      for (const [user, both] of sinks) {
        const expected = ['before', 'to many', 'after'].filter((one) => (one === 'to many' ? user !== outsider : user === first))
        for (const sink of both) {
          if (expected.length > 0) await sink.until(() => sink.pushes.length >= expected.length)
          t.strictSame(sink.pushes.map(text), expected, `${count} users, ${user}`)
          t.strictSame(sink.messages, [])
        }
      }
      t.strictSame((await one.read(first, 0, 10)).messages, [])
      for (const attachment of attachments) attachment.detach()
    }
    t.throws(() => one.pushMany([''], bytes('x')), { code: 'bad_user' })
    t.throws(() => one.pushMany(['alice'], new Uint8Array(16 * 1024 * 1024)), { code: 'too_large' })
  })

  await t.test('a sink that throws harms neither others nor its own later messages', async (t) => {
    const bad = fresh('bad')
    const good = fresh('good')
    const seen: number[] = []
    const sink = new RecordingSink()
    const badAttachment = await one.attach(bad, {
      durable(seq) {
        seen.push(seq)
        throw new Error('thrown by a sink, on purpose')
      },
      ephemeral() {
        throw new Error('thrown by a sink, on purpose')
      },
      asked() {
        throw new Error('thrown by a sink, on purpose')
      },
      lost() {},
    })
    const goodAttachment = await one.attach(good, sink)
    const other = await two.attach(bad, new RecordingSink(bytes('here')))
    const acked: number[] = []
    for (let i = 0; i < 5; i++) {
      acked.push((await two.publish(bad, `m${i}`, bytes('x'))).seq)
      two.push(bad, bytes('y'))
      await two.publish(good, `m${i}`, bytes('z'))
    }
    t.strictSame(((await two.ask(bad, bytes('?'))) as Uint8Array[]).map(text), ['here'])
    await sink.until(() => sink.messages.length === 5)
    await eventually(async () => seen.length === 5, 'the throwing sink saw all')
    t.strictSame(seen, acked)
    for (const attachment of [badAttachment, goodAttachment, other]) attachment.detach()
  })

  await t.test('ten thousand attach and detach and leave nothing behind', async (t) => {
    const before = one.stats().attached
    const users = Array.from({ length: 200 }, () => fresh('crowd'))
    const sink = new RecordingSink(bytes('here'))
    for (let round = 0; round < 50; round++) {
      const attachments = await Promise.all(users.map((user) => one.attach(user, sink)))
      t.equal(one.stats().attached, before + users.length)
      for (const attachment of attachments) attachment.detach()
    }
    t.equal(one.stats().attached, before)
    await eventually(async () => (await two.ask(users[7] ?? '', bytes('?'))) === 'offline', 'nobody is attached')
    await Promise.all(users.map((user) => two.publish(user, 'm', bytes('x'))))
    t.strictSame(sink.messages, [])
  })
}

async function askCases(t: Test, { one, two }: Shared): Promise<void> {
  await t.test('nobody attached: offline', async (t) => {
    t.equal(await one.ask(fresh('nobody'), bytes('?')), 'offline')
  })

  await t.test('all processes attached answer', async (t) => {
    const user = fresh('alice')
    const here = await one.attach(user, new RecordingSink(bytes('one')))
    t.strictSame(((await two.ask(user, bytes('?'))) as Uint8Array[]).map(text), ['one'])
    t.strictSame(((await one.ask(user, bytes('?'))) as Uint8Array[]).map(text), ['one'], 'asking is answered on the same bus too')
    const there = await two.attach(user, new RecordingSink(bytes('two')))
    t.strictSame(((await one.ask(user, bytes('?'), { collectMs: 200 })) as Uint8Array[]).map(text).sort(), ['one', 'two'])
    t.equal(((await one.ask(user, bytes('?'), { expect: 1 })) as Uint8Array[]).length, 1)
    t.strictSame(((await one.ask(user, bytes('?'), { expect: 2, timeoutMs: 5000, collectMs: 5000 })) as Uint8Array[]).map(text).sort(), [
      'one',
      'two',
    ])
    here.detach()
    there.detach()
    await eventually(async () => (await one.ask(user, bytes('?'))) === 'offline', 'all have detached')
  })

  await t.test('somebody attached who does not answer: unknown; one of two answers: that one', async (t) => {
    const user = fresh('alice')
    const silent = await one.attach(user, new RecordingSink())
    t.equal(await two.ask(user, bytes('?'), { timeoutMs: 150 }), 'unknown')
    const answering = await two.attach(user, new RecordingSink(bytes('two')))
    t.strictSame(((await two.ask(user, bytes('?'))) as Uint8Array[]).map(text), ['two'])
    silent.detach()
    answering.detach()
  })

  await t.test('what is asked arrives', async (t) => {
    const user = fresh('alice')
    const asked: string[] = []
    const attachment = await one.attach(user, {
      durable() {},
      ephemeral() {},
      asked(data) {
        asked.push(text(data))
        return bytes(`re: ${text(data)}`)
      },
      lost() {},
    })
    t.strictSame(((await two.ask(user, bytes('who?'), { expect: 1 })) as Uint8Array[]).map(text), ['re: who?'])
    t.strictSame(asked, ['who?'])
    attachment.detach()
  })
}

async function requestCases(t: Test, { env, one, two }: Shared): Promise<void> {
  await t.test('a request is answered, whatever the bytes', async (t) => {
    const address = `test.${fresh('echo')}`
    const end = await one.serve(address, (data) => data)
    for (const size of [0, 1, 1000, 100_000]) {
      const data = Uint8Array.from({ length: size }, (_, i) => i % 256)
      for (const bus of [one, two]) t.ok(Buffer.compare(await bus.request(address, data), data) === 0, `${size} bytes`)
    }
    const buffer = bytes('before')
    const asking = two.request(address, buffer)
    buffer.fill(0)
    t.equal(text(await asking), 'before')
    end()
  })

  await t.test('answers find their request, however many there are', async (t) => {
    const address = `test.${fresh('order')}`
    const end = await one.serve(address, async (data) => {
      if (Number(text(data)) % 3 === 0) await new Promise((resolve) => setImmediate(resolve))
      return bytes(`re: ${text(data)}`)
    })
    const answers = await Promise.all(Array.from({ length: 100 }, (_, i) => two.request(address, bytes(`${i}`))))
    t.strictSame(
      answers.map(text),
      Array.from({ length: 100 }, (_, i) => `re: ${i}`),
    )
    end()
  })

  await t.test('requests of one caller are handled in the order they were sent', async (t) => {
    const address = `test.${fresh('fifo')}`
    const handled: number[] = []
    const end = await one.serve(address, (data) => {
      handled.push(Number(text(data)))
      return data
    })
    await Promise.all(Array.from({ length: 50 }, (_, i) => two.request(address, bytes(`${i}`))))
    t.strictSame(
      handled,
      Array.from({ length: 50 }, (_, i) => i),
    )
    end()
  })

  await t.test('nobody serves: no responders, before and after', async (t) => {
    const address = `test.${fresh('nobody')}`
    t.equal(await codeOf(one.request(address, bytes('?'))), 'no_responders')
    const end = await two.serve(address, (data) => data)
    t.equal(await codeOf(one.request(address, bytes('?'))), 'none')
    end()
    end()
    await eventually(async () => (await codeOf(one.request(address, bytes('?'), { timeoutMs: 200 }))) === 'no_responders', 'nobody serves')
  })

  await t.test('a queue shares its requests', async (t) => {
    const address = `test.${fresh('queue')}`
    const handled = [0, 0]
    const ends = [
      await one.serve(address, (data) => count(0, data), 'workers'),
      await two.serve(address, (data) => count(1, data), 'workers'),
    ]
    function count(which: 0 | 1, data: Uint8Array): Uint8Array {
      handled[which] = (handled[which] ?? 0) + 1
      return data
    }
    await Promise.all(Array.from({ length: 100 }, () => one.request(address, bytes('work'))))
    t.equal((handled[0] ?? 0) + (handled[1] ?? 0), 100, 'each was handled once')
    t.ok((handled[0] ?? 0) > 0 && (handled[1] ?? 0) > 0, 'both got some')
    ends[0]?.()
    await eventually(async () => {
      const before = handled[0]
      await Promise.all(Array.from({ length: 20 }, () => one.request(address, bytes('work'))))
      return handled[0] === before
    }, 'only the other one works')
    ends[1]?.()
  })

  await t.test('a handler that throws or rejects gives no answer, and goes on serving', async (t) => {
    const address = `test.${fresh('throws')}`
    const end = await one.serve(address, (data) => {
      if (text(data) === 'throw') throw new Error('thrown by a handler, on purpose')
      if (text(data) === 'reject') return Promise.reject(new Error('rejected by a handler, on purpose'))
      return data
    })
    t.equal(await codeOf(two.request(address, bytes('throw'), { timeoutMs: 100 })), 'timeout')
    t.equal(await codeOf(two.request(address, bytes('reject'), { timeoutMs: 100 })), 'timeout')
    t.equal(text(await two.request(address, bytes('fine'))), 'fine')
    end()
  })

  await t.test('a worker that dies with a request in flight: timeout, then no responders', async (t) => {
    const address = `test.${fresh('dies')}`
    const worker = await env.bus()
    let reached: Unsubscribe = () => {}
    const arrived = new Promise<void>((resolve) => {
      reached = resolve
    })
    await worker.serve(address, () => {
      reached()
      return new Promise<Uint8Array>(() => {})
    })
    const asking = codeOf(one.request(address, bytes('?'), { timeoutMs: 400 }))
    await arrived
    await worker.close(0)
    t.equal(await asking, 'timeout')
    await eventually(async () => (await codeOf(one.request(address, bytes('?'), { timeoutMs: 200 }))) === 'no_responders', 'it is gone')
  })

  await t.test('what is no address is refused', async (t) => {
    for (const address of ['', '.', 'a.', '.a', 'a..b', 'a b', 'a.*', 'a.>', 'a\r\nb', 'ü', '$SYS']) {
      t.not(await codeOf(one.request(address, bytes('?'), { timeoutMs: 200 })), 'none', JSON.stringify(address))
      await t.rejects(
        one.serve(address, (data) => data),
        JSON.stringify(address),
      )
    }
  })
}

async function signalCases(t: Test, { one, two }: Shared): Promise<void> {
  await t.test('a signal reaches all who listen on its topic, or on a pattern of it', async (t) => {
    const base = fresh('topic')
    const heard: string[] = []
    const note = (who: string) => (data: Uint8Array, topic: string) => heard.push(`${who} ${topic.slice(base.length)} ${text(data)}`)
    const ends = [
      await one.onSignal(`${base}.a`, note('exact-one')),
      await two.onSignal(`${base}.a`, note('exact-two')),
      await two.onSignal(`${base}.*`, note('star')),
      await two.onSignal(`${base}.a`, () => {
        throw new Error('thrown by a listener, on purpose')
      }),
      await one.onSignal(`${base}.end`, note('end-one')),
      await two.onSignal(`${base}.end`, note('end-two')),
    ]
    one.signal(`${base}.a`, bytes('1'))
    one.signal(`${base}.b`, bytes('2'))
    one.signal(`${base}.a.b`, bytes('3'))
    one.signal(base, bytes('4'))
    one.signal(`${base}.end`, bytes('5'))
    await eventually(async () => heard.filter((line) => line.endsWith('5')).length === 3, 'the last signal was heard')
    t.strictSame(heard.sort(), [
      'end-one .end 5',
      'end-two .end 5',
      'exact-one .a 1',
      'exact-two .a 1',
      'star .a 1',
      'star .b 2',
      'star .end 5',
    ])
    heard.length = 0
    ends[2]?.()
    ends[2]?.()
    one.signal(`${base}.a`, bytes('6'))
    one.signal(`${base}.end`, bytes('7'))
    await eventually(async () => heard.filter((line) => line.endsWith('7')).length === 2, 'the last signal was heard')
    t.notOk(
      heard.some((line) => line.startsWith('star')),
      'who has stopped listening hears nothing',
    )
    for (const end of ends) end()
  })
}

const ODD_USERS = ['*', '>', 'a.b', 'a..b', '.', 'a b', ' ', 'bob@example.com', '用户1', '😀', '%', 'a%2Eb', '%2E', '$SYS', 'a/b?c#d', '"']
const BAD_USERS = ['', 'a\tb', 'a\r\nb', '\u0000', 'a\u007fb', 'a\u0085b', '\ud800', 'x'.repeat(257), 'ü'.repeat(129)]

async function userCases(t: Test, { one, two }: Shared): Promise<void> {
  await t.test('odd names are users like any other', async (t) => {
    const users = [...ODD_USERS.map((odd) => `${odd}${fresh('')}`), ...ODD_USERS, 'x'.repeat(256), 'ü'.repeat(128)]
    const mark = fresh('odd')
    for (const user of users) {
      const sink = new RecordingSink(bytes(user))
      const attachment = await one.attach(user, sink)
      t.equal(attachment.user, user)
      const { seq } = await two.publish(user, mark, bytes(user))
      await sink.has(seq)
      t.strictSame(sink.seqs, [seq], JSON.stringify(user))
      t.equal(text((await two.read(user, seq - 1, 1)).messages[0]?.data ?? bytes('')), user)
      t.strictSame(((await two.ask(user, bytes('?'), { expect: 1 })) as Uint8Array[]).map(text), [user])
      attachment.detach()
    }
  })

  await t.test('what is no user id is refused everywhere', async (t) => {
    for (const user of BAD_USERS) {
      const name = JSON.stringify(user.slice(0, 20))
      t.equal(await codeOf(one.publish(user, 'm', bytes('x'))), 'bad_user', `publish to ${name}`)
      t.equal(await codeOf(one.attach(user, new RecordingSink())), 'bad_user', `attach to ${name}`)
      t.equal(await codeOf(one.read(user, 0, 1)), 'bad_user', `read ${name}`)
      t.equal(await codeOf(one.readBefore(user, 1, 1)), 'bad_user', `readBefore ${name}`)
      t.equal(await codeOf(one.epoch(user)), 'bad_user', `epoch of ${name}`)
      t.equal(await codeOf(one.ask(user, bytes('?'))), 'bad_user', `ask ${name}`)
      let sent = false
      try {
        sent = one.push(user, bytes('x'))
      } catch (error) {
        t.ok(error instanceof BusError && error.code === 'bad_user')
      }
      t.equal(sent, false, `push to ${name}`)
    }
    t.equal(one.state, 'up', 'and the bus is none the worse')
    t.equal((await one.publish(fresh('alice'), 'm', bytes('x'))).duplicate, false)
  })
}

async function bucketCases(t: Test, { one, two }: Shared): Promise<void> {
  await t.test('a bucket: write, read, compare and set, delete', async (t) => {
    const name = fresh('bucket')
    const here = await one.bucket(name)
    const there = await two.bucket(name)
    t.equal(await here.get('key'), undefined)
    const created = await here.create('key', bytes('1'))
    t.ok(created !== undefined && created > 0)
    t.equal(await there.create('key', bytes('2')), undefined, 'it exists')
    const entry = await there.get('key')
    t.equal(text(entry?.value ?? bytes('')), '1')
    t.equal(entry?.revision, created)
    const updated = await there.update('key', bytes('3'), created ?? 0)
    t.ok(updated !== undefined && updated > (created ?? 0))
    t.equal(await here.update('key', bytes('4'), created ?? 0), undefined, 'somebody was faster')
    t.equal(text((await here.get('key'))?.value ?? bytes('')), '3')
    const put = await here.put('key', bytes('5'))
    t.ok(put > (updated ?? 0))
    t.equal((await there.get('key'))?.revision, put)
    await there.delete('key')
    t.equal(await here.get('key'), undefined)
    t.equal(await here.update('key', bytes('6'), put), undefined)
    const again = await here.create('key', bytes('7'))
    t.ok(again !== undefined && again > put, 'revisions rise over a deletion')
    await there.delete('never there')
    const value = bytes('own')
    const writing = here.put('copied', value)
    value.fill(0)
    await writing
    t.equal(text((await there.get('copied'))?.value ?? bytes('')), 'own')
  })

  await t.test('of many who create one key one wins', async (t) => {
    const name = fresh('bucket')
    const buckets = [await one.bucket(name), await two.bucket(name)]
    const results = await Promise.all(Array.from({ length: 20 }, (_, i) => buckets[i % 2]?.create('key', bytes(`${i}`))))
    const winners = results.flatMap((revision, i) => (revision === undefined ? [] : [i]))
    t.equal(winners.length, 1)
    for (const bucket of buckets) t.equal(text((await bucket.get('key'))?.value ?? bytes('')), `${winners[0]}`)
  })

  await t.test('who loses and then reads sees what won', async (t) => {
    const name = fresh('bucket')
    const here = await one.bucket(name)
    const there = await two.bucket(name)
    for (let i = 0; i < 20; i++) {
      const winning = here.create(`k${i}`, bytes('won'))
      const losing = there.create(`k${i}`, bytes('won'))
      const read = losing.then(async (revision) => (revision === undefined ? there.get(`k${i}`) : here.get(`k${i}`)))
      t.equal(text((await read)?.value ?? bytes('')), 'won')
      await winning
    }
  })

  await t.test('counting by compare and set from two buses loses nothing', async (t) => {
    const name = fresh('bucket')
    const buckets = [await one.bucket(name), await two.bucket(name)]
    await buckets[0]?.put('count', bytes('0'))
    const count = async (which: number, times: number) => {
      const bucket = buckets[which % 2]
      for (let done = 0; done < times; ) {
        const entry = await bucket?.get('count')
        const next = bytes(`${Number(text(entry?.value ?? bytes('0'))) + 1}`)
        if ((await bucket?.update('count', next, entry?.revision ?? 0)) !== undefined) done++
      }
    }
    await Promise.all([0, 1, 2, 3].map((which) => count(which, 10)))
    t.equal(text((await two.bucket(name).then((bucket) => bucket.get('count')))?.value ?? bytes('')), '40')
  })

  await t.test('keys are any strings of 1 to 512 bytes', async (t) => {
    const bucket = await one.bucket(fresh('bucket'))
    const keys = ['a', '.', 'a.b', '..', '*', '>', 'a b', ' ', '\n', '\u0000', '%', '%2E', 'ü/😀', '_', 'x'.repeat(512), 'ü'.repeat(256)]
    for (const key of keys) await bucket.put(key, bytes(`value of ${key}`))
    for (const key of keys) t.equal(text((await bucket.get(key))?.value ?? bytes('')), `value of ${key}`, JSON.stringify(key.slice(0, 20)))
    const followed = new Map<string, string>()
    const follower = await bucket.follow((key, value) => followed.set(key, text(value ?? bytes('deleted'))))
    t.strictSame([...followed.keys()].sort(), [...keys].sort())
    follower.stop()
    for (const key of ['', 'x'.repeat(513), 'ü'.repeat(257)]) {
      t.not(await codeOf(bucket.put(key, bytes('x'))), 'none', `put with a key of ${key.length}`)
      t.not(await codeOf(bucket.get(key)), 'none', `get with a key of ${key.length}`)
    }
  })

  await t.test('values of any size', async (t) => {
    const name = fresh('bucket')
    const here = await one.bucket(name)
    const there = await two.bucket(name)
    for (const size of [0, 1, 100_000]) {
      const value = Uint8Array.from({ length: size }, (_, i) => i % 256)
      await here.put(`size${size}`, value)
      t.ok(Buffer.compare((await there.get(`size${size}`))?.value ?? bytes('missing'), value) === 0, `${size} bytes`)
    }
  })

  await t.test('a follower gets what is there, then every change', async (t) => {
    const name = fresh('bucket')
    const here = await one.bucket(name)
    const there = await two.bucket(name)
    await here.put('old', bytes('1'))
    await here.put('gone', bytes('1'))
    await here.delete('gone')
    await there.put('old', bytes('2'))
    const seen: string[] = []
    const follower = await there.follow((key, value) => seen.push(`${key}=${value === undefined ? 'deleted' : text(value)}`))
    t.ok(seen.includes('old=2'), 'present entries come before it resolves')
    t.notOk(seen.includes('gone=1'))
    seen.length = 0
    await here.put('new', bytes('3'))
    await there.put('new', bytes('4'))
    await here.delete('old')
    await follower.caughtUp()
    t.strictSame(
      seen.filter((line) => line.startsWith('new')),
      ['new=3', 'new=4'],
    )
    t.strictSame(
      seen.filter((line) => line.startsWith('old')),
      ['old=deleted'],
    )
    await follower.caughtUp()
    follower.stop()
    follower.stop()
    seen.length = 0
    const fence: string[] = []
    const other = await there.follow((key) => fence.push(key))
    await here.put('after', bytes('5'))
    await other.caughtUp()
    t.ok(fence.includes('after'))
    t.strictSame(seen, [], 'who has stopped following hears nothing')
    other.stop()
  })

  await t.test('caught up means: every write acknowledged before, by anybody', async (t) => {
    const name = fresh('bucket')
    const here = await one.bucket(name)
    const there = await two.bucket(name)
    const seen = new Map<string, string>()
    const follower = await there.follow((key, value) => seen.set(key, text(value ?? bytes('deleted'))))
    for (let i = 0; i < 20; i++) {
      await here.put('key', bytes(`${i}`))
      await follower.caughtUp()
      t.equal(seen.get('key'), `${i}`)
    }
    await Promise.all(Array.from({ length: 50 }, (_, i) => (i % 2 ? here : there).put(`many${i}`, bytes('x'))))
    await follower.caughtUp()
    t.equal(seen.size, 51)
    follower.stop()
  })

  await t.test('a bucket may be opened again with the same settings only', async (t) => {
    const plain = fresh('bucket')
    const timed = fresh('bucket')
    await Promise.all([one.bucket(plain), two.bucket(plain), one.bucket(plain)])
    const bucket = await one.bucket(timed, { ttlSeconds: 60 })
    await two.bucket(timed, { ttlSeconds: 60 })
    await t.rejects(two.bucket(timed, { ttlSeconds: 30 }))
    await t.rejects(two.bucket(timed))
    await t.rejects(two.bucket(plain, { ttlSeconds: 60 }))
    await bucket.put('key', bytes('x'))
    t.equal(text((await bucket.get('key'))?.value ?? bytes('')), 'x')
    for (const name of ['', 'a.b', 'a b', '*', 'ü']) await t.rejects(one.bucket(name), JSON.stringify(name))
  })
}

async function lifeCases(t: Test, { env, one }: Shared): Promise<void> {
  await t.test('closing lets what is in flight finish', async (t) => {
    const bus = await env.bus()
    const address = `test.${fresh('slow')}`
    const end = await one.serve(address, async (data) => {
      await new Promise((resolve) => setTimeout(resolve, 50))
      return data
    })
    const asking = codeOf(bus.request(address, bytes('?')))
    const publishing = Promise.all(Array.from({ length: 50 }, (_, i) => codeOf(bus.publish(fresh('alice'), `m${i}`, bytes('x')))))
    await bus.close(5000)
    t.equal(await asking, 'none')
    t.strictSame([...new Set(await publishing)], ['none'])
    end()
  })

  await t.test('closing ends at its deadline', async (t) => {
    const bus = await env.bus()
    const address = `test.${fresh('never')}`
    const end = await one.serve(address, () => new Promise<Uint8Array>(() => {}))
    const asking = codeOf(bus.request(address, bytes('?'), { timeoutMs: 8000 }))
    const started = Date.now()
    await bus.close(50)
    t.ok(Date.now() - started < 4000)
    t.equal(await asking, 'disconnected')
    end()
  })

  await t.test('a closed bus delivers nothing and refuses everything', async (t) => {
    const bus = await env.bus()
    const user = fresh('alice')
    const address = `test.${fresh('closed')}`
    const sink = new RecordingSink(bytes('here'))
    const states: string[] = []
    bus.onState((state) => states.push(state))
    const unheard = bus.onState((state) => states.push(`unheard ${state}`))
    unheard()
    await bus.attach(user, sink)
    await bus.serve(address, (data) => data)
    const bucket = await bus.bucket(fresh('bucket'))
    t.equal(bus.state, 'up')
    await Promise.all([bus.close(), bus.close()])
    await bus.close()
    t.equal(bus.state, 'closed')
    t.strictSame(states, ['closed'])
    t.equal(bus.stats().attached, 0)
    t.equal(bus.stats().inFlight, 0)
    t.equal(await codeOf(bus.publish(user, 'm', bytes('x'))), 'disconnected')
    t.equal(await codeOf(bus.attach(user, sink)), 'disconnected')
    t.equal(await codeOf(bus.read(user, 0, 1)), 'disconnected')
    t.equal(await codeOf(bus.ask(user, bytes('?'))), 'disconnected')
    t.equal(await codeOf(bus.request(address, bytes('?'))), 'disconnected')
    t.equal(await codeOf(bucket.put('key', bytes('x'))), 'disconnected')
    t.equal(await codeOf(bucket.get('key')), 'disconnected')
    t.equal(bus.push(user, bytes('x')), false)
    t.equal(
      bus.pushMany(
        Array.from({ length: 20 }, () => user),
        bytes('x'),
      ),
      0,
    )
    const [result] = await bus.publishMany([user], 'm', bytes('x'))
    t.equal(result?.status, 'rejected')
    await eventually(async () => (await one.ask(user, bytes('?'), { timeoutMs: 200 })) === 'offline', 'its users are offline')
    await eventually(async () => (await codeOf(one.request(address, bytes('?'), { timeoutMs: 200 }))) === 'no_responders', 'nobody serves')
    await one.publish(user, 'm', bytes('x'))
    t.strictSame(sink.messages, [])
  })
}
