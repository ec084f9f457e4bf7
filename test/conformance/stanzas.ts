// RFC 6120 §8, RFC 6121: stanzas over BOSH.

import assert from 'node:assert/strict'
import { assertStreamError, BoshSession, chat, pingIq } from '../support/bosh-session.js'
import { child, find, ns } from '../support/xml-tree.js'
import { pair } from './exchange.js'
import { type Case, test } from './suite.js'

/** A stanza of a bound session gets an error with this condition, and the session goes on. */
const stanzaError =
  (stanza: string, ...conditions: string[]): Case['run'] =>
  async (c) => {
    const session = await BoshSession.login(c, await c.account())
    const error = await session.until(({ attributes }) => attributes.id === 'e1', stanza)
    assert.equal(error.attributes.type, 'error')
    const names = child(error, 'error')?.children.map(({ local }) => local) ?? []
    assert.ok(
      conditions.some((one) => names.includes(one)),
      `${names}, expected ${conditions}`,
    )
  }

export const stanzas: readonly Case[] = [
  test('XEP-0199', 'ping', async (c) => {
    const session = await BoshSession.login(c, await c.account())
    const pong = await session.until(({ attributes }) => attributes.id === 'p', pingIq('p'))
    assert.equal(pong.attributes.type, 'result')
  }),
  test('RFC 3921 §3', 'the session iq of old clients', async (c) => {
    const session = await BoshSession.login(c, await c.account())
    const iq = "<iq xmlns='jabber:client' type='set' id='s'><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>"
    assert.equal((await session.until(({ attributes }) => attributes.id === 's', iq)).attributes.type, 'result')
  }),
  test('RFC 6121 §2.1.4', 'the roster', async (c) => {
    const session = await BoshSession.login(c, await c.account())
    const iq = "<iq xmlns='jabber:client' type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>"
    const result = await session.until(({ attributes }) => attributes.id === 'r', iq)
    assert.equal(result.attributes.type, 'result')
    assert.ok(child(result, 'query', 'jabber:iq:roster') !== undefined)
  }),
  test(
    'RFC 6120 §8.4',
    'an iq nobody knows: service-unavailable',
    stanzaError(
      "<iq xmlns='jabber:client' type='get' id='e1'><query xmlns='urn:unheard-of'/></iq>",
      'service-unavailable',
      'feature-not-implemented',
    ),
  ),
  test(
    'RFC 6120 §8.2.3',
    'an iq without a child: bad-request',
    stanzaError("<iq xmlns='jabber:client' type='get' id='e1'/>", 'bad-request', 'service-unavailable'),
  ),
  test(
    'RFC 6120 §8.2.3',
    'an iq of an unknown type: bad-request',
    stanzaError("<iq xmlns='jabber:client' type='unheard-of' id='e1'><query xmlns='urn:x'/></iq>", 'bad-request'),
  ),
  test(
    'RFC 6120 §8.3.3.8',
    'a JID that is none: jid-malformed',
    stanzaError(
      "<iq xmlns='jabber:client' type='get' id='e1' to='@@@'><query xmlns='urn:x'/></iq>",
      'jid-malformed',
      'remote-server-not-found',
    ),
  ),
  test(
    'RFC 6120 §10.4',
    'a message to a domain that cannot be reached: an error comes back',
    stanzaError(
      "<message xmlns='jabber:client' type='chat' id='e1' to='user@unknown.invalid'><body>x</body></message>",
      'remote-server-not-found',
      'service-unavailable',
      'remote-server-timeout',
    ),
  ),
  test('RFC 6120 §8.2.3', 'results and errors that nobody asked for are not answered', async (c) => {
    const session = await BoshSession.login(c, await c.account())
    const results =
      "<iq xmlns='jabber:client' type='result' id='u1'/><iq xmlns='jabber:client' type='error' id='u2'><error type='cancel'/></iq>"
    await session.roundTrip(results)
    await session.roundTrip('')
    assert.ok(!session.received.some(({ attributes }) => attributes.id === 'u1' || attributes.id === 'u2'))
  }),
  test('RFC 6121 §8.5.1', 'an iq to a user who does not exist: service-unavailable', async (c) => {
    const session = await BoshSession.login(c, await c.account())
    const iq = `<iq xmlns='jabber:client' type='get' id='e1' to='nobody-x@${c.target.domain}/none'><query xmlns='urn:x'/></iq>`
    assert.equal((await session.until(({ attributes }) => attributes.id === 'e1', iq)).attributes.type, 'error')
  }),
  test('RFC 6120 §8.1.2.1', 'from is stamped, a forged one does not get through', async (c) => {
    const { session, contact } = await pair(c)
    const forged = chat(contact.jid, 'forged').replace('<message', `<message from='somebody@${c.target.domain}/else'`)
    const answer = await session.send(`${forged}${pingIq('after')}`)
    assert.equal(answer.status, 200)
    const stanzas = await contact.roundTrip()
    for (const { local, attributes } of stanzas) if (local === 'message') assert.equal(attributes.from, session.jid)
  }),
  test('RFC 6120 §4.9.3.24', 'an element that is no stanza: unsupported-stanza-type in remote-stream-error', async (c) => {
    const session = await BoshSession.login(c, await c.account())
    assertStreamError(await session.send("<unheard xmlns='urn:of'/>"), 'unsupported-stanza-type', 'invalid-namespace', 'bad-format')
  }),
  test('XEP-0206 §6', 'a body with a stream error declares xmlns:stream (MUST)', async (c) => {
    const session = await BoshSession.login(c, await c.account())
    const answer = await session.send("<unheard xmlns='urn:of'/>")
    assertStreamError(answer)
    assert.equal(answer.root?.declared.stream, ns.streams)
  }),
  test('RFC 6121 §8.5.2.1', 'a message to an offline user is delivered at the next login, with its delay', async (c) => {
    const account = await c.account()
    const sender = await BoshSession.login(c, await c.account())
    await sender.roundTrip(chat(account.bare, 'for later'))
    const later = await BoshSession.login(c, account)
    const message = await later.until(({ local }) => local === 'message')
    assert.equal(find(message, 'body')?.text, 'for later')
    assert.ok(child(message, 'delay', 'urn:xmpp:delay') !== undefined, 'XEP-0160 §3: delay')
  }),
  test('RFC 6121 §3.1', 'subscription and presence between two BOSH users', async (c) => {
    const [one, two] = [await c.account(), await c.account()]
    const [first, second] = [await BoshSession.login(c, one), await BoshSession.login(c, two)]
    await first.roundTrip(`<presence xmlns='jabber:client' type='subscribe' to='${two.bare}'/>`)
    await second.until(({ local, attributes }) => local === 'presence' && attributes.type === 'subscribe' && attributes.from === one.bare)
    await second.roundTrip(`<presence xmlns='jabber:client' type='subscribed' to='${one.bare}'/>`)
    await first.until(({ local, attributes }) => local === 'presence' && attributes.from === second.jid && attributes.type === undefined)
    await second.roundTrip("<presence xmlns='jabber:client'><show>dnd</show></presence>")
    await first.until((stanza) => stanza.attributes.from === second.jid && child(stanza, 'show')?.text === 'dnd')
    await second.send('', { type: 'terminate' })
    await first.until(({ attributes }) => attributes.from === second.jid && attributes.type === 'unavailable')
  }),
]
