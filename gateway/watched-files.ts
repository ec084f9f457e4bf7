// Files that are used again when they change. They are read every few seconds rather than watched: the files of a Kubernetes secret
// are links to links, and change by one of those being replaced, which no watcher of the file notices.

import { readFile } from 'node:fs/promises'
import type { Logger } from './logger.js'

interface Watched {
  readonly what: string
  readonly paths: readonly string[]
  take(texts: readonly string[]): void
  /** Of the last time, whether they could be used or not. */
  texts: readonly string[]
  /** Said once, not every few seconds. */
  unreadable: boolean
}

export class WatchedFiles {
  readonly #everyMs: number
  readonly #log: Logger
  readonly #watched: Watched[] = []
  #timer: NodeJS.Timeout | undefined

  constructor(everyMs: number, log: Logger) {
    this.#everyMs = everyMs
    this.#log = log
  }

  /** `take` gets the texts of all files when one differs from `texts`; when it throws, what was there before is still in use. */
  watch(what: string, paths: readonly string[], texts: readonly string[], take: (texts: readonly string[]) => void): void {
    this.#watched.push({ what, paths, take, texts, unreadable: false })
    this.#timer ??= this.#later()
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#watched.length = 0
  }

  #later(): NodeJS.Timeout {
    const look = async (): Promise<void> => {
      for (const one of this.#watched) await this.#look(one)
      if (this.#watched.length > 0) this.#timer = this.#later()
    }
    return setTimeout(() => void look(), this.#everyMs).unref()
  }

  /** Never rejects. */
  async #look(one: Watched): Promise<void> {
    let texts: readonly string[]
    try {
      texts = await Promise.all(one.paths.map((path) => readFile(path, 'utf8')))
    } catch (error) {
      if (!one.unreadable) this.#log.error({ err: error }, `${one.what}: cannot be read again; what was there before is in use`)
      one.unreadable = true
      return
    }
    one.unreadable = false
    if (texts.every((text, i) => text === one.texts[i])) return
    one.texts = texts
    try {
      one.take(texts)
      this.#log.info(`${one.what}: read again`)
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      this.#log.error(`${one.what}: the new files cannot be used; what was there before is in use: ${why}`)
    }
  }
}
