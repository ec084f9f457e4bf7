// One column of the page: one session over one transport, what it receives and how long that took, and its network switch.

import { type Connection, type ConnectOptions, connect, type MessageFrame, type State } from '../holdwire.js'
import { CutNetwork } from './cut-network.js'
import { find, fromTemplate } from './dom.js'
import { duration, Latencies } from './latencies.js'

const LIMIT_LINES = 60

export interface Kind {
  readonly name: string
  readonly says: string
  /** Also the class that gives the column its colour. */
  readonly device: string
  readonly options: Pick<ConnectOptions, 'transports' | 'pollConnection'>
}

export const KINDS: readonly Kind[] = [
  { name: 'WebSocket', says: 'one socket, both ways', device: 'demo-ws', options: { transports: ['websocket'] } },
  { name: 'SSE', says: 'one endless response', device: 'demo-sse', options: { transports: ['sse'] } },
  { name: 'Keep-alive poll', says: 'held requests, one connection', device: 'demo-poll', options: { transports: ['poll'] } },
  {
    name: 'Long-poll',
    says: 'held requests, a connection each',
    device: 'demo-longpoll',
    options: { transports: ['poll'], pollConnection: 'close' },
  },
]

/** How the page sees a column: events of its connection, whichever it has at the moment. */
export interface ColumnOwner {
  readonly identity: Pick<ConnectOptions, 'url' | 'user' | 'token'>
  onConnection(column: Column, connection: Connection): void
  onState(column: Column, state: State): void
}

export class Column {
  readonly kind: Kind
  readonly element = fromTemplate('column-template')
  connection: Connection
  readonly #owner: ColumnOwner
  readonly #network = new CutNetwork()
  readonly #latencies = new Latencies()
  #messages = 0
  /** When the network was cut, until the session is back. */
  #cutAt: number | undefined
  /** Since the session came back: what was pushed before that is counted as recovered. */
  #back: { readonly at: number; readonly awayMs: number; recovered: number } | undefined

  constructor(kind: Kind, owner: ColumnOwner) {
    this.kind = kind
    this.#owner = owner
    this.element.classList.add(kind.device)
    this.#part('h2').textContent = kind.name
    this.#part('.says').textContent = kind.says
    const networkSwitch = find(this.element, '.switch input', HTMLInputElement)
    networkSwitch.ariaLabel = `Network of ${kind.name}`
    networkSwitch.addEventListener('change', () => this.#onSwitch(networkSwitch.checked))
    this.#part('.messages').ariaLabel = `Messages over ${kind.name}`
    this.#part('.again').addEventListener('click', () => {
      this.connection = this.#connect()
    })
    this.connection = this.#connect()
  }

  get open(): boolean {
    return this.connection.state.kind === 'open'
  }

  #connect(): Connection {
    const { kind } = this
    const connection = connect({
      ...this.#owner.identity,
      ...kind.options,
      device: kind.device,
      // Held requests of several pages share the browser's few connections to one server: none is held for long.
      pollWaitSeconds: 10,
      backoff: { baseMs: 500, maxMs: 8000 },
      environment: this.#network.environment,
    })
    connection.on('state', (state) => this.#onState(connection, state))
    connection.on('message', (message) => this.#onMessage(message))
    connection.on('gap', () => this.#notice('Some messages could not be recovered any more.', 'warning'))
    this.#showState(connection.state)
    this.#owner.onConnection(this, connection)
    return connection
  }

  #onSwitch(on: boolean): void {
    if (on) {
      this.#network.restore()
    } else {
      this.#cutAt ??= Date.now()
      this.#back = undefined
      this.#network.cut()
      this.#notice('', 'hidden')
    }
    this.#showState(this.connection.state)
  }

  #onState(connection: Connection, state: State): void {
    if (connection !== this.connection) return
    if (state.kind === 'open' && this.#cutAt !== undefined) {
      const at = Date.now()
      this.#back = { at, awayMs: at - this.#cutAt, recovered: 0 }
      this.#cutAt = undefined
      const all = state.recovered ? 'nothing was lost' : 'the session was opened anew'
      this.#notice(`Back after ${duration(this.#back.awayMs)}: ${all}.`, 'good')
    }
    this.#showState(state)
    this.#owner.onState(this, state)
  }

  #onMessage(message: MessageFrame): void {
    const now = Date.now()
    const ms = Math.max(0, now - message.time)
    this.#messages += 1
    const back = this.#back
    const recovered = back !== undefined && message.time < back.at && back.at - message.time <= back.awayMs
    if (recovered) {
      back.recovered += 1
      const count = back.recovered === 1 ? '1 message' : `${back.recovered} messages`
      this.#notice(`Back after ${duration(back.awayMs)}: ${count} recovered, nothing was lost.`, 'good')
    } else {
      // What waited for the network says nothing of the transport.
      this.#latencies.add(ms)
    }
    this.#addLine(message, ms, recovered)
    this.#part('.count').textContent = String(this.#messages)
    this.#part('.last').textContent = duration(ms)
    const { median } = this.#latencies
    this.#part('.median').textContent = median === undefined ? '–' : duration(median)
    this.#latencies.draw(find(this.element, '.spark', SVGSVGElement))
  }

  #addLine(message: MessageFrame, ms: number, recovered: boolean): void {
    const line = fromTemplate('message-template')
    find(line, '.text', HTMLElement).textContent = textOf(message.data)
    find(line, '.from', HTMLElement).textContent = message.from ?? 'backend'
    find(line, '.ms', HTMLElement).textContent = duration(ms)
    const tag = find(line, '.tag', HTMLElement)
    tag.hidden = !recovered && message.topic === undefined
    tag.textContent = recovered ? 'recovered' : `# ${message.topic}`
    line.classList.toggle('recovered', recovered)
    const list = this.#part('.messages')
    list.prepend(line)
    if (list.childElementCount > LIMIT_LINES) list.lastElementChild?.remove()
    this.#part('.quiet-line').hidden = true
  }

  #showState(state: State): void {
    const cut = this.#network.state === 'cut'
    const look = cut ? 'cut' : state.kind
    this.element.dataset.state = look
    this.#part('.state-text').textContent = cut ? 'network cut' : describe(state)
    this.#part('.again').hidden = state.kind !== 'closed'
  }

  #notice(text: string, look: 'good' | 'warning' | 'hidden'): void {
    const notice = this.#part('.notice')
    notice.hidden = look === 'hidden'
    notice.textContent = text
    notice.dataset.look = look
  }

  #part(selector: string): HTMLElement {
    return find(this.element, selector, HTMLElement)
  }
}

function describe(state: State): string {
  switch (state.kind) {
    case 'idle':
    case 'connecting':
      return 'connecting…'
    case 'open':
      return `open over ${state.transport}`
    case 'waiting':
      return `waiting to reconnect (${state.reason.code})`
    case 'closed':
      return CLOSED[state.reason.code] ?? `closed: ${state.reason.code}`
  }
}

const CLOSED: Readonly<Record<string, string>> = {
  replaced: 'replaced by another page',
  unauthorized: 'refused: a token is needed',
  token_expired: 'the token has expired',
  closed: 'closed by the operator',
}

/** A message's data as one line: `text` and `body` are what chat clients send. */
function textOf(data: unknown): string {
  if (typeof data === 'string') return data
  if (typeof data === 'object' && data !== null) {
    if ('text' in data && typeof data.text === 'string') return data.text
    if ('body' in data && typeof data.body === 'string') return data.body
  }
  return JSON.stringify(data)
}
