// Socket.IO's HTTP long polling, without an upgrade: GETs that are held, and a POST when there is something to say. Here both take turns
// on one connection, as a client that only listens has something to say only after an answer. Settings: `topic`.

import { type ResponseOwner, ResponseReader } from '../../http-response.js'
import { EMPTY, join, type Wire, type WireHost, type WireOptions } from '../../wire.js'
import { answerTo } from './socketio-packets.js'

/** Between packets of one answer. */
const SEPARATOR = 0x1e

export class SocketioPollWire implements Wire, ResponseOwner {
  readonly #host: WireHost
  readonly #options: WireOptions
  #reader = new ResponseReader(this)
  #sid = ''
  #underWay: 'poll' | 'post' = 'poll'
  #status = 0
  #body = EMPTY

  constructor(host: WireHost, options: WireOptions) {
    this.#host = host
    this.#options = options
  }

  start(): void {
    this.#reader = new ResponseReader(this)
    this.#body = EMPTY
    this.#sid = ''
    this.#poll()
  }

  receive(bytes: Buffer): void {
    this.#reader.receive(bytes)
  }

  head(status: number): void {
    this.#status = status
  }

  body(bytes: Buffer): void {
    this.#body = Buffer.from(join(this.#body, bytes))
  }

  end(): void {
    const body = this.#body
    this.#body = EMPTY
    if (this.#status !== 200) {
      this.#host.ended(`HTTP ${this.#status}: ${body.toString('utf8', 0, 100)}`)
      return
    }
    const answers = this.#underWay === 'poll' ? this.#packets(body) : []
    if (answers.length > 0) this.#post(answers.join(String.fromCharCode(SEPARATOR)))
    else this.#poll()
  }

  #packets(body: Buffer): string[] {
    if (this.#sid === '') this.#sid = /"sid":"([^"]+)"/.exec(body.toString('utf8', 0, 200))?.[1] ?? ''
    const answers: string[] = []
    for (let at = 0; at < body.length; ) {
      const next = body.indexOf(SEPARATOR, at)
      const end = next === -1 ? body.length : next
      const answer = answerTo(body.subarray(at, end), this.#host, this.#options)
      if (answer !== undefined) answers.push(answer)
      at = end + 1
    }
    return answers
  }

  #poll(): void {
    this.#underWay = 'poll'
    this.#host.send(Buffer.from(`GET ${this.#target} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`))
  }

  #post(body: string): void {
    this.#underWay = 'post'
    const head = `POST ${this.#target} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/plain;charset=UTF-8\r\n`
    this.#host.send(Buffer.from(`${head}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`))
  }

  get #target(): string {
    return `/socket.io/?EIO=4&transport=polling${this.#sid === '' ? '' : `&sid=${this.#sid}`}`
  }
}
