// Client port: users and one another: messages, presence, contacts, topics, history; and who they are.

import { createHmac, generateKeyPairSync } from 'node:crypto'
import type { Test } from 'tap'
import type { Frame } from '../support/feed.js'
import { KINDS, type Kind, type WireClient } from '../support/wire-client.js'
import { type EngineName, World } from '../support/world.js'
import type { Cases } from './port-delivery.js'
import { FORBIDDEN, MALFORMED, type Refusal, refused } from './port-resume.js'

const ALL: readonly Kind[] = [...KINDS, 'protobuf']
const UNAUTHORIZED: Refusal = { websocket: 4001, http: 401, code: 'unauthorized' }
const EXPIRED: Refusal = { websocket: 4101, http: 401, code: 'token_expired' }
const SECRET = 'a secret of thirty-two bytes, at least so many'

/** Each transport with the next one. */
const NEIGHBOURS = ALL.map((kind, i) => [kind, ALL[(i + 1) % ALL.length] ?? 'websocket'] as const)

function encoded(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

function token(claims: object, header: object = { alg: 'HS256', typ: 'JWT' }, secret: string | Buffer = SECRET): string {
  const signed = `${encoded(header)}.${encoded(claims)}`
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`
}

function inSeconds(seconds: number): number {
  return Math.floor(Date.now() / 1000) + seconds
}

function withTokens(t: Test, engine: EngineName, ...flags: string[]): Promise<World> {
  return World.start(t, engine, [
    '--jwt-secret',
    SECRET,
    '--api-keys',
    API_KEY,
    '--jwt-leeway-seconds',
    '0',
    '--auth-failures-per-minute',
    '0',
    ...flags,
  ])
}

const API_KEY = 'a key for backends'

export const peopleCases: Cases = {
  'messages from user to user on every transport, answered and delivered once': async (t, engine) => {
    const world = await World.start(t, engine)
    await Promise.all(
      NEIGHBOURS.map(async ([from, to]) => {
        const what = `${from} → ${to}`
        const alice = await world.open(from, { user: world.user('alice'), wait: '5' })
        const bob = await world.open(to, { user: world.user('bob'), wait: '5' })
        const [me, you] = [userOf(alice), userOf(bob)]
        const first = await alice.ask({ type: 'message', to: you, data: { text: 'hi' }, id: 'm1' })
        t.match(first, { type: 'reply', ok: true, result: { id: 'm1' } }, what)
        const again = await alice.ask({ type: 'message', to: you, data: { text: 'hi' }, id: 'm1' })
        t.strictSame(again.result, first.result, `${what}: a repeat is answered like the first`)
        t.match(await alice.ask({ type: 'message', to: me, data: 'self', id: 'm1' }), { ok: true }, 'ids are per recipient')
        t.match(await bob.ask({ type: 'message', to: you, data: 'own', id: 'm1' }), { ok: true }, 'and per sender')
        const named = await alice.ask({ type: 'message', to: you, data: 'no id' })
        const { id } = named.result as { id: string }
        t.match(id, /./, 'an id is made where none was given')
        const got = await bob.feed.next(({ data }) => data === 'no id')
        t.match(got, { id, from: me, time: Number })
        t.match(
          bob.feed.frames.filter(({ type, from }) => type === 'message' && from === me),
          [
            { id: 'm1', data: { text: 'hi' } },
            { id, data: 'no id' },
          ],
          `${what}: once, in order`,
        )
        t.match(await alice.ask({ type: 'message', to: you, data: 'quick', ephemeral: true }), { ok: true })
        t.match(await bob.feed.next(({ data }) => data === 'quick'), { ephemeral: true, from: me })
      }),
    )
  },

  'ttlSeconds, collapseKey and ids of a push': async (t, engine) => {
    const world = await World.start(t, engine)
    const user = world.user('push')
    await world.push(user, 'short', { ttlSeconds: 1 })
    await world.push(user, 'long', { ttlSeconds: 100 })
    for (const n of [1, 2, 3]) await world.push(user, `score ${n}`, { collapseKey: 'score' })
    await world.push(user, 'other', { collapseKey: 'other' })
    for (const data of ['once', 'twice']) t.equal(await world.push(user, data, { id: 'same' }), 'same')
    await new Promise((resolve) => setTimeout(resolve, 1100))
    for (const kind of ALL) {
      const { feed } = await world.open(kind, { user, device: kind, wait: '5' })
      await feed.next(({ data }) => data === 'once')
      t.strictSame(feed.data, ['long', 'score 3', 'other', 'once'], kind)
      t.equal(feed.count('gap'), 0, `${kind}: and that is no gap`)
    }
  },

  'presence: online with the first session, dnd, offline; only to those who may see it': async (t, engine) => {
    const world = await World.start(t, engine, ['--presence-linger-seconds', '0.2', '--resume-seconds', '1'])
    await Promise.all(
      NEIGHBOURS.map(async ([from, to]) => {
        const what = `${from} sees ${to}`
        const alice = await world.open(from, { user: world.user('alice'), wait: '5' })
        const stranger = await world.open(from, { user: world.user('stranger'), wait: '5' })
        const bob = world.user('bob')
        t.match(await alice.ask({ type: 'roster', op: 'subscribe', user: bob, name: 'Bob', groups: ['g'] }), { ok: true }, what)
        const first = await world.open(to, { user: bob, wait: '5' })
        t.match(await first.feed.next('roster'), { op: 'request', user: userOf(alice) }, `${what}: asked when he comes`)
        t.match(await first.ask({ type: 'roster', op: 'approve', user: userOf(alice) }), { ok: true }, what)
        t.match(await alice.feed.next(({ subscription }) => subscription === 'to'), { type: 'roster', op: 'set', user: bob, name: 'Bob' })
        t.match(await alice.feed.next('presence'), { user: bob, status: 'online' }, what)
        t.match(await first.ask({ type: 'presence', status: 'dnd', note: 'busy' }), { ok: true })
        t.match(await alice.feed.next('presence'), { user: bob, status: 'dnd', note: 'busy' }, what)
        const session = String(first.feed.frames[0]?.session)
        t.equal((await world.http('/send', { session }, { method: 'DELETE' })).status, 204)
        t.match(await alice.feed.next('presence'), { user: bob, status: 'offline' }, what)
        const second = await world.open(to, { user: bob, wait: '5' })
        t.match(await alice.feed.next('presence'), { user: bob, status: 'online' }, what)
        second.drop()
        t.match(await alice.feed.next('presence'), { user: bob, status: 'offline' }, `${what}: when it is not resumed`)
        const { result } = await alice.ask({ type: 'roster', op: 'get' })
        t.match(result, { items: [{ user: bob, name: 'Bob', groups: ['g'], subscription: 'to' }] }, what)
        t.equal(stranger.feed.count('presence') + stranger.feed.count('roster'), 0, `${what}: nobody else`)
      }),
    )
  },

  'topics: subscriptions are the user’s, the sender’s sessions receive too, and nobody else': async (t, engine) => {
    const world = await World.start(t, engine)
    await Promise.all(
      NEIGHBOURS.map(async ([from, to]) => {
        const topic = world.user('topic')
        const alice = await world.open(from, { user: world.user('alice'), wait: '5' })
        const twin = await world.open(to, { user: userOf(alice), wait: '5' })
        const bob = await world.open(to, { user: world.user('bob'), wait: '5' })
        const carol = await world.open(to, { user: world.user('carol'), wait: '5' })
        for (const client of [alice, bob, bob]) t.match(await client.ask({ type: 'subscribe', topic }), { ok: true })
        t.match(await alice.ask({ type: 'message', topic, data: 1, id: 'x' }), { ok: true, result: { id: 'x' } })
        for (const { feed } of [alice, twin, bob]) t.match(await feed.next('message'), { topic, from: userOf(alice), data: 1, id: 'x' })
        t.match(await bob.ask({ type: 'unsubscribe', topic }), { ok: true })
        await alice.ask({ type: 'message', topic, data: 2 })
        await alice.feed.next(({ data }) => data === 2)
        await carol.ask({ type: 'ping' })
        t.strictSame([bob.feed.data, carol.feed.data], [[1], []])
        for (const bad of ['', 'a\nb', 'x'.repeat(257), 'news.*', 5])
          t.match(await alice.ask({ type: 'subscribe', topic: bad }), { ok: false, error: { code: 'malformed' } }, JSON.stringify(bad))
        t.match(await alice.ask({ type: 'subscribe', topic: 'x'.repeat(256) }), { ok: true })
      }),
    )
  },

  'history: forward, backward, and on from its cursor': async (t, engine) => {
    const world = await World.start(t, engine)
    const user = world.user('history')
    for (let n = 1; n <= 10; n++) await world.push(user, n)
    for (const kind of ALL) {
      const client = await world.open(kind, { user, device: kind, wait: '5' })
      await client.feed.next(({ data }) => data === 10)
      const page = async (query: object) => {
        const { ok, result } = (await client.ask({ type: 'history', ...query })) as unknown as {
          ok: boolean
          result: { messages: Frame[]; cursor: string }
        }
        t.equal(ok, true)
        t.ok(result.messages.every(({ type, id, time, cursor }) => type === 'message' && id && time && cursor))
        return { data: result.messages.map(({ data }) => data), cursor: result.cursor, messages: result.messages }
      }
      t.strictSame((await page({})).data, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], kind)
      const newest = await page({ limit: 3 })
      t.strictSame(newest.data, [8, 9, 10])
      const older = await page({ limit: 3, before: newest.messages[0]?.cursor })
      t.strictSame(older.data, [5, 6, 7])
      t.strictSame((await page({ limit: 9, before: older.cursor })).data, [1, 2, 3, 4])
      const after = await page({ limit: 2, cursor: client.feed.frames.find(({ data }) => data === 3)?.cursor })
      t.strictSame(after.data, [4, 5])
      t.strictSame((await page({ limit: 2, cursor: after.cursor })).data, [6, 7])
      for (const query of [
        { cursor: 'x' },
        ...(kind === 'protobuf' ? [] : [{ limit: 0 }, { limit: 'many' }]),
        { cursor: after.cursor, before: after.cursor },
      ])
        t.match(await client.ask({ type: 'history', ...query }), { ok: false, error: { code: 'malformed' } }, JSON.stringify(query))
      const stranger = await world.open(kind, { user: world.user('stranger') })
      t.match(await stranger.ask({ type: 'history', cursor: after.cursor }), { ok: false, error: { code: 'forbidden' } })
      const back = await world.open(kind, { user, device: 'back', cursor: after.cursor, wait: '5' })
      await back.feed.next(({ data }) => data === 10)
      t.strictSame(back.feed.data, [6, 7, 8, 9, 10], 'one cursor for everything')
      back.drop()
    }
  },

  'who a client is: dev': async (t, engine) => {
    const world = await World.start(t, engine)
    for (const user of ['alice', 'bob@example.com', '用户1', 'with space', 'x'.repeat(256), 'ü'.repeat(128), '%', 'a/b?c#d&e=f'])
      t.equal((await world.open('websocket', { user })).feed.frames[0]?.user, user)
    for (const kind of ALL) {
      await refused(t, world.start(kind, {}), UNAUTHORIZED, `${kind}: nobody`)
      await refused(t, world.start(kind, { user: '' }), UNAUTHORIZED, `${kind}: nobody`)
      for (const user of ['x'.repeat(257), 'ü'.repeat(129), 'a\nb', '\u0000', 'a\u0085'])
        await refused(t, world.start(kind, { user }), MALFORMED, `${kind}: ${JSON.stringify(user.slice(0, 9))}`)
      await refused(t, world.start(kind, { user: 'a', device: 'x'.repeat(65) }), MALFORMED, `${kind}: device`)
    }
    t.equal((await world.open('websocket', { user: 'a', device: 'x'.repeat(64) })).feed.frames[0]?.device, 'x'.repeat(64))
  },

  'who a client is: tokens': async (t, engine) => {
    const world = await withTokens(t, engine)
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ type: 'spki', format: 'pem' })
    const good = token({ sub: 'alice', exp: inSeconds(60) })
    const [head = '', , signature = ''] = good.split('.')
    const bad: Readonly<Record<string, string>> = {
      'alg none': `${encoded({ alg: 'none', typ: 'JWT' })}.${encoded({ sub: 'alice', exp: inSeconds(60) })}.`,
      'alg none with a signature': token({ sub: 'alice', exp: inSeconds(60) }, { alg: 'none' }),
      'alg NONE': token({ sub: 'alice' }, { alg: 'NONE' }),
      'another secret': token({ sub: 'alice', exp: inSeconds(60) }, undefined, `${SECRET}x`),
      'a public key as secret': token({ sub: 'alice', exp: inSeconds(60) }, { alg: 'HS256' }, Buffer.from(rsa)),
      'claims changed': `${head}.${encoded({ sub: 'bob', exp: inSeconds(60) })}.${signature}`,
      'no user': token({ exp: inSeconds(60) }),
      'no user id': token({ sub: 'a\nb', exp: inSeconds(60) }),
      'not yet': token({ sub: 'alice', nbf: inSeconds(60), exp: inSeconds(90) }),
      HS512: token({ sub: 'alice' }, { alg: 'HS512' }),
      'no token': 'x',
      cut: good.slice(0, -5),
    }
    for (const kind of ALL) {
      for (const way of ['header', 'query'] as const) {
        const query = (value: string): Record<string, string> => (way === 'query' ? { token: value } : {})
        const options = (value: string) => (way === 'header' ? { headers: { authorization: `Bearer ${value}` } } : {})
        const what = `${kind}, in the ${way}`
        const client = await world.open(
          kind,
          { ...query(token({ sub: '用户', device: 'd', exp: inSeconds(60) })), wait: '5' },
          options(token({ sub: '用户', device: 'd', exp: inSeconds(60) })),
        )
        t.match(client.feed.frames[0], { user: '用户', device: 'd' }, what)
        for (const [why, value] of Object.entries(bad))
          await refused(t, world.start(kind, query(value), options(value)), UNAUTHORIZED, `${what}: ${why}`)
        const old = token({ sub: 'alice', exp: inSeconds(-1) })
        await refused(t, world.start(kind, query(old), options(old)), EXPIRED, `${what}: expired`)
      }
      await refused(t, world.start(kind, { user: 'alice' }), UNAUTHORIZED, `${kind}: only a name`)
      const { cursor } = (await world.open(kind, { token: token({ sub: 'alice' }) })).feed
      await refused(t, world.start(kind, { token: token({ sub: 'bob' }), cursor }), FORBIDDEN, `${kind}: a cursor of another user`)
      await refused(t, world.start(kind, { token: bad['another secret'] ?? '', cursor }), UNAUTHORIZED, `${kind}: with a cursor`)
    }
  },

  'a token ends during the session, unless it is refreshed': async (t, engine) => {
    const world = await withTokens(t, engine)
    await Promise.all(
      ALL.map(async (kind) => {
        const exp = inSeconds(4)
        const [ends, stays] = await Promise.all(
          ['ends', 'stays'].map((name) => world.open(kind, { token: token({ sub: `${name}-${kind}`, exp }), wait: '20' })),
        )
        if (ends === undefined || stays === undefined) throw new Error('unreachable')
        const refresh = (claims: object, secret = SECRET) => stays.ask({ type: 'auth', token: token(claims, undefined, secret) })
        t.match(await refresh({ sub: 'other', exp: inSeconds(60) }), { ok: false, error: { code: 'forbidden' } }, kind)
        t.match(await refresh({ sub: `stays-${kind}`, exp: inSeconds(60) }, 'x'), { ok: false, error: { code: 'unauthorized' } }, kind)
        t.match(await refresh({ sub: `stays-${kind}`, exp: inSeconds(-9) }), { ok: false, error: { code: 'token_expired' } }, kind)
        t.match(await refresh({ sub: `stays-${kind}`, exp: inSeconds(60) }), { ok: true }, kind)
        await refused(t, ends, EXPIRED, `${kind}: during the session`)
        t.ok(Date.now() >= exp * 1000, 'not before')
        t.ok(Date.now() < exp * 1000 + 5000, 'and not long after')
        if (kind === 'websocket' || kind === 'protobuf' || kind === 'sse') t.match(await stays.ask({ type: 'ping' }), { ok: true }, kind)
        const back = await world.open(kind, { token: token({ sub: `ends-${kind}` }), cursor: ends.feed.cursor, wait: '5' })
        t.match(back.feed.frames[0], { type: 'hello', recovered: true }, `${kind}: back with a new token`)
      }),
    )
  },

  'the claim topics says what a session may join': async (t, engine) => {
    const world = await withTokens(t, engine)
    const none = await world.open('websocket', { token: token({ sub: 'none' }) })
    t.match(await none.ask({ type: 'subscribe', topic: 'news' }), { ok: false, error: { code: 'forbidden' } })
    const client = await world.open('sse', { token: token({ sub: 'some', topics: ['news', 'team.*'] }) })
    t.match(await client.ask({ type: 'subscribe', topic: 'news' }), { ok: true })
    t.match(await client.ask({ type: 'subscribe', topic: 'team.a' }), { ok: true })
    t.match(await client.ask({ type: 'subscribe', topic: 'other' }), { ok: false, error: { code: 'forbidden' } })
    t.match(await client.ask({ type: 'message', topic: 'other', data: 1 }), { ok: false, error: { code: 'forbidden' } })
    t.match(await client.ask({ type: 'auth', token: token({ sub: 'some', topics: ['other'] }) }), { ok: true })
    t.match(await client.ask({ type: 'subscribe', topic: 'other' }), { ok: true }, 'a new token, new topics')
    t.match(await client.ask({ type: 'subscribe', topic: 'team.b' }), { ok: false, error: { code: 'forbidden' } })
    t.equal((await world.api('GET', '/api/v1/stats')).status, 401, 'and backends need a key')
  },
}

function userOf(client: WireClient): string {
  return String(client.feed.frames[0]?.user)
}
