// A Bus whose calls a test can hold up or make fail, each at the moment it wants.

import type { Bucket, Bus } from '../../bus/bus.js'

/** `request c2s.open` for requests, which have an address; `get bosh` for reading from a bucket. */
export type Call = 'read' | 'isWhole' | 'readBefore' | 'attach' | `request ${string}` | `get ${string}`

export interface Steering {
  /** Awaited before the call is made; what it throws is what the call throws. */
  before: (call: Call) => Promise<void> | undefined
  /** Awaited when the answer is there, before it is handed over. */
  after: (call: Call) => Promise<void> | undefined
}

export function freely(): Steering {
  return { before: () => undefined, after: () => undefined }
}

export function steered(bus: Bus, steering: Steering): Bus {
  async function steer<T>(call: Call, make: () => Promise<T>): Promise<T> {
    await steering.before(call)
    const answer = await make()
    await steering.after(call)
    return answer
  }
  const calls: Pick<Bus, 'read' | 'isWhole' | 'readBefore' | 'attach' | 'request' | 'bucket'> = {
    bucket: async (name, options) => {
      const bucket = await bus.bucket(name, options)
      return withCalls<Bucket>(bucket, { get: (key: string) => steer(`get ${name}`, () => bucket.get(key)) })
    },
    read: (user, after, limit) => steer('read', () => bus.read(user, after, limit)),
    isWhole: (user) => steer('isWhole', () => bus.isWhole(user)),
    readBefore: (user, before, limit) => steer('readBefore', () => bus.readBefore(user, before, limit)),
    attach: (user, sink) => steer('attach', () => bus.attach(user, sink)),
    request: (address, data, options) => steer(`request ${address}`, () => bus.request(address, data, options)),
  }
  return withCalls(bus, calls)
}

function withCalls<T extends object>(object: T, calls: Partial<T>): T {
  return new Proxy(object, {
    get(target, key) {
      if (Object.hasOwn(calls, key)) return Reflect.get(calls, key)
      const value: unknown = Reflect.get(target, key, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

/** Somewhere to be held up. */
export class Gate {
  #open: () => void = () => undefined
  #arrive: () => void = () => undefined
  readonly #opened = new Promise<void>((resolve) => {
    this.#open = resolve
  })
  /** Resolves when somebody is held up. */
  readonly arrived = new Promise<void>((resolve) => {
    this.#arrive = resolve
  })

  pass(): Promise<void> {
    this.#arrive()
    return this.#opened
  }

  open(): void {
    this.#open()
  }
}
