// Surroundings for the client with a clock, sockets and requests in the test's hands.

import type { Environment, FetchInit, FetchResponse, WebSocketLike } from '../../client/environment.js'

type Listener = (event: never) => void

export class FakeSocket implements WebSocketLike {
  readonly url: URL
  readonly protocols: string[]
  readonly sent: Record<string, unknown>[] = []
  closedWith: number | undefined
  readonly #listeners: [string, Listener][] = []

  constructor(url: string, protocols: string[]) {
    this.url = new URL(url)
    this.protocols = protocols
  }

  addEventListener(type: string, listener: Listener): void {
    this.#listeners.push([type, listener])
  }

  send(data: string): void {
    if (this.closedWith !== undefined) throw new Error('sent on a closed socket')
    this.sent.push(JSON.parse(data) as Record<string, unknown>)
  }

  close(code = 1005): void {
    this.closedWith ??= code
  }

  // What the other side does.

  open(): void {
    this.#tell('open', {})
  }

  receive(frame: object | string): void {
    this.#tell('message', { data: typeof frame === 'string' ? frame : JSON.stringify(frame) })
  }

  /** 1006: the line broke. */
  end(code = 1006, reason = ''): void {
    if (code === 1006) this.#tell('error', {})
    this.#tell('close', { code, reason })
  }

  /** Frames of one type that were sent. */
  sentOf(type: string): Record<string, unknown>[] {
    return this.sent.filter((frame) => frame.type === type)
  }

  #tell(type: string, event: object): void {
    for (const [name, listener] of this.#listeners) {
      if (name === type) listener(event as never)
    }
  }
}

export class FakeRequest {
  readonly method: string
  readonly url: URL
  readonly headers: Record<string, string>
  readonly body: string | undefined
  readonly keepalive: boolean
  state: 'held' | 'answered' | 'aborted' | 'failed' = 'held'
  #settle: { resolve(response: FetchResponse): void; reject(error: Error): void } | undefined
  readonly #chunks: (Uint8Array | Error | undefined)[] = []
  #waiting: (() => void) | undefined

  constructor(url: string, init: FetchInit) {
    this.method = init.method
    this.url = new URL(url)
    this.headers = init.headers
    this.body = init.body
    this.keepalive = init.keepalive === true
    const signal: AbortSignal = init.signal
    signal.addEventListener('abort', () => this.#break('aborted', new Error('aborted')))
  }

  get path(): string {
    return this.url.pathname
  }

  query(name: string): string | null {
    return this.url.searchParams.get(name)
  }

  /** The frames of the body. */
  get frames(): Record<string, unknown>[] {
    return JSON.parse(this.body ?? '[]') as Record<string, unknown>[]
  }

  response(): Promise<FetchResponse> {
    return new Promise((resolve, reject) => {
      this.#settle = { resolve, reject }
    })
  }

  // What the other side does.

  answer(status: number, body: unknown, headers: Record<string, string> = {}): void {
    this.state = 'answered'
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    this.#settle?.resolve({ status, headers: headersOf(headers), body: null, text: async () => text })
  }

  problem(status: number, code: string, headers: Record<string, string> = {}): void {
    this.answer(status, { code, detail: `it is ${code}` }, { 'content-type': 'application/problem+json', ...headers })
  }

  fail(): void {
    this.#break('failed', new TypeError('fetch failed'))
  }

  /** Begins an event stream. */
  stream(): void {
    this.#settle?.resolve({
      status: 200,
      headers: headersOf({ 'content-type': 'text/event-stream' }),
      text: async () => '',
      body: {
        getReader: () => ({
          read: async () => {
            if (this.#chunks.length === 0) {
              await new Promise<void>((resolve) => {
                this.#waiting = resolve
              })
            }
            const chunk = this.#chunks.shift()
            if (chunk instanceof Error) throw chunk
            return { done: chunk === undefined, value: chunk }
          },
        }),
      },
    })
  }

  /** Bytes of the stream; undefined: its end. */
  push(text: string | undefined): void {
    this.#chunk(text === undefined ? undefined : new TextEncoder().encode(text))
  }

  event(frame: { type: string; cursor?: string }): void {
    this.push(`id: ${frame.cursor ?? ''}\nevent: ${frame.type}\ndata: ${JSON.stringify(frame)}\n\n`)
  }

  #chunk(chunk: Uint8Array | Error | undefined): void {
    this.#chunks.push(chunk)
    this.#waiting?.()
  }

  #break(state: 'aborted' | 'failed', error: Error): void {
    if (this.state !== 'held') return
    this.state = state
    this.#settle?.reject(error)
    this.#chunk(error)
  }
}

interface Timer {
  readonly at: number
  readonly callback: () => void
}

export class FakeSurroundings {
  readonly sockets: FakeSocket[] = []
  readonly requests: FakeRequest[] = []
  readonly reported: unknown[] = []
  now = 1_700_000_000_000
  /** What the next draws are; the last one stays. */
  random: number[] = [0.5]
  readonly #timers = new Map<number, Timer>()
  #timerIds = 0
  #wakers = new Set<() => void>()

  readonly environment: Environment

  constructor() {
    const self = this
    this.environment = {
      WebSocket: class extends FakeSocket {
        constructor(url: string, protocols: string[]) {
          super(url, protocols)
          self.sockets.push(this)
        }
      },
      AbortController: globalThis.AbortController,
      fetch(url, init) {
        const request = new FakeRequest(url, init)
        self.requests.push(request)
        return request.response()
      },
      setTimeout(callback, delayMs) {
        self.#timerIds += 1
        self.#timers.set(self.#timerIds, { at: self.now + Math.max(0, delayMs), callback })
        return self.#timerIds
      },
      clearTimeout(handle) {
        self.#timers.delete(Number(handle))
      },
      now: () => self.now,
      random: () => (self.random.length > 1 ? self.random.shift() : self.random[0]) ?? 0.5,
      onWake(callback) {
        self.#wakers.add(callback)
        return () => self.#wakers.delete(callback)
      },
      report: (error) => self.reported.push(error),
    }
  }

  get timers(): number {
    return this.#timers.size
  }

  get wakers(): number {
    return this.#wakers.size
  }

  wake(): void {
    for (const waker of this.#wakers) waker()
  }

  /** Lets everything that waits only for promises happen. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < 4; turn++) await new Promise((resolve) => setImmediate(resolve))
  }

  /** Moves the clock, firing what is due in order. */
  async advance(ms: number): Promise<void> {
    const until = this.now + ms
    await this.settle()
    for (;;) {
      const due = [...this.#timers].filter(([, timer]) => timer.at <= until).sort(([a, x], [b, y]) => x.at - y.at || a - b)[0]
      if (due === undefined) break
      const [id, timer] = due
      this.#timers.delete(id)
      this.now = Math.max(this.now, timer.at)
      timer.callback()
      await this.settle()
    }
    this.now = until
  }

  /** The newest socket. */
  get socket(): FakeSocket {
    const socket = this.sockets.at(-1)
    if (socket === undefined) throw new Error('no socket was opened')
    return socket
  }

  /** The newest request to the path. */
  request(path: string): FakeRequest {
    const request = this.requests.findLast((each) => each.path === path)
    if (request === undefined) throw new Error(`no request to ${path}`)
    return request
  }

  /** Requests to the path so far. */
  count(path: string): number {
    return this.requests.filter((each) => each.path === path).length
  }
}

function headersOf(headers: Record<string, string>): FetchResponse['headers'] {
  return { get: (name) => headers[name.toLowerCase()] ?? null }
}
