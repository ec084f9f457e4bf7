// Where settings come from: flags > environment > config file > defaults; one unknown or bad value stops the start.

import { hostname } from 'node:os'
import { parse as parseYaml, YAMLParseError } from 'yaml'
import { type ApiKey, parseApiKeys } from './auth/api-keys.js'
import { jwksProblems } from './auth/jwks-address.js'
import { ConfigSchema, SETTINGS, type Setting, type Settings } from './config-schema.js'
import { isLoopback } from './networks.js'

/** All settings with every default resolved. Ports may be 0, lists may be empty, optional ones may be absent. */
export interface Config extends Settings {
  readonly nodeId: string
  readonly auth: 'dev' | 'jwt'
  readonly anyTopic: boolean
  readonly xmppAnonymous: boolean
  readonly allowedOrigins: string[]
  readonly internalHost: string
  /** Where `apiKeys` came from, if from a file of its own; it is read again when it changes. */
  readonly apiKeysFile: string | undefined
  /** Flags that carried a secret: other users of the machine see them. */
  readonly exposedFlags: readonly string[]
}

/** The configuration can't be used; `message` tells all that is wrong, one line each. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}

export interface ConfigSources {
  /** Flags alone: `--client-port 0`, `--client-port=0`, `--deflate`, `--no-deflate`; lists may be repeated. */
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
  /** Reads the config file and `*_FILE` secrets. Default: none can be read. */
  readonly readFile?: (path: string) => string
  /** Default of `nodeId`. */
  readonly hostname?: string
}

/** A value and where it came from, for error messages. */
interface Given {
  readonly value: unknown
  readonly source: string
  /** The file that a `*_FILE` variable named. */
  readonly path?: string
}
type GivenByKey = Map<string, Given>

const PREFIX = 'HOLDWIRE_'
// What Kubernetes and Docker links put into the environment for a service named `holdwire…`: addresses under names that
// could be ours, and other values under names that could not.
const LINK = /_PORT(_\d+_(TCP|UDP|SCTP))?$/
const LINK_VALUE = /^(tcp|udp|sctp):\/\//
const LINK_PART = /_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)_(PROTO|PORT|ADDR))$/

/** Throws ConfigError. */
export function loadConfig(sources: ConfigSources): Config {
  const { argv, env } = sources
  const readFile = sources.readFile ?? unreadable
  const flags = readFlags(argv)
  const path = flags.get('config')?.value ?? nonEmpty(env.HOLDWIRE_CONFIG)
  flags.delete('config')
  const file = typeof path === 'string' ? readConfigFile(path, readFile) : new Map<string, Given>()
  const given = new Map([...file, ...readEnvironment(env, readFile), ...flags])

  const parsed = ConfigSchema.safeParse(Object.fromEntries([...given].map(([key, { value }]) => [key, value])))
  if (!parsed.success) {
    throw new ConfigError(
      parsed.error.issues
        .map((issue) => {
          const key = String(issue.path[0])
          return `${key} (${given.get(key)?.source ?? 'default'}): ${issue.message}`
        })
        .join('\n'),
    )
  }
  const exposedFlags = [...flags].flatMap(([key, { value }]) => exposedFlag(BY_KEY.get(key), value) ?? [])
  return { ...resolve(parsed.data, sources.hostname ?? hostname()), apiKeysFile: given.get('apiKeys')?.path, exposedFlags }
}

/** What a file of `apiKeys` says when it has changed. Throws ConfigError. */
export function readApiKeys(text: string): ApiKey[] {
  const parsed = ConfigSchema.shape.apiKeys.safeParse(text.trim())
  if (!parsed.success) throw new ConfigError('apiKeys: must be at most 100 keys')
  if (parsed.data.length === 0) throw new ConfigError('apiKeys: there is none')
  return apiKeysOf(parsed.data)
}

/** Throws ConfigError. */
export function apiKeysOf(entries: readonly string[]): ApiKey[] {
  try {
    return parseApiKeys(entries)
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    throw new ConfigError(`apiKeys: ${error.message}`)
  }
}

/** What is allowed and yet unwise, one line each. */
export function configWarnings(config: Config): string[] {
  const warnings: string[] = []
  if (config.jwtSecret !== undefined && Buffer.byteLength(config.jwtSecret) < 32) {
    warnings.push('jwtSecret is shorter than the 32 bytes that HS256 asks for (RFC 7518 §3.2)')
  }
  if (config.dataDir !== undefined && config.natsUrl.length > 0) warnings.push('dataDir is not used: with natsUrl, NATS keeps everything')
  if (config.auth === 'jwt' && config.apiKeys.length === 0) warnings.push('no apiKeys: the internal API refuses every request')
  if (apiKeysOf(config.apiKeys).some(({ key }) => key.length < 16)) warnings.push('an API key is shorter than 16 characters')
  for (const flag of config.exposedFlags) {
    const setting = BY_FLAG.get(flag)
    warnings.push(`${flag}: secrets on the command line are visible to other users of this machine: use ${setting?.env}_FILE`)
  }
  if (config.jwksUrl?.startsWith('http:') && !isLoopback(new URL(config.jwksUrl).hostname)) {
    warnings.push('jwksUrl is not https: whoever is on the way can forge keys')
  }
  return warnings
}

/** The value for people to see: secrets and passwords in URLs are replaced by `***`. */
export function maskedValue(setting: Setting, value: unknown): unknown {
  if (Array.isArray(value)) return value.map((item) => maskedValue(setting, item))
  if (typeof value !== 'string') return value
  if (setting.secret) return '***'
  return value.replace(setting.key === 'natsUrl' ? SERVER_USER : URL_USER, '$1***@')
}

/** User and password of a URL. */
const URL_USER = /(\/\/)[^/]*@/
/** The same, also of a server without its scheme. */
const SERVER_USER = /^([a-z][a-z0-9+.-]*:\/\/|)[^/]*@/i

/** The flag, if what it was given is a secret. */
function exposedFlag(setting: Setting | undefined, value: unknown): string | undefined {
  if (setting === undefined) return undefined
  const hasSecret =
    setting.secret ||
    (setting.key === 'natsUrl' &&
      String(value)
        .split(',')
        .some((server) => SERVER_USER.test(server.trim())))
  return hasSecret ? setting.flag : undefined
}

function resolve(settings: Settings, host: string): Omit<Config, 'apiKeysFile' | 'exposedFlags'> {
  const problems: string[] = []
  apiKeysOf(settings.apiKeys)
  const hasKey = settings.jwtSecret !== undefined || settings.jwtPublicKey !== undefined || settings.jwksUrl !== undefined
  const auth = settings.auth ?? (hasKey ? 'jwt' : 'dev')
  const internalHost = settings.internalHost ?? settings.host
  const open = Object.entries({ host: settings.host, internalHost }).find(([, address]) => !isLoopback(address))
  if (auth === 'dev' && open !== undefined) {
    problems.push(
      `auth: \`dev\` lets everybody be anybody and is for loopback only, but ${open.join(' is ')}; ` +
        'configure jwtSecret, jwtPublicKey or jwksUrl (and apiKeys), or listen on 127.0.0.1',
    )
  }
  for (const port of ['client', 'internal'] as const) {
    const [cert, key] = [settings[`${port}TlsCert`], settings[`${port}TlsKey`]]
    if ((cert === undefined) !== (key === undefined)) problems.push(`${port}TlsCert and ${port}TlsKey: both are needed for TLS`)
  }
  if (settings.internalTlsClientCa !== undefined && settings.internalTlsCert === undefined)
    problems.push('internalTlsClientCa: needs internalTlsCert')
  if (settings.clientTlsCert !== undefined && settings.engine === 'uws')
    problems.push('engine: `uws` cannot reload certificates; with clientTlsCert use `node` or `auto`')
  if (settings.trustProxy > 0 && settings.trustedProxies.length > 0) problems.push('trustProxy and trustedProxies: only one of them')
  const { jwksUrl } = settings
  if (jwksUrl !== undefined) problems.push(...jwksProblems(new URL(jwksUrl), auth))
  if (auth === 'jwt' && !hasKey) problems.push('auth: `jwt` needs one of jwtSecret, jwtPublicKey, jwksUrl')
  if (settings.maxBodyBytes < settings.maxFrameBytes) problems.push('maxBodyBytes: must be at least maxFrameBytes')
  if (settings.maxApiBodyBytes < settings.maxFrameBytes + 4096) {
    problems.push('maxApiBodyBytes: must be at least 4096 more than maxFrameBytes')
  }
  if (settings.outboxMaxBytes < settings.maxFrameBytes) problems.push('outboxMaxBytes: must be at least maxFrameBytes')
  if (problems.length > 0) throw new ConfigError(problems.join('\n'))
  return {
    ...settings,
    auth,
    nodeId: settings.nodeId ?? (host.replace(/[^A-Za-z0-9._-]/g, '-').slice(0, 64) || 'node'),
    // No store remembers ids longer than messages.
    duplicateWindowSeconds: Math.min(settings.duplicateWindowSeconds, settings.inboxMaxAgeSeconds),
    anyTopic: settings.anyTopic ?? auth === 'dev',
    xmppAnonymous: settings.xmppAnonymous ?? auth === 'dev',
    xmppDomain: settings.xmppDomain.toLowerCase(),
    internalHost,
    allowedOrigins: settings.allowedOrigins ?? (auth === 'dev' ? ['*'] : []),
  }
}

function unreadable(path: string): never {
  throw new Error(`no files can be read here: ${path}`)
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === '' ? undefined : text
}

const BY_FLAG = new Map(SETTINGS.map((setting) => [setting.flag, setting]))
const BY_ENV = new Map(SETTINGS.map((setting) => [setting.env, setting]))
const BY_KEY = new Map(SETTINGS.map((setting) => [setting.key, setting]))

function readFlags(argv: readonly string[]): GivenByKey {
  const given: GivenByKey = new Map()
  const rest = [...argv]
  for (let argument = rest.shift(); argument !== undefined; argument = rest.shift()) {
    const [, name = '', inline] = /^(--[^=]+)(?:=(.*))?$/s.exec(argument) ?? []
    const setting = BY_FLAG.get(name)
    const negated = BY_FLAG.get(name.replace(/^--no-/, '--'))
    if (setting?.kind === 'boolean') {
      const next = inline ?? (/^(true|false|1|0)$/i.test(rest[0] ?? '') ? rest.shift() : 'true')
      given.set(setting.key, { value: next, source: `flag ${name}` })
    } else if (setting !== undefined || name === '--config') {
      const value = inline ?? rest.shift()
      if (value === undefined) throw new ConfigError(`flag ${name} needs a value`)
      const key = setting?.key ?? 'config'
      const before = given.get(key)?.value
      given.set(key, { value: setting?.kind === 'list' && before !== undefined ? `${before},${value}` : value, source: `flag ${name}` })
    } else if (negated?.kind === 'boolean' && inline === undefined) {
      given.set(negated.key, { value: 'false', source: `flag ${name}` })
    } else {
      throw new ConfigError(`unknown flag ${name || argument}${suggestion(name, [...BY_FLAG.keys()])}`)
    }
  }
  return given
}

function readEnvironment(env: ConfigSources['env'], readFile: (path: string) => string): GivenByKey {
  const given: GivenByKey = new Map()
  for (const [name, text] of Object.entries(env)) {
    if (!name.startsWith(PREFIX) || name === 'HOLDWIRE_CONFIG' || text === undefined || text === '') continue
    if (LINK_VALUE.test(text) && LINK.test(name)) continue
    const direct = BY_ENV.get(name)
    const fromFile = name.endsWith('_FILE') ? BY_ENV.get(name.slice(0, -'_FILE'.length)) : undefined
    if (direct !== undefined) {
      given.set(direct.key, { value: unescapePem(text), source: name })
    } else if (fromFile?.file) {
      if (nonEmpty(env[fromFile.env]) !== undefined) throw new ConfigError(`${fromFile.env} and ${name} are both set`)
      given.set(fromFile.key, { value: readSecret(text, name, readFile), source: name, path: text })
    } else if (!LINK_PART.test(name)) {
      throw new ConfigError(`unknown environment variable ${name}${suggestion(name, [...BY_ENV.keys()])}`)
    }
  }
  return given
}

/** Keys as in the schema, or nested: `bosh: {waitSeconds: 60}` is `boshWaitSeconds: 60`. */
function readConfigFile(path: string, readFile: (path: string) => string): GivenByKey {
  const text = readText(path, 'the config file', readFile)
  let content: unknown
  try {
    content = parseYaml(text)
  } catch (error) {
    // Not its message, which quotes the file, secrets and all.
    const where = error instanceof YAMLParseError ? ` (${error.code}, line ${error.linePos?.[0].line ?? '?'})` : ''
    throw new ConfigError(`${path} is neither YAML nor JSON${where}`)
  }
  const given: GivenByKey = new Map()
  if (content === null || content === undefined) return given
  if (typeof content !== 'object' || Array.isArray(content)) throw new ConfigError(`${path} must hold a map of settings`)
  flatten('', content, (key, value) => {
    if (!BY_KEY.has(key)) throw new ConfigError(`unknown key ${key} in ${path}${suggestion(key, [...BY_KEY.keys()])}`)
    if (given.has(key)) throw new ConfigError(`${key} is there twice in ${path}`)
    if (value !== null) given.set(key, { value: typeof value === 'string' ? unescapePem(value) : value, source: path })
  })
  return given
}

function flatten(prefix: string, content: object, take: (key: string, value: unknown) => void): void {
  for (const [name, value] of Object.entries(content)) {
    const key = prefix === '' ? name : prefix + name.charAt(0).toUpperCase() + name.slice(1)
    if (typeof value === 'object' && value !== null && !Array.isArray(value) && !BY_KEY.has(key)) flatten(key, value, take)
    else take(key, value)
  }
}

function readText(path: string, what: string, readFile: (path: string) => string): string {
  try {
    return readFile(path)
  } catch (error) {
    throw new ConfigError(`${what}: cannot read ${path}: ${error instanceof Error ? error.message : String(error)}`)
  }
}

/** The name is not told: it is the secret itself where somebody took `X_FILE` for `X`. */
function readSecret(path: string, name: string, readFile: (path: string) => string): string {
  try {
    return readFile(path).trim()
  } catch (error) {
    throw new ConfigError(`${name}: cannot read the file that it names (${errorCode(error)})`)
  }
}

function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'no such file?'
}

/** A PEM on one line, as environment files have it. */
function unescapePem(text: string): string {
  return text.startsWith('-----BEGIN ') ? text.replaceAll('\\n', '\n') : text
}

function suggestion(name: string, known: readonly string[]): string {
  const plain = (text: string) => text.toLowerCase().replace(/[^a-z0-9]/g, '')
  const word = plain(name)
  const equal = known.filter((other) => plain(other) === word)
  const ending = word.length < 3 ? [] : known.filter((other) => plain(other).endsWith(word)).slice(0, 3)
  const like = known.filter((other) => distance(plain(other), word) <= 2).slice(0, 1)
  const near = [equal, ending, like].find(({ length }) => length > 0)
  return near === undefined ? '' : ` (did you mean ${near.join(' or ')}?)`
}

/** Edit distance. */
function distance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > 2) return 3
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const replace = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(replace, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}
