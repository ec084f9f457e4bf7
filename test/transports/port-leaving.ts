// Client port: a node that goes away.

import { ask } from '../support/http-client.js'
import { path, type WireClient } from '../support/wire-client.js'
import { World } from '../support/world.js'
import type { Cases } from './port-delivery.js'
import { pollsHeld } from './port-resume.js'

export const leavingCases: Cases = {
  'a WebSocket is told with a drain frame and 1012': async (t, engine) => {
    const world = await World.start(t, engine)
    for (const kind of ['websocket', 'protobuf'] as const) {
      const user = world.user(kind)
      const { feed } = await world.open(kind, { user })
      await world.push(user, 'seen')
      await feed.next('message')
    }
    const users = ['websocket', 'protobuf'] as const
    const clients = await Promise.all(users.map((kind) => world.open(kind, { user: world.user('told') })))
    for (const { feed } of clients) await world.push(String(feed.frames[0]?.user), 'seen')
    for (const { feed } of clients) await feed.next('message')
    await world.leave()
    for (const { kind, feed } of clients) {
      const end = await feed.ending()
      t.equal(end.code, 1012, kind)
      const last = feed.frames.at(-1)
      t.match(last, { type: 'drain', retryAfterMs: Number }, kind)
      t.ok(Number(last?.retryAfterMs) > 0, `${kind}: when to come back`)
      t.equal(last?.cursor, feed.frames.at(-2)?.cursor, `${kind}: its cursor covers what came before`)
    }
  },

  'an event stream is told with a drain event and retry:, then ends': async (t, engine) => {
    const world = await World.start(t, engine)
    const user = world.user('sse')
    const events = await world.events({ user })
    await world.push(user, 'seen')
    const { cursor } = await events.feed.next('message')
    const before = events.retries.length
    await world.leave()
    t.equal((await events.feed.ending()).reason, 'complete', 'the response ends as it should')
    const drain = events.feed.frames.find(({ type }) => type === 'drain')
    t.match(drain, { retryAfterMs: Number, cursor })
    t.equal(events.retries.length, before + 1)
    t.equal(events.retries.at(-1), drain?.retryAfterMs, 'EventSource waits as long')
    t.match(events.feed.frames.at(-1), { type: 'close', code: 'draining', cursor })
  },

  'a held poll is answered early with a drain frame': async (t, engine) => {
    const world = await World.start(t, engine)
    const user = world.user('poll')
    const { cursor } = JSON.parse((await world.http('/poll', { user })).text) as { cursor: string }
    const held = ask(world.port, path('/poll', { user, cursor, wait: '60' }))
    await pollsHeld(world, user, 'longpoll')
    await new Promise((resolve) => setTimeout(resolve, 60))
    await world.leave()
    const { status, text } = await held.answer
    t.equal(status, 200)
    t.match(JSON.parse(text), { cursor, frames: [{ type: 'drain', cursor, retryAfterMs: Number }] })
  },

  'while it goes, no new session is opened': async (t, engine) => {
    const world = await World.start(t, engine, ['--drain-seconds', '1'])
    const opened: WireClient[] = []
    while (opened.length < 300) {
      opened.push(...(await Promise.all(Array.from({ length: 50 }, () => world.open('websocket', { user: world.user('many') })))))
    }
    const stopped = world.leave()
    const [poll, sse, socket, ready, live] = await Promise.all([
      world.http('/poll', { user: world.user('late') }),
      world.http('/sse', { user: world.user('late') }),
      world.start('websocket', { user: world.user('late') }).feed.ending(),
      world.api('GET', '/readyz'),
      world.api('GET', '/livez'),
    ])
    for (const { status, headers, text } of [poll, sse]) {
      t.equal(status, 503)
      t.ok(Number(headers['retry-after']) >= 1)
      t.match(JSON.parse(text), { code: 'draining', retryable: true })
    }
    t.match(socket, { code: 503, problem: { code: 'draining', retryable: true } })
    t.ok(Number(socket.headers?.['retry-after']) >= 1)
    t.equal(ready.status, 503)
    t.equal(live.status, 200)
    await stopped
    for (const { feed } of opened) t.equal((await feed.ending()).code, 1012)
  },
}
