// `holdwire smoke`: pushes a message to a user over every transport in turn and waits for it there. For `helm test`, and after an upgrade.

import { randomUUID } from 'node:crypto'
import { connect as connectTcp } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { type Config, ConfigError } from '../config.js'
import { clientUrl, internalUrl } from './push.js'
import { signToken } from './token.js'

export interface SmokeOptions {
  /** Of the client port. */
  readonly url?: string | undefined
  readonly internalUrl?: string | undefined
  readonly user: string
  readonly key?: string | undefined
  /** Only asks whether the server is ready. */
  readonly readyOnly?: true | undefined
}

/** The part of a WebSocket that is used here. */
export interface SmokeSocket {
  send(text: string): void
  close(): void
  addEventListener(type: 'open' | 'message' | 'close' | 'error', listener: (event: { readonly data?: unknown }) => void): void
}

export interface SmokeSurroundings {
  /** The client library, with one transport allowed. */
  connect(target: {
    readonly url: string
    readonly user?: string
    readonly token?: string
    readonly device: string
    readonly transports: readonly ('websocket' | 'sse' | 'poll')[]
  }): {
    on(name: 'message', handler: (frame: object) => void): () => void
    on(name: 'state', handler: (state: { readonly kind: string }) => void): () => void
    close(): Promise<void>
  }
  openSocket(url: string, protocol: string): SmokeSocket
  print(line: string): void
  readonly token: string | undefined
}

const PATIENCE_MS = 15_000
const BOSH_NS = 'http://jabber.org/protocol/httpbind'
const FRAMING_NS = 'urn:ietf:params:xml:ns:xmpp-framing'
const BIND = "<iq xmlns='jabber:client' type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>"
const PRESENCE = "<presence xmlns='jabber:client'/>"

/** One transport: resolves when what `push` sends has come. */
type Attempt = (received: (text: string) => boolean, ready: () => void) => Promise<void>

/** True: a message came over each. Prints a line a transport. Throws ConfigError. */
export async function smoke(config: Config, options: SmokeOptions, surroundings: SmokeSurroundings): Promise<boolean> {
  const internal = options.internalUrl ?? internalUrl(config)
  const url = options.url ?? clientUrl(config)
  for (const base of [internal, url]) if (!URL.canParse(base)) throw new ConfigError(`${base} is no URL`)
  const { print } = surroundings
  const ready = await fetch(new URL('/readyz', internal)).then(
    ({ status }) => (status === 200 ? 'ok' : `HTTP ${status}`),
    (error) => String(error?.cause ?? error),
  )
  print(`ready: ${ready}`)
  if (ready !== 'ok' || options.readyOnly) return ready === 'ok'

  const token = await tokenOf(config, options, surroundings)
  const attempts = attemptsOf(config, url, options.user, token, surroundings)
  let all = true
  for (const [name, attempt] of Object.entries(attempts)) {
    const startMs = performance.now()
    try {
      await overOne(attempt, (text) => push(internal, options.key ?? config.apiKeys[0], options.user, text))
      print(`${name}: ok, ${Math.round(performance.now() - startMs)} ms`)
    } catch (error) {
      all = false
      print(`${name}: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
  return all
}

async function tokenOf(config: Config, { user }: SmokeOptions, { token }: SmokeSurroundings): Promise<string | undefined> {
  if (token !== undefined || config.auth === 'dev') return token
  if (config.jwtSecret === undefined) throw new ConfigError('smoke: needs jwtSecret, or a token in HOLDWIRE_SMOKE_TOKEN; or --ready-only')
  return signToken(config, { user, expiresIn: '5m' }, Date.now())
}

async function overOne(attempt: Attempt, push: (text: string) => Promise<void>): Promise<void> {
  const text = `smoke ${randomUUID()}`
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`nothing came in ${PATIENCE_MS / 1000} s`)), PATIENCE_MS)
    const received = attempt(
      (seen) => seen.includes(text),
      () => push(text).catch(reject),
    )
    received.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}

async function push(internal: string, key: string | undefined, user: string, text: string): Promise<void> {
  const response = await fetch(new URL('/api/v1/push', internal), {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(key === undefined ? {} : { authorization: `Bearer ${key}` }) },
    body: JSON.stringify({ to: { user }, data: text, ttlSeconds: 60 }),
  })
  if (!response.ok) throw new Error(`push: HTTP ${response.status} ${await response.text()}`)
}

function attemptsOf(config: Config, url: string, user: string, token: string | undefined, surroundings: SmokeSurroundings) {
  const device = `smoke-${process.pid}`
  const native =
    (transport: 'websocket' | 'sse' | 'poll'): Attempt =>
    (received, ready) =>
      new Promise((resolve) => {
        const target = { url, device, transports: [transport] }
        const connection = surroundings.connect({ ...target, ...(token === undefined ? { user } : { token }) })
        connection.on('state', ({ kind }) => kind === 'open' && ready())
        connection.on('message', (frame) => {
          if (received(JSON.stringify(frame))) void connection.close().then(resolve)
        })
      })
  const secret = Buffer.from(`\0${user}\0${token ?? 'smoke'}`).toString('base64')
  const auth = `<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>${secret}</auth>`
  const identity = token === undefined ? `user=${encodeURIComponent(user)}` : `token=${encodeURIComponent(token)}`
  return {
    websocket: native('websocket'),
    sse: native('sse'),
    'keep-alive poll': native('poll'),
    'long poll': (received, ready) => longPoll(url, `${identity}&device=${device}`, received, ready),
    bosh: (received, ready) => bosh(url, config.xmppDomain, auth, received, ready),
    'xmpp over websocket': (received, ready) => {
      const socket = surroundings.openSocket(new URL('/xmpp-websocket', url.replace(/^http/, 'ws')).href, 'xmpp')
      return xmppSocket(socket, config.xmppDomain, auth, received, ready)
    },
  } satisfies Record<string, Attempt>
}

/** A connection for each poll. */
async function longPoll(url: string, identity: string, received: (text: string) => boolean, ready: () => void): Promise<void> {
  let cursor = ''
  for (;;) {
    const answer = await getOnce(new URL(`/poll?${identity}${cursor === '' ? '' : `&cursor=${cursor}&wait=5`}`, url))
    if (received(answer)) return
    const next = /"cursor":"([^"]+)"/.exec(answer)?.[1]
    if (next === undefined) throw new Error(answer.slice(0, answer.indexOf('\r\n')) || 'the connection was closed')
    if (cursor === '') ready()
    cursor = next
  }
}

/** The whole answer, head and body. */
function getOnce({ protocol, hostname, port, host, pathname, search }: URL): Promise<string> {
  return new Promise((resolve, reject) => {
    const where = { host: hostname, port: Number(port) || (protocol === 'https:' ? 443 : 80) }
    const socket = protocol === 'https:' ? connectTls({ ...where, servername: hostname }) : connectTcp(where)
    const chunks: Buffer[] = []
    socket.on('data', (chunk: Buffer) => chunks.push(chunk))
    socket.on('error', reject)
    socket.on('end', () => resolve(Buffer.concat(chunks).toString()))
    socket.write(`GET ${pathname}${search} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
  })
}

/** XEP-0124 and XEP-0206, one request at a time. */
async function bosh(url: string, domain: string, auth: string, received: (text: string) => boolean, ready: () => void): Promise<void> {
  let rid = 1 + Math.floor(Math.random() * 2 ** 40)
  let sid = ''
  const ask = async (attributes: string, payload: string): Promise<string> => {
    const named = sid === '' ? '' : ` sid='${sid}'`
    const body = `<body xmlns='${BOSH_NS}' xmlns:xmpp='urn:xmpp:xbosh' rid='${rid++}'${named} ${attributes}>${payload}</body>`
    const response = await fetch(new URL('/http-bind', url), { method: 'POST', headers: { 'content-type': 'text/xml' }, body })
    const text = await response.text()
    if (text.includes("type='terminate'")) throw new Error(text.slice(0, 200))
    return text
  }
  sid = /sid='([^']+)'/.exec(await ask(`to='${domain}' wait='5' hold='1' ver='1.11' xmpp:version='1.0'`, ''))?.[1] ?? ''
  await until(() => ask('', auth), '<success', ask)
  await ask(`xmpp:restart='true' to='${domain}'`, '')
  await until(() => ask('', BIND), '<jid>', ask)
  await ask('', PRESENCE)
  ready()
  while (!received(await ask('', '')));
  await ask("type='terminate'", '').catch(() => undefined)
}

async function until(
  first: () => Promise<string>,
  wanted: string,
  ask: (attributes: string, payload: string) => Promise<string>,
): Promise<void> {
  let answer = await first()
  while (!answer.includes(wanted)) {
    if (answer.includes('<failure') || answer.includes("type='error'")) throw new Error(answer.slice(0, 200))
    answer = await ask('', '')
  }
}

/** RFC 7395. */
function xmppSocket(
  socket: SmokeSocket,
  domain: string,
  auth: string,
  received: (text: string) => boolean,
  ready: () => void,
): Promise<void> {
  const open = `<open xmlns='${FRAMING_NS}' to='${domain}' version='1.0'/>`
  return new Promise((resolve, reject) => {
    socket.addEventListener('error', () => reject(new Error('the WebSocket failed')))
    socket.addEventListener('close', () => reject(new Error('the WebSocket was closed')))
    socket.addEventListener('open', () => socket.send(open))
    socket.addEventListener('message', ({ data }) => {
      const text = String(data)
      if (received(text)) {
        resolve()
        socket.close()
      } else if (text.includes('<failure')) reject(new Error(text.slice(0, 200)))
      else if (text.includes('<mechanisms')) socket.send(auth)
      else if (text.includes('<success')) socket.send(open)
      else if (text.includes('xmpp-bind') && text.includes('features')) socket.send(BIND)
      else if (text.includes('<jid>')) {
        socket.send(PRESENCE)
        ready()
      }
    })
  })
}
