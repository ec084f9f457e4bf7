// A TCP proxy in front of a server, whose lines can be cut in the middle of anything, and which can refuse WebSockets as some proxies do.

import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

export class CuttableProxy {
  readonly url: string
  /** `no-websockets`: everything else passes. */
  mode: 'pass' | 'cut' | 'no-websockets' = 'pass'
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  private constructor(server: Server, target: number) {
    this.#server = server
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    server.on('connection', (near) => this.#accept(near, target))
  }

  /** On a free port of the loopback, to the port `target` there. */
  static async open(target: number): Promise<CuttableProxy> {
    const server = createServer({ noDelay: true })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return new CuttableProxy(server, target)
  }

  /** Ends every line at once, without a word; new ones too until `mode` says otherwise. */
  cut(): void {
    this.mode = 'cut'
    this.drop()
  }

  /** Ends every line that is there. */
  drop(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy()
  }

  async close(): Promise<void> {
    this.cut()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #accept(near: Socket, target: number): void {
    this.#watch(near)
    if (this.mode === 'cut') {
      near.resetAndDestroy()
      return
    }
    near.once('data', (head: Buffer) => {
      if (this.mode === 'no-websockets' && head.toString('latin1').startsWith('GET /ws')) {
        near.end('HTTP/1.1 502 Bad Gateway\r\nconnection: close\r\ncontent-length: 0\r\n\r\n')
        return
      }
      const far = connect({ port: target, host: '127.0.0.1', noDelay: true })
      this.#watch(far)
      far.write(head)
      near.pipe(far)
      far.pipe(near)
      near.on('close', () => far.destroy())
      far.on('close', () => near.destroy())
    })
  }

  #watch(socket: Socket): void {
    this.#sockets.add(socket)
    socket.on('error', () => socket.destroy()) // a cut line: what it is here for
    socket.on('close', () => this.#sockets.delete(socket))
  }
}
