// XEP-0124 §16: several streams on one session; XEP-0156: how clients find the doors.

import assert from 'node:assert/strict'
import {
  type Answer,
  type Attributes,
  assertBody,
  assertGone,
  assertGood,
  assertTerminated,
  authElement,
  BoshSession,
  chat,
  hasText,
  post,
} from '../support/bosh-session.js'
import type { Account, Context } from '../support/conformance-context.js'
import { plain } from '../support/scram-client.js'
import { child, childText, find, ns, parseXml, type XmlElement } from '../support/xml-tree.js'
import { XmppSocket } from '../support/xmpp-socket.js'
import { assertTexts } from './exchange.js'
import { type Case, test } from './suite.js'

const isSasl = ({ uri, local }: XmlElement) => uri === ns.sasl && local !== 'mechanisms'

async function multi(c: Context, attributes: Attributes = {}): Promise<{ session: BoshSession; first: string }> {
  const session = await BoshSession.open(c, attributes)
  const first = session.created.root?.attributes.stream
  if (first === undefined) c.skip('several streams are not announced')
  return { session, first }
}

/** A session logged in on its first stream. */
async function multiLogin(c: Context): Promise<{ session: BoshSession; first: string; account: Account; jid: string }> {
  const { session, first } = await multi(c)
  const account = await c.account()
  await session.authenticate(account, 'PLAIN')
  await session.bind()
  await session.roundTrip("<presence xmlns='jabber:client'/>")
  return { session, first, account, jid: session.jid }
}

async function addStream(c: Context, session: BoshSession, attributes: Attributes = {}): Promise<{ answer: Answer; name: string }> {
  const asked = { to: c.target.domain, 'xml:lang': 'en', 'xmlns:xmpp': ns.xbosh, 'xmpp:version': '1.0', ...attributes }
  const answer = await session.send('', asked)
  return { answer, name: answer.root?.attributes.stream ?? '' }
}

/** Logs in on an added stream; everything that is sent names the stream. */
async function loginOn(session: BoshSession, stream: string, account: Account): Promise<string> {
  if (session.received.filter(({ local }) => local === 'features').length < 2) await session.until(({ local }) => local === 'features', '')
  const success = await session.until(isSasl, authElement('PLAIN', plain(account.user, account.password)), { stream })
  assert.equal(success.local, 'success')
  await session.restart({ stream })
  const iq = `<iq xmlns='jabber:client' type='set' id='b-${stream}'><bind xmlns='${ns.bind}'/></iq>`
  const bound = await session.until(({ attributes }) => attributes.id === `b-${stream}`, iq, { stream })
  const presence = `<presence xmlns='jabber:client'/><iq xmlns='jabber:client' type='get' id='p-${stream}'><ping xmlns='urn:xmpp:ping'/></iq>`
  await session.until(({ attributes }) => attributes.id === `p-${stream}`, presence, { stream })
  return childText(child(bound, 'bind', ns.bind), 'jid')
}

async function twoStreams(c: Context): Promise<{ session: BoshSession; first: string; second: string; jids: [string, string] }> {
  const { session, first, jid } = await multiLogin(c)
  const { name } = await addStream(c, session)
  return { session, first, second: name, jids: [jid, await loginOn(session, name, await c.account())] }
}

export const streams: readonly Case[] = [
  test('XEP-0124 §16.2', 'stream names of different sessions differ', async (c) => {
    const [one, two] = [await multi(c), await multi(c)]
    assert.notEqual(one.first, two.first)
    assert.ok(one.first.length >= 8)
  }),
  test('XEP-0124 §16.3', 'a server without the feature takes an added stream for an empty request (MUST)', async (c) => {
    const session = await BoshSession.open(c, { wait: 1 })
    if (session.created.root?.attributes.stream !== undefined) c.skip('several streams are announced')
    const answer = await session.send('', { to: c.target.domain, 'xml:lang': 'en' })
    assertGood(answer)
    assert.equal(answer.root.attributes.stream, undefined)
  }),
  test('XEP-0124 §16.3', 'an added stream gets a name of its own, and no creation attributes', async (c) => {
    const { session, first } = await multi(c)
    const { answer, name } = await addStream(c, session)
    assertGood(answer)
    assert.ok(name !== '' && name !== first, answer.text)
    const unwanted = ['sid', 'requests', 'polling', 'hold', 'inactivity', 'maxpause', 'accept', 'charsets', 'ver', 'wait']
    assert.deepEqual(
      unwanted.filter((attribute) => answer.root.attributes[attribute] !== undefined),
      [],
    )
  }),
  test('XEP-0124 §16.3, XEP-0206 §4', 'features of an added stream come with its name', async (c) => {
    const { session } = await multi(c)
    const { answer, name } = await addStream(c, session)
    let got = answer
    for (let i = 0; i < 3 && find(got.root, 'features') === undefined; i++) got = await session.send()
    assert.ok(find(got.root, 'mechanisms', ns.sasl) !== undefined, got.text)
    assert.equal(got.root?.attributes.stream, name)
  }),
  test('XEP-0124 §16.4', 'two users on one session: each gets its own, with the name of its stream', async (c) => {
    const { session, first, second, jids } = await twoStreams(c)
    const contact = await XmppSocket.login(c, await c.account())
    for (const [i, stream] of [first, second].entries()) {
      await contact.roundTrip(chat(jids[i] ?? '', `for ${i}`))
      let answer = await session.send()
      for (let j = 0; j < 4 && !answer.root?.children.some(hasText(`for ${i}`)); j++) answer = await session.send()
      assert.equal(answer.root?.attributes.stream, stream, answer.text)
    }
  }),
  test('XEP-0124 §16.4', 'payloads go up on the stream that they name', async (c) => {
    const { session, first, second, jids } = await twoStreams(c)
    const contact = await XmppSocket.login(c, await c.account())
    for (const [i, stream] of [first, second].entries()) {
      await session.send(
        `${chat(contact.jid, `from ${i}`)}<iq xmlns='jabber:client' type='get' id='n${i}'><ping xmlns='urn:xmpp:ping'/></iq>`,
        { stream },
      )
      const message = await contact.until(hasText(`from ${i}`))
      assert.equal(message.attributes.from, jids[i])
    }
  }),
  test('XEP-0124 §16.4', 'payloads without a name go up on all streams (MUST)', async (c) => {
    const { session, jids } = await twoStreams(c)
    const contact = await XmppSocket.login(c, await c.account())
    await session.start(chat(contact.jid, 'from both'))
    const senders = [await contact.until(hasText('from both')), await contact.until(hasText('from both'))].map(
      ({ attributes }) => attributes.from,
    )
    assert.deepEqual(senders.sort(), [...jids].sort())
  }),
  test('XEP-0124 §16.4', 'with two streams open every answer with payloads names one, empty answers none', async (c) => {
    const { session, first, second, jids } = await twoStreams(c)
    const contact = await XmppSocket.login(c, await c.account())
    await contact.roundTrip(chat(jids[0], 'a'), chat(jids[1], 'b'), chat(jids[0], 'c'))
    const seen: string[] = []
    for (let i = 0; i < 6 && seen.length < 3; i++) {
      const answer = await session.send()
      assertGood(answer)
      const { stream } = answer.root.attributes
      if (answer.root.children.length === 0) assert.equal(stream, undefined, answer.text)
      else assert.ok(stream === first || stream === second, answer.text)
      seen.push(...answer.root.children.filter(({ local }) => local === 'message').map((message) => childText(message, 'body')))
    }
    assert.deepEqual([...seen].sort(), ['a', 'b', 'c'])
  }),
  test('XEP-0124 §16.4', 'an unknown stream name: item-not-found', async (c) => {
    const { session } = await multi(c)
    assertTerminated(await session.send(authElement('NONE', ''), { stream: 'no-such-stream' }), 'item-not-found')
  }),
  test('XEP-0124 §16.4', 'the name of the only stream may be given, or left out', async (c) => {
    const { session, first } = await multi(c)
    for (const attributes of [{}, { stream: first }]) {
      assert.equal((await session.until(isSasl, authElement('NONE', ''), attributes)).local, 'failure')
    }
  }),
  test('XEP-0124 §16.5', 'one of two streams is closed, the other goes on', async (c) => {
    const { session, first, second, jids } = await twoStreams(c)
    const contact = await XmppSocket.login(c, await c.account())
    const answer = await session.send(chat(contact.jid, 'bye'), { stream: second, type: 'terminate' })
    assertBody(answer)
    assert.equal((await contact.until(hasText('bye'))).attributes.from, jids[1])
    const iq = "<iq xmlns='jabber:client' type='get' id='still'><ping xmlns='urn:xmpp:ping'/></iq>"
    await session.until(({ attributes }) => attributes.id === 'still', iq, { stream: first })
    await contact.roundTrip(chat(jids[0], 'still here'))
    await session.until(hasText('still here'))
  }),
  test('XEP-0124 §16.5', 'the last stream is closed by name: the session is over', async (c) => {
    const { session, first } = await multi(c)
    assertTerminated(await session.send('', { stream: first, type: 'terminate' }), null)
    await assertGone(session)
  }),
  test('XEP-0124 §16.5', 'terminate without a name closes all, its payload goes to all', async (c) => {
    const { session } = await twoStreams(c)
    const contact = await XmppSocket.login(c, await c.account())
    assertTerminated(await session.send(chat(contact.jid, 'all'), { type: 'terminate' }), null)
    await assertTexts(contact, ['all', 'all'])
    await assertGone(session)
  }),
  test('XEP-0124 §16.3, §17.2', 'adding a stream to an unknown domain: host-unknown', async (c) => {
    const { session, first } = await multi(c)
    const { answer } = await addStream(c, session, { to: 'unknown.invalid' })
    assertTerminated(answer, 'host-unknown')
    // With a name only the new stream has ended (§16.6).
    const { stream } = answer.root?.attributes ?? {}
    if (stream !== undefined) {
      assert.notEqual(stream, first)
      assert.equal((await session.until(isSasl, authElement('NONE', ''), { stream: first })).local, 'failure')
    }
  }),
  test('XEP-0124 §16.3', 'rids go on as before when a stream is added', async (c) => {
    const { session } = await multi(c)
    await addStream(c, session)
    const again = await session.sendAt(session.rid, '', {
      to: c.target.domain,
      'xml:lang': 'en',
      'xmlns:xmpp': ns.xbosh,
      'xmpp:version': '1.0',
    })
    assertGood(again)
    assertTerminated(await session.sendAt(session.rid + 50), 'item-not-found')
  }),
]

const meta = (path: string, accept: string | null) => (c: Context) =>
  post(c, '', { method: 'GET', path, headers: { accept, 'content-type': null, 'content-length': null, origin: 'https://chat.example' } })

export const discovery: readonly Case[] = [
  test('XEP-0156 §3, RFC 6415 §3', 'host-meta as XRD with both links', async (c) => {
    const answer = await meta('/.well-known/host-meta', null)(c)
    assert.equal(answer.status, 200)
    assert.match(answer.headers['content-type'] ?? '', /^application\/xrd\+xml/)
    const root = parseXml(answer.text)
    assert.deepEqual([root.local, root.uri], ['XRD', 'http://docs.oasis-open.org/ns/xri/xrd-1.0'])
    const links = new Map(
      root.children.filter(({ local }) => local === 'Link').map(({ attributes }) => [attributes.rel, attributes.href ?? '']),
    )
    assert.match(links.get('urn:xmpp:alt-connections:xbosh') ?? '', /^https?:\/\//)
    assert.match(links.get('urn:xmpp:alt-connections:websocket') ?? '', /^wss?:\/\//)
  }),
  test('XEP-0156 §3, RFC 6415 §A', 'host-meta.json with both links', async (c) => {
    const answer = await meta('/.well-known/host-meta.json', null)(c)
    assert.equal(answer.status, 200)
    assert.match(answer.headers['content-type'] ?? '', /^application\/(jrd\+)?json/)
    const { links } = JSON.parse(answer.text) as { links: { rel: string; href: string }[] }
    const rels = links.map(({ rel }) => rel)
    assert.ok(rels.includes('urn:xmpp:alt-connections:xbosh') && rels.includes('urn:xmpp:alt-connections:websocket'), `${rels}`)
  }),
  test('XEP-0156 §5', 'host-meta may be read from any origin', async (c) => {
    for (const path of ['/.well-known/host-meta', '/.well-known/host-meta.json']) {
      const answer = await meta(path, '*/*')(c)
      assert.equal(answer.headers['access-control-allow-origin'], '*', path)
    }
  }),
  test('XEP-0156 §3', 'the links lead to doors that open', async (c) => {
    const answer = await meta('/.well-known/host-meta.json', null)(c)
    const { links } = JSON.parse(answer.text) as { links: { rel: string; href: string }[] }
    const path = (rel: string) => new URL(links.find((link) => link.rel.endsWith(rel))?.href ?? '').pathname
    assert.equal(path('xbosh'), c.target.boshPath)
    assert.equal(path('websocket'), c.target.wsPath)
  }),
]
