// The internal port: keys, routing, checked bodies, and one answer for everything that goes wrong.

import { BusError } from '../../bus/bus.js'
import { isUserId } from '../../bus/user-token.js'
import type { ApiKeys, Scope } from '../auth/api-keys.js'
import type { FailureLimit } from '../auth/failure-limit.js'
import type { CloseReason } from '../close-reason.js'
import { isLoopback } from '../networks.js'
import { busRefusal } from '../push.js'
import { VERSION } from '../version.js'
import { openApi } from './openapi.js'
import { type ApiRequest, type ApiResponse, explain, malformed, type Outcome, problem, type Route, respond, route } from './route.js'
import { type RouteOptions, routes } from './routes.js'

export type { ApiRequest, ApiResponse } from './route.js'

export interface InternalApiOptions extends RouteOptions {
  /** Undefined: no key is needed (`auth: dev`). */
  readonly keys: ApiKeys | undefined
  readonly failures: FailureLimit
  /** Clients need a certificate besides the key; probes need neither. */
  readonly mutualTls: boolean
  readonly publicMetrics: boolean
  /** A good key was presented for what it may not do. */
  outOfScope(key: string, scope: Scope): void
  readonly maxBodyBytes: number
  /** A bug: it was answered with 500. */
  onError(error: unknown, what: string): void
}

interface Match {
  readonly route: Route
  /** Not decoded. */
  readonly user: string
}

export class InternalApi {
  /** Read no more than this of a body. */
  readonly maxBodyBytes: number
  readonly #options: InternalApiOptions
  readonly #routes: readonly Route[]
  readonly #openApi: string

  constructor(options: InternalApiOptions) {
    this.#options = options
    this.maxBodyBytes = options.maxBodyBytes
    const described = route({
      method: 'GET',
      path: '/openapi.json',
      id: 'openapi',
      summary: 'This description',
      key: 'unless_public',
      answer: undefined,
      handle: () => ({ text: this.#openApi, contentType: 'application/json' }),
    })
    this.#routes = [...routes(options), described]
    this.#openApi = JSON.stringify(openApi(this.#routes, VERSION))
  }

  /** Never rejects. */
  async handle(request: ApiRequest): Promise<ApiResponse> {
    const matches = this.#routes.flatMap((candidate) => match(candidate, request.path) ?? [])
    // To HEAD the answer is that to GET; the engine leaves out the body.
    const method = request.method === 'HEAD' ? 'GET' : request.method
    const found = matches.find((one) => one.route.method === method)
    const response = await this.#answer(request, found, matches)
    this.#options.metrics.apiAnswered(found?.route.path ?? 'none', response.status)
    return response
  }

  async #answer(request: ApiRequest, found: Match | undefined, matches: readonly Match[]): Promise<ApiResponse> {
    const refusal = this.#refusal(request, found?.route)
    if (refusal !== undefined) return problem(refusal, refusal.code === 'unauthorized' ? [['www-authenticate', 'Bearer']] : [])
    if (matches.length === 0) return problem({ code: 'not_found', reason: 'there is nothing here; see /openapi.json' })
    if (found === undefined) {
      const methods = matches.flatMap((one) => (one.route.method === 'GET' ? ['GET', 'HEAD'] : [one.route.method]))
      return problem({ code: 'method_not_allowed', reason: `only ${methods.join(', ')}` }, [['allow', methods.join(', ')]])
    }
    try {
      return respond(await call(found, request))
    } catch (error) {
      if (error instanceof BusError) return problem(busRefusal(error))
      this.#options.onError(error, found.route.id)
      return problem({ code: 'internal', reason: 'something went wrong here; it was logged' })
    }
  }

  #refusal(request: ApiRequest, route: Route | undefined): CloseReason | undefined {
    const { keys, publicMetrics, mutualTls, failures, outOfScope } = this.#options
    const key = route?.key ?? 'always'
    if (key === 'never') return undefined
    if (mutualTls && !request.verified) return failures.told(request.ip, { code: 'unauthorized', reason: 'a client certificate is needed' })
    if (keys === undefined) return isForeignPage(request) ? FOREIGN : undefined
    if (key === 'unless_public' && publicMetrics) return undefined
    const found = keys.find({ authorization: request.headers('authorization'), apiKey: request.headers('x-api-key') })
    if (found === undefined) return failures.told(request.ip, NO_KEY)
    const scope = route?.scope
    if (scope === undefined || found.scopes.has(scope)) return undefined
    outOfScope(found.name, scope)
    return { code: 'forbidden', reason: `the API key needs the scope \`${scope}\`` }
  }
}

const NO_KEY: CloseReason = { code: 'unauthorized', reason: 'an API key is needed: Authorization: Bearer … or X-API-Key' }
const FOREIGN: CloseReason = { code: 'forbidden', reason: 'without keys, pages of other sites are kept out' }

/** Without keys, any page in a browser on this machine could push: only pages from this machine may, under a name of this machine. */
function isForeignPage({ headers }: ApiRequest): boolean {
  const origin = headers('origin')
  const host = headers('host')
  return (origin !== '' && !isOfLoopback(origin)) || (host !== '' && !isOfLoopback(`http://${host}`))
}

function isOfLoopback(url: string): boolean {
  return URL.canParse(url) && isLoopback(new URL(url).hostname)
}

function match(candidate: Route, path: string): Match | undefined {
  const pattern = candidate.path.split('/')
  const segments = path.split('/')
  if (segments.length !== pattern.length) return undefined
  let user = ''
  for (const [i, part] of pattern.entries()) {
    const segment = segments[i] ?? ''
    if (part === '{user}') user = segment
    else if (part !== segment) return undefined
  }
  return { route: candidate, user }
}

async function call({ route: { path, query, body, handle }, user }: Match, request: ApiRequest): Promise<Outcome> {
  let name = ''
  if (path.includes('{user}')) {
    try {
      name = decodeURIComponent(user)
    } catch {
      return malformed('user: bad percent-encoding')
    }
    if (!isUserId(name)) return malformed('user: 1 to 256 bytes of UTF-8 without control characters')
  }
  const parsedQuery = query?.safeParse(Object.fromEntries(request.query))
  if (parsedQuery?.success === false) return explain(parsedQuery.error, 'query')
  if (body === undefined) return handle({ user: name, query: parsedQuery?.data, body: undefined, request })
  const json = readJson(request.body)
  if ('code' in json) return json
  const parsedBody = body.safeParse(json.value)
  if (!parsedBody.success) return explain(parsedBody.error, 'body')
  return handle({ user: name, query: parsedQuery?.data, body: parsedBody.data, request })
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function readJson(body: Buffer | null): { readonly value: unknown } | CloseReason {
  if (body === null) return { code: 'too_large', reason: 'the body is too large' }
  try {
    return { value: JSON.parse(decoder.decode(body)) }
  } catch {
    return malformed('the body must be JSON in UTF-8')
  }
}
