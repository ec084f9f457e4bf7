// The routes of the internal API.

import type { Bucket, Bus } from '../../bus/bus.js'
import { v1 } from '../../proto/messages.js'
import type { Accounts } from '../accounts.js'
import type { CloseReason } from '../close-reason.js'
import type { Cluster } from '../cluster.js'
import type { Metrics } from '../metrics.js'
import type { Pusher, PushRequest } from '../push.js'
import { VERSION } from '../version.js'
import { inboxPage } from './inbox-page.js'
import { explain, isRefusal, malformed, type Outcome, type Route, route } from './route.js'
import * as schemas from './schemas.js'

export interface RouteOptions {
  readonly bus: Bus
  readonly pusher: Pusher
  readonly cluster: Cluster
  readonly accounts: Accounts
  /** Bucket `presence`. */
  readonly presence: Bucket
  readonly metrics: Metrics
  /** Name of the HTTP engine of the client port. */
  readonly engine: string
  readonly historyMaxMessages: number
  /** Why the node takes no clients now; undefined: it does. */
  unready(): CloseReason | undefined
  now(): number
}

/** Entries of a batch on their way at once. */
const BATCH_WINDOW = 64

export function routes(options: RouteOptions): Route[] {
  const { pusher, metrics, engine } = options
  return [
    route({
      method: 'POST',
      path: '/api/v1/push',
      id: 'push',
      summary: 'Push a message',
      key: 'always',
      scope: 'push',
      body: schemas.PushBody,
      answer: schemas.PushedAnswer,
      async handle({ body, request }) {
        const key = request.headers('idempotency-key')
        if (key !== '' && body.id !== undefined && key !== body.id) return malformed('Idempotency-Key and id differ')
        const result = await pusher.push({ ...body, id: key === '' ? body.id : key })
        return 'code' in result ? result : { json: result }
      },
    }),
    route({
      method: 'POST',
      path: '/api/v1/push/batch',
      id: 'pushBatch',
      summary: 'Push many messages, each on its own',
      key: 'always',
      scope: 'push',
      body: schemas.BatchBody,
      answer: schemas.BatchAnswer,
      handle: async ({ body }) => ({ json: { results: await pushAllOf(pusher, body) } }),
    }),
    route({
      method: 'GET',
      path: '/api/v1/users/{user}',
      id: 'getUser',
      summary: 'Where a user is',
      key: 'always',
      scope: 'read',
      answer: schemas.UserAnswer,
      handle: ({ user }) => getUser(options, user),
    }),
    ...['/api/v1/users/{user}', '/api/v1/users/{user}/sessions'].map((path, i) =>
      route({
        method: 'DELETE',
        path,
        id: i === 0 ? 'closeUser' : 'closeSessions',
        summary: 'End all sessions of a user with the code `closed`',
        key: 'always',
        scope: 'sessions',
        answer: schemas.ClosedAnswer,
        handle: ({ user }) => closeSessions(options, user),
      }),
    ),
    route({
      method: 'GET',
      path: '/api/v1/users/{user}/messages',
      id: 'getMessages',
      summary: "A user's inbox",
      key: 'always',
      scope: 'read',
      query: schemas.MessagesQuery,
      answer: schemas.MessagesAnswer,
      async handle({ user, query }) {
        const limit = Math.min(query.limit ?? options.historyMaxMessages, options.historyMaxMessages)
        const page = await inboxPage(options.bus, user, query.cursor, limit, options.now())
        return isRefusal(page) ? page : { json: page }
      },
    }),
    route({
      method: 'PUT',
      path: '/api/v1/accounts/{user}',
      id: 'putAccount',
      summary: 'Give a user a password for SASL',
      key: 'always',
      scope: 'accounts',
      body: schemas.AccountBody,
      answer: schemas.AccountAnswer,
      handle: async ({ user, body }) => {
        const problem = await options.accounts.put(user, body.password)
        return problem === undefined ? { json: { user } } : malformed(problem)
      },
    }),
    route({
      method: 'DELETE',
      path: '/api/v1/accounts/{user}',
      id: 'deleteAccount',
      summary: 'Take the password of a user away',
      key: 'always',
      scope: 'accounts',
      answer: schemas.AccountDeletedAnswer,
      handle: async ({ user }) => ({ json: { user, deleted: await options.accounts.delete(user) } }),
    }),
    route({
      method: 'GET',
      path: '/api/v1/stats',
      id: 'getStats',
      summary: 'This cluster at a glance',
      key: 'always',
      scope: 'read',
      answer: schemas.StatsAnswer,
      handle: () => stats(options),
    }),
    route({
      method: 'GET',
      path: '/livez',
      id: 'livez',
      summary: 'The process is alive',
      key: 'never',
      answer: schemas.StatusAnswer,
      handle: () => ({ json: { status: 'alive' } }),
    }),
    route({
      method: 'GET',
      path: '/readyz',
      id: 'readyz',
      summary: 'The node takes clients (503: it does not, now)',
      key: 'never',
      answer: schemas.StatusAnswer,
      handle: () => options.unready() ?? { json: { status: 'ready' } },
    }),
    route({
      method: 'GET',
      path: '/metrics',
      id: 'metrics',
      summary: 'Metrics for Prometheus (text)',
      key: 'unless_public',
      scope: 'metrics',
      answer: undefined,
      handle: async () => ({ text: await metrics.text(), contentType: metrics.contentType }),
    }),
    route({
      method: 'GET',
      path: '/version',
      id: 'version',
      summary: 'Which version runs',
      key: 'unless_public',
      answer: schemas.VersionAnswer,
      handle: () => ({ json: { name: 'holdwire', version: VERSION, node: process.version, engine } }),
    }),
  ]
}

type BatchResult =
  | { readonly id: string; readonly accepted: number }
  | { readonly error: { readonly code: string; readonly message: string } }

/** Started in order, so that messages for one user stay in theirs. */
async function pushAllOf(pusher: Pusher, entries: readonly unknown[]): Promise<BatchResult[]> {
  const results: BatchResult[] = []
  const running = new Set<Promise<void>>()
  for (const [i, entry] of entries.entries()) {
    const done = pushOne(pusher, entry).then((result) => {
      results[i] = result
      running.delete(done)
    })
    running.add(done)
    if (running.size >= BATCH_WINDOW) await Promise.race(running)
  }
  await Promise.all(running)
  return results
}

async function pushOne(pusher: Pusher, entry: unknown): Promise<BatchResult> {
  const parsed = schemas.PushBody.safeParse(entry)
  const request: PushRequest | undefined = parsed.data
  const result = request === undefined ? explain(parsed.error as NonNullable<typeof parsed.error>, 'entry') : await pusher.push(request)
  return 'code' in result ? { error: { code: result.code, message: result.reason } } : result
}

/** What the gateways say to a question about a user. `unknown`: somebody may be there, but nobody answered. */
async function ask({ bus, cluster }: RouteOptions, user: string, control: v1.Control.$Properties): Promise<v1.SessionList[] | 'unknown'> {
  const question = v1.Envelope.encode({ control }).finish()
  const answers = await bus.ask(user, question, { expect: Math.max(1, cluster.size) })
  if (answers === 'offline') return []
  return answers === 'unknown' ? 'unknown' : answers.map((answer) => v1.SessionList.decode(answer))
}

const SILENT: CloseReason = { code: 'bus_unavailable', reason: 'the gateways did not answer in time', retryAfterMs: 1000 }

async function getUser(options: RouteOptions, user: string): Promise<Outcome> {
  const lists = await ask(options, user, { probe: {} })
  if (lists === 'unknown') return SILENT
  const record = await options.presence.get(user)
  const lastSeen = record === undefined ? 0 : v1.PresenceRecord.decode(record.value).lastSeen
  const sessions = lists.flatMap(({ node, sessions }) => sessions.map((info) => sessionView(node, v1.SessionInfo.create(info))))
  sessions.sort((a, b) => a.since - b.since)
  return { json: { user, online: sessions.length > 0, ...(lastSeen === 0 ? {} : { lastSeen }), sessions } }
}

function sessionView(node: string, { session, transport, since, device }: v1.SessionInfo) {
  return { session, transport, node, since, ...(device === '' ? {} : { device }) }
}

async function closeSessions(options: RouteOptions, user: string): Promise<Outcome> {
  const lists = await ask(options, user, { close: { code: 'closed', reason: 'closed by the backend' } })
  if (lists === 'unknown') return SILENT
  return { json: { user, closed: lists.reduce((sum, list) => sum + list.sessions.length, 0) } }
}

async function stats({ bus, cluster }: RouteOptions): Promise<Outcome> {
  const nodes = await cluster.stats()
  const sessionsByTransport: Record<string, number> = {}
  for (const { sessions } of nodes) {
    for (const [transport, count] of Object.entries(sessions)) {
      sessionsByTransport[transport] = (sessionsByTransport[transport] ?? 0) + count
    }
  }
  const sum = (counts: number[]): number => counts.reduce((a, b) => a + b, 0)
  return {
    json: {
      bus: bus.kind,
      busConnected: bus.state === 'up',
      sessions: sum(Object.values(sessionsByTransport)),
      sessionsByTransport,
      users: sum(nodes.map((node) => node.users)),
      nodes: nodes.toSorted((a, b) => (a.node < b.node ? -1 : 1)),
    },
  }
}
