// Listening, limits, hostile bytes and the end of connections, on any engine.

import { connect, createServer } from 'node:net'
import type { Test } from 'tap'
import type { Engine, Exchange } from '../../transports/engine/engine.js'
import { ExchangeWitness, events, patient, plain, SocketWitness, startHost } from '../support/engine-host.js'
import { Random } from '../support/random.js'
import { eventually, RawConnection, turns } from '../support/raw-http.js'
import { clientFrame, handshakeRequest, opcodes, RawWebSocket } from '../support/raw-websocket.js'
import type { EngineTraits } from './engine-contract.js'

const GET = 'GET / HTTP/1.1\r\nHost: test\r\n\r\n'
const FUZZ_INPUTS = 20_000
const FUZZ_AT_ONCE = 64

export async function testConnections(t: Test, engine: Engine, traits: EngineTraits): Promise<void> {
  await t.test('listening fails with a reason', async (t) => {
    const routes = { request: () => {}, upgrade: () => {} }
    const options = { ...patient, onError: () => {} }
    const taken = createServer()
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
    const port = (taken.address() as { port: number }).port
    await t.rejects(engine.listen({ ...options, port }, routes), { message: /can't listen on 127\.0\.0\.1:\d+: .*EADDRINUSE/ })
    await new Promise((resolve) => taken.close(resolve))
    await t.rejects(engine.listen({ ...options, port: 65_536 }, routes), RangeError)
    await t.rejects(engine.listen({ ...options, port: -1 }, routes), RangeError)
    await t.rejects(engine.listen({ ...options, maxConnections: 0 }, routes), RangeError)
    const first = await startHost(t, engine)
    await t.rejects(engine.listen({ ...options, port: first.port }, routes), /can't listen/, 'also against the same engine')
  })

  await t.test('after stopAccepting the connections that are there go on, and close ends them', async (t) => {
    const host = await startHost(t, engine)
    const held = new ExchangeWitness()
    const streaming = new ExchangeWitness()
    const socket = new SocketWitness()
    let stream: Exchange | undefined
    host.request = (head, exchange) => {
      if (head.path === '/held') exchange.owner = held
      else if (head.path === '/stream') {
        exchange.owner = streaming
        stream = exchange
        exchange.openStream(events)
      } else exchange.respond(plain, 'hello')
    }
    host.upgrade = (_head, upgrade) => upgrade.accept(socket, '')
    const idle = await RawConnection.open(host.port)
    await idle.send(GET)
    await idle.readResponse()
    const [holding, reading] = [await RawConnection.open(host.port), await RawConnection.open(host.port)]
    await holding.send('GET /held HTTP/1.1\r\nHost: test\r\n\r\n')
    await reading.send('GET /stream HTTP/1.1\r\nHost: test\r\n\r\n')
    await reading.readHead()
    const client = await RawWebSocket.open(host.port)
    await socket.journal.until('open')
    await turns(5)
    t.equal(host.listener.connections, 4)
    host.listener.stopAccepting()
    host.listener.stopAccepting()
    await t.rejects(RawConnection.open(host.port), { code: 'ECONNREFUSED' })
    await idle.send(GET)
    t.equal((await idle.readResponse()).status, 200, 'an idle connection goes on')
    t.equal(stream?.write('data: x\n\n'), 'ok')
    await client.send(opcodes.text, 'hi')
    await socket.journal.until('text 2')
    const closing = host.listener.close()
    t.same([held.journal.lines, streaming.journal.lines], [[], []], 'not told from inside close')
    await closing
    t.same(held.journal.lines, ['gone closed'])
    t.same(streaming.journal.lines, ['gone closed'])
    t.same(socket.journal.lines, ['open', 'text 2', 'close 1006', 'closed'])
    t.equal(host.listener.connections, 0)
    for (const connection of [idle, holding, reading, client]) connection.destroy()
    await host.listener.close()
  })

  await t.test('connections beyond the limit are refused or closed at once, and one that leaves makes room', async (t) => {
    const host = await startHost(t, engine, { maxConnections: 3 })
    const clients = []
    for (let n = 0; n < 3; n++) {
      const client = n === 1 ? (await RawWebSocket.open(host.port)).connection : await RawConnection.open(host.port)
      if (n !== 1) {
        await client.send(GET)
        await client.readResponse()
      }
      clients.push(client)
    }
    t.notOk(await served(host.port), 'a fourth is not served')
    t.equal(host.listener.connections, 3)
    clients[1]?.reset()
    t.ok(await servedSoon(host.port), 'when a WebSocket has left')
    clients[0]?.reset()
    t.ok(await servedSoon(host.port), 'when another has left')
    for (const client of clients) client.destroy()
  })

  await t.test(`slow heads and idle connections end: ${traits.headTimeouts}`, async (t) => {
    const host = await startHost(t, engine, { headersTimeoutMs: 60, keepAliveMs: 60 })
    if (traits.headTimeouts === 'its own') {
      t.match(engine.knownFaults.join('\n'), /header, keep-alive and slow-body limits are its own/)
      return
    }
    const silent = await RawConnection.open(host.port)
    const slow = await RawConnection.open(host.port)
    await slow.send('GET / HTTP/1.1\r\nHost: te')
    const idle = await RawConnection.open(host.port)
    await idle.send(GET)
    await idle.readResponse()
    const { status, headers, body } = await slow.readResponse()
    t.same([status, headers['content-type'], JSON.parse(String(body)).status], [408, 'application/problem+json', 408])
    await Promise.all([slow.ended(), idle.ended(), silent.ended()])
    for (const client of [slow, idle, silent]) client.destroy()
  })

  await t.test(`bad requests are ${traits.badRequests}, and a held request next to them is not harmed`, async (t) => {
    const host = await startHost(t, engine)
    const held = new ExchangeWitness()
    let release = () => {}
    host.request = (head, exchange) => {
      if (head.path === '/held') {
        exchange.owner = held
        release = () => exchange.respond(plain, 'released')
      } else exchange.respond(plain, 'hello')
    }
    const holding = await RawConnection.open(host.port)
    await holding.send('GET /held HTTP/1.1\r\nHost: test\r\n\r\n')
    const bad: [what: string, bytes: string | Buffer, status: number][] = [
      ['no HTTP', 'complete nonsense\r\n\r\n', 400],
      ['a TLS hello', Buffer.from('16030100a5010000a10303', 'hex'), 400],
      ['no host', 'GET / HTTP/1.1\r\n\r\n', 400],
      ['NUL', 'GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n', 400],
      ['space before colon', 'GET / HTTP/1.1\r\nHost : test\r\n\r\n', 400],
      ['folded header', 'GET / HTTP/1.1\r\nHost: test\r\nX: a\r\n b\r\n\r\n', 400],
      ['unknown coding', 'POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n', 400],
      ['a large header', `GET / HTTP/1.1\r\nHost: test\r\nX: ${'x'.repeat(9000)}\r\n\r\n`, 431],
      ['a large target', `GET /${'x'.repeat(9000)} HTTP/1.1\r\nHost: test\r\n\r\n`, 431],
    ]
    for (const [what, bytes, status] of bad) {
      const client = await RawConnection.open(host.port)
      await client.send(bytes)
      if (traits.badRequests === 'answered with problem+json') {
        const response = await client.readResponse()
        t.same([response.status, response.headers['content-type']], [status, 'application/problem+json'], what)
        t.match(JSON.parse(String(response.body)), {
          type: 'about:blank',
          status,
          code: status === 431 ? 'too_large' : 'malformed',
          retryable: false,
        })
        await client.ended()
      } else {
        client.end()
        await client.ended()
      }
      client.destroy()
    }
    const huge = await RawConnection.open(host.port)
    await huge.send(`GET / HTTP/1.1\r\nHost: test\r\nX: ${'x'.repeat(10_000_000)}`)
    const answer = String(await huge.readToEnd())
    t.match(answer, /^(HTTP\/1\.1 431 |$)/, '10 MB of header end the connection')
    if (traits.badRequests === 'answered with problem+json') t.match(answer, /too_large/)
    huge.destroy()
    release()
    t.equal(String((await holding.readResponse()).body), 'released')
    holding.destroy()
    t.same(held.journal.lines, [])
    t.same(host.errors, [])
  })

  await t.test(`${FUZZ_INPUTS} inputs of raw bytes harm nobody`, async (t) => {
    const host = await startHost(t, engine, { bodyTimeoutMs: 50, closeTimeoutMs: 50 })
    const random = new Random(Number(process.env.FUZZ_SEED ?? Date.now() % 2 ** 32))
    const held = new ExchangeWitness()
    let release = () => {}
    host.request = (head, exchange) => {
      if (head.path === '/held') {
        exchange.owner = held
        release = () => exchange.respond(plain, 'released')
        return
      }
      const witness = new ExchangeWitness()
      exchange.owner = witness
      if (head.method === 'POST') exchange.readBody(20)
      else exchange.respond(plain, head.path)
    }
    const holding = await RawConnection.open(host.port)
    await holding.send('GET /held HTTP/1.1\r\nHost: test\r\n\r\n')
    let left = FUZZ_INPUTS
    const run = async () => {
      while (left-- > 0) await feed(host.port, mutated(random))
    }
    await Promise.all(Array.from({ length: FUZZ_AT_ONCE }, run))
    t.ok(await served(host.port), `the server still serves (FUZZ_SEED=${random.seed})`)
    release()
    t.equal(String((await holding.readResponse()).body), 'released', `a held request is unharmed (FUZZ_SEED=${random.seed})`)
    holding.destroy()
    t.same(host.errors, [], `FUZZ_SEED=${random.seed}`)
    t.ok(await eventually(() => host.listener.connections === 0), `no connection is left (FUZZ_SEED=${random.seed})`)
  })
}

async function served(port: number): Promise<boolean> {
  try {
    const client = await RawConnection.open(port)
    await client.send(GET)
    const { status } = await client.readHead()
    client.reset()
    return status === 200
  } catch {
    return false
  }
}

async function servedSoon(port: number): Promise<boolean> {
  for (let attempt = 0; attempt < 200; attempt++) {
    if (await served(port)) return true
    await turns(10)
  }
  return false
}

const SEEDS = [
  Buffer.from(GET),
  Buffer.from('POST /a?b=c HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello'),
  Buffer.from('POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n'),
  Buffer.from('HEAD / HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n'),
  Buffer.concat([Buffer.from(handshakeRequest()), clientFrame(opcodes.text, 'hello'), clientFrame(opcodes.ping, 'x')]),
]

function mutated(random: Random): Buffer {
  let input = Buffer.from(random.pick(SEEDS))
  for (let edits = random.int(6); edits > 0; edits--) {
    const at = random.int(input.length + 1)
    const kind = random.int(5)
    if (kind === 0 && at < input.length) input[at] = random.int(256)
    else if (kind === 1) input = Buffer.concat([input.subarray(0, at), random.bytes(random.int(8)), input.subarray(at)])
    else if (kind === 2) input = input.subarray(0, at)
    else if (kind === 3) input = Buffer.concat([input.subarray(0, at), input.subarray(Math.min(input.length, at + random.int(10)))])
    else input = Buffer.concat([input.subarray(0, at), random.pick(SEEDS).subarray(random.int(20)), input.subarray(at)])
  }
  return input
}

/** Sends the bytes and FIN, and waits for the server to have done with the connection. */
function feed(port: number, input: Buffer): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    socket.on('error', () => {})
    socket.on('data', () => {})
    // A reset leaves no TIME_WAIT: thousands of those would use up the ports.
    socket.on('end', () => socket.resetAndDestroy())
    socket.on('close', () => resolve())
    socket.end(input)
  })
}
