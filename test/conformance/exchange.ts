// XEP-0124 §4, §8: holding, releasing and answering requests; payloads go through unchanged and in order.

import assert from 'node:assert/strict'
import { assertGood, authElement, BoshSession, chat, hasText, PROMPT_MS, pingIq, WAIT_SECONDS } from '../support/bosh-session.js'
import type { Context } from '../support/conformance-context.js'
import { child, childText, find, ns, type XmlElement } from '../support/xml-tree.js'
import { XmppSocket } from '../support/xmpp-socket.js'
import { type Case, test } from './suite.js'

/** A BOSH session and a contact that sees what it sends and can send to it. */
export async function pair(c: Context, attributes = {}): Promise<{ session: BoshSession; contact: XmppSocket }> {
  const [session, contact] = await Promise.all([
    c.account().then((account) => BoshSession.login(c, account, attributes)),
    c.account().then((account) => XmppSocket.login(c, account)),
  ])
  return { session, contact }
}

/** The contact gets messages with these texts, in this order, and no others. */
export async function assertTexts(contact: XmppSocket, expected: readonly string[]): Promise<void> {
  const texts: string[] = []
  const take = (stanza: XmlElement) => {
    if (stanza.local === 'message') texts.push(childText(stanza, 'body'))
  }
  while (texts.length < expected.length) {
    const stanza = await contact
      .nextElement()
      .catch((error: Error) => assert.fail(`after messages ${JSON.stringify(texts)}: ${error.message}`))
    take(stanza)
  }
  // What should not come has no moment at which it has not come; a while is what there is.
  await contact.context.pause(150)
  for (const stanza of await contact.roundTrip()) take(stanza)
  assert.deepEqual(texts, expected)
}

const unchanged =
  (text: string): Case['run'] =>
  async (c) => {
    const { session, contact } = await pair(c)
    await session.roundTrip(chat(contact.jid, text))
    const message = await contact.until(({ local }) => local === 'message')
    assert.equal(childText(message, 'body'), text, 'on its way up')
    await contact.send(chat(session.jid, text))
    const back = await session.until(({ local }) => local === 'message')
    assert.equal(childText(back, 'body'), text, 'on its way down')
  }

export const exchange: readonly Case[] = [
  test('XEP-0124 §8', 'an empty request is held until wait is over, then answered with an empty body', async (c) => {
    const session = await BoshSession.open(c, { wait: 1 })
    const answer = await session.send()
    assertGood(answer)
    assert.equal(answer.root.children.length, 0)
    assert.ok(answer.ms > 700 && answer.ms < 1000 + PROMPT_MS, `${Math.round(answer.ms)} ms`)
  }),
  test('XEP-0124 §8', 'a request with a payload that has no answer is held as well', async (c) => {
    const account = await c.account()
    const session = await BoshSession.login(c, account, { wait: 1 })
    const answer = await session.send(chat('nobody@unknown.invalid', '').replace('<body></body>', '').replace('chat', 'headline'))
    assertGood(answer)
  }),
  test('XEP-0124 §8', 'a payload for the client answers the held request at once', async (c) => {
    const { session, contact } = await pair(c)
    const held = await session.start()
    await c.pause(150)
    const startMs = performance.now()
    await contact.send(chat(session.jid, 'now'))
    const answer = await held.answer
    assertGood(answer)
    assert.ok(answer.root.children.some(hasText('now')))
    assert.ok(performance.now() - startMs < PROMPT_MS)
  }),
  test('XEP-0124 §4', 'a second request releases the first, and is held itself', async (c) => {
    const { session } = await pair(c)
    const first = await session.start()
    await c.pause(150)
    const second = await session.start(chat('nobody@unknown.invalid', 'x').replace('chat', 'error'))
    const answer = await first.answer
    assertGood(answer)
    assert.ok(answer.ms < PROMPT_MS, `released after ${Math.round(answer.ms)} ms`)
    await c.pause(200)
    assert.equal(second.answered(), false)
  }),
  test('XEP-0124 §4, §11', 'two empty requests in a hold=1 session: the first is released', async (c) => {
    const { session } = await pair(c)
    const first = await session.start()
    await c.pause(150)
    const second = await session.start()
    const answer = await first.answer
    assertGood(answer)
    assert.ok(answer.ms < PROMPT_MS)
    await c.pause(100)
    assert.equal(second.answered(), false)
  }),
  test('XEP-0124 §8', 'the released request stays in order before the one that released it', async (c) => {
    const { session, contact } = await pair(c)
    for (let i = 0; i < 5; i++) {
      const first = await session.start()
      await c.pause(50)
      const second = await session.start(chat(contact.jid, `m${i}`))
      assertGood(await first.answer)
      assert.equal(second.answered(), false)
      await contact.send(chat(session.jid, `r${i}`))
      assert.ok((await second.answer).root?.children.some(hasText(`r${i}`)))
    }
    await assertTexts(contact, ['m0', 'm1', 'm2', 'm3', 'm4'])
  }),
  test('XEP-0124 §8', 'what comes while no request is open waits for the next, in order', async (c) => {
    const { session, contact } = await pair(c)
    const texts = Array.from({ length: 10 }, (_, i) => `q${i}`)
    await contact.roundTrip(...texts.map((text) => chat(session.jid, text)))
    await session.until(hasText('q9'))
    const got = session.received.filter(({ local }) => local === 'message').map((message) => childText(message, 'body'))
    assert.deepEqual(got, texts)
  }),
  test('XEP-0124 §8', 'several stanzas of one body are all forwarded in order', async (c) => {
    const { session, contact } = await pair(c)
    const texts = Array.from({ length: 20 }, (_, i) => `s${i}`)
    await session.roundTrip(texts.map((text) => chat(contact.jid, text)).join(''))
    await assertTexts(contact, texts)
  }),
  test('XEP-0124 §8', 'forty requests one after the other keep their order', async (c) => {
    const { session, contact } = await pair(c)
    const texts = Array.from({ length: 40 }, (_, i) => `n${i}`)
    let open = await session.start()
    for (const text of texts) {
      const next = await session.start(chat(contact.jid, text))
      assertGood(await open.answer)
      open = next
    }
    await assertTexts(contact, texts)
  }),
  test('XEP-0124 §7.2, §8', 'hold=2: two requests are held, the third releases the oldest', async (c) => {
    const { session } = await pair(c, { hold: 2 })
    if (session.number('hold') !== 2) c.skip('hold=2 was not granted')
    const first = await session.start()
    await c.pause(100)
    const second = await session.start()
    await c.pause(400)
    assert.deepEqual([first.answered(), second.answered()], [false, false], 'both are held')
    const third = await session.start()
    assertGood(await first.answer)
    await c.pause(200)
    assert.deepEqual([second.answered(), third.answered()], [false, false])
  }),
  test('XEP-0124 §8', 'hold=2: a payload goes to the oldest request', async (c) => {
    const { session, contact } = await pair(c, { hold: 2 })
    if (session.number('hold') !== 2) c.skip('hold=2 was not granted')
    const first = await session.start()
    await c.pause(100)
    const second = await session.start()
    await c.pause(100)
    await contact.send(chat(session.jid, 'one'))
    assert.ok((await first.answer).root?.children.some(hasText('one')))
    assert.equal(second.answered(), false)
    await contact.send(chat(session.jid, 'two'))
    assert.ok((await second.answer).root?.children.some(hasText('two')))
  }),
  test('XEP-0124 §8', 'hold=2: both held requests are answered when wait is over, in order', async (c) => {
    const session = await BoshSession.open(c, { hold: 2, wait: 1 })
    if (session.number('hold') !== 2) c.skip('hold=2 was not granted')
    const first = await session.start()
    await c.pause(300)
    const second = await session.start()
    assertGood(await first.answer)
    assertGood(await second.answer)
  }),
  test('XEP-0124 §8', 'hold=3: four requests in the air, nothing lost', async (c) => {
    const { session, contact } = await pair(c, { hold: 3 })
    if (session.number('hold') !== 3) c.skip('hold=3 was not granted')
    const open = []
    for (let i = 0; i < 4; i++) {
      open.push(await session.start(chat(contact.jid, `h${i}`)))
      await c.pause(60)
    }
    assertGood(await (open[0]?.answer ?? assert.fail()))
    await assertTexts(contact, ['h0', 'h1', 'h2', 'h3'])
    for (const [i, pending] of open.slice(1).entries()) {
      await contact.send(chat(session.jid, `d${i}`))
      assert.ok((await pending.answer).root?.children.some(hasText(`d${i}`)))
    }
  }),
  test('XEP-0124 §7.1', 'wait counts for each request anew', async (c) => {
    const session = await BoshSession.open(c, { wait: 1 })
    for (let i = 0; i < 3; i++) {
      const answer = await session.send()
      assertGood(answer)
      assert.ok(answer.ms < 1000 + PROMPT_MS)
    }
  }),
  test('XEP-0124 §8', 'special characters', unchanged('a < b && c > d "quoted" \'single\' ]]> é ü ß')),
  test('XEP-0124 §8', 'characters outside the BMP', unchanged('😀 𝒳 \u{10FFFD} 中文 עברית')),
  test('XEP-0124 §8', 'white space, line ends and tabs', unchanged('  two  spaces\nline\n\ttab end\n')),
  test('XML 1.0 §2.11', 'a carriage return that came as a character reference', unchanged('a\rb')),
  test('XEP-0124 §8', 'a message of 60,000 characters', unchanged('0123456789'.repeat(6000))),
  test('XEP-0124 §5', 'CDATA inside a stanza is character data', async (c) => {
    const { session, contact } = await pair(c)
    await session.roundTrip(
      `<message xmlns='jabber:client' to='${contact.jid}' type='chat'><body><![CDATA[<b>&amp;</b>]]></body></message>`,
    )
    assert.equal(childText(await contact.until(({ local }) => local === 'message'), 'body'), '<b>&amp;</b>')
  }),
  test('XML Namespaces', 'a prefix declared on <body/> is valid inside', async (c) => {
    const { session, contact } = await pair(c)
    const message = `<c:message to='${contact.jid}' type='chat'><c:body>prefixed</c:body><y:thing y:a='1'>deep</y:thing></c:message>`
    const declared = { 'xmlns:c': 'jabber:client', 'xmlns:y': 'urn:test:y' }
    await session.until(({ attributes }) => attributes.id === 'behind', `${message}${pingIq('behind')}`, declared)
    const got = await contact.until(({ local }) => local === 'message')
    assert.equal(got.uri, ns.client)
    assert.equal(childText(got, 'body'), 'prefixed')
    const thing = child(got, 'thing', 'urn:test:y')
    assert.equal(thing?.text, 'deep')
    assert.equal(thing?.attributes['{urn:test:y}a'], '1')
  }),
  test('XML Namespaces', 'namespaces of nested extensions survive both ways', async (c) => {
    const { session, contact } = await pair(c)
    const payload = "<x xmlns='urn:a' xmlns:b='urn:b'><b:y><z xmlns=''><w/></z></b:y><y b:q='1' q='2'/></x>"
    const message = (to: string) => `<message xmlns='jabber:client' to='${to}' type='chat'><body>ns</body>${payload}</message>`
    const assertWhole = (got: XmlElement) => {
      const x = child(got, 'x', 'urn:a')
      assert.ok(x !== undefined, 'x')
      const z = child(child(x, 'y', 'urn:b'), 'z', '')
      assert.equal(z?.children[0]?.local, 'w')
      const y = child(x, 'y', 'urn:a')
      assert.deepEqual({ ...y?.attributes }, { '{urn:b}q': '1', q: '2' })
    }
    await session.roundTrip(message(contact.jid))
    assertWhole(await contact.until(({ local }) => local === 'message'))
    await contact.send(message(session.jid))
    assertWhole(await session.until(({ local }) => local === 'message'))
  }),
  test('RFC 6120 §4.8.2', 'xml:lang of a stanza goes with it', async (c) => {
    const { session, contact } = await pair(c)
    await session.roundTrip(`<message xmlns='jabber:client' xml:lang='cs' to='${contact.jid}' type='chat'><body>ahoj</body></message>`)
    const got = await contact.until(({ local }) => local === 'message')
    assert.equal(got.attributes['{http://www.w3.org/XML/1998/namespace}lang'], 'cs')
  }),
  test('XEP-0206 §2', 'stanzas in answers are in jabber:client', async (c) => {
    const { session, contact } = await pair(c)
    await contact.send(chat(session.jid, 'ns'))
    const got = await session.until(({ local }) => local === 'message')
    assert.equal(got.uri, ns.client)
    assert.equal(child(got, 'body')?.uri, ns.client)
    for (const stanza of session.received) assert.notEqual(stanza.uri, ns.httpbind, `${stanza.local} in the wrong namespace`)
  }),
  test('XEP-0206 §2', 'a stanza without a namespace of its own is taken for jabber:client or refused, never swallowed', async (c) => {
    const { session } = await pair(c, { wait: 2 })
    const answer = await session.send("<iq type='get' id='bare'><ping xmlns='urn:xmpp:ping'/></iq>")
    assert.equal(answer.status, 200)
    const answered = answer.root?.children.some(({ attributes }) => attributes.id === 'bare')
    assert.ok(answered || answer.root?.attributes.type === 'terminate', answer.text)
  }),
  test('XEP-0124 §6', 'answers are not chunked and say their length', async (c) => {
    const session = await BoshSession.open(c, { wait: 1 })
    for (const { headers } of [session.created, await session.send(), await session.send(authElement('NONE', ''))]) {
      assert.equal(headers['transfer-encoding'], undefined)
      assert.match(headers['content-length'] ?? '', /^\d+$/)
    }
  }),
  test('XEP-0124 §5', 'white space between payloads is no character data that matters', async (c) => {
    const session = await BoshSession.open(c)
    const failure = await session.until(({ uri }) => uri === ns.sasl, `\n  ${authElement('NONE', '')}\n  `)
    assert.equal(failure.local, 'failure')
  }),
  test('XEP-0124 §8', 'a session waits as long as it said, not longer', async (c) => {
    const session = await BoshSession.open(c, { wait: 2 })
    const answer = await session.send()
    assertGood(answer)
    assert.ok(answer.ms > 1500 && answer.ms < 2000 + PROMPT_MS, `${Math.round(answer.ms)} ms`)
    assert.ok(WAIT_SECONDS > 2)
  }),
  test('XEP-0206 §5', 'messages go between BOSH and WebSocket', async (c) => {
    const { session, contact } = await pair(c)
    await session.roundTrip(chat(contact.jid, 'up', 'id1'))
    const up = await contact.until(hasText('up'))
    assert.equal(up.attributes.from, session.jid)
    assert.equal(up.attributes.id, 'id1')
    await contact.send(chat(session.jid, 'down', 'id2'))
    const down = await session.until(hasText('down'))
    assert.equal(down.attributes.from, contact.jid)
    assert.equal(find(down, 'body')?.text, 'down')
  }),
]
