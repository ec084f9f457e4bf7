// XEP-0124 §6, §7.1, RFC 7230-7231: the HTTP under BOSH.

import assert from 'node:assert/strict'
import {
  type Answer,
  assertGood,
  assertTerminated,
  assertUnparsable,
  authElement,
  BoshSession,
  bodyElement,
  connect,
  creationBody,
  firstRid,
  PROMPT_MS,
  post,
  readAnswer,
  requestBytes,
} from '../support/bosh-session.js'
import type { Context } from '../support/conformance-context.js'
import { type Case, test } from './suite.js'

/** Answered at once, a time or two. */
const failing = authElement('NO-SUCH-MECHANISM', '')

function assertCreated(answer: Answer): void {
  assertGood(answer)
  assert.ok(answer.root.attributes.sid !== undefined, answer.text)
}

function normal(contentType: string | undefined): string {
  return (contentType ?? '').toLowerCase().replaceAll(' ', '').replaceAll('"', '')
}

/** The creation request with other framing of its bytes. */
async function raw(c: Context, head: readonly string[], ...segments: (string | Uint8Array)[]): Promise<Answer> {
  const { host, httpPort, boshPath } = c.target
  const connection = await connect(c)
  const lines = [`POST ${boshPath} HTTP/1.1`, `Host: ${host}:${httpPort}`, 'Content-Type: text/xml; charset=utf-8', ...head, '', '']
  await connection.send(lines.join('\r\n'), ...segments)
  return readAnswer(c, connection)
}

function chunk(data: string, extension = ''): string {
  return `${Buffer.byteLength(data).toString(16)}${extension}\r\n${data}\r\n`
}

const anyContentType =
  (value: string | null): Case['run'] =>
  async (c) => {
    assertCreated(await post(c, creationBody(c), { headers: { 'content-type': value } }))
  }

export const http: readonly Case[] = [
  test('XEP-0124 §7.1', 'Content-Type of answers is text/xml; charset=utf-8 (MUST)', async (c) => {
    const session = await BoshSession.open(c, { wait: 1 })
    const answers = [session.created, await session.send(), await session.send('', { type: 'terminate' }), await session.send()]
    for (const { headers } of answers) assert.equal(normal(headers['content-type']), 'text/xml;charset=utf-8')
  }),
  test('XEP-0124 §7.1', 'content= decides on the Content-Type of all answers of the session (MUST)', async (c) => {
    const session = await BoshSession.open(c, { content: 'text/html; charset=utf-8', wait: 1 })
    const answers = [session.created, await session.send(), await session.send(failing), await session.send('', { type: 'terminate' })]
    for (const { headers } of answers) assert.equal(normal(headers['content-type']), 'text/html;charset=utf-8')
  }),
  test('XEP-0124 §7.1', 'content= holds for released, resent and erroneous answers too', async (c) => {
    const session = await BoshSession.open(c, { content: 'text/plain' })
    const held = await session.start()
    await c.pause(100)
    const next = await session.send(failing)
    const again = await session.sendAt(session.rid, failing)
    const bad = await session.sendAt(session.rid + 100)
    for (const { headers } of [await held.answer, next, again, bad]) assert.match(normal(headers['content-type']), /^text\/plain/)
  }),
  test('XEP-0124 §7.1', 'content= cannot add header lines', async (c) => {
    const answer = await post(c, creationBody(c, { content: 'text/html\r\nX-Injected: yes' }))
    assert.equal(answer.headers['x-injected'], undefined)
    assert.ok(answer.status === 200 || answer.status === 400)
  }),
  test('XEP-0124 §6', 'Content-Type application/x-www-form-urlencoded is ignored', anyContentType('application/x-www-form-urlencoded')),
  test('XEP-0124 §6', 'Content-Type text/plain is ignored', anyContentType('text/plain')),
  test('XEP-0124 §6', 'Content-Type application/json is ignored', anyContentType('application/json')),
  test('XEP-0124 §6', 'no Content-Type', anyContentType(null)),
  test('XEP-0124 §6', 'unknown headers are ignored', async (c) => {
    assertCreated(
      await post(c, creationBody(c), { headers: { 'x-a': 'b', cookie: 'a=b', pragma: 'no-cache', 'x-long': 'y'.repeat(2000) } }),
    )
  }),
  test('RFC 7230 §3.2', 'names of headers in any case', async (c) => {
    const body = creationBody(c)
    assertCreated(await raw(c, [`CONTENT-length: ${Buffer.byteLength(body)}`], body))
  }),
  test('XEP-0124 §4, RFC 7230 §6.3', 'a session over one connection that stays', async (c) => {
    const connection = await connect(c)
    const rid = firstRid()
    await connection.send(requestBytes(c, creationBody(c, { rid, wait: 1 })))
    const created = await readAnswer(c, connection)
    assertCreated(created)
    const sid = created.root?.attributes.sid ?? ''
    for (let i = 1; i <= 2; i++) {
      await connection.send(requestBytes(c, bodyElement({ sid, rid: rid + i }, failing)))
      assertGood(await readAnswer(c, connection))
    }
    await connection.send(requestBytes(c, bodyElement({ sid, rid: rid + 3, type: 'terminate' })))
    assertTerminated(await readAnswer(c, connection), null)
  }),
  test('RFC 7230 §6.3', 'a connection outlives an error of the protocol', async (c) => {
    const connection = await connect(c)
    await connection.send(requestBytes(c, bodyElement({ sid: 'unknown', rid: 5 })))
    const refused = await readAnswer(c, connection)
    assertTerminated(refused, 'item-not-found')
    if (refused.headers.connection?.toLowerCase() === 'close') return
    await connection.send(requestBytes(c, creationBody(c)))
    assertCreated(await readAnswer(c, connection))
  }),
  test('RFC 7230 §6.6', 'Connection: close closes after the answer', async (c) => {
    const connection = await connect(c)
    await connection.send(requestBytes(c, creationBody(c), { headers: { connection: 'close' } }))
    assertCreated(await readAnswer(c, connection))
    await connection.ended()
  }),
  test(
    'XEP-0124 §2, §6',
    'HTTP/1.0: answered whole, not chunked, then the connection ends',
    async (c) => {
      const connection = await connect(c)
      await connection.send(requestBytes(c, creationBody(c), { version: '1.0' }))
      const answer = await readAnswer(c, connection)
      assertCreated(answer)
      assert.equal(answer.headers['transfer-encoding'], undefined)
      await connection.ended()
    },
    'http10',
  ),
  test(
    'XEP-0124 §6',
    'HTTP/1.0 without Host',
    async (c) => {
      const connection = await connect(c)
      await connection.send(requestBytes(c, creationBody(c), { version: '1.0', headers: { host: null } }))
      assertCreated(await readAnswer(c, connection))
    },
    'http10',
  ),
  test(
    'XEP-0124 §6, RFC 7230 §A.1.2',
    'HTTP/1.0 with Connection: keep-alive: kept and said so, or ended',
    async (c) => {
      const connection = await connect(c)
      const options = { version: '1.0', headers: { connection: 'keep-alive' } } as const
      await connection.send(requestBytes(c, creationBody(c), options))
      const answer = await readAnswer(c, connection)
      assertCreated(answer)
      if (!/keep-alive/i.test(answer.headers.connection ?? '')) return connection.ended()
      await connection.send(requestBytes(c, creationBody(c), options))
      assertCreated(await readAnswer(c, connection))
    },
    'http10',
  ),
  test(
    'XEP-0124 §6',
    'HTTP/1.0: a whole session with a long poll, a connection for each request',
    async (c) => {
      const session = await BoshSession.create(c, { wait: 1 }, { version: '1.0' })
      assertGood(await session.send('', {}, { version: '1.0' }))
      assertGood(await session.send(failing, {}, { version: '1.0' }))
    },
    'http10',
  ),
  test(
    'RFC 7230 §6.3.2',
    'two pipelined requests are answered in order',
    async (c) => {
      const connection = await connect(c)
      await connection.send(Buffer.concat([requestBytes(c, creationBody(c, { wait: 3 })), requestBytes(c, creationBody(c, { wait: 4 }))]))
      const [first, second] = [await readAnswer(c, connection), await readAnswer(c, connection)]
      assert.deepEqual([first.root?.attributes.wait, second.root?.attributes.wait], ['3', '4'])
    },
    'pipelining',
  ),
  test(
    'XEP-0124 §4, RFC 7230 §6.3.2',
    'a request pipelined behind a long poll releases it',
    async (c) => {
      const session = await BoshSession.open(c)
      const connection = await connect(c)
      const rid = session.rid
      await connection.send(requestBytes(c, session.body(rid + 1)))
      await c.pause(150)
      await connection.send(requestBytes(c, session.body(rid + 2, failing)))
      const [first, second] = [await readAnswer(c, connection), await readAnswer(c, connection)]
      assertGood(first)
      assertGood(second)
      assert.ok(first.ms < PROMPT_MS, `released after ${Math.round(first.ms)} ms`)
      assert.match(first.text + second.text, /failure/)
    },
    'pipelining',
  ),
  test(
    'XEP-0124 §13, RFC 7230 §6.3.2',
    'a terminate pipelined behind a long poll ends both',
    async (c) => {
      const session = await BoshSession.open(c)
      const connection = await connect(c)
      await connection.send(
        requestBytes(c, session.body(session.rid + 1)),
        requestBytes(c, session.body(session.rid + 2, '', { type: 'terminate' })),
      )
      const answers = [await readAnswer(c, connection), await readAnswer(c, connection)]
      assert.ok(answers.some(({ root }) => root?.attributes.type === 'terminate'))
      assert.ok((answers[0]?.ms ?? Number.NaN) < PROMPT_MS)
    },
    'pipelining',
  ),
  test('RFC 7230 §4.1', 'a chunked request', async (c) => {
    const body = creationBody(c)
    assertCreated(await raw(c, ['Transfer-Encoding: chunked'], `${chunk(body)}0\r\n\r\n`))
  }),
  test('RFC 7230 §4.1', 'a request in many chunks, in many segments', async (c) => {
    const chunks = (creationBody(c).match(/.{1,37}/gs) ?? []).map((piece) => chunk(piece))
    assertCreated(await raw(c, ['Transfer-Encoding: chunked'], ...chunks, '0\r\n\r\n'))
  }),
  test(
    'RFC 7230 §4.1.1',
    'chunks with extensions',
    async (c) => {
      const chunks = (creationBody(c).match(/.{1,37}/gs) ?? []).map((piece) => chunk(piece, ';name=value'))
      assertCreated(await raw(c, ['Transfer-Encoding: chunked'], ...chunks, '0\r\n\r\n'))
    },
    'http-parsing',
  ),
  test(
    'RFC 7230 §4.1.2',
    'a trailer behind the chunks',
    async (c) => {
      assertCreated(await raw(c, ['Transfer-Encoding: chunked', 'Trailer: X-T'], `${chunk(creationBody(c))}0\r\nX-T: 1\r\n\r\n`))
    },
    'http-parsing',
  ),
  test('RFC 7230 §4.1', 'a chunked request in a session', async (c) => {
    const session = await BoshSession.open(c)
    const answer = await raw(c, ['Transfer-Encoding: chunked'], `${chunk(session.body(session.rid + 1, failing))}0\r\n\r\n`)
    assertGood(answer)
    assert.match(answer.text, /failure/)
  }),
  test('RFC 7231 §5.1.1', 'Expect: 100-continue is answered with 100 before the body comes', async (c) => {
    const { host, httpPort, boshPath } = c.target
    const body = creationBody(c)
    const connection = await connect(c)
    const head = [
      `POST ${boshPath} HTTP/1.1`,
      `Host: ${host}:${httpPort}`,
      `Content-Length: ${Buffer.byteLength(body)}`,
      'Expect: 100-continue',
      '',
      '',
    ]
    await connection.send(head.join('\r\n'))
    const { status } = await connection.readHead()
    assert.equal(status, 100)
    await connection.send(body)
    assertCreated(await readAnswer(c, connection))
  }),
  test('RFC 7230 §3.3.2', 'a body that comes byte by byte', async (c) => {
    const bytes = requestBytes(c, creationBody(c))
    const bodyAt = bytes.indexOf('\r\n\r\n') + 4
    const connection = await connect(c)
    await connection.send(bytes.subarray(0, bodyAt))
    for (let at = bodyAt; at < bytes.length; at++) await connection.send(bytes.subarray(at, at + 1))
    assertCreated(await readAnswer(c, connection))
  }),
  test(
    'RFC 7230 §3',
    'a request whose head comes in pieces, too',
    async (c) => {
      const bytes = requestBytes(c, creationBody(c))
      const connection = await connect(c)
      for (let at = 0; at < bytes.length; at += 7) await connection.send(bytes.subarray(at, at + 7))
      assertCreated(await readAnswer(c, connection))
    },
    'http-parsing',
  ),
  test(
    'RFC 7230 §3.3.3',
    'a Content-Length that is no number: 400',
    async (c) => assert.equal((await raw(c, ['Content-Length: abc'], creationBody(c))).status, 400),
    'http-parsing',
  ),
  test(
    'RFC 7230 §3.3.3',
    'two different Content-Lengths: 400',
    async (c) => {
      const body = creationBody(c)
      const answer = await raw(c, [`Content-Length: ${Buffer.byteLength(body)}`, 'Content-Length: 3'], body)
      assert.equal(answer.status, 400)
    },
    'http-parsing',
  ),
  test('RFC 7230 §3.3.3', 'neither Content-Length nor chunks: refused', async (c) => {
    const answer = await raw(c, [])
    if (answer.status !== 411) assertUnparsable(answer)
  }),
  test(
    'RFC 7230 §5.4',
    'HTTP/1.1 without Host: 400',
    async (c) => {
      const answer = await post(c, creationBody(c), { headers: { host: null } })
      assert.equal(answer.status, 400)
    },
    'http-parsing',
  ),
  test(
    'RFC 7230 §5.3.2',
    'a request target in absolute form',
    async (c) => {
      const { host, httpPort, boshPath } = c.target
      assertCreated(await post(c, creationBody(c), { path: `http://${host}:${httpPort}${boshPath}` }))
    },
    'absolute-form',
  ),
  test('RFC 7230 §3.3.3', 'a client that goes away in the middle of its request leaves no trace', async (c) => {
    const session = await BoshSession.open(c)
    const connection = await connect(c)
    const bytes = requestBytes(c, session.body(session.rid + 1, failing))
    await connection.send(bytes.subarray(0, bytes.length - 10))
    await c.pause(100)
    connection.reset()
    assertGood(await session.send(failing))
  }),
  test('XEP-0124 §4', 'a GET gets a page for people, or a refusal, no error of the server', async (c) => {
    const answer = await post(c, '', { method: 'GET', headers: { 'content-type': null, 'content-length': null } })
    assert.ok(answer.status === 200 || (answer.status >= 400 && answer.status < 500), `status ${answer.status}`)
  }),
  test('RFC 7231 §4.3.2', 'HEAD has no body', async (c) => {
    const connection = await connect(c)
    await connection.send(requestBytes(c, '', { method: 'HEAD', headers: { 'content-type': null, 'content-length': null } }))
    const { status } = await connection.readResponse('HEAD')
    assert.ok(status < 500, `status ${status}`)
    await c.pause(50)
    assert.equal(connection.unread.length, 0)
  }),
  test('RFC 7231 §6.5.5', 'PUT and DELETE are refused with 405 or 501', async (c) => {
    for (const method of ['PUT', 'DELETE']) {
      const { status } = await post(c, creationBody(c), { method })
      assert.ok(status === 405 || status === 501 || status === 404, `${method}: ${status}`)
    }
  }),
]
