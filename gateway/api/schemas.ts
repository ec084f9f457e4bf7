// The shapes of the internal API: what is checked here is what /openapi.json says.

import { z } from 'zod'

const USER = z
  .string()
  .min(1)
  .max(256)
  .meta({ description: 'User id: 1–256 bytes of UTF-8 without control characters.', examples: ['alice'] })
const MILLISECONDS = z.number().meta({ description: 'Milliseconds since the epoch.' })
const COUNT = z.int().min(0)

const Target = z
  .union(
    [
      z.strictObject({ user: USER }),
      z.strictObject({ users: z.array(USER).max(10_000) }),
      z.strictObject({ topic: z.string().min(1).max(256) }),
      z.strictObject({ all: z.literal(true) }),
    ],
    { error: 'must be exactly one of {"user": …}, {"users": […]}, {"topic": …}, {"all": true}' },
  )
  .meta({
    description: 'A user, some users, the subscribers of a topic (online or not), or all users with a session now.',
  })

export const PushBody = z
  .strictObject({
    to: Target,
    data: z.unknown().meta({ description: 'Any JSON value; must be there.' }),
    id: z.string().min(1).max(128).optional().meta({
      description: 'Idempotency: a repeat to the same target within the duplicate window gets the first answer and is delivered once.',
    }),
    from: USER.optional().meta({ description: 'The user it comes from.' }),
    ttlSeconds: z.int().min(0).max(31_536_000).optional().meta({ description: 'Not delivered after this long; 0: no limit.' }),
    ephemeral: z.boolean().optional().meta({ description: 'Only for who is there now; not stored.' }),
    collapseKey: z.string().min(1).max(128).optional().meta({
      description: 'Of undelivered messages of one key only the newest remains.',
    }),
  })
  .meta({ id: 'Push' })

export const PushedAnswer = z
  .object({ id: z.string(), accepted: COUNT.meta({ description: 'Recipients.' }) })
  .meta({ id: 'Pushed', description: 'Stored for all recipients (ephemeral: handed to the bus).' })

const CODE = z.string().meta({ description: 'A word of the error table.', examples: ['malformed'] })

export const BatchBody = z.array(z.unknown()).max(1000).meta({ description: 'Push requests; each stands alone.' })

export const BatchAnswer = z
  .object({
    results: z.array(z.union([PushedAnswer, z.object({ error: z.object({ code: CODE, message: z.string() }) })])),
  })
  .meta({ id: 'BatchResults', description: 'One result for each entry, in order.' })

export const UserAnswer = z
  .object({
    user: USER,
    online: z.boolean(),
    lastSeen: MILLISECONDS.optional().meta({ description: 'When the user last came or went, milliseconds since the epoch.' }),
    sessions: z.array(
      z.object({
        session: z.string().meta({ description: 'Names the session, gives no access to it.' }),
        transport: z.string(),
        node: z.string(),
        since: MILLISECONDS,
        device: z.string().optional(),
      }),
    ),
  })
  .meta({ id: 'User' })

export const ClosedAnswer = z
  .object({ user: USER, closed: COUNT.meta({ description: 'Sessions that were told to end.' }) })
  .meta({ id: 'Closed' })

export const MessagesQuery = z.object({
  cursor: z.string().min(1).max(256).optional().meta({ description: 'Where the last page ended. Default: the oldest message there is.' }),
  limit: z.coerce
    .number()
    .int()
    .min(1)
    .max(1000)
    .optional()
    .meta({ description: 'Messages in the page. Default: `historyMaxMessages`, which is also the most.' }),
})

export const MessagesAnswer = z
  .object({
    messages: z.array(
      z.object({
        type: z.literal('message'),
        id: z.string(),
        from: z.string().optional(),
        topic: z.string().optional(),
        time: MILLISECONDS,
        data: z.unknown(),
        cursor: z.string(),
      }),
    ),
    cursor: z.string().meta({ description: 'Give it back for the next page.' }),
    truncated: z.literal(true).optional().meta({ description: 'Messages after the given cursor are no longer there.' }),
  })
  .meta({ id: 'Messages', description: 'The inbox, oldest first.' })

const SESSIONS = z.record(z.string(), COUNT).meta({ description: 'Sessions by transport.' })

export const StatsAnswer = z
  .object({
    bus: z.enum(['nats', 'embedded']),
    busConnected: z.boolean(),
    sessions: COUNT,
    sessionsByTransport: SESSIONS,
    users: COUNT.meta({ description: 'Sum over the nodes: a user on two nodes counts twice.' }),
    nodes: z.array(
      z.object({
        node: z.string(),
        since: MILLISECONDS,
        sessions: SESSIONS,
        users: COUNT,
      }),
    ),
  })
  .meta({ id: 'Stats' })

export const StatusAnswer = z.object({ status: z.string() }).meta({ id: 'Status' })

export const VersionAnswer = z
  .object({ name: z.string(), version: z.string(), node: z.string(), engine: z.string() })
  .meta({ id: 'Version' })

export const ProblemAnswer = z
  .looseObject({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    code: CODE,
    retryable: z.boolean(),
  })
  .meta({ id: 'Problem', description: 'RFC 9457.' })

export const AccountBody = z
  .strictObject({ password: z.string().min(1).max(1024).meta({ description: 'Only salted keys made of it are stored.' }) })
  .meta({ id: 'Account' })

export const AccountAnswer = z.object({ user: USER }).meta({ id: 'AccountStored' })

export const AccountDeletedAnswer = z
  .object({ user: USER, deleted: z.boolean().meta({ description: 'False: there was none.' }) })
  .meta({ id: 'AccountDeleted' })
