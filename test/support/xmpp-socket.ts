// XMPP over WebSocket (RFC 7395) as a client that sends whatever frames it is told. Frames are read when somebody asks for them.

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { pingIq } from './bosh-session.js'
import type { Account, Context } from './conformance-context.js'
import { type FrameOptions, type HandshakeOptions, opcodes, RawWebSocket } from './raw-websocket.js'
import { plain, ScramClient, scramHashes } from './scram-client.js'
import { child, childText, escapeXml, ns, parseXml, type XmlElement } from './xml-tree.js'

export type Event =
  | { readonly kind: 'element'; readonly element: XmlElement; readonly text: string }
  | { readonly kind: 'pong'; readonly payload: Buffer }
  | { readonly kind: 'close'; readonly code: number }
  | { readonly kind: 'end' }

export class XmppSocket {
  readonly context: Context
  readonly socket: RawWebSocket
  jid = ''
  #parts: Buffer[] = []

  private constructor(context: Context, socket: RawWebSocket) {
    this.context = context
    this.socket = socket
  }

  /** The opening handshake of RFC 7395 §3.1. */
  static async connect(context: Context, options: HandshakeOptions = {}): Promise<XmppSocket> {
    const { host, httpPort, wsPath } = context.target
    const headers = { host: `${host}:${httpPort}`, 'sec-websocket-protocol': 'xmpp', ...options.headers }
    return new XmppSocket(context, context.keep(await RawWebSocket.open(httpPort, { path: wsPath, ...options, headers }, host)))
  }

  /** A stream with its features. */
  static async open(context: Context): Promise<XmppSocket> {
    const socket = await XmppSocket.connect(context)
    await socket.stream()
    return socket
  }

  static async authenticated(context: Context, account: Account, mechanism = 'PLAIN'): Promise<XmppSocket> {
    const socket = await XmppSocket.open(context)
    await socket.authenticate(account, mechanism)
    return socket
  }

  /** Logged in, bound, and available unless told otherwise. */
  static async login(context: Context, account: Account, options: { resource?: string; presence?: boolean } = {}): Promise<XmppSocket> {
    const socket = await XmppSocket.authenticated(context, account)
    await socket.bind(options.resource)
    if (options.presence ?? true) await socket.roundTrip("<presence xmlns='jabber:client'/>")
    return socket
  }

  async send(text: string): Promise<void> {
    await this.frame(opcodes.text, text)
  }

  async frame(opcode: number, payload?: string | Uint8Array, options?: FrameOptions): Promise<void> {
    this.context.note(`ws> ${opcode === opcodes.text ? '' : `[${opcode}] `}${payload ?? ''}`)
    await this.socket.send(opcode, payload, options)
  }

  /** The next message, control frame that counts, or end. Pings are answered on the way. Rejects when nothing comes in time. */
  async next(): Promise<Event> {
    for (;;) {
      let frame: Awaited<ReturnType<RawWebSocket['nextFrame']>>
      try {
        frame = await this.socket.nextFrame()
      } catch (error) {
        if (!(error instanceof Error) || !error.message.includes('before the connection ended')) throw error
        this.context.note('ws< the connection ended')
        return { kind: 'end' }
      }
      const { opcode, payload, fin, masked } = frame
      assert.equal(masked, false, 'RFC 6455 §5.1: a server masks nothing')
      if (opcode === opcodes.ping) await this.socket.send(opcodes.pong, payload)
      else if (opcode === opcodes.pong) return { kind: 'pong', payload }
      else if (opcode === opcodes.close) {
        const code = payload.length < 2 ? 1005 : payload.readUInt16BE()
        this.context.note(`ws< close ${code}`)
        return { kind: 'close', code }
      } else {
        assert.notEqual(opcode, opcodes.binary, 'RFC 7395 §3.2: data frames are text')
        this.#parts.push(payload)
        if (!fin) continue
        const text = Buffer.concat(this.#parts).toString()
        this.#parts = []
        this.context.note(`ws< ${text}`)
        return { kind: 'element', element: parseXml(text), text }
      }
    }
  }

  async nextElement(): Promise<XmlElement> {
    const event = await this.next()
    if (event.kind !== 'element') return assert.fail(`an element, not ${event.kind}`)
    return event.element
  }

  /** The first fitting element; those before it are skipped. */
  async until(fits: (element: XmlElement) => boolean): Promise<XmlElement> {
    for (;;) {
      const element = await this.nextElement()
      if (fits(element)) return element
      assert.ok(element.local !== 'error' || element.uri !== ns.streams, `stream error: ${element.children.map(({ local }) => local)}`)
    }
  }

  /** Everything until the connection is closed one way or the other. */
  async rest(): Promise<Event[]> {
    const events: Event[] = []
    for (;;) {
      const event = await this.next()
      events.push(event)
      if (event.kind === 'close' || event.kind === 'end') return events
    }
  }

  /** Sends stanzas; everything that came before the server had dealt with them, told by an iq behind them. */
  async roundTrip(...stanzas: string[]): Promise<XmlElement[]> {
    for (const stanza of stanzas) await this.send(stanza)
    const id = `rt${randomBytes(4).toString('hex')}`
    await this.send(pingIq(id))
    const before: XmlElement[] = []
    for (;;) {
      const element = await this.nextElement()
      if (element.attributes.id === id) return before
      before.push(element)
    }
  }

  async openFrame(attributes = ''): Promise<void> {
    await this.send(`<open xmlns='${ns.framing}' to='${this.context.target.domain}' version='1.0'${attributes}/>`)
  }

  /** Opens (or restarts) a stream; its features. */
  async stream(): Promise<XmlElement> {
    await this.openFrame()
    const open = await this.nextElement()
    assert.equal(open.local, 'open')
    assert.equal(open.uri, ns.framing)
    const features = await this.nextElement()
    assert.equal(features.local, 'features')
    assert.equal(features.uri, ns.streams)
    return features
  }

  /** The features of the stream after it. */
  async authenticate(account: Account, mechanism: string): Promise<XmlElement> {
    const hash = scramHashes[mechanism]
    let answer: XmlElement
    if (hash === undefined) {
      await this.send(`<auth xmlns='${ns.sasl}' mechanism='PLAIN'>${plain(account.user, account.password)}</auth>`)
      answer = await this.nextElement()
    } else {
      const scram = new ScramClient(hash, account.user, account.password)
      await this.send(`<auth xmlns='${ns.sasl}' mechanism='${mechanism}'>${scram.first()}</auth>`)
      const challenge = await this.nextElement()
      await this.send(`<response xmlns='${ns.sasl}'>${scram.final(challenge.text)}</response>`)
      answer = await this.nextElement()
      if (answer.local === 'success') assert.ok(scram.verify(answer.text), "the server's signature (RFC 5802 §3)")
    }
    assert.equal(answer.local, 'success', 'SASL')
    return this.stream()
  }

  async bind(resource?: string): Promise<void> {
    const inner = resource === undefined ? '' : `<resource>${escapeXml(resource)}</resource>`
    await this.send(`<iq xmlns='jabber:client' type='set' id='bind'><bind xmlns='${ns.bind}'>${inner}</bind></iq>`)
    const result = await this.until(({ attributes }) => attributes.id === 'bind')
    assert.equal(result.attributes.type, 'result', 'bind')
    this.jid = childText(child(result, 'bind', ns.bind), 'jid')
  }

  destroy(): void {
    this.socket.destroy()
  }
}
