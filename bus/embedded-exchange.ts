// Requests and signals in process: who serves an address, who listens on a topic.

import { BusError, type Unsubscribe } from './bus.js'

const WORDS = /^[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*$/
const PATTERN = /^(?:[A-Za-z0-9_-]+\.)*(?:[A-Za-z0-9_-]+|\*)$/

/** Answers by calling back; never throws. */
export type Serve = (data: Uint8Array, answer: (data: Uint8Array) => void) => void
export type Listen = (data: Uint8Array, topic: string) => void

export interface Server {
  readonly serve: Serve
  /** Of servers with the same queue one gets a request. */
  readonly queue: string | undefined
  /** One that is not reachable is no responder. */
  readonly reachable: () => boolean
}

/** Throws BusError `rejected`. */
export function checkAddress(address: string): void {
  if (!WORDS.test(address)) throw new BusError('rejected', 'an address is dot-separated words of [A-Za-z0-9_-]')
}

export class Exchange {
  readonly #servers = new Map<string, Set<Server>>()
  /** By topic; of `a.b.*` by `a.b.*`. */
  readonly #listeners = new Map<string, Set<{ readonly listen: Listen }>>()
  readonly #random: () => number

  /** `random`: as Math.random. */
  constructor(random: () => number) {
    this.#random = random
  }

  serve(address: string, server: Server): Unsubscribe {
    checkAddress(address)
    return enter(this.#servers, address, server)
  }

  /** Those who get a request: all without a queue and one of each queue. Empty: no responders. */
  serversOf(address: string): Serve[] {
    const chosen: Serve[] = []
    const queues = new Map<string, Server[]>()
    for (const server of this.#servers.get(address) ?? []) {
      if (!server.reachable()) continue
      if (server.queue === undefined) chosen.push(server.serve)
      else queues.set(server.queue, [...(queues.get(server.queue) ?? []), server])
    }
    for (const group of queues.values()) {
      const server = group[Math.floor(this.#random() * group.length)]
      if (server !== undefined) chosen.push(server.serve)
    }
    return chosen
  }

  listen(pattern: string, listen: Listen): Unsubscribe {
    if (!PATTERN.test(pattern)) throw new BusError('rejected', 'a topic is dot-separated words of [A-Za-z0-9_-], the last one may be *')
    return enter(this.#listeners, pattern, { listen })
  }

  listenersOf(topic: string): Listen[] {
    const exact = this.#listeners.get(topic) ?? []
    const wild = this.#listeners.get(`${topic.slice(0, topic.lastIndexOf('.') + 1)}*`) ?? []
    return [...exact, ...wild].map(({ listen }) => listen)
  }
}

function enter<T>(map: Map<string, Set<T>>, key: string, value: T): Unsubscribe {
  const set = map.get(key) ?? new Set<T>()
  map.set(key, set)
  set.add(value)
  return () => {
    set.delete(value)
    if (set.size === 0 && map.get(key) === set) map.delete(key)
  }
}
