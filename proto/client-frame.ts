// What a client may say: one schema for both dialects. Sizes were checked before; here it is shape and meaning.

import { z } from 'zod'
import { v1 } from './messages.js'
import { isUserId } from './user-id.js'

export type ClientFrame = v1.ClientFrame.$Properties

/** Either a frame, or why it is none (with its ref, if that much could be read). */
export type Parsed =
  | { readonly frame: ClientFrame }
  | { readonly problem: string; readonly ref: string; readonly code?: 'malformed' | 'too_large' }

export const REF_LIMIT_BYTES = 128
export const ID_LIMIT_BYTES = 128
export const NOTE_LIMIT_BYTES = 1024
export const TOPIC_LIMIT_BYTES = 256
export const GROUPS_LIMIT = 32
export const NAME_LIMIT_BYTES = 256
const CURSOR_LIMIT_BYTES = 128
const TOKEN_LIMIT_BYTES = 8192

function text(limitBytes: number) {
  return z
    .string()
    .refine((value) => value.isWellFormed(), { error: 'is not UTF-8' })
    .refine((value) => value.length <= limitBytes && Buffer.byteLength(value) <= limitBytes, { error: `has more than ${limitBytes} bytes` })
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/

/** 1–256 bytes, no control characters; wildcards are for the `topics` claim alone. */
export function isTopic(topic: string): boolean {
  return topic !== '' && Buffer.byteLength(topic) <= TOPIC_LIMIT_BYTES && topic.isWellFormed() && !CONTROL.test(topic)
}

const ref = text(REF_LIMIT_BYTES).optional()
const user = z.string().refine(isUserId, { error: 'is not a user id (1 to 256 bytes of UTF-8, no control characters)' })
const topic = z.string().refine(isTopic, { error: `is not a topic (1 to ${TOPIC_LIMIT_BYTES} bytes of UTF-8, no control characters)` })
const name = text(NAME_LIMIT_BYTES).optional()
const groups = z.array(text(NAME_LIMIT_BYTES)).max(GROUPS_LIMIT).optional()
const cursor = text(CURSOR_LIMIT_BYTES)

const schema = z.discriminatedUnion('type', [
  z
    .object({
      type: z.literal('message'),
      ref,
      to: user.optional(),
      topic: topic.optional(),
      data: z.unknown().refine((value) => value !== undefined, { error: 'is missing' }),
      id: text(ID_LIMIT_BYTES).min(1).optional(),
      ttlSeconds: z.int().min(1).max(0xffffffff).optional(),
      ephemeral: z.boolean().optional(),
    })
    .refine((frame) => (frame.to === undefined) !== (frame.topic === undefined), { error: 'exactly one of `to` and `topic` is needed' }),
  z.object({ type: z.literal('ack'), ref, cursor }),
  z.object({
    type: z.literal('presence'),
    ref,
    status: z.enum(['online', 'away', 'dnd', 'offline']),
    note: text(NOTE_LIMIT_BYTES).optional(),
  }),
  z
    .object({
      type: z.literal('roster'),
      ref,
      op: z.enum(['get', 'set', 'remove', 'subscribe', 'approve', 'deny']),
      user: user.optional(),
      name,
      groups,
    })
    .refine((frame) => frame.op === 'get' || frame.user !== undefined, { error: '`user` is missing' }),
  z.object({ type: z.literal('subscribe'), ref, topic }),
  z.object({ type: z.literal('unsubscribe'), ref, topic }),
  z
    .object({
      type: z.literal('history'),
      ref,
      cursor: cursor.optional(),
      before: cursor.optional(),
      limit: z.int().min(1).max(0xffffffff).optional(),
    })
    .refine((frame) => frame.cursor === undefined || frame.before === undefined, {
      error: 'only one of `cursor` and `before` can be given',
    }),
  z.object({ type: z.literal('auth'), ref, token: text(TOKEN_LIMIT_BYTES).min(1) }),
  z.object({ type: z.literal('ping'), ref }),
])

type Plain = z.infer<typeof schema>

/** A frame in its JSON form, already parsed as JSON. */
export function checkFrame(value: unknown): Parsed {
  const result = schema.safeParse(value)
  if (result.success) {
    try {
      return { frame: toWire(result.data) }
    } catch (error) {
      // JSON.stringify works by recursion, JSON.parse does not.
      if (error instanceof RangeError) return { problem: '`data` is nested too deep', ref: refOf(value) }
      throw error
    }
  }
  const issue = result.error.issues[0]
  const where = issue === undefined || issue.path.length === 0 ? '' : `\`${issue.path.join('.')}\` `
  return { problem: `${where}${issue?.message ?? 'is wrong'}`, ref: refOf(value) }
}

/** A frame in its protobuf form. Throws when the bytes are no ClientFrame. */
export function decodeFrame(bytes: Uint8Array): Parsed {
  const wire = v1.ClientFrame.decode(bytes)
  const { ref, message, ack, presence, roster, subscribe, unsubscribe, history, auth, ping } = wire
  const base = { ref: ref === '' ? undefined : ref }
  if (message != null) {
    const { to, topic, id, ttlSeconds, ephemeral } = message
    return checkFrame({
      ...base,
      type: 'message',
      to: to || undefined,
      topic: topic || undefined,
      data: jsonValue(message.data),
      id: id || undefined,
      ttlSeconds: ttlSeconds || undefined,
      ephemeral: ephemeral ?? false,
    })
  }
  if (ack != null) return checkFrame({ ...base, type: 'ack', cursor: ack.cursor ?? '' })
  if (presence != null) return checkFrame({ ...base, type: 'presence', status: presence.status, note: presence.note || undefined })
  if (roster != null) {
    const { op, user, name, groups } = roster
    return checkFrame({
      ...base,
      type: 'roster',
      op,
      user: user || undefined,
      name: name || undefined,
      groups: groups?.length ? groups : undefined,
    })
  }
  if (subscribe != null) return checkFrame({ ...base, type: 'subscribe', topic: subscribe.topic })
  if (unsubscribe != null) return checkFrame({ ...base, type: 'unsubscribe', topic: unsubscribe.topic })
  if (history != null) {
    const { cursor, before, limit } = history
    return checkFrame({ ...base, type: 'history', cursor: cursor || undefined, before: before || undefined, limit: limit || undefined })
  }
  if (auth != null) return checkFrame({ ...base, type: 'auth', token: auth.token ?? '' })
  if (ping != null) return checkFrame({ ...base, type: 'ping' })
  return { problem: 'no frame that this version knows', ref: refOf({ ref }) }
}

function toWire(plain: Plain): ClientFrame {
  const base = plain.ref === undefined ? {} : { ref: plain.ref }
  switch (plain.type) {
    case 'message': {
      const { to, topic, data, id, ttlSeconds, ephemeral } = plain
      const message = { to, topic, data: Buffer.from(JSON.stringify(data)), id, ttlSeconds, ephemeral }
      return { ...base, message: defined(message) }
    }
    case 'ack':
      return { ...base, ack: { cursor: plain.cursor } }
    case 'presence':
      return { ...base, presence: defined({ status: plain.status, note: plain.note }) }
    case 'roster':
      return { ...base, roster: defined({ op: plain.op, user: plain.user, name: plain.name, groups: plain.groups }) }
    case 'subscribe':
      return { ...base, subscribe: { topic: plain.topic } }
    case 'unsubscribe':
      return { ...base, unsubscribe: { topic: plain.topic } }
    case 'history':
      return { ...base, history: defined({ cursor: plain.cursor, before: plain.before, limit: plain.limit }) }
    case 'auth':
      return { ...base, auth: { token: plain.token } }
    case 'ping':
      return { ...base, ping: {} }
  }
}

type Defined<T> = { [K in keyof T]: Exclude<T[K], undefined> | null }

/** Absent fields as null, the way the generated classes take them. */
function defined<T extends object>(fields: T): Defined<T> {
  const entries = Object.entries(fields).map(([key, value]) => [key, value ?? null])
  return Object.fromEntries(entries) as Defined<T>
}

function refOf(value: unknown): string {
  if (typeof value !== 'object' || value === null || !('ref' in value)) return ''
  const parsed = ref.safeParse(value.ref)
  return parsed.success ? (parsed.data ?? '') : ''
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** Undefined: not JSON in UTF-8. */
function jsonValue(data: Uint8Array | null | undefined): unknown {
  if (data == null || data.length === 0) return undefined
  try {
    return JSON.parse(utf8.decode(data))
  } catch {
    return undefined
  }
}
