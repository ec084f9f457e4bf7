// Sessions of XMPP clients: what they take of what is sent to their user, from where on, and how they come back.

import t, { type Test } from 'tap'
import { Outbound } from '../../gateway/outbound.js'
import type { Session } from '../../gateway/session.js'
import type { StreamManagement } from '../../gateway/stream-management.js'
import { XmppSession } from '../../gateway/xmpp-session.js'
import { v1 } from '../../proto/messages.js'
import { renderStanza } from '../../transports/dialects/xmpp.js'
import { bindXmpp, Client, Rig, type RigNode } from '../support/gateway-rig.js'

const DOMAIN = 'example.org'
const AVAILABLE = { available: true }

interface Letter {
  readonly resource?: string
  readonly sent?: boolean
  readonly uncopied?: boolean
  readonly ephemeral?: boolean
  /** Neither for native sessions. */
  readonly xmlOnly?: boolean
  readonly xml?: string
}

/** Sends alice a message. */
async function send(rig: Rig, id: string, letter: Letter = {}): Promise<void> {
  const { resource = '', sent = false, uncopied = false, xml } = letter
  const text =
    xml ?? `<message xmlns='jabber:client' id='${id}' from='bob@${DOMAIN}/r' to='alice@${DOMAIN}' type='chat'><body>${id}</body></message>`
  const data = letter.xmlOnly || sent ? {} : { data: Buffer.from(JSON.stringify({ body: id })) }
  const bytes = v1.Envelope.encode({
    id,
    from: 'bob',
    time: Date.now(),
    xml: Buffer.from(text),
    resource,
    sent,
    uncopied,
    ...data,
  }).finish()
  if (letter.ephemeral) rig.bus.push('alice', bytes)
  else await rig.bus.publish('alice', id, bytes)
}

function show(session: Session, shown: v1.XmppShown.$Properties): void {
  session.show(v1.XmppShown.create(shown))
}

function stanzas(client: Client): string[] {
  return client.got.map((delivery) => renderStanza(delivery, client.session, DOMAIN))
}

/** What names each stanza: its id, or what it is. */
function names(client: Client): string[] {
  return stanzas(client).map((text) => / id='([^']*)'/.exec(text)?.[1] ?? text)
}

async function settled(rig: Rig, marker: string, node: RigNode): Promise<void> {
  // Ephemeral frames come in order: when this one is there, everything before it was handled.
  const native = await node.join({ user: 'alice' })
  rig.push('alice', marker)
  await native.until(marker)
  native.session.close({ code: 'done', reason: 'only a marker' })
}

t.test('before presence only what is sent to the resource comes; afterwards the rest, and nothing twice', async (t) => {
  const rig = await Rig.start(t)
  const node = await rig.node()
  await send(rig, 'before')
  const { session, client } = await bindXmpp(node, 'home')
  await send(rig, 'direct', { resource: 'home' })
  await send(rig, 'bare')
  await send(rig, 'of another', { resource: 'work' })
  await settled(rig, 'x1', node)
  t.same(names(client), ['direct'])
  show(session, AVAILABLE)
  await client.until('bare')
  await send(rig, 'live')
  await client.until('live')
  t.same(names(client), ['direct', 'before', 'bare', 'live'])
  const [, before = '', , live = ''] = stanzas(client)
  t.match(before, /<delay xmlns='urn:xmpp:delay' from='example.org' stamp='\d{4}-/)
  t.notMatch(live, /urn:xmpp:delay/)
  const idOf = (text: string) => /<stanza-id xmlns='urn:xmpp:sid:0' by='alice@example.org' id='([^']+)'/.exec(text)?.[1]
  t.equal(new Set(stanzas(client).map(idOf)).size, 4, 'each has its own place in the archive')
})

t.test('a negative priority keeps what is sent to the user away', async (t) => {
  const rig = await Rig.start(t)
  const node = await rig.node()
  const { session, client } = await bindXmpp(node, 'home')
  show(session, { available: true, priority: -1 })
  await send(rig, 'bare')
  await send(rig, 'direct', { resource: 'home' })
  await settled(rig, 'x1', node)
  t.same(names(client), ['direct'])
  show(session, { available: true, priority: 0 })
  await client.until('bare')
  show(session, { available: false })
  await send(rig, 'later')
  await send(rig, 'direct2', { resource: 'home' })
  await settled(rig, 'x2', node)
  t.same(names(client), ['direct', 'bare', 'direct2'])
  show(session, AVAILABLE)
  await client.until('later')
  t.same(names(client), ['direct', 'bare', 'direct2', 'later'])
})

t.test('what one client has acknowledged does not come to the next; what it has not does', async (t) => {
  const rig = await Rig.start(t)
  const node = await rig.node()
  const first = await bindXmpp(node, 'home')
  show(first.session, AVAILABLE)
  for (const id of ['a', 'b', 'c']) await send(rig, id)
  await first.client.until('c')
  first.session.ack(first.client.got[1]?.number ?? 0)
  first.session.close({ code: 'done', reason: 'left' })
  await node.positions.flush()
  const second = await bindXmpp(node, 'generated', true)
  show(second.session, AVAILABLE)
  await second.client.until('c')
  t.same(names(second.client), ['c'])
})

t.test('what was sent to a resource and not acknowledged waits for it', async (t) => {
  const rig = await Rig.start(t)
  const node = await rig.node()
  const first = await bindXmpp(node, 'home')
  await send(rig, 'd1', { resource: 'home' })
  await send(rig, 'd2', { resource: 'home' })
  await first.client.until('d2')
  first.session.ack(first.client.got[0]?.number ?? 0)
  const other = await bindXmpp(node, 'work')
  show(other.session, AVAILABLE)
  await send(rig, 'bare')
  await other.client.until('bare')
  other.session.ack(other.session.lastFrame)
  first.session.close({ code: 'replaced', reason: 'the same resource again' })
  await node.positions.flush()
  const second = await bindXmpp(node, 'home')
  show(second.session, AVAILABLE)
  await second.client.until('d2')
  t.same(names(second.client), ['d2'], 'the other client has handled what was sent to the user')
})

t.test('XEP-0280: copies for those who asked', async (t) => {
  const rig = await Rig.start(t)
  const node = await rig.node()
  const copied = await bindXmpp(node, 'home')
  const plain = await bindXmpp(node, 'work')
  show(copied.session, { available: true, carbons: true })
  show(plain.session, AVAILABLE)
  await send(rig, 'in', { resource: 'work' })
  await send(rig, 'out', { resource: 'work', sent: true })
  await send(rig, 'own', { resource: 'home', sent: true })
  await send(rig, 'private', { resource: 'work', uncopied: true })
  await send(rig, 'end')
  await copied.client.until('end')
  await plain.client.until('end')
  t.same(names(plain.client), ['in', 'private', 'end'])
  const [received = '', sent = ''] = stanzas(copied.client)
  t.match(
    received,
    /^<message xmlns='jabber:client' from='alice@example.org' to='alice@example.org\/home' type='chat'><received xmlns='urn:xmpp:carbons:2'><forwarded /,
  )
  t.match(received, /<message xmlns='jabber:client' id='in'/)
  t.match(sent, /<sent xmlns='urn:xmpp:carbons:2'>.*id='out'/)
  t.equal(copied.client.got.length, 3)
})

t.test('the two kinds of clients get each other’s messages, and nothing that is not for them', async (t) => {
  const rig = await Rig.start(t)
  const node = await rig.node()
  const native = await node.join({ user: 'alice' })
  const { session, client } = await bindXmpp(node, 'home')
  show(session, AVAILABLE)
  await send(rig, 'typing', { ephemeral: true, xmlOnly: true })
  await send(rig, 'copy', { sent: true, resource: 'home' })
  await send(rig, 'stanza')
  await rig.bus.publish(
    'alice',
    'n1',
    v1.Envelope.encode({ id: 'n1', from: 'b & c', time: 5, data: Buffer.from('{"body":"a<b","n":1}') }).finish(),
  )
  await rig.bus.publish('alice', 'n2', v1.Envelope.encode({ id: 'n2', time: Date.now() + 60_000, data: Buffer.from('"text"') }).finish())
  rig.bus.push('alice', v1.Envelope.encode({ presence: { user: 'bob', status: 'away' } }).finish())
  rig.bus.push('alice', v1.Envelope.encode({ native: { user: 'bob', status: 'away', note: 'tea' } }).finish())
  rig.bus.push('alice', v1.Envelope.encode({ roster: { op: 'set', user: 'bob', subscription: 'to', name: 'B', groups: ['g'] } }).finish())
  rig.bus.push('alice', v1.Envelope.encode({ roster: { op: 'request', user: 'carol' } }).finish())
  rig.push('alice', 'last')
  await native.until('last')
  t.same(native.messages, ['stanza', 'n1', 'n2', 'last'])
  t.same(
    native.ids.filter((name) => !native.messages.includes(name)),
    ['hello', 'presence', 'roster', 'roster'],
  )
  const got = stanzas(client)
  t.match(got[0], /id='typing'/)
  t.match(got[1], /id='stanza'/)
  t.match(
    got[2],
    /^<message xmlns='jabber:client' type='chat' id='n1' from='b\\20\\26\\20c@example.org' to='alice@example.org'><body>a&lt;b<\/body><json xmlns='urn:xmpp:json:0'>/,
  )
  t.match(got[3], /from='example.org' to='alice@example.org'><body>text<\/body><stanza-id/)
  t.equal(
    got[4],
    "<presence xmlns='jabber:client' from='bob@example.org/holdwire' to='alice@example.org'><show>away</show><status>tea</status></presence>",
  )
  t.equal(
    got[5],
    "<presence xmlns='jabber:client' type='subscribe' from='carol@example.org' to='alice@example.org'/>",
    'no roster push: it did not ask',
  )
  show(session, { ...AVAILABLE, interested: true })
  rig.bus.push('alice', v1.Envelope.encode({ roster: { op: 'set', user: 'bob', subscription: 'to', name: 'B', groups: ['g'] } }).finish())
  rig.bus.push('alice', v1.Envelope.encode({ roster: { op: 'remove', user: 'bob' } }).finish())
  rig.push('alice', 'very last')
  await client.until('very last')
  const [set = '', removed = ''] = stanzas(client).slice(-3)
  t.match(
    set,
    /<iq xmlns='jabber:client' type='set' id='push-\w+' to='alice@example.org\/home'><query xmlns='jabber:iq:roster'><item jid='bob@example.org' subscription='to' name='B'><group>g<\/group><\/item><\/query><\/iq>/,
  )
  t.match(removed, /<item jid='bob@example.org' subscription='remove'\/>/)

  // Requests are none of the XMPP roster: a stanza stands for the frame, or nothing does.
  const before = stanzas(client).length
  const withdrawn = `<presence xmlns='jabber:client' from='carol@example.org' type='unsubscribe' to='alice@example.org'/>`
  const request = { roster: { op: 'remove', user: 'carol' } }
  rig.bus.push('alice', v1.Envelope.encode({ ...request, xml: Buffer.from(withdrawn) }).finish())
  rig.bus.push('alice', v1.Envelope.encode({ ...request, resource: '\u0000' }).finish())
  session.clientState('inactive')
  rig.bus.push('alice', v1.Envelope.encode({ xml: Buffer.from(withdrawn.replace('unsubscribe', 'subscribed')) }).finish())
  rig.push('alice', 'at last')
  await client.until('at last')
  await native.until('at last')
  t.same(stanzas(client).slice(before, -1), [withdrawn, withdrawn.replace('unsubscribe', 'subscribed')], 'what stands for them')
  t.equal(native.ids.filter((name) => name === 'roster').length, 6)
})

t.test('XEP-0352: presence is held back while the client is inactive, the last of each', async (t) => {
  const rig = await Rig.start(t)
  const node = await rig.node()
  const { session, client } = await bindXmpp(node, 'home')
  show(session, AVAILABLE)
  session.clientState('inactive')
  const presence = (from: string, id: string) =>
    send(rig, '', { ephemeral: true, xmlOnly: true, xml: `<presence xmlns='jabber:client' from='${from}' id='${id}'/>` })
  await presence('bob@x/1', 'p1')
  await presence('carol@x/1', 'p2')
  await presence('bob@x/1', 'p3')
  await settled(rig, 'x1', node)
  t.same(names(client), ['p2', 'p3', 'x1'], 'a message lets it through')
  await presence('bob@x/1', 'p4')
  await settled(rig, 'x2', node)
  session.clientState('active')
  await settled(rig, 'x3', node)
  t.ok(names(client).includes('p4'))
  await presence('bob@x/1', 'p5')
  await settled(rig, 'x4', node)
  t.ok(names(client).includes('p5'))
})

t.test('XEP-0198: a session is resumed by its count, here and at another node', async (t) => {
  const rig = await Rig.start(t)
  const [one, two] = [await rig.node(), await rig.node()]
  const { session, client } = await bindXmpp(one, 'home')
  if (session.xmpp === undefined) throw new Error('no XMPP session')
  show(session, { ...AVAILABLE, carbons: true })
  for (const id of ['a', 'b', 'c']) await send(rig, id)
  await client.until('c')
  const frames = client.got.map(({ number, inbox }) => ({ frame: number, inbox }))
  const management: StreamManagement = {
    id: session.id,
    frameOf: (handled) => (handled === 0 ? { frame: 0, inbox: 0 } : frames[handled - 1]),
    encode: () => Buffer.from('counts'),
  }
  session.xmpp.management = management
  const visitor = {
    user: 'alice',
    previous: session.id,
    handled: 2,
    expiresAtMs: Number.POSITIVE_INFINITY,
    transport: 'xmpp-websocket' as const,
    ip: '127.0.0.1',
  }
  t.match(await one.streamDoor.resume({ ...visitor, user: 'bob' }), { kind: 'refused', reason: { code: 'unknown_session' } })
  t.match(await one.streamDoor.resume({ ...visitor, previous: `${session.ref}.guess` }), {
    kind: 'refused',
    reason: { code: 'unknown_session' },
  })
  t.match(await one.streamDoor.resume({ ...visitor, handled: 9 }), { kind: 'refused', reason: { code: 'malformed' } })
  t.match(await two.streamDoor.resume({ ...visitor, previous: `${session.ref}.guess` }), {
    kind: 'refused',
    reason: { code: 'unknown_session' },
  })
  const here = await one.streamDoor.resume(visitor)
  if (here.kind !== 'session') throw new Error('refused')
  const second = new Client('xmpp-websocket')
  second.enter({ kind: 'session', session: here.session, seen: here.seen, greeting: undefined })
  await second.until('c')
  t.same(names(second), ['c'])
  session.tell(Buffer.from("<iq xmlns='jabber:client' id='answer' type='result'/>"))
  await send(rig, 'd')
  await second.until('d')
  second.leave()
  const there = await two.streamDoor.resume(visitor)
  if (there.kind !== 'session') throw new Error(`refused: ${there.reason.reason}`)
  t.same(Buffer.from(there.management ?? []).toString(), 'counts')
  const third = new Client('xmpp-websocket')
  third.enter({ kind: 'session', session: there.session, seen: there.seen, greeting: undefined })
  await third.until('d')
  t.same(names(third).sort(), ['answer', 'c', 'd'], 'what the inbox has not travels, the rest is read again')
  t.equal(there.session.xmpp?.shown.carbons, true)
  t.equal(session.kind, 'closed')
  await send(rig, 'e')
  await third.until('e')
})

t.test('whoever comes and goes is forgotten; a store made anew hides nothing', (t) => {
  const positions = { shared: 10, own: 10 }
  const xmpp = new XmppSession({ resource: 'home', generated: false, language: '', positions, tail: 10 })
  const direct = new Outbound({ message: { id: 'd' } }, { durable: true, resource: 'home' })
  const shared = new Outbound({ message: { id: 's' } }, { durable: true })
  const [here, away] = [v1.XmppShown.create(AVAILABLE), v1.XmppShown.create({})]
  for (let tail = 20; tail < 30; tail++) {
    xmpp.show(here, tail, 1)
    xmpp.show(away, tail, 1)
    xmpp.show(here, tail, 1)
    if (tail % 2 === 0) xmpp.show(away, tail, 1)
  }
  const taken = Array.from({ length: 25 }, (_, i) => i + 9).filter((inbox) => xmpp.takesStored(inbox, direct))
  t.same(taken, [22, 24, 26, 28, 30, 31, 32, 33], 'what came while it was not receptive was taken at once')
  for (let number = 1; number <= 1000; number++) xmpp.tookDirectly(number, 100 + number, number - 10)
  t.equal(xmpp.inboxOf(980), undefined, 'what is not kept is forgotten')
  t.equal(xmpp.inboxOf(995), 1095)
  xmpp.inboxReset()
  t.ok(xmpp.takesStored(1, direct))
  t.ok(xmpp.takesStored(1, shared))
  t.equal(xmpp.handledDirectly(1000), 0)
  t.end()
})

t.test('a resource is had once, wherever; too many sessions are refused', async (t: Test) => {
  const rig = await Rig.start(t)
  const [one, two] = [await rig.node({ limits: { maxSessionsPerUser: 2 } }), await rig.node()]
  const first = await bindXmpp(one, 'home')
  const second = await bindXmpp(two, 'home')
  await settled(rig, 'x1', one)
  t.match(first.session.closeReason, { code: 'replaced' })
  t.equal(second.session.kind, 'attached')
  await bindXmpp(one, 'a')
  await bindXmpp(one, 'b')
  await t.rejects(bindXmpp(one, 'c'), /2 sessions/)
  one.leaving = { code: 'draining', reason: 'going away' }
  await t.rejects(bindXmpp(one, 'd'), /going away/)
})
