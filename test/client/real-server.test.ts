// The client against the real server, over every transport, through a network that breaks.

import { SignJWT } from 'jose'
import t, { type Test } from 'tap'
import WebSocket from 'ws'
import type { Connection } from '../../client/connection.js'
import { connect } from '../../client/holdwire.js'
import type { ConnectOptions, GapFrame, MessageFrame, PresenceFrame, RosterFrame, State, TransportName } from '../../client/types.js'
import { loadConfig } from '../../gateway/config.js'
import { createLogger } from '../../gateway/logger.js'
import type { Running } from '../../gateway/running.js'
import { startHoldwire } from '../../gateway/serve.js'
import { CuttableProxy } from '../support/cuttable-proxy.js'

const TRANSPORTS: readonly TransportName[] = ['websocket', 'sse', 'poll']
const LIMIT_MS = 30_000

async function serve(t: Tap, ...flags: string[]): Promise<Running> {
  const argv = ['--client-port', '0', '--internal-port', '0', '--log-level', 'error', '--drain-seconds', '0', '--engine', 'node', ...flags]
  const config = loadConfig({ argv, env: {} })
  const running = await startHoldwire(config, 'serve', createLogger(config))
  t.teardown(() => running.stop())
  return running
}

type Tap = Pick<Test, 'teardown'>

interface Client {
  connection: Connection
  messages: MessageFrame[]
  presence: PresenceFrame[]
  roster: RosterFrame[]
  gaps: GapFrame[]
  states: State[]
}

function client(t: Tap, options: ConnectOptions): Client {
  const connection = connect({ backoff: { baseMs: 20, maxMs: 100 }, environment: { WebSocket }, ...options })
  const made: Client = { connection, messages: [], presence: [], roster: [], gaps: [], states: [] }
  connection.on('message', (frame) => made.messages.push(frame))
  connection.on('presence', (frame) => made.presence.push(frame))
  connection.on('roster', (frame) => made.roster.push(frame))
  connection.on('gap', (frame) => made.gaps.push(frame))
  connection.on('state', (state) => made.states.push(state))
  t.teardown(() => connection.close())
  return made
}

/** Polls the condition: what is waited for comes over real sockets. */
async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + LIMIT_MS
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`${what} did not come in ${LIMIT_MS} ms`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

const open = ({ connection }: Client) => until('opening', () => connection.state.kind === 'open')

async function push(running: Running, user: string, data: unknown, more: object = {}): Promise<void> {
  const response = await fetch(`${running.internalUrl}/api/v1/push`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ to: { user }, data, ...more }),
  })
  if (!response.ok) throw new Error(`push: ${response.status} ${await response.text()}`)
}

async function sessionsOf(running: Running, user: string): Promise<readonly { transport: string }[]> {
  const response = await fetch(`${running.internalUrl}/api/v1/users/${user}`)
  return ((await response.json()) as { sessions: { transport: string }[] }).sessions
}

t.setTimeout(240_000)

const numbers = (count: number) => Array.from({ length: count }, (_, n) => n)

t.test('over every transport', async (t) => {
  const running = await serve(t)
  const url = running.clientUrl ?? ''

  for (const transport of TRANSPORTS) {
    await t.test(transport, async (t) => {
      const alice = client(t, { url, user: `alice-${transport}`, device: 'd', transports: [transport] })
      const bob = client(t, { url, user: `bob-${transport}`, transports: [transport] })
      await Promise.all([open(alice), open(bob)])
      t.match(alice.connection.state, { kind: 'open', transport, user: `alice-${transport}`, device: 'd', recovered: false })

      for (const n of numbers(20)) await push(running, `alice-${transport}`, n)
      await until('pushes', () => alice.messages.length >= 20)
      t.same(
        alice.messages.map(({ data }) => data),
        numbers(20),
        'pushes come once, in order',
      )

      await Promise.all(numbers(100).map((n) => bob.connection.message(`alice-${transport}`, { n })))
      await until('messages', () => alice.messages.length >= 120)
      t.same(
        alice.messages.slice(20).map(({ data }) => data),
        numbers(100).map((n) => ({ n })),
        "another's messages too",
      )
      t.equal(alice.messages[20]?.from, `bob-${transport}`)

      const again = { id: 'the same' }
      await bob.connection.message(`alice-${transport}`, 'once', again)
      await bob.connection.message(`alice-${transport}`, 'once', again)
      await bob.connection.message(`alice-${transport}`, 'last')
      await until('the last', () => alice.messages.at(-1)?.data === 'last')
      t.equal(alice.messages.length, 122, 'a repeated id is delivered once')

      await alice.connection.subscribe(`news-${transport}`)
      await bob.connection.publish(`news-${transport}`, 'extra')
      await until('the topic', () => alice.messages.at(-1)?.topic === `news-${transport}`)
      await alice.connection.unsubscribe(`news-${transport}`)

      await bob.connection.roster.subscribe(`alice-${transport}`)
      await until('the request', () => alice.roster.some(({ op, user }) => op === 'request' && user === `bob-${transport}`))
      await alice.connection.roster.approve(`bob-${transport}`)
      await until('presence', () => bob.presence.some(({ user, status }) => user === `alice-${transport}` && status === 'online'))
      await alice.connection.presence('dnd', 'busy')
      await until('new presence', () => bob.presence.at(-1)?.status === 'dnd')
      t.match(bob.presence.at(-1), { user: `alice-${transport}`, note: 'busy' })
      t.match(await bob.connection.roster.get(), [{ user: `alice-${transport}`, subscription: 'to' }])

      const page = await alice.connection.history({ limit: 2 })
      t.same(
        page.messages.map(({ data }) => data),
        ['last', 'extra'],
      )
      t.type(page.cursor, 'string')

      await t.rejects(bob.connection.send({ type: 'message', data: 1 } as never), {
        name: 'HoldwireError',
        code: 'malformed',
        retryable: false,
      })

      t.equal((await sessionsOf(running, `alice-${transport}`)).length, 1)
      await alice.connection.close()
      await until('the end', async () => (await sessionsOf(running, `alice-${transport}`)).length === 0)

      await push(running, `alice-${transport}`, 'while away')
      const later = client(t, { url, user: `alice-${transport}`, device: 'd', transports: [transport] })
      await until('what was pushed meanwhile', () => later.messages.length > 0)
      t.same(
        later.messages.map(({ data }) => data),
        ['while away'],
        'the device goes on behind what it acknowledged',
      )
    })
  }
})

t.test('a network that breaks under load loses nothing and repeats nothing', async (t) => {
  const running = await serve(t)
  for (const transport of TRANSPORTS) {
    await t.test(transport, async (t) => {
      const proxy = await CuttableProxy.open(running.clientPort ?? 0)
      t.teardown(() => proxy.close())
      const user = `carol-${transport}`
      const carol = client(t, { url: proxy.url, user, transports: [transport] })
      const dave = client(t, { url: proxy.url, user: `dave-${transport}`, transports: [transport] })
      await Promise.all([open(carol), open(dave)])
      const sends: Promise<unknown>[] = []
      for (const n of numbers(360)) {
        await push(running, user, n)
        if (n % 10 === 0) sends.push(dave.connection.message(user, `from dave ${n}`))
        // Three times: cut, noticed while pushes go on, and back.
        if (n % 120 === 20) proxy.cut()
        if (n % 120 === 40) await until('noticing', () => carol.connection.state.kind !== 'open')
        if (n % 120 === 60) proxy.mode = 'pass'
        if (n % 120 === 80) await open(carol)
      }
      await Promise.all(sends)
      await until('everything', () => carol.messages.length >= 360 + 36)
      const pushed = carol.messages.filter(({ from }) => from === undefined).map(({ data }) => data)
      t.same(pushed, numbers(360))
      const sent = carol.messages.filter(({ from }) => from !== undefined).map(({ data }) => Number(String(data).slice(10)))
      t.same(
        sent,
        numbers(36).map((n) => n * 10),
      )
      const opens = carol.states.filter((state) => state.kind === 'open')
      t.ok(opens.length >= 4, `${opens.length} connections`)
      t.ok(
        opens.slice(1).every((state) => state.recovered),
        'always recovered',
      )
      t.same(carol.gaps, [])
    })
  }
})

t.test('where WebSockets are blocked the session goes on over SSE, and comes back when they are not', async (t) => {
  const running = await serve(t)
  const proxy = await CuttableProxy.open(running.clientPort ?? 0)
  t.teardown(() => proxy.close())
  const erin = client(t, { url: proxy.url, user: 'erin', upgradeAfterMs: 700 })
  await open(erin)
  t.match(erin.connection.state, { transport: 'websocket' })
  await push(running, 'erin', 1)
  proxy.mode = 'no-websockets'
  proxy.drop()
  await push(running, 'erin', 2)
  await until('SSE', () => erin.connection.state.kind === 'open' && erin.connection.state.transport === 'sse')
  t.match(erin.connection.state, { recovered: true })
  await push(running, 'erin', 3)
  t.equal((await sessionsOf(running, 'erin')).length, 1, 'it is the same session')
  proxy.mode = 'pass'
  await until('WebSocket', () => erin.connection.state.kind === 'open' && erin.connection.state.transport === 'websocket')
  await push(running, 'erin', 4)
  await until('all', () => erin.messages.length >= 4)
  t.same(
    erin.messages.map(({ data }) => data),
    [1, 2, 3, 4],
  )
  t.equal((await sessionsOf(running, 'erin')).length, 1)
})

t.test('where only polls pass, polls it is', async (t) => {
  const running = await serve(t)
  const fred = client(t, { url: running.clientUrl ?? '', user: 'fred', transports: ['poll'], pollConnection: 'close' })
  await open(fred)
  await push(running, 'fred', 1)
  await until('it', () => fred.messages.length === 1)
  t.match(await sessionsOf(running, 'fred'), [{ transport: 'longpoll' }])
})

t.test('a stored cursor goes on where an earlier connection stopped', async (t) => {
  const running = await serve(t, '--inbox-max-messages', '20', '--resume-seconds', '1')
  const url = running.clientUrl ?? ''
  for (const transport of TRANSPORTS) {
    await t.test(transport, async (t) => {
      const user = `gina-${transport}`
      const proxy = await CuttableProxy.open(running.clientPort ?? 0)
      t.teardown(() => proxy.close())
      const first = client(t, { url: proxy.url, user, transports: [transport], connectTimeoutMs: 500 })
      await open(first)
      await push(running, user, 'before')
      await until('it', () => first.messages.length === 1)
      const cursor = first.connection.cursor ?? ''
      proxy.cut()
      await push(running, user, 'after')

      const second = client(t, { url, user, transports: [transport], cursor })
      await until('the rest', () => second.messages.length === 1)
      t.same(
        second.messages.map(({ data }) => data),
        ['after'],
      )
      t.match(second.connection.state, { recovered: true })
      await second.connection.message(user, 'from myself')
      await until('my own', () => second.messages.length === 2)
      await second.connection.close()

      for (const n of numbers(40)) await push(running, user, n)
      const third = client(t, { url, user, transports: [transport], cursor })
      await until('what is left', () => third.messages.length >= 20)
      t.same(
        third.messages.map(({ data }) => data),
        numbers(40).slice(20),
      )
      t.equal(third.gaps.length, 1, 'what is gone is declared')
      t.match(
        third.states.find(({ kind }) => kind === 'open'),
        { recovered: false },
      )
    })
  }
})

t.test('ends for good', async (t) => {
  const running = await serve(t)
  const url = running.clientUrl ?? ''
  for (const transport of TRANSPORTS) {
    await t.test(transport, async (t) => {
      const closed = async (one: Client, code: string) => {
        await until(code, () => one.connection.state.kind === 'closed')
        t.match(one.connection.state, { reason: { code } })
      }
      const user = `hugo-${transport}`
      const older = client(t, { url, user, device: 'same', transports: [transport] })
      await open(older)
      const newer = client(t, { url, user, device: 'same', transports: [transport] })
      await closed(older, 'replaced')
      await open(newer)
      const stranger = client(t, { url, user: `ivan-${transport}`, transports: [transport], cursor: newer.connection.cursor ?? '' })
      await closed(stranger, 'forbidden')
      await closed(client(t, { url, user, transports: [transport], cursor: 'no cursor' }), 'malformed')
      await closed(client(t, { url, transports: [transport] }), 'unauthorized')
      await fetch(`${running.internalUrl}/api/v1/users/${user}/sessions`, { method: 'DELETE' })
      await closed(newer, 'closed')
    })
  }
})

t.test('tokens are renewed in the session, over every transport', async (t) => {
  const secret = 'a secret of at least thirty-two bytes'
  const running = await serve(t, '--auth', 'jwt', '--jwt-secret', secret, '--api-keys', 'a key for backends', '--jwt-leeway-seconds', '0')
  const clients = TRANSPORTS.map((transport) => {
    let calls = 0
    const token = () => {
      calls += 1
      const claims = new SignJWT({}).setProtectedHeader({ alg: 'HS256' }).setSubject(`judy-${transport}`)
      return claims.setExpirationTime(Math.floor(Date.now() / 1000) + 5).sign(new TextEncoder().encode(secret))
    }
    return { transport, calls: () => calls, ...client(t, { url: running.clientUrl ?? '', token, transports: [transport] }) }
  })
  await Promise.all(clients.map(open))
  await new Promise((resolve) => setTimeout(resolve, 5500))
  for (const { transport, calls, connection, states } of clients) {
    t.match(connection.state, { kind: 'open', user: `judy-${transport}` })
    t.ok(calls() >= 2, `${transport}: ${calls()} tokens`)
    t.same(
      states.map(({ kind }) => kind),
      ['connecting', 'open'],
      `${transport} stayed open`,
    )
    t.ok(await connection.message(`judy-${transport}`, 1))
  }
})

t.test('a server that goes away is come back to', async (t) => {
  const config = (port: number) => ['--client-port', String(port)]
  const first = await serve(t)
  const url = first.clientUrl ?? ''
  const clients = TRANSPORTS.map((transport) => client(t, { url, user: `kate-${transport}`, transports: [transport] }))
  await Promise.all(clients.map(open))
  await first.stop()
  for (const { connection } of clients) await until('noticing', () => connection.state.kind !== 'open')
  const second = await serve(t, ...config(first.clientPort ?? 0))
  await Promise.all(clients.map(open))
  for (const transport of TRANSPORTS) await push(second, `kate-${transport}`, 'back')
  for (const { messages } of clients) await until('a message', () => messages.length === 1)
  t.pass('all are back')
})
