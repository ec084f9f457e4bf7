// XMPP streams before their session: from the header to the bound resource, with each request answered by another worker.

import t, { type Test } from 'tap'
import type { Bus } from '../../bus/bus.js'
import { DEFAULT_STREAM_LIMITS, type Streams, type StreamsOptions } from '../../c2s/xmpp/streams.js'
import { Accounts } from '../../gateway/accounts.js'
import { v1 } from '../../proto/messages.js'
import { Element, type Node, STREAMS_NS } from '../../proto/xml/element.js'
import { BIND_NS, CLIENT_NS, CSI_NS, SASL_NS, SESSION_NS, SM_NS, STANZA_ERRORS_NS } from '../../proto/xml/namespaces.js'
import { parseXml } from '../../proto/xml/parse.js'
import { World } from '../support/c2s-world.js'
import { Random } from '../support/random.js'
import {
  addAccount,
  auth,
  conditionOf,
  DOMAIN,
  type Heard,
  makeStreams,
  plain,
  response,
  ScramClient,
  StreamClient,
  sasl,
  textOf,
} from '../support/xmpp-login.js'

interface Bench {
  readonly bus: Bus
  readonly workers: readonly Streams[]
  /** Of a client that has just come. */
  client(): StreamClient
  /** Of one that has authenticated as alice and restarted the stream. */
  loggedIn(): Promise<StreamClient>
}

async function bench(t: Test, options: Partial<StreamsOptions> = {}): Promise<Bench> {
  const world = await World.open(t)
  const bus = world.bus()
  const workers = [await makeStreams(world.bus(), options), await makeStreams(world.bus(), options)]
  await addAccount(await bus.bucket('accounts'), 'alice', 'secret')
  const client = (): StreamClient => new StreamClient(...workers)
  return {
    bus,
    workers,
    client,
    async loggedIn() {
      const own = client()
      await own.open()
      await own.send(plain('alice', 'secret'))
      await own.open()
      return own
    },
  }
}

function iq(children: readonly Node[], attributes: Record<string, string> = {}): Element {
  return new Element(CLIENT_NS, 'iq', { type: 'set', id: 'b1', ...attributes }, children)
}

/** `resource` undefined: the server may choose. */
function bindRequest(resource?: string, attributes: Record<string, string> = {}): Element {
  const children = resource === undefined ? [] : [new Element(BIND_NS, 'resource', {}, [resource])]
  return iq([new Element(BIND_NS, 'bind', {}, children)], attributes)
}

function featuresOf({ elements }: Heard): string[] {
  const [features] = elements
  return features?.is('features', STREAMS_NS) ? features.elements.map(({ ns, name }) => `${name} ${ns}`) : []
}

function stanzaError({ elements }: Heard): string {
  return elements[0]?.child('error', CLIENT_NS)?.childOf(STANZA_ERRORS_NS)?.name ?? ''
}

t.test('from the header to the resource by SCRAM, each step at another worker', async (t) => {
  const { client } = await bench(t)
  for (const mechanism of ['SCRAM-SHA-256', 'SCRAM-SHA-1']) {
    const own = client()
    const opened = await own.open()
    t.same(featuresOf(opened), [`mechanisms ${SASL_NS}`])
    const mechanisms = opened.elements[0]?.child('mechanisms', SASL_NS)?.elements.map(({ text }) => text)
    t.same(mechanisms, ['SCRAM-SHA-256', 'SCRAM-SHA-1', 'PLAIN'])
    t.equal(opened.reply.user, '')

    const scram = new ScramClient(mechanism, 'alice', 'secret')
    const challenged = await own.send(auth(mechanism, scram.first))
    t.ok(challenged.elements[0]?.is('challenge', SASL_NS))
    t.equal(challenged.reply.user, '')
    const authenticated = await own.send(response(scram.final(textOf(challenged.elements[0]))))
    t.ok(authenticated.elements[0]?.is('success', SASL_NS))
    t.ok(scram.accepts(textOf(authenticated.elements[0])), 'the server knows the password too')
    t.equal(authenticated.reply.user, 'alice')

    const restarted = await own.open()
    t.same(featuresOf(restarted), [`bind ${BIND_NS}`, `session ${SESSION_NS}`, `csi ${CSI_NS}`])
    t.ok(restarted.elements[0]?.child('session', SESSION_NS)?.child('optional', SESSION_NS))
    t.equal(restarted.reply.user, 'alice')

    const { reply, elements } = await own.send(bindRequest('home'))
    t.equal(reply.user, 'alice')
    t.same(elements, [])
    t.match(reply.bound, { resource: 'home', generated: false, anyTopic: true, topics: [], expires: 0 })
    t.equal(
      parseXml(reply.bound?.result ?? '').toString(),
      `<iq xmlns='jabber:client' type='result' id='b1'><bind xmlns='${BIND_NS}'><jid>alice@${DOMAIN}/home</jid></bind></iq>`,
    )
    const failure = parseXml(reply.bound?.failure ?? '')
    t.match(Object.fromEntries(failure.attributes), { type: 'error', id: 'b1' })
    t.ok(failure.child('error', CLIENT_NS)?.child('resource-constraint', STANZA_ERRORS_NS))
  }
})

t.test('an account as the API makes it', async (t) => {
  const { bus, client } = await bench(t)
  t.equal(await new Accounts(await bus.bucket('accounts')).put('bob@example.com', 'pass wörd'), undefined)
  const own = client()
  await own.open()
  const scram = new ScramClient('SCRAM-SHA-256', 'bob@example.com', 'pass wörd')
  const { elements } = await own.send(auth('SCRAM-SHA-256', scram.first))
  const { reply } = await own.send(response(scram.final(textOf(elements[0]))))
  t.equal(reply.user, 'bob@example.com')
  await own.open()
  const { reply: bound } = await own.send(bindRequest('x'))
  const jid = parseXml(bound.bound?.result ?? '')
    .child('bind', BIND_NS)
    ?.child('jid', BIND_NS)?.text
  t.equal(jid, `bob\\40example.com@${DOMAIN}/x`, 'XEP-0106')
  const other = client()
  await other.open()
  t.equal((await other.send(plain('bob@example.com', 'pass wörd'))).reply.user, 'bob@example.com')
})

t.test('features depend on the wire and on what the server can check', async (t) => {
  const verifyToken: StreamsOptions['verifyToken'] = async () => ({ refused: 'invalid', reason: 'no' })
  const { client } = await bench(t, { verifyToken, anonymous: true })
  const own = client()
  const { elements } = await own.open({ to: DOMAIN, transport: 'xmpp-websocket' })
  const mechanisms = elements[0]?.child('mechanisms', SASL_NS)?.elements.map(({ text }) => text)
  t.same(mechanisms, ['SCRAM-SHA-256', 'SCRAM-SHA-1', 'PLAIN', 'OAUTHBEARER', 'ANONYMOUS'])
  t.match((await own.send(auth('ANONYMOUS'))).reply.user, /^anon-/)
  const restarted = await own.open({ to: DOMAIN, transport: 'xmpp-websocket' })
  t.same(featuresOf(restarted), [`bind ${BIND_NS}`, `session ${SESSION_NS}`, `sm ${SM_NS}`, `csi ${CSI_NS}`])
})

t.test('the domain of the header', async (t) => {
  const { client, loggedIn } = await bench(t)
  for (const to of [DOMAIN, DOMAIN.toUpperCase(), `${DOMAIN}.`, '']) {
    t.equal((await client().open({ to, transport: 'bosh' })).reply.streamError, '', to)
  }
  for (const to of ['elsewhere.example', `x.${DOMAIN}`, `alice@${DOMAIN}`, `${DOMAIN}/x`, '@', ' ', '<']) {
    const { reply, elements } = await client().open({ to, transport: 'bosh' })
    t.equal(reply.streamError, 'host-unknown', to)
    t.same(elements, [])
  }
  t.equal((await (await loggedIn()).open({ to: 'elsewhere.example' })).reply.streamError, 'host-unknown', 'at a restart too')
})

t.test('what may not be said yet ends the stream', async (t) => {
  const { client, loggedIn } = await bench(t)
  const message = new Element(CLIENT_NS, 'message', { to: `bob@${DOMAIN}` })
  const others = [
    message,
    new Element(CLIENT_NS, 'presence'),
    iq([new Element('jabber:iq:roster', 'query')], { type: 'get' }),
    iq([new Element(SESSION_NS, 'session')]),
    new Element('urn:ietf:params:xml:ns:xmpp-tls', 'starttls'),
  ]
  for (const element of [...others, bindRequest('home')]) {
    const own = client()
    await own.open()
    t.equal((await own.send(element)).reply.streamError, 'not-authorized', 'before authentication')
    const waiting = client()
    await waiting.open()
    await waiting.send(plain('alice', 'secret'))
    const { reply } = await waiting.send(element)
    t.equal(reply.streamError, 'not-authorized', 'before the restart')
    t.equal(reply.bound, null)
  }
  t.equal((await client().send(plain('alice', 'secret'))).reply.streamError, 'bad-format', 'before the header')

  for (const [element, streamError] of [
    [message, 'not-authorized'],
    [new Element(CLIENT_NS, 'presence'), 'not-authorized'],
    [iq([new Element(SESSION_NS, 'session')]), 'not-authorized'],
    [iq([new Element(BIND_NS, 'bind')], { type: 'result' }), 'not-authorized'],
    [new Element('jabber:server', 'message'), 'invalid-namespace'],
    [plain('alice', 'secret'), 'unsupported-stanza-type'],
    [new Element(CLIENT_NS, 'bind'), 'unsupported-stanza-type'],
    [new Element(CSI_NS, 'inactive'), ''],
  ] as const) {
    const own = await loggedIn()
    const { reply } = await own.send(element)
    t.equal(reply.streamError, streamError, `before binding: ${element.toString()}`)
    t.equal(reply.bound, null)
  }
  const own = await loggedIn()
  const failed = (await own.send(new Element(SM_NS, 'enable'))).elements[0]
  t.ok(failed?.is('failed', SM_NS) && failed.child('unexpected-request', STANZA_ERRORS_NS))
  t.equal((await own.send(bindRequest('home'))).reply.bound?.resource, 'home', 'the stream goes on')
})

t.test('resources: as asked for, or made up', async (t) => {
  const { loggedIn } = await bench(t)
  for (const resource of ['home', 'ü 漢 / @ "<', 'x'.repeat(1023), 'é'.repeat(511)]) {
    const { bound } = (await (await loggedIn()).send(bindRequest(resource))).reply
    t.match(bound, { resource, generated: false })
    t.equal(
      parseXml(bound?.result ?? '')
        .child('bind', BIND_NS)
        ?.child('jid', BIND_NS)?.text,
      `alice@${DOMAIN}/${resource}`,
    )
  }
  const made = new Set<string>()
  for (const request of [bindRequest(), bindRequest(''), bindRequest('holdwire'), bindRequest(undefined, { to: DOMAIN })]) {
    const { bound } = (await (await loggedIn()).send(request)).reply
    t.equal(bound?.generated, true)
    t.match(bound?.resource, /^[\w-]{12}$/)
    made.add(bound?.resource ?? '')
  }
  t.equal(made.size, 4)
  for (const wrong of [
    bindRequest('x'.repeat(1024)),
    bindRequest('é'.repeat(512)),
    bindRequest('a\nb'),
    bindRequest('a\u0085b'),
    bindRequest('home', { type: 'get' }),
    bindRequest('home', { id: '' }),
    iq([new Element(BIND_NS, 'bind'), new Element(BIND_NS, 'bind')]),
    iq([new Element(BIND_NS, 'bind', {}, [new Element(BIND_NS, 'resource'), new Element(BIND_NS, 'resource')])]),
    iq([new Element(BIND_NS, 'bind', {}, [new Element('other', 'resource')])]),
    iq([new Element(BIND_NS, 'bind', {}, [new Element(BIND_NS, 'resource', {}, [new Element('x', 'y')])])]),
  ]) {
    const own = await loggedIn()
    const answer = await own.send(wrong)
    t.equal(stanzaError(answer), 'bad-request', wrong.toString().slice(0, 120))
    t.equal(answer.reply.bound, null)
    t.equal((await own.send(bindRequest('home'))).reply.bound?.resource, 'home', 'the stream goes on')
  }
  t.equal(stanzaError(await (await loggedIn()).send(bindRequest('home', { to: `bob@${DOMAIN}` }))), 'not-allowed')
  t.equal((await (await loggedIn()).send(bindRequest('home', { to: `alice@${DOMAIN}` }))).reply.bound?.resource, 'home')
})

t.test('a stream ends after some failures, counted over workers and restarts', async (t) => {
  const { client } = await bench(t, { limits: { ...DEFAULT_STREAM_LIMITS, failuresPerStream: 3 } })
  const own = client()
  await own.open()
  const first = await own.send(plain('alice', 'wrong'))
  t.equal(conditionOf(first), 'not-authorized')
  t.equal(first.reply.streamError, '')
  for (let i = 0; i < 5; i++) t.equal(conditionOf(await own.send(sasl('abort'))), 'aborted', 'not counted')
  await own.open()
  t.equal(conditionOf(await own.send(auth('NONE'))), 'invalid-mechanism')
  const context = own.context
  const last = await own.send(plain('alice', 'wrong'))
  t.equal(conditionOf(last), 'not-authorized', 'the answer is still given')
  t.equal(last.reply.streamError, 'policy-violation')
  own.context = context
  t.equal((await own.send(plain('alice', 'secret'))).reply.user, 'alice', 'the third try may be right')
})

t.test('an exchange that was begun and left', async (t) => {
  const { client } = await bench(t)
  const scram = new ScramClient('SCRAM-SHA-256', 'alice', 'secret')
  const begun = async (): Promise<{ own: StreamClient; final: Element }> => {
    const own = client()
    await own.open()
    const { elements } = await own.send(auth('SCRAM-SHA-256', scram.first))
    return { own, final: response(scram.final(textOf(elements[0]))) }
  }
  const aborted = await begun()
  t.equal(conditionOf(await aborted.own.send(sasl('abort'))), 'aborted')
  t.equal(conditionOf(await aborted.own.send(aborted.final)), 'malformed-request')
  const restarted = await begun()
  await restarted.own.open()
  t.equal(conditionOf(await restarted.own.send(restarted.final)), 'malformed-request')
  const other = await begun()
  t.equal((await other.own.send(plain('alice', 'secret'))).reply.user, 'alice', 'another mechanism in the middle')
  const repeated = await begun()
  const context = repeated.own.context
  t.equal((await repeated.own.send(repeated.final)).reply.user, 'alice')
  repeated.own.context = context
  t.equal((await repeated.own.send(repeated.final)).reply.user, 'alice', 'a repetition, because the answer got lost')
})

t.test('what a token says goes with the resource', async (t) => {
  const verifyToken: StreamsOptions['verifyToken'] = async (token) =>
    token === 'a.b.c'
      ? { user: 'alice', topics: ['news.*', 'x'], expiresAtMs: 1_800_000_000_000 }
      : { user: 'alice', topics: undefined, expiresAtMs: Number.POSITIVE_INFINITY }
  const { client } = await bench(t, { verifyToken })
  for (const [token, expected] of [
    ['a.b.c', { topics: ['news.*', 'x'], anyTopic: false, expires: 1_800_000_000_000 }],
    ['d.e.f', { topics: [], anyTopic: true, expires: 0 }],
  ] as const) {
    for (const first of [plain('alice', token), auth('OAUTHBEARER', `n,,\x01auth=Bearer ${token}\x01\x01`)]) {
      const own = client()
      await own.open()
      t.equal((await own.send(first)).reply.user, 'alice')
      await own.open()
      t.match((await own.send(bindRequest('home'))).reply.bound, expected)
    }
  }
})

t.test('wrong requests', async (t) => {
  const errors: unknown[] = []
  const { workers } = await bench(t, { onError: (error) => errors.push(error) })
  const [worker] = workers
  const ask = async (request: v1.StreamRequest.$Properties): Promise<v1.StreamReply | undefined> => {
    const answer = await worker?.answer(v1.StreamRequest.encode(request).finish())
    return answer === undefined ? undefined : v1.StreamReply.decode(answer)
  }
  t.equal((await ask({ context: Buffer.from('nonsense'), open: { to: DOMAIN } }))?.streamError, 'internal-server-error')
  t.equal(
    (await ask({ context: Buffer.from('{"kind":"unauthenticated","failures":0}'), element: Buffer.from('<a') }))?.streamError,
    'internal-server-error',
  )
  t.equal(errors.length, 2)
  await t.rejects(async () => worker?.answer(Buffer.from([0xff])))
})

t.test('20,000 elements of nonsense: each gets an answer', async (t) => {
  const seed = Number(process.env.SEED ?? Date.now() % 1_000_000)
  const random = new Random(seed)
  const errors: unknown[] = []
  const limits = { ...DEFAULT_STREAM_LIMITS, failuresPerUserAndIp: 1e9, failuresPerIp: 1e9 }
  const { client } = await bench(t, { anonymous: true, limits, onError: (error) => errors.push(error) })
  const spaces = [SASL_NS, CLIENT_NS, BIND_NS, SESSION_NS, SM_NS, CSI_NS, 'x']
  const names = ['auth', 'response', 'abort', 'iq', 'message', 'presence', 'bind', 'resource', 'enable', 'x']
  const texts = ['', '=', 'a', 'biws', 'bixuPWFsaWNlLHI9YWJj', 'biwsbj1hbGljZSxyPWFiYw==', 'AGFsaWNlAA==', 'é', 'x'.repeat(2000), '\u0085']
  const element = (depth: number): Element => {
    const attributes: Record<string, string> = {}
    if (random.chance(0.6)) attributes.mechanism = random.pick(['SCRAM-SHA-1', 'SCRAM-SHA-256', 'ANONYMOUS', 'x'])
    if (random.chance(0.6)) attributes.type = random.pick(['get', 'set', 'result', 'error', 'x'])
    if (random.chance(0.6)) attributes.id = random.pick(['', '1'])
    if (random.chance(0.1)) attributes.to = random.pick(['', DOMAIN, '@', `alice@${DOMAIN}`])
    const children = Array.from({ length: depth > 2 ? 0 : random.int(3) }, () =>
      random.chance(0.5) ? random.pick(texts) : element(depth + 1),
    )
    return new Element(random.pick(spaces), random.pick(names), attributes, children)
  }
  const steps = [() => auth('ANONYMOUS'), () => bindRequest(random.pick(texts))]
  const met = { success: 0, bound: 0, ended: 0 }
  let own = client()
  await own.open()
  for (let i = 0; i < 20_000; i++) {
    const { reply } = await (random.chance(0.25) ? own.open() : own.send(random.chance(0.2) ? random.pick(steps)() : element(0)))
    if (reply.user !== '' && !reply.user.startsWith('anon-')) t.fail(`seed ${seed}: ${reply.user} got in`)
    if (reply.user !== '') met.success++
    if (reply.bound != null) met.bound++
    if (reply.streamError !== '') met.ended++
    if (reply.streamError === 'internal-server-error') t.fail(`seed ${seed}: something broke at ${i}`)
    if (reply.streamError === '' && reply.bound == null) continue
    own = client()
    await own.open()
  }
  t.same(errors, [], `seed ${seed}`)
  t.ok(met.success > 200 && met.bound > 2 && met.ended > 2000, `seed ${seed}: all ends were met (${JSON.stringify(met)})`)
})
