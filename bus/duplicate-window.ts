// Remembers which (user, id) was stored under which sequence, for a while: a repeated publish is answered like the first.

/** Beyond this many ids within the window publishing is refused: forgetting early would deliver twice. */
const LIMIT_IDS = 4_000_000

export class DuplicateWindow {
  readonly #windowMs: number
  /** In the order of sequences. A number as value: a million ids should not cost a million objects. */
  readonly #seqs = new Map<string, number>()
  /** Until when (ms) everything up to a sequence was stored, at most eight a window. */
  #marks: { time: number; seq: number }[] = []

  constructor(windowMs: number) {
    this.#windowMs = windowMs
  }

  get size(): number {
    return this.#seqs.size
  }

  get full(): boolean {
    return this.#seqs.size >= LIMIT_IDS
  }

  /** A user id has no control characters, so no two pairs make the same key. */
  static key(user: string, id: string): string {
    return `${user}\u0000${id}`
  }

  seqOf(key: string): number | undefined {
    return this.#seqs.get(key)
  }

  /** Sequences rise, but for a replayed journal that begins before the end of its snapshot. */
  add(key: string, seq: number, time: number): void {
    this.#seqs.set(key, seq)
    const mark = this.#marks.at(-1)
    if (mark !== undefined && time - mark.time < this.#windowMs / 8) mark.seq = Math.max(mark.seq, seq)
    else this.#marks.push({ time, seq })
  }

  /** Of a publish that failed. */
  delete(key: string): void {
    this.#seqs.delete(key)
  }

  /** Forgets what is older than the window (and an eighth of it). */
  expire(now: number): void {
    let through = 0
    while (this.#marks[0] !== undefined && this.#marks[0].time + this.#windowMs * 1.125 <= now)
      through = this.#marks.shift()?.seq ?? through
    if (through === 0) return
    for (const [key, seq] of this.#seqs) {
      if (seq > through) break
      this.#seqs.delete(key)
    }
  }

  clear(): void {
    this.#seqs.clear()
    this.#marks = []
  }

  /** All ids, oldest first. The time is that of the mark: never later than an eighth of the window off, and never too early. */
  *entries(): Generator<{ key: string; seq: number; time: number }> {
    let at = 0
    for (const [key, seq] of this.#seqs) {
      while ((this.#marks[at]?.seq ?? seq) < seq) at++
      yield { key, seq, time: this.#marks[at]?.time ?? 0 }
    }
  }
}
