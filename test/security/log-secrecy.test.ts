// No token, key, password or session id in any output, at the lowest level, whatever clients and backends do with them: what a whole
// process writes, and what the parts give to a logger that takes nothing out.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import { signToken } from '../../gateway/cli/token.js'
import { loadConfig } from '../../gateway/config.js'
import { createLogger, type Logger } from '../../gateway/logger.js'
import { redactor } from '../../gateway/redaction.js'
import { startHoldwire } from '../../gateway/serve.js'
import { BoshClient } from '../support/bosh-client.js'
import { leakIn } from '../support/leaks.js'
import { RawConnection } from '../support/raw-http.js'

const JWT_SECRET = 'jwt "secret" of more than 32 bytes / + %'
const KEYS = { all: 'key-of-all+/=words', push: 'key-for-pushing-only', wrong: 'key-that-is-wrong-1' }
const PASSWORD = 'pass word "of" alice'
const WRONG_PASSWORD = 'wrong-password-of-alice'
const NATS_PASSWORD = 'pass%22word-of-nats'
const PAYLOAD = 'text-of-a-message-9f3b'
const START_MS = 60_000
const SASL = 'urn:ietf:params:xml:ns:xmpp-sasl'
const OPEN = "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='localhost' version='1.0'/>"

/** As they are, and as they look in other clothes. */
function formsOf(secret: string): string[] {
  const bytes = Buffer.from(secret)
  const base64 = bytes.toString('base64')
  return [
    secret,
    JSON.stringify(secret).slice(1, -1),
    encodeURIComponent(secret),
    new URLSearchParams({ a: secret }).toString().slice(2),
    base64.replace(/=+$/, ''),
    bytes.toString('base64url'),
    bytes.toString('hex'),
  ]
}

class Secrets {
  readonly #secrets = new Map<string, string>()

  add(name: string, secret: string): string {
    if (secret.length < 8) throw new Error(`${name} is too short to be looked for: ${secret}`)
    this.#secrets.set(name, secret)
    return secret
  }

  /** A token is one by its signature already, and its claims are nobody's business either. */
  token(name: string, token: string): string {
    const [, claims = '', signature = ''] = token.split('.')
    this.add(`${name}: claims`, claims)
    this.add(`${name}: signature`, signature)
    return this.add(name, token)
  }

  session(name: string, id: string): string {
    this.add(`${name}: its secret`, id.split('.').at(-1) ?? '')
    return this.add(name, id)
  }

  look(t: Test, output: string): void {
    t.equal(leakIn(output), undefined, 'nothing that looks like a secret')
    for (const [name, secret] of this.#secrets) {
      const found = formsOf(secret).find((form) => output.includes(form))
      const line = found === undefined ? '' : (output.split('\n').find((one) => one.includes(found)) ?? '')
      t.equal(line, '', name)
    }
  }

  get size(): number {
    return this.#secrets.size
  }
}

/** Publishes one key, whose tokens are good. */
async function provider(t: Test) {
  const { publicKey, privateKey } = await generateKeyPair('ES256')
  const keys = JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: 'one' }] })
  const server = createServer((_request, response) => response.end(keys))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => void server.close())
  const token = (user: string) =>
    new SignJWT({ sub: user }).setProtectedHeader({ alg: 'ES256', kid: 'one' }).setExpirationTime('1h').sign(privateKey)
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`, token }
}

interface Ports {
  readonly clientUrl: string
  readonly internalUrl: string
}

/** Everything that can be done with a secret, right and wrong. */
async function traffic({ clientUrl, internalUrl }: Ports, secrets: Secrets, idToken: string): Promise<void> {
  const config = loadConfig({ argv: [], env: { HOLDWIRE_JWT_SECRET: JWT_SECRET } })
  const sign = (expiresIn: string) => signToken(config, { user: 'alice', expiresIn }, Date.now())
  secrets.add('the secret of tokens', JWT_SECRET)
  secrets.add('the payload', PAYLOAD)
  const good = secrets.token('a good token', await sign('1h'))
  const expired = secrets.token('an expired token', await sign('-1h'))
  const forged = secrets.token('a forged token', `${good.slice(0, -10)}${good.at(-1) === 'A' ? 'BBBBBBBBBB' : 'AAAAAAAAAA'}`)
  const published = secrets.token('a token of the provider', idToken)
  const short = secrets.token('a token that ends soon', await sign('2s'))
  const tokens = [good, expired, forged, published, `${good}x`]

  // Tokens in headers and in the query, on every transport.
  for (const token of tokens) {
    for (const at of ['/poll', '/sse', '/send', '/nowhere']) {
      for (const [query, headers] of [
        [`?token=${token}`, {}],
        [`?session=${token}&cursor=${token}`, { authorization: `Bearer ${token}` }],
        ['', { authorization: token, cookie: `token=${token}` }],
      ] as const) {
        const gone = new AbortController()
        const response = await fetch(`${clientUrl}${at}${query}`, { method: at === '/send' ? 'POST' : 'GET', headers, signal: gone.signal })
        gone.abort()
        await response.body?.cancel().catch(() => undefined)
      }
    }
    await converse(
      `${clientUrl.replace('http', 'ws')}/ws?token=${token}`,
      [],
      [`{"type":"auth","ref":"1","token":"${token}"}`, `{"token":"${token}`],
    )
  }
  const ending = converse(`${clientUrl.replace('http', 'ws')}/ws?token=${short}`, [], [])

  // Sessions, their cursors, and frames that cannot be read.
  const opened = (await (await fetch(`${clientUrl}/poll?token=${good}`)).json()) as { cursor: string; frames: { session: string }[] }
  const cursor = secrets.add('a cursor', opened.cursor)
  const session = secrets.session('a session', opened.frames[0]?.session ?? '')
  const disguised = secrets.add('a guessed session', `${session.slice(0, -22)}${'Z'.repeat(22)}`)
  for (const id of [session, disguised]) {
    for (const body of [
      `{"type":"ping","ref":"1"}`,
      `{"type":"message","to":"bob","data":"${PAYLOAD}"}`,
      `{"session":"${session}","x`,
      `["${PAYLOAD}"]`,
    ]) {
      await (await fetch(`${clientUrl}/send?session=${id}`, { method: 'POST', body })).text()
    }
  }
  await (await fetch(`${clientUrl}/poll?token=${good}&cursor=${cursor}&wait=0`)).text()
  await (await fetch(`${clientUrl}/poll?token=${published}&cursor=${cursor}&wait=0`)).text()
  for (const bytes of [
    `GET /poll?token=${good} HTTP/1.1\r\nHost: a\r\nbad header ${good}\r\n\r\n`,
    `GET /poll?token=${good} HTTP/9.9\r\n\r\n`,
    `POST /send?session=${session} HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n`,
    `GET /ws?token=${good} HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n`,
  ]) {
    const raw = await RawConnection.open(Number(new URL(clientUrl).port))
    await raw.send(bytes)
    await new Promise((resolve) => setTimeout(resolve, 20))
    raw.destroy()
  }

  // Backends.
  const [all, push, wrong] = [
    secrets.add('a key', KEYS.all),
    secrets.add('a key for pushing', KEYS.push),
    secrets.add('a wrong key', KEYS.wrong),
  ]
  secrets.add('a password', PASSWORD)
  for (const key of [all, push, wrong]) {
    const call = async (method: string, target: string, body?: string) => {
      const headers = { authorization: `Bearer ${key}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) }
      const response = await fetch(`${internalUrl}${target}`, { method, headers, ...(body === undefined ? {} : { body }) })
      await response.text()
    }
    await call('POST', '/api/v1/push', JSON.stringify({ to: { user: 'alice' }, data: PAYLOAD }))
    await call('POST', `/api/v1/push?key=${key}`, `{"${PAYLOAD}`)
    await call('PUT', '/api/v1/accounts/alice', JSON.stringify({ password: PASSWORD }))
    await call('PUT', '/api/v1/accounts/alice', JSON.stringify({ password: PASSWORD, more: PASSWORD }))
    await call('GET', '/metrics')
  }

  // XMPP: passwords and tokens, over BOSH and over a WebSocket.
  const plain = (password: string) => Buffer.from(`\0alice\0${password}`).toString('base64')
  secrets.add('a wrong password', WRONG_PASSWORD)
  secrets.add('PLAIN', plain(PASSWORD).replace(/=+$/, ''))
  const client = new BoshClient('alice', [clientUrl], 1)
  await client.login(PASSWORD, 'desk')
  client.message('alice@localhost', PAYLOAD)
  await client.until(() => client.bodies.includes(PAYLOAD), 5000, 'its own message')
  await client.logout()
  const auth = (mechanism: string, text: string) => `<auth xmlns='${SASL}' mechanism='${mechanism}'>${text}</auth>`
  const bearer = (token: string) => auth('OAUTHBEARER', Buffer.from(`n,,\u0001auth=Bearer ${token}\u0001\u0001`).toString('base64'))
  const scram = auth('SCRAM-SHA-256', Buffer.from('n,,n=alice,r=a-nonce-of-the-client').toString('base64'))
  for (const word of [
    auth('PLAIN', plain(WRONG_PASSWORD)),
    auth('PLAIN', plain(PASSWORD)),
    scram,
    ...tokens.map(bearer),
    `<auth ${PASSWORD}`,
  ]) {
    await converse(
      `${clientUrl.replace('http', 'ws')}/xmpp-websocket`,
      ['xmpp'],
      [OPEN, word, `<response xmlns='${SASL}'>AQ==</response>`, `<x a=${PASSWORD}`],
    )
  }
  await ending
}

/** Says all of it and leaves, when the server has not ended it before. */
async function converse(url: string, protocols: string[], words: readonly string[]): Promise<void> {
  const socket = new WebSocket(url, protocols)
  const ended = new Promise<void>((resolve) => {
    socket.on('close', () => resolve())
    socket.on('error', () => undefined)
  })
  const opened = await Promise.race([once(socket, 'open').then(() => true), ended.then(() => false)])
  for (const word of opened ? words : []) {
    if (socket.readyState === WebSocket.OPEN) socket.send(word)
    await Promise.race([once(socket, 'message'), ended, new Promise((resolve) => setTimeout(resolve, 100))])
  }
  socket.close(1000)
  await ended
}

function flagsOf(jwksUrl: string): string[] {
  const ports = ['--client-port', '0', '--internal-port', '0']
  const limits = ['--log-level', 'trace', '--drain-seconds', '0', '--resume-seconds', '1', '--max-sessions-per-user', '1000']
  return [...ports, ...limits, '--jwks-url', jwksUrl, '--jwt-leeway-seconds', '0', '--auth-failures-per-minute', '20']
}

/** What a process writes until it has ended, or until `enough`. */
async function run(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  during?: (output: () => string) => Promise<void>,
): Promise<string> {
  const main = join(import.meta.dirname, '../../gateway/main.js')
  const child = spawn(process.execPath, [main, ...args], {
    env: { PATH: process.env.PATH ?? '', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      output += chunk
    })
  }
  const exited = once(child, 'close')
  const timer = setTimeout(() => child.kill('SIGKILL'), 60_000)
  try {
    await during?.(() => output)
  } finally {
    if (during !== undefined) child.kill('SIGTERM')
    await exited
    clearTimeout(timer)
  }
  return output
}

async function until(output: () => string, text: RegExp): Promise<RegExpExecArray> {
  const deadline = Date.now() + START_MS
  for (;;) {
    const found = text.exec(output())
    if (found !== null) return found
    if (Date.now() > deadline) throw new Error(`no ${text} in ${output()}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

t.test('a process, with secrets in files', async (t) => {
  const { url, token } = await provider(t)
  const folder = mkdtempSync(join(tmpdir(), 'holdwire-secrets-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const file = (name: string, text: string) => {
    writeFileSync(join(folder, name), text)
    return join(folder, name)
  }
  const env = {
    HOLDWIRE_JWT_SECRET_FILE: file('jwt', JWT_SECRET),
    HOLDWIRE_API_KEYS_FILE: file('keys', `${KEYS.all}\nshop:push:${KEYS.push}\n`),
  }
  const secrets = new Secrets()
  const output = await run(['serve', ...flagsOf(url)], env, async (written) => {
    const { 1: ready = '{}' } = await until(written, /(\{.*holdwire is ready.*\})/)
    await traffic(JSON.parse(ready) as Ports, secrets, await token('bob'))
  })
  t.match(output, /session opened/, 'it was written at the lowest level')
  t.match(output, /"key":"shop"/)
  t.match(output, /stopped/)
  t.ok(secrets.size > 20)
  secrets.look(t, output)
})

t.test('a logger that takes nothing out is given no secret either', async (t) => {
  const { url, token } = await provider(t)
  const env = { HOLDWIRE_JWT_SECRET: JWT_SECRET, HOLDWIRE_API_KEYS: `${KEYS.all},shop:push:${KEYS.push}` }
  const config = loadConfig({ argv: flagsOf(url), env })
  let output = ''
  const write = (line: string) => {
    output += line
  }
  const log: Logger = pino({ level: 'trace' }, { write })
  const { clientUrl = '', internalUrl, stop } = await startHoldwire(config, 'serve', log)
  const secrets = new Secrets()
  try {
    await traffic({ clientUrl, internalUrl }, secrets, await token('bob'))
  } finally {
    await stop()
  }
  t.match(output, /session opened/)
  secrets.look(t, output)
})

t.test('starts that fail, and a NATS server that is away', async (t) => {
  const secrets = new Secrets()
  secrets.add('the password of NATS', NATS_PASSWORD)
  secrets.add('the secret of tokens', JWT_SECRET)
  secrets.add('a key', KEYS.all)
  const nats = `nats://me:${NATS_PASSWORD}@127.0.0.1:1`
  const exposed = ['--jwt-secret', JWT_SECRET, '--api-keys', KEYS.all, '--nats-url', nats]
  const outputs = await Promise.all([
    run(['gateway', '--log-level', 'trace', ...exposed], {}, async (written) => {
      await until(written, /no NATS server answers yet/)
    }),
    run(['serve', ...exposed, '--engine', 'fast'], {}),
    run(['serve', '--client-tls-cert', '/nowhere', '--client-tls-key', '/nowhere', '--log-level', 'trace'], {
      HOLDWIRE_JWT_SECRET: JWT_SECRET,
    }),
    run(['serve'], { HOLDWIRE_JWT_SECRET_FILE: JWT_SECRET }),
    run(['config', '--json', ...exposed], {}),
    run(['config', ...exposed], {}),
  ])
  t.match(outputs[0], /--jwt-secret: secrets on the command line are visible to other users/)
  t.match(outputs[0], /--nats-url: secrets on the command line/)
  t.match(outputs[2], /cannot start: the certificate of the client port: ENOENT/)
  t.match(outputs[4], /"\*\*\*"/)
  secrets.look(t, outputs.join('\n'))
})

t.test('and should one get as far as the logger, it is taken out', async (t) => {
  const env = {
    HOLDWIRE_JWT_SECRET: JWT_SECRET,
    HOLDWIRE_API_KEYS: `shop:push:${KEYS.push}`,
    HOLDWIRE_NATS_URL: `nats://me:${NATS_PASSWORD}@a`,
  }
  const config = loadConfig({ argv: ['--log-level', 'trace'], env })
  let output = ''
  const write = (line: string) => {
    output += line
  }
  const log = createLogger(config, { write })
  const token = await signToken(config, { user: 'alice', expiresIn: '1h' }, Date.now())
  const session = `AAAAAAAA.1f.${'s'.repeat(22)}`
  const url = `https://a.example/send?x=1&session=${session}&token=${token}`
  log.info(`a request to ${url}`)
  log.error({ err: new Error(`cannot use ${JWT_SECRET} and ${KEYS.push} at nats://me:${NATS_PASSWORD}@a`) }, 'failed')
  log.info(
    { deep: { down: { authorization: `Bearer ${token}`, note: `Basic ${Buffer.from('alice:secret-word').toString('base64')}` } } },
    session,
  )
  log.info({ headers: { cookie: 'a=b', 'x-api-key': 'something-else' }, password: 'pass' }, decodeURIComponent(NATS_PASSWORD))
  const secrets = new Secrets()
  secrets.add('session', session.slice(-22))
  secrets.token('token', token)
  secrets.add('secret', JWT_SECRET)
  secrets.add('key', KEYS.push)
  secrets.add('NATS', NATS_PASSWORD)
  secrets.add('NATS, decoded', decodeURIComponent(NATS_PASSWORD))
  secrets.look(t, output)
  t.notMatch(output, /a=b|something-else|YWxpY2U6/)
  for (const line of output.trim().split('\n')) t.match(JSON.parse(line), { level: String }, 'what is left is JSON still')
  t.match(output, /AAAAAAAA\.1f\.\*\*\*/, 'the public part of a session stays')
  t.equal(redactor({})('nothing to hide: https://a.example/x?y=1 12.5 a@b'), 'nothing to hide: https://a.example/x?y=1 12.5 a@b')
})
