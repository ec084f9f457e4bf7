// BOSH sessions and the nodes they are at: planned moves, deaths, and what comes meanwhile.

import t, { type Test } from 'tap'
import { BusError } from '../../bus/bus.js'
import type { Session } from '../../gateway/session.js'
import { v1 } from '../../proto/messages.js'
import type { Bosh } from '../../transports/bosh/bosh.js'
import { bodyText, TestAsker } from '../support/bosh-rig.js'
import { Rig, type RigNode } from '../support/gateway-rig.js'
import { Gate } from '../support/steered-bus.js'

const PATIENCE_MS = 3000

interface World {
  readonly rig: Rig
  readonly nodes: readonly RigNode[]
  readonly boshes: readonly Bosh[]
}

/** Two nodes, and a worker that binds every stream to `alice/home`, whose client is available at once if it is to be. */
async function world(t: Test, shown: v1.XmppShown.$Properties = { available: true, interested: true }): Promise<World> {
  const rig = await Rig.start(t)
  await rig.bus.serve('c2s.xmpp', (data) => {
    const { open } = v1.StreamRequest.decode(data)
    const result = Buffer.from("<iq xmlns='jabber:client' id='bind' type='result'/>")
    const reply = open == null ? { bound: { resource: 'home', result } } : { elements: [Buffer.from("<f xmlns='u:f' id='features'/>")] }
    return v1.StreamReply.encode({ ...reply, user: 'alice', context: Buffer.from('c') }).finish()
  })
  await rig.bus.serve('c2s.open', () => v1.OpenedSession.encode({ worker: 'c2s.w.w1', context: Buffer.from('ctx'), xmpp: shown }).finish())
  await rig.bus.serve('c2s.w.w1', (data) => {
    const { frames } = v1.Uplink.decode(data)
    return v1.UplinkReply.encode({ replies: frames.map(() => ({ ok: true })), context: Buffer.from('ctx') }).finish()
  })
  const nodes = [await rig.node({ uplinkDeadlineMs: 500 }), await rig.node({ uplinkDeadlineMs: 500 })]
  const boshes: Bosh[] = []
  for (const node of nodes) boshes.push(await node.speakBosh(() => nodes.filter((other) => other !== node).map(({ address }) => address)))
  return { rig, nodes, boshes }
}

class Client {
  sid = ''
  rid = 1000
  readonly ids: string[] = []

  async post(bosh: Bosh | undefined, attributes: Record<string, string | number> = {}, payload = ''): Promise<TestAsker> {
    const asker = new TestAsker()
    const sid = this.sid === '' ? {} : { sid: this.sid }
    const body = bodyText({ rid: ++this.rid, ...sid, ...attributes }, payload)
    bosh?.port.received(Buffer.from(body), '', { ip: '192.0.2.1', secure: false }, asker)
    return asker
  }

  /** The answer; what it carries is remembered. */
  async answer(asker: TestAsker): Promise<string> {
    await until(() => !asker.held, 'an answer')
    if (asker.answers[0] === 'drop') return 'drop'
    this.ids.push(...asker.payloads)
    return asker.outcome
  }

  async login(bosh: Bosh | undefined): Promise<void> {
    const created = await this.post(bosh, { to: 'localhost', ver: '1.6', wait: 10, hold: 1 })
    await this.answer(created)
    this.sid = created.attribute('sid')
    await this.answer(await this.post(bosh, {}, "<b xmlns='u:b'/>"))
  }

  /** Asks at the node until it has got these. */
  async until(bosh: Bosh | undefined, ...ids: string[]): Promise<void> {
    while (!ids.every((id) => this.ids.includes(id))) {
      const outcome = await this.answer(await this.post(bosh))
      if (outcome.startsWith('terminate') || outcome === 'drop') throw new Error(`${outcome}, only ${this.ids.join()}`)
    }
  }
}

async function until(done: () => boolean, what: string): Promise<void> {
  for (const end = Date.now() + PATIENCE_MS; !done(); ) {
    if (Date.now() > end) throw new Error(`no ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

function sessionAt(node: RigNode | undefined): Session | undefined {
  return [...(node?.hub.sessions.values() ?? [])][0]
}

function letter(id: string, resource = ''): Uint8Array {
  const xml = Buffer.from(`<message xmlns='jabber:client' id='${id}' from='bob@localhost/r' to='alice@localhost'><body>x</body></message>`)
  return v1.Envelope.encode({ id, from: 'bob', time: Date.now(), xml, data: Buffer.from('{}'), resource }).finish()
}

function leave(node: RigNode | undefined): void {
  if (node !== undefined) node.leaving = { code: 'draining', reason: 'going away', retryAfterMs: 1000 }
}

t.test('a session that is handed over', async (t) => {
  await t.test('is waited for by the requests that come while it is on its way, to either node', async (t) => {
    const { rig, nodes, boshes } = await world(t)
    const [from, to] = nodes
    const client = new Client()
    await client.login(boshes[0])
    const gate = new Gate()
    if (from !== undefined && to !== undefined)
      from.steering.before = (call) => (call === `request gw.${to.address}` ? gate.pass() : undefined)
    leave(from)
    const handedOver = boshes[0]?.handOver()
    await gate.arrived
    const old = await client.post(boshes[0], {}, "<message xmlns='jabber:client' id='up'/>")
    const other = await client.post(boshes[1])
    await new Promise((resolve) => setTimeout(resolve, 20))
    t.ok(old.held && other.held)
    gate.open()
    await handedOver
    await rig.bus.publish('alice', 'm1', letter('m1'))
    t.not(await client.answer(old), 'drop')
    t.not(await client.answer(other), 'drop')
    await client.until(boshes[1], 'm1')
    t.equal(nodes[0]?.hub.sessions.size, 0)
    t.equal(nodes[1]?.hub.sessions.size, 1)
    t.same(nodes[1]?.resumes, ['bosh true'], 'counted')
  })

  await t.test('takes along what waits: presence of native clients, and what is held back', async (t) => {
    const { rig, nodes, boshes } = await world(t)
    const client = new Client()
    await client.login(boshes[0])
    // What was said before the session began has been answered.
    const inactive = await client.post(boshes[0], {}, "<inactive xmlns='urn:xmpp:csi:0'/>")
    const held = await client.post(boshes[0], {}, "<message xmlns='jabber:client' id='up'/>")
    await client.answer(inactive)
    const session = sessionAt(nodes[0])
    await until(() => session?.xmpp?.receptive === true, 'presence')
    rig.bus.push('alice', v1.Envelope.encode({ native: { user: 'bob', status: 'away', note: 'tea' } }).finish())
    const carol = "<presence xmlns='jabber:client' from='carol@localhost/1' id='carol'/>"
    rig.bus.push('alice', v1.Envelope.encode({ xml: Buffer.from(carol) }).finish())
    await new Promise((resolve) => setTimeout(resolve, 20))
    leave(nodes[0])
    t.ok(held.held)
    await boshes[0]?.handOver()
    t.equal(await client.answer(held), 'empty')
    await client.until(boshes[1], 'carol', 'presence')
    t.equal(sessionAt(nodes[1])?.kind, 'attached')
  })

  await t.test('goes to one that takes it; else it can be had from its record', async (t) => {
    const { nodes, boshes } = await world(t)
    const [from, to] = nodes
    const client = new Client()
    await client.login(boshes[0])
    await new Promise((resolve) => setTimeout(resolve, 200))
    leave(from)
    leave(to)
    await boshes[0]?.handOver()
    t.equal(await client.answer(await client.post(boshes[1])), 'drop', 'nobody takes it now')
    if (to !== undefined) to.leaving = undefined
    client.rid--
    t.equal(await client.answer(await client.post(boshes[0])), 'drop', 'the one that goes away does not take it back')
    client.rid--
    const asker = await client.post(boshes[1])
    await until(() => to?.hub.sessions.size === 1, 'session')
    t.notMatch(asker.held ? 'held' : await client.answer(asker), /terminate|drop/)
  })
})

t.test('a bus that fails while a session is looked for ends nothing', async (t) => {
  const { nodes, boshes } = await world(t)
  const [from, to] = nodes
  const client = new Client()
  await client.login(boshes[0])
  if (from === undefined || to === undefined) return
  to.steering.before = async (call) => {
    if (call === `request gw.${from.address}`) throw new BusError('no_responders', 'nobody is there')
    if (call === 'get bosh') throw new BusError('disconnected', 'the bus is away')
  }
  t.equal(await client.answer(await client.post(boshes[1])), 'drop')
})

t.test('a session whose node has died gets what was sent to its resource and had not arrived', async (t) => {
  const { rig, nodes, boshes } = await world(t)
  const [from, to] = nodes
  const client = new Client()
  await client.login(boshes[0])
  await new Promise((resolve) => setTimeout(resolve, 200))
  await rig.bus.publish('alice', 'd1', letter('d1', 'home'))
  if (from === undefined || to === undefined) return
  to.steering.before = async (call) => {
    if (call === `request gw.${from.address}`) throw new BusError('no_responders', 'nobody is there')
  }
  await client.until(boshes[1], 'd1')
  t.same(to.resumes, ['bosh true'], 'counted')
})

t.test('a node that was taken for dead relays to the one that has its session now, and leaves its record alone', async (t) => {
  const { nodes, boshes } = await world(t)
  const [from, to] = nodes
  const client = new Client()
  await client.login(boshes[0])
  await new Promise((resolve) => setTimeout(resolve, 200))
  if (from === undefined || to === undefined) return
  to.steering.before = async (call) => {
    if (call === `request gw.${from.address}`) throw new BusError('no_responders', 'nobody is there')
  }
  const held = await client.post(boshes[0])
  client.rid--
  const asker = await client.post(boshes[1])
  await until(() => sessionAt(to)?.xmpp?.receptive === true, 'session')
  // The new session of the resource has ended the one here.
  await until(() => from.hub.sessions.size === 0, 'end')
  await client.answer(held)
  to.steering.before = () => undefined
  await new Promise((resolve) => setTimeout(resolve, 200))
  const next = await client.post(boshes[0])
  t.equal(await client.answer(asker), 'empty')
  t.ok(next.held, 'relayed')
  leave(to)
  await boshes[1]?.handOver()
  t.equal(await client.answer(next), 'empty')
  await client.answer(await client.post(boshes[0], { type: 'terminate' }))
})
