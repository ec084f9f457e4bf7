// Frames as JSON (docs/protocol.md). A frame is encoded once, up to its cursor; what is appended for each session is the
// cursor alone.

import type { Outbound, ServerFrame } from '../../gateway/outbound.js'
import { checkFrame, type Parsed } from '../../proto/client-frame.js'
import type { v1 } from '../../proto/messages.js'

/** `{"type":…` without the cursor and the closing brace. */
export function jsonHead(outbound: Outbound): Buffer {
  outbound.json ??= encode(outbound.frame)
  return outbound.json
}

/** What follows the head. Cursors need no escaping. */
export function jsonTail(cursor: string): string {
  return `,"cursor":"${cursor}"}`
}

/** The `type` of a frame. */
export function frameType(frame: ServerFrame): string {
  if (frame.message != null) return 'message'
  if (frame.presence != null) return 'presence'
  if (frame.reply != null) return 'reply'
  if (frame.hello != null) return 'hello'
  if (frame.roster != null) return 'roster'
  if (frame.gap != null) return 'gap'
  if (frame.drain != null) return 'drain'
  return 'close'
}

/** A reply without a cursor, as POST /send answers it. */
export function jsonReply(reply: v1.Reply.$Properties): string {
  return `${openReply(reply)}}`
}

/** One frame of a client as text. Throws SyntaxError when it is not JSON. */
export function parseFrame(text: string): Parsed {
  return checkFrame(JSON.parse(text))
}

function encode(frame: ServerFrame): Buffer {
  if (frame.message != null) return encodeMessage(frame.message)
  if (frame.reply != null) return Buffer.from(openReply(frame.reply))
  const text = JSON.stringify({ type: frameType(frame), ...fields(frame) })
  return Buffer.from(text.slice(0, -1))
}

/** By hand: it is most of what is sent, and its data is JSON already. */
function encodeMessage({ id, from, topic, time, data, ephemeral }: v1.Message.$Properties): Buffer {
  let head = `{"type":"message","id":${JSON.stringify(id ?? '')}`
  if (from) head += `,"from":${JSON.stringify(from)}`
  if (topic) head += `,"topic":${JSON.stringify(topic)}`
  head += `,"time":${time ?? 0}`
  if (ephemeral) head += ',"ephemeral":true'
  head += ',"data":'
  const bytes = data ?? new Uint8Array()
  const headBytes = Buffer.byteLength(head)
  const whole = Buffer.allocUnsafe(headBytes + bytes.length)
  whole.write(head, 0, 'utf8')
  whole.set(bytes, headBytes)
  return whole
}

function fields(frame: ServerFrame): object {
  if (frame.hello != null) {
    const { session, user, device, recovered, pingSeconds, resumeSeconds } = frame.hello
    return { session, user, device: device || undefined, recovered: recovered ?? false, pingSeconds, resumeSeconds }
  }
  if (frame.presence != null) {
    const { user, status, note } = frame.presence
    return { user, status, note: note || undefined }
  }
  if (frame.roster != null) return rosterFields(frame.roster)
  if (frame.gap != null) return { reason: frame.gap.reason }
  if (frame.drain != null) return { retryAfterMs: frame.drain.retryAfterMs }
  if (frame.close != null)
    return { code: frame.close.code, reason: frame.close.reason, retryAfterMs: frame.close.retryAfterMs || undefined }
  return {}
}

function rosterFields({ op, user, name, groups, subscription, ask }: v1.Roster.$Properties): object {
  return {
    op,
    user,
    name: name || undefined,
    groups: groups?.length ? groups : undefined,
    subscription: subscription || 'none',
    ask: ask || undefined,
  }
}

/** Without the closing brace. The result is JSON already, of any depth; between tokens line breaks are only white space. */
function openReply({ ref, ok, result, error }: v1.Reply.$Properties): string {
  const { code, message } = error ?? {}
  const head = JSON.stringify({ type: 'reply', ref, ok: ok ?? false, error: error == null ? undefined : { code, message } }).slice(0, -1)
  return result?.length
    ? `${head},"result":${Buffer.from(result)
        .toString('utf8')
        .replace(/[\r\n]/g, ' ')}`
    : head
}
