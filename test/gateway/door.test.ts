import t from 'tap'
import { BusError } from '../../bus/bus.js'
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

t.test('a session that another node takes over', async (t) => {
  t.test('goes on with what its client had not got: the newest of each key, ephemeral frames, and no frame twice', async (t) => {
    const rig = await Rig.start(t)
    const [one, two] = [await rig.node(), await rig.node()]
    const old = await one.join({ user: 'alice' })
    await rig.publish('alice', ['seen'])
    await old.until('seen')
    const cursor = old.cursor('seen')
    await rig.publish('alice', ['k1'], { key: 'k' })
    await old.until('k1')
    old.leave()
    rig.push('alice', 'e1')
    await rig.publish('alice', ['k2'], { key: 'k' })
    rig.push('alice', 'p1', { key: 'p' })
    await rig.publish('alice', ['plain'])
    rig.push('alice', 'p2', { key: 'p' })
    await tick()
    const client = await two.join({ user: 'alice', cursor })
    await client.until('plain')
    t.equal(client.recovered, true)
    t.same(client.messages.toSorted(), ['e1', 'k2', 'p2', 'plain'])
    t.ok(client.messages.indexOf('k2') < client.messages.indexOf('plain'), 'durable ones are in order')
    t.equal(one.hub.sessions.size, 0)
    t.match(old.session.closeReason, { code: 'replaced' })
    await rig.publish('alice', ['later'])
    await client.until('later')
    t.equal(client.messages.filter((id) => id === 'later').length, 1)
    t.same([one.gaps, two.gaps], [0, 0])
  })

  t.test('keeps who it is: device, age, status and context', async (t) => {
    const rig = await Rig.start(t)
    const [one, two] = [await rig.node(), await rig.node()]
    const old = await one.join({ user: 'alice', device: 'phone' })
    old.session.status = 'away'
    old.session.note = 'lunch'
    const client = await two.join({ user: 'alice', device: 'phone', cursor: old.cursor() })
    const { device, sinceMs, status, note } = client.session
    t.same({ device, sinceMs, status, note }, { device: 'phone', sinceMs: old.session.sinceMs, status: 'away', note: 'lunch' })
    t.not(client.session.id, old.session.id)
  })

  t.test('when ephemeral frames are lost says so', async (t) => {
    const rig = await Rig.start(t)
    const [one, two] = [await rig.node({ limits: { sentMaxFrames: 2 } }), await rig.node()]
    const old = await one.join({ user: 'alice' })
    for (const id of ['e1', 'e2', 'e3', 'e4']) {
      rig.push('alice', id)
      await old.until(id)
    }
    old.leave()
    const client = await two.join({ user: 'alice', cursor: old.cursor('e1') })
    t.equal(client.recovered, false)
    t.same(client.ids, ['hello', 'gap', 'e3', 'e4'])
    t.equal(two.gaps, 1)
    const whole = await one.join({ user: 'alice', cursor: client.cursor('e3') })
    t.equal(whole.recovered, true, 'from where all is there nothing is missing')
    t.same(whole.messages, ['e4'])
  })

  t.test('with more than a message of the bus holds', async (t) => {
    const rig = await Rig.start(t)
    const [one, two] = [await rig.node(), await rig.node()]
    const old = await one.join({ user: 'alice' })
    const cursor = old.cursor()
    old.leave()
    await rig.publish('alice', ids(20), { bytes: 120_000 })
    rig.push('alice', 'e1')
    await tick()
    t.ok(old.session.outboxBytes > 2 << 20)
    const client = await two.join({ user: 'alice', cursor })
    await client.until('m20')
    t.equal(client.recovered, true)
    t.same(client.messages.toSorted(), ['e1', ...ids(20)].toSorted())
    client.leave()
    for (const id of ids(20, 21)) rig.push('alice', id, { bytes: 120_000 })
    await tick()
    const third = await one.join({ user: 'alice', cursor: client.cursor() })
    t.equal(third.recovered, false, 'that much that is not in the inbox is not handed over')
    t.equal(third.ids[1], 'gap')
    t.ok(third.messages.length > 0, 'but what fits')
    t.equal(two.hub.sessions.size, 0)
  })

  t.test('misses nothing that comes between the one node and the other', async (t) => {
    for (const at of ['before', 'after'] as const) {
      const rig = await Rig.start(t)
      const [one, two] = [await rig.node(), await rig.node()]
      await rig.publish('alice', ['m1'])
      const old = await one.join({ user: 'alice' })
      old.leave()
      const gate = new Gate()
      two.steering[at] = (call) => (call === `request gw.${one.address}` ? gate.pass() : undefined)
      const coming = two.join({ user: 'alice', cursor: old.cursor('m1') })
      await gate.arrived
      rig.push('alice', 'e1')
      await rig.publish('alice', ['m2'])
      await tick()
      gate.open()
      const client = await coming
      await client.until('m2')
      t.same(client.messages.toSorted(), ['e1', 'm2'], `${at} the old node has given it up`)
      t.equal(client.recovered, true)
    }
  })

  t.test('attaches to the user before the old node gives it up', async (t) => {
    const rig = await Rig.start(t)
    const [one, two] = [await rig.node(), await rig.node()]
    const old = await one.join({ user: 'alice' })
    old.leave()
    const gate = new Gate()
    two.steering.before = (call) => (call === 'attach' ? gate.pass() : undefined)
    const coming = two.join({ user: 'alice', cursor: old.cursor() })
    await gate.arrived
    t.equal(one.hub.sessions.size, 1, 'still there')
    rig.push('alice', 'e1')
    await tick()
    gate.open()
    const client = await coming
    await client.until('e1')
    t.same(client.messages, ['e1'])
  })

  t.test('stays where it was when the other node can not have the user', async (t) => {
    const rig = await Rig.start(t)
    const [one, two] = [await rig.node(), await rig.node()]
    const old = await one.join({ user: 'alice' })
    old.leave()
    two.steering.before = (call) => (call === 'attach' ? broken() : undefined)
    const cursor = old.cursor()
    t.match(await two.enter({ user: 'alice', cursor }), { kind: 'refused', reason: { code: 'bus_unavailable' } })
    t.equal(one.hub.session(old.session.ref), old.session)
    t.same([two.hub.sessions.size, two.hub.users.size], [0, 0])
    const back = await one.join({ user: 'alice', cursor })
    t.equal(back.session, old.session)
    t.equal(back.recovered, true)
  })

  t.test('is not taken by a node that goes away, and polls no longer go to one', async (t) => {
    const rig = await Rig.start(t)
    const [one, two] = [await rig.node(), await rig.node()]
    const old = await one.join({ user: 'alice' })
    old.leave()
    const cursor = old.cursor()
    two.drain()
    for (const transport of ['websocket', 'sse', 'keepalive', 'longpoll'] as const)
      t.match(await two.enter({ user: 'alice', cursor, transport }), { kind: 'refused', reason: { code: 'draining' } }, transport)
    t.match(await two.enter({ user: 'bob' }), { kind: 'refused', reason: { code: 'draining' } })
    t.equal(one.hub.session(old.session.ref), old.session)
  })

  t.test('counts where it comes to', async (t) => {
    const rig = await Rig.start(t)
    const one = await rig.node()
    const two = await rig.node({ limits: { maxSessionsPerUser: 2, maxSessions: 3 } })
    const clients = await Promise.all([1, 2, 3].map(() => one.join({ user: 'alice' })))
    const [first, second, third] = clients.map((client) => client.cursor())
    await two.join({ user: 'alice', cursor: first })
    await two.join({ user: 'alice', cursor: second })
    t.match(await two.enter({ user: 'alice', cursor: third }), { kind: 'refused', reason: { code: 'rate_limited' } })
    t.equal(one.hub.sessions.size, 1, 'and stays where it is')
    await two.join({ user: 'bob' })
    const carol = await one.join({ user: 'carol' })
    t.match(await two.enter({ user: 'carol', cursor: carol.cursor() }), { kind: 'refused', reason: { code: 'overloaded' } })
    t.equal(two.hub.sessions.size, 3)
    t.same([...two.hub.users.keys()].toSorted(), ['alice', 'bob'], 'no entry is left behind')
    const crowd = await Promise.all(Array.from({ length: 10 }, (_, i) => one.join({ user: `u${i}` })))
    const three = await rig.node({ limits: { maxSessions: 4 } })
    const entrances = await Promise.all(crowd.map((client, i) => three.enter({ user: `u${i}`, cursor: client.cursor() })))
    t.equal(entrances.filter(({ kind }) => kind === 'session').length, 4, 'ten at once')
    t.equal(three.hub.sessions.size, 4)
    t.equal(one.hub.sessions.size, 1 + 1 + 6, 'those refused stay')
  })
})

/** What has been sent has arrived by then. */
async function tick(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve))
  await new Promise((resolve) => setImmediate(resolve))
}

function broken(): Promise<never> {
  return Promise.reject(new BusError('timeout', 'broken on purpose'))
}
