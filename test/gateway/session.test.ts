import t from 'tap'
import type { Carrier, Delivery, Transport, Written } from '../../gateway/carrier.js'
import type { CloseReason } from '../../gateway/close-reason.js'
import { Outbound } from '../../gateway/outbound.js'
import { Outbox, type OutboxLimits } from '../../gateway/outbox.js'
import { Session, type SessionHost, type SessionLimits } from '../../gateway/session.js'
import { Wheel } from '../../gateway/wheel.js'
import { Random } from '../support/random.js'

const LIMITS: SessionLimits = {
  pingMs: 25_000,
  resumeMs: 60_000,
  waitingMaxFrames: 64,
  waitingMaxBytes: 1 << 20,
  sentMaxFrames: 1000,
  sentMaxBytes: 1 << 20,
}

/** A hub that does everything when told to. */
class FakeHost implements SessionHost {
  readonly limits: SessionLimits
  nowMs = 1_000_000
  readonly dirty = new Set<Session>()
  readonly closes: CloseReason[] = []
  readonly acked: number[] = []
  carriers = 0

  constructor(limits: Partial<SessionLimits> = {}) {
    this.limits = { ...LIMITS, ...limits }
  }

  now(): number {
    return this.nowMs
  }
  markDirty(session: Session): void {
    this.dirty.add(session)
  }
  schedule(): void {}
  attached(): void {
    this.carriers++
  }
  detached(): void {
    this.carriers--
  }
  written(): void {}
  receptive(): void {}
  roomy(): void {}
  acknowledged(_session: Session, inbox: number): void {
    this.acked.push(inbox)
  }
  closed(_session: Session, reason: CloseReason): void {
    this.closes.push(reason)
  }

  endOfTick(): void {
    const dirty = [...this.dirty]
    this.dirty.clear()
    for (const session of dirty) session.pump()
  }

  open(options: { inbox?: number; expiresAtMs?: number; live?: boolean } = {}): Session {
    const inbox = options.inbox ?? 0
    const owner = { user: 'alice', tag: 'tag', cursorPrefix: 'tag.epoch.', epoch: 'epoch', tail: 0 }
    const expiresAtMs = options.expiresAtMs ?? Number.POSITIVE_INFINITY
    const session = new Session(this, {
      owner,
      ref: 'node.1',
      secret: 's',
      device: '',
      sinceMs: 0,
      expiresAtMs,
      inbox,
      base: 0,
    })
    if (options.live ?? true) session.goLive(inbox)
    return session
  }
}

class FakeCarrier implements Carrier {
  readonly transport: Transport
  readonly expiresAtMs: number
  readonly got: Delivery[] = []
  answer: Written
  pinged = 0
  released = 0
  readonly ends: CloseReason[] = []

  constructor(kind: 'stream' | 'poll', expiresAtMs = Number.POSITIVE_INFINITY) {
    this.transport = kind === 'poll' ? 'keepalive' : 'websocket'
    this.answer = kind === 'poll' ? 'spent' : 'more'
    this.expiresAtMs = expiresAtMs
  }

  write(batch: readonly Delivery[]): Written {
    if (this.answer !== 'gone') this.got.push(...batch)
    return this.answer
  }
  ping(): Written {
    this.pinged++
    return this.answer
  }
  release(): void {
    this.released++
  }
  end(reason: CloseReason): void {
    this.ends.push(reason)
  }

  get ids(): string[] {
    return this.got.map(({ outbound }) => idOf(outbound))
  }
}

function message(id: string, options: { durable?: boolean; key?: string; expiresAtMs?: number; bytes?: number } = {}): Outbound {
  const data = Buffer.from(JSON.stringify('x'.repeat(options.bytes ?? 1)))
  const collapseKey = options.key ?? ''
  const expiresAtMs = options.expiresAtMs ?? Number.POSITIVE_INFINITY
  return new Outbound({ message: { id, time: 1, data } }, { durable: options.durable ?? false, collapseKey, expiresAtMs })
}

function idOf(outbound: Outbound): string {
  return outbound.frame.message?.id ?? Object.keys(outbound.frame)[0] ?? '?'
}

const hello = new Outbound({ hello: { user: 'alice' } })

/** Frame number and inbox position of a cursor. */
function where(cursor: string): { frame: number; inbox: number } {
  const [, , inbox = '', , , frame = ''] = cursor.split('.')
  return { frame: Number.parseInt(frame, 36), inbox: Number.parseInt(inbox, 36) }
}

t.test('a session', async (t) => {
  t.test('writes what waits, greeting first, in one batch', async (t) => {
    const session = new FakeHost().open()
    session.deliver(message('a'))
    session.deliver(message('b'))
    const carrier = new FakeCarrier('stream')
    session.attach(carrier, 0, hello)
    t.same(carrier.ids, ['hello', 'a', 'b'])
    t.same(
      carrier.got.map(({ cursor }) => where(cursor).frame),
      [0, 1, 2],
      'the greeting has the cursor the client came with',
    )
  })

  t.test('pumps once at the end of the tick', async (t) => {
    const host = new FakeHost()
    const session = host.open()
    const carrier = new FakeCarrier('stream')
    session.attach(carrier, 0, hello)
    session.deliver(message('a'))
    session.deliver(message('b'))
    t.equal(carrier.got.length, 1)
    host.endOfTick()
    t.same(carrier.ids, ['hello', 'a', 'b'])
  })

  t.test('a poll is answered once, with all that waits, and repeated when the answer was lost', async (t) => {
    const host = new FakeHost()
    const session = host.open()
    session.deliver(message('a'))
    const first = new FakeCarrier('poll')
    session.attach(first, 0, undefined)
    t.same(first.ids, ['a'])
    t.equal(session.kind, 'detached')
    session.deliver(message('b'))
    const again = new FakeCarrier('poll')
    session.attach(again, 0, undefined)
    t.same(again.ids, ['a', 'b'], 'the same cursor again: the answer never came')
    t.same(again.got[0]?.cursor, first.got[0]?.cursor)
    const next = new FakeCarrier('poll')
    session.attach(next, 2, undefined)
    t.equal(next.got.length, 0)
    t.equal(session.kind, 'attached', 'held')
  })

  t.test('a second carrier releases the first, whose callbacks change nothing any more', async (t) => {
    const host = new FakeHost()
    const session = host.open()
    const first = new FakeCarrier('poll', host.nowMs + 1000)
    const second = new FakeCarrier('poll', host.nowMs + 1000)
    session.attach(first, 0, undefined)
    session.attach(second, 0, undefined)
    t.equal(first.released, 1)
    session.detach(first)
    session.drained(first)
    t.ok(session.isCarriedBy(second))
    t.equal(host.carriers, 1)
    session.deliver(message('a'))
    host.endOfTick()
    t.same(second.ids, ['a'])
    t.equal(first.got.length, 0)
  })

  t.test('waits while a carrier is full', async (t) => {
    const host = new FakeHost()
    const session = host.open()
    const carrier = new FakeCarrier('stream')
    carrier.answer = 'full'
    session.attach(carrier, 0, hello)
    session.deliver(message('a'))
    host.endOfTick()
    t.same(carrier.ids, ['hello'])
    carrier.answer = 'more'
    session.drained(new FakeCarrier('stream'))
    t.same(carrier.ids, ['hello'], 'somebody else has drained')
    session.drained(carrier)
    t.same(carrier.ids, ['hello', 'a'])
  })

  t.test('every event in every state', async (t) => {
    const events: Record<string, (session: Session, carrier: FakeCarrier) => void> = {
      attach: (session) => session.attach(new FakeCarrier('stream'), session.base, hello),
      detach: (session, carrier) => session.detach(carrier),
      drained: (session, carrier) => session.drained(carrier),
      deliver: (session) => session.deliver(message('x')),
      durable: (session) => session.durable(7, message('d', { durable: true })),
      ack: (session) => session.ack(1),
      pump: (session) => session.pump(),
      tick: (session) => session.tick(0),
      disconnect: (session) => session.disconnect({ code: 'draining', reason: '' }),
      extend: (session) => session.extend(9e15),
      close: (session) => session.close({ code: 'done', reason: '' }),
    }
    const after: Record<string, Record<string, string>> = {
      attached: { detach: 'detached', disconnect: 'detached', close: 'closed' },
      detached: { attach: 'attached', close: 'closed' },
      closed: {},
    }
    for (const [state, ends] of Object.entries(after)) {
      for (const [name, event] of Object.entries(events)) {
        const host = new FakeHost()
        const session = host.open()
        const carrier = new FakeCarrier('stream')
        session.deliver(message('a'))
        if (state !== 'detached') session.attach(carrier, 0, hello)
        if (state === 'closed') session.close({ code: 'done', reason: '' })
        event(session, carrier)
        host.endOfTick()
        t.equal(session.kind, ends[name] ?? state, `${name} when ${state}`)
        t.ok(host.closes.length <= 1, 'closed once at the most')
        t.equal(host.carriers, session.kind === 'attached' ? 1 : 0)
      }
    }
  })

  t.test('a carrier that comes to a closed session is told why', async (t) => {
    const session = new FakeHost().open()
    session.close({ code: 'closed', reason: 'x' })
    const carrier = new FakeCarrier('stream')
    session.attach(carrier, 0, hello)
    t.equal(carrier.ends[0]?.code, 'closed')
  })

  t.test('ends as a slow consumer at one frame over the limit, not before', async (t) => {
    const host = new FakeHost({ waitingMaxFrames: 4 })
    const session = host.open()
    for (const id of ['a', 'b', 'c', 'd']) session.deliver(message(id))
    t.equal(session.kind, 'detached')
    session.deliver(message('e'))
    t.equal(host.closes[0]?.code, 'slow_consumer')
  })

  t.test('and at one byte over it', async (t) => {
    const size = message('a').sizeBytes
    const host = new FakeHost({ waitingMaxBytes: 2 * size })
    const session = host.open()
    session.deliver(message('a'))
    session.deliver(message('b'))
    t.equal(host.closes.length, 0)
    const tight = new FakeHost({ waitingMaxBytes: 2 * size - 1 })
    const second = tight.open()
    second.deliver(message('a'))
    second.deliver(message('b'))
    t.equal(tight.closes[0]?.code, 'slow_consumer')
  })

  t.test('takes durable messages only once it is live, and none twice', async (t) => {
    const host = new FakeHost()
    const session = host.open({ live: false })
    session.durable(5, message('early', { durable: true }))
    session.history(4, message('d4', { durable: true }))
    session.history(5, message('d5', { durable: true }))
    session.goLive(5)
    session.durable(5, message('again', { durable: true }))
    session.durable(6, message('d6', { durable: true }))
    const carrier = new FakeCarrier('stream')
    session.attach(carrier, 0, undefined)
    t.same(carrier.ids, ['d4', 'd5', 'd6'])
    t.same(
      carrier.got.map(({ cursor }) => where(cursor).inbox),
      [4, 5, 6],
    )
  })

  t.test('an acknowledgement moves the position to that of its frame', async (t) => {
    const host = new FakeHost()
    const session = host.open({ inbox: 10 })
    session.durable(11, message('a', { durable: true }))
    session.deliver(message('p'))
    session.durable(12, message('b', { durable: true }))
    session.ack(2)
    t.same(host.acked, [11])
    session.ack(1)
    session.ack(99)
    t.same(host.acked, [11], 'old ones and ones never sent change nothing')
    session.ack(3)
    t.same(host.acked, [11, 12])
  })

  t.test('deadlines: ping, silence, poll wait, resume window, token', async (t) => {
    const host = new FakeHost()
    const session = host.open({ expiresAtMs: host.nowMs + 100_000 })
    const start = host.nowMs
    t.equal(session.deadlineMs, start + 60_000)
    const socket = new FakeCarrier('stream')
    session.attach(socket, 0, hello)
    t.equal(session.deadlineMs, start + 25_000)
    session.tick(start + 24_999)
    t.equal(socket.pinged, 0)
    session.tick(start + 25_000)
    t.equal(socket.pinged, 1)
    socket.answer = 'gone'
    session.tick(start + 50_000)
    t.equal(session.kind, 'detached', 'a carrier that answered no ping')
    host.nowMs = start + 50_000
    const poll = new FakeCarrier('poll', start + 52_000)
    session.attach(poll, 0, undefined)
    t.equal(session.deadlineMs, start + 52_000)
    session.tick(start + 52_000)
    t.equal(session.kind, 'detached')
    session.tick(start + 99_999)
    t.equal(session.kind, 'detached')
    session.tick(start + 100_000)
    t.equal(host.closes[0]?.code, 'token_expired')
    const lonely = host.open()
    lonely.tick(host.nowMs + 59_999)
    t.equal(lonely.kind, 'detached')
    lonely.tick(host.nowMs + 60_000)
    t.match(host.closes[1], { code: 'unknown_session', cause: 'expired' })
  })

  t.test('gives another node what its client can not have from the inbox', async (t) => {
    const session = new FakeHost().open({ inbox: 3 })
    session.durable(4, message('a', { durable: true }))
    session.deliver(message('b'))
    session.durable(5, message('c', { durable: true }))
    session.deliver(message('d'))
    t.same(session.notDurableAfter(1, 1 << 20).frames.map(idOf), ['b', 'd'])
    t.same(session.notDurableAfter(2, 1 << 20).frames.map(idOf), ['d'])
    t.ok(session.notDurableAfter(0, 1 << 20).complete)
    const size = message('b').sizeBytes
    t.match(session.notDurableAfter(0, 2 * size), { complete: true })
    t.match(session.notDurableAfter(0, 2 * size - 1), { complete: false })
    const trimmed = new FakeHost({ sentMaxFrames: 1 }).open()
    for (const id of ['e', 'f']) trimmed.deliver(message(id))
    trimmed.attach(new FakeCarrier('stream'), 0, undefined)
    t.match(trimmed.notDurableAfter(0, 1 << 20), { complete: false }, 'e is lost')
    t.match(trimmed.notDurableAfter(1, 1 << 20), { complete: true })
  })

  t.test('writes nothing to a released carrier', async (t) => {
    const host = new FakeHost({ sentMaxFrames: 1 })
    const session = host.open()
    const old = new FakeCarrier('stream')
    session.attach(old, 0, undefined)
    session.release()
    t.equal(old.released, 1)
    for (const id of ['a', 'b', 'c']) session.deliver(message(id))
    host.endOfTick()
    t.equal(old.got.length, 0)
    t.ok(session.holdsAfter(0), 'and so nothing is trimmed that a new one needs')
  })

  t.test('in a store made anew no position of before counts', async (t) => {
    const session = new FakeHost().open({ inbox: 3 })
    session.durable(4, message('a', { durable: true }))
    session.deliver(message('p'))
    session.inboxReset()
    session.durable(1, message('b', { durable: true }))
    const carrier = new FakeCarrier('stream')
    session.attach(carrier, 0, hello)
    t.same(
      carrier.got.map(({ cursor }) => where(cursor).inbox),
      [0, 0, 0, 1],
    )
  })
})

t.test('the outbox', async (t) => {
  const limits: OutboxLimits = { waitingMaxFrames: 100, waitingMaxBytes: 1 << 20, sentMaxFrames: 3, sentMaxBytes: 1 << 20 }
  const ids = (outbox: Outbox, nowMs = 0) => outbox.take(1 << 20, nowMs).map(({ outbound }) => idOf(outbound))

  t.test('of undelivered frames of one key only the newest remains', async (t) => {
    const outbox = new Outbox(limits, 0, 0)
    outbox.push(message('a1', { key: 'a' }), 1, false)
    outbox.push(message('b1', { key: 'b' }), 2, false)
    outbox.push(message('a2', { key: 'a' }), 3, false)
    outbox.push(message('x'), 3, false)
    outbox.push(message('a3', { key: 'a' }), 4, false)
    t.equal(outbox.waiting, 3, 'replaced frames take no room')
    t.same(ids(outbox), ['b1', 'x', 'a3'])
    outbox.push(message('a4', { key: 'a' }), 5, false)
    t.same(ids(outbox), ['a4'], 'what was sent stays sent')
    outbox.rewind(0)
    outbox.push(message('a5', { key: 'a' }), 6, false)
    t.same(ids(outbox), ['x', 'a3', 'a4', 'a5'], 'and is sent again when it may have been lost')
  })

  t.test('a hundred thousand replacements of one key need no room', async (t) => {
    const outbox = new Outbox(limits, 0, 0)
    const refused = Array.from({ length: 100_000 }, (_, i) => outbox.push(message('a', { key: 'k' }), i, false)).filter((taken) => !taken)
    t.equal(refused.length, 0)
    t.equal(outbox.waiting, 1)
    t.equal(outbox.last, 1)
  })

  t.test('expired frames are not sent', async (t) => {
    const outbox = new Outbox(limits, 0, 0)
    outbox.push(message('old', { expiresAtMs: 10 }), 1, false)
    outbox.push(message('new', { expiresAtMs: 11 }), 2, false)
    t.same(ids(outbox, 10), ['new'])
    t.equal(outbox.waiting, 0)
  })

  t.test('keeps what was sent up to its limit, and knows what it lost', async (t) => {
    const outbox = new Outbox(limits, 0, 0)
    for (let i = 1; i <= 4; i++) outbox.push(message(`d${i}`, { durable: true }), i, false)
    ids(outbox)
    t.ok(outbox.holdsAfter(1))
    t.notOk(outbox.holdsAfter(0), 'the fourth is one too many')
    t.ok(outbox.forgetDurable(0, 0), 'the inbox has it all')
    t.same(ids(outbox), [])
    const other = new Outbox(limits, 0, 0)
    for (let i = 1; i <= 4; i++) other.push(message(`e${i}`), 0, false)
    ids(other)
    t.notOk(other.forgetDurable(0, 0), 'an ephemeral frame is lost')
    t.ok(other.holdsAfter(1))
  })

  t.test('going back lowers the positions of what is sent again', async (t) => {
    const outbox = new Outbox({ ...limits, sentMaxFrames: 2 }, 0, 0)
    for (let i = 1; i <= 3; i++) outbox.push(message(`d${i}`, { durable: true }), i, false)
    outbox.push(message('p'), 3, false)
    ids(outbox)
    outbox.forgetDurable(0, 1)
    t.equal(outbox.baseInbox, 1)
    t.same(
      outbox.take(1 << 20, 0).map(({ outbound, inbox }) => [idOf(outbound), inbox]),
      [['p', 1]],
    )
  })

  t.test('frees what was acknowledged', async (t) => {
    const outbox = new Outbox({ ...limits, sentMaxFrames: 1000 }, 0, 0)
    for (let i = 1; i <= 90; i++) outbox.push(message(`m${i}`), 0, false)
    t.equal(ids(outbox).length, 90)
    outbox.acknowledge(90)
    t.equal(outbox.bytes, 0)
    t.equal(outbox.base, 90)
  })
})

t.test('the wheel', async (t) => {
  class Item {
    scheduledAtMs = Number.POSITIVE_INFINITY
    deadlineMs: number
    readonly ticks: number[] = []
    constructor(deadlineMs: number) {
      this.deadlineMs = deadlineMs
    }
    tick(nowMs: number): void {
      this.ticks.push(nowMs)
      this.deadlineMs = Number.POSITIVE_INFINITY
    }
  }

  t.test('ticks at the deadline, earlier or later as it moves, once', async (t) => {
    const wheel = new Wheel<Item>(100, 0, (item, nowMs) => item.tick(nowMs))
    const later = new Item(1000)
    const earlier = new Item(1000)
    wheel.schedule(later)
    wheel.schedule(earlier)
    later.deadlineMs = 2000
    earlier.deadlineMs = 300
    wheel.schedule(earlier)
    for (let now = 100; now <= 3000; now += 100) wheel.turn(now)
    t.same(later.ticks, [2000])
    t.same(earlier.ticks, [300])
  })

  t.test('after a long pause nothing is forgotten, a deadline in the past is due at once', async (t) => {
    const wheel = new Wheel<Item>(100, 0, (item, nowMs) => item.tick(nowMs))
    const items = [150, 5_000, 1_000_000].map((at) => new Item(at))
    for (const item of items) wheel.schedule(item)
    wheel.turn(10_000_000)
    t.same(
      items.map(({ ticks }) => ticks.length),
      [1, 1, 1],
    )
    const late = new Item(5)
    wheel.schedule(late)
    wheel.turn(10_000_100)
    t.equal(late.ticks.length, 1)
  })

  t.test('random moves: never early, at most one turn late', async (t) => {
    const random = new Random(20261122)
    const wheel = new Wheel<Item>(100, 0, (item, nowMs) => item.tick(nowMs))
    const items = Array.from({ length: 200 }, () => new Item(random.int(5000)))
    for (const item of items) wheel.schedule(item)
    for (let now = 10; now < 20_000; now += 10) {
      if (random.chance(0.5)) {
        const item = random.pick(items)
        if (item.ticks.length === 0) {
          item.deadlineMs = now + random.int(5000)
          wheel.schedule(item)
        }
      }
      const due = new Map(items.filter(({ ticks }) => ticks.length === 0).map((item) => [item, item.deadlineMs]))
      wheel.turn(now)
      for (const [item, deadlineMs] of due) {
        if (item.ticks.length > 0) t.ok(now >= deadlineMs && now < deadlineMs + 210, `seed ${random.seed}`)
      }
    }
    t.ok(items.every(({ ticks }) => ticks.length === 1))
  })
})

/** A client as the contract describes it: keeps its last cursor, drops ids it has just seen. */
class Client {
  readonly handled: string[] = []
  readonly #seen = new Set<string>()
  cursor = 0
  carrier: FakeCarrier | undefined = undefined
  #read = 0

  connect(carrier: FakeCarrier): void {
    this.carrier = carrier
    this.#read = 0
  }

  /** Reads `count` more of what its connection brought. */
  read(count: number): void {
    const got = this.carrier?.got ?? []
    for (; count > 0 && this.#read < got.length; count--) {
      const delivery = got[this.#read++]
      if (delivery === undefined) return
      this.cursor = where(delivery.cursor).frame
      const id = idOf(delivery.outbound)
      if (id === 'hello' || this.#seen.has(id)) continue
      this.#seen.add(id)
      this.handled.push(id)
    }
  }
}

t.test('exactly once and in order over lossy carriers, for 200 seeds', async (t) => {
  for (let seed = 1; seed <= 200; seed++) {
    const random = new Random(seed)
    const host = new FakeHost({ waitingMaxFrames: 10_000 })
    const sessions = [host.open(), host.open()]
    const clients = [new Client(), new Client()]
    const stale: FakeCarrier[] = []
    let sent = 0
    for (let step = 0; step < 500; step++) {
      const i = random.int(2)
      const session = sessions[i]
      const client = clients[i]
      if (session === undefined || client === undefined) return
      switch (random.int(9)) {
        case 0:
        case 1:
        case 2: {
          const outbound = message(`m${++sent}`)
          for (const one of sessions) one.deliver(outbound)
          break
        }
        case 3: {
          if (client.carrier !== undefined) stale.push(client.carrier)
          // What the old connection still carried is lost every other time.
          if (random.chance(0.5)) client.read(1000)
          const carrier = new FakeCarrier(random.pick(['poll', 'stream']))
          client.connect(carrier)
          session.attach(carrier, client.cursor, random.chance(0.5) ? hello : undefined)
          break
        }
        case 4:
          client.read(random.int(5))
          break
        case 5:
          host.endOfTick()
          break
        case 6:
          session.ack(Math.min(client.cursor, session.lastFrame))
          break
        case 7:
          if (client.carrier?.transport === 'websocket') {
            client.carrier.answer = random.pick(['full', 'more', 'gone'])
            session.drained(client.carrier)
          }
          break
        case 8: {
          const carrier = stale.length > 0 ? random.pick(stale) : undefined
          if (carrier === undefined) break
          if (random.chance(0.5)) session.detach(carrier)
          else session.drained(carrier)
          break
        }
      }
    }
    for (const [i, session] of sessions.entries()) {
      const client = clients[i]
      client?.read(100_000)
      const last = new FakeCarrier('stream')
      client?.connect(last)
      session.attach(last, client?.cursor ?? 0, hello)
      client?.read(100_000)
      const expected = Array.from({ length: sent }, (_, n) => `m${n + 1}`)
      if (JSON.stringify(client?.handled) !== JSON.stringify(expected)) {
        t.same(client?.handled, expected, `seed ${seed}, client ${i}`)
        return
      }
      const rest = session.notDurableAfter(0, 1 << 30).frames.length
      t.ok(rest <= sent)
      session.ack(session.lastFrame)
      t.equal(session.outboxBytes, 0, `seed ${seed}: nothing is kept of what was acknowledged`)
    }
  }
})
