// Chromium, where it is installed: loads the HTML blocks of the pages. What a block names by a relative address comes from the checkout.

import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { extname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { type Browser, chromium } from 'playwright-core'
import { which } from './checkout.js'

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']
const TYPES: Readonly<Record<string, string>> = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css' }
const SETTLE_MS = 300

/** Undefined: none is installed. */
export function chromiumPath(): string | undefined {
  return NAMES.map(which).find((path) => path !== undefined)
}

export function launch(executablePath: string): Promise<Browser> {
  return chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'] })
}

/** A page that stays open until `close`. */
export interface OpenPage {
  /** What it wrote to its console, and what it shows. */
  output(): Promise<string>
  readonly errors: readonly string[]
  close(): Promise<void>
}

/** Serves `folder` on a port of its own and opens `file`. */
export async function open(browser: Browser, folder: string, file: string): Promise<OpenPage> {
  const lines: string[] = []
  const errors: string[] = []
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost')
    readFile(join(folder, pathname)).then(
      (body) => response.setHeader('content-type', TYPES[extname(pathname)] ?? 'application/octet-stream').end(body),
      () => {
        if (pathname !== '/favicon.ico') errors.push(`there is no ${pathname}`)
        response.writeHead(204).end()
      },
    )
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  const context = await browser.newContext()
  const page = await context.newPage()
  page.on('pageerror', (error) => errors.push(String(error.stack)))
  page.on('console', (message) => (message.type() === 'error' ? errors : lines).push(message.text()))
  await page.goto(`http://127.0.0.1:${port}/${file}`)
  // What is wrong from the start shows at once.
  await delay(SETTLE_MS)
  return {
    errors,
    // biome-ignore lint/performance/useDomNodeTextContent: what is shown, without the text of scripts
    output: async () => `${lines.join('\n')}\n${await page.locator('body').innerText()}`,
    close: async () => {
      await context.close()
      server.closeAllConnections()
      server.close()
    },
  }
}
