// XEP-0124 §10: pauses.

import assert from 'node:assert/strict'
import {
  assertBody,
  assertGone,
  assertGood,
  assertTerminated,
  BoshSession,
  chat,
  hasText,
  PROMPT_MS,
  pingIq,
} from '../support/bosh-session.js'
import type { Context } from '../support/conformance-context.js'
import { assertTexts, pair } from './exchange.js'
import { inactivityMs, untilExpired } from './inactivity.js'
import { type Case, test } from './suite.js'

/** Answered at once. */
const probe = pingIq('probe')

async function pausable(c: Context, attributes = {}): Promise<BoshSession> {
  const session = await BoshSession.ready(c, attributes)
  if (!(session.number('maxpause') >= 5)) c.skip('no maxpause of 5 s')
  return session
}

export const pause: readonly Case[] = [
  test('XEP-0124 §10', 'maxpause is announced', async (c) => {
    const session = await BoshSession.create(c)
    assert.ok(session.number('maxpause') > 0, `maxpause ${session.created.root?.attributes.maxpause}`)
  }),
  test('XEP-0124 §10', 'a pause request is answered at once, with nothing in it', async (c) => {
    const session = await pausable(c)
    const answer = await session.send('', { pause: Math.min(5, session.number('maxpause')) })
    assertGood(answer)
    assert.ok(answer.ms < PROMPT_MS)
    assert.equal(answer.root.children.length, 0)
  }),
  test('XEP-0124 §10', 'a pause request releases the held requests too', async (c) => {
    const session = await pausable(c)
    const held = await session.start()
    await c.pause(150)
    const answer = await session.send('', { pause: 5 })
    assertGood(answer)
    const released = await held.answer
    assertGood(released)
    assert.ok(answer.ms < PROMPT_MS && released.ms < PROMPT_MS + 150)
  }),
  test('XEP-0124 §10', 'a paused session outlives inactivity', async (c) => {
    const session = await pausable(c)
    const idleMs = inactivityMs(c, session) + 1500
    assertGood(await session.send('', { pause: Math.ceil(idleMs / 1000) + 3 }))
    await c.pause(idleMs)
    assertGood(await session.send(probe))
  }),
  test('XEP-0124 §10', 'a pause ends: without a request the session is gone', async (c) => {
    const session = await pausable(c)
    inactivityMs(c, session)
    assertGood(await session.send('', { pause: 3 }))
    await c.pause(5000)
    await assertGone(session)
  }),
  test('XEP-0124 §10', 'after the next request inactivity is as before', async (c) => {
    const session = await pausable(c)
    inactivityMs(c, session)
    assertGood(await session.send('', { pause: 10 }))
    assertGood(await session.send(probe))
    await untilExpired(c, session)
    await assertGone(session)
  }),
  test('XEP-0124 §10', 'what comes during a pause is delivered after it', async (c) => {
    const { session, contact } = await pair(c)
    if (!(session.number('maxpause') >= 5)) c.skip('no maxpause of 5 s')
    assertGood(await session.send('', { pause: 5 }))
    await contact.roundTrip(chat(session.jid, 'meanwhile'))
    await c.pause(Math.min(3000, session.number('inactivity') * 1000 + 500))
    assert.equal((await session.until(hasText('meanwhile'))).local, 'message')
  }),
  test('XEP-0124 §10', 'the answer to a pause has no payload although one waits (MUST)', async (c) => {
    const { session, contact } = await pair(c)
    if (!(session.number('maxpause') >= 5)) c.skip('no maxpause of 5 s')
    await contact.roundTrip(chat(session.jid, 'waits'))
    await c.pause(100)
    const answer = await session.send('', { pause: 5 })
    assertGood(answer)
    assert.equal(answer.root.children.length, 0, answer.text)
    assert.ok(await session.until(hasText('waits')))
  }),
  test('XEP-0124 §10', 'more than maxpause is not granted', async (c) => {
    const session = await pausable(c)
    const answer = await session.send('', { pause: session.number('maxpause') + 1000 })
    assertBody(answer)
    const { type } = answer.root.attributes
    if (type === 'terminate') assertTerminated(answer, 'policy-violation', 'bad-request')
    else {
      // Then it is an ordinary request, and inactivity stays what it is.
      await untilExpired(c, session)
      await assertGone(session)
    }
  }),
  test('XEP-0124 §10', 'a pause that is no number is refused or ignored', async (c) => {
    const session = await pausable(c, { wait: 1 })
    const answer = await session.send('', { pause: 'abc' })
    assertBody(answer)
    if (answer.root.attributes.type !== undefined) assertTerminated(answer, 'bad-request', 'policy-violation')
  }),
  test('XEP-0124 §10', 'a shorter pause than inactivity shortens it', async (c) => {
    const session = await pausable(c)
    if (inactivityMs(c, session) < 2000) c.skip('inactivity is too short to be shortened')
    assertGood(await session.send('', { pause: 1 }))
    await c.pause(inactivityMs(c, session) - 100)
    if (session.number('inactivity') > 2) await assertGone(session)
  }),
  test('XEP-0124 §10, §8', 'a payload in a pause request is forwarded', async (c) => {
    const { session, contact } = await pair(c)
    if (!(session.number('maxpause') >= 5)) c.skip('no maxpause of 5 s')
    assertGood(await session.send(chat(contact.jid, 'going'), { pause: 5 }))
    await assertTexts(contact, ['going'])
  }),
]
