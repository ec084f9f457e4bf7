// Peers: found by their beats, missed by their silence, and gone only when nobody answers.

import t from 'tap'
import type { Peers } from '../../bus/peers.js'
import { BEAT_MS, World } from '../support/c2s-world.js'

function names(peers: Peers, role: 'gw' | 'c2s'): string[] {
  return peers
    .list(role)
    .map(({ name }) => name)
    .sort()
}

function goneOf(peers: Peers): string[] {
  const gone: string[] = []
  peers.onGone('gw', (address) => gone.push(address))
  return gone
}

t.test('finding each other', async (t) => {
  const world = await World.open(t)
  const first = await world.peers('gw', 'gw-1')
  const up: string[] = []
  first.onUp('c2s', (peer) => up.push(`${peer.role} ${peer.address} ${peer.name} ${peer.since}`))
  const worker = await world.peers('c2s', 'c2s-1')
  const second = await world.peers('gw', 'gw-2')
  await world.settle()
  t.same(up, [`c2s c2s-1 c2s-1 ${world.clock.now()}`], 'at once')
  t.same(names(first, 'gw'), ['gw-2'], 'the others, not itself')
  t.same(names(second, 'gw'), ['gw-1'], 'the newcomer too')
  t.same(names(worker, 'gw'), ['gw-1', 'gw-2'])
  await world.pass(20 * BEAT_MS)
  t.equal(up.length, 1, 'up once')
  t.same(names(worker, 'gw'), ['gw-1', 'gw-2'])
  t.same(world.errors, [])
})

t.test('a goodbye', async (t) => {
  const world = await World.open(t)
  const one = await world.peers('gw', 'gw-1')
  const two = await world.peers('gw', 'gw-2')
  await world.settle()
  const gone = goneOf(one)
  await two.stop()
  await two.stop()
  await world.settle()
  t.same(gone, ['gw-2'])
  t.same(one.list('gw'), [])
  await world.pass(10 * BEAT_MS)
  t.same(gone, ['gw-2'], 'once')
})

t.test('a death', async (t) => {
  const world = await World.open(t)
  const bus = world.bus()
  const one = await world.peers('gw', 'gw-1')
  await world.peers('gw', 'gw-2', bus)
  await world.settle()
  const gone = goneOf(one)
  const unregister = one.onGone('gw', () => t.fail('not registered any more'))
  unregister()
  await bus.crash()
  await world.pass(3 * BEAT_MS)
  t.same(gone, [], 'three beats may get lost')
  await world.pass(2 * BEAT_MS)
  t.same(gone, ['gw-2'])
})

t.test('one that is silent and answers', async (t) => {
  const world = await World.open(t)
  const one = await world.peers('gw', 'gw-1')
  const bus = world.bus()
  let asked = 0
  let answering = true
  await bus.serve('gw.gw-2.ping', () => {
    asked++
    return answering ? Buffer.from('{"name":"two","since":5}') : new Promise<Uint8Array>(() => {})
  })
  bus.signal('gw.hb.gw-2', Buffer.from('{"name":"two","since":5}'))
  await world.settle()
  const gone = goneOf(one)
  await world.pass(20 * BEAT_MS)
  t.same(gone, [], 'is not gone')
  t.ok(asked > 2 && asked < 8, `asked ${asked} times`)
  answering = false
  await world.pass(4 * BEAT_MS)
  t.same(gone, [], 'the answer may be on its way')
  await world.pass(2 * BEAT_MS)
  t.same(gone, ['gw-2'], 'no answer in time')
})

t.test('one that was only named', async (t) => {
  const world = await World.open(t)
  const one = await world.peers('c2s', 'c2s-1')
  const gone = goneOf(one)
  one.notice('gw', 'gw-9')
  t.same(one.list('gw'), [])
  await world.pass(6 * BEAT_MS)
  t.same(gone, ['gw-9'], 'is missed like the others')
  const two = await world.peers('gw', 'gw-2')
  one.notice('gw', 'gw-2')
  await world.pass(20 * BEAT_MS)
  t.same(gone, ['gw-9'])
  t.same(names(one, 'gw'), ['gw-2'])
  await two.stop()
})

t.test('while the bus is away nobody is gone', async (t) => {
  const world = await World.open(t)
  const [bus, other] = [world.bus(), world.bus()]
  const one = await world.peers('gw', 'gw-1', bus)
  await world.peers('gw', 'gw-2', other)
  await world.settle()
  const gone = goneOf(one)
  bus.cut()
  await world.pass(30 * BEAT_MS)
  t.same(gone, [])
  bus.restore()
  await world.pass(2 * BEAT_MS)
  t.same(gone, [], 'and back again everybody gets their time')
  t.same(names(one, 'gw'), ['gw-2'])

  // The answer to a question asked before the outage proves nothing.
  const dead = world.bus()
  let asked = 0
  await dead.serve('gw.gw-3.ping', () => {
    asked++
    return new Promise<Uint8Array>(() => {})
  })
  one.notice('gw', 'gw-3')
  while (asked === 0) await world.pass(500)
  bus.cut()
  await world.pass(500)
  bus.restore()
  await world.pass(2 * BEAT_MS)
  t.same(gone, [])
  await world.pass(5 * BEAT_MS)
  t.same(gone, ['gw-3'])
  t.same(world.errors, [])
})

t.test('after standing still nobody is gone', async (t) => {
  const world = await World.open(t)
  const one = await world.peers('gw', 'gw-1')
  let asked = 0
  const bus = world.bus()
  await bus.serve('gw.gw-2.ping', () => {
    asked++
    return new Promise<Uint8Array>(() => {})
  })
  bus.signal('gw.hb.gw-2', Buffer.from('{"name":"two","since":5}'))
  await world.settle()
  const gone = goneOf(one)
  world.clock.jump(60_000)
  await world.settle()
  t.equal(asked, 0)
  await world.pass(3 * BEAT_MS)
  t.same(gone, [])
})

t.test('rubbish and handlers that throw', async (t) => {
  const world = await World.open(t)
  const one = await world.peers('gw', 'gw-1')
  const bus = world.bus()
  for (const text of ['', 'x', '1', 'null', '{}', '{"name":5,"since":1}', '{"name":"x"}']) bus.signal('gw.hb.bad', Buffer.from(text))
  await world.settle()
  t.same(one.list('gw'), [])
  const gone: string[] = []
  one.onGone('gw', () => {
    throw new Error('handler')
  })
  one.onGone('gw', (address) => gone.push(address))
  bus.signal('gw.hb.gw-2', Buffer.from('{"name":"two","since":5,"later":true}'))
  bus.signal('gw.hb.gw-2', Buffer.from('{"bye":true}'))
  await world.settle()
  t.same(gone, ['gw-2'], 'harms no other handler')
  t.match(world.errors, [{ message: 'handler' }])
})
