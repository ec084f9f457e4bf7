// Who else is there: processes announce themselves by heartbeats and notice when another one has gone.
//
// A beat is a signal on `<role>.hb.<address>`, every beatMs, with {name, since} as JSON; a goodbye is one with
// {bye: true}. A process whose beats stay away is asked on `<role>.<address>.ping`: only when nobody answers there it
// is gone. Beats get lost and event loops stall, so silence alone proves nothing; and while the bus is down nobody is
// declared gone, because nobody could be heard.

import { type Bus, BusError, type Unsubscribe } from './bus.js'
import type { Clock } from './clock.js'

export type PeerRole = 'gw' | 'c2s'

/** Another process. `since`: its start, milliseconds since the epoch. */
export interface Peer {
  readonly role: PeerRole
  /** Random for each process start: a restarted process is another peer. */
  readonly address: string
  readonly name: string
  readonly since: number
}

export interface PeersOptions {
  readonly bus: Bus
  /** What this process is, under which address it answers, and its name for people. */
  readonly role: PeerRole
  readonly address: string
  readonly name: string
  /** Whose beats are listened to. */
  readonly track: readonly PeerRole[]
  readonly beatMs: number
  readonly clock: Clock
  onError(error: unknown): void
}

export type GoneHandler = (address: string) => void
export type UpHandler = (peer: Peer) => void

interface Entry {
  readonly role: PeerRole
  readonly address: string
  /** Undefined: noticed, but not heard yet. */
  peer: Peer | undefined
  heardAt: number
  /** The ping under way. */
  check: Promise<void> | undefined
}

const MISSED_BEATS = 3
/** Far more processes than there are; a flood of forged beats ends here. */
const MAX_PEERS = 10_000

export class Peers {
  readonly #options: PeersOptions
  readonly #since: number
  readonly #entries = new Map<string, Entry>()
  readonly #goneHandlers: { readonly role: PeerRole; readonly handler: GoneHandler }[] = []
  readonly #upHandlers: { readonly role: PeerRole; readonly handler: UpHandler }[] = []
  readonly #registrations: Unsubscribe[] = []
  #cancelTick: () => void = () => {}
  #tickedAt: number

  private constructor(options: PeersOptions) {
    this.#options = options
    this.#since = options.clock.now()
    this.#tickedAt = this.#since
  }

  /** Resolves when this process can be found and hears the others. Throws BusError. */
  static async start(options: PeersOptions): Promise<Peers> {
    const peers = new Peers(options)
    await peers.#register()
    return peers
  }

  /** The others of a role that have been heard and are not gone, in no order; never this process itself. */
  list(role: PeerRole): Peer[] {
    const present: Peer[] = []
    for (const entry of this.#entries.values()) if (entry.role === role && entry.peer !== undefined) present.push(entry.peer)
    return present
  }

  /** Somebody named this address: it is watched from now on, even if it is never heard. */
  notice(role: PeerRole, address: string): void {
    if (this.#options.track.includes(role)) this.#entry(role, address)
  }

  /** Called once for each peer that said goodbye or no longer answers. */
  onGone(role: PeerRole, handler: GoneHandler): Unsubscribe {
    return register(this.#goneHandlers, { role, handler })
  }

  /** Called when a peer is heard for the first time. */
  onUp(role: PeerRole, handler: UpHandler): Unsubscribe {
    return register(this.#upHandlers, { role, handler })
  }

  /** Says goodbye. Idempotent. */
  async stop(): Promise<void> {
    this.#cancelTick()
    if (this.#registrations.length === 0) return
    for (const unregister of this.#registrations.splice(0)) unregister()
    if (this.#options.bus.state === 'up') this.#signal({ bye: true })
    await Promise.all([...this.#entries.values()].map((entry) => entry.check))
    this.#entries.clear()
  }

  async #register(): Promise<void> {
    const { bus, role, address, track, beatMs, clock } = this.#options
    this.#registrations.push(bus.onState((state) => (state === 'up' ? this.#backUp() : undefined)))
    this.#registrations.push(await bus.serve(`${role}.${address}.ping`, () => encode(this.#beat())))
    for (const tracked of track) {
      this.#registrations.push(
        await bus.onSignal(`${tracked}.hb.*`, (data, topic) => this.#heard(tracked, topic.slice(`${tracked}.hb.`.length), data)),
      )
    }
    this.#cancelTick = clock.after(beatMs, () => this.#tick())
    this.#announce()
  }

  #beat(): Beat {
    return { name: this.#options.name, since: this.#since }
  }

  #announce(): void {
    if (this.#options.bus.state === 'up') this.#signal(this.#beat())
  }

  #signal(beat: Beat | Goodbye): void {
    this.#options.bus.signal(`${this.#options.role}.hb.${this.#options.address}`, encode(beat))
  }

  #heard(role: PeerRole, address: string, data: Uint8Array): void {
    const beat = decode(data)
    if (beat === undefined) return
    if ('bye' in beat) {
      const entry = this.#entries.get(key(role, address))
      if (entry !== undefined) this.#gone(entry)
      return
    }
    const entry = this.#entry(role, address)
    if (entry === undefined) return
    entry.heardAt = this.#options.clock.now()
    if (entry.peer !== undefined) return
    const peer: Peer = { role, address, name: beat.name, since: beat.since }
    entry.peer = peer
    // The newcomer has not heard this process yet; its own beat may be beatMs away.
    this.#announce()
    this.#call(this.#upHandlers, role, peer)
  }

  /** Undefined: this process itself, or one too many. */
  #entry(role: PeerRole, address: string): Entry | undefined {
    if (role === this.#options.role && address === this.#options.address) return undefined
    const id = key(role, address)
    const known = this.#entries.get(id)
    if (known !== undefined || this.#entries.size >= MAX_PEERS) return known
    const entry: Entry = { role, address, peer: undefined, heardAt: this.#options.clock.now(), check: undefined }
    this.#entries.set(id, entry)
    return entry
  }

  #backUp(): void {
    this.#hearAll()
    this.#announce()
  }

  /** Nobody could be heard until now: everybody's silence starts anew. */
  #hearAll(): void {
    const now = this.#options.clock.now()
    for (const entry of this.#entries.values()) entry.heardAt = now
  }

  #tick(): void {
    const { beatMs, bus, clock } = this.#options
    this.#cancelTick = clock.after(beatMs, () => this.#tick())
    const now = clock.now()
    const stalled = now - this.#tickedAt > 2 * beatMs
    this.#tickedAt = now
    if (bus.state !== 'up') return
    this.#announce()
    // This process stood still: beats that came meanwhile wait behind this tick.
    if (stalled) this.#hearAll()
    for (const entry of this.#entries.values()) {
      if (now - entry.heardAt > MISSED_BEATS * beatMs && entry.check === undefined) entry.check = this.#check(entry)
    }
  }

  async #check(entry: Entry): Promise<void> {
    const { bus, beatMs, onError } = this.#options
    const heardAt = entry.heardAt
    try {
      const answer = await bus.request(`${entry.role}.${entry.address}.ping`, new Uint8Array([0]), { timeoutMs: beatMs })
      this.#heard(entry.role, entry.address, answer)
    } catch (error) {
      if (!(error instanceof BusError)) onError(error)
      else if (error.code !== 'no_responders' && error.code !== 'timeout') return
      // Heard meanwhile, or the bus was away meanwhile (which counts like a beat): then this proves nothing.
      else if (bus.state === 'up' && entry.heardAt === heardAt) this.#gone(entry)
    } finally {
      entry.check = undefined
    }
  }

  #gone(entry: Entry): void {
    const id = key(entry.role, entry.address)
    if (this.#entries.get(id) !== entry) return
    this.#entries.delete(id)
    this.#call(this.#goneHandlers, entry.role, entry.address)
  }

  #call<T>(handlers: readonly { readonly role: PeerRole; readonly handler: (argument: T) => void }[], role: PeerRole, argument: T): void {
    for (const registration of [...handlers]) {
      if (registration.role !== role) continue
      try {
        registration.handler(argument)
      } catch (error) {
        this.#options.onError(error)
      }
    }
  }
}

interface Beat {
  readonly name: string
  readonly since: number
}

interface Goodbye {
  readonly bye: true
}

function key(role: PeerRole, address: string): string {
  return `${role}.${address}`
}

function encode(beat: Beat | Goodbye): Uint8Array {
  return Buffer.from(JSON.stringify(beat))
}

/** Undefined: not a beat; a newer version may say other things here. */
function decode(data: Uint8Array): Beat | Goodbye | undefined {
  let value: unknown
  try {
    value = JSON.parse(Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString())
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null) return undefined
  if ('bye' in value) return { bye: true }
  if (!('name' in value && typeof value.name === 'string' && 'since' in value && typeof value.since === 'number')) return undefined
  return { name: value.name, since: value.since }
}

function register<T>(list: T[], item: T): Unsubscribe {
  list.push(item)
  return () => {
    const at = list.indexOf(item)
    if (at >= 0) list.splice(at, 1)
  }
}
