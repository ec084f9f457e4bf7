// `holdwire health`: a probe of the internal port, where there is no shell and no curl.

import { connect as connectTcp } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { type Config, ConfigError } from '../config.js'
import { internalUrl } from './push.js'
import { configOf } from './settings.js'

export interface HealthOptions {
  readonly ready?: true | undefined
  /** Of the internal port. */
  readonly url?: string | undefined
}

export interface Health {
  readonly well: boolean
  /** What the server said, or why it said nothing. */
  readonly answer: string
}

const TIMEOUT_MS = 4000
const MAX_ANSWER_BYTES = 16_384

/** As for the server, but what clients present there may have been among its flags: for a probe no key is needed. */
export function healthConfig(flags: Readonly<Record<string, unknown>>, env?: NodeJS.ProcessEnv): Config {
  return configOf({ ...flags, auth: 'jwt', jwtSecret: 'of no use to a probe' }, env)
}

/** Never takes longer than 4 s. Throws ConfigError. */
export async function health(config: Config, { ready, url = internalUrl(config) }: HealthOptions): Promise<Health> {
  if (!/^https?:/.test(url) || !URL.canParse(url)) throw new ConfigError(`--url: ${url} is no http or https URL`)
  try {
    const [, status, answer = ''] =
      /^HTTP\/1\.1 (\d{3}) .*?\r\n\r\n(.*)$/s.exec(await ask(new URL(url), ready ? '/readyz' : '/livez')) ?? []
    if (status === undefined) return { well: false, answer: `${url} does not speak HTTP` }
    return { well: status === '200', answer: `${status} ${answer.trim()}` }
  } catch (error) {
    return { well: false, answer: `cannot reach ${url}: ${error instanceof Error ? error.message : String(error)}` }
  }
}

/**
 * Not by fetch: that would insist on a certificate for this very address, and those are for the names that others use.
 * Nothing secret is sent, and nobody is let in for the answer.
 */
function ask({ protocol, hostname, port }: URL, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const host = hostname.replace(/^\[|\]$/g, '')
    const secure = protocol === 'https:'
    const target = { host, port: Number(port || (secure ? 443 : 80)) }
    const socket = secure ? connectTls({ ...target, rejectUnauthorized: false }) : connectTcp(target)
    const timer = setTimeout(() => socket.destroy(new Error(`no answer in ${TIMEOUT_MS / 1000} s`)), TIMEOUT_MS)
    let answer = ''
    socket.setEncoding('utf8')
    socket.on('data', (text: string) => {
      answer += text
      if (answer.length > MAX_ANSWER_BYTES) socket.destroy()
    })
    socket.on('error', reject)
    socket.on('close', () => {
      clearTimeout(timer)
      resolve(answer)
    })
    socket.write(`GET ${path} HTTP/1.1\r\nHost: ${hostname}\r\nConnection: close\r\n\r\n`)
  })
}
