import { createHmac, createPrivateKey, createSign, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, type JWK, SignJWT } from 'jose'
import t, { type Test } from 'tap'
import { ApiKeys, parseApiKeys } from '../../gateway/auth/api-keys.js'
import { type Authenticator, type Credentials, createAuthenticator } from '../../gateway/auth/authenticator.js'
import { FailureLimit } from '../../gateway/auth/failure-limit.js'
import { checkAddresses } from '../../gateway/auth/jwks-address.js'
import { VerifiedTokens } from '../../gateway/auth/verified-tokens.js'
import { ConfigError, loadConfig } from '../../gateway/config.js'
import { clientKey, isNetwork, Networks } from '../../gateway/networks.js'

const SECRET = 'a secret of more than thirty-two bytes'
const NOW = Date.parse('2030-01-01T00:00:00Z')
const SECOND = NOW / 1000

function authenticator(argv: string[], now: () => number = () => NOW): Authenticator {
  return createAuthenticator(loadConfig({ argv, env: {}, hostname: 'here' }), now)
}

function credentials(given: Partial<Credentials>): Credentials {
  return { bearer: '', queryToken: '', queryUser: '', device: '', ...given }
}

function encode(value: unknown): string {
  return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')
}

/** A token by hand, so that nothing keeps us from making bad ones. */
function handmade(header: unknown, claims: unknown, sign: (input: string) => Buffer | string): string {
  const input = `${encode(header)}.${encode(claims)}`
  return `${input}.${Buffer.from(sign(input)).toString('base64url')}`
}

function hs(claims: unknown, secret: string | Buffer = SECRET, header: unknown = { alg: 'HS256' }): string {
  return handmade(header, claims, (input) => createHmac('sha256', secret).update(input).digest())
}

function asymmetric(alg: string, key: KeyObject, claims: Record<string, unknown>, kid?: string): Promise<string> {
  return new SignJWT(claims).setProtectedHeader({ alg, ...(kid === undefined ? {} : { kid }) }).sign(key)
}

function pem(key: KeyObject): string {
  return key.export({ type: 'spki', format: 'pem' }).toString()
}

async function expect(t: Test, auth: Authenticator, bearer: string, found: object, name: string): Promise<void> {
  const result = await auth.authenticate(credentials({ bearer }))
  t.match(result, found, name)
  if ('code' in found) t.notOk('user' in result, `${name}: nobody`)
}

async function until(check: () => boolean): Promise<void> {
  while (!check()) await new Promise((resolve) => setTimeout(resolve, 5))
}

const unauthorized = { code: 'unauthorized' }

t.test('a good token says who, which device, which topics and until when', async (t) => {
  const auth = authenticator(['--jwt-secret', SECRET])
  const claims = { sub: 'alice', exp: SECOND + 60, device: 'phone', topics: ['news', 'room.*'] }
  const identity = { user: 'alice', device: 'phone', topics: ['news', 'room.*'], expiresAtMs: NOW + 65_000 }
  t.same(await auth.authenticate(credentials({ bearer: hs(claims) })), identity)
  t.same(await auth.authenticate(credentials({ bearer: `Bearer ${hs(claims)}` })), identity, 'the header as it came')
  t.same(await auth.authenticate(credentials({ bearer: `bearer  ${hs(claims)}` })), identity)
  t.same(await auth.authenticate(credentials({ queryToken: hs(claims) })), identity)
  t.same(await auth.authenticate(credentials({ bearer: hs(claims), device: 'other' })), identity, 'the claim wins')
  t.match(await auth.authenticate(credentials({ bearer: hs({ sub: 'bob' }), queryToken: hs(claims) })), { user: 'bob' }, 'the header wins')
  t.same(await auth.authenticate(credentials({ bearer: hs({ sub: '用户1' }), queryUser: 'eve' })), {
    user: '用户1',
    topics: undefined,
    expiresAtMs: Number.POSITIVE_INFINITY,
  })
  t.match(await auth.authenticate(credentials({ bearer: hs({ sub: 'a' }), device: 'd'.repeat(64) })), { device: 'd'.repeat(64) })
  t.match(await auth.authenticate(credentials({ bearer: hs({ sub: 'a' }), device: 'd'.repeat(65) })), { code: 'malformed' })
  t.match(await auth.authenticate(credentials({ queryUser: 'alice' })), unauthorized, '?user= means nothing here')
})

t.test('time: expired, not yet valid, and five seconds of grace', async (t) => {
  const auth = authenticator(['--jwt-secret', SECRET])
  await expect(t, auth, hs({ sub: 'a', exp: SECOND + 1 }), { user: 'a' }, 'one second left')
  await expect(t, auth, hs({ sub: 'a', exp: SECOND - 4 }), { user: 'a' }, 'within the leeway')
  await expect(t, auth, hs({ sub: 'a', exp: SECOND - 5 }), { code: 'token_expired' }, 'the leeway is over')
  await expect(t, auth, hs({ sub: 'a', exp: 0 }), { code: 'token_expired' }, 'long ago')
  await expect(t, auth, hs({ sub: 'a', exp: SECOND - 60 }, 'another secret'), unauthorized, 'expired and forged is forged')
  await expect(t, auth, hs({ sub: 'a', nbf: SECOND + 5 }), { user: 'a' }, 'nearly valid')
  await expect(t, auth, hs({ sub: 'a', nbf: SECOND + 6 }), unauthorized, 'not yet valid')
  for (const exp of ['tomorrow', null, {}, '9999999999']) await expect(t, auth, hs({ sub: 'a', exp }), unauthorized, `exp ${exp}`)
  const strict = authenticator(['--jwt-secret', SECRET, '--jwt-leeway-seconds', '0'])
  await expect(t, strict, hs({ sub: 'a', exp: SECOND }), { code: 'token_expired' }, 'no leeway')
  await expect(t, strict, hs({ sub: 'a', exp: SECOND + 1 }), { expiresAtMs: NOW + 1000 }, 'no leeway, still valid')
})

t.test('claims that cannot be', async (t) => {
  const auth = authenticator(['--jwt-secret', SECRET, '--jwt-issuer', 'me', '--jwt-audience', 'push'])
  const good = { sub: 'a', iss: 'me', aud: ['push', 'other'] }
  await expect(t, auth, hs(good), { user: 'a' }, 'issuer and audience')
  await expect(t, auth, hs({ ...good, iss: 'you' }), unauthorized, 'another issuer')
  await expect(t, auth, hs({ ...good, iss: undefined }), unauthorized, 'no issuer')
  await expect(t, auth, hs({ ...good, aud: 'other' }), unauthorized, 'another audience')
  for (const sub of [undefined, '', 1, null, ['a'], 'a\nb', 'x'.repeat(257), '\ud800']) {
    await expect(t, auth, hs({ ...good, sub }), unauthorized, `sub ${JSON.stringify(sub)?.slice(0, 20)}`)
  }
  await expect(t, auth, hs({ ...good, sub: 'x'.repeat(256) }), { user: 'x'.repeat(256) }, 'the longest user')
  for (const device of ['', 5, 'd'.repeat(65), 'a\u0000']) await expect(t, auth, hs({ ...good, device }), unauthorized, `device ${device}`)
  const many = (n: number) => Array.from({ length: n }, () => 't')
  for (const topics of ['news', [1], [''], ['t'.repeat(257)], many(257), {}]) {
    await expect(t, auth, hs({ ...good, topics }), unauthorized, `topics ${JSON.stringify(topics).slice(0, 20)}`)
  }
  await expect(t, auth, hs({ ...good, topics: [...many(255), 't'.repeat(256)] }), { user: 'a' }, 'the most topics')
  await expect(t, auth, hs({ ...good, topics: [] }), { topics: [] }, 'no topics at all')
})

t.test('forged tokens of every sort', async (t) => {
  const auth = authenticator(['--jwt-secret', SECRET])
  const claims = { sub: 'alice' }
  const good = hs(claims)
  const [head = '', body = '', signature = ''] = good.split('.')
  for (const alg of [
    'none',
    'None',
    'NONE',
    'nOnE',
    '',
    undefined,
    null,
    1,
    ['HS256'],
    'HS384',
    'HS512',
    'RS256',
    'ES256',
    'EdDSA',
    'dir',
  ]) {
    await expect(t, auth, hs(claims, SECRET, { alg }), unauthorized, `alg ${JSON.stringify(alg)}`)
    await expect(t, auth, `${encode({ alg })}.${body}.`, unauthorized, `alg ${JSON.stringify(alg)} without a signature`)
  }
  await expect(t, auth, hs(claims, 'wrong'), unauthorized, 'another secret')
  await expect(t, auth, hs(claims, ''), unauthorized, 'no secret')
  await expect(t, auth, `${head}.${body}.`, unauthorized, 'no signature')
  await expect(t, auth, `${head}.${body}`, unauthorized, 'two parts')
  await expect(t, auth, `${good}.x`, unauthorized, 'four parts')
  await expect(t, auth, `${head}.${encode({ sub: 'root' })}.${signature}`, unauthorized, 'other claims')
  await expect(t, auth, `${encode({ alg: 'HS256', typ: 'x' })}.${body}.${signature}`, unauthorized, 'another header')
  await expect(t, auth, `${good.slice(0, -2)}`, unauthorized, 'a shorter signature')
  await expect(t, auth, hs(claims, SECRET, { alg: 'HS256', crit: ['b64'], b64: false }), unauthorized, 'a critical extension')
  await expect(t, auth, hs('text'), unauthorized, 'claims that are no JSON')
  await expect(t, auth, hs('[]'), unauthorized, 'claims that are no object')
  await expect(t, auth, hs(claims, SECRET, 'no json'), unauthorized, 'a header that is no JSON')
  const jwk = await exportJWK(Buffer.from('mine'))
  await expect(t, auth, hs(claims, 'mine', { alg: 'HS256', jwk, jku: 'http://127.0.0.1:1/' }), unauthorized, 'a key of its own')
  for (const text of ['x', '..', '...', 'Bearer', 'Basic YTpi', '\u0000', '%', `${good} `, `${good},${good}`, '💥'.repeat(100)]) {
    await expect(t, auth, text, unauthorized, `text ${JSON.stringify(text).slice(0, 12)}`)
  }
  for (let i = 0; i < good.length; i++) {
    const other = good[i] === 'A' ? 'B' : 'A'
    const result = await auth.authenticate(credentials({ bearer: good.slice(0, i) + other + good.slice(i + 1) }))
    // The last character of a base64url text has bits that mean nothing.
    if (i !== good.length - 1 && !('code' in result)) t.fail(`a change of character ${i} went unnoticed`)
  }
  const padded = (length: number) => {
    const base = hs({ sub: 'a', x: '' }).length
    for (let n = Math.floor(((length - base) * 3) / 4) - 4; ; n++) {
      const token = hs({ sub: 'a', x: 'x'.repeat(n) })
      if (token.length >= length) return token
    }
  }
  await expect(t, auth, padded(8190), { user: 'a' }, 'a long token')
  t.ok(padded(8190).length <= 8192)
  await expect(t, auth, padded(8193), unauthorized, 'longer than 8,192')
})

t.test('a public key serves only the algorithms that fit its type', async (t) => {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const ed = generateKeyPairSync('ed25519')
  const all = { RS256: rsa, RS512: rsa, PS256: rsa, ES256: ec, EdDSA: ed }
  for (const [name, pair] of Object.entries({ rsa, ec, ed })) {
    const auth = authenticator(['--jwt-public-key', pem(pair.publicKey)])
    for (const [alg, signer] of Object.entries(all)) {
      const token = await asymmetric(alg, signer.privateKey, { sub: 'a' })
      await expect(t, auth, token, signer === pair ? { user: 'a' } : unauthorized, `${alg} with an ${name} key`)
    }
    // The classic: the public key, which everybody has, as the secret of an HS256 token.
    const { publicKey } = pair
    const der = publicKey.export({ type: 'spki', format: 'der' })
    for (const secret of [pem(publicKey), pem(publicKey).trim(), pem(publicKey).replaceAll('\n', ''), der]) {
      await expect(t, auth, hs({ sub: 'a' }, secret), unauthorized, `${name} key as a secret`)
    }
  }
  const both = authenticator(['--jwt-public-key', pem(rsa.publicKey), '--jwt-secret', SECRET])
  await expect(t, both, hs({ sub: 'a' }), { user: 'a' }, 'secret and key: the secret')
  await expect(t, both, await asymmetric('RS256', rsa.privateKey, { sub: 'b' }), { user: 'b' }, 'secret and key: the key')
  await expect(t, both, hs({ sub: 'a' }, pem(rsa.publicKey)), unauthorized, 'secret and key: confused')
  const asRsa = handmade({ alg: 'RS256' }, { sub: 'a' }, (input) => createHmac('sha256', SECRET).update(input).digest())
  await expect(t, both, asRsa, unauthorized, 'the secret as an RSA key')
  const sha1 = handmade({ alg: 'RS256' }, { sub: 'a' }, (input) => createSign('sha1').update(input).sign(rsa.privateKey))
  await expect(t, both, sha1, unauthorized, 'a SHA-1 signature')
})

t.test('keys that cannot be used stop the start', async (t) => {
  const weak = generateKeyPairSync('rsa', { modulusLength: 1024 })
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'secp256k1' })
  const private_ = createPrivateKey(privateKey.export({ type: 'pkcs8', format: 'pem' })).export({ type: 'pkcs8', format: 'pem' })
  for (const [key, message] of [
    [pem(weak.publicKey), /2048 bits/],
    [pem(publicKey), /secp256k1 are not supported/],
    [private_.toString(), /private key/],
    ['no key', /not a public key/],
  ] as const) {
    t.throws(() => authenticator(['--jwt-public-key', key]), { name: ConfigError.name, message })
  }
  t.throws(() => authenticator(['--jwt-secret', pem(publicKey)]), { name: ConfigError.name, message: /belongs in jwtPublicKey/ })
})

interface Provider {
  url: string
  keys: JWK[]
  /** Undefined: answer with the keys. */
  answer: { status: number; body: string } | undefined
  requests: number
}

async function provider(t: Test): Promise<Provider> {
  const state: Provider = { url: '', keys: [], answer: undefined, requests: 0 }
  const server = createServer((_request, response) => {
    state.requests++
    response.writeHead(state.answer?.status ?? 200, { 'content-type': 'application/json', connection: 'close', location: '/elsewhere' })
    response.end(state.answer?.body ?? JSON.stringify({ keys: state.keys }))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => new Promise((resolve) => server.close(resolve)))
  state.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`
  return state
}

async function published(kid: string) {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return { jwk: { ...(await exportJWK(publicKey)), kid }, privateKey, token: (sub = 'a') => asymmetric('ES256', privateKey, { sub }, kid) }
}

t.test('published keys: fetched once, again for a new key, not for made-up ones', async (t) => {
  let now = NOW
  const jwks = await provider(t)
  const [one, two] = [await published('one'), await published('two')]
  jwks.keys = [one.jwk]
  const auth = authenticator(['--jwks-url', jwks.url], () => now)
  t.equal(jwks.requests, 0, 'nothing before the first token')
  const results = await Promise.all(
    Array.from({ length: 20 }, async (_, i) => auth.authenticate(credentials({ bearer: await one.token(`u${i}`) }))),
  )
  t.ok(
    results.every((result) => 'user' in result),
    'twenty at once',
  )
  t.equal(jwks.requests, 1, 'one fetch for all')

  await expect(t, auth, await two.token(), unauthorized, 'not published')
  t.equal(jwks.requests, 1, 'too early to ask again')
  now += 10_000
  for (let i = 0; i < 5; i++) await expect(t, auth, await two.token(), unauthorized, 'still not published')
  t.equal(jwks.requests, 2, 'asked again once')

  jwks.keys = [two.jwk]
  now += 10_000
  await expect(t, auth, await two.token(), { user: 'a' }, 'rotated')
  t.equal(jwks.requests, 3)
  await expect(t, auth, await one.token(), unauthorized, 'the old key is gone')

  now += 10 * 60_000 - 1
  await expect(t, auth, await two.token(), { user: 'a' }, 'kept for ten minutes')
  t.equal(jwks.requests, 3)
  now += 1
  await expect(t, auth, await two.token(), { user: 'a' }, 'then fetched again')
  t.equal(jwks.requests, 4)
})

t.test('a token that was verified is taken at once, for a minute and no longer than it lives', async (t) => {
  let now = NOW
  const at = (auth: Authenticator, bearer: string, device = '') => auth.authenticate(credentials({ bearer, device }))
  const auth = authenticator(['--jwt-secret', SECRET], () => now)
  const token = hs({ sub: 'alice', exp: SECOND + 30 })
  t.ok(at(auth, token) instanceof Promise, 'the first time')
  t.match(await at(auth, token), { user: 'alice' })
  t.match(at(auth, token), { user: 'alice', expiresAtMs: NOW + 35_000 }, 'known')
  t.match(at(auth, `Bearer ${token}`, 'd'.repeat(65)), { code: 'malformed' }, 'the rest of the request is looked at each time')
  t.match(await at(auth, `${token.slice(0, -1)}${token.endsWith('A') ? 'B' : 'A'}`), unauthorized, 'another signature is another token')
  t.ok(at(auth, hs({ sub: 'alice', exp: SECOND + 31 })) instanceof Promise)
  now += 34_999
  t.match(at(auth, token), { user: 'alice' })
  now += 1
  t.match(await at(auth, token), { code: 'token_expired' })
  const long = hs({ sub: 'alice' })
  await at(auth, long)
  now += 59_999
  t.match(at(auth, long), { user: 'alice' })
  now += 1
  t.ok(at(auth, long) instanceof Promise, 'verified again')
  const wrong = hs({ sub: 'alice' }, 'another secret of more than thirty-two bytes')
  for (let i = 0; i < 2; i++) t.match(await at(auth, wrong), unauthorized, 'what is refused is not kept')

  const without = authenticator(['--jwt-secret', SECRET, '--jwt-cache-bytes', '0'])
  for (let i = 0; i < 2; i++) {
    const each = at(without, long)
    t.ok(each instanceof Promise, 'none is kept')
    await each
  }
})

t.test('tokens that were verified: the oldest go when they take too much', async (t) => {
  const room = 3 * (2 * 100 + 300)
  const name = (i: number) => String(i).padStart(100, 'x')
  for (const [limit, left] of [
    [room - 1, 2],
    [room, 3],
    [room + 1, 3],
  ] as const) {
    const tokens = new VerifiedTokens(limit, () => NOW)
    for (let i = 0; i < 10; i++) tokens.add(name(i), { sub: String(i) }, Number.POSITIVE_INFINITY)
    t.equal(tokens.size, left)
    for (let i = 0; i < 10; i++) t.equal(tokens.get(name(i))?.sub, i < 10 - left ? undefined : String(i))
    tokens.add(name(9), { sub: 'again' }, Number.POSITIVE_INFINITY)
    t.equal(tokens.size, left, 'the same once more takes no more')
    t.equal(tokens.get(name(9))?.sub, 'again')
  }
})

t.test('tokens that were verified do not stay when nobody shows them again', async (t) => {
  let now = NOW
  const tokens = new VerifiedTokens(1e6, () => now, 20)
  for (const round of [1, 2]) {
    tokens.add('early', {}, Number.POSITIVE_INFINITY)
    now += 10
    tokens.add('late', {}, Number.POSITIVE_INFINITY)
    now += 10
    await until(() => tokens.size === 1)
    t.equal(tokens.get('early'), undefined)
    t.ok(tokens.get('late'), `round ${round}`)
    now += 10
    await until(() => tokens.size === 0)
  }
})

t.test('published keys: no confusion', async (t) => {
  const jwks = await provider(t)
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const weak = generateKeyPairSync('rsa', { modulusLength: 1024 })
  const oct = { kty: 'oct', k: encode(SECRET), kid: 'oct', alg: 'HS256' }
  jwks.keys = [oct, { ...(await exportJWK(rsa.publicKey)), kid: 'rsa' }, { ...(await exportJWK(weak.publicKey)), kid: 'weak' }]
  const auth = authenticator(['--jwks-url', jwks.url])
  await expect(t, auth, await asymmetric('RS256', rsa.privateKey, { sub: 'a' }, 'rsa'), { user: 'a' }, 'the right key')
  await expect(t, auth, hs({ sub: 'a' }, SECRET, { alg: 'HS256', kid: 'oct' }), unauthorized, 'a published secret is none')
  await expect(t, auth, hs({ sub: 'a' }, pem(rsa.publicKey), { alg: 'HS256', kid: 'rsa' }), unauthorized, 'the public key as a secret')
  await expect(t, auth, hs({ sub: 'a' }, SECRET, { alg: 'none', kid: 'rsa' }), unauthorized, 'none')
  const es = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  await expect(t, auth, await asymmetric('ES256', es.privateKey, { sub: 'a' }, 'rsa'), unauthorized, 'another type')
  const rs = handmade({ alg: 'RS256', kid: 'weak' }, { sub: 'a' }, (input) => createSign('sha256').update(input).sign(weak.privateKey))
  await expect(t, auth, rs, unauthorized, 'a weak key')
  const mixed = authenticator(['--jwks-url', jwks.url, '--jwt-public-key', pem(es.publicKey)])
  await expect(t, mixed, await asymmetric('RS256', rsa.privateKey, { sub: 'a' }, 'rsa'), { user: 'a' }, 'beside a key of the configuration')
  await expect(t, mixed, await asymmetric('ES256', es.privateKey, { sub: 'b' }), { user: 'b' }, 'and that one too')
})

t.test('published keys: a provider that is away or talks nonsense', async (t) => {
  let now = NOW
  const jwks = await provider(t)
  const one = await published('one')
  jwks.keys = [one.jwk]
  jwks.answer = { status: 500, body: '' }
  const auth = authenticator(['--jwks-url', jwks.url], () => now)
  await expect(t, auth, await one.token(), { code: 'overloaded', retryAfterMs: 5000 }, 'nobody can be checked: come back')
  await expect(t, auth, await one.token(), { code: 'overloaded' }, 'again')
  t.equal(jwks.requests, 1, 'not asked again at once')
  const nonsense = ['', '{', '[]', '{"keys":1}', '{"keys":[1]}', JSON.stringify({ keys: [], x: 'x'.repeat(600_000) })]
  for (const body of nonsense) {
    now += 10_000
    jwks.answer = { status: 200, body }
    await expect(t, auth, await one.token(), { code: 'overloaded' }, `answer ${body.slice(0, 12)}`)
  }
  now += 10_000
  jwks.answer = { status: 302, body: '' }
  const before = jwks.requests
  await expect(t, auth, await one.token(), { code: 'overloaded' }, 'a redirect')
  t.equal(jwks.requests, before + 1, 'is not followed')
  now += 10_000
  jwks.answer = undefined
  await expect(t, auth, await one.token(), { user: 'a' }, 'and it heals')

  jwks.answer = { status: 503, body: '' }
  now += 23 * 3_600_000
  await expect(t, auth, await one.token(), { user: 'a' }, 'away: the last keys are good for a day')
  now += 3_600_000
  await expect(t, auth, await one.token(), { code: 'overloaded' }, 'and no longer')
})

t.test('dev: you are who you say', async (t) => {
  const auth = authenticator([])
  const as = (given: Partial<Credentials>) => auth.authenticate(credentials(given))
  t.same(await as({ queryUser: 'alice' }), { user: 'alice', topics: undefined, expiresAtMs: Number.POSITIVE_INFINITY })
  t.match(await as({ queryUser: '用户1', device: 'd'.repeat(64) }), { user: '用户1', device: 'd'.repeat(64) })
  t.match(await as({ queryUser: 'alice', bearer: 'whatever' }), { user: 'alice' }, 'no key: tokens mean nothing')
  t.match(await as({}), unauthorized)
  t.match(await as({ bearer: hs({ sub: 'alice' }) }), unauthorized)
  t.match(await as({ queryUser: 'a\n' }), { code: 'malformed' })
  t.match(await as({ queryUser: 'x'.repeat(257) }), { code: 'malformed' })
  t.match(await as({ queryUser: 'a', device: 'd'.repeat(65) }), { code: 'malformed' })
  t.match(await as({ queryUser: 'a', device: '\u0001' }), { code: 'malformed' })
  const withKey = authenticator(['--auth', 'dev', '--jwt-secret', SECRET])
  t.match(await withKey.authenticate(credentials({ queryUser: 'alice' })), { user: 'alice' })
  t.match(await withKey.authenticate(credentials({ queryUser: 'alice', bearer: hs({ sub: 'bob' }) })), { user: 'bob' }, 'a token wins')
  t.match(await withKey.authenticate(credentials({ queryUser: 'alice', queryToken: hs({ sub: 'bob' }, 'x') })), unauthorized)
})

t.test('API keys', async (t) => {
  const keys = new ApiKeys(parseApiKeys(['first-key', 'second-key']))
  const accepts = (authorization: string, apiKey: string) => keys.find({ authorization, apiKey }) !== undefined
  t.ok(accepts('Bearer first-key', ''))
  t.ok(accepts('bearer  second-key', ''))
  t.ok(accepts('', 'second-key'))
  t.ok(accepts('Basic eHg6eQ==', 'first-key'), 'another scheme is for somebody else')
  for (const [authorization, apiKey] of [
    ['', ''],
    ['Bearer', ''],
    ['Bearer ', ''],
    ['first-key', ''],
    ['Bearer first-ke', ''],
    ['Bearer first-key2', ''],
    ['Bearer first-key second-key', ''],
    ['', 'first-key,second-key'],
    ['', 'FIRST-KEY'],
    ['Bearer wrong', 'first-key'],
  ] as const) {
    t.notOk(accepts(authorization, apiKey), `${authorization}|${apiKey}`)
  }
  t.notOk(new ApiKeys([]).find({ authorization: '', apiKey: '' }), 'no keys: nobody')
  keys.replace(parseApiKeys(['second-key', 'third-key']))
  t.same(
    ['first-key', 'second-key', 'third-key'].map((key) => accepts('', key)),
    [false, true, true],
    'rotated',
  )
})

t.test('scopes of API keys', async (t) => {
  const entries = [
    'plain',
    'shop:push:k1',
    'ops:read+metrics+sessions:k2:with;odd:chars=',
    'x:all:a:push:b',
    'No:Scope:here',
    'a:b',
    'http://x:y',
  ]
  t.same(
    parseApiKeys(entries).map(({ name, scopes, key }) => [name, [...scopes].join(' '), key]),
    [
      ['#1', 'push read sessions accounts metrics', 'plain'],
      ['shop', 'push', 'k1'],
      ['ops', 'read metrics sessions', 'k2:with;odd:chars='],
      ['x', 'push read sessions accounts metrics', 'a:push:b'],
      ['#5', 'push read sessions accounts metrics', 'No:Scope:here'],
      ['#6', 'push read sessions accounts metrics', 'a:b'],
      ['#7', 'push read sessions accounts metrics', 'http://x:y'],
    ],
  )
  for (const entry of ['secret:pusj:word', 'secret:push+admin:word']) {
    const error = t.throws(() => parseApiKeys(['other', entry]), { name: 'RangeError', message: /entry 2 has a scope that there is not/ })
    t.notMatch(String(error), /secret|word/, 'an error tells no key')
  }
  t.throws(() => parseApiKeys(['a:push:same-key', 'b:read:same-key']), /entry 2 is a key that is there before/)
  t.equal(parseApiKeys(['a:push:same-key', 'b:push:same-key']).length, 2)
})

t.test('failures are limited, to the one', async (t) => {
  let now = 1000
  const limit = new FailureLimit({ perMinute: 3, maxClients: 2, now: () => now })
  const wrong = { code: 'unauthorized', reason: 'wrong' } as const
  const codes = (ip: string, count: number) => Array.from({ length: count }, () => limit.told(ip, wrong).code)
  t.same(codes('10.0.0.1', 5), ['unauthorized', 'unauthorized', 'unauthorized', 'rate_limited', 'rate_limited'])
  t.same(codes('10.0.0.2', 1), ['unauthorized'], 'another address')
  now += 59_999
  t.match(limit.told('10.0.0.1', wrong), { code: 'rate_limited', retryAfterMs: 1 })
  now += 1
  t.same(codes('10.0.0.1', 4), ['unauthorized', 'unauthorized', 'unauthorized', 'rate_limited'], 'a new minute')
  for (const code of ['token_expired', 'malformed', 'overloaded'] as const) {
    t.equal(limit.told('10.0.0.1', { code, reason: '' }).code, code, `${code} is told`)
    for (let i = 0; i < 9; i++) limit.told('10.0.0.9', { code, reason: '' })
  }
  t.same(codes('10.0.0.9', 1), ['unauthorized'], 'and not counted')
  t.same(codes('2001:db8::1', 3), ['unauthorized', 'unauthorized', 'unauthorized'])
  t.same(codes('2001:db8:0:0:ffff::2', 1), ['rate_limited'], 'one /64 is one client')
  t.same(codes('2001:db8:0:1::1', 1), ['unauthorized'], 'the next is another')
  for (let i = 0; i < 100; i++) codes(`10.1.0.${i}`, 1)
  t.equal(limit.size, 2, 'memory is bounded')
  t.same(codes('2001:db8::1', 1), ['unauthorized'], 'the oldest are forgotten')
  const none = new FailureLimit({ perMinute: 0, maxClients: 2, now: () => now })
  for (let i = 0; i < 9; i++) t.equal(none.told('10.0.0.1', wrong).code, 'unauthorized')
  t.equal(none.size, 0)
})

t.test('networks', async (t) => {
  for (const text of ['10.0.0.1', '10.0.0.0/8', '::1', 'fd00::/8', '0.0.0.0/0']) t.ok(isNetwork(text), text)
  for (const text of ['', '10.0.0', '10.0.0.0/33', '::/129', '10.0.0.0/', '10.0.0.0/8/8', '10.0.0.0/-1', 'proxy.example', 'fe80::1%eth0']) {
    t.notOk(isNetwork(text), text)
  }
  const networks = new Networks(['10.0.0.0/8', '192.0.2.1', 'fd00::/8'])
  for (const address of ['10.255.0.1', '192.0.2.1', 'fdff::1', '::ffff:10.0.0.1']) t.ok(networks.has(address), address)
  for (const address of ['11.0.0.1', '192.0.2.2', 'fe80::1', '', 'unknown']) t.notOk(networks.has(address), address)
  t.same(
    ['10.0.0.1', '', '::1', '1::', '1:2:3:4:5:6:7:8', 'a::b:c:d:e:f:1', 'FE80::1%eth0', '1:2::', '1::2:3:4:5', '::1.2.3.4'].map(clientKey),
    [
      '10.0.0.1',
      '',
      '0:0:0:0::/64',
      '1:0:0:0::/64',
      '1:2:3:4::/64',
      'a:0:b:c::/64',
      'fe80:0:0:0::/64',
      '1:2:0:0::/64',
      '1:0:0:0::/64',
      '0:0:0:0::/64',
    ],
  )
})

t.test('keys are published at an address that nobody can turn into another', async (t) => {
  const problems = (url: string, ...argv: string[]) => {
    try {
      loadConfig({ argv: ['--jwks-url', url, ...argv], env: {} })
      return ''
    } catch (error) {
      return String(error)
    }
  }
  for (const url of ['https://id.example/jwks', 'http://127.0.0.1:1/', 'http://localhost/', 'http://[::1]/'])
    t.equal(problems(url), '', url)
  t.match(problems('http://id.example/'), /must be https/)
  t.equal(problems('http://id.example/', '--auth', 'dev'), '')
  t.match(problems('https://me:word@id.example/'), /no user and no password/)
  for (const host of [
    '169.254.169.254',
    '0xA9FEA9FE',
    '[fe80::1]',
    '[fd00:ec2::254]',
    '[::ffff:169.254.169.254]',
    'metadata.google.internal',
  ]) {
    t.match(problems(`https://${host}/`), /link-local/, host)
  }
  await t.rejects(checkAddresses(new URL('https://169.254.1.1/')), /link-local/)
  await t.resolves(checkAddresses(new URL('https://127.0.0.1/')))
})

t.test('published keys: a token names no address', async (t) => {
  const [jwks, evil] = [await provider(t), await provider(t)]
  const one = await published('one')
  const forged = await published('forged')
  jwks.keys = [one.jwk]
  evil.keys = [forged.jwk]
  const auth = authenticator(['--jwks-url', jwks.url])
  await expect(t, auth, await one.token(), { user: 'a' }, 'a good one')
  for (const header of [{ jku: evil.url }, { x5u: evil.url }, { jku: evil.url, kid: 'forged', jwk: forged.jwk }]) {
    const token = await new SignJWT({ sub: 'a' }).setProtectedHeader({ alg: 'ES256', ...header }).sign(forged.privateKey)
    await expect(t, auth, token, unauthorized, Object.keys(header).join())
  }
  t.equal(evil.requests, 0, 'nobody has asked there')
})

t.test('published keys: a provider that never ends', async (t) => {
  const one = await published('one')
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' })
    const more = setInterval(() => response.write(' '.repeat(64 * 1024)), 2)
    response.on('close', () => clearInterval(more))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const auth = authenticator(['--jwks-url', `http://127.0.0.1:${(server.address() as AddressInfo).port}/`])
  const before = Date.now()
  await expect(t, auth, await one.token(), { code: 'overloaded' }, 'is cut off')
  t.ok(Date.now() - before < 4000, 'by its size, before its time')
})
