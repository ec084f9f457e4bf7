// Straight to NATS, as docs/bus.md says: stored in JetStream and republished to the gateways; or, with the setting `ephemeral`: `on`,
// past the store, where nobody acknowledges.

import { connect, headers, type Msg } from 'nats'
import { encodeToken, partitionOf } from '../../bus/user-token.js'
import { v1 } from '../../proto/messages.js'
import type { SinkTarget } from './contender.js'
import type { Acknowledged, Sink, SinkMessage } from './sink.js'

export async function connectNatsSink({ url, settings }: SinkTarget, acknowledged: Acknowledged): Promise<Sink> {
  const nc = await connect({ servers: url, noAsyncTraces: true, pingInterval: 10_000 })
  const partitions = Number(settings.partitions)
  const inbox = `_INBOX.bench.${process.pid}`
  nc.subscribe(inbox, {
    callback: (error: Error | null, msg: Msg) => acknowledged(error === null && Buffer.from(msg.data).includes('"seq"')),
  })
  await nc.flush()
  return {
    publish: ({ id, user, topic, data }: SinkMessage) => {
      if (topic !== undefined) throw new Error('NATS has no subject for the subscribers of a topic')
      const token = encodeToken(user)
      const envelope = v1.Envelope.encode({ id, from: 'bench', time: Date.now(), data: Buffer.from(data) }).finish()
      if (settings.ephemeral === 'on') {
        nc.publish(`u.${token}`, envelope)
        acknowledged(true)
        return
      }
      const named = headers()
      // The duplicate window is a stream's, so the recipient is part of the id.
      named.set('Nats-Msg-Id', `${id}:${token}`)
      nc.publish(`in.${partitionOf(token, partitions)}.${token}`, envelope, { headers: named, reply: inbox })
    },
    close: () => nc.close(),
  }
}
