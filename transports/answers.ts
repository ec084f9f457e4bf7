// Plain HTTP answers of the client port: JSON, nothing, and problems (RFC 9457), with their CORS headers.

import { type CloseReason, problemJson, REASONS, retryAfterSeconds } from '../gateway/close-reason.js'
import type { Headers } from './cors.js'
import type { Exchange, Head } from './engine/engine.js'
import { defineHead } from './engine/heads.js'

const NO_STORE = ['cache-control', 'no-store'] as const

export const JSON_HEAD = defineHead(200, [['content-type', 'application/json'], NO_STORE])
export const EMPTY_HEAD = defineHead(204, [NO_STORE])

const problemHeads = new Map<number, Head>()

/** The head of a problem answer. */
export function problemHead(reason: CloseReason): Head {
  const status = REASONS[reason.code].http
  let head = problemHeads.get(status)
  if (head === undefined) {
    head = defineHead(status, [['content-type', 'application/problem+json'], NO_STORE])
    problemHeads.set(status, head)
  }
  return head
}

/** What a problem answer carries besides its head and the CORS headers. */
export function problemExtra(reason: CloseReason): Headers {
  const seconds = retryAfterSeconds(reason)
  return seconds === undefined ? [] : [['retry-after', String(seconds)]]
}

export function answerProblem(exchange: Exchange, reason: CloseReason, headers: Headers): void {
  const close = reason.code === 'too_large'
  exchange.respond(problemHead(reason), problemJson(reason), [...headers, ...problemExtra(reason)], close)
}

export function answerJson(exchange: Exchange, body: Uint8Array | string, headers: Headers, close = false): void {
  exchange.respond(JSON_HEAD, body, headers, close)
}
