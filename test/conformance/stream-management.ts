// XEP-0198 over WebSocket (RFC 7395 §3.10): acknowledgements and resumption.

import assert from 'node:assert/strict'
import { chat, pingIq } from '../support/bosh-session.js'
import type { Account, Context } from '../support/conformance-context.js'
import { child, childText, ns, type XmlElement } from '../support/xml-tree.js'
import { XmppSocket } from '../support/xmpp-socket.js'
import { type Case, test } from './suite.js'

const isSm = (local: string) => (element: XmlElement) => element.uri === ns.sm && element.local === local

/** Authenticated, with the stream management feature offered. */
async function offered(c: Context, account: Account): Promise<XmppSocket> {
  const socket = await XmppSocket.open(c)
  const features = await socket.authenticate(account, 'PLAIN')
  if (child(features, 'sm', ns.sm) === undefined) c.skip('stream management is not offered')
  return socket
}

interface Managed {
  readonly socket: XmppSocket
  readonly account: Account
  readonly id: string
}

async function enabled(c: Context, resume = true): Promise<Managed> {
  const account = await c.account()
  const socket = await offered(c, account)
  await socket.bind()
  await socket.send(`<enable xmlns='${ns.sm}'${resume ? " resume='true'" : ''}/>`)
  const answer = await socket.until(({ uri }) => uri === ns.sm)
  assert.equal(answer.local, 'enabled')
  if (resume && !/^(true|1)$/.test(answer.attributes.resume ?? '')) c.skip('resumption is not granted')
  const id = answer.attributes.id ?? ''
  if (resume) assert.ok(id !== '' && id.length <= 4000, 'id is a MUST')
  await socket.send("<presence xmlns='jabber:client'/>")
  return { socket, account, id }
}

/** A message that nothing comes between, so that the client's count of stanzas is known. */
async function quiet(managed: Managed): Promise<number> {
  let count = 0
  await managed.socket.send(pingIq('quiet'))
  for (;;) {
    const element = await managed.socket.nextElement()
    if (element.uri === ns.client) count++
    if (element.attributes.id === 'quiet') return count
  }
}

async function resume(
  c: Context,
  { account, id }: { account: Account; id: string },
  h: number,
): Promise<{ socket: XmppSocket; answer: XmlElement }> {
  const socket = await offered(c, account)
  await socket.send(`<resume xmlns='${ns.sm}' previd='${id}' h='${h}'/>`)
  return { socket, answer: await socket.until(({ uri }) => uri === ns.sm) }
}

async function messages(socket: XmppSocket, count: number): Promise<string[]> {
  const texts: string[] = []
  while (texts.length < count) texts.push(childText(await socket.until(({ local }) => local === 'message'), 'body'))
  return texts
}

function assertFailed(answer: XmlElement, ...conditions: string[]): void {
  assert.equal(answer.local, 'failed')
  const names = answer.children.map(({ local }) => local)
  assert.ok(
    conditions.some((one) => names.includes(one)),
    `${names}, expected ${conditions}`,
  )
}

export const streamManagement: readonly Case[] = [
  test('XEP-0198 §2', 'the feature is offered after authentication, not before', async (c) => {
    const socket = await XmppSocket.connect(c)
    const before = await socket.stream()
    assert.equal(child(before, 'sm', ns.sm), undefined)
    const after = await socket.authenticate(await c.account(), 'PLAIN')
    assert.ok(child(after, 'sm', ns.sm) !== undefined)
  }),
  test('XEP-0198 §3', 'enable before bind: failed with unexpected-request', async (c) => {
    const socket = await offered(c, await c.account())
    await socket.send(`<enable xmlns='${ns.sm}'/>`)
    assertFailed(await socket.nextElement(), 'unexpected-request')
    await socket.bind()
  }),
  test('XEP-0198 §3', 'enable without resume', async (c) => {
    const { socket } = await enabled(c, false)
    await socket.roundTrip()
  }),
  test('XEP-0198 §3', 'enable with resume: resume and id', async (c) => {
    const { id } = await enabled(c)
    assert.ok(id !== '')
  }),
  test('XEP-0198 §3', 'a second enable: failed or a stream error', async (c) => {
    const { socket } = await enabled(c)
    await socket.send(`<enable xmlns='${ns.sm}'/>`)
    for (;;) {
      const event = await socket.next()
      if (event.kind !== 'element') return
      const { local, uri } = event.element
      if (local === 'error' && uri === ns.streams) return
      if (uri === ns.sm && local !== 'r') return assert.equal(local, 'failed')
    }
  }),
  test('XEP-0198 §4', 'r is answered with a that counts what was handled', async (c) => {
    const { socket } = await enabled(c)
    // The presence came before.
    await socket.send(pingIq('1'))
    await socket.send(chat(socket.jid, 'self'))
    await socket.send(`<r xmlns='${ns.sm}'/>`)
    assert.equal((await socket.until(isSm('a'))).attributes.h, '3')
    await socket.send(pingIq('2'))
    await socket.send(`<r xmlns='${ns.sm}'/>`)
    assert.equal((await socket.until(isSm('a'))).attributes.h, '4')
  }),
  test('XEP-0198 §4', 'r, a and enable are not counted', async (c) => {
    const { socket } = await enabled(c)
    for (let i = 0; i < 3; i++) {
      await socket.send(`<r xmlns='${ns.sm}'/>`)
      assert.equal((await socket.until(isSm('a'))).attributes.h, '1')
    }
  }),
  test('XEP-0198 §6', 'an a that is too high: a stream error with handled-count-too-high', async (c) => {
    const { socket } = await enabled(c)
    await socket.send(`<a xmlns='${ns.sm}' h='1000'/>`)
    const events = await socket.rest()
    const error = events.find((event) => event.kind === 'element' && event.element.local === 'error')
    assert.ok(error?.kind === 'element', `${events.map(({ kind }) => kind)}`)
    assert.ok(child(error.element, 'handled-count-too-high', ns.sm) !== undefined)
  }),
  test('XEP-0198 §5', 'a broken stream is resumed: what came in between comes, in order, once', async (c) => {
    const managed = await enabled(c)
    const count = await quiet(managed)
    const sender = await XmppSocket.login(c, await c.account())
    managed.socket.socket.connection.reset()
    await c.pause(100)
    await sender.roundTrip(...[0, 1, 2].map((i) => chat(managed.socket.jid, `gap${i}`)))
    const { socket, answer } = await resume(c, managed, count)
    assert.equal(answer.local, 'resumed')
    assert.equal(answer.attributes.previd, managed.id)
    assert.equal(answer.attributes.h, '2', 'presence and ping were handled')
    assert.deepEqual(await messages(socket, 3), ['gap0', 'gap1', 'gap2'])
    await sender.send(chat(managed.socket.jid, 'after'))
    assert.deepEqual(await messages(socket, 1), ['after'])
  }),
  test('XEP-0198 §5', 'what was acknowledged by h is not sent again, what was not is', async (c) => {
    const managed = await enabled(c)
    const count = await quiet(managed)
    const sender = await XmppSocket.login(c, await c.account())
    await sender.roundTrip(...[0, 1, 2, 3].map((i) => chat(managed.socket.jid, `m${i}`)))
    assert.deepEqual(await messages(managed.socket, 4), ['m0', 'm1', 'm2', 'm3'])
    managed.socket.socket.connection.reset()
    await c.pause(100)
    const { socket, answer } = await resume(c, managed, count + 2)
    assert.equal(answer.local, 'resumed')
    assert.deepEqual(await messages(socket, 2), ['m2', 'm3'])
  }),
  test('XEP-0198 §5', 'a message to the bare JID during the break comes at resumption, once', async (c) => {
    const managed = await enabled(c)
    const count = await quiet(managed)
    const sender = await XmppSocket.login(c, await c.account())
    managed.socket.socket.connection.reset()
    await c.pause(100)
    await sender.roundTrip(chat(managed.account.bare, 'to the user'))
    const { socket, answer } = await resume(c, managed, count)
    assert.equal(answer.local, 'resumed')
    assert.deepEqual(await messages(socket, 1), ['to the user'])
    await c.pause(200)
    const more = await socket.roundTrip()
    assert.deepEqual(
      more.filter(({ local }) => local === 'message'),
      [],
    )
  }),
  test('XEP-0198 §5, RFC 7395 §3.6', 'during the break the user stays available', async (c) => {
    const account = await c.account()
    const watcher = await XmppSocket.login(c, account)
    const socket = await offered(c, account)
    await socket.bind()
    await socket.send(`<enable xmlns='${ns.sm}' resume='true'/>`)
    await socket.until(isSm('enabled'))
    await socket.roundTrip("<presence xmlns='jabber:client'/>")
    await watcher.until(({ attributes }) => attributes.from === socket.jid)
    socket.socket.connection.reset()
    await c.pause(700)
    const seen = await watcher.roundTrip()
    assert.ok(!seen.some(({ attributes }) => attributes.from === socket.jid && attributes.type === 'unavailable'))
  }),
  test('XEP-0198 §5', 'resumed twice in a row', async (c) => {
    const managed = await enabled(c)
    const count = await quiet(managed)
    const sender = await XmppSocket.login(c, await c.account())
    managed.socket.socket.connection.reset()
    await c.pause(100)
    const first = await resume(c, managed, count)
    assert.equal(first.answer.local, 'resumed')
    await sender.roundTrip(chat(managed.socket.jid, 'one'))
    assert.deepEqual(await messages(first.socket, 1), ['one'])
    first.socket.socket.connection.reset()
    await c.pause(100)
    await sender.roundTrip(chat(managed.socket.jid, 'two'))
    const second = await resume(c, managed, count + 1)
    assert.equal(second.answer.local, 'resumed')
    assert.deepEqual(await messages(second.socket, 1), ['two'])
  }),
  test('XEP-0198 §5', 'resumed while the old stream is still open: the old one ends with conflict', async (c) => {
    const managed = await enabled(c)
    const count = await quiet(managed)
    const { socket, answer } = await resume(c, managed, count)
    assert.equal(answer.local, 'resumed')
    const events = await managed.socket.rest()
    const error = events.find((event) => event.kind === 'element' && event.element.local === 'error')
    if (error?.kind === 'element') assert.ok(child(error.element, 'conflict', ns.streamErrors) !== undefined)
    const sender = await XmppSocket.login(c, await c.account())
    await sender.send(chat(managed.socket.jid, 'new one'))
    assert.deepEqual(await messages(socket, 1), ['new one'])
  }),
  test('XEP-0198 §5', 'an unknown id: failed with item-not-found, and bind is still possible', async (c) => {
    const { socket, answer } = await resume(c, { account: await c.account(), id: 'no-such-stream' }, 0)
    assertFailed(answer, 'item-not-found')
    await socket.bind()
    await socket.roundTrip()
  }),
  test('XEP-0198 §5', 'somebody else’s id: failed', async (c) => {
    const managed = await enabled(c)
    managed.socket.socket.connection.reset()
    const { answer } = await resume(c, { account: await c.account(), id: managed.id }, 0)
    assertFailed(answer, 'item-not-found', 'forbidden', 'not-authorized')
  }),
  test('XEP-0198 §7', 'after <close/> there is nothing to resume', async (c) => {
    const managed = await enabled(c)
    const count = await quiet(managed)
    await managed.socket.send(`<close xmlns='${ns.framing}'/>`)
    await managed.socket.rest()
    const { answer } = await resume(c, managed, count)
    assertFailed(answer, 'item-not-found')
  }),
  test('XEP-0198 §5', 'stanzas that the server never answered for are not handled twice', async (c) => {
    const managed = await enabled(c)
    const count = await quiet(managed)
    const receiver = await XmppSocket.login(c, await c.account())
    await managed.socket.send(chat(receiver.jid, 'up'))
    await receiver.until(({ local }) => local === 'message')
    managed.socket.socket.connection.reset()
    await c.pause(100)
    const { answer } = await resume(c, managed, count)
    assert.equal(answer.local, 'resumed')
    assert.equal(answer.attributes.h, '3', 'presence, ping and message: the client knows that it need not send again')
  }),
  test('XEP-0198 §5', 'resume after bind: failed', async (c) => {
    const managed = await enabled(c)
    await managed.socket.send(`<resume xmlns='${ns.sm}' previd='${managed.id}' h='0'/>`)
    for (;;) {
      const event = await managed.socket.next()
      if (event.kind !== 'element') return
      const { local, uri } = event.element
      if (local === 'error' && uri === ns.streams) return
      if (uri === ns.sm && local !== 'r') return assert.equal(local, 'failed')
    }
  }),
  test('XEP-0198 §4', 'what was not acknowledged when the client closes for good is not lost', async (c) => {
    const managed = await enabled(c)
    await quiet(managed)
    const sender = await XmppSocket.login(c, await c.account())
    await sender.roundTrip(chat(managed.account.bare, 'seen, not acknowledged'))
    assert.deepEqual(await messages(managed.socket, 1), ['seen, not acknowledged'])
    await managed.socket.send(`<a xmlns='${ns.sm}' h='0'/>`)
    managed.socket.socket.connection.reset()
    await c.pause(100)
    const { answer, socket } = await resume(c, managed, 0)
    assert.equal(answer.local, 'resumed')
    assert.deepEqual(await messages(socket, 1), ['seen, not acknowledged'])
  }),
]
