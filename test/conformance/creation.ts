// XEP-0124 §7 and XEP-0206 §3-§4: the creation of a session.

import assert from 'node:assert/strict'
import {
  type Answer,
  type Attributes,
  assertBody,
  assertGood,
  assertTerminated,
  BoshSession,
  bodyElement,
  creationBody,
  firstRid,
  post,
} from '../support/bosh-session.js'
import type { Context } from '../support/conformance-context.js'
import { find, ns } from '../support/xml-tree.js'
import { type Case, test } from './suite.js'

async function create(c: Context, attributes: Attributes = {}): Promise<Answer> {
  return post(c, creationBody(c, attributes))
}

function attribute(answer: Answer, name: string): string | undefined {
  return answer.root?.attributes[name]
}

/** Rules that every good creation answer keeps to. */
function assertCreated(answer: Answer): void {
  assertGood(answer)
  assert.ok((attribute(answer, 'sid') ?? '') !== '', `§7.2: sid is a MUST: ${answer.text}`)
  for (const name of ['wait', 'requests']) assert.match(attribute(answer, name) ?? '', /^\d+$/, `§7.2: ${name} is a MUST`)
}

/** Refused as a bad request or put right by the server: both are sane where the text is silent, hanging or 5xx is not. */
function assertCreatedOr(answer: Answer, condition: string): void {
  if (attribute(answer, 'type') === 'terminate') assertTerminated(answer, condition)
  else assertCreated(answer)
}

const version: (asked: string, fits: (minor: number, major: number, given: string) => boolean) => Case['run'] =
  (asked, fits) => async (c) => {
    const answer = await create(c, { ver: asked })
    assertCreated(answer)
    const given = attribute(answer, 'ver') ?? ''
    const [major = '', minor = ''] = given.split('.')
    assert.ok(/^\d+\.\d+$/.test(given) && fits(Number(minor), Number(major), given), `ver='${asked}' was answered with ver='${given}'`)
  }

const badValue =
  (attributes: Attributes): Case['run'] =>
  async (c) =>
    assertTerminated(await create(c, attributes), 'bad-request')

export const creation: readonly Case[] = [
  test('XEP-0124 §7.2', 'sid, wait and requests are in the answer', async (c) => assertCreated(await create(c))),
  test('XEP-0124 §7.2', 'wait is not above the asked', async (c) => {
    for (const wait of [1, 7, 3600]) {
      const answer = await create(c, { wait })
      assertCreated(answer)
      assert.ok(Number(attribute(answer, 'wait')) <= wait, `asked ${wait}, got ${attribute(answer, 'wait')}`)
    }
  }),
  test('XEP-0124 §7.2', 'requests is above the asked hold', async (c) => {
    for (const hold of [0, 1, 2, 3]) {
      const answer = await create(c, { hold })
      assertCreated(answer)
      assert.ok(Number(attribute(answer, 'requests')) > hold, `asked hold ${hold}, requests ${attribute(answer, 'requests')}`)
    }
  }),
  test('XEP-0124 §7.2', 'hold is in the answer and not above the asked', async (c) => {
    for (const hold of [0, 1, 2, 200]) {
      const answer = await create(c, { hold })
      assertCreated(answer)
      assert.ok(Number(attribute(answer, 'hold') ?? Number.NaN) <= hold, `asked ${hold}, got ${attribute(answer, 'hold')}`)
      assert.ok(Number(attribute(answer, 'requests')) > Number(attribute(answer, 'hold')), 'requests > hold')
    }
  }),
  test('XEP-0124 §7.2', 'inactivity and polling are in the answer (SHOULD)', async (c) => {
    const answer = await create(c)
    assert.match(attribute(answer, 'inactivity') ?? '', /^[1-9]\d*$/)
    assert.match(attribute(answer, 'polling') ?? '', /^\d+$/)
  }),
  test('XEP-0124 §7.2', 'from is the domain (SHOULD)', async (c) => assert.equal(attribute(await create(c), 'from'), c.target.domain)),
  test(
    'XEP-0124 §7.2',
    'ver 1.6 is answered with 1.6',
    version('1.6', (_minor, _major, given) => given === '1.6'),
  ),
  test(
    'XEP-0124 §7.2',
    'ver 1.5, lower than the server’s, is answered with 1.5',
    version('1.5', (_minor, _major, given) => given === '1.5'),
  ),
  test(
    'XEP-0124 §7.1',
    'ver 1.10 is read as two integers',
    version('1.10', (minor, major) => major === 1 && minor >= 6 && minor <= 10),
  ),
  test(
    'XEP-0124 §7.2',
    'ver 1.100 gets the server’s own',
    version('1.100', (minor, major) => major === 1 && minor >= 6 && minor <= 11),
  ),
  test(
    'XEP-0124 §7.2',
    'ver 2.0 gets the server’s own',
    version('2.0', (minor, major) => major === 1 && minor >= 6 && minor <= 11),
  ),
  test('XEP-0124 §7.1', 'ver that is no version is refused or ignored', async (c) => {
    for (const ver of ['', 'abc', '1', '1.x']) assertCreatedOr(await create(c, { ver }), 'bad-request')
  }),
  test('XEP-0124 §7.1', 'without ver a session is opened all the same', async (c) => assertCreated(await create(c, { ver: null }))),
  test('XEP-0124 §7.2, §19.3', 'sids are unique, long and share no guessable part', async (c) => {
    const answers = await Promise.all(Array.from({ length: 12 }, () => create(c)))
    const sids = answers.map((answer) => attribute(answer, 'sid') ?? '')
    assert.equal(new Set(sids).size, sids.length)
    for (const sid of sids) {
      const differing = Math.min(
        ...sids.filter((other) => other !== sid).map((other) => [...sid].filter((char, i) => other[i] !== char).length),
      )
      assert.ok(differing >= 10, `${sid} has only ${differing} characters that differ from another sid`)
    }
  }),
  test('XEP-0124 §17.2', 'without to: improper-addressing, or the server needs none', async (c) => {
    assertCreatedOr(await create(c, { to: null }), 'improper-addressing')
    assertCreatedOr(await create(c, { to: '' }), 'improper-addressing')
  }),
  test('XEP-0124 §17.2', 'unknown domain: host-unknown', async (c) => {
    assertTerminated(await create(c, { to: 'unknown.invalid' }), 'host-unknown')
  }),
  test('XEP-0124 §17.2', 'unknown domain and no ver: host-unknown still is no HTTP error', async (c) => {
    assertTerminated(await create(c, { to: 'unknown.invalid', ver: null }), 'host-unknown')
  }),
  test('XEP-0124 §17.2', 'a to that is no domain: host-unknown or improper-addressing', async (c) => {
    for (const to of ['a@b@c', 'not a domain', `user@${c.target.domain}/r`]) {
      const answer = await create(c, { to })
      if (attribute(answer, 'type') === 'terminate') assertTerminated(answer, 'host-unknown', 'improper-addressing', 'bad-request')
      else assertCreated(answer)
    }
  }),
  test('RFC 6122 §2.2', 'domains are compared without case', async (c) => {
    assertCreated(await create(c, { to: c.target.domain.toUpperCase() }))
  }),
  test('XEP-0124 §7.1', 'without wait and hold the server chooses', async (c) => {
    assertCreated(await create(c, { wait: null }))
    assertCreated(await create(c, { hold: null }))
    assertCreated(await create(c, { wait: null, hold: null, 'xml:lang': null, 'xmpp:version': null }))
  }),
  test('XEP-0124 §17.2, §20', 'wait that is no number: bad-request', badValue({ wait: 'abc' })),
  test('XEP-0124 §17.2, §20', 'negative wait: bad-request', badValue({ wait: '-1' })),
  test('XEP-0124 §17.2, §20', 'hold that is no number: bad-request', badValue({ hold: 'abc' })),
  test('XEP-0124 §17.2, §20', 'negative hold: bad-request', badValue({ hold: '-1' })),
  test('XEP-0124 §7.2', 'enormous wait and hold are clamped or refused', async (c) => {
    assertCreatedOr(await create(c, { wait: '99999999999999999999' }), 'bad-request')
    assertCreatedOr(await create(c, { hold: '4294967297' }), 'bad-request')
    const answer = await create(c, { wait: 65_535 })
    assertCreated(answer)
  }),
  test('XEP-0124 §5', 'without rid: bad-request', badValue({ rid: null })),
  test('XEP-0124 §14.1', 'rid that is no number: bad-request', badValue({ rid: 'abc' })),
  test('XEP-0124 §14.1', 'negative rid: bad-request', badValue({ rid: '-5' })),
  test('XEP-0124 §14.1', 'rid 0 is no positive integer: bad-request', badValue({ rid: '0' })),
  test('XEP-0124 §14.1', 'fractional rid: bad-request', badValue({ rid: '12.5' })),
  test('XEP-0124 §14.1', 'empty rid: bad-request', badValue({ rid: '' })),
  test('XEP-0124 §14.1', 'rid above 2^53-1: bad-request', badValue({ rid: '9007199254740992' })),
  test('XEP-0124 §14.1', 'rid of a hundred digits: bad-request', badValue({ rid: '9'.repeat(100) })),
  test('XEP-0124 §7.1', 'the first request has no sid: with an unknown one item-not-found', async (c) => {
    assertTerminated(await create(c, { sid: 'no-such-session' }), 'item-not-found')
  }),
  test('XEP-0124 §7.1', 'equal rids of different creations open different sessions', async (c) => {
    const rid = firstRid()
    const [first, second] = [await create(c, { rid }), await create(c, { rid })]
    assertCreated(first)
    assertCreated(second)
    assert.notEqual(attribute(first, 'sid'), attribute(second, 'sid'))
  }),
  test('XEP-0124 §7.1', 'route, from, secure, content and unknown attributes do no harm', async (c) => {
    assertCreated(await create(c, { route: `xmpp:${c.target.domain}:5222` }))
    assertCreated(await create(c, { from: `user@${c.target.domain}` }))
    assertCreated(await create(c, { secure: 'true' }))
    assertCreated(await create(c, { unheard: 'of', 'xmlns:x': 'urn:x', 'x:y': 'z' }))
    assertCreated(await create(c, { charsets: 'ISO-8859-1', accept: 'gzip' }))
  }),
  test('XEP-0124 §7.1', 'xml:lang in any form', async (c) => {
    for (const lang of ['de-CH', 'zh-Hant-TW', '']) assertCreated(await create(c, { 'xml:lang': lang }))
  }),
  test('XEP-0206 §4', 'features come with the answer or with a later one, in the streams namespace, the prefix declared', async (c) => {
    const session = await BoshSession.open(c)
    const features = session.features()
    assert.ok(features !== undefined, 'features in the streams namespace')
    const mechanisms = find(features, 'mechanisms', ns.sasl)
    assert.ok(mechanisms !== undefined && mechanisms.children.length > 0, 'mechanisms')
    for (const mechanism of mechanisms.children)
      assert.deepEqual([mechanism.local, mechanism.prefix, mechanism.uri], ['mechanism', '', ns.sasl])
  }),
  test('XEP-0206 §2', 'a body with features declares xmlns:stream on itself (MUST)', async (c) => {
    const session = await BoshSession.create(c)
    const answer = find(session.created.root, 'features') === undefined ? await session.send() : session.created
    assert.equal(answer.root?.declared.stream, ns.streams, answer.text)
  }),
  test('XEP-0206 §4', 'xmpp:version is in the answer that has the features (SHOULD)', async (c) => {
    const session = await BoshSession.create(c)
    const answer = find(session.created.root, 'features') === undefined ? await session.send() : session.created
    assert.equal(answer.root?.attributes[`{${ns.xbosh}}version`], '1.0')
  }),
  test('XEP-0206 §4', 'xmpp:restartlogic is announced (MUST)', async (c) => {
    const { created } = await BoshSession.create(c)
    assert.match(created.root?.attributes[`{${ns.xbosh}}restartlogic`] ?? 'absent', /^(true|1)$/)
  }),
  test('XEP-0206 §4', 'STARTTLS and compression are not offered over HTTP', async (c) => {
    const features = (await BoshSession.open(c)).features()
    assert.equal(find(features, 'starttls'), undefined)
    assert.equal(find(features, 'compression'), undefined)
  }),
  test('XEP-0124 §7.2', 'creation attributes stay out of later answers (SHOULD NOT)', async (c) => {
    const session = await BoshSession.open(c, { wait: 1 })
    const answer = await session.send()
    assertGood(answer)
    const unwanted = ['sid', 'wait', 'requests', 'ver', 'polling', 'inactivity', 'hold', 'maxpause', 'accept', 'charsets']
    const seen = unwanted.filter((name) => attribute(answer, name) !== undefined)
    assert.deepEqual(seen, [])
  }),
  test('XML Namespaces', 'xmpp:version under any prefix', async (c) => {
    assertCreated(await create(c, { 'xmlns:xmpp': null, 'xmpp:version': null, 'xmlns:q': ns.xbosh, 'q:version': '1.0' }))
  }),
  test('XML Namespaces', 'a prefixed <b:body> in the right namespace opens a session', async (c) => {
    const { domain } = c.target
    const body = `<b:body xmlns:b='${ns.httpbind}' rid='${firstRid()}' to='${domain}' ver='1.6' wait='5' hold='1' xmlns:xmpp='${ns.xbosh}' xmpp:version='1.0'/>`
    assertCreated(await post(c, body))
  }),
  test('XEP-0124 §5', 'no namespace: refused', async (c) => {
    const answer = await create(c, { xmlns: null })
    if (answer.status !== 400) assertTerminated(answer, 'bad-request')
  }),
  test('XEP-0124 §5', 'another namespace: refused', async (c) => {
    const answer = await create(c, { xmlns: 'http://jabber.org/protocol/other' })
    if (answer.status !== 400) assertTerminated(answer, 'bad-request')
  }),
  test('XEP-0124 §5', 'a root that is no body: refused', async (c) => {
    const answer = await post(
      c,
      `<wrapper xmlns='${ns.httpbind}' rid='${firstRid()}' to='${c.target.domain}' ver='1.6' wait='5' hold='1'/>`,
    )
    if (answer.status !== 400) assertTerminated(answer, 'bad-request')
  }),
  test('XEP-0124 §14.1', 'a session may go up to rid 2^53-1 and numbers stay exact', async (c) => {
    const session = await BoshSession.create(c, { rid: Number.MAX_SAFE_INTEGER - 6, wait: 1 })
    await session.until(({ local }) => local === 'features')
    while (session.rid < Number.MAX_SAFE_INTEGER) assertGood(await session.send())
    const answer = await post(c, bodyElement({ rid: '9007199254740992', sid: session.sid }))
    assertBody(answer)
    assert.equal(answer.root.attributes.type, 'terminate')
  }),
]
