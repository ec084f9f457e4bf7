// WebSocket: frames both ways as text messages under `holdwire.v1+json`.

import type { WebSocketLike } from './environment.js'
import { endOfCloseCode, type LinkEnd, networkEnd } from './errors.js'
import { parseFrame } from './frame.js'
import type { Link, LinkContext, LinkOwner, Outgoing } from './link.js'
import { SilenceWatch } from './silence-watch.js'

const SUBPROTOCOL = 'holdwire.v1+json'
const PONG_MS = 10_000
/** Of the client's own; the reply is of interest only as a sign of life. */
const PING = '{"type":"ping","ref":"alive"}'

export class WebSocketLink implements Link {
  readonly #context: LinkContext
  readonly #owner: LinkOwner
  readonly #watch: SilenceWatch
  #socket: WebSocketLike | undefined
  /** `asked`: a ping is out after a silence, and nothing has come since. */
  #phase: 'connecting' | 'open' | 'asked' | 'ended' = 'connecting'

  constructor(context: LinkContext, owner: LinkOwner) {
    this.#context = context
    this.#owner = owner
    const { environment } = context
    this.#watch = new SilenceWatch(environment, () => this.#onSilent())
    try {
      if (environment.WebSocket === undefined) throw new Error('there is no WebSocket here')
      const url = context.url('ws', { ...context.identity, token: context.token, cursor: context.cursor })
      const socket = new environment.WebSocket(url, [SUBPROTOCOL])
      this.#socket = socket
      socket.addEventListener('open', () => {
        // A session that comes back need not begin with a frame; the answer to this is one.
        if (this.#phase === 'connecting' && context.cursor !== undefined) socket.send(PING)
      })
      socket.addEventListener('message', (event) => this.#onMessage(event.data))
      socket.addEventListener('error', () => {}) // says nothing; `close` follows
      socket.addEventListener('close', (event) => this.#end(endOfCloseCode(event.code, event.reason)))
    } catch (error) {
      // A policy of the page or an unusable URL.
      environment.setTimeout(() => this.#end(networkEnd(String(error))), 0)
    }
  }

  send(frames: readonly Outgoing[]): void {
    for (const frame of frames) this.#socket?.send(frame.text)
  }

  ack(cursor: string): void {
    this.#socket?.send(JSON.stringify({ type: 'ack', cursor }))
  }

  check(): void {
    if (this.#phase === 'open') this.#onSilent()
  }

  abort(): void {
    this.#leave(4999, 'leaving') // not 1000: that would end the session
  }

  close(): boolean {
    this.#leave(1000, '')
    return true
  }

  #leave(code: number, reason: string): void {
    if (this.#phase === 'ended') return
    this.#phase = 'ended'
    this.#watch.stop()
    this.#socket?.close(code, reason)
  }

  #onMessage(data: unknown): void {
    if (this.#phase === 'ended') return
    const frame = parseFrame(data)
    if (frame === undefined) {
      this.abort()
      this.#owner.onEnd(this, networkEnd('a WebSocket message that is not a frame'))
      return
    }
    this.#watch.heard()
    if (this.#phase !== 'open' || frame.type === 'hello') {
      this.#phase = 'open'
      const pingSeconds = frame.type === 'hello' ? frame.pingSeconds : this.#context.pingSeconds
      this.#watch.start(2000 * pingSeconds)
    }
    this.#owner.onFrame(this, frame)
  }

  #onSilent(): void {
    if (this.#phase === 'open') {
      this.#phase = 'asked'
      this.#watch.start(PONG_MS)
      this.#socket?.send(PING)
    } else if (this.#phase === 'asked') {
      this.abort()
      this.#owner.onEnd(this, networkEnd('no answer to a ping'))
    }
  }

  #end(end: LinkEnd): void {
    if (this.#phase === 'ended') return
    this.#phase = 'ended'
    this.#watch.stop()
    this.#owner.onEnd(this, end)
  }
}
