// What the engines share: heads, handshakes, frames, deadlines, the self-test and the choice.

import { createServer } from 'node:http'
import { connect, createServer as createTcpServer } from 'node:net'
import t, { type Test } from 'tap'
import { chooseEngine } from '../../transports/engine/choose-engine.js'
import type { Engine, Listener } from '../../transports/engine/engine.js'
import { checkChosenProtocol, checkCloseCode, closeReason, readHandshake } from '../../transports/engine/handshake.js'
import { checkedHead, checkHeaders, defineHead } from '../../transports/engine/heads.js'
import { nodeEngine } from '../../transports/engine/node-engine.js'
import { closingResponse } from '../../transports/engine/problem.js'
import { selfTest, shimFault } from '../../transports/engine/self-test.js'
import { streamFiller } from '../../transports/engine/stream-filler.js'
import { Sweeper } from '../../transports/engine/sweeper.js'
import { buildFrames } from '../../transports/engine/websocket-frames.js'
import { eventually } from '../support/raw-http.js'

t.test('a head is checked when it is made', async (t) => {
  const head = defineHead(200, [
    ['content-type', 'text/plain'],
    ['x-a', 'b\tc '],
  ])
  t.same(head, {
    status: 200,
    headers: [
      ['content-type', 'text/plain'],
      ['x-a', 'b\tc '],
    ],
    flat: ['content-type', 'text/plain', 'x-a', 'b\tc '],
  })
  t.equal(checkedHead(head), head, 'and not again')
  t.ok(Object.isFrozen(head.headers))
  for (const status of [0, 100, 101, 199, 600, 200.5, Number.NaN]) t.throws(() => defineHead(status, []), RangeError, `status ${status}`)
  for (const name of ['', 'a b', 'a:', 'ä', 'a\r\n', 'a\0'])
    t.throws(() => defineHead(200, [[name, 'x']]), RangeError, JSON.stringify(name))
  for (const value of ['a\r', 'a\nb', '\0', 'ä', '€', '\x7f'])
    t.throws(() => defineHead(200, [['x', value]]), RangeError, JSON.stringify(value))
  for (const name of ['Content-Length', 'transfer-encoding', 'CONNECTION', 'keep-alive', 'trailer']) {
    t.throws(() => checkHeaders([[name, '1']]), /set by the engine/)
  }
  t.throws(() => checkHeaders([['authorization', 'secret\n']]), { message: /^(?!.*secret)/ }, 'a value is not repeated in the error')
  t.equal(
    closingResponse(defineHead(404, [['x-a', 'b']]), 'ä', [['x-c', 'd']]),
    'HTTP/1.1 404 Not Found\r\nx-a: b\r\nx-c: d\r\nconnection: close\r\ncontent-length: 2\r\n\r\nä',
  )
})

t.test('a stream has a filler', async (t) => {
  const plain = defineHead(200, [['Content-Type', 'text/plain']])
  t.equal(streamFiller(defineHead(200, [['Content-Type', 'Text/Event-Stream; charset=utf-8']]), undefined, undefined), ':\n\n')
  t.equal(streamFiller(defineHead(200, []), [['content-type', 'text/event-stream']], undefined), ':\n\n')
  t.equal(streamFiller(plain, undefined, '\n'), '\n')
  t.throws(() => streamFiller(plain, undefined, undefined))
  t.throws(() => streamFiller(plain, undefined, ''))
  t.throws(() => streamFiller(defineHead(200, [['content-type', 'text/event-streams']]), undefined, undefined))
})

t.test('a handshake is read', async (t) => {
  const good: Record<string, string> = {
    connection: 'keep-alive, Upgrade',
    'sec-websocket-version': '13',
    'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
  }
  const read = (changes: Record<string, string> = {}, method = 'GET') =>
    readHandshake({ method, header: (name) => ({ ...good, ...changes })[name] ?? '' })
  t.same(read(), [])
  t.same(read({ 'sec-websocket-protocol': 'a.b+json,  c ' }), ['a.b+json', 'c'])
  t.match(read({}, 'POST'), { head: { status: 400 } })
  t.match(read({ connection: 'not-upgrade' }), { head: { status: 400 } })
  t.match(read({ 'sec-websocket-version': '8' }), { head: { status: 426 } })
  t.match(read({ 'sec-websocket-key': 'dGhl' }), { head: { status: 400 } })
  t.match(read({ 'sec-websocket-protocol': 'a, a' }), { head: { status: 400 } })
  t.match(read({ 'sec-websocket-protocol': 'a b' }), { head: { status: 400 } })
  t.doesNotThrow(() => checkChosenProtocol('', ['a']))
  t.throws(() => checkChosenProtocol('A', ['a']), RangeError)
})

t.test('what a close frame says', async (t) => {
  for (const code of [1000, 1001, 1003, 1011, 1014, 3000, 4999]) t.doesNotThrow(() => checkCloseCode(code), String(code))
  for (const code of [0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 1000.5]) t.throws(() => checkCloseCode(code), RangeError, String(code))
  t.equal(closeReason('x'.repeat(123)), 'x'.repeat(123))
  t.equal(closeReason('x'.repeat(124)), 'x'.repeat(123))
  t.equal(closeReason(`${'x'.repeat(121)}€`), 'x'.repeat(121))
  t.equal(closeReason(`${'x'.repeat(120)}€y`), `${'x'.repeat(120)}€`)
  t.equal(closeReason('😀'.repeat(40)), '😀'.repeat(30))
})

t.test('frames of every length form', async (t) => {
  const bytes = (length: number) => Buffer.alloc(length, 7)
  t.same(buildFrames([], true), Buffer.alloc(0))
  t.same(buildFrames([Buffer.from('a'), Buffer.alloc(0), Buffer.from('bc')], false), Buffer.from([0x81, 1, 97, 0x81, 0, 0x81, 2, 98, 99]))
  t.ok(buildFrames([bytes(125)], true).equals(Buffer.concat([Buffer.from([0x82, 125]), bytes(125)])))
  t.ok(buildFrames([bytes(126)], true).equals(Buffer.concat([Buffer.from([0x82, 126, 0, 126]), bytes(126)])))
  t.ok(buildFrames([bytes(65_535)], true).equals(Buffer.concat([Buffer.from([0x82, 126, 255, 255]), bytes(65_535)])))
  t.ok(
    buildFrames([bytes(65_536), bytes(1)], true).equals(
      Buffer.concat([Buffer.from([0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]), bytes(65_536), Buffer.from([0x82, 1, 7])]),
    ),
  )
})

t.test('a sweeper looks at things until they are done', async (t) => {
  const sweeper = new Sweeper(40)
  let sweeps = 0
  const thing = { sweep: (): 'keep' | 'done' => (++sweeps < 3 ? 'keep' : 'done') }
  sweeper.add(thing)
  sweeper.add(thing)
  t.ok(await eventually(() => sweeps === 3))
  sweeper.add(thing)
  sweeper.delete(thing)
  t.ok(Number.isInteger(sweeper.now()))
  sweeper.stop()
  t.equal(sweeps, 3)
})

interface Logged {
  readonly lines: string[]
  info(message: string): void
  warn(message: string): void
}

function logged(): Logged {
  const lines: string[] = []
  return { lines, info: (message) => lines.push(`info ${message}`), warn: (message) => lines.push(`warn ${message}`) }
}

/** What a package with a JavaScript fallback looks like. */
const shim = { App: () => createServer(), us_listen_socket_close: () => {} }

t.test('a shim is told from the native module', async (t) => {
  t.match(shimFault(shim), /JavaScript/)
  t.match(
    shimFault({ App: shim.App.bind(null), us_listen_socket_close: shim.us_listen_socket_close.bind(null) }),
    /JavaScript/,
    'bound functions look native',
  )
  t.match(shimFault({ App: new Proxy(Math.max, {}), us_listen_socket_close: Math.max }), /JavaScript/, 'and proxies')
  t.match(shimFault({ App: Math.max }), /JavaScript/, 'both are asked')
  for (const nothing of [undefined, null, {}, 'text']) t.match(shimFault(nothing), /JavaScript/)
  t.equal(shimFault({ App: Math.max, us_listen_socket_close: Math.min }), undefined)
})

/** Answers the self-test's connections from the first bytes on: `answer` gets them, undefined is no answer. */
function answering(answer: (bytes: string) => number | undefined): Engine {
  return {
    ...nodeEngine,
    async listen({ host }): Promise<Listener> {
      const server = createTcpServer((socket) => {
        socket.on('error', () => {})
        socket.once('data', (data) => {
          const status = answer(String(data))
          if (status !== undefined) socket.end(`HTTP/1.1 ${status} x\r\n\r\n`)
        })
      })
      await new Promise<void>((resolve) => server.listen(0, host, resolve))
      const address = server.address()
      const port = typeof address === 'object' && address !== null ? address.port : 0
      return {
        port,
        connections: 0,
        renewTls: () => {},
        stopAccepting: () => {},
        close: () => new Promise((resolve) => server.close(() => resolve())),
      }
    },
  }
}

t.test('the self-test finds what it looks for and nothing in the reference', async (t) => {
  t.same(await selfTest(nodeEngine), [])
  const isPost = (bytes: string) => bytes.startsWith('POST')
  t.match(await selfTest(answering((bytes) => (isPost(bytes) ? 400 : 505))), [/two segments/])
  t.match(await selfTest(answering(() => 200)), [/Content-Lengths/])
  t.match(await selfTest(answering((bytes) => (isPost(bytes) ? 400 : undefined))), [/two segments/], 'silence is no answer')
  const deaf: Engine = { ...nodeEngine, listen: () => Promise.reject(new Error('no socket to be had')) }
  t.match(await selfTest(deaf), [/could not run: no socket/])
})

async function answers(engine: Engine): Promise<boolean> {
  const listener = await engine.listen(
    {
      host: '127.0.0.1',
      port: 0,
      maxMessageBytes: 100,
      maxHeaderBytes: 4096,
      headersTimeoutMs: 1000,
      bodyTimeoutMs: 1000,
      keepAliveMs: 1000,
      stallTimeoutMs: 1000,
      closeTimeoutMs: 1000,
      maxConnections: 10,
      deflate: false,
      tls: undefined,
      onError: () => {},
    },
    { request: (_head, exchange) => exchange.respond(defineHead(200, []), 'ok', undefined, true), upgrade: () => {} },
  )
  const answer = await new Promise<string>((resolve) => {
    const socket = connect(listener.port, '127.0.0.1')
    socket.once('data', (data) => resolve(String(data)))
    socket.write('GET / HTTP/1.1\r\nHost: test\r\n\r\n')
  })
  await listener.close()
  return answer.startsWith('HTTP/1.1 200')
}

t.test('choosing an engine', async (t: Test) => {
  const absent = async () => {
    throw Object.assign(new Error("Cannot find package 'uWebSockets.js'"), { code: 'ERR_MODULE_NOT_FOUND' })
  }
  const broken = async () => {
    throw new Error('This version of uWS.js supports only Node.js …\n\nError: libc.so.6: version `GLIBC_2.38` not found')
  }
  const loads: [load: () => Promise<unknown>, why: RegExp][] = [
    [absent, /^info engine node, because uws can't be used: uWebSockets\.js is not installed$/],
    [broken, /^info engine node, because uws can't be used: Error: libc\.so\.6: version `GLIBC_2\.38` not found$/],
    [async () => shim, /^info engine node, because uws can't be used: .*JavaScript in its place$/],
  ]
  for (const [load, why] of loads) {
    const log = logged()
    t.equal((await chooseEngine('auto', log, load)).name, 'node')
    t.equal(log.lines.length, 1, 'one line')
    t.match(log.lines[0], why)
    await t.rejects(chooseEngine('uws', logged(), load), /the engine uws can't be used: /, 'forced, it is an error')
    t.equal((await chooseEngine('node', logged(), load)).name, 'node')
  }

  const log = logged()
  const forced = await chooseEngine('uws', log)
  t.equal(forced.name, 'uws')
  t.equal(log.lines.length, 1)
  t.match(log.lines[0], /^warn engine uws runs with known faults: .*without a mask/)
  t.ok(await answers(forced))
  t.same(nodeEngine.knownFaults, [])

  const auto = logged()
  const chosen = await chooseEngine('auto', auto)
  t.equal(auto.lines.length, 1)
  // Which one depends on the binary for this machine; the line must say so.
  const failed = forced.knownFaults.some((fault) => /two segments|Content-Lengths/.test(fault))
  t.equal(chosen.name, failed ? 'node' : 'uws')
  t.match(auto.lines[0], failed ? /^warn engine node, because uWebSockets\.js fails its self-test: / : /^info engine uws/)
  t.ok(await answers(chosen))
})
