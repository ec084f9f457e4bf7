// The application's handlers. Whatever they do, the connection goes on.

import { HoldwireError } from './errors.js'
import type { Events } from './types.js'

export class EventHandlers {
  readonly #handlers: { [Name in keyof Events]: Set<(event: Events[Name]) => unknown> } = {
    state: new Set(),
    message: new Set(),
    presence: new Set(),
    roster: new Set(),
    gap: new Set(),
    error: new Set(),
  }
  readonly #report: (error: unknown) => void

  /** `report`: takes what no handler of `error` does. */
  constructor(report: (error: unknown) => void) {
    this.#report = report
  }

  /** Answers how to remove it. */
  add<Name extends keyof Events>(name: Name, handler: (event: Events[Name]) => unknown): () => void {
    this.#handlers[name].add(handler)
    return () => {
      this.#handlers[name].delete(handler)
    }
  }

  /** Never throws. */
  emit<Name extends keyof Events>(name: Name, event: Events[Name]): void {
    const failed = (cause: unknown) => {
      if (name === 'error' || this.#handlers.error.size === 0) this.#report(cause)
      else this.emit('error', new HoldwireError('handler', `a handler of '${name}' failed`, { cause }))
    }
    for (const handler of [...this.#handlers[name]]) {
      try {
        const result = handler(event)
        if (result instanceof Promise) result.catch(failed)
      } catch (error) {
        failed(error)
      }
    }
  }
}
