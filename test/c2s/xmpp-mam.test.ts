// The message archive (XEP-0313): what is in it, how it is searched, and paging through it.

import t from 'tap'
import { v1 } from '../../proto/messages.js'
import { archiveId } from '../../proto/xml/archive-id.js'
import type { Element } from '../../proto/xml/element.js'
import { Random } from '../support/random.js'
import { type Client, conditionOf, Desk } from '../support/xmpp-desk.js'

const MAM = 'urn:xmpp:mam:2'

interface QueryOptions {
  /** Fields of the form. */
  readonly fields?: Readonly<Record<string, string | readonly string[]>>
  /** Content of the RSM set. */
  readonly set?: string
  readonly more?: string
  readonly to?: string
}

function query({ fields, set, more = '', to = '' }: QueryOptions): string {
  const field = (name: string, values: string | readonly string[]) =>
    `<field var='${name}'>${[values]
      .flat()
      .map((value) => `<value>${value}</value>`)
      .join('')}</field>`
  const all = Object.entries({ FORM_TYPE: MAM, ...fields }).map(([name, values]) => field(name, values))
  const form = fields === undefined ? '' : `<x xmlns='jabber:x:data' type='submit'>${all.join('')}</x>`
  const rsm = set === undefined ? '' : `<set xmlns='http://jabber.org/protocol/rsm'>${set}</set>`
  return `<iq type='set' id='q'${to === '' ? '' : ` to='${to}'`}><query xmlns='${MAM}' queryid='f1'>${form}${rsm}${more}</query></iq>`
}

interface Result {
  readonly ids: string[]
  readonly messages: Element[]
  readonly complete: boolean
  readonly first: string
  readonly last: string
  readonly count: string
  readonly stanzas: Element[]
}

async function ask(client: Client, options: QueryOptions = {}): Promise<Result> {
  const stanzas = await client.send(query(options))
  const answer = stanzas.at(-1)
  if (answer?.attribute('type') !== 'result') throw new Error(conditionOf(answer) || 'no answer')
  const fin = answer.child('fin', MAM)
  const page = fin?.child('set', 'http://jabber.org/protocol/rsm')
  const textOf = (name: string) => page?.elements.find((child) => child.name === name)?.text ?? ''
  const results = stanzas.slice(0, -1).map((stanza) => stanza.child('result', MAM))
  return {
    ids: results.map((result) => result?.attribute('id') ?? ''),
    messages: results.map((result) => result?.elements[0]?.child('message', 'jabber:client')).filter((message) => message !== undefined),
    complete: fin?.attribute('complete') === 'true',
    first: textOf('first'),
    last: textOf('last'),
    count: textOf('count'),
    stanzas,
  }
}

async function failure(client: Client, options: QueryOptions): Promise<string> {
  return client.fail(query(options))
}

function bodies({ messages }: Result): string[] {
  return messages.map((message) => message.elements.find(({ name }) => name === 'body')?.text ?? '')
}

/** Straight into an inbox, as natives, backends and other workers do. */
async function store(desk: Desk, user: string, id: string, fields: v1.Envelope.$Properties): Promise<void> {
  await desk.bus.publish(user, id, v1.Envelope.encode({ id, time: desk.world.clock.now(), ...fields }).finish())
}

function json(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value))
}

function chat(to: string, body: string, more = ''): string {
  return `<message to='${to}' type='chat' id='id-${body}'><body>${body}</body>${more}</message>`
}

t.test('both sides of a conversation, as they were sent', async (t) => {
  const desk = await Desk.open(t)
  const [alice, bob] = [desk.client('alice', 'desk'), desk.client('bob', 'phone')]
  await alice.send(chat('bob@localhost', 'one'))
  desk.world.clock.advance(1234)
  await bob.send(chat('alice@localhost/desk', 'two', "<x xmlns='urn:x'/>"))
  const epoch = await desk.bus.epoch('alice')
  const { messages } = await desk.bus.read('alice', 0, 10)
  const ids = messages.map(({ seq }) => archiveId(epoch, seq))
  const { stanzas } = await ask(alice)
  t.same(stanzas.map(String), [
    `<message xmlns='jabber:client' from='alice@localhost' to='alice@localhost/desk'><result xmlns='${MAM}' queryid='f1' id='${ids[0]}'>` +
      "<forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' stamp='2023-11-14T22:13:20.000Z'/>" +
      "<message xmlns='jabber:client' to='bob@localhost' type='chat' id='id-one' from='alice@localhost/desk'><body>one</body></message>" +
      '</forwarded></result></message>',
    `<message xmlns='jabber:client' from='alice@localhost' to='alice@localhost/desk'><result xmlns='${MAM}' queryid='f1' id='${ids[1]}'>` +
      "<forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' stamp='2023-11-14T22:13:21.234Z'/>" +
      "<message xmlns='jabber:client' to='alice@localhost/desk' type='chat' id='id-two' from='bob@localhost/phone'><body>two</body><x xmlns='urn:x'/></message>" +
      '</forwarded></result></message>',
    `<iq xmlns='jabber:client' type='result' id='q' to='alice@localhost/desk'><fin xmlns='${MAM}' complete='true'>` +
      `<set xmlns='http://jabber.org/protocol/rsm'><first>${ids[0]}</first><last>${ids[1]}</last></set></fin></iq>`,
  ])
  t.same(bodies(await ask(bob)), ['one', 'two'])
  const elsewhere = await ask(alice, { to: 'alice@localhost' })
  t.equal(elsewhere.stanzas.at(-1)?.attribute('from'), 'alice@localhost')
  t.same(bodies(elsewhere), ['one', 'two'])
  const carol = await ask(desk.client('carol', 'x'))
  t.equal(String(carol.stanzas[0]?.elements[0]), `<fin xmlns='${MAM}' complete='true'><set xmlns='http://jabber.org/protocol/rsm'/></fin>`)
})

t.test('what is in the archive, and what is not', async (t) => {
  const desk = await Desk.open(t)
  const [alice, bob] = [desk.client('alice', 'desk'), desk.client('bob', 'phone')]
  const now = desk.world.clock.now()
  await store(desk, 'alice', 'n1', { from: 'bob', data: json('native') })
  await store(desk, 'alice', 'n2', { from: 'bob', data: json({ body: 'with more', a: 1 }) })
  await store(desk, 'alice', 'n3', { data: json({ of: 'a backend' }) })
  await store(desk, 'alice', 'e1', { data: json('expired'), expires: now })
  await store(desk, 'alice', 'e2', { data: json('expires'), expires: now + 1 })
  await store(desk, 'alice', 'c1', { data: json('replaced'), collapseKey: 'k' })
  await store(desk, 'alice', 'c2', { data: json('other key'), collapseKey: 'l' })
  await store(desk, 'alice', 'c3', { data: json('replacing'), collapseKey: 'k' })
  await store(desk, 'alice', 's1', { data: json('for one session'), onlySession: 'x' })
  await store(desk, 'alice', 'b1', { data: Buffer.from('no json') })
  await store(desk, 'alice', 'b2', { xml: Buffer.from('<message') })
  await store(desk, 'alice', 'b3', { xml: Buffer.from("<presence xmlns='jabber:client'/>") })
  await store(desk, 'alice', 'b4', {})
  await desk.bus.publish('alice', 'b5', Buffer.from([0xff, 0xff]))
  await bob.send(chat('alice@localhost', 'passing', "<no-permanent-store xmlns='urn:xmpp:hints'/>"))
  await bob.send(chat('alice@localhost', 'gone', "<no-store xmlns='urn:xmpp:hints'/>"))
  await alice.send(chat('bob@localhost', 'private', "<private xmlns='urn:xmpp:carbons:2'/>"))
  await alice.send(chat('alice@localhost', 'to myself'))
  await bob.send("<message to='alice@localhost' type='chat'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>")
  const result = await ask(alice)
  t.same(bodies(result), ['native', 'with more', '{"of":"a backend"}', 'expires', 'other key', 'replacing', 'private', 'to myself'])
  t.same(
    result.messages.slice(0, 3).map((message) => [message.attribute('from'), message.attribute('to'), message.attribute('id')]),
    [
      ['bob@localhost', 'alice@localhost', 'n1'],
      ['bob@localhost', 'alice@localhost', 'n2'],
      ['localhost', 'alice@localhost', 'n3'],
    ],
  )
  t.equal(result.messages[1]?.child('json', 'urn:xmpp:json:0')?.text, '{"body":"with more","a":1}')
  t.same(bodies(await ask(bob)), ['private'], 'and the sender keeps nothing of what passes')
})

t.test('searches', async (t) => {
  const desk = await Desk.open(t)
  const alice = desk.client('alice', 'desk')
  const bob = [desk.client('bob', 'phone'), desk.client('bob', 'car')]
  const { clock } = desk.world
  const start = clock.now()
  await bob[0]?.send(chat('alice@localhost', 'b1'))
  clock.advance(1000)
  await bob[1]?.send(chat('alice@localhost', 'b2'))
  clock.advance(1000)
  await alice.send(chat('bob@localhost', 'a3'))
  await alice.send(chat('carol@localhost', 'a4'))
  await alice.send(chat('alice@localhost', 'a5'))
  clock.advance(1000)
  await store(desk, 'alice', 'n', { from: 'bob', data: json('n6') })
  const all = await ask(alice)
  t.same(bodies(all), ['b1', 'b2', 'a3', 'a4', 'a5', 'n6'])
  const at = (seconds: number, zone = 'Z') => new Date(start + seconds * 1000).toISOString().replace('Z', zone)
  const id = (i: number) => all.ids[i] ?? ''
  const cases: [fields: NonNullable<QueryOptions['fields']>, expected: string[]][] = [
    [{}, ['b1', 'b2', 'a3', 'a4', 'a5', 'n6']],
    [{ with: 'bob@localhost' }, ['b1', 'b2', 'a3', 'n6']],
    [{ with: 'bob@LOCALHOST' }, ['b1', 'b2', 'a3', 'n6']],
    [{ with: 'bob@localhost/car' }, ['b2']],
    [{ with: 'bob@localhost/none' }, []],
    [{ with: 'carol@localhost' }, ['a4']],
    [{ with: 'alice@localhost' }, ['a5']],
    [{ with: 'alice@localhost/desk' }, ['a3', 'a4', 'a5']],
    [{ start: at(1) }, ['b2', 'a3', 'a4', 'a5', 'n6']],
    [{ end: at(1) }, ['b1', 'b2']],
    [{ start: at(1), end: at(2), with: 'bob@localhost' }, ['b2', 'a3']],
    [{ start: at(2 + 3600, '+01:00') }, ['a3', 'a4', 'a5', 'n6']],
    [{ start: at(9) }, []],
    [{ 'after-id': id(3) }, ['a5', 'n6']],
    [{ 'before-id': id(1) }, ['b1']],
    [{ 'after-id': id(0), 'before-id': id(4), with: 'bob@localhost' }, ['b2', 'a3']],
    [{ 'after-id': id(4), 'before-id': id(1) }, []],
    [{ ids: [id(5), id(0), id(5)] }, ['b1', 'n6']],
    [{ ids: [id(0), id(3)], with: 'bob@localhost' }, ['b1']],
    [{ ids: [id(0), id(3), id(5)], 'after-id': id(0), 'before-id': id(5) }, ['a4']],
    [{ 'include-groupchat': 'true' }, ['b1', 'b2', 'a3', 'a4', 'a5', 'n6']],
  ]
  for (const [fields, expected] of cases) {
    const result = await ask(alice, { fields })
    t.same(bodies(result), expected, JSON.stringify(fields))
    t.ok(result.complete)
    const counted = await ask(alice, { fields, set: '<max>0</max>' })
    t.same([counted.count, counted.ids.length, counted.complete], [String(expected.length), 0, expected.length === 0], 'counted')
    t.same(bodies(await ask(alice, { fields, more: '<flip-page/>' })), expected.toReversed(), 'flipped')
  }
  const [, beyond] = (await ask(bob[0] as Client)).ids
  const epoch = await desk.bus.epoch('alice')
  const unknown = ['nonsense', archiveId(epoch, 1_000_000), archiveId(epoch, 0), archiveId('other', 1), `${id(0)}x`]
  for (const text of unknown) {
    for (const field of ['after-id', 'before-id', 'ids'])
      t.equal(await failure(alice, { fields: { [field]: text } }), 'item-not-found', `${field} ${text}`)
    for (const name of ['after', 'before'])
      t.equal(await failure(alice, { set: `<${name}>${text}</${name}>` }), 'item-not-found', `${name} ${text}`)
  }
  t.equal(await failure(alice, { fields: { ids: [id(0), 'nonsense'] } }), 'item-not-found')
  t.equal(await failure(alice, { fields: { 'after-id': beyond ?? '' } }), 'item-not-found', 'of another archive')
})

t.test('what is wrong with a query', async (t) => {
  const desk = await Desk.open(t)
  const alice = desk.client('alice', 'desk')
  const form = (field: string) => ({ more: `<x xmlns='jabber:x:data' type='submit'>${field}</x>` })
  const cases: [options: QueryOptions, condition: string][] = [
    [{ fields: { with: 'a@b@c' } }, 'bad-request'],
    [{ fields: { start: 'yesterday' } }, 'bad-request'],
    [{ fields: { start: '2010-06-07' } }, 'bad-request'],
    [{ fields: { end: '2010-13-07T00:00:00Z' } }, 'bad-request'],
    [{ fields: { FORM_TYPE: 'urn:xmpp:mam:1' } }, 'bad-request'],
    [form("<field var='with'><value>bob@localhost</value></field>"), 'bad-request'],
    [{ fields: { '{urn:x}text': 'x' } }, 'feature-not-implemented'],
    [{ fields: { constructor: 'x' } }, 'feature-not-implemented'],
    [{ fields: { ids: Array.from({ length: 201 }, () => 'x') } }, 'policy-violation'],
    [{ set: '<max>many</max>' }, 'bad-request'],
    [{ set: '<max>-1</max>' }, 'bad-request'],
    [{ set: '<index>0</index>' }, 'feature-not-implemented'],
    [{ to: 'bob@localhost' }, 'forbidden'],
    [{ to: 'localhost' }, 'service-unavailable'],
  ]
  for (const [options, condition] of cases) t.equal(await failure(alice, options), condition, JSON.stringify(options))
  t.equal(await alice.fail(`<iq type='set' id='1'><query xmlns='${MAM}' node='x'/></iq>`), 'item-not-found')
  for (const type of ['get', 'set'])
    t.equal(await alice.fail(`<iq type='${type}' id='1'><prefs xmlns='${MAM}'/></iq>`), 'feature-not-implemented')
})

t.test('the form, and what the archive spans', async (t) => {
  const desk = await Desk.open(t)
  const alice = desk.client('alice', 'desk')
  const [answer] = await alice.send(`<iq type='get' id='1'><query xmlns='${MAM}'/></iq>`)
  const form = answer?.elements[0]?.child('x', 'jabber:x:data')
  t.same(
    form?.elements.map((field) => `${field.attribute('var')} ${field.attribute('type')}`),
    [
      'FORM_TYPE hidden',
      'with jid-single',
      'start text-single',
      'end text-single',
      'before-id text-single',
      'after-id text-single',
      'ids list-multi',
      'include-groupchat boolean',
    ],
  )
  t.match(String(form), /<validate xmlns='http:\/\/jabber.org\/protocol\/xdata-validate' datatype='xs:string'><open\/><\/validate>/)

  const metadata = async () => (await alice.send(`<iq type='get' id='1'><metadata xmlns='${MAM}'/></iq>`))[0]?.elements[0]
  t.equal(String(await metadata()), `<metadata xmlns='${MAM}'/>`)
  await store(desk, 'alice', 'x', { onlySession: 's', data: json('not in it') })
  await store(desk, 'alice', '1', { data: json('1') })
  desk.world.clock.advance(60_000)
  await store(desk, 'alice', '2', { data: json('2') })
  await store(desk, 'alice', 'y', { onlySession: 's', data: json('not in it') })
  const [first, last] = (await ask(alice)).ids
  t.equal(
    String(await metadata()),
    `<metadata xmlns='${MAM}'><start id='${first}' timestamp='2023-11-14T22:13:20.000Z'/><end id='${last}' timestamp='2023-11-14T22:14:20.000Z'/></metadata>`,
  )
})

t.test('pages end at their size, in messages and bytes', async (t) => {
  const desk = await Desk.open(t, { limits: { historyDefault: 3, historyMax: 5, historyBytes: 10_000 } })
  const alice = desk.client('alice', 'desk')
  for (let i = 0; i < 8; i++) await store(desk, 'alice', String(i), { data: json(`m${i}`) })
  const { ids } = await ask(alice, { set: '<max>5</max>' })
  const cases: [set: string | undefined, expected: string, complete: boolean][] = [
    [undefined, 'm0 m1 m2', false],
    ['', 'm0 m1 m2', false],
    ['<max>2</max>', 'm0 m1', false],
    ['<max>100</max>', 'm0 m1 m2 m3 m4', false],
    ['<max>2</max><before/>', 'm6 m7', false],
    ['<before/>', 'm5 m6 m7', false],
    [`<max>2</max><before>${ids[3]}</before>`, 'm1 m2', false],
    [`<max>3</max><before>${ids[3]}</before>`, 'm0 m1 m2', true],
    [`<max>2</max><before>${ids[0]}</before>`, '', true],
    [`<max>3</max><after>${ids[4]}</after>`, 'm5 m6 m7', true],
    [`<max>2</max><after>${ids[4]}</after>`, 'm5 m6', false],
    [`<max>2</max><after/>`, 'm0 m1', false],
    [`<max>2</max><after>${ids[0]}</after><before>${ids[4]}</before>`, 'm2 m3', false],
  ]
  for (const [set, expected, complete] of cases) {
    const result = await ask(alice, set === undefined ? {} : { set })
    t.equal(bodies(result).join(' '), expected, set ?? 'no set')
    t.equal(result.complete, complete, set ?? 'no set')
    t.same([result.first, result.last], [result.ids[0] ?? '', result.ids.at(-1) ?? ''], set ?? 'no set')
  }
  t.same(bodies(await ask(alice, { fields: { ids }, set: '<max>2</max>' })), ['m0', 'm1'])
  t.same(bodies(await ask(alice, { fields: { ids }, set: '<max>2</max><before/>' })), ['m3', 'm4'])
  const flipped = await ask(alice, { set: '<max>2</max>', more: '<flip-page/>' })
  t.same([bodies(flipped).join(' '), flipped.first, flipped.last], ['m1 m0', ids[0], ids[1]], 'flipped, and the page stays what it was')

  const bob = desk.client('bob', 'desk')
  for (const bytes of [20_000, 5000, 3000, 3000]) await store(desk, 'bob', String(Math.random()), { data: json('x'.repeat(bytes)) })
  const lengths = async (set: string) => {
    const result = await ask(bob, { set })
    return [...bodies(result).map(({ length }) => length), result.complete]
  }
  t.same(await lengths('<max>5</max>'), [20_000, false], 'one at least')
  t.same(await lengths('<max>5</max><before/>'), [3000, 3000, false])
})

t.test('a search that finds little reads to the end', async (t) => {
  const desk = await Desk.open(t)
  const alice = desk.client('alice', 'desk')
  await store(desk, 'alice', 'a', { from: 'rare', data: json('first') })
  for (let i = 0; i < 300; i++) await store(desk, 'alice', String(i), { from: 'often', data: json(i) })
  await store(desk, 'alice', 'z', { from: 'rare', data: json('last') })
  const fields = { with: 'rare@localhost' }
  t.same(bodies(await ask(alice, { fields })), ['first', 'last'])
  t.same(bodies(await ask(alice, { fields, set: '<max>1</max>' })), ['first'])
  t.same(bodies(await ask(alice, { fields, set: '<max>1</max><before/>' })), ['last'])
})

t.test('ids of messages that the inbox has let go are not there any more', async (t) => {
  const desk = await Desk.open(t)
  const alice = desk.client('alice', 'desk')
  await store(desk, 'alice', 'old', { data: json('old') })
  const { first } = await ask(alice)
  for (let i = 0; i < 1000; i++) await store(desk, 'alice', String(i), { data: json(i) })
  t.equal(await failure(alice, { set: `<after>${first}</after>` }), 'item-not-found')
  const newest = await ask(alice, { set: '<max>1</max><before/>' })
  t.same(bodies(newest), ['999'])
})

t.test('walking through the archive, either way, meets everything once', async (t) => {
  const random = new Random(Math.floor(Math.random() * 2 ** 32))
  const desk = await Desk.open(t)
  const alice = desk.client('alice', 'desk')
  const model: { readonly from: string; readonly body: string; readonly time: number }[] = []
  for (let i = 0; i < 200; i++) {
    const from = ['bob', 'carol', 'dave'][random.int(3)] ?? ''
    desk.world.clock.advance(random.int(3) * 1000)
    model.push({ from, body: String(i), time: desk.world.clock.now() })
    await store(desk, 'alice', String(i), { from, data: json(String(i)) })
  }
  for (let run = 0; run < 30; run++) {
    const from = ['', 'bob', 'carol'][random.int(3)] ?? ''
    const start = model[random.int(200)]?.time ?? 0
    const end = start + random.int(120) * 1000
    const expected = model.filter((m) => (from === '' || m.from === from) && m.time >= start && m.time <= end).map(({ body }) => body)
    const iso = (time: number) => new Date(time).toISOString()
    const fields = { start: iso(start), end: iso(end), ...(from === '' ? {} : { with: `${from}@localhost` }) }
    for (const direction of ['after', 'before'] as const) {
      const met: string[] = []
      let position = ''
      for (let pages = 0; pages < 300; pages++) {
        const max = 1 + random.int(12)
        const result = await ask(alice, { fields, set: `<max>${max}</max><${direction}>${position}</${direction}>` })
        if (direction === 'after') met.push(...bodies(result))
        else met.unshift(...bodies(result))
        if (result.complete) break
        t.equal(result.ids.length, max)
        position = direction === 'after' ? result.last : result.first
      }
      t.same(met, expected, `run ${run}, ${direction}, seed ${random.seed}`)
    }
  }
})
