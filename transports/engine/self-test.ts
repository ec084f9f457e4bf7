// What a start-up needs to know of an engine before it trusts it with clients: three faults that real packages have had.

import { connect } from 'node:net'
import { types } from 'node:util'
import type { Engine, ListenOptions } from './engine.js'
import { defineHead } from './heads.js'

const ok = defineHead(200, [])
const SEGMENT_PAUSE_MS = 20
const PATIENCE_MS = 2000

const options: ListenOptions = {
  host: '127.0.0.1',
  port: 0,
  maxMessageBytes: 1024,
  maxHeaderBytes: 4096,
  headersTimeoutMs: PATIENCE_MS,
  bodyTimeoutMs: PATIENCE_MS,
  keepAliveMs: PATIENCE_MS,
  stallTimeoutMs: PATIENCE_MS,
  closeTimeoutMs: PATIENCE_MS,
  maxConnections: 100,
  deflate: false,
  tls: undefined,
  onError() {},
}

/** Serves on a loopback port for a moment. One line for each fault found; none: the engine may be used. Never rejects. */
export async function selfTest(engine: Engine): Promise<readonly string[]> {
  try {
    const listener = await engine.listen(options, {
      request: (_head, exchange) => exchange.respond(ok, 'ok', undefined, true),
      upgrade: (_head, upgrade) => upgrade.reject(ok, null),
    })
    try {
      const [split, twoLengths] = await Promise.all([
        answerTo(listener.port, ['GET /split', '-request-line HTTP/1.1\r\nHost: self-test\r\n\r\n']),
        answerTo(listener.port, ['POST / HTTP/1.1\r\nHost: self-test\r\nContent-Length: 2\r\nContent-Length: 1\r\n\r\nab']),
      ])
      const faults: string[] = []
      if (!split.startsWith('HTTP/1.1 200')) faults.push('requests whose first line comes in two segments are refused')
      if (!/^(HTTP\/1.1 400|$)/.test(twoLengths))
        faults.push('two different Content-Lengths are accepted (request smuggling behind a proxy)')
      return faults
    } finally {
      await listener.close()
    }
  } catch (error) {
    return [`the self-test could not run: ${error instanceof Error ? error.message : String(error)}`]
  }
}

/** Some packages fall back to JavaScript over node:http when their binary does not load. Undefined: `uws` is the native thing. */
export function shimFault(uws: unknown): string | undefined {
  const { App, us_listen_socket_close } = (uws ?? {}) as { App?: unknown; us_listen_socket_close?: unknown }
  if (isNative(App) && isNative(us_listen_socket_close)) return undefined
  return 'it is not the native uWebSockets.js but JavaScript in its place'
}

function isNative(value: unknown): boolean {
  if (typeof value !== 'function' || types.isProxy(value) || value.name.startsWith('bound ')) return false
  return /\{\s*\[native code\]\s*\}\s*$/.test(Function.prototype.toString.call(value))
}

/** The start of what comes back, '' when the connection ends or is silent without a word. */
function answerTo(port: number, segments: readonly string[]): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ host: options.host, port, noDelay: true })
    const timers: NodeJS.Timeout[] = []
    const done = (answer: string) => {
      for (const timer of timers) clearTimeout(timer)
      socket.destroy()
      resolve(answer)
    }
    timers.push(setTimeout(() => done(''), PATIENCE_MS))
    segments.forEach((segment, index) => {
      timers.push(setTimeout(() => socket.write(segment, 'latin1'), index * SEGMENT_PAUSE_MS))
    })
    socket.once('data', (data) => done(data.toString('latin1')))
    socket.once('error', () => done(''))
    socket.once('close', () => done(''))
  })
}
