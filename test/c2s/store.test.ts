// What the workers keep, on both kinds of bus; and the services once through on NATS.

import t from 'tap'
import type { Bus } from '../../bus/bus.js'
import { systemClock } from '../../bus/clock.js'
import { connectNats } from '../../bus/nats-bus.js'
import { Peers } from '../../bus/peers.js'
import { DEFAULT_LIMITS } from '../../c2s/limits.js'
import { startWorker } from '../../c2s/worker.js'
import { World } from '../support/c2s-world.js'
import { FakeGateway, type FakeSession } from '../support/fake-gateway.js'
import { getNatsServer, type NatsServer, startNats } from '../support/nats-server.js'
import { storeSuite } from '../support/store-suite.js'
import { describe } from '../support/xmpp-words.js'

const binary = await getNatsServer()
const errors: unknown[] = []
let names = 0

function connect(nats: NatsServer): Promise<Bus> {
  return connectNats({
    servers: [nats.url],
    name: `c2s-store-${++names}`,
    partitions: 2,
    replicas: 1,
    inboxMaxMessages: 1000,
    inboxMaxAgeSeconds: 3600,
    maxMessageBytes: 65_536,
    duplicateWindowSeconds: 60,
    requestTimeoutMs: 3000,
    maxInFlight: 256,
    pingIntervalMs: 10_000,
    sweepSeconds: 600,
    onError: (error) => errors.push(error),
  })
}

async function until(what: string, check: () => boolean): Promise<void> {
  const deadline = Date.now() + 5000
  while (!check()) {
    if (Date.now() > deadline) throw new Error(`waited in vain until ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

storeSuite(t, 'the embedded bus', async () => {
  const world = await World.open(t)
  return [world.bus(), world.bus()]
})

t.test('on NATS', binary === undefined ? { skip: 'no nats-server here, and none to be had (stderr says why)' } : {}, async (t) => {
  const nats = await startNats()
  t.teardown(() => nats.stop())
  storeSuite(t, 'the NATS bus', async () => [await connect(nats), await connect(nats)])

  t.test('two gateways, two workers, one of which dies', async (t) => {
    const log = { info: () => {}, warn: () => {}, error: () => {} }
    const onError = (error: unknown): void => void errors.push(error)
    const ends: (() => Promise<void>)[] = []
    t.teardown(async () => {
      for (const end of ends.reverse()) await end()
    })
    const worker = async (address: string): Promise<() => Promise<void>> => {
      const bus = await connect(nats)
      const peers = await Peers.start({
        bus,
        role: 'c2s',
        address,
        name: address,
        track: ['gw', 'c2s'],
        beatMs: 500,
        clock: systemClock,
        onError,
      })
      const running = await startWorker({
        bus,
        address,
        name: address,
        peers,
        limits: DEFAULT_LIMITS,
        lingerMs: 200,
        sweepDelayMs: 60_000,
        xmppDomain: 'localhost',
        version: '0.0.0',
        logins: { dev: true, anonymous: true, verifyToken: undefined },
        log,
        observe: () => {},
        onError,
      })
      const end = async (): Promise<void> => {
        await running.stop()
        await peers.stop()
        await bus.close(100)
      }
      ends.push(end)
      return end
    }
    const gateway = async (address: string): Promise<FakeGateway> => {
      const bus = await connect(nats)
      ends.push(() => bus.close(100))
      return new FakeGateway(bus, address)
    }
    const first = await worker('worker-1')
    await worker('worker-2')
    const [one, two] = [await gateway('gate-1'), await gateway('gate-2')]
    const alice = await one.open('alice', { anyTopic: true })
    const bob = await two.open('bob', { anyTopic: true })
    const statuses = (session: FakeSession): string => session.got.flatMap((got) => (got.kind === 'presence' ? [got.status] : [])).join()

    t.ok((await alice.ask({ roster: { op: 'subscribe', user: 'bob' } })).ok)
    t.ok((await bob.ask({ roster: { op: 'approve', user: 'alice' } })).ok)
    await until('alice sees bob', () => statuses(alice) === 'online')
    for (const session of [alice, bob]) t.ok((await session.ask({ subscribe: { topic: 'news' } })).ok)
    for (let n = 0; n < 50; n++) {
      if (n === 20) await first()
      t.ok((await alice.ask({ message: { to: 'bob', data: Buffer.from(String(n)) } })).ok)
      if (n % 10 === 0) t.ok((await bob.ask({ message: { topic: 'news', data: Buffer.from(`"news ${n}"`) } })).ok)
    }
    await until('all of it came', () => bob.got.filter(({ kind }) => kind === 'message').length >= 55)
    const numbers = bob.take('message').map(({ data }) => data)
    t.same(
      numbers.filter((data) => typeof data === 'number'),
      Array.from({ length: 50 }, (_, n) => n),
    )
    t.equal(alice.take('message').length, 5)
    const page = await alice.ask({ history: { limit: 2 } })
    t.match(page.result, { messages: [{ data: 'news 30' }, { data: 'news 40' }] })
    await bob.bye()
    await until('bob is gone', () => statuses(alice) === 'online,offline')
    const again = await one.open('bob')
    await until('bob is back', () => statuses(alice) === 'online,offline,online')
    t.ok(again.status === 'online')

    // XMPP clients of both who come at the same moment, each at another gateway.
    const clients = [await one.open('alice', { resource: 'x' }), await two.open('bob', { resource: 'y' })] as const
    await clients[0].say(`<presence xmlns='jabber:client' to='bob@localhost' type='subscribed'/>`)
    await clients[1].say(`<presence xmlns='jabber:client' to='alice@localhost' type='subscribe'/>`)
    await clients[0].say(`<presence xmlns='jabber:client' to='bob@localhost' type='subscribed'/>`)
    await Promise.all(clients.map((client) => client.say(`<presence xmlns='jabber:client'/>`)))
    const seenBy = (client: FakeSession): string =>
      [...new Set(client.stanzas.map((stanza) => stanza.attribute('from')).filter((from) => from.includes('/')))].sort().join()
    const all = 'alice@localhost/holdwire,alice@localhost/x,bob@localhost/holdwire,bob@localhost/y'
    await until('all see all', () => clients.every((client) => seenBy(client) === all))
    await clients[1].bye()
    await until('one is gone', () => clients[0].stanzas.map(describe).includes('bob/y → alice: unavailable'))
  })
})

t.test('no bugs were reported', async (t) => {
  t.same(errors, [])
})
