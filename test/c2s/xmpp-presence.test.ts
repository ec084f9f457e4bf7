// Presence of XMPP clients: what each session says, who sees it, and how native clients and XMPP clients see each other.

import type { Test } from 'tap'
import t from 'tap'
import { BusError } from '../../bus/bus.js'
import { presenceCodec } from '../../c2s/presence-record.js'
import { BEAT_MS, changed, LINGER_MS, SWEEP_DELAY_MS, World } from '../support/c2s-world.js'
import type { FakeGateway, FakeSession } from '../support/fake-gateway.js'
import { befriend, describe, heard, LOOK_MS, login, told } from '../support/xmpp-words.js'

interface Setting {
  readonly world: World
  readonly gateways: readonly [FakeGateway, FakeGateway]
}

/** Two workers and two gateways; alice and bob see each other. */
async function setting(t: Test, limits = {}): Promise<Setting> {
  const world = await World.open(t, limits)
  await world.worker()
  await world.worker()
  const gateways = [await world.gateway(), await world.gateway()] as const
  await befriend(world, gateways[0], 'alice', 'bob', LINGER_MS)
  return { world, gateways }
}

async function resources(world: World, user: string): Promise<readonly string[]> {
  const entry = await (await world.bus().bucket('presence')).get(user)
  return entry === undefined ? [] : presenceCodec.decode(entry.value).resources
}

const NS = `xmlns='jabber:client'`
const available = (said = ''): string => `<presence ${NS}>${said}</presence>`
const UNAVAILABLE = `<presence ${NS} type='unavailable'/>`

t.test('coming, changing and going', async (t) => {
  const { world, gateways } = await setting(t)
  const bob = await login(world, gateways[0], 'bob', 'desk')
  const carol = await login(world, gateways[0], 'carol', 'desk')
  await heard(world, bob)
  await heard(world, carol)
  const alice = await gateways[1].open('alice', { resource: 'phone' })
  t.equal(alice.status, 'offline', 'a session is there before it is available')
  t.match(alice.shown, { available: false, priority: 0, interested: false, carbons: false })
  t.same(await heard(world, bob), [])

  const first = await alice.say(`<presence ${NS} id='p1'><show>away</show><status>tea</status><priority>5</priority></presence>`)
  t.same(first.map(describe), ['alice/phone → alice: away tea 5', 'bob/desk → alice/phone'], 'itself, and contacts')
  t.match(alice.shown, { available: true, priority: 5 })
  t.match(
    Buffer.from(alice.shown.presence ?? '').toString(),
    /^<presence xmlns='jabber:client' id='p1' from='alice@localhost\/phone' xml:lang='en'>/,
  )
  t.same([alice.status, alice.note], ['away', 'tea'])
  t.same(await heard(world, bob), ['alice/phone → bob: away tea 5'])
  await world.pass(LOOK_MS)
  t.equal((await heard(world, alice)).length, 2)

  await alice.say(available('<show>dnd</show>'))
  t.same(await heard(world, bob), ['alice/phone → bob: dnd'])
  t.same(await heard(world, alice), ['alice/phone → alice: dnd'], 'its own change too')

  await alice.say(`<presence ${NS} type='unavailable'><status>bye</status></presence>`)
  t.same(await heard(world, bob), ['alice/phone → bob: unavailable bye'])
  t.same(await heard(world, alice), ['alice/phone → alice: unavailable bye'])
  t.match(alice.shown, { available: false, priority: 0 })
  await alice.say(UNAVAILABLE)
  await alice.bye()
  await world.pass(3 * LINGER_MS)
  t.same(await heard(world, bob), [], 'once')

  const again = await login(world, gateways[0], 'alice', 'phone')
  t.same(await heard(world, bob), ['alice/phone → bob'])
  await again.bye()
  t.same(await heard(world, bob), ['alice/phone → bob: unavailable'], 'a session that ends without a word')
  await world.pass(3 * LINGER_MS)
  t.same(await heard(world, bob), [])
  t.same(await heard(world, carol), [], 'strangers see nothing')
  t.same(world.errors, [])
})

t.test('several sessions of a user', async (t) => {
  const { world, gateways } = await setting(t)
  const bob = await login(world, gateways[0], 'bob', 'desk')
  const phone = await login(world, gateways[0], 'alice', 'phone')
  const tablet = await gateways[1].open('alice', { resource: 'tablet' })
  await heard(world, bob)
  await heard(world, phone)
  const first = await tablet.say(available('<show>xa</show>'))
  t.same(first.map(describe).sort(), ['alice/phone → alice/tablet', 'alice/tablet → alice: xa', 'bob/desk → alice/tablet'])
  await world.pass(LOOK_MS)
  t.same(await heard(world, phone), ['alice/tablet → alice/phone: xa'])
  t.same(await heard(world, bob), ['alice/tablet → bob: xa'])
  t.equal((await heard(world, tablet)).length, 3, 'nothing twice')
  t.same(await resources(world, 'alice'), ['phone', 'tablet'])

  await phone.bye()
  t.same(await heard(world, tablet), ['alice/phone → alice/tablet: unavailable'])
  t.same(await heard(world, bob), ['alice/phone → bob: unavailable'])
  await world.pass(3 * LINGER_MS)
  t.same(await heard(world, bob), [], 'the other one stays')
  const late = await login(world, gateways[1], 'bob', 'late')
  t.same((await heard(world, late)).sort(), ['alice/tablet → bob/late: xa', 'bob/desk → bob/late', 'bob/late → bob'])
  t.same(world.errors, [])
})

t.test('everybody comes at the same time', async (t) => {
  const { world, gateways } = await setting(t)
  const sessions: FakeSession[] = []
  for (const [user, resource] of [
    ['alice', 'a'],
    ['bob', 'b'],
    ['alice', 'c'],
    ['bob', 'd'],
  ] as const) {
    sessions.push(await gateways[sessions.length % 2 === 0 ? 0 : 1].open(user, { resource }))
  }
  await Promise.all(sessions.map((session) => session.say(available())))
  await world.pass(LOOK_MS)
  for (const session of sessions) {
    const seen = new Set((await heard(world, session)).map((words) => words.split(' ')[0]))
    t.same([...seen].sort(), ['alice/a', 'alice/c', 'bob/b', 'bob/d'], `${session.user}/${session.options.resource} sees all`)
  }
  await world.pass(2 * LINGER_MS)
  for (const session of sessions) t.same(await heard(world, session), [], 'and then all is quiet')
  t.same(world.errors, [])
})

t.test('who comes and goes while somebody looks around', async (t) => {
  const world = await World.open(t)
  let meanwhile: (() => Promise<unknown>) | undefined
  // After everything was read, before the answer.
  await world.worker((bus) =>
    changed(bus, {
      ask: async (user, ...args) => {
        const answer = await bus.ask(user, ...args)
        if (user === 'dora') {
          const now = meanwhile
          meanwhile = undefined
          await now?.()
        }
        return answer
      },
    }),
  )
  const gateway = await world.gateway()
  for (const friend of ['bob', 'carol', 'dora']) await befriend(world, gateway, 'alice', friend, LINGER_MS)
  await login(world, gateway, 'dora', 'x')
  const carol = await login(world, gateway, 'carol', 'x')
  const bob = await gateway.open('bob', { resource: 'x' })
  const alice = await gateway.open('alice', { resource: 'x' })
  meanwhile = async () => {
    await bob.say(available('<show>dnd</show>'))
    await carol.say(UNAVAILABLE)
    const erin = await gateway.open('erin')
    await erin.ask({ roster: { op: 'subscribe', user: 'alice' } })
  }
  const first = await alice.say(available())
  t.same(first.map(describe).sort(), ['alice/x → alice', 'carol/x → alice/x', 'dora/x → alice/x'])
  await world.pass(LOOK_MS)
  t.same((await heard(world, alice)).slice(first.length).sort(), [
    'bob/x → alice/x: dnd',
    'carol/x → alice/x: unavailable',
    'erin → alice: subscribe',
    'erin → alice: subscribe',
  ])
  t.same(world.errors, [])
})

t.test('more contacts than one answer holds', async (t) => {
  const { world, gateways } = await setting(t, { answeredPresenceBytes: 1000 })
  for (let n = 0; n < 20; n++) await login(world, gateways[n % 2 === 0 ? 0 : 1], 'bob', `r${n}`)
  const alice = await gateways[0].open('alice', { resource: 'x' })
  const first = await alice.say(available())
  t.ok(first.length > 2 && first.length < 20, String(first.length))
  await world.pass(LOOK_MS)
  const all = await heard(world, alice)
  t.equal(all.length, 21)
  t.equal(new Set(all).size, 21)
})

t.test('what a client may not say', async (t) => {
  const { world, gateways } = await setting(t, { presenceBytes: 300, directedPerSession: 2, directedBytesPerSession: 60 })
  const bob = await login(world, gateways[0], 'bob', 'desk')
  await heard(world, bob)
  const alice = await gateways[0].open('alice', { resource: 'phone' })
  const answer = async (xml: string): Promise<string> => (await alice.say(xml)).map(describe).join()
  for (const priority of ['128', '-129', 'high', '', '1.5', '1 2', '0x1']) {
    t.equal(await answer(available(`<priority>${priority}</priority>`)), 'error bad-request', `priority ${priority}`)
  }
  t.equal(await answer(`<presence ${NS} type='sleeping'/>`), 'error bad-request')
  t.equal(await answer(available(`<status>${'x'.repeat(300)}</status>`)), 'error policy-violation')
  t.equal(await answer(`<presence ${NS} type='subscribe'/>`), 'error bad-request')
  t.equal(await answer(`<presence ${NS} to='@x'/>`), 'error jid-malformed')
  t.equal(await answer(`<presence ${NS} type='error'/>`), '')
  for (const to of ['localhost', 'elsewhere.example', 'bob@elsewhere.example', 'localhost/x']) {
    for (const type of [``, `type='subscribe'`, `type='probe'`]) {
      t.equal(await answer(`<presence ${NS} to='${to}' ${type}/>`), '', `${to} ${type}`)
    }
  }
  t.notOk(alice.shown.available, 'what is refused changes nothing')
  t.same(await heard(world, bob), [])
  for (const priority of ['-128', '127', '+3', ' 7 ']) {
    await alice.say(available(`<priority>${priority}</priority>`))
    t.equal(alice.shown.priority, Number(priority))
  }
  for (const to of ['x', 'y']) t.equal(await answer(`<presence ${NS} to='${to}@localhost'/>`), '')
  t.equal(await answer(`<presence ${NS} to='z@localhost'/>`), 'error resource-constraint')
  t.equal(await answer(`<presence ${NS} to='y@localhost'/>`), '', 'once more to the same')
  t.equal(await answer(`<presence ${NS} to='y@localhost' type='unavailable'/>`), '')
  t.equal(await answer(`<presence ${NS} to='z@localhost/${'x'.repeat(39)}'/>`), 'error resource-constraint', 'too long together')
  t.equal(await answer(`<presence ${NS} to='z@localhost'/>`), '', 'there is room again')
  t.same(world.errors, [])
})

t.test('presence that is as large as it may be hides nobody', async (t) => {
  const { world, gateways } = await setting(t)
  const attributes = Array.from({ length: 63 }, (_, i) => `a${i}=''`).join(' ')
  const nested = '<x>'.repeat(63) + '</x>'.repeat(63)
  const alice = await gateways[0].open('alice', { resource: 'phone' })
  await befriend(world, gateways[0], 'bob', 'carol', LINGER_MS)
  await login(world, gateways[0], 'carol', 'desk')
  for (const said of [`<presence ${NS} ${attributes}/>`, available(nested)]) {
    t.equal((await alice.say(said)).map(describe)[0], 'alice/phone → alice')
    await world.pass(LOOK_MS)
    const bob = await login(world, gateways[1], 'bob', 'desk')
    t.match(new Set(await heard(world, bob)), new Set(['alice/phone → bob/desk', 'carol/desk → bob/desk']))
    await bob.bye()
  }
  t.same(world.errors, [])
})

t.test('native clients and XMPP clients see each other', async (t) => {
  const { world, gateways } = await setting(t)
  const bob = await gateways[0].open('bob')
  await told(world, bob)
  const alice = await login(world, gateways[1], 'alice', 'phone', '<show>xa</show><status>far</status>')
  t.same((await heard(world, alice)).sort(), ['alice/phone → alice: xa far', 'bob/holdwire → alice/phone'])
  t.same(await told(world, bob), ['alice away: far'])
  const second = await gateways[1].open('bob')
  t.same(await heard(world, alice), [], 'native sessions are one resource')
  await second.ask({ presence: { status: 'offline' } })
  await bob.ask({ presence: { status: 'dnd', note: 'a <b> & \u0000' } })
  t.same(await heard(world, alice), ['bob/holdwire: dnd a <b> & '])
  await told(world, bob)

  const desk = await login(world, gateways[1], 'bob', 'desk', '<show>away</show>')
  t.same(await heard(world, alice), ['bob/desk → alice: away'])
  t.same((await heard(world, desk)).sort(), [
    'alice/phone → bob/desk: xa far',
    'bob/desk → bob: away',
    'bob/holdwire → bob/desk: dnd a <b> & ',
  ])
  await bob.ask({ presence: { status: 'away' } })
  t.same(await heard(world, alice), ['bob/holdwire: away'])
  t.same(await heard(world, desk), ['bob/holdwire: away'], 'one’s own too')
  await bob.bye()
  await second.bye()
  await world.pass(2 * LINGER_MS)
  t.same(await heard(world, alice), ['bob/holdwire: unavailable'], 'the native part ends, the other stays')
  const native = await gateways[0].open('bob')
  t.same(await heard(world, alice), ['bob/holdwire'])
  await told(world, native)

  await alice.say(available(`<status>${'é'.repeat(1000)}</status>`))
  t.same(await told(world, native), [`alice online: ${'é'.repeat(512)}`], 'a note has its limit')
  await alice.say(available('<show>chat</show>'))
  t.same(await told(world, native), ['alice online'])
  await alice.say(available('<show>chat</show><priority>3</priority>'))
  t.same(await told(world, native), [], 'nothing that they can see')
  await alice.say(UNAVAILABLE)
  t.same(await told(world, native), ['alice offline'])
  await alice.say(available())
  t.same(await told(world, native), ['alice online'])
  await alice.bye()
  await world.pass(LINGER_MS - 500)
  t.same(await told(world, native), [])
  await world.pass(1000)
  t.same(await told(world, native), ['alice offline'], 'a session that ends without a word lingers')
  t.same(world.errors, [])
})

t.test('presence for somebody in particular', async (t) => {
  const { world, gateways } = await setting(t)
  const [bob, carol] = [await login(world, gateways[0], 'bob', 'desk'), await login(world, gateways[1], 'carol', 'desk')]
  const other = await login(world, gateways[1], 'carol', 'other')
  const alice = await login(world, gateways[0], 'alice', 'phone')
  for (const session of [bob, carol, other]) await heard(world, session)
  await alice.say(`<presence ${NS} to='carol@localhost/desk'><status>hello</status></presence>`)
  await alice.say(`<presence ${NS} to='bob@localhost'><show>dnd</show></presence>`)
  t.same(await heard(world, carol), ['alice/phone → carol/desk: hello'])
  t.same(await heard(world, other), [])
  t.same(await heard(world, bob), ['alice/phone → bob: dnd'])
  await alice.say(available('<show>away</show>'))
  t.same(await heard(world, carol), [], 'once only')
  await heard(world, bob)
  await alice.say(UNAVAILABLE)
  t.same(await heard(world, carol), ['alice/phone → carol/desk: unavailable'], 'but told of the end')
  t.same(await heard(world, bob), ['alice/phone → bob: unavailable'], 'contacts once')

  await alice.say(`<presence ${NS} to='carol@localhost'/>`)
  t.same([...(await heard(world, carol)), ...(await heard(world, other))], ['alice/phone → carol', 'alice/phone → carol'])
  await alice.say(`<presence ${NS} to='carol@localhost' type='unavailable'/>`)
  await alice.say(UNAVAILABLE)
  t.same(await heard(world, carol), ['alice/phone → carol: unavailable'], 'taken back')
  await alice.say(`<presence ${NS} to='carol@localhost/desk'/>`)
  await heard(world, carol)
  await alice.bye()
  t.same(await heard(world, carol), ['alice/phone → carol/desk: unavailable'], 'without being available at all')
  await carol.say(`<presence ${NS} to='nobody@localhost'/>`)
  t.same(world.errors, [])
})

t.test('probes', async (t) => {
  const { world, gateways } = await setting(t)
  const alice = await login(world, gateways[0], 'alice', 'phone')
  const carol = await login(world, gateways[1], 'carol', 'desk')
  const probe = async (session: FakeSession, to: string): Promise<string[]> =>
    (await session.say(`<presence ${NS} type='probe' to='${to}'/>`)).map(describe).sort()
  t.same(await probe(alice, 'bob@localhost'), ['bob → alice/phone: unavailable'])
  const bob = await login(world, gateways[1], 'bob', 'desk', '<show>away</show>')
  await gateways[0].open('bob')
  t.same(await probe(alice, 'bob@localhost'), ['bob/desk → alice/phone: away', 'bob/holdwire → alice/phone'])
  t.same(await probe(alice, 'bob@localhost/desk'), ['bob/desk → alice/phone: away'])
  t.same(await probe(alice, 'bob@localhost/none'), ['bob/none → alice/phone: unavailable'])
  t.same(await probe(carol, 'bob@localhost'), ['bob → carol/desk: unsubscribed'], 'not for everybody')
  t.same(await probe(carol, 'carol@localhost'), ['carol/desk → carol/desk'])
  await heard(world, bob)
  t.same(await heard(world, bob), [], 'who is asked about learns nothing')
})

t.test('a gateway dies', async (t) => {
  const world = await World.open(t)
  await world.worker()
  const [stays, dies] = [await world.gateway(), await world.gateway()]
  await befriend(world, stays, 'alice', 'bob', LINGER_MS)
  const bob = await login(world, stays, 'bob', 'desk')
  const carol = await login(world, stays, 'carol', 'desk')
  const alice = await login(world, dies, 'alice', 'phone')
  const tablet = await login(world, dies, 'alice', 'tablet')
  for (const session of [alice, tablet]) await session.say(`<presence ${NS} to='carol@localhost'/>`)
  await world.pass(BEAT_MS)
  for (const session of [bob, carol]) await heard(world, session)
  await dies.bus.crash()
  // The client of one of them comes back to the other gateway, which opens the session with the context it had.
  const back = await stays.open('alice', { resource: 'tablet', context: tablet.context })
  t.match(back.shown, { available: true })
  await world.pass(5 * BEAT_MS + LINGER_MS + 1000)
  t.same(await heard(world, bob), ['alice/phone → bob: unavailable'])
  t.same(await heard(world, carol), ['alice/phone → carol: unavailable'])
  t.same(await resources(world, 'alice'), ['tablet'])
  await back.say(UNAVAILABLE)
  t.same(await heard(world, carol), ['alice/tablet → carol: unavailable'], 'what it addressed came with it')
  t.same(world.errors, [])
})

t.test('gateway and worker die together', async (t) => {
  const world = await World.open(t)
  const gone = await world.worker()
  const [stays, dies] = [await world.gateway(), await world.gateway()]
  await befriend(world, stays, 'alice', 'bob', LINGER_MS)
  const phone = await login(world, dies, 'alice', 'phone')
  const tablet = await login(world, dies, 'alice', 'tablet')
  const desk = await login(world, stays, 'alice', 'desk')
  const bob = await login(world, stays, 'bob', 'x')
  await world.worker()
  await world.pass(BEAT_MS)
  await heard(world, bob)
  await heard(world, desk)
  await gone.kill()
  await dies.bus.crash()
  await world.pass(SWEEP_DELAY_MS + 5 * BEAT_MS + LINGER_MS)
  const ends = ['alice/phone → bob: unavailable', 'alice/tablet → bob: unavailable']
  t.same((await heard(world, bob)).sort(), ends, 'another worker finds out')
  t.same(
    (await heard(world, desk)).sort(),
    ends.map((words) => words.replace('→ bob', '→ alice')),
  )
  t.ok(phone && tablet)
  t.same(world.errors, [])
})

t.test('a session that is replaced', async (t) => {
  const { world, gateways } = await setting(t)
  const bob = await login(world, gateways[0], 'bob', 'desk')
  const old = await login(world, gateways[0], 'alice', 'phone')
  const young = await login(world, gateways[1], 'alice', 'phone', '<show>dnd</show>')
  await heard(world, bob)
  await old.bye()
  await world.pass(3 * LINGER_MS)
  t.same(await heard(world, bob), [], 'its end is not that of its full JID')
  t.same(await resources(world, 'alice'), ['phone'])
  await young.bye()
  t.same(await heard(world, bob), ['alice/phone → bob: unavailable'])

  const third = await login(world, gateways[0], 'alice', 'phone')
  const fourth = await gateways[1].open('alice', { resource: 'phone' })
  await heard(world, bob)
  await third.bye()
  t.same(await heard(world, bob), ['alice/phone → bob: unavailable'], 'the new one is not available yet')
  await fourth.say(available())
  t.same(await heard(world, bob), ['alice/phone → bob'])
  t.same(world.errors, [])
})

t.test('a worker dies, and nobody notices', async (t) => {
  const world = await World.open(t)
  const first = await world.worker()
  const gateway = await world.gateway()
  await befriend(world, gateway, 'alice', 'bob', LINGER_MS)
  const bob = await login(world, gateway, 'bob', 'desk')
  const alice = await login(world, gateway, 'alice', 'phone', '<show>away</show><priority>9</priority>', true)
  await alice.say(`<presence ${NS} to='carol@localhost'/>`)
  const carol = await login(world, gateway, 'carol', 'x')
  for (const session of [bob, carol, alice]) await heard(world, session)
  await first.kill()
  await world.worker()
  await alice.reopen()
  t.match(alice.shown, { available: true, priority: 9, interested: true })
  t.same([alice.status, ...(await heard(world, alice)), ...(await heard(world, bob))], ['away'])
  await world.pass(SWEEP_DELAY_MS + LINGER_MS)
  t.same(await heard(world, bob), [])
  t.same((await alice.say(available())).map(describe), ['alice/phone → alice'], 'it was available already')
  await alice.say(UNAVAILABLE)
  t.same(await heard(world, bob), ['alice/phone → bob', 'alice/phone → bob: unavailable'])
  t.same(await heard(world, carol), ['alice/phone → carol: unavailable'])
  t.same(world.errors, [])
})

t.test('the bus fails', async (t) => {
  const world = await World.open(t)
  const worker = await world.worker()
  const gateway = await world.gateway()
  await befriend(world, gateway, 'alice', 'bob', LINGER_MS)
  const bob = await login(world, gateway, 'bob', 'desk')
  const alice = await login(world, gateway, 'alice', 'phone')
  await heard(world, bob)
  await alice.bye()
  t.same(await heard(world, bob), ['alice/phone → bob: unavailable'])
  const again = await login(world, gateway, 'alice', 'phone')
  await heard(world, bob)
  worker.bus.cut()
  gateway.drop(again)
  await world.pass(LINGER_MS)
  worker.bus.restore()
  await again.bye().catch(() => undefined)
  await world.pass(3 * LINGER_MS)
  t.same(await heard(world, bob), ['alice/phone → bob: unavailable'])
  t.same(world.errors, [])
})

t.test('XEP-0191: who is blocked sees nothing, and is not seen', async (t) => {
  const { world, gateways } = await setting(t)
  const bob = await login(world, gateways[0], 'bob', 'desk', '', true)
  const alice = await login(world, gateways[1], 'alice', 'phone', '', true)
  const native = await gateways[1].open('alice')
  await world.pass(LOOK_MS)
  const all = async (): Promise<string[]> => [
    ...(await heard(world, alice)).filter((words) => words.startsWith('bob')),
    ...(await told(world, native)),
  ]
  const command = async (name: string, jid: string): Promise<void> => {
    const items = jid === '' ? '' : `<item jid='${jid}'/>`
    const answer = await alice.say(`<iq ${NS} type='set' id='b'><${name} xmlns='urn:xmpp:blocking'>${items}</${name}></iq>`)
    t.same(answer.map(describe), ['result'], `${name} ${jid}`)
  }
  await heard(world, bob)
  for (const jid of ['bob@localhost', 'localhost']) {
    await command('block', jid)
    t.same((await heard(world, bob)).sort(), ['alice/holdwire: unavailable', 'alice/phone → bob: unavailable'], `${jid} is blocked`)
    await all()
    await alice.say(available('<show>dnd</show>'))
    await native.ask({ presence: { status: 'dnd' } })
    t.same(await heard(world, bob), [])
    await all()
    await bob.say(available('<show>away</show>'))
    for (const type of ['', `type='probe'`, `type='subscribe'`, `type='unavailable'`]) {
      t.same((await bob.say(`<presence ${NS} to='alice@localhost' ${type}/>`)).map(describe), [], `nothing tells: ${type}`)
    }
    t.same(await all(), [])
    for (const type of ['', `type='probe'`, `type='subscribe'`]) {
      t.same((await alice.say(`<presence ${NS} to='bob@localhost' ${type}/>`)).map(describe), ['error not-acceptable'], type)
    }
    const other = await login(world, gateways[0], 'alice', 'other')
    t.same(
      (await heard(world, other)).filter((words) => words.startsWith('bob')),
      [],
    )
    await other.bye()
    await all()
    await heard(world, bob)
    await command('unblock', jid === 'localhost' ? '' : jid)
    t.same((await heard(world, bob)).sort(), ['alice/holdwire: dnd', 'alice/phone → bob: dnd'], `${jid} is unblocked`)
    t.same(await all(), ['bob/desk → alice: away', 'bob away'])
    await native.ask({ presence: { status: 'online' } })
    await alice.say(available())
    await heard(world, bob)
    await all()
  }
  await command('block', 'bob@localhost/desk')
  t.same(await heard(world, bob), ['alice/phone → bob/desk: unavailable'])
  t.same(world.errors, [])
})

t.test('a resource that was blocked is not shown who is there, nor shown', async (t) => {
  const { world, gateways } = await setting(t)
  const block = `<block xmlns='urn:xmpp:blocking'><item jid='alice@localhost/phone'/></block>`
  const bob = await login(world, gateways[0], 'bob', 'desk')
  await bob.say(`<iq ${NS} type='set' id='b'>${block}</iq>`)
  await heard(world, bob)
  const phone = await login(world, gateways[1], 'alice', 'phone')
  t.same(await heard(world, phone), ['alice/phone → alice'])
  const tablet = await login(world, gateways[1], 'alice', 'tablet')
  t.same((await heard(world, tablet)).sort(), ['alice/phone → alice/tablet', 'alice/tablet → alice', 'bob/desk → alice/tablet'])
  t.same(await heard(world, bob), ['alice/tablet → bob'])
  const other = await login(world, gateways[0], 'bob', 'other')
  t.same((await heard(world, other)).sort(), ['alice/tablet → bob/other', 'bob/desk → bob/other', 'bob/other → bob'])
  await Promise.all([phone, tablet].map((session) => heard(world, session)))
  await bob.say(available('<show>dnd</show>'))
  t.same(await heard(world, phone), [])
  t.same(await heard(world, tablet), ['bob/desk → alice/tablet: dnd'])
  await bob.bye()
  t.same(await heard(world, phone), [])
  t.same(await heard(world, tablet), ['bob/desk → alice/tablet: unavailable'])
})

t.test('a block that was cut short by the bus is completed by its repetition', async (t) => {
  const world = await World.open(t)
  let isFailing = false
  await world.worker((bus) =>
    changed(bus, {
      async bucket(name) {
        const bucket = await bus.bucket(name)
        if (name !== 'roster') return bucket
        const get = async (key: string) => (isFailing ? Promise.reject(new BusError('timeout')) : bucket.get(key))
        return new Proxy(bucket, {
          get: (target, key) => {
            const value = key === 'get' ? get : (Reflect.get(target, key, target) as unknown)
            return typeof value === 'function' ? value.bind(target) : value
          },
        })
      },
    }),
  )
  const gateway = await world.gateway()
  await befriend(world, gateway, 'alice', 'bob', LINGER_MS)
  const bob = await login(world, gateway, 'bob', 'desk')
  const alice = await login(world, gateway, 'alice', 'phone')
  await heard(world, bob)
  for (const [command, seen] of [
    ["<block xmlns='urn:xmpp:blocking'><item jid='bob@localhost'/></block>", ['alice/phone → bob: unavailable']],
    ["<unblock xmlns='urn:xmpp:blocking'/>", ['alice/phone → bob']],
  ] as const) {
    isFailing = true
    await t.rejects(alice.say(`<iq ${NS} type='set' id='b'>${command}</iq>`), /bus_unavailable/)
    isFailing = false
    await alice.say(`<iq ${NS} type='set' id='b'>${command}</iq>`)
    t.same(await heard(world, bob), seen)
  }
})

t.test('a request of somebody who was blocked is like one that nobody answers', async (t) => {
  const world = await World.open(t)
  await world.worker()
  const gateway = await world.gateway()
  const alice = await login(world, gateway, 'alice', 'x')
  const [native, carol] = [await gateway.open('bob'), await login(world, gateway, 'carol', 'x', '', true)]
  for (const jid of ['bob@localhost', 'carol@localhost']) {
    await alice.say(`<iq ${NS} type='set' id='b'><block xmlns='urn:xmpp:blocking'><item jid='${jid}'/></block></iq>`)
  }
  for (const session of [alice, carol]) await heard(world, session)
  t.ok((await native.ask({ roster: { op: 'subscribe', user: 'alice' } })).ok)
  await carol.say(`<presence ${NS} to='alice@localhost' type='subscribe'/>`)
  t.same(await heard(world, carol), ['push alice none (subscribe)'])
  t.same(await heard(world, alice), [])
  const again = await login(world, gateway, 'alice', 'y')
  t.same(
    (await heard(world, again)).filter((words) => words.endsWith('subscribe')),
    [],
  )
  t.same(world.errors, [])
})
