// One ephemeral message to many users: on a subject of its own, with the list of them, in place of one publish a user. Every
// process with attached users gets it and picks its own: for 2,000 users that is one message of 12 KB or so to each of them
// instead of 2,000 to route, and one copy of the data instead of 2,000.

/** Fewer than that are sent to each user's own subject. */
export const CROWD = 16
/** What a message begins with: the tokens of the users, a space between, and a line feed. A token has neither. */
const LIST_LIMIT_BYTES = 64 * 1024

/** One message or more; each is at most `limitBytes` long, unless a single token with the data is longer. */
export function* crowdMessages(
  tokens: readonly string[],
  data: Uint8Array,
  limitBytes: number,
): Generator<{ readonly users: number; readonly message: Buffer }> {
  const listLimit = Math.min(LIST_LIMIT_BYTES, limitBytes - data.length)
  for (let at = 0; at < tokens.length; ) {
    const from = at
    let length = 0
    do length += (tokens[at++]?.length ?? 0) + 1
    while (at < tokens.length && length + (tokens[at]?.length ?? 0) + 1 <= listLimit)
    const list = Buffer.from(`${tokens.slice(from, at).join(' ')}\n`, 'latin1')
    yield { users: at - from, message: Buffer.concat([list, data], list.length + data.length) }
  }
}

/** `data` is a part of the message, not a copy. Throws RangeError on what has no list. */
export function readCrowd(message: Uint8Array): { readonly tokens: readonly string[]; readonly data: Buffer } {
  const bytes = Buffer.from(message.buffer, message.byteOffset, message.byteLength)
  const end = bytes.indexOf('\n')
  if (end < 0) throw new RangeError('a message to many users without a list of them')
  return { tokens: bytes.toString('latin1', 0, end).split(' '), data: bytes.subarray(end + 1) }
}
