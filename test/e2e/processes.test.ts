// Two gateways, two c2s workers and nats-server as processes of their own; then each of them killed under load.

import t, { type Test } from 'tap'
import { type HoldwireProcess, startProcess } from '../support/holdwire-process.js'
import { getNatsServer, type NatsServer, startNats } from '../support/nats-server.js'
import { Pusher, Subscriber, type Via } from '../support/subscriber.js'

const binary = await getNatsServer()

interface World {
  readonly nats: NatsServer
  readonly gateways: HoldwireProcess[]
  readonly workers: HoldwireProcess[]
}

async function start(...flags: string[]): Promise<World> {
  const nats = await startNats()
  const common = ['--nats-url', nats.url, '--inbox-max-messages', '50000', '--presence-linger-seconds', '1', ...flags]
  // The first makes the streams; the others then start together.
  const first = await startProcess('gateway', ...common, '--node-id', 'gw1')
  const [second, ...workers] = await Promise.all([
    startProcess('gateway', ...common, '--node-id', 'gw2'),
    startProcess('c2s', ...common, '--node-id', 'c2s1'),
    startProcess('c2s', ...common, '--node-id', 'c2s2'),
  ])
  return { nats, gateways: [first, second], workers }
}

async function stop({ nats, gateways, workers }: World): Promise<void> {
  await Promise.all([...gateways, ...workers].map((process) => process.stop()))
  await nats.stop()
}

function urls(gateways: readonly HoldwireProcess[]): [string, string] {
  return [gateways[0]?.clientUrl ?? '', gateways[1]?.clientUrl ?? '']
}

async function send(url: string, session: string, frame: object): Promise<{ ok: boolean; result?: unknown; error?: { code: string } }> {
  const response = await fetch(`${url}/send?session=${session}`, { method: 'POST', body: JSON.stringify({ ref: '1', ...frame }) })
  const body = (await response.json()) as { frames: { ok: boolean; result?: unknown; error?: { code: string } }[] }
  return body.frames[0] ?? { ok: false }
}

/** Exactly the accepted numbers, each once, in order; a number may be there that was accepted without the pusher hearing of it. */
function check(t: Test, subscriber: Subscriber, accepted: readonly number[]): void {
  const handled = subscriber.handled as number[]
  const got = new Set(handled)
  t.same(
    accepted.filter((number) => !got.has(number)),
    [],
    `${subscriber.user}: nothing of ${accepted.length} accepted messages is lost`,
  )
  const unordered = handled.filter((number, i) => i > 0 && number <= (handled[i - 1] ?? -1))
  t.same(unordered, [], `${subscriber.user}: in order, none twice`)
}

t.test('six processes', { skip: binary === undefined ? 'no nats-server' : false, timeout: 180_000 }, async (t) => {
  const world = await start('--resume-seconds', '20')
  t.teardown(() => stop(world))
  const [url1, url2] = urls(world.gateways)
  const internal = world.gateways.map(({ internalUrl }) => internalUrl)

  await t.test('alice over SSE, bob over WebSocket, carol polling both gateways in turn', async (t) => {
    const alice = new Subscriber('alice')
    const bob = new Subscriber('bob')
    const carol = new Subscriber('carol')
    t.teardown(() => {
      for (const one of [alice, bob, carol]) one.cut()
    })
    await Promise.all([alice.connect('sse', url1), bob.connect('websocket', url2), carol.connect('poll', url1, url2)])

    const contacts: [Subscriber, Subscriber][] = [
      [alice, bob],
      [bob, carol],
      [carol, alice],
    ]
    for (const [asking, asked] of contacts) {
      t.match(await send(url1, asking.session, { type: 'roster', op: 'subscribe', user: asked.user }), { ok: true })
      await asked.until(
        () => asked.ofType('roster').some(({ op, user }) => op === 'request' && user === asking.user),
        5000,
        'a roster request',
      )
      t.match(await send(url2, asked.session, { type: 'roster', op: 'approve', user: asking.user }), { ok: true })
      await asking.until(
        () => asking.ofType('presence').some(({ user, status }) => user === asked.user && status === 'online'),
        5000,
        'presence',
      )
    }
    await send(url2, bob.session, { type: 'presence', status: 'away', note: 'lunch' })
    await alice.until(
      () => alice.ofType('presence').some(({ user, status, note }) => user === 'bob' && status === 'away' && note === 'lunch'),
      5000,
      'away',
    )

    for (let i = 0; i < 50; i++) {
      const replies = await Promise.all([
        send(url2, alice.session, { type: 'message', to: 'bob', data: ['alice', i] }),
        send(url1, bob.session, { type: 'message', to: 'carol', data: ['bob', i] }),
        send(i % 2 ? url1 : url2, carol.session, { type: 'message', to: 'alice', data: ['carol', i] }),
      ])
      t.ok(replies.every(({ ok }) => ok))
    }
    const pusher = new Pusher(internal[0] ?? '')
    for (let i = 0; i < 50; i++) for (const user of ['alice', 'bob', 'carol']) await pusher.push(user, i + 1000)
    pusher.close()
    for (const [subscriber, from] of [
      [alice, 'carol'],
      [bob, 'alice'],
      [carol, 'bob'],
    ] as const) {
      await subscriber.until(() => subscriber.handled.length >= 100, 30_000, 'all messages')
      const expected = [...Array.from({ length: 50 }, (_, i) => [from, i]), ...Array.from({ length: 50 }, (_, i) => i + 1000)]
      t.same(subscriber.handled, expected, `${subscriber.user} got all in order`)
    }
    bob.cut()
    const status = await fetch(`${internal[0]}/api/v1/users/bob`, { method: 'DELETE' })
    t.ok(status.ok)
    await alice.until(() => alice.ofType('presence').at(-1)?.status === 'offline', 8000, 'offline')
  })

  await t.test('cut at 2,000 messages a second, resumed elsewhere: nothing lost, nothing twice', async (t) => {
    const vias: Via[] = ['websocket', 'sse', 'poll']
    const users = ['r1', 'r2', 'r3', 'r4']
    let done = false
    const pushers = users.map((_, i) => new Pusher(internal[i % 2] ?? ''))
    const subscribers = users.map((user) => new Subscriber(user))
    await Promise.all(subscribers.map((subscriber, i) => subscriber.connect(vias[i % 3] ?? 'sse', i % 2 ? url1 : url2)))
    const startMs = performance.now()
    const pushing = Promise.all(pushers.map((pusher, i) => pusher.run(users[i] ?? '', 500, () => done, 5)))
    let resumes = 0
    for (let round = 0; round < 9; round++) {
      await new Promise((resolve) => setTimeout(resolve, 250))
      for (const [i, subscriber] of subscribers.entries()) {
        subscriber.cut()
        const via = vias[(i + round + 1) % 3] ?? 'sse'
        const [first, second] = round % 2 ? [url1, url2] : [url2, url1]
        if (via === 'poll') await subscriber.connect(via, first, second)
        else await subscriber.connect(via, first)
        t.equal(subscriber.recovered, true, `${subscriber.user} over ${via}`)
        resumes++
      }
    }
    done = true
    await pushing
    const seconds = (performance.now() - startMs) / 1000
    const total = pushers.reduce((sum, { accepted }) => sum + accepted.length, 0)
    t.comment(`${total} messages in ${seconds.toFixed(1)} s, ${resumes} resumes`)
    for (const [i, subscriber] of subscribers.entries()) {
      const accepted = pushers[i]?.accepted ?? []
      const all = subscriber.until(() => subscriber.handled.length >= accepted.length, 15_000, 'the rest')
      await all.catch((error) => t.fail(error))
      check(t, subscriber, accepted)
      t.same(subscriber.ofType('gap'), [])
      subscriber.cut()
      pushers[i]?.close()
    }
  })

  for (const victim of ['c2s worker', 'nats-server', 'gateway'] as const) {
    await t.test(`kill -9 of a ${victim} under load: all that was accepted arrives, in order`, async (t) => {
      const users = ['k1', 'k2', 'k3', 'k4'].map((user) => `${user}-${victim.replaceAll(' ', '')}`)
      const subscribers = users.map((user) => new Subscriber(user))
      const vias: Via[] = ['websocket', 'sse', 'poll', 'websocket']
      // The gateway to be killed is the first; clients of it come back to the second.
      await Promise.all(subscribers.map((subscriber, i) => subscriber.connect(vias[i] ?? 'sse', i < 3 ? url1 : url2)))
      let done = false
      const pushers = users.map(() => new Pusher(internal[1] ?? '', internal[0] ?? ''))
      const pushing = Promise.all(pushers.map((pusher, i) => pusher.run(users[i] ?? '', 500, () => done)))
      await new Promise((resolve) => setTimeout(resolve, 700))
      if (victim === 'c2s worker') await world.workers[0]?.kill9()
      if (victim === 'nats-server') {
        await world.nats.kill9()
        await new Promise((resolve) => setTimeout(resolve, 500))
        await world.nats.restart()
      }
      if (victim === 'gateway') {
        await world.gateways[0]?.kill9()
        for (const [i, subscriber] of subscribers.entries()) {
          if (i >= 3) continue
          await subscriber.connect(vias[i] ?? 'sse', url2)
          t.equal(subscriber.recovered, true, `${subscriber.user} goes on at the other gateway`)
        }
      }
      await new Promise((resolve) => setTimeout(resolve, victim === 'nats-server' ? 4000 : 1500))
      if (victim === 'c2s worker') {
        for (const subscriber of subscribers) {
          const reply = await send(url2, subscriber.session, { type: 'history', limit: 1 })
          t.match(reply, { ok: true }, `${subscriber.user} goes on at the other worker`)
        }
      }
      done = true
      await pushing
      for (const [i, subscriber] of subscribers.entries()) {
        const accepted = pushers[i]?.accepted ?? []
        t.ok(accepted.length > 100, `${accepted.length} accepted`)
        await subscriber.until(() => subscriber.handled.length >= accepted.length, 20_000, 'the rest')
        check(t, subscriber, accepted)
        t.same(subscriber.ofType('gap'), [], 'no gap')
        subscriber.cut()
        pushers[i]?.close()
      }
    })
  }
})
