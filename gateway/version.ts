// Which Holdwire this is.

import { readFileSync } from 'node:fs'

function read(): string {
  // Two levels above dist/gateway/.
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }
  return version
}

export const VERSION = read()
