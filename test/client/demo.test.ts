// The demo page in a real browser: the four sessions, the network switch, contacts, topics, and that nothing sticks out at any width.

import { execFileSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { type Browser, chromium, type Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { loadConfig } from '../../gateway/config.js'
import { createLogger } from '../../gateway/logger.js'
import type { Running } from '../../gateway/running.js'
import { startHoldwire } from '../../gateway/serve.js'

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']
const QUIET = '--headless --no-sandbox --disable-gpu --disable-background-networking --disable-component-update --disable-sync'
const LIMIT_MS = 30_000

/** Undefined: none is installed. */
function browserPath(): string | undefined {
  const folders = (process.env.PATH ?? '').split(delimiter)
  const paths = [...folders.flatMap((folder) => NAMES.map((name) => join(folder, name))), chromium.executablePath()]
  return paths.find((path) => {
    try {
      accessSync(path, constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

async function push(running: Running, user: string, text: string): Promise<void> {
  const response = await fetch(`${running.internalUrl}/api/v1/push`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ to: { user }, data: { text } }),
  })
  if (!response.ok) throw new Error(`push: ${response.status}`)
}

/** Serves the page to a browser; what the browser complains about fails the test. */
async function pageOf(t: Test, browser: Browser, url: string, width = 1360): Promise<Page> {
  const context = await browser.newContext({ viewport: { width, height: 800 } })
  t.teardown(() => context.close())
  const page = await context.newPage()
  page.setDefaultTimeout(LIMIT_MS)
  page.on('pageerror', (error) => t.fail(`the page: ${error.stack}`))
  page.on('console', (line) => {
    if (line.type() === 'error' || line.type() === 'warning') t.fail(`the console: ${line.text()}`)
  })
  await page.goto(url)
  return page
}

const allOpen = (page: Page, columns: number) =>
  page
    .locator('.column[data-state=open]')
    .nth(columns - 1)
    .waitFor()
const countOf = (page: Page, column: string, count: number) => page.waitForSelector(`.${column} .count:text-is("${count}")`)
const counts = (page: Page) => page.$$eval('.column .count', (all) => all.map(({ textContent }) => Number(textContent)))
const FOUR = ['demo-ws', 'demo-sse', 'demo-poll', 'demo-longpoll']

async function countsAre(page: Page, count: number): Promise<void> {
  for (const column of FOUR) await countOf(page, column, count)
}

t.setTimeout(240_000)
const path = browserPath()

t.test('the demo page', { skip: path === undefined ? 'no Chromium on PATH' : false }, async (t) => {
  execFileSync(process.execPath, ['client/build.js'])
  const argv = ['--client-port', '0', '--internal-port', '0', '--log-level', 'error', '--drain-seconds', '0', '--engine', 'node']
  const config = loadConfig({ argv, env: {} })
  const running = await startHoldwire(config, 'serve', createLogger(config))
  t.teardown(() => running.stop())
  const url = `${running.clientUrl}/`
  const browser = await chromium.launch({ executablePath: path ?? '', args: QUIET.split(' ') })
  t.teardown(() => browser.close())

  await t.test('four sessions receive what is pushed; one that was cut off catches up', async (t) => {
    const page = await pageOf(t, browser, url)
    await page.fill('#user', 'alice')
    await page.click('#enter button[type=submit]')
    await allOpen(page, 4)
    for (let n = 1; n <= 5; n++) await push(running, 'alice', `push ${n}`)
    await countsAre(page, 5)
    t.same(
      await page.$$eval('.demo-poll .text', (all) => all.map(({ textContent }) => textContent)),
      [5, 4, 3, 2, 1].map((n) => `push ${n}`),
    )
    t.match(await page.textContent('.demo-ws .median'), /^\d+ ms$/)

    for (const name of ['demo-ws', 'demo-sse', 'demo-longpoll']) {
      await page.click(`.${name} .switch`)
      t.equal(await page.textContent(`.${name} .state-text`), 'network cut')
    }
    for (let n = 1; n <= 3; n++) await push(running, 'alice', `while cut ${n}`)
    await countOf(page, 'demo-poll', 8)
    t.same(await counts(page), [5, 5, 8, 5])
    for (const name of ['demo-ws', 'demo-sse', 'demo-longpoll']) await page.click(`.${name} .switch`)
    await countsAre(page, 8)
    for (const name of ['demo-ws', 'demo-sse', 'demo-longpoll']) {
      t.match(await page.textContent(`.${name} .notice`), /Back after .*: 3 messages recovered, nothing was lost/)
      t.equal(await page.locator(`.${name} .recovered`).count(), 3)
    }

    await page.click('#burst')
    await countsAre(page, 28)
    await page.click('#leave')
    t.ok(await page.isVisible('#welcome'))
  })

  await t.test('two users see each other, write to each other, and share a topic', async (t) => {
    const carol = await pageOf(t, browser, `${url}?user=carol`)
    const dave = await pageOf(t, browser, `${url}?user=dave&over=demo-ws`)
    await allOpen(carol, 4)
    await allOpen(dave, 1)
    await dave.fill('#contact', 'carol')
    await dave.click('#add-contact button')
    await carol.click('#requests button:text("Allow")')
    await dave.waitForSelector('#contacts [data-look=online]')
    await carol.selectOption('#status', 'away')
    await dave.waitForSelector('#contacts [data-look=away]')

    await carol.fill('#topic', 'news')
    await carol.click('#add-topic button')
    await carol.waitForSelector('#topics li')
    await dave.selectOption('#send-kind', 'topic')
    await dave.fill('#send-to', 'news')
    await dave.fill('#send-text', '<b>not bold</b>')
    await dave.click('#send button[type=submit]')
    await countsAre(carol, 1)
    t.equal(await carol.textContent('.demo-sse .text'), '<b>not bold</b>')
    t.equal(await carol.textContent('.demo-sse .tag'), '# news')
    t.match(await dave.textContent('#send-outcome'), /Accepted for news/)
    t.match(await dave.textContent('#curl'), 'api/v1/push')
  })

  await t.test('where names are no proof it asks for a token', async (t) => {
    const page = await pageOf(t, browser, url)
    await page.click('#token-details summary')
    await page.fill('#token', 'no.such.token')
    await page.route('**/*', (route) => (/\/(sse|poll)/.test(route.request().url()) ? route.fulfill(refused) : route.continue()))
    await page.routeWebSocket('**/ws*', (socket) => socket.close({ code: 4001, reason: 'not a token of ours' }))
    page.removeAllListeners('console') // the browser notes every 401
    await page.click('#enter button[type=submit]')
    await page.waitForSelector('#enter-problem:not([hidden])')
    t.match(await page.textContent('#enter-problem'), /may want a token/)
  })

  for (const width of [1360, 820, 375, 320]) {
    await t.test(`nothing sticks out at ${width} pixels`, async (t) => {
      const page = await pageOf(t, browser, `${url}?user=a%20rather%20long%20name%20for%20user%20${width}`, width)
      await allOpen(page, 4)
      await page.fill('#send-text', `averylongwordwithoutanyspaces${'x'.repeat(200)}`)
      await page.click('#send button[type=submit]')
      await countsAre(page, 1)
      const wide = await page.$$eval('body *', (all) => {
        const root = all[0]?.ownerDocument.documentElement
        const limit = root?.clientWidth ?? 0
        const out = all.filter((each) => each.checkVisibility() && each.getBoundingClientRect().right > limit + 1)
        return { page: (root?.scrollWidth ?? 0) - limit, out: out.map((each) => each.outerHTML.slice(0, 80)) }
      })
      t.same(wide, { page: 0, out: [] })
    })
  }
})

const refused = { status: 401, contentType: 'application/problem+json', body: '{"code":"unauthorized","detail":"not a token of ours"}' }
