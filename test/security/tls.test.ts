// TLS on both ports: handshakes, everything a client does, certificates that change, backends with certificates of their own.

import { copyFileSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { get, request } from 'node:https'
import { connect as connectPlain } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ConnectionOptions, connect, type PeerCertificate, type TLSSocket } from 'node:tls'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import { clientUrl, internalUrl } from '../../gateway/cli/push.js'
import { loadConfig } from '../../gateway/config.js'
import { createLogger } from '../../gateway/logger.js'
import type { Running } from '../../gateway/running.js'
import { startHoldwire } from '../../gateway/serve.js'
import { chooseEngine } from '../../transports/engine/choose-engine.js'
import type { Exchange } from '../../transports/engine/engine.js'
import { defineHead } from '../../transports/engine/heads.js'
import { ExchangeWitness, patient, startHost } from '../support/engine-host.js'

const FIXTURES = join(import.meta.dirname, '../../../test/security/fixtures')
const fixture = (name: string) => readFileSync(join(FIXTURES, name), 'utf8')
const CA = fixture('ca.pem')
const KEY = 'the-key-of-the-backend'
const PATIENCE_MS = 20_000
/** More than sockets and their buffers take. */
const LIMIT_BYTES = 64 * 1024 * 1024

/** A folder with `tls.crt` and `tls.key`, to be changed. */
class Pair {
  readonly folder: string
  readonly cert: string
  readonly key: string

  constructor(t: Test) {
    this.folder = mkdtempSync(join(tmpdir(), 'holdwire-tls-'))
    this.cert = join(this.folder, 'tls.crt')
    this.key = join(this.folder, 'tls.key')
    this.use('server', 'server')
    t.teardown(() => rmSync(this.folder, { recursive: true }))
  }

  use(cert: string, key: string): void {
    copyFileSync(join(FIXTURES, `${cert}.cert.pem`), this.cert)
    copyFileSync(join(FIXTURES, `${key}.key.pem`), this.key)
  }
}

interface Served {
  readonly running: Running
  readonly clientPort: number
  readonly internalPort: number
  readonly log: string[]
  logged(text: RegExp): Promise<void>
}

async function serve(t: Test, flags: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Served> {
  const common = ['--client-port', '0', '--internal-port', '0', '--drain-seconds', '0', '--reload-seconds', '0.05']
  const config = loadConfig({ argv: [...common, ...flags], env, readFile: (path) => readFileSync(path, 'utf8') })
  const log: string[] = []
  const running = await startHoldwire(config, 'serve', createLogger(config, { write: (line) => void log.push(line) }))
  t.teardown(() => running.stop())
  const logged = (text: RegExp) => until(`a log line like ${text}`, () => log.some((line) => text.test(line)))
  return { running, clientPort: running.clientPort ?? 0, internalPort: running.internalPort, log, logged }
}

async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`${what} did not come`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

interface Answer {
  readonly status: number
  readonly text: string
  /** Common name of the server's certificate. */
  readonly server: string
}

function ask(
  port: number,
  path: string,
  options: ConnectionOptions & { method?: string; headers?: Record<string, string> } = {},
  body = '',
) {
  return new Promise<Answer>((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, path, ca: CA, agent: false, ...options }, (response) => {
      const server = nameOf(response.socket as TLSSocket)
      let text = ''
      response.on('data', (chunk) => {
        text += chunk
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text, server }))
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

function nameOf(socket: TLSSocket): string {
  const { subject } = socket.getPeerCertificate() as Partial<PeerCertificate>
  return String(subject?.CN)
}

/** The version that was agreed on. */
function handshake(port: number, options: ConnectionOptions = {}): Promise<{ readonly version: string | null; readonly server: string }> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, ca: CA, ...options }, () => {
      resolve({ version: socket.getProtocol(), server: nameOf(socket) })
      socket.destroy()
    })
    socket.on('error', reject)
  })
}

t.test('both ports speak TLS 1.2 and up, and all transports over it', async (t) => {
  const pair = new Pair(t)
  const flags = [
    '--client-tls-cert',
    pair.cert,
    '--client-tls-key',
    pair.key,
    '--internal-tls-cert',
    pair.cert,
    '--internal-tls-key',
    pair.key,
  ]
  const { running, clientPort, internalPort, log } = await serve(t, flags)
  t.equal(running.clientUrl, `https://127.0.0.1:${clientPort}`)
  t.equal(running.internalUrl, `https://127.0.0.1:${internalPort}`)
  t.equal(running.engine, 'node')
  t.match(log.join(''), /engine node, because of TLS/)
  t.match(log.join(''), /certificate in use/)
  for (const port of [clientPort, internalPort]) {
    t.match(await handshake(port), { version: 'TLSv1.3', server: 'first' })
    t.match(await handshake(port, { maxVersion: 'TLSv1.2' }), { version: 'TLSv1.2' })
    // Security level 0 lets the client offer it at all; the server does not take it.
    const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const
    await t.rejects(handshake(port, old), /protocol version|unsupported protocol|ECONNRESET/i)
    await t.rejects(handshake(port, { ca: fixture('stranger.cert.pem') }), /certificate/, 'a client that trusts somebody else')
    const plain = connectPlain({ port, host: '127.0.0.1' })
    plain.on('error', () => undefined)
    plain.end('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    const answered = await new Promise<string>((resolve) => {
      let text = ''
      plain.on('data', (chunk) => {
        text += chunk
      })
      plain.on('close', () => resolve(text))
    })
    t.notMatch(answered, /^HTTP/, 'nobody is served without TLS')
  }

  t.match(await ask(internalPort, '/livez'), { status: 200 })
  t.match(JSON.parse((await ask(clientPort, '/.well-known/host-meta.json')).text), {
    links: [{ href: `https://127.0.0.1:${clientPort}/http-bind` }, { href: `wss://127.0.0.1:${clientPort}/xmpp-websocket` }],
  })
  t.match(await ask(clientPort, '/'), { status: 200 })
  t.match(JSON.parse((await ask(clientPort, '/poll?user=alice')).text), { frames: [{ type: 'hello' }] })
  const creation = `<body xmlns='http://jabber.org/protocol/httpbind' rid='1' to='localhost' ver='1.6' wait='1' hold='1'/>`
  const bosh = await ask(clientPort, '/http-bind', { method: 'POST', headers: { 'content-length': String(creation.length) } }, creation)
  t.match(bosh.text, / sid='/)

  const socket = new WebSocket(`wss://127.0.0.1:${clientPort}/ws?user=bob`, { ca: CA })
  t.teardown(() => socket.terminate())
  const frames: { type: string; data?: unknown; session?: string }[] = []
  socket.on('message', (data) => frames.push(JSON.parse(data.toString())))
  let events = ''
  const stream = get({ host: '127.0.0.1', port: clientPort, path: '/sse?user=bob', ca: CA, agent: false }, (response) => {
    response.on('data', (chunk) => {
      events += chunk
    })
  })
  stream.on('error', () => undefined)
  t.teardown(() => stream.destroy())
  await until('both greetings', () => frames.length > 0 && events.includes('event: hello'))
  const pushed = JSON.stringify({ to: { user: 'bob' }, data: 'x'.repeat(100_000) })
  const headers = { 'content-type': 'application/json', 'content-length': String(pushed.length) }
  t.match(await ask(internalPort, '/api/v1/push', { method: 'POST', headers }, pushed), { status: 200 })
  await until('the message', () => frames.some(({ type }) => type === 'message') && events.includes('x'.repeat(100_000)))
  socket.send(JSON.stringify({ type: 'ping', ref: '1' }))
  await until('the reply', () => frames.some(({ type }) => type === 'reply'))
})

t.test('certificates are taken anew when their files change, and bad ones are kept out', async (t) => {
  const pair = new Pair(t)
  const flags = [
    '--client-tls-cert',
    pair.cert,
    '--client-tls-key',
    pair.key,
    '--internal-tls-cert',
    pair.cert,
    '--internal-tls-key',
    pair.key,
  ]
  const { clientPort, internalPort, log, logged } = await serve(t, flags)
  const ports = [clientPort, internalPort]
  const names = () => Promise.all(ports.map(async (port) => (await handshake(port)).server))
  t.same(await names(), ['first', 'first'])
  const socket = new WebSocket(`wss://127.0.0.1:${clientPort}/ws?user=bob`, { ca: CA })
  t.teardown(() => socket.terminate())
  await new Promise((resolve) => socket.once('message', resolve))

  pair.use('renewed', 'server')
  await logged(/the client port: the new files cannot be used; .*not that of the certificate/)
  await logged(/the internal port: the new files cannot be used/)
  t.same(await names(), ['first', 'first'], 'half a pair')
  writeFileSync(pair.key, 'no key')
  await logged(/no private key in PEM/)
  t.same(await names(), ['first', 'first'], 'no key')
  rmSync(pair.cert)
  await logged(/cannot be read again/)
  t.same(await names(), ['first', 'first'], 'no file')
  const failures = () => log.filter((line) => line.includes('cannot be read again')).length
  await new Promise((resolve) => setTimeout(resolve, 200))
  t.equal(failures(), 2, 'said once a port')

  pair.use('renewed', 'renewed')
  await logged(/the client port: read again/)
  await logged(/the internal port: read again/)
  t.same(await names(), ['second', 'second'])
  const pong = new Promise((resolve) => socket.once('pong', resolve))
  socket.ping()
  await pong
  t.equal(socket.readyState, WebSocket.OPEN, 'connections of before go on')
  t.match(await handshake(clientPort, { maxVersion: 'TLSv1.2' }), { version: 'TLSv1.2' })
  await t.rejects(handshake(clientPort, { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' }), 'still 1.2')
  t.notMatch(log.join(''), /PRIVATE KEY/)
})

t.test('a secret of Kubernetes: links to links, of which one is replaced', async (t) => {
  const pair = new Pair(t)
  const at = (name: string) => join(pair.folder, name)
  for (const [name, from] of [
    ['one', 'server'],
    ['two', 'renewed'],
  ] as const) {
    const other = new Pair(t)
    other.use(from, from)
    symlinkSync(other.folder, at(name))
  }
  symlinkSync(at('one'), at('..data'))
  rmSync(pair.cert)
  rmSync(pair.key)
  symlinkSync(join('..data', 'tls.crt'), pair.cert)
  symlinkSync(join('..data', 'tls.key'), pair.key)
  const { clientPort, logged } = await serve(t, ['--client-tls-cert', pair.cert, '--client-tls-key', pair.key])
  t.match(await handshake(clientPort), { server: 'first' })
  symlinkSync(at('two'), at('new'))
  renameSync(at('new'), at('..data'))
  await logged(/the client port: read again/)
  t.match(await handshake(clientPort), { server: 'second' })
})

t.test('backends with certificates: besides the key, and not for probes', async (t) => {
  const pair = new Pair(t)
  const ca = join(FIXTURES, 'ca.pem')
  const tls = ['--internal-tls-cert', pair.cert, '--internal-tls-key', pair.key, '--internal-tls-client-ca', ca]
  const { internalPort } = await serve(t, ['--jwt-secret', 's'.repeat(32), '--api-keys', KEY, ...tls])
  const headers = { authorization: `Bearer ${KEY}` }
  const backend = { cert: fixture('client.cert.pem'), key: fixture('client.key.pem') }
  const stranger = { cert: fixture('stranger.cert.pem'), key: fixture('stranger.key.pem') }
  t.match(await ask(internalPort, '/api/v1/stats', { headers, ...backend }), { status: 200 })
  const missing = { status: 401, text: /client certificate/ }
  t.match(await ask(internalPort, '/api/v1/stats', { headers }), missing, 'no certificate')
  t.match(await ask(internalPort, '/api/v1/stats', { headers, ...stranger }), missing, 'of another authority')
  t.match(await ask(internalPort, '/api/v1/stats', backend), { status: 401, text: /API key/ }, 'no key')
  t.match(await ask(internalPort, '/metrics'), { status: 401 })
  for (const path of ['/livez', '/readyz']) t.match(await ask(internalPort, path), { status: 200 }, `${path} is for probes`)

  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    // What is resumed was not shown a certificate of today.
    const session = await new Promise<Buffer | undefined>((resolve, reject) => {
      const socket = connect({ host: '127.0.0.1', port: internalPort, ca: CA, maxVersion }, () =>
        socket.write('GET /livez HTTP/1.1\r\nHost: a\r\n\r\n'),
      )
      let ticket: Buffer | undefined
      socket.on('session', (given) => {
        ticket = given
      })
      socket.on('data', () => {
        resolve(ticket)
        socket.destroy()
      })
      socket.on('error', reject)
    })
    t.match(
      await ask(internalPort, '/api/v1/stats', { headers, maxVersion, ...(session === undefined ? {} : { session }) }),
      missing,
      maxVersion,
    )
  }
})

t.test('what cannot be used stops the start, and says why', async (t) => {
  const pair = new Pair(t)
  const client = (cert: string, key: string) => ['--client-tls-cert', cert, '--client-tls-key', key]
  await t.rejects(serve(t, client(join(pair.folder, 'nowhere'), pair.key)), { name: 'ConfigError', message: /client port: ENOENT/ })
  await t.rejects(serve(t, client(pair.key, pair.key)), { name: 'ConfigError', message: /the certificate is not in PEM/ })
  await t.rejects(serve(t, client(pair.cert, pair.cert)), { name: 'ConfigError', message: /no private key/ })
  await t.rejects(serve(t, client(pair.cert, join(FIXTURES, 'renewed.key.pem'))), { name: 'ConfigError', message: /not that of the cert/ })
  const internal = ['--internal-tls-cert', pair.cert, '--internal-tls-key', pair.key, '--internal-tls-client-ca', pair.key]
  await t.rejects(serve(t, internal), { name: 'ConfigError', message: /authority of clients is not in PEM/ })
})

t.test('keys of backends are rotated in their file', async (t) => {
  const pair = new Pair(t)
  const path = join(pair.folder, 'keys')
  writeFileSync(path, 'old-key-of-the-backend\n')
  const env = { HOLDWIRE_API_KEYS_FILE: path }
  const { running, log, logged } = await serve(t, ['--jwt-secret', 's'.repeat(32)], env)
  const status = async (key: string) => (await fetch(`${running.internalUrl}/api/v1/stats`, { headers: { 'x-api-key': key } })).status
  t.same([await status('old-key-of-the-backend'), await status('new-key-of-the-backend')], [200, 401])
  writeFileSync(path, 'old-key-of-the-backend\nshop:read:new-key-of-the-backend\n')
  await logged(/the API keys: read again/)
  t.same([await status('old-key-of-the-backend'), await status('new-key-of-the-backend')], [200, 200])
  writeFileSync(path, 'shop:raed:new-key-of-the-backend\n')
  await logged(/the API keys: the new files cannot be used; .*scope that there is not/)
  t.same([await status('old-key-of-the-backend'), await status('new-key-of-the-backend')], [200, 200])
  writeFileSync(path, 'shop:push:new-key-of-the-backend\n')
  await until('the new keys', () => log.filter((line) => line.includes('the API keys: read again')).length === 2)
  t.same([await status('old-key-of-the-backend'), await status('new-key-of-the-backend')], [401, 403])
  t.match(log.join(''), /"key":"shop","scope":"read"/)
  t.notMatch(log.join(''), /key-of-the-backend/)
})

t.test('URLs of the command line are those of the ports', async (t) => {
  const config = (...argv: string[]) => loadConfig({ argv, env: {} })
  t.equal(clientUrl(config()), 'http://127.0.0.1:8000')
  t.equal(internalUrl(config()), 'http://127.0.0.1:9000')
  const both = ['--client-tls-cert', 'c', '--client-tls-key', 'k', '--internal-tls-cert', 'c', '--internal-tls-key', 'k']
  t.equal(clientUrl(config(...both)), 'https://127.0.0.1:8000')
  t.equal(internalUrl(config(...both, '--internal-host', '::1')), 'https://[::1]:9000')
})

t.test('uws has no TLS, and says so', async (t) => {
  const log = { info: () => undefined, warn: () => undefined }
  await t.rejects(chooseEngine('uws', log, undefined, 'tls'), /could not reload certificates/)
  t.equal((await chooseEngine('auto', log, undefined, 'tls')).name, 'node')
  const tls = { cert: fixture('server.cert.pem'), key: fixture('server.key.pem'), clientCa: undefined }
  const routes = { request: () => undefined, upgrade: () => undefined }
  const uws = await chooseEngine('uws', log)
  await t.rejects(uws.listen({ ...patient, tls, onError: () => undefined }, routes), /no TLS here/)
  const node = await chooseEngine('node', log)
  const listener = await node.listen({ ...patient, onError: () => undefined }, routes)
  t.teardown(() => listener.close())
  t.throws(() => listener.renewTls(tls), /no TLS/)
})

t.test('over TLS too a slow reader is noticed, and so is a handshake that never ends', async (t) => {
  const tls = { cert: fixture('server.cert.pem'), key: fixture('server.key.pem'), clientCa: undefined }
  const node = await chooseEngine('node', { info: () => undefined, warn: () => undefined })
  const witness = new ExchangeWitness()
  const host = await startHost(t, node, { tls, stallTimeoutMs: 300, headersTimeoutMs: 300 })
  const head = defineHead(200, [['content-type', 'text/event-stream']])
  let written = 0
  const chunk = 'x'.repeat(65_536)
  const write = (exchange: Exchange): void => {
    while (written < LIMIT_BYTES && exchange.write(chunk) === 'ok') written += chunk.length
  }
  witness.onDrain = write
  host.request = (_head, exchange) => {
    exchange.owner = witness
    exchange.openStream(head)
    write(exchange)
  }
  const slow = connect({ host: '127.0.0.1', port: host.port, ca: CA }, () => {
    slow.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    slow.pause()
  })
  slow.on('error', () => undefined)
  await witness.journal.until('gone timeout')
  t.ok(written < LIMIT_BYTES, `${written} bytes were taken before the reader was full`)
  slow.destroy()

  const silent = connectPlain({ port: host.port, host: '127.0.0.1' })
  silent.on('error', () => undefined)
  const before = Date.now()
  await new Promise((resolve) => silent.on('close', resolve))
  t.ok(Date.now() - before < 3000, 'cut off')
  const half = connectPlain({ port: host.port, host: '127.0.0.1' })
  half.on('error', () => undefined)
  await new Promise((resolve) => half.on('connect', resolve))
  await host.listener.close()
  t.equal(host.listener.connections, 0, 'a port that closes waits for no handshake')
})
