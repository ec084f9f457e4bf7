// The client port: which path is which transport.

import type { Authenticated, Authenticator } from '../gateway/auth/authenticator.js'
import type { FailureLimit } from '../gateway/auth/failure-limit.js'
import type { Transport } from '../gateway/carrier.js'
import { type CloseReason, problemJson } from '../gateway/close-reason.js'
import type { Door } from '../gateway/door.js'
import type { Hub } from '../gateway/hub.js'
import type { Intake } from '../gateway/intake.js'
import type { RelayClient } from '../gateway/relay.js'
import type { Rate } from '../gateway/token-bucket.js'
import type { v1 } from '../proto/messages.js'
import { answerProblem, EMPTY_HEAD, problemExtra, problemHead } from './answers.js'
import type { BoshPort } from './bosh/bosh-port.js'
import type { ClientAddresses } from './client-address.js'
import type { Cors } from './cors.js'
import type { Exchange, RequestHead, Routes, Upgrade } from './engine/engine.js'
import { HOST_META_PATHS, type HostMetaOptions, serveHostMeta } from './host-meta.js'
import { Polls } from './poll.js'
import { relayedSend, sendFrames } from './send.js'
import { openEvents } from './sse.js'
import type { StaticFiles } from './static-files.js'
import { readVisit, type Visit } from './visit.js'
import { openSocket, PROTOCOLS } from './websocket.js'
import { openXmppSocket, prefersXmpp } from './xmpp/websocket.js'
import type { XmppSocketOptions } from './xmpp/ws-socket.js'

/** What the transports need of the gateway. */
export interface ClientPortOptions {
  readonly door: Door
  readonly hub: Hub
  readonly intake: Intake
  readonly relay: RelayClient
  readonly authenticator: Authenticator
  readonly cors: Cors
  readonly pages: StaticFiles
  readonly addresses: ClientAddresses
  /** The port speaks TLS itself. */
  readonly tls: boolean
  readonly failures: FailureLimit
  readonly maxFrameBytes: number
  readonly maxBodyBytes: number
  readonly frameRate: Rate
  /** Nobody may take longer to show who he is. */
  readonly authTimeoutMs: number
  /** BOSH; undefined: not spoken here. */
  readonly bosh: BoshPort | undefined
  /** XMPP over WebSocket; undefined: not spoken here. */
  readonly xmpp: XmppSocketOptions | undefined
  readonly hostMeta: HostMetaOptions
  /** Frames of a client were read. */
  received(transport: Transport, frames: number, bytes: number): void
  sentBytes(transport: Transport, bytes: number): void
  /** A request or a connection was refused, or a connection ended for a fault of its client. `send`: POST and DELETE /send. */
  refused(transport: Transport | 'send', reason: CloseReason): void
  onError(error: unknown, what: string): void
}

export interface Gateway extends ClientPortOptions {
  /** Always settles within the deadline. */
  identify(visit: Visit): Authenticated | Promise<Authenticated>
}

type Handler = (visit: Visit, exchange: Exchange, head: RequestHead) => void

export class ClientPort implements Routes {
  readonly #polls: Polls
  readonly #gateway: Gateway
  readonly #paths: ReadonlyMap<string, ReadonlyMap<string, Handler>>

  constructor(options: ClientPortOptions) {
    const gateway: Gateway = { ...options, identify: (visit) => identify(options, visit) }
    this.#gateway = gateway
    this.#polls = new Polls(gateway)
    const poll: Handler = (visit, exchange) => this.#polls.poll(visit, exchange)
    const end: Handler = (visit, exchange) => this.#polls.end(visit, exchange)
    const send: Handler = (visit, exchange) => sendFrames(gateway, visit, exchange)
    const upgrade: Handler = (visit, exchange) =>
      answerProblem(exchange, { code: 'upgrade_required', reason: 'this is a WebSocket' }, [...visit.cors, ['upgrade', 'websocket']])
    const hostMeta: Handler = (visit, exchange, head) => serveHostMeta(options.hostMeta, visit, head, exchange)
    this.#paths = new Map([
      ['/ws', new Map([['GET', upgrade]])],
      ...(options.xmpp === undefined ? [] : [[XMPP_PATH, new Map([['GET', upgrade]])]]),
      ...HOST_META_PATHS.map((path) => [path, new Map([['GET', hostMeta]])]),
      [
        '/sse',
        new Map([
          ['GET', (visit, exchange) => openEvents(gateway, visit, exchange)],
          ['DELETE', end],
        ]),
      ],
      [
        '/poll',
        new Map([
          ['GET', poll],
          ['POST', poll],
          ['DELETE', end],
        ]),
      ],
      [
        '/send',
        new Map([
          ['POST', send],
          ['DELETE', send],
        ]),
      ],
      ...boshPaths(options.bosh),
    ] as [string, Map<string, Handler>][])
  }

  request(head: RequestHead, exchange: Exchange): void {
    const visit = readVisit(head, this.#gateway)
    const methods = this.#paths.get(visit.path)
    if (methods === undefined) {
      this.#gateway.pages.serve(visit, exchange)
      return
    }
    if (visit.method === 'OPTIONS') {
      const allow = ['allow', [...methods.keys(), 'OPTIONS'].join(', ')] as const
      const preflight = this.#gateway.cors.preflight(head.header('origin'), head.header('host'))
      exchange.respond(EMPTY_HEAD, null, [allow, ...preflight])
      return
    }
    const handler = methods.get(visit.method)
    if (handler !== undefined) {
      handler(visit, exchange, head)
      return
    }
    const allow = ['allow', [...methods.keys(), 'OPTIONS'].join(', ')] as const
    answerProblem(exchange, { code: 'method_not_allowed', reason: `${visit.method} means nothing here` }, [...visit.cors, allow])
  }

  upgrade(head: RequestHead, upgrade: Upgrade): void {
    const visit = readVisit(head, this.#gateway)
    const reason = this.#refusal(head, visit)
    const { xmpp } = this.#gateway
    if (reason === undefined && xmpp !== undefined && (visit.path === XMPP_PATH || prefersXmpp(upgrade.protocols, PROTOCOLS)))
      openXmppSocket(xmpp, visit, upgrade)
    else if (reason === undefined) openSocket(this.#gateway, visit, upgrade)
    else {
      this.#gateway.refused('websocket', reason)
      upgrade.reject(problemHead(reason), problemJson(reason), [...visit.cors, ...problemExtra(reason)])
    }
  }

  /** For other nodes: see gateway/relay.ts. */
  relayedPoll(poll: v1.RelayPoll): Promise<v1.RelayReply.$Properties> {
    return this.#polls.relayed(poll)
  }

  cancelPoll(id: string): void {
    this.#polls.cancel(id)
  }

  relayedSend(send: v1.RelaySend): Promise<v1.RelayReply.$Properties> {
    return relayedSend(this.#gateway, send)
  }

  #refusal(head: RequestHead, visit: Visit): CloseReason | undefined {
    if (visit.path !== '/ws' && (visit.path !== XMPP_PATH || this.#gateway.xmpp === undefined))
      return { code: 'not_found', reason: 'no WebSocket there' }
    // A page of another origin could use what the browser knows about the user; SSE and polls are held back by CORS.
    if (!this.#gateway.cors.allows(head.header('origin'), head.header('host')))
      return { code: 'forbidden', reason: 'pages of that origin may not connect' }
    return undefined
  }
}

const XMPP_PATH = '/xmpp-websocket'
/** With a slash at the end too: clients end at once when they are told that nothing is there. */
const BOSH_PATHS = ['/http-bind', '/http-bind/', '/bosh', '/bosh/']

function boshPaths(bosh: BoshPort | undefined): [string, Map<string, Handler>][] {
  if (bosh === undefined) return []
  const handlers = new Map<string, Handler>([
    ['POST', (visit, exchange) => bosh.request(visit, exchange)],
    ['GET', (visit, exchange) => bosh.page(visit, exchange)],
  ])
  return BOSH_PATHS.map((path) => [path, handlers])
}

function identify(options: ClientPortOptions, visit: Visit): Authenticated | Promise<Authenticated> {
  const told = (result: Authenticated) => ('code' in result ? options.failures.told(visit.ip, result) : result)
  const authenticated = options.authenticator.authenticate(visit.credentials)
  return authenticated instanceof Promise ? inTime(options, authenticated.then(told)) : told(authenticated)
}

async function inTime({ authTimeoutMs }: ClientPortOptions, authenticated: Promise<Authenticated>): Promise<Authenticated> {
  let timer: NodeJS.Timeout | undefined
  const deadline = new Promise<CloseReason>((resolve) => {
    timer = setTimeout(() => resolve({ code: 'unauthorized', reason: 'who you are could not be found out in time' }), authTimeoutMs)
  })
  try {
    return await Promise.race([authenticated, deadline])
  } finally {
    clearTimeout(timer)
  }
}
