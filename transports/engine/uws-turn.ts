// uWebSockets.js has one buffer that gathers what is written (the cork), and while it calls back for one connection that one has
// it: an answer to another connection would go out piece by piece, in some twenty writes, of which each is a system call.
// Such answers wait for the end of the turn of the event loop. So do handshakes that are accepted: it would take the new
// WebSocket for the connection that it is reading.

/** Has an answer that waits. */
export interface Late {
  sendLate(): void
}

export class UwsTurn {
  /** What uWebSockets.js is calling back for, if it is something that is answered. */
  #current: object | null = null
  /** It has called back in this turn; promises that were kept by it may still be running. */
  #open = false
  #late: Late[] = []
  readonly #end = () => this.flush()

  /** First thing in every callback. */
  begin(current: object | null): void {
    this.#current = current
    if (this.#open) return
    this.#open = true
    setImmediate(this.#end)
  }

  /** Last thing in it. */
  leave(): void {
    this.#current = null
  }

  /** It is what uWebSockets.js is calling back for. */
  isFor(exchange: Late): boolean {
    return this.#current === exchange
  }

  /** False: it can be answered at once. True: `sendLate` is called soon. */
  defers(exchange: Late): boolean {
    if (!this.#open || this.#current === exchange) return false
    this.#late.push(exchange)
    return true
  }

  flush(): void {
    this.#open = false
    if (this.#late.length === 0) return
    const late = this.#late
    this.#late = []
    for (const exchange of late) exchange.sendLate()
  }
}
