// A handshake that is accepted outside of its own callback must not be corked by its response: `cork` of uWebSockets.js before
// July 2026 (its #1929) mistakes the WebSocket that the response has become for the response, and now and then closes it. While
// another connection is corked, `cork` does nothing but call back. That other one is an open WebSocket, if there is one; if not,
// nothing is corked, about which uWebSockets.js prints a warning.

import type { HttpResponse } from 'uWebSockets.js'
import type { UwsSocket } from './uws-socket.js'

export class UwsLender {
  readonly #open = new Set<UwsSocket>()
  #lender: UwsSocket | undefined = undefined

  add(socket: UwsSocket): void {
    this.#open.add(socket)
    // The newest is likely to stay; to find the oldest among those that have gone takes long.
    this.#lender = socket
  }

  delete(socket: UwsSocket): void {
    this.#open.delete(socket)
    if (this.#lender === socket) this.#lender = undefined
  }

  /** Calls `upgrade` of `response` at once; it goes out piece by piece. Not from inside a callback of uWebSockets.js. */
  run(response: HttpResponse, upgrade: () => void): void {
    this.#lender ??= this.#open.values().next().value
    if (this.#lender === undefined) upgrade()
    else this.#lender.lendCork(() => response.cork(upgrade))
  }
}
