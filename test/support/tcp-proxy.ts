// A TCP proxy between a NATS client and its server: cuts, stalls and refuses connections, told apart by the client's name.

import { connect, createServer, type Server, type Socket } from 'node:net'
import { freePort } from './nats-server.js'

interface Link {
  readonly client: Socket
  readonly server: Socket
  /** What the client said first: its CONNECT line with its name. */
  hello: string
}

export class TcpProxy {
  readonly #server: Server
  readonly #links = new Set<Link>()
  #refused: string | undefined
  #delayed: { readonly words: string; readonly ms: number } | undefined

  static async start(targetPort: number): Promise<TcpProxy> {
    const proxy = new TcpProxy(targetPort, await freePort())
    await new Promise<void>((resolve, reject) => {
      proxy.#server.once('error', reject)
      proxy.#server.listen(proxy.port, '127.0.0.1', resolve)
    })
    return proxy
  }

  private constructor(
    readonly targetPort: number,
    readonly port: number,
  ) {
    this.#server = createServer((client) => this.#accept(client))
  }

  get url(): string {
    return `nats://127.0.0.1:${this.port}`
  }

  /** Ends the connections of clients whose name has `name` in it, and those that come until `admit`. */
  cut(name: string): void {
    this.#refused = name
    for (const link of this.#named(name)) this.#end(link)
  }

  admit(): void {
    this.#refused = undefined
  }

  /** Once: the next thing a client sends with `words` in it, and all that it sends after that, reaches the server so much later. */
  delay(words: string, ms: number): void {
    this.#delayed = { words, ms }
  }

  /** Takes nothing more from the server for these clients. */
  stall(name: string): void {
    for (const { server } of this.#named(name)) server.pause()
  }

  flow(name: string): void {
    for (const { server } of this.#named(name)) server.resume()
  }

  async stop(): Promise<void> {
    for (const link of this.#links) this.#end(link)
    await new Promise<void>((resolve) => this.#server.close(() => resolve()))
  }

  #accept(client: Socket): void {
    const server = connect({ port: this.targetPort, host: '127.0.0.1' })
    const link: Link = { client, server, hello: '' }
    this.#links.add(link)
    client.on('data', (chunk: Buffer) => {
      if (link.hello.length < 1_000) link.hello += chunk.toString('latin1')
      if (this.#refused !== undefined && link.hello.includes(this.#refused)) this.#end(link)
      else if (this.#delayed !== undefined && chunk.includes(this.#delayed.words)) {
        client.pause()
        setTimeout(() => {
          server.write(chunk)
          client.resume()
        }, this.#delayed.ms)
        this.#delayed = undefined
      } else server.write(chunk)
    })
    server.on('data', (chunk: Buffer) => client.write(chunk))
    for (const socket of [client, server]) {
      socket.on('error', () => this.#end(link)) // resets are what this is for
      socket.on('close', () => this.#end(link))
    }
  }

  #named(name: string): Link[] {
    return [...this.#links].filter(({ hello }) => hello.includes(name))
  }

  #end(link: Link): void {
    this.#links.delete(link)
    link.client.destroy()
    link.server.destroy()
  }
}
