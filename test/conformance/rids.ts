// XEP-0124 §14: request ids, their window, order, repetition and broken connections.

import assert from 'node:assert/strict'
import {
  type Answer,
  assertAlive,
  assertBody,
  assertGone,
  assertGood,
  assertTerminated,
  BoshSession,
  bodyElement,
  chat,
  connect,
  hasText,
  PROMPT_MS,
  pingIq,
  post,
  requestBytes,
} from '../support/bosh-session.js'
import { ns } from '../support/xml-tree.js'
import { assertTexts, pair } from './exchange.js'
import { type Case, test } from './suite.js'

/** Answered at once. */
const probe = pingIq('probe')

function assertPrompt(answer: Answer): void {
  assert.ok(answer.ms < PROMPT_MS, `at once, not after ${Math.round(answer.ms)} ms`)
}

const unacceptable =
  (distance: (session: BoshSession) => number): Case['run'] =>
  async (c) => {
    const session = await BoshSession.ready(c)
    const answer = await session.sendAt(session.rid + distance(session))
    assertTerminated(answer, 'item-not-found')
    assertPrompt(answer)
    await assertGone(session)
  }

export const rids: readonly Case[] = [
  test('XEP-0124 §14.2', 'requests that come in the wrong order are processed in the right one', async (c) => {
    const { session, contact } = await pair(c)
    const rid = session.rid
    const second = await session.startAt(rid + 2, chat(contact.jid, 'two'))
    await c.pause(200)
    assert.equal(second.answered(), false)
    const first = await session.startAt(rid + 1, chat(contact.jid, 'one'))
    assertGood(await first.answer)
    await assertTexts(contact, ['one', 'two'])
  }),
  test('XEP-0124 §14.2', 'nothing of a request is forwarded before those with lower rids came', async (c) => {
    const { session, contact } = await pair(c)
    const rid = session.rid
    await session.startAt(rid + 2, chat(contact.jid, 'two'))
    await c.pause(200)
    await assertTexts(contact, [])
    await session.startAt(rid + 1)
    assert.equal((await contact.until(hasText('two'))).local, 'message')
  }),
  test('XEP-0124 §14.2', 'a gap that an empty request fills lets the parked request go on, and the session lives', async (c) => {
    const { session, contact } = await pair(c)
    const rid = session.rid
    const second = await session.startAt(rid + 2, chat(contact.jid, 'parked'))
    await c.pause(150)
    const first = await session.startAt(rid + 1)
    assertGood(await first.answer)
    await assertTexts(contact, ['parked'])
    await contact.send(chat(session.jid, 'down'))
    const answer = await second.answer
    assert.ok(answer.root?.children.some(hasText('down')), answer.text)
    session.rid = rid + 2
    await session.roundTrip('')
  }),
  test('XEP-0124 §14.2', 'two empty requests in the wrong order: the lower is answered, the higher held', async (c) => {
    const { session, contact } = await pair(c)
    const rid = session.rid
    const second = await session.startAt(rid + 2)
    await c.pause(150)
    const first = await session.startAt(rid + 1)
    assertGood(await first.answer)
    await c.pause(200)
    assert.equal(second.answered(), false)
    await contact.send(chat(session.jid, 'late'))
    assert.ok((await second.answer).root?.children.some(hasText('late')))
  }),
  test('XEP-0124 §14.2', 'a payload that comes while a request is parked is not sent on the parked one', async (c) => {
    const { session, contact } = await pair(c)
    const rid = session.rid
    const second = await session.startAt(rid + 2)
    await c.pause(100)
    await contact.send(chat(session.jid, 'early'))
    await c.pause(300)
    assert.equal(second.answered(), false, 'the parked request is not answered before its turn')
    const first = await session.startAt(rid + 1)
    assert.ok((await first.answer).root?.children.some(hasText('early')), 'the lower rid gets it')
  }),
  test('XEP-0124 §14.2', 'hold=2: a whole window in reverse order', async (c) => {
    const { session, contact } = await pair(c, { hold: 2 })
    if (session.number('requests') < 3) c.skip('requests below 3')
    const rid = session.rid
    for (const step of [3, 2, 1]) {
      await session.startAt(rid + step, chat(contact.jid, `${step}`))
      await c.pause(100)
    }
    await assertTexts(contact, ['1', '2', '3'])
  }),
  test('XEP-0124 §14.2, §14.3', 'a parked request may be resent on a new connection', async (c) => {
    const { session, contact } = await pair(c)
    const rid = session.rid
    const old = await session.startAt(rid + 2, chat(contact.jid, 'once'))
    await c.pause(100)
    old.connection.reset()
    const parked = await session.startAt(rid + 2, chat(contact.jid, 'once'))
    await c.pause(100)
    const first = await session.startAt(rid + 1)
    assertGood(await first.answer)
    await contact.send(chat(session.jid, 'down'))
    assert.ok((await parked.answer).root?.children.some(hasText('down')), 'the newest connection gets the answer')
    await assertTexts(contact, ['once'])
  }),
  test(
    'XEP-0124 §14.2',
    'rid beyond the window: item-not-found, and the session is over',
    unacceptable((session) => session.number('requests') + 1),
  ),
  test(
    'XEP-0124 §14.2',
    'rid far beyond the window: item-not-found, and the session is over',
    unacceptable(() => 1_000_000),
  ),
  test('XEP-0124 §14.2', 'rid at the upper end of the window is acceptable', async (c) => {
    const session = await BoshSession.ready(c)
    const rid = session.rid
    const last = await session.startAt(rid + session.number('requests'))
    await c.pause(200)
    assert.equal(last.answered(), false)
    for (let step = 1; step < session.number('requests'); step++) await session.startAt(rid + step)
    const first = await session.startAt(rid + session.number('requests'), probe)
    assertBody(await last.answer)
    first.connection.destroy()
  }),
  test('XEP-0124 §14.3', 'rid too old to be in the buffer: item-not-found at once', async (c) => {
    const session = await BoshSession.ready(c)
    const rid = session.rid
    for (let i = 0; i < session.number('requests') + 6; i++)
      await session.until(({ local }) => local === 'iq', probe).catch(() => undefined)
    const answer = await session.sendAt(rid - 100)
    assertTerminated(answer, 'item-not-found')
    assertPrompt(answer)
  }),
  test('XEP-0124 §14.3', 'rid lower than the first of the session: item-not-found at once', async (c) => {
    const session = await BoshSession.ready(c)
    const answer = await session.sendAt(session.rid - 20)
    assertTerminated(answer, 'item-not-found')
    assertPrompt(answer)
  }),
  test('XEP-0124 §14.3', 'an answered rid again gets the same answer', async (c) => {
    const session = await BoshSession.ready(c)
    const first = await session.send(probe)
    const again = await session.sendAt(session.rid, probe)
    assertPrompt(again)
    assert.deepEqual([again.status, again.text, again.headers['content-type']], [200, first.text, first.headers['content-type']])
    await assertAlive(session)
  }),
  test('XEP-0124 §14.3', 'an answered rid three times more gets the same answer each time', async (c) => {
    const session = await BoshSession.ready(c)
    const first = await session.send(probe)
    for (let i = 0; i < 3; i++) assert.equal((await session.sendAt(session.rid, probe)).text, first.text)
  }),
  test('XEP-0124 §14.3', 'as many answers are kept as there may be requests', async (c) => {
    const session = await BoshSession.ready(c)
    const bodies: [number, Answer][] = []
    for (let i = 0; i < session.number('requests'); i++) bodies.push([session.rid + 1, await session.send(probe)])
    for (const [rid, answer] of bodies) {
      const again = await session.sendAt(rid, probe)
      assert.equal(again.text, answer.text, `rid ${rid - session.rid} from the last`)
    }
  }),
  test('XEP-0124 §14.3', 'a repeated request is not processed again', async (c) => {
    const { session, contact } = await pair(c)
    const payload = `${chat(contact.jid, 'once')}${pingIq('p1')}`
    await session.send(payload)
    for (let i = 0; i < 3; i++) await session.sendAt(session.rid, payload)
    await session.roundTrip('')
    await assertTexts(contact, ['once'])
  }),
  test('XEP-0124 §14.3', 'the same rid with another content is a repetition all the same', async (c) => {
    const { session, contact } = await pair(c)
    const first = await session.send(pingIq('p1'))
    const again = await session.sendAt(session.rid, `${chat(contact.jid, 'smuggled')}${pingIq('p2')}`)
    assert.equal(again.text, first.text)
    await assertTexts(contact, [])
  }),
  test('XEP-0124 §14.3, §17.3', 'a held rid again: the old connection gets type=error, the new one the data', async (c) => {
    const { session, contact } = await pair(c)
    const old = await session.start()
    await c.pause(150)
    const latest = await session.startAt(session.rid)
    const answer = await old.answer
    assertBody(answer)
    assert.equal(answer.root.attributes.type, 'error', answer.text)
    assertPrompt(answer)
    assert.equal(latest.answered(), false)
    await contact.send(chat(session.jid, 'data'))
    assert.ok((await latest.answer).root?.children.some(hasText('data')))
  }),
  test('XEP-0124 §14.3', 'a held rid three times: only the newest gets the data', async (c) => {
    const { session, contact } = await pair(c)
    const connections = [await session.start(chat(contact.jid, 'once'))]
    for (let i = 0; i < 2; i++) {
      await c.pause(100)
      connections.push(await session.startAt(session.rid, chat(contact.jid, 'once')))
    }
    const [first, second, third] = connections
    assert.equal((await first?.answer)?.root?.attributes.type, 'error')
    assert.equal((await second?.answer)?.root?.attributes.type, 'error')
    await contact.send(chat(session.jid, 'data'))
    assert.ok((await third?.answer)?.root?.children.some(hasText('data')))
    await assertTexts(contact, ['once'])
  }),
  test('XEP-0124 §14.3', 'the answer that a resent held request got is the one that a later repetition gets', async (c) => {
    const { session, contact } = await pair(c)
    await session.start()
    await c.pause(100)
    const latest = await session.startAt(session.rid)
    await c.pause(100)
    await contact.send(chat(session.jid, 'kept'))
    const answer = await latest.answer
    assert.ok(answer.root?.children.some(hasText('kept')), answer.text)
    assert.equal((await session.sendAt(session.rid)).text, answer.text)
  }),
  test('XEP-0124 §14.3', 'a lost answer is resent while the next request is held, which stays held', async (c) => {
    const { session, contact } = await pair(c)
    const lost = await session.send(pingIq('lost'))
    const held = await session.start()
    await c.pause(150)
    const again = await session.sendAt(session.rid - 1, pingIq('lost'))
    assert.equal(again.text, lost.text)
    assertPrompt(again)
    assert.equal(held.answered(), false)
    await contact.send(chat(session.jid, 'go on'))
    assert.ok((await held.answer).root?.children.some(hasText('go on')))
  }),
  test('XEP-0124 §14.3', 'an answer that was released by the next request is resent empty as it was', async (c) => {
    const { session, contact } = await pair(c)
    const first = await session.start()
    await c.pause(100)
    const second = await session.start()
    const answer = await first.answer
    assertGood(answer)
    const again = await session.sendAt(session.rid - 1)
    assert.equal(again.text, answer.text)
    await contact.send(chat(session.jid, 'still'))
    assert.ok((await second.answer).root?.children.some(hasText('still')))
  }),
  test('XEP-0124 §14.3', 'a held connection breaks: the request again gets what came in between', async (c) => {
    const { session, contact } = await pair(c)
    const broken = await session.start()
    await c.pause(100)
    broken.connection.reset()
    await c.pause(50)
    await contact.roundTrip(chat(session.jid, 'in between'))
    await c.pause(100)
    const answer = await session.sendAt(session.rid)
    assert.ok(answer.root?.children.some(hasText('in between')), answer.text)
    await session.roundTrip('')
    assert.equal(session.received.filter(hasText('in between')).length, 1)
  }),
  test('XEP-0124 §14.3', 'a held connection breaks and nothing came: the request again is held', async (c) => {
    const { session, contact } = await pair(c)
    const broken = await session.start()
    await c.pause(100)
    broken.connection.end()
    await c.pause(50)
    const again = await session.startAt(session.rid)
    await c.pause(200)
    assert.equal(again.answered(), false)
    await contact.send(chat(session.jid, 'data'))
    assert.ok((await again.answer).root?.children.some(hasText('data')))
  }),
  test('XEP-0124 §14.3', 'a connection that breaks before its answer is read: nothing is processed twice, nothing lost', async (c) => {
    const { session, contact } = await pair(c)
    for (let i = 0; i < 5; i++) {
      const payload = `${chat(contact.jid, `b${i}`)}${pingIq(`b${i}`)}`
      const broken = await session.start(payload)
      await c.pause(10 * i)
      broken.connection.reset()
      const answer = await session.sendAt(session.rid, payload)
      assertBody(answer)
      if (!answer.root.children.some(({ attributes }) => attributes.id === `b${i}`))
        await session.until(({ attributes }) => attributes.id === `b${i}`)
    }
    await assertTexts(contact, ['b0', 'b1', 'b2', 'b3', 'b4'])
  }),
  test('XEP-0124 §14.3', 'two connections with the same new rid at the same time: processed once', async (c) => {
    const { session, contact } = await pair(c)
    session.rid++
    const both = await Promise.all([0, 1].map(() => session.startAt(session.rid, `${chat(contact.jid, 'twin')}${pingIq('twin')}`)))
    const answers = await Promise.all(both.map(({ answer }) => answer))
    assert.ok(answers.some(({ root }) => root?.children.some(({ attributes }) => attributes.id === 'twin')))
    for (const answer of answers) assert.equal(answer.status, 200)
    await assertTexts(contact, ['twin'])
  }),
  test('XEP-0124 §5, §17.2', 'a request without rid: bad-request', async (c) => {
    const session = await BoshSession.ready(c)
    assertTerminated(await post(c, bodyElement({ sid: session.sid })), 'bad-request')
  }),
  test('XEP-0124 §5, §17.2', 'a request whose rid is no number: bad-request', async (c) => {
    const session = await BoshSession.ready(c)
    for (const rid of ['abc', '-1', '1e3']) {
      const answer = await post(c, bodyElement({ sid: session.sid, rid }))
      assertTerminated(answer, 'bad-request', 'item-not-found')
    }
  }),
  test('XEP-0124 §17.2', 'unknown sid: item-not-found with 200', async (c) => {
    for (const sid of ['no-such-session', 'x'.repeat(1000), '../../etc', 'a.b.c', 'ünïcode', ' ']) {
      assertTerminated(await post(c, bodyElement({ sid, rid: 12345, 'xmlns:xmpp': ns.xbosh })), 'item-not-found')
    }
  }),
  test('XEP-0124 §19.3', 'a sid that differs in its last character is not the session', async (c) => {
    const session = await BoshSession.ready(c)
    const sid = `${session.sid.slice(0, -1)}${session.sid.endsWith('0') ? '1' : '0'}`
    assertTerminated(await post(c, bodyElement({ sid, rid: session.rid + 1 })), 'item-not-found')
    await assertAlive(session)
  }),
  test('XEP-0124 §14.2', 'rids of one session say nothing about another', async (c) => {
    const [first, second] = [await BoshSession.ready(c), await BoshSession.ready(c)]
    await assertAlive(first)
    await assertAlive(second)
    assertTerminated(await first.sendAt(second.rid + 1), 'item-not-found')
    await assertAlive(second)
  }),
  test('XEP-0124 §14.2', 'a request in several TCP segments counts when it is complete', async (c) => {
    const session = await BoshSession.ready(c)
    session.rid++
    const bytes = requestBytes(c, session.body(session.rid, probe))
    const slow = await connect(c)
    for (let at = 0; at < bytes.length; at += 60) {
      await slow.send(bytes.subarray(at, at + 60))
      await c.pause(10)
    }
    const { status, body } = await slow.readResponse()
    assert.equal(status, 200)
    assert.match(body.toString(), /probe/)
  }),
  test('XEP-0124 §14.3', 'a held rid sent thirty times: the newest gets the data, or policy-violation', async (c) => {
    const { session, contact } = await pair(c)
    const all = [await session.start()]
    for (let i = 0; i < 30; i++) all.push(await session.startAt(session.rid))
    await c.pause(300)
    await contact.send(chat(session.jid, 'data'))
    // Which of them the server read last is its own matter; those it reads still later are repetitions.
    const answers = await Promise.all(all.map(({ answer }) => answer))
    const violation = answers.find(({ root }) => root?.attributes.type === 'terminate')
    if (violation !== undefined) return assertTerminated(violation, 'policy-violation')
    assert.ok(answers.some(({ root }) => root?.children.some(hasText('data'))))
  }),
  test('XEP-0124 §14.3, §17.3', 'after a recoverable error all unanswered requests are sent again and answered in order', async (c) => {
    const { session, contact } = await pair(c)
    const rid = session.rid
    const parked = await session.startAt(rid + 2, chat(contact.jid, 'second'))
    await c.pause(50)
    const held = await session.startAt(rid + 1, chat(contact.jid, 'first'))
    await held.answer
    await c.pause(100)
    const again = await session.startAt(rid + 2, chat(contact.jid, 'second'))
    assert.equal((await parked.answer).root?.attributes.type, 'error')
    const first = await session.sendAt(rid + 1, chat(contact.jid, 'first'))
    assertGood(first)
    await contact.send(chat(session.jid, 'down'))
    assert.ok((await again.answer).root?.children.some(hasText('down')))
    await assertTexts(contact, ['first', 'second'])
  }),
  test('XEP-0124 §14', 'a hundred sessions at the same time', async (c) => {
    const sessions = await Promise.all(Array.from({ length: 100 }, () => BoshSession.open(c, { wait: 1 })))
    assert.equal(new Set(sessions.map(({ sid }) => sid)).size, 100)
    const answers = await Promise.all(sessions.map((session) => session.send('', { type: 'terminate' })))
    for (const answer of answers) assertTerminated(answer, null)
  }),
  test(
    'XEP-0124 §8, §14.2',
    'a gap that is never filled: the parked request is answered all the same, and the session can go on or is over',
    async (c) => {
      const session = await BoshSession.ready(c, { wait: 1 })
      const rid = session.rid
      const parked = await session.startAt(rid + 2)
      const answer = await parked.answer
      assertBody(answer)
      const first = await session.sendAt(rid + 1, probe)
      assertBody(first)
    },
  ),
  test('XEP-0124 §14.3', 'unread answers: a client that never reads does not keep others waiting', async (c) => {
    const { session, contact } = await pair(c)
    const silent = await BoshSession.ready(c)
    const held = await silent.start()
    held.connection.socket.pause()
    await contact.roundTrip(chat(silent.jid, 'z'.repeat(50_000)))
    await session.roundTrip(chat(contact.jid, 'others'))
    await assertTexts(contact, ['others'])
  }),
]
