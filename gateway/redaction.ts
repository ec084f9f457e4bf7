// The last line of defence of the log: whatever looks like a secret, or is one of the configuration, is taken out of each line.
// Nothing should ever get as far as here.

import { apiKeysOf, type Config } from './config.js'

type Secrets = Pick<Config, 'jwtSecret' | 'apiKeys' | 'natsUrl'>

const MASK = '***'
/** Shorter ones would take words out of the text. */
const SECRET_MIN_CHARS = 6

const SHAPES: readonly (readonly [RegExp, string])[] = [
  // A token (RFC 7519): its header is a JSON object in base64.
  [/\beyJ[\w-]{4,}\.[\w-]+\.[\w-]*/g, MASK],
  // A session: `<node>.<number>.<secret>`.
  [/\b([\w-]{8}\.[0-9a-z]{1,11}\.)[\w-]{22}(?![\w-])/g, `$1${MASK}`],
  [/\b((?:Bearer|Basic) +)[\w.~+/=-]{8,}/gi, `$1${MASK}`],
  [/([?&](?:token|session|cursor|key)=)[^&\s"'\\]+/gi, `$1${MASK}`],
  // User and password of a URL.
  [/([a-z][a-z0-9+.-]*:\/\/)[^/\s"'@]+@/gi, `$1${MASK}@`],
]

/** Takes secrets out of a text. */
export function redactor(config: Partial<Secrets>): (text: string) => string {
  const known = secretsOf(config)
  return (text) => {
    let safe = text
    for (const secret of known) safe = safe.replaceAll(secret, MASK)
    for (const [shape, mask] of SHAPES) safe = safe.replace(shape, mask)
    return safe
  }
}

/** As they are, and as they look in JSON and in a URL; the longest first, in case one is part of another. */
function secretsOf({ jwtSecret, apiKeys = [], natsUrl = [] }: Partial<Secrets>): string[] {
  const users = natsUrl.flatMap((server) => /^(?:[a-z][a-z0-9+.-]*:\/\/)?([^/]*)@/i.exec(server)?.[1] ?? [])
  // A user without a password is a token.
  const passwords = users.map((user) => (user.includes(':') ? user.slice(user.indexOf(':') + 1) : user))
  const plain = [jwtSecret ?? '', ...apiKeysOf(apiKeys).map(({ key }) => key), ...passwords, ...passwords.map(decoded)]
  const forms = plain.flatMap((secret) => [secret, JSON.stringify(secret).slice(1, -1), encodeURIComponent(secret)])
  return [...new Set(forms)].filter((secret) => secret.length >= SECRET_MIN_CHARS).sort((a, b) => b.length - a.length)
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
