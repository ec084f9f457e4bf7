// The id of a message in its user's archive (XEP-0313), which is also its stanza id (XEP-0359): the store and the position in it.

/** `<epoch>-<position in base 36>` */
export function archiveId(epoch: string, inbox: number): string {
  return `${epoch}-${inbox.toString(36)}`
}

/** Undefined: no such id. Whether the epoch is the present one has to be checked by the caller. */
export function parseArchiveId(id: string): { readonly epoch: string; readonly inbox: number } | undefined {
  const match = /^([\w-]{1,16})-([0-9a-z]{1,11})$/.exec(id)
  if (match?.[1] === undefined || match[2] === undefined) return undefined
  const inbox = Number.parseInt(match[2], 36)
  return Number.isSafeInteger(inbox) ? { epoch: match[1], inbox } : undefined
}
