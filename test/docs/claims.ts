// What a JSON or YAML block claims to be (a frame, a request or an answer of the backend API, configuration) is checked by the
// schema that the server itself uses; frames of the server have theirs here.

import { parseAllDocuments } from 'yaml'
import { z } from 'zod'
import * as api from '../../gateway/api/schemas.js'
import { loadConfig } from '../../gateway/config.js'
import { ConfigSchema } from '../../gateway/config-schema.js'
import { checkFrame } from '../../proto/client-frame.js'

const cursor = z.string().min(1)
const status = z.enum(['online', 'away', 'dnd', 'offline'])
const contact = {
  user: z.string(),
  name: z.string().optional(),
  groups: z.array(z.string()).optional(),
  subscription: z.enum(['none', 'to', 'from', 'both']),
  ask: z.literal('subscribe').optional(),
}
const code = z.object({ code: z.string(), message: z.string() })

const ServerFrame = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('hello'),
    session: z.string(),
    user: z.string(),
    device: z.string().optional(),
    recovered: z.boolean(),
    pingSeconds: z.int(),
    resumeSeconds: z.int(),
    cursor,
  }),
  z.strictObject({
    type: z.literal('message'),
    id: z.string(),
    from: z.string().optional(),
    topic: z.string().optional(),
    time: z.int(),
    data: z.unknown(),
    ephemeral: z.literal(true).optional(),
    cursor,
  }),
  z.strictObject({ type: z.literal('presence'), user: z.string(), status, note: z.string().optional(), cursor }),
  z.strictObject({ type: z.literal('roster'), op: z.enum(['request', 'set', 'remove']), ...contact, cursor }),
  z.strictObject({
    type: z.literal('reply'),
    ref: z.string(),
    ok: z.boolean(),
    result: z.unknown().optional(),
    error: code.optional(),
    // Not in the answer of POST /send.
    cursor: cursor.optional(),
  }),
  z.strictObject({ type: z.literal('gap'), reason: z.enum(['evicted', 'reset']), cursor }),
  z.strictObject({ type: z.literal('drain'), retryAfterMs: z.int(), cursor }),
  z.strictObject({ type: z.literal('close'), code: z.string(), reason: z.string(), retryAfterMs: z.int().optional(), cursor }),
])

const SCHEMAS: Readonly<Record<string, z.ZodType>> = {
  'server frame': ServerFrame,
  poll: z.strictObject({ cursor, frames: z.array(ServerFrame) }),
  push: api.PushBody.refine(({ data }) => data !== undefined, 'has no data'),
  pushed: api.PushedAnswer,
  'batch answer': api.BatchAnswer,
  user: api.UserAnswer,
  closed: api.ClosedAnswer,
  messages: api.MessagesAnswer,
  stats: api.StatsAnswer,
  version: api.VersionAnswer,
  problem: api.ProblemAnswer,
  account: api.AccountBody,
}

/** What a marker `is: …` may say. */
const KINDS = [...Object.keys(SCHEMAS), 'client frame', 'configuration']

/** Undefined: it is what it claims. `kind`: what a marker says, else it is told by its fields. */
export function wrongJson(text: string, kind: string | undefined): string | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    const lines = text.split('\n').filter((line) => line.trim() !== '')
    // One document a line, as a log or `holdwire listen` has it.
    if (lines.length < 2 || !lines.every((line) => line.startsWith('{'))) return `is no JSON: ${(error as Error).message}`
    for (const line of lines) {
      const wrong = wrongJson(line, kind)
      if (wrong !== undefined) return wrong
    }
    return undefined
  }
  return wrongValue(value, kind)
}

export function wrongYaml(text: string, kind: string | undefined): string | undefined {
  const documents = parseAllDocuments(text)
  if (!Array.isArray(documents)) return 'is empty'
  for (const document of documents) {
    const [error] = document.errors
    if (error !== undefined) return `is no YAML: ${error.message}`
  }
  const value: unknown = documents[0]?.toJS()
  return kind === undefined && !looksLikeConfiguration(value) ? undefined : wrongValue(value, kind ?? 'configuration')
}

function wrongValue(value: unknown, kind: string | undefined): string | undefined {
  if (Array.isArray(value) && kind === undefined) return firstOf(value.map((item) => wrongValue(item, undefined)))
  const claimed = kind ?? claimOf(value)
  if (claimed === undefined) return undefined
  if (claimed === 'configuration') return wrongConfiguration(value)
  if (claimed === 'client frame') {
    const parsed = checkFrame(value)
    return 'frame' in parsed ? undefined : `is no frame that a client may send: ${parsed.problem}`
  }
  const schema = SCHEMAS[claimed]
  if (schema === undefined) return `is said to be \`${claimed}\`, which is none of: ${KINDS.join(', ')}`
  const parsed = schema.safeParse(value)
  return parsed.success ? undefined : `is no ${claimed}: ${z.prettifyError(parsed.error).replace(/\n\s*/g, ' ')}`
}

const CLIENT_ONLY = new Set(['ack', 'subscribe', 'unsubscribe', 'history', 'auth', 'ping'])
const SERVER_TYPES = new Set(ServerFrame.options.map((option) => option.shape.type.value as string))

function claimOf(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const type = 'type' in value && typeof value.type === 'string' ? value.type : undefined
  if (type?.startsWith('urn:holdwire:problem:')) return 'problem'
  if (type !== undefined && CLIENT_ONLY.has(type)) return 'client frame'
  if (type !== undefined && SERVER_TYPES.has(type)) {
    const fromClient = !('cursor' in value) && ['message', 'presence', 'roster'].includes(type)
    return fromClient ? 'client frame' : 'server frame'
  }
  if (type !== undefined) return undefined
  if ('frames' in value && 'cursor' in value) return 'poll'
  if ('to' in value && 'data' in value) return 'push'
  if ('accepted' in value) return 'pushed'
  if ('results' in value) return 'batch answer'
  if ('user' in value && 'online' in value) return 'user'
  if ('busConnected' in value) return 'stats'
  if (looksLikeConfiguration(value)) return 'configuration'
  return undefined
}

const KEYS = new Set(Object.keys(ConfigSchema.shape))

function looksLikeConfiguration(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const keys = Object.keys(value)
  return keys.length > 0 && keys.every((key) => KEYS.has(key))
}

function wrongConfiguration(value: unknown): string | undefined {
  try {
    loadConfig({ argv: ['--config', 'config.json'], env: {}, readFile: () => JSON.stringify(value) })
    return undefined
  } catch (error) {
    return `is no configuration: ${(error as Error).message}`
  }
}

const firstOf = (all: readonly (string | undefined)[]) => all.find((one) => one !== undefined)
