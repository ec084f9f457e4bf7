// XEP-0124 §10: inactivity; XEP-0206 §7: what becomes of undelivered stanzas.

import assert from 'node:assert/strict'
import { assertGone, assertGood, BoshSession, chat, hasText, pingIq } from '../support/bosh-session.js'
import type { Account, Context } from '../support/conformance-context.js'
import type { XmlElement } from '../support/xml-tree.js'
import { XmppSocket } from '../support/xmpp-socket.js'
import { pair } from './exchange.js'
import { type Case, test } from './suite.js'

/** Answered at once. */
const probe = pingIq('probe')

/** How long a session without a request lives at most; skips where that is too long for a test. */
export function inactivityMs(c: Context, session: BoshSession): number {
  const seconds = session.number('inactivity')
  if (!(seconds <= 5)) c.skip(`inactivity is ${seconds} s`)
  return seconds * 1000
}

export async function untilExpired(c: Context, session: BoshSession): Promise<void> {
  await c.pause(inactivityMs(c, session) + 1500)
}

export const isUnavailable = (jid: string) => (stanza: XmlElement) =>
  stanza.local === 'presence' && stanza.attributes.type === 'unavailable' && stanza.attributes.from === jid

/** A BOSH session, and another session of the same user that sees its presence (RFC 6121 §4.2.2). */
export async function watched(c: Context): Promise<{ session: BoshSession; watcher: XmppSocket }> {
  const account = await c.account()
  const watcher = await XmppSocket.login(c, account, { resource: 'watcher' })
  const session = await BoshSession.login(c, account, {}, { resource: 'watched' })
  await watcher.until(({ local, attributes }) => local === 'presence' && attributes.from === session.jid && attributes.type === undefined)
  return { session, watcher }
}

/** At the next login, which must not read past it. */
async function assertDelivered(c: Context, account: Account, text: string): Promise<void> {
  const later = await XmppSocket.login(c, account, { presence: false })
  await later.send("<presence xmlns='jabber:client'/>")
  await later.until(hasText(text))
}

export const inactivity: readonly Case[] = [
  test('XEP-0124 §10', 'a session without a request for longer than inactivity is gone', async (c) => {
    const session = await BoshSession.ready(c)
    await untilExpired(c, session)
    await assertGone(session)
  }),
  test('XEP-0124 §10', 'requests within inactivity keep a session alive', async (c) => {
    const session = await BoshSession.ready(c)
    const pauseMs = inactivityMs(c, session) * 0.6
    for (let i = 0; i < 4; i++) {
      await c.pause(pauseMs)
      const answer = await session.send(probe)
      assertGood(answer)
    }
  }),
  test('XEP-0124 §10', 'inactivity does not run while a request is held', async (c) => {
    const session = await BoshSession.ready(c, { wait: 5 })
    if (inactivityMs(c, session) > 4000) c.skip('inactivity is not below wait')
    const held = await session.start()
    assertGood(await held.answer)
    assertGood(await session.send(probe))
  }),
  test('XEP-0124 §10, §14.3', 'a held connection that broke counts as inactivity or is found out at wait: the session ends', async (c) => {
    const session = await BoshSession.ready(c, { wait: 1 })
    const held = await session.start()
    await c.pause(50)
    held.connection.reset()
    await c.pause(1000)
    await untilExpired(c, session)
    await assertGone(session)
  }),
  test('XEP-0124 §10, RFC 6121 §4.5', 'the user of an expired session becomes unavailable', async (c) => {
    const { session, watcher } = await watched(c)
    inactivityMs(c, session)
    await watcher.until(isUnavailable(session.jid))
  }),
  test('XEP-0206 §7, RFC 6121 §8.5.2', 'a message that a dying session did not get is stored or bounced', async (c) => {
    const account = await c.account()
    const [session, contact] = await Promise.all([BoshSession.login(c, account), c.account().then((other) => XmppSocket.login(c, other))])
    inactivityMs(c, session)
    await contact.roundTrip(chat(account.bare, 'precious'))
    await untilExpired(c, session)
    const bounced = (await contact.roundTrip()).some(({ local, attributes }) => local === 'message' && attributes.type === 'error')
    if (!bounced) await assertDelivered(c, account, 'precious')
  }),
  test('XEP-0206 §7', 'a message to the full JID that a dying session did not get is stored or bounced', async (c) => {
    const account = await c.account()
    const [session, contact] = await Promise.all([BoshSession.login(c, account), c.account().then((other) => XmppSocket.login(c, other))])
    inactivityMs(c, session)
    await contact.roundTrip(chat(session.jid, 'precious'))
    await untilExpired(c, session)
    const bounced = (await contact.roundTrip()).some(({ local, attributes }) => local === 'message' && attributes.type === 'error')
    if (!bounced) await assertDelivered(c, account, 'precious')
  }),
  test('XEP-0206 §7, §14.3', 'an answer that went to a dead connection does not take its messages with it', async (c) => {
    const account = await c.account()
    const [session, contact] = await Promise.all([BoshSession.login(c, account), c.account().then((other) => XmppSocket.login(c, other))])
    inactivityMs(c, session)
    const held = await session.start()
    await c.pause(100)
    held.connection.socket.pause()
    await contact.roundTrip(chat(account.bare, 'unread'))
    await c.pause(200)
    held.connection.reset()
    await untilExpired(c, session)
    const bounced = (await contact.roundTrip()).some(({ local, attributes }) => local === 'message' && attributes.type === 'error')
    if (!bounced) await assertDelivered(c, account, 'unread')
  }),
  test('XEP-0206 §7', 'an iq that a dying session did not answer is answered by the server with an error', async (c) => {
    const { session, contact } = await pair(c)
    inactivityMs(c, session)
    await contact.send(pingIq('dead').replace("type='get'", `type='get' to='${session.jid}'`))
    const answer = await contact.until(({ attributes }) => attributes.id === 'dead')
    assert.equal(answer.attributes.type, 'error')
  }),
]
