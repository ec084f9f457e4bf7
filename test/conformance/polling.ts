// XEP-0124 §12: polling sessions.

import assert from 'node:assert/strict'
import { assertGone, assertGood, assertTerminated, BoshSession, chat, hasText, PROMPT_MS, pingIq } from '../support/bosh-session.js'
import type { Context } from '../support/conformance-context.js'
import { pair } from './exchange.js'
import { type Case, test } from './suite.js'

/** Answered at once. */
const probe = pingIq('probe')

const pollingMs = (c: Context, session: BoshSession): number => {
  const seconds = session.number('polling')
  if (!(seconds <= 5)) c.skip(`polling is ${seconds} s`)
  return seconds * 1000
}

export const polling: readonly Case[] = [
  test('XEP-0124 §7.1, §12', 'hold=0: an empty request is answered at once', async (c) => {
    const session = await BoshSession.ready(c, { hold: 0 })
    await c.pause(pollingMs(c, session) + 100)
    const answer = await session.send()
    assertGood(answer)
    assert.ok(answer.ms < PROMPT_MS, `${Math.round(answer.ms)} ms`)
  }),
  test('XEP-0124 §7.1, §12', 'wait=0: an empty request is answered at once', async (c) => {
    const session = await BoshSession.ready(c, { wait: 0 })
    assert.equal(session.number('wait'), 0)
    await c.pause(pollingMs(c, session) + 100)
    const answer = await session.send()
    assertGood(answer)
    assert.ok(answer.ms < PROMPT_MS, `${Math.round(answer.ms)} ms`)
  }),
  test('XEP-0124 §12', 'polling session: inactivity is above polling (SHOULD)', async (c) => {
    const session = await BoshSession.create(c, { hold: 0 })
    assert.ok(session.number('inactivity') > session.number('polling'))
  }),
  test('XEP-0124 §12', 'polling session: inactivity is above that of others (SHOULD)', async (c) => {
    const [normal, polls] = [await BoshSession.create(c), await BoshSession.create(c, { hold: 0 })]
    const [without, asked] = [normal.number('inactivity'), polls.number('inactivity')]
    assert.ok(asked - without >= polls.number('polling') || asked > without, `${without} and ${asked}`)
  }),
  test('XEP-0124 §12', 'two empty requests within polling: policy-violation, and the session is over', async (c) => {
    const session = await BoshSession.ready(c, { hold: 0 })
    if (pollingMs(c, session) < 1000) c.skip('polling is not limited')
    await c.pause(pollingMs(c, session) + 100)
    assertGood(await session.send())
    assertTerminated(await session.send(), 'policy-violation')
    await assertGone(session)
  }),
  test('XEP-0124 §12', 'two empty requests within polling in a wait=0 session: policy-violation', async (c) => {
    const session = await BoshSession.ready(c, { wait: 0 })
    if (pollingMs(c, session) < 1000) c.skip('polling is not limited')
    await c.pause(pollingMs(c, session) + 100)
    assertGood(await session.send())
    assertTerminated(await session.send(), 'policy-violation')
  }),
  test('XEP-0124 §12', 'empty requests that are polling apart are welcome', async (c) => {
    const session = await BoshSession.ready(c, { hold: 0 })
    for (let i = 0; i < 3; i++) {
      await c.pause(pollingMs(c, session) + 150)
      assertGood(await session.send())
    }
  }),
  test('XEP-0124 §12', 'requests with payloads may follow each other at once', async (c) => {
    const session = await BoshSession.ready(c, { hold: 0 })
    for (let i = 0; i < 3; i++) assertGood(await session.send(probe))
  }),
  test('XEP-0124 §12', 'an empty request after one whose answer carried a payload is no violation', async (c) => {
    const { session, contact } = await pair(c, { hold: 0 })
    pollingMs(c, session)
    await c.pause(pollingMs(c, session) + 100)
    await contact.roundTrip(chat(session.jid, 'first'))
    await c.pause(200)
    const first = await session.send()
    assertGood(first)
    assert.ok(first.root.children.some(hasText('first')), first.text)
    assertGood(await session.send())
  }),
  test('XEP-0124 §12', 'a repetition is no new request, so no violation', async (c) => {
    const session = await BoshSession.ready(c, { hold: 0 })
    await c.pause(pollingMs(c, session) + 100)
    const first = await session.send()
    assertGood(first)
    assert.equal((await session.sendAt(session.rid)).text, first.text)
  }),
  test('XEP-0124 §12', 'a polling client logs in and gets messages', async (c) => {
    const { session, contact } = await pair(c, { hold: 0 })
    await contact.roundTrip(chat(session.jid, 'polled'))
    assert.ok(await session.until(hasText('polled')))
  }),
]
