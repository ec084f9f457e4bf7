import t, { type Test } from 'tap'
import { type Bus, BusError } from '../../bus/bus.js'
import { EmbeddedBroker } from '../../bus/embedded-bus.js'
import type { CloseReason } from '../../gateway/close-reason.js'
import { Cluster } from '../../gateway/cluster.js'
import { Pusher, type PusherOptions, type PushRequest } from '../../gateway/push.js'
import { v1 } from '../../proto/messages.js'
import { GatewayDouble } from '../support/gateway-double.js'

const NOW = 1_800_000_000_000

interface Setup {
  broker: EmbeddedBroker
  bus: Bus
  pusher: Pusher
  counted: string[]
  push(request: PushRequest): Promise<{ id: string; accepted: number } | CloseReason>
  inbox(user: string): Promise<v1.Envelope[]>
}

async function setup(
  t: Test,
  options: Partial<PusherOptions> & { gateways?: number } = {},
): Promise<Setup & { gateways: GatewayDouble[] }> {
  const broker = await EmbeddedBroker.open({
    inboxMaxMessages: 100,
    inboxMaxAgeSeconds: 3600,
    maxMessageBytes: 200_000,
    duplicateWindowSeconds: 120,
    requestTimeoutMs: 1000,
    maxInFlight: 10_000,
    dataDir: undefined,
    onError: (error, what) => t.fail(`${what}: ${error}`),
  })
  t.teardown(() => broker.close(0))
  const bus = broker.bus()
  const gateways: GatewayDouble[] = []
  for (let i = 0; i < (options.gateways ?? 0); i++) {
    gateways.push(await GatewayDouble.start(broker.bus(), { address: `g${i}`, name: `node${i}`, since: i }))
  }
  const [self, ...others] = gateways.map(({ peer }) => peer)
  const counted: string[] = []
  const pusher = await Pusher.open({
    bus,
    cluster: new Cluster({ bus, peers: { list: () => others }, self, timeoutMs: 100 }),
    maxDataBytes: 1000,
    duplicateWindowSeconds: 120,
    c2sTimeoutMs: 50,
    metrics: { pushed: (target, code) => void counted.push(`${target} ${code}`) },
    now: () => NOW,
    wait: async () => undefined,
    ...options,
  })
  return {
    broker,
    bus,
    pusher,
    counted,
    gateways,
    push: (request) => pusher.push(request),
    inbox: async (user) => (await bus.read(user, 0, 100)).messages.map(({ data }) => v1.Envelope.decode(data)),
  }
}

/** What the bus took has been handed to everybody attached. */
function delivered(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

function data(envelope: v1.Envelope | undefined): unknown {
  return JSON.parse(Buffer.from(envelope?.data ?? []).toString('utf8'))
}

t.test('a push to a user is in the inbox when it is answered', async (t) => {
  const { push, inbox, counted } = await setup(t)
  const request = { to: { user: 'alice' }, data: { n: 1, '\u2028': 'é' }, id: 'm1', from: 'bob', ttlSeconds: 60, collapseKey: 'k' }
  t.same(await push(request), { id: 'm1', accepted: 1 })
  const [first] = await inbox('alice')
  t.match(first, { id: 'm1', from: 'bob', topic: '', time: NOW, expires: NOW + 60_000, collapseKey: 'k' })
  t.same(data(first), request.data)
  const other = await push({ to: { user: 'alice' }, data: null })
  t.match(other, { accepted: 1, id: /^[\w-]{36}$/ }, 'an id is made')
  const [, second] = await inbox('alice')
  t.match(second, { from: '', expires: 0, collapseKey: '' })
  t.equal(data(second), null)
  t.same(counted, ['user done', 'user done'])
})

t.test('every JSON value is data', async (t) => {
  const { push, inbox } = await setup(t)
  const values = [0, '', false, [], {}, 'text\nwith\u0000zero', { a: [{ b: null }] }, 1.5e300, JSON.parse('{"__proto__": 1}')]
  for (const value of values) await push({ to: { user: 'alice' }, data: value })
  t.same((await inbox('alice')).map(data), values)
})

t.test('a repeated id gets the first answer and reaches nobody twice', async (t) => {
  const { push, inbox, bus, gateways } = await setup(t, { gateways: 1 })
  let fanOuts = 0
  await bus.serve('c2s.topic', () => v1.TopicPushed.encode({ accepted: ++fanOuts * 10 }).finish(), 'q')
  await gateways[0]?.hold('carol', [])
  const targets = [{ user: 'alice' }, { users: ['alice', 'bob'] }, { topic: 'news' }, { all: true as const }]
  for (const ephemeral of [false, true]) {
    for (const to of targets) {
      const request = { to, data: 1, id: `x${ephemeral}`, ephemeral }
      const first = await push(request)
      t.match(first, { accepted: Number })
      t.same(await push({ ...request, data: 2 }), first, `${JSON.stringify(to)}: again`)
      t.same(await Promise.all([push(request), push(request)]), [first, first], 'at once')
    }
  }
  t.equal(fanOuts, 2, 'one for each topic push')
  t.same((await inbox('alice')).map(data), [1])
  t.same((await inbox('bob')).map(data), [1])
  const carol = gateways[0]?.received.get('carol')
  t.equal(carol?.ephemeral.length, 1)
  t.equal(carol?.durable.length, 1)
  t.same(await push({ to: { user: 'dave' }, data: 3, id: 'xfalse' }), { id: 'xfalse', accepted: 1 })
  t.same((await inbox('dave')).map(data), [3], 'the same id to somebody else is another message')
})

t.test('two at once with one id are one', async (t) => {
  const { push, bus } = await setup(t)
  let fanOuts = 0
  await bus.serve('c2s.topic', () => v1.TopicPushed.encode({ accepted: ++fanOuts }).finish(), 'q')
  const request = { to: { topic: 'news' }, data: 1, id: 'x' }
  t.same(await Promise.all([push(request), push(request), push(request)]), Array(3).fill({ id: 'x', accepted: 1 }))
  t.equal(fanOuts, 1)
})

t.test('users: each once, all or an error', async (t) => {
  const { push, inbox } = await setup(t)
  t.match(await push({ to: { users: ['a', 'b', 'a'] }, data: 1 }), { accepted: 2 })
  t.equal((await inbox('a')).length, 1)
  t.match(await push({ to: { users: [] }, data: 1 }), { accepted: 0 })
  const many = Array.from({ length: 2500 }, (_, i) => `u${i}`)
  t.match(await push({ to: { users: many }, data: 1 }), { accepted: 2500 })
  t.equal((await inbox('u2499')).length, 1)
  t.match(await push({ to: { users: ['good', 'bad\n'] }, data: 1 }), { code: 'malformed' })
  t.same(await inbox('good'), [], 'nobody gets what is malformed')
})

t.test('ephemeral goes to who is there, and is not stored', async (t) => {
  const { push, inbox, gateways } = await setup(t, { gateways: 1 })
  await gateways[0]?.hold('alice', [{ session: 's' }])
  t.match(await push({ to: { user: 'alice' }, data: 'now', ephemeral: true }), { accepted: 1 })
  t.match(await push({ to: { users: ['alice', 'bob'] }, data: 'now', ephemeral: true }), { accepted: 2 })
  await delivered()
  t.equal(gateways[0]?.received.get('alice')?.ephemeral.length, 2)
  t.same(await inbox('alice'), [])
})

t.test('a topic is expanded by a worker', async (t) => {
  const seen: v1.TopicPush[] = []
  const { push, bus, counted } = await setup(t)
  t.match(await push({ to: { topic: 'news' }, data: 1, id: 'a' }), { code: 'bus_unavailable', retryAfterMs: Number }, 'no worker')
  let failures = 0
  const stop = await bus.serve(
    'c2s.topic',
    (bytes) => {
      seen.push(v1.TopicPush.decode(bytes))
      if (failures-- > 0) throw new Error('lost')
      return v1.TopicPushed.encode({ accepted: 7 }).finish()
    },
    'q',
  )
  t.same(
    await push({ to: { topic: 'news' }, data: { x: 1 }, id: 'a', from: 'bob' }),
    { id: 'a', accepted: 7 },
    'a failure is not remembered',
  )
  t.match(seen[0], { ephemeral: false, dedupe: 'p:a', envelope: { id: 'a', topic: 'news', from: 'bob', time: NOW } })
  stop()
  await bus.serve('c2s.topic', () => v1.TopicPushed.encode({ error: { code: 'bus_unavailable', message: 'half' } }).finish(), 'q')
  t.match(await push({ to: { topic: 'news' }, data: 1 }), { code: 'bus_unavailable', reason: /half/ })
  t.same(counted, ['topic bus_unavailable', 'topic done', 'topic bus_unavailable'])
})

t.test('a worker that does not answer: durable pushes are repeated, ephemeral ones are not', async (t) => {
  const broker = await setup(t)
  const attempts: Record<string, number> = {}
  const request: Bus['request'] = async (_address, bytes) => {
    const { dedupe, ephemeral } = v1.TopicPush.decode(bytes)
    attempts[dedupe] = (attempts[dedupe] ?? 0) + 1
    if (attempts[dedupe] < 3 || ephemeral) throw new BusError('timeout')
    return v1.TopicPushed.encode({ accepted: 1 }).finish()
  }
  const bus = new Proxy(broker.bus, { get: (target, key) => (key === 'request' ? request : Reflect.get(target, key).bind?.(target)) })
  const { push } = await setup(t, { bus })
  t.match(await push({ to: { topic: 'n' }, data: 1, id: 'a' }), { accepted: 1 })
  t.match(await push({ to: { topic: 'n' }, data: 1, id: 'b', ephemeral: true }), { code: 'bus_unavailable' })
  t.same(attempts, { 'p:a': 3, 'p:b': 1 })
})

t.test('all: every user with a session, on every node, once', async (t) => {
  const { push, inbox, gateways } = await setup(t, { gateways: 3 })
  const [one, two] = gateways
  await one?.hold('alice', [{ session: 'a' }])
  await one?.hold('bob', [{ session: 'b1' }])
  await two?.hold('bob', [{ session: 'b2' }])
  t.match(await push({ to: { all: true }, data: 'hi' }), { accepted: 2 }, 'bob, who is on two nodes, counts once')
  t.same((await inbox('bob')).map(data), ['hi'])
  await delivered()
  t.equal(two?.received.get('bob')?.durable.length, 1)
  t.match(await push({ to: { all: true }, data: 'hi', ephemeral: true }), { accepted: 3 })
  t.equal(one?.received.get('bob')?.ephemeral.length, 1, 'each session once')
  t.equal(two?.received.get('bob')?.ephemeral.length, 1)
  t.same((await inbox('carol')).length, 0)
})

t.test('all: a node that is gone has nobody; one that is silent may have', async (t) => {
  const { bus } = await setup(t)
  const silent = { address: 's', name: 's', since: 0 }
  const cluster = new Cluster({ bus, peers: { list: () => [{ ...silent, address: 'gone' }] }, self: undefined, timeoutMs: 20 })
  t.equal(await cluster.pushAll({}), 0)
  t.same(await cluster.stats(), [])
  await bus.serve('gw.s', () => new Promise(() => undefined))
  const other = new Cluster({ bus, peers: { list: () => [silent] }, self: undefined, timeoutMs: 20 })
  await t.rejects(other.pushAll({}), { code: 'timeout' })
  t.same(await other.stats(), [], 'no numbers of it, but of the others')
})

t.test('limits, at one more and one less', async (t) => {
  const { push } = await setup(t)
  const to = { user: 'a' }
  const ok = { accepted: 1 }
  const malformed = { code: 'malformed' }
  t.match(await push({ to, data: 'x'.repeat(998) }), ok, '1,000 bytes of JSON')
  t.match(await push({ to, data: 'x'.repeat(999) }), { code: 'too_large' }, '1,001')
  t.match(await push({ to, data: 'é'.repeat(500) }), { code: 'too_large' }, 'bytes, not characters')
  t.match(await push({ to, data: 1, id: 'x'.repeat(128) }), ok)
  t.match(await push({ to, data: 1, id: 'x'.repeat(129) }), malformed)
  t.match(await push({ to, data: 1, id: 'é'.repeat(65) }), malformed)
  t.match(await push({ to, data: 1, id: '' }), malformed)
  t.match(await push({ to, data: 1, id: 'a\r\nb' }), malformed)
  t.match(await push({ to: { user: 'x'.repeat(256) }, data: 1 }), ok)
  t.match(await push({ to: { user: 'x'.repeat(257) }, data: 1 }), malformed)
  t.match(await push({ to: { user: '' }, data: 1 }), malformed)
  t.match(await push({ to, data: 1, from: 'a\n' }), malformed)
  t.match(await push({ to: { topic: 'a*' }, data: 1 }), malformed)
  t.match(await push({ to: { topic: 'x'.repeat(257) }, data: 1 }), malformed)
  t.match(await push({ to, data: undefined }), malformed)
})

t.test('the bus is away', async (t) => {
  const { push, bus, counted } = await setup(t)
  await bus.close()
  t.match(await push({ to: { user: 'a' }, data: 1 }), { code: 'bus_unavailable', retryAfterMs: Number })
  t.match(await push({ to: { user: 'a' }, data: 1, ephemeral: true }), { code: 'bus_unavailable' })
  t.match(await push({ to: { users: ['a', 'b'] }, data: 1 }), { code: 'bus_unavailable' })
  t.match(await push({ to: { topic: 'a' }, data: 1 }), { code: 'bus_unavailable' })
  t.equal(counted.length, 4)
})
