// What this project uses of uWebSockets.js, written down here: the package is optional, and the types it ships with describe
// another version than some of its binaries (methods that not every binary has are left out).

declare module 'uWebSockets.js' {
  export interface HttpRequest {
    getMethod(): string
    /** Without the query. */
    getUrl(): string
    /** Undefined when there is no `?`. */
    getQuery(): string | undefined
    /** '' when absent. */
    getHeader(lowerCaseName: string): string
    /** Names in lower case. */
    forEach(visit: (name: string, value: string) => void): void
  }

  /** Every method throws after the response has ended or was aborted. */
  export interface HttpResponse {
    onAborted(handler: () => void): void
    /** `chunk` is detached when the handler returns. */
    onData(handler: (chunk: ArrayBuffer, isLast: boolean) => void): void
    onWritable(handler: (offset: number) => boolean): void
    cork(work: () => void): void
    writeStatus(status: string): void
    writeHeader(name: string, value: string): void
    /** False: the kernel did not take everything. */
    write(chunk: string | Uint8Array): boolean
    end(body: string | Uint8Array, closeConnection?: boolean): void
    /** Never with arguments: one binary sends a wrong length, another ends the process. */
    endWithoutBody(): void
    /** Calls the onAborted handler. */
    close(): void
    upgrade<T>(userData: T, key: string, protocol: string, extensions: string, context: UpgradeContext): void
    getRemoteAddress(): ArrayBuffer
  }

  /** Every method but getUserData throws after the close handler was called. */
  export interface WebSocket<T> {
    getUserData(): T
    cork(work: () => void): void
    send(message: Uint8Array, isBinary: boolean, compress: boolean): number
    ping(): number
    getBufferedAmount(): number
    /** Sends a close frame and calls the close handler at once. */
    end(code: number, reason: string): void
    /** Calls the close handler at once. */
    close(): void
  }

  export interface UpgradeContext {
    readonly upgradeContext: unique symbol
  }

  export interface ListenSocket {
    readonly listenSocket: unique symbol
  }

  export interface WebSocketBehavior<T> {
    compression: number
    maxPayloadLength: number
    /** Seconds; 0 for never, 1 to 7 end the process. */
    idleTimeout: number
    maxBackpressure: number
    sendPingsAutomatically: boolean
    upgrade(response: HttpResponse, request: HttpRequest, context: UpgradeContext): void
    open(ws: WebSocket<T>): void
    message(ws: WebSocket<T>, message: ArrayBuffer, isBinary: boolean): void
    pong(ws: WebSocket<T>): void
    drain(ws: WebSocket<T>): void
    close(ws: WebSocket<T>, code: number, reason: ArrayBuffer): void
  }

  export interface TemplatedApp {
    any(pattern: string, handler: (response: HttpResponse, request: HttpRequest) => void): TemplatedApp
    ws<T>(pattern: string, behavior: WebSocketBehavior<T>): TemplatedApp
    /** 1 for a connection opened, -1 for one closed (not when it has become a WebSocket). */
    filter(handler: (response: HttpResponse, count: number) => void): TemplatedApp
    listen(host: string, port: number, options: number, done: (socket: ListenSocket | false) => void): TemplatedApp
    close(): TemplatedApp
  }

  export interface Module {
    App(): TemplatedApp
    us_listen_socket_close(socket: ListenSocket): void
    readonly DISABLED: number
    readonly SHARED_COMPRESSOR: number
    readonly LIBUS_LISTEN_EXCLUSIVE_PORT: number
  }

  const module: Module
  // biome-ignore lint/style/noDefaultExport: a CommonJS module, seen from here
  export default module
}
