// The client's small parts: the event-stream parser against every cut, the memory of ids, the bundle's size.

import { readdirSync, readFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'
import t from 'tap'
import WebSocket from 'ws'
import { type Environment, environmentWith } from '../../client/environment.js'
import { SeenIds } from '../../client/seen-ids.js'
import { type ServerSentEvent, SseParser } from '../../client/sse-parser.js'

function parse(chunks: readonly Uint8Array[], limitChars = 1000) {
  const events: ServerSentEvent[] = []
  const retries: number[] = []
  const parser = new SseParser({ onEvent: (event) => events.push(event), onRetry: (retryMs) => retries.push(retryMs) }, limitChars)
  for (const chunk of chunks) parser.push(chunk)
  return { events, retries }
}

const bytes = (text: string) => new TextEncoder().encode(text)

t.test('an event stream', async (t) => {
  t.test('is read as the standard says', async (t) => {
    const cases: [string, string, string[]][] = [
      ['one event', 'id: 1\nevent: message\ndata: x\n\n', ['1 x']],
      ['lines of data', 'data: a\ndata: b\n\n', [' a\nb']],
      ['the id stays until the next', 'id: 1\ndata: a\n\ndata: b\n\nid: 2\ndata: c\n\n', ['1 a', '1 b', '2 c']],
      ['an empty id forgets', 'id: 1\ndata: a\n\nid\ndata: b\n\n', ['1 a', ' b']],
      ['an id with NUL is none', 'id: 1\nid: 2\u00003\ndata: a\n\n', ['1 a']],
      ['only one space is dropped', 'data:  a\ndata:b\n\n', ['  a\nb']],
      ['comments, unknown fields, and events without data', ': hi\nfoo: 1\nevent: x\n\n:\n\ndata: a\n\n', [' a']],
      ['empty data is data', 'data\n\ndata:\ndata:\n\n', [' ', ' \n']],
      ['what is not ended is none', 'data: a\n\ndata: b\n', [' a']],
      ['colons in values', 'data: {"a":"b: c"}\n\n', [' {"a":"b: c"}']],
      ['a byte order mark', '\ufeffdata: a\n\n', [' a']],
      ['every line ending', 'data: a\r\n\r\ndata: b\r\rdata: c\n\ndata: d\r\n\n', [' a', ' b', ' c', ' d']],
      ['the end of an event with CR needs no next byte', 'data: a\r\r', [' a']],
    ]
    for (const [name, text, expected] of cases) {
      t.same(
        parse([bytes(text)]).events.map(({ id, data }) => `${id} ${data}`),
        expected,
        name,
      )
    }
    t.same(parse([bytes('retry: 15\nretry: x\nretry: -1\nretry:\n')]).retries, [15])
  })

  t.test('does not depend on where it was cut, nor on the line endings', async (t) => {
    const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31))
    let word = seed
    const below = (n: number) => {
      word = (Math.imul(word, 1_664_525) + 1_013_904_223) >>> 0
      return Math.floor((word / 2 ** 32) * n)
    }
    const values = ['a', '', '{"type":"message","data":"x"}', 'ü', '用户', '🙂', ' two  spaces', ':', 'data: no']
    const fields = ['data: ', 'data:', 'id: ', 'id', ': ', 'event: ', 'retry: ', 'other: ', 'data', '']
    const pick = (list: readonly string[]) => list[below(list.length)] ?? ''
    for (let round = 0; round < 5000; round++) {
      const lines = Array.from({ length: 1 + below(12) }, () => {
        const field = pick(fields)
        return field.endsWith(':') || field.endsWith(' ') ? field + pick(values) : field
      })
      const plain = `${lines.join('\n')}\n\n`
      const expected = parse([bytes(plain)])
      // CR followed by LF is one end, so that an empty line ended by a lone LF cannot follow one ended by CR.
      const ends = ['\n', '\r\n', '\r'][below(4)]
      let text = below(2) === 0 ? '\ufeff' : ''
      let previous = ''
      for (const line of [...lines, '']) {
        let end = ends ?? pick(['\n', '\r\n', '\r'])
        if (previous === '\r' && line === '' && end === '\n') end = '\r'
        text += line + end
        previous = end
      }
      const whole = bytes(text)
      const chunks: Uint8Array[] = []
      for (let start = 0; start < whole.length; ) {
        const length = below(3) === 0 ? 0 : 1 + below(9)
        chunks.push(whole.subarray(start, start + length))
        start += length
      }
      const found = parse(chunks)
      if (JSON.stringify(found) !== JSON.stringify(expected)) {
        t.same(found, expected, `seed ${seed}, round ${round}: ${JSON.stringify(text)}`)
        break
      }
    }
  })

  t.test('survives any bytes, and an event has a limit', async (t) => {
    const noise = Uint8Array.from({ length: 2000 }, (_, n) => (n * 7919) % 256)
    t.doesNotThrow(() => parse([noise], 1e6))
    t.equal(parse([bytes(`data: ${'x'.repeat(993)}\n\n`)]).events.length, 1, 'the limit counts the text and its line ends')
    t.throws(() => parse([bytes(`data: ${'x'.repeat(1001)}\n\n`)]), RangeError)
    t.throws(() => parse(Array.from({ length: 30 }, () => bytes('x'.repeat(50)))), RangeError, 'a line without an end')
    t.throws(() => parse(Array.from({ length: 30 }, () => bytes(`data: ${'x'.repeat(50)}\n`))), RangeError, 'an event without an end')
    t.equal(parse(Array.from({ length: 30 }, () => bytes(`data: ${'x'.repeat(50)}\n\n`))).events.length, 30)
  })
})

t.test('ids', async (t) => {
  t.test('the last ones are known, not more than twice the limit', async (t) => {
    const seen = new SeenIds(10)
    for (let n = 0; n < 100; n++) t.ok(seen.isNew({ id: String(n) }))
    for (let n = 90; n < 100; n++) t.notOk(seen.isNew({ id: String(n) }), `${n}`)
    t.ok(seen.isNew({ id: '79' }), 'long ago')
  })

  t.test('a joint of sender, topic and id is unmistakable', async (t) => {
    const seen = new SeenIds(10)
    t.ok(seen.isNew({ from: 'a b', topic: 'c', id: 'd' }))
    t.ok(seen.isNew({ from: 'a', topic: 'b c', id: 'd' }))
    t.ok(seen.isNew({ from: 'a', topic: 'b', id: 'c d' }))
    t.notOk(seen.isNew({ from: 'a b', topic: 'c', id: 'd' }))
  })
})

t.test('the bundle', async (t) => {
  const { outputFiles } = await build({
    entryPoints: ['client/holdwire.ts'],
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
    write: false,
    metafile: true,
  })
  const code = outputFiles[0]?.contents ?? new Uint8Array()

  t.test('is smaller than 8 KB gzipped', async (t) => {
    const size = gzipSync(code).length
    t.comment(`${code.length} bytes, ${size} gzipped`)
    t.ok(size < 8192, `${size}`)
    t.ok(size > 3000, 'and it is all there')
  })

  t.test('takes nothing from Node or a package', async (t) => {
    t.notMatch(Buffer.from(code).toString(), /\b(require\(|from ?["']|Buffer\b|process\.)/)
  })

  t.test('and its types need neither DOM nor Node', async (t) => {
    for (const name of readdirSync('dist/client').filter((each) => each.endsWith('.d.ts'))) {
      t.notMatch(readFileSync(`dist/client/${name}`, 'utf8'), /reference types|import\("node|NodeJS\.|: AbortSignal\b|: Response\b/, name)
    }
  })
})

t.test('surroundings', async (t) => {
  t.test("ws's WebSocket and this Node's own functions fit", async (t) => {
    const environment: Environment = environmentWith({ WebSocket })
    t.equal(environment.WebSocket, WebSocket)
    t.ok(Math.abs(environment.now() - Date.now()) < 1000)
    t.ok(environment.random() < 1)
    environment.onWake(() => t.fail('nothing wakes'))()
    await new Promise<void>((resolve) => {
      environment.clearTimeout(environment.setTimeout(() => t.fail('cleared'), 0))
      environment.setTimeout(resolve, 1)
    })
    await t.rejects(environment.fetch('http://127.0.0.1:1/', { method: 'GET', headers: {}, cache: 'no-store', signal: undefined as never }))
  })

  t.test('in a page, online and becoming visible wake it', async (t) => {
    const place = globalThis as { window?: EventTarget; document?: EventTarget & { visibilityState: string } }
    place.window = new EventTarget()
    place.document = Object.assign(new EventTarget(), { visibilityState: 'hidden' })
    t.teardown(() => {
      delete place.window
      delete place.document
    })
    const { window, document } = place
    let woken = 0
    const stop = environmentWith().onWake(() => {
      woken += 1
    })
    window.dispatchEvent(new Event('online'))
    document.dispatchEvent(new Event('visibilitychange'))
    t.equal(woken, 1)
    document.visibilityState = 'visible'
    document.dispatchEvent(new Event('visibilitychange'))
    t.equal(woken, 2)
    stop()
    window.dispatchEvent(new Event('online'))
    t.equal(woken, 2)
  })
})
