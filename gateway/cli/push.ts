// `holdwire push`: one push through the internal API.

import { apiKeysOf, type Config, ConfigError } from '../config.js'
import { hostOf, portUrl } from '../port-url.js'

export interface PushOptions {
  readonly topic?: string | undefined
  readonly all?: true | undefined
  readonly id?: string | undefined
  readonly from?: string | undefined
  /** Seconds. */
  readonly ttl?: string | undefined
  readonly collapseKey?: string | undefined
  readonly ephemeral?: true | undefined
  /** Of the internal port. */
  readonly url?: string | undefined
  readonly key?: string | undefined
}

export interface PushResult {
  /** JSON: what the server answered. */
  readonly answer: string
  readonly accepted: boolean
}

/** `words`: the user, unless the options name another target, and the data. Throws ConfigError, or an Error when the server is out of reach. */
export async function push(config: Config, words: readonly string[], options: PushOptions): Promise<PushResult> {
  const { url = internalUrl(config), key = pushKey(config) } = options
  const body = JSON.stringify(pushBody(words, options))
  if (!URL.canParse(url)) throw new ConfigError(`--url: ${url} is no URL`)
  let response: Response
  try {
    response = await fetch(new URL('/api/v1/push', url), {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(key === undefined ? {} : { authorization: `Bearer ${key}` }) },
      body,
    })
  } catch (error) {
    // What fetch itself says is only that it failed.
    const cause = error instanceof Error ? (error.cause ?? error) : error
    throw new Error(`cannot reach ${url}: ${cause instanceof Error ? cause.message : String(cause)}`)
  }
  return { answer: await response.text(), accepted: response.ok }
}

/** Data that is no JSON is a text. Throws ConfigError. */
export function pushBody(words: readonly string[], options: PushOptions): Record<string, unknown> {
  const { topic, all, id, from, ttl, collapseKey, ephemeral } = options
  if (topic !== undefined && all) throw new ConfigError('--topic and --all: only one of them')
  const toUser = topic === undefined && !all
  if (words.length !== (toUser ? 2 : 1))
    throw new ConfigError(toUser ? 'push <user> <data>' : 'push --topic <topic> <data>, push --all <data>')
  if (ttl !== undefined && !/^\d{1,9}$/.test(ttl)) throw new ConfigError('--ttl: whole seconds')
  const [user = ''] = words
  return {
    to: toUser ? { user } : all ? { all } : { topic },
    data: readData(words.at(-1) ?? ''),
    id,
    from,
    ttlSeconds: ttl === undefined ? undefined : Number(ttl),
    ephemeral,
    collapseKey,
  }
}

function readData(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return text
  }
}

/** Where this configuration makes a server listen, as seen from its own machine. */
export function internalUrl(config: Config): string {
  return localUrl(config, 'internal', config.internalPort)
}

export function clientUrl(config: Config): string {
  return localUrl(config, 'client', config.clientPort)
}

function localUrl(config: Config, which: 'client' | 'internal', port: number): string {
  if (port === 0) throw new ConfigError('which port? Give --url')
  const host = hostOf(config, which)
  return portUrl(config, which, port, host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host)
}

/** The first of the configured keys that is good for pushing. */
function pushKey({ apiKeys }: Config): string | undefined {
  return apiKeysOf(apiKeys).find(({ scopes }) => scopes.has('push'))?.key
}
