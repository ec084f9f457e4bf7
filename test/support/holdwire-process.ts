// Holdwire as processes of their own, to be killed.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { leakIn } from './leaks.js'

export interface HoldwireProcess {
  readonly clientUrl: string
  readonly internalUrl: string
  readonly pid: number
  /** What it wrote, for failure messages. */
  readonly output: () => string
  kill9(): Promise<void>
  /** SIGTERM; the exit code. */
  stop(): Promise<number | null>
}

const START_TIMEOUT_MS = 60_000

/** Both ports are free ones unless the flags say otherwise. */
export async function startProcess(role: 'serve' | 'gateway' | 'c2s', ...flags: string[]): Promise<HoldwireProcess> {
  const script = new URL('./run-holdwire.js', import.meta.url).pathname
  const child = spawn(process.execPath, [script, role, '--client-port', '0', '--internal-port', '0', ...flags], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const lines: string[] = []
  let recent = ''
  let leak: string | undefined
  const note = (chunk: Buffer) => {
    recent = recent.slice(-4096) + chunk.toString()
    leak ??= leakIn(recent)
    lines.push(chunk.toString())
    if (lines.length > 200) lines.shift()
  }
  child.stdout.on('data', note)
  child.stderr.on('data', note)
  const output = () => lines.join('')
  const ready = await readReady(child, output)
  const exited = once(child, 'exit').then(() => {
    if (leak !== undefined) throw new Error(`the log has ${leak}`)
  })
  // Whoever ends the process hears of it.
  exited.catch(() => undefined)
  return {
    clientUrl: ready.clientUrl ?? '',
    internalUrl: ready.internalUrl,
    pid: child.pid ?? 0,
    output,
    async kill9() {
      child.kill('SIGKILL')
      await exited
    },
    async stop() {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill('SIGTERM')
        await exited
      }
      return child.exitCode
    },
  }
}

function readReady(child: ChildProcess, output: () => string): Promise<{ clientUrl?: string; internalUrl: string }> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill('SIGKILL')
      reject(new Error(`did not start in time:\n${output()}`))
    }, START_TIMEOUT_MS)
    child.once('exit', (code, signal) => {
      clearTimeout(timer)
      reject(new Error(`ended with ${code ?? signal}:\n${output()}`))
    })
    if (child.stdout === null) return
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (!line.includes('"msg":"ready"')) return
      clearTimeout(timer)
      resolve(JSON.parse(line))
    })
  })
}
