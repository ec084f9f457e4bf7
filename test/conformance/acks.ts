// XEP-0124 §9: acknowledgements of requests and answers; §11: overactivity.

import assert from 'node:assert/strict'
import { type Attributes, assertGood, assertTerminated, BoshSession, chat, PROMPT_MS, pingIq } from '../support/bosh-session.js'
import type { Context } from '../support/conformance-context.js'
import { pair } from './exchange.js'
import { type Case, test } from './suite.js'

/** Answered at once. */
const probe = pingIq('probe')

async function acknowledged(c: Context, attributes: Attributes = {}): Promise<BoshSession> {
  const session = await BoshSession.ready(c, { ack: 1, ...attributes })
  if (session.created.root?.attributes.ack === undefined) c.skip('acknowledgements are not announced')
  return session
}

export const acks: readonly Case[] = [
  test('XEP-0124 §7.2, §9.1', 'ack in the answer to the creation is its rid', async (c) => {
    const session = await BoshSession.create(c, { ack: 1 })
    if (session.created.root?.attributes.ack === undefined) c.skip('acknowledgements are not announced')
    assert.equal(session.created.root?.attributes.ack, String(session.rid))
  }),
  test('XEP-0124 §9.1', 'a released request is answered with the rid of the one that released it', async (c) => {
    const session = await acknowledged(c)
    const first = await session.start()
    await c.pause(150)
    await session.start()
    assert.equal((await first.answer).root?.attributes.ack, String(session.rid))
  }),
  test('XEP-0124 §9.1', 'hold=2: ack is the highest rid received', async (c) => {
    const session = await acknowledged(c, { hold: 2 })
    if (session.number('hold') !== 2) c.skip('hold=2 was not granted')
    const first = await session.start()
    await c.pause(100)
    await session.start()
    await c.pause(100)
    await session.start()
    assert.equal((await first.answer).root?.attributes.ack, String(session.rid))
  }),
  test('XEP-0124 §9.1', 'ack does not count what is behind a gap', async (c) => {
    const session = await acknowledged(c, { hold: 2 })
    if (session.number('requests') < 3) c.skip('requests below 3')
    const rid = session.rid
    const first = await session.startAt(rid + 1)
    await c.pause(100)
    await session.startAt(rid + 3)
    await c.pause(100)
    const second = await session.startAt(rid + 2, probe)
    const answers = [await first.answer, await second.answer]
    for (const [i, answer] of answers.entries()) {
      const { ack } = answer.root?.attributes ?? {}
      if (ack !== undefined) assert.ok(Number(ack) > rid + 1 + i && Number(ack) <= rid + 3, `ack ${Number(ack) - rid}`)
    }
  }),
  test('XEP-0124 §9.1', 'no ack when it would be the rid of the request itself (SHOULD NOT)', async (c) => {
    const session = await acknowledged(c)
    const answer = await session.send(probe)
    assertGood(answer)
    assert.equal(answer.root.attributes.ack, undefined)
  }),
  test('XEP-0124 §9.2', 'an ack below the last answered rid is reported, with report and time', async (c) => {
    const session = await acknowledged(c, { ack: 1 })
    await session.send(probe)
    const known = session.rid
    await session.send(probe)
    await c.pause(300)
    const answer = await session.send('', { ack: known })
    assertGood(answer)
    const { report, time } = answer.root.attributes
    if (report === undefined) c.skip('reports (MAY) are not sent')
    assert.equal(report, String(known + 1))
    assert.match(time ?? '', /^\d+$/)
    assert.ok(Number(time) >= 250 && Number(time) < 8000, `time ${time}`)
    assert.ok(answer.ms < PROMPT_MS, 'reported at once')
  }),
  test('XEP-0124 §9.2', 'an up-to-date ack is not reported', async (c) => {
    const session = await acknowledged(c, { ack: 1, wait: 1 })
    await session.send(probe)
    const answer = await session.send('', { ack: session.rid })
    assertGood(answer)
    assert.equal(answer.root.attributes.report, undefined)
    assert.ok(answer.ms > 500, 'and held as usual')
  }),
  test('XEP-0124 §9.2', 'no ack in a request says that all answers came, so nothing is reported', async (c) => {
    const session = await acknowledged(c, { ack: 1, wait: 1 })
    await session.send(probe)
    const answer = await session.send()
    assertGood(answer)
    assert.equal(answer.root.attributes.report, undefined)
  }),
  test('XEP-0124 §14.3, §9.2', 'unacknowledged answers are kept, however many requests may be open', async (c) => {
    const session = await acknowledged(c, { ack: 1 })
    const known = session.rid
    const answers = []
    for (let i = 0; i < session.number('requests') + 2; i++) answers.push(await session.send(probe, i === 0 ? {} : { ack: known }))
    const [first] = answers
    const again = await session.sendAt(known + 1, probe)
    assert.equal(again.text, first?.text)
  }),
  test('XEP-0124 §9.2', 'a client that never acknowledges is served as well', async (c) => {
    const session = await BoshSession.ready(c)
    for (let i = 0; i < 5; i++) assertGood(await session.send(probe))
  }),
  test('XEP-0124 §9.2', 'a nonsensical ack does no harm or is refused', async (c) => {
    for (const ack of ['abc', '-1', '9007199254740999']) {
      const session = await BoshSession.ready(c, { ack: 1, wait: 1 })
      const answer = await session.send(probe, { ack })
      assert.equal(answer.status, 200)
      if (answer.root?.attributes.type !== undefined) assertTerminated(answer, 'bad-request', 'item-not-found')
    }
  }),
]

export const overactivity: readonly Case[] = [
  test('XEP-0124 §11', 'as many requests as allowed, with payloads, are no violation', async (c) => {
    const { session, contact } = await pair(c)
    for (let i = 0; i < 10; i++) {
      const open = []
      for (let j = 0; j < session.number('requests'); j++) open.push(await session.start(chat(contact.jid, `${i}.${j}`)))
      await open[0]?.answer
      await contact.send(chat(session.jid, 'x'))
      await Promise.all(open.map(({ answer }) => answer))
    }
  }),
  test('XEP-0124 §11', 'more new requests than allowed, none answered: the session ends', async (c) => {
    // With a gap before them, none can be answered; the last one is both one too many and beyond the window.
    const session = await BoshSession.ready(c)
    const rid = session.rid
    for (let step = 2; step <= session.number('requests'); step++) await session.startAt(rid + step)
    await c.pause(100)
    const answer = await session.sendAt(rid + session.number('requests') + 1)
    assertTerminated(answer, 'policy-violation', 'item-not-found')
  }),
  test('XEP-0124 §11', 'one request beyond the limit is allowed to terminate', async (c) => {
    const { session } = await pair(c)
    const open = []
    for (let i = 0; i < session.number('requests'); i++) {
      open.push(await session.start())
      await c.pause(50)
    }
    const answers = [await session.send('', { type: 'terminate' }), ...(await Promise.all(open.map(({ answer }) => answer)))]
    for (const { status, root } of answers) assert.deepEqual([status, root?.attributes.condition], [200, undefined])
    assert.ok(answers.some(({ root }) => root?.attributes.type === 'terminate'))
  }),
  test('XEP-0124 §11', 'one request beyond the limit is allowed to pause', async (c) => {
    const { session } = await pair(c)
    if (!(session.number('maxpause') > 0)) c.skip('no maxpause')
    for (let i = 0; i < session.number('requests'); i++) {
      await session.start()
      await c.pause(50)
    }
    assertGood(await session.send('', { pause: 2 }))
  }),
]
