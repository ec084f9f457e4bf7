// Why a frame was not done, and the one place where errors become words of the error table.

import { BusError } from '../bus/bus.js'
import type { v1 } from '../proto/messages.js'

export type RefusalCode =
  | 'malformed'
  | 'forbidden'
  | 'not_found'
  | 'conflict'
  | 'too_large'
  | 'rate_limited'
  | 'bus_unavailable'
  | 'internal'

/** Thrown by the services; `message` is for the client's developer. */
export class Refusal extends Error {
  override readonly name = 'Refusal'
  constructor(
    readonly code: RefusalCode,
    message: string,
  ) {
    super(message)
  }
}

/** What the client is told. `internal` means that the error is a bug and has to be reported. */
export function refusalOf(error: unknown): Refusal {
  if (error instanceof Refusal) return error
  if (!(error instanceof BusError)) return new Refusal('internal', 'something went wrong here; try again')
  if (error.code === 'too_large') return new Refusal('too_large', 'the message is larger than the bus takes')
  if (error.code === 'bad_user') return new Refusal('malformed', error.message)
  return new Refusal('bus_unavailable', `the bus can't take it now (${error.code}); try again`)
}

export function errorReply(ref: string, refusal: Refusal): v1.Reply.$Properties {
  return { ref, ok: false, error: { code: refusal.code, message: refusal.message } }
}
