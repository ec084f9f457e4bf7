// What is going on, for whoever waits: one line that is overwritten on a terminal, lines of their own elsewhere.

export interface Progress {
  /** Replaces the line before; only on a terminal. */
  update(text: string): void
  say(text: string): void
}

export function terminalProgress(stream: NodeJS.WriteStream): Progress {
  const erase = stream.isTTY ? '\r\x1b[2K' : ''
  return {
    update: (text) => stream.isTTY && stream.write(`${erase}${text}`),
    say: (text) => stream.write(`${erase}${text}\n`),
  }
}
