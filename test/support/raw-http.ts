// A TCP client that sends exactly the bytes it is told, in the segments it is told, and reads HTTP responses back.

import { connect, type Socket } from 'node:net'

/** How long any wait for the server may take before the test fails. */
const PATIENCE_MS = 20_000

export interface RawResponse {
  readonly status: number
  /** Lower-case names; repeated ones joined by ', '. */
  readonly headers: Readonly<Record<string, string>>
  /** Without the chunked coding. */
  readonly body: Buffer
}

interface Waiter {
  attempt(): boolean
}

export class RawConnection {
  readonly socket: Socket
  #received: Buffer = Buffer.alloc(0)
  #state: 'open' | 'ended' | 'closed' = 'open'
  #waiter: Waiter | null = null
  #inChunk = false

  private constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (data) => {
      this.#received = Buffer.concat([this.#received, data])
      this.#check()
    })
    socket.on('end', () => {
      if (this.#state === 'open') this.#state = 'ended'
      this.#check()
    })
    // Resets are one of the ways in which servers end connections.
    socket.on('error', () => {})
    socket.on('close', () => {
      this.#state = 'closed'
      this.#check()
    })
  }

  /** Half-open sockets stay: the server's FIN does not close this side. */
  static open(port: number, host = '127.0.0.1'): Promise<RawConnection> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host, noDelay: true, allowHalfOpen: true })
      socket.once('error', reject)
      socket.once('connect', () => {
        socket.removeListener('error', reject)
        resolve(new RawConnection(socket))
      })
    })
  }

  /** Each argument is a TCP segment of its own, which a server in this process has read before the next one goes out. */
  async send(...segments: readonly (string | Uint8Array)[]): Promise<void> {
    for (const [index, segment] of segments.entries()) {
      if (index > 0) await turns(3)
      this.socket.write(typeof segment === 'string' ? Buffer.from(segment, 'utf8') : segment)
    }
  }

  /** Everything that has come and was not read yet. */
  get unread(): Buffer {
    return this.#received
  }

  /** The next response. Without content-length and chunked coding its body goes on to the end of the connection. */
  async readResponse(method = 'GET'): Promise<RawResponse> {
    const { status, headers } = await this.readHead()
    if (method === 'HEAD' || status < 200 || status === 204 || status === 304) return { status, headers, body: Buffer.alloc(0) }
    if (headers['transfer-encoding'] === 'chunked') return { status, headers, body: await this.#readChunked() }
    const length = headers['content-length']
    const body = length === undefined ? await this.readToEnd() : await this.readBytes(Number(length))
    return { status, headers, body }
  }

  /** Of the next response; its body is what comes then. */
  async readHead(): Promise<Omit<RawResponse, 'body'>> {
    const [statusLine = '', ...lines] = (await this.readThrough('\r\n\r\n')).toString('latin1').trimEnd().split('\r\n')
    const headers: Record<string, string> = {}
    for (const line of lines) {
      const colon = line.indexOf(':')
      const name = line.slice(0, colon).toLowerCase()
      const value = line.slice(colon + 1).trim()
      headers[name] = headers[name] === undefined ? value : `${headers[name]}, ${value}`
    }
    return { status: Number(statusLine.split(' ')[1]), headers }
  }

  /** One chunk of a chunked body; empty for the last one. The end of a chunk may come only with the next one. */
  async readChunk(): Promise<Buffer> {
    if (this.#inChunk) await this.readBytes(2)
    const size = Number.parseInt((await this.readThrough('\r\n')).toString('latin1'), 16)
    const chunk = await this.readBytes(size)
    this.#inChunk = size > 0
    if (size === 0) await this.readBytes(2)
    return chunk
  }

  readThrough(mark: string): Promise<Buffer> {
    return this.#wait(`"${mark.replaceAll('\r\n', '\\r\\n')}"`, () => {
      const at = this.#received.indexOf(mark)
      return at < 0 ? undefined : this.#take(at + mark.length)
    })
  }

  readBytes(count: number): Promise<Buffer> {
    return this.#wait(`${count} bytes`, () => (this.#received.length < count ? undefined : this.#take(count)))
  }

  /** Everything up to the server's FIN (or the reset of the connection). */
  readToEnd(): Promise<Buffer> {
    return this.#wait('the end', () => (this.#state === 'open' ? undefined : this.#take(this.#received.length)), false)
  }

  /** Resolves when the server has ended or reset the connection. */
  async ended(): Promise<void> {
    await this.readToEnd()
  }

  /** FIN. */
  end(): void {
    this.socket.end()
  }

  /** RST. */
  reset(): void {
    this.socket.resetAndDestroy()
  }

  destroy(): void {
    this.socket.destroy()
  }

  async #readChunked(): Promise<Buffer> {
    const chunks: Buffer[] = []
    for (;;) {
      const chunk = await this.readChunk()
      if (chunk.length === 0) return Buffer.concat(chunks)
      chunks.push(chunk)
    }
  }

  #take(count: number): Buffer {
    const taken = this.#received.subarray(0, count)
    this.#received = this.#received.subarray(count)
    return taken
  }

  #wait<T>(what: string, attempt: () => T | undefined, failAtEnd = true): Promise<T> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiter = null
        reject(this.#unmet(what, 'in time'))
      }, PATIENCE_MS)
      this.#waiter = {
        attempt: () => {
          const result = attempt()
          if (result === undefined && (!failAtEnd || this.#state === 'open')) return false
          clearTimeout(timer)
          if (result === undefined) reject(this.#unmet(what, 'before the connection ended'))
          else resolve(result)
          return true
        },
      }
      this.#check()
    })
  }

  #check(): void {
    const waiter = this.#waiter
    if (waiter === null) return
    this.#waiter = null
    if (!waiter.attempt()) this.#waiter ??= waiter
  }

  #unmet(what: string, when: string): Error {
    return new Error(`no ${what} ${when}; received ${JSON.stringify(this.#received.toString('latin1', 0, 300))}`)
  }
}

/** Lets the event loop of this process go round. */
export async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve))
}

/** For what nobody tells of: looks again and again until it is so, or as long as any wait may take. */
export async function eventually(condition: () => boolean): Promise<boolean> {
  for (const deadlineMs = performance.now() + PATIENCE_MS; performance.now() < deadlineMs; ) {
    if (condition()) return true
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
  return condition()
}
