// POST /http-bind and /bosh: from an HTTP exchange to a BOSH request and back. Errors are always a `<body/>`, never a problem
// document or a page.

import type { Element } from '../../proto/xml/element.js'
import { parseXml, XmlError } from '../../proto/xml/parse.js'
import type { Headers } from '../cors.js'
import type { Exchange, ExchangeOwner, Head } from '../engine/engine.js'
import { defineHead } from '../engine/heads.js'
import type { Visit } from '../visit.js'
import type { Asker, AskerHolder, BoshAnswer, Origin } from './asker.js'
import { type Creation, type Malformed, type Request, readBody } from './attributes.js'
import type { BoshSessions } from './bosh-sessions.js'
import { decodeBody } from './content-encoding.js'
import { readPlainBody } from './plain-body.js'
import { DEFAULT_CONTENT_TYPE } from './response.js'
import { endingWith } from './terminate.js'

/** A request whose session is not here. */
export interface BoshVisit {
  readonly sid: string
  /** Its `<body/>`, decompressed. */
  readonly body: Buffer
  readonly origin: Origin
  readonly asker: Asker
}

/** `settled`: its asker has its answer, or has gone. `here`: the session has come to this node. `absent`: there is none. */
export type Elsewhere = 'settled' | 'here' | 'absent'

export interface BoshPortOptions {
  readonly sessions: BoshSessions
  readonly maxBodyBytes: number
  /** Looks for the session at other nodes, has it answer there, or brings it here. */
  elsewhere(visit: BoshVisit): Promise<Elsewhere>
  onError(error: unknown, what: string): void
}

export class BoshPort {
  readonly #options: BoshPortOptions

  constructor(options: BoshPortOptions) {
    this.#options = options
  }

  /** POST. Other methods: see `page`. */
  request(visit: Visit, exchange: Exchange): void {
    exchange.owner = new HttpAsker(this, exchange, visit)
    exchange.readBody(this.#options.maxBodyBytes)
  }

  /** GET: for people. */
  page(visit: Visit, exchange: Exchange): void {
    exchange.respond(PAGE_HEAD, PAGE, visit.cors)
  }

  /** A request that came to another node and was relayed to this one. False: its session is not here. */
  relayed({ sid, body, origin, asker }: BoshVisit): boolean {
    if (this.#options.sessions.get(sid) === undefined) return false
    const parsed = this.#parse(body)
    if ('problem' in parsed) this.#options.sessions.answer(asker, endingWith('bad-request', parsed.problem))
    else this.#receive(parsed, body, origin, asker)
    return true
  }

  /** `body` null: it was too long. */
  received(body: Buffer | null, contentEncoding: string, origin: Origin, asker: Asker): void {
    const { sessions, maxBodyBytes } = this.#options
    const tooLong = `a body has at most ${maxBodyBytes} bytes`
    const decoded = body === null ? 'too large' : decodeBody(body, contentEncoding, maxBodyBytes)
    if (typeof decoded === 'string') {
      sessions.answer(asker, endingWith('bad-request', decoded === 'malformed' ? 'the body is not coded as it says' : tooLong))
      return
    }
    const parsed = this.#parse(decoded)
    if ('problem' in parsed) sessions.answer(asker, endingWith('bad-request', parsed.problem))
    else this.#receive(parsed, decoded, origin, asker)
  }

  #parse(body: Buffer): Parsed | { readonly problem: string } {
    try {
      const source = readPlainBody(body) ?? parseXml(body)
      return { source, content: readBody(source) }
    } catch (error) {
      if (!(error instanceof XmlError)) throw error
      return { problem: error.message }
    }
  }

  #receive({ source, content }: Parsed, body: Buffer, origin: Origin, asker: Asker): void {
    const { sessions } = this.#options
    const incoming = { source, sizeBytes: body.length, origin, asker }
    switch (content.kind) {
      case 'creation':
        sessions.create(content, incoming)
        return
      case 'malformed':
        sessions.refuse(content, asker)
        return
      case 'request':
        if (sessions.receive(content, incoming)) return
        this.#elsewhere(content, incoming, body).catch((error) => {
          this.#options.onError(error, 'looking for a BOSH session')
          sessions.answer(asker, endingWith('internal-server-error', 'something went wrong here'))
        })
    }
  }

  async #elsewhere(request: Request, incoming: Parameters<BoshSessions['receive']>[1], body: Buffer): Promise<void> {
    const { sessions, elsewhere } = this.#options
    const { origin, asker } = incoming
    const { sid } = request
    const found = await elsewhere({ sid, body, origin, asker })
    if (found === 'settled' || (found === 'here' && sessions.receive(request, incoming))) return
    sessions.answerUnknown(sid, asker)
  }
}

interface Parsed {
  readonly source: Element
  readonly content: Creation | Request | Malformed
}

/** The HTTP side of a request. */
class HttpAsker implements ExchangeOwner, Asker {
  holder: AskerHolder | undefined = undefined
  readonly #port: BoshPort
  readonly #exchange: Exchange
  readonly #visit: Visit
  /** Read, but longer than may be: the connection can't be used any more. */
  #tooLong = false

  constructor(port: BoshPort, exchange: Exchange, visit: Visit) {
    this.#port = port
    this.#exchange = exchange
    this.#visit = visit
  }

  get gone(): boolean {
    return this.#exchange.gone
  }

  onBody(_exchange: Exchange, body: Buffer | null): void {
    const { contentEncoding, ip, secure } = this.#visit
    this.#tooLong = body === null
    this.#port.received(body, contentEncoding, { ip, secure }, this)
  }

  onGone(): void {
    const { holder } = this
    this.holder = undefined
    holder?.askerGone(this)
  }

  settle(answer: BoshAnswer | 'drop'): void {
    if (answer === 'drop') {
      this.#exchange.abort()
      return
    }
    const { cors, closing } = this.#visit
    const { status, contentType, body, close } = answer
    const isDefault = contentType === DEFAULT_CONTENT_TYPE
    const headers: Headers = isDefault ? cors : [['content-type', contentType], ...cors]
    this.#exchange.respond(headOf(status, isDefault), body, headers, close || closing || this.#tooLong)
  }
}

/** Clients choose the content type and what their stanzas say: no browser may take a response for a page with scripts. */
const COMMON: Headers = [
  ['cache-control', 'no-store'],
  ['content-security-policy', 'sandbox'],
  ['x-content-type-options', 'nosniff'],
]

const heads = new Map<string, Head>()

function headOf(status: number, isDefault: boolean): Head {
  const key = `${status} ${isDefault}`
  let head = heads.get(key)
  if (head === undefined) {
    head = defineHead(status, isDefault ? [['content-type', DEFAULT_CONTENT_TYPE], ...COMMON] : COMMON)
    heads.set(key, head)
  }
  return head
}

const PAGE_HEAD = defineHead(200, [
  ['content-type', 'text/html; charset=utf-8'],
  ['cache-control', 'no-store'],
])

const PAGE = `<!doctype html>
<html lang="en">
<title>BOSH</title>
<p>This address is for XMPP clients that speak BOSH
(<a href="https://xmpp.org/extensions/xep-0124.html">XEP-0124</a>, <a href="https://xmpp.org/extensions/xep-0206.html">XEP-0206</a>):
they send POST requests here.
</html>
`
