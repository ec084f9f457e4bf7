// Requests, bodies and one-shot responses, on any engine.

import type { Test } from 'tap'
import type { Engine, Exchange, RequestHead } from '../../transports/engine/engine.js'
import { defineHead } from '../../transports/engine/heads.js'
import { ExchangeWitness, events, plain, startHost } from '../support/engine-host.js'
import { eventually, RawConnection, turns } from '../support/raw-http.js'
import { handshakeRequest } from '../support/raw-websocket.js'
import type { EngineTraits } from './engine-contract.js'

const GET = 'GET / HTTP/1.1\r\nHost: test\r\n\r\n'

export async function testHttp(t: Test, engine: Engine, traits: EngineTraits): Promise<void> {
  await t.test('a route gets the head as it came, and only until it returns', async (t) => {
    const host = await startHost(t, engine)
    let seen: unknown
    let kept: RequestHead | undefined
    host.request = (head, exchange) => {
      const { method, path, query, closing } = head
      seen = [method, path, query, closing, head.header('x-name'), head.header('absent'), head.remoteAddress()]
      kept = head
      exchange.respond(plain, '')
    }
    const client = await RawConnection.open(host.port)
    await client.send('PATCH /a%2Fb?x=%20&y HTTP/1.1\r\nHost: test\r\nX-Name: some value\r\n\r\n')
    await client.readResponse()
    t.same(seen, ['PATCH', '/a%2Fb', 'x=%20&y', false, 'some value', '', '127.0.0.1'])
    t.throws(() => kept?.header('x-name'), 'a borrowed head can not be kept')
    await client.send('GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n')
    await client.readResponse()
    t.same(seen, ['GET', '/', '', true, '', '', '127.0.0.1'])
    await client.ended()
    client.destroy()
  })

  await t.test(`a request line in two segments is ${traits.splitRequestLine}`, async (t) => {
    const host = await startHost(t, engine)
    const request = 'GET /some/path?with=query HTTP/1.1\r\nHost: test\r\nX: y\r\n\r\n'
    const statuses = new Set<number>()
    for (let at = 1; at < request.length; at++) {
      const client = await RawConnection.open(host.port)
      await client.send(request.slice(0, at), request.slice(at))
      statuses.add((await client.readResponse()).status)
      client.destroy()
    }
    t.same([...statuses].sort(), traits.splitRequestLine === 'served' ? [200] : [200, 505])
  })

  await t.test('requests of doubtful length are refused, and what follows them is no request', async (t) => {
    const host = await startHost(t, engine)
    const paths: string[] = []
    host.request = (head, exchange) => {
      paths.push(head.path)
      exchange.respond(plain, 'hello')
    }
    const doubtful: [headers: string, body: string][] = [
      ['Content-Length: 2\r\nContent-Length: 1\r\n', 'ab'],
      ['Content-Length: 1\r\nContent-Length: 1\r\n', 'a'],
      ['Content-Length: 5\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n'],
      ['Transfer-Encoding: xchunked\r\n', '0\r\n\r\n'],
      ['Content-Length: -1\r\n', ''],
      ['Content-Length: 1a\r\n', 'a'],
    ]
    for (const [headers, body] of doubtful) {
      const client = await RawConnection.open(host.port)
      await client.send(`POST /doubtful HTTP/1.1\r\nHost: test\r\n${headers}\r\n${body}GET /smuggled HTTP/1.1\r\nHost: test\r\n\r\n`)
      client.end()
      t.match(
        String(await client.readToEnd()),
        traits.badRequests === 'answered with problem+json' ? /^HTTP\/1\.1 400 / : /^(HTTP\/1\.1 (400|505) |$)/,
        headers,
      )
      client.destroy()
    }
    t.same(paths, [])
  })

  await t.test(`pipelined requests: ${traits.pipelining}`, async (t) => {
    const host = await startHost(t, engine)
    const first = new ExchangeWitness()
    let release = () => {}
    host.request = (head, exchange) => {
      if (head.path === '/1') {
        exchange.owner = first
        release = () => exchange.respond(plain, 'first')
      } else {
        exchange.respond(plain, head.path)
      }
    }
    const client = await RawConnection.open(host.port)
    await client.send('GET /1 HTTP/1.1\r\nHost: test\r\n\r\nGET /2 HTTP/1.1\r\nHost: test\r\n\r\nGET /3 HTTP/1.1\r\nHost: test\r\n\r\n')
    if (traits.pipelining === 'answered in order') {
      await turns(5)
      t.equal(client.unread.length, 0, 'nothing overtakes the first')
      release()
      const bodies = [await client.readResponse(), await client.readResponse(), await client.readResponse()].map(({ body }) => String(body))
      t.same(bodies, ['first', '/2', '/3'])
      client.destroy()
    } else {
      t.equal((await client.readToEnd()).length, 0)
      await first.journal.until('gone closed')
      release()
    }
    t.same(host.errors, [])
  })

  await t.test('a body is whole, up to the limit and not beyond, with a length or in chunks', async (t) => {
    const host = await startHost(t, engine)
    let witness = new ExchangeWitness()
    host.request = (_head, exchange) => {
      witness = new ExchangeWitness()
      exchange.owner = witness
      exchange.readBody(10)
    }
    const zeros = Buffer.from('ab\0\r\n\r\n\xff\xfez', 'latin1')
    const sendings: [name: string, ...segments: (string | Buffer)[]][] = [
      ['with a length', 'POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\n', zeros],
      ['in one segment', Buffer.concat([Buffer.from('POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\n'), zeros])],
      ['in segments', 'POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\n', zeros.subarray(0, 3), zeros.subarray(3)],
      [
        'chunked',
        'POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n',
        zeros.subarray(0, 4),
        '\r\n6\r\n',
        zeros.subarray(4),
        '\r\n0\r\n\r\n',
      ],
    ]
    for (const [name, ...segments] of sendings) {
      const client = await RawConnection.open(host.port)
      await client.send(...segments)
      const response = await client.readResponse()
      t.same([response.status, response.body], [200, zeros], name)
      await client.send('GET / HTTP/1.1\r\nHost: test\r\n\r\n')
      t.equal((await client.readResponse()).body.length, 0, 'no body is an empty one, and the connection goes on')
      client.destroy()
    }
    const tooLong: [name: string, ...segments: string[]][] = [
      ['with a length', 'POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 11\r\n\r\n', '0123456789a'],
      ['in chunks', 'POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n', '1\r\na\r\n0\r\n\r\n'],
      ['far too long', 'POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 100000\r\n\r\n', 'x'.repeat(100_000)],
    ]
    for (const [name, ...segments] of tooLong) {
      const client = await RawConnection.open(host.port)
      await client.send(...segments)
      t.equal((await client.readResponse()).status, 413, name)
      await client.ended()
      t.same(await witness.journal.settled(), ['body too long'], 'told once and nothing after the answer')
      client.destroy()
    }
    t.same(host.errors, [])
  })

  await t.test('a client that waits for 100 Continue gets it when the body is wanted', async (t) => {
    const host = await startHost(t, engine)
    host.request = (_head, exchange) => {
      exchange.owner = new ExchangeWitness()
      exchange.readBody(100)
    }
    const client = await RawConnection.open(host.port)
    await client.send('POST / HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n')
    t.equal((await client.readHead()).status, 100)
    await client.send('abc')
    t.equal(String((await client.readResponse()).body), 'abc')
    client.destroy()
  })

  await t.test('a slow body ends with 408 and its owner hears of it', async (t) => {
    const host = await startHost(t, engine, { bodyTimeoutMs: 60 })
    const witness = new ExchangeWitness()
    host.request = (_head, exchange) => {
      exchange.owner = witness
      exchange.readBody(100)
    }
    const client = await RawConnection.open(host.port)
    await client.send('POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 3\r\n\r\na')
    t.equal((await client.readResponse()).status, 408)
    await client.ended()
    t.same(await witness.journal.settled(), ['gone timeout'])
    client.destroy()
  })

  await t.test('HEAD and bodiless statuses have no body, and the next response is in its place', async (t) => {
    const host = await startHost(t, engine)
    const empty = defineHead(204, [])
    host.request = (head, exchange) => {
      if (head.path === '/stream') {
        exchange.owner = new ExchangeWitness()
        exchange.openStream(events)
        t.equal(exchange.write('data: x\n\n'), 'gone')
        exchange.finish()
      } else {
        exchange.respond(head.path === '/204' ? empty : plain, head.path === '/204' ? null : 'hällo')
      }
    }
    const client = await RawConnection.open(host.port)
    for (const path of ['/', '/stream', '/']) {
      await client.send(`HEAD ${path} HTTP/1.1\r\nHost: test\r\n\r\n`)
      const { status, headers } = await client.readResponse('HEAD')
      t.equal(status, 200)
      if (path === '/') t.equal(headers['content-length'], '6')
      await turns(5)
      t.equal(client.unread.length, 0)
    }
    await client.send('GET /204 HTTP/1.1\r\nHost: test\r\n\r\n')
    const none = await client.readResponse()
    t.same([none.status, none.headers['content-length'], none.headers['transfer-encoding']], [204, undefined, undefined])
    await client.send(GET)
    t.equal(String((await client.readResponse()).body), 'hällo')
    client.destroy()
    t.same(host.errors, [])
  })

  await t.test('a response carries its headers, bytes and extras; a header that can not be sent is a bug', async (t) => {
    const host = await startHost(t, engine)
    const bytes = Buffer.alloc(300_000, 'abc\0')
    host.request = (head, exchange) => {
      if (head.path === '/bytes') exchange.respond(plain, bytes, [['x-extra', 'one']])
      else if (head.path === '/crlf') exchange.respond(plain, 'x', [['x-bad', 'a\r\nSet-Cookie: b']])
      else if (head.path === '/framing') exchange.respond(plain, 'x', [['Content-Length', '1']])
      else exchange.respond({ status: 200, headers: [['x\r\n', 'y']] }, 'x')
    }
    const client = await RawConnection.open(host.port)
    await client.send('GET /bytes HTTP/1.1\r\nHost: test\r\n\r\n')
    const response = await client.readResponse()
    t.same([response.headers['content-type'], response.headers['x-extra']], ['text/plain', 'one'])
    t.ok(response.body.equals(bytes))
    client.destroy()
    for (const path of ['/crlf', '/framing', '/head']) {
      const other = await RawConnection.open(host.port)
      await other.send(`GET ${path} HTTP/1.1\r\nHost: test\r\n\r\n`)
      const { status, headers } = await other.readResponse()
      t.same([status, headers['set-cookie']], [500, undefined])
      other.destroy()
    }
    t.equal(host.errors.length, 3)
  })

  await t.test('a route that throws or forgets a request is answered with 500 and reported, others are not harmed', async (t) => {
    const host = await startHost(t, engine)
    host.request = (head, exchange) => {
      if (head.path === '/throw') throw new Error('thrown')
      if (head.path === '/late') {
        exchange.owner = new ExchangeWitness()
        exchange.openStream(events)
        throw new Error('thrown late')
      }
      if (head.path === '/owner') {
        exchange.owner = {
          onBody: () => {
            throw new Error('thrown by an owner')
          },
          onGone: () => {
            throw new Error('thrown by an owner at the end')
          },
        }
        exchange.readBody(10)
      }
    }
    for (const path of ['/throw', '/forget']) {
      const client = await RawConnection.open(host.port)
      await client.send(`GET ${path} HTTP/1.1\r\nHost: test\r\n\r\n`)
      const { status, headers, body } = await client.readResponse()
      t.same([status, headers['content-type']], [500, 'application/problem+json'])
      t.match(JSON.parse(String(body)), { status: 500, code: 'internal', retryable: true })
      client.destroy()
    }
    t.equal(host.errors.length, 2)
    const late = await RawConnection.open(host.port)
    await late.send('GET /late HTTP/1.1\r\nHost: test\r\n\r\n')
    await late.ended()
    const owner = await RawConnection.open(host.port)
    await owner.send('GET /owner HTTP/1.1\r\nHost: test\r\n\r\n')
    await turns(5)
    owner.reset()
    await eventually(() => host.errors.length === 5)
    t.same(host.errors.slice(2).map(String), ['Error: thrown late', 'Error: thrown by an owner', 'Error: thrown by an owner at the end'])
    host.request = (_head, exchange) => exchange.respond(plain, 'well')
    const after = await RawConnection.open(host.port)
    await after.send(GET)
    t.equal(String((await after.readResponse()).body), 'well')
    after.destroy()
  })

  await t.test('answers can come later, twice does nothing, and nothing throws once the client has gone', async (t) => {
    const host = await startHost(t, engine)
    const witness = new ExchangeWitness()
    let answer = () => {}
    host.request = (_head, exchange) => {
      exchange.owner = witness
      answer = () => {
        exchange.respond(plain, 'once')
        exchange.respond(plain, 'twice')
        exchange.abort()
        exchange.abort()
        exchange.finish()
        exchange.readBody(1)
        exchange.openStream(events)
        t.equal(exchange.write('x'), 'gone')
      }
    }
    const client = await RawConnection.open(host.port)
    await client.send(GET)
    await turns(5)
    answer()
    t.equal(String((await client.readResponse()).body), 'once')
    await client.send(GET)
    await turns(5)
    client.reset()
    await witness.journal.until('gone closed')
    answer()
    t.same(await witness.journal.settled(), ['gone closed'])
    t.same(host.errors, [])
  })

  await t.test('requests that are held are answered from inside the call for another one: whole, each its own', async (t) => {
    const host = await startHost(t, engine)
    const held: Exchange[] = []
    host.request = (head, exchange) => {
      exchange.owner = new ExchangeWitness()
      if (head.path === '/hold') {
        held.push(exchange)
        return
      }
      for (const [i, one] of held.entries()) one.respond(plain, `held ${i}`, [['x-extra', `${i}`]], i === 1)
      exchange.respond(plain, 'release')
      for (const one of held) t.doesNotThrow(() => one.respond(plain, 'again'))
    }
    const clients = await Promise.all([0, 1, 2].map(() => RawConnection.open(host.port)))
    for (const [i, client] of clients.entries()) {
      await client.send('GET /hold HTTP/1.1\r\nHost: test\r\n\r\n')
      while (held.length <= i) await turns(1)
    }
    // Its client goes while the others are answered.
    clients[2]?.destroy()
    const other = await RawConnection.open(host.port)
    await other.send('GET /release HTTP/1.1\r\nHost: test\r\n\r\n')
    t.equal(String((await other.readResponse()).body), 'release')
    for (const i of [0, 1]) {
      const answer = await clients[i]?.readResponse()
      t.match({ status: answer?.status, body: String(answer?.body) }, { status: 200, body: `held ${i}` })
    }
    await clients[1]?.ended()
    // The connection of the first goes on.
    await clients[0]?.send('GET /release HTTP/1.1\r\nHost: test\r\n\r\n')
    t.equal(String((await clients[0]?.readResponse())?.body), 'release')
    for (const client of [...clients, other]) client.destroy()
  })

  await t.test('a client that leaves is told of once, at each step, and never from inside a call', async (t) => {
    for (const leave of ['end', 'reset', 'destroy'] as const) {
      for (const step of ['held', 'in the body', 'streaming'] as const) {
        const host = await startHost(t, engine)
        const witness = new ExchangeWitness()
        let taken = () => {}
        const begun = new Promise<void>((resolve) => {
          taken = resolve
        })
        host.request = (_head, exchange) => {
          exchange.owner = witness
          if (step === 'in the body') exchange.readBody(100)
          if (step === 'streaming') {
            exchange.openStream(events)
            exchange.write('data: x\n\n')
          }
          taken()
        }
        const client = await RawConnection.open(host.port)
        await client.send(`POST / HTTP/1.1\r\nHost: test\r\nContent-Length: ${step === 'in the body' ? 5 : 0}\r\n\r\n`)
        if (step === 'in the body') await client.send('a')
        await begun
        client[leave]()
        await witness.journal.until('gone closed')
        t.same(await witness.journal.settled(), ['gone closed'], `${step}, ${leave}`)
        client.destroy()
      }
    }
  })

  await t.test('abort ends the connection, from anywhere, and is the last of it', async (t) => {
    const host = await startHost(t, engine)
    const witness = new ExchangeWitness()
    witness.answer = (exchange) => exchange.abort()
    host.request = (head, exchange) => {
      exchange.owner = witness
      if (head.path === '/body') exchange.readBody(10)
      else if (head.path === '/now') exchange.abort()
      else setImmediate(() => exchange.abort())
    }
    for (const path of ['/now', '/later', '/body']) {
      const client = await RawConnection.open(host.port)
      await client.send(`POST ${path} HTTP/1.1\r\nHost: test\r\nContent-Length: 2\r\n\r\nab`)
      t.equal((await client.readToEnd()).length, 0, path)
      client.destroy()
    }
    t.same(await witness.journal.settled(), ['body 2'])
    t.same(host.errors, [])
  })

  await t.test('respond can end the connection', async (t) => {
    const host = await startHost(t, engine)
    host.request = (_head, exchange) => exchange.respond(plain, 'bye', undefined, true)
    const client = await RawConnection.open(host.port)
    await client.send(GET)
    const { headers, body } = await client.readResponse()
    t.same([headers.connection?.toLowerCase(), String(body)], ['close', 'bye'])
    await client.ended()
    client.destroy()
  })

  await t.test(`HTTP/1.0, absolute targets and chunk extensions are ${traits.rareSyntax}`, async (t) => {
    const host = await startHost(t, engine)
    host.request = (head, exchange) => {
      const witness = new ExchangeWitness()
      witness.answer = () => exchange.respond(plain, `${head.path} ${head.closing}`)
      exchange.owner = witness
      exchange.readBody(10)
    }
    const requests: [request: string, answer: string][] = [
      ['GET /old HTTP/1.0\r\n\r\n', '/old true'],
      ['GET /old HTTP/1.0\r\nConnection: keep-alive\r\n\r\n', '/old true'],
      ['GET http://test/absolute?x HTTP/1.1\r\nHost: test\r\n\r\n', '/absolute false'],
      ['POST /ext HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n1;a=b\r\nx\r\n0\r\n\r\n', '/ext false'],
    ]
    for (const [request, answer] of requests) {
      const client = await RawConnection.open(host.port)
      await client.send(request)
      if (traits.rareSyntax === 'served') {
        const { status, body } = await client.readResponse()
        t.same([status, String(body)], [200, answer])
        if (request.includes('HTTP/1.0')) await client.ended()
      } else {
        client.end()
        t.match(String(await client.readToEnd()), /^(HTTP\/1\.1 (400|505) |$)/, request)
      }
      client.destroy()
    }
  })

  await t.test('an offer to upgrade to anything but WebSocket is a request like any other', async (t) => {
    const host = await startHost(t, engine)
    const client = await RawConnection.open(host.port)
    const offer = handshakeRequest({
      headers: { connection: 'Upgrade, HTTP2-Settings', upgrade: 'h2c', 'http2-settings': 'AAMAAABkAAQAAP__' },
    })
    await client.send(offer)
    t.equal(String((await client.readResponse()).body), 'hello')
    await client.send(GET)
    t.equal(String((await client.readResponse()).body), 'hello')
    client.destroy()
  })
}
