// Streamed responses and what happens to readers that do not read, on any engine.

import type { Test } from 'tap'
import type { Engine, Exchange, Sent } from '../../transports/engine/engine.js'
import { ExchangeWitness, events, plain, startHost } from '../support/engine-host.js'
import { RawConnection, turns } from '../support/raw-http.js'

const GET = 'GET / HTTP/1.1\r\nHost: test\r\n\r\n'
/** More than loopback buffers take. */
const MOUNTAIN_BYTES = 64_000_000

export async function testStreams(t: Test, engine: Engine): Promise<void> {
  await t.test('what is written comes at once and in order, and the connection goes on after the end', async (t) => {
    const host = await startHost(t, engine)
    const witness = new ExchangeWitness()
    let stream: Exchange | undefined
    host.request = (_head, exchange) => {
      exchange.owner = witness
      stream = exchange
      exchange.openStream(events, [['x-extra', 'one']])
      t.equal(exchange.write('data: ä\n\n'), 'ok')
    }
    const client = await RawConnection.open(host.port)
    await client.send(GET)
    const { status, headers } = await client.readHead()
    t.same([status, headers['content-type'], headers['x-extra']], [200, 'text/event-stream', 'one'])
    t.equal(String(await client.readChunk()), 'data: ä\n\n')
    const bytes = Buffer.from([0, 13, 10, 255, 0])
    t.equal(stream?.write(bytes), 'ok')
    t.same(await client.readChunk(), bytes)
    t.equal(stream?.write(''), 'ok', 'an empty chunk is nothing, not the end')
    t.equal(stream?.write(Buffer.alloc(0)), 'ok')
    t.equal(stream?.write('last'), 'ok')
    stream?.finish()
    stream?.finish()
    t.equal(stream?.write('after the end'), 'gone')
    t.equal(String(await client.readChunk()), 'last')
    t.equal((await client.readChunk()).length, 0)
    t.same(await witness.journal.settled(), [])
    host.request = (_head, exchange) => exchange.respond(plain, 'next')
    await client.send(GET)
    t.equal(String((await client.readResponse()).body), 'next')
    client.destroy()
  })

  await t.test('the head of a stream is sent without a first write, and an empty stream ends', async (t) => {
    const host = await startHost(t, engine)
    let stream: Exchange | undefined
    host.request = (_head, exchange) => {
      exchange.owner = new ExchangeWitness()
      stream = exchange
      exchange.openStream(events)
    }
    const client = await RawConnection.open(host.port)
    await client.send(GET)
    t.equal((await client.readHead()).status, 200)
    stream?.finish()
    const rest = (await client.readThrough('0\r\n\r\n')).toString()
    t.match(rest, /^(3\r\n:\n\n\r\n)?0\r\n\r\n$/, 'nothing, or a comment that means nothing')
    host.request = (_head, exchange) => {
      exchange.owner = new ExchangeWitness()
      exchange.openStream(events)
      exchange.finish()
    }
    await client.send(GET)
    t.match(String((await client.readResponse()).body), /^(:\n\n)?$/)
    client.destroy()
  })

  await t.test('a stream of another type needs a filler, and misuse is a bug', async (t) => {
    const host = await startHost(t, engine)
    host.request = (head, exchange) => {
      exchange.owner = new ExchangeWitness()
      if (head.path === '/filler') {
        exchange.openStream(plain, undefined, '\n')
        exchange.write('text')
        t.throws(() => exchange.respond(plain, ''), /respond after openStream/)
        t.throws(() => exchange.openStream(plain, undefined, '\n'), /twice/)
        exchange.finish()
        return
      }
      t.throws(() => exchange.write('x'), /before openStream/)
      t.throws(() => exchange.finish(), /before openStream/)
      exchange.openStream(plain)
    }
    for (const [path, status] of [
      ['/filler', 200],
      ['/none', 500],
    ] as const) {
      const client = await RawConnection.open(host.port)
      await client.send(`GET ${path} HTTP/1.1\r\nHost: test\r\n\r\n`)
      const response = await client.readResponse()
      t.equal(response.status, status)
      if (status === 200) t.equal(String(response.body), 'text')
      client.destroy()
    }
    t.match(String(host.errors), /filler/)
  })

  await t.test('a reader that stalls fills up, is refused, drains, and has got everything that was taken', async (t) => {
    const host = await startHost(t, engine)
    const witness = new ExchangeWitness()
    let stream: Exchange | undefined
    host.request = (_head, exchange) => {
      exchange.owner = witness
      stream = exchange
      exchange.openStream(events)
    }
    const client = await RawConnection.open(host.port)
    await client.send(GET)
    await client.readHead()
    client.socket.pause()
    const written: number[] = []
    let sent: Sent | undefined = 'ok'
    while (sent === 'ok' && written.length * 100_000 < MOUNTAIN_BYTES) {
      sent = stream?.write(chunkNumber(written.length))
      written.push(written.length)
      await turns(1)
    }
    t.equal(sent, 'full')
    t.equal(stream?.write('nothing of this'), 'refused')
    t.equal(stream?.write(Buffer.from('or this')), 'refused')
    t.same(await witness.journal.settled(), [])
    client.socket.resume()
    await witness.journal.until('drain')
    t.equal(stream?.write('data: end\n\n'), 'ok', 'it can be written again')
    stream?.finish()
    const body: Buffer[] = []
    for (;;) {
      const chunk = await client.readChunk()
      if (chunk.length === 0) break
      if (String(chunk) !== ':\n\n') body.push(chunk)
    }
    t.ok(Buffer.concat(body).equals(Buffer.concat([...written.map(chunkNumber), Buffer.from('data: end\n\n')])))
    t.same(await witness.journal.settled(), ['drain'])
    client.destroy()
  })

  await t.test('a reader that stalls for too long is gone, its memory bounded, and others are served meanwhile', async (t) => {
    const host = await startHost(t, engine, { stallTimeoutMs: 80 })
    const stalled = [new ExchangeWitness(), new ExchangeWitness()]
    const streams: Exchange[] = []
    host.request = (head, exchange) => {
      if (head.path !== '/') {
        exchange.respond(plain, 'well')
        return
      }
      exchange.owner = stalled[streams.length] ?? null
      streams.push(exchange)
      exchange.openStream(events)
    }
    const clients = [await RawConnection.open(host.port), await RawConnection.open(host.port)]
    for (const client of clients) {
      await client.send(GET)
      await client.readHead()
      client.socket.pause()
    }
    for (const stream of streams) {
      let bytes = 0
      while (bytes < MOUNTAIN_BYTES && stream.write(chunkNumber(0)) !== 'full') bytes += 100_000
      t.ok(bytes < MOUNTAIN_BYTES, 'the kernel takes only so much')
    }
    const other = await RawConnection.open(host.port)
    await other.send('GET /other HTTP/1.1\r\nHost: test\r\n\r\n')
    t.equal(String((await other.readResponse()).body), 'well')
    other.destroy()
    for (const [index, witness] of stalled.entries()) {
      await witness.journal.until('gone timeout')
      t.same(await witness.journal.settled(), ['gone timeout'])
      t.equal(streams[index]?.write('x'), 'gone')
      streams[index]?.finish()
      streams[index]?.abort()
      clients[index]?.destroy()
    }
    t.same(host.errors, [])
  })

  await t.test('a stalled reader is noticed with small writes too', async (t) => {
    const host = await startHost(t, engine)
    const witness = new ExchangeWitness()
    let stream: Exchange | undefined
    host.request = (_head, exchange) => {
      exchange.owner = witness
      stream = exchange
      exchange.openStream(events)
    }
    const client = await RawConnection.open(host.port)
    await client.send(GET)
    await client.readHead()
    client.socket.pause()
    // Until the kernel takes nothing more: all of it, then small ones up to `full`.
    let small = 0
    const comment = Buffer.alloc(8000, ':')
    let sent: Sent | undefined = 'ok'
    while (sent === 'ok' && small * 8000 < MOUNTAIN_BYTES) {
      sent = stream?.write(comment)
      small++
    }
    t.equal(sent, 'full')
    t.equal(stream?.write(comment), 'refused')
    client.socket.resume()
    await witness.journal.until('drain')
    t.equal(stream?.write('data: x\n\n'), 'ok')
    stream?.finish()
    client.destroy()
  })
}

function chunkNumber(number: number): Buffer {
  return Buffer.from(`data: ${String(number).padStart(8, '0')}${'x'.repeat(99_984)}\n\n`)
}
