// Stream management (XEP-0198) over WebSockets: counts, acknowledgements, and sessions that go on over another connection.

import t, { type Test } from 'tap'
import type { Session } from '../../gateway/session.js'
import type { Resumed, ResumeVisitor } from '../../gateway/stream-door.js'
import { StanzaCounts } from '../../gateway/stream-management.js'
import { parseXml } from '../../proto/xml/parse.js'
import { Random } from '../support/random.js'
import { CLOSE, gistOf, message, type TestSocket, ticks, WsRig } from '../support/xmpp-ws-rig.js'

const SM = 'urn:xmpp:sm:3'
const ENABLE = `<enable xmlns='${SM}' resume='true'/>`
const R = `<r xmlns='${SM}'/>`
const a = (h: number | string): string => `<a xmlns='${SM}' h='${h}'/>`
const resume = (session: Session, h: number): string => `<resume xmlns='${SM}' previd='${session.id}' h='${h}'/>`

t.test('counts of stanzas', async (t) => {
  t.test('mean frames, whatever frames were dropped between them', async (t) => {
    const counts = new StanzaCounts('id', 10)
    for (const frame of [11, 12, 15, 16, 20]) counts.send(frame)
    const frames = (): (number | undefined)[] => [0, 1, 2, 3, 4, 5, 6].map((handled) => counts.frameOf(handled)?.frame)
    t.same(frames(), [10, 11, 12, 15, 16, 20, undefined])
    t.same(counts.acknowledge(2), { kind: 'frame', frame: 12 })
    t.same(frames(), [undefined, undefined, 12, 15, 16, 20, undefined])
    t.same(counts.acknowledge(1), { kind: 'earlier' })
    t.same(counts.acknowledge(2 ** 32 - 1), { kind: 'too-high' })
    t.same(counts.acknowledge(6), { kind: 'too-high' })
    t.same(counts.acknowledge(5), { kind: 'frame', frame: 20 })
    t.equal(counts.allHandled, true)
    counts.send(21)
    t.same(counts.frameOf(6), { frame: 21 })
  })
  t.test('begin again at 0 after 2^32 - 1', async (t) => {
    const top = 2 ** 32
    const counts = new StanzaCounts('id', 7, top - 1, top - 2, top - 2)
    for (let frame = 8; frame <= 12; frame++) counts.send(frame)
    t.equal(counts.sent, 3)
    t.same(counts.frameOf(top - 1), { frame: 8 })
    t.same(counts.frameOf(0), { frame: 9 })
    t.same(counts.acknowledge(1), { kind: 'frame', frame: 10 })
    t.same(counts.acknowledge(top - 1), { kind: 'earlier' })
    t.same(counts.acknowledge(4), { kind: 'too-high' })
    t.equal(counts.received, top - 1)
    counts.take()
    t.equal(counts.received, 0)
  })
  t.test('travel to another node', async (t) => {
    const counts = new StanzaCounts('id', 3, 5)
    for (let frame = 4; frame <= 9; frame++) counts.send(frame)
    counts.acknowledge(2)
    const other = StanzaCounts.decode(counts.encode())
    t.equal(other?.received, 5)
    t.equal(other?.id, 'id')
    other?.resume(4, 100)
    t.same(other?.frameOf(4), { frame: 100 })
    t.equal(other?.frameOf(5), undefined)
    other?.send(101)
    t.same(other?.frameOf(5), { frame: 101 })
    for (const bad of ['', 'id', ' 1 1 1', 'id 1 1 2', 'id a 1 1', 'id -1 1 1', 'id 1 1 1 1'])
      t.equal(StanzaCounts.decode(Buffer.from(bad)), undefined, bad)
  })
  t.test('stay small however long nothing is acknowledged', async (t) => {
    const counts = new StanzaCounts('id', 0)
    for (let i = 1; i <= 10_000; i++) counts.send(i * 2)
    t.equal(counts.frameOf(1), undefined)
    t.same(counts.frameOf(10_000), { frame: 20_000 })
    t.same(counts.acknowledge(1), { kind: 'frame', frame: 0 }, 'long ago: nothing is let go')
  })
})

t.test('enabling', async (t) => {
  t.test('after a resource was bound, once', async (t) => {
    const rig = new WsRig()
    const { socket, stream } = rig.authenticated()
    socket.say(ENABLE)
    t.same(socket.gist(), ['failed:unexpected-request'])
    const session = stream.bind()
    socket.say(ENABLE)
    const [, enabled = ''] = socket.heard()
    t.match(Object.fromEntries(parseXml(enabled).attributes), { id: session.id, resume: 'true', max: '60' })
    socket.say(ENABLE)
    t.same(socket.gist(), ['failed:unexpected-request'])
    t.equal(socket.closed, undefined)
  })
  t.test('without resumption', async (t) => {
    const rig = new WsRig()
    const { socket, session } = rig.bound()
    socket.say(`<enable xmlns='${SM}'/>`)
    t.same(socket.heard(), [`<enabled xmlns='${SM}'/>`])
    socket.say(R)
    t.same(socket.gist(), ['a:0'])
    socket.leave()
    t.equal(session.kind, 'closed')
  })
  t.test('not before authentication', async (t) => {
    const socket = new WsRig().socket()
    socket.say(
      `<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='localhost' version='1.0'/>`,
      ENABLE,
      R,
      a(0),
      `<resume xmlns='${SM}' previd='x' h='0'/>`,
    )
    t.same(socket.gist().slice(2), Array(4).fill('failed:unexpected-request'))
    t.equal(socket.closed, undefined)
  })
})

t.test('acknowledging', async (t) => {
  t.test('the client is told what was taken since it enabled', async (t) => {
    const rig = new WsRig()
    const { socket } = rig.bound()
    socket.say(message('before'), ENABLE, message('m1'), "<active xmlns='urn:xmpp:csi:0'/>", message('m2'), R, ' ', R)
    await ticks()
    t.same(socket.gist(), ['enabled', 'a:2', 'a:2'])
    t.same(rig.stream.stanzas, ['before', 'm1', 'active', 'm2'])
  })
  t.test('only what a worker has answered counts: the node may die', async (t) => {
    const rig = new WsRig()
    const { socket } = rig.bound()
    socket.say(ENABLE)
    rig.stream.isSlow = true
    socket.say(message('m1'), R, message('m2'), R, message('m3'))
    await ticks()
    t.same(socket.gist(), ['enabled'])
    rig.stream.unhandled[0]?.()
    t.same(socket.gist(), ['a:1'])
    rig.stream.unhandled[1]?.()
    t.same(socket.gist(), ['a:2'])
  })
  t.test('what it acknowledges is let go', async (t) => {
    const rig = new WsRig()
    const { socket, session } = rig.managed()
    rig.tell(session, 's1', 's2')
    t.same(socket.gist(), ['s1', 's2', 'r'])
    t.same(socket.writes.at(-1), 3, 'in one write')
    t.equal(session.base, 1, 'a pong says nothing here')
    socket.pong()
    t.equal(session.base, 1)
    rig.tell(session, 's3')
    t.same(socket.gist(), ['s3'], 'asked already')
    socket.say(a(2))
    t.equal(session.base, 3)
    t.same(socket.gist(), ['r'], 'asked again, for what came meanwhile')
    socket.say(a(2))
    t.same(socket.gist(), [], 'but not again and again')
    socket.say(a(3))
    t.equal(session.base, 4)
    t.same(socket.gist(), [])
    socket.say(a(1))
    t.equal(session.base, 4)
    t.equal(socket.closed, undefined, 'what is known already does no harm')
  })
  t.test('it is asked again after every eight stanzas, and with pings', async (t) => {
    const rig = new WsRig()
    const { socket, session } = rig.managed()
    for (let i = 1; i <= 20; i++) rig.tell(session, `s${i}`)
    t.equal(socket.gist().filter((name) => name === 'r').length, 3)
    rig.clock.advance(25_000)
    session.tick(rig.now())
    t.same(socket.gist(), ['r'])
    socket.say(a(20))
    rig.clock.advance(25_000)
    session.tick(rig.now())
    t.same(socket.gist(), [])
  })
  t.test('more than there was ends the stream', async (t) => {
    for (const h of [3, 4_294_967_295]) {
      const rig = new WsRig()
      const { socket, session } = rig.managed()
      rig.tell(session, 's1', 's2')
      socket.heard()
      socket.say(a(h))
      const [error = '', close] = socket.heard()
      t.equal(gistOf(error), 'error:undefined-condition')
      t.match(Object.fromEntries(parseXml(error).child('handled-count-too-high', SM)?.attributes ?? []), {
        h: String(h),
        'send-count': '2',
      })
      t.equal(close, CLOSE)
      t.match(session.closeReason, { streamError: 'undefined-condition' })
    }
  })
  t.test('no count at all too', async (t) => {
    for (const bad of [`<a xmlns='${SM}'/>`, a('x'), a(-1), a('4294967296'), a('')]) {
      const { socket } = new WsRig().managed()
      socket.say(bad)
      t.same(socket.gist(), ['error:invalid-xml', 'close'], bad)
    }
    const { socket } = new WsRig().managed()
    socket.say(`<b xmlns='${SM}'/>`)
    t.same(socket.gist(), ['error:unsupported-stanza-type', 'close'])
  })
})

t.test('resuming', async (t) => {
  t.test('goes on after what the client has handled', async (t) => {
    const rig = new WsRig()
    const { socket, session } = rig.managed()
    socket.say(message('c1'), message('c2'))
    rig.tell(session, 's1', 's2', 's3')
    session.clientState('inactive')
    socket.leave()
    rig.tell(session, 's4')
    const next = rig.authenticated()
    next.socket.say(resume(session, 1), message('c3'), R)
    t.same(next.socket.gist(), [], 'not answered before it is known')
    await ticks()
    rig.endOfTick()
    t.same(next.socket.gist(), ['resumed:2', 's2', 's3', 's4', 'r', 'a:3'])
    t.match(rig.resumptions[0], { user: 'alice', previous: session.id, handled: 1, transport: 'xmpp-websocket', ip: '192.0.2.1' })
    t.equal(next.stream.session, session)
    t.same(next.stream.stanzas, ['c3'])
    next.socket.say(a(4))
    t.equal(session.base, session.lastFrame)
    next.socket.say(ENABLE, `<resume xmlns='${SM}' previd='${session.id}' h='0'/>`)
    t.same(next.socket.gist(), ['failed:unexpected-request', 'failed:unexpected-request'])
    next.socket.leave()
    t.equal(session.kind, 'detached', 'and can be resumed again')
  })
  t.test('displaces the connection there was', async (t) => {
    const rig = new WsRig()
    const { socket, session } = rig.managed()
    rig.tell(session, 's1')
    socket.heard()
    const next = rig.authenticated()
    next.socket.say(resume(session, 0))
    await ticks()
    t.same(socket.gist(), ['error:conflict', 'close'])
    t.same(next.socket.gist(), ['resumed:0', 's1', 'r'])
    socket.leave(1000)
    t.equal(session.isCarriedBy(next.socket.owner as never), true, 'and its end means nothing any more')
    rig.tell(session, 's2')
    t.same(next.socket.gist(), ['s2'])
  })
  t.test('fails where there is nothing to resume; the client may bind', async (t) => {
    const rig = new WsRig()
    const { socket, stream } = rig.authenticated()
    socket.say(`<resume xmlns='${SM}' previd='node.9.x' h='0'/>`, message('waits'))
    await ticks()
    t.same(socket.gist(), ['failed:item-not-found'])
    t.same(stream.stanzas, ['waits'])
    for (const bad of [`<resume xmlns='${SM}' h='0'/>`, `<resume xmlns='${SM}' previd='x'/>`]) socket.say(bad)
    t.same(socket.gist(), ['failed:bad-request', 'failed:bad-request'])
    rig.resume = () => Promise.resolve({ kind: 'refused', reason: { code: 'overloaded', reason: 'full' } })
    socket.say(`<resume xmlns='${SM}' previd='x' h='0'/>`)
    await ticks()
    t.same(socket.gist(), ['failed:resource-constraint'])
    rig.resume = () => Promise.reject(new Error('a bug'))
    socket.say(`<resume xmlns='${SM}' previd='x' h='0'/>`)
    await ticks()
    t.same(socket.gist(), ['failed:internal-server-error'])
    t.equal(rig.errors.length, 1)
    stream.bind()
    t.same(socket.gist(), ['bind'])
    socket.say(ENABLE)
    t.same(socket.gist(), ['enabled'])
  })
  t.test('with more than was sent ends the stream, not the session', async (t) => {
    const rig = new WsRig()
    const { socket, session } = rig.managed()
    socket.leave()
    const next = rig.authenticated()
    next.socket.say(resume(session, 7))
    await ticks()
    t.same(next.socket.gist(), ['error:undefined-condition', 'close'])
    t.equal(session.kind, 'detached')
  })
  t.test('for a client that has gone again changes nothing', async (t) => {
    const rig = new WsRig()
    const { socket, session } = rig.managed()
    rig.tell(session, 's1', 's2')
    socket.heard()
    const next = rig.authenticated()
    next.socket.say(resume(session, 0))
    next.socket.leave()
    await ticks()
    t.equal(session.kind, 'attached')
    rig.tell(session, 's3')
    socket.say(a(3))
    t.equal(session.base, 4)
    t.equal(socket.closed, undefined)
  })
  t.test('is over when the client closes meanwhile', async (t) => {
    const rig = new WsRig()
    const { socket, session } = rig.managed()
    socket.leave()
    const next = rig.authenticated()
    next.socket.say(resume(session, 0), CLOSE)
    await ticks()
    t.same(next.socket.gist(), ['resumed:0', 'close'])
    t.equal(session.kind, 'closed')
  })
  t.test('while a resource is being bound is too late', async (t) => {
    const rig = new WsRig()
    const old = rig.managed()
    const next = rig.authenticated()
    next.socket.say(resume(old.session, 0), message('c1'))
    const session = next.stream.bind(rig.newSession())
    await ticks()
    t.same(next.socket.gist(), ['failed:unexpected-request', 'bind'])
    t.same(next.stream.stanzas, ['c1'])
    t.equal(session.kind, 'attached')
    t.equal(old.session.kind, 'attached')
  })
  t.test('takes what another node counted', async (t) => {
    const rig = new WsRig()
    const moved = rig.newSession(40)
    moved.tell(Buffer.from(message('s8')))
    const counts = new StanzaCounts('id', 0, 3, 8, 6)
    rig.resume = () => Promise.resolve({ kind: 'session', session: moved, seen: 40, management: counts.encode() })
    const { socket } = rig.authenticated()
    socket.say(`<resume xmlns='${SM}' previd='other.1.s' h='7'/>`)
    await ticks()
    t.same(socket.gist(), ['resumed:3', 's8', 'r'])
    t.equal(parseXml(socket.got.at(-3) ?? '').attribute('previd'), 'other.1.s')
    socket.say(a(8))
    t.equal(moved.base, 41)

    const broken = rig.newSession()
    rig.resume = () => Promise.resolve({ kind: 'session', session: broken, seen: 0, management: Buffer.from('?') })
    const other = rig.authenticated()
    other.socket.say(`<resume xmlns='${SM}' previd='other.2.s' h='7'/>`)
    await ticks()
    t.same(other.socket.gist(), ['failed:item-not-found'])
    t.equal(broken.kind, 'closed')
  })
  t.test('too much at once while it lasts', async (t) => {
    const rig = new WsRig()
    rig.resume = () => new Promise(() => undefined)
    const { socket, stream } = rig.authenticated()
    socket.say(`<resume xmlns='${SM}' previd='x' h='0'/>`)
    for (let i = 0; i < 65; i++) socket.say(message(`m${i}`))
    t.same(socket.gist(), ['error:policy-violation', 'close'])
    t.same(stream.ends, ['abandoned'])
  })
})

/** A client that counts, over connections that break and lose what is on its way. */
class Client {
  /** Stanzas of the server, in the order they came. */
  readonly got: string[] = []
  /** What was said, and what of it is not acknowledged. */
  readonly said: string[] = []
  unacknowledged: string[] = []
  /** Of what came, mod 2^32; and the last count of the server's. */
  h: number
  handled: number
  socket: TestSocket
  #seen: number

  constructor(socket: TestSocket, offset: number) {
    this.socket = socket
    this.h = offset % 2 ** 32
    this.handled = this.h
    this.#seen = socket.got.length
  }

  say(text: string): void {
    this.said.push(text)
    this.unacknowledged.push(text)
  }

  /** Takes up to so many messages from the connection. */
  read(limit: number): void {
    for (let i = 0; i < limit; i++) {
      const text = this.socket.got[this.#seen]
      if (text === undefined) return
      this.#seen++
      this.#take(text)
    }
  }

  connect(socket: TestSocket): void {
    this.socket = socket
    this.#seen = socket.got.length
  }

  #take(text: string): void {
    const element = parseXml(text)
    if (element.name === 'message') {
      this.got.push(element.attribute('id'))
      this.h = (this.h + 1) % 2 ** 32
    } else if (element.name === 'r') this.socket.say(a(this.h))
    else if (element.name === 'a' || element.name === 'resumed') this.#acknowledged(Number(element.attribute('h')))
    else if (element.name !== 'close') throw new Error(`unexpected: ${text}`)
  }

  #acknowledged(h: number): void {
    this.unacknowledged = this.unacknowledged.slice((h - this.handled + 2 ** 32) % 2 ** 32)
    this.handled = h
  }
}

/** As a session that goes to another node: what is not acknowledged goes along, under new numbers. */
function moveSession(rig: WsRig, session: Session, visitor: ResumeVisitor): { readonly session: Session; readonly resumed: Resumed } {
  const { management } = session.xmpp ?? {}
  const at = management?.frameOf(visitor.handled)
  if (management === undefined || at === undefined) throw new Error('it can not be resumed')
  const bytes = management.encode()
  const moved = rig.newSession(at.frame)
  session.release()
  session.ack(at.frame)
  for (const outbound of session.unacknowledged()) moved.takeOver(outbound)
  session.close({ code: 'replaced', reason: 'the session goes on at another node' })
  return { session: moved, resumed: { kind: 'session', session: moved, seen: at.frame, management: bytes } }
}

async function converse(t: Test, seed: number): Promise<void> {
  const random = new Random(seed)
  const rig = new WsRig({ frameRate: { perSecond: 1e6, burst: 1e6 } })
  const first = rig.bound()
  let { session } = first
  // Some begin shortly before the counts do again.
  const offset = random.chance(0.5) ? 0 : 2 ** 32 - random.int(40)
  const { xmpp } = session
  if (xmpp !== undefined) xmpp.management = new StanzaCounts('id', session.lastFrame, offset, offset, offset)
  const client = new Client(first.socket, offset % 2 ** 32)
  const told: string[] = []
  rig.resume = (visitor) => {
    if (random.chance(0.3)) {
      const moved = moveSession(rig, session, visitor)
      session = moved.session
      return Promise.resolve(moved.resumed)
    }
    const at = session.xmpp?.management?.frameOf(visitor.handled)
    if (at === undefined) throw new Error(`seed ${seed}: ${visitor.handled} was never sent`)
    return Promise.resolve({ kind: 'session', session, seen: at.frame, management: undefined })
  }
  const resumeIt = async (): Promise<void> => {
    const { socket } = rig.authenticated()
    client.connect(socket)
    socket.say(`<resume xmlns='${SM}' previd='x' h='${client.h}'/>`)
    await ticks()
    client.read(1)
    for (const id of client.unacknowledged) socket.say(message(id))
  }
  for (let step = 0; step < 150; step++) {
    const { socket } = client
    const isUp = !socket.gone
    switch (random.int(8)) {
      case 0:
      case 1:
        for (let i = random.int(12); i > 0; i--) {
          told.push(`s${told.length + 1}`)
          rig.tell(session, `s${told.length}`)
        }
        break
      case 2:
      case 3: {
        const id = `c${client.said.length + 1}`
        client.say(id)
        // Written or not, it is lost with the connection.
        if (isUp && random.chance(0.9)) socket.say(message(id))
        else socket.leave()
        break
      }
      case 4:
        if (isUp) client.read(random.int(20))
        break
      case 5:
        if (isUp) socket.say(random.chance(0.5) ? R : a(client.h))
        break
      case 6:
        if (isUp && random.chance(0.3)) socket.answer = 'full'
        else if (isUp) socket.drain()
        break
      case 7:
        // Half of the time the server has not noticed that the connection is gone.
        if (random.chance(0.5)) socket.leave()
        await resumeIt()
        break
    }
  }
  await resumeIt()
  client.socket.say(R)
  client.read(Number.POSITIVE_INFINITY)
  const taken = rig.streams.flatMap(({ stanzas }) => stanzas)
  t.same(client.got, told, `seed ${seed}: what the client counted is what there was`)
  t.same(taken, client.said, `seed ${seed}: what was taken is what the client said`)
  t.same(client.unacknowledged, [], `seed ${seed}: and it knows`)
  client.socket.say(a(client.h))
  t.equal(session.base, session.lastFrame, `seed ${seed}: nothing is left`)
}

t.test('whatever breaks, everything is counted once and in order', async (t) => {
  const start = Number(process.env.SEED ?? 1)
  for (let seed = start; seed < start + 100; seed++) await converse(t, seed)
})
