// How messages get to the other servers, by the `kind` of a `SinkTarget`: each in the way that costs it the least of those that a
// backend has.

import { connect as connectNats } from 'nats'
import type { SinkTarget } from '../contender.js'
import { type HttpDialect, occurrences, openHttpLanes } from '../http-lanes.js'
import type { Acknowledged, Sink, SinkMessage } from '../sink.js'
import { channelOf, subjectOf } from './channels.js'
import { connectComponentSink } from './component-sink.js'
import { connectPushSink } from './push-sink.js'

type Connect = (target: SinkTarget, acknowledged: Acknowledged) => Promise<Sink>

const EMPTY_REPLY = Buffer.from('"publish":{')

export const PEER_SINKS: Readonly<Record<string, Connect>> = {
  'plain-nats': connectPlainNats,
  'xmpp-component': connectComponentSink,
  centrifugo: ({ url, settings }, acknowledged) => openHttpLanes(url, centrifugo(settings.key ?? ''), acknowledged),
  nchan: ({ url }, acknowledged) => openHttpLanes(url, NCHAN, acknowledged),
  mercure: ({ url, settings }, acknowledged) => openHttpLanes(url, mercure(settings.token ?? ''), acknowledged),
  pushpin: connectPushSink,
}

/** Core NATS, no JetStream: servers whose processes subscribe to their users' subjects themselves. Nobody acknowledges. */
async function connectPlainNats({ url }: SinkTarget, acknowledged: Acknowledged): Promise<Sink> {
  const nc = await connectNats({ servers: url, noAsyncTraces: true, pingInterval: 10_000 })
  return {
    publish: (message) => {
      nc.publish(subjectOf(message), Buffer.from(message.data))
      acknowledged(true)
    },
    close: () => nc.close(),
  }
}

/** Server API, `batch`: commands in one request, replied to one by one. */
function centrifugo(key: string): HttpDialect {
  const headers = `Content-Type: application/json\r\nX-API-Key: ${key}\r\n`
  const publication = (message: SinkMessage) => `{"publish":{"channel":${JSON.stringify(channelOf(message))},"data":${message.data}}}`
  return {
    batchLimit: 100,
    request: (batch) => ({ target: '/api/batch', headers, body: `{"commands":[${batch.map(publication).join(',')}]}` }),
    taken: (status, body) => (status === 200 ? occurrences(body, EMPTY_REPLY) : 0),
  }
}

/** One message a request. 201: there are subscribers, 202: there are none. */
const NCHAN: HttpDialect = {
  batchLimit: 1,
  request: ([message]) => ({
    target: `/pub?id=${encodeURIComponent(message === undefined ? '' : channelOf(message))}`,
    headers: 'Content-Type: application/json\r\nAccept: text/x-none\r\n',
    body: message?.data ?? '',
  }),
  taken: (status, _, count) => (status === 201 || status === 202 ? count : 0),
}

/** One update a request, as the protocol has it. */
function mercure(token: string): HttpDialect {
  const headers = `Content-Type: application/x-www-form-urlencoded\r\nAuthorization: Bearer ${token}\r\n`
  return {
    batchLimit: 1,
    request: ([message]) => ({
      target: '/.well-known/mercure',
      headers,
      body: message === undefined ? '' : `topic=${encodeURIComponent(channelOf(message))}&data=${encodeURIComponent(message.data)}`,
    }),
    taken: (status, _, count) => (status === 200 ? count : 0),
  }
}
