// Strings that live as long as a session, without what V8 keeps of how they came about.

/** The same text on its own: neither a part of a longer string that it would keep in memory, nor in pieces. */
export function flat(text: string): string {
  return Buffer.from(text, 'utf8').toString('utf8')
}
