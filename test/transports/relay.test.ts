// Polls, sends and ends that reach a node which does not have the session.

import t, { type Test } from 'tap'
import { BusError } from '../../bus/bus.js'
import type { MessageSocket, RequestHead, SocketOwner, Upgrade } from '../../transports/engine/engine.js'
import { Client, ids, Rig, type RigNode } from '../support/gateway-rig.js'
import { type Asked, ask, http } from '../support/http-client.js'
import { Gate } from '../support/steered-bus.js'
import { path } from '../support/wire-client.js'

interface Frame {
  readonly type: string
  readonly id?: string
  readonly session?: string
}

interface Polled {
  readonly cursor: string
  readonly frames: readonly Frame[]
}

class Place {
  readonly node: RigNode
  readonly port: number

  static async open(rig: Rig, options: Parameters<Rig['node']>[0] = {}): Promise<Place> {
    const node = await rig.node(options)
    return new Place(node, await node.listen({ perSecond: 10, burst: 5 }))
  }

  private constructor(node: RigNode, port: number) {
    this.node = node
    this.port = port
  }

  hold(query: Readonly<Record<string, string>>): Asked {
    return ask(this.port, path('/poll', query))
  }

  async poll(query: Readonly<Record<string, string>>): Promise<Polled> {
    return polled(this.hold(query))
  }

  send(session: string, body: unknown, method = 'POST') {
    return http(this.port, path('/send', { session }), { method, body: JSON.stringify(body) })
  }

  end(query: Readonly<Record<string, string>>) {
    return http(this.port, path('/poll', query), { method: 'DELETE' })
  }
}

async function polled(asked: Asked): Promise<Polled> {
  const { status, text } = await asked.answer
  if (status !== 200) throw new Error(`a poll was answered ${status} ${text}`)
  return JSON.parse(text)
}

async function twoNodes(t: Test, options: Parameters<Rig['node']>[0] = {}) {
  const rig = await Rig.start(t)
  return { rig, one: await Place.open(rig, options), two: await Place.open(rig, options) }
}

const user = 'alice'
const names = ({ frames }: Polled) => frames.map(({ type, id }) => id ?? type)

/** Resolves when a poll is held there. */
async function held({ node }: Place): Promise<void> {
  while (![...node.hub.sessions.values()].some(({ kind }) => kind === 'attached')) await new Promise((resolve) => setImmediate(resolve))
}

t.test('a poll that reaches another node is held where the session is', async (t) => {
  const { rig, one, two } = await twoNodes(t)
  const { cursor } = await one.poll({ user })
  const asked = two.hold({ user, cursor, wait: '20' })
  await held(one)
  rig.push(user, 'e1')
  const answer = await polled(asked)
  t.same(names(answer), ['e1'])
  t.same([one.node.hub.sessions.size, two.node.hub.sessions.size], [1, 0])
  const left = two.hold({ user, cursor: answer.cursor, wait: '20' })
  await held(one)
  left.cut()
  while ([...one.node.hub.sessions.values()].some(({ kind }) => kind === 'attached')) await new Promise((resolve) => setImmediate(resolve))
  await rig.publish(user, ['m1'])
  t.same(names(await two.poll({ user, cursor: answer.cursor, wait: '20' })), ['m1'], 'nothing went to the one who left')
})

t.test('a node that goes away gives its polls to the node that asks', async (t) => {
  const { rig, one, two } = await twoNodes(t)
  const { cursor } = await one.poll({ user })
  const asked = two.hold({ user, cursor, wait: '20' })
  await held(one)
  one.node.drain()
  const told = await polled(asked)
  t.same(names(told), ['drain'])
  t.equal(told.cursor, cursor)
  rig.push(user, 'e1')
  await rig.publish(user, ['m1'])
  const next = await two.poll({ user, cursor, wait: '20' })
  t.same([one.node.hub.sessions.size, two.node.hub.sessions.size], [0, 1], 'the session has moved')
  t.same(next.frames[0], { ...next.frames[0], type: 'hello', recovered: true })
  const got = names(next).slice(1)
  if (got.length < 2) got.push(...names(await two.poll({ user, cursor: next.cursor, wait: '20' })))
  t.same(got.toSorted(), ['e1', 'm1'], 'nothing is lost')
  t.match(await http(one.port, path('/poll', { user, cursor: next.cursor })), { status: 503, text: /draining/ }, 'and it takes none back')
  t.equal(two.node.hub.sessions.size, 1)
  t.match(await http(one.port, path('/poll', { user: 'bob' })), { status: 503, text: /draining/ })
})

t.test('a held poll whose session moves is answered with no frames', async (t) => {
  const { rig, one, two } = await twoNodes(t)
  const { cursor } = await one.poll({ user })
  const asked = one.hold({ user, cursor, wait: '20' })
  await held(one)
  const stream = await two.node.join({ user, cursor, transport: 'sse' })
  t.same(await polled(asked), { cursor, frames: [] })
  await rig.publish(user, ['m1'])
  await stream.until('m1')
  t.same(stream.messages, ['m1'])
  stream.leave()
  const back = await one.poll({ user, cursor: stream.cursor('hello'), wait: '5' })
  t.same(names(back), ['hello', 'm1'])
  t.same([one.node.hub.sessions.size, two.node.hub.sessions.size], [0, 1], 'polls do not move it')
})

t.test('a session is ended by a cursor of where it was', async (t) => {
  const { one, two } = await twoNodes(t)
  const { cursor } = await one.poll({ user })
  const stream = await two.node.join({ user, cursor })
  t.equal((await one.end({ user, cursor })).status, 204)
  t.equal(two.node.hub.sessions.size, 0)
  t.equal(stream.session.kind, 'closed')
  t.equal((await one.end({ user, cursor })).status, 404, 'once')
  const second = await one.poll({ user })
  t.equal((await two.end({ user: 'bob', cursor: second.cursor })).status, 403, 'only by its own client')
  t.equal(one.node.hub.sessions.size, 1)
  t.equal((await two.end({ user, cursor: second.cursor })).status, 204, 'also from a node that never had it')
  t.equal(one.node.hub.sessions.size, 0)
})

t.test('frames that are sent to another node', async (t) => {
  t.test('are answered from there', async (t) => {
    const { one, two } = await twoNodes(t)
    const { frames } = await one.poll({ user })
    const session = frames[0]?.session ?? ''
    const { status, text } = await two.send(session, [
      { type: 'ping', ref: 'a' },
      { type: 'ping', ref: 'b' },
    ])
    t.equal(status, 200)
    t.match(JSON.parse(text), { frames: [{ type: 'reply', ref: 'a', ok: true }, { ref: 'b' }] })
    t.equal((await two.send(session, {}, 'DELETE')).status, 204)
    t.equal(one.node.hub.sessions.size, 0)
    t.match(await two.send(session, { type: 'ping' }), { status: 404, text: /"cause":"closed"/ })
  })

  t.test('are answered with bus_unavailable when the worker is absent, and the session stays', async (t) => {
    const { one, two } = await twoNodes(t, { relayMs: 30, uplinkDeadlineMs: 200 })
    const { frames } = await one.poll({ user })
    const session = frames[0]?.session ?? ''
    const frame = { type: 'presence', status: 'away', ref: 'a' }
    for (const place of [one, two]) {
      const { status, text } = await place.send(session, frame)
      t.equal(status, 200)
      t.match(JSON.parse(text), { frames: [{ ref: 'a', ok: false, error: { code: 'bus_unavailable' } }] })
    }
    t.equal(one.node.hub.sessions.size, 1)
  })

  t.test('that nobody answers in time are not lost sessions', async (t) => {
    const { one, two } = await twoNodes(t)
    const { frames } = await one.poll({ user })
    const session = frames[0]?.session ?? ''
    for (const code of ['timeout', 'disconnected', 'overloaded'] as const) {
      two.node.steering.before = () => Promise.reject(new BusError(code))
      t.match(await two.send(session, { type: 'ping' }), { status: 503, text: /bus_unavailable/, headers: { 'retry-after': '2' } }, code)
    }
    two.node.steering.before = () => Promise.reject(new BusError('no_responders'))
    t.match(await two.send(session, { type: 'ping' }), { status: 404, text: /"cause":"node_lost"/ })
    t.equal(one.node.hub.sessions.size, 1)
  })

  t.test('need the whole secret, whatever it is made of', async (t) => {
    const { one, two } = await twoNodes(t)
    const { frames } = await one.poll({ user })
    const [node = '', number = '', secret = ''] = (frames[0]?.session ?? '').split('.')
    for (const wrong of [
      'é'.repeat(22),
      'é'.repeat(11),
      `${secret.slice(0, -1)}é`,
      '',
      'x',
      secret.slice(0, -1),
      `${secret}x`,
      '\u{1f511}'.repeat(11),
    ]) {
      const id = `${node}.${number}.${wrong}`
      for (const place of [one, two]) {
        t.match(await place.send(id, { type: 'ping' }), { status: 404, text: /unknown_session/ }, `${wrong.length} characters`)
        t.equal((await place.send(id, {}, 'DELETE')).status, 404)
      }
    }
    t.equal(one.node.hub.sessions.size, 1)
    const moved = await two.node.join({ user, cursor: (await one.poll({ user, wait: '0' })).cursor })
    const [, ref = ''] = moved.session.ref.split('.')
    t.match(await two.send(`${two.node.address}.${ref}.${'é'.repeat(22)}`, { type: 'ping' }), { status: 404 })
  })

  t.test('that are more than may ever come at once are too many for good', async (t) => {
    const { one, two } = await twoNodes(t)
    const { cursor, frames } = await one.poll({ user })
    const session = frames[0]?.session ?? ''
    const pings = (count: number) => Array.from({ length: count }, (_, i) => ({ type: 'ping', ref: `${i}` }))
    for (const place of [one, two]) t.match(await place.send(session, pings(6)), { status: 413, text: /too_large/ })
    const poll = await http(one.port, path('/poll', { user, cursor }), { method: 'POST', body: JSON.stringify(pings(6)) })
    t.match(poll, { status: 413, text: /too_large/ })
    t.match(await two.send(session, pings(5)), { status: 200 }, 'and took nothing of what may')
    t.match(await two.send(session, pings(5)), { status: 429, text: /rate_limited/ })
  })
})

t.test('while the bus is away', async (t) => {
  const { one, two } = await twoNodes(t)
  const { cursor } = await one.poll({ user })
  for (const code of ['disconnected', 'overloaded'] as const) {
    two.node.steering.before = () => Promise.reject(new BusError(code))
    t.match(await http(two.port, path('/poll', { user: 'bob' })), { status: 503, text: /bus_unavailable/ }, 'a new session')
    t.match(await http(two.port, path('/poll', { user, cursor })), { status: 503, text: /bus_unavailable/ }, 'a session elsewhere')
    t.match(await http(two.port, path('/sse', { user, cursor })), { status: 503, text: /bus_unavailable/ }, 'and its stream')
    t.same([one.node.hub.sessions.size, two.node.hub.sessions.size], [1, 0])
  }
  two.node.steering.before = () => undefined
  t.same(names(await two.poll({ user, cursor, wait: '0' })), [])
})

t.test('a client that leaves while its session is being fetched', async (t) => {
  const { rig, one, two } = await twoNodes(t)
  const { cursor } = await one.poll({ user })
  const gate = new Gate()
  two.node.steering.before = (call) => (call === `request gw.${one.node.address}` ? gate.pass() : undefined)
  const asked = two.hold({ user, cursor, wait: '20' })
  await gate.arrived
  asked.cut()
  gate.open()
  two.node.steering.before = () => undefined
  await rig.publish(user, ids(2))
  const back = new Client('keepalive')
  back.enter(await one.node.enter({ user, cursor, transport: 'keepalive' }))
  await back.until('m2')
  t.same(back.messages, ids(2))
})

t.test('what a WebSocket still brings after another one took its session over', async (t) => {
  const { rig, one } = await twoNodes(t)
  const old = await openSocket(one)
  await rig.publish(user, ['m1'])
  await old.until('m1')
  const [session] = one.node.hub.sessions.values()
  const cursor = old.frames.at(-1)?.cursor ?? ''
  const next = await openSocket(one, cursor)
  t.equal(old.closed[0], 4009)
  for (const junk of ['{', '[]', 'x'.repeat(20_000)]) old.say(Buffer.from(junk))
  old.say(Buffer.from('{}'), true)
  old.owner.onClose(old, 1000, '')
  t.equal(session?.kind, 'attached')
  t.same(next.closed, [])
  await rig.publish(user, ['m2'])
  await next.until('m2')
  next.say(Buffer.from('{'), true)
  t.equal(next.closed.length, 1, 'whoever carries it is ended for that')
  t.equal(session?.kind, 'detached', 'and the session stays')
})

/** A WebSocket without a network, which goes on bringing what its client sends after it was closed. */
class FakeSocket implements MessageSocket {
  readonly protocol = ''
  owner: SocketOwner
  gone = false
  readonly frames: { readonly type: string; readonly id?: string; readonly cursor: string }[] = []
  readonly closed: number[] = []
  #wake: () => void = () => undefined

  constructor(owner: SocketOwner) {
    this.owner = owner
  }

  say(data: Buffer, binary = false): void {
    this.owner.onMessage(this, data, binary)
  }

  send(payloads: readonly Uint8Array[]): 'ok' | 'gone' {
    if (this.gone) return 'gone'
    for (const payload of payloads) this.frames.push(JSON.parse(Buffer.from(payload).toString()))
    this.#wake()
    return 'ok'
  }
  ping(): void {}
  close(code: number): void {
    this.gone = true
    this.closed.push(code)
  }
  abort(): void {
    this.gone = true
  }

  async until(id: string): Promise<void> {
    while (!this.frames.some((frame) => frame.id === id)) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }
}

function openSocket({ node }: Place, cursor?: string): Promise<FakeSocket> {
  const query = new URLSearchParams({ user, ...(cursor === undefined ? {} : { cursor }) }).toString()
  const head: RequestHead = {
    method: 'GET',
    path: '/ws',
    query,
    closing: false,
    verified: false,
    header: () => '',
    remoteAddress: () => '',
  }
  return new Promise((resolve, reject) => {
    const upgrade: Upgrade = {
      protocols: [],
      gone: false,
      onGone: null,
      accept(owner) {
        setImmediate(() => {
          const socket = new FakeSocket(owner)
          owner.onOpen(socket)
          resolve(socket)
        })
      },
      reject: (_head, body) => reject(new Error(body ?? 'refused')),
    }
    node.routes?.upgrade(head, upgrade)
  })
}
