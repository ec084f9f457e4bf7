// XEP-0124 §5, RFC 6120 §11: what may be in a <body/> and what not. Nothing here may crash, hang or be half processed.

import assert from 'node:assert/strict'
import {
  type Answer,
  assertAlive,
  assertBody,
  assertGood,
  assertTerminated,
  assertUnparsable,
  authElement,
  BoshSession,
  bodyElement,
  chat,
  creationBody,
  PROMPT_MS,
  pingIq,
  post,
} from '../support/bosh-session.js'
import type { Context } from '../support/conformance-context.js'
import { childText, ns } from '../support/xml-tree.js'
import { assertTexts, pair } from './exchange.js'
import { type Case, test } from './suite.js'

const failing = authElement('NO-SUCH-MECHANISM', '')

/** A creation request whose text was changed. */
function changed(c: Context, change: (body: string) => string | Uint8Array): Promise<Answer> {
  return post(c, change(creationBody(c)))
}

const refusedCreation =
  (change: (body: string) => string | Uint8Array): Case['run'] =>
  async (c) => {
    const answer = await changed(c, change)
    assertRefused(answer)
    // The server is still there.
    assertGood(await post(c, creationBody(c)))
  }

/** Too large may have a status of its own. */
function assertRefused(answer: Answer): void {
  assert.ok(answer.ms < PROMPT_MS * 2)
  if (answer.status === 413) return
  assertUnparsable(answer)
}

/** The well-formed but forbidden: bad-request, an XMPP stream error (restricted-xml) counts too where it is about stanzas. */
function assertForbidden(answer: Answer): void {
  if (answer.status === 400) return
  assertTerminated(answer, 'bad-request', 'remote-stream-error')
}

/** Payload of a bound session that must not be processed. */
const forbiddenPayload =
  (payload: string): Case['run'] =>
  async (c) => {
    const { session, contact } = await pair(c)
    const answer = await session.send(payload.replaceAll('CONTACT', contact.jid))
    assertForbidden(answer)
    await assertTexts(contact, [])
  }

const message = (inner: string) => `<message xmlns='jabber:client' type='chat' to='CONTACT'>${inner}</message>`

const acceptedCreation =
  (change: (body: string) => string | Uint8Array): Case['run'] =>
  async (c) => {
    const answer = await changed(c, change)
    assertGood(answer)
    assert.ok(answer.root.attributes.sid !== undefined, answer.text)
  }

const laughs = `<!DOCTYPE b [<!ENTITY a "ha">${Array.from({ length: 12 }, (_, i) => `<!ENTITY ${String.fromCharCode(98 + i)} "${`&${String.fromCharCode(97 + i)};`.repeat(10)}">`).join('')}]>`

export const xml: readonly Case[] = [
  test(
    'XEP-0124 §5',
    'no XML at all: refused',
    refusedCreation(() => 'hello'),
  ),
  test(
    'XEP-0124 §5',
    'an empty request body: refused',
    refusedCreation(() => ''),
  ),
  test(
    'XEP-0124 §5',
    'JSON: refused',
    refusedCreation(() => '{"body":{}}'),
  ),
  test(
    'XEP-0124 §5',
    'a body that does not end: refused',
    refusedCreation((body) => body.replace('</body>', '')),
  ),
  test(
    'XEP-0124 §5',
    'half a tag: refused',
    refusedCreation((body) => body.slice(0, 60)),
  ),
  test(
    'XEP-0124 §5',
    'crossed tags: refused',
    refusedCreation((body) => body.replace('></body>', '><a><b></a></b></body>')),
  ),
  test(
    'XEP-0124 §5',
    'two root elements: refused',
    refusedCreation((body) => `${body}${body}`),
  ),
  test(
    'XEP-0124 §5',
    'text behind the root element: refused',
    refusedCreation((body) => `${body}tail`),
  ),
  test(
    'XEP-0124 §5',
    'a DTD: refused',
    refusedCreation((body) => `<!DOCTYPE body>${body}`),
  ),
  test(
    'XEP-0124 §5',
    'a DTD with an internal subset: refused',
    refusedCreation((body) => `<!DOCTYPE body [<!ENTITY e "x">]>${body}`),
  ),
  test(
    'XEP-0124 §5',
    'a DTD with an external entity: refused',
    refusedCreation((body) => `<!DOCTYPE body [<!ENTITY e SYSTEM "file:///etc/passwd">]>${body.replace('></body>', '>&e;</body>')}`),
  ),
  test(
    'XEP-0124 §5',
    'a billion laughs: refused at once',
    refusedCreation((body) => `${laughs}${body.replace('></body>', '><x>&m;</x></body>')}`),
  ),
  test(
    'XEP-0124 §5',
    'an unknown entity: refused',
    refusedCreation((body) => body.replace('></body>', '><x>&nbsp;</x></body>')),
  ),
  test(
    'XML 1.0 §3.1',
    'an attribute twice: refused',
    refusedCreation((body) => body.replace(' rid=', " hold='1' rid=")),
  ),
  test(
    'XML 1.0 §2.2',
    'a control character: refused',
    refusedCreation((body) => body.replace('></body>', '><x>\u0001</x></body>')),
  ),
  test(
    'XML 1.0 §2.2',
    'a reference to character 0: refused',
    refusedCreation((body) => body.replace('></body>', '><x>&#0;</x></body>')),
  ),
  test(
    'XML 1.0 §4.3.3',
    'bytes that are not UTF-8: refused',
    refusedCreation((body) =>
      Buffer.concat([
        Buffer.from(body.slice(0, -7)),
        Buffer.from([0x3c, 0x78, 0x3e, 0xff, 0xfe, 0x3c, 0x2f, 0x78, 0x3e]),
        Buffer.from('</body>'),
      ]),
    ),
  ),
  test(
    'XML Namespaces §5',
    'an undeclared prefix: refused',
    refusedCreation((body) => body.replace('></body>', '><u:x/></body>')),
  ),
  test(
    'XEP-0124 §5',
    'nesting 100,000 deep: refused at once',
    refusedCreation((body) => body.replace('></body>', `>${'<a>'.repeat(100_000)}${'</a>'.repeat(100_000)}</body>`)),
  ),
  test('XEP-0124 §5', '50,000 attributes: refused or ignored at once', async (c) => {
    const many = Array.from({ length: 50_000 }, (_, i) => ` a${i}='v'`).join('')
    const answer = await changed(c, (body) => body.replace(' rid=', `${many} rid=`))
    assert.ok(answer.ms < 2 * PROMPT_MS)
    if (answer.status !== 413 && answer.root?.attributes.sid === undefined) assertUnparsable(answer)
  }),
  test('XEP-0124 §19', 'a body of 20 MB: refused', async (c) => {
    const answer = await changed(c, (body) => body.replace('></body>', `><x>${'0123456789'.repeat(2_000_000)}</x></body>`)).catch(
      () => undefined,
    )
    // Closing the connection before all has come is an answer too.
    if (answer !== undefined) assertRefused(answer)
    assertGood(await post(c, creationBody(c)))
  }),
  test('XEP-0124 §5', 'a comment before the root: refused', async (c) =>
    assertForbiddenOrOpen(await changed(c, (body) => `<!-- c -->${body}`)),
  ),
  test('XEP-0124 §5', 'character data in the wrapper: bad-request', async (c) => {
    const session = await BoshSession.open(c)
    assertForbidden(await session.send(`text${failing}`))
  }),
  test('XEP-0124 §5', 'a CDATA section in the wrapper: bad-request', async (c) => {
    const session = await BoshSession.open(c)
    assertForbidden(await session.send(`<![CDATA[text]]>${failing}`))
  }),
  test('XEP-0124 §5', 'a comment between payloads: bad-request', forbiddenPayload(`<!-- c -->${message('<body>x</body>')}`)),
  test('XEP-0124 §5, RFC 6120 §11.1', 'a comment inside a stanza: refused', forbiddenPayload(message('<!-- c --><body>x</body>'))),
  test(
    'XEP-0124 §5',
    'a processing instruction between payloads: bad-request',
    forbiddenPayload(`<?pi data?>${message('<body>x</body>')}`),
  ),
  test(
    'XEP-0124 §5, RFC 6120 §11.1',
    'a processing instruction inside a stanza: refused',
    forbiddenPayload(message('<?pi data?><body>x</body>')),
  ),
  test('XEP-0124 §5', 'a stanza before a syntax error is not processed', forbiddenPayload(`${message('<body>x</body>')}<unclosed>`)),
  test('XEP-0124 §5', 'a stanza before an undeclared prefix is not processed', forbiddenPayload(`${message('<body>x</body>')}<u:x/>`)),
  test('XML Namespaces §3', 'binding the prefix xmlns or the wrong one to xml: refused', async (c) => {
    for (const declaration of [" xmlns:xmlns='urn:x'", " xmlns:xml='urn:x'", " xmlns:e=''"]) {
      assertUnparsable(await changed(c, (body) => body.replace(' rid=', `${declaration} rid=`)))
    }
  }),
  test(
    'XML 1.0 §2.8',
    'an XML declaration',
    acceptedCreation((body) => `<?xml version='1.0' encoding='UTF-8'?>${body}`),
  ),
  test(
    'XML 1.0 §2.8',
    'an XML declaration and a line end',
    acceptedCreation((body) => `<?xml version="1.0"?>\n${body}\n`),
  ),
  test(
    'XML 1.0 §2.8',
    'white space around the root',
    acceptedCreation((body) => `\n  ${body}  \n`.replace(/^\s+/, '')),
  ),
  test('XML 1.0 §4.3.3', 'a byte order mark', async (c) => {
    const answer = await changed(c, (body) => `\uFEFF${body}`)
    if (answer.root?.attributes.sid === undefined) assertUnparsable(answer)
  }),
  test('XML 1.0 §3.1', 'double quotes, white space in tags and attributes in any order', async (c) => {
    const { domain } = c.target
    const text = `<body\n  hold="1"\twait="5"\r\n to="${domain}" ver='1.6' xmpp:version="1.0"\n xml:lang="en" rid="4711" xmlns:xmpp="${ns.xbosh}" xmlns="${ns.httpbind}"\n></body >`
    const answer = await post(c, text)
    assertGood(answer)
    assert.ok(answer.root.attributes.sid !== undefined)
  }),
  test(
    'XML 1.0 §4.1',
    'character references in attribute values',
    acceptedCreation((body) => body.replace("hold='1'", "hold='&#49;'")),
  ),
  test('XEP-0124 §5', 'predefined entities and character references in stanzas', async (c) => {
    const { session, contact } = await pair(c)
    await session.roundTrip(message('<body>&lt;&gt;&amp;&quot;&apos;&#x41;&#66;</body>').replace('CONTACT', contact.jid))
    assert.equal(childText(await contact.until(({ local }) => local === 'message'), 'body'), '<>&"\'AB')
  }),
  test('XEP-0124 §5', 'payloads in namespaces of any kind do not break the wrapper', async (c) => {
    const session = await BoshSession.open(c, { wait: 1 })
    const answer = await session.send("<json xmlns='http://json.org/'>{}</json>")
    assertBody(answer)
  }),
  test('XEP-0124 §17.2', 'a syntax error in a session hurts no other session', async (c) => {
    const [victim, other] = [await BoshSession.open(c), await BoshSession.ready(c)]
    assertUnparsable(await post(c, bodyElement({ sid: victim.sid, rid: victim.rid + 1 }, '<broken>')))
    await assertAlive(other)
  }),
  test('RFC 6120 §8.1', 'a stanza nested 200 deep is carried or refused, never swallowed', async (c) => {
    const { session, contact } = await pair(c)
    const deep = `${'<a xmlns="urn:deep">'.repeat(200)}${'</a>'.repeat(200)}`
    const answer = await session.send(`${message(`<body>deep</body>${deep}`).replace('CONTACT', contact.jid)}${pingIq('behind')}`)
    assert.equal(answer.status, 200)
    if (answer.root?.attributes.type === undefined) await assertTexts(contact, ['deep'])
  }),
  test('RFC 6120 §13.12', 'a stanza of 900,000 characters is carried or refused, never swallowed', async (c) => {
    const { session, contact } = await pair(c)
    const answer = await session.send(`${chat(contact.jid, 'y'.repeat(900_000))}${pingIq('behind')}`)
    assert.ok(answer.status === 200 || answer.status === 413, `status ${answer.status}`)
    if (answer.root?.children.some(({ local, attributes }) => local === 'message' && attributes.type === 'error')) return
    if (answer.status === 200 && answer.root?.attributes.type === undefined) {
      assert.equal(childText(await contact.until(({ local }) => local === 'message'), 'body').length, 900_000)
    }
  }),
  test('XEP-0124 §5', 'a message with an element named body in another namespace is no wrapper', async (c) => {
    const { session, contact } = await pair(c)
    await session.roundTrip(chat(contact.jid, `<body xmlns='${ns.httpbind}' type='terminate'/>`))
    await session.roundTrip('')
  }),
]

function assertForbiddenOrOpen(answer: Answer): void {
  // §5 is about the content of the wrapper; a comment before it is only bad manners.
  if (answer.root?.attributes.sid === undefined) assertForbidden(answer)
}
