// A client of the contract, written for tests and independent of client/: one user's frames over WebSocket, SSE or polls, its
// cursor, and the filter that makes at-least-once exactly once. Its connection can be cut at any moment.

import { Agent, type ClientRequest, get, request } from 'node:http'
import { WebSocket } from 'ws'

export type Via = 'websocket' | 'sse' | 'poll'

export interface Frame {
  readonly type: string
  readonly cursor: string
  readonly [field: string]: unknown
}

export class Subscriber {
  readonly user: string
  readonly frames: Frame[] = []
  /** `data` of each message once, in the order of arrival. */
  readonly handled: unknown[] = []
  repeats = 0
  /** How its connections ended that were not cut. */
  readonly ends: string[] = []
  cursor: string | undefined = undefined
  readonly #seen = new Set<string>()
  readonly #waiters = new Set<() => void>()
  #cut: () => void = () => {}
  /** Counts connections: what an earlier one still brings is dropped. */
  #connection = 0

  constructor(user: string) {
    this.user = user
  }

  get session(): string {
    return String(this.#last('hello')?.session ?? '')
  }

  get recovered(): unknown {
    return this.#last('hello')?.recovered
  }

  ofType(type: string): Frame[] {
    return this.frames.filter((frame) => frame.type === type)
  }

  /** Connects, going on from the cursor if there is one. Polls go to the urls in turn. Resolves at the first frame or answer. */
  async connect(via: Via, ...urls: string[]): Promise<void> {
    this.cut()
    const connection = this.#connection
    if (via === 'websocket') await this.#socket(urls[0] ?? '', connection)
    else if (via === 'sse') await this.#events(urls[0] ?? '', connection)
    else await this.#polls(urls, connection)
  }

  /** The network is gone: nothing that is on its way arrives any more. */
  cut(): void {
    this.#connection++
    this.#cut()
    this.#cut = () => {}
  }

  /** Until the condition holds; rejects after the time. */
  async until(condition: () => boolean, timeoutMs: number, what: string): Promise<void> {
    const deadlineMs = Date.now() + timeoutMs
    while (!condition()) {
      const leftMs = deadlineMs - Date.now()
      if (leftMs <= 0)
        throw new Error(
          `${this.user}: ${what} did not come in ${timeoutMs} ms (${this.handled.length} messages handled, last frame ${JSON.stringify(this.frames.at(-1))}, ${this.ends.join(', ') || 'still connected'})`,
        )
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, Math.min(leftMs, 100))
        const wake = () => {
          clearTimeout(timer)
          resolve()
        }
        this.#waiters.add(wake)
      })
      this.#waiters.clear()
    }
  }

  #last(type: string): Frame | undefined {
    return this.frames.findLast((frame) => frame.type === type)
  }

  #take(frame: Frame, connection: number): void {
    if (connection !== this.#connection) return
    this.frames.push(frame)
    this.cursor = frame.cursor
    if (frame.type === 'message') {
      const key = `${String(frame.from)} ${String(frame.id)}`
      if (this.#seen.has(key)) this.repeats++
      else {
        this.#seen.add(key)
        this.handled.push(frame.data)
      }
    }
    for (const wake of this.#waiters) wake()
  }

  #query(extra: Record<string, string> = {}): string {
    const params = new URLSearchParams({ user: this.user, ...extra })
    if (this.cursor !== undefined) params.set('cursor', this.cursor)
    return params.toString()
  }

  #socket(url: string, connection: number): Promise<void> {
    const socket = new WebSocket(`${url.replace('http', 'ws')}/ws?${this.#query()}`)
    this.#cut = () => socket.terminate()
    return new Promise((resolve, reject) => {
      socket.on('error', reject)
      socket.on('close', (code) => {
        if (connection === this.#connection) this.ends.push(`socket closed with ${code}`)
        reject(new Error(`closed with ${code}`))
      })
      socket.on('message', (data) => {
        this.#take(JSON.parse(String(data)), connection)
        resolve()
      })
    })
  }

  #events(url: string, connection: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const stream = get(`${url}/sse?${this.#query()}`, (response) => {
        if (response.statusCode !== 200) reject(new Error(`status ${response.statusCode}`))
        let text = ''
        response.setEncoding('utf8')
        response.on('data', (chunk: string) => {
          text += chunk
          const events = text.split('\n\n')
          text = events.pop() ?? ''
          for (const event of events) {
            const data = event.split('\n').find((line) => line.startsWith('data: '))
            if (data === undefined) continue
            this.#take(JSON.parse(data.slice(6)), connection)
            resolve()
          }
        })
        response.on('error', reject)
        response.on('close', () => {
          if (connection === this.#connection) this.ends.push('event stream ended')
        })
      })
      stream.on('error', reject)
      this.#cut = () => stream.destroy()
    })
  }

  async #polls(urls: readonly string[], connection: number): Promise<void> {
    const agent = new Agent({ keepAlive: true })
    let held: ClientRequest | undefined
    this.#cut = () => {
      held?.destroy()
      agent.destroy()
    }
    let turn = 0
    const poll = () =>
      new Promise<void>((resolve, reject) => {
        const url = urls[turn++ % urls.length] ?? ''
        held = get(`${url}/poll?${this.#query({ wait: '10' })}`, { agent }, (response) => {
          let text = ''
          response.setEncoding('utf8')
          response.on('data', (chunk: string) => {
            text += chunk
          })
          response.on('error', reject)
          response.on('end', () => {
            if (response.statusCode !== 200) {
              reject(new Error(`status ${response.statusCode}: ${text}`))
              return
            }
            const answer: { cursor: string; frames: Frame[] } = JSON.parse(text)
            for (const frame of answer.frames) this.#take(frame, connection)
            if (connection === this.#connection) this.cursor = answer.cursor
            resolve()
          })
        })
        held.on('error', reject)
      })
    await poll()
    const go = async () => {
      while (connection === this.#connection) await poll()
    }
    go().catch((error) => {
      if (connection === this.#connection) this.ends.push(`polling ended: ${error}`)
    })
  }
}

/** A backend: pushes numbered messages to a user one after the other, and knows which ones were accepted. */
export class Pusher {
  readonly accepted: number[] = []
  readonly #urls: readonly string[]
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 4 })
  #next = 0

  constructor(...internalUrls: string[]) {
    this.#urls = internalUrls
  }

  /**
   * So many numbers at a time, in order: each is tried again with its id until it is accepted. `perSecond` at the most.
   * Only with one at a time the order survives a failure.
   */
  async run(user: string, perSecond: number, until: () => boolean, atATime = 1): Promise<void> {
    const startMs = performance.now()
    for (let sent = 0; !until(); sent += atATime) {
      const dueMs = startMs + (sent * 1000) / perSecond
      const waitMs = dueMs - performance.now()
      if (waitMs > 2) await new Promise((resolve) => setTimeout(resolve, waitMs))
      const numbers = Array.from({ length: atATime }, () => this.#next++)
      if (atATime === 1) await this.push(user, numbers[0] ?? 0)
      else
        await this.#retry(
          '/api/v1/push/batch',
          numbers.map((number) => pushOf(user, number)),
          `pushes up to ${this.#next}`,
        )
      this.accepted.push(...numbers)
    }
  }

  /** Until it got 2xx. */
  push(user: string, number: number): Promise<void> {
    return this.#retry('/api/v1/push', pushOf(user, number), `push ${number}`)
  }

  async #retry(path: string, body: object, what: string): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      const url = this.#urls[attempt % this.#urls.length] ?? ''
      const ok = await this.#post(`${url}${path}`, JSON.stringify(body)).catch(() => false)
      if (ok) return
      if (attempt > 300) throw new Error(`${what} was never accepted`)
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }

  close(): void {
    this.#agent.destroy()
  }

  #post(url: string, body: string): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }
      const sent = request(url, { method: 'POST', agent: this.#agent, headers, timeout: 10_000 }, (response) => {
        response.resume()
        response.on('end', () => resolve(response.statusCode === 200))
        response.on('error', reject)
      })
      sent.on('timeout', () => sent.destroy(new Error('no answer')))
      sent.on('error', reject)
      sent.end(body)
    })
  }
}

function pushOf(user: string, number: number): object {
  return { to: { user }, data: number, id: `p${number}` }
}
