// Requests of XMPP clients: where they go, what the server and the account answer, and what passes to other clients.

import t from 'tap'
import { BusError } from '../../bus/bus.js'
import type { Element } from '../../proto/xml/element.js'
import { changed, World } from '../support/c2s-world.js'
import { conditionOf, Desk, Listener } from '../support/xmpp-desk.js'

const PING = "<ping xmlns='urn:xmpp:ping'/>"
const INFO = "<query xmlns='http://jabber.org/protocol/disco#info'/>"
const ITEMS = "<query xmlns='http://jabber.org/protocol/disco#items'/>"

function iq(type: string, to: string, payload: string, id = '1'): string {
  return `<iq type='${type}' id='${id}'${to === '' ? '' : ` to='${to}'`}>${payload}</iq>`
}

function features(answer: Element | undefined): string[] {
  const query = answer?.elements[0]
  return (query?.elements ?? []).filter(({ name }) => name === 'feature').map((feature) => feature.attribute('var'))
}

t.test('answers go back where the request came from', async (t) => {
  const desk = await Desk.open(t)
  const alice = desk.client('alice', 'desk')
  const [answer, ...more] = await alice.send(iq('get', 'localhost', PING, 'p&amp;1'))
  t.same(more, [])
  t.equal(String(answer), "<iq xmlns='jabber:client' type='result' id='p&amp;1' from='localhost' to='alice@localhost/desk'/>")
  const [own] = await alice.send(iq('get', '', PING))
  t.equal(String(own), "<iq xmlns='jabber:client' type='result' id='1' to='alice@localhost/desk'/>")
})

t.test('what is wrong with a request is told in the terms of RFC 6120', async (t) => {
  const desk = await Desk.open(t)
  const alice = desk.client('alice', 'desk')
  // Whoever might answer for it: sessions of the native protocol can't be asked anything.
  await Listener.at(desk.world, 'carol', ['holdwire'])
  const cases: [xml: string, condition: string][] = [
    [`<iq to='localhost' id='1'>${PING}</iq>`, 'bad-request'],
    [iq('push', 'localhost', PING), 'bad-request'],
    [`<iq to='localhost' type='get'>${PING}</iq>`, 'bad-request'],
    [iq('get', 'localhost', ''), 'bad-request'],
    [iq('get', 'localhost', PING + INFO), 'bad-request'],
    [iq('set', 'localhost', PING), 'not-allowed'],
    [iq('get', '@', PING), 'jid-malformed'],
    [iq('get', 'elsewhere', PING), 'remote-server-not-found'],
    [iq('get', 'localhost', "<query xmlns='urn:example'/>"), 'service-unavailable'],
    [iq('get', 'localhost', "<pubsub xmlns='http://jabber.org/protocol/pubsub'/>"), 'service-unavailable'],
    [iq('get', '', "<pubsub xmlns='http://jabber.org/protocol/pubsub'/>"), 'service-unavailable'],
    [iq('get', '', "<ping xmlns='urn:example'/>"), 'service-unavailable'],
    [iq('get', 'localhost/x', PING), 'service-unavailable'],
    [iq('get', 'a\\5cfoo@localhost', PING), 'service-unavailable'],
    [iq('get', 'bob@localhost', PING), 'service-unavailable'],
    [iq('get', 'bob@localhost', INFO), 'service-unavailable'],
    [iq('get', 'bob@localhost/gone', PING), 'service-unavailable'],
    [iq('get', 'bob@localhost/holdwire', PING), 'service-unavailable'],
    [iq('get', 'carol@localhost/holdwire', PING), 'service-unavailable'],
    [iq('get', 'bob@localhost', "<query xmlns='jabber:iq:private'><a xmlns='urn:a'/></query>"), 'forbidden'],
    [iq('set', 'bob@localhost', "<query xmlns='urn:xmpp:mam:2'/>"), 'forbidden'],
    [iq('set', 'bob@localhost', "<vCard xmlns='vcard-temp'/>"), 'forbidden'],
    [iq('get', 'localhost', "<query xmlns='http://jabber.org/protocol/disco#info' node='x'/>"), 'item-not-found'],
  ]
  for (const [xml, condition] of cases) t.equal(await alice.fail(xml), condition, xml)
  for (const to of ['', 'localhost', 'bob@localhost', 'bob@localhost/gone', 'elsewhere', '@'])
    for (const type of ['result', 'error']) t.same(await alice.send(iq(type, to, '')), [], `a ${type} is not answered`)
})

t.test('what the server and the account say they can do', async (t) => {
  const desk = await Desk.open(t)
  const alice = desk.client('alice', 'desk')
  const [server] = await alice.send(iq('get', 'localhost', INFO))
  const serverFeatures = features(server)
  t.match(String(server), /<identity category='server' type='im' name='Holdwire'\/>/)
  for (const feature of [
    'urn:xmpp:blocking',
    'urn:xmpp:carbons:2',
    'urn:xmpp:ping',
    'vcard-temp',
    'jabber:iq:version',
    'urn:xmpp:time',
    'msgoffline',
  ])
    t.ok(serverFeatures.includes(feature), feature)
  for (const to of ['', 'alice@localhost']) {
    const [account] = await alice.send(iq('get', to, INFO))
    t.match(String(account), /<identity category='account' type='registered'\/>/)
    for (const feature of ['urn:xmpp:mam:2', 'urn:xmpp:mam:2#extended', 'urn:xmpp:sid:0', 'http://jabber.org/protocol/disco#info'])
      t.ok(features(account).includes(feature), feature)
  }
  for (const to of ['localhost', '', 'bob@localhost']) {
    const [items] = await alice.send(iq('get', to, ITEMS))
    t.equal(String(items?.elements[0]), ITEMS, `items of ${to || 'the account'}`)
  }
  t.equal(new Set(serverFeatures).size, serverFeatures.length, 'each once')
})

t.test('the software and the time', async (t) => {
  const desk = await Desk.open(t)
  const alice = desk.client('alice', 'desk')
  const [version] = await alice.send(iq('get', 'localhost', "<query xmlns='jabber:iq:version'/>"))
  t.equal(String(version?.elements[0]), "<query xmlns='jabber:iq:version'><name>Holdwire</name><version>1.2.3</version></query>")
  const [time] = await alice.send(iq('get', 'localhost', "<time xmlns='urn:xmpp:time'/>"))
  t.equal(String(time?.elements[0]), "<time xmlns='urn:xmpp:time'><tzo>+00:00</tzo><utc>2023-11-14T22:13:20.000Z</utc></time>")
  for (const to of ['', 'localhost'])
    t.equal(await alice.fail(iq('set', to, "<session xmlns='urn:ietf:params:xml:ns:xmpp-session'/>")), '', 'a session as of old')
})

t.test('carbons are switched on and off as often as one likes', async (t) => {
  const desk = await Desk.open(t)
  const alice = desk.client('alice', 'desk')
  alice.state.takeNews()
  for (const [name, carbons] of [
    ['enable', true],
    ['enable', true],
    ['disable', false],
    ['disable', false],
  ] as const) {
    const [answer] = await alice.send(iq('set', '', `<${name} xmlns='urn:xmpp:carbons:2'/>`))
    t.equal(answer?.attribute('type'), 'result')
    t.match(alice.state.takeNews(), { carbons })
  }
  t.equal(await alice.fail(iq('get', '', "<enable xmlns='urn:xmpp:carbons:2'/>")), 'not-allowed')
})

t.test('requests and answers pass between clients', async (t) => {
  const desk = await Desk.open(t)
  const alice = desk.client('alice', 'desk')
  const bob = desk.client('bob', 'phone')
  const [toAlice, toBob] = [await Listener.at(desk.world, 'alice', ['desk']), await Listener.at(desk.world, 'bob', ['phone'])]
  t.same(await alice.send(iq('get', 'bob@localhost/phone', INFO, 'q1')), [])
  await desk.world.settle()
  const [request, ...more] = toBob.take()
  t.same(more, [])
  t.match(request?.envelope, { resource: 'phone', data: null, from: '' })
  t.equal(request?.seq, 0)
  t.equal(request?.xml, `<iq xmlns='jabber:client' type='get' id='q1' to='bob@localhost/phone' from='alice@localhost/desk'>${INFO}</iq>`)
  t.same(await bob.send(iq('result', 'alice@localhost/desk', INFO, 'q1')), [])
  t.same(await bob.send(iq('error', 'alice@localhost/desk', '', 'q2')), [])
  await desk.world.settle()
  const answers = toAlice.take()
  t.same(
    answers.map(({ envelope }) => envelope.resource),
    ['desk', 'desk'],
  )
  t.match(answers[0]?.xml, /type='result' id='q1'.*from='bob@localhost\/phone'/)

  t.same(await bob.send(iq('set', 'bob@localhost/phone', "<a xmlns='urn:a'/>")), [], 'to a resource of one’s own')
  await desk.world.settle()
  t.equal(toBob.take().length, 1)
})

t.test('a bus that fails is no fault of the request', async (t) => {
  const world = await World.open(t)
  const ask = async (): Promise<never> => {
    throw new BusError('disconnected')
  }
  const deaf = await Desk.open(t, { world, wrap: (bus) => changed(bus, { ask }) })
  await t.rejects(deaf.client('alice', 'desk').send(iq('get', 'bob@localhost/phone', PING)), { code: 'disconnected' })
  const mute = await Desk.open(t, { world, wrap: (bus) => changed(bus, { push: () => false }) })
  await Listener.at(world, 'bob', ['phone'])
  t.equal(await mute.client('alice', 'desk').fail(iq('get', 'bob@localhost/phone', PING)), 'resource-constraint')
})

t.test('vCards are written by their owner and read by everybody', async (t) => {
  const desk = await Desk.open(t)
  const [alice, bob] = [desk.client('alice', 'desk'), desk.client('bob', 'phone')]
  const card = "<vCard xmlns='vcard-temp'><FN>Alice &amp; Co</FN></vCard>"
  const empty = "<vCard xmlns='vcard-temp'/>"
  t.equal(await alice.fail(iq('get', '', empty)), 'item-not-found')
  t.equal(await bob.fail(iq('get', 'alice@localhost', empty)), 'service-unavailable', 'as if there were no such user')
  t.equal(await alice.fail(iq('set', '', card)), '')
  for (const [client, to] of [
    [alice, ''],
    [alice, 'alice@localhost'],
    [bob, 'alice@localhost'],
  ] as const) {
    const [answer] = await client.send(iq('get', to, empty))
    t.equal(String(answer?.elements[0]), card, `${client.jid} asks ${to || 'nobody'}`)
    t.equal(answer?.attribute('from'), to)
  }
  const photo = (bytes: number) => `<vCard xmlns='vcard-temp'><PHOTO><BINVAL>${'x'.repeat(bytes)}</BINVAL></PHOTO></vCard>`
  const rest = photo(0).length
  t.equal(await alice.fail(iq('set', '', photo(65_536 - rest + 1))), 'policy-violation')
  const [unchanged] = await alice.send(iq('get', '', empty))
  t.equal(String(unchanged?.elements[0]), card)
  t.equal(await alice.fail(iq('set', '', photo(65_536 - rest))), '')
})

t.test('private fragments are kept by name and namespace', async (t) => {
  const desk = await Desk.open(t)
  const [alice, bob] = [desk.client('alice', 'desk'), desk.client('bob', 'phone')]
  const query = (content: string) => `<query xmlns='jabber:iq:private'>${content}</query>`
  const get = async (client: typeof alice, fragment: string) => {
    const [answer] = await client.send(iq('get', '', query(fragment)))
    return conditionOf(answer) || String(answer?.elements[0])
  }
  t.equal(await get(alice, "<storage xmlns='storage:bookmarks'/>"), query("<storage xmlns='storage:bookmarks'/>"), 'nothing yet')
  const marks = "<storage xmlns='storage:bookmarks'><conference jid='a@b'/></storage>"
  t.equal(await alice.fail(iq('set', '', query(`${marks}<notes xmlns='storage:notes'>n</notes>`))), '')
  t.equal(await alice.fail(iq('set', '', query("<notes xmlns='storage:notes'>changed</notes>"))), '')
  t.equal(await get(alice, "<storage xmlns='storage:bookmarks'/>"), query(marks))
  t.equal(await get(alice, "<notes xmlns='storage:notes'/>"), query("<notes xmlns='storage:notes'>changed</notes>"))
  t.equal(await get(bob, "<storage xmlns='storage:bookmarks'/>"), query("<storage xmlns='storage:bookmarks'/>"), 'each has their own')
  t.equal(await get(alice, ''), 'bad-request')
  t.equal(await get(alice, "<a xmlns='urn:a'/><b xmlns='urn:b'/>"), 'bad-request')
  t.equal(await alice.fail(iq('set', '', query(''))), 'not-acceptable')
  t.equal(await alice.fail(iq('set', '', query('<a/>'))), 'not-acceptable', 'no namespace of its own')
  t.equal(await alice.fail(iq('set', '', query(`<a xmlns='urn:a'>${'x'.repeat(65_536)}</a>`))), 'policy-violation')
  t.equal(await get(alice, "<a xmlns='urn:a'/>"), query("<a xmlns='urn:a'/>"))
})
