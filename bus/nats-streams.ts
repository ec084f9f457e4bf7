// Streams as they must be: made when they are missing, and compared setting by setting when they are there.

import { createHash } from 'node:crypto'
import type { StreamConfig, StreamInfo } from 'nats'
import { BusError } from './bus.js'
import type { NatsBusOptions } from './nats-connection.js'
import { type JetStreamApi, JetStreamError } from './nats-jetstream.js'

/** The public subject scheme, see docs/bus.md. */
export const subjects = {
  /** Stream of a partition. */
  stream: (partition: number) => `IN${partition}`,
  /** Where a durable message for a user is published. */
  inbox: (partition: number, token: string) => `in.${partition}.${token}`,
  /** Where a user's messages arrive, durable and ephemeral ones. Nobody may subscribe to `u.>`: it would make everybody look online. */
  user: (token: string) => `u.${token}`,
  /** Ephemeral messages that each are for many users. */
  crowd: 'us',
} as const

/** Room for headers: a stream's largest message counts them too. */
const HEADER_BYTES = 4_096

/** Of a message in an inbox, with its headers. */
export function largestStoredBytes(options: NatsBusOptions): number {
  return options.maxMessageBytes + HEADER_BYTES
}

export function inboxStream(options: NatsBusOptions, partition: number): Partial<StreamConfig> {
  const all = subjects.inbox(partition, '*')
  return {
    name: subjects.stream(partition),
    subjects: [all],
    storage: 'file' as never,
    retention: 'limits' as never,
    discard: 'old' as never,
    num_replicas: options.replicas,
    // One more than promised: that nothing after a position is missing is proved by the message at the position.
    max_msgs_per_subject: options.inboxMaxMessages + 1,
    max_age: nanoseconds(options.inboxMaxAgeSeconds),
    max_msg_size: largestStoredBytes(options),
    duplicate_window: nanoseconds(options.duplicateWindowSeconds),
    allow_direct: true,
    republish: { src: all, dest: 'u.{{wildcard(1)}}' },
  }
}

/**
 * The stream as it is at the server; makes it when it is missing. Several processes may do so at once. Throws BusError
 * `rejected`, naming the setting, when it exists with another one or when the server does not know a setting.
 */
export async function ensureStream(api: JetStreamApi, wanted: Partial<StreamConfig>): Promise<StreamInfo> {
  const name = wanted.name ?? ''
  const info = (await existing(api, name)) ?? (await create(api, wanted))
  for (const [setting, value] of Object.entries(wanted)) {
    const actual = info.config[setting as keyof StreamConfig]
    if (!matches(actual, value)) {
      throw new BusError(
        'rejected',
        `stream ${name}: ${setting} is ${JSON.stringify(actual)} at the server, wanted ${JSON.stringify(value)}`,
      )
    }
  }
  return info
}

/** Stands for one life of a stream: another one when it is deleted and made again. */
export function epochOf(info: StreamInfo): string {
  return createHash('sha256').update(`${info.config.name} ${info.created}`).digest('base64url').slice(0, 10)
}

export function nanoseconds(seconds: number): number {
  return seconds * 1e9
}

async function existing(api: JetStreamApi, name: string): Promise<StreamInfo | undefined> {
  try {
    return await api.streamInfo(name)
  } catch (error) {
    if (error instanceof JetStreamError && error.status === 404) return undefined
    throw error
  }
}

async function create(api: JetStreamApi, wanted: Partial<StreamConfig>): Promise<StreamInfo> {
  try {
    return await api.createStream(wanted)
  } catch (error) {
    // Somebody else may have been first, with other settings: then those are compared.
    const info = await existing(api, wanted.name ?? '')
    if (info === undefined) throw error
    return info
  }
}

/** Settings an object does not name are the server's business (a newer one adds some). */
function matches(actual: unknown, wanted: unknown): boolean {
  if (typeof wanted !== 'object' || wanted === null) return actual === wanted
  if (typeof actual !== 'object' || actual === null) return false
  if (Array.isArray(wanted) && (!Array.isArray(actual) || actual.length !== wanted.length)) return false
  return Object.entries(wanted).every(([key, value]) => matches((actual as Record<string, unknown>)[key], value))
}
