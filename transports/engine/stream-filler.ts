// What an engine may put between two chunks of a stream without changing its meaning.

import type { Head } from './engine.js'

/**
 * uWebSockets.js sends what the kernel refused only along with something more, so each stream needs a piece that means
 * nothing: a comment for server-sent events, for other types what the caller says. Both engines ask for it, so that
 * a stream made with one works on the other. Throws Error when there is none.
 */
export function streamFiller(head: Head, extra: Head['headers'] | undefined, filler: string | undefined): string {
  if (filler !== undefined && filler !== '') return filler
  const type = contentType(extra) ?? contentType(head.headers) ?? ''
  if (/^text\/event-stream\s*(;|$)/i.test(type)) return ':\n\n'
  throw new Error('a stream that is not text/event-stream needs a filler')
}

function contentType(headers: Head['headers'] | undefined): string | undefined {
  return headers?.find(([name]) => name.toLowerCase() === 'content-type')?.[1]
}
