// Handshakes, messages and ends of WebSockets, on any engine.

import type { Test } from 'tap'
import { WebSocket } from 'ws'
import type { Engine, MessageSocket, Sent, Upgrade } from '../../transports/engine/engine.js'
import { defineHead } from '../../transports/engine/heads.js'
import { type EngineHost, SocketWitness, startHost } from '../support/engine-host.js'
import { eventually, RawConnection, turns } from '../support/raw-http.js'
import { clientFrame, closePayload, handshakeRequest, opcodes, RawWebSocket } from '../support/raw-websocket.js'
import type { EngineTraits } from './engine-contract.js'

/** More than loopback buffers take. */
const MOUNTAIN_BYTES = 64_000_000

/** A host whose next WebSocket is told to `witness`, and that socket with its raw client. */
async function openPair(host: EngineHost): Promise<{ client: RawWebSocket; witness: SocketWitness; socket: MessageSocket }> {
  const witness = new SocketWitness()
  host.upgrade = (_head, upgrade) => upgrade.accept(witness, '')
  const client = await RawWebSocket.open(host.port)
  await witness.journal.until('open')
  if (witness.socket === null) throw new Error('opened without a socket')
  return { client, witness, socket: witness.socket }
}

export async function testWebSockets(t: Test, engine: Engine, traits: EngineTraits): Promise<void> {
  await t.test('messages of every length arrive whole, both ways, text and binary', async (t) => {
    const host = await startHost(t, engine, { maxMessageBytes: 100_000 })
    const { client, witness, socket } = await openPair(host)
    for (const length of [0, 1, 125, 126, 127, 65_535, 65_536, 100_000]) {
      const payload = Buffer.alloc(length, 'ab\r\n')
      for (const binary of [true, false]) {
        t.equal(socket.send([payload], binary), 'ok')
        const frame = await client.nextFrame()
        t.same([frame.fin, frame.rsv, frame.opcode, frame.masked], [true, 0, binary ? 2 : 1, false])
        t.ok(frame.payload.equals(payload), `${length} bytes to the client`)
        await client.send(binary ? opcodes.binary : opcodes.text, payload)
        await witness.journal.until(`${binary ? 'binary' : 'text'} ${length}`)
        t.ok(witness.messages.at(-1)?.equals(payload), `${length} bytes to the server`)
      }
    }
    await client.send(opcodes.binary, Uint8Array.of(0, 255, 0))
    await witness.journal.until('binary 3')
    client.destroy()
  })

  await t.test('a batch arrives as one message each, in order', async (t) => {
    const { client, socket } = await openPair(await startHost(t, engine))
    const payloads = Array.from({ length: 50 }, (_, n) => Buffer.alloc(n * 7, String(n)))
    t.equal(socket.send(payloads, true), 'ok')
    t.equal(socket.send([], true), 'ok')
    t.equal(socket.send([Buffer.from('after')], false), 'ok')
    for (const payload of payloads) t.ok((await client.nextFrame()).payload.equals(payload))
    t.equal(String((await client.nextFrame()).payload), 'after')
    client.destroy()
  })

  await t.test('accept tells of the socket later, names one protocol that was offered, or none', async (t) => {
    const host = await startHost(t, engine)
    const offer = { headers: { 'sec-websocket-protocol': 'one, two ,three' } }
    for (const [chosen, header] of [
      ['two', 'two'],
      ['', undefined],
    ] as const) {
      const witness = new SocketWitness()
      host.upgrade = (head, upgrade) => {
        t.same([head.method, head.path, head.query, head.header('host')], ['GET', '/', '', 'test'])
        t.same(upgrade.protocols, ['one', 'two', 'three'])
        t.throws(() => upgrade.accept(witness, 'four'), RangeError)
        upgrade.accept(witness, chosen)
        t.same(witness.journal.lines, [], 'not from inside accept')
        upgrade.accept(new SocketWitness(), chosen)
      }
      const client = await RawWebSocket.open(host.port, offer)
      t.equal(client.handshake.headers['sec-websocket-accept'], 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=')
      t.equal(client.handshake.headers['sec-websocket-protocol'], header)
      await witness.journal.until('open')
      t.equal(witness.socket?.protocol, chosen)
      client.destroy()
    }
    t.same(host.errors, [])
  })

  await t.test('a handshake can be answered later, unless the client has left', async (t) => {
    const host = await startHost(t, engine)
    const waiting: Upgrade[] = []
    const arrived: (() => void)[] = []
    let gone = 0
    host.upgrade = (_head, upgrade) => {
      upgrade.onGone = () => gone++
      waiting.push(upgrade)
      arrived.shift()?.()
    }
    const witness = new SocketWitness()
    const here = new Promise<void>((resolve) => arrived.push(resolve))
    const opening = RawWebSocket.open(host.port)
    await here
    await turns(5)
    waiting[0]?.accept(witness, '')
    const client = await opening
    await client.send(opcodes.text, 'late')
    await witness.journal.until('text 4')
    client.destroy()
    for (const leave of ['end', 'reset', 'destroy'] as const) {
      const next = new Promise<void>((resolve) => arrived.push(resolve))
      const leaver = await RawConnection.open(host.port)
      await leaver.send(handshakeRequest())
      await next
      const before = gone
      leaver[leave]()
      await eventually(() => gone !== before)
      const upgrade = waiting.at(-1)
      t.same([gone, upgrade?.gone], [before + 1, true], leave)
      const nobody = new SocketWitness()
      upgrade?.accept(nobody, '')
      upgrade?.reject(defineHead(503, []), null)
      t.same(await nobody.journal.settled(), [])
      leaver.destroy()
    }
    t.same([gone, host.errors], [3, []])
  })

  await t.test('a handshake can be rejected with a proper response, now or later', async (t) => {
    const host = await startHost(t, engine)
    const busy = defineHead(503, [['content-type', 'application/problem+json']])
    host.upgrade = (head, upgrade) => {
      const reject = () => upgrade.reject(busy, '{"ä":1}', [['retry-after', '5']])
      if (head.path === '/now') reject()
      else if (head.path === '/throw') throw new Error('thrown')
      else setImmediate(reject)
    }
    for (const path of ['/now', '/later', '/throw']) {
      const client = await RawConnection.open(host.port)
      await client.send(handshakeRequest({ path }))
      const { status, headers, body } = await client.readResponse()
      if (path === '/throw') t.equal(status, 500)
      else
        t.same([status, headers['content-type'], headers['retry-after'], String(body)], [503, 'application/problem+json', '5', '{"ä":1}'])
      await client.ended()
      client.destroy()
    }
    t.same(host.errors.map(String), ['Error: thrown'])
  })

  await t.test('bad handshakes never reach the route', async (t) => {
    const host = await startHost(t, engine)
    host.upgrade = () => t.fail('reached the route')
    const bad: [options: Parameters<typeof handshakeRequest>[0], status: number][] = [
      [{ method: 'POST' }, 400],
      [{ headers: { 'sec-websocket-key': null } }, 400],
      [{ headers: { 'sec-websocket-key': 'short' } }, 400],
      [{ headers: { 'sec-websocket-key': '!!!!!!!!!!!!!!!!!!!!!!==' } }, 400],
      [{ headers: { 'sec-websocket-version': '8' } }, 426],
      [{ headers: { 'sec-websocket-version': null } }, 426],
      [{ headers: { 'sec-websocket-protocol': 'a,,b' } }, 400],
      [{ headers: { 'sec-websocket-protocol': 'a, a' } }, 400],
    ]
    for (const [options, expected] of bad) {
      const client = await RawConnection.open(host.port)
      await client.send(handshakeRequest(options))
      const { status, headers } = await client.readResponse()
      t.same([status, headers['content-type']], [expected, 'application/problem+json'], JSON.stringify(options))
      if (expected === 426) t.equal(headers['sec-websocket-version'], '13')
      await client.ended()
      client.destroy()
    }
  })

  await t.test('fragments make one message, with control frames between them and characters across them', async (t) => {
    const { client, witness } = await openPair(await startHost(t, engine))
    const text = Buffer.from('größer €uro 😀')
    await client.connection.send(
      clientFrame(opcodes.text, text.subarray(0, 3), { fin: false }),
      clientFrame(opcodes.ping, 'still here?'),
      clientFrame(opcodes.continuation, text.subarray(3, 11), { fin: false }),
      clientFrame(opcodes.continuation, '', { fin: false }),
      clientFrame(opcodes.continuation, text.subarray(11)),
    )
    await witness.journal.until(`text ${text.length}`)
    t.same(witness.messages, [text])
    const pong = await client.nextFrame()
    t.same([pong.opcode, String(pong.payload)], [opcodes.pong, 'still here?'])
    const bytes = clientFrame(opcodes.binary, 'byte by byte')
    await client.connection.send(...Array.from(bytes, (_, at) => bytes.subarray(at, at + 1)))
    await witness.journal.until('binary 12')
    client.destroy()
  })

  await t.test('a ping is answered and told', async (t) => {
    const { client, witness, socket } = await openPair(await startHost(t, engine))
    socket.ping()
    const { opcode, payload } = await client.nextFrame()
    t.equal(opcode, opcodes.ping)
    await client.send(opcodes.pong, payload)
    await witness.journal.until('pong')
    client.destroy()
  })

  await t.test(`who breaks the protocol loses the connection (${traits.protocolErrors}), and only that one`, async (t) => {
    const host = await startHost(t, engine)
    const other = await openPair(host)
    const breaches: [what: string, bytes: Uint8Array, code: number][] = [
      ['RSV1', clientFrame(opcodes.text, 'x', { rsv: 4 }), 1002],
      ['RSV3', clientFrame(opcodes.text, 'x', { rsv: 1 }), 1002],
      ['opcode 3', clientFrame(3, 'x'), 1002],
      ['opcode 11', clientFrame(11, 'x'), 1002],
      ['a long ping', clientFrame(opcodes.ping, 'x'.repeat(126)), 1002],
      ['a fragmented ping', clientFrame(opcodes.ping, 'x', { fin: false }), 1002],
      ['a continuation of nothing', clientFrame(opcodes.continuation, 'x'), 1002],
      ['a message within a message', Buffer.concat([clientFrame(opcodes.text, 'x', { fin: false }), clientFrame(opcodes.text, 'y')]), 1002],
      ['no UTF-8', clientFrame(opcodes.text, Uint8Array.of(0x61, 0xc3, 0x28)), 1007],
      ['half a character', clientFrame(opcodes.text, Uint8Array.of(0xe2, 0x82)), 1007],
      ['a surrogate', clientFrame(opcodes.text, Uint8Array.of(0xed, 0xa0, 0x80)), 1007],
      ['one byte too many', clientFrame(opcodes.binary, Buffer.alloc(1001)), 1009],
      [
        'one byte too many in fragments',
        Buffer.concat([clientFrame(opcodes.binary, Buffer.alloc(1000), { fin: false }), clientFrame(opcodes.continuation, 'x')]),
        1009,
      ],
      ['far too many bytes', clientFrame(opcodes.binary, Buffer.alloc(200_000)), 1009],
    ]
    for (const [what, bytes, code] of breaches) {
      const { client, witness } = await openPair(host)
      await client.connection.send(bytes)
      if (traits.protocolErrors === 'close frame') t.equal((await client.nextClose()).code, code, what)
      client.connection.end()
      await client.connection.ended()
      await witness.journal.until('closed')
      t.match(await witness.journal.settled(), ['open', /^close 1006/, 'closed'], what)
      t.equal(witness.journal.lines.length, 3, what)
      t.equal(witness.messages.length, 0, what)
      client.destroy()
    }
    const exact = await openPair(host)
    await exact.client.send(opcodes.binary, Buffer.alloc(1000))
    await exact.witness.journal.until('binary 1000')
    await exact.client.send(opcodes.binary, Buffer.alloc(600), { fin: false })
    await exact.client.send(opcodes.continuation, Buffer.alloc(400))
    t.ok(await eventually(() => exact.witness.messages.length === 2), 'exactly as many bytes as may be')
    exact.client.destroy()
    t.equal(other.socket.send([Buffer.from('still here')], false), 'ok')
    t.equal(String((await other.client.nextFrame()).payload), 'still here')
    other.client.destroy()
    t.same(host.errors, [])
  })

  await t.test(`frames without a mask are ${traits.unmaskedFrames}`, async (t) => {
    const { client, witness } = await openPair(await startHost(t, engine))
    await client.send(opcodes.text, 'no mask', { masked: false })
    if (traits.unmaskedFrames === 'refused') {
      t.equal((await client.nextClose()).code, 1002)
    } else {
      t.match(engine.knownFaults.join('\n'), /without a mask/)
      client.connection.end()
    }
    await client.connection.ended()
    client.destroy()
    await witness.journal.until('closed')
    t.equal(witness.messages.length, 0)
  })

  await t.test('a close of the client is answered and told', async (t) => {
    const host = await startHost(t, engine)
    for (const [payload, told] of [
      [closePayload(1000, 'bye'), 'close 1000 bye'],
      [closePayload(4321, 'ä'), 'close 4321 ä'],
      [closePayload(3000), traits.registeredCloseCodes === 'told' ? 'close 3000' : /^close 100[56]/],
      [Buffer.alloc(0), 'close 1005'],
    ] as const) {
      const { client, witness } = await openPair(host)
      await client.send(opcodes.close, payload)
      await client.nextClose()
      await client.connection.ended()
      client.destroy()
      await witness.journal.until('closed')
      t.match(witness.journal.lines[1], told)
      t.equal(witness.journal.lines.length, 3)
    }
  })

  await t.test('a close of ours says why, and is told once, later', async (t) => {
    const host = await startHost(t, engine)
    const { client, witness, socket } = await openPair(host)
    t.throws(() => socket.close(1006, ''), RangeError)
    t.throws(() => socket.close(999, ''), RangeError)
    t.notOk(socket.gone)
    socket.close(4009, `${'ä'.repeat(60)}€${'x'.repeat(50)}`)
    t.ok(socket.gone)
    t.same(witness.journal.lines, ['open'], 'not from inside close')
    socket.close(1000, 'again')
    t.equal(socket.send([Buffer.from('x')], false), 'gone')
    socket.ping()
    t.same(await client.nextClose(), { code: 4009, reason: `${'ä'.repeat(60)}€` }, 'cut between characters')
    await client.send(opcodes.text, 'after the close')
    await client.close(4009)
    await client.connection.ended()
    client.destroy()
    await witness.journal.until('closed')
    socket.abort()
    socket.close(1000, '')
    t.equal(socket.send([Buffer.from('x')], false), 'gone')
    t.match(await witness.journal.settled(), ['open', /^close 4009/, 'closed'])
    t.same(host.errors, [])
  })

  await t.test('abort ends the connection, from anywhere', async (t) => {
    const host = await startHost(t, engine)
    for (const where of ['later', 'in onOpen', 'in onMessage']) {
      const witness = new SocketWitness()
      const abort = (socket: MessageSocket) => {
        socket.abort()
        socket.abort()
        socket.close(1000, '')
        t.equal(socket.send([Buffer.from('x')], false), 'gone')
        t.notOk(witness.journal.lines.includes('closed'), 'not told from inside abort')
      }
      const told = { onOpen: witness.onOpen.bind(witness), onMessage: witness.onMessage.bind(witness) }
      if (where === 'in onOpen') {
        witness.onOpen = (socket) => {
          told.onOpen(socket)
          abort(socket)
        }
      }
      witness.onMessage = (socket, data, binary) => {
        told.onMessage(socket, data, binary)
        if (where === 'in onMessage') abort(socket)
      }
      host.upgrade = (_head, upgrade) => upgrade.accept(witness, '')
      const client = await RawConnection.open(host.port)
      await client.send(handshakeRequest())
      await witness.journal.until('open')
      if (where === 'in onMessage') await client.send(Buffer.concat([clientFrame(opcodes.text, 'x'), clientFrame(opcodes.text, 'y')]))
      if (where === 'later' && witness.socket !== null) abort(witness.socket)
      await client.ended()
      await witness.journal.until('closed')
      t.same(
        witness.journal.lines,
        where === 'in onMessage' ? ['open', 'text 1', 'close 1006', 'closed'] : ['open', 'close 1006', 'closed'],
      )
      client.destroy()
    }
    t.same(host.errors, [])
  })

  await t.test('a client that vanishes is told of once', async (t) => {
    const host = await startHost(t, engine)
    for (const leave of ['end', 'reset', 'destroy'] as const) {
      const { client, witness, socket } = await openPair(host)
      client.connection[leave]()
      await witness.journal.until('closed')
      t.match(witness.journal.lines, ['open', /^close 1006/, 'closed'], leave)
      t.equal(socket.send([Buffer.from('x')], true), 'gone')
      socket.ping()
      socket.close(1000, '')
      socket.abort()
      t.equal((await witness.journal.settled()).length, 3)
      client.destroy()
    }
  })

  await t.test('a client that does not answer a close is cut off', async (t) => {
    const host = await startHost(t, engine, { closeTimeoutMs: 60 })
    const { client, witness, socket } = await openPair(host)
    socket.close(1000, '')
    await client.nextClose()
    await client.connection.ended()
    await witness.journal.until('closed')
    client.destroy()
  })

  await t.test('a reader that stalls fills up, is refused, drains, and has got everything that was taken', async (t) => {
    const { client, witness, socket } = await openPair(await startHost(t, engine))
    client.connection.socket.pause()
    let count = 0
    let sent: Sent = 'ok'
    while (sent === 'ok' && count * 200_000 < MOUNTAIN_BYTES) {
      sent = socket.send([numbered(count), numbered(count + 1)], true)
      count += 2
    }
    t.equal(sent, 'full')
    t.equal(socket.send([Buffer.from('nothing of this')], true), 'refused')
    socket.ping()
    t.same(await witness.journal.settled(), ['open'])
    client.connection.socket.resume()
    await witness.journal.until('drain')
    t.equal(socket.send([Buffer.from('end')], false), 'ok')
    for (let n = 0; n < count; n++) t.ok((await client.nextFrame()).payload.equals(numbered(n)))
    t.equal(String((await client.nextFrame()).payload), 'end')
    t.same(await witness.journal.settled(), ['open', 'drain'])
    client.destroy()
  })

  await t.test('a reader that stalls for too long is gone, also when it goes on sending', async (t) => {
    const host = await startHost(t, engine, { stallTimeoutMs: 80 })
    const pairs = [await openPair(host), await openPair(host)]
    const pinging = pairs[1]
    for (const { client, socket } of pairs) {
      client.connection.socket.pause()
      let bytes = 0
      while (bytes < MOUNTAIN_BYTES && socket.send([numbered(0)], true) !== 'full') bytes += 100_000
      t.ok(bytes < MOUNTAIN_BYTES, 'the kernel takes only so much')
    }
    const timer = setInterval(() => void pinging?.client.send(opcodes.ping, 'x'), 10)
    for (const { client, witness, socket } of pairs) {
      await witness.journal.until('closed')
      t.match(await witness.journal.settled(), ['open', /^close 1006/, 'closed'])
      t.equal(socket.send([numbered(0)], true), 'gone')
      client.destroy()
    }
    clearInterval(timer)
    t.same(host.errors, [])
  })

  await t.test('an owner that throws is reported, and its socket goes on', async (t) => {
    const host = await startHost(t, engine)
    const witness = new SocketWitness()
    const noted = {
      onOpen: witness.onOpen.bind(witness),
      onMessage: witness.onMessage.bind(witness),
      onClose: witness.onClose.bind(witness),
    }
    witness.onOpen = (socket) => {
      noted.onOpen(socket)
      throw new Error('in onOpen')
    }
    witness.onMessage = (socket, data, binary) => {
      noted.onMessage(socket, data, binary)
      throw new Error('in onMessage')
    }
    witness.onClose = (socket, code, reason) => {
      noted.onClose(socket, code, reason)
      throw new Error('in onClose')
    }
    host.upgrade = (_head, upgrade) => upgrade.accept(witness, '')
    const client = await RawWebSocket.open(host.port)
    await client.send(opcodes.text, 'a')
    await client.send(opcodes.text, 'ab')
    await witness.journal.until('text 2')
    t.equal(witness.socket?.send([Buffer.from('here')], false), 'ok')
    t.equal(String((await client.nextFrame()).payload), 'here')
    client.destroy()
    await witness.journal.until('closed')
    await turns(2)
    t.same(host.errors.map(String), ['Error: in onOpen', 'Error: in onMessage', 'Error: in onMessage', 'Error: in onClose'])
  })

  await t.test('messages are compressed when both sides want it, and only then', async (t) => {
    for (const deflate of [true, false]) {
      const host = await startHost(t, engine, { deflate, maxMessageBytes: 100_000 })
      const witness = new SocketWitness()
      host.upgrade = (_head, upgrade) => upgrade.accept(witness, '')
      const client = new WebSocket(`ws://127.0.0.1:${host.port}`, { perMessageDeflate: true })
      const messages: string[] = []
      const received = new Promise<void>((resolve) => {
        client.on('message', (data) => {
          messages.push(String(data))
          if (messages.length === 40) resolve()
        })
      })
      await new Promise((resolve) => client.once('open', resolve))
      t.equal(client.extensions.startsWith('permessage-deflate'), deflate)
      const text = 'again and '.repeat(500)
      client.send(text)
      await witness.journal.until('text 5000')
      t.equal(String(witness.messages[0]), text)
      let number = 0
      const fill = () => {
        while (number < 40) {
          const batch = [0, 1, 2, 3].map((n) => Buffer.from(`${text}${number + n}`))
          const sent = witness.socket?.send(batch, false)
          if (sent === 'refused') return
          number += 4
          if (sent === 'full') return
        }
      }
      witness.onDrain = fill
      fill()
      await received
      t.same(
        messages,
        Array.from({ length: 40 }, (_, n) => `${text}${n}`),
      )
      client.close(1000)
      await witness.journal.until('closed')
    }
  })
}

function numbered(number: number): Buffer {
  return Buffer.alloc(100_000, `message ${number} `)
}
