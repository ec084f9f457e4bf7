// One HTTP request to a port of this machine, over a connection that is kept or not.

import { Agent, type ClientRequest, type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http'

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
}

export interface RequestOptions {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
  /** Undefined: the connection is for this request alone (`Connection: close`). */
  readonly agent?: Agent
}

/** A request under way. */
export interface Asked {
  readonly answer: Promise<Answer>
  /** Cuts the connection. */
  cut(): void
}

/** Connections that are kept for the next request, one at a time. */
export function keepAliveAgent(): Agent {
  return new Agent({ keepAlive: true, maxSockets: 1 })
}

export function ask(port: number, path: string, options: RequestOptions = {}): Asked {
  const asked = start(port, path, options)
  const answer = new Promise<Answer>((resolve, reject) => {
    asked.once('error', reject)
    asked.once('response', (response) => readAll(response).then(resolve, reject))
  })
  // Whoever cuts it does not wait for the answer.
  answer.catch(() => undefined)
  return { answer, cut: () => asked.destroy() }
}

export function http(port: number, path: string, options: RequestOptions = {}): Promise<Answer> {
  return ask(port, path, options).answer
}

/** The request as node:http has it, sent already. */
export function start(port: number, path: string, { method = 'GET', headers = {}, body, agent }: RequestOptions): ClientRequest {
  const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }
  const started = request({ host: '127.0.0.1', port, path, method, agent: agent ?? false, headers: { ...length, ...headers } })
  // After the answer has begun an error is the end of the connection, which the response tells too.
  started.on('error', () => undefined)
  started.end(body)
  return started
}

export async function readAll(response: IncomingMessage): Promise<Answer> {
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk as Buffer)
  return { status: response.statusCode ?? 0, headers: response.headers, text: Buffer.concat(chunks).toString('utf8') }
}
