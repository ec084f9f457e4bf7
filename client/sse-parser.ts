// Parses a text/event-stream as the HTML standard says (§9.2.6), from chunks cut anywhere.

export interface ServerSentEvent {
  readonly data: string
  /** The last `id:` of the stream so far; '' when there was none. */
  readonly id: string
}

export interface SseSink {
  onEvent(event: ServerSentEvent): void
  /** The stream's reconnection time. */
  onRetry(retryMs: number): void
}

export class SseParser {
  readonly #sink: SseSink
  readonly #limitChars: number
  readonly #decoder = new TextDecoder()
  #rest = ''
  /** The last line ended in CR, at once; an LF that comes next belongs to it. */
  #endedInCr = false
  #data: string[] = []
  #dataChars = 0
  #id = ''

  /** `limitChars`: of one event; a longer one makes `push` throw a RangeError. */
  constructor(sink: SseSink, limitChars: number) {
    this.#sink = sink
    this.#limitChars = limitChars
  }

  push(chunk: Uint8Array): void {
    // The decoder drops a BOM at the start and keeps characters cut in two.
    let text = this.#decoder.decode(chunk, { stream: true })
    if (text === '') return
    if (this.#endedInCr && text.startsWith('\n')) text = text.slice(1)
    this.#endedInCr = text === '' ? false : text.endsWith('\r')
    text = this.#rest + text
    const lines = /\r\n|\n|\r/g
    let start = 0
    for (let match = lines.exec(text); match !== null; match = lines.exec(text)) {
      this.#line(text.slice(start, match.index))
      start = lines.lastIndex
    }
    this.#rest = text.slice(start)
    this.#check(this.#rest.length)
  }

  #line(line: string): void {
    if (line === '') {
      this.#dispatch()
      return
    }
    const colon = line.indexOf(':')
    if (colon === 0) return // comment
    const field = colon < 0 ? line : line.slice(0, colon)
    const value = colon < 0 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1)
    if (field === 'data') {
      this.#data.push(value)
      this.#dataChars += value.length + 1
      this.#check(0)
    } else if (field === 'id' && !value.includes('\0')) {
      this.#id = value
    } else if (field === 'retry' && /^\d+$/.test(value)) {
      this.#sink.onRetry(Number(value))
    }
    // `event` repeats the frame's own type: nothing to learn from it.
  }

  #dispatch(): void {
    if (this.#data.length === 0) return
    const data = this.#data.join('\n')
    this.#data = []
    this.#dataChars = 0
    this.#sink.onEvent({ data, id: this.#id })
  }

  #check(restChars: number): void {
    if (this.#dataChars + restChars > this.#limitChars) throw new RangeError('an event of the stream is too long')
  }
}
