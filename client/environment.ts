// What the client takes from its surroundings, typed without the DOM library so that it serves browsers and Node alike.

export interface WebSocketLike {
  addEventListener(type: 'message', listener: (event: { readonly data: unknown }) => void): void
  addEventListener(type: 'close', listener: (event: { readonly code: number; readonly reason: string }) => void): void
  addEventListener(type: 'open' | 'error', listener: (event: unknown) => void): void
  send(data: string): void
  close(code?: number, reason?: string): void
}

export interface FetchInit {
  readonly method: string
  readonly headers: Record<string, string>
  readonly body?: string
  readonly cache: 'no-store'
  readonly keepalive?: boolean
  /** An AbortSignal: every platform has its own type of it, and `never` fits them all. */
  readonly signal: never
}

export interface ByteReader {
  read(): Promise<{ readonly done: boolean; readonly value?: Uint8Array | undefined }>
}

export interface FetchResponse {
  readonly status: number
  readonly headers: { get(name: string): string | null }
  readonly body: { getReader(): ByteReader } | null
  text(): Promise<string>
}

export interface Environment {
  /** Undefined (Node before 22): the WebSocket transport is skipped. */
  readonly WebSocket: (new (url: string, protocols: string[]) => WebSocketLike) | undefined
  readonly AbortController: new () => { readonly signal: unknown; abort(): void }
  fetch(url: string, init: FetchInit): Promise<FetchResponse>
  setTimeout(callback: () => void, delayMs: number): unknown
  clearTimeout(handle: unknown): void
  /** Milliseconds since the epoch. */
  now(): number
  /** From 0 to 1, 1 excluded. */
  random(): number
  /** Calls back when the network may be there again; answers how to stop. */
  onWake(callback: () => void): () => void
  /** Last resort for an exception that no handler of `error` takes. */
  report(error: unknown): void
}

interface EventTargetLike {
  addEventListener(type: string, listener: () => void): void
  removeEventListener(type: string, listener: () => void): void
}

/** What globalThis may have; nothing of it is certain. */
interface Surroundings {
  readonly WebSocket?: Environment['WebSocket']
  readonly AbortController: Environment['AbortController']
  readonly window?: EventTargetLike
  readonly document?: EventTargetLike & { readonly visibilityState: string }
  readonly reportError?: (error: unknown) => void
  fetch: Environment['fetch']
  setTimeout: Environment['setTimeout']
  clearTimeout: Environment['clearTimeout']
}

/** The surroundings of this process or page, with what the application gave in place of its own. */
export function environmentWith(given: Partial<Environment> = {}): Environment {
  const here = globalThis as unknown as Surroundings
  return {
    WebSocket: here.WebSocket,
    AbortController: here.AbortController,
    // Called as methods of globalThis: browsers refuse them on another object.
    fetch: (url, init) => here.fetch(url, init),
    setTimeout: (callback, delayMs) => here.setTimeout(callback, delayMs),
    clearTimeout: (handle) => here.clearTimeout(handle),
    now: Date.now,
    random: Math.random,
    onWake(callback) {
      const { window, document } = here
      const onVisible = () => {
        if (document?.visibilityState === 'visible') callback()
      }
      window?.addEventListener('online', callback)
      document?.addEventListener('visibilitychange', onVisible)
      return () => {
        window?.removeEventListener('online', callback)
        document?.removeEventListener('visibilitychange', onVisible)
      }
    },
    report: (error) => (here.reportError === undefined ? console.error(error) : here.reportError(error)),
    ...given,
  }
}
