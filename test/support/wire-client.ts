// Clients that speak to the client port over real sockets, all with the same face: whatever comes is in the feed.

import type { IncomingMessage } from 'node:http'
import { WebSocket } from 'ws'
import { v1 } from '../../proto/messages.js'
import { type End, Feed, type Frame } from './feed.js'
import { type Asked, ask, http, keepAliveAgent, readAll, start } from './http-client.js'

export type Kind = 'websocket' | 'protobuf' | 'sse' | 'keepalive' | 'longpoll'
export const KINDS: readonly Kind[] = ['websocket', 'sse', 'keepalive', 'longpoll']

export interface OpenOptions {
  /** Query parameters. */
  readonly query?: Readonly<Record<string, string>>
  readonly headers?: Readonly<Record<string, string>>
}

export interface WireClient {
  readonly kind: Kind
  readonly feed: Feed
  /** Sends a frame; replies to frames of an HTTP transport are put into the feed like all others. */
  send(frame: JsonFrame): void
  /** Sends a frame with a ref and waits for its reply. */
  ask(frame: JsonFrame): Promise<Frame>
  /** The connection breaks, without a word. */
  drop(): void
}

/** Resolves when the first frame has come; rejects when the connection ends before. */
export async function openClient(port: number, kind: Kind, options: OpenOptions = {}): Promise<WireClient> {
  const client = startClient(port, kind, options)
  await client.feed.until(() => client.feed.frames[0], 'first frame')
  return client
}

/** Like openClient, but does not wait. */
export function startClient(port: number, kind: Kind, options: OpenOptions = {}): WireClient {
  switch (kind) {
    case 'websocket':
    case 'protobuf':
      return new SocketClient(port, kind, options)
    case 'sse':
      return new EventClient(port, options)
    case 'keepalive':
    case 'longpoll':
      return new PollClient(port, kind, options)
  }
}

export function path(base: string, query: Readonly<Record<string, string>> = {}): string {
  return `${base}?${new URLSearchParams(query)}`
}

let refs = 0

function newRef(): string {
  return `r${++refs}`
}

class SocketClient implements WireClient {
  readonly feed: Feed
  readonly #socket: WebSocket

  constructor(
    port: number,
    readonly kind: 'websocket' | 'protobuf',
    { query, headers }: OpenOptions,
  ) {
    const feed = new Feed(kind)
    this.feed = feed
    const protocols = kind === 'protobuf' ? ['holdwire.v1+proto'] : []
    this.#socket = new WebSocket(`ws://127.0.0.1:${port}${path('/ws', query)}`, protocols, {
      headers: { ...headers },
      perMessageDeflate: false,
    })
    this.#socket.on('message', (data, binary) => feed.push(binary ? fromProtobuf(data as Buffer) : JSON.parse(data.toString())))
    let failure = ''
    this.#socket.on('close', (code, reason) => feed.end({ code, reason: reason.toString() || failure }))
    this.#socket.on('unexpected-response', (_request, response) => {
      refusalOf(response).then(
        (end) => feed.end(end),
        () => feed.end({ code: 0, reason: 'cut' }),
      )
    })
    this.#socket.on('error', (error) => {
      failure = error.message
      if (this.#socket.readyState === WebSocket.CLOSED) feed.end({ code: 1006, reason: error.message })
    })
  }

  send(frame: JsonFrame): void {
    this.#socket.send(this.kind === 'protobuf' ? toProtobuf(frame) : JSON.stringify(frame))
  }

  /** Anything at all. */
  sendRaw(data: string | Uint8Array): void {
    this.#socket.send(data)
  }

  ask(frame: JsonFrame): Promise<Frame> {
    const ref = newRef()
    this.send({ ...frame, ref })
    return this.feed.until(() => this.feed.frames.find((one) => one.type === 'reply' && one.ref === ref), `reply to ${ref}`)
  }

  close(code: number): void {
    this.#socket.close(code)
  }

  /** Reads nothing any more. */
  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  drop(): void {
    this.#socket.terminate()
  }
}

export type { SocketClient }

/** A WebSocket client with all it can do. */
export async function openSocket(
  port: number,
  options: OpenOptions = {},
  kind: 'websocket' | 'protobuf' = 'websocket',
): Promise<SocketClient> {
  const client = new SocketClient(port, kind, options)
  await client.feed.until(() => client.feed.frames[0], 'first frame')
  return client
}

/** Of an HTTP transport: what is said goes to /send. */
async function sendTo(port: number, feed: Feed, frame: object): Promise<Frame[]> {
  const hello = feed.frames.find(({ type }) => type === 'hello')
  const answer = await http(port, path('/send', { session: String(hello?.session) }), { method: 'POST', body: JSON.stringify(frame) })
  if (answer.status !== 200) throw new Error(`/send was answered ${answer.status} ${answer.text}`)
  return (JSON.parse(answer.text) as { frames: Frame[] }).frames
}

/** The replies go to the feed. */
function sendInto(port: number, feed: Feed, frame: object): void {
  sendTo(port, feed, frame)
    .then((replies) => {
      for (const reply of replies) feed.push(reply)
    })
    .catch((error) => feed.end({ code: 0, reason: String(error) }))
}

async function askBySend(port: number, feed: Feed, frame: object): Promise<Frame> {
  const [reply] = await sendTo(port, feed, { ...frame, ref: newRef() })
  if (reply === undefined) throw new Error('no reply')
  return reply
}

export interface ServerEvent {
  readonly id: string
  readonly event: string
  readonly data: string
}

export class EventClient implements WireClient {
  readonly kind = 'sse'
  readonly feed = new Feed('sse')
  readonly events: ServerEvent[] = []
  readonly retries: number[] = []
  /** Comment lines. */
  comments = 0
  headers: IncomingMessage['headers'] = {}
  readonly #port: number
  readonly #request: ReturnType<typeof start>
  #response: IncomingMessage | undefined = undefined
  #text = ''

  constructor(port: number, { query, headers = {} }: OpenOptions) {
    this.#port = port
    this.#request = start(port, path('/sse', query), { headers: { accept: 'text/event-stream', ...headers } })
    this.#request.on('error', (error) => this.feed.end({ code: 0, reason: error.message }))
    this.#request.on('response', (response) => this.#opened(response))
  }

  send(frame: JsonFrame): void {
    sendInto(this.#port, this.feed, frame)
  }

  ask(frame: JsonFrame): Promise<Frame> {
    return askBySend(this.#port, this.feed, frame)
  }

  pause(): void {
    this.#response?.pause()
  }

  resume(): void {
    this.#response?.resume()
  }

  drop(): void {
    this.#request.destroy()
  }

  #opened(response: IncomingMessage): void {
    this.#response = response
    this.headers = response.headers
    if (response.statusCode !== 200) {
      refusalOf(response).then(
        (end) => this.feed.end(end),
        () => this.feed.end({ code: 0, reason: 'cut' }),
      )
      return
    }
    response.setEncoding('utf8')
    response.on('data', (text: string) => this.#read(text))
    response.on('close', () => this.feed.end({ code: 0, reason: response.complete ? 'complete' : 'cut' }))
    response.on('error', () => undefined)
  }

  #read(text: string): void {
    const blocks = (this.#text + text).split('\n\n')
    this.#text = blocks.pop() ?? ''
    for (const block of blocks) this.#block(block)
  }

  #block(block: string): void {
    const fields = new Map<string, string>()
    for (const line of block.split('\n')) {
      const colon = line.indexOf(':')
      if (colon === 0) this.comments++
      else if (fields.has(line.slice(0, colon))) throw new Error(`a field came twice: ${block}`)
      else fields.set(line.slice(0, colon), line.slice(colon + 1).replace(/^ /, ''))
    }
    const retry = fields.get('retry')
    if (retry !== undefined) this.retries.push(Number(retry))
    const data = fields.get('data')
    if (data === undefined) return
    const event = { id: fields.get('id') ?? '', event: fields.get('event') ?? '', data }
    this.events.push(event)
    this.feed.push(JSON.parse(data))
  }
}

/** Polls again and again from when it is made. */
class PollClient implements WireClient {
  readonly feed: Feed
  readonly #port: number
  readonly #agent: ReturnType<typeof keepAliveAgent> | undefined
  #asked: Asked | undefined = undefined
  #dropped = false

  constructor(
    port: number,
    readonly kind: 'keepalive' | 'longpoll',
    { query = {}, headers = {} }: OpenOptions,
  ) {
    this.feed = new Feed(kind)
    this.#port = port
    this.#agent = kind === 'keepalive' ? keepAliveAgent() : undefined
    this.#poll(query, headers).catch((error) => this.feed.end({ code: 0, reason: String(error) }))
  }

  async #poll(query: Readonly<Record<string, string>>, headers: Readonly<Record<string, string>>): Promise<void> {
    let cursor = query.cursor
    while (!this.#dropped) {
      const asking = { ...query, ...(cursor === undefined ? {} : { cursor }) }
      this.#asked = ask(this.#port, path('/poll', asking), { headers, ...(this.#agent === undefined ? {} : { agent: this.#agent }) })
      const { status, text, headers: answered } = await this.#asked.answer
      if (status !== 200) {
        this.feed.end({ code: status, reason: '', headers: answered, problem: JSON.parse(text) })
        return
      }
      const answer = JSON.parse(text) as { cursor: string; frames: Frame[] }
      cursor = answer.cursor
      for (const frame of answer.frames) this.feed.push(frame)
    }
  }

  send(frame: JsonFrame): void {
    sendInto(this.#port, this.feed, frame)
  }

  ask(frame: JsonFrame): Promise<Frame> {
    return askBySend(this.#port, this.feed, frame)
  }

  drop(): void {
    this.#dropped = true
    this.#asked?.cut()
    this.#agent?.destroy()
  }
}

async function refusalOf(response: IncomingMessage): Promise<End> {
  const { status, headers, text } = await readAll(response)
  return { code: status, reason: '', headers, problem: JSON.parse(text) }
}

/** A ServerFrame the way JSON has it: with the fields that were on the wire. */
export function fromProtobuf(bytes: Uint8Array): Frame {
  const decoded = v1.ServerFrame.decode(bytes)
  const type = decoded.frame ?? 'none'
  const { cursor, hello, message, reply } = decoded
  const body = { ...decoded[decoded.frame ?? 'gap'] }
  if (message != null) return { type, ...body, data: json(message.data), cursor }
  if (hello != null) return { type, ...body, recovered: hello.recovered ?? false, cursor }
  if (reply != null) return { type, ...body, ok: reply.ok ?? false, result: json(reply.result), cursor }
  return { type, ...body, cursor }
}

function json(bytes: Uint8Array | null | undefined): unknown {
  return bytes?.length ? JSON.parse(Buffer.from(bytes).toString()) : undefined
}

export interface JsonFrame {
  readonly type?: string
  readonly ref?: string
  readonly [field: string]: unknown
}

/** A client frame in its JSON form as protobuf. */
export function toProtobuf({ type = '', ref = '', ...fields }: JsonFrame): Uint8Array {
  const body = 'data' in fields ? { ...fields, data: Buffer.from(JSON.stringify(fields.data)) } : fields
  return v1.ClientFrame.encode({ ref, [type]: body }).finish()
}
