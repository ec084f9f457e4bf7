// The tests of the docs notice what is wrong: each kind of mistake on a page of its own.

import t from 'tap'
import { wrongJson, wrongYaml } from './claims.js'
import { missingLine } from './expected.js'
import { deadLinks, unfinished } from './links.js'
import { readPage } from './markdown.js'
import { runPage } from './page-run.js'
import { typeCheck } from './type-check.js'

const fenced = (language: string, text: string, ...markers: string[]) =>
  [...markers.map((marker) => `<!-- ${marker} -->`), `\`\`\`${language}`, text, '```', ''].join('\n')

/** What fails on such a page, by line; a reason for what is skipped. */
async function outcome(...blocks: string[]): Promise<string[]> {
  const results = await runPage(readPage('docs/page.md', blocks.join('\n')), undefined)
  return results.flatMap(({ line, failure, skipped }) => {
    const words = failure ?? (skipped === undefined ? undefined : `skipped: ${skipped}`)
    return words === undefined ? [] : [`${line}: ${words.split('\n')[0]}`]
  })
}

t.test('commands', async (t) => {
  t.same(await outcome(fenced('sh', 'NAME=alice'), fenced('sh', 'echo "hello $NAME"'), fenced('text', 'hello alice', 'output')), [])
  t.match(await outcome(fenced('sh', 'true\nfalse\ntrue')), ['1: `false` failed with 1:'])
  t.match(await outcome(fenced('sh', 'true && false')), ['1: `true && false` failed with 1:'])
  t.match(await outcome(fenced('sh', 'curl http://127.0.0.1:8000/')), [/^1: `curl .*` failed with 7:/])
  t.match(
    await outcome(fenced('sh', 'docker ps || true')),
    ['leaves this machine'].map((words) => new RegExp(words)),
  )
  t.match(await outcome(fenced('sh', 'echo one'), fenced('text', 'two', 'output')), [/no such line: two/])
  t.match(await outcome(fenced('sh', 'exit 0'), fenced('sh', 'true')), [/ended the shell/, /not run/])
  t.same(await outcome(fenced('sh', 'false', 'fails')), [])
  t.match(await outcome(fenced('sh', 'true', 'fails')), [/is said to fail and did not/])
})

t.test('terminals', async (t) => {
  const tick = 'echo up; while true; do sleep 0.1; echo tick; done'
  t.same(await outcome(fenced('sh', tick, 'terminal: clock'), fenced('text', 'up\ntick\ntick', 'output: clock')), [])
  t.match(await outcome(fenced('sh', 'exit 3', 'terminal: short')), [/^2: ended with 3/])
  t.match(await outcome(fenced('sh', 'true', 'stop: nobody')), [/there is no terminal nobody/])
})

t.test('markers', async (t) => {
  t.match(await outcome(fenced('', 'text'), fenced('python', 'pass')), [/no language/, /language `python`/])
  t.match(await outcome(fenced('sh', 'false', 'not run: needs a cluster')), ['2: skipped: needs a cluster'])
  t.match(await outcome(fenced('sh', 'false', 'needs: no-such-program')), ['2: skipped: no no-such-program on this machine'])
  t.match(await outcome(fenced('sh', 'true', 'not runn: typo')), [/`not runn: typo` above a block is no marker/])
  t.match(await outcome(fenced('sh', 'true', 'not run')), [/say `not run: …`/, /skipped/])
  t.match(await outcome('<!-- not run: too far up -->', 'Text.', fenced('sh', 'true')), [/no block follows the marker/])
  t.match(await outcome(fenced('js', 'x', 'file: unused.mjs')), [/makes use of the file unused.mjs/])
})

t.test('code', async (t) => {
  t.same(await outcome(fenced('ts', 'const n: number = 1\nconsole.log(n)'), fenced('text', '1', 'output')), [])
  t.match(await outcome(fenced('js', 'process.exit(4)')), [/failed with 4/])
  const wrong = [
    fenced('js', "import { connect } from 'holdwire/client'\nconnect({ uri: 'http://127.0.0.1' })"),
    fenced('ts', 'show(1)', 'checked only: a fragment'),
    fenced('ts', 'show(1)', 'given: show', 'checked only: a fragment'),
  ]
  const problems = await typeCheck([readPage('docs/page.md', wrong.join('\n'))])
  t.match(problems.get('docs/page.md:1'), /line 3: .*uri/)
  t.match(problems.get('docs/page.md:7'), /show/)
  t.equal(problems.size, 2, 'names that the reader has are no problem')
})

t.test('claims', async (t) => {
  t.equal(wrongJson('{"to":{"user":"alice"},"data":1}', undefined), undefined)
  t.match(wrongJson('{"to":{"usr":"alice"},"data":1}', undefined), /no push/)
  t.match(wrongJson('{"type":"message","id":"1","time":1,"data":1,"cursor":"c","extra":1}', undefined), /no server frame/)
  t.match(wrongJson('{"type":"message","data":1}', undefined), /exactly one of/)
  t.match(wrongJson('{"a":', undefined), /no JSON/)
  t.match(wrongJson('{}', 'nothing'), /which is none of/)
  t.equal(wrongYaml('clientPort: 8000', undefined), undefined)
  t.match(wrongYaml('clientPort: many', undefined), /no configuration/)
  t.match(wrongYaml('clientPorts: 8000', 'configuration'), /no configuration/)
  t.match(wrongYaml('a: [', undefined), /no YAML/)
})

t.test('outputs', async (t) => {
  t.equal(missingLine('{"id":"…","cursor":"x"}', '{"id":"abc","cursor":"K9gGyX8O.1"}', 'json'), undefined)
  t.equal(missingLine('{"id": "a"}', '{"id":"a"}', 'json'), undefined)
  t.equal(missingLine('{"id":"a"}', '{"id":"a","more":1}', 'json'), '{"id":"a"}')
  t.equal(missingLine('b\na', 'a\nb', 'text'), 'a')
  t.equal(missingLine('at 1795420334641', 'at 1800000000000', 'text'), undefined)
  t.equal(missingLine('1.5', '125', 'text'), '1.5')
})

t.test('links', async (t) => {
  const page = readPage(
    'docs/page.md',
    '# A heading\n\n[a](#a-heading) [b](#none) [c](none.md) [d](../README.md#start) [e](../../x) `[f](none)` TODO\n',
  )
  t.same(
    deadLinks(page, process.cwd(), new Map([[page.path, page]])).map(({ message }) => message.split(' ')[0]),
    ['#none:', 'none.md:', '../../x'],
  )
  t.match(unfinished(page), [{ line: 3, message: 'says TODO' }])
})
