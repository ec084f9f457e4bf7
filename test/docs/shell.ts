// What a reader has in front of him: one shell in which the commands of a page are typed one after the other, and more terminals
// in which things stay running.

import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { OUTSIDE_WAS_ASKED } from './checkout.js'

/** A block that stays running belongs into a terminal. */
const BLOCK_MS = 40_000
const READY_MS = 60_000
/** `holdwire gateway` drains for up to 6 s when there is another one. */
const STOP_MS = 10_000

/** What says that a command of a terminal is at work. Others are when they have printed something. */
const READY: readonly (readonly [command: RegExp, ready: RegExp])[] = [
  [/(?:^|\s)(?:npm start|holdwire (?:serve|gateway|c2s))\b/, /"holdwire is ready/],
  [/(?:^|\s)holdwire listen\b/, /"kind":"open"/],
  [/(?:^|\s)nats-server\b/, /Server is ready/],
  [/^nginx\b/, /start worker process/],
]

/** Each shell leads a process group of its own, which would outlive a test that dies. */
const groups = new Set<number>()
process.on('exit', killAll)
process.once('SIGTERM', () => {
  killAll()
  process.exit(143)
})

function killAll(): void {
  for (const group of groups) {
    try {
      process.kill(-group, 'SIGKILL')
    } catch {
      // It has ended.
    }
  }
}

export interface Outcome {
  readonly output: string
  /** Undefined: all commands succeeded. `line`: within the block, from 1. */
  readonly failure?: { readonly line: number; readonly message: string }
}

/** Reads file names from fd 3 and runs each; the first command of a file that fails is told, the others go on as when typed. */
const DRIVER = `set -o pipefail
while IFS= read -r __file <&3; do
  __failed=
  trap '__status=$?; [ "$__status" = 141 ] || [ -n "$__failed" ] || __failed="$LINENO $__status"' ERR
  . "$__file" < /dev/null
  __status=$?
  [ "$__status" = 0 ] || [ -n "$__failed" ] || __failed="1 $__status"
  trap - ERR
  printf '\\n%s %s\\n' "$__file" "\${__failed:-0 0}"
done`

export class Shell {
  readonly #child: ChildProcess
  readonly #folder: string
  #output = ''
  #count = 0

  constructor(folder: string, env: NodeJS.ProcessEnv) {
    this.#folder = folder
    this.#child = spawn('bash', ['--noprofile', '--norc', '-c', `exec 2>&1\n${DRIVER}`], {
      cwd: folder,
      env,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    })
    collect(this.#child, (text) => {
      this.#output += text
    })
    // Of a shell that was ended; `run` says so.
    this.#child.stdio[3]?.on('error', () => {})
  }

  get over(): boolean {
    return hasEnded(this.#child)
  }

  async run(text: string): Promise<Outcome> {
    const file = join(this.#folder, '.tmp', `block-${++this.#count}.sh`)
    writeFileSync(file, `${text}\n`)
    const from = this.#output.length
    const end = `\n${file} `
    const feed = this.#child.stdio[3]
    if (feed === null || feed === undefined || !('write' in feed)) throw new Error('the shell has no fd 3')
    feed.write(`${file}\n`)
    const limit = performance.now() + BLOCK_MS
    while (!/^\d+ \d+\n/.test(this.#output.slice(this.#output.indexOf(end, from) + end.length)) || this.#output.indexOf(end, from) < 0) {
      const output = this.#output.slice(from)
      if (hasEnded(this.#child)) return { output, failure: { line: 1, message: 'it ended the shell' } }
      if (performance.now() > limit) {
        await this.kill()
        const message = `did not end within ${BLOCK_MS / 1000} s; what stays running has \`<!-- terminal: name -->\` above it`
        return { output, failure: { line: 1, message } }
      }
      await delay(10)
    }
    const at = this.#output.indexOf(end, from)
    const output = this.#output.slice(from, at)
    const [line = 0, status = 0] = this.#output
      .slice(at + end.length)
      .split(/\s/, 2)
      .map(Number)
    // Whatever came of it within the block.
    if (existsSync(join(this.#folder, OUTSIDE_WAS_ASKED)))
      return { output, failure: { line: Math.max(line, 1), message: 'leaves this machine or folder' } }
    return status === 0 ? { output } : { output, failure: { line, message: `failed with ${status}` } }
  }

  kill(): Promise<void> {
    return endGroup(this.#child, 'SIGKILL')
  }
}

export class Terminal {
  readonly #child: ChildProcess
  readonly #command: string
  output = ''

  constructor(command: string, folder: string, env: NodeJS.ProcessEnv) {
    this.#command = command
    this.#child = spawn('bash', ['--noprofile', '--norc', '-c', command], {
      cwd: folder,
      env,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    collect(this.#child, (text) => {
      this.output += text
    })
  }

  /** Undefined: it is at work, or has ended well. */
  async notReady(): Promise<string | undefined> {
    const [, ready] = READY.find(([command]) => command.test(this.#command)) ?? [undefined, /./]
    const limit = performance.now() + READY_MS
    while (!ready.test(this.output)) {
      if (hasEnded(this.#child))
        return this.#child.exitCode === 0 ? undefined : `ended with ${this.#child.exitCode ?? this.#child.signalCode}`
      if (performance.now() > limit) return `said nothing like ${ready} within ${READY_MS / 1000} s`
      await delay(10)
    }
    return undefined
  }

  /** The exit code; undefined: it has not ended in time. */
  async ended(): Promise<number | undefined> {
    const limit = performance.now() + BLOCK_MS
    while (!hasEnded(this.#child) && performance.now() < limit) await delay(10)
    return hasEnded(this.#child) ? (this.#child.exitCode ?? -1) : undefined
  }

  /** Ctrl-C. Undefined: it has ended. */
  async interrupt(): Promise<string | undefined> {
    await endGroup(this.#child, 'SIGINT')
    return hasEnded(this.#child) ? undefined : `did not end within ${STOP_MS / 1000} s of Ctrl-C`
  }

  kill(): Promise<void> {
    return endGroup(this.#child, 'SIGKILL')
  }
}

function collect(child: ChildProcess, take: (text: string) => void): void {
  if (child.pid !== undefined) groups.add(child.pid)
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8')
    stream?.on('data', take)
  }
}

const hasEnded = (child: ChildProcess) => child.exitCode !== null || child.signalCode !== null

/** The process and all it has started. */
async function endGroup(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
  const limit = performance.now() + STOP_MS
  while (!hasEnded(child) && performance.now() < limit) await delay(10)
  if (signal === 'SIGKILL') groups.delete(child.pid)
}
