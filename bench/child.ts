// A child process with a typed conversation over IPC, and a bound on every wait.

import { type ChildProcess, fork } from 'node:child_process'

export class Child<Order extends object, Report extends { readonly kind: string }> {
  readonly #process: ChildProcess
  readonly #name: string
  readonly #onReport: (report: Report) => void
  #waiting: { readonly kind: string; resolve(report: Report): void; reject(error: Error): void } | undefined

  /** `onReport` gets every report that is not waited for. */
  constructor(name: string, script: string, args: readonly string[], onReport: (report: Report) => void) {
    this.#name = name
    this.#onReport = onReport
    this.#process = fork(script, [...args], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    this.#process.on('message', (report: Report) => this.#take(report))
    this.#process.on('exit', (code) => this.#waiting?.reject(new Error(`the ${name} ended with ${code}`)))
    this.#process.on('error', (error) => this.#waiting?.reject(error))
  }

  get pid(): number {
    return this.#process.pid ?? 0
  }

  tell(order: Order): void {
    if (this.#process.connected) this.#process.send(order)
  }

  /** The next report of this kind. One wait at a time. */
  next<Kind extends Report['kind']>(kind: Kind, timeoutMs: number): Promise<Extract<Report, { kind: Kind }>> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => settle(() => reject(new Error(`the ${this.#name} did not report ${kind} in ${timeoutMs} ms`))),
        timeoutMs,
      )
      const settle = (then: () => void) => {
        clearTimeout(timer)
        this.#waiting = undefined
        then()
      }
      this.#waiting = {
        kind,
        // Its kind was compared.
        resolve: (report) => settle(() => resolve(report as Extract<Report, { kind: Kind }>)),
        reject: (error) => settle(() => reject(error)),
      }
    })
  }

  kill(): void {
    this.#process.kill()
  }

  #take(report: Report): void {
    if (this.#waiting?.kind === report.kind) this.#waiting.resolve(report)
    else this.#onReport(report)
  }
}
