// How long the last messages took: their median, and a picture of them.

const LIMIT_KEPT = 200
const LIMIT_SHOWN = 32
const SVG = 'http://www.w3.org/2000/svg'

export class Latencies {
  readonly #kept: number[] = []

  add(ms: number): void {
    this.#kept.push(ms)
    if (this.#kept.length > LIMIT_KEPT) this.#kept.shift()
  }

  get median(): number | undefined {
    const sorted = this.#kept.toSorted((a, b) => a - b)
    const middle = sorted.length >> 1
    const upper = sorted[middle]
    const lower = sorted.length % 2 === 0 ? sorted[middle - 1] : upper
    return upper === undefined || lower === undefined ? undefined : (lower + upper) / 2
  }

  /** Bars of the last ones, the newest at the right, over a width of 160 and a height of 32. */
  draw(svg: SVGSVGElement): void {
    const shown = this.#kept.slice(-LIMIT_SHOWN)
    const most = Math.max(10, ...shown)
    const bars = shown.map((ms, index) => {
      const height = Math.max(1.5, (ms / most) * 32)
      const bar = document.createElementNS(SVG, 'rect')
      const place = { x: (LIMIT_SHOWN - shown.length + index) * 5, y: 32 - height, width: 3.4, height, rx: 1 }
      for (const [name, value] of Object.entries(place)) bar.setAttribute(name, String(value))
      return bar
    })
    svg.replaceChildren(...bars)
  }
}

/** For people: `3 ms`, `1.2 s`, `4 min`. */
export function duration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`
  return `${Math.round(ms / 60_000)} min`
}
