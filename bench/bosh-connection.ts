// One keep-alive connection of a BOSH session of the load generator: a socket that has one request at a time on it.

import { connect, type Socket } from 'node:net'
import { type ResponseOwner, ResponseReader } from './http-response.js'
import { EMPTY, join } from './wire.js'

export interface BoshConnection {
  /** A whole HTTP request, in ASCII; only when the one before was answered. */
  send(request: string): void
  close(): void
}

export interface BoshConnectionOwner {
  /** `body` is borrowed. */
  answered(connection: BoshConnection, status: number, body: Buffer): void
  /** At most once, unless it was closed by us. */
  lost(why: string): void
}

export interface Traffic {
  upBytes: number
  downBytes: number
}

/** All sockets are read into the same buffer: what is read is used up, or copied, before the next read. */
const input = Buffer.allocUnsafeSlow(256 * 1024)

export class BoshSocket implements BoshConnection, ResponseOwner {
  readonly #owner: BoshConnectionOwner
  readonly #traffic: Traffic
  readonly #socket: Socket
  readonly #reader = new ResponseReader(this)
  #state: 'going' | 'over' = 'going'
  #status = 0
  #body = EMPTY

  /** `traffic`: where its bytes are added up. */
  constructor(port: number, owner: BoshConnectionOwner, traffic: Traffic) {
    this.#owner = owner
    this.#traffic = traffic
    this.#socket = connect({
      host: '127.0.0.1',
      port,
      noDelay: true,
      onread: { buffer: input, callback: (length) => this.#receive(length) },
    })
    this.#socket.on('error', (error) => this.#lost(error.message))
    this.#socket.on('close', () => this.#lost('connection closed'))
  }

  send(request: string): void {
    this.#traffic.upBytes += request.length
    this.#socket.write(request, 'latin1')
  }

  close(): void {
    this.#state = 'over'
    this.#socket.destroy()
  }

  head(status: number): void {
    this.#status = status
  }

  body(bytes: Buffer): void {
    this.#body = join(this.#body, bytes)
  }

  end(): void {
    const body = this.#body
    this.#body = EMPTY
    this.#owner.answered(this, this.#status, body)
  }

  #receive(length: number): boolean {
    if (this.#state === 'over') return false
    this.#traffic.downBytes += length
    this.#reader.receive(input.subarray(0, length))
    // The rest of it comes into the same memory.
    if (this.#body.length > 0) this.#body = Buffer.from(this.#body)
    return true
  }

  #lost(why: string): void {
    if (this.#state === 'over') return
    this.close()
    this.#owner.lost(why)
  }
}
