import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import t, { type Test } from 'tap'
import { createAuthenticator } from '../../gateway/auth/authenticator.js'
import { type ListenSurroundings, type ListenTarget, listen } from '../../gateway/cli/listen.js'
import { clientUrl, internalUrl, pushBody } from '../../gateway/cli/push.js'
import { signToken } from '../../gateway/cli/token.js'
import { loadConfig } from '../../gateway/config.js'

const MAIN = join(import.meta.dirname, '../../gateway/main.js')
const SECRET = 'a secret of more than thirty-two bytes'
const NOW = 1_800_000_000_000

function config(argv: string[] = []) {
  return loadConfig({ argv, env: {}, hostname: 'here' })
}

function start(t: Test, args: string[], env: Record<string, string> = {}): ChildProcess {
  const clean = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('HOLDWIRE_')))
  const child = spawn(process.execPath, [MAIN, ...args], { env: { ...clean, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  // Nothing here takes long: what hangs fails.
  const limit = setTimeout(() => child.kill('SIGKILL'), 20_000)
  t.teardown(() => {
    clearTimeout(limit)
    child.kill('SIGKILL')
  })
  return child
}

async function run(t: Test, args: string[], env?: Record<string, string>): Promise<{ code: number | null; out: string; err: string }> {
  const child = start(t, args, env)
  const result = { code: null as number | null, out: '', err: '' }
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    result.out += text
  })
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    result.err += text
  })
  const [code] = (await once(child, 'close')) as [number | null]
  return { ...result, code }
}

interface Served {
  child: ChildProcess
  clientUrl: string
  internalUrl: string
}

/** Waits for the line that says it is ready. */
async function serve(t: Test, args: string[] = [], env: Record<string, string> = {}): Promise<Served> {
  const child = start(t, ['serve', '--client-port', '0', '--internal-port', '0', '--engine', 'node', ...args], env)
  const lines: string[] = []
  for await (const line of createInterface({ input: child.stdout as NodeJS.ReadableStream })) {
    lines.push(line)
    const entry = JSON.parse(line) as { clientUrl?: string; internalUrl?: string; clientPort?: number; msg: string }
    if (entry.clientUrl === undefined || entry.internalUrl === undefined) continue
    t.match(entry.msg, `holdwire is ready: clients: ${entry.clientUrl}, backends: ${entry.internalUrl}`)
    t.equal(entry.clientUrl, `http://127.0.0.1:${entry.clientPort}`)
    child.stdout?.resume()
    return { child, clientUrl: entry.clientUrl, internalUrl: entry.internalUrl }
  }
  throw new Error(`it ended: ${lines.join('\n')}`)
}

t.test('the command begins with a shebang', async (t) => {
  t.match(readFileSync(MAIN, 'utf8'), /^#!\/usr\/bin\/env -S node [^\n]*\n/)
})

t.test('config prints the documented whole, without secrets', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'holdwire-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'holdwire.yaml')
  writeFileSync(file, 'clientPort: 1\ninternalPort: 2\npingSeconds: 3\n')
  writeFileSync(join(folder, 'secret'), `${SECRET}\n`)
  const env = { HOLDWIRE_CONFIG: file, HOLDWIRE_INTERNAL_PORT: '4', HOLDWIRE_JWT_SECRET_FILE: join(folder, 'secret') }
  const { code, out, err } = await run(t, ['config', '--ping-seconds', '5', '--no-deflate', '--api-keys=k1', '--api-keys', 'k2'], env)
  t.equal(code, 0, err)
  t.match(out, /^clientPort: 1$/m)
  t.match(out, /^internalPort: 4$/m)
  t.match(out, /^pingSeconds: 5$/m)
  t.match(out, /^auth: jwt$/m)
  t.notMatch(out, /a secret of|k1|k2/)
  const json = await run(t, ['config', '--json'], { HOLDWIRE_NATS_URL: 'nats://u:pw@h:1' })
  const settings = JSON.parse(json.out) as { key: string; value: unknown }[]
  t.match(
    settings.find(({ key }) => key === 'natsUrl'),
    { value: ['nats://***@h:1'], env: 'HOLDWIRE_NATS_URL' },
  )
})

t.test('called wrongly: exit code 2 and what is wrong', async (t) => {
  const [flag, variable, value, dev, command, noData, noUrl] = await Promise.all([
    run(t, ['serve', '--client-prot', '1']),
    run(t, ['serve'], { HOLDWIRE_NAT_URL: 'x' }),
    run(t, ['gateway', '--client-port', '99999']),
    run(t, ['serve', '--host', '0.0.0.0']),
    run(t, ['server']),
    run(t, ['push', 'alice']),
    run(t, ['push', 'alice', 'x', '--url', 'here']),
  ])
  t.match(flag, { code: 2, out: '', err: /unknown option '--client-prot'\n\(Did you mean --client-port\?\)/ })
  t.match(variable, { code: 2, out: '', err: /unknown environment variable HOLDWIRE_NAT_URL \(did you mean HOLDWIRE_NATS_URL\?\)/ })
  t.match(value, { code: 2, out: '', err: /clientPort \(flag --client-port\)/ })
  t.match(dev, { code: 2, out: '', err: /loopback only/ })
  t.match(command, { code: 2, out: '', err: /unknown command 'server'/ })
  t.same(noData, { code: 2, out: '', err: 'holdwire: push <user> <data>\n' })
  t.match(noUrl, { code: 2, out: '', err: /--url: here is no URL/ })
})

t.test('cannot start: exit code 1, or 2 if it is set up wrongly', async (t) => {
  const { child, internalUrl } = await serve(t)
  const { port } = new URL(internalUrl)
  const [taken, alone] = await Promise.all([
    run(t, ['serve', '--client-port', '0', '--internal-port', port, '--engine', 'node']),
    run(t, ['c2s', '--internal-port', '0']),
  ])
  t.match(taken, { code: 1, out: /"level":"fatal".*cannot start: .*EADDRINUSE/, err: /^holdwire: cannot start: .*EADDRINUSE/ })
  t.match(alone, { code: 2, out: /cannot start: .*needs --nats-url/, err: /^holdwire: cannot start: .*needs --nats-url/ })
  child.kill('SIGINT')
  t.same(await once(child, 'exit'), [0, null])
})

t.test('serve, push, listen, stop', async (t) => {
  const { child, clientUrl, internalUrl } = await serve(t)
  const listeners = ['websocket', 'sse', 'poll'].map((transport) =>
    run(t, ['listen', 'alice', '--url', clientUrl, '--transport', transport, '--device', transport, '--count', '2']),
  )
  const first = await run(t, ['push', 'alice', '{"n": 1}', '--url', internalUrl, '--id', 'one', '--from', 'bob'])
  t.match(first, { code: 0, err: '' })
  t.same(JSON.parse(first.out), { id: 'one', accepted: 1 })
  const second = await run(t, ['push', 'alice', 'just text', '--url', internalUrl])
  t.match(second, { code: 0 })
  for (const { code, out, err } of await Promise.all(listeners)) {
    t.equal(code, 0, err)
    t.match(
      out
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as unknown),
      [
        { type: 'message', id: 'one', from: 'bob', data: { n: 1 } },
        { type: 'message', data: 'just text' },
      ],
    )
  }
  const refused = await run(t, ['push', 'alice', 'x', '--url', internalUrl, '--from', ''])
  t.match(refused, { code: 1, out: '', err: /"code":"malformed"/ })
  child.kill('SIGTERM')
  t.same(await once(child, 'exit'), [0, null])
  const nobody = await run(t, ['push', 'alice', 'x', '--url', internalUrl])
  t.match(nobody, { code: 1, err: /cannot reach http/ })
})

t.test('with tokens and keys', async (t) => {
  const env = { HOLDWIRE_JWT_SECRET: SECRET, HOLDWIRE_API_KEYS: 'backend-key-1234567' }
  const { child, clientUrl, internalUrl } = await serve(t, [], env)
  const token = await run(t, ['token', '--user', 'alice', '--expires-in', '1m'], env)
  t.equal(token.code, 0)
  const [own, given, forged] = await Promise.all([
    run(t, ['listen', 'alice', '--url', clientUrl, '--count', '1', '--device', 'one'], env),
    run(t, ['listen', 'ignored', '--url', clientUrl, '--count', '1', '--device', 'two', '--token', token.out.trim()]),
    run(t, ['listen', 'alice', '--url', clientUrl, '--count', '1'], { HOLDWIRE_JWT_SECRET: 'another' }),
    run(t, ['push', 'alice', '1', '--url', internalUrl], env),
  ])
  t.match(own, { code: 0, out: /"data":1/ })
  t.match(given, { code: 0, out: /"data":1/ })
  t.match(forged, { code: 1, out: '', err: /unauthorized/ })
  t.match(await run(t, ['push', 'alice', '1', '--url', internalUrl, '--key', 'wrong']), { code: 1, err: /"code":"unauthorized"/ })
  child.kill('SIGTERM')
  child.kill('SIGTERM')
  t.same(await once(child, 'exit'), [0, null], 'the same signal twice at once is one')
})

t.test('token', async (t) => {
  const sign = (options: Partial<Parameters<typeof signToken>[1]>, argv: string[] = []) =>
    signToken(config(['--jwt-secret', SECRET, ...argv]), { user: 'alice', expiresIn: '1h', ...options }, NOW)
  const check = async (token: string, argv: string[] = [], now = NOW) =>
    createAuthenticator(config(['--jwt-secret', SECRET, ...argv]), () => now).authenticate({
      bearer: token,
      queryToken: '',
      queryUser: '',
      device: '',
    })
  t.same(await check(await sign({})), { user: 'alice', topics: undefined, expiresAtMs: NOW + 3_605_000 })
  t.match(await check(await sign({ device: 'phone', topics: 'news,room.*,', expiresIn: '90' })), {
    device: 'phone',
    topics: ['news', 'room.*'],
    expiresAtMs: NOW + 95_000,
  })
  t.match(await check(await sign({ topics: '' })), { topics: [] })
  for (const [text, seconds] of [
    ['1s', 1],
    ['15m', 900],
    ['12h', 43_200],
    ['30d', 2_592_000],
  ] as const) {
    t.match(await check(await sign({ expiresIn: text })), { expiresAtMs: NOW + (seconds + 5) * 1000 }, text)
  }
  t.match(await check(await sign({ expiresIn: '-60' })), { code: 'token_expired' })
  const named = ['--jwt-issuer', 'me', '--jwt-audience', 'push']
  t.match(await check(await sign({}, named), named), { user: 'alice' })
  for (const expiresIn of ['', '1w', '1.5h', 'soon', '1 h']) await t.rejects(sign({ expiresIn }), { name: 'ConfigError' }, expiresIn)
  await t.rejects(sign({ user: '' }), { name: 'ConfigError' })
  await t.rejects(sign({ device: 'd'.repeat(65) }), { name: 'ConfigError' })
  await t.rejects(signToken(config(), { user: 'alice', expiresIn: '1h' }, NOW), { message: /needs jwtSecret/ })
})

t.test('push: words and options', async (t) => {
  t.same(JSON.parse(JSON.stringify(pushBody(['alice', '{"a":1}'], {}))), { to: { user: 'alice' }, data: { a: 1 } })
  t.match(pushBody(['alice', 'no json'], { ttl: '60', ephemeral: true, collapseKey: 'k', id: 'i', from: 'bob' }), {
    data: 'no json',
    ttlSeconds: 60,
    ephemeral: true,
    collapseKey: 'k',
    id: 'i',
    from: 'bob',
  })
  t.match(pushBody(['"text"'], { topic: 'news' }), { to: { topic: 'news' }, data: 'text' })
  t.match(pushBody(['null'], { all: true }), { to: { all: true }, data: null })
  for (const [words, options] of [
    [['alice'], {}],
    [['alice', '1', '2'], {}],
    [['alice', '1'], { topic: 'news' }],
    [['1'], { topic: 'news', all: true }],
    [['alice', '1'], { ttl: 'x' }],
    [['alice', '1'], { ttl: '-1' }],
  ] as const) {
    t.throws(() => pushBody(words, options), { name: 'ConfigError' }, JSON.stringify([words, options]))
  }
  t.equal(internalUrl(config()), 'http://127.0.0.1:9000')
  t.equal(clientUrl(config(['--host', '::1'])), 'http://[::1]:8000')
  t.equal(internalUrl(config(['--host', '0.0.0.0', '--jwt-secret', 'x'])), 'http://127.0.0.1:9000')
  t.throws(() => clientUrl(config(['--client-port', '0'])), { name: 'ConfigError' })
})

t.test('listen: what is printed, and when it ends', async (t) => {
  type Handler = (event: { kind: string }) => void
  const surroundings = () => {
    const handlers = new Map<string, Handler>()
    const lines: string[] = []
    const targets: ListenTarget[] = []
    let interrupt = () => {}
    const interrupted = new Promise<void>((resolve) => {
      interrupt = resolve
    })
    const given: ListenSurroundings = {
      connect: (target) => {
        targets.push(target)
        return {
          on: (name: string, handler: unknown) => {
            handlers.set(name, handler as Handler)
            return () => undefined
          },
          close: async () => void lines.push('closed'),
        }
      },
      print: (line) => void lines.push(line),
      note: () => undefined,
      interrupted,
    }
    return { given, lines, targets, interrupt, say: (name: string, event: object) => handlers.get(name)?.(event as { kind: string }) }
  }
  const settled = () => new Promise((resolve) => setImmediate(resolve))

  const counted = surroundings()
  const first = listen(config(), 'alice', { count: '2', device: 'd', cursor: 'c', transport: 'poll' }, counted.given)
  await settled()
  t.same(counted.targets, [{ url: 'http://127.0.0.1:8000', user: 'alice', transports: ['poll'], device: 'd', cursor: 'c' }])
  counted.say('message', { n: 1 })
  counted.say('presence', { p: 1 })
  counted.say('gap', { g: 1 })
  counted.say('message', { n: 2 })
  counted.say('message', { n: 3 })
  t.equal(await first, true)
  t.same(counted.lines, ['{"n":1}', '{"p":1}', '{"g":1}', '{"n":2}', 'closed'])

  const interrupted = surroundings()
  const second = listen(config(), 'alice', {}, interrupted.given)
  await settled()
  interrupted.say('state', { kind: 'waiting' })
  interrupted.interrupt()
  t.equal(await second, true)

  const ended = surroundings()
  const third = listen(config(['--jwt-secret', SECRET]), 'alice', {}, ended.given)
  await settled()
  t.match(ended.targets, [{ transports: ['websocket', 'sse', 'poll'], token: Function }])
  ended.say('state', { kind: 'closed' })
  t.equal(await third, false)

  for (const options of [{ transport: 'bosh' }, { count: '0' }, { count: 'x' }]) {
    await t.rejects(listen(config(), 'alice', options, surroundings().given), { name: 'ConfigError' }, JSON.stringify(options))
  }
  const foreign = config(['--jwks-url', 'https://id.example/'])
  await t.rejects(listen(foreign, 'alice', {}, surroundings().given), { message: /needs --token/ })
})
