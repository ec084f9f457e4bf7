// Messages of XMPP clients: every case of RFC 6121 §8.5, what is kept, copied, and shown to others.

import t from 'tap'
import { BusError } from '../../bus/bus.js'
import { changed, MAX_MESSAGE_BYTES, World } from '../support/c2s-world.js'
import { conditionOf, Desk, Listener } from '../support/xmpp-desk.js'

const BODY = '<body>hi</body>'

t.test('a chat message to a bare JID is stored for everybody, and copied to its sender', async (t) => {
  const desk = await Desk.open(t)
  const alice = desk.client('alice', 'desk')
  const [toBob, toAlice] = [await Listener.at(desk.world, 'bob'), await Listener.at(desk.world, 'alice')]
  t.same(await alice.send("<message to='bob@localhost' type='chat' id='m1'><body>hi &amp; bye</body></message>"), [])
  await desk.world.settle()
  const [got, ...more] = toBob.take()
  t.same(more, [])
  t.match(got, { seq: 1, data: { body: 'hi & bye' } })
  t.match(got?.envelope, {
    id: /^[\w-]{20}$/,
    from: 'alice',
    topic: '',
    time: desk.world.clock.now(),
    resource: '',
    sent: false,
    uncopied: false,
  })
  t.equal(
    got?.xml,
    "<message xmlns='jabber:client' to='bob@localhost' type='chat' id='m1' from='alice@localhost/desk'><body>hi &amp; bye</body></message>",
  )
  const [copy] = toAlice.take()
  t.match(copy, { seq: 2, xml: got?.xml, data: undefined })
  t.match(copy?.envelope, {
    id: got?.envelope.id,
    from: 'alice',
    sent: true,
    resource: 'desk',
    uncopied: false,
    time: desk.world.clock.now(),
  })
})

t.test('a repeated stanza is stored once, at both ends; the same id on another stanza is another message', async (t) => {
  const desk = await Desk.open(t)
  const alice = desk.client('alice', 'desk')
  const [toBob, toAlice] = [await Listener.at(desk.world, 'bob'), await Listener.at(desk.world, 'alice')]
  const message = `<message to='bob@localhost' type='chat' id='m1'>${BODY}</message>`
  await alice.send(message, 'sid:1:0')
  await alice.send(message, 'sid:1:0')
  await alice.send(message, 'sid:2:0')
  await desk.world.settle()
  t.equal(toBob.take().length, 2)
  t.equal(toAlice.take().length, 2)
})

t.test('who gets what: RFC 6121 §8.5.2 and §8.5.3, and the addresses of RFC 6120 §10', async (t) => {
  const desk = await Desk.open(t)
  const alice = desk.client('alice', 'desk')
  const listeners = new Map<string, Listener>()
  for (const user of ['alice', 'bob', 'carol']) listeners.set(user, await Listener.at(desk.world, user, ['phone', 'here']))

  type Kind = '' | 'chat' | 'normal' | 'headline' | 'groupchat' | 'error' | 'odd'
  /** `stored@bob/phone`: durable, for that resource; `live`: ephemeral; `-`: dropped; else the condition of the error. */
  const cases: [to: string, kind: Kind, expected: string][] = []
  const add = (to: string, outcomes: Record<Kind, string>): void => {
    for (const [kind, expected] of Object.entries(outcomes)) cases.push([to, kind as Kind, expected])
  }
  const both = (expected: string) => ({ '': expected, chat: expected, normal: expected, odd: expected })
  const unavailable = 'service-unavailable'
  // Bare JIDs: of somebody online, of somebody who is not, of the sender.
  add('bob@localhost', { ...both('stored@bob/'), headline: 'live@bob/', groupchat: unavailable, error: '-' })
  add('dave@localhost', { ...both('stored@dave/'), headline: '-', groupchat: unavailable, error: '-' })
  add('alice@localhost', { ...both('stored@alice/'), headline: 'live@alice/', groupchat: unavailable, error: '-' })
  add('', { ...both('stored@alice/'), headline: 'live@alice/', groupchat: unavailable, error: '-' })
  // A resource that is there: at a gateway, at this worker, of the sender's own.
  add('bob@localhost/phone', {
    ...both('stored@bob/phone'),
    headline: 'live@bob/phone',
    groupchat: 'live@bob/phone',
    error: 'live@bob/phone',
  })
  add('carol@localhost/here', {
    ...both('stored@carol/here'),
    headline: 'live@carol/here',
    groupchat: 'live@carol/here',
    error: 'live@carol/here',
  })
  add('alice@localhost/phone', {
    ...both('stored@alice/phone'),
    headline: 'live@alice/phone',
    groupchat: 'live@alice/phone',
    error: 'live@alice/phone',
  })
  // A resource that is not, of somebody online and of somebody who is not (an error goes out, and nobody takes it).
  const gone = { '': unavailable, normal: unavailable, odd: unavailable, headline: '-', groupchat: unavailable }
  add('bob@localhost/gone', { ...gone, chat: 'stored@bob/', error: 'live@bob/gone' })
  add('dave@localhost/gone', { ...gone, chat: 'stored@dave/', error: '-' })
  // All sessions of the native protocol together.
  add('bob@localhost/holdwire', { ...both('stored@bob/'), headline: 'live@bob/', groupchat: unavailable, error: 'live@bob/holdwire' })
  // The server, nobody, elsewhere, nowhere.
  for (const to of ['localhost', 'localhost/x', 'a\\5cfoo@localhost', `${'x'.repeat(300)}@localhost`])
    add(to, { ...both(unavailable), headline: unavailable, groupchat: unavailable, error: '-' })
  for (const [to, condition] of [
    ['bob@elsewhere', 'remote-server-not-found'],
    ['@localhost', 'jid-malformed'],
    ['bob@localhost/', 'jid-malformed'],
  ] as const)
    add(to, { ...both(condition), headline: condition, groupchat: condition, error: '-' })

  let dave = 0
  for (const [to, kind, expected] of cases) {
    const address = to === '' ? '' : ` to='${to}'`
    const type = kind === '' ? '' : ` type='${kind}'`
    const error = kind === 'error' ? "<error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>" : ''
    const failed = await alice.fail(`<message${address}${type}>${BODY}${error}</message>`)
    await desk.world.settle()
    const reached: string[] = []
    for (const [user, listener] of listeners) {
      for (const { seq, envelope, xml } of listener.take()) {
        if (envelope.sent) continue
        reached.push(`${seq > 0 ? 'stored' : 'live'}@${user}/${envelope.resource}`)
        t.match(xml, `to='${to || 'alice@localhost'}'`, 'as it was addressed')
      }
    }
    const inbox = await desk.bus.read('dave', 0, 100)
    if (inbox.messages.length > 0 && expected.endsWith('@dave/')) {
      const stored = inbox.messages.length
      reached.push(stored > dave ? 'stored@dave/' : '-')
      dave = stored
    }
    t.equal(failed || reached.join(' ') || '-', expected, `${kind || 'no type'} to ${to || 'nobody named'}`)
  }
  t.equal((await desk.bus.read('dave', 0, 100)).messages.length, dave, 'nothing else was stored for somebody who is not there')
  t.equal(cases.length, 17 * 7)
})

t.test('what is in a message decides how it is kept and who else sees it', async (t) => {
  const desk = await Desk.open(t)
  const alice = desk.client('alice', 'desk')
  const [toBob, toAlice] = [await Listener.at(desk.world, 'bob', ['phone']), await Listener.at(desk.world, 'alice')]
  const hint = (name: string) => `<${name} xmlns='urn:xmpp:hints'/>`
  const composing = "<composing xmlns='http://jabber.org/protocol/chatstates'/>"
  const receipt = "<received xmlns='urn:xmpp:receipts' id='1'/>"
  const marker = "<displayed xmlns='urn:xmpp:chat-markers:0' id='1'/>"
  const private_ = "<private xmlns='urn:xmpp:carbons:2'/>"
  const origin = "<origin-id xmlns='urn:xmpp:sid:0' id='1'/>"
  const invitation = "<x xmlns='jabber:x:conference' jid='room@muc.localhost'/>"
  /** How it reaches bob, what of it non-XMPP clients see, and what becomes of the sender's copy. */
  const cases: [type: string, content: string, kept: 'stored' | 'live', data: unknown, copy: string][] = [
    ['chat', BODY, 'stored', { body: 'hi' }, 'stored'],
    ['chat', `${BODY}${composing}`, 'stored', { body: 'hi' }, 'stored'],
    ['normal', BODY, 'stored', { body: 'hi' }, 'stored'],
    ['normal', '<subject>S</subject>', 'stored', undefined, 'stored, not copied'],
    ['chat', '<body/><thread>t</thread>', 'live', undefined, 'live'],
    ['chat', composing, 'live', undefined, 'live'],
    ['chat', `${composing}<thread>t</thread>${origin}${hint('no-permanent-store')}`, 'live', undefined, 'live'],
    ['normal', composing, 'live', undefined, 'live'],
    ['chat', receipt, 'live', undefined, 'live'],
    ['normal', receipt, 'live', undefined, 'live'],
    ['normal', marker, 'live', undefined, 'live'],
    ['chat', `${receipt}${hint('store')}`, 'stored', undefined, 'stored'],
    ['normal', hint('store'), 'stored', undefined, 'stored, not copied'],
    ['chat', `<encrypted xmlns='eu.siacs.conversations.axolotl'/>${hint('store')}`, 'stored', undefined, 'stored'],
    ['normal', "<x xmlns='urn:example'/>", 'stored', undefined, 'stored, not copied'],
    ['normal', invitation, 'stored', undefined, 'stored'],
    ['normal', '', 'live', undefined, 'none'],
    ['chat', `${BODY}${hint('no-store')}`, 'live', { body: 'hi' }, 'live'],
    ['chat', `${BODY}${hint('no-store')}${hint('store')}`, 'live', { body: 'hi' }, 'live'],
    ['chat', `${BODY}${hint('no-permanent-store')}`, 'stored', { body: 'hi' }, 'live'],
    ['chat', `${BODY}${private_}`, 'stored', { body: 'hi' }, 'stored, not copied'],
    ['chat', `${BODY}${hint('no-copy')}`, 'stored', { body: 'hi' }, 'stored, not copied'],
    ['chat', `${composing}${private_}`, 'live', undefined, 'none'],
    ['chat', `${BODY}<sent xmlns='urn:xmpp:carbons:2'/>`, 'stored', { body: 'hi' }, 'stored, not copied'],
    ['headline', BODY, 'live', { body: 'hi' }, 'none'],
    ['groupchat', BODY, 'live', { body: 'hi' }, 'none'],
  ]
  for (const [type, content, kept, data, copy] of cases) {
    t.same(await alice.send(`<message to='bob@localhost/phone' type='${type}'>${content}</message>`), [])
    await desk.world.settle()
    const [got, ...more] = toBob.take()
    const [sent, ...moreSent] = toAlice.take()
    const label = `${type} ${content}`
    t.same([more, moreSent], [[], []], label)
    t.equal(got === undefined ? 'none' : got.seq > 0 ? 'stored' : 'live', kept, label)
    t.same(got?.data, data, label)
    const how = sent === undefined ? 'none' : `${sent.seq > 0 ? 'stored' : 'live'}${sent.envelope.uncopied ? ', not copied' : ''}`
    t.equal(how, copy, label)
    t.equal(got?.envelope.uncopied, copy.endsWith('not copied') || copy === 'none', `${label}: whether the recipient's others get it`)
    if (sent !== undefined) t.match(sent.envelope, { sent: true, resource: 'desk', data: null })
  }
})

t.test('what users send to themselves is in their inbox once', async (t) => {
  const desk = await Desk.open(t)
  const alice = desk.client('alice', 'desk')
  for (const to of ['', " to='alice@localhost'"]) await alice.send(`<message${to} type='chat'>${BODY}</message>`)
  const { messages } = await desk.bus.read('alice', 0, 10)
  t.equal(messages.length, 2)
  const toAlice = await Listener.at(desk.world, 'alice', ['phone'])
  for (const to of ['alice@localhost', 'alice@localhost/phone']) {
    await alice.send(`<message to='${to}' type='chat'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>`)
    await alice.send(`<message to='${to}' type='chat'>${BODY}<no-permanent-store xmlns='urn:xmpp:hints'/></message>`)
  }
  await desk.world.settle()
  t.same(
    toAlice.take().map(({ envelope }) => envelope.sent),
    [false, false, false, false],
    'and comes once',
  )
})

t.test('the JSON container is the content, and has to be JSON', async (t) => {
  const desk = await Desk.open(t)
  const alice = desk.client('alice', 'desk')
  const toBob = await Listener.at(desk.world, 'bob')
  const send = (json: string) =>
    alice.fail(`<message to='bob@localhost' type='chat'><body>shown</body><json xmlns='urn:xmpp:json:0'>${json}</json></message>`)
  t.equal(await send(' {"a": [1, 12345678901234567890]}\n'), '')
  t.equal(await send('"text"'), '')
  for (const bad of ['', '{', 'undefined', '<b/>1', "{'a':1}"]) t.equal(await send(bad), 'bad-request', bad)
  await desk.world.settle()
  const got = toBob.take()
  t.same(
    got.map(({ envelope }) => Buffer.from(envelope.data ?? []).toString()),
    ['{"a": [1, 12345678901234567890]}', '"text"'],
    'as it was written',
  )
})

t.test('the body in the language of the stanza stands for all of them', async (t) => {
  const desk = await Desk.open(t)
  const toBob = await Listener.at(desk.world, 'bob')
  await desk.client('alice', 'desk').send("<message to='bob@localhost'><body xml:lang='de'>ja</body><body>yes</body></message>")
  await desk
    .client('alice', 'desk')
    .send("<message to='bob@localhost'><body xml:lang='de'>ja</body><body xml:lang='fr'>oui</body></message>")
  await desk.world.settle()
  t.same(
    toBob.take().map(({ data }) => data),
    [{ body: 'yes' }, { body: 'ja' }],
  )
})

t.test('clients number their stanzas anew in each stream; native clients take each message for another one all the same', async (t) => {
  const desk = await Desk.open(t)
  const alice = desk.client('alice', 'desk')
  const toBob = await Listener.at(desk.world, 'bob')
  const message = `<message to='bob@localhost' type='chat' id='m1'>${BODY}</message>`
  const live = `<message to='bob@localhost' id='m1'>${BODY}<no-store xmlns='urn:xmpp:hints'/></message>`
  for (const id of ['sid1:1', 'sid2:1']) await alice.send(message, id)
  for (const id of ['sid3:1', 'sid3:1', 'sid4:1']) await alice.send(live, id)
  await desk.world.settle()
  const ids = toBob.take().map(({ envelope }) => envelope.id)
  t.equal(ids.length, 5)
  t.equal(new Set(ids).size, 4)
  t.equal(ids[2], ids[3], 'a repetition has the same id')
  for (const id of ids) t.match(id, /^[\w-]{20}$/)
})

t.test('nobody speaks in the name of the server', async (t) => {
  const desk = await Desk.open(t)
  const toBob = await Listener.at(desk.world, 'bob')
  const id = (by: string) => `<stanza-id xmlns='urn:xmpp:sid:0' by='${by}' id='1'/>`
  const delay = (from: string) => `<delay xmlns='urn:xmpp:delay'${from} stamp='2020-01-01T00:00:00Z'/>`
  const forged = ['bob@localhost', 'alice@localhost', 'LOCALHOST', 'localhost'].map(id).join('') + delay(" from='localhost'")
  const kept = `${id('room@muc.example')}${delay('')}${delay(" from='muc.example'")}<origin-id xmlns='urn:xmpp:sid:0' id='1'/>`
  await desk.client('alice', 'desk').send(`<message to='bob@localhost'>${forged}${BODY}${kept}</message>`)
  await desk.world.settle()
  t.equal(toBob.take()[0]?.xml, `<message xmlns='jabber:client' to='bob@localhost' from='alice@localhost/desk'>${BODY}${kept}</message>`)
})

t.test('what is too large, and a bus that fails', async (t) => {
  const desk = await Desk.open(t)
  const alice = desk.client('alice', 'desk')
  const large = `<body>${'x'.repeat(MAX_MESSAGE_BYTES)}</body>`
  const [answer] = await alice.send(`<message to='bob@localhost' id='1'>${large}</message>`)
  t.equal(conditionOf(answer), 'policy-violation')
  t.same(await desk.bus.read('alice', 0, 10), { messages: [], truncated: false, more: false }, 'no copy of what was not sent')
  t.equal(await alice.fail(`<message to='bob@localhost' type='headline'>${large}</message>`), 'resource-constraint')

  const world = await World.open(t)
  const failing = await Desk.open(t, {
    world,
    wrap: (bus) => changed(bus, { publish: async () => Promise.reject(new BusError('timeout')), push: () => false }),
  })
  const other = failing.client('alice', 'desk')
  await t.rejects(other.send(`<message to='bob@localhost'>${BODY}</message>`), { code: 'timeout' })
  t.equal(await other.fail(`<message to='bob@localhost' type='headline'>${BODY}</message>`), 'resource-constraint')
  const down = await Desk.open(t, { world, wrap: (bus) => changed(bus, { state: 'down', push: () => false }) })
  await t.rejects(down.client('alice', 'desk').send(`<message to='bob@localhost' type='headline'>${BODY}</message>`), {
    code: 'bus_unavailable',
  })
})

t.test('a message and its copy are stored at the same time, but for one that may be too large', async (t) => {
  const world = await World.open(t)
  const begun: string[] = []
  let release: () => void = () => {}
  const held = new Promise<void>((resolve) => {
    release = resolve
  })
  const desk = await Desk.open(t, {
    world,
    wrap: (bus) =>
      changed(bus, {
        async publish(user, id, data) {
          begun.push(user)
          await held
          return bus.publish(user, id, data)
        },
      }),
  })
  const alice = desk.client('alice', 'desk')
  const small = alice.send(`<message to='bob@localhost' type='chat'>${BODY}</message>`)
  await world.settle()
  t.same(begun.splice(0), ['bob', 'alice'])
  const large = alice.send(`<message to='bob@localhost' type='chat'><body>${'x'.repeat(4096)}</body></message>`)
  await world.settle()
  t.same(begun.splice(0), ['bob'])
  release()
  t.same([await small, await large], [[], []])
  t.same(begun, ['alice'])
})

t.test('whichever of the two the bus fails for, a repetition stores what is missing', async (t) => {
  for (const failing of ['alice', 'bob']) {
    const world = await World.open(t)
    let isFailing = true
    const desk = await Desk.open(t, {
      world,
      wrap: (bus) =>
        changed(bus, {
          publish: async (user, id, data) =>
            isFailing && user === failing ? Promise.reject(new BusError('timeout')) : bus.publish(user, id, data),
        }),
    })
    const message = `<message to='bob@localhost' type='chat'>${BODY}</message>`
    const alice = desk.client('alice', 'desk')
    await t.rejects(alice.send(message, 'sid:1'), { code: 'timeout' })
    isFailing = false
    t.same(await alice.send(message, 'sid:1'), [])
    for (const user of ['alice', 'bob']) t.equal((await desk.bus.read(user, 0, 10)).messages.length, 1, user)
  }
})
