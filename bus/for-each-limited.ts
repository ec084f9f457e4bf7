// Doing many things a few at a time.

/** Calls `work` for every item, at most `limit` at once. Rejects with the first error after all that was begun has ended. */
export async function forEachLimited<T>(items: Iterable<T>, limit: number, work: (item: T) => Promise<void>): Promise<void> {
  const rest = items[Symbol.iterator]()
  const errors: unknown[] = []
  const runner = async (): Promise<void> => {
    for (let next = rest.next(); next.done !== true && errors.length === 0; next = rest.next()) {
      try {
        await work(next.value)
      } catch (error) {
        errors.push(error)
      }
    }
  }
  await Promise.all(Array.from({ length: limit }, runner))
  if (errors.length > 0) throw errors[0]
}
