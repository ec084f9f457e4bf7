// RFC 6455: the handshake and the frames under XMPP over WebSocket.

import assert from 'node:assert/strict'
import { chat, connect, pingIq } from '../support/bosh-session.js'
import type { Context } from '../support/conformance-context.js'
import { clientFrame, closePayload, type FrameOptions, handshakeRequest, opcodes } from '../support/raw-websocket.js'
import { childText, ns, type XmlElement } from '../support/xml-tree.js'
import { type Event, XmppSocket } from '../support/xmpp-socket.js'
import { type Case, test } from './suite.js'

async function pairOfSockets(c: Context): Promise<[XmppSocket, XmppSocket]> {
  const [one, two] = await Promise.all([c.account(), c.account()])
  return Promise.all([XmppSocket.login(c, one), XmppSocket.login(c, two)])
}

/** The answer to any opening handshake. */
async function handshake(
  c: Context,
  headers: Readonly<Record<string, string | null>>,
): Promise<{ status: number; headers: Readonly<Record<string, string>> }> {
  const { host, httpPort, wsPath } = c.target
  const connection = await connect(c)
  await connection.send(
    handshakeRequest({ path: wsPath, headers: { host: `${host}:${httpPort}`, 'sec-websocket-protocol': 'xmpp', ...headers } }),
  )
  return connection.readHead()
}

function errorOf(events: readonly Event[]): XmlElement | undefined {
  const elements = events.flatMap((event) => (event.kind === 'element' ? [event.element] : []))
  return elements.find(({ local, uri }) => local === 'error' && uri === ns.streams)
}

/** RFC 7395 §3.5-§3.6: a stream error, then a close of the stream, then of the WebSocket. */
/** RFC 6455 §7.1.7: the connection is failed, with the code if a close frame comes; a stream error before it says why as well. */
const failed =
  (code: number, ...frames: [number, string | Uint8Array, FrameOptions?][]): Case['run'] =>
  async (c) => {
    const socket = await XmppSocket.open(c)
    for (const [opcode, payload, options] of frames) await socket.frame(opcode, payload, options)
    const events = await socket.rest()
    const last = events.at(-1)
    assert.ok(last?.kind === 'close' || last?.kind === 'end')
    // A close frame without a code is one way to fail a connection whose client is to blame.
    if (last.kind === 'close' && errorOf(events) === undefined) assert.ok([code, 1005].includes(last.code), `code ${last.code}`)
  }

/** Fragments of one message, a ping between them if asked. */
async function sendFragmented(socket: XmppSocket, text: string, parts: number, ping = false): Promise<void> {
  const data = Buffer.from(text)
  const size = Math.ceil(data.length / parts)
  for (let i = 0; i < parts; i++) {
    if (ping && i === 1) await socket.frame(opcodes.ping, 'between')
    await socket.frame(i === 0 ? opcodes.text : opcodes.continuation, data.subarray(i * size, (i + 1) * size), { fin: i === parts - 1 })
  }
}

export const websocketFrames: readonly Case[] = [
  test('RFC 6455 §4.2.2', 'the handshake is answered with the right Accept', async (c) => {
    const { status, headers } = await handshake(c, {})
    assert.equal(status, 101)
    assert.equal(headers['sec-websocket-accept'], 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=')
  }),
  test('RFC 7395 §3.1', 'the subprotocol is xmpp', async (c) =>
    assert.equal((await handshake(c, {})).headers['sec-websocket-protocol'], 'xmpp'),
  ),
  test('RFC 6455 §4.2.2', 'of several offered subprotocols exactly xmpp is chosen', async (c) => {
    for (const offered of ['foo, xmpp, bar', 'foo,xmpp', 'xmpp, holdwire.v1+json']) {
      const { status, headers } = await handshake(c, { 'sec-websocket-protocol': offered })
      assert.equal(status, 101)
      assert.equal(headers['sec-websocket-protocol'], 'xmpp', `offered ${offered}`)
    }
  }),
  test('RFC 7395 §3.1', 'without xmpp among the subprotocols none is chosen, or the handshake is refused', async (c) => {
    for (const offered of [null, 'foo, bar', 'xmppx']) {
      const { status, headers } = await handshake(c, { 'sec-websocket-protocol': offered })
      assert.ok(status < 500)
      if (status === 101) assert.equal(headers['sec-websocket-protocol'], undefined, `offered ${offered}`)
    }
  }),
  test('RFC 6455 §4.4', 'another version: refused with Sec-WebSocket-Version', async (c) => {
    const { status, headers } = await handshake(c, { 'sec-websocket-version': '8' })
    assert.ok(status >= 400 && status < 500, `status ${status}`)
    assert.match(headers['sec-websocket-version'] ?? '', /13/)
  }),
  test('RFC 6455 §4.2.1', 'no key: refused', async (c) => {
    const { status } = await handshake(c, { 'sec-websocket-key': null })
    assert.ok(status >= 400 && status < 500, `status ${status}`)
  }),
  test('RFC 6455 §4.2.1', 'a plain GET: refused or a page', async (c) => {
    const { status } = await handshake(c, { upgrade: null, connection: null, 'sec-websocket-key': null, 'sec-websocket-version': null })
    assert.ok(status < 500 && status !== 101, `status ${status}`)
  }),
  test('RFC 6455 §4.2.2', 'Connection: keep-alive, Upgrade and another case of the names (Firefox)', async (c) => {
    const { status } = await handshake(c, { connection: 'keep-alive, Upgrade', upgrade: 'WebSocket' })
    assert.equal(status, 101)
  }),
  test('RFC 7692', 'compression is only used if it was offered', async (c) => {
    assert.equal((await handshake(c, {})).headers['sec-websocket-extensions'], undefined)
  }),
  test('RFC 6455 §5.5.1', 'a close frame is answered with a close frame', async (c) => {
    const socket = await XmppSocket.open(c)
    await socket.frame(opcodes.close, closePayload(1000, 'bye'))
    const events = await socket.rest()
    const last = events.at(-1)
    assert.ok(last?.kind === 'close' && last.code === 1000, `${last?.kind}`)
  }),
  test('RFC 6455 §5.5.2', 'a ping is answered with its payload', async (c) => {
    const socket = await XmppSocket.connect(c)
    for (const payload of ['', 'p', 'x'.repeat(125)]) {
      await socket.frame(opcodes.ping, payload)
      const event = await socket.next()
      assert.ok(event.kind === 'pong' && event.payload.toString() === payload)
    }
  }),
  test('RFC 6455 §5.5.3', 'a pong nobody asked for is ignored', async (c) => {
    const socket = await XmppSocket.open(c)
    await socket.frame(opcodes.pong, 'unasked')
    await socket.frame(opcodes.ping, 'p')
    assert.equal((await socket.next()).kind, 'pong')
  }),
  test('RFC 6455 §5.4', 'a stanza in two fragments', async (c) => {
    const socket = await XmppSocket.login(c, await c.account())
    await sendFragmented(socket, pingIq('frag'), 2)
    await socket.until(({ attributes }) => attributes.id === 'frag')
  }),
  test('RFC 6455 §5.4', 'a stanza in many fragments that cut characters, with a ping in between', async (c) => {
    const [one, two] = await pairOfSockets(c)
    await sendFragmented(one, chat(two.jid, 'ä😀'.repeat(20)), 33, true)
    assert.equal(childText(await two.until(({ local }) => local === 'message'), 'body'), 'ä😀'.repeat(20))
  }),
  test('RFC 6455 §5.4', 'a fragmented <open/>', async (c) => {
    const socket = await XmppSocket.connect(c)
    await sendFragmented(socket, `<open xmlns='${ns.framing}' to='${c.target.domain}' version='1.0'/>`, 3)
    assert.equal((await socket.nextElement()).local, 'open')
  }),
  test('RFC 6455 §5.4', 'an empty last fragment', async (c) => {
    const socket = await XmppSocket.login(c, await c.account())
    await socket.frame(opcodes.text, pingIq('empty'), { fin: false })
    await socket.frame(opcodes.continuation, '')
    await socket.until(({ attributes }) => attributes.id === 'empty')
  }),
  test('RFC 6455 §5.2', 'a frame that comes byte by byte, several frames in one segment', async (c) => {
    const socket = await XmppSocket.login(c, await c.account())
    const bytes = clientFrame(opcodes.text, pingIq('slow'))
    for (let at = 0; at < bytes.length; at += 9) await socket.socket.connection.send(bytes.subarray(at, at + 9))
    await socket.until(({ attributes }) => attributes.id === 'slow')
    await socket.socket.connection.send(Buffer.concat(['a', 'b', 'd'].map((id) => clientFrame(opcodes.text, pingIq(id)))))
    for (const id of ['a', 'b', 'd']) await socket.until(({ attributes }) => attributes.id === id)
  }),
  test(
    'RFC 6455 §5.1',
    'a frame without mask: the connection is failed (MUST)',
    failed(1002, [opcodes.text, pingIq('a'), { masked: false }]),
    'masking',
  ),
  test('RFC 6455 §5.2', 'reserved bits: 1002', failed(1002, [opcodes.text, pingIq('a'), { rsv: 2 }])),
  test('RFC 6455 §5.2', 'a reserved opcode: 1002', failed(1002, [3, 'x'])),
  test('RFC 6455 §5.5', 'a control frame of 126 bytes: 1002', failed(1002, [opcodes.ping, 'x'.repeat(126)])),
  test('RFC 6455 §5.5', 'a fragmented ping: 1002', failed(1002, [opcodes.ping, 'x', { fin: false }])),
  test('RFC 6455 §5.4', 'a continuation of nothing: 1002', failed(1002, [opcodes.continuation, 'x'])),
  test(
    'RFC 6455 §5.4',
    'a new message inside a fragmented one: 1002',
    failed(1002, [opcodes.text, '<a', { fin: false }], [opcodes.text, pingIq('a')]),
  ),
  test('RFC 6455 §8.1', 'text that is not UTF-8: 1007', failed(1007, [opcodes.text, Buffer.from([0x3c, 0x61, 0xff, 0xfe, 0x3e])])),
  test('RFC 6455 §7.4.1', 'a close frame with a forbidden code: 1002', failed(1002, [opcodes.close, closePayload(1005)])),
  test('RFC 6455 §5.5.1', 'a close frame of one byte: 1002', failed(1002, [opcodes.close, Buffer.from([3])])),
  test('RFC 7395 §3.2', 'a stanza in a binary frame is refused', async (c) => {
    const socket = await XmppSocket.login(c, await c.account())
    await socket.frame(opcodes.binary, pingIq('binary'))
    const events = await socket.rest()
    assert.ok(!events.some((event) => event.kind === 'element' && event.element.attributes.id === 'binary'), 'not processed')
    const last = events.at(-1)
    if (last?.kind === 'close' && errorOf(events) === undefined)
      assert.ok([1003, 1002, 1007, 1008].includes(last.code), `code ${last.code}`)
  }),
]
