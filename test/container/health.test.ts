// `holdwire health` against servers that are well, not well, and none. What it is in the image: image.test.ts.

import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { type AddressInfo, createServer as createTcpServer, type Server as TcpServer } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { health, healthConfig } from '../../gateway/cli/health.js'
import { freePort } from '../support/nats-server.js'

const FIXTURES = join(process.cwd(), 'test', 'security', 'fixtures')
const cert = join(FIXTURES, 'server.cert.pem')
const key = join(FIXTURES, 'server.key.pem')

async function listen(t: Test, server: Server | TcpServer, host = '127.0.0.1'): Promise<number> {
  server.listen(0, host)
  await once(server, 'listening')
  t.teardown(() => server.close())
  return (server.address() as AddressInfo).port
}

/** The flags of a server that listens there, of which it may have been given some by its environment. */
function configOf(internalPort: number, flags: object = {}, env: NodeJS.ProcessEnv = {}) {
  return healthConfig({ internalPort, ...flags }, env)
}

function answering(status: Readonly<Record<string, number>>) {
  return createServer(({ url = '' }, response) => {
    response.statusCode = status[url] ?? 404
    response.end(`{"asked":"${url}"}`)
  })
}

t.test('lives and is ready, or lives alone', async (t) => {
  const well = configOf(await listen(t, answering({ '/livez': 200, '/readyz': 200 })))
  t.same(await health(well, {}), { well: true, answer: '200 {"asked":"/livez"}' })
  t.same(await health(well, { ready: true }), { well: true, answer: '200 {"asked":"/readyz"}' })
  const draining = configOf(await listen(t, answering({ '/livez': 200, '/readyz': 503 })))
  t.match(await health(draining, {}), { well: true })
  t.same(await health(draining, { ready: true }), { well: false, answer: '503 {"asked":"/readyz"}' })
})

t.test('asks where the server listens, whatever its keys are', async (t) => {
  const port = await listen(t, answering({ '/livez': 200 }))
  for (const host of ['127.0.0.1', '0.0.0.0', 'localhost']) {
    t.match(await health(configOf(port, {}, { HOLDWIRE_HOST: host }), {}), { well: true }, host)
  }
  t.match(await health(configOf(1, {}), { url: `http://127.0.0.1:${port}` }), { well: true }, '--url')
  await t.rejects(health(configOf(1), { url: 'ftp://here' }), { name: 'ConfigError' })
})

t.test('over TLS, without regard to the name in the certificate', async (t) => {
  const server = createSecureServer({ cert: readFileSync(cert), key: readFileSync(key) }, (_request, response) => response.end('{}'))
  const port = await listen(t, server)
  const tls = { internalTlsCert: cert, internalTlsKey: key }
  t.same(await health(configOf(port, tls), {}), { well: true, answer: '200 {}' })
  t.match(await health(configOf(port), {}), { well: false }, 'not as plain HTTP')
})

t.test('nobody, and somebody else', async (t) => {
  t.match(await health(configOf(await freePort()), {}), { well: false, answer: /^cannot reach .*ECONNREFUSED/ })
  const other = await listen(
    t,
    createTcpServer((socket) => socket.end('SSH-2.0-other\r\n')),
  )
  t.match(await health(configOf(other), {}), { well: false, answer: /does not speak HTTP|ECONNRESET|EPIPE/ })
  const hangingUp = await listen(
    t,
    createTcpServer((socket) => socket.destroy()),
  )
  t.match(await health(configOf(hangingUp), {}), { well: false })
})
