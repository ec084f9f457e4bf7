// The roster: every command in every state, commands cut short, what sessions are told, and the limits.

import t from 'tap'
import { type Bucket, BusError } from '../../bus/bus.js'
import { DEFAULT_LIMITS } from '../../c2s/limits.js'
import { Refusal } from '../../c2s/refusal.js'
import { type Contact, NO_CONTACT, type RosterRecord, rosterCodec, subscriptionOf } from '../../c2s/roster-record.js'
import { openServices, type Services } from '../../c2s/services.js'
import { Records } from '../../c2s/store.js'
import { changed, World } from '../support/c2s-world.js'
import type { FakeSession } from '../support/fake-gateway.js'

/** A contact in words: `-` for none, else the subscription, and what waits for an answer. */
function words(contact: Contact | undefined): string {
  if (contact === undefined) return '-'
  return `${subscriptionOf(contact)}${contact.ask ? ' ask' : ''}${contact.request ? ' request' : ''}`
}

function contactOf(text: string): Contact | undefined {
  if (text === '-') return undefined
  const [subscription, ...waiting] = text.split(' ')
  const contact = {
    ...NO_CONTACT,
    to: subscription === 'to' || subscription === 'both',
    from: subscription === 'from' || subscription === 'both',
    ask: waiting.includes('ask'),
    request: waiting.includes('request'),
  }
  return { ...contact, listed: text !== 'none request' }
}

/** How the other one sees it. */
function mirrored(text: string): string {
  const contact = contactOf(text)
  return contact === undefined ? '-' : words({ ...contact, to: contact.from, from: contact.to, ask: contact.request, request: contact.ask })
}

/** No contact and one without anything are the same to the other side. */
function plain(text: string): string {
  return text === '-' ? 'none' : text
}

const STATES = ['-', 'none', 'none ask', 'none request', 'none ask request', 'to', 'to request', 'from', 'from ask', 'both']
/** What becomes of the giver's own side; `!` and a code when it is refused. */
const TABLE: Record<string, string[]> = {
  set: ['none', 'none', 'none ask', 'none request', 'none ask request', 'to', 'to request', 'from', 'from ask', 'both'],
  subscribe: [
    'none ask',
    'none ask',
    'none ask',
    'none ask request',
    'none ask request',
    'to',
    'to request',
    'from ask',
    'from ask',
    'both',
  ],
  approve: ['!not_found', '!not_found', '!not_found', 'from', 'from ask', '!not_found', 'both', 'from', 'from ask', 'both'],
  deny: ['-', 'none', 'none ask', '-', 'none ask', 'to', 'to', 'none', 'none ask', 'to'],
  remove: ['-', '-', '-', '-', '-', '-', '-', '-', '-', '-'],
}

interface Bench {
  readonly services: Services
  readonly records: Records<RosterRecord>
  /** Writes to rosters that still succeed; the next ones find the bus gone. */
  writesLeft: number
  /** Runs a command; the code of the refusal, or ''. */
  run(user: string, op: string, other: string): Promise<string>
  seed(user: string, other: string, state: string): Promise<void>
  read(user: string, other: string): Promise<string>
}

async function bench(world: World): Promise<Bench> {
  const own = world.bus()
  const bus = changed(own, {
    bucket: async (name, options) => {
      const bucket = await own.bucket(name, options)
      if (name !== 'roster') return bucket
      const guard = (): void => {
        if (bench.writesLeft-- <= 0) throw new BusError('disconnected')
      }
      const guarded: Bucket = {
        ...bucket,
        create: async (key, value) => {
          guard()
          return bucket.create(key, value)
        },
        update: async (key, value, revision) => {
          guard()
          return bucket.update(key, value, revision)
        },
      }
      return guarded
    },
  })
  const records = new Records(await own.bucket('roster'), rosterCodec)
  const services = await openServices({
    bus,
    clock: world.clock,
    limits: DEFAULT_LIMITS,
    address: 'bench',
    lingerMs: 1000,
    xmppDomain: 'localhost',
    version: '0.0.0',
    onError: (error) => world.errors.push(error),
  })
  const bench: Bench = {
    services,
    records,
    writesLeft: Infinity,
    run: async (user, op, other) => {
      try {
        await services.roster.run(user, { op, user: other })
        return ''
      } catch (error) {
        if (error instanceof Refusal || error instanceof BusError) return error.code
        throw error
      }
    },
    seed: async (user, other, state) => {
      const contact = contactOf(state)
      if (contact !== undefined) await records.change(user, (record = new Map()) => new Map([...record, [other, contact]]))
    },
    read: async (user, other) => words((await records.get(user))?.get(other)),
  }
  return bench
}

t.test('every command in every state', async (t) => {
  const world = await World.open(t)
  const { run, seed, read, ...rest } = await bench(world)
  let pairs = 0
  for (const [op, expected] of Object.entries(TABLE)) {
    for (const [i, state] of STATES.entries()) {
      const [alice, bob] = [`alice${++pairs}`, `bob${pairs}`]
      await seed(alice, bob, state)
      await seed(bob, alice, mirrored(state))
      const wanted = expected[i] ?? ''
      const name = `${op} from ${state}`
      for (const time of ['once', 'twice']) {
        // What is refused changes nothing, and what was denied or removed can be denied or removed again.
        const code = await run(alice, op, bob)
        t.equal(code, wanted.startsWith('!') ? wanted.slice(1) : '', `${name} ${time}`)
        const own = await read(alice, bob)
        t.equal(own, wanted.startsWith('!') ? state : wanted, `${name} ${time}: own side`)
        t.equal(plain(await read(bob, alice)), plain(mirrored(own)), `${name} ${time}: other side`)
      }
    }
  }
  t.equal(pairs, 50)
  rest.services.topics.stop()
})

t.test('a command cut short is completed by its repetition', async (t) => {
  const world = await World.open(t)
  const on = await bench(world)
  let pairs = 0
  let cut = 0
  for (const [op, expected] of Object.entries(TABLE)) {
    for (const [i, state] of STATES.entries()) {
      const wanted = expected[i] ?? ''
      if (wanted.startsWith('!')) continue
      const [alice, bob] = [`alice${++pairs}`, `bob${pairs}`]
      await on.seed(alice, bob, state)
      await on.seed(bob, alice, mirrored(state))
      on.writesLeft = 1
      if ((await on.run(alice, op, bob)) === 'disconnected') cut++
      on.writesLeft = Infinity
      t.equal(await on.run(alice, op, bob), '', `${op} from ${state}`)
      t.equal(await on.read(alice, bob), wanted, `${op} from ${state}: own side`)
      t.equal(plain(await on.read(bob, alice)), plain(mirrored(wanted)), `${op} from ${state}: other side`)
    }
  }
  t.ok(cut > 15, 'the bus was really gone in between')

  await on.seed('erin', 'frank', 'none ask')
  await on.seed('frank', 'erin', 'from')
  await on.run('erin', 'subscribe', 'frank')
  t.equal(await on.read('erin', 'frank'), 'to', 'an approval that never arrived')
  await on.seed('gina', 'hugo', 'none request')
  t.equal(await on.run('gina', 'approve', 'hugo'), 'not_found')
  t.equal(await on.read('gina', 'hugo'), 'none', 'a request that was withdrawn')
  on.services.topics.stop()
})

function seen(session: FakeSession): string[] {
  return session.got.splice(0).map((got) => {
    if (got.kind === 'roster') return `${got.op} ${got.user} ${got.subscription}${got.ask === '' ? '' : ` (${got.ask})`}`
    return got.kind === 'presence' ? `${got.user} is ${got.status}` : got.kind
  })
}

t.test('what the sessions of both are told', async (t) => {
  const world = await World.open(t)
  await world.worker()
  await world.worker()
  const gateway = await world.gateway()
  const alice = await gateway.open('alice')
  const phone = await gateway.open('alice')
  const bob = await gateway.open('bob')
  await bob.ask({ presence: { status: 'away' } })
  const step = async (session: FakeSession, op: string, user: string, more: object = {}): Promise<[alice: string[], bob: string[]]> => {
    t.ok((await session.ask({ roster: { op, user, ...more } })).ok, `${session.user}: ${op} ${user}`)
    await world.settle()
    const own = seen(alice)
    t.same(seen(phone), own, 'all sessions alike')
    return [own, seen(bob)]
  }
  t.same(await step(alice, 'subscribe', 'bob', { name: 'Bob', groups: ['work', 'chess', 'work'] }), [
    ['set bob none (subscribe)'],
    ['request alice none'],
  ])
  t.same(await step(alice, 'subscribe', 'bob'), [[], []], 'once')
  t.same(await step(bob, 'approve', 'alice'), [['set bob to', 'bob is away'], ['set alice from']])
  t.same(await step(alice, 'set', 'bob', { name: 'Bobby' }), [['set bob to'], []])
  t.same((await alice.ask({ roster: { op: 'get' } })).result, { items: [{ user: 'bob', name: 'Bobby', subscription: 'to' }] })
  t.same(await step(bob, 'subscribe', 'alice'), [['request bob to'], ['set alice from (subscribe)']])
  t.same((await bob.ask({ roster: { op: 'get' } })).result, { items: [{ user: 'alice', subscription: 'from', ask: 'subscribe' }] })
  t.same(await step(alice, 'approve', 'bob'), [['set bob both'], ['set alice both', 'alice is online']])
  t.same(await step(bob, 'deny', 'alice'), [['set bob from', 'bob is offline'], ['set alice to']])
  t.same(await step(alice, 'subscribe', 'bob', { groups: ['b', 'a'] }), [['set bob from (subscribe)'], ['request alice to']])
  t.same(await step(bob, 'deny', 'alice'), [['set bob from'], ['set alice to']])
  t.same((await alice.ask({ roster: { op: 'get' } })).result, { items: [{ user: 'bob', groups: ['b', 'a'], subscription: 'from' }] })
  await step(alice, 'subscribe', 'bob')
  await step(bob, 'approve', 'alice')
  t.same(await step(alice, 'remove', 'bob'), [
    ['remove bob none', 'bob is offline'],
    ['set alice none', 'alice is offline'],
  ])
  t.same((await alice.ask({ roster: { op: 'get' } })).result, { items: [] })
  t.same(await step(bob, 'remove', 'alice'), [[], ['remove alice none']])

  t.same(await step(bob, 'subscribe', 'alice'), [['request bob none'], ['set alice none (subscribe)']])
  t.same((await alice.ask({ roster: { op: 'get' } })).result, { items: [] }, 'who asks is no contact yet')
  t.same(await step(bob, 'remove', 'alice'), [['remove bob none'], ['remove alice none']], 'a request withdrawn')
  await bob.ask({ presence: { status: 'dnd' } })
  await world.settle()
  t.same(seen(alice), [], 'and nothing is seen any more')
  t.same(world.errors, [])
})

t.test('what is refused', async (t) => {
  const limits = { contactsPerUser: 3, requestsPerUser: 2, groupsPerContact: 2, nameBytes: 8 }
  const world = await World.open(t, limits)
  await world.worker()
  const gateway = await world.gateway()
  const alice = await gateway.open('alice')
  const roster = async (command: object): Promise<string> => (await alice.ask({ roster: command })).code
  t.equal(await roster({ op: 'get', user: 'whatever' }), '')
  for (const op of ['', 'Get', 'clear']) t.equal(await roster({ op, user: 'bob' }), 'malformed', op)
  for (const op of ['set', 'subscribe', 'approve', 'deny', 'remove']) {
    t.equal(await roster({ op }), 'malformed', `${op} nobody`)
    t.equal(await roster({ op, user: 'a\tb' }), 'malformed', `${op} no user id`)
    t.equal(await roster({ op, user: 'x'.repeat(257) }), 'malformed', `${op} too long`)
    t.equal(await roster({ op, user: 'alice' }), 'malformed', `${op} oneself`)
  }
  t.equal(await roster({ op: 'approve', user: 'bob' }), 'not_found')
  t.equal(await roster({ op: 'set', user: 'bob', name: 'x'.repeat(8) }), '')
  t.equal(await roster({ op: 'set', user: 'bob', name: 'x'.repeat(9) }), 'too_large')
  t.equal(await roster({ op: 'set', user: 'bob', name: 'ééééé' }), 'too_large', 'bytes count')
  t.equal(await roster({ op: 'set', user: 'bob', name: 'a\u0000' }), 'malformed')
  t.equal(await roster({ op: 'set', user: 'bob', groups: ['a', 'b', 'a'] }), '')
  t.equal(await roster({ op: 'set', user: 'bob', groups: ['a', 'b', 'c'] }), 'too_large')
  t.equal(await roster({ op: 'set', user: 'bob', groups: ['x'.repeat(9)] }), 'too_large')
  t.equal(await roster({ op: 'set', user: 'bob', groups: [''] }), 'malformed')
  t.equal(await roster({ op: 'subscribe', user: '__proto__', name: 'x' }), '')
  t.equal(await roster({ op: 'set', user: 'constructor' }), '')
  t.equal(await roster({ op: 'set', user: 'dave' }), 'too_large', 'contacts')
  t.equal(await roster({ op: 'subscribe', user: 'dave' }), 'too_large')
  t.equal(await roster({ op: 'set', user: 'bob', name: 'new' }), '', 'the ones there can be changed')
  t.same((await alice.ask({ roster: { op: 'get' } })).result, {
    items: [
      { user: '__proto__', name: 'x', subscription: 'none', ask: 'subscribe' },
      { user: 'bob', name: 'new', subscription: 'none' },
      { user: 'constructor', subscription: 'none' },
    ],
  })
  for (const [user, code] of [
    ['p', ''],
    ['q', ''],
    ['r', 'too_large'],
  ] as const) {
    const asking = await gateway.open(user)
    t.equal((await asking.ask({ roster: { op: 'subscribe', user: 'alice' } })).code, code, `requests: ${user}`)
    const items = code === '' ? [{ user: 'alice', subscription: 'none', ask: 'subscribe' }] : [{ user: 'alice', subscription: 'none' }]
    t.same((await asking.ask({ roster: { op: 'get' } })).result, { items }, 'nobody waits for an answer that can’t come')
  }
  t.equal(await roster({ op: 'approve', user: 'p' }), 'too_large', 'a full roster takes no more')
  t.equal(await roster({ op: 'remove', user: 'constructor' }), '')
  t.equal(await roster({ op: 'approve', user: 'p' }), '')
  t.same(world.errors, [])
})

t.test('many change one roster at the same time', async (t) => {
  const world = await World.open(t)
  for (let n = 0; n < 3; n++) await world.worker()
  const gateway = await world.gateway()
  const alice = await gateway.open('alice')
  const others = await Promise.all(Array.from({ length: 20 }, (_, n) => gateway.open(`user${n}`)))
  const answers = await Promise.all(others.map((session) => session.ask({ roster: { op: 'subscribe', user: 'alice' } })))
  t.ok(answers.every(({ ok }) => ok))
  await world.settle()
  t.same(new Set(alice.take('roster').map(({ op, user }) => `${op} ${user}`)).size, 20)
  const approvals = await alice.send(...others.map(({ user }) => ({ ref: user, roster: { op: 'approve', user } })))
  t.ok(approvals.every(({ ok }) => ok))
  const { items } = (await alice.ask({ roster: { op: 'get' } })).result as { items: { subscription: string }[] }
  t.same(
    items.map(({ subscription }) => subscription),
    Array.from({ length: 20 }, () => 'from'),
  )
})
