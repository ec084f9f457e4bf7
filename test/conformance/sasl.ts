// XEP-0206 §5, RFC 6120 §6-§7: authentication, restart and binding over BOSH.

import assert from 'node:assert/strict'
import { assertBody, assertGood, assertStreamError, authElement, BoshSession, chat, pingIq } from '../support/bosh-session.js'
import type { Account, Context } from '../support/conformance-context.js'
import { base64, plain, ScramClient, scramHashes } from '../support/scram-client.js'
import { child, find, ns, type XmlElement } from '../support/xml-tree.js'
import { XmppSocket } from '../support/xmpp-socket.js'
import { assertTexts } from './exchange.js'
import { type Case, test } from './suite.js'

const isSasl = ({ uri, local }: XmlElement) => uri === ns.sasl && local !== 'mechanisms'

function mechanisms(session: BoshSession): string[] {
  return find(session.features(), 'mechanisms', ns.sasl)?.children.map(({ text }) => text) ?? []
}

async function offering(c: Context, mechanism: string): Promise<BoshSession> {
  const session = await BoshSession.open(c)
  if (!mechanisms(session).includes(mechanism)) c.skip(`${mechanism} is not offered`)
  return session
}

/** A SASL exchange that must fail with one of the conditions (RFC 6120 §6.5), and leave the stream usable for another. */
const failsWith =
  (payload: (account: Account) => string, ...conditions: string[]): Case['run'] =>
  async (c) => {
    const [session, account] = [await BoshSession.open(c), await c.account()]
    const failure = await session.until(isSasl, payload(account))
    assertFailure(failure, ...conditions)
    await session.authenticate(account, 'PLAIN')
  }

function assertFailure(failure: XmlElement, ...conditions: string[]): void {
  assert.equal(failure.local, 'failure')
  const names = failure.children.filter(({ local, uri }) => uri === ns.sasl && local !== 'text').map(({ local }) => local)
  assert.ok(
    conditions.some((one) => names.includes(one)),
    `${names}, expected ${conditions}`,
  )
}

const login =
  (mechanism: string): Case['run'] =>
  async (c) => {
    const [session, account] = [await offering(c, mechanism), await c.account()]
    await session.authenticate(account, mechanism)
    await session.bind()
    assert.ok(session.jid.startsWith(`${account.bare}/`), session.jid)
  }

const wrongScram =
  (mechanism: string, change: (account: Account) => { password?: string; nonce?: string; gs2?: string }): Case['run'] =>
  async (c) => {
    const [session, account] = [await offering(c, mechanism), await c.account()]
    const { password, nonce, gs2 } = change(account)
    const scram = new ScramClient(scramHashes[mechanism] ?? 'sha1', account.user, password ?? account.password, gs2)
    const first = await session.until(isSasl, authElement(mechanism, scram.first()))
    // A server may refuse the first message already.
    const failure =
      first.local === 'failure'
        ? first
        : await session.until(isSasl, `<response xmlns='${ns.sasl}'>${scram.final(first.text, nonce)}</response>`)
    assertFailure(failure, 'not-authorized', 'malformed-request', 'incorrect-encoding')
    await session.authenticate(account, mechanism)
  }

export const sasl: readonly Case[] = [
  test('RFC 4616', 'PLAIN', login('PLAIN')),
  test('RFC 5802', 'SCRAM-SHA-1, with the server’s signature', login('SCRAM-SHA-1')),
  test('RFC 7677', 'SCRAM-SHA-256, with the server’s signature', login('SCRAM-SHA-256')),
  test(
    'RFC 5802 §5.1',
    'SCRAM-SHA-1 with a wrong password: not-authorized, and another try is allowed',
    wrongScram('SCRAM-SHA-1', () => ({ password: 'wrong' })),
  ),
  test(
    'RFC 7677',
    'SCRAM-SHA-256 with a wrong password: not-authorized, and another try is allowed',
    wrongScram('SCRAM-SHA-256', () => ({ password: 'wrong' })),
  ),
  test(
    'RFC 5802 §5.1',
    'SCRAM with a nonce that is not the server’s: refused',
    wrongScram('SCRAM-SHA-1', () => ({ nonce: 'tampered' })),
  ),
  test(
    'RFC 5802 §6',
    'SCRAM with channel binding that was not offered: refused',
    wrongScram('SCRAM-SHA-1', () => ({ gs2: 'p=tls-unique,,' })),
  ),
  test('RFC 6120 §6.5', 'SCRAM of an unknown user: refused only with the proof or at once, not-authorized', async (c) => {
    const session = await offering(c, 'SCRAM-SHA-1')
    const scram = new ScramClient('sha1', 'nobody-of-that-name', 'x')
    const first = await session.until(isSasl, authElement('SCRAM-SHA-1', scram.first()))
    const failure =
      first.local === 'failure' ? first : await session.until(isSasl, `<response xmlns='${ns.sasl}'>${scram.final(first.text)}</response>`)
    assertFailure(failure, 'not-authorized')
  }),
  test(
    'RFC 6120 §6.5.10',
    'PLAIN with a wrong password: not-authorized, and another try is allowed',
    failsWith(({ user }) => authElement('PLAIN', plain(user, 'wrong')), 'not-authorized'),
  ),
  test(
    'RFC 6120 §6.5.7',
    'an unknown mechanism: invalid-mechanism',
    failsWith(() => authElement('UNHEARD-OF', ''), 'invalid-mechanism'),
  ),
  test(
    'RFC 6120 §6.5.5',
    'no base64: incorrect-encoding',
    failsWith(() => authElement('PLAIN', '!!!'), 'incorrect-encoding', 'malformed-request', 'not-authorized'),
  ),
  test(
    'RFC 6120 §6.5.8',
    'PLAIN without its parts: malformed-request',
    failsWith(() => authElement('PLAIN', base64('nothing')), 'malformed-request', 'not-authorized', 'bad-protocol'),
  ),
  test(
    'RFC 6120 §6.5.6',
    'PLAIN for somebody else: invalid-authzid',
    failsWith(
      ({ user, password }) => authElement('PLAIN', plain(user, password, 'other@example.com')),
      'invalid-authzid',
      'not-authorized',
    ),
  ),
  test('RFC 6120 §6.3.8', 'PLAIN with the own bare JID as authorization identity', async (c) => {
    const [session, account] = [await BoshSession.open(c), await c.account()]
    const answer = await session.until(isSasl, authElement('PLAIN', plain(account.user, account.password, account.bare)))
    assert.equal(answer.local, 'success')
  }),
  test('RFC 6120 §6.5.1', 'abort: aborted', async (c) => {
    const session = await offering(c, 'SCRAM-SHA-1')
    const account = await c.account()
    await session.until(isSasl, authElement('SCRAM-SHA-1', new ScramClient('sha1', account.user, account.password).first()))
    assertFailure(await session.until(isSasl, `<abort xmlns='${ns.sasl}'/>`), 'aborted')
    await session.authenticate(account, 'SCRAM-SHA-1')
  }),
  test('RFC 6120 §6.4', 'a response without an exchange: refused, not swallowed', async (c) => {
    const session = await BoshSession.open(c)
    const answer = await session.send(`<response xmlns='${ns.sasl}'>${base64('x')}</response>`)
    assertBody(answer)
    assert.ok(answer.root.children.some(isSasl) || answer.root.attributes.type === 'terminate', answer.text)
  }),
  test('RFC 6120 §6.4.2', 'PLAIN without an initial response: a challenge or a failure', async (c) => {
    const [session, account] = [await BoshSession.open(c), await c.account()]
    const answer = await session.until(isSasl, `<auth xmlns='${ns.sasl}' mechanism='PLAIN'/>`)
    if (answer.local === 'failure') return
    assert.equal(answer.local, 'challenge')
    const end = await session.until(isSasl, `<response xmlns='${ns.sasl}'>${plain(account.user, account.password)}</response>`)
    assert.equal(end.local, 'success')
  }),
  test('RFC 6120 §6.4.5', 'after some failures the stream may end, at the latest after twenty', async (c) => {
    const [session, { user }] = [await BoshSession.open(c), await c.account()]
    let ended = 0
    for (let i = 1; i <= 20 && ended === 0; i++) {
      const answer = await session.send(authElement('PLAIN', plain(user, `guess${i}`)))
      assertBody(answer)
      if (answer.root.attributes.type === 'terminate') ended = i
    }
    assert.ok(ended === 0 || ended > 2, 'two retries at least')
  }),
  test('XEP-0206 §5', 'restart: features of the new stream, with bind and without SASL', async (c) => {
    const [session, account] = [await BoshSession.open(c), await c.account()]
    await session.authenticate(account, 'PLAIN')
    const features = session.features()
    assert.ok(child(features, 'bind', ns.bind) !== undefined)
    assert.equal(child(features, 'mechanisms', ns.sasl), undefined)
  }),
  test('XEP-0206 §5', 'the answer to a restart declares xmlns:stream on the body (MUST)', async (c) => {
    const [session, account] = [await BoshSession.open(c), await c.account()]
    await session.until(isSasl, authElement('PLAIN', plain(account.user, account.password)))
    const restart = { 'xmlns:xmpp': ns.xbosh, 'xmpp:restart': 'true', to: c.target.domain }
    let answer = await session.send('', restart)
    if (find(answer.root, 'features') === undefined) answer = await session.send()
    assert.equal(answer.root?.declared.stream, ns.streams, answer.text)
  }),
  ...[
    ["restart='1'", { 'xmpp:restart': '1' }],
    ['restart under another prefix', { 'xmpp:restart': null, 'xmlns:xmpp': null, 'xmlns:q': ns.xbosh, 'q:restart': 'true' }],
    ['restart without to and xml:lang', { to: null, 'xml:lang': null }],
  ].map(([name, attributes]) =>
    test('XEP-0206 §5, XML Schema', `${name}`, async (c) => {
      const [session, account] = [await BoshSession.open(c, { wait: 2 }), await c.account()]
      await session.until(isSasl, authElement('PLAIN', plain(account.user, account.password)))
      const features = await session.restart(attributes as Record<string, string | null>)
      assert.ok(child(features, 'bind', ns.bind) !== undefined)
      await session.bind()
    }),
  ),
  test('XEP-0206 §5', 'a stanza in the restart request is ignored or sent on the new stream, the session goes on', async (c) => {
    const [session, account] = [await BoshSession.open(c), await c.account()]
    await session.until(isSasl, authElement('PLAIN', plain(account.user, account.password)))
    const bind = `<iq xmlns='jabber:client' type='set' id='b0'><bind xmlns='${ns.bind}'><resource>early</resource></bind></iq>`
    const attributes = { 'xmlns:xmpp': ns.xbosh, 'xmpp:restart': 'true', to: c.target.domain }
    await session.until(({ local }) => local === 'features', bind, attributes)
    if (session.received.some(({ attributes: { id } }) => id === 'b0')) return
    await session.bind().catch(() => undefined)
    assertGood(await session.send(pingIq('alive')))
  }),
  test('RFC 6120 §7.7.2.1', 'the asked resource is bound, or another one is given', async (c) => {
    const account = await c.account()
    const session = await BoshSession.login(c, account, {}, { resource: 'my resource/ü' })
    assert.ok(session.jid.startsWith(`${account.bare}/`))
  }),
  test('RFC 6120 §7.6', 'without a resource the server makes one, each time another', async (c) => {
    const account = await c.account()
    const [first, second] = [await BoshSession.login(c, account), await BoshSession.login(c, account)]
    assert.notEqual(first.jid, second.jid)
  }),
  test('RFC 6120 §7.7.2.2', 'a resource in use: the old session ends with conflict, or the new one gets another or an error', async (c) => {
    const account = await c.account()
    const first = await BoshSession.login(c, account, {}, { resource: 'same' })
    const held = await first.start()
    const second = await BoshSession.open(c)
    await second.authenticate(account, 'PLAIN')
    const bound = await second.bind('same').then(
      () => true,
      () => false,
    )
    if (bound && second.jid === first.jid) assertStreamError(await held.answer, 'conflict')
    else assert.equal(held.answered(), false)
  }),
  test('RFC 6120 §7.1', 'a stanza before authentication: stream error not-authorized, the session is over', async (c) => {
    const contact = await XmppSocket.login(c, await c.account())
    const session = await BoshSession.open(c)
    assertStreamError(await session.send(chat(contact.jid, 'unauthorized')), 'not-authorized')
    await assertTexts(contact, [])
  }),
  test('RFC 6120 §7.1', 'bind before authentication: not-authorized', async (c) => {
    const session = await BoshSession.open(c)
    const answer = await session.send(`<iq xmlns='jabber:client' type='set' id='b'><bind xmlns='${ns.bind}'/></iq>`)
    assertBody(answer)
    const result = answer.root.children.find(({ attributes }) => attributes.id === 'b')
    if (result !== undefined) assert.equal(result.attributes.type, 'error')
    else assertStreamError(answer, 'not-authorized')
  }),
  test('RFC 6120 §7.1', 'a message before binding is not delivered', async (c) => {
    const contact = await XmppSocket.login(c, await c.account())
    const session = await BoshSession.open(c, { wait: 1 })
    await session.authenticate(await c.account(), 'PLAIN')
    const answer = await session.send(chat(contact.jid, 'unbound'))
    assert.equal(answer.status, 200)
    await assertTexts(contact, [])
  }),
  test('XEP-0206 §5', 'a restart before authentication opens the stream anew', async (c) => {
    const session = await BoshSession.open(c)
    const features = await session.restart()
    assert.ok(child(features, 'mechanisms', ns.sasl) !== undefined)
    await session.authenticate(await c.account(), 'PLAIN')
  }),
  test('XEP-0206 §5', 'a restart for another domain: host-unknown, or the domain is taken as before', async (c) => {
    const [session, account] = [await BoshSession.open(c, { wait: 1 }), await c.account()]
    await session.until(isSasl, authElement('PLAIN', plain(account.user, account.password)))
    const answer = await session.send('', { 'xmlns:xmpp': ns.xbosh, 'xmpp:restart': 'true', to: 'unknown.invalid' })
    assertBody(answer)
    const { type, condition } = answer.root.attributes
    if (type === 'terminate') assert.ok(condition === 'host-unknown' || condition === 'remote-stream-error', answer.text)
  }),
  test('RFC 4505', 'ANONYMOUS gives a user of its own', async (c) => {
    const [first, second] = [await offering(c, 'ANONYMOUS'), await offering(c, 'ANONYMOUS')]
    for (const session of [first, second]) {
      assert.equal((await session.until(isSasl, authElement('ANONYMOUS', ''))).local, 'success')
      await session.restart()
      await session.bind()
    }
    assert.notEqual(first.jid.split('/')[0], second.jid.split('/')[0])
  }),
  test('RFC 6120 §6.4.6', 'authentication after authentication: refused', async (c) => {
    const account = await c.account()
    const session = await BoshSession.login(c, account)
    const answer = await session.send(authElement('PLAIN', plain(account.user, account.password)))
    assertBody(answer)
    assert.ok(!answer.root.children.some(({ local, uri }) => uri === ns.sasl && local === 'success'))
  }),
]
