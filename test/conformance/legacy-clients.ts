// XEP-0124 §17.1: clients that sent no ver are answered by HTTP codes.

import assert from 'node:assert/strict'
import {
  assertAlive,
  assertGood,
  assertTerminated,
  BoshSession,
  bodyElement,
  chat,
  creationBody,
  hasText,
  pingIq,
  post,
} from '../support/bosh-session.js'
import type { Context } from '../support/conformance-context.js'
import { pair } from './exchange.js'
import { keyed } from './keys.js'
import { type Case, test } from './suite.js'

/** Answered at once. */
const probe = pingIq('probe')

const legacy = (what: string, code: number, run: (c: Context, session: BoshSession) => Promise<{ status: number }>): Case =>
  test('XEP-0124 §17.1', `a client without ver gets ${code} for ${what}`, async (c) => {
    const session = await BoshSession.ready(c, { ver: null })
    assert.equal((await run(c, session)).status, code)
  })

export const legacyClients: readonly Case[] = [
  test('XEP-0124 §17.1', 'a client without ver gets 200 for what is right', async (c) => {
    const session = await BoshSession.ready(c, { ver: null })
    await assertAlive(session)
    const answer = await session.send('', { type: 'terminate' })
    assertTerminated(answer, null)
  }),
  test('XEP-0124 §17.1', 'a client without ver gets 400 for a creation that is wrong', async (c) => {
    assert.equal((await post(c, creationBody(c, { ver: null, rid: null }))).status, 400)
    assert.equal((await post(c, creationBody(c, { ver: null, wait: 'abc' }))).status, 400)
  }),
  legacy('a rid beyond the window', 404, (_c, session) => session.sendAt(session.rid + 100)),
  legacy('a rid that is too old', 404, (_c, session) => session.sendAt(session.rid - 100)),
  legacy('a request without rid', 400, (c, session) => post(c, bodyElement({ sid: session.sid }))),
  test('XEP-0124 §17.1', 'a client without ver gets 404 for a wrong key', async (c) => {
    const { session } = await keyed(c, { ver: null })
    assert.equal((await session.send(probe, { key: 'e'.repeat(40) })).status, 404)
  }),
  test('XEP-0124 §17.1', 'a client without ver gets 403 for polling too often', async (c) => {
    const session = await BoshSession.ready(c, { ver: null, hold: 0 })
    const seconds = session.number('polling')
    if (!(seconds >= 1 && seconds <= 5)) c.skip(`polling is ${seconds}`)
    await c.pause(seconds * 1000 + 100)
    assertGood(await session.send())
    assert.equal((await session.send()).status, 403)
  }),
  test('XEP-0124 §17.1', 'a client with ver never gets an HTTP error for sid, rid or values', async (c) => {
    const session = await BoshSession.ready(c)
    assert.equal((await session.sendAt(session.rid + 100)).status, 200)
    assert.equal((await session.sendAt(session.rid + 1)).status, 200)
    assert.equal((await post(c, creationBody(c, { rid: null }))).status, 200)
  }),
  test('XEP-0124 §17.1', 'a session of a client without ver carries messages', async (c) => {
    const { session, contact } = await pair(c, { ver: null })
    await contact.send(chat(session.jid, 'legacy'))
    assert.ok(await session.until(hasText('legacy')))
  }),
]
