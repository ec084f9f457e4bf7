// Presence: who is told what, once, and when; and what happens when gateways and workers go.

import t from 'tap'
import type { Bus } from '../../bus/bus.js'
import { DEFAULT_LIMITS } from '../../c2s/limits.js'
import { presenceCodec } from '../../c2s/presence-record.js'
import { openServices } from '../../c2s/services.js'
import { BEAT_MS, changed, LINGER_MS, SWEEP_DELAY_MS, World } from '../support/c2s-world.js'
import type { FakeGateway, FakeSession } from '../support/fake-gateway.js'
import { ManualClock } from '../support/manual-clock.js'

/** Both see each other. */
async function befriend(world: World, gateway: FakeGateway, a: string, b: string): Promise<void> {
  const [one, two] = [await gateway.open(a), await gateway.open(b)]
  await one.ask({ roster: { op: 'subscribe', user: b } })
  await two.ask({ roster: { op: 'approve', user: a } })
  await two.ask({ roster: { op: 'subscribe', user: a } })
  await one.ask({ roster: { op: 'approve', user: b } })
  await one.bye()
  await two.bye()
  await world.pass(2 * LINGER_MS + 1000)
}

async function told(world: World, session: FakeSession): Promise<string[]> {
  await world.settle()
  return session.take('presence').map(({ user, status, note }) => `${user} ${status}${note === '' ? '' : `: ${note}`}`)
}

async function record(world: World, user: string): Promise<{ status: string; lastSeen: number } | undefined> {
  const entry = await (await world.bus().bucket('presence')).get(user)
  return entry === undefined ? undefined : presenceCodec.decode(entry.value)
}

t.test('coming and going', async (t) => {
  const world = await World.open(t)
  await world.worker()
  await world.worker()
  const gateway = await world.gateway()
  await befriend(world, gateway, 'alice', 'bob')
  const bob = await gateway.open('bob')
  const stranger = await gateway.open('stranger')
  await told(world, bob)

  const first = await gateway.open('alice')
  await world.settle()
  t.same(await told(world, bob), ['alice online'], 'the first session: at once')
  const cameAt = world.clock.now()
  t.equal((await record(world, 'alice'))?.lastSeen, cameAt)
  const second = await (await world.gateway()).open('alice')
  await first.bye()
  await world.pass(2 * LINGER_MS)
  t.same(await told(world, bob), [], 'another session makes no difference')

  await second.bye()
  await world.pass(LINGER_MS - 500)
  t.same(await told(world, bob), [], 'the last one has ended: not yet')
  t.equal((await record(world, 'alice'))?.lastSeen, cameAt)
  await world.pass(500)
  t.same(await told(world, bob), ['alice offline'], 'after the linger')
  t.equal((await record(world, 'alice'))?.lastSeen, world.clock.now())
  await world.pass(3 * LINGER_MS)
  t.same(await told(world, bob), [])
  t.same(await told(world, stranger), [], 'only those who may see it')
  t.same(world.errors, [])
})

t.test('a client that flaps', async (t) => {
  const world = await World.open(t)
  await world.worker()
  await world.worker()
  const gateways = [await world.gateway(), await world.gateway()] as const
  await befriend(world, gateways[0], 'alice', 'bob')
  const bob = await gateways[0].open('bob')
  let alice = await gateways[0].open('alice')
  await told(world, bob)
  for (let n = 0; n < 20; n++) {
    await alice.bye()
    await world.pass(n % 3 === 0 ? LINGER_MS - 500 : 500)
    alice = await gateways[n % 2 === 0 ? 0 : 1].open('alice')
    await world.settle()
  }
  await world.pass(3 * LINGER_MS)
  t.same(await told(world, bob), [], 'is seen as online all the time')
})

t.test('what sessions say of themselves', async (t) => {
  const world = await World.open(t)
  await world.worker()
  await world.worker()
  const gateway = await world.gateway()
  await befriend(world, gateway, 'alice', 'bob')
  const bob = await gateway.open('bob')
  const desk = await gateway.open('alice')
  await told(world, bob)

  t.ok((await desk.ask({ presence: { status: 'away', note: 'lunch' } })).ok)
  t.same([desk.status, desk.note], ['away', 'lunch'], 'the gateway learns it')
  await desk.ask({ presence: { status: 'away', note: 'lunch' } })
  t.same(await told(world, bob), ['alice away: lunch'], 'told once')
  const phone = await (await world.gateway()).open('alice')
  t.same(await told(world, bob), ['alice online'], 'a new session is online')
  await phone.ask({ presence: { status: 'dnd', note: 'meeting' } })
  t.same(await told(world, bob), ['alice dnd: meeting'], 'dnd before away')
  await desk.ask({ presence: { status: 'away' } })
  t.same(await told(world, bob), [], 'what is outranked is not told')
  await phone.bye()
  await world.pass(LINGER_MS)
  t.same(await told(world, bob), ['alice away'], 'what is left')

  await desk.ask({ presence: { status: 'offline' } })
  await world.settle()
  t.same(await told(world, bob), ['alice offline'], 'on demand: at once')
  await desk.bye()
  await world.pass(2 * LINGER_MS)
  t.same(await told(world, bob), [])
  await gateway.open('alice')
  await world.settle()
  t.same(await told(world, bob), ['alice online'])

  for (const status of ['', 'busy', 'Online']) t.equal((await bob.ask({ presence: { status } })).code, 'malformed', status)
  t.ok((await bob.ask({ presence: { status: 'dnd', note: 'x'.repeat(1024) } })).ok)
  t.equal((await bob.ask({ presence: { status: 'away', note: 'x'.repeat(1025) } })).code, 'too_large')
  t.equal(bob.status, 'dnd', 'what is refused changes nothing')
  t.same(world.errors, [])
})

t.test('two sessions at once on two workers', async (t) => {
  const world = await World.open(t)
  await world.worker()
  const gateway = await world.gateway()
  await befriend(world, gateway, 'alice', 'bob')
  const bob = await gateway.open('bob')
  await told(world, bob)
  const sessions: FakeSession[] = []
  for (let n = 0; n < 6; n++) {
    await world.worker()
    sessions.push(await gateway.open(n < 3 ? 'alice' : 'carol'))
  }
  await Promise.all(sessions.slice(0, 3).map((session) => session.ask({ presence: { status: 'away' } })))
  await world.settle()
  await world.pass(LINGER_MS + 500)
  t.equal((await record(world, 'alice'))?.status, 'away', 'the last word is right')
  t.same((await told(world, bob)).at(-1), 'alice away')

  for (const session of sessions.slice(0, 3)) await session.bye()
  await world.pass(LINGER_MS + 500)
  t.same(await told(world, bob), ['alice offline'], 'told by one worker only')
  await Promise.all([gateway.open('alice'), gateway.open('alice'), gateway.open('alice')])
  await world.settle()
  t.same(await told(world, bob), ['alice online'], 'however many noticed it')
})

t.test('two sessions that change without knowing of each other', async (t) => {
  const world = await World.open(t)
  const waiting: (() => void)[] = []
  let together = false
  const slow = (bus: Bus): Bus =>
    changed(bus, {
      ask: async (...args) => {
        const answer = await bus.ask(...args)
        if (together) await new Promise<void>((resolve) => waiting.push(resolve))
        return answer
      },
    })
  const gateway = await world.gateway()
  const first = await world.worker(slow)
  await befriend(world, gateway, 'alice', 'bob')
  const bob = await gateway.open('bob')
  const phone = await gateway.open('alice')
  const second = await world.worker(slow)
  let desk = await gateway.open('alice')
  while (desk.worker === phone.worker) {
    await desk.bye()
    desk = await gateway.open('alice')
  }
  await world.pass(2 * LINGER_MS)
  await told(world, bob)
  together = true
  const both = Promise.all([phone.ask({ presence: { status: 'away' } }), desk.ask({ presence: { status: 'dnd' } })])
  await world.settle()
  t.equal(waiting.length, 2, 'both have seen the other one online')
  together = false
  for (const go of waiting) go()
  await both
  await world.pass(LINGER_MS)
  t.same((await told(world, bob)).at(-1), 'alice dnd', 'what is right is found out')
  t.ok(first.worker.sessions + second.worker.sessions > 2)
})

t.test('what a new session is told', async (t) => {
  const world = await World.open(t)
  await world.worker()
  const gateway = await world.gateway()
  for (const friend of ['bob', 'carol', 'dave']) await befriend(world, gateway, 'alice', friend)
  const bob = await gateway.open('bob')
  await bob.ask({ presence: { status: 'dnd', note: 'busy' } })
  await gateway.open('carol')
  const erin = await gateway.open('erin')
  await erin.ask({ roster: { op: 'subscribe', user: 'alice' } })
  const first = await gateway.open('alice')
  await world.settle()
  t.same((await told(world, first)).sort(), ['bob dnd: busy', 'carol online'], 'contacts that are not offline')
  t.match(first.take('roster'), [{ op: 'request', user: 'erin', subscription: 'none' }])
  const second = await gateway.open('alice')
  t.same((await told(world, second)).sort(), ['bob dnd: busy', 'carol online'])
  t.equal(second.take('roster').length, 1)
  t.same(first.got, [], 'it alone')
  await second.reopen()
  await world.settle()
  t.same(second.got, [], 'once: going on elsewhere is nothing new')
  t.same(await told(world, erin), [], 'asking is not seeing')
})

t.test('a gateway dies', async (t) => {
  const world = await World.open(t)
  await world.worker()
  const [stays, dies] = [await world.gateway(), await world.gateway()]
  await befriend(world, stays, 'alice', 'bob')
  const bob = await stays.open('bob')
  await dies.open('alice')
  await dies.open('carol')
  const tablet = await stays.open('alice')
  await world.pass(BEAT_MS)
  await told(world, bob)
  await dies.bus.crash()
  await world.pass(5 * BEAT_MS + LINGER_MS)
  t.same(await told(world, bob), [], 'a session elsewhere keeps the user online')
  t.ok(world.warnings.includes('a gateway has gone'))
  t.equal((await record(world, 'carol'))?.status, 'offline')
  await tablet.bye()
  await world.pass(LINGER_MS)
  t.same(await told(world, bob), ['alice offline'])
  t.same(world.errors, [])
})

t.test('a gateway that only hangs', async (t) => {
  const world = await World.open(t)
  await world.worker()
  const [good, hangs] = [await world.gateway(), await world.gateway()]
  await befriend(world, good, 'alice', 'bob')
  const bob = await good.open('bob')
  const phone = await hangs.open('alice')
  await hangs.open('alice')
  await told(world, bob)
  hangs.answering = false
  await phone.bye()
  await world.pass(4 * LINGER_MS)
  t.same(await told(world, bob), [], 'nobody is declared offline on a guess')
  hangs.answering = true
  await world.pass(LINGER_MS)
  t.same(await told(world, bob), [])
})

t.test('workers go, and what they had in mind is done by others', async (t) => {
  const world = await World.open(t)
  const first = await world.worker(undefined, 'a-worker')
  const gateway = await world.gateway()
  await befriend(world, gateway, 'alice', 'bob')
  const alice = await gateway.open('alice')
  const second = await world.worker(undefined, 'b-worker')
  await world.pass(BEAT_MS)
  const bob = await gateway.open('bob')
  await told(world, bob)
  await alice.bye()
  await first.stop()
  await world.pass(SWEEP_DELAY_MS - LINGER_MS)
  t.same(await told(world, bob), [])
  await world.pass(2 * LINGER_MS)
  t.same(await told(world, bob), ['alice offline'], 'the linger of a worker that stopped')

  const carol = await gateway.open('carol')
  await second.kill()
  gateway.drop(carol)
  t.equal((await record(world, 'carol'))?.status, 'online')
  await world.worker()
  await world.pass(SWEEP_DELAY_MS + LINGER_MS)
  t.equal((await record(world, 'carol'))?.status, 'offline', 'who left while there was no worker')
  t.equal((await record(world, 'bob'))?.status, 'online')
  t.same(world.errors, [])
})

t.test('one that has stopped does not look again', async (t) => {
  const world = await World.open(t)
  const clock = new ManualClock()
  const bus = world.bus()
  const onError = (error: unknown) => world.errors.push(error)
  const about = { limits: DEFAULT_LIMITS, address: 'worker', xmppDomain: 'localhost', version: '1' }
  const services = await openServices({ ...about, bus, clock, lingerMs: LINGER_MS, onError })
  const { presence, xmppPresence, topics, blockLists } = services
  presence.left('alice')
  t.equal(clock.timers, 1)
  await bus.close(0)
  // The look is under way, and is going to fail.
  clock.advance(LINGER_MS)
  await presence.stop()
  presence.left('bob')
  await xmppPresence.stop()
  topics.stop()
  blockLists.stop()
  t.equal(clock.timers, 0)
  t.same(world.errors, [])
})

t.test('a session that comes between the question and the answer', async (t) => {
  const world = await World.open(t)
  let between: (() => Promise<unknown>) | undefined
  await world.worker((bus) =>
    changed(bus, {
      ask: async (...args) => {
        const answer = await bus.ask(...args)
        const now = between
        between = undefined
        await now?.()
        return answer
      },
    }),
  )
  const gateway = await world.gateway()
  await befriend(world, gateway, 'alice', 'bob')
  const bob = await gateway.open('bob')
  const alice = await gateway.open('alice')
  await told(world, bob)
  const late = await world.gateway()
  await world.worker()
  await world.worker()
  await world.worker()
  await alice.bye()
  let opened: FakeSession | undefined
  between = async () => {
    // Not by the worker that asks: it does one thing after the other for a user.
    const opening = late.open('alice')
    await world.settle()
    void opening.then((session) => {
      opened = session
    })
  }
  await world.pass(3 * LINGER_MS)
  t.ok(opened)
  t.equal((await told(world, bob)).at(-1) ?? 'alice online', 'alice online')
  t.equal((await record(world, 'alice'))?.status, 'online')
})

t.test('the bus fails while a presence is told', async (t) => {
  const world = await World.open(t)
  const worker = await world.worker()
  const gateway = await world.gateway()
  await befriend(world, gateway, 'alice', 'bob')
  const bob = await gateway.open('bob')
  const alice = await gateway.open('alice')
  await told(world, bob)
  await alice.bye()
  worker.bus.cut()
  await world.pass(2 * LINGER_MS)
  t.same(await told(world, bob), [])
  worker.bus.restore()
  await world.pass(LINGER_MS + 500)
  t.same(await told(world, bob), ['alice offline'], 'is made up for')
  t.same(world.errors, [])
})
