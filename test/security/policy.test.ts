// The tables of docs/security.md, asked of a running server cell by cell.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import { signToken } from '../../gateway/cli/token.js'
import { loadConfig } from '../../gateway/config.js'
import { createLogger } from '../../gateway/logger.js'
import { startHoldwire } from '../../gateway/serve.js'
import { type Answer, http, type RequestOptions } from '../support/http-client.js'
import { path } from '../support/wire-client.js'
import { type EngineName, World } from '../support/world.js'

const SECRET = 'a secret of more than thirty-two bytes'
const SCOPES = ['push', 'read', 'sessions', 'accounts', 'metrics', 'all']
const keyOf = (scope: string) => `key-of-the-backend-for-${scope}`
const ALLOWED = 'https://app.example'
const FAILURES = 5
const PATIENCE_MS = 20_000

interface Table {
  readonly columns: readonly string[]
  readonly rows: ReadonlyMap<string, readonly string[]>
}

/** The tables between a heading and the next, without the marks of Markdown. */
function tablesOf(markdown: string, heading: string): Table[] {
  const [, section = ''] = markdown.split(`\n### ${heading}\n`)
  const [own = ''] = section.split(/\n##/)
  const tables: Table[] = []
  for (const block of own.split('\n\n').filter((text) => text.trim().startsWith('|'))) {
    const lines = block.trim().split('\n')
    const [head = [], , ...body] = lines.map((line) =>
      line
        .slice(1, -1)
        .split('|')
        .map((cell) => cell.trim().replaceAll('`', '')),
    )
    tables.push({ columns: head.slice(1), rows: new Map(body.map(([name = '', ...cells]) => [name, cells])) })
  }
  return tables
}

const MARKDOWN = readFileSync(join(import.meta.dirname, '../../../docs/security.md'), 'utf8')

function token(expiresIn = '1h', user = 'alice', secret = SECRET): Promise<string> {
  return signToken(loadConfig({ argv: ['--jwt-secret', secret], env: {} }), { user, expiresIn }, Date.now())
}

/** Asks for each cell and compares. */
async function check(t: Test, { columns, rows }: Table, ask: (row: string, column: string) => Promise<string>): Promise<void> {
  for (const [row, cells] of rows) {
    t.equal(cells.length, columns.length, `${row}: a cell for each column`)
    for (const [i, column] of columns.entries()) {
      if (cells[i] !== '–') t.equal(await ask(row, column), cells[i], `${row}: ${column}`)
    }
  }
}

// ---- the client port --------------------------------------------------------------------------------------------------

/** What a client presents. */
interface Presented {
  readonly token?: string
  readonly cursor?: string
  readonly origin?: string
  readonly ip?: string
}

function headersOf({ origin, ip = '1.1.1.1' }: Presented): Record<string, string> {
  return { 'x-forwarded-for': ip, ...(origin === undefined ? {} : { origin }) }
}

function queryOf({ token, cursor }: Presented): Record<string, string> {
  return { ...(token === undefined ? {} : { token }), ...(cursor === undefined ? {} : { cursor }) }
}

/** `hidden`, where a browser would keep the answer from the page. */
function seen(said: string, { headers }: Pick<Answer, 'headers'>, { origin }: Presented): string {
  return origin === undefined || headers['access-control-allow-origin'] === origin ? said : `${said} hidden`
}

/** Talks until `done` says what it came to. */
function talk(
  url: string,
  protocols: string[],
  headers: Record<string, string>,
  next: (text: string) => { readonly send: string } | { readonly done: string } | undefined,
  first?: string,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, protocols, { headers })
    const timer = setTimeout(() => reject(new Error(`${url} came to nothing`)), PATIENCE_MS)
    const done = (said: string): void => {
      clearTimeout(timer)
      resolve(said)
      socket.terminate()
    }
    socket.on('open', () => first !== undefined && socket.send(first))
    socket.on('message', (data) => {
      const step = next(data.toString())
      if (step === undefined) return
      if ('send' in step) socket.send(step.send)
      else done(step.done)
    })
    socket.on('unexpected-response', (_request, response) => done(String(response.statusCode)))
    socket.on('close', (code) => done(String(code)))
    socket.on('error', () => undefined)
  })
}

const SASL = 'urn:ietf:params:xml:ns:xmpp-sasl'

/** The first element of a client, and what comes after the server's words. */
function login({ token }: Presented): string {
  if (token === undefined) return "<presence xmlns='jabber:client'/>"
  const initial = Buffer.from(`n,,\u0001auth=Bearer ${token}\u0001\u0001`).toString('base64')
  return `<auth xmlns='${SASL}' mechanism='OAUTHBEARER'>${initial}</auth>`
}

function step(text: string, presented: Presented): { readonly send: string } | { readonly done: string } | undefined {
  const failure = /<failure[^>]*><([a-z-]+)/.exec(text)?.[1] ?? /<(?:stream:)?error[^>]*><([a-z-]+)/.exec(text)?.[1]
  if (failure !== undefined) return { done: failure }
  if (/<success/.test(text)) return { done: 'success' }
  if (/<challenge/.test(text)) return { send: `<response xmlns='${SASL}'>AQ==</response>` }
  return /features/.test(text) ? { send: login(presented) } : undefined
}

function body(attributes: string, payload = ''): string {
  return `<body xmlns='http://jabber.org/protocol/httpbind' ${attributes}>${payload}</body>`
}

async function xmppOverBosh(port: number, presented: Presented): Promise<string> {
  const post = (text: string) =>
    http(port, '/http-bind', { method: 'POST', headers: { ...headersOf(presented), 'content-type': 'text/xml' }, body: text })
  let answer = await post(body(`rid='1' to='localhost' ver='1.6' wait='1' hold='1' xml:lang='en'`))
  const sid = / sid='([^']+)'/.exec(answer.text)?.[1] ?? ''
  for (let rid = 2; rid < 9; rid++) {
    const next = step(answer.text, presented)
    if (next !== undefined && 'done' in next) {
      // Of the limit of streams from one address nothing is used up.
      if (!answer.text.includes("type='terminate'")) await post(body(`rid='${rid}' sid='${sid}' type='terminate'`))
      return seen(next.done, answer, presented)
    }
    answer = await post(body(`rid='${rid}' sid='${sid}'`, next?.send))
  }
  return answer.text
}

const OPEN = "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='localhost' version='1.0'/>"

/** What a client with that comes to, by the columns of the table. */
function clientColumns(world: World, ownCursor: () => Promise<string>): Record<string, (presented: Presented) => Promise<string>> {
  const { port } = world
  const base = `ws://127.0.0.1:${port}`
  const ask = async (presented: Presented, at: string, options: RequestOptions = {}, more: Record<string, string> = {}) => {
    const answer = await http(port, path(at, { ...more, ...queryOf(presented) }), { ...options, headers: headersOf(presented) })
    return seen(String(answer.status), answer, presented)
  }
  return {
    'GET /ws': (presented) =>
      talk(`${base}${path('/ws', queryOf(presented))}`, [], headersOf(presented), (text) =>
        text.includes('"hello"') ? { done: 'open' } : undefined,
      ),
    'GET /sse': (presented) => head(port, path('/sse', queryOf(presented)), presented),
    'GET /poll': (presented) => ask(presented, '/poll'),
    'DELETE /poll': async (presented) => ask(presented, '/poll', { method: 'DELETE' }, { cursor: await ownCursor() }),
    'POST /http-bind': (presented) => xmppOverBosh(port, presented),
    'GET /xmpp-websocket': (presented) =>
      talk(`${base}/xmpp-websocket`, ['xmpp'], headersOf(presented), (text) => step(text, presented), OPEN),
  }
}

/** Of a stream only the head is of interest. */
async function head(port: number, target: string, presented: Presented): Promise<string> {
  const gone = new AbortController()
  const headers = headersOf(presented)
  const response = await fetch(`http://127.0.0.1:${port}${target}`, { headers, signal: gone.signal })
  gone.abort()
  return seen(String(response.status), { headers: Object.fromEntries(response.headers) }, presented)
}

for (const engine of ['node', 'uws'] satisfies EngineName[]) {
  t.test(`the client port, ${engine}`, async (t) => {
    const limits = ['--auth-failures-per-minute', String(FAILURES), '--max-sessions-per-user', '1000']
    const flags = ['--jwt-secret', SECRET, '--trusted-proxies', '127.0.0.1', '--allowed-origins', ALLOWED, ...limits]
    const world = await World.start(t, engine, flags)
    const [good, expired, forged] = [await token(), await token('-1h'), await token('1h', 'alice', `${SECRET}!`)]
    const opened = async (who: string) =>
      JSON.parse((await world.http('/poll', { token: who })).text) as { cursor: string; frames: object[] }
    const others = (await opened(await token('1h', 'bob'))).cursor
    const from = '9.9.9.9'
    for (let i = 0; i < FAILURES; i++) await world.http('/poll', { token: forged }, { headers: { 'x-forwarded-for': from } })

    const presented: Record<string, Presented> = {
      'a good token': { token: good },
      nothing: {},
      'a token with a wrong signature': { token: forged, ip: '1.1.1.2' },
      'an expired token': { token: expired },
      'a good token, the cursor of another user': { token: good, cursor: others },
      'a good token, no cursor but nonsense': { token: good, cursor: 'nonsense' },
      'a good token, from a page of a foreign origin': { token: good, origin: 'https://evil.example' },
      'a good token, from a page of an allowed origin': { token: good, origin: ALLOWED },
      'a wrong token, after too many of them': { token: forged, ip: from },
      'a good token, after too many wrong ones from there': { token: good, ip: from },
    }
    const columns = clientColumns(world, async () => (await opened(good)).cursor)
    const [tokens, sessions] = tablesOf(MARKDOWN, 'The client port')
    if (tokens === undefined || sessions === undefined) throw new Error('docs/security.md has lost a table')
    t.same([...tokens.rows.keys()], Object.keys(presented), 'every row is known here')
    t.same(tokens.columns, Object.keys(columns), 'every column too')
    await check(t, tokens, async (row, column) => (await columns[column]?.(presented[row] ?? {})) ?? '')

    const hello = async () => {
      const [frame] = (await opened(good)).frames as { session: string }[]
      return frame?.session ?? ''
    }
    const bosh = async () => {
      const created = await world.http(
        '/http-bind',
        {},
        { method: 'POST', body: body(`rid='1' to='localhost' ver='1.6' wait='0' hold='0'`) },
      )
      return / sid='([^']+)'/.exec(created.text)?.[1] ?? ''
    }
    const disguise = (id: string) => `${id.slice(0, -22)}${'A'.repeat(22)}`
    const idOf: Record<string, (id: string) => string> = {
      'no session id': () => '',
      'a made-up session id': () => `AAAAAAAA.1.${'A'.repeat(22)}`,
      "the public part of another's session, with another secret": disguise,
      'the session id, known to its client alone': (id) => id,
    }
    t.same([...sessions.rows.keys()], Object.keys(idOf))
    await check(t, sessions, async (row, column) => {
      const id = idOf[row]?.(column === 'POST /http-bind' ? await bosh() : await hello()) ?? ''
      switch (column) {
        case 'POST /send':
          return String((await world.post(id, { type: 'ping', ref: '1' })).status)
        case 'DELETE /send':
          return String((await world.http('/send', { session: id }, { method: 'DELETE' })).status)
        case 'POST /http-bind': {
          const answer = await world.http('/http-bind', {}, { method: 'POST', body: body(`rid='2' sid='${id}'`) })
          return / condition='([^']+)'/.exec(answer.text)?.[1] ?? String(answer.status)
        }
        default:
          return `nobody knows ${column}`
      }
    })
  })
}

// ---- the internal port ------------------------------------------------------------------------------------------------

const BODIES: Readonly<Record<string, unknown>> = {
  'POST /api/v1/push': { to: { user: 'alice' }, data: 1 },
  'POST /api/v1/push/batch': [{ to: { user: 'alice' }, data: 1 }],
  'PUT /api/v1/accounts/{user}': { password: 'correct horse battery staple' },
}

t.test('the internal port', async (t) => {
  const keys = SCOPES.map((scope) => `${scope}-only:${scope}:${keyOf(scope)}`)
  const config = loadConfig({
    argv: ['--client-port', '0', '--internal-port', '0', '--log-level', 'warn', '--drain-seconds', '0', '--auth-failures-per-minute', '0'],
    env: { HOLDWIRE_JWT_SECRET: SECRET, HOLDWIRE_API_KEYS: keys.join('\n') },
  })
  const lines: string[] = []
  const running = await startHoldwire(config, 'serve', createLogger(config, { write: (line) => void lines.push(line) }))
  t.teardown(() => running.stop())
  const [table] = tablesOf(MARKDOWN, 'The internal port')
  if (table === undefined) throw new Error('docs/security.md has lost a table')
  t.same(table.columns, ['no key', 'wrong key', ...SCOPES])
  const ask = async (row: string, column: string) => {
    const [method = '', target = ''] = row.split(' ')
    const key = column === 'no key' ? {} : { 'x-api-key': keyOf(column) }
    const content = BODIES[row]
    const response = await fetch(`${running.internalUrl}${target.replace('{user}', 'alice')}`, {
      method,
      headers: { ...key, ...(content === undefined ? {} : { 'content-type': 'application/json' }) },
      ...(content === undefined ? {} : { body: JSON.stringify(content) }),
    })
    const text = await response.text()
    if (response.status === 403)
      t.match(JSON.parse(text), { code: 'forbidden', detail: /needs the scope `[a-z]+`/ }, `${row}: ${column}: which scope`)
    return String(response.status)
  }
  await check(t, table, ask)

  const description = await fetch(`${running.internalUrl}/openapi.json`, { headers: { 'x-api-key': keyOf('read') } })
  interface Operation {
    readonly security: readonly Readonly<Record<string, readonly string[]>>[]
  }
  const { paths } = (await description.json()) as { readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>> }
  const described = Object.entries(paths).flatMap(([at, operations]) =>
    Object.entries(operations).map(([method, one]) => [`${method.toUpperCase()} ${at}`, one] as const),
  )
  t.same(
    new Set(described.map(([name]) => name)),
    new Set([...table.rows.keys()].filter((name) => !name.endsWith('/anything-else'))),
    'every operation has a row',
  )
  for (const [name, { security }] of described) {
    const allowed = SCOPES.filter((_, i) => table.rows.get(name)?.[i + 2] === '200')
    const roles = security[0]?.bearer
    const expected =
      allowed.length === SCOPES.length ? (table.rows.get(name)?.[0] === '200' ? undefined : []) : allowed.filter((scope) => scope !== 'all')
    t.same(roles, expected, `${name}: the description says the same`)
  }
  t.match(lines.join(''), /"key":"push-only","scope":"read"/)
  t.notMatch(lines.join(''), /key-of-the-backend/)
})
