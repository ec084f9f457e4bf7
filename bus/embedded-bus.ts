// The bus in process: one broker, any number of Bus handles on it, with the meaning that NATS has.

import type { Bus, BusOptions, Unsubscribe } from './bus.js'
import { type Clock, systemClock } from './clock.js'
import { CommitQueue } from './commit-queue.js'
import { DuplicateWindow } from './duplicate-window.js'
import { Exchange } from './embedded-exchange.js'
import { type EmbeddedCore, EmbeddedHandle } from './embedded-handle.js'
import { Inboxes } from './embedded-inbox.js'
import { type EmbeddedFaults, Live } from './embedded-live.js'
import { EmbeddedStore } from './embedded-store.js'
import { Journal } from './journal.js'
import { TurnQueue } from './turn-queue.js'

export interface EmbeddedBusOptions extends BusOptions {
  /** Where everything durable is kept; undefined: nothing survives the process. */
  readonly dataDir: string | undefined
  /** All inboxes together; beyond it the oldest messages go first. Default 1 GiB. */
  readonly maxStoreBytes?: number
  /** Journals smaller than this are not compacted. Default 64 MiB. */
  readonly compactBytes?: number
  readonly clock?: Clock
  /** For tests. */
  readonly faults?: EmbeddedFaults
  /** For tests: as Math.random; chooses among servers of a queue. */
  readonly random?: () => number
}

const STORE_LIMIT_BYTES = 1024 * 1024 * 1024
const SWEEP_MS = 1000

/** One store and exchange. Several buses on one broker are to each other what several processes on one NATS are. */
export class EmbeddedBroker {
  readonly #core: EmbeddedCore
  readonly #commits: CommitQueue
  #journal: Journal | undefined
  #stopSweep: Unsubscribe = () => {}
  readonly #buses = new Set<EmbeddedHandle>()

  private constructor(options: EmbeddedBusOptions) {
    const { onError, clock = systemClock } = options
    const turns = new TurnQueue(onError)
    const inboxes = new Inboxes({
      maxMessages: options.inboxMaxMessages,
      maxAgeMs: options.inboxMaxAgeSeconds * 1000,
      maxTotalBytes: options.maxStoreBytes ?? STORE_LIMIT_BYTES,
    })
    const live = new Live(inboxes, turns, clock, options.faults, onError)
    let deliverFirst = false
    const onCommitted = () => {
      // Both orders of acknowledgement and delivery happen, so that nobody comes to rely on one.
      deliverFirst = !deliverFirst
      if (deliverFirst) turns.run()
    }
    const onBroken = () => {
      for (const bus of this.#buses) bus.cut()
    }
    this.#commits = new CommitQueue({ onCommitted, onBroken, onError })
    const store = new EmbeddedStore({
      inboxes,
      duplicates: new DuplicateWindow(options.duplicateWindowSeconds * 1000),
      commits: this.#commits,
      turns,
      clock,
      onStored: (user, seq, data) => live.stored(user, seq, data),
    })
    this.#core = {
      store,
      inboxes,
      live,
      exchange: new Exchange(options.random ?? Math.random),
      turns,
      clock,
      durable: options.dataDir !== undefined,
      maxMessageBytes: options.maxMessageBytes,
      maxInFlight: options.maxInFlight,
      requestTimeoutMs: options.requestTimeoutMs,
      onError,
    }
  }

  /** Throws if another process has the data directory, or if something in it is damaged. */
  static async open(options: EmbeddedBusOptions): Promise<EmbeddedBroker> {
    const broker = new EmbeddedBroker(options)
    const { store } = broker.#core
    if (options.dataDir !== undefined) {
      const journal = await Journal.open({
        directory: options.dataDir,
        clock: broker.#core.clock,
        onError: options.onError,
        apply: (record) => store.apply(record),
        records: () => store.records(),
        stateBytes: () => store.bytes,
        ...(options.compactBytes === undefined ? {} : { compactBytes: options.compactBytes }),
      })
      try {
        // Shows that the directory can be written before anybody relies on it; to a store that is not new: no change.
        await journal.append([{ kind: 'epoch', epoch: store.epoch }])
      } catch (error) {
        await journal.close()
        throw error
      }
      broker.#journal = journal
      broker.#commits.writeTo(journal)
    }
    store.expire()
    broker.#stopSweep = broker.#core.clock.every(SWEEP_MS, () => store.expire())
    return broker
  }

  /** Another Bus on this broker. Closing it leaves the broker and the others alone; `onClosed` is part of it. */
  bus(onClosed?: () => Promise<void>): EmbeddedHandle {
    const bus: EmbeddedHandle = new EmbeddedHandle(this.#core, async () => {
      this.#buses.delete(bus)
      await onClosed?.()
    })
    this.#buses.add(bus)
    return bus
  }

  /** For tests: the store of inboxes is lost and made anew. */
  reset(): Promise<void> {
    return this.#core.store.reset(() => {
      this.#core.turns.run()
      this.#core.live.reset(this.#core.store.epoch)
    })
  }

  /** Closes every Bus (see `Bus.close`), then the store. */
  async close(deadlineMs?: number): Promise<void> {
    await Promise.all([...this.#buses].map((bus) => bus.close(deadlineMs)))
    await this.#commits.settled()
    this.#stopSweep()
    await this.#journal?.close()
  }
}

/** A broker for one Bus: closing it closes all. */
export async function openEmbedded(options: EmbeddedBusOptions): Promise<Bus> {
  const broker = await EmbeddedBroker.open(options)
  return broker.bus(() => broker.close())
}
