// A BOSH client that does right or wrong exactly as it is told: each request is one POST on a connection of its own.

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import type { Account, Context } from './conformance-context.js'
import { RawConnection, type RawResponse } from './raw-http.js'
import { plain, ScramClient, scramHashes } from './scram-client.js'
import { child, childText, escapeXml, find, ns, parseXml, type XmlElement } from './xml-tree.js'

/** null leaves out what would be there by default. */
export type Attributes = Readonly<Record<string, string | number | null>>

export interface PostOptions {
  /** Lower-case names; null leaves a default out. */
  readonly headers?: Readonly<Record<string, string | null>>
  readonly method?: string
  readonly path?: string
  readonly version?: '1.0' | '1.1'
}

export interface Answer extends RawResponse {
  readonly text: string
  /** undefined when the body is not XML. */
  readonly root: XmlElement | undefined
  /** Since the request went out. */
  readonly ms: number
}

/** A request on its way. */
export interface Pending {
  readonly connection: RawConnection
  readonly answer: Promise<Answer>
  readonly answered: () => boolean
}

/** What counts as "immediately" on a busy machine, while requests here are held for at least WAIT_SECONDS. */
export const PROMPT_MS = 2000
export const WAIT_SECONDS = 5

export function requestBytes(context: Context, body: string | Uint8Array, options: PostOptions = {}): Buffer {
  const { host, httpPort, boshPath } = context.target
  const data = Buffer.from(body)
  const headers: Record<string, string | null> = {
    host: `${host}:${httpPort}`,
    'content-type': 'text/xml; charset=utf-8',
    'content-length': String(data.length),
    ...options.headers,
  }
  const lines = Object.entries(headers).flatMap(([name, value]) => (value === null ? [] : [`${name}: ${value}\r\n`]))
  const first = `${options.method ?? 'POST'} ${options.path ?? boshPath} HTTP/${options.version ?? '1.1'}\r\n`
  return Buffer.concat([Buffer.from(`${first}${lines.join('')}\r\n`), data])
}

export async function connect(context: Context): Promise<RawConnection> {
  return context.keep(await RawConnection.open(context.target.httpPort, context.target.host))
}

/** The next answer on a connection that something was sent on. */
export async function readAnswer(context: Context, connection: RawConnection, method = 'POST'): Promise<Answer> {
  const startMs = performance.now()
  const response = await connection.readResponse(method)
  const text = response.body.toString()
  context.note(`< ${response.status} ${response.headers['content-type'] ?? '-'} ${text}`)
  return { ...response, text, root: parsed(text), ms: performance.now() - startMs }
}

function parsed(text: string): XmlElement | undefined {
  try {
    return parseXml(text)
  } catch {
    // HTML and nothing at all are for the case to judge.
    return undefined
  }
}

export async function start(context: Context, body: string | Uint8Array, options: PostOptions = {}): Promise<Pending> {
  const connection = await connect(context)
  context.note(`> ${options.method ?? ''}${body.toString()}`)
  await connection.send(requestBytes(context, body, options))
  let answered = false
  const answer = readAnswer(context, connection, options.method).finally(() => {
    answered = true
  })
  // Whoever awaits it sees the failure; a request given up by its case has nobody to tell.
  answer.catch(() => undefined)
  return { connection, answer, answered: () => answered }
}

/** One request and its answer. */
export async function post(context: Context, body: string | Uint8Array, options?: PostOptions): Promise<Answer> {
  const { answer, connection } = await start(context, body, options)
  const result = await answer
  connection.destroy()
  return result
}

export function bodyElement(attributes: Attributes, payload = ''): string {
  const list = Object.entries({ xmlns: ns.httpbind, ...attributes }).flatMap(([name, value]) =>
    value === null ? [] : [` ${name}='${escapeXml(String(value))}'`],
  )
  return `<body${list.join('')}>${payload}</body>`
}

export function firstRid(): number {
  return 1_000_000 + randomBytes(4).readUInt32BE()
}

/** A good creation request, with what is given added or put in its place. */
export function creationBody(context: Context, attributes: Attributes = {}, payload = ''): string {
  const good: Attributes = {
    'xmlns:xmpp': ns.xbosh,
    rid: firstRid(),
    to: context.target.domain,
    ver: '1.6',
    wait: WAIT_SECONDS,
    hold: 1,
    'xml:lang': 'en',
    'xmpp:version': '1.0',
  }
  return bodyElement({ ...good, ...attributes }, payload)
}

export type LoginOptions = { readonly resource?: string; readonly mechanism?: string; readonly presence?: boolean }

export class BoshSession {
  readonly context: Context
  readonly sid: string
  /** Of the request sent last. */
  rid: number
  readonly created: Answer
  /** Everything that answers carried, in the order in which they were read. */
  readonly received: XmlElement[] = []
  jid = ''
  /** Added to every request that has no key of its own: the next key. */
  extra: () => Attributes = () => ({})

  private constructor(context: Context, rid: number, created: Answer) {
    this.context = context
    this.rid = rid
    this.created = created
    this.sid = created.root?.attributes.sid ?? ''
    assert.equal(created.status, 200, 'status of the creation')
    assert.ok(this.sid !== '', `the creation request is answered with a sid: ${created.text}`)
    this.received.push(...(created.root?.children ?? []))
  }

  /** Fails without a sid in the answer. */
  static async create(context: Context, attributes: Attributes = {}, options?: PostOptions): Promise<BoshSession> {
    const rid = typeof attributes.rid === 'number' ? attributes.rid : firstRid()
    return new BoshSession(context, rid, await post(context, creationBody(context, { ...attributes, rid }), options))
  }

  /** Created, and the features have come. */
  static async open(context: Context, attributes: Attributes = {}): Promise<BoshSession> {
    const session = await BoshSession.create(context, attributes)
    await session.until((stanza) => stanza.local === 'features')
    return session
  }

  /** Logged in as somebody and bound, with nothing under way: answers to pings at once. */
  static async ready(context: Context, attributes: Attributes = {}): Promise<BoshSession> {
    return BoshSession.login(context, await context.account(), attributes, { presence: false })
  }

  /** Logged in and bound. */
  static async login(context: Context, account: Account, attributes: Attributes = {}, options: LoginOptions = {}): Promise<BoshSession> {
    const session = await BoshSession.open(context, attributes)
    await session.authenticate(account, options.mechanism ?? 'PLAIN')
    await session.bind(options.resource)
    if (options.presence ?? true) await session.roundTrip("<presence xmlns='jabber:client'/>")
    return session
  }

  number(attribute: string): number {
    return Number(this.created.root?.attributes[attribute] ?? Number.NaN)
  }

  get polling(): boolean {
    return this.created.root?.attributes.hold === '0' || this.created.root?.attributes.wait === '0'
  }

  features(): XmlElement | undefined {
    return this.received.findLast((stanza) => stanza.local === 'features' && stanza.uri === ns.streams)
  }

  body(rid: number, payload = '', attributes: Attributes = {}): string {
    const extra = 'key' in attributes ? {} : this.extra()
    return bodyElement({ rid, sid: this.sid, ...extra, ...attributes }, payload)
  }

  /** With any rid, which is not remembered. */
  startAt(rid: number, payload = '', attributes: Attributes = {}, options?: PostOptions): Promise<Pending> {
    return start(this.context, this.body(rid, payload, attributes), options)
  }

  start(payload = '', attributes: Attributes = {}, options?: PostOptions): Promise<Pending> {
    this.rid++
    return this.startAt(this.rid, payload, attributes, options)
  }

  async sendAt(rid: number, payload = '', attributes: Attributes = {}, options?: PostOptions): Promise<Answer> {
    const { answer, connection } = await this.startAt(rid, payload, attributes, options)
    const result = await answer
    connection.destroy()
    this.received.push(...(result.root?.children ?? []))
    return result
  }

  send(payload = '', attributes: Attributes = {}, options?: PostOptions): Promise<Answer> {
    this.rid++
    return this.sendAt(this.rid, payload, attributes, options)
  }

  /** Sends the payload and then empty requests until a fitting stanza comes; it may have come before. */
  async until(fits: (stanza: XmlElement) => boolean, payload?: string, attributes: Attributes = {}): Promise<XmlElement> {
    let from = payload === undefined ? 0 : this.received.length
    let next: string | undefined = payload
    for (const deadlineMs = performance.now() + 8000; performance.now() < deadlineMs; ) {
      if (next === undefined) {
        const found = this.received.slice(from).find(fits)
        if (found !== undefined) return found
        from = this.received.length
        if (this.polling) await this.context.pause(Math.min(6, this.number('polling') || 0) * 1000 + 100)
      }
      const answer = await this.send(next ?? '', next === undefined ? {} : attributes)
      assert.equal(answer.status, 200, `status of an answer: ${answer.text}`)
      next = undefined
      const found = answer.root?.children.find(fits)
      if (found !== undefined) return found
      assert.equal(answer.root?.attributes.type, undefined, `the session goes on: ${answer.text}`)
    }
    return assert.fail(`nothing fitting among ${this.received.length} stanzas came in time`)
  }

  /** Sends stanzas and waits until the server has dealt with them, by an iq behind them. */
  async roundTrip(payload: string): Promise<void> {
    const id = `rt${randomBytes(4).toString('hex')}`
    await this.until((stanza) => stanza.attributes.id === id, `${payload}${pingIq(id)}`)
  }

  async authenticate(account: Account, mechanism: string): Promise<void> {
    const isAnswer = (stanza: XmlElement) => stanza.uri === ns.sasl && stanza.local !== 'mechanisms'
    const hash = scramHashes[mechanism]
    let answer: XmlElement
    if (hash === undefined) answer = await this.until(isAnswer, authElement('PLAIN', plain(account.user, account.password)))
    else {
      const scram = new ScramClient(hash, account.user, account.password)
      const challenge = await this.until(isAnswer, authElement(mechanism, scram.first()))
      assert.equal(challenge.local, 'challenge')
      answer = await this.until(isAnswer, `<response xmlns='${ns.sasl}'>${scram.final(challenge.text)}</response>`)
      if (answer.local === 'success') assert.ok(scram.verify(answer.text), "the server's signature (RFC 5802 §3)")
    }
    assert.equal(answer.local, 'success', 'SASL')
    await this.restart()
  }

  /** The features of the new stream. */
  restart(attributes: Attributes = {}): Promise<XmlElement> {
    const good: Attributes = { 'xmlns:xmpp': ns.xbosh, 'xmpp:restart': 'true', to: this.context.target.domain, 'xml:lang': 'en' }
    return this.until((stanza) => stanza.local === 'features', '', { ...good, ...attributes })
  }

  async bind(resource?: string): Promise<void> {
    const inner = resource === undefined ? '' : `<resource>${escapeXml(resource)}</resource>`
    const id = `bind${randomBytes(3).toString('hex')}`
    const iq = `<iq xmlns='jabber:client' type='set' id='${id}'><bind xmlns='${ns.bind}'>${inner}</bind></iq>`
    const result = await this.until((stanza) => stanza.attributes.id === id, iq)
    assert.equal(result.attributes.type, 'result', 'bind')
    this.jid = childText(child(result, 'bind', ns.bind), 'jid')
    assert.ok(this.jid.includes('/'), 'bind gives a full JID')
  }
}

export function authElement(mechanism: string, data: string): string {
  return `<auth xmlns='${ns.sasl}' mechanism='${mechanism}'>${data}</auth>`
}

/** Answered by every server, by a result or by an error. */
export function pingIq(id: string): string {
  return `<iq xmlns='jabber:client' type='get' id='${id}'><ping xmlns='urn:xmpp:ping'/></iq>`
}

export function chat(to: string, text: string, id = ''): string {
  const attribute = id === '' ? '' : ` id='${id}'`
  return `<message xmlns='jabber:client' type='chat' to='${escapeXml(to)}'${attribute}><body>${escapeXml(text)}</body></message>`
}

/** A message with this text. */
export function hasText(text: string): (stanza: XmlElement) => boolean {
  return (stanza) => stanza.local === 'message' && childText(stanza, 'body') === text
}

/** 200 with a body that is no error. */
export function assertGood(answer: Answer): asserts answer is Answer & { root: XmlElement } {
  assertBody(answer)
  assert.equal(answer.root.attributes.type, undefined, `neither an error nor an end: ${answer.text}`)
}

/** §4, §5: 200 and one <body/> in its namespace. */
export function assertBody(answer: Answer): asserts answer is Answer & { root: XmlElement } {
  assert.equal(answer.status, 200, `status: ${answer.text}`)
  assert.ok(answer.root !== undefined, `XML: ${JSON.stringify(answer.text)}`)
  assert.equal(answer.root.local, 'body')
  assert.equal(answer.root.uri, ns.httpbind)
}

/** §17.2: 200, XML, type='terminate' and one of the conditions (null: none). */
export function assertTerminated(answer: Answer, ...conditions: (string | null)[]): void {
  assertBody(answer)
  assert.equal(answer.root.attributes.type, 'terminate', `type: ${answer.text}`)
  const condition = answer.root.attributes.condition ?? null
  assert.ok(conditions.includes(condition), `condition ${condition}, expected ${conditions.join(' or ')}`)
}

/** For what cannot be parsed, so that nobody knows whether the client is a legacy one: bad-request or HTTP 400 (§17.1, §17.2). */
export function assertUnparsable(answer: Answer): void {
  if (answer.status === 400) return
  assertTerminated(answer, 'bad-request')
}

/** XEP-0206 §6: remote-stream-error around a stream error, one of the conditions if any are given. */
export function assertStreamError(answer: Answer, ...conditions: string[]): void {
  assertTerminated(answer, 'remote-stream-error')
  const error = find(answer.root, 'error', ns.streams)
  assert.ok(error !== undefined, `XEP-0206 §6: a <stream:error/> inside: ${answer.text}`)
  const names = error.children.filter(({ uri }) => uri === ns.streamErrors).map(({ local }) => local)
  if (conditions.length > 0)
    assert.ok(
      conditions.some((one) => names.includes(one)),
      `stream error ${names}, expected ${conditions}`,
    )
}

/** The session is gone: §10 "as if the session does not exist". */
export async function assertGone(session: BoshSession): Promise<void> {
  const answer = await session.send()
  assertTerminated(answer, 'item-not-found')
}

/** The session answers. */
export async function assertAlive(session: BoshSession): Promise<void> {
  const id = `alive${session.rid}`
  const pong = await session.until(({ attributes }) => attributes.id === id, pingIq(id))
  assert.equal(pong.local, 'iq')
}
