// What a route of the internal API is, and how its answers are made.

import type { z } from 'zod'
import type { Scope } from '../auth/api-keys.js'
import { type CloseReason, problemJson, REASONS, retryAfterSeconds } from '../close-reason.js'

export interface ApiRequest {
  /** Upper case. */
  readonly method: string
  /** As it came, not decoded, without the query. */
  readonly path: string
  readonly query: URLSearchParams
  /** Of the client, behind whatever proxies are trusted. */
  readonly ip: string
  /** The client has shown a certificate of an authority that the port trusts. */
  readonly verified: boolean
  /** '' when absent; `name` in lower case. */
  headers(name: string): string
  /** Null: longer than `InternalApi.maxBodyBytes`. */
  readonly body: Buffer | null
}

export interface ApiResponse {
  readonly status: number
  readonly headers: [name: string, value: string][]
  readonly body: string | Buffer
}

/** What a handler gets: the path's parameter, and query and body as the schemas made them. */
export interface Call<Query, Body> {
  /** `{user}` of the path, decoded and checked; '' where there is none. */
  readonly user: string
  readonly query: Query
  readonly body: Body
  readonly request: ApiRequest
}

/** The value of a 200 answer, `text` of another type than JSON, or why not. */
export type Outcome = { readonly json: unknown } | { readonly text: string; readonly contentType: string } | CloseReason

export interface Route<Query = unknown, Body = unknown> {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** `{user}` stands for one segment. */
  readonly path: string
  readonly id: string
  readonly summary: string
  /** `never`: for probes; `unless_public`: a key unless publicMetrics. */
  readonly key: 'always' | 'never' | 'unless_public'
  /** What a key must be for; undefined: any key will do. */
  readonly scope?: Scope
  readonly query?: z.ZodType<Query>
  readonly body?: z.ZodType<Body>
  /** Undefined: an answer that is not described by a schema (text, OpenAPI). */
  readonly answer: z.ZodType | undefined
  handle(call: Call<Query, Body>): Promise<Outcome> | Outcome
}

/** Ties the types of query and body to the handler, then forgets them. */
export function route<Query = undefined, Body = undefined>(route: Route<Query, Body>): Route {
  return route as unknown as Route
}

export function isRefusal(outcome: object): outcome is CloseReason {
  return 'code' in outcome && 'reason' in outcome
}

export function malformed(reason: string): CloseReason {
  return { code: 'malformed', reason }
}

export function respond(outcome: Outcome): ApiResponse {
  if (isRefusal(outcome)) return problem(outcome)
  const [body, contentType] = 'json' in outcome ? [JSON.stringify(outcome.json), 'application/json'] : [outcome.text, outcome.contentType]
  return { status: 200, headers: headers(contentType), body }
}

export function problem(reason: CloseReason, extra: [name: string, value: string][] = []): ApiResponse {
  const after = retryAfterSeconds(reason)
  const retry: [string, string][] = after === undefined ? [] : [['retry-after', String(after)]]
  return {
    status: REASONS[reason.code].http,
    headers: [...headers('application/problem+json'), ...retry, ...extra],
    body: problemJson(reason),
  }
}

function headers(contentType: string): [string, string][] {
  return [
    ['content-type', contentType],
    ['cache-control', 'no-store'],
    ['x-content-type-options', 'nosniff'],
  ]
}

/** What is wrong with a query or a body, in one line. */
export function explain(error: z.ZodError, what: string): CloseReason {
  const issues = error.issues.slice(0, 5).map(({ path, message }) => `${[what, ...path].join('.')}: ${message}`)
  return malformed(issues.join('; '))
}
