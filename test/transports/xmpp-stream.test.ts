// An XMPP stream from its header to its session, with a worker and a wire that do what the test says.

import t, { type Test } from 'tap'
import type { Carrier } from '../../gateway/carrier.js'
import type { CloseReason } from '../../gateway/close-reason.js'
import { v1 } from '../../proto/messages.js'
import { Element } from '../../proto/xml/element.js'
import { CLIENT_NS, CSI_NS } from '../../proto/xml/namespaces.js'
import { parseXml } from '../../proto/xml/parse.js'
import { XmppStream } from '../../transports/xmpp/stream.js'
import type { StreamEnd, StreamWire } from '../../transports/xmpp/wire.js'
import { Client, Rig, type RigNode } from '../support/gateway-rig.js'

const HEADER = { to: 'localhost', from: '', language: 'de' }
const PING = new Element(CLIENT_NS, 'iq', { type: 'get', id: 'p' }, [new Element('urn:xmpp:ping', 'ping')])

class Wire implements StreamWire {
  readonly transport = 'xmpp-websocket'
  readonly ip = '192.0.2.1'
  readonly secure = true
  readonly sent: string[] = []
  readonly ends: StreamEnd[] = []
  readonly client = new Client('xmpp-websocket')

  send(elements: readonly string[]): void {
    this.sent.push(...elements)
  }
  end(end: StreamEnd): void {
    this.ends.push(end)
  }
  bound(): Carrier {
    return this.client
  }
}

interface Bench {
  readonly rig: Rig
  readonly node: RigNode
  readonly wire: Wire
  readonly stream: XmppStream
  readonly asked: v1.StreamRequest[]
  readonly refused: CloseReason[]
}

type Worker = (request: v1.StreamRequest) => Promise<v1.StreamReply.$Properties> | v1.StreamReply.$Properties

async function bench(t: Test, worker: Worker | undefined, options: { authTimeoutMs?: number; c2sTimeoutMs?: number } = {}): Promise<Bench> {
  const rig = await Rig.start(t)
  const node = await rig.node({ limits: { maxSessionsPerUser: 1 } })
  const asked: v1.StreamRequest[] = []
  if (worker !== undefined) {
    await rig.bus.serve(
      'c2s.xmpp',
      async (data) => {
        const request = v1.StreamRequest.decode(data)
        asked.push(request)
        return v1.StreamReply.encode(await worker(request)).finish()
      },
      'c2s',
    )
  }
  const wire = new Wire()
  const refused: CloseReason[] = []
  const stream = new XmppStream(
    {
      bus: node.bus,
      streamDoor: node.streamDoor,
      anyTopic: true,
      frameRate: { perSecond: 10, burst: 20 },
      authTimeoutMs: options.authTimeoutMs ?? 5000,
      waits: () => () => undefined,
      c2sTimeoutMs: options.c2sTimeoutMs ?? 1000,
      refused: (_transport, reason) => refused.push(reason),
      onError: (error) => node.errors.push(error),
    },
    wire,
  )
  t.teardown(() => stream.abandon())
  return { rig, node, wire, stream, asked, refused }
}

function xml(text: string): Uint8Array {
  return Buffer.from(text)
}

/** Answers a header with features, anything else by binding. */
const binds: Worker = (request) =>
  request.open != null
    ? { elements: [xml('<features/>')], context: xml('c1'), user: 'alice' }
    : {
        context: xml('c2'),
        user: 'alice',
        bound: { resource: 'home', result: xml("<iq id='bind'/>"), failure: xml('<failed/>'), anyTopic: true },
      }

t.test('what is said before there is a session is negotiated one after the other, with the context of the answer before', async (t) => {
  let number = 0
  const { wire, stream, asked } = await bench(t, async () => {
    number++
    await new Promise((resolve) => setTimeout(resolve, 5))
    return { elements: [xml(`<e${number}/>`)], context: xml(`after ${number}`) }
  })
  stream.open(HEADER)
  stream.receive(new Element('u:sasl', 'auth', {}, ['x&y']), 'id1')
  stream.receive(new Element('u:sasl', 'response'), 'id2')
  await stream.idle()
  t.same(wire.sent, ['<e1/>', '<e2/>', '<e3/>'])
  t.same(
    asked.map(({ context }) => Buffer.from(context).toString()),
    ['', 'after 1', 'after 2'],
  )
  t.match(asked[0], { ip: '192.0.2.1', open: { to: 'localhost', language: 'de', transport: 'xmpp-websocket', secure: true } })
  t.equal(Buffer.from(asked[1]?.element ?? []).toString(), "<auth xmlns='u:sasl'>x&amp;y</auth>")
  t.equal(stream.user, undefined)
})

t.test('binding opens a session: the answer is its first frame, and stanzas go up through it', async (t) => {
  const { rig, wire, stream } = await bench(t, binds)
  const heard: v1.ClientFrame[] = []
  await rig.bus.serve('c2s.w.worker01', async (data) => {
    const { frames } = v1.Uplink.decode(data)
    heard.push(...(frames as v1.ClientFrame[]))
    return v1.UplinkReply.encode({ replies: frames.map(() => ({ ok: true })), stanzas: [xml("<iq id='pong'/>")] }).finish()
  })
  await rig.bus.serve('c2s.open', async (data) => {
    t.match(v1.OpenSession.decode(data), { user: 'alice', device: 'home', xmpp: { resource: 'home', language: 'de' } })
    return v1.OpenedSession.encode({ worker: 'c2s.w.worker01', context: xml('x'), xmpp: { carbons: true } }).finish()
  })
  stream.open(HEADER)
  stream.receive(new Element('u:bind', 'iq'), 'sid:1:0')
  stream.receive(PING, 'sid:1:1')
  await stream.idle()
  await new Promise((resolve) => setImmediate(resolve))
  t.equal(stream.user, 'alice')
  t.same(wire.sent, ['<features/>'])
  t.same(
    wire.client.got.map(({ outbound }) => Buffer.from(outbound.xml ?? []).toString()),
    ["<iq id='bind'/>", "<iq id='pong'/>"],
  )
  t.equal(heard[0]?.stanza?.id, 'sid:1:1')
  t.equal(parseXml(Buffer.from(heard[0]?.stanza?.xml ?? [])).attribute('id'), 'p')
  t.equal(stream.session?.xmpp?.shown.carbons, true)
  stream.close()
  t.match(stream.session?.closeReason, { code: 'done' })
})

t.test('with a session anything but a stanza ends it', async (t) => {
  const cases: [Element, string][] = [
    [new Element('u:x', 'message'), 'invalid-namespace'],
    [new Element(CLIENT_NS, 'letter'), 'unsupported-stanza-type'],
    [new Element(CSI_NS, 'sleepy'), 'unsupported-stanza-type'],
  ]
  for (const [element, streamError] of cases) {
    const { stream } = await bench(t, binds)
    stream.open(HEADER)
    stream.receive(PING, '1')
    await stream.idle()
    stream.receive(new Element(CSI_NS, 'inactive'), '2')
    t.equal(stream.session?.closeReason, undefined, 'client state is no stanza, and allowed')
    stream.receive(element, '3')
    t.match(stream.session?.closeReason, { code: 'malformed', streamError })
  }
})

t.test('more than may be sent in a second ends the session', async (t) => {
  const { stream } = await bench(t, binds)
  stream.open(HEADER)
  stream.receive(PING, '1')
  await stream.idle()
  for (let i = 0; i < 20; i++) stream.receive(PING, `a${i}`)
  t.equal(stream.session?.closeReason, undefined)
  stream.receive(PING, 'one too many')
  t.match(stream.session?.closeReason, { code: 'rate_limited', streamError: 'policy-violation' })
})

t.test('a stanza that nobody takes is answered by an error, and a result is not', async (t) => {
  const { wire, stream } = await bench(t, binds)
  stream.open(HEADER)
  stream.receive(PING, '1')
  await stream.idle()
  stream.receive(PING, '2')
  stream.receive(new Element(CLIENT_NS, 'iq', { type: 'result', id: 'r' }), '3')
  await stream.idle()
  await new Promise((resolve) => setImmediate(resolve))
  const [, error, ...more] = wire.client.got.map(({ outbound }) => Buffer.from(outbound.xml ?? []).toString())
  t.match(error, /<iq xmlns='jabber:client' type='error' id='p'.*<error type='wait'><internal-server-error/)
  t.same(more, [])
})

t.test('a user who may have no more sessions is told so, and may try again', async (t) => {
  const { node, wire, stream, refused } = await bench(t, binds)
  await node.join({ user: 'alice', device: 'other' })
  stream.open(HEADER)
  stream.receive(PING, '1')
  await stream.idle()
  t.same(wire.sent, ['<features/>', '<failed/>'])
  t.match(refused, [{ code: 'rate_limited' }])
  t.equal(stream.session, undefined)
})

t.test('a stream error of the worker comes after its elements; nothing follows', async (t) => {
  const { wire, stream, asked } = await bench(t, () => ({
    elements: [xml('<failure/>')],
    streamError: 'policy-violation',
    errorText: 'too often',
  }))
  stream.open(HEADER)
  stream.receive(PING, '1')
  await stream.idle()
  t.same(wire.sent, ['<failure/>'])
  t.match(wire.ends, [{ condition: 'policy-violation', reason: { code: 'rate_limited', reason: 'too often' } }])
  stream.receive(PING, '2')
  await stream.idle()
  t.equal(asked.length, 1)
  t.equal(wire.ends.length, 1)
})

t.test('no worker: the stream ends when its time is over', async (t) => {
  const { wire, stream } = await bench(t, undefined, { c2sTimeoutMs: 150 })
  stream.open(HEADER)
  await stream.idle()
  t.match(wire.ends, [{ condition: 'internal-server-error', reason: { code: 'bus_unavailable' } }])
})

t.test('who does not log in in time is cut off', async (t) => {
  const { wire, stream } = await bench(t, () => ({ elements: [] }), { authTimeoutMs: 30 })
  stream.open(HEADER)
  await new Promise((resolve) => setTimeout(resolve, 60))
  t.match(wire.ends, [{ condition: 'policy-violation', reason: { code: 'unauthorized' } }])
})

t.test('32 elements may wait, not 33', async (t) => {
  for (const [count, ends] of [
    [32, 0],
    [33, 1],
  ] as const) {
    const { wire, stream } = await bench(t, () => ({ elements: [] }))
    for (let i = 0; i < count; i++) stream.receive(PING, `${i}`)
    t.equal(wire.ends.length, ends)
  }
})

t.test('a client that leaves while it binds leaves no session', async (t) => {
  const { node, stream, wire } = await bench(t, binds)
  stream.open(HEADER)
  stream.receive(PING, '1')
  stream.abandon()
  await stream.idle()
  t.equal(node.hub.sessions.size, 0)
  t.same(wire.sent, [])
})
