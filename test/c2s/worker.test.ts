// Workers: sessions open, are answered in order and once, survive their worker, and find limits.

import t from 'tap'
import { BusError } from '../../bus/bus.js'
import { v1 } from '../../proto/messages.js'
import { changed, MAX_MESSAGE_BYTES, World } from '../support/c2s-world.js'
import type { FakeSession } from '../support/fake-gateway.js'

function json(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value))
}

function to(user: string, data: unknown, more: object = {}): v1.ClientFrame.$Properties {
  return { ref: 'r', message: { to: user, data: json(data), ...more } }
}

function dataOf(session: FakeSession): unknown[] {
  return session.take('message').map(({ data }) => data)
}

t.test('a message from user to user', async (t) => {
  const world = await World.open(t)
  await world.worker()
  const gateway = await world.gateway()
  const alice = await gateway.open('alice', { device: 'phone' })
  const bob = await gateway.open('bob')
  t.equal(alice.status, 'online')

  const answer = await alice.ask(to('bob', { n: 1 }, { id: 'one' }))
  t.same(answer, { ref: 'r', ok: true, code: '', result: { id: 'one' } })
  const [made] = await alice.send(to('bob', 'two'))
  t.match(made?.result, { id: /^[\w-]{20}$/ }, 'an id is made when the client gives none')
  await world.settle()
  const got = bob.take('message')
  t.match(got, [
    { id: 'one', from: 'alice', topic: '', data: { n: 1 } },
    { id: /^[\w-]{20}$/, from: 'alice', data: 'two' },
  ])
  t.same(made?.result, { id: got[1]?.id })
  t.ok((got[0]?.seq ?? 0) > 0, 'stored')

  t.ok((await alice.ask(to('bob', 'now', { ephemeral: true }))).ok)
  t.ok((await alice.ask(to('nobody', 'now', { ephemeral: true }))).ok, 'nobody there: no error')
  t.ok((await alice.ask(to('alice', 'note to self'))).ok)
  await world.settle()
  t.match(bob.take('message'), [{ data: 'now', seq: 0 }])
  t.same(dataOf(alice), ['note to self'])

  const page = await gateway.bus.read('bob', 0, 10)
  t.equal(page.messages.length, 2, 'ephemeral ones are not kept')
  const kept = page.messages.map(({ data }) => v1.Envelope.decode(data))
  t.equal(kept[0]?.time, world.clock.now())
  t.equal(kept[0]?.expires, 0)
  await alice.ask(to('bob', 'soon over', { ttlSeconds: 3 }))
  const last = (await gateway.bus.readBefore('bob', Infinity, 1)).messages[0]
  t.equal(v1.Envelope.decode(last?.data ?? new Uint8Array()).expires, world.clock.now() + 3000)
  t.same(world.errors, [])
  t.same([...new Set(world.observed)], ['open', 'message'])
})

t.test('a repeated request', async (t) => {
  const world = await World.open(t)
  await world.worker()
  const gateway = await world.gateway()
  const alice = await gateway.open('alice')
  const bob = await gateway.open('bob')

  const frames = [to('bob', 1), to('bob', 2, { id: 'mine' })]
  const first = await alice.send(...frames)
  t.same(await alice.repeat(1, frames), first, 'gets the same answer')
  const [a, b] = await Promise.all([alice.repeat(3, [to('bob', 3)]), alice.repeat(3, [to('bob', 3)])])
  t.same(a, b, 'also while the first is under way')
  await world.settle()
  t.same(dataOf(bob), [1, 2, 3], 'and is delivered once')
  t.equal(world.observed.filter((kind) => kind === 'message').length, 3, 'and done once')

  alice.next = 4
  t.same(
    (await alice.repeat(1, frames)).map(({ code }) => code),
    ['conflict', 'conflict'],
    'one that is long answered is refused',
  )
  t.same(await alice.ask(to('bob', 'again', { id: 'mine' })), { ref: 'r', ok: true, code: '', result: { id: 'mine' } })
  const carol = await gateway.open('carol')
  await carol.ask(to('bob', "carol's", { id: 'mine' }))
  await alice.ask(to('carol', 'to carol', { id: 'mine' }))
  await world.settle()
  t.same(dataOf(bob), ["carol's"], 'an id counts for a sender and a recipient')
  t.same(dataOf(carol), ['to carol'])
})

t.test('requests that overtake are answered in order', async (t) => {
  const world = await World.open(t)
  const waiting: (() => void)[] = []
  await world.worker((bus) =>
    changed(bus, {
      publish: async (...args) => {
        await new Promise<void>((resolve) => waiting.push(resolve))
        return bus.publish(...args)
      },
    }),
  )
  const gateway = await world.gateway()
  const alice = await gateway.open('alice')
  const bob = await gateway.open('bob')
  const answered: number[] = []
  const sent = [1, 2, 3].map(async (n) => {
    await alice.repeat(n, [to('bob', n)])
    answered.push(n)
  })
  await world.settle()
  t.equal(waiting.length, 1, 'the others wait')
  for (let n = 0; n < 3; n++) {
    waiting[n]?.()
    await world.settle()
  }
  await Promise.all(sent)
  t.same(answered, [1, 2, 3])
  t.same(dataOf(bob), [1, 2, 3])
})

t.test('a session nobody knows', async (t) => {
  const world = await World.open(t)
  const worker = await world.worker()
  const gateway = await world.gateway()
  const reply = await gateway.bus.request(`c2s.w.${worker.address}`, v1.Uplink.encode({ session: 'x', sequence: 1 }).finish())
  t.equal(v1.UplinkReply.decode(reply).unknown, true)
  const alice = await gateway.open('alice')
  await alice.bye()
  t.equal(v1.UplinkReply.decode(await alice.request({ session: alice.ref, sequence: 1 })).unknown, true, 'an ended one')
  t.equal(worker.worker.sessions, 0)
})

t.test('a worker dies after it stored a message and before it answered', async (t) => {
  const world = await World.open(t)
  const mortal = await world.worker((bus) =>
    changed(bus, {
      publish: async (...args) => {
        const ack = await bus.publish(...args)
        void mortal.kill()
        return ack
      },
    }),
  )
  const gateway = await world.gateway()
  const alice = await gateway.open('alice')
  const bob = await gateway.open('bob')
  await alice.ask({ presence: { status: 'dnd', note: 'deep in work' } })
  await world.worker()
  const sent = alice.send(to('bob', 'a'), to('bob', 'b', { id: 'b' }), to('bob', 'c'))
  await world.pass(6000)
  const answers = await sent
  t.same(
    answers.map(({ ok }) => ok),
    [true, true, true],
  )
  await world.settle()
  const got = bob.take('message')
  t.same(
    got.map(({ data }) => data),
    ['a', 'b', 'c'],
  )
  t.same(
    got.map(({ id }) => ({ id })),
    answers.map(({ result }) => result),
    'ids do not depend on the worker',
  )
  t.equal(alice.status, 'dnd', 'the context went along')
  t.equal(alice.note, 'deep in work')
  t.ok((await alice.ask(to('bob', 'd'))).ok)
  await world.settle()
  t.same(dataOf(bob), ['d'])
})

t.test('exactly once and in order while workers die', async (t) => {
  const seed = Number(process.env.SEED ?? Date.now() % 1_000_000)
  t.comment(`SEED=${seed}`)
  const random = lcg(seed)
  const world = await World.open(t)
  const workers = [await world.worker(), await world.worker(), await world.worker()]
  const gateway = await world.gateway()
  const sessions = await Promise.all(Array.from({ length: 10 }, (_, i) => gateway.open(`user${i}`)))
  const sink = await gateway.open('sink')
  let done = 0
  const runs = sessions.map(async (session, i) => {
    for (let n = 0; n < 30; ) {
      const size = 1 + Math.floor(random() * 4)
      const frames = Array.from({ length: size }, (_, k) => to('sink', [i, n + k], random() < 0.5 ? { id: `${i}-${n + k}` } : {}))
      const answers = await session.send(...frames)
      if (!answers.every(({ ok }) => ok)) throw new Error(JSON.stringify(answers))
      n += size
    }
    done++
  })
  const all = Promise.all(runs)
  for (let step = 0; done < sessions.length && step < 5000; step++) {
    await new Promise((resolve) => setImmediate(resolve))
    if (step % 20 === 7) world.clock.advance(1000)
    if (step % 25 === 24) {
      const victim = Math.floor(random() * workers.length)
      if (random() < 0.5) await workers[victim]?.kill()
      else await workers[victim]?.stop()
      workers[victim] = await world.worker()
    }
  }
  await all
  await world.settle()
  const got = new Map<number, number[]>()
  for (const { data } of sink.take('message')) {
    const [i, n] = data as [number, number]
    got.set(i, [...(got.get(i) ?? []), n])
  }
  for (let i = 0; i < sessions.length; i++) {
    const numbers = got.get(i) ?? []
    t.ok(numbers.length >= 30, `SEED=${seed} session ${i}`)
    t.same(
      numbers,
      Array.from({ length: numbers.length }, (_, n) => n),
      `SEED=${seed} session ${i}`,
    )
  }
  t.same(world.errors, [])
})

function lcg(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

t.test('a polite stop finishes what was begun', async (t) => {
  const world = await World.open(t)
  let go = (): void => {}
  const first = await world.worker((bus) =>
    changed(bus, {
      publish: async (...args) => {
        await new Promise<void>((resolve) => {
          go = resolve
        })
        return bus.publish(...args)
      },
    }),
  )
  const gateway = await world.gateway()
  const alice = await gateway.open('alice')
  const bob = await gateway.open('bob')
  const sent = alice.ask(to('bob', 1))
  await world.settle()
  const stopped = first.stop()
  await world.settle()
  await t.rejects(gateway.bus.request('c2s.open', new Uint8Array()), { code: 'no_responders' }, 'takes no opens')
  go()
  t.ok((await sent).ok)
  await stopped
  await first.stop()
  await world.worker()
  t.ok((await alice.ask(to('bob', 2))).ok, 'goes on elsewhere')
  await world.settle()
  t.same(dataOf(bob), [1, 2])
})

t.test('what is wrong with a message is told', async (t) => {
  const world = await World.open(t)
  await world.worker()
  const gateway = await world.gateway()
  const alice = await gateway.open('alice')
  const bob = await gateway.open('bob')
  const room = MAX_MESSAGE_BYTES - 200
  const cases: [name: string, frame: v1.ClientFrame.$Properties, code: string][] = [
    ['no recipient', { message: { data: json(1) } }, 'malformed'],
    ['two recipients', to('bob', 1, { topic: 'news' }), 'malformed'],
    ['no data', { message: { to: 'bob' } }, 'malformed'],
    ['a control character in the recipient', to('a\nb', 1), 'malformed'],
    ['257 bytes of recipient', to('x'.repeat(257), 1), 'malformed'],
    ['256 bytes of recipient', to('x'.repeat(256), 1), ''],
    ['128 bytes of id', to('bob', 1, { id: 'x'.repeat(128) }), ''],
    ['129 bytes of id', to('bob', 1, { id: 'x'.repeat(129) }), 'malformed'],
    ['a control character in the id', to('bob', 1, { id: 'a\r\nb' }), 'malformed'],
    ['data the bus takes', to('bob', 'x'.repeat(room)), ''],
    ['data the bus does not take', to('bob', 'x'.repeat(MAX_MESSAGE_BYTES)), 'too_large'],
    ['a topic that is not allowed', { message: { topic: 'news', data: json(1) } }, 'forbidden'],
    ['no frame at all', {}, 'malformed'],
    ['an acknowledgement, which is the gateway’s matter', { ack: { cursor: 'x' } }, 'malformed'],
    ['a ping', { ping: {} }, ''],
  ]
  for (const [name, frame, code] of cases) t.equal((await alice.ask(frame)).code, code, name)
  const answers = await alice.send(to('bob', 'before'), { message: {} }, to('bob', 'after'))
  t.same(
    answers.map(({ ok }) => ok),
    [true, false, true],
    'each frame stands alone',
  )
  await world.settle()
  t.same(dataOf(bob).slice(-2), ['before', 'after'])
  t.same(world.errors, [])
})

t.test('the bus fails', async (t) => {
  const world = await World.open(t)
  let fault: (() => Error) | undefined
  const published: string[] = []
  await world.worker((bus) =>
    changed(bus, {
      publish: async (user, ...rest) => {
        published.push(user)
        if (fault !== undefined) throw fault()
        return bus.publish(user, ...rest)
      },
      push: (user, data) => fault === undefined && bus.push(user, data),
    }),
  )
  const gateway = await world.gateway()
  const alice = await gateway.open('alice')
  for (const code of ['no_responders', 'timeout', 'disconnected', 'overloaded', 'rejected'] as const) {
    fault = () => new BusError(code)
    t.equal((await alice.ask(to('bob', 1))).code, 'bus_unavailable', code)
  }
  t.equal((await alice.ask(to('bob', 1, { ephemeral: true }))).code, 'bus_unavailable', 'ephemeral')
  published.length = 0
  const answers = await alice.send(to('x', 1), to('y', 2), { ping: {} })
  t.same(
    answers.map(({ code }) => code),
    ['bus_unavailable', 'bus_unavailable', 'bus_unavailable'],
  )
  t.same(published, ['x'], 'nothing overtakes what failed')
  t.same(world.errors, [], 'which is nobody’s bug')
  fault = () => new TypeError('a bug')
  t.equal((await alice.ask(to('bob', 1))).code, 'internal')
  t.match(world.errors, [{ message: 'a bug' }])
  fault = undefined
  t.ok((await alice.ask(to('bob', 1))).ok)
})

t.test('a full worker', async (t) => {
  const world = await World.open(t, { sessions: 10 })
  const small = await world.worker()
  const gateway = await world.gateway()
  const sessions: FakeSession[] = []
  for (let n = 0; n < 10; n++) sessions.push(await gateway.open(`user${n}`))
  t.equal(small.worker.sessions, 10)
  const refused = gateway.open('one-too-many').catch((error: unknown) => error)
  await world.settle()
  await t.rejects(gateway.bus.request('c2s.open', new Uint8Array()), { code: 'no_responders' }, 'is not asked any more')
  t.ok((await sessions[0]?.ask(to('user1', 1)))?.ok, 'those it has go on')
  await world.pass(6000)
  t.match(await refused, { code: 'timeout' })
  await sessions[0]?.bye()
  await world.settle()
  const welcome = await gateway.open('welcome')
  t.ok((await welcome.ask(to('user1', 1))).ok, 'takes sessions again')
  t.match(world.warnings, ['worker is full: takes no more sessions'])
})

t.test('too much waits', async (t) => {
  const world = await World.open(t, { queuedRequestsPerSession: 2, queuedRequests: 3 })
  const waiting: (() => void)[] = []
  await world.worker((bus) =>
    changed(bus, {
      publish: async (...args) => {
        await new Promise<void>((resolve) => waiting.push(resolve))
        return bus.publish(...args)
      },
    }),
  )
  const gateway = await world.gateway()
  const alice = await gateway.open('alice')
  const bob = await gateway.open('bob')
  const begun = [alice.repeat(1, [to('x', 1)]), alice.repeat(2, [to('x', 2)])]
  await world.settle()
  t.match(await alice.repeat(3, [to('x', 3), to('x', 4)]), [{ code: 'rate_limited' }, { code: 'rate_limited' }], 'of one session')
  begun.push(bob.repeat(1, [to('x', 5)]))
  await world.settle()
  t.match(await bob.repeat(2, [to('x', 6)]), [{ code: 'rate_limited' }], 'of all')
  t.same(world.failures, ['message rate_limited', 'message rate_limited', 'message rate_limited'], 'and they are counted')
  for (let n = 0; n < 3; n++) {
    for (const go of waiting.splice(0)) go()
    await world.settle()
  }
  t.ok((await Promise.all(begun)).flat().every(({ ok }) => ok))
})

t.test('a session that is silent for long is forgotten, and nobody notices', async (t) => {
  const world = await World.open(t, { sessionIdleMs: 60_000 })
  const worker = await world.worker()
  const gateway = await world.gateway()
  const alice = await gateway.open('alice')
  const bob = await gateway.open('bob')
  await alice.ask({ presence: { status: 'away' } })
  await world.pass(45_000)
  await bob.ask({ ping: {} })
  await world.pass(45_000)
  t.equal(worker.worker.sessions, 1)
  t.ok((await alice.ask(to('bob', 1))).ok)
  t.equal(alice.status, 'away')
  t.equal(worker.worker.sessions, 2)
})

t.test('a long answer is worked out again instead of being kept', async (t) => {
  const world = await World.open(t, { keptReplyBytes: 200 })
  await world.worker()
  const gateway = await world.gateway()
  const alice = await gateway.open('alice')
  await alice.ask(to('alice', 'x'.repeat(500)))
  const [page] = await alice.repeat(10, [{ ref: 'h', history: {} }])
  const [again] = await alice.repeat(10, [{ ref: 'h', history: {} }])
  t.ok(page?.ok)
  t.same(again, page)
})

t.test('rubbish is not answered', async (t) => {
  const world = await World.open(t)
  const worker = await world.worker()
  const gateway = await world.gateway()
  const rubbish = Buffer.from('\xff\xff\xff\xff\xff', 'latin1')
  const calls = [`c2s.w.${worker.address}`, 'c2s.open', 'c2s.topic'].map((address) => gateway.bus.request(address, rubbish))
  calls.push(gateway.bus.request('c2s.open', v1.OpenSession.encode({ user: 'a\nb', session: 's' }).finish()))
  const answers = Promise.allSettled(calls)
  await world.pass(6000)
  t.same(
    (await answers).map(({ status }) => status),
    ['rejected', 'rejected', 'rejected', 'rejected'],
  )
  const alice = await gateway.open('alice')
  t.ok((await alice.ask({ ping: {} })).ok, 'and does no harm')
})
