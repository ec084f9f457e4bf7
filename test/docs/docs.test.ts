// The documentation does what it says: every block of README.md and docs/*.md is run, and every link leads somewhere.
// README.md in this folder tells how a block says what is to be done with it.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { chromiumPath, launch } from './browser.js'
import { deadLinks, unfinished } from './links.js'
import { type Page, readPage } from './markdown.js'
import { type Result, runPage } from './page-run.js'
import { typeCheck } from './type-check.js'

const root = process.cwd()
const AT_ONCE = 4

const paths = [
  'README.md',
  ...readdirSync(join(root, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
]
// `DOCS=docs/bus.md,README.md` for work on a page.
const chosen = process.env.DOCS?.split(',')
const pages = new Map<string, Page>(paths.map((path) => [path, readPage(path, readFileSync(join(root, path), 'utf8'))]))
const run = [...pages.values()].filter(({ path }) => chosen === undefined || chosen.includes(path))

t.test('links lead somewhere, and nothing is left to do', async (t) => {
  for (const page of run) {
    const problems = [...deadLinks(page, root, pages), ...unfinished(page)]
    t.same(
      problems.map(({ line, message }) => `${page.path}:${line}: ${message}`),
      [],
      page.path,
    )
  }
  const index = pages.get('docs/README.md')
  const named = new Set(index?.links.map(({ target }) => `docs/${target.split('#')[0]}`))
  const missing = paths.filter((path) => path !== 'README.md' && path !== 'docs/README.md' && !named.has(path))
  t.same(missing, [], 'docs/README.md names every page in docs/')
})

t.test('blocks do what they say', async (t) => {
  const path = chromiumPath()
  const browser = path === undefined ? undefined : await launch(path)
  t.teardown(() => browser?.close())
  const checking = typeCheck(run)
  const results = new Map<Page, Result[]>()
  // Those with the most to run first.
  const waiting = [...run].sort((a, b) => b.blocks.length - a.blocks.length)
  const worker = async () => {
    for (let page = waiting.shift(); page !== undefined; page = waiting.shift()) results.set(page, await runPage(page, browser))
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  const wrongTypes = await checking
  for (const page of run) {
    await t.test(page.path, async (t) => report(t, page, results.get(page) ?? [], wrongTypes))
  }
  t.equal(wrongTypes.get('tsc'), undefined, 'the compiler itself has nothing to say')
})

function report(t: Test, { path, blocks }: Page, results: readonly Result[], wrongTypes: ReadonlyMap<string, string>): void {
  const only = new Map(blocks.map((block) => [block.line, block.markers.get('checked only')]))
  for (const { line, what, skipped, failure } of results) {
    const place = `${path}:${line}`
    const wrong = failure ?? wrongTypes.get(place)
    if (wrong !== undefined) t.fail(`${place}: ${what}: ${wrong}`)
    else if (skipped !== undefined) t.pass(`${place}: ${what}`, { skip: skipped })
    else t.pass(`${place}: ${what}${only.get(line) === undefined ? '' : ` (type-checked only: ${only.get(line)})`}`)
  }
}
