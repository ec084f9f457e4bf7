import t from 'tap'
import { Client, ids, Rig } from '../support/gateway-rig.js'
import { Gate } from '../support/steered-bus.js'

t.test('reading history', async (t) => {
  t.test('a client that goes back while its history is being read misses nothing', async (t) => {
    const rig = await Rig.start(t)
    const node = await rig.node({ limits: { waitingMaxFrames: 64, sentMaxFrames: 8 } })
    await rig.publish('alice', ids(1000))
    const first = new Client()
    first.answer = 'full'
    await node.join({ user: 'alice' }, first)
    const gate = new Gate()
    node.steering.after = (call) => (call === 'read' ? gate.pass() : undefined)
    first.session.drained(first)
    await gate.arrived
    const cursor = first.cursor('m10')
    first.leave()
    const coming = node.enter({ user: 'alice', cursor })
    gate.open()
    node.steering.after = () => undefined
    const second = new Client()
    second.enter(await coming)
    await second.until('m1000')
    t.same(second.messages, ids(990, 11), 'all of it, in order, once')
    t.equal(second.recovered, true)
    t.equal(node.gaps, 0)
  })

  t.test('messages that arrive meanwhile come after it, once', async (t) => {
    const rig = await Rig.start(t)
    const node = await rig.node()
    await rig.publish('alice', ids(3))
    const gate = new Gate()
    node.steering.after = (call) => (call === 'read' ? gate.pass() : undefined)
    const coming = node.join({ user: 'alice' })
    await gate.arrived
    await rig.publish('alice', ids(3, 4))
    gate.open()
    const client = await coming
    await client.until('m6')
    t.same(client.messages, ids(6))
  })
})

t.test('coming back', async (t) => {
  t.test('what the old connection is still written is not missed by the new one', async (t) => {
    for (const limits of [{ sentMaxFrames: 2 }, { sentMaxBytes: 500 }]) {
      const rig = await Rig.start(t)
      const node = await rig.node({ limits })
      const old = await node.join({ user: 'alice' })
      await rig.publish('alice', ['m1'])
      await old.until('m1')
      const cursor = old.cursor('m1')
      // The client is at m1, but the gateway has not noticed that it is away.
      const coming = node.join({ user: 'alice', cursor })
      await rig.publish('alice', ids(5, 2))
      rig.push('alice', 'e1')
      const client = await coming
      await client.until('e1')
      t.same([...client.messages].sort(), ['e1', ...ids(5, 2)])
      t.equal(old.released, 1)
      t.equal(client.recovered, true)
    }
  })

  t.test('further back than what is kept: durable messages are read again, of others only what is lost is told', async (t) => {
    const rig = await Rig.start(t)
    const node = await rig.node({ limits: { sentMaxFrames: 2 } })
    const old = await node.join({ user: 'alice' })
    const cursor = old.cursor('hello')
    for (const id of ids(6)) {
      await rig.publish('alice', [id])
      await old.until(id)
    }
    old.leave()
    const second = await node.join({ user: 'alice', cursor })
    await second.until('m6')
    t.same(second.messages, ids(6))
    t.equal(second.recovered, true, 'nothing is lost')
    for (const id of ['e1', 'e2', 'e3']) {
      rig.push('alice', id)
      await second.until(id)
    }
    second.leave()
    const third = await node.join({ user: 'alice', cursor: second.cursor('m6') })
    t.equal(third.recovered, false)
    t.same(third.ids, ['hello', 'e2', 'e3', 'gap'])
    t.equal(node.gaps, 1)
  })

  t.test('of two that come back at once the later one wins and stays', async (t) => {
    const rig = await Rig.start(t)
    const node = await rig.node({ limits: { sentMaxFrames: 2 } })
    await rig.publish('alice', ids(6))
    const old = await node.join({ user: 'alice' })
    old.leave()
    const gate = new Gate()
    node.steering.after = (call) => (call === 'read' ? gate.pass() : undefined)
    const earlier = node.enter({ user: 'alice', cursor: old.cursor('m1') })
    await gate.arrived
    const later = new Client()
    later.enter(await node.enter({ user: 'alice', cursor: old.cursor('m6') }))
    gate.open()
    t.match(await earlier, { kind: 'refused', reason: { code: 'overloaded' } })
    t.ok(later.session.isCarriedBy(later))
    t.equal(later.released, 0)
    await rig.publish('alice', ['m7'])
    await later.until('m7')
    t.ok(later.messages.includes('m7'))
  })
})
