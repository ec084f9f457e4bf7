// BOSH from outside: what a client posts and what it gets, with a clock that stands. Sections are those of XEP-0124.

import { deflateRawSync, deflateSync, gzipSync } from 'node:zlib'
import t from 'tap'
import { STREAM_ERRORS_NS, STREAMS_NS } from '../../proto/xml/namespaces.js'
import { BoshClient, BoshRig, bodyText, FEATURES, keySequence, message, type TestAsker, ticks } from '../support/bosh-rig.js'

const BOUND = async (options: ConstructorParameters<typeof BoshRig>[0] = {}, attributes: Record<string, string | number> = {}) => {
  const rig = new BoshRig(options)
  const client = await BoshClient.begin(rig, attributes)
  return { rig, client, stream: rig.stream }
}

t.test('§7 creation', async (t) => {
  t.test('the response says what was agreed, with the features', async (t) => {
    const rig = new BoshRig()
    const client = new BoshClient(rig)
    const created = client.create({ ver: '1.6', wait: 20, hold: 1, ack: 1, from: 'alice@localhost', route: 'xmpp:localhost:5222' })
    t.equal(created.outcome, 'held', 'until the features are there')
    rig.stream.wire.send([FEATURES])
    const { answer, body } = created
    t.equal(answer.status, 200)
    t.equal(answer.contentType, 'text/xml; charset=utf-8')
    const expected = {
      wait: '20',
      hold: '1',
      requests: '2',
      inactivity: '30',
      polling: '2',
      maxpause: '120',
      ver: '1.6',
      from: 'localhost',
      accept: 'gzip,deflate',
      charsets: 'UTF-8',
      ack: String(client.rid),
      '{urn:xmpp:xbosh}version': '1.0',
      '{urn:xmpp:xbosh}restartlogic': 'true',
    }
    for (const [name, value] of Object.entries(expected)) t.equal(body.attribute(name), value, name)
    t.match(body.attribute('sid'), /^node\.1\./)
    t.match(body.attribute('stream'), /^[\w-]{16}$/)
    t.match(created.text, /^<body [^>]*xmlns:stream=/)
    t.strictSame(rig.stream.headers, [{ to: 'localhost', from: 'alice@localhost', language: 'en' }])
  })

  t.test('never more than was asked for, never more than is offered', async (t) => {
    for (const [asked, got] of [
      [
        { wait: 600, hold: 9, ver: '1.11' },
        { wait: '60', hold: '2', requests: '10', ver: '1.11' },
      ],
      [
        { wait: 5, hold: 2, ver: '9.2' },
        { wait: '5', hold: '2', requests: '3', ver: '1.11' },
      ],
      [
        { wait: 5, hold: 0, ver: '1.12' },
        { wait: '5', hold: '0', requests: '2', ver: '1.11', inactivity: '40' },
      ],
      [
        { wait: 0, hold: 1, ver: '0.99' },
        { wait: '0', hold: '0', requests: '2', ver: '0.99', inactivity: '40' },
      ],
      [
        { wait: undefined, hold: undefined, ver: undefined },
        { wait: '60', hold: '1', requests: '2', ver: '1.11' },
      ],
      [{ hold: 300 }, { hold: '2', requests: '255' }],
    ] as const) {
      const rig = new BoshRig()
      const created = new BoshClient(rig).create(asked)
      rig.stream.wire.send([FEATURES])
      for (const [name, value] of Object.entries(got)) t.equal(created.attribute(name), value, `${name} of ${JSON.stringify(asked)}`)
    }
  })

  t.test('without features it is answered all the same, after a while or when there will be none', async (t) => {
    const rig = new BoshRig()
    rig.whenOpened = (stream) => stream.busy()
    const created = new BoshClient(rig).create()
    rig.clock.advance(1900)
    t.equal(created.outcome, 'held')
    rig.clock.advance(200)
    t.equal(created.outcome, 'empty')
    t.not(created.attribute('sid'), '')
    const other = new BoshClient(rig).create()
    await ticks()
    t.equal(other.outcome, 'held')
    await rig.streams[1]?.rest()
    t.equal(other.outcome, 'empty')
  })

  t.test('what can not be is told by its condition', async (t) => {
    const rig = new BoshRig()
    for (const [attributes, condition] of [
      [{ to: 'elsewhere.example' }, 'host-unknown'],
      [{ to: '' }, 'improper-addressing'],
      [{ to: undefined }, 'improper-addressing'],
      [{ to: undefined, route: 'xmpp:other.example:5222' }, 'host-unknown'],
      [{ rid: '0' }, 'bad-request'],
      [{ rid: 'abc' }, 'bad-request'],
      [{ rid: '-5' }, 'bad-request'],
      [{ rid: '9007199254740992' }, 'bad-request'],
      [{ rid: undefined }, 'bad-request'],
      [{ wait: 'long' }, 'bad-request'],
      [{ hold: '-1' }, 'bad-request'],
      [{ ver: 'new' }, 'bad-request'],
      [{ content: 'text/html&#13;&#10;Set-Cookie: a=b' }, 'bad-request'],
      [{ content: 'nonsense' }, 'bad-request'],
    ] as const) {
      const all = { rid: 5, to: 'localhost', ver: '1.6', ...attributes }
      const asker = rig.post(bodyText(all))
      t.equal(asker.outcome, `terminate:${condition}`, JSON.stringify(attributes))
      t.equal(asker.answer.status, 200)
      t.equal(asker.attribute('sid'), '')
    }
    t.equal(rig.sessions.size, 0)
    t.equal(rig.streams.length, 0)
    const toRoute = rig.post(bodyText({ rid: 5, route: 'xmpp:localhost:5222', ver: '1.6' }))
    await ticks()
    t.not(toRoute.attribute('sid'), '', 'the host of a route will do')
  })

  t.test('see-other-uri, a full node, a node that goes away', async (t) => {
    const uri = 'https://xmpp.example/http-bind?a=1&b=2'
    const asked = new BoshClient(new BoshRig({ seeOtherUri: uri })).create()
    t.equal(asked.outcome, 'terminate:see-other-uri')
    t.equal(asked.body.elements[0]?.name, 'uri')
    t.equal(asked.body.elements[0]?.ns, 'http://jabber.org/protocol/httpbind')
    t.equal(asked.body.elements[0]?.text, uri)

    const full = new BoshRig({ limits: { sessions: 1 } })
    new BoshClient(full).create()
    t.equal(new BoshClient(full).create().outcome, 'terminate:internal-server-error')

    const leaving = new BoshRig()
    leaving.refusal = { code: 'draining', reason: 'this node goes away', retryAfterMs: 1000 }
    const refused = new BoshClient(leaving).create()
    t.equal(refused.outcome, 'terminate:system-shutdown')
    t.equal(refused.answer.close, true)
  })

  t.test('the end of a session that is not named opens none', async (t) => {
    const rig = new BoshRig()
    t.equal(new BoshClient(rig).create({ type: 'terminate' }).outcome, 'terminate:bad-request')
    t.equal(rig.sessions.size, 0)
  })

  t.test('a stream that ends before the response: the response says so', async (t) => {
    for (const [condition, code, expected] of [
      ['host-gone', 'not_found', 'host-gone'],
      ['remote-connection-failed', 'bus_unavailable', 'internal-server-error'],
      ['undefined-condition', 'malformed', 'remote-stream-error'],
      ['', 'internal', 'internal-server-error'],
    ] as const) {
      const rig = new BoshRig()
      rig.whenOpened = ({ wire }) => wire.end({ condition, reason: { code, reason: 'it can not be' } })
      const created = new BoshClient(rig).create()
      t.equal(created.outcome, `terminate:${expected}`)
      t.equal(created.attribute('sid'), '')
      t.equal(rig.sessions.size, 0)
    }
  })

  t.test('the content type asked for is that of every response', async (t) => {
    const { client } = await BOUND({}, { content: 'text/plain; charset=utf-8' })
    const first = client.send()
    const second = client.send()
    t.equal(first.answer.contentType, 'text/plain; charset=utf-8')
    client.sendAs(5)
    t.equal(second.answer.contentType, 'text/plain; charset=utf-8')
    t.match(second.outcome, /terminate/)
  })
})

t.test('§6 what comes is XML in one <body/>, or bad-request', async (t) => {
  const rig = new BoshRig({ maxBodyBytes: 2000 })
  const ns = `xmlns='http://jabber.org/protocol/httpbind'`
  for (const body of [
    '',
    'nonsense',
    '<body',
    `<body ${ns} rid='1' to='localhost'/><body ${ns} rid='2'/>`,
    `<body ${ns} rid='1' to='localhost'><message></body>`,
    `<!DOCTYPE body [<!ENTITY a 'b'>]><body ${ns} rid='1' to='localhost'/>`,
    `<body ${ns} rid='1' to='localhost'><!-- no --></body>`,
    `<body ${ns} rid='1' to='localhost'><?no no?></body>`,
    `<body ${ns} rid='1' to='localhost'>&nbsp;</body>`,
    `<body ${ns} rid='1' to='localhost' ver='1.6'>text</body>`,
    `<body ${ns} rid='1' to='localhost'><x:message/></body>`,
    `<body rid='1' to='localhost'/>`,
    `<body xmlns='jabber:client' rid='1' to='localhost'/>`,
    `<presence ${ns} rid='1' to='localhost'/>`,
    Buffer.from([0x3c, 0xff, 0xfe]),
    null,
  ]) {
    const asker = rig.post(body)
    t.equal(asker.outcome, 'terminate:bad-request', String(body))
    t.equal(asker.answer.status, 200)
  }
  t.equal(rig.sessions.size, 0)

  t.test('prefixes, white space, an XML declaration and undeclared namespaces of stanzas are fine', async (t) => {
    const { rig, client, stream } = await BOUND()
    const sid = client.sid
    const rid = client.rid
    const text = `<?xml version='1.0'?>\n<b:body xmlns:b='http://jabber.org/protocol/httpbind' xmlns:c='jabber:client' rid='${rid + 1}' sid='${sid}'>
      <c:message id='1'><c:body>hi</c:body></c:message>\n</b:body>`
    rig.post(text)
    rig.post(`<body ${ns} rid='${rid + 2}' sid='${sid}'><message id='2'><body>ho</body><x xmlns='other'/></message></body>`)
    t.strictSame(
      stream.received.map(({ ns, name }) => [ns, name]),
      [
        ['jabber:client', 'message'],
        ['jabber:client', 'message'],
      ],
    )
    for (const stanza of stream.received) t.equal(stanza.elements[0]?.ns, 'jabber:client')
    t.equal(stream.received[1]?.elements[1]?.ns, 'other')
  })

  t.test('what names a session and is none of its requests ends the session', async (t) => {
    const { rig, client } = await BOUND()
    const held = client.send()
    const bad = rig.post(bodyText({ sid: client.sid }))
    t.equal(bad.outcome, 'terminate:bad-request')
    t.equal(held.outcome, 'terminate:other-request')
    t.equal(rig.sessions.size, 0)
    t.equal(client.send().outcome, 'held', 'nobody is asked yet')
    await ticks()
    const other = client.send()
    await ticks()
    t.equal(other.outcome, 'terminate:item-not-found')
  })
})

t.test('§7.2 compressed requests, as offered', async (t) => {
  const { rig, client, stream } = await BOUND({ maxBodyBytes: 4000 })
  const text = () => Buffer.from(bodyText({ rid: ++client.rid, sid: client.sid }, message('x')))
  rig.post(gzipSync(text()), { encoding: 'gzip' })
  rig.post(deflateSync(text()), { encoding: 'deflate' })
  rig.post(deflateRawSync(text()), { encoding: 'deflate' })
  rig.post(text(), { encoding: 'identity' })
  t.equal(stream.received.length, 4)
  for (const [body, encoding] of [
    [gzipSync(Buffer.alloc(50_000_000, ' ')), 'gzip'],
    [deflateSync(Buffer.alloc(50_000_000, ' ')), 'deflate'],
    [Buffer.from('nonsense'), 'gzip'],
    [gzipSync(text()).subarray(0, 30), 'gzip'],
    [Buffer.from('nonsense'), 'br'],
    [Buffer.alloc(0), 'gzip'],
  ] as const)
    t.equal(rig.post(body, { encoding }).outcome, 'terminate:bad-request', encoding)
})

t.test('§8 sending and receiving', async (t) => {
  t.test('a held request gets what comes, one after the other, each with the end of a tick', async (t) => {
    const { client, stream, rig } = await BOUND()
    const first = client.send()
    t.equal(first.outcome, 'held')
    stream.session?.tell(Buffer.from(message('a')))
    stream.session?.tell(Buffer.from(message('b')))
    rig.endOfTick()
    t.strictSame(first.payloads, ['a', 'b'])
    stream.tell('c')
    stream.tell('d')
    t.strictSame(client.send().payloads, ['c', 'd'], 'what came meanwhile goes with the next')
    t.equal(client.send().outcome, 'held')
  })

  t.test('a request beyond `hold` releases the oldest', async (t) => {
    const { client, stream } = await BOUND({}, { hold: 2 })
    const [a, b] = [client.send(), client.send()]
    t.strictSame([a.outcome, b.outcome], ['held', 'held'])
    const c = client.send()
    t.strictSame([a.outcome, b.outcome, c.outcome], ['empty', 'held', 'held'])
    stream.tell('1')
    t.strictSame([b.payloads, c.outcome], [['1'], 'held'], 'the oldest first')
    stream.tell('2')
    t.strictSame(c.payloads, ['2'])
  })

  t.test('a client that has spoken over its second connection soon gets the first one back', async (t) => {
    const { client, rig } = await BOUND({}, { hold: 2 })
    const poll = client.send()
    const spoken = client.send({}, message('x'))
    rig.clock.advance(100)
    t.strictSame([poll.outcome, spoken.outcome], ['held', 'held'])
    rig.clock.advance(200)
    t.strictSame([poll.outcome, spoken.outcome], ['empty', 'held'])

    const third = client.send()
    const fourth = client.send({}, message('y'))
    t.strictSame([spoken.outcome, third.outcome, fourth.outcome], ['empty', 'held', 'held'])
    rig.clock.advance(300)
    t.strictSame([third.outcome, fourth.outcome], ['held', 'held'], 'unless it has been seen to have a third one')
  })

  t.test('an answer that is there at once goes with the oldest request, and several together', async (t) => {
    const { client, stream } = await BOUND()
    const poll = client.send()
    stream.whenReceived = (element) => stream.session?.tell(Buffer.from(message(`re-${element.attribute('id')}`)))
    const asked = client.send({}, message('1') + message('2'))
    t.strictSame(poll.payloads, ['re-1', 're-2'])
    t.equal(asked.outcome, 'held')
  })

  t.test('after `wait` the answer is empty, and not later', async (t) => {
    const { client, rig } = await BOUND({}, { wait: 1 })
    const poll = client.send()
    rig.clock.advance(700)
    t.equal(poll.outcome, 'held')
    rig.clock.advance(300)
    t.equal(poll.outcome, 'empty')
    t.equal(poll.text, "<body xmlns='http://jabber.org/protocol/httpbind'/>")
  })

  t.test('a client that has gone gets nothing; what comes waits for its next request', async (t) => {
    const { client, stream } = await BOUND()
    const gone = client.send()
    gone.leave()
    stream.tell('a')
    t.strictSame(client.send().payloads, ['a'])
    const unnoticed = client.send()
    unnoticed.gone = true
    stream.tell('b')
    t.strictSame(client.send().payloads, ['b'])
    t.equal(gone.held && unnoticed.held, true)
  })

  t.test('with two held, the one whose client has gone is passed over', async (t) => {
    const { client, stream } = await BOUND({}, { hold: 2 })
    const [a, b] = [client.send(), client.send()]
    a.leave()
    stream.tell('1')
    t.strictSame(b.payloads, ['1'])
    t.equal(client.sendAs(client.rid - 1).outcome, 'empty', 'asked again it has an answer')
  })

  t.test('requests whose clients vanish one after the other do not pile up', async (t) => {
    const { client, stream } = await BOUND()
    for (let i = 0; i < 100; i++) client.send().leave()
    stream.tell('a')
    t.strictSame(client.sendAs(client.rid).payloads, ['a'])
    t.equal(client.sendAs(client.rid - 50).outcome, 'terminate:item-not-found')
  })
})

t.test('§9 acknowledgements', async (t) => {
  t.test('of requests, when they are more than the one answered', async (t) => {
    const { client, stream } = await BOUND({}, { ack: 1, hold: 2 })
    const a = client.send({ ack: client.rid })
    const b = client.send({ ack: client.rid - 1 })
    stream.tell('1')
    t.equal(a.attribute('ack'), String(client.rid))
    stream.tell('2')
    t.equal(b.body.attributes.has('ack'), false, 'not its own rid')
  })

  t.test('not of requests that came before their turn', async (t) => {
    const { client, stream } = await BOUND({}, { ack: 1 })
    const a = client.send()
    client.sendAs(client.rid + 2)
    stream.tell('1')
    t.equal(a.body.attributes.has('ack'), false)
  })

  t.test('whether the client acknowledges or not', async (t) => {
    const { client } = await BOUND()
    const a = client.send()
    client.send()
    t.equal(a.attribute('ack'), String(client.rid))
  })

  t.test('of responses: frames count as received as far as the client says', async (t) => {
    const { client, stream } = await BOUND({}, { ack: 1 })
    const session = stream.session
    const a = client.send()
    stream.tell('1')
    t.equal(a.outcome, 'payload')
    t.equal(session?.base, 0)
    client.send({ ack: client.rid - 1 })
    t.equal(session?.base, 0, 'it says it has not got that one')
    client.send({ ack: client.rid - 1 })
    t.equal(session?.base, 1)
  })

  t.test('a client without `ack` has everything, unless something was not even answered', async (t) => {
    const { client, stream } = await BOUND({}, { ack: 1 })
    client.send()
    stream.tell('1')
    client.send()
    t.equal(stream.session?.base, 1)
    stream.tell('2')
    client.send()
    client.send()
    t.equal(stream.session?.base, 2)
  })

  t.test('without acknowledgements the number of open requests says it', async (t) => {
    const { client, stream } = await BOUND()
    client.send()
    stream.tell('1')
    client.send()
    t.equal(stream.session?.base, 0)
    client.send()
    t.equal(stream.session?.base, 1)
  })

  t.test('a response that is missing is reported at once, with its age', async (t) => {
    const { client, stream, rig } = await BOUND({}, { ack: 1 })
    const lost = client.send()
    const before = client.rid - 1
    stream.tell('1')
    t.equal(lost.outcome, 'payload')
    rig.clock.advance(852)
    const next = client.send({ ack: before })
    t.equal(next.outcome, 'empty')
    t.equal(next.attribute('report'), String(before + 1))
    t.equal(next.attribute('time'), '852')
    t.strictSame(client.sendAs(before + 1).payloads, ['1'], 'and can be had')
    const after = client.send()
    t.equal(after.outcome, 'held', 'once')
  })

  t.test('responses are kept as long as they are not acknowledged', async (t) => {
    const { client, stream } = await BOUND({}, { ack: 1 })
    const acked = client.rid
    client.send()
    for (let i = 0; i < 6; i++) {
      stream.tell(`m${i}`)
      client.send({ ack: acked })
    }
    t.strictSame(client.sendAs(acked + 1).payloads, ['m0'])
  })

  t.test('an `ack` of a client that did not announce any means nothing', async (t) => {
    const { client, stream } = await BOUND()
    client.send()
    stream.tell('1')
    const next = client.send({ ack: 1 })
    t.equal(next.outcome, 'held')
    t.equal(client.send({ ack: 'x' }).outcome, 'terminate:bad-request')
  })
})

t.test('§10 inactivity', async (t) => {
  t.test('a client that does not come ends, without a word, and what it did not get stays', async (t) => {
    const { client, stream, rig } = await BOUND()
    const poll = client.send()
    stream.tell('a')
    t.equal(poll.outcome, 'payload')
    stream.tell('b')
    rig.clock.advance(29_900)
    t.equal(rig.sessions.size, 1)
    rig.clock.advance(300)
    t.equal(rig.sessions.size, 0)
    t.match(rig.closes, [{ code: 'unknown_session', cause: 'expired' }])
    t.match(rig.ended, [{ cause: 'expired' }])
    t.equal(stream.session?.base, 0, 'nothing was acknowledged')
    const late = client.send()
    await ticks()
    t.equal(late.outcome, 'terminate:item-not-found')
  })

  t.test('not while a request is held; from when its client has gone', async (t) => {
    const { client, rig } = await BOUND()
    const poll = client.send()
    rig.clock.advance(59_000)
    t.equal(poll.outcome, 'held')
    poll.leave()
    rig.clock.advance(29_000)
    t.equal(rig.sessions.size, 1)
    rig.clock.advance(1200)
    t.equal(rig.sessions.size, 0)
  })

  t.test('before there is a session too', async (t) => {
    const rig = new BoshRig()
    new BoshClient(rig).create()
    await ticks()
    rig.clock.advance(31_000)
    t.equal(rig.sessions.size, 0)
    t.strictSame(rig.stream.ends, ['abandoned'])
  })

  t.test('a pause is answered at once, with all that is held, without payloads, and lasts', async (t) => {
    const { client, stream, rig } = await BOUND({}, { hold: 2 })
    const [a, b] = [client.send(), client.send()]
    const pause = client.send({ pause: 100 }, message('going'))
    t.strictSame([a.outcome, b.outcome, pause.outcome], ['empty', 'empty', 'empty'])
    t.equal(stream.received.length, 1, 'what it says is taken')
    stream.tell('x')
    t.equal(client.sendAs(client.rid).outcome, 'empty', 'and again, if it is asked again')
    client.send({ pause: 100 })
    rig.clock.advance(99_000)
    t.equal(rig.sessions.size, 1)
    t.strictSame(client.send().payloads, ['x'])
    rig.clock.advance(31_000)
    t.equal(rig.sessions.size, 0, 'then it is as before')
  })

  t.test('a pause may be shorter than `inactivity`, and not longer than `maxpause`', async (t) => {
    const { client, rig } = await BOUND()
    t.equal(client.send({ pause: 121 }).outcome, 'held', 'a request like any other')
    client.send({ pause: 5 })
    rig.clock.advance(5200)
    t.equal(rig.sessions.size, 0)
    const other = await BOUND({ offer: { maxPauseSeconds: 0 } })
    t.equal(other.client.send({ pause: 0 }).outcome, 'held', 'none was offered')
    t.equal(other.client.send({ pause: 'x' }).outcome, 'terminate:bad-request')
  })
})

t.test('§11 overactivity', async (t) => {
  t.test('a third request in a hold=1 session releases, and is no violation', async (t) => {
    const { client } = await BOUND()
    const polls = Array.from({ length: 6 }, () => client.send())
    t.strictSame(
      polls.map(({ outcome }) => outcome),
      ['empty', 'empty', 'empty', 'empty', 'empty', 'held'],
    )
  })

  t.test('more at once than `requests` is one', async (t) => {
    const { client } = await BOUND({}, { hold: 2 })
    const { rid } = client
    const [a, b] = [client.send(), client.send()]
    const parked = client.sendAs(rid + 4)
    t.equal(parked.outcome, 'held')
    const last = client.sendAs(rid + 5)
    t.equal(last.outcome, 'terminate:policy-violation')
    for (const other of [a, b, parked]) t.equal(other.outcome, 'terminate:other-request')
  })

  t.test('but one more may pause or end', async (t) => {
    const { client } = await BOUND({}, { hold: 2 })
    const { rid } = client
    client.send()
    client.send()
    client.sendAs(rid + 4)
    t.equal(client.sendAs(rid + 5, { type: 'terminate' }).outcome, 'held')
    const third = client.sendAs(rid + 3)
    t.match(third.outcome, /empty|terminate/)
  })
})

t.test('§12 polling sessions', async (t) => {
  for (const asked of [{ hold: 0 }, { wait: 0 }]) {
    t.test(`nothing is held with ${JSON.stringify(asked)}`, async (t) => {
      const { client, stream, rig } = await BOUND({}, asked)
      t.equal(client.send().outcome, 'empty')
      stream.tell('a')
      rig.clock.advance(2000)
      t.strictSame(client.send().payloads, ['a'])
    })
  }

  t.test('two empty polls within `polling` seconds end it', async (t) => {
    const { client, rig } = await BOUND({}, { hold: 0 })
    client.send()
    rig.clock.advance(1500)
    t.equal(client.send().outcome, 'terminate:policy-violation')
    t.match(rig.closes, [{ code: 'rate_limited' }])
  })

  t.test('not if the first got something, one of them said something, or it was only repeated', async (t) => {
    const { client, stream } = await BOUND({}, { hold: 0 })
    stream.tell('a')
    t.equal(client.send().outcome, 'payload')
    t.equal(client.send().outcome, 'empty')
    t.equal(client.sendAs(client.rid).outcome, 'empty')
    client.send({}, message('x'))
    t.equal(client.send().outcome, 'empty')
    client.send({ 'xmpp:restart': 'true', to: 'localhost' })
    t.equal(client.send().outcome, 'empty')
  })

  t.test('a request that says something waits for the answer, a little', async (t) => {
    const { client, stream, rig } = await BOUND({}, { hold: 0 })
    stream.busy()
    const asked = client.send({}, message('x'))
    await ticks()
    t.equal(asked.outcome, 'held')
    stream.session?.tell(Buffer.from(message('answer')))
    await stream.rest()
    t.strictSame(asked.payloads, ['answer'])
    stream.busy()
    const slow = client.send({}, message('y'))
    rig.clock.advance(400)
    t.equal(slow.outcome, 'empty')
    const quick = client.send({}, message('z'))
    const next = client.send({}, message('zz'))
    t.equal(quick.outcome, 'empty', 'not when the next one comes')
    t.equal(next.outcome, 'held')
    await stream.rest()
    t.equal(next.outcome, 'empty')
  })
})

t.test('§13 the client ends the session', async (t) => {
  t.test('what it says last is taken; the oldest connection says terminate, the others nothing', async (t) => {
    const { client, stream, rig } = await BOUND({}, { hold: 2 })
    const [a, b] = [client.send(), client.send()]
    const last = client.send({ type: 'terminate' }, `<presence xmlns='jabber:client' type='unavailable'/>`)
    t.strictSame([a.outcome, b.outcome, last.outcome], ['terminate', 'empty', 'empty'])
    t.strictSame(
      stream.received.map(({ name }) => name),
      ['presence'],
    )
    t.strictSame(stream.ends, ['closed'])
    t.match(rig.closes, [{ code: 'done' }])
    t.equal(rig.sessions.size, 0)
  })

  t.test('alone it gets the terminate itself, and what was sent before counts as received', async (t) => {
    const { client, stream, rig } = await BOUND()
    client.send()
    stream.tell('a')
    stream.tell('b')
    const last = client.send({ type: 'terminate' })
    t.equal(last.outcome, 'terminate')
    t.equal(stream.session?.base, 1, 'not what never was in a response')
    t.equal(rig.closes.length, 1)
    const again = client.sendAs(client.rid)
    await ticks()
    t.equal(again.outcome, 'terminate:item-not-found')
  })

  t.test('before there is a session', async (t) => {
    const rig = new BoshRig()
    const client = new BoshClient(rig)
    const created = client.create()
    await ticks()
    client.sid = created.attribute('sid')
    t.equal(client.send({ type: 'terminate' }).outcome, 'terminate')
    t.strictSame(rig.stream.ends, ['closed'])
  })
})

t.test('§14 request ids', async (t) => {
  t.test('requests out of order are taken and answered in order', async (t) => {
    const { client, stream } = await BOUND()
    const { rid } = client
    const second = client.sendAs(rid + 2, {}, message('2'))
    t.equal(second.outcome, 'held')
    stream.tell('pushed')
    t.equal(second.outcome, 'held', 'nothing is pushed on one that came early')
    t.equal(stream.received.length, 0)
    const first = client.sendAs(rid + 1, {}, message('1'))
    t.strictSame(first.payloads, ['pushed'])
    t.equal(second.outcome, 'held')
    t.strictSame(
      stream.received.map((one) => one.attribute('id')),
      ['1', '2'],
    )
    t.strictSame(stream.ids, [`node.1:${rid + 1}:0`, `node.1:${rid + 2}:0`])
  })

  t.test('filling the gap takes the whole run, even by a request that yields nothing', async (t) => {
    const { client } = await BOUND({}, { hold: 4 })
    const { rid } = client
    const early = [rid + 3, rid + 2, rid + 5].map((one) => client.sendAs(one))
    const first = client.sendAs(rid + 1)
    t.strictSame(
      [...early, first].map(({ outcome }) => outcome),
      ['held', 'held', 'held', 'empty'],
    )
    const fourth = client.sendAs(rid + 4)
    t.strictSame(
      [...early, fourth].map(({ outcome }) => outcome),
      ['empty', 'empty', 'held', 'held'],
    )
  })

  t.test('one that came early and is sent again replaces its connection', async (t) => {
    const { client, stream } = await BOUND()
    const { rid } = client
    const lost = client.sendAs(rid + 2, {}, message('2'))
    const again = client.sendAs(rid + 2, {}, message('2'))
    t.strictSame([lost.outcome, again.outcome], ['error', 'held'])
    client.sendAs(rid + 1)
    t.equal(stream.received.length, 1)
    stream.tell('a')
    t.strictSame(again.payloads, ['a'])
  })

  t.test('one whose predecessor does not come is told to repeat, and is not lost if only that comes', async (t) => {
    const { client, stream, rig } = await BOUND({}, { wait: 10 })
    const { rid } = client
    const early = client.sendAs(rid + 2, {}, message('2'))
    rig.clock.advance(10_000)
    t.equal(early.outcome, 'error')
    const first = client.sendAs(rid + 1, {}, message('1'))
    t.equal(first.outcome, 'held')
    t.strictSame(
      stream.received.map((one) => one.attribute('id')),
      ['1', '2'],
    )
    const again = client.sendAs(rid + 2, {}, message('2'))
    t.strictSame([first.outcome, again.outcome], ['empty', 'held'])
    t.equal(stream.received.length, 2)
  })

  t.test('a gap that stays ends the session', async (t) => {
    const { client, rig } = await BOUND()
    const early = client.sendAs(client.rid + 2)
    rig.clock.advance(60_000)
    t.equal(early.outcome, 'error')
    rig.clock.advance(31_000)
    t.equal(rig.sessions.size, 0)
  })

  t.test('a gap is skipped in its time and not before; what was missing is taken late, once', async (t) => {
    const { client, stream, rig } = await BOUND({ limits: { gapMs: 5000 } })
    const { rid } = client
    const ids = () => stream.received.map((one) => one.attribute('id'))
    const early = client.sendAs(rid + 2, {}, message('2'))
    rig.clock.advance(4999)
    t.strictSame(ids(), [])
    rig.clock.advance(1)
    t.strictSame(ids(), ['2'])
    t.equal(early.outcome, 'held', 'as any other')
    stream.tell('pushed')
    t.strictSame(early.payloads, ['pushed'])
    const late = client.sendAs(rid + 1, {}, message('1'))
    t.strictSame(ids(), ['2', '1'])
    const again = client.sendAs(rid + 1, {}, message('1'))
    t.strictSame([late.outcome, again.outcome], ['empty', 'empty'], 'answered, and the same again')
    t.strictSame(ids(), ['2', '1'], 'once')
    client.sendAs(rid + 3, {}, message('3'))
    t.strictSame(ids(), ['2', '1', '3'])
  })

  t.test('requests behind a gap that is skipped go on in order, and the keys with them', async (t) => {
    const keys = keySequence('seed', 12)
    const key = () => keys.shift() ?? ''
    const { client, stream, rig } = await BOUND({ limits: { gapMs: 5000 } }, { hold: 4, newkey: key() })
    const { rid } = client
    const [first, second, third, fourth] = [key(), key(), key(), key()]
    client.sendAs(rid + 3, { key: third }, message('3'))
    rig.clock.advance(2000)
    client.sendAs(rid + 2, { key: second }, message('2'))
    rig.clock.advance(4999)
    t.equal(stream.received.length, 0, 'the lowest one counts')
    rig.clock.advance(1)
    client.sendAs(rid + 4, { key: fourth }, message('4'))
    client.sendAs(rid + 1, { key: first }, message('1'))
    t.strictSame(
      stream.received.map((one) => one.attribute('id')),
      ['2', '3', '4', '1'],
    )
    const other = client.sendAs(rid + 5, { key: fourth })
    t.equal(other.outcome, 'terminate:item-not-found', 'nobody else gets in')
  })

  t.test('to a client that acknowledges nothing is skipped, which would tell it that all had come', async (t) => {
    const { client, stream, rig } = await BOUND({ limits: { gapMs: 5000 } }, { ack: 1 })
    client.sendAs(client.rid + 2, {}, message('2'))
    rig.clock.advance(20_000)
    t.equal(stream.received.length, 0)
  })

  t.test('after an absence a gap is skipped at once when all that may be open is there, and what is missing is not', async (t) => {
    const skipping = { limits: { gapMs: 5000 } }
    const { client, stream, rig } = await BOUND(skipping)
    const { rid } = client
    rig.clock.advance(300)
    const ids = () => stream.received.map((one) => one.attribute('id'))
    const poll = client.sendAs(rid + 2, {}, message('2'))
    t.equal(poll.outcome, 'held')
    const next = client.sendAs(rid + 3, {}, message('3'))
    t.strictSame([poll.outcome, next.outcome], ['empty', 'held'], 'in order')
    t.strictSame(ids(), ['2', '3'])
    stream.tell('pushed')
    t.strictSame(next.payloads, ['pushed'])
    t.equal(client.sendAs(rid + 1, {}, message('1')).outcome, 'empty')
    t.strictSame(ids(), ['2', '3', '1'], 'late')

    t.test('an absence is a request that was cut off, too', async (t) => {
      const { client } = await BOUND(skipping)
      client.send().leave()
      const { rid } = client
      t.strictSame([client.sendAs(rid + 2).outcome, client.sendAs(rid + 3).outcome], ['held', 'held'])
    })

    t.test('what is skipped to may be the end', async (t) => {
      const { client, rig } = await BOUND(skipping)
      const { rid } = client
      rig.clock.advance(300)
      const end = client.sendAs(rid + 2, { type: 'terminate' })
      const after = client.sendAs(rid + 3)
      t.strictSame([end.outcome, after.outcome], ['terminate', 'terminate:item-not-found'])
    })

    t.test('else a rid outside of the window ends the session as ever', async (t) => {
      const outcomes = async (
        hold: number,
        rids: readonly number[],
        before = 0,
        options: object = skipping,
        attributes = {},
        awayMs = 300,
      ) => {
        const { client, rig } = await BOUND(options, { hold, ...attributes })
        for (let i = 0; i < before; i++) client.send()
        rig.clock.advance(awayMs)
        const { rid } = client
        return rids.map((by) => client.sendAs(rid + by).outcome).at(-1)
      }
      t.equal(await outcomes(1, [2, 4]), 'terminate:item-not-found', 'too far')
      t.equal(await outcomes(1, [2, 3], 1), 'terminate:item-not-found', 'one is held: another may be on its way')
      t.equal(await outcomes(2, [3, 4]), 'terminate:item-not-found', 'a third may be open, and may be the missing one')
      t.equal(await outcomes(2, [2, 3, 4]), 'held', 'now it is not')
      t.equal(await outcomes(1, [2, 3], 0, skipping, {}, 299), 'terminate:item-not-found', 'it was there all the time')
      t.equal(await outcomes(1, [2, 3], 0, {}), 'terminate:item-not-found', 'gaps are not skipped here')
      t.equal(await outcomes(1, [2, 3], 0, skipping, { ack: 1 }), 'terminate:item-not-found', 'nor of a client that acknowledges')
    })
  })

  t.test('too high and too low end the session, with the same words', async (t) => {
    for (const [hold, rids] of [
      [1, [3, 4, 100, 2 ** 53, -5, -1000]],
      [2, [4, 5, -5]],
    ] as const)
      for (const by of rids) {
        const { client, rig } = await BOUND({}, { hold })
        for (let i = 0; i < 8; i++) client.send()
        const held = client.sendAs(client.rid)
        const beyond = client.sendAs(by === 2 ** 53 ? by : client.rid + by)
        t.equal(beyond.outcome, 'terminate:item-not-found', `${by}`)
        t.equal(held.outcome, 'terminate:other-request')
        t.equal(rig.sessions.size, 0)
      }
  })

  t.test('rids go up to 2^53 - 1', async (t) => {
    const rig = new BoshRig()
    const client = await BoshClient.begin(rig, {}, Number.MAX_SAFE_INTEGER - 2)
    t.equal(client.send().outcome, 'held')
    const last = client.send()
    t.equal(last.outcome, 'held')
    t.equal(client.rid, 9007199254740991)
    const beyond = rig.post(bodyText({ sid: client.sid, rid: '9007199254740992' }))
    t.equal(beyond.outcome, 'terminate:item-not-found')
  })

  t.test('a repeated request gets the same bytes and is not processed again', async (t) => {
    const { client, stream } = await BOUND()
    const first = client.send({}, message('x'))
    stream.tell('a')
    const next = client.send()
    stream.tell('b')
    t.equal(client.sendAs(client.rid - 1, {}, message('x')).text, first.text)
    t.equal(client.sendAs(client.rid).text, next.text)
    t.equal(client.sendAs(client.rid - 1).text, first.text)
    t.equal(stream.received.length, 1)
    t.equal(client.sendAs(client.rid - 2).outcome, 'terminate:item-not-found', 'no more are kept than may be open')
  })

  t.test('the creation response can be had again', async (t) => {
    const { client, rig } = await BOUND()
    const again = rig.post(bodyText({ rid: client.rid, sid: client.sid }))
    t.equal(again.attribute('sid'), client.sid)
    t.strictSame(again.payloads, ['features'])
  })

  t.test('repeated while it is held: the old connection is told to repeat, the newest gets the data', async (t) => {
    const { client, stream } = await BOUND()
    const first = client.send({}, message('x'))
    const second = client.sendAs(client.rid, {}, message('x'))
    const third = client.sendAs(client.rid, {}, message('x'))
    t.strictSame([first.outcome, second.outcome, third.outcome], ['error', 'error', 'held'])
    stream.tell('a')
    t.strictSame(third.payloads, ['a'])
    t.equal(stream.received.length, 1)
  })

  t.test('a connection that broke is told nothing; the newest waits its own time', async (t) => {
    const { client, stream, rig } = await BOUND()
    const first = client.send()
    rig.clock.advance(50_000)
    first.leave()
    const second = client.sendAs(client.rid)
    rig.clock.advance(30_000)
    t.equal(second.outcome, 'held')
    stream.tell('a')
    t.strictSame(second.payloads, ['a'])
    t.equal(first.held, true)
  })

  t.test('what came while nobody was there goes with the repeat', async (t) => {
    const { client, stream } = await BOUND()
    client.send().leave()
    stream.tell('a')
    t.strictSame(client.sendAs(client.rid).payloads, ['a'])
  })

  t.test('again and again is a violation', async (t) => {
    const { client } = await BOUND()
    const outcomes = Array.from({ length: 60 }, () => client.sendAs(client.rid).outcome)
    t.equal(outcomes[40], 'payload')
    t.ok(outcomes.includes('terminate:policy-violation'))
  })

  t.test('a response too large to be kept with others is kept alone', async (t) => {
    const { client, stream } = await BOUND({ limits: { cachedBytes: 100 } })
    client.send()
    stream.tell('a')
    client.send()
    stream.tell('b')
    t.strictSame(client.sendAs(client.rid).payloads, ['b'])
    t.equal(client.sendAs(client.rid - 1).outcome, 'terminate:item-not-found')
  })

  t.test('too much in requests before their turn is a violation', async (t) => {
    const { client } = await BOUND({ limits: { parkedBytes: 300 } })
    t.equal(client.sendAs(client.rid + 2, {}, message('x'.repeat(300))).outcome, 'terminate:policy-violation')
  })
})

t.test('§15 keys', async (t) => {
  const begin = async (length: number, attributes: Record<string, string | number> = {}) => {
    const keys = keySequence('seed', length)
    const next = () => keys.shift() ?? ''
    const bound = await BOUND({}, { newkey: next(), ...attributes })
    return { ...bound, next }
  }

  t.test('each request proves to come from whom the first came from', async (t) => {
    const { client, next, stream } = await begin(10)
    for (let i = 0; i < 3; i++) t.equal(client.send({ key: next() }, message(`${i}`)).outcome, 'held')
    t.equal(stream.received.length, 3)
  })

  t.test('case does not matter', async (t) => {
    const { client, rig } = await begin(1)
    t.ok(client)
    const upper = keySequence('seed', 3)
    const other = new BoshClient(rig)
    const created = other.create({ newkey: (upper[0] ?? '').toUpperCase() })
    await ticks()
    other.sid = created.attribute('sid')
    t.equal(other.send({ key: upper[1] }).outcome, 'held')
    const repeat = other.sendAs(other.rid, { key: (upper[1] ?? '').toUpperCase() })
    t.equal(repeat.outcome, 'held')
  })

  t.test('a wrong key, or none, ends the session and is not processed', async (t) => {
    for (const key of ['0'.repeat(40), undefined, '']) {
      const { client, stream, rig } = await begin(5)
      const bad = client.send({ key }, message('x'))
      t.equal(bad.outcome, 'terminate:item-not-found')
      t.equal(stream.received.length, 0)
      t.equal(rig.sessions.size, 0)
    }
  })

  t.test('a repeat with another key gets nothing of what was answered', async (t) => {
    for (const answered of [true, false]) {
      const { client, stream, next } = await begin(5)
      const key = next()
      const held = client.send({ key })
      if (answered) stream.tell('secret')
      const stolen = client.sendAs(client.rid, { key: '0'.repeat(40) })
      t.equal(stolen.outcome, 'terminate:item-not-found')
      t.equal(held.outcome, answered ? 'payload' : 'terminate:other-request')
    }
    const { client, stream, next } = await begin(5)
    const key = next()
    const held = client.send({ key })
    stream.tell('a')
    t.equal(client.sendAs(client.rid, { key }).text, held.text, 'with the same key it does')
  })

  t.test('a new sequence follows from the last key of the old one', async (t) => {
    const { client, next } = await begin(2)
    const [first, second] = keySequence('other', 5)
    t.equal(client.send({ key: next(), newkey: first }).outcome, 'held')
    t.equal(client.send({ key: second }).outcome, 'held')
    t.equal(client.send({ key: second }).outcome, 'terminate:item-not-found')
  })

  t.test('keys of requests out of order are checked in order', async (t) => {
    const { client, next, stream } = await begin(5)
    const { rid } = client
    const [one, two] = [next(), next()]
    const second = client.sendAs(rid + 2, { key: two }, message('2'))
    t.equal(client.sendAs(rid + 2, { key: two }, message('2')).outcome, 'held')
    t.equal(second.outcome, 'error')
    client.sendAs(rid + 1, { key: one }, message('1'))
    t.equal(stream.received.length, 2)
    const other = await begin(5)
    const [a] = [other.next()]
    const forged = other.client.sendAs(other.client.rid + 2, { key: '0'.repeat(40) }, message('2'))
    const first = other.client.sendAs(other.client.rid + 1, { key: a }, message('1'))
    t.equal(forged.outcome, 'terminate:item-not-found')
    t.equal(first.outcome, 'terminate:other-request')
    t.equal(other.stream.received.length, 1)
  })
})

t.test('§16 several streams', async (t) => {
  const two = async (attributes: Record<string, string | number> = {}) => {
    const { rig, client, stream } = await BOUND({}, attributes)
    const added = client.send({ to: 'localhost', 'xml:lang': 'de' })
    const second = rig.streams[1]
    if (second === undefined) throw new Error('no second stream')
    second.wire.send([FEATURES])
    second.bind()
    return { rig, client, first: stream, second, added, name: added.attribute('stream') }
  }

  t.test('another one is opened, told by the response to that request, with its features', async (t) => {
    const { added, second, client, name } = await two()
    t.strictSame(added.payloads, ['features'])
    t.not(name, client.streamName)
    t.equal(added.attribute('from'), 'localhost')
    t.equal(added.attribute('{urn:xmpp:xbosh}version'), '1.0')
    for (const attribute of ['sid', 'requests', 'polling', 'hold', 'inactivity', 'maxpause', 'accept', 'charsets', 'ver', 'wait'])
      t.equal(added.body.attributes.has(attribute), false, attribute)
    t.strictSame(second.headers, [{ to: 'localhost', from: '', language: 'de' }])
  })

  t.test('payloads say whose they are, and never go together', async (t) => {
    const { client, first, second, name } = await two({ hold: 2 })
    first.tell('1')
    second.tell('2')
    first.tell('3')
    const [a, b] = [client.send(), client.send()]
    const got = [a, b].map((asker) => [asker.attribute('stream'), asker.payloads.join()])
    t.strictSame(
      got.sort((x, y) => (x[1] ?? '').localeCompare(y[1] ?? '')),
      [
        [client.streamName, '1,3'],
        [name, '2'],
      ],
    )
    const poll = client.send()
    client.send()
    client.send()
    t.equal(poll.body.attributes.has('stream'), false, 'empty ones do not')
  })

  t.test('no stream starves', async (t) => {
    const { client, first, second, name } = await two()
    const order: string[] = []
    for (let i = 0; i < 6; i++) {
      first.tell(`a${i}`)
      second.tell(`b${i}`)
      order.push(client.send().attribute('stream') === name ? 'b' : 'a')
    }
    t.match(order.join(''), /ab|ba/)
  })

  t.test('with `stream` they go to that one, without to all', async (t) => {
    const { client, first, second, name } = await two()
    client.send({ stream: name }, message('to-2'))
    client.send({ stream: client.streamName }, message('to-1'))
    client.send({}, message('both'))
    t.strictSame(
      first.received.map((one) => one.attribute('id')),
      ['to-1', 'both'],
    )
    t.strictSame(
      second.received.map((one) => one.attribute('id')),
      ['to-2', 'both'],
    )
    t.not(first.ids[1], second.ids[1], 'each is a stanza of its own')
    t.equal(client.send({ stream: 'nonsense' }).outcome, 'held', 'in an empty request it means nothing')
    t.equal(client.send({ stream: 'nonsense' }, message('x')).outcome, 'terminate:item-not-found')
  })

  t.test('one is closed, the other goes on', async (t) => {
    const { client, first, second, name, rig } = await two()
    const poll = client.send()
    const last = client.send({ type: 'terminate', stream: name }, `<presence xmlns='jabber:client' type='unavailable'/>`)
    t.equal(poll.outcome, 'terminate')
    t.equal(poll.attribute('stream'), name)
    t.equal(last.outcome, 'empty')
    t.strictSame(second.ends, ['closed'])
    t.equal(second.received.length, 1)
    t.equal(first.received.length, 0)
    t.equal(client.send({ stream: name }, message('late')).outcome, 'held', 'ignored: it has only just been closed')
    first.tell('x')
    t.equal(rig.sessions.size, 1)
    t.equal(client.send({ type: 'terminate', stream: client.streamName }).outcome, 'terminate')
    t.equal(rig.sessions.size, 0, 'the last one ends the session')
  })

  t.test('terminate without a name ends all, with a name that never was the session too', async (t) => {
    const { client, first, second, rig } = await two()
    client.send({ type: 'terminate' }, message('bye'))
    t.strictSame([first.ends, second.ends], [['closed'], ['closed']])
    t.strictSame([first.received.length, second.received.length], [1, 1])
    t.equal(rig.sessions.size, 0)
    const other = await two()
    t.equal(other.client.send({ type: 'terminate', stream: 'nonsense' }).outcome, 'terminate:item-not-found')
  })

  t.test('an error in one ends that one', async (t) => {
    const { client, first, second, name, rig } = await two()
    const poll = client.send()
    second.session?.close({ code: 'replaced', reason: 'a newer one' })
    t.equal(poll.outcome, 'terminate:remote-stream-error')
    t.equal(poll.attribute('stream'), name)
    t.equal(poll.body.elements[0]?.elements[0]?.name, 'conflict')
    first.tell('x')
    t.strictSame(client.send().payloads, ['x'])
    t.equal(rig.sessions.size, 1)
    first.session?.close({ code: 'closed', reason: 'by the operator' })
    const last = client.send()
    t.equal(last.outcome, 'terminate:policy-violation')
    t.equal(last.body.attributes.has('stream'), false)
    t.equal(rig.sessions.size, 0)
  })

  t.test('one that can not be opened ends alone', async (t) => {
    const { client, rig } = await BOUND({ limits: { streams: 1 } })
    const refused = client.send({ to: 'localhost' })
    t.equal(refused.outcome, 'terminate:policy-violation')
    t.not(refused.attribute('stream'), '')
    const other = await BOUND()
    const poll = other.client.send()
    const unknown = other.client.send({ to: 'elsewhere.example' })
    t.equal(poll.outcome, 'empty')
    t.equal(unknown.outcome, 'terminate:host-unknown')
    t.not(unknown.attribute('stream'), other.client.streamName)
    t.equal(other.rig.sessions.size, 1)
    t.equal(rig.sessions.size, 1)
  })

  t.test('the response that refuses one carries nothing of the others', async (t) => {
    const { client, first, name } = await two()
    first.tell('x')
    const refused = client.send({ to: 'elsewhere.example' })
    t.equal(refused.outcome, 'terminate:host-unknown')
    t.strictSame(refused.payloads, [])
    t.notOk([client.streamName, name].includes(refused.attribute('stream')))
    t.strictSame(client.send().payloads, ['x'])
  })
})

t.test('XEP-0206 §5 restarts', async (t) => {
  t.test('by any prefix, `1` or `true`; what is in it is ignored', async (t) => {
    const rig = new BoshRig()
    const client = new BoshClient(rig)
    const created = client.create()
    rig.stream.wire.send([FEATURES])
    client.sid = created.attribute('sid')
    const restart = client.send({ 'xmlns:q': 'urn:xmpp:xbosh', 'q:restart': '1', to: 'localhost', 'xml:lang': 'fr' }, message('x'))
    t.equal(restart.outcome, 'held')
    rig.stream.wire.send([FEATURES])
    t.strictSame(restart.payloads, ['features'])
    t.strictSame(rig.stream.headers.slice(1), [{ to: 'localhost', from: '', language: 'fr' }])
    t.equal(rig.stream.received.length, 0)
    client.send({ 'xmpp:restart': 'true' })
    t.equal(rig.stream.headers.length, 3)
    t.equal(rig.stream.headers[2]?.to, 'localhost')
    client.send({ 'xmpp:restart': 'false', to: undefined })
    t.equal(rig.stream.headers.length, 3)
    t.equal(rig.streams.length, 1)
  })

  t.test('to another domain: host-unknown', async (t) => {
    const { client } = await BOUND()
    t.equal(client.send({ 'xmpp:restart': 'true', to: 'elsewhere.example' }).outcome, 'terminate:host-unknown')
  })
})

t.test('§17 ends that come from the server', async (t) => {
  t.test('each reason has its condition, on every held request', async (t) => {
    for (const [reason, expected, child] of [
      [{ code: 'done' }, 'terminate', ''],
      [{ code: 'draining' }, 'terminate:system-shutdown', ''],
      [{ code: 'replaced' }, 'terminate:remote-stream-error', 'conflict'],
      [{ code: 'closed' }, 'terminate:policy-violation', ''],
      [{ code: 'token_expired' }, 'terminate:policy-violation', ''],
      [{ code: 'slow_consumer' }, 'terminate:policy-violation', ''],
      [{ code: 'internal' }, 'terminate:internal-server-error', ''],
      [{ code: 'malformed', streamError: 'invalid-xml' }, 'terminate:remote-stream-error', 'invalid-xml'],
      [{ code: 'closed', streamError: 'host-gone' }, 'terminate:host-gone', ''],
    ] as const) {
      const { client, stream } = await BOUND({}, { hold: 2 })
      const [a, b] = [client.send(), client.send()]
      stream.session?.close({ reason: 'so it is', ...reason })
      for (const asker of [a, b]) {
        t.equal(asker.outcome, expected, reason.code)
        const [error] = asker.body.elements
        t.equal(error?.elements[0]?.name ?? '', child)
        if (error === undefined) continue
        t.ok(error.is('error', STREAMS_NS))
        t.equal(error.elements[0]?.ns, STREAM_ERRORS_NS)
        t.equal(error.child('text', STREAM_ERRORS_NS)?.text, 'so it is')
      }
      t.equal(a.answer.close, reason.code === 'draining')
    }
  })

  t.test('told with the next request when none is held, once', async (t) => {
    const { client, stream, rig } = await BOUND()
    stream.session?.close({ code: 'replaced', reason: 'a newer one' })
    t.match(rig.ended, [{ code: 'replaced' }])
    t.equal(client.send().outcome, 'terminate:remote-stream-error')
    const next = client.send()
    await ticks()
    t.equal(next.outcome, 'terminate:item-not-found')
  })

  t.test('forgotten when nobody asks', async (t) => {
    const { stream, rig } = await BOUND()
    stream.session?.close({ code: 'replaced', reason: 'a newer one' })
    rig.clock.advance(31_000)
    t.equal(rig.sessions.size, 0)
  })

  t.test('what a stream said before its end goes along', async (t) => {
    const rig = new BoshRig()
    const client = new BoshClient(rig)
    const created = client.create()
    await ticks()
    client.sid = created.attribute('sid')
    const failure = `<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>`
    rig.stream.wire.send([failure])
    rig.stream.wire.end({ condition: 'policy-violation', reason: { code: 'rate_limited', reason: 'too many attempts' } })
    const last = client.send()
    t.equal(last.outcome, 'terminate:remote-stream-error')
    t.strictSame(last.payloads, ['failure', 'error'])
  })

  t.test('another carrier of its session ends it', async (t) => {
    const { client, stream } = await BOUND()
    const poll = client.send()
    stream.session?.release()
    t.equal(poll.outcome, 'terminate:remote-stream-error')
  })

  t.test('too much before there is a session ends it', async (t) => {
    const rig = new BoshRig()
    const client = new BoshClient(rig)
    const created = client.create()
    await ticks()
    client.sid = created.attribute('sid')
    for (let i = 0; i < 300; i++) rig.stream.wire.send(['<a/>'])
    t.equal(client.send().outcome, 'terminate:policy-violation')
  })

  t.test('§17.1 clients of old are told by status', async (t) => {
    const old = { ver: undefined } as unknown as Record<string, string>
    for (const [provoke, status] of [
      [(client: BoshClient) => client.sendAs(client.rid + 9), 404],
      [(client: BoshClient) => client.send({ pause: 'x' }), 400],
      [(client: BoshClient) => client.sendAs(client.rid + 2, {}, message('x'.repeat(2000))), 403],
    ] as [(client: BoshClient) => TestAsker, number][]) {
      const { client } = await BOUND({ limits: { parkedBytes: 500 } }, old)
      const { answer, outcome } = provoke(client)
      t.equal(answer.status, status)
      t.match(outcome, /^terminate:/, 'with a body all the same')
      const dead = client.send()
      await ticks()
      t.equal(dead.answer.status, 404, 'its session is remembered')
    }
    const rig = new BoshRig()
    t.equal(rig.post(bodyText({ rid: 'x', to: 'localhost' })).answer.status, 400)
    t.equal(rig.post(bodyText({ rid: 1, to: 'elsewhere' })).answer.status, 200, 'there is no status for that')
    const unknown = rig.post(bodyText({ rid: 1, sid: 'a.b.c' }))
    await ticks()
    t.equal(unknown.answer.status, 200)
    t.equal(unknown.outcome, 'terminate:item-not-found')
  })
})

t.test('§19 a session made over TLS is not reached without', async (t) => {
  const rig = new BoshRig()
  const created = rig.post(bodyText({ rid: 10, to: 'localhost', ver: '1.6', hold: 1 }), { secure: true })
  await ticks()
  const sid = created.attribute('sid')
  t.equal(rig.stream.wire.secure, true)
  const plain = rig.post(bodyText({ rid: 11, sid }))
  t.strictSame(plain.answers, ['drop'])
  t.equal(rig.post(bodyText({ rid: 11, sid }), { secure: true }).outcome, 'held', 'it lives on')
})

t.test('between nodes', async (t) => {
  t.test('a session that is elsewhere is asked for there', async (t) => {
    const rig = new BoshRig()
    const asked: string[] = []
    rig.elsewhere = async ({ sid, body, asker, origin }) => {
      asked.push(sid, body.toString(), origin.ip)
      asker.settle({ status: 200, contentType: 'text/xml', body: Buffer.from('<x/>'), close: false })
      return 'settled'
    }
    const body = bodyText({ rid: 1, sid: 'other.1.s' })
    const asker = rig.post(body)
    await ticks()
    t.strictSame(asked, ['other.1.s', body, '192.0.2.1'])
    t.equal(asker.text, '<x/>')
    rig.elsewhere = async () => Promise.reject(new Error('no'))
    const failed = rig.post(body)
    await ticks()
    t.equal(failed.outcome, 'terminate:internal-server-error')
    t.equal(rig.errors.length, 1)
  })

  t.test('a relayed request is served like any other', async (t) => {
    const { client, rig, stream } = await BOUND()
    const asker = rig.post(null, {})
    t.equal(asker.outcome, 'terminate:bad-request')
    const poll = new (asker.constructor as new () => TestAsker)()
    const origin = { ip: '', secure: false }
    const body = Buffer.from(bodyText({ rid: ++client.rid, sid: client.sid }))
    t.equal(rig.port.relayed({ sid: client.sid, body, origin, asker: poll }), true)
    stream.tell('a')
    t.strictSame(poll.payloads, ['a'])
    t.equal(rig.port.relayed({ sid: 'a.b.c', body, origin, asker }), false)
  })

  t.test('a session moves with its rids, responses, keys and what waits', async (t) => {
    const here = new BoshRig()
    const keys = keySequence('seed', 9)
    const next = () => keys.shift() ?? ''
    const client = await BoshClient.begin(here, { newkey: next(), ack: 1, content: 'text/plain' })
    const first = client.send({ key: next() }, message('x'))
    here.stream.tell('a')
    const early = client.sendAs(client.rid + 2, { key: keys[1] }, message('early'))
    const heldKey = next()
    const held = client.send({ key: heldKey })
    next()
    // The early one has been taken with it.
    t.equal(held.outcome, 'empty')
    t.equal(early.outcome, 'held')
    client.rid++
    const snapshot = here.sessions.moveAway(client.sid)
    t.equal(early.outcome, 'empty')
    t.equal(early.answer.close, true)
    t.equal(here.sessions.size, 0)
    t.equal(here.stream.session?.base, 1, 'what is in a response counts')
    t.strictSame(here.ended, [])
    t.strictSame(here.stream.ends, [])

    const there = new BoshRig({ node: 'there' })
    if (snapshot === undefined) throw new Error('no snapshot')
    there.sessions.restore(JSON.parse(JSON.stringify(snapshot)), (wire, name) => {
      const stream = there.newStream(wire, name)
      stream.bind()
      return stream
    })
    t.equal(there.stream.name, client.streamName)
    client.rig.elsewhere = async () => 'absent'
    const moved = Object.assign(client, { rig: there })
    t.equal(moved.sendAs(moved.rid, { key: keySequence('seed', 9)[3] }).text, early.text, 'a repeat gets what it got there')
    there.stream.tell('b')
    const after = moved.send({ key: next() })
    t.strictSame(after.payloads, ['b'])
    t.equal(after.answer.contentType, 'text/plain')
    t.equal(after.attribute('sid'), '')
    t.equal(moved.send({ key: 'bad' }).outcome, 'terminate:item-not-found')
    t.equal(first.outcome, 'payload')
  })

  t.test('requests before their turn move too', async (t) => {
    const { client, rig } = await BOUND()
    const early = client.sendAs(client.rid + 2, {}, message('2'))
    const snapshot = rig.sessions.moveAway(client.sid)
    t.equal(early.outcome, 'error')
    const there = new BoshRig()
    if (snapshot === undefined) throw new Error('no snapshot')
    there.sessions.restore(snapshot, (wire, name) => there.newStream(wire, name))
    Object.assign(client, { rig: there })
    client.sendAs(client.rid + 1, {}, message('1'))
    t.strictSame(
      there.stream.received.map((one) => one.attribute('id')),
      ['1', '2'],
    )
  })

  t.test('what a stream said before it had a session moves too', async (t) => {
    const rig = new BoshRig()
    const client = new BoshClient(rig)
    const created = client.create()
    await ticks()
    client.sid = created.attribute('sid')
    rig.stream.wire.send([FEATURES])
    const snapshot = rig.sessions.moveAway(client.sid)
    t.strictSame(rig.stream.ends, ['abandoned'])
    const there = new BoshRig()
    if (snapshot === undefined) throw new Error('no snapshot')
    there.sessions.restore(snapshot, (wire, name) => there.newStream(wire, name))
    Object.assign(client, { rig: there })
    t.strictSame(client.send().payloads, ['features'])
    t.equal(rig.sessions.moveAway(client.sid), undefined)
  })

  t.test('a session whose node died is adopted from its record; what its client had open is taken once', async (t) => {
    const here = new BoshRig()
    const client = await BoshClient.begin(here, { hold: 2, content: 'text/plain' })
    const record = here.records.at(-1)
    if (record === undefined) throw new Error('no record')
    t.equal(here.records.length, 2, 'when it was created and when its stream was bound')
    for (let i = 0; i < 50; i++) client.send({}, message(`${i}`))
    t.equal(here.records.length, 2, 'not for messages')
    t.equal(JSON.stringify(record).includes(client.sid), true)

    const there = new BoshRig({ node: 'there' })
    there.sessions.adopt(JSON.parse(JSON.stringify(record)), (wire, name) => {
      const stream = there.newStream(wire, name)
      stream.bind()
      return stream
    })
    Object.assign(client, { rig: there })
    // The last two requests were open when it died; they are repeated, the later one first.
    const last = client.rid
    const second = client.sendAs(last, {}, message('49'))
    const first = client.sendAs(last - 1, {}, message('48'))
    t.strictSame(there.stream.ids, [], 'those are waited for')
    there.clock.advance(400)
    t.strictSame(there.stream.ids, [`node.1:${last - 1}:0`, `node.1:${last}:0`], 'in order, under the ids they had')
    there.stream.tell('a')
    t.equal(first.payloads.join(), 'a', 'answered in order')
    t.equal(second.outcome, 'held')
    t.equal(client.sendAs(last - 1, {}, message('48')).text, first.text)
    t.equal(there.stream.received.length, 2)
    t.equal(client.send().outcome, 'held')
    t.equal(client.sendAs(last - 9).outcome, 'terminate:item-not-found')
  })

  t.test('an adopted session waits for the requests of its client, for not more than there may be', async (t) => {
    const here = new BoshRig()
    const client = await BoshClient.begin(here, { hold: 1 })
    client.send({}, message('1'))
    const record = here.records.at(-1)
    if (record === undefined) throw new Error('no record')
    const adopt = () => {
      const there = new BoshRig({ node: 'there' })
      there.sessions.adopt(JSON.parse(JSON.stringify(record)), (wire, name) => {
        const stream = there.newStream(wire, name)
        stream.bind()
        return stream
      })
      return Object.assign(client, { rig: there }).rig
    }
    const rid = client.rid
    const full = adopt()
    const later = client.sendAs(rid + 1, {}, message('3'))
    t.equal(full.stream.ids.length, 0)
    const sooner = client.sendAs(rid, {}, message('2'))
    t.strictSame(full.stream.ids, [`node.1:${rid}:0`, `node.1:${rid + 1}:0`], 'both are there')
    t.equal(sooner.outcome, 'empty')
    t.equal(later.outcome, 'held')

    const alone = adopt()
    client.sendAs(rid, {}, message('2'))
    alone.clock.advance(399)
    t.equal(alone.stream.ids.length, 0)
    alone.clock.advance(1)
    t.strictSame(alone.stream.ids, [`node.1:${rid}:0`])
    client.sendAs(rid + 1, {}, message('3'))
    t.strictSame(alone.stream.ids.slice(1), [`node.1:${rid + 1}:0`], 'from then on as ever')

    const repeating = adopt()
    const cut = client.sendAs(rid, {}, message('2'))
    const newest = client.sendAs(rid, {}, message('2'))
    t.equal(cut.outcome, 'error', 'the newest connection gets the answer')
    repeating.clock.advance(400)
    t.strictSame(repeating.stream.ids, [`node.1:${rid}:0`])
    repeating.stream.tell('a')
    t.strictSame(newest.payloads, ['a'])

    const wide = adopt()
    const lowest = client.sendAs(rid, {}, message('2'))
    const far = client.sendAs(Number.MAX_SAFE_INTEGER, {}, message('x'))
    t.equal(far.outcome, 'terminate:item-not-found', 'the window holds from the lowest one on')
    t.equal(lowest.outcome, 'terminate:other-request')
    t.strictSame(wide.stream.ids, [`node.1:${rid}:0`])

    const broken = adopt()
    client.sendAs(rid, {}, message('2'))
    client.sendAs(rid + 1, {}, message('3')).leave()
    t.strictSame(broken.stream.ids, [`node.1:${rid}:0`, `node.1:${rid + 1}:0`], 'also if its connection breaks afterwards')

    const gone = adopt()
    client.sendAs(rid, { type: 'terminate' }, message('2'))
    gone.clock.advance(400)
    t.strictSame([gone.stream.ids, gone.stream.ends], [[`node.1:${rid}:0`], ['closed']])
  })

  t.test('keys of an adopted session go on from the next one', async (t) => {
    const here = new BoshRig()
    const keys = keySequence('seed', 9)
    const client = await BoshClient.begin(here, { newkey: keys[0] ?? '' })
    client.send({ key: keys[1] })
    const record = here.records.at(-1)
    if (record === undefined) throw new Error('no record')
    const adopt = () => {
      const there = new BoshRig()
      there.sessions.adopt(record, (wire, name) => there.newStream(wire, name))
      return Object.assign(client, { rig: there })
    }
    t.equal(adopt().send({ key: keys[2] }).outcome, 'held')
    client.rig.clock.advance(400)
    t.equal(client.send({ key: keys[3] }).outcome, 'held')
    t.equal(client.send({ key: keys[5] }).outcome, 'terminate:item-not-found')
    adopt()
    const keyless = client.send({})
    client.rig.clock.advance(400)
    t.equal(keyless.outcome, 'terminate:item-not-found', 'but there has to be one')
  })

  t.test('an adopted session that nobody asks for ends', async (t) => {
    const here = new BoshRig()
    await BoshClient.begin(here)
    const record = here.records.at(-1)
    const there = new BoshRig()
    if (record === undefined) throw new Error('no record')
    there.sessions.adopt(record, (wire, name) => there.newStream(wire, name))
    there.clock.advance(31_000)
    t.equal(there.sessions.size, 0)
  })
})

t.test('numbers for the metrics', async (t) => {
  const { client, rig, stream } = await BOUND()
  const before = rig.sentBytes
  const poll = client.send({}, message('1') + message('2'))
  t.equal(rig.stanzas, 2)
  stream.tell('a')
  t.equal(rig.sentBytes - before, poll.answer.body.length)
  client.sendAs(1)
  t.match(rig.refusals, [{ code: 'unknown_session' }])
  t.strictSame(rig.errors, [])
})
