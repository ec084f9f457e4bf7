// Healing presence that nobody feels responsible for any more.
//
// A worker that ends takes its knowledge along: sessions that lingered, sessions whose gateway died with it. So some
// time after a start, and after any gateway or worker has gone, one worker (that with the smallest address) compares
// everybody who is shown as present with what the gateways say.

import { type Bucket, BusError, type Unsubscribe } from '../bus/bus.js'
import type { Clock } from '../bus/clock.js'
import { forEachLimited } from '../bus/for-each-limited.js'
import type { Peers } from '../bus/peers.js'
import type { Log } from './log.js'
import type { Presence } from './presence.js'
import { presenceCodec } from './presence-record.js'

export interface SweepOptions {
  readonly bucket: Bucket
  readonly presence: Presence
  readonly peers: Peers
  /** Of this worker. */
  readonly address: string
  readonly clock: Clock
  /** From the event to the sweep: time for sessions to come back first, longer than the linger. */
  readonly delayMs: number
  /** Users one sweep remembers at most; more are left for the next one. */
  readonly users: number
  readonly log: Log
  onError(error: unknown): void
}

const CHECKS_AT_ONCE = 8

export class Sweep {
  readonly #options: SweepOptions
  readonly #registrations: Unsubscribe[]
  #cancelTimer: (() => void) | undefined
  #running: Promise<void> = Promise.resolve()
  readonly #stopping = new AbortController()

  constructor(options: SweepOptions) {
    this.#options = options
    this.#registrations = [options.peers.onGone('gw', () => this.#schedule()), options.peers.onGone('c2s', () => this.#schedule())]
    this.#schedule()
  }

  async stop(): Promise<void> {
    for (const unregister of this.#registrations) unregister()
    this.#stopping.abort()
    this.#cancelTimer?.()
    await this.#running
  }

  #schedule(): void {
    this.#cancelTimer ??= this.#options.clock.after(this.#options.delayMs, () => {
      this.#cancelTimer = undefined
      this.#running = this.#running.then(() => this.#sweep())
    })
  }

  async #sweep(): Promise<void> {
    const { presence, peers, address, log, onError } = this.#options
    if (this.#stopping.signal.aborted || peers.list('c2s').some((peer) => peer.address < address)) return
    try {
      const users = await this.#present()
      await forEachLimited(users, CHECKS_AT_ONCE, async (user) => {
        if (!this.#stopping.signal.aborted) await presence.compare(user)
      })
      if (users.size > 0) log.info({ users: users.size }, 'presence compared with the gateways')
    } catch (error) {
      if (!(error instanceof BusError)) onError(error)
      if (!this.#stopping.signal.aborted) this.#schedule()
    }
  }

  /** Everybody shown as anything but offline. */
  async #present(): Promise<Set<string>> {
    const { bucket, users: limit, log } = this.#options
    const users = new Set<string>()
    let left = 0
    const follower = await bucket.follow((user, value) => {
      if (value === undefined || presenceCodec.decode(value).status === 'offline') users.delete(user)
      else if (users.size < limit) users.add(user)
      else left++
    })
    follower.stop()
    if (left > 0) log.warn({ left, limit }, 'more users are present than one sweep compares')
    return users
  }
}
