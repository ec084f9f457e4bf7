// Pieces of BOSH on their own, and its HTTP side on real sockets.

import { gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { Element } from '../../proto/xml/element.js'
import { BOSH_NS } from '../../proto/xml/namespaces.js'
import { parseXml } from '../../proto/xml/parse.js'
import { readBody } from '../../transports/bosh/attributes.js'
import { decodeRecord, decodeSnapshot, encodeRecord, encodeSnapshot } from '../../transports/bosh/bosh-record.js'
import { decodeBody } from '../../transports/bosh/content-encoding.js'
import { KeySequence } from '../../transports/bosh/key-sequence.js'
import { readPlainBody } from '../../transports/bosh/plain-body.js'
import { PollPace } from '../../transports/bosh/poll-pace.js'
import { attributeText, bodyBytes } from '../../transports/bosh/response.js'
import { ResponseCache } from '../../transports/bosh/response-cache.js'
import { type Place, RidWindow } from '../../transports/bosh/rid-window.js'
import { endingOf, terminateBytes } from '../../transports/bosh/terminate.js'
import { ClientAddresses } from '../../transports/client-address.js'
import { Cors } from '../../transports/cors.js'
import { nodeEngine } from '../../transports/engine/node-engine.js'
import { readVisit } from '../../transports/visit.js'
import { BoshClient, BoshRig, bodyText, FEATURES, keySequence, message } from '../support/bosh-rig.js'
import { startHost } from '../support/engine-host.js'
import { Random } from '../support/random.js'
import { RawConnection, turns } from '../support/raw-http.js'

t.test('attributes are read as the schema has them', async (t) => {
  const read = (attributes: string) => readBody(parseXml(`<body xmlns='${BOSH_NS}' ${attributes}/>`))
  t.match(read("rid=' +007 ' to='a'"), { kind: 'creation', rid: 7 })
  t.match(read("rid='9007199254740991'"), { kind: 'creation', rid: 9007199254740991 })
  t.match(read("rid='9007199254740992' sid='s'"), { kind: 'request', rid: Number.POSITIVE_INFINITY })
  t.match(read(`rid='${'9'.repeat(400)}' sid='s'`), { kind: 'request', rid: Number.POSITIVE_INFINITY })
  for (const rid of ['', '0', '-1', '1.5', '1e3', '0x1', 'NaN', '١'])
    t.match(read(`rid='${rid}' sid='s'`), { kind: 'malformed', sid: 's' }, rid)
  t.match(read("rid='1' sid=''"), { kind: 'request', sid: '' }, 'an empty sid is none, but no creation either')
  t.match(read("rid='1' ver='1.10'"), { version: [1, 10] })
  t.match(read("rid='1' ver='1.11.2'"), { version: [1, 11] })
  t.match(read("rid='1'"), { version: undefined })
  t.match(read("rid='x'"), { kind: 'malformed', legacy: true })
  t.match(read("rid='x' ver='1.6'"), { kind: 'malformed', legacy: false })
  t.match(read("rid='1' route='xmpp:[::1]:5222'"), { to: '[::1]' })
  t.match(read("rid='1' route='nonsense'"), { to: '' })
  t.match(read(`rid='1' to='${'a'.repeat(4000)}'`), { kind: 'malformed' })
  for (const good of ['text/xml', 'text/xml; charset=utf-8', 'application/x+y;a="b c";d=e'])
    t.match(read(`rid='1' content='${good}'`), { contentType: good })
  for (const bad of ['x', 'a/b c', 'a/b;', 'a/b; c', 'a/é', 'a/b; c="&#13;&#10;"', `a/${'b'.repeat(200)}`])
    t.match(read(`rid='1' content='${bad}'`), { kind: 'malformed' }, bad)
})

t.test('plain bodies are read as the parser would, or not at all', async (t) => {
  const random = new Random(Number(process.env.SEED ?? Date.now() % 1_000_000_007))
  const ns = `xmlns='${BOSH_NS}'`
  const plain = [`<body rid='1' ${ns} sid='a.b'/>`, `<body ${ns} rid="1573741821"  sid='x' ></body>\n`]
  for (const text of plain) t.same(readPlainBody(Buffer.from(text)), parseXml(text), text)
  const others = [
    '',
    '<body/>',
    `<body rid='1'/>`,
    `<body ${ns}>x</body>`,
    `<body ${ns} a='&amp;'/>`,
    `<body ${ns} a='é'/>`,
    `<body ${ns} x:a='1'/>`,
    `<body ${ns} key='a"b' to="it's"/>`,
    `<body ${ns} a='\t'/>`,
    `<body ${ns} ${' '.repeat(600)}/>`,
  ]
  for (const text of others) t.equal(readPlainBody(Buffer.from(text)), undefined, text)
  const pieces = [
    '<',
    '>',
    '/',
    '&',
    "'",
    '"',
    '=',
    ' ',
    'a',
    'xmlns',
    "a='1'",
    ']]>',
    '\n',
    '\u0000',
    'é',
    'sid',
    '<body',
    '</body>',
    '<!--',
  ]
  let differing = ''
  let read = 0
  for (let i = 0; i < 20_000 && differing === ''; i++) {
    let text = random.pick(plain)
    for (let n = random.int(3); n > 0; n--) {
      const at = random.int(text.length + 1)
      text = text.slice(0, at) + random.pick(pieces) + text.slice(at + random.int(3))
    }
    const quick = readPlainBody(Buffer.from(text))
    if (quick === undefined) continue
    read++
    try {
      const slow = parseXml(Buffer.from(text))
      if (slow.toString() !== quick.toString()) differing = text
    } catch {
      differing = text
    }
  }
  t.equal(differing, '', `seed ${random.seed}`)
  t.ok(read > 1000)
})

t.test('a window of rids', async (t) => {
  const places = (window: RidWindow, ...rids: number[]): Place[] => rids.map((rid) => window.place(rid, 0))
  const window = new RidWindow(2, 10)
  t.strictSame(places(window, 9, 10, 11, 12, 13), ['seen', 'seen', 'next', 'ahead', 'beyond'])
  t.equal(window.place(13, 1), 'ahead', 'one more for a pause or the end')
  t.equal(window.place(14, 1), 'beyond')
  window.take(11)
  t.strictSame(places(window, 11, 12, 13, 14), ['seen', 'next', 'ahead', 'beyond'])

  t.test('after an adoption the first one says where it is; those around it may have been answered before, or not', async (t) => {
    const adopted = new RidWindow(3, undefined)
    t.equal(adopted.last, undefined)
    t.strictSame(places(adopted, 1, 1e9), ['next', 'next'])
    adopted.take(100)
    t.strictSame(places(adopted, 96, 97, 99, 100), ['seen', 'earlier', 'earlier', 'seen'])
    t.strictSame(places(adopted, 101, 102, 103, 104, 105, 106), ['next', 'next', 'next', 'ahead', 'ahead', 'beyond'])
    adopted.take(102)
    t.strictSame(places(adopted, 101, 98, 99, 102), ['earlier', 'seen', 'earlier', 'seen'])
    adopted.take(101)
    t.strictSame(places(adopted, 101), ['seen'], 'once')
    adopted.take(103)
    adopted.take(104)
    t.strictSame(places(adopted, 99, 105, 106, 107, 108), ['seen', 'next', 'ahead', 'ahead', 'beyond'], 'then it is as ever')
  })
})

t.test('key sequences', async (t) => {
  const keys = keySequence('seed', 10)
  const key = (i: number): string => keys[i] ?? ''
  const sequence = KeySequence.startingWith(key(0).toUpperCase())
  t.equal(sequence.accepts(2, 1, key(2), ''), false, 'one was skipped')
  t.equal(sequence.accepts(2, 1, key(1), ''), true)
  t.equal(sequence.accepts(3, 1, '', ''), false)
  t.equal(sequence.accepts(3, 1, key(1), ''), false, 'the same again')
  t.equal(sequence.accepts(3, 1, key(2), ''), true)
  t.equal(KeySequence.startingWith('').accepts(1, 1, 'anything', ''), true)
  const late = KeySequence.startingWith('')
  t.equal(late.accepts(1, 1, '', key(0)), true)
  t.equal(late.accepts(2, 1, '', ''), false, 'a sequence may begin later')
  const adopted = new KeySequence({ kind: 'unknown' })
  t.equal(adopted.accepts(105, 0, key(5), ''), true)
  t.equal(adopted.acceptsEarlier(104, key(4), ''), true, 'those before are proved by those after')
  t.equal(adopted.acceptsEarlier(103, key(3).toUpperCase(), ''), true)
  t.equal(adopted.acceptsEarlier(103, key(4), ''), false)
  t.equal(adopted.acceptsEarlier(104, 'old', key(4)), true, 'where a new sequence began')
  t.equal(adopted.acceptsEarlier(104, '', key(4)), false)
  t.equal(adopted.accepts(107, 2, key(7), ''), true, 'over a gap')
  t.equal(adopted.acceptsEarlier(106, key(6), ''), true)
})

t.test('bodies are decoded, bombs are not', async (t) => {
  const body = Buffer.from('<body/>')
  t.equal(decodeBody(body, '', 10), body)
  t.same(decodeBody(gzipSync(body), 'gzip', 7), body, 'as long as may be')
  t.equal(decodeBody(gzipSync(body), 'gzip', 6), 'too large', 'one more')
  t.equal(decodeBody(gzipSync(Buffer.alloc(100_000_000)), 'gzip', 65_536), 'too large')
  t.equal(decodeBody(body, 'gzip, gzip', 100), 'malformed')
  t.equal(decodeBody(Buffer.concat([gzipSync(body)]).subarray(0, 12), 'gzip', 100), 'malformed')
})

t.test('polls keep their pace', async (t) => {
  const pace = new PollPace(2000)
  t.equal(pace.keeps(1, true, 0), true)
  t.equal(pace.keeps(2, true, 1999), true, 'clocks are not exact')
  t.equal(pace.keeps(3, true, 3000), false)
  const other = new PollPace(2000)
  other.keeps(1, true, 0)
  other.carried(1)
  t.equal(other.keeps(2, true, 1), true)
  other.carried(1)
  t.equal(other.keeps(3, true, 2), false, 'that was not the one')
  t.equal(other.keeps(4, false, 3), true)
  t.equal(other.keeps(5, true, 4), true, 'something was between them')
})

t.test('responses are kept by number, and by bytes', async (t) => {
  const cache = new ResponseCache({ responses: 2, unacknowledged: 1, bytes: 100 })
  const add = (rid: number, length = 1) => cache.add({ rid, key: '', body: Buffer.alloc(length), atMs: 0, stream: undefined, frame: 0 })
  const rids = () => cache.all.map(({ rid }) => rid)
  for (const rid of [1, 2, 3, 4]) add(rid)
  t.strictSame(rids(), [2, 3, 4])
  cache.acknowledge(3)
  t.strictSame(rids(), [3, 4], 'acknowledged ones as far as they may be asked for')
  add(6)
  add(5)
  t.strictSame(rids(), [4, 5, 6], 'in order, however they came')
  add(7, 99)
  t.strictSame(rids(), [6, 7])
  add(8, 200)
  t.strictSame(rids(), [8], 'the last one whatever its size')
  t.equal(cache.newest, 8)
})

t.test('what is written can be read', async (t) => {
  const text = bodyBytes(attributeText({ a: `<&"'>`, b: 5, c: undefined, d: '' }), FEATURES).toString()
  const body = parseXml(text)
  t.strictSame([body.attribute('a'), body.attribute('b'), body.attributes.has('c'), body.attribute('d')], [`<&"'>`, '5', false, ''])
  t.equal(body.elements[0]?.name, 'features')
  const ending = endingOf({ code: 'closed', reason: 'because & <so>' }, 'not-authorized')
  t.equal(parseXml(terminateBytes(ending, message('m'))).elements.length, 2)
  t.equal(parseXml(bodyBytes('', '').toString()).children.length, 0)
  t.ok(parseXml(new Element(BOSH_NS, 'uri', {}, ['a']).toString()))
})

t.test('records and snapshots of another version are none', async (t) => {
  const rig = new BoshRig()
  const client = await BoshClient.begin(rig)
  const [record] = rig.records
  const snapshot = rig.sessions.moveAway(client.sid)
  if (record === undefined || snapshot === undefined) throw new Error('nothing to encode')
  t.same(decodeRecord(encodeRecord(record)), record)
  t.same(decodeSnapshot(encodeSnapshot(snapshot)), snapshot)
  for (const bytes of ['', 'null', '{}', '{"version":2}', '{"record":{"version":2}}', '\u0000']) {
    t.equal(decodeRecord(Buffer.from(bytes)), undefined)
    t.equal(decodeSnapshot(Buffer.from(bytes)), undefined)
  }
})

t.test('over HTTP', async (t) => {
  const begin = async (t: Test, options: ConstructorParameters<typeof BoshRig>[0] = {}) => {
    const rig = new BoshRig(options)
    const host = await startHost(t, nodeEngine)
    const visitOptions = {
      cors: new Cors(['https://chat.example']),
      tls: false,
      addresses: new ClientAddresses({ trustProxy: 1, trustedProxies: [] }),
    }
    host.request = (head, exchange) => {
      const visit = readVisit(head, visitOptions)
      if (visit.method === 'POST') rig.port.request(visit, exchange)
      else rig.port.page(visit, exchange)
    }
    rig.whenOpened = ({ wire }) => wire.send([FEATURES])
    const open = () => RawConnection.open(host.port)
    const connection = await open()
    t.teardown(() => connection.destroy())
    return { rig, host, connection, open }
  }
  const post = (body: string | Buffer, headers = '', version = '1.1') =>
    Buffer.concat([
      Buffer.from(`POST /http-bind HTTP/${version}\r\nHost: a\r\n${headers}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n`),
      Buffer.from(body),
    ])

  t.test('answers have their type, may be read by pages of allowed origins, and are no pages themselves', async (t) => {
    const { connection } = await begin(t)
    await connection.send(post(bodyText({ rid: 1, to: 'localhost', ver: '1.6' }), 'Origin: https://chat.example\r\n'))
    const { status, headers } = await connection.readResponse()
    t.equal(status, 200)
    t.equal(headers['content-type'], 'text/xml; charset=utf-8')
    t.equal(headers['access-control-allow-origin'], 'https://chat.example')
    t.equal(headers['access-control-allow-credentials'], 'true')
    t.equal(headers['cache-control'], 'no-store')
    t.equal(headers['content-security-policy'], 'sandbox')
    t.equal(headers['x-content-type-options'], 'nosniff')
    await connection.send(post('nonsense', 'Origin: https://chat.example\r\n'))
    const error = await connection.readResponse()
    t.equal(error.headers['access-control-allow-origin'], 'https://chat.example', 'errors too')
    t.match(error.body.toString(), /condition='bad-request'/)
    await connection.send(post(bodyText({ rid: 1, to: 'localhost', ver: '1.6', content: 'text/html' })))
    const other = await connection.readResponse()
    t.equal(other.headers['content-type'], 'text/html')
    t.equal(other.headers['content-security-policy'], 'sandbox')
  })

  t.test('a page for people', async (t) => {
    const { connection } = await begin(t)
    await connection.send('GET /http-bind HTTP/1.1\r\nHost: a\r\n\r\n')
    const { status, headers, body } = await connection.readResponse()
    t.equal(status, 200)
    t.equal(headers['content-type'], 'text/html; charset=utf-8')
    t.match(body.toString(), /BOSH/)
  })

  t.test('connections end when the client wants it, and after too much', async (t) => {
    const { open, rig } = await begin(t, { maxBodyBytes: 500 })
    for (const [request, text] of [
      [post(bodyText({ rid: 1, to: 'localhost', ver: '1.6' }), '', '1.0'), /sid=/],
      [post(bodyText({ rid: 1, to: 'localhost', ver: '1.6' }), 'Connection: close\r\n'), /sid=/],
      [post('x'.repeat(501)), /condition='bad-request'/],
    ] as const) {
      const connection = await open()
      await connection.send(request)
      const { headers, body } = await connection.readResponse()
      t.match(body.toString(), text)
      t.equal(headers.connection, 'close')
      connection.destroy()
    }
    t.equal(rig.sessions.size, 2)
  })

  t.test('compressed, chunked, and pipelined behind a held one', async (t) => {
    const { connection, rig } = await begin(t)
    const created = bodyText({ rid: 1, to: 'localhost', ver: '1.6', hold: 1 })
    await connection.send(post(gzipSync(created), 'Content-Encoding: GZip\r\n'))
    const { body } = await connection.readResponse()
    const sid = parseXml(body).attribute('sid')
    const held = bodyText({ rid: 2, sid })
    await connection.send(
      `POST /http-bind HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${held.length.toString(16)}\r\n${held}\r\n0\r\n\r\n`,
      post(bodyText({ rid: 3, sid })),
    )
    t.match((await connection.readResponse()).body.toString(), /^<body[^>]*\/>$/, 'the second one releases the first')
    rig.stream.bind()
    rig.stream.tell('a')
    t.match((await connection.readResponse()).body.toString(), /id='a'/)
  })

  t.test('a client that leaves gets nothing', async (t) => {
    const { connection, open, rig } = await begin(t)
    await connection.send(post(bodyText({ rid: 1, to: 'localhost', ver: '1.6', hold: 1 })))
    const sid = parseXml((await connection.readResponse()).body).attribute('sid')
    rig.stream.bind()
    const leaving = await open()
    await leaving.send(post(bodyText({ rid: 2, sid })))
    await turns(20)
    leaving.destroy()
    await turns(40)
    rig.stream.tell('a')
    await connection.send(post(bodyText({ rid: 2, sid })))
    t.match((await connection.readResponse()).body.toString(), /id='a'/)
    t.strictSame(rig.errors, [])
  })

  t.test('a session made over TLS is not reached without: the connection closes', async (t) => {
    const { connection, open } = await begin(t)
    const tls = 'X-Forwarded-Proto: https\r\n'
    await connection.send(post(bodyText({ rid: 1, to: 'localhost', ver: '1.6' }), tls))
    const sid = parseXml((await connection.readResponse()).body).attribute('sid')
    const plain = await open()
    await plain.send(post(bodyText({ rid: 2, sid })))
    t.equal((await plain.readToEnd()).length, 0)
    plain.destroy()
    await connection.send(post(bodyText({ rid: 2, sid, type: 'terminate' }), tls))
    t.match((await connection.readResponse()).body.toString(), /type='terminate'/)
  })
})
