// A nats-server for tests: found, or got once into a cache folder, and started on a loopback port with JetStream.

import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { constants, rmSync } from 'node:fs'
import { access, chmod, mkdir, mkdtemp, rename, rm, stat, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { homedir, tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** What is got when the machine has none and no package of its own. */
const RELEASE = '2.15.2'
const READY_MS = 60_000
const STOP_MS = 5_000
const LOCK_MS = 300_000

/** Once for each process, and so is what it says on stderr. */
let getting: Promise<string | undefined> | undefined

export interface NatsServer {
  /** `nats://127.0.0.1:<port>` */
  readonly url: string
  readonly port: number
  readonly storeDir: string
  /** Of the running process; undefined between `kill9` and `restart`. */
  readonly pid: number | undefined
  /** SIGKILL; resolves when the process is gone. The store stays. */
  kill9(): Promise<void>
  /** Starts again on the same port and store (stops first if it runs). */
  restart(): Promise<void>
  /** Ends it; a store that was made here is removed. Idempotent. */
  stop(): Promise<void>
}

export interface StartOptions {
  /** Kept at the end. Default: a temporary one. */
  readonly storeDir?: string
  /** Default: a free one. */
  readonly port?: number
  /** More lines for the configuration file. */
  readonly configExtra?: string
  /** Default: what `getNatsServer` finds. */
  readonly binary?: string
}

/** Path of an installed nats-server: NATS_SERVER, PATH, the usual folders, the cache. Undefined: none. */
export async function findNatsServer(): Promise<string | undefined> {
  const named = process.env.NATS_SERVER
  if (named !== undefined && named !== '') return (await isExecutable(named)) ? named : undefined
  const folders = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '')
  for (const folder of [...folders, '/usr/sbin', '/usr/local/sbin', '/usr/local/bin', cacheFolder()]) {
    const path = join(folder, 'nats-server')
    if (await isExecutable(path)) return path
  }
  return undefined
}

/** `findNatsServer`, or gets one: apt-get (as root), `go install`, or the release from GitHub. Undefined: stderr says why. */
export function getNatsServer(): Promise<string | undefined> {
  getting ??= findOrInstall()
  return getting
}

async function findOrInstall(): Promise<string | undefined> {
  const found = await findNatsServer()
  if (found !== undefined || process.env.NATS_SERVER) {
    if (found === undefined) say(`NATS_SERVER is not an executable file: ${process.env.NATS_SERVER}`)
    return found
  }
  return withLock(async () => {
    const meanwhile = await findNatsServer()
    if (meanwhile !== undefined) return meanwhile
    const failures: string[] = []
    for (const [how, get] of [
      ['apt-get install nats-server', installWithApt],
      [`go install of v${RELEASE}`, installWithGo],
      [`download of release v${RELEASE}`, download],
    ] as const) {
      try {
        await get()
        const path = await findNatsServer()
        if (path === undefined) throw new Error('it left no nats-server')
        say(`got ${path} by ${how}`)
        return path
      } catch (error) {
        failures.push(`${how}: ${(error instanceof Error ? error.message : String(error)).split('\n')[0]}`)
      }
    }
    say(`no nats-server, and none to be had: ${failures.join('; ')}`)
    return undefined
  })
}

/** Starts a server with JetStream; ready when it accepts connections. Throws when there is none or it does not start. */
export async function startNats(options: StartOptions = {}): Promise<NatsServer> {
  const binary = options.binary ?? (await getNatsServer())
  if (binary === undefined) throw new Error('no nats-server on this machine')
  const folder = await mkdtemp(join(tmpdir(), 'holdwire-nats-'))
  const storeDir = options.storeDir ?? join(folder, 'store')
  const port = options.port ?? (await freePort())
  const config = join(folder, 'nats.conf')
  await writeFile(
    config,
    `listen: "127.0.0.1:${port}"\njetstream { store_dir: ${JSON.stringify(storeDir)}, max_mem: 256MB, max_file: 8GB }\n${options.configExtra ?? ''}\n`,
  )
  const server = new Running(binary, config, port, storeDir, folder)
  try {
    await server.restart()
  } catch (error) {
    await server.stop()
    throw error
  }
  return server
}

class Running implements NatsServer {
  readonly url: string
  #child: ChildProcess | undefined
  #log = ''
  /** Also when the test forgot to stop it or died of an exception. */
  readonly #killAtExit = () => {
    this.#child?.kill('SIGKILL')
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 3 })
  }

  constructor(
    readonly binary: string,
    readonly config: string,
    readonly port: number,
    readonly storeDir: string,
    readonly folder: string,
  ) {
    this.url = `nats://127.0.0.1:${port}`
    process.on('exit', this.#killAtExit)
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  async kill9(): Promise<void> {
    await this.#end('SIGKILL')
  }

  async restart(): Promise<void> {
    await this.#end('SIGTERM')
    this.#log = ''
    const child = spawn(this.binary, ['-c', this.config], { stdio: ['ignore', 'ignore', 'pipe'] })
    this.#child = child
    // The last words are kept for the error message; the rest is dropped so that the pipe never fills.
    child.stderr?.on('data', (chunk: Buffer) => {
      this.#log = (this.#log + chunk.toString('latin1')).slice(-2_000)
    })
    child.on('error', (error) => {
      this.#log += String(error)
    })
    const deadline = performance.now() + READY_MS
    while (!(await greets(this.port))) {
      if (child.exitCode !== null || child.signalCode !== null || performance.now() > deadline) {
        throw new Error(`nats-server did not start: ${this.#log}`)
      }
      await delay(20)
    }
  }

  async stop(): Promise<void> {
    await this.#end('SIGTERM')
    process.off('exit', this.#killAtExit)
    await rm(this.folder, { recursive: true, force: true, maxRetries: 5 })
  }

  async #end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const child = this.#child
    if (child === undefined) return
    this.#child = undefined
    if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return
    const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()))
    child.kill(signal)
    const impatient = setTimeout(() => child.kill('SIGKILL'), STOP_MS)
    await gone
    clearTimeout(impatient)
  }
}

/** True when a NATS server says its INFO line. */
function greets(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' })
    const done = (ok: boolean) => {
      socket.destroy()
      resolve(ok)
    }
    socket.setTimeout(1_000, () => done(false))
    socket.once('error', () => done(false))
    socket.once('close', () => done(false))
    socket.once('data', (chunk: Buffer) => done(chunk.toString('latin1').startsWith('INFO')))
  })
}

/**
 * A port nobody listens on, below the range that outgoing connections take theirs from: it stays free while a server is
 * down, and there is one even when that range is used up.
 */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const port = 10_000 + Math.floor(Math.random() * 22_000)
    if (await canListen(port)) return port
  }
  throw new Error('no free port')
}

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer()
    probe.once('error', () => resolve(false))
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)))
  })
}

async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK)
    return (await stat(path)).isFile()
  } catch {
    return false // what is asked here
  }
}

function cacheFolder(): string {
  return join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'holdwire', `nats-server-${RELEASE}`)
}

/** Test files run in parallel: only one of them gets the server, the others wait for it. */
async function withLock<T>(work: () => Promise<T>): Promise<T> {
  const lock = join(cacheFolder(), 'lock')
  await mkdir(cacheFolder(), { recursive: true })
  const deadline = performance.now() + LOCK_MS
  for (;;) {
    try {
      await mkdir(lock)
      break
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
      if (performance.now() > deadline) throw new Error(`locked for too long: ${lock}`)
      if (Date.now() - (await stat(lock).then((s) => s.mtimeMs, Date.now)) > LOCK_MS) await rm(lock, { recursive: true, force: true })
      await delay(200)
    }
  }
  try {
    return await work()
  } finally {
    await rm(lock, { recursive: true, force: true })
  }
}

async function installWithApt(): Promise<void> {
  if (process.getuid?.() !== 0) throw new Error('not root')
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const install = ['install', '-y', '--no-install-recommends', 'nats-server']
  try {
    await run('apt-get', install, { env, timeout: 120_000 })
  } catch {
    // A fresh image has no package lists yet; a second failure is reported.
    await run('apt-get', ['update'], { env, timeout: 120_000 })
    await run('apt-get', install, { env, timeout: 120_000 })
  }
}

async function installWithGo(): Promise<void> {
  await run('go', ['install', `github.com/nats-io/nats-server/v2@v${RELEASE}`], {
    env: { ...process.env, GOBIN: cacheFolder() },
    timeout: 240_000,
  })
}

/** The release archive, its SHA-256 compared with the SHA256SUMS file of the same release. */
async function download(): Promise<void> {
  const system = { linux: 'linux', darwin: 'darwin' }[process.platform as string]
  const machine = { x64: 'amd64', arm64: 'arm64' }[process.arch as string]
  if (system === undefined || machine === undefined) throw new Error(`no release for ${process.platform} ${process.arch}`)
  const name = `nats-server-v${RELEASE}-${system}-${machine}`
  const base = `https://github.com/nats-io/nats-server/releases/download/v${RELEASE}`
  const sums = (await fetchBytes(`${base}/SHA256SUMS`)).toString('utf8')
  const wanted = sums
    .split('\n')
    .find((line) => line.trim().endsWith(`${name}.tar.gz`))
    ?.slice(0, 64)
  const archive = await fetchBytes(`${base}/${name}.tar.gz`)
  const got = createHash('sha256').update(archive).digest('hex')
  if (got !== wanted) throw new Error(`checksum of ${name}.tar.gz is ${got}, SHA256SUMS says ${wanted}`)
  const unpacked = await mkdtemp(join(cacheFolder(), 'unpack-'))
  try {
    await writeFile(join(unpacked, 'archive.tar.gz'), archive)
    await run('tar', ['-xzf', 'archive.tar.gz'], { cwd: unpacked, timeout: 60_000 })
    await chmod(join(unpacked, name, 'nats-server'), 0o755)
    await rename(join(unpacked, name, 'nats-server'), join(cacheFolder(), 'nats-server'))
  } finally {
    await rm(unpacked, { recursive: true, force: true })
  }
}

async function fetchBytes(url: string): Promise<Buffer> {
  const response = await fetch(url, { signal: AbortSignal.timeout(120_000) })
  if (!response.ok) throw new Error(`${url} answered ${response.status}`)
  return Buffer.from(await response.arrayBuffer())
}

function say(line: string): void {
  process.stderr.write(`nats-server: ${line}\n`)
}
