// The demo page at `/`, and the pages in its folders: a handful of files, read once at the start.

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
  '.json': 'application/json',
  '.svg': 'image/svg+xml',
  '.txt': 'text/plain; charset=utf-8',
}

const POLICY = "default-src 'self'; connect-src 'self' ws: wss:; frame-ancestors 'none'"
/** Converse.js sets styles in its templates and draws avatars as data. */
const XMPP_POLICY = `${POLICY}; style-src 'self' 'unsafe-inline'; img-src 'self' data:`

interface Page {
  readonly head: Head
  readonly body: Buffer
}

export class StaticFiles {
  readonly #pages = new Map<string, Page>()

  /** Serves the files of `folder` (undefined: none) at `/`, those of its `xmpp` at `/xmpp/`. */
  constructor(folder: string | undefined) {
    if (folder === undefined) return
    this.#read(folder, '/', POLICY)
    this.#read(join(folder, 'xmpp'), '/xmpp/', XMPP_POLICY)
    this.#pages.set('/xmpp', { head: defineHead(308, [['location', 'xmpp/']]), body: Buffer.alloc(0) })
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

  /** The files of `folder` at `base`, its index.html at `base` itself. */
  #read(folder: string, base: string, policy: string): void {
    for (const name of readdirSync(folder)) {
      const type = TYPES[extname(name)]
      if (type === undefined) continue
      const head = defineHead(200, [
        ['content-type', type],
        ['cache-control', 'no-cache'],
        ['x-content-type-options', 'nosniff'],
        ['content-security-policy', policy],
      ])
      const page = { head, body: readFileSync(join(folder, name)) }
      this.#pages.set(`${base}${name}`, page)
      if (name === 'index.html') this.#pages.set(base, page)
    }
  }
}
