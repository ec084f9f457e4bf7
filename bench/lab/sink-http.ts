// Holdwire's backend API over HTTP (docs/backend-api.md).

import type { SinkTarget } from './contender.js'
import { type HttpDialect, occurrences, openHttpLanes } from './http-lanes.js'
import type { Acknowledged, Sink, SinkMessage } from './sink.js'

const ACCEPTED = Buffer.from('"accepted"')

function dialectOf(ephemeral: boolean): HttpDialect {
  const push = (message: SinkMessage) => pushOf(message, ephemeral)
  return {
    batchLimit: 100,
    request: (batch) => {
      const [only] = batch
      const headers = 'Content-Type: application/json\r\n'
      if (batch.length === 1 && only !== undefined) return { target: '/api/v1/push', headers, body: push(only) }
      return { target: '/api/v1/push/batch', headers, body: `[${batch.map(push).join(',')}]` }
    },
    taken: (status, body) => (status < 300 ? occurrences(body, ACCEPTED) : 0),
  }
}

/** `ephemeral: on`: past the store. */
export function connectHttpSink({ url, settings }: SinkTarget, acknowledged: Acknowledged): Promise<Sink> {
  return openHttpLanes(url, dialectOf(settings.ephemeral === 'on'), acknowledged)
}

function pushOf({ id, user, topic, data }: SinkMessage, ephemeral: boolean): string {
  const to = topic === undefined ? { user } : { topic }
  // Without an id: those who pass messages on only do not remember it either.
  const how = ephemeral ? '"ephemeral":true' : `"id":${JSON.stringify(id)}`
  return `{"to":${JSON.stringify(to)},${how},"from":"bench","data":${data}}`
}
