// The roster of XMPP clients: subscriptions in every state, what both sides are told, roster iqs, and the dispatcher's rules.

import type { Test } from 'tap'
import t from 'tap'
import { BusError } from '../../bus/bus.js'
import { type Contact, NO_CONTACT, type RosterRecord, rosterCodec, subscriptionOf } from '../../c2s/roster-record.js'
import { Records } from '../../c2s/store.js'
import type { Element } from '../../proto/xml/element.js'
import { ROSTER_NS } from '../../proto/xml/namespaces.js'
import { changed, LINGER_MS, World } from '../support/c2s-world.js'
import type { FakeGateway, FakeSession } from '../support/fake-gateway.js'
import { befriend, describe, describeItem, heard, LOOK_MS, login } from '../support/xmpp-words.js'

const NS = `xmlns='jabber:client'`

// ---- the state machine: RFC 6121, appendix A

/** The nine states, as RFC 6121 §A.1 names them. */
const STATES = ['None', 'None + Out', 'None + In', 'None + Out+In', 'To', 'To + In', 'From', 'From + Out', 'Both'] as const
type State = (typeof STATES)[number]
type Kind = 'subscribe' | 'unsubscribe' | 'subscribed' | 'unsubscribed'
/** `-`: no change. Outbound: `!` that it is not routed. Inbound: what is not delivered changes nothing. */
type Row = Readonly<Record<State, State | '-'>>

/** §A.2: what the user sends. */
const OUTBOUND: Readonly<Record<Kind, Row>> = {
  subscribe: {
    None: 'None + Out',
    'None + Out': '-',
    'None + In': 'None + Out+In',
    'None + Out+In': '-',
    To: '-',
    'To + In': '-',
    From: 'From + Out',
    'From + Out': '-',
    Both: '-',
  },
  unsubscribe: {
    None: '-',
    'None + Out': 'None',
    'None + In': '-',
    'None + Out+In': 'None + In',
    To: 'None',
    'To + In': 'None + In',
    From: '-',
    'From + Out': 'From',
    Both: 'From',
  },
  subscribed: {
    None: '-',
    'None + Out': '-',
    'None + In': 'From',
    'None + Out+In': 'From + Out',
    To: '-',
    'To + In': 'Both',
    From: '-',
    'From + Out': '-',
    Both: '-',
  },
  unsubscribed: {
    None: '-',
    'None + Out': '-',
    'None + In': 'None',
    'None + Out+In': 'None + Out',
    To: '-',
    'To + In': 'To',
    From: 'None',
    'From + Out': 'None + Out',
    Both: 'To',
  },
}

/** §A.3: what the user is sent. A change means that the stanza is delivered. */
const INBOUND: Readonly<Record<Kind, Row>> = {
  subscribe: {
    None: 'None + In',
    'None + Out': 'None + Out+In',
    'None + In': '-',
    'None + Out+In': '-',
    To: 'To + In',
    'To + In': '-',
    From: '-',
    'From + Out': '-',
    Both: '-',
  },
  unsubscribe: {
    None: '-',
    'None + Out': '-',
    'None + In': 'None',
    'None + Out+In': 'None + Out',
    To: '-',
    'To + In': 'To',
    From: 'None',
    'From + Out': 'None + Out',
    Both: 'To',
  },
  subscribed: {
    None: '-',
    'None + Out': 'To',
    'None + In': '-',
    'None + Out+In': 'To + In',
    To: '-',
    'To + In': '-',
    From: '-',
    'From + Out': 'Both',
    Both: '-',
  },
  unsubscribed: {
    None: '-',
    'None + Out': 'None',
    'None + In': '-',
    'None + Out+In': 'None + In',
    To: 'None',
    'To + In': 'None + In',
    From: '-',
    'From + Out': 'From',
    Both: 'From',
  },
}

function contactOf(state: State): Contact {
  const [subscription = '', waiting = ''] = state.split(' + ')
  return {
    ...NO_CONTACT,
    to: subscription === 'To' || subscription === 'Both',
    from: subscription === 'From' || subscription === 'Both',
    ask: waiting.includes('Out'),
    request: waiting.includes('In'),
    listed: true,
  }
}

function stateOf(contact: Contact = NO_CONTACT): string {
  const subscription = subscriptionOf(contact)
  const waiting = [...(contact.ask ? ['Out'] : []), ...(contact.request ? ['In'] : [])].join('+')
  return `${subscription.charAt(0).toUpperCase()}${subscription.slice(1)}${waiting === '' ? '' : ` + ${waiting}`}`
}

/** How the contact's server has it. */
function mirrored(state: State): State {
  const { to, from, ask, request } = contactOf(state)
  return stateOf({ ...NO_CONTACT, to: from, from: to, ask: request, request: ask }) as State
}

interface Rosters {
  readonly records: Records<RosterRecord>
  seed(user: string, other: string, state: State): Promise<void>
  read(user: string, other: string): Promise<string>
}

async function rosters(world: World): Promise<Rosters> {
  const records = new Records(await world.bus().bucket('roster'), rosterCodec)
  return {
    records,
    seed: async (user, other, state) => {
      await records.change(user, (record = new Map()) => new Map([...record, [other, contactOf(state)]]))
    },
    read: async (user, other) => stateOf((await records.get(user))?.get(other)),
  }
}

function isKind(words: string, kind: Kind): boolean {
  return words.endsWith(`: ${kind}`)
}

t.test('every subscription stanza in each of the nine states, seen from both sides', async (t) => {
  const world = await World.open(t)
  await world.worker()
  await world.worker()
  const gateway = await world.gateway()
  const { seed, read } = await rosters(world)
  let pairs = 0
  for (const kind of Object.keys(OUTBOUND) as Kind[]) {
    for (const state of STATES) {
      const [alice, bob] = [`alice${++pairs}`, `bob${pairs}`]
      await seed(alice, bob, state)
      await seed(bob, alice, mirrored(state))
      const [a, b] = [await login(world, gateway, alice, 'a', '', true), await login(world, gateway, bob, 'b', '', true)]
      await heard(world, a)
      await heard(world, b)
      const name = `${kind} in ${state}`
      t.same(await a.say(`<presence ${NS} to='${bob}@localhost/b' type='${kind}' id='s1'><status>why</status></presence>`), [], name)
      const outbound = OUTBOUND[kind][state]
      const wanted = outbound === '-' ? state : outbound
      t.equal(await read(alice, bob), wanted, `${name}: own side`)
      const inbound = INBOUND[kind][mirrored(state)]
      t.equal(await read(bob, alice), inbound === '-' ? mirrored(state) : inbound, `${name}: other side, by its own table`)
      t.equal(await read(bob, alice), mirrored(wanted), `${name}: other side`)

      const isReached = inbound !== '-'
      const [own, other] = [await heard(world, a), await heard(world, b)]
      t.same(
        other.filter((words) => isKind(words.replace(' why', ''), kind)),
        isReached ? [`${alice} → ${bob}: ${kind} why`] : [],
        `${name}: delivered as it was said`,
      )
      // Pending In is not in the roster (§2.1.2.3).
      const visible = (text: string): string => text.replace('+In', '').replace(' + In', '')
      const pushes = (all: string[]): number => all.filter((words) => words.startsWith('push')).length
      t.equal(pushes(own), visible(state) === visible(wanted) ? 0 : 1, `${name}: own push`)
      t.equal(pushes(other), visible(mirrored(state)) === visible(mirrored(wanted)) ? 0 : 1, `${name}: other push`)
      // §3.1.6, §3.2.2, §3.3.3: who may see the other from now on does, and who may not sees them leave.
      const [before, after] = [contactOf(state), contactOf(wanted)]
      const sees = (all: string[], who: string): string[] => all.filter((words) => words.startsWith(`${who}/`))
      t.same(sees(own, bob), before.to && !after.to ? [`${bob}/b → ${alice}: unavailable`] : sees(own, bob).filter(() => after.to), name)
      if (after.from && !before.from) t.same(sees(other, alice), [`${alice}/a → ${bob}`], `${name}: seen`)
      if (!after.from && before.from) t.same(sees(other, alice), [`${alice}/a → ${bob}: unavailable`], `${name}: not seen any more`)
      if (after.from === before.from) t.same(sees(other, alice), [], `${name}: nothing new to see`)
      await a.bye()
      await b.bye()
    }
  }
  t.equal(pairs, 36)
  t.same(world.errors, [])
})

t.test('who has been let in before is answered at once', async (t) => {
  const world = await World.open(t)
  await world.worker()
  const gateway = await world.gateway()
  const { seed, read } = await rosters(world)
  await seed('bob', 'alice', 'From')
  const [alice, bob] = [await login(world, gateway, 'alice', 'a', '', true), await login(world, gateway, 'bob', 'b', '', true)]
  await heard(world, alice)
  await heard(world, bob)
  await alice.say(`<presence ${NS} to='bob@localhost' type='subscribe'/>`)
  t.same(await heard(world, alice), ['push bob none (subscribe)', 'push bob to', 'bob → alice: subscribed', 'bob/b → alice'])
  t.same(await heard(world, bob), [], 'without being asked again')
  t.equal(await read('alice', 'bob'), 'To')

  for (const to of ['alice@localhost', 'alice@localhost/a']) {
    for (const type of ['subscribe', 'subscribed', 'unsubscribe', 'unsubscribed']) {
      t.same(await alice.say(`<presence ${NS} to='${to}' type='${type}'/>`), [], `${type} to oneself`)
    }
  }
  t.same(await heard(world, alice), [])
  t.same(world.errors, [])
})

t.test('a request waits for who is away', async (t) => {
  const world = await World.open(t)
  await world.worker()
  const gateway = await world.gateway()
  const alice = await login(world, gateway, 'alice', 'a', '', true)
  await alice.say(`<presence ${NS} to='al\\20ice@localhost' type='subscribe'/>`)
  const other = await gateway.open('al ice', { resource: 'x' })
  t.same(await heard(world, other), [], 'not before it is available')
  t.same((await other.say(`<presence ${NS}/>`)).map(describe), ['al\\20ice/x → al\\20ice', 'alice → al\\20ice: subscribe'])
  await world.pass(LOOK_MS)
  await other.bye()
  const again = await login(world, gateway, 'al ice', 'y')
  t.same(await heard(world, again), ['al\\20ice/y → al\\20ice', 'alice → al\\20ice: subscribe'], 'each time until it is answered')
  await again.say(`<presence ${NS} to='alice@localhost' type='unsubscribed'/>`)
  const third = await login(world, gateway, 'al ice', 'z')
  t.same(await heard(world, third), ['al\\20ice/z → al\\20ice', 'al\\20ice/y → al\\20ice/z'])
  t.same((await heard(world, alice)).slice(-2).sort(), ['al\\20ice → alice: unsubscribed', 'push al\\20ice none'])
  t.same(world.errors, [])
})

t.test('one side native, the other XMPP', async (t) => {
  const world = await World.open(t)
  await world.worker()
  await world.worker()
  const gateway = await world.gateway()
  const alice = await login(world, gateway, 'alice', 'a', '', true)
  const bob = await gateway.open('bob')
  await heard(world, alice)
  const native = async (op: string): Promise<string[]> => {
    t.ok((await bob.ask({ roster: { op, user: 'alice' } })).ok, op)
    return heard(world, alice)
  }
  const xmpp = async (type: string): Promise<string[]> => {
    t.same(await alice.say(`<presence ${NS} to='bob@localhost' type='${type}'/>`), [], type)
    return heard(world, alice)
  }
  const seen = (): string[] =>
    bob.got.splice(0).map((got) => {
      if (got.kind === 'roster') return `${got.op} ${got.user} ${got.subscription}${got.ask === '' ? '' : ` (${got.ask})`}`
      return got.kind === 'presence' ? `${got.user} is ${got.status}` : got.kind
    })
  t.same(await xmpp('subscribe'), ['push bob none (subscribe)'])
  t.same(seen(), ['request alice none'])
  t.same(await native('approve'), ['push bob to', 'bob → alice: subscribed', 'bob/holdwire'])
  t.same(seen(), ['set alice from'])
  t.same(await native('subscribe'), ['bob → alice: subscribe'], 'no push for what is not in the roster')
  t.same(seen(), ['set alice from (subscribe)'])
  t.same(await xmpp('subscribed'), ['push bob both'])
  t.same(seen(), ['set alice both', 'alice is online'])
  t.same(await native('deny'), ['push bob from', 'bob → alice: unsubscribed', 'bob/holdwire: unavailable'])
  t.same(seen(), ['set alice to'])
  t.same(await xmpp('unsubscribed'), ['push bob none'])
  t.same(seen(), ['set alice none', 'alice is offline'])

  t.same(await native('subscribe'), ['bob → alice: subscribe'])
  t.same(await native('remove'), ['bob → alice: unsubscribe'], 'a request withdrawn')
  t.same(seen(), ['set alice none (subscribe)', 'remove alice none'])
  await native('subscribe')
  seen()
  t.same(await xmpp('unsubscribed'), [], 'a request refused: nothing that the roster shows')
  t.same(seen(), ['set alice none'])
  await native('subscribe')
  await xmpp('subscribed')
  await xmpp('subscribe')
  await native('approve')
  seen()
  t.same(await xmpp('unsubscribe'), ['push bob from', 'bob/holdwire: unavailable'])
  t.same(seen(), ['set alice to'])
  await xmpp('subscribe')
  await native('approve')
  seen()
  t.same((await native('remove')).sort(), [
    'bob → alice: unsubscribe',
    'bob → alice: unsubscribed',
    'bob/holdwire: unavailable',
    'push bob none',
  ])
  t.same(seen(), ['remove alice none', 'alice is offline'])
  t.same(world.errors, [])
})

// ---- roster iqs

let ids = 0

async function iq(session: FakeSession, type: string, content: string, to = ''): Promise<Element> {
  const [answer, second] = await session.say(`<iq ${NS} id='i${++ids}' type='${type}'${to === '' ? '' : ` to='${to}'`}>${content}</iq>`)
  if (answer === undefined || second !== undefined) throw new Error('an iq has exactly one answer')
  if (answer.attribute('id') !== `i${ids}`) throw new Error('the answer has another id')
  return answer
}

async function list(session: FakeSession): Promise<string[]> {
  const answer = await iq(session, 'get', `<query xmlns='${ROSTER_NS}'/>`)
  return (answer.child('query', ROSTER_NS)?.elements ?? []).map(describeItem)
}

async function put(session: FakeSession, attributes: string, groups = ''): Promise<string> {
  return describe(await iq(session, 'set', `<query xmlns='${ROSTER_NS}'><item ${attributes}>${groups}</item></query>`))
}

async function world2(t: Test, limits = {}): Promise<{ world: World; gateway: FakeGateway }> {
  const world = await World.open(t, limits)
  await world.worker()
  await world.worker()
  return { world, gateway: await world.gateway() }
}

t.test('the list and its changes', async (t) => {
  const { world, gateway } = await world2(t)
  const alice = await gateway.open('alice', { resource: 'a' })
  const other = await gateway.open('alice', { resource: 'b' })
  const native = await gateway.open('alice')
  t.same(await list(alice), [])
  t.match(alice.shown, { interested: true, available: false })
  await heard(world, alice)
  t.equal(
    await put(alice, `jid='bob@localhost/desk' name='B &amp; b' subscription='both' ask='subscribe'`, '<group>x</group><group>y</group>'),
    'result',
  )
  t.same((await heard(world, alice)).sort(), ['push bob none "B & b" [x,y]', 'result'])
  t.same(await heard(world, other), [], 'only who asked for the list gets its changes')
  t.match(native.take('roster'), [{ op: 'set', user: 'bob', subscription: 'none' }])
  await native.ask({ roster: { op: 'set', user: 'carol', name: 'C', groups: ['z'] } })
  t.same(await heard(world, alice), ['push carol none "C" [z]'])
  t.equal(await put(alice, `jid='a\\40b.example@localhost'`), 'result')
  t.same(await list(other), ['a\\40b.example none', 'bob none "B & b" [x,y]', 'carol none "C" [z]'])
  t.equal(await put(alice, `jid='bob@localhost'`), 'result')
  t.same((await list(other)).slice(1, 2), ['bob none'], 'what is set is set as a whole')
  t.match((await native.ask({ roster: { op: 'get' } })).result, { items: [{ user: 'a@b.example' }, { user: 'bob' }, { user: 'carol' }] })
  await heard(world, alice)
  await heard(world, other)
  t.equal(await put(alice, `jid='bob@localhost' subscription='remove'`), 'result')
  t.same(await heard(world, other), ['push bob remove'])
  t.equal(await put(alice, `jid='bob@localhost' subscription='remove'`), 'error item-not-found')
  t.same(await list(alice), ['a\\40b.example none', 'carol none "C" [z]'])
  t.same(world.errors, [])
})

t.test('who is removed', async (t) => {
  const { world, gateway } = await world2(t)
  await befriend(world, gateway, 'alice', 'bob', LINGER_MS)
  const [alice, bob] = [await login(world, gateway, 'alice', 'a', '', true), await login(world, gateway, 'bob', 'b', '', true)]
  await heard(world, alice)
  await heard(world, bob)
  t.equal(await put(alice, `jid='bob@localhost' subscription='remove'`), 'result')
  t.same((await heard(world, alice)).sort(), ['bob/b → alice: unavailable', 'push bob remove', 'result'])
  t.same(await heard(world, bob), [
    'push alice none',
    'alice → bob: unsubscribe',
    'alice → bob: unsubscribed',
    'alice/a → bob: unavailable',
  ])
  await alice.say(`<presence ${NS}><show>away</show></presence>`)
  t.same(await heard(world, bob), [])
  // Somebody who only asks is no contact, and can't be removed from the list.
  await bob.say(`<presence ${NS} to='alice@localhost' type='subscribe'/>`)
  t.equal(await put(alice, `jid='bob@localhost' subscription='remove'`), 'error item-not-found')
  t.same(world.errors, [])
})

t.test('what is no roster request', async (t) => {
  const { world, gateway } = await world2(t, { nameBytes: 8, groupsPerContact: 2, contactsPerUser: 3 })
  const alice = await gateway.open('alice', { resource: 'a' })
  const query = async (type: string, items: string, to = ''): Promise<string> =>
    describe(await iq(alice, type, `<query xmlns='${ROSTER_NS}'>${items}</query>`, to))
  const item = (attributes: string, groups = ''): Promise<string> => put(alice, attributes, groups)
  t.equal(await query('set', ''), 'error bad-request')
  t.equal(await query('set', `<item jid='a@localhost'/><item jid='b@localhost'/>`), 'error bad-request')
  t.equal(await query('set', `<thing jid='a@localhost'/>`), 'error bad-request')
  t.equal(await query('get', `<item jid='a@localhost'/>`), 'error bad-request')
  t.equal(await item(``), 'error bad-request')
  t.equal(await item(`jid='@'`), 'error jid-malformed')
  t.equal(await item(`jid='bob@elsewhere.example'`), 'error not-acceptable')
  t.equal(await item(`jid='localhost'`), 'error not-acceptable')
  t.equal(await item(`jid='alice@localhost'`), 'error not-allowed')
  t.equal(await item(`jid='alice@localhost' subscription='remove'`), 'error not-allowed')
  t.equal(await item(`jid='bob@localhost' name='123456789'`), 'error not-acceptable')
  t.equal(await item(`jid='bob@localhost'`, '<group>123456789</group>'), 'error not-acceptable')
  t.equal(await item(`jid='bob@localhost'`, '<group/>'), 'error not-acceptable')
  t.equal(await item(`jid='bob@localhost'`, '<group>a</group><group>b</group><group>c</group>'), 'error not-acceptable')
  t.equal(await item(`jid='bob@localhost'`, '<group>a</group><group>a</group>'), 'error bad-request')
  t.same(await list(alice), [])
  for (const n of [1, 2, 3]) t.equal(await item(`jid='c${n}@localhost'`), 'result')
  t.equal(await item(`jid='c4@localhost'`), 'error not-acceptable', 'a full roster')
  const full = (await alice.say(`<presence ${NS} to='c4@localhost' type='subscribe' id='x'/>`)).map(describe)
  t.same(full, ['error policy-violation'])
  for (const to of ['bob@localhost', 'localhost']) {
    t.equal(await query('get', '', to), 'error forbidden', `the roster of ${to}`)
    t.equal(await query('set', `<item jid='x@localhost'/>`, to), 'error forbidden')
  }
  t.equal(await query('get', '', 'alice@localhost'), 'result')
  t.equal(await query('get', '', 'alice@LOCALHOST'), 'result')
  t.same(world.errors, [])
})

// ---- the dispatcher

t.test('what is no stanza, and what nobody takes', async (t) => {
  const { world, gateway } = await world2(t)
  const alice = await gateway.open('al@ice', { resource: 'a' })
  const answer = async (xml: string): Promise<string> => {
    const stanzas = (await alice.say(xml)).map(describe)
    return alice.streamError === '' ? stanzas.join() : `stream ${alice.streamError}`
  }
  const ping = `<ping xmlns='urn:test'/>`
  t.equal(await answer(`<iq ${NS} type='get'>${ping}</iq>`), 'error bad-request', 'no id')
  t.equal(await answer(`<iq ${NS} id='1'>${ping}</iq>`), 'error bad-request', 'no type')
  t.equal(await answer(`<iq ${NS} id='1' type='fetch'>${ping}</iq>`), 'error bad-request')
  t.equal(await answer(`<iq ${NS} id='1' type='get'/>`), 'error bad-request', 'nothing asked')
  t.equal(await answer(`<iq ${NS} id='1' type='get'>${ping}${ping}</iq>`), 'error bad-request')
  for (const to of ['', `to='localhost'`, `to='al\\40ice@localhost'`, `to='localhost/x'`]) {
    t.equal(await answer(`<iq ${NS} id='1' type='get' ${to}>${ping}</iq>`), 'error service-unavailable', to)
    t.equal(await answer(`<iq ${NS} id='1' type='result' ${to}/>`), '', `result ${to}`)
    t.equal(await answer(`<iq ${NS} id='1' type='error' ${to}/>`), '', `error ${to}`)
  }
  t.equal(await answer(`<iq ${NS} id='1' type='get' to='a@b@c'>${ping}</iq>`), 'error jid-malformed')
  t.equal(await answer(`<iq ${NS} id='1' type='get' to=''>${ping}</iq>`), 'error jid-malformed')
  t.equal(await answer(`<message ${NS} to='bob@elsewhere.example'/>`), 'error remote-server-not-found')
  t.equal(await answer(`<iq ${NS} id='1' type='get' to='elsewhere.example'>${ping}</iq>`), 'error remote-server-not-found')
  t.equal(await answer(`<message ${NS} type='error' to='bob@elsewhere.example'/>`), '', 'errors are not answered')
  t.equal(await answer(`<iq ${NS} id='1' type='set'><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>`), 'result')
  const [error] = await alice.say(`<iq ${NS} id='e&apos;1' type='get' to='localhost'>${ping}</iq>`)
  t.same(Object.fromEntries(error?.attributes ?? []), { type: 'error', id: `e'1`, from: 'localhost', to: 'al\\40ice@localhost/a' })
  t.equal(error?.elements[0]?.ns, 'urn:test', 'with what it said')

  for (const from of ['al\\40ice@localhost', 'al\\40ice@localhost/a', 'al\\40ice@LocalHost/a', 'al\\40ice@localhost/b']) {
    t.equal(await answer(`<iq ${NS} id='1' type='get' from='${from}'>${ping}</iq>`), 'error service-unavailable', from)
  }
  for (const from of ['bob@localhost', 'bob@localhost/a', 'al\\40ice@elsewhere', 'localhost', '@']) {
    t.equal(await answer(`<iq ${NS} id='1' type='get' from='${from}'>${ping}</iq>`), 'stream invalid-from', from)
  }
  t.equal(await answer(`<query ${NS}/>`), 'stream unsupported-stanza-type')
  t.equal(await answer(`<iq xmlns='jabber:server' id='1' type='get'/>`), 'stream invalid-namespace')
  t.equal(await answer(`<iq ${NS} id='1' type='get'>`), 'stream not-well-formed')
  t.equal(await answer(`<message ${NS} to='bob@localhost'><xml:body/></message>`), 'stream not-well-formed', 'it could not be written')
  t.equal(await answer(`<iq ${NS} id='1' type='get'><!-- x --></iq>`), 'stream restricted-xml')
  t.same(world.errors, [])

  const native = await gateway.open('bob')
  t.equal((await native.ask({ stanza: { xml: Buffer.from(`<presence ${NS}/>`), id: 'x' } })).code, 'malformed')
})

t.test('RFC 6120 §8.1.5: a stanza that names no language is in that of its stream', async (t) => {
  const world = await World.open(t)
  await world.worker()
  const gateway = await world.gateway()
  const bob = await login(world, gateway, 'bob', 'desk')
  const languageOf = async (own: string, language: string): Promise<string> => {
    bob.stanzas.length = 0
    const alice = await gateway.open('alice', { resource: 'phone', language })
    await alice.say(`<message xmlns='jabber:client' to='bob@localhost'${own}><body>hi</body></message>`)
    await world.settle()
    return bob.stanzas.splice(0).map((stanza) => stanza.attributes.get('xml:lang') ?? 'none')[0] ?? 'no message'
  }
  t.equal(await languageOf('', 'de-CH'), 'de-CH')
  t.equal(await languageOf(" xml:lang='fr'", 'de'), 'fr')
  t.equal(await languageOf(" xml:lang=''", 'de'), '')
  t.equal(await languageOf('', ''), 'none')
  t.equal(await languageOf('', 'x'.repeat(36)), 'none', 'nobody makes every stanza longer')
  t.equal(await languageOf('', "x' y='"), 'none')
})

t.test('several stanzas in one request, and requests repeated', async (t) => {
  const { world, gateway } = await world2(t, { keptReplyBytes: 600 })
  await befriend(world, gateway, 'alice', 'bob', LINGER_MS)
  const bob = await login(world, gateway, 'bob', 'b', `<status>${'x'.repeat(600)}</status>`)
  const alice = await gateway.open('alice', { resource: 'a' })
  const stanza = (xml: string, id: string) => ({ stanza: { xml: Buffer.from(xml), id } })
  const frames = [
    stanza(`<iq ${NS} id='1' type='get'><query xmlns='${ROSTER_NS}'/></iq>`, 'r1'),
    stanza(`<presence ${NS}><show>away</show></presence>`, 'r2'),
    stanza(`<iq ${NS} id='2' type='get'/>`, 'r3'),
  ]
  await heard(world, bob)
  const before = alice.contextBytes
  const answers = await alice.send(...frames)
  t.ok(answers.every(({ ok }) => ok))
  const words = (): string[] => alice.answers.map((one) => describe(one).replace(/x{600}/, '…'))
  const first = words()
  t.same(first, ['result', 'alice/a → alice: away', 'bob/b → alice/a: …', 'error bad-request'], 'in order')
  t.ok(alice.contextBytes > before, 'the context has changed')
  t.match(alice.shown, { available: true, interested: true })

  // The answer was too long to keep: the request is done again, from what the session was before.
  const context = alice.context
  alice.shown = {}
  alice.context = new Uint8Array()
  await alice.repeat(alice.next - frames.length, frames)
  t.same(words(), first)
  t.match(alice.shown, { available: true, interested: true })
  t.same(alice.context, context, 'and the gateway has it all')

  const unchanged = alice.contextBytes
  await alice.say(`<iq ${NS} id='3' type='get'/>`)
  t.equal(alice.contextBytes, unchanged, 'what the gateway has is not sent again')
  await alice.say(`<presence ${NS}><show>away</show></presence>`)
  t.equal(alice.contextBytes > unchanged, true)

  // What ends the stream ends the request.
  const last = await alice.send(stanza(`<presence ${NS} from='x@y'/>`, 'r4'), stanza(`<presence ${NS} type='unavailable'/>`, 'r5'))
  t.same(
    last.map(({ ok }) => ok),
    [true, false],
  )
  t.equal(alice.streamError, 'invalid-from')
  t.match(alice.shown, { available: true })
  t.same(world.errors, [])
})

t.test('the bus is away, and bugs', async (t) => {
  const world = await World.open(t)
  let broken: Error | undefined
  await world.worker((bus) =>
    changed(bus, {
      bucket: async (name, options) => {
        const bucket = await bus.bucket(name, options)
        return name === 'roster'
          ? changedBucket(bucket, () => {
              if (broken !== undefined) throw broken
            })
          : bucket
      },
    }),
  )
  const gateway = await world.gateway()
  const alice = await gateway.open('alice', { resource: 'a' })
  broken = new BusError('disconnected')
  const get = `<iq ${NS} id='1' type='get'><query xmlns='${ROSTER_NS}'/></iq>`
  await t.rejects(alice.say(get), { message: 'bus_unavailable' })
  await t.rejects(alice.say(`<presence ${NS}/>`), { message: 'bus_unavailable' })
  t.match(alice.shown, { available: false, interested: false }, 'what was not done has changed nothing')
  broken = new Error('a bug')
  t.same((await alice.say(get)).map(describe), ['error internal-server-error'])
  t.equal(world.errors.splice(0).length, 1)
  broken = undefined
  t.same((await alice.say(get)).map(describe), ['result'])
  t.same(world.errors, [])
})

function changedBucket<B extends { get(key: string): Promise<unknown> }>(bucket: B, guard: () => void): B {
  const get = async (key: string): Promise<unknown> => {
    guard()
    return bucket.get(key)
  }
  return { ...bucket, get }
}
