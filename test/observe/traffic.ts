// Something of everything that is counted, over every transport of running servers.

import { WebSocket } from 'ws'
import { BoshClient } from '../support/bosh-client.js'
import { http } from '../support/http-client.js'
import { openClient, openSocket, path } from '../support/wire-client.js'

export interface Ports {
  readonly client: number
  readonly internal: number
}

/** Of the native transports. Each session gets a message, says something, acknowledges, and ends with a goodbye. */
export async function nativeTraffic({ client: port, internal }: Ports): Promise<void> {
  for (const kind of ['websocket', 'sse', 'keepalive', 'longpoll'] as const) {
    const client = await openClient(port, kind, { query: { user: kind, device: 'd' } })
    const { session } = await client.feed.until(() => client.feed.frames.find(({ type }) => type === 'hello'), 'hello')
    await push(internal, kind)
    const message = await client.feed.until(() => client.feed.frames.find(({ type }) => type === 'message'), 'message')
    await client.ask({ type: 'subscribe', topic: `topic of ${kind}` })
    await client.ask({ type: 'ack', cursor: message.cursor })
    client.drop()
    // Back by the cursor; each poll of a session is that anyway.
    if (kind === 'websocket' || kind === 'sse') {
      const again = await openClient(port, kind, { query: { user: kind, device: 'd', cursor: String(message.cursor) } })
      again.drop()
    }
    await http(port, path('/send', { session: String(session) }), { method: 'DELETE' })
  }
}

/** BOSH and XMPP over WebSocket; each says something to the other, and goodbye. */
export async function xmppTraffic({ client: port }: Ports): Promise<void> {
  const url = `http://127.0.0.1:${port}`
  const bosh = new BoshClient('romeo', [url])
  await bosh.login('x', 'home')
  const socket = new XmppTalker(port)
  await socket.login('juliet')
  bosh.message('juliet@localhost', 'hark')
  await socket.say("<message xmlns='jabber:client' type='chat' to='romeo@localhost' id='m1'><body>ay me</body></message>", '>hark<')
  await bosh.until(() => bosh.bodies.includes('ay me'), 5000, 'a message')
  await socket.say("<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>", '<close')
  await bosh.logout()
}

/** What is refused, and what fails. */
export async function mistakes({ client: port, internal }: Ports): Promise<void> {
  await http(port, '/sse')
  await http(port, path('/send', { session: 'none' }), { method: 'POST', body: '[]' })
  const rude = await openSocket(port, { query: { user: 'rude' } })
  await rude.ask({ type: 'roster', op: 'approve', user: 'nobody' })
  rude.sendRaw('no frame')
  await rude.feed.ending()
  const socket = new XmppTalker(port)
  await socket.open()
  await socket.say("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='MADE-UP'>AA==</auth>", '<failure')
  socket.cut()
  await http(internal, '/nowhere')
}

export async function push(internal: number, user: string): Promise<void> {
  const body = JSON.stringify({ to: { user }, data: 'hello' })
  const { status, text } = await http(internal, '/api/v1/push', { method: 'POST', body })
  if (status !== 200) throw new Error(`push was answered ${status} ${text}`)
}

/** An XMPP client that says what it is told and waits for what it is told. */
class XmppTalker {
  readonly #socket: WebSocket
  #got = ''
  #wake = () => {}

  constructor(port: number) {
    this.#socket = new WebSocket(`ws://127.0.0.1:${port}/xmpp-websocket`, 'xmpp')
    this.#socket.on('message', (data) => {
      this.#got += String(data)
      this.#wake()
    })
  }

  /** Everything that came up to what was expected is forgotten. */
  async say(text: string, expected: string): Promise<void> {
    if (this.#socket.readyState === WebSocket.CONNECTING) await new Promise((resolve) => this.#socket.once('open', resolve))
    this.#socket.send(text)
    while (!this.#got.includes(expected)) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    this.#got = ''
  }

  open(): Promise<void> {
    return this.say("<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='localhost' version='1.0'/>", '</stream:features>')
  }

  async login(user: string): Promise<void> {
    const secret = Buffer.from(`\0${user}\0x`).toString('base64')
    await this.open()
    await this.say(`<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>${secret}</auth>`, '<success')
    await this.open()
    await this.say("<iq xmlns='jabber:client' type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>", '<jid>')
    await this.say("<presence xmlns='jabber:client'/>", '<presence')
  }

  cut(): void {
    this.#socket.terminate()
  }
}
