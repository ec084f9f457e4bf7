// Which resources of XMPP clients are connected, anywhere.

import type { Bus } from '../../bus/bus.js'
import { v1 } from '../../proto/messages.js'

/** Gateways without that resource say nothing: whoever has it answers within this, or nobody does. */
const ANSWER_MS = 300

export class Resources {
  readonly #bus: Bus

  constructor(bus: Bus) {
    this.#bus = bus
  }

  /** Throws BusError. */
  async isConnected(user: string, resource: string): Promise<boolean> {
    const question = v1.Envelope.encode({ control: { find: { resource } } }).finish()
    const answers = await this.#bus.ask(user, question, { timeoutMs: ANSWER_MS, expect: 1 })
    return Array.isArray(answers) && answers.length > 0
  }
}
