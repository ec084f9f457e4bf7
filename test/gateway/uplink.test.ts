import t, { type Test } from 'tap'
import { type Bus, BusError } from '../../bus/bus.js'
import type { Session } from '../../gateway/session.js'
import { type Reply, type TopicClaims, Uplink, type UplinkLimits } from '../../gateway/uplink.js'
import { v1 } from '../../proto/messages.js'
import { Rig, type RigNode } from '../support/gateway-rig.js'
import { Gate } from '../support/steered-bus.js'

type Answer = v1.UplinkReply.$Properties | Uint8Array

/** A c2s worker as far as an uplink sees it. */
class Worker {
  readonly opened: v1.OpenSession[] = []
  readonly requests: v1.Uplink[] = []
  /** What it says to an opening besides its address. */
  greeting: v1.OpenedSession.$Properties = {}
  answer: (uplink: v1.Uplink) => Answer | Promise<Answer> = accept
  readonly #name: string
  readonly #stops: (() => void)[] = []

  static async start(bus: Bus, name: string): Promise<Worker> {
    const worker = new Worker(name)
    worker.#stops.push(
      await bus.serve('c2s.open', (data) => worker.#open(v1.OpenSession.decode(data)), 'c2s'),
      await bus.serve(`c2s.w.${name}`, (data) => worker.#take(v1.Uplink.decode(data))),
      await bus.serve(`c2s.${name}.ping`, () => new Uint8Array()),
    )
    return worker
  }

  private constructor(name: string) {
    this.#name = name
  }

  stop(): void {
    for (const stop of this.#stops) stop()
  }

  #open(open: v1.OpenSession): Uint8Array {
    this.opened.push(open)
    return v1.OpenedSession.encode({ ...this.greeting, worker: `c2s.w.${this.#name}` }).finish()
  }

  async #take(uplink: v1.Uplink): Promise<Uint8Array> {
    this.requests.push(uplink)
    const answer = await this.answer(uplink)
    return answer instanceof Uint8Array ? answer : v1.UplinkReply.encode(answer).finish()
  }
}

function accept({ frames }: v1.Uplink): v1.UplinkReply.$Properties {
  return { replies: frames.map(({ ref }) => ({ ref: ref ?? '', ok: true })) }
}

const never = () => new Promise<Answer>(() => undefined)

const LIMITS: UplinkLimits = { queueMaxFrames: 256, deadlineMs: 300, tryMs: 30 }

interface Setup {
  readonly bus: Bus
  readonly node: RigNode
  readonly session: Session
  readonly uplink: Uplink
  readonly errors: unknown[]
  /** Sends a ping with this ref. */
  say(ref: string): Promise<Reply>
}

async function setUp(t: Test, claims: TopicClaims = { topics: [], any: false }, limits: Partial<UplinkLimits> = {}): Promise<Setup> {
  const rig = await Rig.start(t)
  const node = await rig.node()
  const entry = await node.hub.enter('alice')
  const options = { device: 'phone', sinceMs: 5, expiresAtMs: Number.POSITIVE_INFINITY, inbox: 0, base: 0 }
  const session = node.hub.open(entry, node.hub.newSessionId(), '', 'websocket', options)
  const errors: unknown[] = []
  const host = {
    bus: node.bus,
    node: node.address,
    limits: { ...LIMITS, ...limits },
    observe: () => undefined,
    onError: (error: unknown) => errors.push(error),
  }
  const uplink = new Uplink(host, session, claims, Buffer.from('first'))
  const say = (ref: string) =>
    new Promise<Reply>((resolve, reject) => {
      if (!uplink.submit({ ref, ping: {} }, resolve)) reject(new Error('not taken'))
    })
  return { bus: rig.bus, node, session, uplink, errors, say }
}

const unavailable = { ok: false, error: { code: 'bus_unavailable' } }

t.test('frames go up in order, many at a time, each answered once', async (t) => {
  const { bus, uplink, session, say } = await setUp(t)
  const worker = await Worker.start(bus, 'one')
  worker.greeting = { status: 'online', note: 'hi', context: Buffer.from('opened') }
  const refs = Array.from({ length: 200 }, (_, i) => `${i}`)
  const replies = await Promise.all(refs.map(say))
  t.same(
    replies.map(({ ref, ok }) => [ref, ok]),
    refs.map((ref) => [ref, true]),
  )
  t.same(
    worker.requests.map(({ sequence, frames }) => [sequence, frames.length]),
    [
      [1, 1],
      [2, 64],
      [66, 64],
      [130, 64],
      [194, 7],
    ],
  )
  t.match(worker.opened, [{ user: 'alice', session: session.ref, device: 'phone', since: 5, context: Buffer.from('first') }])
  t.same([session.status, session.note], ['online', 'hi'])
  t.same(Buffer.from(uplink.context).toString(), 'opened')
})

t.test('a frame over the limit of what may wait is not taken', async (t) => {
  const { bus, uplink, say } = await setUp(t, undefined, { queueMaxFrames: 2 })
  const worker = await Worker.start(bus, 'one')
  const gate = new Gate()
  worker.answer = async (request) => {
    await gate.pass()
    return accept(request)
  }
  const replies = [say('1'), say('2')]
  t.equal(
    uplink.submit({ ref: '3', ping: {} }, () => t.fail('it was not taken')),
    false,
  )
  gate.open()
  t.match(await Promise.all(replies), [{ ok: true }, { ok: true }])
  t.match(await say('4'), { ok: true })
})

t.test('an answer that can not be read is none', async (t) => {
  const { bus, errors, say } = await setUp(t)
  const worker = await Worker.start(bus, 'one')
  worker.answer = () => Buffer.from([0xff, 0xff, 0xff])
  const startedMs = performance.now()
  t.match(await say('1'), { ref: '1', ...unavailable })
  t.ok(performance.now() - startedMs >= LIMITS.deadlineMs - 20, 'tried until the deadline')
  t.ok(worker.requests.length >= 2 && worker.requests.length <= 5, `with pauses that grow: ${worker.requests.length} requests`)
  t.equal(errors.length, worker.requests.length, 'each is reported')
  t.same(new Set(worker.requests.map(({ sequence }) => sequence)), new Set([1]))
  worker.answer = accept
  t.match(await say('2'), { ref: '2', ok: true }, 'and the session goes on')
  t.match(worker.requests.at(-1), { sequence: 2 })
})

t.test('a worker that is there and does not answer in time', async (t) => {
  const { bus, errors, say } = await setUp(t)
  const worker = await Worker.start(bus, 'one')
  worker.answer = never
  t.match(await say('1'), unavailable)
  t.equal(worker.opened.length, 1, 'is not left')
  t.ok(worker.requests.length <= 5, `${worker.requests.length} requests`)
  t.same(errors, [])
})

t.test('without any worker frames are answered after the deadline', async (t) => {
  const { node, say } = await setUp(t)
  let opens = 0
  node.steering.before = (call) => {
    if (call === 'request c2s.open') opens++
    return undefined
  }
  t.match(await say('1'), { ref: '1', ...unavailable })
  t.ok(opens >= 2 && opens <= 5, `${opens} attempts`)
})

t.test('so they are while the bus is away', async (t) => {
  const { bus, node, say } = await setUp(t)
  const worker = await Worker.start(bus, 'one')
  t.match(await say('1'), { ok: true })
  node.steering.before = () => Promise.reject(new BusError('disconnected'))
  t.match(await say('2'), unavailable)
  node.steering.before = () => undefined
  t.match(await say('3'), { ok: true })
  t.equal(worker.opened.length, 1, 'the worker has kept the session')
})

t.test('a session whose worker is gone opens at another one, with its context, and repeats with the same numbers', async (t) => {
  const { bus, uplink, say } = await setUp(t)
  const one = await Worker.start(bus, 'one')
  one.answer = (request) => ({ ...accept(request), context: Buffer.from('after 1') })
  t.match(await say('1'), { ok: true })
  one.stop()
  const two = await Worker.start(bus, 'two')
  t.match(await Promise.all([say('2'), say('3')]), [{ ok: true }, { ok: true }])
  t.match(two.opened, [{ context: Buffer.from('after 1') }])
  t.same(two.requests.flatMap(({ sequence, frames }) => [sequence, frames.length]).slice(0, 1), [2])
  two.stop()
  const three = await Worker.start(bus, 'three')
  uplink.workerLost('one')
  await uplink.idle()
  t.equal(three.opened.length, 0, 'one that it has left before')
  uplink.workerLost('two')
  await uplink.idle()
  t.equal(three.opened.length, 1, 'also when nothing is said')
})

t.test('a worker that has forgotten the session is opened at again', async (t) => {
  const { bus, say } = await setUp(t)
  const worker = await Worker.start(bus, 'one')
  worker.answer = (request) => (worker.requests.length === 1 ? { unknown: true } : accept(request))
  t.match(await say('1'), { ok: true })
  t.equal(worker.opened.length, 2)
  t.match(worker.requests, [{ sequence: 1 }, { sequence: 1 }])
})

t.test('one that forgets it each time is asked until the deadline, not faster and faster', async (t) => {
  const { bus, say } = await setUp(t)
  const worker = await Worker.start(bus, 'one')
  worker.answer = () => ({ unknown: true })
  t.match(await say('1'), unavailable)
  t.ok(worker.requests.length <= 5, `${worker.requests.length} requests`)
})

t.test('claims', async (t) => {
  t.test('that are refreshed while a request is under way reach the worker with the next one, once', async (t) => {
    const { bus, uplink, say } = await setUp(t, { topics: ['old'], any: false })
    const worker = await Worker.start(bus, 'one')
    const gate = new Gate()
    worker.answer = async (request) => {
      await gate.pass()
      return accept(request)
    }
    const first = say('1')
    await gate.arrived
    uplink.claim({ topics: ['new'], any: false })
    gate.open()
    await first
    await say('2')
    await say('3')
    t.match(worker.opened, [{ topics: ['old'], anyTopic: false }])
    t.match(worker.requests, [
      { claims: false, topics: [] },
      { claims: true, topics: ['new'], anyTopic: false },
      { claims: false, topics: [] },
    ])
  })

  t.test('that are refreshed while the session opens do so too', async (t) => {
    const { bus, node, uplink, say } = await setUp(t, { topics: ['old'], any: false })
    const worker = await Worker.start(bus, 'one')
    const gate = new Gate()
    node.steering.after = (call) => (call === 'request c2s.open' ? gate.pass() : undefined)
    const first = say('1')
    await gate.arrived
    uplink.claim({ topics: [], any: true })
    gate.open()
    await first
    t.match(worker.requests, [{ claims: true, topics: [], anyTopic: true }])
  })

  t.test('that are the same as before are not sent again', async (t) => {
    const { bus, uplink, say } = await setUp(t, { topics: ['a', 'b'], any: false })
    const worker = await Worker.start(bus, 'one')
    await say('1')
    uplink.claim({ topics: ['a', 'b'], any: false })
    await say('2')
    uplink.claim({ topics: ['b', 'a'], any: false })
    await say('3')
    t.same(
      worker.requests.map(({ claims }) => claims),
      [false, false, true],
    )
  })

  t.test('that a worker never confirmed are sent again', async (t) => {
    const { bus, uplink, say } = await setUp(t, { topics: ['old'], any: false })
    const worker = await Worker.start(bus, 'one')
    await say('1')
    uplink.claim({ topics: ['new'], any: false })
    worker.answer = never
    t.match(await say('2'), unavailable)
    worker.answer = accept
    t.match(await say('3'), { ok: true })
    t.match(worker.requests.at(-1), { claims: true, topics: ['new'] })
  })
})

t.test('the end', async (t) => {
  t.test('is told after what was said before', async (t) => {
    const { bus, uplink, say } = await setUp(t)
    const worker = await Worker.start(bus, 'one')
    const reply = say('1')
    await uplink.bye()
    t.match(await reply, { ok: true })
    t.match(worker.requests, [{ bye: false, sequence: 1 }, { bye: true }])
  })

  t.test('does not wait for ever when nobody can be told', async (t) => {
    const { uplink } = await setUp(t, undefined, { deadlineMs: 60 })
    await uplink.bye()
    t.pass()
  })
})
