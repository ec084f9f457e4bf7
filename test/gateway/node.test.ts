// A gateway node as it is put together: what becomes of messages to a client that has gone.

import t, { type Test } from 'tap'
import { systemClock } from '../../bus/clock.js'
import { EmbeddedBroker } from '../../bus/embedded-bus.js'
import { Peers } from '../../bus/peers.js'
import { createAuthenticator } from '../../gateway/auth/authenticator.js'
import type { CloseReason } from '../../gateway/close-reason.js'
import { loadConfig } from '../../gateway/config.js'
import { createLogger } from '../../gateway/logger.js'
import { Metrics } from '../../gateway/metrics.js'
import { GatewayNode } from '../../gateway/node.js'
import { v1 } from '../../proto/messages.js'
import { bindXmpp } from '../support/gateway-rig.js'

interface Bench {
  readonly bus: ReturnType<EmbeddedBroker['bus']>
  readonly node: GatewayNode
  readonly log: string[]
}

async function bench(t: Test): Promise<Bench> {
  const config = loadConfig({ argv: [], env: {}, readFile: () => '', hostname: 'h' })
  const log: string[] = []
  const broker = await EmbeddedBroker.open({
    inboxMaxMessages: 1000,
    inboxMaxAgeSeconds: 3600,
    maxMessageBytes: 1 << 20,
    duplicateWindowSeconds: 60,
    requestTimeoutMs: 1000,
    maxInFlight: 1000,
    dataDir: undefined,
    onError: (error) => t.error(error),
  })
  const bus = broker.bus()
  const onError = (error: unknown) => t.error(error)
  const peers = await Peers.start({
    bus,
    role: 'gw',
    address: 'node0001',
    name: 'n',
    track: ['gw', 'c2s'],
    beatMs: 2000,
    clock: systemClock,
    onError,
  })
  const logger = createLogger(config, { write: (line) => void log.push(line) })
  const options = { bus, config, address: 'node0001', peers, metrics: new Metrics(), log: logger }
  const node = await GatewayNode.create({ ...options, authenticator: createAuthenticator(config) })
  await bus.serve('c2s.open', () => v1.OpenedSession.encode({ worker: 'c2s.w.w1' }).finish())
  await bus.serve('c2s.w.w1', () => new Uint8Array())
  t.teardown(async () => {
    await node.stop()
    await peers.stop()
    await broker.close(50)
  })
  return { bus, node, log }
}

function letter(id: string, resource: string, expires = 0): Uint8Array {
  const xml = Buffer.from(`<message xmlns='jabber:client' id='${id}' from='bob@localhost/r'><body>x</body></message>`)
  return v1.Envelope.encode({ id, from: 'bob', time: Date.now(), xml, data: Buffer.from('{}'), resource, expires }).finish()
}

/** What is in alice's inbox: `<id>/<resource>`. */
async function inbox({ bus }: Bench): Promise<string[]> {
  // What is published when a session ends is on its way.
  await new Promise((resolve) => setTimeout(resolve, 20))
  const { messages } = await bus.read('alice', 0, 100)
  return messages.map(({ data }) => v1.Envelope.decode(data)).map(({ id, resource }) => `${id}/${resource}`)
}

const ENDS: Readonly<Record<'done' | 'draining' | 'replaced', CloseReason>> = {
  done: { code: 'done', reason: 'left' },
  draining: { code: 'draining', reason: 'going away' },
  replaced: { code: 'replaced', reason: 'there is a newer one' },
}

t.test('what was sent to a resource and never arrived goes to the user, unless the resource can still get it', async (t) => {
  const world = await bench(t)
  const { bus, node } = world
  const cases = [
    ['home', false, 'done', true],
    ['home', false, 'draining', false],
    ['home', false, 'replaced', false],
    ['made-up', true, 'done', true],
    ['made-up', true, 'draining', true],
    ['made-up', true, 'replaced', false],
    ['x'.repeat(201), false, 'draining', true],
  ] as const
  const expected: string[] = []
  for (const [i, [resource, generated, end, redirects]] of cases.entries()) {
    const { session, client } = await bindXmpp(world.node, resource, generated)
    await bus.publish('alice', `m${i}`, letter(`m${i}`, resource))
    await client.until(`m${i}`)
    session.close(ENDS[end])
    expected.push(`m${i}/${resource}`)
    if (redirects) expected.push(`m${i}/`)
    t.same(await inbox(world), expected, `${resource.slice(0, 8)} ${end}`)
  }
  const { session } = await bindXmpp(world.node, 'gone', false)
  await bus.publish('alice', 'moved', letter('moved', 'gone'))
  node.hub.moved(session, 'node0002', 'node0002.1.secret')
  t.same(await inbox(world), [...expected, 'moved/gone'])
})

t.test('it does not live longer for that', async (t) => {
  const world = await bench(t)
  const { session, client } = await bindXmpp(world.node, 'home', false)
  const expires = Date.now() + 60_000
  await world.bus.publish('alice', 'm', letter('m', 'home', expires))
  await client.until('m')
  session.close(ENDS.done)
  await inbox(world)
  const { messages } = await world.bus.read('alice', 0, 100)
  t.same(
    messages.map(({ data }) => v1.Envelope.decode(data).expires),
    [expires, expires],
  )
})

t.test('requests are bounced; what is no XML does no harm', async (t) => {
  const world = await bench(t)
  const bob: string[] = []
  await world.bus.attach('bob', {
    durable: () => undefined,
    ephemeral: (data) => void bob.push(Buffer.from(v1.Envelope.decode(data).xml).toString()),
    asked: () => undefined,
    lost: () => undefined,
  })
  const { session } = await bindXmpp(world.node, 'home', false)
  const push = (xml: string) => world.bus.push('alice', v1.Envelope.encode({ xml: Buffer.from(xml), resource: 'home' }).finish())
  push("<iq xmlns='jabber:client' type='get' id='1' from='bob@localhost/r'><q xmlns='u:q'/></iq>")
  push('<iq this is none')
  await new Promise((resolve) => setTimeout(resolve, 20))
  session.close(ENDS.done)
  await new Promise((resolve) => setTimeout(resolve, 20))
  t.equal(bob.length, 1)
  t.match(bob[0], /type='error'.*service-unavailable/)
  t.same(
    world.log.filter((line) => line.includes('failed')),
    [],
  )
})
