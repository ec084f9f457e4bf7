import { createHash, createHmac, pbkdf2Sync } from 'node:crypto'
import t, { type Test } from 'tap'
import { z } from 'zod'
import { BusError } from '../../bus/bus.js'
import { EmbeddedBroker } from '../../bus/embedded-bus.js'
import { Accounts } from '../../gateway/accounts.js'
import { InternalApi, type InternalApiOptions } from '../../gateway/api/internal-api.js'
import { ApiKeys, parseApiKeys } from '../../gateway/auth/api-keys.js'
import { FailureLimit } from '../../gateway/auth/failure-limit.js'
import { type CloseReason, problemJson, REASONS, type ReasonCode, retryAfterSeconds } from '../../gateway/close-reason.js'
import { Cluster } from '../../gateway/cluster.js'
import { createLogger } from '../../gateway/logger.js'
import { Metrics } from '../../gateway/metrics.js'
import { Pusher } from '../../gateway/push.js'
import { VERSION } from '../../gateway/version.js'
import { formatCursor, userTag } from '../../proto/cursor.js'
import { v1 } from '../../proto/messages.js'
import { GatewayDouble } from '../support/gateway-double.js'

const KEY = 'the-key-of-the-backend'
const NOW = 1_800_000_000_000

interface Answer {
  status: number
  headers: Record<string, string>
  json: Record<string, unknown>
  text: string
}

interface Setup {
  broker: EmbeddedBroker
  gateways: GatewayDouble[]
  metrics: Metrics
  errors: unknown[]
  api: InternalApi
  /** With the key, unless headers are given. Checked against the description. */
  call(method: string, target: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>
}

async function setup(t: Test, options: Partial<InternalApiOptions> = {}, inboxMaxMessages = 5): Promise<Setup> {
  const broker = await EmbeddedBroker.open({
    inboxMaxMessages,
    inboxMaxAgeSeconds: 3600,
    maxMessageBytes: 200_000,
    duplicateWindowSeconds: 120,
    requestTimeoutMs: 1000,
    maxInFlight: 10_000,
    dataDir: undefined,
    onError: (error, what) => t.fail(`${what}: ${error}`),
  })
  t.teardown(() => broker.close(0))
  const bus = broker.bus()
  const gateways = [
    await GatewayDouble.start(broker.bus(), { address: 'g0', name: 'node0', since: 1 }),
    await GatewayDouble.start(broker.bus(), { address: 'g1', name: 'node1', since: 2 }),
  ]
  const [self, ...others] = gateways.map(({ peer }) => peer)
  const cluster = new Cluster({ bus, peers: { list: () => others }, self, timeoutMs: 100 })
  const metrics = new Metrics()
  const errors: unknown[] = []
  const api = new InternalApi({
    bus,
    cluster,
    metrics,
    pusher: await Pusher.open({
      bus,
      cluster,
      maxDataBytes: 1000,
      duplicateWindowSeconds: 120,
      c2sTimeoutMs: 50,
      metrics,
      wait: async () => {},
    }),
    accounts: new Accounts(await bus.bucket('accounts')),
    presence: await bus.bucket('presence'),
    engine: 'node',
    historyMaxMessages: 3,
    unready: () => undefined,
    now: () => NOW,
    keys: new ApiKeys(parseApiKeys([KEY])),
    failures: new FailureLimit({ perMinute: 0, maxClients: 1, now: () => NOW }),
    mutualTls: false,
    outOfScope: () => undefined,
    publicMetrics: false,
    maxBodyBytes: 10_000,
    onError: (error) => void errors.push(error),
    ...options,
  })
  let described: Description | undefined
  const call: Setup['call'] = async (method, target, body, headers = { authorization: `Bearer ${KEY}` }) => {
    const [path = '', query = ''] = target.split('?')
    const bytes = body === undefined ? Buffer.alloc(0) : body === null || Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body))
    const response = await api.handle({
      method,
      path,
      query: new URLSearchParams(query),
      ip: '127.0.0.1',
      verified: false,
      headers: (name) => headers[name] ?? '',
      body: bytes,
    })
    const answer = {
      status: response.status,
      headers: Object.fromEntries(response.headers),
      text: response.body.toString(),
      json: {} as Record<string, unknown>,
    }
    t.equal(Object.keys(answer.headers).length, response.headers.length, 'no header twice')
    if (answer.headers['content-type']?.includes('json')) answer.json = JSON.parse(answer.text)
    if (described !== undefined) checkAnswer(t, described, method, path, answer)
    return answer
  }
  const description = await call('GET', '/openapi.json')
  if (description.status === 200) described = description.json as unknown as Description
  return { broker, gateways, metrics, errors, api, call }
}

interface Operation {
  operationId: string
  parameters: { name: string; in: string; required?: boolean; schema: object }[]
  requestBody?: { content: Record<string, { schema: object }> }
  responses: Record<string, { content?: Record<string, { schema: object }> }>
}

interface Description {
  openapi: string
  paths: Record<string, Record<string, Operation>>
  components: { schemas: Record<string, object> }
}

/** A validator made of the description alone, not of the schemas behind it. */
function validator(description: Description, schema: object): z.ZodType {
  const whole = { $schema: 'https://json-schema.org/draft/2020-12/schema', ...schema, $defs: description.components.schemas }
  return z.fromJSONSchema(JSON.parse(JSON.stringify(whole).replaceAll('#/components/schemas/', '#/$defs/')))
}

function checkAnswer(t: Test, description: Description, method: string, path: string, answer: Answer): void {
  const problem = answer.headers['content-type'] === 'application/problem+json'
  t.equal(problem, answer.status >= 400, 'problems, and only they, are application/problem+json')
  const template = Object.keys(description.paths).find((one) => new RegExp(`^${one.replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(path))
  const operation = template === undefined ? undefined : description.paths[template]?.[method.toLowerCase()]
  const media = operation?.responses[problem ? 'default' : '200']?.content ?? {}
  const schema = problem ? { $ref: '#/components/schemas/Problem' } : media['application/json']?.schema
  if (schema === undefined) return
  const result = validator(description, schema).safeParse(answer.json)
  t.ok(result.success, `${method} ${path} ${answer.status}: as described ${result.error ?? ''}`)
}

function problem(code: ReasonCode): object {
  const { http, retryable, title } = REASONS[code]
  return {
    status: http,
    json: { type: `urn:holdwire:problem:${code}`, status: http, code, retryable, title, detail: /./ },
  }
}

t.test('the table of reasons is the documented one', async (t) => {
  const documented: [string, number | undefined, number, boolean, boolean][] = [
    ['malformed', 4000, 400, false, false],
    ['unauthorized', 4001, 401, false, false],
    ['token_expired', 4101, 401, false, false],
    ['forbidden', 4003, 403, false, false],
    ['unknown_session', 4004, 404, true, false],
    ['replaced', 4009, 409, false, false],
    ['closed', 4010, 410, false, false],
    ['not_found', undefined, 404, false, false],
    ['method_not_allowed', undefined, 405, false, false],
    ['upgrade_required', undefined, 426, false, false],
    ['conflict', undefined, 409, false, false],
    ['internal', 1011, 500, true, false],
    ['too_large', 1009, 413, false, false],
    ['rate_limited', 4129, 429, true, true],
    ['slow_consumer', 4208, 503, true, false],
    ['draining', 1012, 503, true, true],
    ['overloaded', 1013, 503, true, true],
    ['bus_unavailable', 1013, 503, true, true],
    ['done', 1000, 200, false, false],
  ]
  const table = Object.entries(REASONS).map(([code, row]) => [code, row.websocket, row.http, row.retryable, row.retryAfter])
  t.same(new Map(table.map((row) => [row[0], row])), new Map(documented.map((row) => [row[0], row])))
  t.same(JSON.parse(problemJson({ code: 'unknown_session', reason: 'gone', cause: 'expired' }, { code: 'mine', extra: 1 })), {
    extra: 1,
    type: 'urn:holdwire:problem:unknown_session',
    title: 'Unknown session',
    status: 404,
    detail: 'gone',
    code: 'unknown_session',
    retryable: true,
    cause: 'expired',
  })
  t.equal(retryAfterSeconds({ code: 'draining', reason: '', retryAfterMs: 1001 }), 2)
  t.equal(retryAfterSeconds({ code: 'draining', reason: '', retryAfterMs: 1 }), 1)
  t.equal(retryAfterSeconds({ code: 'overloaded', reason: '' }), 1)
  t.equal(retryAfterSeconds({ code: 'malformed', reason: '', retryAfterMs: 5000 }), undefined)
})

t.test('the description is sound and says everything there is', async (t) => {
  const { call } = await setup(t)
  const description = (await call('GET', '/openapi.json')).json as unknown as Description
  t.match(description, { openapi: '3.1.0', info: { title: String, version: VERSION } })
  t.same(
    Object.entries(description.paths).flatMap(([path, operations]) => Object.keys(operations).map((method) => `${method} ${path}`)),
    [
      'post /api/v1/push',
      'post /api/v1/push/batch',
      'get /api/v1/users/{user}',
      'delete /api/v1/users/{user}',
      'delete /api/v1/users/{user}/sessions',
      'get /api/v1/users/{user}/messages',
      'put /api/v1/accounts/{user}',
      'delete /api/v1/accounts/{user}',
      'get /api/v1/stats',
      'get /livez',
      'get /readyz',
      'get /metrics',
      'get /version',
      'get /openapi.json',
    ],
  )
  const operations = Object.values(description.paths).flatMap((path) => Object.values(path))
  t.equal(new Set(operations.map(({ operationId }) => operationId)).size, operations.length, 'ids are unique')
  for (const [, ref] of JSON.stringify(description).matchAll(/"\$ref":"([^"]*)"/g)) {
    t.ok(ref?.startsWith('#/components/schemas/') && ref.slice(21) in description.components.schemas, `${ref} is there`)
  }
  t.notMatch(JSON.stringify(description), /\$defs|~standard/)
  for (const [path, methods] of Object.entries(description.paths)) {
    for (const { parameters, operationId } of Object.values(methods)) {
      const named = parameters.filter((one) => one.in === 'path' && one.required).map(({ name }) => `{${name}}`)
      t.same(named, path.match(/\{\w+\}/g) ?? [], `${operationId}: parameters of the path`)
    }
  }
  const body = description.paths['/api/v1/push']?.post?.requestBody?.content['application/json']?.schema ?? {}
  const push = validator(description, body)
  t.ok(push.safeParse({ to: { users: ['a'] }, data: null, ttlSeconds: 1 }).success)
  for (const bad of [
    { data: 1 },
    { to: {}, data: 1 },
    { to: { user: 'a' }, data: 1, more: 1 },
    { to: { user: 'a', topic: 'b' }, data: 1 },
  ]) {
    t.notOk(push.safeParse(bad).success, JSON.stringify(bad))
  }
})

t.test('push', async (t) => {
  const { call, broker, metrics } = await setup(t)
  const first = await call('POST', '/api/v1/push', { to: { user: 'alice' }, data: { a: 1 } })
  t.match(first, {
    status: 200,
    headers: { 'content-type': 'application/json', 'cache-control': 'no-store' },
    json: { id: String, accepted: 1 },
  })
  t.match(await call('POST', '/api/v1/push', { to: { users: ['a', 'b'] }, data: 1, id: 'x', ttlSeconds: 0, ephemeral: false }), {
    json: { id: 'x', accepted: 2 },
  })
  t.match(await call('POST', '/api/v1/push', { to: { all: true }, data: 1, ephemeral: true }), { json: { accepted: 0 } })
  t.match(await call('POST', '/api/v1/push', { to: { topic: 'news' }, data: 1 }), problem('bus_unavailable'))
  const unavailable = await call('POST', '/api/v1/push', { to: { topic: 'news' }, data: 1 })
  t.equal(unavailable.headers['retry-after'], '2')
  await broker.bus().serve('c2s.topic', () => v1.TopicPushed.encode({ accepted: 3 }).finish(), 'q')
  t.match(await call('POST', '/api/v1/push', { to: { topic: 'news' }, data: 1 }), { json: { accepted: 3 } })
  t.match(await metrics.text(), /holdwire_pushes_total\{target="topic",code="done"\} 1\n/)
  t.match(await metrics.text(), /holdwire_api_requests_total\{route="\/api\/v1\/push",status="503"\} 2\n/)
})

t.test('push: Idempotency-Key is the id', async (t) => {
  const { call } = await setup(t)
  const keyed = (key: string) => ({ 'x-api-key': KEY, 'idempotency-key': key })
  const body = { to: { user: 'alice' }, data: 1 }
  t.match(await call('POST', '/api/v1/push', body, keyed('k')), { status: 200, json: { id: 'k' } })
  t.match(await call('POST', '/api/v1/push', { ...body, id: 'k' }, keyed('k')), { status: 200, json: { id: 'k', accepted: 1 } })
  t.match(await call('POST', '/api/v1/push', { ...body, id: 'other' }, keyed('k')), problem('malformed'))
  t.match(await call('POST', '/api/v1/push', body, keyed('k'.repeat(129))), problem('malformed'))
  const page = await call('GET', '/api/v1/users/alice/messages')
  t.equal((page.json.messages as unknown[]).length, 1)
})

t.test('push: what is malformed', async (t) => {
  const { call } = await setup(t)
  const good = { to: { user: 'a' }, data: 1 }
  const bodies = [
    {},
    [],
    'text',
    1,
    { data: 1 },
    { to: { user: 'a' } },
    { ...good, to: 'a' },
    { ...good, to: {} },
    { ...good, to: { all: false } },
    { ...good, to: { user: 'a', users: ['b'] } },
    { ...good, to: { user: '' } },
    { ...good, to: { user: 5 } },
    { ...good, to: { user: 'a\n' } },
    { ...good, to: { users: 'a' } },
    { ...good, to: { users: [1] } },
    { ...good, to: { users: Array(10_001).fill('a') } },
    { ...good, to: { topic: '*' } },
    { ...good, more: 1 },
    { ...good, id: '' },
    { ...good, id: 7 },
    { ...good, id: 'x'.repeat(129) },
    { ...good, from: '' },
    { ...good, ttlSeconds: -1 },
    { ...good, ttlSeconds: 1.5 },
    { ...good, ttlSeconds: '1' },
    { ...good, ttlSeconds: 31_536_001 },
    { ...good, ephemeral: 'yes' },
    { ...good, collapseKey: '' },
    { ...good, collapseKey: 'x'.repeat(129) },
  ]
  for (const body of bodies) t.match(await call('POST', '/api/v1/push', body), problem('malformed'), JSON.stringify(body).slice(0, 60))
  const bytes = ['', '{', '{"to":', 'null', '\u0000', '\ufeff{}', `${JSON.stringify(good)}x`, "{'to':1}", '['.repeat(5000)].map((text) =>
    Buffer.from(text),
  )
  bytes.push(Buffer.from([0xff, 0xfe]), Buffer.from('{"to":{"user":"\xe9"},"data":1}', 'latin1'))
  for (const body of bytes) t.match(await call('POST', '/api/v1/push', body), problem('malformed'), body.toString('latin1').slice(0, 20))
  t.match(await call('POST', '/api/v1/push', null), problem('too_large'), 'a body over the limit')
  t.match(await call('POST', '/api/v1/push', { ...good, data: 'x'.repeat(999) }), problem('too_large'), 'data over the limit')
  t.match(await call('POST', '/api/v1/push', { ...good, data: 'x'.repeat(998) }), { status: 200 })
  const explained = await call('POST', '/api/v1/push', { ...good, to: { user: 'a', topic: 'b' }, more: 1 })
  t.match(explained.json.detail, /body\.to: must be exactly one of/)
  t.match(explained.json.detail, /more/)
  const prototype = await call('POST', '/api/v1/push', Buffer.from('{"to":{"user":"proto"},"data":{"__proto__":{"x":1},"constructor":2}}'))
  t.match(prototype, { status: 200 })
  t.match((await call('GET', '/api/v1/users/proto/messages')).text, /"data":\{"__proto__":\{"x":1\},"constructor":2\}/)
})

t.test('batch: each on its own, in order', async (t) => {
  const { call } = await setup(t)
  const to = { user: 'alice' }
  const { json } = await call('POST', '/api/v1/push/batch', [
    { to, data: 1, id: 'a' },
    { to },
    'text',
    { to, data: 'x'.repeat(1000) },
    { to, data: 2 },
  ])
  t.match(json, {
    results: [
      { id: 'a', accepted: 1 },
      { error: { code: 'malformed', message: String } },
      { error: { code: 'malformed' } },
      { error: { code: 'too_large' } },
      { id: String, accepted: 1 },
    ],
  })
  t.same(await call('POST', '/api/v1/push/batch', []).then((answer) => answer.json), { results: [] })
  const entries = (n: number) => Array.from({ length: n }, (_, i) => ({ to, data: i }))
  const most = await call('POST', '/api/v1/push/batch', entries(1000))
  t.equal((most.json.results as unknown[]).length, 1000)
  const { json: page } = await call('GET', '/api/v1/users/alice/messages?limit=3')
  t.match(page, { messages: [{ data: 995 }, { data: 996 }, { data: 997 }] }, 'in order')
  t.match(await call('POST', '/api/v1/push/batch', entries(1001)), problem('malformed'))
  t.match(await call('POST', '/api/v1/push/batch', { to, data: 1 }), problem('malformed'))
})

t.test('a user: sessions on all nodes, and when last seen', async (t) => {
  const { call, gateways, broker } = await setup(t)
  t.same((await call('GET', '/api/v1/users/alice')).json, { user: 'alice', online: false, sessions: [] })
  await gateways[0]?.hold('alice', [{ session: 'g0.2', transport: 'sse', since: 20, device: 'phone' }])
  await gateways[1]?.hold('alice', [{ session: 'g1.1', transport: 'websocket', since: 10 }])
  await (await broker.bus().bucket('presence')).put('alice', v1.PresenceRecord.encode({ status: 'online', lastSeen: NOW }).finish())
  t.same((await call('GET', '/api/v1/users/alice')).json, {
    user: 'alice',
    online: true,
    lastSeen: NOW,
    sessions: [
      { session: 'g1.1', transport: 'websocket', node: 'node1', since: 10 },
      { session: 'g0.2', transport: 'sse', node: 'node0', since: 20, device: 'phone' },
    ],
  })
  t.match((await call('GET', '/api/v1/users/%E7%94%A8%E6%88%B71')).json, { user: '用户1', online: false })
  t.match((await call('GET', '/api/v1/users/a%2Fb%3Fc')).json, { user: 'a/b?c' })
  t.match((await call('GET', `/api/v1/users/${'x'.repeat(256)}`)).status, 200)
  for (const user of ['%', '%E7', 'a%0Ab', '%00', 'x'.repeat(257)]) {
    t.match(await call('GET', `/api/v1/users/${user}`), problem('malformed'), user.slice(0, 10))
  }
})

t.test('closing all sessions of a user', async (t) => {
  const { call, gateways } = await setup(t)
  for (const path of ['/api/v1/users/alice', '/api/v1/users/alice/sessions']) {
    t.same((await call('DELETE', path)).json, { user: 'alice', closed: 0 }, 'nobody there')
    await gateways[0]?.hold('alice', [{ session: 'a' }, { session: 'b' }])
    await gateways[1]?.hold('alice', [{ session: 'c' }])
    t.same((await call('DELETE', path)).json, { user: 'alice', closed: 3 })
    t.match(gateways[1]?.received.get('alice')?.controls.at(-1), { close: { code: 'closed' } })
    t.match((await call('GET', '/api/v1/users/alice')).json, { online: false })
  }
})

t.test('the inbox, page by page', async (t) => {
  const { call, broker } = await setup(t)
  t.match((await call('GET', '/api/v1/users/alice/messages')).json, { messages: [], cursor: String })
  for (const data of [1, 2, 3, 4]) {
    await call('POST', '/api/v1/push', { to: { user: 'alice' }, data, id: `m${data}`, from: 'bob' })
  }
  const first = (await call('GET', '/api/v1/users/alice/messages')).json
  t.match(first.messages, [{ type: 'message', id: 'm1', from: 'bob', time: Number, data: 1 }, { data: 2 }, { data: 3 }])
  const second = (await call('GET', `/api/v1/users/alice/messages?cursor=${first.cursor}`)).json
  t.match(second, { messages: [{ data: 4 }] })
  t.equal(second.truncated, undefined)
  t.match((await call('GET', `/api/v1/users/alice/messages?cursor=${second.cursor}`)).json, { messages: [], cursor: second.cursor })
  const two = (await call('GET', '/api/v1/users/alice/messages?limit=2')).json.messages as { cursor: string }[]
  t.equal(two.length, 2)
  t.match((await call('GET', `/api/v1/users/alice/messages?cursor=${two[0]?.cursor}&limit=1`)).json.messages, [{ data: 2 }])
  t.equal(
    ((await call('GET', '/api/v1/users/alice/messages?limit=1000')).json.messages as unknown[]).length,
    3,
    'historyMaxMessages at most',
  )

  for (const limit of ['0', '-1', '1001', 'x', '', '1.5']) {
    t.match(await call('GET', `/api/v1/users/alice/messages?limit=${limit}`), problem('malformed'), `limit ${limit}`)
  }
  t.match(await call('GET', '/api/v1/users/alice/messages?cursor=nonsense'), problem('malformed'))
  t.match(await call('GET', `/api/v1/users/bob/messages?cursor=${first.cursor}`), problem('forbidden'))

  const bus = broker.bus()
  const envelope = (fields: v1.Envelope.$Properties) => v1.Envelope.encode(fields).finish()
  await bus.publish('carol', '1', envelope({ id: 'old', data: Buffer.from('1'), expires: NOW }))
  await bus.publish('carol', '2', Buffer.from([0xff, 0xff]))
  await bus.publish('carol', '3', envelope({ id: 'bad', data: Buffer.from('{') }))
  await bus.publish('carol', '4', envelope({ id: 'presence', presence: { user: 'x' } }))
  await bus.publish('carol', '5', envelope({ id: 'good', topic: 'news', data: Buffer.from('5'), expires: NOW + 1 }))
  t.match((await call('GET', '/api/v1/users/carol/messages?limit=1')).json, { messages: [{ id: 'good', topic: 'news', data: 5 }] })

  for (const data of [5, 6, 7, 8]) await call('POST', '/api/v1/push', { to: { user: 'alice' }, data })
  t.match((await call('GET', `/api/v1/users/alice/messages?cursor=${two[0]?.cursor}`)).json, { truncated: true, messages: [{ data: 4 }] })
  const other = formatCursor({ userTag: userTag('alice'), epoch: 'another', inbox: 7, at: undefined })
  t.match((await call('GET', `/api/v1/users/alice/messages?cursor=${other}`)).json, { truncated: true, messages: [{ data: 4 }] })
})

t.test('a page is not empty while there are messages, however many before them have expired', async (t) => {
  const { call, broker } = await setup(t, {}, 500)
  const bus = broker.bus()
  const publish = (id: string, expires: number) =>
    bus.publish('carol', id, v1.Envelope.encode({ id, data: Buffer.from('1'), expires }).finish())
  for (let i = 0; i < 150; i++) await publish(`old-${i}`, NOW)
  await publish('good', NOW + 1)
  await publish('better', NOW + 1)
  const first = (await call('GET', '/api/v1/users/carol/messages?limit=1')).json
  t.match(first.messages, [{ id: 'good' }])
  t.match((await call('GET', `/api/v1/users/carol/messages?limit=1&cursor=${first.cursor}`)).json.messages, [{ id: 'better' }])
})

t.test('statistics of all nodes', async (t) => {
  const { call, gateways } = await setup(t)
  await gateways[0]?.hold('alice', [{ transport: 'sse' }, { transport: 'websocket' }])
  await gateways[1]?.hold('bob', [{ transport: 'sse' }])
  t.same((await call('GET', '/api/v1/stats')).json, {
    bus: 'embedded',
    busConnected: true,
    sessions: 3,
    sessionsByTransport: { sse: 2, websocket: 1 },
    users: 2,
    nodes: [
      { node: 'node0', since: 1, sessions: { sse: 1, websocket: 1 }, users: 1 },
      { node: 'node1', since: 2, sessions: { sse: 1 }, users: 1 },
    ],
  })
})

t.test('keys', async (t) => {
  const { call } = await setup(t)
  const open = ['/livez', '/readyz']
  const closed = ['/metrics', '/version', '/openapi.json', '/api/v1/stats', '/api/v1/users/alice', '/nowhere', '/']
  for (const headers of [{}, { authorization: 'Bearer wrong' }, { 'x-api-key': 'wrong' }] as Record<string, string>[]) {
    for (const path of open) t.match(await call('GET', path, undefined, headers), { status: 200 }, path)
    for (const path of closed) {
      const answer = await call('GET', path, undefined, headers)
      t.match(answer, { ...problem('unauthorized'), headers: { 'www-authenticate': 'Bearer' } }, path)
    }
    t.match(await call('POST', '/api/v1/push', { to: { user: 'a' }, data: 1 }, headers), problem('unauthorized'))
    t.match(await call('PATCH', '/api/v1/push', undefined, headers), problem('unauthorized'), 'and nothing is told before')
  }
  const open2 = await setup(t, { publicMetrics: true })
  for (const path of ['/metrics', '/version', '/openapi.json']) t.match(await open2.call('GET', path, undefined, {}), { status: 200 }, path)
  t.match(await open2.call('GET', '/api/v1/stats', undefined, {}), problem('unauthorized'))
  const nobody = await setup(t, { keys: new ApiKeys([]) })
  t.match(await nobody.call('GET', '/api/v1/stats', undefined, { authorization: 'Bearer ' }), problem('unauthorized'))
})

t.test('dev: no key, but no pages of other sites either', async (t) => {
  const { call } = await setup(t, { keys: undefined })
  for (const path of ['/api/v1/stats', '/metrics', '/version', '/openapi.json']) {
    t.match(await call('GET', path, undefined, {}), { status: 200 }, path)
  }
  const body = { to: { user: 'a' }, data: 1 }
  t.match(await call('POST', '/api/v1/push', body, {}), { status: 200 })
  t.match(await call('POST', '/api/v1/push', body, { origin: 'http://localhost:8000' }), { status: 200 })
  t.match(await call('POST', '/api/v1/push', body, { origin: 'http://127.0.0.1:8000' }), { status: 200 })
  for (const origin of ['https://evil.example', 'null', 'http://127.0.0.1.evil.example', 'http://localhost.evil.example']) {
    t.match(await call('POST', '/api/v1/push', body, { origin }), problem('forbidden'), origin)
  }
})

t.test('paths and methods', async (t) => {
  const { call } = await setup(t)
  for (const path of [
    '/nowhere',
    '/',
    '',
    '/api/v1/push/',
    '/api/v1/users',
    '/api/v1/users/a/b',
    '/api/v1//users/a',
    '/API/V1/stats',
    '/api/v1/%73tats',
  ]) {
    t.match(await call('GET', path), problem('not_found'), path)
  }
  const allow = async (method: string, path: string) => {
    const answer = await call(method, path)
    t.match(answer, problem('method_not_allowed'), `${method} ${path}`)
    return answer.headers.allow
  }
  t.equal(await allow('GET', '/api/v1/push'), 'POST')
  t.equal(await allow('PUT', '/api/v1/users/alice'), 'GET, HEAD, DELETE')
  t.equal(await allow('POST', '/api/v1/users/alice/sessions'), 'DELETE')
  t.equal(await allow('OPTIONS', '/livez'), 'GET, HEAD')
  t.match(await call('HEAD', '/livez'), { status: 200 })
})

t.test('probes, version and metrics', async (t) => {
  let reason: CloseReason | undefined
  const { call } = await setup(t, { unready: () => reason })
  t.same((await call('GET', '/livez')).json, { status: 'alive' })
  t.same((await call('GET', '/readyz')).json, { status: 'ready' })
  reason = { code: 'draining', reason: 'going away', retryAfterMs: 3000 }
  t.match(await call('GET', '/readyz'), { ...problem('draining'), headers: { 'retry-after': '3' } })
  t.match((await call('GET', '/livez')).status, 200, 'alive all the same')
  t.same((await call('GET', '/version')).json, { name: 'holdwire', version: VERSION, node: process.version, engine: 'node' })
  const metrics = await call('GET', '/metrics')
  t.match(metrics.headers['content-type'], /^text\/plain; version=0\.0\.4/)
  t.match(metrics.text, /^process_resident_memory_bytes \d+/m)
})

t.test('what goes wrong inside', async (t) => {
  const failing = (error: Error) => ({ get: () => Promise.reject(error) }) as unknown as InternalApiOptions['presence']
  const bug = await setup(t, { presence: failing(new Error('secret details')) })
  const answer = await bug.call('GET', '/api/v1/users/alice')
  t.match(answer, problem('internal'))
  t.notMatch(answer.text, /secret/)
  t.equal(bug.errors.length, 1, 'and it is logged')
  const away = await setup(t, { presence: failing(new BusError('timeout')) })
  t.match(await away.call('GET', '/api/v1/users/alice'), problem('bus_unavailable'))
  await away.broker.close(0)
  for (const path of ['/api/v1/users/alice', '/api/v1/stats', '/api/v1/users/alice/messages']) {
    t.match(await away.call('GET', path), problem('bus_unavailable'), path)
  }
  t.match(await away.call('POST', '/api/v1/push', { to: { user: 'a' }, data: 1 }), problem('bus_unavailable'))
  t.equal(away.errors.length, 0)
})

t.test('every documented metric is there', async (t) => {
  const metrics = new Metrics()
  metrics.observe({
    build: { version: '1', role: 'serve', engine: 'node', bus: 'embedded' },
    ready: () => true,
    processes: () => 1,
    sessions: () => new Map([['sse', 3]]),
    detachedSessions: () => 1,
    users: () => 2,
    outboxBytes: () => 77,
    waitingBytes: () => 7,
    busConnected: () => true,
    bus: () => ({ attached: 0, gaps: 0, healed: 0, duplicatesDropped: 0, inFlight: 4, publishFailures: new Map([['timeout', 2]]) }),
    gateway: undefined,
    worker: undefined,
  })
  metrics.sessionOpened('sse')
  metrics.sessionClosed('sse', 'done')
  metrics.resumed('sse', true)
  metrics.gap()
  metrics.c2sAnswered('open', 0.003, 'done')
  const sse = metrics.transport('sse')
  t.equal(metrics.transport('sse'), sse)
  sse.received(2, 30)
  sse.written(5, 600)
  sse.delivered(0.0005)
  sse.delivered(0.0006)
  sse.delivered(99)
  sse.acknowledged(0.2)
  const text = await metrics.text()
  for (const line of [
    'holdwire_sessions{transport="sse"} 3',
    'holdwire_users 2',
    'holdwire_sessions_opened_total{transport="sse"} 1',
    'holdwire_sessions_closed_total{transport="sse",reason="done"} 1',
    'holdwire_resumes_total{transport="sse",recovered="true"} 1',
    'holdwire_frames_total{transport="sse",direction="in"} 2',
    'holdwire_frames_total{transport="sse",direction="out"} 5',
    'holdwire_bytes_total{transport="sse",direction="in"} 30',
    'holdwire_bytes_total{transport="sse",direction="out"} 600',
    '# TYPE holdwire_delivery_seconds histogram',
    'holdwire_delivery_seconds_bucket{le="0.0005",transport="sse"} 1',
    'holdwire_delivery_seconds_bucket{le="0.001",transport="sse"} 2',
    'holdwire_delivery_seconds_bucket{le="10",transport="sse"} 2',
    'holdwire_delivery_seconds_bucket{le="+Inf",transport="sse"} 3',
    'holdwire_delivery_seconds_count{transport="sse"} 3',
    'holdwire_ack_seconds_bucket{le="0.25",transport="sse"} 1',
    'holdwire_outbox_bytes 77',
    'holdwire_bus_publish_failures_total{code="timeout"} 2',
    'holdwire_bus_publish_failures_total{code="rejected"} 0',
    'holdwire_gaps_total 1',
    'holdwire_bus_connected 1',
    'holdwire_c2s_request_seconds_bucket{le="0.005",kind="open"} 1',
  ]) {
    t.ok(text.split('\n').includes(line), line)
  }
  t.equal(await metrics.text().then((again) => again.includes('direction="in"} 2')), true, 'a scrape changes nothing')
})

t.test('secrets do not reach the log', async (t) => {
  const lines: string[] = []
  const log = createLogger({ logLevel: 'info', nodeId: 'here' }, { write: (line) => void lines.push(line) })
  log.info(
    { token: 'S', session: 'S', authorization: 'S', headers: { authorization: 'S', 'x-api-key': 'S' }, request: { query: 'S', url: 'S' } },
    'hello',
  )
  log.info({ config: { jwtSecret: 'S', apiKeys: ['S'] }, user: 'alice', clientUrl: 'http://127.0.0.1:1' }, 'more')
  log.debug({}, 'not this')
  t.equal(lines.length, 2)
  t.notMatch(lines.join(''), /"S"/)
  t.match(JSON.parse(lines[1] ?? ''), {
    level: 'info',
    node: 'here',
    user: 'alice',
    clientUrl: 'http://127.0.0.1:1',
    msg: 'more',
    time: /^\d{4}-.*Z$/,
  })
})

t.test('accounts: only salted keys are stored, from which SCRAM can tell the right password', async (t) => {
  const { broker, call } = await setup(t)
  const put = (password: unknown, user = 'alice') => call('PUT', `/api/v1/accounts/${user}`, { password })
  t.match(await put('I\u00adX'), { status: 200, json: { user: 'alice' } })
  const bucket = await broker.bus().bucket('accounts')
  const stored = (await bucket.get('alice'))?.value ?? new Uint8Array()
  t.notOk(Buffer.from(stored).includes('IX'), 'not the password')
  const { keys } = v1.AccountRecord.decode(stored)
  for (const [mechanism, hash, bytes] of [
    ['SCRAM-SHA-256', 'sha256', 32],
    ['SCRAM-SHA-1', 'sha1', 20],
  ] as const) {
    const key = keys.find((one) => one.mechanism === mechanism)
    t.ok((key?.iterations ?? 0) >= 4096, `${mechanism}: RFC 7677 §4`)
    // U+2168, the Roman numeral nine, prepares to the same as what was put (RFC 4013 §3).
    const salted = pbkdf2Sync('IX', key?.salt ?? '', key?.iterations ?? 1, bytes, hash)
    const clientKey = createHmac(hash, salted).update('Client Key').digest()
    t.same(Buffer.from(key?.storedKey ?? []), createHash(hash).update(clientKey).digest())
    t.same(Buffer.from(key?.serverKey ?? []), createHmac(hash, salted).update('Server Key').digest())
  }
  await put('other')
  t.notSame((await bucket.get('alice'))?.value, stored, 'replaced')
  t.match(await call('DELETE', '/api/v1/accounts/alice'), { status: 200, json: { user: 'alice', deleted: true } })
  t.match(await call('DELETE', '/api/v1/accounts/alice'), { status: 200, json: { user: 'alice', deleted: false } })
  t.equal(await bucket.get('alice'), undefined)
  t.match(await put('x'.repeat(1024)), { status: 200 })
  for (const password of ['x'.repeat(1025), '', 7, undefined, 'bell\u0007'])
    t.match(await put(password), { status: 400 }, JSON.stringify(password))
  t.match(await call('PUT', '/api/v1/accounts/alice', { password: 'x' }, {}), { status: 401 })
})

t.test('data that is nested too deep is malformed, not a failure', async (t) => {
  const { call, errors } = await setup(t, { maxBodyBytes: 1_000_000 })
  const deep = Buffer.from(`{"to":{"user":"alice"},"data":${'['.repeat(200_000)}${']'.repeat(200_000)}}`)
  t.match(await call('POST', '/api/v1/push', deep), { status: 400, json: { code: 'malformed' } })
  t.same(errors, [])
})
