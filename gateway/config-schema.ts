// Every setting there is: its type, limits, default and documentation. What is not here does not exist.

import { z } from 'zod'
import { isNetwork } from './networks.js'

// A value comes as text (flag, environment) or as itself (file); the inner schema sees only the latter.

function fromText(text: string): unknown {
  return /^-?\d+(\.\d+)?$/.test(text.trim()) ? Number(text) : text
}

function int(min: number, max: number) {
  return z.preprocess((value) => (typeof value === 'string' ? fromText(value) : value), z.int().min(min).max(max))
}

function seconds(min: number, max: number) {
  return z.preprocess((value) => (typeof value === 'string' ? fromText(value) : value), z.number().min(min).max(max))
}

function flag() {
  const words: Record<string, boolean> = { true: true, '1': true, false: false, '0': false }
  return z.preprocess((value) => (typeof value === 'string' ? (words[value.trim().toLowerCase()] ?? value) : value), z.boolean())
}

function list<T extends z.ZodType<string, unknown>>(item: T, max = 1000) {
  return z.preprocess(
    (value) =>
      typeof value !== 'string'
        ? value
        : value
            .split(/[,\n]/)
            .map((part) => part.trim())
            .filter((part) => part !== ''),
    z.array(item).max(max),
  )
}

const TEXT = z.string().min(1).max(65536)

const NETWORK = z.string().max(64).refine(isNetwork, { error: 'must be an IP address or a network like 10.0.0.0/8' })

/** In a file a key may be `{name, scopes: [...], key}` too: the same as `name:scope+scope:key`, and the key may hold commas. */
const API_KEY = z.preprocess((value) => {
  const parsed = API_KEY_ENTRY.safeParse(value)
  return parsed.success ? `${parsed.data.name}:${parsed.data.scopes.join('+')}:${parsed.data.key}` : value
}, TEXT)
const API_KEY_ENTRY = z.strictObject({ name: TEXT, scopes: z.array(TEXT).min(1), key: TEXT })

const ORIGIN = z
  .string()
  .max(512)
  .refine((value) => value === '*' || (URL.canParse(value) && new URL(value).origin === value), {
    error: 'must be `*` or an origin like https://app.example.com (no path, no trailing slash)',
  })

const HTTP_URL = z
  .string()
  .max(2048)
  .refine((value) => /^https?:\/\//.test(value) && URL.canParse(value), { error: 'must be an http or https URL' })

/** `secret`: never printed. `file`: the environment variable may end in `_FILE` and name a file that holds the value. */
interface Notes {
  readonly group: string
  readonly secret?: true
  readonly file?: true
  /** The default in words, where it depends on something else. */
  readonly otherwise?: string
}

function doc<T extends z.ZodType>(schema: T, notes: Notes, description: string): T {
  return schema.meta({ ...notes, description })
}

const PORTS: Notes = { group: 'Listeners' }
const BUS: Notes = { group: 'Bus' }
const AUTH: Notes = { group: 'Authentication' }
const SESSION: Notes = { group: 'Sessions' }
const LIMIT: Notes = { group: 'Limits' }
const MESSAGE: Notes = { group: 'Messages' }
const C2S: Notes = { group: 'Presence, contacts and topics' }
const XMPP: Notes = { group: 'BOSH and XMPP' }
const OPS: Notes = { group: 'Operation' }

const MIB = 1024 * 1024

export const ConfigSchema = z.strictObject({
  host: doc(TEXT.default('127.0.0.1'), PORTS, 'Address that both ports listen on.'),
  clientPort: doc(int(0, 65535).default(8000), PORTS, 'Port for browsers and phones; 0: any free one, printed at start.'),
  internalPort: doc(int(0, 65535).default(9000), PORTS, 'Port for backends and probes; 0: any free one. Keep it off the internet.'),
  internalHost: doc(TEXT.optional(), { ...PORTS, otherwise: '`host`' }, 'Address that the internal port listens on.'),
  engine: doc(
    z.enum(['auto', 'node', 'uws']).default('auto'),
    PORTS,
    'HTTP engine of the client port. `auto`: uWebSockets.js if it is installed, loads and passes its self-test, and there is no `clientTlsCert`, else `node`.',
  ),
  clientTlsCert: doc(
    TEXT.optional(),
    { ...PORTS, otherwise: 'none: no TLS' },
    'File with the certificate chain (PEM) of the client port. Needs `clientTlsKey` and the engine `node`.',
  ),
  clientTlsKey: doc(TEXT.optional(), PORTS, 'File with the private key (PEM) of `clientTlsCert`.'),
  internalTlsCert: doc(
    TEXT.optional(),
    { ...PORTS, otherwise: 'none: no TLS' },
    'File with the certificate chain (PEM) of the internal port. Needs `internalTlsKey`.',
  ),
  internalTlsKey: doc(TEXT.optional(), PORTS, 'File with the private key (PEM) of `internalTlsCert`.'),
  internalTlsClientCa: doc(
    TEXT.optional(),
    { ...PORTS, otherwise: 'none: clients need no certificate' },
    'File with the authorities (PEM) of which backends need a certificate (mutual TLS), besides the API key; `/livez` and `/readyz` need none.',
  ),
  reloadSeconds: doc(
    seconds(0.05, 3600).default(5),
    PORTS,
    'How often the files of certificates and `apiKeys` are looked at; new ones are used at once, bad ones are logged and not used.',
  ),
  allowedOrigins: doc(
    list(ORIGIN).optional(),
    { ...PORTS, otherwise: 'none cross-origin; any with `auth: dev`' },
    'Origins whose pages may connect, comma-separated; `*`: any.',
  ),
  trustProxy: doc(
    int(0, 16).default(0),
    PORTS,
    'Number of reverse proxies in front: so many last entries of `X-Forwarded-For` are believed for the address of a client. For proxies whose addresses are not known; not together with `trustedProxies`.',
  ),
  trustedProxies: doc(
    list(NETWORK).default([]),
    PORTS,
    'Addresses and networks of reverse proxies (`10.0.0.0/8,fd00::/8`): `X-Forwarded-For` is read from its end, as long as whoever wrote an entry is one of them.',
  ),
  demoPage: doc(flag().default(true), PORTS, 'The client port serves the demo page at `/`.'),
  deflate: doc(flag().default(false), PORTS, 'permessage-deflate on WebSockets: less traffic for much more memory per connection.'),

  natsUrl: doc(
    list(TEXT, 64).default([]),
    { ...BUS, file: true, otherwise: 'none: the embedded bus' },
    'NATS servers, comma-separated (user and password may be part of the URL).',
  ),
  natsPartitions: doc(
    int(1, 256).default(16),
    BUS,
    'Streams that the inboxes are spread over. Part of the subject of each inbox: never change it on a live store.',
  ),
  natsReplicas: doc(int(1, 5).default(1), BUS, 'Copies of each stream and bucket in a NATS cluster.'),
  dataDir: doc(
    TEXT.optional(),
    { ...BUS, otherwise: 'none: nothing outlives the process' },
    'Directory in which the embedded bus keeps inboxes and buckets.',
  ),
  nodeId: doc(
    z
      .string()
      .regex(/^[A-Za-z0-9._-]{1,64}$/, { error: 'must be 1 to 64 of the characters A-Z a-z 0-9 . _ -' })
      .optional(),
    { ...BUS, otherwise: 'the host name' },
    'Name of this node in logs, metrics and the API.',
  ),

  auth: doc(
    z.enum(['dev', 'jwt']).optional(),
    { ...AUTH, otherwise: '`jwt` when a key is configured, else `dev`' },
    '`jwt`: clients present tokens. `dev`: clients name themselves with `?user=`, backends need no key; only on loopback.',
  ),
  jwtSecret: doc(TEXT.optional(), { ...AUTH, secret: true, file: true }, 'Shared secret of HS256 tokens; 32 bytes or more.'),
  jwtPublicKey: doc(
    TEXT.optional(),
    { ...AUTH, file: true },
    'Public key or certificate (PEM) of RS*, PS*, ES* or EdDSA tokens, in which line breaks may be escaped.',
  ),
  jwksUrl: doc(HTTP_URL.optional(), AUTH, 'Where the public keys of the tokens are published (RFC 7517).'),
  jwtIssuer: doc(TEXT.optional(), AUTH, 'Required value of the claim `iss`.'),
  jwtAudience: doc(TEXT.optional(), AUTH, 'Required value in the claim `aud`.'),
  jwtLeewaySeconds: doc(int(0, 5).default(5), AUTH, 'Tolerated difference of clocks in `exp` and `nbf`.'),
  jwtCacheBytes: doc(
    int(0, 1024 * MIB).default(16 * MIB),
    AUTH,
    'About how much memory tokens take that are not verified again for a minute (a client that polls shows its token each time); the oldest go first. 0: every token is verified each time.',
  ),
  apiKeys: doc(
    list(API_KEY, 100).default([]),
    { ...AUTH, secret: true, file: true },
    'Keys that backends present on the internal port, comma-separated; several allow rotation. Each is the key alone (it may do everything) or `name:scope+scope:key` with the scopes `push`, `read`, `sessions`, `accounts`, `metrics`, `all`. 16 characters or more a key. A file is read again when it changes.',
  ),
  authFailuresPerMinute: doc(
    int(0, 1_000_000).default(60),
    AUTH,
    'Tokens and API keys that are wrong or missing, from one client address (IPv6: from one /64), before the answer is `rate_limited`; right ones are still taken. 0: no limit.',
  ),
  anyTopic: doc(
    flag().optional(),
    { ...AUTH, otherwise: 'true with `auth: dev`, else false' },
    'Sessions whose token has no `topics` claim may join every topic.',
  ),

  resumeSeconds: doc(int(0, 86400).default(60), SESSION, 'How long a session outlives its connection.'),
  pingSeconds: doc(int(1, 3600).default(25), SESSION, 'A connection that was silent for this long is pinged.'),
  authTimeoutSeconds: doc(seconds(0.1, 300).default(10), SESSION, 'A connection must have authenticated after this long.'),
  drainSeconds: doc(seconds(0, 3600).default(30), SESSION, 'How long a stopping node takes to hand its sessions over.'),
  maxSessions: doc(int(1, 10_000_000).default(100_000), SESSION, 'Sessions of this node; more are refused as `overloaded`.'),
  maxSessionsPerUser: doc(int(1, 10_000).default(20), SESSION, 'Sessions of one user on this node; more are refused as `rate_limited`.'),
  maxSessionsPerIp: doc(
    int(0, 10_000_000).default(0),
    SESSION,
    'Sessions from one client address (IPv6: from one /64) on this node, with XMPP streams that have none yet; 0: unlimited. Set `trustedProxies` too when there is a proxy.',
  ),

  maxConnections: doc(int(1, 10_000_000).default(100_000), LIMIT, 'Open connections of the client port.'),
  maxFrameBytes: doc(int(256, 768 * 1024).default(131_072), LIMIT, 'Largest frame from a client and largest `data` of a message.'),
  maxBodyBytes: doc(int(256, 16 * MIB).default(262_144), LIMIT, 'Largest request body of a client; at least `maxFrameBytes`.'),
  maxApiBodyBytes: doc(int(1024, 64 * MIB).default(4 * MIB), LIMIT, 'Largest request body on the internal port (batches).'),
  maxHeaderBytes: doc(int(1024, 64 * 1024).default(16_384), LIMIT, 'Largest request head.'),
  maxFramesPerSecond: doc(int(1, 1_000_000).default(100), LIMIT, 'Frames a session may send each second over time.'),
  maxFramesBurst: doc(int(1, 1_000_000).default(200), LIMIT, 'Frames a session may send at once.'),
  outboxMaxFrames: doc(int(16, 1_000_000).default(8192), LIMIT, 'Frames that wait for one session; more end it as `slow_consumer`.'),
  outboxMaxBytes: doc(int(64 * 1024, 1024 * MIB).default(4 * MIB), LIMIT, 'Bytes that wait for one session.'),
  sentMaxFrames: doc(
    int(0, 1_000_000).default(1024),
    LIMIT,
    'Frames kept for a session after they were sent and until they are acknowledged; older ones come from the inbox.',
  ),
  sentMaxBytes: doc(int(0, 1024 * MIB).default(MIB), LIMIT, 'Bytes kept for a session until they are acknowledged.'),
  headersTimeoutSeconds: doc(seconds(0.1, 600).default(10), LIMIT, 'A request head must be complete after this long.'),
  bodyTimeoutSeconds: doc(seconds(0.1, 600).default(30), LIMIT, 'A request body must be complete after this long.'),
  keepAliveSeconds: doc(seconds(1, 3600).default(75), LIMIT, 'How long a connection may idle between two requests.'),
  stallTimeoutSeconds: doc(seconds(0.1, 3600).default(30), LIMIT, 'A reader that takes nothing for this long is cut off.'),

  inboxMaxMessages: doc(int(1, 1_000_000).default(1000), MESSAGE, 'Messages kept per user.'),
  inboxMaxAgeSeconds: doc(int(1, 31_536_000).default(604_800), MESSAGE, 'How long messages are kept.'),
  duplicateWindowSeconds: doc(
    int(60, 3600).default(120),
    MESSAGE,
    'How long a repeated message id is recognised (never longer than `inboxMaxAgeSeconds`).',
  ),
  historyMaxMessages: doc(int(1, 1000).default(100), MESSAGE, 'Messages in one answer to `history`.'),
  positionsFlushMs: doc(int(10, 60_000).default(500), MESSAGE, 'How often acknowledged positions of devices are written.'),

  presenceLingerSeconds: doc(seconds(0, 300).default(5), C2S, 'A user counts as offline this long after the last session ended.'),
  c2sTimeoutSeconds: doc(seconds(0.1, 120).default(10), C2S, 'How long a gateway waits for the c2s workers.'),
  rosterMaxItems: doc(int(1, 100_000).default(1000), C2S, 'Contacts of one user.'),
  topicsMaxPerUser: doc(int(1, 100_000).default(200), C2S, 'Topics one user may be subscribed to.'),
  topicMaxSubscribers: doc(int(1, 10_000_000).default(100_000), C2S, 'Subscribers of one topic.'),

  xmppDomain: doc(TEXT.max(255).default('localhost'), XMPP, 'Domain of the XMPP addresses of the users.'),
  xmppAnonymous: doc(
    flag().optional(),
    { ...XMPP, otherwise: 'true with `auth: dev`, else false' },
    'Clients may log in without a name (SASL ANONYMOUS) and are given one.',
  ),
  publicUrl: doc(
    HTTP_URL.optional(),
    { ...XMPP, otherwise: 'what the request was sent to' },
    'How clients reach the client port, for `/.well-known/host-meta`: `https://push.example.com`.',
  ),
  xmppSeeOtherUri: doc(
    TEXT.max(2048).optional(),
    { ...XMPP, otherwise: 'none' },
    'Where XMPP clients are sent instead of being served (`see-other-uri`): an http(s) URL for BOSH, a ws(s) URL for WebSockets.',
  ),
  boshInactivitySeconds: doc(int(1, 3600).default(30), XMPP, 'A BOSH session without a request for this long ends.'),
  boshWaitSeconds: doc(int(1, 600).default(60), XMPP, 'Upper limit of `wait`: how long a request may be held.'),
  boshMaxHold: doc(int(1, 10).default(2), XMPP, 'Upper limit of `hold`: how many requests of a session may be held.'),
  boshPollingSeconds: doc(int(0, 60).default(2), XMPP, 'Shortest time between two empty requests of a session that does not hold any.'),
  boshGapSeconds: doc(
    seconds(0, 600).default(5),
    XMPP,
    'A request that is missing is given up this long after a later one came, at once when the client was away and as many later ones are open as may be (never while it acknowledges); 0: only at the end of `wait`.',
  ),
  boshMaxPauseSeconds: doc(int(0, 3600).default(120), XMPP, 'Longest pause that a BOSH session may ask for; 0: none.'),

  publicMetrics: doc(flag().default(false), OPS, '`/metrics`, `/version` and `/openapi.json` need no API key.'),
  logLevel: doc(
    z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'),
    OPS,
    'What is logged (JSON lines on standard output).',
  ),
})

export type Settings = z.output<typeof ConfigSchema>

export interface Setting {
  readonly key: string
  /** With the two dashes. */
  readonly flag: string
  readonly env: string
  readonly group: string
  readonly description: string
  /** For humans: `integer 0–65535`, `text`, `a | b`, `list of text`, `true | false`. */
  readonly type: string
  readonly kind: 'text' | 'list' | 'boolean' | 'number'
  /** For humans. */
  readonly default: string
  readonly secret: boolean
  readonly file: boolean
}

interface JsonProperty {
  readonly type: string
  readonly description: string
  readonly group: string
  readonly secret?: boolean
  readonly file?: boolean
  readonly otherwise?: string
  readonly enum?: readonly string[]
  readonly default?: unknown
  readonly minimum?: number
  readonly maximum?: number
}

function words(key: string): string[] {
  return key.split(/(?=[A-Z])/).map((word) => word.toLowerCase())
}

function describe(key: string, property: JsonProperty): Setting {
  const { type, minimum, maximum, otherwise, group, description } = property
  const kind = type === 'array' ? 'list' : type === 'boolean' ? 'boolean' : type === 'string' ? 'text' : 'number'
  const types = {
    list: 'list of text',
    boolean: 'true | false',
    text: property.enum?.join(' | ') ?? 'text',
    number: `${type} ${minimum}–${maximum}`,
  }
  const value = property.default
  return {
    key,
    flag: `--${words(key).join('-')}`,
    env: `HOLDWIRE_${words(key).join('_').toUpperCase()}`,
    group,
    description,
    type: types[kind],
    kind,
    default: otherwise ?? (value === undefined || (Array.isArray(value) && value.length === 0) ? 'none' : String(value)),
    secret: property.secret === true,
    file: property.file === true,
  }
}

/** All settings in the order of the documentation, read off the schema. */
export const SETTINGS: readonly Setting[] = Object.entries(z.toJSONSchema(ConfigSchema, { io: 'output' }).properties ?? {}).map(
  ([key, property]) => describe(key, property as unknown as JsonProperty),
)
