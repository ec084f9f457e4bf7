// XMPP over WebSocket (RFC 7395) as its client sees it.

import t from 'tap'
import { parseXml } from '../../proto/xml/parse.js'
import type { Exchange, Head, RequestHead, SocketOwner, Upgrade } from '../../transports/engine/engine.js'
import { HOST_META_PATHS, serveHostMeta } from '../../transports/host-meta.js'
import type { Visit } from '../../transports/visit.js'
import { openXmppSocket, prefersXmpp } from '../../transports/xmpp/websocket.js'
import { Random } from '../support/random.js'
import { CLOSE, FEATURES, message, OPEN, ticks, WsRig } from '../support/xmpp-ws-rig.js'

const FRAMING = 'urn:ietf:params:xml:ns:xmpp-framing'

t.test('a stream opens with <open/> and features, and again after authentication', async (t) => {
  const rig = new WsRig()
  const socket = rig.socket()
  socket.say(`<open xmlns='${FRAMING}' to='LocalHost' from='alice@localhost' version='1.0' xml:lang='de'/>`)
  const [open = '', features] = socket.heard()
  t.ok(open.startsWith('<open '), 'strophe.js looks at the text')
  const header = parseXml(open)
  t.equal(header.ns, FRAMING)
  t.match(Object.fromEntries(header.attributes), { from: 'localhost', to: 'alice@localhost', version: '1.0', 'xml:lang': 'en' })
  t.ok(header.attribute('id').length >= 20)
  t.equal(features, FEATURES)
  t.same(rig.stream.headers, [{ to: 'localhost', from: 'alice@localhost', language: 'de' }])
  t.same(socket.writes, [1, 1])

  socket.say("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")
  t.same(rig.stream.stanzas, ['auth'])
  rig.stream.user = 'alice'
  socket.say(OPEN)
  const [again = ''] = socket.heard()
  t.not(parseXml(again).attribute('id'), header.attribute('id'), 'each stream has an id of its own')
  t.equal(rig.stream.headers.length, 2)
  t.equal(rig.streams.length, 1)
})

t.test('what breaks the rules of framing ends with the stream error for it', async (t) => {
  /** Before the stream is open, and what its client is told. */
  const silent: [string, string | Buffer, string][] = [
    ['another namespace', "<open xmlns='jabber:client' to='localhost' version='1.0'/>", 'invalid-namespace'],
    ['no namespace', "<open to='localhost' version='1.0'/>", 'invalid-namespace'],
    ['a prefix', `<f:open xmlns:f='${FRAMING}' to='localhost' version='1.0'/>`, 'bad-namespace-prefix'],
    [
      'a header as over TCP',
      "<stream:stream xmlns:stream='http://etherx.jabber.org/streams' to='localhost' version='1.0'>",
      'invalid-namespace',
    ],
    ['the same, declared', "<?xml version='1.0'?><stream:stream xmlns:stream='http://etherx.jabber.org/streams'/>", 'invalid-namespace'],
    ['no to', `<open xmlns='${FRAMING}' version='1.0'/>`, 'host-unknown'],
    ['another host', `<open xmlns='${FRAMING}' to='example.com' version='1.0'/>`, 'host-unknown'],
    ['an account', `<open xmlns='${FRAMING}' to='alice@localhost' version='1.0'/>`, 'host-unknown'],
    ['no version', `<open xmlns='${FRAMING}' to='localhost'/>`, 'unsupported-version'],
    ['an old version', `<open xmlns='${FRAMING}' to='localhost' version='0.9'/>`, 'unsupported-version'],
    ['a version that is none', `<open xmlns='${FRAMING}' to='localhost' version='one'/>`, 'unsupported-version'],
    ['a stanza first', message('m'), 'not-authorized'],
    ['something else of framing', `<stop xmlns='${FRAMING}'/>`, 'unsupported-stanza-type'],
    ['no XML', 'hello', 'not-well-formed'],
  ]
  /** Either way. */
  const always: [string, string | Buffer, string, number?][] = [
    ['two elements', `${message('a')}${message('b')}`, 'not-well-formed'],
    ['half an element', "<message xmlns='jabber:client'>", 'not-well-formed'],
    ['an undeclared prefix', '<x:message/>', 'not-well-formed'],
    ['a comment', `<!-- c -->${message('a')}`, 'restricted-xml'],
    ['a processing instruction', `<?php x?>${message('a')}`, 'restricted-xml'],
    ['a doctype', `<!DOCTYPE a>${message('a')}`, 'restricted-xml'],
    ['an entity', "<message xmlns='jabber:client'>&x;</message>", 'restricted-xml'],
    ['too deep', `<message xmlns='jabber:client'>${'<a>'.repeat(100)}${'</a>'.repeat(100)}</message>`, 'policy-violation'],
    ['too large', message('x'.repeat(10_001)), 'policy-violation', 1009],
    ['a binary frame', Buffer.from(OPEN), 'bad-format', 1003],
  ]
  const open: [string, string | Buffer, string][] = [
    ['a stanza without a namespace', "<message to='b@localhost'/>", 'invalid-namespace'],
    ['a stanza of another namespace', "<message xmlns='jabber:server'/>", 'invalid-namespace'],
    ['another header before authentication', OPEN, 'policy-violation'],
  ]
  for (const [name, frame, condition, code = 1000] of [...silent, ...always]) {
    const rig = new WsRig()
    const socket = rig.socket()
    socket.say(frame)
    t.same(socket.gist(), ['open', `error:${condition}`, 'close'], `${name}: a header precedes the error`)
    t.equal(socket.closed?.code, code, name)
    t.same(rig.stream.ends, ['abandoned'], name)
    t.equal(rig.refusals.length, 1, name)
  }
  for (const [name, frame, condition, code = 1000] of [...open, ...always] as typeof always) {
    const rig = new WsRig()
    const socket = rig.socket()
    socket.say(OPEN)
    socket.heard()
    socket.say(frame)
    t.same(socket.gist(), [`error:${condition}`, 'close'], name)
    t.equal(socket.closed?.code, code, name)
    const bound = rig.bound()
    bound.socket.say(name === 'another header before authentication' ? '<!-- -->' : frame)
    t.equal(bound.socket.gist().at(-1), 'close', name)
    t.equal(bound.session.kind, 'closed', `${name}: stream errors end the session`)
    t.match(bound.session.closeReason, { streamError: /./ }, name)
  }
})

t.test('the error of a header after authentication is not preceded by another one', async (t) => {
  const { socket } = new WsRig().authenticated()
  socket.say(`<open xmlns='${FRAMING}' to='elsewhere' version='1.0'/>`)
  t.same(socket.gist(), ['error:host-unknown', 'close'])
  t.equal(socket.got.at(-1), CLOSE, 'byte by byte what strophe.js looks for')
})

t.test('what is well said is passed on', async (t) => {
  const rig = new WsRig()
  const { socket, stream } = rig.authenticated()
  socket.say("<iq xmlns='jabber:client' type='set' id='b1'/>")
  stream.bind()
  t.same(socket.gist(), ['bind'])
  const frames = [
    message('m1'),
    "<c:message xmlns:c='jabber:client' id='m2'><c:body>x</c:body></c:message>",
    `  \n${message('m3')}\n`,
    `<?xml version='1.0' encoding='UTF-8'?>${message('m4')}`,
    '',
    ' \n\t',
    "<active xmlns='urn:xmpp:csi:0'/>",
    "<custom xmlns='u:x'/>",
  ]
  for (const frame of frames) socket.say(frame)
  t.same(stream.stanzas, ['b1', 'm1', 'm2', 'm3', 'm4', 'active', 'custom'])
  t.equal(new Set(stream.ids).size, 7)
  t.same(stream.ids.slice(0, 2), ['socket1:1', 'socket1:2'])
  const other = rig.authenticated()
  other.socket.say(message('m1'))
  t.notOk(stream.ids.includes(other.stream.ids[0] ?? ''), 'ids are of the socket')
  t.equal(socket.closed, undefined)
  t.same(socket.heard(), [])
})

t.test('higher versions are answered with 1.0', async (t) => {
  const socket = new WsRig().socket()
  socket.say(`<open xmlns='${FRAMING}' to='localhost' version='2.1'/>`)
  t.equal(parseXml(socket.got[0] ?? '').attribute('version'), '1.0')
  t.equal(socket.closed, undefined)
})

t.test('<close/> is answered, and the WebSocket closed', async (t) => {
  t.test('before anything else', async (t) => {
    const rig = new WsRig()
    const socket = rig.socket()
    socket.say(CLOSE)
    t.same(socket.gist(), ['open', 'close'])
    t.same(socket.closed?.code, 1000)
    t.same(rig.stream.ends, ['closed'])
  })
  t.test('with a session, which ends', async (t) => {
    const rig = new WsRig()
    const { socket, session } = rig.bound()
    socket.say(CLOSE)
    t.same(socket.heard(), [CLOSE])
    t.same(socket.closed?.code, 1000)
    t.match(session.closeReason, { code: 'done' })
    socket.say(message('late'))
    socket.leave(1000)
    t.same(rig.closes.length, 1)
    t.same(rig.stream.stanzas, [])
  })
  t.test('with stream management too', async (t) => {
    const { socket, session } = new WsRig().managed()
    socket.say(CLOSE)
    t.match(session.closeReason, { code: 'done' })
  })
  t.test('once what was sent is known to have arrived', async (t) => {
    const rig = new WsRig()
    const { socket, session } = rig.bound()
    rig.tell(session, 'm1')
    socket.say(CLOSE)
    t.same(socket.gist(), ['m1'])
    t.equal(session.base, 1)
    rig.tell(session, 'm2')
    socket.pong()
    t.equal(session.base, 2, 'acknowledged')
    t.same(socket.gist(), ['close'])
    t.match(session.closeReason, { code: 'done' })
    t.same(socket.closed?.code, 1000)
  })
  t.test('or after a while', async (t) => {
    const rig = new WsRig()
    const { socket, session } = rig.bound()
    rig.tell(session, 'm1')
    socket.say(CLOSE)
    rig.clock.advance(499)
    t.equal(session.kind, 'attached')
    rig.clock.advance(1)
    t.equal(session.kind, 'closed')
    t.same(socket.gist(), ['m1', 'close'])
    t.equal(session.base, 1, 'and is not taken for handled')
  })
  t.test('or when the client goes', async (t) => {
    const rig = new WsRig()
    const { socket, session } = rig.bound()
    rig.tell(session, 'm1')
    socket.say(CLOSE)
    socket.leave(1000)
    t.equal(session.kind, 'closed')
    rig.clock.advance(1000)
    t.equal(rig.closes.length, 1)
  })
})

t.test('the session ends the stream with the error for its reason', async (t) => {
  const cases = [
    [{ code: 'replaced', reason: 'r' }, ['error:conflict', 'close'], 1000],
    [{ code: 'draining', reason: 'r' }, ['error:system-shutdown', 'close'], 1012],
    [{ code: 'internal', reason: 'r' }, ['error:internal-server-error', 'close'], 1011],
    [{ code: 'malformed', reason: 'r', streamError: 'unsupported-stanza-type' }, ['error:unsupported-stanza-type', 'close'], 1000],
    [{ code: 'done', reason: 'r' }, ['close'], 1000],
  ] as const
  for (const [reason, gist, code] of cases) {
    const { socket, session } = new WsRig().bound()
    session.close(reason)
    t.same(socket.gist(), gist, reason.code)
    t.equal(socket.closed?.code, code, reason.code)
  }
  const rig = new WsRig()
  const socket = rig.socket()
  rig.stream.wire.end({ condition: 'policy-violation', reason: { code: 'unauthorized', reason: 'did not log in in time' } })
  t.same(socket.gist(), ['open', 'error:policy-violation', 'close'], 'the stream before there was a session')
})

t.test('a connection that ends without <close/>', async (t) => {
  t.test('before there is a session', async (t) => {
    const rig = new WsRig()
    const socket = rig.socket()
    socket.say(OPEN)
    socket.leave()
    t.same(rig.stream.ends, ['abandoned'])
    rig.stream.wire.send(['<late/>'])
    rig.stream.wire.end({ condition: '', reason: { code: 'done', reason: '' } })
  })
  t.test('ends a session that nobody can come back to', async (t) => {
    for (const code of [1000, 1001, 1006]) {
      const { socket, session } = new WsRig().bound()
      socket.leave(code)
      t.match(session.closeReason, { code: 'done' }, String(code))
    }
  })
  t.test('even if it was told to leave', async (t) => {
    const { socket, session } = new WsRig().bound()
    session.disconnect({ code: 'draining', reason: 'going away' })
    t.same(socket.gist(), ['error:system-shutdown', 'close'])
    t.equal(session.kind, 'detached')
    socket.leave(1012)
    t.equal(session.kind, 'closed')
  })
  t.test('leaves one with stream management to be resumed', async (t) => {
    for (const code of [1000, 1001, 1006]) {
      const { socket, session } = new WsRig().managed()
      socket.leave(code)
      t.equal(session.kind, 'detached', String(code))
    }
    const { socket, session } = new WsRig().managed()
    session.disconnect({ code: 'draining', reason: 'going away' })
    socket.leave(1012)
    t.equal(session.kind, 'detached')
  })
})

t.test('what a client without stream management has received is known by its pongs', async (t) => {
  const rig = new WsRig()
  const { socket, session } = rig.bound()
  t.equal(session.base, 1)
  const { pings } = socket
  rig.tell(session, 'a', 'b')
  rig.tell(session, 'c')
  t.equal(socket.pings, pings + 1, 'one ping at a time')
  t.same(socket.writes.at(-2), 2, 'all in one write')
  socket.pong()
  t.equal(session.base, 3)
  t.equal(socket.pings, pings + 2)
  socket.pong()
  t.equal(session.base, 4)
  t.equal(socket.pings, pings + 2, 'nothing left to know')
  socket.pong()
  t.equal(session.base, 4)
})

t.test('pings of the session find out whether the client is there', async (t) => {
  const rig = new WsRig()
  const { socket, session } = rig.bound()
  const { pings } = socket
  const silence = (): void => {
    rig.clock.advance(25_000)
    session.tick(rig.now())
  }
  silence()
  t.equal(socket.pings, pings + 1)
  rig.tell(session, 'a')
  socket.pong()
  silence()
  socket.say(' ')
  silence()
  t.equal(session.kind, 'attached', 'anything is a sign of life')
  silence()
  t.equal(session.kind, 'detached')
  t.equal(socket.gist().at(-1), 'close')
})

t.test('a socket that takes no more is waited for', async (t) => {
  const rig = new WsRig()
  const { socket, session } = rig.bound()
  socket.answer = 'full'
  rig.tell(session, 'a')
  rig.tell(session, 'b')
  t.same(socket.gist(), ['a'])
  socket.drain()
  t.same(socket.gist(), ['b'])

  socket.answer = 'full'
  socket.say(`<r xmlns='urn:xmpp:sm:3'/>`, `<r xmlns='urn:xmpp:sm:3'/>`)
  rig.tell(session, 'c')
  rig.tell(session, 'd')
  t.same(socket.gist(), ['failed:unexpected-request'])
  socket.drain()
  t.same(socket.gist(), ['failed:unexpected-request', 'c', 'd'], 'in order, nothing lost')

  const before = rig.socket()
  before.answer = 'full'
  before.say(OPEN)
  before.drain()
  t.same(before.gist(), ['open', 'features'])

  socket.answer = 'full'
  for (let i = 0; i < 1500 && socket.closed === undefined; i++) {
    if (i % 500 === 0) rig.clock.advance(1000)
    socket.say(`<r xmlns='urn:xmpp:sm:3'/>`)
  }
  t.ok(socket.closed, 'but not for everything')
  t.equal(session.kind, 'closed')

  const crowded = rig.bound()
  crowded.socket.answer = 'full'
  for (let i = 0; i <= 1024; i++) {
    if (i % 500 === 0) rig.clock.advance(1000)
    crowded.socket.say(`<r xmlns='urn:xmpp:sm:3'/>`)
  }
  t.notOk(crowded.socket.closed)
  rig.tell(crowded.session, 'one more')
  t.ok(crowded.socket.closed, 'nor does it stay without its session')
})

t.test('too many frames are too many, whatever they are', async (t) => {
  const rig = new WsRig({ frameRate: { perSecond: 1, burst: 5 } })
  const socket = rig.socket()
  socket.say(' ', ' ', ' ', ' ', OPEN)
  t.same(socket.gist(), ['open', 'features'])
  rig.clock.advance(1000)
  socket.say(' ')
  t.equal(socket.closed, undefined)
  socket.say(' ')
  t.same(socket.gist(), ['error:policy-violation', 'close'])
})

t.test('clients can be sent elsewhere, never to where there is less security', async (t) => {
  const cases: [string, boolean, boolean][] = [
    ['wss://other.example/ws?a=1&b="2"', false, true],
    ['wss://other.example/ws', true, true],
    ['ws://other.example/ws', false, true],
    ['ws://other.example/ws', true, false],
    ['https://other.example/bosh', true, false],
  ]
  for (const [seeOtherUri, secure, moves] of cases) {
    const rig = new WsRig({ seeOtherUri })
    const socket = rig.socket({ ip: '192.0.2.1', secure })
    socket.say(OPEN)
    t.same(socket.gist(), moves ? ['open', 'close'] : ['open', 'features'], seeOtherUri)
    if (!moves) continue
    const last = socket.got.at(-1) ?? ''
    t.ok(last.startsWith('<close '))
    t.equal(parseXml(last).attribute('see-other-uri'), seeOtherUri)
    t.equal(socket.closed?.code, 1000)
    t.same(rig.stream.ends, ['abandoned'])
  }
})

t.test('the handshake needs the subprotocol', async (t) => {
  const rig = new WsRig()
  const knock = (protocols: string[], refusal?: 'draining'): [string, number] => {
    let answer: [string, number] = ['', 0]
    const upgrade: Upgrade = {
      protocols,
      gone: false,
      onGone: null,
      accept: (_owner: SocketOwner, protocol: string) => {
        answer = [protocol, 101]
      },
      reject: (head: Head) => {
        answer = ['', head.status]
      },
    }
    const visit = { ip: '192.0.2.1', secure: false, cors: [] } as unknown as Visit
    const options = { ...rig.options(), refusal: () => (refusal === undefined ? undefined : { code: refusal, reason: 'going away' }) }
    openXmppSocket(options, visit, upgrade)
    return answer
  }
  t.same(knock(['xmpp']), ['xmpp', 101])
  t.same(knock(['foo', 'xmpp', 'bar']), ['xmpp', 101])
  t.same(knock([]), ['', 400])
  t.same(knock(['XMPP']), ['', 400])
  t.same(knock(['xmpp'], 'draining'), ['', 503])

  const native = ['holdwire.v1+json', 'holdwire.v1+proto']
  t.equal(prefersXmpp(['xmpp'], native), true)
  t.equal(prefersXmpp(['foo', 'xmpp', 'holdwire.v1+json'], native), true)
  t.equal(prefersXmpp(['holdwire.v1+json', 'xmpp'], native), false)
  t.equal(prefersXmpp([], native), false)
})

t.test('host-meta tells where the two are (XEP-0156)', async (t) => {
  interface Answer {
    readonly status: number
    readonly headers: Readonly<Record<string, string>>
    readonly body: string
  }
  const ask = (path: string, host: string, options: { secure?: boolean; publicUrl?: string; websocketPath?: undefined } = {}): Answer => {
    const answers: Answer[] = []
    const exchange = {
      respond(head: Head, body: string, extra: Head['headers'] = []) {
        answers.push({ status: head.status, headers: Object.fromEntries([...head.headers, ...extra]), body })
      },
    } as unknown as Exchange
    const head = { header: (name: string) => (name === 'host' ? host : '') } as RequestHead
    const { secure = false, publicUrl = '' } = options
    const websocketPath = 'websocketPath' in options ? undefined : '/xmpp-websocket'
    serveHostMeta({ publicUrl, boshPath: '/http-bind', websocketPath }, { path, secure } as Visit, head, exchange)
    const [answer] = answers
    if (answer === undefined || answers.length > 1) throw new Error(`${answers.length} answers`)
    return answer
  }
  const [xrd, jrd] = HOST_META_PATHS
  const linksOf = ({ body }: Answer): Record<string, string> => {
    const { links } = JSON.parse(body) as { links: { rel: string; href: string }[] }
    return Object.fromEntries(links.map(({ rel, href }) => [rel.slice('urn:xmpp:alt-connections:'.length), href]))
  }

  const xml = ask(xrd, 'chat.example:8000')
  t.match(xml, { status: 200, headers: { 'content-type': /^application\/xrd\+xml/, 'access-control-allow-origin': '*' } })
  const root = parseXml(xml.body)
  t.ok(root.is('XRD', 'http://docs.oasis-open.org/ns/xri/xrd-1.0'))
  t.same(
    root.elements.map(({ name, attributes }) => [name, attributes.get('rel'), attributes.get('href')]),
    [
      ['Link', 'urn:xmpp:alt-connections:xbosh', 'http://chat.example:8000/http-bind'],
      ['Link', 'urn:xmpp:alt-connections:websocket', 'ws://chat.example:8000/xmpp-websocket'],
    ],
  )
  const json = ask(jrd, 'Chat.Example', { secure: true })
  t.match(json, { status: 200, headers: { 'content-type': 'application/json', 'access-control-allow-origin': '*' } })
  t.same(linksOf(json), { xbosh: 'https://chat.example/http-bind', websocket: 'wss://chat.example/xmpp-websocket' })
  t.same(linksOf(ask(jrd, 'evil.example', { publicUrl: 'https://push.example.com/x/' })), {
    xbosh: 'https://push.example.com/x/http-bind',
    websocket: 'wss://push.example.com/x/xmpp-websocket',
  })
  t.same(linksOf(ask(jrd, '[::1]:8000', { websocketPath: undefined })), { xbosh: 'http://[::1]:8000/http-bind' })
  for (const host of [
    '',
    'a b',
    'a"b',
    'a/b',
    "a'><x",
    'a@b',
    'a:b',
    'a:123456',
    '-a',
    'a?b',
    'a#b',
    '[x]',
    `${'a'.repeat(300)}`,
    'ä.example',
  ]) {
    t.match(ask(xrd, host), { status: 400, headers: { 'access-control-allow-origin': '*' } }, `host ${JSON.stringify(host)}`)
  }
})

t.test('whatever is sent, there is an answer that ends or goes on, and nothing throws', async (t) => {
  const seed = Number(process.env.SEED ?? 1)
  const random = new Random(seed)
  const pieces = [
    OPEN,
    CLOSE,
    message('m'),
    "<enable xmlns='urn:xmpp:sm:3' resume='1'/>",
    "<r xmlns='urn:xmpp:sm:3'/>",
    "<a xmlns='urn:xmpp:sm:3' h='1'/>",
    "<resume xmlns='urn:xmpp:sm:3' previd='node.1.s' h='0'/>",
    "<iq xmlns='jabber:client' type='get' id='i'><ping xmlns='urn:xmpp:ping'/></iq>",
    "<?xml version='1.0'?>",
    "<stream:stream xmlns:stream='http://etherx.jabber.org/streams'>",
    '<![CDATA[x]]>',
    '&amp;',
    ' ',
  ]
  const frame = (): string => {
    const text = random.chance(0.9) ? random.pick(random.chance(0.5) ? pieces : pieces.slice(2)) : random.pick(pieces) + random.pick(pieces)
    if (random.chance(0.8)) return text
    const at = random.int(text.length + 1)
    const junk = random.pick(['<', '>', "'", '/', '&', '\0', '\ufffe', ':', 'x', ' ', '<!--', '"', '=', '\ud83d\ude00'])
    return text.slice(0, at) + junk + text.slice(at + random.int(3))
  }
  let frames = 0
  let ended = 0
  for (let i = 0; i < 2000; i++) {
    const rig = new WsRig()
    const said: string[] = []
    const socket = random.pick([
      () => rig.socket(),
      () => rig.authenticated().socket,
      () => rig.bound().socket,
      () => rig.managed().socket,
    ])()
    socket.heard()
    const report = (): string => `seed ${seed}, round ${i}: ${JSON.stringify(said)}`
    try {
      for (let n = random.int(8) + 1; n > 0 && socket.closed === undefined; n--) {
        said.push(frame())
        frames++
        socket.say(said.at(-1) ?? '')
        if (random.chance(0.3)) await ticks()
        if (random.chance(0.2)) socket.pong()
        rig.endOfTick()
      }
      await ticks()
      rig.clock.advance(1000)
      for (const text of socket.heard()) parseXml(text)
      if (socket.closed !== undefined) {
        ended++
        if (socket.got.at(-1) !== CLOSE) t.fail(`the last word is not <close/>; ${report()}`)
        for (const { session, ends } of rig.streams.slice(-1))
          if (session === undefined ? ends.length === 0 : session.kind === 'attached') t.fail(`something is left open; ${report()}`)
      }
      socket.leave()
      if (rig.errors.length > 0) t.fail(`${rig.errors[0]}; ${report()}`)
    } catch (error) {
      t.fail(`${error}; ${report()}`)
    }
  }
  t.ok(ended > 500 && ended < 2000, `${frames} frames, ${ended} ends`)
})
