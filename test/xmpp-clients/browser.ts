// Chromium for the clients that live in pages.

import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { type Browser, chromium, type Page } from 'playwright-core'

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']
const QUIET = '--headless --no-sandbox --disable-gpu --disable-background-networking --disable-component-update --disable-sync'
/** A page that was never on a network counts as a public one; that permission is not what is tested. */
const LOOPBACK = '--disable-features=LocalNetworkAccessChecks'
const LIMIT_MS = 30_000
/** How long a server may take to see that a page's connections have been closed. */
const CLOSING_MS = 1000

/** Undefined: none is installed. */
export function browserPath(): string | undefined {
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

export function launch(path: string): Promise<Browser> {
  return chromium.launch({ executablePath: path, args: [...QUIET.split(' '), LOOPBACK] })
}

/** A page with storage of its own, as another user's browser has. */
export async function openPage(browser: Browser): Promise<Page> {
  const context = await browser.newContext({ viewport: { width: 1200, height: 800 } })
  const page = await context.newPage()
  page.setDefaultTimeout(LIMIT_MS)
  return page
}

/** The page is gone, and the server knows: a BOSH request is answered until then, and what nobody acknowledges is not sent again. */
export async function leave(page: Page): Promise<void> {
  await page.goto('about:blank')
  await delay(CLOSING_MS)
}
