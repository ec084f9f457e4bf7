// One write to the server a turn of the event loop. The client writes in a microtask, that is after every callback in which
// something was published: under load each request of a client was a system call of its own. Private API of `nats` 2.29, like
// nats-light-subscription.ts; should its shape change, the client writes as it did.

import type { NatsConnection } from 'nats'

/** More than this is written at once. */
const AT_ONCE_BYTES = 64 * 1024

interface Protocol {
  flushPending: () => void
  readonly outbound: { size(): number }
}

/** False: the client is not the one this was made for, and writes after each callback. */
export function writeOnceATurn(client: NatsConnection): boolean {
  const protocol = protocolOf(client)
  if (protocol === undefined) return false
  const flush = protocol.flushPending.bind(protocol)
  let scheduled = false
  const endOfTurn = () => {
    scheduled = false
    flush()
  }
  protocol.flushPending = () => {
    if (protocol.outbound.size() >= AT_ONCE_BYTES) flush()
    else if (!scheduled) {
      scheduled = true
      setImmediate(endOfTurn)
    }
  }
  return true
}

function protocolOf(client: NatsConnection): Protocol | undefined {
  const { protocol } = client as unknown as { protocol?: Partial<Protocol> }
  return typeof protocol?.flushPending === 'function' && typeof protocol.outbound?.size === 'function' ? (protocol as Protocol) : undefined
}
