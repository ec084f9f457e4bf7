// XEP-0124 §15: protecting insecure sessions by key sequences.

import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { type Attributes, assertGone, assertGood, assertTerminated, BoshSession, chat, pingIq } from '../support/bosh-session.js'
import type { Context } from '../support/conformance-context.js'
import { XmppSocket } from '../support/xmpp-socket.js'
import { assertTexts } from './exchange.js'
import { type Case, test } from './suite.js'

/** Answered at once. */
const probe = pingIq('probe')

/** K(n), K(n-1), … K(1). */
class Keys {
  readonly #left: string[] = []

  /** The hash is taken of the key as it is written, so upper-case ones make a sequence of their own. */
  constructor(count: number, spell = (hex: string) => hex) {
    let key = randomBytes(16).toString('hex')
    for (let i = 0; i < count; i++) {
      key = spell(createHash('sha1').update(key).digest('hex'))
      this.#left.push(key)
    }
  }

  next(): string {
    return this.#left.pop() ?? assert.fail('out of keys')
  }
}

/** A session with a sequence of keys, logged in. */
export async function keyed(
  c: Context,
  attributes: Attributes = {},
  spell?: (hex: string) => string,
): Promise<{ session: BoshSession; keys: Keys }> {
  const keys = new Keys(100, spell)
  const session = await BoshSession.create(c, { newkey: keys.next(), ...attributes })
  session.extra = () => ({ key: keys.next() })
  await session.until(({ local }) => local === 'features')
  await session.authenticate(await c.account(), 'PLAIN')
  await session.bind()
  return { session, keys }
}

export const keys: readonly Case[] = [
  test('XEP-0124 §15.4', 'a right sequence of keys carries a session', async (c) => {
    const { session } = await keyed(c)
    for (let i = 0; i < 5; i++) assertGood(await session.send(probe))
  }),
  test('XEP-0124 §15.4', 'a wrong key: item-not-found, and the session is over', async (c) => {
    const { session } = await keyed(c)
    assertTerminated(await session.send(probe, { key: '0'.repeat(40) }), 'item-not-found')
    await assertGone(session)
  }),
  test('XEP-0124 §15.4', 'no key: item-not-found, and the session is over', async (c) => {
    const { session } = await keyed(c)
    assertTerminated(await session.send(probe, { key: null }), 'item-not-found')
    await assertGone(session)
  }),
  test('XEP-0124 §15.4', 'a key of the sequence, but not the next one: item-not-found', async (c) => {
    const { session, keys } = await keyed(c)
    keys.next()
    assertTerminated(await session.send(probe), 'item-not-found')
  }),
  test('XEP-0124 §15.3', 'a sequence in upper case', async (c) => {
    const { session } = await keyed(c, {}, (hex) => hex.toUpperCase())
    for (let i = 0; i < 3; i++) assertGood(await session.send(probe))
  }),
  test('XEP-0124 §15.3', 'the hash is taken of the key as it was sent, compared without case', async (c) => {
    const sequence = new Keys(20)
    const session = await BoshSession.create(c, { newkey: sequence.next().toUpperCase(), wait: 1 })
    session.extra = () => ({ key: sequence.next() })
    assertGood(await session.send())
    assertGood(await session.send())
  }),
  test('XEP-0124 §15.5', 'a new sequence takes over with newkey', async (c) => {
    const { session } = await keyed(c)
    const fresh = new Keys(10)
    assertGood(await session.send(probe, { newkey: fresh.next() }))
    session.extra = () => ({ key: fresh.next() })
    for (let i = 0; i < 3; i++) assertGood(await session.send(probe))
  }),
  test('XEP-0124 §15.5', 'after newkey the old sequence is not valid any more', async (c) => {
    const { session } = await keyed(c)
    assertGood(await session.send(probe, { newkey: new Keys(10).next() }))
    assertTerminated(await session.send(probe), 'item-not-found')
  }),
  test('XEP-0124 §15.4, §14.3', 'a repetition with its key gets the answer again', async (c) => {
    const { session, keys } = await keyed(c)
    const key = keys.next()
    const first = await session.send(probe, { key })
    const again = await session.sendAt(session.rid, probe, { key })
    assert.equal(again.text, first.text)
    assertGood(await session.send(probe))
  }),
  test('XEP-0124 §15.4, §14.3', 'a repetition with a wrong key gets nothing of the answer', async (c) => {
    const { session } = await keyed(c)
    assertGood(await session.send(probe))
    assertTerminated(await session.sendAt(session.rid, probe, { key: 'f'.repeat(40) }), 'item-not-found')
  }),
  test('XEP-0124 §15.4, §14.3', 'a repetition without a key gets nothing of the answer', async (c) => {
    const { session } = await keyed(c)
    assertGood(await session.send(probe))
    assertTerminated(await session.sendAt(session.rid, probe, { key: null }), 'item-not-found')
  }),
  test('XEP-0124 §15.4, §14.2', 'requests in the wrong order, each with its key', async (c) => {
    const { session, keys } = await keyed(c)
    const rid = session.rid
    const [one, two] = [keys.next(), keys.next()]
    const second = await session.startAt(rid + 2, probe, { key: two })
    await c.pause(150)
    const first = await session.startAt(rid + 1, probe, { key: one })
    assertGood(await first.answer)
    assertGood(await second.answer)
    session.rid = rid + 2
    assertGood(await session.send(probe))
  }),
  test('XEP-0124 §15.4', 'nothing of a request with a wrong key is processed', async (c) => {
    const contact = await XmppSocket.login(c, await c.account())
    const { session } = await keyed(c)
    await session.roundTrip(chat(contact.jid, 'genuine'))
    assertTerminated(await session.send(chat(contact.jid, 'injected'), { key: 'a'.repeat(40) }), 'item-not-found')
    await assertTexts(contact, ['genuine'])
  }),
  test('XEP-0124 §15.4', 'terminate with a wrong key: item-not-found', async (c) => {
    const { session } = await keyed(c)
    assertTerminated(await session.send('', { type: 'terminate', key: 'a'.repeat(40) }), 'item-not-found')
  }),
]
