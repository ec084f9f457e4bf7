// XEP-0124 §13, §17.2: the end of sessions, by the client and by errors.

import assert from 'node:assert/strict'
import { assertBody, assertGone, assertTerminated, BoshSession, chat, PROMPT_MS } from '../support/bosh-session.js'
import { child, ns } from '../support/xml-tree.js'
import { assertTexts, pair } from './exchange.js'
import { isUnavailable, watched } from './inactivity.js'
import { type Case, test } from './suite.js'

export const terminate: readonly Case[] = [
  test('XEP-0124 §13', 'terminate is answered at once, without a condition, and the session is gone', async (c) => {
    const session = await BoshSession.ready(c)
    const answer = await session.send('', { type: 'terminate' })
    assertTerminated(answer, null)
    assert.ok(answer.ms < PROMPT_MS)
    await assertGone(session)
  }),
  test(
    'XEP-0124 §13',
    'terminate with a held request: both are answered at once, at least one with type=terminate, none with a condition',
    async (c) => {
      const { session } = await pair(c)
      const held = await session.start()
      await c.pause(150)
      const [own, other] = await Promise.all([session.send('', { type: 'terminate' }), held.answer])
      assert.ok(own.ms < PROMPT_MS && other.ms < PROMPT_MS + 200, `${own.ms}, ${other.ms}`)
      for (const answer of [own, other]) {
        assertBody(answer)
        assert.equal(answer.root.attributes.condition, undefined, answer.text)
      }
      assert.ok([own, other].some(({ root }) => root?.attributes.type === 'terminate'))
    },
  ),
  test('XEP-0124 §13', 'hold=2: terminate answers every open request', async (c) => {
    const { session } = await pair(c, { hold: 2 })
    if (session.number('hold') !== 2) c.skip('hold=2 was not granted')
    const first = await session.start()
    await c.pause(100)
    const second = await session.start()
    await c.pause(100)
    const answers = await Promise.all([session.send('', { type: 'terminate' }), first.answer, second.answer])
    for (const answer of answers) {
      assertBody(answer)
      assert.equal(answer.root.attributes.condition, undefined)
      assert.ok(answer.ms < PROMPT_MS + 300)
    }
    assert.ok(answers.some(({ root }) => root?.attributes.type === 'terminate'))
  }),
  test('XEP-0124 §13', 'a payload of the terminate request is forwarded', async (c) => {
    const { session, contact } = await pair(c)
    assertTerminated(await session.send(chat(contact.jid, 'bye'), { type: 'terminate' }), null)
    await assertTexts(contact, ['bye'])
  }),
  test('XEP-0124 §13', 'the unavailable presence in the terminate request is seen with its status', async (c) => {
    const { session, watcher } = await watched(c)
    const presence = "<presence xmlns='jabber:client' type='unavailable'><status>so long</status></presence>"
    assertTerminated(await session.send(presence, { type: 'terminate' }), null)
    const seen = await watcher.until(isUnavailable(session.jid))
    assert.equal(child(seen, 'status')?.text, 'so long')
  }),
  test('XEP-0124 §13, RFC 6121 §4.5', 'without a presence the user becomes unavailable too, at once', async (c) => {
    const { session, watcher } = await watched(c)
    assertTerminated(await session.send('', { type: 'terminate' }), null)
    const startMs = performance.now()
    await watcher.until(isUnavailable(session.jid))
    assert.ok(performance.now() - startMs < PROMPT_MS)
  }),
  test('XEP-0124 §13, §14.2', 'a terminate that overtakes a request waits for it', async (c) => {
    const { session, contact } = await pair(c)
    const rid = session.rid
    const last = await session.startAt(rid + 2, chat(contact.jid, 'second'), { type: 'terminate' })
    await c.pause(150)
    assert.equal(last.answered(), false)
    const first = await session.startAt(rid + 1, chat(contact.jid, 'first'))
    const answers = await Promise.all([first.answer, last.answer])
    for (const answer of answers) assertBody(answer)
    assert.ok(answers.some(({ root }) => root?.attributes.type === 'terminate'))
    await assertTexts(contact, ['first', 'second'])
  }),
  test('XEP-0124 §13', 'the terminate request again is answered by an end', async (c) => {
    const session = await BoshSession.ready(c)
    assertTerminated(await session.send('', { type: 'terminate' }), null)
    assertTerminated(await session.sendAt(session.rid, '', { type: 'terminate' }), null, 'item-not-found')
  }),
  test('XEP-0124 §13', 'terminate in a polling session', async (c) => {
    const session = await BoshSession.ready(c, { hold: 0 })
    assertTerminated(await session.send('', { type: 'terminate' }), null)
    await assertGone(session)
  }),
  test('XEP-0124 §13', 'an unknown type is refused or ignored', async (c) => {
    const session = await BoshSession.ready(c, { wait: 1 })
    const answer = await session.send('', { type: 'unheard-of' })
    assertBody(answer)
    if (answer.root.attributes.type !== undefined) assertTerminated(answer, 'bad-request')
  }),
  test('XEP-0124 §17.2', 'an error that ends the session answers the held requests too', async (c) => {
    const { session } = await pair(c)
    const held = await session.start()
    await c.pause(150)
    const [own, other] = await Promise.all([session.sendAt(session.rid + 50), held.answer])
    assertTerminated(own, 'item-not-found')
    assertBody(other)
    assert.ok(other.ms < PROMPT_MS + 200, `the held request was answered after ${Math.round(other.ms)} ms`)
    assert.equal(other.root.attributes.type, 'terminate', other.text)
  }),
  test('RFC 6120 §4.9, XEP-0206 §6', 'a stream error answers the held requests, with remote-stream-error on one of them', async (c) => {
    const { session } = await pair(c)
    const held = await session.start()
    await c.pause(150)
    const [own, other] = await Promise.all([session.send("<unheard xmlns='urn:of'/>"), held.answer])
    const ended = [own, other].filter(({ root }) => root?.attributes.type === 'terminate')
    assert.ok(ended.length > 0, `${own.text} ${other.text}`)
    assert.ok([own, other].some(({ root }) => root?.attributes.condition === 'remote-stream-error'))
    assert.ok([own, other].some(({ root }) => root?.children.some(({ local, uri }) => local === 'error' && uri === ns.streams)))
  }),
  test('XEP-0124 §13, §14.2', 'what has ended stays ended, however soon after the login', async (c) => {
    const ends: ((session: BoshSession) => Promise<unknown>)[] = [
      (session) => session.send('', { type: 'terminate' }),
      (session) => session.sendAt(session.rid + 100),
    ]
    const endOne = async (index: number) => {
      const session = await BoshSession.ready(c)
      await c.pause(index * 2.5)
      await ends[index % 2]?.(session)
      await assertGone(session)
    }
    for (let round = 0; round < 4; round++) await Promise.all(Array.from({ length: 24 }, (_, index) => endOne(index)))
  }),
]
