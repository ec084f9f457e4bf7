// BOSH over two gateways, each request to the other one: a conversation, the death of the node that has the session, its planned
// end, and the death of a c2s worker.

import t, { type Test } from 'tap'
import { BoshClient } from '../support/bosh-client.js'
import { type HoldwireProcess, startProcess } from '../support/holdwire-process.js'
import { getNatsServer, startNats } from '../support/nats-server.js'
import { Subscriber } from '../support/subscriber.js'

const binary = await getNatsServer()
const TALK_MS = Number(process.env.HOLDWIRE_TALK_SECONDS ?? 2) * 1000
const STEP_MS = 20

interface World {
  readonly gateways: HoldwireProcess[]
  readonly workers: HoldwireProcess[]
  readonly urls: readonly string[]
}

async function start(t: Test): Promise<World> {
  const nats = await startNats()
  const common = ['--nats-url', nats.url, '--presence-linger-seconds', '1', '--inbox-max-messages', '20000']
  const first = await startProcess('gateway', ...common, '--node-id', 'gw1')
  const [second, ...workers] = await Promise.all([
    startProcess('gateway', ...common, '--node-id', 'gw2', '--drain-seconds', '10'),
    startProcess('c2s', ...common, '--node-id', 'c2s1'),
    startProcess('c2s', ...common, '--node-id', 'c2s2'),
  ])
  const gateways = [first, second]
  t.teardown(async () => {
    await Promise.all([...gateways, ...workers].map((process) => process.stop()))
    await nats.stop()
  })
  return { gateways, workers, urls: gateways.map(({ clientUrl }) => clientUrl) }
}

/** Both talk to each other until `done`; afterwards each has heard the other out. */
async function talk(alice: BoshClient, bob: BoshClient, done: () => boolean): Promise<number> {
  let number = 0
  while (!done()) {
    alice.message('bob@localhost', `a${number}`)
    bob.message('alice@localhost', `b${number}`)
    number++
    await new Promise((resolve) => setTimeout(resolve, STEP_MS))
  }
  const last = number - 1
  await alice.until(() => alice.bodies.includes(`b${last}`), 30_000, `b${last} of ${number}`)
  await bob.until(() => bob.bodies.includes(`a${last}`), 30_000, `a${last} of ${number}`)
  return number
}

function numbers(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${prefix}${i}`)
}

function stanzaIds(client: BoshClient): string[] {
  return client.stanzas.flatMap((stanza) => (stanza.includes('<body>') ? (/<stanza-id [^>]*id='([^']+)'/.exec(stanza)?.[1] ?? 'none') : []))
}

async function both(urls: readonly string[], suffix: string): Promise<[BoshClient, BoshClient]> {
  const clients: [BoshClient, BoshClient] = [new BoshClient('alice', urls), new BoshClient('bob', [...urls].reverse())]
  await Promise.all(clients.map((client) => client.login('x', `r${suffix}`)))
  return clients
}

/** What came, without what the server marks as the same message again. */
function once(client: BoshClient): string[] {
  const seen = new Set<string>()
  const ids = stanzaIds(client)
  return client.bodies.filter((_, i) => !seen.has(ids[i] ?? '') && seen.add(ids[i] ?? ''))
}

t.test('BOSH without affinity', { skip: binary === undefined ? 'no nats-server' : false, timeout: 240_000 + 4 * TALK_MS }, async (t) => {
  await t.test('a conversation over two gateways, request by request: nothing lost, nothing twice', async (t) => {
    const { urls } = await start(t)
    const [alice, bob] = await both(urls, '1')
    const until = Date.now() + TALK_MS
    const count = await talk(alice, bob, () => Date.now() > until)
    t.same(alice.bodies, numbers('b', count))
    t.same(bob.bodies, numbers('a', count))
    t.comment(`${count} messages each way`)
    const carol = new Subscriber('carol')
    t.teardown(() => carol.cut())
    await carol.connect('sse', urls[0] ?? '')
    alice.send("<presence xmlns='jabber:client' type='subscribe' to='carol@localhost'/>")
    await carol.until(() => carol.ofType('roster').some(({ op, user }) => op === 'request' && user === 'alice'), 20_000, 'a request')
    const session = carol.session
    const frame = { ref: '1', type: 'roster', op: 'approve', user: 'alice' }
    const approved = await fetch(`${urls[1]}/send?session=${session}`, { method: 'POST', body: JSON.stringify(frame) })
    t.match(await approved.json(), { frames: [{ ok: true }] })
    await alice.until(
      () => alice.stanzas.some((stanza) => /^<presence[^>]*from='carol@localhost\/holdwire'/.test(stanza)),
      20_000,
      'presence of carol',
    )
    alice.message('carol@localhost', 'hello carol')
    await carol.until(() => carol.handled.length > 0, 20_000, 'a message')
    await Promise.all([alice.logout(), bob.logout()])
  })

  await t.test('kill -9 of the gateway that has the sessions: they go on at the other one', async (t) => {
    const { gateways, urls } = await start(t)
    const [first] = gateways
    // Sessions are where they were created.
    const [alice, bob] = await both([urls[0] ?? '', urls[1] ?? ''], '2')
    const killAt = Date.now() + TALK_MS / 2
    const until = Date.now() + TALK_MS
    let killed = false
    const count = await talk(alice, bob, () => {
      if (!killed && Date.now() > killAt) {
        killed = true
        first?.kill9().catch((error: unknown) => t.error(error))
      }
      return killed && Date.now() > until
    })
    t.equal(alice.ended, undefined)
    t.equal(bob.ended, undefined)
    for (const [client, prefix] of [
      [alice, 'b'],
      [bob, 'a'],
    ] as const) {
      const got = new Set(client.bodies)
      t.same(
        numbers(prefix, count).filter((body) => !got.has(body)),
        [],
        `${client.user}: nothing of ${count} is lost`,
      )
      t.same(once(client), numbers(prefix, count), 'what is marked as the same message aside, each once and in order')
      t.comment(`${client.user}: ${client.bodies.length - count} came again, ${client.repeats} requests were repeated`)
    }
    await Promise.all([alice.logout(), bob.logout()])
  })

  await t.test('SIGTERM of the gateway that has the sessions: the clients do not notice', async (t) => {
    const { gateways, urls } = await start(t)
    const [, second] = gateways
    const [alice, bob] = await both(urls, '3')
    const stopAt = Date.now() + TALK_MS / 2
    const until = Date.now() + TALK_MS
    let stopping: Promise<number | null> | undefined
    const count = await talk(alice, bob, () => {
      if (stopping === undefined && Date.now() > stopAt) stopping = second?.stop()
      return stopping !== undefined && Date.now() > until
    })
    t.equal(await stopping, 0)
    t.same(alice.bodies, numbers('b', count))
    t.same(bob.bodies, numbers('a', count))
    t.comment(`${count} messages each way; ${alice.repeats + bob.repeats} requests were repeated`)
    await Promise.all([alice.logout(), bob.logout()])
  })

  await t.test('kill -9 of a c2s worker: nobody notices', async (t) => {
    const { workers, urls } = await start(t)
    const [alice, bob] = await both(urls, '4')
    const killAt = Date.now() + TALK_MS / 2
    const until = Date.now() + TALK_MS
    let killed = false
    const count = await talk(alice, bob, () => {
      if (!killed && Date.now() > killAt) {
        killed = true
        workers[0]?.kill9().catch((error: unknown) => t.error(error))
      }
      return killed && Date.now() > until
    })
    t.same(alice.bodies, numbers('b', count))
    t.same(bob.bodies, numbers('a', count))
    await Promise.all([alice.logout(), bob.logout()])
  })
})
