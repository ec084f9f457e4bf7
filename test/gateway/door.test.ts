import t from 'tap'
import { BusError } from '../../bus/bus.js'
import { formatCursor, parseCursor, userTag } from '../../proto/cursor.js'
import { Client, ids, Rig } from '../support/gateway-rig.js'
import { type Call, Gate } from '../support/steered-bus.js'

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

  t.test('the old connection gets nothing while the new one is on its way', async (t) => {
    const rig = await Rig.start(t)
    const node = await rig.node({ limits: { sentMaxFrames: 2 } })
    const old = await node.join({ user: 'alice' })
    for (const id of ids(4)) {
      await rig.publish('alice', [id])
      await old.until(id)
    }
    const gate = new Gate()
    node.steering.after = (call) => (call === 'read' ? gate.pass() : undefined)
    const coming = node.enter({ user: 'alice', cursor: old.cursor('m1') })
    await gate.arrived
    for (const id of ['e1', 'e2', 'e3', 'e4']) {
      rig.push('alice', id)
      await tick()
    }
    gate.open()
    const client = new Client()
    const entrance = await coming
    rig.push('alice', 'e5')
    await tick()
    client.enter(entrance)
    t.same(old.messages, ids(4))
    t.same(client.messages.toSorted(), ['e1', 'e2', 'e3', 'e4', 'e5', ...ids(3, 2)])
    t.equal(client.recovered, true)
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

t.test('when the bus fails', async (t) => {
  t.test('at any step of opening a session, none is left behind, and the next attempt gets everything', async (t) => {
    const openings: Record<string, (rig: Rig) => Promise<{ cursor?: string; device?: string; missed?: string[] }>> = {
      'a newcomer': async () => ({}),
      'a device with a position': async (rig) => {
        const node = await rig.node()
        const client = await node.join({ user: 'alice', device: 'phone' })
        client.session.ack(1)
        await node.stop()
        return { device: 'phone', missed: ids(2, 2) }
      },
      'a cursor of a node that is gone': async (rig) => {
        const node = await rig.node()
        const client = await node.join({ user: 'alice' })
        await node.stop()
        return { cursor: client.cursor('hello') }
      },
      'a cursor ahead of what has come': async (rig) => {
        const epoch = await rig.bus.epoch('alice')
        return { cursor: formatCursor({ userTag: userTag('alice'), epoch, inbox: 99, at: undefined }) }
      },
    }
    for (const [what, prepare] of Object.entries(openings)) {
      const rig = await Rig.start(t)
      await rig.publish('alice', ids(3))
      const { missed = ids(3), ...options } = await prepare(rig)
      const who = { user: 'alice', ...options }
      const node = await rig.node()
      const calls: Call[] = []
      node.steering.before = (call) => {
        if (!call.startsWith('request c2s')) calls.push(call)
        return undefined
      }
      await node.enter(who)
      for (const session of [...node.hub.sessions.values()]) session.close({ code: 'done', reason: '' })
      t.ok(calls.includes('attach') && calls.includes('read'), `${what}: ${calls.join()}`)
      for (const [at, failing] of calls.entries()) {
        // A request that fails says that a node is gone.
        if (failing.startsWith('request')) continue
        let count = 0
        node.steering.before = (call) => (!call.startsWith('request c2s') && count++ === at ? broken() : undefined)
        const entrance = await node.enter(who)
        t.match(entrance, { kind: 'refused', reason: { code: 'bus_unavailable', retryAfterMs: Number } }, `${what}: ${failing}`)
        t.same([node.hub.sessions.size, node.hub.users.size], [0, 0], 'nothing is left')
        node.steering.before = () => undefined
        const client = await node.join(who)
        t.same(client.messages, missed)
        client.session.close({ code: 'done', reason: '' })
      }
    }
  })

  t.test('positions that can not be read keep a device out, and lose none of its messages', async (t) => {
    const rig = await Rig.start(t)
    const node = await rig.node()
    await rig.publish('alice', ids(3))
    const { load } = node.positions
    node.positions.load = () => broken()
    t.match(await node.enter({ user: 'alice', device: 'phone' }), { kind: 'refused', reason: { code: 'bus_unavailable' } })
    t.same([node.hub.sessions.size, node.hub.users.size], [0, 0])
    node.positions.load = load
    t.same((await node.join({ user: 'alice', device: 'phone' })).messages, ids(3))
  })

  t.test('a session that could not be read when its client came back heals by itself', async (t) => {
    const rig = await Rig.start(t)
    const node = await rig.node({ limits: { sentMaxFrames: 2 } })
    const old = await node.join({ user: 'alice' })
    for (const id of ids(6)) {
      await rig.publish('alice', [id])
      await old.until(id)
    }
    const cursor = old.cursor('m1')
    old.leave()
    node.steering.before = (call) => (call === 'read' ? broken() : undefined)
    t.match(await node.enter({ user: 'alice', cursor }), { kind: 'refused', reason: { code: 'bus_unavailable' } })
    t.equal(node.hub.session(old.session.ref), old.session, 'it stays')
    await rig.publish('alice', ids(3, 7))
    const retried = new Gate()
    node.steering.before = () => undefined
    node.steering.after = (call) => (call === 'read' ? retried.pass() : undefined)
    await retried.arrived
    node.steering.after = () => undefined
    retried.open()
    const client = await node.join({ user: 'alice', cursor })
    await client.until('m9')
    t.equal(client.session, old.session)
    t.same(client.messages, ids(8, 2))
    await rig.publish('alice', ['m10'])
    await client.until('m10')
    t.ok(client.session.live)
  })

  t.test('and comes back before it has healed: nothing is missed either', async (t) => {
    const rig = await Rig.start(t)
    const node = await rig.node({ limits: { sentMaxFrames: 2 } })
    const old = await node.join({ user: 'alice' })
    for (const id of ids(6)) {
      await rig.publish('alice', [id])
      await old.until(id)
    }
    old.leave()
    node.steering.before = (call) => (call === 'read' ? broken() : undefined)
    await node.enter({ user: 'alice', cursor: old.cursor('m1') })
    node.steering.before = () => undefined
    const client = await node.join({ user: 'alice', cursor: old.cursor('m6') })
    await rig.publish('alice', ids(3, 7))
    await client.until('m9')
    t.same(client.messages.slice(-3), ids(3, 7))
  })
})

t.test('limits', async (t) => {
  const overloaded = { kind: 'refused', reason: { code: 'overloaded', retryAfterMs: Number } }
  const limited = { kind: 'refused', reason: { code: 'rate_limited', retryAfterMs: Number } }

  t.test('of sessions are exact, also with ten at once', async (t) => {
    const cases = [
      { limits: { maxSessions: 4 }, who: (i: number) => ({ user: `u${i}` }), refusal: overloaded },
      { limits: { maxSessionsPerUser: 4 }, who: () => ({ user: 'alice' }), refusal: limited },
      { limits: { maxSessionsPerIp: 4 }, who: (i: number) => ({ user: `u${i}`, ip: '10.0.0.1' }), refusal: limited },
    ]
    for (const { limits, who, refusal } of cases) {
      const what = Object.keys(limits).join()
      const rig = await Rig.start(t)
      const single = await rig.node({ limits })
      for (let i = 0; i < 4; i++) t.match(await single.enter(who(i)), { kind: 'session' }, `${what}: ${i + 1}`)
      t.match(await single.enter(who(4)), refusal, what)
      const [one] = single.hub.sessions.values()
      one?.close({ code: 'done', reason: '' })
      t.match(await single.enter(who(4)), { kind: 'session' }, `${what}: a place is free again`)
      const crowded = await rig.node({ limits })
      const entrances = await Promise.all(Array.from({ length: 10 }, (_, i) => crowded.enter(who(i))))
      t.equal(entrances.filter(({ kind }) => kind === 'session').length, 4, `${what}: ten at once`)
      t.equal(crowded.hub.sessions.size, 4)
      t.equal(crowded.hub.users.size, new Set([...crowded.hub.sessions.values()].map(({ owner }) => owner)).size, 'no entry is left behind')
    }
  })

  t.test('do not keep a device from replacing itself', async (t) => {
    const rig = await Rig.start(t)
    const node = await rig.node({ limits: { maxSessions: 2, maxSessionsPerUser: 2, maxSessionsPerIp: 2 } })
    const phone = await node.join({ user: 'alice', device: 'phone' })
    const laptop = await node.join({ user: 'alice', device: 'laptop' })
    t.match(await node.enter({ user: 'alice', device: 'watch' }), { kind: 'refused' })
    t.same([phone.ends, laptop.ends], [[], []], 'who is refused ends nobody')
    await node.join({ user: 'alice', device: 'phone' })
    t.match(phone.ends, [{ code: 'replaced' }])
    t.equal(laptop.ends.length, 0)
    t.equal(node.hub.sessions.size, 2)
  })

  t.test('of an address count only what comes from there', async (t) => {
    const rig = await Rig.start(t)
    const node = await rig.node({ limits: { maxSessionsPerIp: 1 } })
    const phone = await node.join({ user: 'alice', device: 'phone', ip: '10.0.0.1' })
    await node.join({ user: 'bob', ip: '10.0.0.2' })
    t.match(await node.enter({ user: 'alice', device: 'phone', ip: '10.0.0.2' }), limited)
    t.equal(phone.ends.length, 0, 'it goes on')
    await node.join({ user: 'alice', device: 'phone', ip: '10.0.0.3' })
    t.match(phone.ends, [{ code: 'replaced' }])
    t.match(await node.enter({ user: 'carol', ip: '10.0.0.1' }), { kind: 'session' })
  })

  t.test('of what is kept of sessions that have ended', async (t) => {
    const rig = await Rig.start(t)
    const { hub } = await rig.node()
    const entry = await hub.enter('alice')
    const refs = Array.from({ length: 10_001 }, () => {
      const options = { device: '', sinceMs: 0, expiresAtMs: Number.POSITIVE_INFINITY, inbox: 0, base: 0 }
      const session = hub.open(entry, hub.newSessionId(), '', 'websocket', options)
      session.close({ code: 'done', reason: '' })
      return session.ref
    })
    hub.settle(entry)
    t.equal(hub.grave(refs[0] ?? ''), undefined, 'the oldest is forgotten')
    t.match(hub.grave(refs[1] ?? ''), { kind: 'ended', cause: 'closed' })
    t.match(hub.grave(refs.at(-1) ?? ''), { kind: 'ended' })
  })

  t.test('of how long a client that was sent away is refused', async (t) => {
    const rig = await Rig.start(t)
    const node = await rig.node({ limits: { resumeMs: 90_000 } })
    let nowMs = Date.now()
    node.nowMs = () => nowMs
    const client = await node.join({ user: 'alice' })
    const cursor = client.cursor()
    client.session.close({ code: 'closed', reason: 'by the operator' })
    nowMs += 90_000
    t.match(await node.enter({ user: 'alice', cursor }), { kind: 'refused', reason: { code: 'closed' } })
    nowMs += 1
    t.match(await node.enter({ user: 'alice', cursor }), { kind: 'session' })
  })
})

t.test('a store that is made anew', async (t) => {
  t.test('is told to live sessions, which get all that comes after, with cursors that hold', async (t) => {
    const rig = await Rig.start(t)
    const [one, two] = [await rig.node(), await rig.node()]
    await rig.publish('alice', ids(3))
    const client = await one.join({ user: 'alice' })
    const before = parseCursor(client.cursor())
    await rig.broker.reset()
    await rig.publish('alice', ['n1', 'n2', 'n3'])
    await client.until('n3')
    t.same(client.ids, ['hello', 'm1', 'm2', 'm3', 'gap', 'n1', 'n2', 'n3'])
    t.equal(client.got[4]?.outbound.frame.gap?.reason, 'reset')
    const epoch = await rig.bus.epoch('alice')
    t.not(before?.epoch, epoch)
    t.match(parseCursor(client.cursor('gap')), { epoch, inbox: 0 })
    t.match(parseCursor(client.cursor('n2')), { epoch, inbox: 2 })
    const later = await two.join({ user: 'alice', cursor: client.cursor('n2') })
    t.equal(later.recovered, true)
    t.same(later.messages, ['n3'])
    const lost = new Client()
    lost.enter(await two.enter({ user: 'alice', cursor: client.cursor('n1') }, 'adopt'))
    t.same(lost.messages, ['n2', 'n3'], 'without the session the position is enough')
    t.equal(lost.recovered, true)
    const past = new Client()
    past.enter(await two.enter({ user: 'alice', cursor: formatCursor({ ...(before ?? never()), at: undefined }) }))
    t.same(past.ids, ['hello', 'gap', 'n1', 'n2', 'n3'], 'a position of before is none')
    t.equal(past.recovered, false)
  })

  t.test('while history is being read', async (t) => {
    for (const count of [3, 300]) {
      for (const pages of [0, 1, 2]) {
        if (count < pages * 128) continue
        const rig = await Rig.start(t)
        const node = await rig.node()
        await rig.publish('alice', ids(count))
        const gate = new Gate()
        let read = 0
        node.steering.after = (call) => (call === 'read' && read++ === pages ? gate.pass() : undefined)
        const coming = node.join({ user: 'alice' })
        await gate.arrived
        await rig.broker.reset()
        await rig.publish('alice', ['n1', 'n2', 'n3'])
        await tick()
        gate.open()
        const client = await coming
        await client.until('n3')
        const what = `${count} messages, after ${pages} pages`
        t.same(client.ids.slice(-4), ['gap', 'n1', 'n2', 'n3'], what)
        t.same(parseCursor(client.cursor('n3'))?.inbox, 3, what)
        t.ok(client.session.live, what)
      }
    }
  })

  t.test('while it is found out where a session starts', async (t) => {
    const rig = await Rig.start(t)
    const node = await rig.node()
    const epoch = await rig.bus.epoch('alice')
    const gate = new Gate()
    node.steering.before = (call) => (call === 'readBefore' ? gate.pass() : undefined)
    const cursor = formatCursor({ userTag: userTag('alice'), epoch, inbox: 2, at: undefined })
    await rig.publish('alice', ['x'])
    const coming = node.join({ user: 'alice', cursor })
    await gate.arrived
    await rig.broker.reset()
    await rig.publish('alice', ['n1', 'n2', 'n3'])
    await tick()
    gate.open()
    const client = await coming
    await client.until('n3')
    t.same(client.ids, ['hello', 'gap', 'n1', 'n2', 'n3'])
    t.equal(client.recovered, false)
  })

  t.test('makes acknowledged positions of before mean nothing', async (t) => {
    const rig = await Rig.start(t)
    const node = await rig.node()
    await rig.publish('alice', ids(3))
    const client = await node.join({ user: 'alice', device: 'phone' })
    client.session.ack(3)
    await node.positions.flush()
    await rig.broker.reset()
    await rig.publish('alice', ['n1', 'n2'])
    await client.until('n2')
    client.session.close({ code: 'done', reason: '' })
    const second = await node.join({ user: 'alice', device: 'phone' })
    t.same(second.ids, ['hello', 'gap', 'n1', 'n2'])
    second.session.ack(2)
    second.session.close({ code: 'done', reason: '' })
    const third = await node.join({ user: 'alice', device: 'phone' })
    t.same(third.messages, ['n2'], 'and those of the new one count')
  })
})

t.test('a bug with one session', async (t) => {
  t.test('ends it, and the others go on', async (t) => {
    const rig = await Rig.start(t)
    const node = await rig.node()
    const bad = await node.join({ user: 'alice' })
    const good = await node.join({ user: 'alice' })
    bad.write = () => {
      throw new Error('a bug')
    }
    rig.push('alice', 'e1')
    await good.until('e1')
    t.match(node.errors.splice(0), [{ message: 'a bug' }])
    t.match(bad.ends, [{ code: 'internal' }])
    t.equal(node.hub.sessions.size, 1)
    rig.push('alice', 'e2')
    await good.until('e2')
  })

  t.test('also when its time has come', async (t) => {
    const rig = await Rig.start(t)
    const node = await rig.node()
    let nowMs = Date.now()
    node.nowMs = () => nowMs
    const bad = await node.join({ user: 'alice' })
    const good = await node.join({ user: 'alice' })
    bad.ping = () => {
      throw new Error('a bug')
    }
    const pinged = new Promise<void>((resolve) => {
      good.ping = () => {
        resolve()
        return 'more'
      }
    })
    nowMs += 26_000
    await pinged
    t.match(node.errors.splice(0), [{ message: 'a bug' }])
    t.match(bad.ends, [{ code: 'internal' }])
  })
})

function never(): never {
  throw new Error('it was no cursor')
}
