// What no log may have in it, whatever was tested: looked for in all that servers of tests write.

import { apiKeysOf, type Config } from '../../gateway/config.js'

const SHAPES: Readonly<Record<string, RegExp>> = {
  'a token': /\beyJ[\w-]{8,}\.[\w-]+\.[\w-]+/,
  'a session id': /\b[\w-]{8}\.[0-9a-z]{1,11}\.[\w-]{22}(?![\w-])/,
  'a query with a secret': /[?&](?:token|session)=[^&\s"*]/,
}

/** What there is of it in a text, with its surroundings; undefined: nothing. */
export function leakIn(text: string, config: Partial<Pick<Config, 'jwtSecret' | 'apiKeys'>> = {}): string | undefined {
  for (const [name, shape] of Object.entries(SHAPES)) {
    const found = shape.exec(text)
    if (found !== null) return `${name} in: ${text.slice(Math.max(0, found.index - 200), found.index + 200)}`
  }
  const secrets = [config.jwtSecret ?? '', ...apiKeysOf(config.apiKeys ?? []).map(({ key }) => key)]
  const secret = secrets.find((one) => one.length >= 8 && text.includes(one))
  return secret === undefined ? undefined : `a secret of the configuration in: ${text}`
}
