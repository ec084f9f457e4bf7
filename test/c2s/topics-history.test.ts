// Topics and history: who may, who gets it, and reading it again.

import t from 'tap'
import { BusError } from '../../bus/bus.js'
import { formatCursor, parseCursor, userTag } from '../../proto/cursor.js'
import { v1 } from '../../proto/messages.js'
import { changed, World } from '../support/c2s-world.js'
import type { FakeSession } from '../support/fake-gateway.js'

function json(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value))
}

function publish(topic: string, data: unknown, more: object = {}): v1.ClientFrame.$Properties {
  return { message: { topic, data: json(data), ...more } }
}

async function code(session: FakeSession, frame: v1.ClientFrame.$Properties): Promise<string> {
  return (await session.ask(frame)).code
}

t.test('publish and subscribe', async (t) => {
  const world = await World.open(t)
  await world.worker()
  await world.worker()
  const gateway = await world.gateway()
  const [alice, bob, carol] = [
    await gateway.open('alice', { topics: ['news*'] }),
    await gateway.open('bob', { topics: ['news'] }),
    await gateway.open('carol', { anyTopic: true }),
  ]
  for (const session of [alice, bob]) t.equal(await code(session, { subscribe: { topic: 'news' } }), '')
  t.equal(await code(bob, { subscribe: { topic: 'news' } }), '', 'again')
  const answer = await alice.ask(publish('news', 'one', { id: 'n1' }))
  t.same(answer.result, { id: 'n1' })
  t.ok((await alice.ask(publish('news', 'one', { id: 'n1' }))).ok, 'a repeat')
  await alice.ask({ message: { to: 'bob', data: json('direct'), id: 'n1' } })
  await carol.ask(publish('news', 'two', { ephemeral: true }))
  await world.settle()
  t.match(bob.take('message'), [
    { data: 'one', id: 'n1', from: 'alice', topic: 'news' },
    { data: 'direct', topic: '' },
    { data: 'two', from: 'carol', topic: 'news', seq: 0 },
  ])
  t.same(
    alice.take('message').map(({ data }) => data),
    ['one', 'two'],
    'the sender too, who has subscribed',
  )
  t.same(carol.got, [])

  const late = await gateway.open('dave', { anyTopic: true })
  t.equal(await code(late, { unsubscribe: { topic: 'news' } }), '', 'not subscribed: nothing to do')
  await bob.bye()
  await carol.ask(publish('news', 'three'))
  const back = await gateway.open('bob')
  await carol.ask(publish('news', 'four'))
  await world.settle()
  t.same(
    back.take('message').map(({ data }) => data),
    ['four'],
    'it belongs to the user, not to the session',
  )
  t.equal((await gateway.bus.read('bob', 0, 10)).messages.length, 4, 'and goes on while nobody is there')
  t.equal(await code(back, { unsubscribe: { topic: 'news' } }), '', 'leaving is always allowed')
  await carol.ask(publish('news', 'five'))
  await world.settle()
  t.same(back.got, [])
  t.equal(alice.take('message').length, 3)
  t.same([...new Set(world.observed)].sort(), ['message', 'open', 'topic'])
  t.same(world.errors, [])
})

t.test('who may', async (t) => {
  const world = await World.open(t)
  await world.worker()
  const gateway = await world.gateway()
  const alice = await gateway.open('alice', { topics: ['news', 'team.*', '*.alice'] })
  const cases: [topic: string, expected: string][] = [
    ['news', ''],
    ['news2', 'forbidden'],
    ['team.', ''],
    ['team.a.b', ''],
    ['team', 'forbidden'],
    ['private.alice', ''],
    ['private.bob', 'forbidden'],
    ['team.*', 'malformed'],
    ['*', 'malformed'],
    ['', 'malformed'],
    ['team.\u0001', 'malformed'],
    [`team.${'x'.repeat(251)}`, ''],
    [`team.${'x'.repeat(252)}`, 'malformed'],
  ]
  for (const [topic, expected] of cases) {
    t.equal(await code(alice, { subscribe: { topic } }), expected, `subscribe ${topic.slice(0, 20)}`)
    if (topic !== '') t.equal(await code(alice, publish(topic, 1)), expected, `publish to ${topic.slice(0, 20)}`)
    t.equal(await code(alice, { unsubscribe: { topic } }), expected === 'malformed' ? 'malformed' : '', `unsubscribe ${topic.slice(0, 20)}`)
  }
  const nobody = await gateway.open('nobody')
  t.equal(await code(nobody, { subscribe: { topic: 'news' } }), 'forbidden', 'no claim')
  await nobody.claims(['news'])
  t.equal(await code(nobody, { subscribe: { topic: 'news' } }), '', 'a refreshed token')
  await nobody.claims([], true)
  t.equal(await code(nobody, { subscribe: { topic: 'anything' } }), '')
  await nobody.claims([])
  t.equal(await code(nobody, publish('news', 1)), 'forbidden')
  const long = await gateway.open('u'.repeat(256), { anyTopic: true })
  t.equal(await code(long, { subscribe: { topic: 't'.repeat(255) } }), '')
  t.equal(await code(long, { subscribe: { topic: 't'.repeat(256) } }), 'too_large', 'both at their longest do not fit one key')
})

t.test('a subscription acknowledged by one worker is known to all', async (t) => {
  const world = await World.open(t)
  for (let n = 0; n < 4; n++) await world.worker()
  const gateway = await world.gateway()
  const publisher = await gateway.open('publisher', { anyTopic: true })
  for (let n = 0; n < 40; n++) {
    const session = await gateway.open(`user${n}`, { anyTopic: true })
    await session.ask({ subscribe: { topic: 'all' } })
    await publisher.ask(publish('all', n))
    await world.settle()
    t.same(
      session.take('message').map(({ data }) => data),
      [n],
      `user${n}`,
    )
  }
})

t.test('limits of topics', async (t) => {
  const world = await World.open(t, { topicsPerUser: 2, subscribersPerTopic: 2 })
  await world.worker()
  const gateway = await world.gateway()
  const [a, b, c] = [
    await gateway.open('a', { anyTopic: true }),
    await gateway.open('b', { anyTopic: true }),
    await gateway.open('c', { anyTopic: true }),
  ]
  t.equal(await code(a, { subscribe: { topic: 'one' } }), '')
  t.equal(await code(a, { subscribe: { topic: 'two' } }), '')
  t.equal(await code(a, { subscribe: { topic: 'three' } }), 'too_large')
  t.equal(await code(a, { subscribe: { topic: 'two' } }), '', 'the ones there stay')
  t.equal(await code(a, { unsubscribe: { topic: 'two' } }), '')
  t.equal(await code(a, { subscribe: { topic: 'three' } }), '')
  t.equal(await code(b, { subscribe: { topic: 'one' } }), '')
  t.equal(await code(c, { subscribe: { topic: 'one' } }), 'too_large')
})

t.test('a backend pushes to a topic', async (t) => {
  const world = await World.open(t)
  let failing = ''
  await world.worker((bus) =>
    changed(bus, {
      publishMany: async (users, ...rest) => {
        const results = await bus.publishMany(
          users.filter((user) => user !== failing),
          ...rest,
        )
        return users.includes(failing) ? [...results, { status: 'rejected', reason: new BusError('timeout') }] : results
      },
    }),
  )
  const gateway = await world.gateway()
  const sessions: FakeSession[] = []
  for (let n = 0; n < 3; n++) sessions.push(await gateway.open(`user${n}`, { anyTopic: true }))
  for (const session of sessions) await session.ask({ subscribe: { topic: 'news' } })
  const push = async (envelope: v1.Envelope.$Properties, dedupe: string, ephemeral = false): Promise<v1.TopicPushed> => {
    const bytes = v1.TopicPush.encode({ envelope, ephemeral, dedupe }).finish()
    return v1.TopicPushed.decode(await gateway.bus.request('c2s.topic', bytes))
  }
  const envelope = { id: 'p1', topic: 'news', time: 5, collapseKey: 'k', data: json('hi') }
  t.equal((await push(envelope, 'b:p1')).accepted, 3)
  t.equal((await push(envelope, 'b:p1')).accepted, 3, 'a repeat is answered like the first')
  t.equal((await push(envelope, '', true)).accepted, 3)
  await world.settle()
  t.match(sessions[0]?.take('message'), [{ id: 'p1', from: '', topic: 'news' }, { seq: 0 }])
  t.equal((await push({ ...envelope, topic: 'empty' }, 'b:p2')).accepted, 0)
  t.equal((await push({ ...envelope, topic: '' }, 'b:p2')).error?.code, 'malformed')
  t.equal((await push({ ...envelope, topic: 'new*' }, 'b:p2')).error?.code, 'malformed')
  failing = 'user1'
  const partly = await push(envelope, 'b:p3')
  t.equal(partly.error?.code, 'bus_unavailable')
  t.equal(partly.accepted, 2)
  t.equal(await code(sessions[0] as FakeSession, publish('news', 1)), 'bus_unavailable', 'a client is told too')

  // A field of a later version: number 99, text.
  const future = Buffer.from([0x9a, 0x06, 2, 0x68, 0x69])
  const bytes = Buffer.concat([v1.Envelope.encode({ ...envelope, id: 'p4' }).finish(), future])
  const raw = Buffer.concat([Buffer.from([0x0a, bytes.length]), bytes, Buffer.from([0x1a, 2, 0x70, 0x34])])
  failing = ''
  await gateway.bus.request('c2s.topic', raw)
  const stored = (await gateway.bus.readBefore('user0', Infinity, 1)).messages[0]?.data ?? new Uint8Array()
  t.ok(Buffer.from(stored).includes(future), 'fields of later versions go through')
})

// ---- history

interface HistoryMessage {
  readonly type: string
  readonly id: string
  readonly data: unknown
  readonly cursor: string
}

async function history(
  session: FakeSession,
  request: v1.History.$Properties = {},
): Promise<{ data: unknown[]; messages: HistoryMessage[]; cursor: string; truncated?: boolean }> {
  const { ok, result } = await session.ask({ history: request })
  if (!ok) throw new Error('history was refused')
  const page = result as { messages: HistoryMessage[]; cursor: string }
  return { ...page, data: page.messages.map(({ data }) => data) }
}

t.test('history', async (t) => {
  const world = await World.open(t, { historyDefault: 3, historyMax: 5 })
  await world.worker()
  const gateway = await world.gateway()
  const bob = await gateway.open('bob', { anyTopic: true })
  const alice = await gateway.open('alice')
  const empty = await history(alice)
  t.same(empty.messages, [])
  t.equal(parseCursor(empty.cursor)?.inbox, 0)
  await bob.ask({ subscribe: { topic: 'news' } })
  for (let n = 1; n <= 8; n++) {
    await world.pass(1)
    await bob.ask({ message: { to: 'alice', data: json(n), id: `id${n}` } })
  }
  await bob.ask(publish('news', { n: 'news' }))

  const newest = await history(alice)
  t.same(newest.data, [6, 7, 8], 'the newest, oldest first')
  t.match(newest.messages[0], {
    type: 'message',
    id: 'id6',
    from: 'bob',
    time: 1_700_000_000_006,
    data: 6,
    cursor: /^[\w-]{8}\.[\w-]+\.\w+$/,
  })
  t.notOk('topic' in (newest.messages[0] ?? {}))
  t.equal(newest.cursor, newest.messages[2]?.cursor)
  t.same((await history(alice, { cursor: newest.cursor })).messages, [])
  t.equal((await history(alice, { cursor: newest.cursor })).cursor, newest.cursor, 'stays where it is')

  const before = await history(alice, { before: newest.messages[0]?.cursor ?? '' })
  t.same(before.data, [3, 4, 5])
  t.same((await history(alice, { before: before.cursor })).data, [1, 2], 'its cursor goes on backwards')
  const start = (await history(alice, { before: before.cursor })).cursor
  t.same((await history(alice, { before: start })).data, [])
  t.equal((await history(alice, { before: start })).cursor, start)

  const pages: unknown[][] = []
  let cursor = empty.cursor
  for (;;) {
    const page = await history(alice, { cursor, limit: 4 })
    if (page.messages.length === 0) break
    pages.push(page.data)
    cursor = page.cursor
  }
  t.same(
    pages,
    [
      [1, 2, 3, 4],
      [5, 6, 7, 8],
    ],
    'forward from the start',
  )
  t.equal((await history(alice, { cursor: empty.cursor, limit: 1 })).data.length, 1)
  t.equal((await history(alice, { cursor: empty.cursor, limit: 5 })).data.length, 5)
  t.equal((await history(alice, { cursor: empty.cursor, limit: 6 })).data.length, 5, 'not more than the configuration allows')
  t.match((await history(bob)).messages, [{ topic: 'news', data: { n: 'news' } }])

  const frame = formatCursor({
    ...(parseCursor(newest.messages[0]?.cursor ?? '') as NonNullable<ReturnType<typeof parseCursor>>),
    at: { node: 'n', session: '1', frame: 9 },
  })
  t.same((await history(alice, { cursor: frame })).data, [7, 8], 'a cursor of a frame serves as well')
  for (const wrong of ['x', '', '..', `${newest.cursor}.`, '1'.repeat(500)]) {
    if (wrong !== '') t.equal(await code(alice, { history: { cursor: wrong } }), 'malformed', wrong.slice(0, 20))
    if (wrong !== '') t.equal(await code(alice, { history: { before: wrong } }), 'malformed', wrong.slice(0, 20))
  }
  t.equal(await code(bob, { history: { cursor: newest.cursor } }), 'forbidden', 'of another user')
  t.equal(await code(bob, { history: { before: newest.cursor } }), 'forbidden')
  t.equal(await code(alice, { history: { cursor: newest.cursor, before: newest.cursor } }), 'malformed')
  const elsewhere = formatCursor({ userTag: userTag('alice'), epoch: 'other', inbox: 7, at: undefined })
  const anew = await history(alice, { cursor: elsewhere })
  t.same([anew.data, anew.truncated], [[1, 2, 3], true], 'a store made anew: all of it is later, and something is lost')
  t.same((await history(alice, { before: elsewhere })).data, [], 'and nothing is earlier')
  t.equal(newest.truncated, undefined)
  t.same(world.errors, [])
})

t.test('what history leaves out', async (t) => {
  const world = await World.open(t, { historyBytes: 1000 })
  await world.worker()
  const gateway = await world.gateway()
  const alice = await gateway.open('alice')
  gateway.drop(alice)
  const store = async (envelope: v1.Envelope.$Properties, id: string): Promise<void> => {
    await gateway.bus.publish('alice', id, v1.Envelope.encode({ id, ...envelope }).finish())
  }
  const now = world.clock.now()
  await store({ data: json('first'), collapseKey: 'a' }, '1')
  await store({ data: json('over'), expires: now }, '2')
  await store({ data: json('soon over'), expires: now + 1 }, '3')
  await store({ presence: { user: 'x', status: 'online' } }, '4')
  await store({ data: Buffer.from('{"not":json') }, '5')
  await gateway.bus.publish('alice', '6', Buffer.from('\xff\xff\xff', 'latin1'))
  await store({ data: json('other key'), collapseKey: 'b' }, '7')
  await store({ data: json('second'), collapseKey: 'a' }, '8')
  await store({ data: Buffer.from('{ "spaced" :\n 1 }') }, '9')
  t.same((await history(alice)).data, ['soon over', 'other key', 'second', { spaced: 1 }])
  t.same((await history(alice, { limit: 3 })).data, ['other key', 'second', { spaced: 1 }])
  t.same((await history(alice, { limit: 4 })).data, ['soon over', 'other key', 'second', { spaced: 1 }], 'reads on until the page is full')
  const epoch = await gateway.bus.epoch('alice')
  const zero = formatCursor({ userTag: userTag('alice'), epoch, inbox: 0, at: undefined })
  const page = await history(alice, { cursor: zero, limit: 3 })
  t.same(page.data, ['first', 'soon over', 'other key'], 'collapsing is a matter of one page')
  t.same((await history(alice, { cursor: page.cursor })).data, ['second', { spaced: 1 }], 'nothing gets lost between pages')

  for (let n = 0; n < 6; n++) await store({ data: json('x'.repeat(300)) }, `long${n}`)
  await store({ data: json('y'.repeat(5000)) }, 'too long')
  const large = await history(alice)
  t.same(
    large.data.map((data) => (data as string)[0]),
    ['y'],
    'one message at least',
  )
  const smaller = await history(alice, { before: large.cursor })
  t.equal(smaller.data.length, 3, 'then as many as fit')
  t.equal((await history(alice, { before: smaller.cursor })).data.length > 0, true)
  t.same(world.errors, [])
})

t.test('history is not hidden by what the user sent with an XMPP client', async (t) => {
  const world = await World.open(t)
  await world.worker()
  const gateway = await world.gateway()
  const alice = await gateway.open('alice')
  const put = (id: string, envelope: v1.Envelope.$Properties): Promise<unknown> =>
    gateway.bus.publish('alice', id, v1.Envelope.encode({ id, ...envelope }).finish())
  const copies = async (from: number, to: number): Promise<void> => {
    for (let n = from; n < to; n++) await put(`copy${n}`, { sent: true, resource: 'phone', xml: Buffer.from('<message/>') })
  }
  await put('1', { data: json(1) })
  await copies(0, 700)
  await put('2', { data: json(2) })
  await copies(700, 720)
  for (const limit of [1, 2, 50]) t.same((await history(alice, { limit })).data, [2], 'too much lies before for the same page')
  const last = await history(alice, { limit: 1 })
  t.same((await history(alice, { before: last.messages[0]?.cursor ?? '', limit: 1 })).data, [1])
  const epoch = await gateway.bus.epoch('alice')
  const zero = formatCursor({ userTag: userTag('alice'), epoch, inbox: 0, at: undefined })
  const first = await history(alice, { cursor: zero, limit: 1 })
  t.same(first.data, [1])
  const second = await history(alice, { cursor: first.cursor, limit: 1 })
  t.same(second.data, [2])
  t.same((await history(alice, { cursor: second.cursor, limit: 1 })).data, [])
})

t.test('history of an inbox that dropped its oldest', async (t) => {
  const world = await World.open(t)
  await world.worker()
  const gateway = await world.gateway()
  const alice = await gateway.open('alice')
  for (let n = 0; n < 1005; n++) await gateway.bus.publish('alice', `${n}`, v1.Envelope.encode({ id: `${n}`, data: json(n) }).finish())
  const epoch = await gateway.bus.epoch('alice')
  const first = (await gateway.bus.read('alice', 0, 1)).messages[0]?.seq ?? 0
  const cursor = (inbox: number): string => formatCursor({ userTag: userTag('alice'), epoch, inbox, at: undefined })
  t.equal((await history(alice, { cursor: cursor(first - 3), limit: 1 })).truncated, true)
  t.equal((await history(alice, { cursor: cursor(first), limit: 1 })).truncated, undefined)
  t.same((await history(alice, { before: cursor(first + 1) })).data, [5])
})
