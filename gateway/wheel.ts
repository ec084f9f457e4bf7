// One timer for all sessions: a hashed wheel of their deadlines. A session whose deadline moves later costs nothing (it is
// looked at and put back when its old slot comes round); one whose deadline moves earlier is put in again.

export interface Timed {
  readonly deadlineMs: number
  /** When the wheel will look at it: the wheel's own note, Infinity when it isn't in it. */
  scheduledAtMs: number
}

export class Wheel<T extends Timed> {
  readonly #granularityMs: number
  readonly #due: (item: T, nowMs: number) => void
  readonly #slots = new Map<number, T[]>()
  /** Number of the last slot that was looked at. */
  #turned: number

  /** `due` is called with what has fallen due; normally it ticks it. Must not throw. */
  constructor(granularityMs: number, nowMs: number, due: (item: T, nowMs: number) => void) {
    this.#granularityMs = granularityMs
    this.#due = due
    this.#turned = Math.floor(nowMs / granularityMs)
  }

  /** Puts an item in at its deadline, unless it will be looked at before. */
  schedule(item: T): void {
    if (!Number.isFinite(item.deadlineMs)) return
    const slot = Math.max(Math.ceil(item.deadlineMs / this.#granularityMs), this.#turned + 1)
    const atMs = slot * this.#granularityMs
    if (item.scheduledAtMs <= atMs) return
    item.scheduledAtMs = atMs
    const items = this.#slots.get(slot)
    if (items === undefined) this.#slots.set(slot, [item])
    else items.push(item)
  }

  /** Ticks what is due. Call it about every granularity. */
  turn(nowMs: number): void {
    const until = Math.floor(nowMs / this.#granularityMs)
    // After a long pause (a suspended machine) going through the slots there are beats going through time.
    const due =
      until - this.#turned > this.#slots.size
        ? [...this.#slots.keys()].filter((slot) => slot <= until).sort((a, b) => a - b)
        : Array.from({ length: Math.max(0, until - this.#turned) }, (_, i) => this.#turned + 1 + i)
    this.#turned = Math.max(until, this.#turned)
    for (const slot of due) {
      const items = this.#slots.get(slot)
      if (items === undefined) continue
      this.#slots.delete(slot)
      for (const item of items) {
        // Put in again earlier or later since: the other entry counts.
        if (item.scheduledAtMs !== slot * this.#granularityMs) continue
        item.scheduledAtMs = Number.POSITIVE_INFINITY
        if (item.deadlineMs <= nowMs) this.#due(item, nowMs)
        this.schedule(item)
      }
    }
  }
}
