// The blocking command (XEP-0191): the list, what it keeps out both ways, and who is told.

import t from 'tap'
import { DEFAULT_LIMITS } from '../../c2s/limits.js'
import { Routing } from '../../c2s/routing.js'
import { Topics } from '../../c2s/topics.js'
import { parseJid } from '../../proto/xml/jid.js'
import { conditionOf, Desk, Listener } from '../support/xmpp-desk.js'

function command(name: string, ...jids: string[]): string {
  const items = jids.map((jid) => `<item jid='${jid}'/>`).join('')
  return `<iq type='${name === 'blocklist' ? 'get' : 'set'}' id='b'><${name} xmlns='urn:xmpp:blocking'>${items}</${name}></iq>`
}

async function listOf(client: ReturnType<Desk['client']>): Promise<string[]> {
  const [answer] = await client.send(command('blocklist'))
  t.equal(answer?.elements[0]?.name, 'blocklist')
  return (answer?.elements[0]?.elements ?? []).map((item) => item.attribute('jid'))
}

t.test('the list is kept, and its changes are told', async (t) => {
  const desk = await Desk.open(t)
  const alice = desk.client('alice', 'desk')
  const toAlice = await Listener.at(desk.world, 'alice')
  alice.state.takeNews()
  t.same(await listOf(alice), [])
  t.match(alice.state.takeNews(), { blocklist: true }, 'from now on it wants the changes')
  t.equal(await alice.fail(command('block', 'bob@LOCALHOST', 'elsewhere.example')), '')
  t.equal(await alice.fail(command('block', 'bob@localhost', 'carol@localhost/x')), '')
  t.same(await listOf(alice), ['bob@localhost', 'elsewhere.example', 'carol@localhost/x'])
  t.equal(await alice.fail(command('unblock', 'elsewhere.example', 'dave@localhost')), '')
  t.same(await listOf(alice), ['bob@localhost', 'carol@localhost/x'])
  t.equal(await alice.fail(command('unblock')), '')
  t.same(await listOf(alice), [])
  await desk.world.settle()
  const pushes = toAlice.take()
  t.ok(pushes.every(({ seq, envelope, data }) => seq === 0 && envelope.resource === '' && data === undefined))
  const contents = pushes.map(
    ({ xml }) => /^<iq xmlns='jabber:client' type='set' id='block-[\w-]+' to='alice@localhost'>(.*)<\/iq>$/.exec(xml)?.[1],
  )
  t.same(contents, [
    "<block xmlns='urn:xmpp:blocking'><item jid='bob@localhost'/><item jid='elsewhere.example'/></block>",
    "<block xmlns='urn:xmpp:blocking'><item jid='bob@localhost'/><item jid='carol@localhost/x'/></block>",
    "<unblock xmlns='urn:xmpp:blocking'><item jid='elsewhere.example'/><item jid='dave@localhost'/></unblock>",
    "<unblock xmlns='urn:xmpp:blocking'/>",
  ])
  t.same(
    desk.hooks.map(({ what, user, jids }) => [what, user, ...jids.map(({ local, domain, resource }) => `${local}@${domain}/${resource}`)]),
    [
      ['blocked', 'alice', 'bob@localhost/', '@elsewhere.example/'],
      ['blocked', 'alice', 'bob@localhost/', 'carol@localhost/x'],
      ['unblocked', 'alice', '@elsewhere.example/', 'dave@localhost/'],
      ['unblocked', 'alice', '@localhost/'],
    ],
    'presence follows each time: it may have been cut short before',
  )
  const other = await Desk.open(t, { world: desk.world })
  t.same(await listOf(other.client('alice', 'else')), [], 'one list for all workers')
})

t.test('what is wrong with a command', async (t) => {
  const desk = await Desk.open(t)
  const alice = desk.client('alice', 'desk')
  t.equal(await alice.fail(command('block')), 'bad-request')
  t.equal(await alice.fail(command('block', 'bob@localhost', '@')), 'jid-malformed')
  t.equal(await alice.fail(command('block', '')), 'jid-malformed')
  t.equal(await alice.fail("<iq type='get' id='1'><block xmlns='urn:xmpp:blocking'/></iq>"), 'not-allowed')
  t.same(await listOf(alice), [])
  const many = Array.from({ length: 1000 }, (_, i) => `u${i}@localhost`)
  t.equal(await alice.fail(command('block', ...many)), '')
  t.equal(await alice.fail(command('block', 'u5@localhost')), '', 'there already')
  t.equal(await alice.fail(command('block', 'one@more')), 'policy-violation')
  t.equal((await listOf(alice)).length, 1000)
})

t.test('which addresses an item matches (XEP-0191 §5)', async (t) => {
  const desk = await Desk.open(t)
  const alice = desk.client('alice', 'desk')
  const addresses = [
    'bob@localhost/phone',
    'bob@localhost/desk',
    'bob@localhost',
    'carol@localhost/phone',
    'localhost/phone',
    'localhost',
    'alice@localhost/x',
  ]
  const cases: [item: string, matched: number[]][] = [
    ['bob@localhost/phone', [0]],
    ['bob@localhost', [0, 1, 2]],
    ['localhost/phone', [0, 3, 4]],
    ['localhost', [0, 1, 2, 3, 4, 5]],
    ['alice@localhost', []],
    ['elsewhere', []],
  ]
  for (const [item, matched] of cases) {
    await alice.send(command('block', item))
    const blocked = addresses.map((text) => {
      const jid = parseJid(text)
      return jid !== undefined && desk.blockLists.blocks('alice', jid)
    })
    t.same(
      blocked.flatMap((is, i) => (is ? [i] : [])),
      matched,
      item,
    )
    await alice.send(command('unblock'))
  }
})

t.test('nothing passes, either way, at any worker', async (t) => {
  const here = await Desk.open(t)
  const there = await Desk.open(t, { world: here.world })
  const alice = here.client('alice', 'desk')
  const [bob, bobsOther] = [there.client('bob', 'phone'), there.client('bob', 'other')]
  const [toAlice, toBob] = [await Listener.at(here.world, 'alice', ['desk']), await Listener.at(here.world, 'bob', ['phone', 'other'])]
  const message = (to: string, type = 'chat') => `<message to='${to}' type='${type}'><body>hi</body></message>`
  const request = (to: string, type = 'get') => `<iq type='${type}' id='1' to='${to}'><query xmlns='urn:a'/></iq>`
  const card = "<vCard xmlns='vcard-temp'/>"
  await alice.send(`<iq type='set' id='1'>${card}</iq>`)
  await bob.send(`<iq type='set' id='1'>${card}</iq>`)

  await alice.send(command('block', 'bob@localhost'))
  await here.world.settle()
  const out = ['bob@localhost', 'bob@localhost/phone']
  for (const to of out) {
    const [refused] = await alice.send(message(to))
    t.equal(conditionOf(refused), 'not-acceptable')
    t.ok(refused?.elements.at(-1)?.child('blocked', 'urn:xmpp:blocking:errors'), 'and why')
    t.equal(await alice.fail(request(to)), 'not-acceptable')
  }
  for (const to of ['alice@localhost', 'alice@localhost/desk']) {
    t.equal(await bob.fail(message(to)), 'service-unavailable')
    t.equal(await bob.fail(message(to, 'headline')), 'service-unavailable')
    t.equal(await bob.fail(request(to)), 'service-unavailable')
  }
  for (const [client, to] of [
    [alice, 'bob@localhost/phone'],
    [bob, 'alice@localhost/desk'],
  ] as const) {
    for (const type of ['result', 'error']) t.same(await client.send(request(to, type)), [], 'answers are dropped')
    t.same(await client.send(message(to, 'error')), [])
  }
  t.equal(await bob.fail(`<iq type='get' id='1' to='alice@localhost'>${card}</iq>`), 'service-unavailable')
  t.equal(await alice.fail(`<iq type='get' id='1' to='bob@localhost'>${card}</iq>`), 'not-acceptable')
  await here.world.settle()
  t.same(toBob.take(), [])
  t.same(
    toAlice.take().filter(({ xml }) => !xml.includes('urn:xmpp:blocking')),
    [],
  )
  t.same((await here.bus.read('alice', 0, 10)).messages, [], 'and nothing is archived')

  await alice.send(command('unblock', 'bob@localhost'))
  await alice.send(command('block', 'bob@localhost/other'))
  await here.world.settle()
  toAlice.take()
  t.equal(await bob.fail(message('alice@localhost')), '')
  t.equal(await bobsOther.fail(message('alice@localhost')), 'service-unavailable', 'only that resource')
  t.equal(await alice.fail(message('bob@localhost')), '')
  t.equal(await alice.fail(message('bob@localhost/other')), 'not-acceptable')
  await here.world.settle()
  t.equal(toAlice.take().filter(({ envelope }) => !envelope.sent).length, 1)
})

t.test('one’s own sessions and the server are never blocked', async (t) => {
  const desk = await Desk.open(t)
  const alice = desk.client('alice', 'desk')
  const toAlice = await Listener.at(desk.world, 'alice', ['phone'])
  await alice.send(command('block', 'localhost', 'alice@localhost', 'alice@localhost/phone'))
  await desk.world.settle()
  toAlice.take()
  t.equal(await alice.fail("<message to='alice@localhost/phone' type='chat'><body>hi</body></message>"), '')
  t.equal(await alice.fail("<iq type='get' id='1' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>"), '')
  t.equal(await alice.fail("<message to='bob@localhost'><body>hi</body></message>"), 'not-acceptable', 'everybody else')
  await desk.world.settle()
  t.equal(toAlice.take().length, 1)
})

t.test('messages of the native protocol are refused too', async (t) => {
  const desk = await Desk.open(t)
  const topics = await Topics.open(desk.bus, await desk.bus.bucket('topics'), DEFAULT_LIMITS)
  t.teardown(() => topics.stop())
  const routing = new Routing(desk.bus, topics, desk.world.clock, DEFAULT_LIMITS, (from, to) => desk.blockLists.isBetweenNative(from, to))
  const send = (user: string, to: string) =>
    routing.send({ user, session: 's', claims: { patterns: [], any: false }, frame: 1 }, { to, data: Buffer.from('1') })
  const alice = desk.client('alice', 'desk')
  for (const [item, refused] of [
    ['bob@localhost', true],
    ['bob@localhost/holdwire', true],
    ['bob@localhost/phone', false],
    ['localhost', true],
  ] as const) {
    await alice.send(command('block', item))
    if (refused) await t.rejects(send('bob', 'alice'), { code: 'forbidden' }, `from somebody blocked by ${item}`)
    else await t.resolves(send('bob', 'alice'), `not blocked by ${item}`)
    if (item === 'bob@localhost') await t.rejects(send('alice', 'bob'), { code: 'forbidden' }, 'and to somebody blocked')
    await t.resolves(send('alice', 'alice'), 'oneself')
    await alice.send(command('unblock'))
  }
  await t.resolves(send('bob', 'alice'))
})
