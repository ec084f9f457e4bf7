// The demo page at `/`: a handful of files, read once at the start.

import { readdirSync, readFileSync } from 'node:fs'
import { extname, join } from 'node:path'
import { answerProblem } from './answers.js'
import type { Exchange, Head } from './engine/engine.js'
import { defineHead } from './engine/heads.js'
import type { Visit } from './visit.js'

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
}

interface Page {
  readonly head: Head
  readonly body: Buffer
}

export class StaticFiles {
  readonly #pages = new Map<string, Page>()

  /** Serves the files of `folder` (undefined: none) at `/`, its index.html at `/` itself. */
  constructor(folder: string | undefined) {
    if (folder === undefined) return
    for (const name of readdirSync(folder)) {
      const type = TYPES[extname(name)]
      if (type === undefined) continue
      const head = defineHead(200, [
        ['content-type', type],
        ['cache-control', 'no-cache'],
        ['x-content-type-options', 'nosniff'],
        ['content-security-policy', "default-src 'self'; connect-src 'self' ws: wss:; frame-ancestors 'none'"],
      ])
      const page = { head, body: readFileSync(join(folder, name)) }
      this.#pages.set(`/${name}`, page)
      if (name === 'index.html') this.#pages.set('/', page)
    }
  }

  serve(visit: Visit, exchange: Exchange): void {
    const page = this.#pages.get(visit.path)
    if (page === undefined) answerProblem(exchange, { code: 'not_found', reason: 'nothing is there' }, visit.cors)
    else if (visit.method !== 'GET' && visit.method !== 'HEAD') {
      answerProblem(exchange, { code: 'method_not_allowed', reason: `${visit.method} means nothing here` }, [
        ...visit.cors,
        ['allow', 'GET, HEAD'],
      ])
    } else exchange.respond(page.head, page.body)
  }
}
