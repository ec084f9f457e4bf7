// A backend's push to a topic, asked for by a gateway on `c2s.topic`.

import { Reader, v1 } from '../proto/messages.js'
import { type Refusal, refusalOf } from './refusal.js'
import type { Topics } from './topics.js'

const ENVELOPE_FIELD = 1
const LENGTH_DELIMITED = 2

/** The encoded TopicPushed, and why not everybody has it. Throws on what is no TopicPush. */
export async function answerTopicPush(topics: Topics, data: Uint8Array): Promise<{ readonly answer: Uint8Array; readonly error: unknown }> {
  const { envelope, ephemeral, dedupe } = v1.TopicPush.decode(data)
  try {
    const { accepted, error } = await topics.fanOut(envelope?.topic ?? '', envelopeBytes(data), dedupe, ephemeral)
    return { answer: pushed(accepted, error === undefined ? undefined : refusalOf(error)), error }
  } catch (error) {
    return { answer: pushed(0, refusalOf(error)), error }
  }
}

function pushed(accepted: number, refusal: Refusal | undefined): Uint8Array {
  if (refusal === undefined) return v1.TopicPushed.encode({ accepted }).finish()
  return v1.TopicPushed.encode({ accepted, error: { code: refusal.code, message: refusal.message } }).finish()
}

/** The envelope as it came: encoding it again would lose the fields that this version does not know. */
function envelopeBytes(data: Uint8Array): Uint8Array {
  const reader = Reader.create(data)
  let envelope = new Uint8Array()
  while (reader.pos < reader.len) {
    const tag = reader.uint32()
    if (tag >>> 3 === ENVELOPE_FIELD && (tag & 7) === LENGTH_DELIMITED) envelope = new Uint8Array(reader.bytes())
    else reader.skipType(tag & 7)
  }
  return envelope
}
