// XEP-0124 §6, §7.2, Fetch §3.2: content codings of requests and answers, and reading them from another origin.

import assert from 'node:assert/strict'
import { deflateSync, gunzipSync, gzipSync, inflateSync } from 'node:zlib'
import {
  type Answer,
  assertGood,
  assertTerminated,
  assertUnparsable,
  authElement,
  BoshSession,
  bodyElement,
  chat,
  creationBody,
  hasText,
  post,
} from '../support/bosh-session.js'
import type { Context } from '../support/conformance-context.js'
import { parseXml } from '../support/xml-tree.js'
import { pair } from './exchange.js'
import { type Case, test } from './suite.js'

/** Answered at once, a time or two. */
const failing = authElement('NO-SUCH-MECHANISM', '')
const origin = 'https://chat.example'

function assertCreated(answer: Answer): void {
  assertGood(answer)
  assert.ok(answer.root.attributes.sid !== undefined, answer.text)
}

function normal(contentType: string | undefined): string {
  return (contentType ?? '').toLowerCase().replaceAll(' ', '').replaceAll('"', '')
}

/** The creation request with other framing of its bytes. */
function decoded(answer: Answer): string {
  const encoding = answer.headers['content-encoding']
  if (encoding === undefined || encoding === 'identity') return answer.text
  if (encoding === 'gzip' || encoding === 'x-gzip') return gunzipSync(answer.body).toString()
  if (encoding === 'deflate') return inflateSync(answer.body).toString()
  return assert.fail(`content-encoding ${encoding}`)
}

/** A session that announced which encodings it takes. */
async function accepting(c: Context, encoding: string): Promise<BoshSession> {
  const session = await BoshSession.open(c)
  const accept = (session.created.root?.attributes.accept ?? '').split(',').map((name) => name.trim())
  if (!accept.includes(encoding)) c.skip(`accept does not have ${encoding}`)
  return session
}

export const httpBodies: readonly Case[] = [
  test('Fetch §3.2', 'a preflight is granted', async (c) => {
    const answer = await post(c, '', {
      method: 'OPTIONS',
      headers: {
        origin,
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'content-type',
        'content-type': null,
        'content-length': null,
      },
    })
    assert.ok(answer.status === 200 || answer.status === 204, `status ${answer.status}`)
    const allow = (name: string) => (answer.headers[`access-control-allow-${name}`] ?? '').toLowerCase()
    assert.ok(['*', origin].includes(allow('origin')), `allow-origin ${allow('origin')}`)
    assert.match(allow('methods'), /post|\*/)
    assert.match(allow('headers'), /content-type|\*/)
  }),
  test('Fetch §3.2', 'OPTIONS without Origin is no error', async (c) => {
    const { status } = await post(c, '', { method: 'OPTIONS', headers: { 'content-type': null, 'content-length': null } })
    assert.ok(status < 500)
  }),
  test('Fetch §3.2', 'answers may be read from another origin', async (c) => {
    const answer = await post(c, creationBody(c), { headers: { origin } })
    assertCreated(answer)
    assert.ok(['*', origin].includes(answer.headers['access-control-allow-origin'] ?? ''))
  }),
  test('Fetch §3.2', 'errors may be read from another origin', async (c) => {
    for (const body of ['<broken', bodyElement({ sid: 'unknown', rid: 1 }), creationBody(c, { to: 'unknown.invalid' })]) {
      const answer = await post(c, body, { headers: { origin } })
      assert.ok(['*', origin].includes(answer.headers['access-control-allow-origin'] ?? ''), `${answer.status} ${answer.text}`)
    }
  }),
  test('Fetch §3.2.5', 'held and resent answers may be read from another origin', async (c) => {
    const session = await BoshSession.open(c, { wait: 1 })
    for (const answer of [
      await session.send('', {}, { headers: { origin } }),
      await session.sendAt(session.rid, '', {}, { headers: { origin } }),
    ]) {
      assert.ok(['*', origin].includes(answer.headers['access-control-allow-origin'] ?? ''))
    }
  }),
  test(
    'Fetch §3.2.5',
    'with credentials: the origin echoed, and Allow-Credentials (what strophe.js with withCredentials needs)',
    async (c) => {
      const answer = await post(c, creationBody(c), { headers: { origin, cookie: 'session=1' } })
      assertCreated(answer)
      assert.equal(answer.headers['access-control-allow-origin'], origin)
      assert.equal(answer.headers['access-control-allow-credentials'], 'true')
    },
  ),
  test('Fetch §3.2', 'an allowed origin that is echoed is named in Vary', async (c) => {
    const answer = await post(c, creationBody(c), { headers: { origin } })
    if (answer.headers['access-control-allow-origin'] === '*') return
    assert.match(answer.headers.vary ?? '', /origin/i)
  }),
  test('XEP-0124 §6', 'answers are compressed only if the request offers it', async (c) => {
    for (const accept of [null, 'identity', 'gzip;q=0', 'br;q=0, gzip;q=0.0', 'x-unknown']) {
      const answer = await post(c, creationBody(c), { headers: { 'accept-encoding': accept } })
      assertCreated(answer)
      assert.ok([undefined, 'identity'].includes(answer.headers['content-encoding']), `accept-encoding ${accept}`)
    }
  }),
  test('XEP-0124 §6', 'what is offered as gzip is gzip', async (c) => {
    const { session, contact } = await pair(c)
    await contact.roundTrip(chat(session.jid, 'gzip '.repeat(4000)))
    await c.pause(100)
    for (const accept of ['gzip', 'gzip, deflate', 'deflate, gzip;q=0.5', 'gzip;q=1.0, identity; q=0.5, *;q=0']) {
      const answer = await session.send(failing.replace(/.*/, ''), { pause: null }, { headers: { 'accept-encoding': accept } })
      const encoding = answer.headers['content-encoding']
      assert.ok(encoding === undefined || accept.includes(encoding), `${encoding} for ${accept}`)
      const text = decoded(answer)
      assert.equal(parseXml(text).local, 'body')
      if (text.includes('gzip gzip')) break
    }
  }),
  test('XEP-0124 §7.2', 'a request may be gzip where accept says so', async (c) => {
    const session = await accepting(c, 'gzip')
    session.rid++
    const answer = await post(c, gzipSync(session.body(session.rid, failing)), { headers: { 'content-encoding': 'gzip' } })
    assertGood(answer)
    assert.match(answer.text, /failure/)
  }),
  test('XEP-0124 §7.2', 'a request may be deflate where accept says so', async (c) => {
    const session = await accepting(c, 'deflate')
    session.rid++
    const answer = await post(c, deflateSync(session.body(session.rid, failing)), { headers: { 'content-encoding': 'deflate' } })
    assertGood(answer)
    assert.match(answer.text, /failure/)
  }),
  test('XEP-0124 §7.2, RFC 7231 §6.5.13', 'a request in an encoding that is not accepted: 415 or bad-request', async (c) => {
    const answer = await post(c, gzipSync(creationBody(c)), { headers: { 'content-encoding': 'x-unheard-of' } })
    if (answer.status !== 415) assertUnparsable(answer)
  }),
  test('XEP-0124 §7.2', 'a request that says gzip and is not: refused', async (c) => {
    const answer = await post(c, creationBody(c), { headers: { 'content-encoding': 'gzip' } })
    if (answer.status !== 415) assertUnparsable(answer)
  }),
  test('XEP-0124 §7.2', 'a gzip bomb: refused, the server lives', async (c) => {
    const answer = await post(c, gzipSync(creationBody(c).replace('></body>', `><x>${'0'.repeat(50_000_000)}</x></body>`)), {
      headers: { 'content-encoding': 'gzip' },
    })
    if (![413, 415].includes(answer.status)) assertUnparsable(answer)
    assertCreated(await post(c, creationBody(c)))
  }),
  test('XEP-0124 §3', 'errors are XML in a body element, not HTML', async (c) => {
    const answer = await post(c, creationBody(c, { rid: null }))
    assert.match(normal(answer.headers['content-type']), /^text\/xml/)
    assertTerminated(answer, 'bad-request')
    const unknown = await post(c, bodyElement({ sid: 'unknown', rid: 1 }))
    assert.match(normal(unknown.headers['content-type']), /^text\/xml/)
  }),
  test('XEP-0124 §8', 'large answers come whole', async (c) => {
    const { session, contact } = await pair(c)
    const text = 'lorem ipsum '.repeat(3000)
    await contact.roundTrip(...Array.from({ length: 5 }, (_, i) => chat(session.jid, `${i}${text}`)))
    await session.until(hasText(`4${text}`))
  }),
]
