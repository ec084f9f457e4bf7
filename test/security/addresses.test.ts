// Who counts as one client: addresses behind proxies, and what is limited by them, on both engines.

import t from 'tap'
import { signToken } from '../../gateway/cli/token.js'
import { loadConfig } from '../../gateway/config.js'
import { ClientAddresses, type ProxyOptions } from '../../transports/client-address.js'
import { BoshClient } from '../support/bosh-client.js'
import { RawConnection } from '../support/raw-http.js'
import { type EngineName, World } from '../support/world.js'

const ENGINES: readonly EngineName[] = ['node', 'uws']
const SECRET = 'a secret of more than thirty-two bytes'
const KEY = 'the-key-of-the-backend'

function head(peer: string, forwarded = '', proto = '') {
  const headers: Record<string, string> = { 'x-forwarded-for': forwarded, 'x-forwarded-proto': proto }
  const header = (name: string) => headers[name] ?? ''
  return { method: 'GET', path: '/', query: '', closing: false, verified: false, header, remoteAddress: () => peer }
}

t.test('X-Forwarded-For is believed as far as trusted proxies wrote it', async (t) => {
  const of = (options: Partial<ProxyOptions>, peer: string, forwarded: string) =>
    new ClientAddresses({ trustProxy: 0, trustedProxies: [], ...options }).of(head(peer, forwarded))
  t.equal(of({}, '10.0.0.1', '1.2.3.4'), '10.0.0.1', 'nobody is trusted')

  const trustedProxies = ['10.0.0.0/8', 'fd00::/8']
  for (const [peer, forwarded, client, name] of [
    ['10.0.0.1', '1.2.3.4', '1.2.3.4', 'one proxy'],
    ['10.0.0.1', '1.2.3.4, 10.9.9.9', '1.2.3.4', 'two proxies'],
    ['10.0.0.1', '6.6.6.6, 1.2.3.4, 10.9.9.9', '1.2.3.4', 'what the client made up is not looked at'],
    ['10.0.0.1', '10.6.6.6, 1.2.3.4', '1.2.3.4', 'also when it names a proxy'],
    ['9.9.9.9', '1.2.3.4', '9.9.9.9', 'a stranger is believed nothing'],
    ['10.0.0.1', '', '10.0.0.1', 'a request of the proxy itself'],
    ['10.0.0.1', '10.0.0.2, 10.0.0.3', '10.0.0.2', 'proxies only: the outermost'],
    ['10.0.0.1', '1.2.3.4, unknown', '10.0.0.1', 'no address: nothing before it is believed'],
    ['10.0.0.1', ',', '10.0.0.1', 'empty entries'],
    ['10.0.0.1', '1.2.3.4:5678', '1.2.3.4', 'with a port'],
    ['10.0.0.1', '[2001:db8::1]:5678', '2001:db8::1', 'IPv6 with a port'],
    ['10.0.0.1', '2001:db8::1', '2001:db8::1', 'IPv6'],
    ['fd00::1', '::ffff:1.2.3.4', '1.2.3.4', 'IPv4 in its IPv6 form'],
    ['fd00::1', '::ffff:10.0.0.3, 10.0.0.2', '10.0.0.3', 'as a proxy too'],
  ] as const) {
    t.equal(of({ trustedProxies }, peer, forwarded), client, name)
  }

  for (const [hops, forwarded, client] of [
    [1, '6.6.6.6, 1.2.3.4', '1.2.3.4'],
    [2, '6.6.6.6, 1.2.3.4, 10.0.0.2', '1.2.3.4'],
    [2, '1.2.3.4', '10.0.0.1'],
    [1, '1.2.3.4, unknown', '10.0.0.1'],
    [1, '1.2.3.4:99', '1.2.3.4'],
  ] as const) {
    t.equal(of({ trustProxy: hops }, '10.0.0.1', forwarded), client, `${hops} of ${forwarded}`)
  }

  const secure = (options: Partial<ProxyOptions>, peer: string, proto: string) =>
    new ClientAddresses({ trustProxy: 0, trustedProxies: [], ...options }).secure(head(peer, '', proto))
  t.equal(secure({}, '10.0.0.1', 'https'), undefined)
  t.equal(secure({ trustedProxies }, '9.9.9.9', 'https'), undefined)
  t.equal(secure({ trustedProxies }, '10.0.0.1', 'https'), true)
  t.equal(secure({ trustedProxies }, '10.0.0.1', 'https, http'), false, 'what the nearest one saw')
  t.equal(secure({ trustProxy: 1 }, '9.9.9.9', 'HTTPS'), true)
})

for (const engine of ENGINES) {
  t.test(`limits by address: ${engine}`, async (t) => {
    const world = await World.start(t, engine, ['--trusted-proxies', '127.0.0.1', '--max-sessions-per-ip', '2'])
    const poll = async (...lines: string[]) => {
      const connection = await RawConnection.open(world.port)
      const forwarded = lines.map((line) => `X-Forwarded-For: ${line}\r\n`).join('')
      await connection.send(`GET /poll?user=${world.user('u')} HTTP/1.1\r\nHost: a\r\n${forwarded}Connection: close\r\n\r\n`)
      const { status } = await connection.readResponse()
      connection.destroy()
      return status
    }
    t.same([await poll('1.2.3.4'), await poll('6.6.6.6, 1.2.3.4'), await poll('7.7.7.7, 1.2.3.4')], [200, 200, 429])
    t.equal(await poll('8.8.8.8', '1.2.3.4'), 429, 'a proxy that adds a line of its own')
    t.equal(await poll('1.2.3.4', '8.8.8.8'), 200, 'and says another address')
    t.same([await poll('2001:db8::1'), await poll('2001:db8::2'), await poll('2001:db8::3')], [200, 200, 429], 'one /64')
    t.equal(await poll('2001:db8:0:1::3'), 200, 'the next one')
  })

  t.test(`XMPP streams without a session count for their address: ${engine}`, async (t) => {
    const world = await World.start(t, engine, ['--max-sessions-per-ip', '2', '--bosh-inactivity-seconds', '30'])
    let rid = 1
    const post = async (attributes: string) => {
      const connection = await RawConnection.open(world.port)
      const body = `<body xmlns='http://jabber.org/protocol/httpbind' rid='${rid++}' ${attributes}/>`
      await connection.send(
        `POST /http-bind HTTP/1.1\r\nHost: a\r\nContent-Type: text/xml\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
      )
      const { body: answer } = await connection.readResponse()
      connection.destroy()
      return answer.toString()
    }
    const create = () => post("to='localhost' ver='1.6' wait='1' hold='1' xml:lang='en'")
    const sidOf = (answer: string) => / sid='([^']+)'/.exec(answer)?.[1]
    rid = 10
    const first = sidOf(await create())
    t.ok(first)
    rid = 20
    t.ok(sidOf(await create()))
    rid = 30
    const third = await create()
    t.equal(sidOf(third), undefined)
    t.match(third, /condition='policy-violation'/)
    t.equal((await world.http('/poll', { user: 'alice' })).status, 429, 'and they count for others')
    rid = 11
    t.match(await post(`sid='${first}' type='terminate'`), /terminate/)
    rid = 40
    t.ok(sidOf(await create()), 'one has left')
    rid = 50
    t.equal(sidOf(await create()), undefined)
  })

  t.test(`a stream that gets its session is one client, not two: ${engine}`, async (t) => {
    const world = await World.start(t, engine, ['--max-sessions-per-ip', '1'])
    const url = world.running.clientUrl ?? ''
    const [one, other] = [new BoshClient(world.user('u'), [url], 1), new BoshClient(world.user('u'), [url], 1)]
    await one.login('any', 'desk')
    await t.rejects(other.login('any', 'desk'), /not bound/)
    t.equal(other.ended, 'policy-violation')
    await one.logout()
    const third = new BoshClient(world.user('u'), [url], 1)
    await third.login('any', 'desk')
    await third.logout()
    t.equal((await world.http('/poll', { user: world.user('u') })).status, 200, 'and nothing is left of it')
  })

  t.test(`failed authentication is limited, right credentials are not: ${engine}`, async (t) => {
    const flags = ['--jwt-secret', SECRET, '--api-keys', KEY, '--auth-failures-per-minute', '4', '--trusted-proxies', '127.0.0.1']
    const world = await World.start(t, engine, flags)
    const config = loadConfig({ argv: ['--jwt-secret', SECRET], env: {} })
    const token = (expiresIn: string) => signToken(config, { user: 'alice', expiresIn }, Date.now())
    const [good, expired] = [await token('1h'), await token('-1h')]
    const wrong = `${good.slice(0, -8)}AAAAAAAA`
    const from = (ip: string) => ({ headers: { 'x-forwarded-for': ip } })
    const poll = async (credentials: string, ip = '1.2.3.4') => (await world.http('/poll', { token: credentials }, from(ip))).status
    const statuses = []
    for (let i = 0; i < 3; i++) statuses.push(await poll(wrong))
    t.same(statuses, [401, 401, 401])
    t.equal((await world.http('/sse', { token: wrong }, from('1.2.3.4'))).status, 401, 'the fourth, wherever')
    const limited = await world.http('/poll', { token: wrong }, from('1.2.3.4'))
    t.equal(limited.status, 429)
    t.match(JSON.parse(limited.text), { code: 'rate_limited', retryable: true })
    const wait = Number(limited.headers['retry-after'])
    t.ok(wait > 0 && wait <= 60, `Retry-After ${wait}`)
    t.equal((await world.http('/poll', {}, from('1.2.3.4'))).status, 429, 'no token at all')
    t.equal(await poll(good), 200, 'a right one is taken')
    t.equal(await poll(expired), 401, 'and who needs a new one is told so')
    t.equal(await poll(wrong, '1.2.3.5'), 401, 'another address')
    const refused = world.start('websocket', { token: wrong }, from('1.2.3.4'))
    t.match(await refused.feed.ending(), { code: 429 }, 'before the upgrade')
    const told = world.start('websocket', { token: wrong }, from('1.2.3.6'))
    t.match(await told.feed.ending(), { code: 4001 }, 'below the limit: after it, so that browsers see it')
    await world.open('websocket', { token: good }, from('1.2.3.4'))

    const { internalUrl } = world.running
    const api = async (key: string, ip: string) => {
      const response = await fetch(`${internalUrl}/api/v1/stats`, { headers: { 'x-api-key': key, 'x-forwarded-for': ip } })
      await response.text()
      return `${response.status} ${response.headers.has('retry-after')}`
    }
    const answers = []
    for (let i = 0; i < 6; i++) answers.push(await api('wrong', '1.2.3.4'))
    t.same(answers, ['401 false', '401 false', '401 false', '401 false', '429 true', '429 true'], 'each port counts for itself')
    t.equal(await api(KEY, '1.2.3.4'), '200 false')
    t.equal(await api('wrong', '1.2.3.5'), '401 false')
  })
}
