// SASL: each mechanism with the vectors of its RFC, everything a client can do wrong, the limits, and nonsense.

import t, { type Test } from 'tap'
import { type Bucket, type Bus, BusError } from '../../bus/bus.js'
import { Directory } from '../../c2s/xmpp/sasl/directory.js'
import { Failures } from '../../c2s/xmpp/sasl/failures.js'
import { type Identity, SaslFailure } from '../../c2s/xmpp/sasl/mechanism.js'
import { type Exchange, Mechanisms, type MechanismsOptions, type Outcome } from '../../c2s/xmpp/sasl/mechanisms.js'
import type { VerifiedToken } from '../../c2s/xmpp/sasl/tokens.js'
import { DEFAULT_STREAM_LIMITS, type StreamLimits } from '../../c2s/xmpp/streams.js'
import { v1 } from '../../proto/messages.js'
import { deriveKeys } from '../../proto/scram.js'
import { Element } from '../../proto/xml/element.js'
import { changed, World } from '../support/c2s-world.js'
import { ManualClock } from '../support/manual-clock.js'
import { Random } from '../support/random.js'
import { addAccount, auth, base64, DOMAIN, mechanismNamed, plain, response, ScramClient, sasl, textOf } from '../support/xmpp-login.js'

const IP = '192.0.2.1'
const TOKEN = 'aaa.bbb.ccc'

interface Bench {
  readonly bus: Bus
  readonly accounts: Bucket
  readonly clock: ManualClock
  readonly errors: unknown[]
  readonly mechanisms: Mechanisms
  /** Elements one after the other; the outcome of the last. */
  run(...elements: readonly Element[]): Promise<Outcome>
  /** A whole exchange of SCRAM: the user, or the condition of the failure. */
  scram(client: ScramClient, change?: (withoutProof: string) => string): Promise<string>
}

async function bench(t: Test, options: Partial<MechanismsOptions> = {}, limits: Partial<StreamLimits> = {}): Promise<Bench> {
  const world = await World.open(t)
  const bus = options.bus ?? world.bus()
  const accounts = await world.bus().bucket('accounts')
  const clock = new ManualClock()
  const errors: unknown[] = []
  const mechanisms = new Mechanisms({
    bus,
    accounts,
    domain: DOMAIN,
    dev: false,
    anonymous: false,
    verifyToken: undefined,
    clock,
    limits: { ...DEFAULT_STREAM_LIMITS, ...limits },
    random: (bytes) => new Random(7).bytes(bytes),
    onError: (error) => errors.push(error),
    ...options,
  })
  const run: Bench['run'] = async (...elements) => {
    let outcome: Outcome | undefined
    for (const element of elements) {
      const exchange: Exchange | undefined = outcome?.kind === 'challenge' ? outcome.exchange : undefined
      outcome = await mechanisms.run(element, exchange, IP)
    }
    if (outcome === undefined) throw new Error('nothing was run')
    return outcome
  }
  const scram: Bench['scram'] = async (client, change) => {
    const first = await mechanisms.run(auth(client.mechanism.name, client.first), undefined, IP)
    if (first.kind !== 'challenge') return wordOf(first)
    const final = await mechanisms.run(response(client.final(textOf(first.answer), change)), first.exchange, IP)
    if (final.kind === 'success' && !client.accepts(textOf(final.answer))) return 'a server that does not know the password'
    return wordOf(final)
  }
  return { bus, accounts, clock, errors, mechanisms, run, scram }
}

/** The user, the challenge or the condition of the failure. */
function wordOf(outcome: Outcome): string {
  switch (outcome.kind) {
    case 'success':
      return outcome.identity.user
    case 'challenge':
      return `challenge ${textOf(outcome.answer)}`
    case 'failure':
      return outcome.condition
  }
}

function tokens(known: Record<string, VerifiedToken>): (token: string) => Promise<VerifiedToken> {
  return async (token) => known[token] ?? { refused: 'invalid', reason: 'the token is not valid' }
}

// ---- SCRAM -----------------------------------------------------------------------------------------------------------

const VECTORS = [
  {
    // RFC 5802 §5
    mechanism: 'SCRAM-SHA-1',
    salt: 'QSXCR+Q6sek8bf92',
    clientFirst: 'n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL',
    serverFirst: 'r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096',
    clientFinal: 'c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=',
    serverFinal: 'v=rmF9pqV8S7suAoZWja4dJRkFsKQ=',
  },
  {
    // RFC 7677 §3
    mechanism: 'SCRAM-SHA-256',
    salt: 'W22ZaJ0SNY7soEsUEjb6gQ==',
    clientFirst: 'n,,n=user,r=rOprNGfwEbeRWgbNEkqO',
    serverFirst: 'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096',
    clientFinal: 'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=',
    serverFinal: 'v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=',
  },
]

t.test('SCRAM: the examples of RFC 5802 and RFC 7677', async (t) => {
  for (const { mechanism, salt, clientFirst, serverFirst, clientFinal, serverFinal } of VECTORS) {
    const { accounts, mechanisms, run } = await bench(t)
    const salted = Buffer.from(salt, 'base64')
    const keys = { mechanism, salt: salted, iterations: 4096, ...(await deriveKeys('pencil', mechanismNamed(mechanism), salted, 4096)) }
    await accounts.put('user', v1.AccountRecord.encode({ keys: [keys] }).finish())

    const first = await run(auth(mechanism, clientFirst))
    t.equal(first.kind, 'challenge')
    const [, nonce] = /r=([^,]+)/.exec(serverFirst) ?? []
    const [, ownNonce] = /r=([^,]+)/.exec(textOf(first.answer)) ?? []
    t.equal(textOf(first.answer).replace(String(ownNonce), String(nonce)), serverFirst, mechanism)
    if (first.kind !== 'challenge') continue
    // The example's nonce in place of the one made here: what went with the challenge is known to be JSON.
    const state = JSON.stringify({ ...(JSON.parse(first.exchange.state) as object), nonce, serverFirst })
    const final = await mechanisms.run(response(clientFinal), { mechanism, state }, IP)
    t.equal(textOf(final.answer), serverFinal, mechanism)
    t.equal(wordOf(final), 'user')
    const wrong = clientFinal.replace(/p=./, 'p=A')
    t.equal(wordOf(await mechanisms.run(response(wrong), { mechanism, state }, IP)), 'not-authorized')
  }
})

t.test('SCRAM: right and wrong passwords, and what a client may put into its messages', async (t) => {
  const { accounts, scram, run } = await bench(t)
  await addAccount(accounts, 'alice', 'secret')
  await addAccount(accounts, 'a,b=c', 'secret')
  await addAccount(accounts, '用户1', 'secret')
  for (const mechanism of ['SCRAM-SHA-1', 'SCRAM-SHA-256']) {
    const client = (name: string, password: string, gs2?: string): ScramClient =>
      new ScramClient(mechanism, name, password, gs2 === undefined ? {} : { gs2 })
    t.equal(await scram(client('alice', 'secret')), 'alice')
    t.equal(await scram(client('alice', 'Secret')), 'not-authorized')
    t.equal(await scram(client('nobody', 'secret')), 'not-authorized')
    t.equal(await scram(client('a,b=c', 'secret')), 'a,b=c', 'a name with characters that are escaped')
    t.equal(await scram(client('用户1', 'secret')), '用户1')
    t.equal(await scram(client('alice', 'secret', 'y,,')), 'alice', 'a client that could bind to the channel')
    t.equal(await scram(client('alice', 'secret', 'p=tls-unique,,')), 'malformed-request', 'nothing to bind to was offered')
    t.equal(await scram(client('alice', 'secret', `n,a=alice@${DOMAIN},`)), 'alice')
    t.equal(await scram(client('alice', 'secret', `n,a=alice@${DOMAIN.toUpperCase()},`)), 'alice')
    for (const other of [`bob@${DOMAIN}`, `alice@${DOMAIN}/x`, 'alice', 'alice@elsewhere.example', DOMAIN, '@']) {
      t.equal(await scram(client('alice', 'secret', `n,a=${other},`)), 'invalid-authzid', other)
      t.equal(await scram(client('alice', 'wrong', `n,a=${other},`)), 'not-authorized', 'a stranger learns nothing of it')
    }
    const twice = (text: string): string => text.replace('r=', 'r=x')
    t.equal(await scram(client('alice', 'secret'), twice), 'not-authorized', 'another nonce')
    const other = (text: string): string => text.replace(/c=[^,]+/, `c=${base64('y,,')}`)
    t.equal(await scram(client('alice', 'secret'), other), 'not-authorized', 'another GS2 header: a downgrade')
    t.equal(await scram(client('alice', 'secret'), (text) => `${text},x=what,y=ever`), 'alice', 'optional extensions')
    t.equal(await scram(client('alice', 'secret'), (text) => `${text},x`), 'malformed-request')
    t.equal(await scram(client('alice', 'secret'), (text) => text.replace(/c=[^,]+/, 'c=biw')), 'malformed-request', 'Base64 cut off')

    t.match(wordOf(await run(auth(mechanism), response('n,,n=alice,r=abc'))), /^challenge r=abc/, 'without an initial response')
    for (const first of [
      '',
      'n',
      'n,',
      'n,,',
      'x,,n=alice,r=abc',
      'n,alice,n=alice,r=abc',
      'n,a=,n=alice,r=abc',
      'n,a==2D,n=alice,r=abc',
      'n,,m=ext,n=alice,r=abc',
      'n,,n=,r=abc',
      'n,,n=al=ice,r=abc',
      'n,,n=al=2cice,r=abc',
      'n,,n=al\0ice,r=abc',
      'n,,n=alice',
      'n,,n=alice,r=',
      'n,,n=alice,r=a b',
      'n,,n=alice,r=aé',
      'n,,r=abc,n=alice',
      'n,,n=alice,r=abc,',
      'n,,n=alice,r=abc,xy',
      `n,,n=alice,r=${'x'.repeat(5000)}`,
      Buffer.from([0x6e, 0x2c, 0x2c, 0x6e, 0x3d, 0xff, 0x2c, 0x72, 0x3d, 0x61]),
    ]) {
      t.equal(wordOf(await run(auth(mechanism, first))), 'malformed-request', `first message ${String(first).slice(0, 40)}`)
    }
    for (const final of [
      '',
      'c=biws',
      'c=biws,r=abc',
      'r=abc,p=AAAA',
      'c=biws,r=abc,p=',
      'c=biws,r=abc,p=A=A=',
      'c=biws,r=abc,p=AA==,x=y',
      'n,,n=alice,r=abc',
    ]) {
      t.equal(wordOf(await run(auth(mechanism, 'n,,n=alice,r=abc'), response(final))), 'malformed-request', `final message ${final}`)
    }
    t.equal(wordOf(await run(auth(mechanism, 'n,,n=alice,r=abc'), response('c=biws,r=abc,p=AAAA'))), 'not-authorized', 'a short proof')
  }
})

t.test('SCRAM: a name without an account looks the same to everybody who asks, on every worker', async (t) => {
  const world = await World.open(t)
  const accounts = await world.bus().bucket('accounts')
  await addAccount(accounts, 'old', 'secret', ['SCRAM-SHA-1'])
  const one = new Directory(world.bus(), accounts, DOMAIN)
  const two = new Directory(world.bus(), accounts, DOMAIN)
  const [a, b] = await Promise.all([one.find('nobody'), two.find('nobody')])
  for (const name of ['SCRAM-SHA-1', 'SCRAM-SHA-256']) {
    const mechanism = mechanismNamed(name)
    const keys = a.keys(mechanism)
    t.same(keys, b.keys(mechanism), 'whoever is asked')
    t.match(keys, { iterations: 10_000, isFake: true })
    t.equal(keys.salt.length, 16)
    t.equal(keys.storedKey.length, mechanism.bytes)
    t.notSame((await one.find('nobody2')).keys(mechanism).salt, keys.salt, 'each name has its own')
    const outside = (await one.find('x'.repeat(300))).keys(mechanism)
    t.ok(outside.isFake, 'what can be nobody too')
  }
  t.notSame(a.keys(mechanismNamed('SCRAM-SHA-1')).salt, a.keys(mechanismNamed('SCRAM-SHA-256')).salt)
  const old = await one.find('old')
  t.notOk(old.keys(mechanismNamed('SCRAM-SHA-1')).isFake)
  t.ok(old.keys(mechanismNamed('SCRAM-SHA-256')).isFake, 'an account without keys for the mechanism')
})

// ---- names -----------------------------------------------------------------------------------------------------------

t.test('a name is a user id; a bare JID or an escaped id only when nobody has just that id', async (t) => {
  const { accounts, run, scram } = await bench(t)
  await addAccount(accounts, 'alice', 'of alice')
  await addAccount(accounts, 'bob@example.com', 'of bob')
  await addAccount(accounts, 'carol', 'of carol')
  await addAccount(accounts, `carol@${DOMAIN}`, 'of the other carol')
  await addAccount(accounts, 'd\\40e', 'of d')
  const login = async (name: string, password: string, authzid = ''): Promise<string> => wordOf(await run(plain(name, password, authzid)))
  t.equal(await login('alice', 'of alice'), 'alice')
  t.equal(await login(`alice@${DOMAIN}`, 'of alice'), 'alice')
  t.equal(await login('alice@elsewhere.example', 'of alice'), 'not-authorized')
  t.equal(await login(`alice@${DOMAIN}/home`, 'of alice'), 'not-authorized')
  t.equal(await login('Alice', 'of alice'), 'not-authorized', 'ids are compared byte by byte')
  t.equal(await login('bob@example.com', 'of bob'), 'bob@example.com')
  t.equal(await login('bob\\40example.com', 'of bob'), 'bob@example.com')
  t.equal(await login(`bob\\40example.com@${DOMAIN}`, 'of bob'), 'bob@example.com')
  t.equal(await login('bob\\40example.com', 'of bob', `bob\\40example.com@${DOMAIN}`), 'bob@example.com')
  t.equal(await login('bob@example.com', 'of bob', 'bob@example.com'), 'invalid-authzid')
  t.equal(await login('carol', 'of carol'), 'carol')
  t.equal(await login(`carol@${DOMAIN}`, 'of the other carol'), `carol@${DOMAIN}`)
  t.equal(await login(`carol@${DOMAIN}`, 'of carol'), 'not-authorized')
  t.equal(await login('d\\40e', 'of d'), 'd\\40e')
  t.equal(await scram(new ScramClient('SCRAM-SHA-256', 'bob\\40example.com', 'of bob')), 'bob@example.com')
  t.equal(await scram(new ScramClient('SCRAM-SHA-256', `alice@${DOMAIN}`, 'of alice', { gs2: `n,a=alice@${DOMAIN},` })), 'alice')
})

// ---- PLAIN -----------------------------------------------------------------------------------------------------------

t.test('PLAIN: passwords of accounts', async (t) => {
  const { accounts, run } = await bench(t)
  await addAccount(accounts, 'alice', 'I\u00adX ü')
  await addAccount(accounts, 'old', 'secret', ['SCRAM-SHA-1'])
  const prepared = await run(plain('alice', 'IX ü'))
  t.equal(wordOf(prepared), 'not-authorized', 'the record was made of what is no prepared password')
  await addAccount(accounts, 'alice', 'IX ü')
  t.equal(wordOf(await run(plain('alice', 'I\u00adX ü'))), 'alice', 'SASLprep: mapped to nothing')
  t.equal(wordOf(await run(plain('alice', 'I\u00adX u\u0308'))), 'alice', 'SASLprep: composed')
  t.equal(wordOf(await run(plain('old', 'secret'))), 'old', 'whichever keys it has')
  await addAccount(accounts, 'long', '漢'.repeat(1024))
  t.equal(wordOf(await run(plain('long', '漢'.repeat(1024)))), 'long', 'as long as an account may have it')
  t.equal(wordOf(await run(plain('alice', 'IX ü', `alice@${DOMAIN}`))), 'alice')
  t.equal(wordOf(await run(plain('alice', 'IX ü', `bob@${DOMAIN}`))), 'invalid-authzid')
  for (const wrong of ['x', 'IX', '\u0007', '\u00ad', 'x'.repeat(5000)]) {
    t.equal(wordOf(await run(plain('alice', wrong))), 'not-authorized', JSON.stringify(wrong.slice(0, 10)))
    t.equal(wordOf(await run(plain('nobody', wrong))), 'not-authorized')
  }
  t.equal(wordOf(await run(plain('\u0001', 'x'))), 'not-authorized', 'no user id')
  t.equal(wordOf(await run(plain('x'.repeat(300), 'x'))), 'not-authorized', 'too long for a user id')
  for (const malformed of [
    '',
    'alice',
    '\0alice',
    'alice\0IX ü',
    '\0\0IX ü',
    '\0alice\0',
    '\0alice\0IX ü\0',
    Buffer.from([0, 0x61, 0, 0xff]),
  ]) {
    t.equal(wordOf(await run(auth('PLAIN', malformed))), 'malformed-request', JSON.stringify(String(malformed)))
  }
  t.equal(wordOf(await run(auth('PLAIN'), response('\0alice\0IX ü'))), 'alice', 'without an initial response')
})

t.test('PLAIN: in dev a user without an account has any password', async (t) => {
  const { accounts, run, scram } = await bench(t, { dev: true })
  await addAccount(accounts, 'alice', 'secret')
  t.equal(wordOf(await run(plain('bob', 'whatever'))), 'bob')
  t.equal(wordOf(await run(plain(`bob@${DOMAIN}`, 'whatever'))), 'bob')
  t.equal(wordOf(await run(plain('bob@example.com', 'whatever'))), 'bob@example.com')
  t.equal(wordOf(await run(plain('bob\\40example.com', 'whatever'))), 'bob@example.com')
  t.equal(wordOf(await run(plain('alice', 'whatever'))), 'not-authorized')
  t.equal(wordOf(await run(plain(`alice@${DOMAIN}`, 'whatever'))), 'not-authorized')
  t.equal(wordOf(await run(plain('alice', 'secret'))), 'alice')
  t.equal(wordOf(await run(plain('\u0001', 'whatever'))), 'not-authorized')
  t.equal(wordOf(await run(plain('bob', ''))), 'malformed-request')
  t.equal(await scram(new ScramClient('SCRAM-SHA-1', 'bob', 'whatever')), 'not-authorized', 'SCRAM can not take any')
})

t.test('PLAIN: a token as the password', async (t) => {
  const verifyToken = tokens({
    [TOKEN]: { user: 'alice', topics: ['news.*'], expiresAtMs: 1234.5 },
    'of.bob.com': { user: 'bob@example.com', topics: undefined, expiresAtMs: Number.POSITIVE_INFINITY },
    'too.old.now': { refused: 'expired', reason: 'the token has expired' },
    'no.keys.now': { refused: 'unavailable', reason: 'the keys are out of reach' },
  })
  const { accounts, run } = await bench(t, { verifyToken })
  await addAccount(accounts, 'carol', 'too.old.now')
  const login = async (name: string, password: string): Promise<Identity | string> => {
    const outcome = await run(plain(name, password))
    return outcome.kind === 'success' ? outcome.identity : wordOf(outcome)
  }
  t.same(await login('alice', TOKEN), { user: 'alice', topics: ['news.*'], expiresAtMs: 1234 })
  t.match(await login(`alice@${DOMAIN}`, TOKEN), { user: 'alice' })
  t.same(await login('bob\\40example.com', 'of.bob.com'), { user: 'bob@example.com', topics: undefined, expiresAtMs: 0 })
  t.equal(await login('bob', TOKEN), 'not-authorized', "somebody else's")
  t.equal(await login('alice', 'a.b.c'), 'not-authorized')
  t.equal(await login('alice', 'too.old.now'), 'credentials-expired')
  t.equal(await login('alice', 'no.keys.now'), 'temporary-auth-failure')
  t.match(await login('carol', 'too.old.now'), { user: 'carol' }, 'a password that looks like a token')
})

// ---- OAUTHBEARER and ANONYMOUS ---------------------------------------------------------------------------------------

t.test('OAUTHBEARER: a token says whose it is; errors come as a challenge first (RFC 7628)', async (t) => {
  const verifyToken = tokens({
    [TOKEN]: { user: 'alice', topics: undefined, expiresAtMs: 99 },
    'too.old.now': { refused: 'expired', reason: 'the token has expired' },
    'no.keys.now': { refused: 'unavailable', reason: 'the keys are out of reach' },
  })
  const { run } = await bench(t, { verifyToken })
  const bearer = (token: string, gs2 = 'n,,'): string => `${gs2}\x01auth=Bearer ${token}\x01\x01`
  const login = async (message: string): Promise<string> => wordOf(await run(auth('OAUTHBEARER', message)))
  t.equal(await login(bearer(TOKEN)), 'alice')
  t.equal(await login(bearer(TOKEN, `n,a=alice@${DOMAIN},`)), 'alice')
  t.equal(await login(bearer(TOKEN, 'y,,')), 'alice')
  t.equal(await login(`n,,\x01host=x\x01port=1\x01auth=bearer  ${TOKEN}\x01\x01`), 'alice')
  t.equal(wordOf(await run(auth('OAUTHBEARER'), response(bearer(TOKEN)))), 'alice')
  t.equal(await login(bearer(TOKEN, `n,a=bob@${DOMAIN},`)), 'invalid-authzid')
  t.equal(await login(bearer('no.keys.now')), 'temporary-auth-failure')
  const dummy = sasl('response', 'AQ==')
  for (const [message, challenge, condition] of [
    [bearer('a.b.c'), '{"status":"invalid_token"}', 'not-authorized'],
    [bearer('too.old.now'), '{"status":"invalid_token"}', 'credentials-expired'],
    [bearer(''), '{"status":"invalid_request"}', 'not-authorized'],
    ['n,,\x01auth=Basic eA==\x01\x01', '{"status":"invalid_request"}', 'not-authorized'],
    ['n,,\x01\x01', '{"status":"invalid_request"}', 'not-authorized'],
  ] as const) {
    t.equal(await login(message), `challenge ${challenge}`)
    t.equal(wordOf(await run(auth('OAUTHBEARER', message), dummy)), condition)
    t.equal(wordOf(await run(auth('OAUTHBEARER', message), sasl('response'))), condition, 'whatever the client answers')
    t.equal(wordOf(await run(auth('OAUTHBEARER', message), response(bearer(TOKEN)))), condition, 'there is no second try')
    t.equal(wordOf(await run(auth('OAUTHBEARER', message), sasl('abort'))), 'aborted')
  }
  for (const malformed of [
    '',
    '\x01',
    'n,,',
    `n,,auth=Bearer ${TOKEN}\x01\x01`,
    `n,,\x01auth=Bearer ${TOKEN}\x01`,
    bearer(TOKEN, 'p=x,,'),
    bearer(TOKEN, ''),
  ]) {
    t.equal(await login(malformed), 'malformed-request', JSON.stringify(malformed))
  }
  const without = await bench(t)
  t.equal(wordOf(await without.run(auth('OAUTHBEARER', bearer(TOKEN)))), 'invalid-mechanism')
})

t.test('ANONYMOUS: everybody is somebody else', async (t) => {
  const random = new Random(1)
  const { run } = await bench(t, { anonymous: true, random: (bytes) => random.bytes(bytes) })
  const users = new Set<string>()
  for (const first of [auth('ANONYMOUS'), auth('ANONYMOUS', ''), auth('ANONYMOUS', 'me'), auth('ANONYMOUS')]) {
    const user = wordOf(await run(first))
    t.match(user, /^anon-[a-z2-7]{22}$/)
    users.add(user)
  }
  t.equal(users.size, 4)
  const without = await bench(t)
  t.equal(wordOf(await without.run(auth('ANONYMOUS'))), 'invalid-mechanism')
})

// ---- the frame around them -------------------------------------------------------------------------------------------

t.test('the elements of SASL', async (t) => {
  const { accounts, run, mechanisms } = await bench(t, { anonymous: true, verifyToken: tokens({}) })
  await addAccount(accounts, 'alice', 'secret')
  const offered = mechanisms.feature.elements.map(({ text }) => text)
  t.same(offered, ['SCRAM-SHA-256', 'SCRAM-SHA-1', 'PLAIN', 'OAUTHBEARER', 'ANONYMOUS'])
  t.equal(wordOf(await run(auth('SCRAM-SHA-256-PLUS', 'x'))), 'invalid-mechanism')
  t.equal(wordOf(await run(auth('plain', '\0alice\0secret'))), 'invalid-mechanism')
  t.equal(wordOf(await run(sasl('auth', base64('\0alice\0secret')))), 'invalid-mechanism')
  t.equal(wordOf(await run(response('x'))), 'malformed-request', 'to nothing')
  t.equal(wordOf(await run(auth('PLAIN'), sasl('abort'))), 'aborted')
  t.equal(wordOf(await run(sasl('abort'))), 'aborted')
  t.equal(wordOf(await run(sasl('success'))), 'malformed-request')
  t.equal(wordOf(await run(auth('PLAIN', ''))), 'malformed-request', 'an empty initial response is one')
  const right = base64('\0alice\0secret')
  for (const wrong of [
    ` ${right}`,
    `${right}\n`,
    `${right.slice(0, 4)} ${right.slice(4)}`,
    right.slice(0, -1),
    `${right}=`,
    'AB',
    'AB=',
    'AB==',
    '====',
    '==',
    'é',
    'a-b_',
  ]) {
    t.equal(wordOf(await run(sasl('auth', wrong, { mechanism: 'PLAIN' }))), 'incorrect-encoding', JSON.stringify(wrong))
    t.equal(wordOf(await run(auth('PLAIN'), sasl('response', wrong))), 'incorrect-encoding')
  }
  t.equal(wordOf(await run(auth('PLAIN'), sasl('response', '='))), 'incorrect-encoding', 'only an initial response is written so')
  t.equal(wordOf(await run(sasl('auth', base64('x'.repeat(100_000)), { mechanism: 'PLAIN' }))), 'malformed-request')
  const nested = new Element('urn:ietf:params:xml:ns:xmpp-sasl', 'auth', { mechanism: 'PLAIN' }, [new Element('x', 'y')])
  t.equal(wordOf(await run(nested)), 'malformed-request')
  const success = await run(plain('alice', 'secret'))
  t.equal(success.answer.toString(), "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")
  const failure = await run(plain('alice', 'wrong'))
  t.equal(failure.answer.toString(), "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>")
  t.equal((await run(auth('PLAIN'))).answer.toString(), "<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")
})

t.test('what is not the client’s fault is a failure for now', async (t) => {
  const world = await World.open(t)
  let isUp = false
  const gone = async (): Promise<never> => {
    throw new BusError('disconnected')
  }
  const own = world.bus()
  const bus = changed(own, { bucket: (name) => (isUp ? own.bucket(name) : gone()) })
  const { accounts, run, errors } = await bench(t, { bus })
  await addAccount(accounts, 'alice', 'secret')
  t.equal(wordOf(await run(plain('alice', 'secret'))), 'temporary-auth-failure', 'no bus')
  t.same(errors, [])
  isUp = true
  t.equal(wordOf(await run(plain('alice', 'secret'))), 'alice')
  await accounts.put('bob', Buffer.from([0xff, 0xff]))
  t.equal(wordOf(await run(plain('bob', 'secret'))), 'temporary-auth-failure', 'a damaged account')
  t.equal(errors.length, 1)
  const crowded = await bench(t, {}, { hashes: 1 })
  // Hashed for so long that the other one comes meanwhile.
  await addAccount(crowded.accounts, 'alice', 'secret', ['SCRAM-SHA-256'], 200_000)
  t.equal(wordOf(await crowded.run(plain('alice', 'secret'))), 'alice')
  const both = await Promise.all([crowded.run(plain('alice', 'secret')), crowded.run(plain('alice', 'secret'))])
  t.same(both.map(wordOf).sort(), ['alice', 'temporary-auth-failure'])
  t.equal(wordOf(await crowded.run(plain('alice', 'secret'))), 'alice')
})

// ---- limits ----------------------------------------------------------------------------------------------------------

t.test('wrong passwords are limited, for each user and for all of one address', async (t) => {
  const { accounts, run, scram, clock } = await bench(t, {}, { failuresPerUserAndIp: 3, failuresPerIp: 6 })
  await addAccount(accounts, 'alice', 'secret')
  await addAccount(accounts, 'bob', 'secret')
  const login = async (name: string, password: string): Promise<string> => wordOf(await run(plain(name, password)))
  for (let i = 0; i < 2; i++) t.equal(await login('alice', 'wrong'), 'not-authorized')
  t.equal(await login('alice', 'secret'), 'alice')
  for (let i = 0; i < 2; i++) t.equal(await login('alice', 'wrong'), 'not-authorized', 'a success starts anew')
  t.equal(await scram(new ScramClient('SCRAM-SHA-256', 'alice', 'wrong')), 'not-authorized')
  t.equal(await login('alice', 'secret'), 'temporary-auth-failure', 'right ones are not looked at')
  t.equal(await scram(new ScramClient('SCRAM-SHA-256', 'alice', 'secret')), 'temporary-auth-failure')
  t.equal(await login('bob', 'secret'), 'bob', 'others are let in')
  t.equal(wordOf(await run(auth('PLAIN', 'nonsense'))), 'malformed-request', 'what guesses nothing is not counted')
  t.equal(await login('nobody', 'wrong'), 'not-authorized', 'the sixth of this address')
  t.equal(await login('bob', 'secret'), 'temporary-auth-failure', 'nobody from there')
  clock.advance(59_000)
  t.equal(await login('bob', 'secret'), 'temporary-auth-failure')
  clock.advance(1_000)
  t.equal(await login('alice', 'secret'), 'alice')
  t.equal(await login('bob', 'secret'), 'bob')
})

t.test('many guesses at once are not more than the limit, and the windows are bounded', async (t) => {
  const limits = { failuresPerUserAndIp: 5, failuresPerIp: 50, failureWindowMs: 1000, failureWindows: 10 }
  const clock = new ManualClock()
  const failures = new Failures(limits, clock)
  let checked = 0
  const wrong = async (): Promise<never> => {
    checked++
    await Promise.resolve()
    throw new SaslFailure('not-authorized')
  }
  const guesses = await Promise.allSettled(Array.from({ length: 20 }, () => failures.guard('alice', IP, wrong)))
  t.equal(checked, 5)
  t.equal(guesses.filter((guess) => guess.status === 'rejected' && (guess.reason as SaslFailure).condition === 'not-authorized').length, 5)
  for (let i = 0; i < 1000; i++) {
    const [guess] = await Promise.allSettled([failures.guard(`user ${i}`, `ip ${i}`, wrong)])
    if (guess?.status !== 'rejected' || failures.size > 10) t.fail(`${failures.size} windows`)
  }
  clock.advance(1000)
  await t.rejects(failures.guard('', 'another', wrong))
  t.equal(failures.size, 1, 'what is over is forgotten')
})

// ---- nonsense --------------------------------------------------------------------------------------------------------

t.test('50,000 messages of nonsense: each gets an answer, nobody gets in', async (t) => {
  const seed = Number(process.env.SEED ?? Date.now() % 1_000_000)
  const random = new Random(seed)
  const verifyToken = tokens({ 'good.token.x': { user: 'mallory', topics: undefined, expiresAtMs: 0 } })
  const limits = { failuresPerUserAndIp: 1e9, failuresPerIp: 1e9 }
  const { accounts, mechanisms, errors } = await bench(t, { verifyToken }, limits)
  await addAccount(accounts, 'alice', 'secret')
  const names = ['SCRAM-SHA-256', 'SCRAM-SHA-1', 'PLAIN', 'OAUTHBEARER']
  const pieces = [
    'n',
    'y',
    'p=',
    ',',
    ',,',
    '=',
    '=2C',
    '=3D',
    'a=',
    'n=',
    'r=',
    'c=',
    'c=biws',
    'p=',
    'm=',
    'i=1',
    '\0',
    '\x01',
    '\x01\x01',
    'alice',
    `alice@${DOMAIN}`,
    'auth=Bearer ',
    'a.b.c',
    'é',
    '\ud800',
    '\u0000',
    'n,,n=alice,r=abc',
    'x'.repeat(50),
  ]
  const valid = [
    'n,,n=alice,r=abcdef',
    `n,a=alice@${DOMAIN},n=alice,r=abcdef`,
    'n,,\x01auth=Bearer a.b.c\x01\x01',
    'c=biws,r=abcdef,p=AAAA',
    'y,,n=al=2Cice,r=x,e=f',
  ]
  const nonsense = (): Buffer => {
    if (random.chance(0.2)) return random.bytes(random.int(40))
    if (random.chance(0.4)) return Buffer.from(Array.from({ length: random.int(8) }, () => random.pick(pieces)).join(''))
    const bytes = Buffer.from(random.pick(valid))
    for (let i = random.int(3); i > 0; i--) bytes[random.int(bytes.length)] = random.int(256)
    return bytes.subarray(0, random.chance(0.2) ? random.int(bytes.length + 1) : bytes.length)
  }
  let exchange: Exchange | undefined
  const kinds = { challenge: 0, success: 0, failure: 0 }
  for (let i = 0; i < 50_000; i++) {
    let message = nonsense()
    // A password would be hashed each time.
    const name = random.pick(names)
    if (name === 'PLAIN' || exchange?.mechanism === 'PLAIN') message = Buffer.from(message.filter((byte) => byte !== 0))
    const text = random.chance(0.1) ? random.pick(['', '=', '*', ' ', 'A', `${base64(message)}=`]) : base64(message)
    const element = exchange === undefined || random.chance(0.2) ? sasl('auth', text, { mechanism: name }) : sasl('response', text)
    const outcome = await mechanisms.run(element, exchange, IP)
    kinds[outcome.kind]++
    if (outcome.kind === 'success') t.fail(`seed ${seed}: ${element.toString()} got in`)
    if (outcome.kind === 'failure' && outcome.condition === 'temporary-auth-failure')
      t.fail(`seed ${seed}: ${element.toString()} broke something`)
    exchange = outcome.kind === 'challenge' ? outcome.exchange : undefined
  }
  t.same(errors, [], `seed ${seed}`)
  t.ok(kinds.challenge > 2000 && kinds.failure > 10_000, `seed ${seed}: both kinds of answers were met (${JSON.stringify(kinds)})`)
})
