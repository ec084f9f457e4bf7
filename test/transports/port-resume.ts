// Client port: cursors, coming back, devices, and what a session that has ended leaves behind.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { Frame } from '../support/feed.js'
import { Random } from '../support/random.js'
import { KINDS, type Kind, type WireClient } from '../support/wire-client.js'
import { eventually, World } from '../support/world.js'
import type { Cases } from './port-delivery.js'

/** Of the close code, the status, and the word for a reason. */
export interface Refusal {
  readonly websocket: number
  readonly http: number
  readonly code: string
}

/** The client is refused, or ended, as its transport does it. */
export async function refused(t: Test, client: WireClient, { websocket, http, code }: Refusal, what: string): Promise<void> {
  const end = await client.feed.ending()
  if (client.kind === 'websocket' || client.kind === 'protobuf') {
    t.equal(end.code, websocket, `${what}: close code`)
    t.not(end.reason, '', `${what}: with a reason`)
  } else if (client.kind === 'sse' && end.code === 0) {
    t.match(client.feed.frames.at(-1), { type: 'close', code }, `${what}: last words`)
  } else {
    t.equal(end.code, http, `${what}: status`)
    t.match(end.headers?.['content-type'], /^application\/problem\+json/, what)
    t.match(end.problem, { code, status: http, retryable: false }, what)
  }
}

export const MALFORMED: Refusal = { websocket: 4000, http: 400, code: 'malformed' }
export const FORBIDDEN: Refusal = { websocket: 4003, http: 403, code: 'forbidden' }
export const REPLACED: Refusal = { websocket: 4009, http: 409, code: 'replaced' }
export const CLOSED: Refusal = { websocket: 4010, http: 410, code: 'closed' }

export const resumeCases: Cases = {
  'from every transport to every other: everything after the cursor, once': async (t, engine) => {
    const world = await World.start(t, engine)
    const pairs = KINDS.flatMap((from) => [...KINDS, 'protobuf' as const].map((to) => [from, to] as const))
    await Promise.all(
      pairs.map(async ([from, to]) => {
        const user = world.user('pair')
        const first = await world.open(from, { user, wait: '5' })
        await world.push(user, 'seen')
        const { cursor = '' } = await first.feed.next('message')
        const session = first.feed.frames[0]?.session
        first.drop()
        await world.push(user, 'durable')
        await world.push(user, 'ephemeral', { ephemeral: true })
        await world.push(user, 'durable too')
        const second = await world.open(to, { user, cursor, wait: '5' })
        await world.push(user, 'live')
        await second.feed.next(({ data }) => data === 'live')
        const what = `${from} → ${to}`
        t.strictSame(second.feed.data, ['durable', 'ephemeral', 'durable too', 'live'], what)
        const hellos = second.feed.frames.filter(({ type }) => type === 'hello')
        if (isPoll(from) && isPoll(to)) t.strictSame(hellos, [], `${what}: polls go on as they were`)
        else t.match(hellos, [{ session, recovered: true, user }], `${what}: the same session`)
        if (hellos.length > 0) t.equal(second.feed.frames[0]?.type, 'hello', `${what}: hello first`)
        t.equal(second.feed.count('gap'), 0, what)
      }),
    )
    t.equal(await world.metric('holdwire_gaps_total'), 0)
  },

  'replies and presence are resumed too while the session lives': async (t, engine) => {
    const world = await World.start(t, engine)
    for (const to of KINDS) {
      const alice = world.user('alice')
      const bob = world.user('bob')
      const bobs = await world.open('websocket', { user: bob })
      const client = await world.socket({ user: alice })
      await client.ask({ type: 'roster', op: 'subscribe', user: bob })
      await bobs.ask({ type: 'roster', op: 'approve', user: alice })
      await client.feed.next(({ type, status }) => type === 'presence' && status === 'online')
      const { cursor } = client.feed
      client.pause()
      client.send({ type: 'message', to: alice, data: 'to myself', ref: 'lost' })
      await bobs.ask({ type: 'presence', status: 'dnd', note: 'busy' })
      client.drop()
      const { feed } = await world.open(to, { user: alice, cursor, wait: '5' })
      t.match(await feed.until(() => feed.frames.find(({ type }) => type === 'reply'), 'reply'), { ref: 'lost', ok: true }, to)
      const dnd = ({ type, status }: Frame) => type === 'presence' && status === 'dnd'
      t.match(await feed.until(() => feed.frames.find(dnd), 'presence'), { user: bob, note: 'busy' }, to)
      await feed.until(() => feed.frames.find(({ data }) => data === 'to myself'), 'message')
    }
  },

  'a client that is cut again and again, on ever other transports, gets each message once and in order': async (t, engine) => {
    const world = await World.start(t, engine)
    const random = new Random(Number(process.env.SEED ?? Date.now() % 1e9))
    const user = world.user('cut')
    const total = 400
    const got: unknown[] = []
    let pushed = 0
    const pushing = (async () => {
      for (; pushed < total; pushed++) await world.push(user, pushed)
    })()
    const first = await world.open('websocket', { user })
    let { cursor } = first.feed
    got.push(...first.feed.data)
    first.drop()
    while (got.length < total) {
      const client = await world.open(random.pick([...KINDS, 'protobuf' as const]), { user, cursor, wait: '5' })
      const wanted = Math.min(1 + random.int(60), total - got.length)
      const { feed } = client
      await feed.until(() => (feed.data.length >= wanted ? true : undefined), `${wanted} messages`)
      client.drop()
      got.push(...feed.data)
      cursor = feed.cursor
    }
    await pushing
    t.strictSame(
      got,
      Array.from({ length: total }, (_, i) => i),
      `seed ${random.seed}`,
    )
  },

  'a session that is gone: a new one, with every durable message after the cursor': async (t, engine) => {
    const world = await World.start(t, engine, ['--resume-seconds', '1'])
    await Promise.all(
      KINDS.map(async (kind) => {
        const user = world.user('gone')
        const first = await world.open(kind, { user, wait: '5' })
        await world.push(user, 1)
        const { cursor = '' } = await first.feed.next('message')
        const session = first.feed.frames[0]?.session
        first.drop()
        await world.push(user, 2)
        await world.push(user, 'ephemeral', { ephemeral: true })
        await sessionGone(world, user)
        await world.push(user, 3)
        const second = await world.open(kind, { user, cursor, wait: '5' })
        await second.feed.next(({ data }) => data === 3)
        t.strictSame(second.feed.data, [2, 3], kind)
        t.match(second.feed.frames[0], { type: 'hello', recovered: true }, kind)
        t.not(second.feed.frames[0]?.session, session, kind)
        t.equal(second.feed.count('gap'), 0)
      }),
    )
  },

  'a gap is declared when something is evicted, and only then': async (t, engine) => {
    const limit = 5
    const world = await World.start(t, engine, ['--inbox-max-messages', `${limit}`, '--resume-seconds', '1'])
    const cases = KINDS.flatMap((kind) => [true, false].flatMap((fresh) => [limit, limit + 1].map((missed) => ({ kind, fresh, missed }))))
    await Promise.all(
      cases.map(async ({ kind, fresh, missed }) => {
        const what = `${kind}, ${fresh ? 'nothing seen' : 'one seen'}, ${missed} missed`
        const user = world.user('gap')
        const first = await world.open(kind, { user, wait: '5' })
        if (!fresh) {
          await world.push(user, 'seen')
          await first.feed.next('message')
        }
        const { cursor } = first.feed
        first.drop()
        await sessionGone(world, user)
        for (let i = 1; i <= missed; i++) await world.push(user, i)
        const { feed } = await world.open(kind, { user, cursor, wait: '5' })
        await feed.next(({ data }) => data === missed)
        const lost = missed > limit
        t.match(feed.frames[0], { type: 'hello', recovered: !lost }, what)
        t.equal(feed.count('gap'), lost ? 1 : 0, what)
        if (lost) t.match(feed.frames[1], { type: 'gap', reason: 'evicted', cursor: /./ }, `${what}: where they would have been`)
        t.strictSame(
          feed.data,
          Array.from({ length: limit }, (_, i) => missed - limit + 1 + i),
          what,
        )
      }),
    )
  },

  'a session that no longer keeps what was sent reads it from the inbox': async (t, engine) => {
    const world = await World.start(t, engine, ['--sent-max-frames', '3', '--inbox-max-messages', '10'])
    for (const kind of KINDS) {
      const user = world.user('trim')
      const client = await world.socket({ user })
      for (let i = 1; i <= 20; i++) await world.push(user, i)
      await client.feed.next(({ data }) => data === 20)
      const cursorOf = (data: number) => client.feed.frames.find((frame) => frame.data === data)?.cursor ?? ''
      client.drop()
      const whole = await world.open(kind, { user, cursor: cursorOf(12), wait: '5' })
      await whole.feed.next(({ data }) => data === 20)
      t.strictSame(whole.feed.data, [13, 14, 15, 16, 17, 18, 19, 20], kind)
      t.match(whole.feed.frames[0], { type: 'hello', recovered: true }, kind)
      whole.drop()
      const holed = await world.open(kind, { user, cursor: cursorOf(5), wait: '5' })
      await holed.feed.next(({ data }) => data === 20)
      t.strictSame(holed.feed.data, [11, 12, 13, 14, 15, 16, 17, 18, 19, 20], kind)
      t.equal(holed.feed.count('gap'), 1, kind)
      t.equal(holed.feed.frames.find(({ type }) => type === 'hello')?.recovered ?? false, false, kind)
    }
  },

  'a cursor that is none, and one of somebody else, open nothing': async (t, engine) => {
    const world = await World.start(t, engine)
    const alice = await world.socket({ user: world.user('alice') })
    const { cursor } = alice.feed
    const bob = world.user('bob')
    const frames = cursor.replace(/[^.]*$/, 'zzzz')
    const own = await world.socket({ user: bob })
    const ahead = own.feed.cursor.replace(/[^.]*$/, 'zzzz')
    const bad = ['nonsense', '', '0', '.....', `${cursor}x!`, `${cursor} `, '用户', 'x'.repeat(3000), '%00']
    const opened = await openedSessions(world)
    for (const kind of [...KINDS, 'protobuf'] as const) {
      for (const text of bad) {
        await refused(t, world.start(kind, { user: bob, cursor: text }), MALFORMED, `${kind}, ${JSON.stringify(text).slice(0, 20)}`)
      }
      await refused(t, world.start(kind, { user: bob, cursor: ahead }), MALFORMED, `${kind}, ahead of its session`)
      for (const text of [cursor, frames]) await refused(t, world.start(kind, { user: bob, cursor: text }), FORBIDDEN, kind)
    }
    t.equal(await openedSessions(world), opened)
    t.match(await alice.ask({ type: 'ping' }), { ok: true }, 'and nobody was disturbed')
    t.match(await own.ask({ type: 'ping' }), { ok: true })
  },

  'Last-Event-ID wins over ?cursor=': async (t, engine) => {
    const world = await World.start(t, engine)
    const user = world.user('last')
    const first = await world.events({ user })
    for (const n of [1, 2, 3]) await world.push(user, n)
    await first.feed.next(({ data }) => data === 3)
    const [hello = '', one = '', two = ''] = first.feed.frames.map(({ cursor }) => cursor)
    first.drop()
    const second = await world.events({ user, cursor: one }, { 'last-event-id': two })
    await second.feed.next('message')
    t.strictSame(second.feed.data, [3])
    second.drop()
    await refused(t, world.start('sse', { user, cursor: two }, { headers: { 'last-event-id': 'x' } }), MALFORMED, 'even a bad one')
    const third = await world.events({ user, cursor: 'bad' }, { 'last-event-id': two })
    await third.feed.next('message')
    t.strictSame(third.feed.data, [3])
    t.ok(hello)
  },

  'a session goes on over the newest connection': async (t, engine) => {
    const world = await World.start(t, engine)
    for (const from of KINDS) {
      for (const to of KINDS) {
        if (isPoll(from)) continue
        const user = world.user('newest')
        const older = await world.open(from, { user })
        const newer = world.start(to, { user, cursor: older.feed.cursor, wait: '5' })
        await refused(t, older, REPLACED, `${from} → ${to}`)
        await world.push(user, 'x')
        await newer.feed.next('message')
        t.strictSame(newer.feed.data, ['x'])
        newer.drop()
      }
    }
  },

  'a device gets what it has not acknowledged, sessions without one share a position': async (t, engine) => {
    const world = await World.start(t, engine, ['--resume-seconds', '1', '--positions-flush-ms', '10'])
    const user = world.user('devices')
    const all = async (query: Readonly<Record<string, string>>, kind: Kind = 'websocket') => {
      const client = await world.open(kind, { user, wait: '5', ...query })
      await client.feed.next(({ data }) => data === 3)
      return client
    }
    for (const n of [1, 2, 3]) await world.push(user, n)
    const phone = await all({ device: 'phone' })
    t.strictSame(phone.feed.data, [1, 2, 3], 'a new device: all there is')
    t.match(phone.feed.frames[0], { recovered: false, device: 'phone' })
    const two = phone.feed.frames.find(({ data }) => data === 2)?.cursor
    t.match(await phone.ask({ type: 'ack', cursor: two }), { ok: true })
    phone.drop()
    t.strictSame((await all({ device: 'laptop' })).feed.data, [1, 2, 3], 'another device knows nothing of that')
    const again = await all({ device: 'phone' })
    t.strictSame(again.feed.data, [3], 'the phone goes on where it was')
    t.match(await again.ask({ type: 'ack', cursor: again.feed.frames.find(({ data }) => data === 3)?.cursor }), { ok: true })

    const one = await all({})
    await one.ask({ type: 'ack', cursor: one.feed.frames.find(({ data }) => data === 2)?.cursor })
    t.strictSame((await all({}, 'sse')).feed.data, [3], 'what one session without a device acknowledged, another is not sent')
    const poll = await all({}, 'longpoll')
    t.strictSame(poll.feed.data, [3])
    await world.push(user, 4)
    await poll.feed.next(({ data }) => data === 4)
    // Its next poll, which is held already, acknowledges.
    await eventually(async () => {
      const fresh = await world.open('websocket', { user })
      await fresh.ask({ type: 'ping' })
      fresh.drop()
      return fresh.feed.data.length === 0 ? true : undefined
    }, 'polling acknowledges')
    t.strictSame((await openAndPing(world, { user, device: 'phone' })).feed.data, [4], 'devices are not moved by that')
  },

  'a cursor acknowledges whatever it comes from': async (t, engine) => {
    const world = await World.start(t, engine, ['--resume-seconds', '1'])
    const user = world.user('acks')
    for (const n of [1, 2, 3]) await world.push(user, n)
    const first = await world.open('websocket', { user, device: 'd' })
    await first.feed.next(({ data }) => data === 3)
    const two = first.feed.frames.find(({ data }) => data === 2)?.cursor ?? ''
    first.drop()
    await sessionGone(world, user)
    const second = await world.open('websocket', { user, device: 'd', cursor: two })
    await second.feed.next('message')
    second.drop()
    await sessionGone(world, user)
    const third = await openAndPing(world, { user, device: 'd' })
    t.strictSame(third.feed.data, [3], 'to come back with a cursor acknowledges it')
    const { result } = (await third.ask({ type: 'history', limit: 10 })) as unknown as { result: { cursor: string } }
    t.match(await third.ask({ type: 'ack', cursor: result.cursor }), { ok: true })
    third.drop()
    await sessionGone(world, user)
    t.strictSame((await openAndPing(world, { user, device: 'd' })).feed.data, [], 'a cursor of history acknowledges too')
    const bad = await openAndPing(world, { user: world.user('other') })
    t.match(await bad.ask({ type: 'ack', cursor: two }), { ok: false, error: { code: 'forbidden' } })
    t.match(await bad.ask({ type: 'ack', cursor: 'x' }), { ok: false, error: { code: 'malformed' } })
    t.match(await bad.ask({ type: 'ack' }), { ok: false, error: { code: 'malformed' } })
  },

  'one device, one session: a newer one replaces the older, which does not come back': async (t, engine) => {
    const world = await World.start(t, engine)
    for (const from of KINDS) {
      for (const to of KINDS) {
        const user = world.user('one')
        const older = await world.open(from, { user, device: 'd', wait: '20' })
        const other = await world.open('websocket', { user, device: 'e' })
        if (isPoll(from)) await pollsHeld(world, user, from)
        const { cursor } = older.feed
        const newer = await world.open(to, { user, device: 'd', wait: '5' })
        await refused(t, older, REPLACED, `${from} → ${to}`)
        await refused(t, world.start(from, { user, device: 'd', cursor }), REPLACED, `${from} → ${to}, back by its cursor`)
        t.match(await newer.ask({ type: 'ping' }), { ok: true })
        t.match(await other.ask({ type: 'ping' }), { ok: true }, 'other devices are not meant')
      }
    }
  },

  'sessions closed by a backend end as closed, and do not come back': async (t, engine) => {
    const world = await World.start(t, engine)
    const user = world.user('closed')
    const clients = await Promise.all(KINDS.map((kind) => world.open(kind, { user, wait: '20' })))
    const stranger = await world.open('websocket', { user: world.user('stranger') })
    const [left] = [await world.http('/poll', { user })].map(({ text }) => (JSON.parse(text) as { cursor: string }).cursor)
    for (const kind of ['keepalive', 'longpoll'] as const) await pollsHeld(world, user, kind)
    t.equal((await world.api('DELETE', `/api/v1/users/${user}/sessions`)).status < 300, true)
    for (const client of clients) {
      await refused(t, client, CLOSED, client.kind)
      await refused(t, world.start(client.kind, { user, cursor: client.feed.cursor }), CLOSED, `${client.kind}, back by its cursor`)
    }
    const { status, text } = await world.http('/poll', { user, cursor: left ?? '' })
    t.match({ status, problem: JSON.parse(text) }, { status: 410, problem: { code: 'closed' } }, 'one that was between two polls')
    t.match(await stranger.ask({ type: 'ping' }), { ok: true })
    t.match((await world.open('websocket', { user })).feed.frames[0], { type: 'hello' }, 'it may open anew')
  },

  'a client ends its session': async (t, engine) => {
    const world = await World.start(t, engine)
    const user = world.user('ends')
    const gone = async () => eventually(async () => ((await online(world, user)) === 0 ? true : undefined), 'the end')
    const socket = await world.socket({ user })
    socket.close(1000)
    await gone()
    await world.push(user, 'while away')
    const back = await world.open('sse', { user, cursor: socket.feed.cursor })
    await back.feed.next('message')
    t.match(back.feed.frames[0], { type: 'hello', recovered: true })
    t.not(back.feed.frames[0]?.session, socket.feed.frames[0]?.session)
    const session = String(back.feed.frames[0]?.session)
    t.equal((await world.http('/send', { session }, { method: 'DELETE' })).status, 204)
    t.equal((await back.feed.ending()).reason, 'complete')
    await gone()
    t.match(JSON.parse((await world.post(session, [])).text), { code: 'unknown_session', cause: 'closed' })
    const poll = await world.http('/poll', { user })
    const { cursor } = JSON.parse(poll.text) as { cursor: string }
    t.equal((await world.http('/poll', { user: world.user('thief'), cursor }, { method: 'DELETE' })).status, 403)
    t.equal((await world.http('/poll', { user, cursor }, { method: 'DELETE' })).status, 204)
    await gone()
    const away = await world.socket({ user })
    away.close(1001)
    await away.feed.ending()
    t.equal(await online(world, user), 1, 'who leaves for another page may come back')
  },

  'what was accepted is there after a restart': async (t, engine) => {
    const folder = mkdtempSync(join(tmpdir(), 'holdwire-port-'))
    t.teardown(() => rmSync(folder, { recursive: true }))
    const first = await World.start(t, engine, ['--data-dir', folder])
    const user = first.user('restart')
    const clients = await Promise.all(KINDS.map((kind) => first.open(kind, { user, device: kind, wait: '20' })))
    await clients[0]?.ask({ type: 'subscribe', topic: 'news' })
    await first.push(user, 1)
    for (const { feed } of clients) await feed.next('message')
    for (const kind of ['keepalive', 'longpoll'] as const) await pollsHeld(first, user, kind)
    const pushed = [2, 3, 4].map((n) => first.push(user, n))
    await Promise.all(pushed)
    const cursors = clients.map(({ feed }) => feed.frames.find(({ data }) => data === 1)?.cursor ?? '')
    await first.stop()
    const second = await World.start(t, engine, ['--data-dir', folder])
    await second.api('POST', '/api/v1/push', { to: { topic: 'news' }, data: 5 })
    for (const [i, kind] of KINDS.entries()) {
      const { feed } = await second.open(kind, { user, device: kind, cursor: cursors[i] ?? '', wait: '5' })
      await feed.next(({ data }) => data === 5)
      t.strictSame(new Set(feed.data), new Set([2, 3, 4, 5]), kind)
      t.equal(feed.data.length, 4, kind)
      t.match(feed.frames[0], { type: 'hello', recovered: true }, kind)
    }
  },
}

export function isPoll(kind: Kind): kind is 'keepalive' | 'longpoll' {
  return kind === 'keepalive' || kind === 'longpoll'
}

async function openAndPing(world: World, query: Readonly<Record<string, string>>): Promise<WireClient> {
  const client = await world.open('websocket', query)
  await client.ask({ type: 'ping' })
  return client
}

/** Sessions of the user that are there, attached or not. */
async function online(world: World, user: string): Promise<number> {
  const { text } = await world.api('GET', `/api/v1/users/${encodeURIComponent(user)}`)
  return (JSON.parse(text) as { sessions: unknown[] }).sessions.length
}

async function sessionGone(world: World, user: string): Promise<void> {
  await eventually(async () => ((await online(world, user)) === 0 ? true : undefined), `the end of ${user}'s session`)
}

/** A poll client is in its second poll, the one that is held: nothing tells, so it is given a moment. */
export async function pollsHeld(world: World, user: string, kind: 'keepalive' | 'longpoll'): Promise<void> {
  await eventually(async () => {
    const { text } = await world.api('GET', `/api/v1/users/${encodeURIComponent(user)}`)
    return (JSON.parse(text) as { sessions: { transport: string }[] }).sessions.some(({ transport }) => transport === kind)
      ? true
      : undefined
  }, 'a session that polls')
  await new Promise((resolve) => setTimeout(resolve, 60))
}

async function openedSessions(world: World): Promise<number> {
  const counts = await Promise.all(
    ['websocket', 'sse', 'keepalive', 'longpoll'].map((kind) => world.metric(`holdwire_sessions_opened_total{transport="${kind}"}`)),
  )
  return counts.reduce((sum, count) => sum + count, 0)
}
