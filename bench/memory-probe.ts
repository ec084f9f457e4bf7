// Loaded into the measured process (--import, with --expose-gc): collects garbage when asked to, so that what remains is what the
// sessions hold, and says how much of it the JavaScript engine knows of.

export interface LiveMemory {
  /** Objects on the heap, and buffers outside of it. */
  readonly liveBytes: number
}

process.on('message', () => {
  globalThis.gc?.()
  globalThis.gc?.()
  const { heapUsed, external } = process.memoryUsage()
  const live: LiveMemory = { liveBytes: heapUsed + external }
  process.send?.(live)
})
// It is no reason to stay.
process.channel?.unref()
