// The client port: which path is which transport.

import type { Authenticator, Identity } from '../gateway/auth/authenticator.js'
import type { Transport } from '../gateway/carrier.js'
import { type CloseReason, problemJson } from '../gateway/close-reason.js'
import type { Door } from '../gateway/door.js'
import type { Hub } from '../gateway/hub.js'
import type { Intake } from '../gateway/intake.js'
import type { RelayClient } from '../gateway/relay.js'
import type { Rate } from '../gateway/token-bucket.js'
import type { v1 } from '../proto/messages.js'
import { answerProblem, EMPTY_HEAD, problemExtra, problemHead } from './answers.js'
import type { Cors } from './cors.js'
import type { Exchange, RequestHead, Routes, Upgrade } from './engine/engine.js'
import { Polls } from './poll.js'
import { relayedSend, sendFrames } from './send.js'
import { openEvents } from './sse.js'
import type { StaticFiles } from './static-files.js'
import { readVisit, type Visit } from './visit.js'
import { openSocket } from './websocket.js'

/** What the transports need of the gateway. */
export interface ClientPortOptions {
  readonly door: Door
  readonly hub: Hub
  readonly intake: Intake
  readonly relay: RelayClient
  readonly authenticator: Authenticator
  readonly cors: Cors
  readonly pages: StaticFiles
  readonly trustProxy: number
  readonly maxFrameBytes: number
  readonly maxBodyBytes: number
  readonly frameRate: Rate
  /** Nobody may take longer to show who he is. */
  readonly authTimeoutMs: number
  /** Frames of a client were read. */
  received(transport: Transport, frames: number, bytes: number): void
  sentBytes(transport: Transport, bytes: number): void
  refused(transport: Transport, reason: CloseReason): void
  onError(error: unknown, what: string): void
}

export interface Gateway extends ClientPortOptions {
  /** Identity, or why there is none. Always settles within the deadline. */
  identify(visit: Visit): Promise<Identity | CloseReason>
}

type Handler = (visit: Visit, exchange: Exchange) => void

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
    this.#paths = new Map([
      ['/ws', new Map([['GET', upgrade]])],
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
      handler(visit, exchange)
      return
    }
    const allow = ['allow', [...methods.keys(), 'OPTIONS'].join(', ')] as const
    answerProblem(exchange, { code: 'method_not_allowed', reason: `${visit.method} means nothing here` }, [...visit.cors, allow])
  }

  upgrade(head: RequestHead, upgrade: Upgrade): void {
    const visit = readVisit(head, this.#gateway)
    const reason = this.#refusal(head, visit)
    if (reason === undefined) openSocket(this.#gateway, visit, upgrade)
    else upgrade.reject(problemHead(reason), problemJson(reason), [...visit.cors, ...problemExtra(reason)])
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
    if (visit.path !== '/ws') return { code: 'not_found', reason: 'no WebSocket there' }
    // A page of another origin could use what the browser knows about the user; SSE and polls are held back by CORS.
    if (!this.#gateway.cors.allows(head.header('origin'), head.header('host')))
      return { code: 'forbidden', reason: 'pages of that origin may not connect' }
    return undefined
  }
}

async function identify(options: ClientPortOptions, visit: Visit): Promise<Identity | CloseReason> {
  let timer: NodeJS.Timeout | undefined
  const deadline = new Promise<CloseReason>((resolve) => {
    timer = setTimeout(() => resolve({ code: 'unauthorized', reason: 'who you are could not be found out in time' }), options.authTimeoutMs)
  })
  try {
    return await Promise.race([options.authenticator.authenticate(visit.credentials), deadline])
  } finally {
    clearTimeout(timer)
  }
}
