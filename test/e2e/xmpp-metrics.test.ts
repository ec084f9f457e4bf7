// The numbers of CONTRACT §8 for XMPP: BOSH, and XMPP over WebSocket with a resumption.

import t from 'tap'
import { WebSocket } from 'ws'
import { BoshClient } from '../support/bosh-client.js'
import { startProcess } from '../support/holdwire-process.js'

const SM = 'urn:xmpp:sm:3'

class Talker {
  readonly got: string[] = []
  readonly #socket: WebSocket
  #wake = () => {}

  constructor(clientUrl: string) {
    this.#socket = new WebSocket(`${clientUrl.replace('http', 'ws')}/xmpp-websocket`, 'xmpp')
    this.#socket.on('message', (data) => {
      this.got.push(String(data))
      this.#wake()
    })
  }

  /** Says it, and waits for what contains that. */
  async say(text: string, expected: string): Promise<string> {
    if (this.#socket.readyState === WebSocket.CONNECTING) await new Promise((resolve) => this.#socket.once('open', resolve))
    const before = this.got.length
    this.#socket.send(text)
    for (;;) {
      const found = this.got.slice(before).find((frame) => frame.includes(expected))
      if (found !== undefined) return found
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  send(text: string): void {
    this.#socket.send(text)
  }

  async authenticate(user: string): Promise<void> {
    const open = "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='localhost' version='1.0'/>"
    const secret = Buffer.from(`\0${user}\0x`).toString('base64')
    await this.say(open, 'mechanism')
    await this.say(`<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>${secret}</auth>`, '<success')
    await this.say(open, 'bind')
  }

  cut(): void {
    this.#socket.terminate()
  }
}

t.test('XMPP is counted as every transport is', { timeout: 180_000 }, async (t) => {
  const server = await startProcess('serve', '--xmpp-domain', 'localhost')
  t.teardown(() => server.stop())
  const metric = async (name: string): Promise<number> => {
    const text = await (await fetch(`${server.internalUrl}/metrics`)).text()
    return Number(
      text
        .split('\n')
        .find((line) => line.startsWith(`${name} `))
        ?.split(' ')[1] ?? Number.NaN,
    )
  }
  const alice = new BoshClient('alice', [server.clientUrl])
  await alice.login('x', 'home')
  const first = new Talker(server.clientUrl)
  await first.authenticate('bob')
  await first.say(
    "<iq xmlns='jabber:client' type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>w</resource></bind></iq>",
    '<jid>',
  )
  const enabled = await first.say(`<enable xmlns='${SM}' resume='true'/>`, '<enabled')
  const id = / id=['"]([^'"]+)/.exec(enabled)?.[1] ?? ''
  await first.say("<presence xmlns='jabber:client'/>", '<presence')
  first.cut()
  const second = new Talker(server.clientUrl)
  t.teardown(() => second.cut())
  await second.authenticate('bob')
  await second.say(`<resume xmlns='${SM}' previd='${id}' h='0'/>`, '<resumed')
  second.send("<message xmlns='jabber:client' type='chat' to='alice@localhost' id='m1'><body>hi</body></message>")
  alice.message('bob@localhost', 'hello')
  await alice.until(() => alice.bodies.includes('hi'), 20_000, 'a message')
  while (!second.got.some((frame) => frame.includes('>hello<'))) await new Promise((resolve) => setTimeout(resolve, 20))
  const handled = second.got.filter((frame) => /^<(message|presence|iq)/.test(frame)).length
  second.send(`<a xmlns='${SM}' h='${handled}'/>`)
  await second.say(`<r xmlns='${SM}'/>`, '<a ')
  for (const transport of ['bosh', 'xmpp-websocket']) {
    t.equal(await metric(`holdwire_sessions{transport="${transport}"}`), 1, transport)
    t.equal(await metric(`holdwire_sessions_opened_total{transport="${transport}"}`), 1)
    for (const direction of ['in', 'out']) {
      t.ok((await metric(`holdwire_frames_total{transport="${transport}",direction="${direction}"}`)) > 1, `frames ${direction}`)
      t.ok((await metric(`holdwire_bytes_total{transport="${transport}",direction="${direction}"}`)) > 100, `bytes ${direction}`)
    }
    t.ok((await metric(`holdwire_delivery_seconds_count{transport="${transport}"}`)) >= 1, 'delivery')
  }
  t.equal(await metric('holdwire_resumes_total{transport="xmpp-websocket",recovered="true"}'), 1)
  t.ok((await metric('holdwire_ack_seconds_count{transport="xmpp-websocket"}')) >= 1)
  await alice.logout()
  t.equal(await metric('holdwire_sessions_closed_total{transport="bosh",reason="done"}'), 1)
  t.ok((await metric('holdwire_ack_seconds_count{transport="bosh"}')) >= 1)
})
