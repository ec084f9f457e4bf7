// `holdwire smoke` and `holdwire provision`, as their users run them.

import { spawn } from 'node:child_process'
import { connect } from 'nats'
import t from 'tap'
import { startProcess } from '../support/holdwire-process.js'
import { freePort, getNatsServer, startNats } from '../support/nats-server.js'

const KEY = 'a-key-of-16-chars-or-more'
const SECRET = 'a-secret-of-32-bytes-or-more-for-this'

function run(...args: string[]): Promise<{ readonly status: number | null; readonly stdout: string; readonly stderr: string }> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, ['dist/gateway/main.js', ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
    let [stdout, stderr] = ['', '']
    child.stdout.on('data', (chunk) => (stdout += chunk))
    child.stderr.on('data', (chunk) => (stderr += chunk))
    child.on('close', (status) => resolve({ status, stdout, stderr }))
  })
}

const TRANSPORTS = ['websocket', 'sse', 'keep-alive poll', 'long poll', 'bosh', 'xmpp over websocket']

t.test('a message comes over every transport, with tokens that it makes itself', async (t) => {
  const server = await startProcess('serve', '--jwt-secret', SECRET, '--api-keys', KEY)
  t.teardown(() => server.stop())
  const urls = ['--url', server.clientUrl, '--internal-url', server.internalUrl]
  const good = await run('smoke', ...urls, '--jwt-secret', SECRET, '--key', KEY)
  t.equal(good.status, 0, good.stderr)
  for (const name of TRANSPORTS) t.match(good.stdout, new RegExp(`^${name}: ok, \\d+ ms$`, 'm'))
  const wrong = await run('smoke', ...urls, '--jwt-secret', SECRET, '--key', 'a-key-of-somebody-else')
  t.equal(wrong.status, 1)
  for (const name of TRANSPORTS) t.match(wrong.stdout, new RegExp(`^${name}: push: HTTP 401`, 'm'))
  t.match(await run('smoke', ...urls, '--auth', 'jwt', '--jwks-url', 'https://id.example.com/keys', '--key', KEY), {
    status: 2,
    stderr: /HOLDWIRE_SMOKE_TOKEN/,
  })
  t.match(await run('smoke', ...urls, '--ready-only'), { status: 0, stdout: 'ready: ok\n' })
})

t.test('who is not there is not ready', async (t) => {
  const url = `http://127.0.0.1:${await freePort()}`
  const { status, stdout } = await run('smoke', '--url', url, '--internal-url', url)
  t.equal(status, 1)
  t.match(stdout, /ready: .*ECONNREFUSED/)
})

const skip = (await getNatsServer()) === undefined ? 'no nats-server' : false
t.test(
  'provisioned, a server makes nothing more in NATS; the second time changes nothing; what does not fit is said',
  { skip },
  async (t) => {
    const nats = await startNats()
    t.teardown(() => nats.stop())
    const client = await connect({ servers: nats.url })
    t.teardown(() => client.close())
    const names = async () => {
      const manager = await client.jetstreamManager()
      return (await manager.streams.list().next()).map(({ config: { name } }) => name).sort()
    }
    const flags = ['--nats-url', nats.url, '--jwt-secret', SECRET, '--api-keys', KEY, '--log-level', 'error']
    t.match(await run('provision', ...flags), { status: 0 })
    const made = await names()
    t.ok(made.length > 16)
    t.match(await run('provision', ...flags), { status: 0 })
    const server = await startProcess('serve', ...flags)
    t.same(await names(), made)
    await server.stop()
    const other = await run('provision', ...flags, '--inbox-max-messages', '7')
    t.equal(other.status, 1)
    t.match(other.stderr, /stream/i)
    t.match(await run('provision', '--jwt-secret', SECRET), { status: 2, stderr: /needs natsUrl/ })
  },
)
