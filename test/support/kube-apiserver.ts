// A kube-apiserver with its etcd on loopback, without nodes and controllers: what it accepts is stored, and nothing runs. etcd is
// in Debian's etcd-server; test/helm/build-apiserver.sh makes a kube-apiserver.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { Agent, request } from 'node:https'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { freePort } from './nats-server.js'

const READY_MS = 90_000
const STOP_MS = 10_000
const REQUEST_MS = 20_000
const TOKEN = 'token-of-the-tests'

const env = { ...process.env, PATH: [process.env.PATH ?? '', '/usr/sbin', '/usr/local/bin'].join(delimiter) }
const programs = { etcd: process.env.ETCD || 'etcd', apiserver: process.env.KUBE_APISERVER || 'kube-apiserver' }

export interface Answer {
  readonly status: number
  /** Texts of the Warning headers. */
  readonly warnings: readonly string[]
  readonly body: unknown
}

export interface KubeApiserver {
  /** As a member of system:masters. `body`: JSON, or YAML for an apply. */
  ask(method: string, path: string, body?: string, contentType?: string): Promise<Answer>
  /** Ends both and removes what they stored. */
  stop(): Promise<void>
}

/** Why there is none to start, or false. */
export function lacksKubeApiserver(): string | false {
  for (const [program, name] of [
    [programs.etcd, 'ETCD'],
    [programs.apiserver, 'KUBE_APISERVER'],
  ] as const) {
    const { status, error, stderr } = spawnSync(program, ['--version'], { encoding: 'utf8', env, timeout: 20_000 })
    if (status !== 0) return `no ${program}: ${error?.message ?? stderr} (on PATH, or named by ${name})`
  }
  return false
}

export async function startKubeApiserver(): Promise<KubeApiserver> {
  const folder = mkdtempSync(join(tmpdir(), 'holdwire-kube-'))
  const children: Child[] = []
  const kill = () => {
    for (const child of children) child.process.kill('SIGKILL')
    rmSync(folder, { recursive: true, force: true })
  }
  process.once('exit', kill)
  const stop = async () => {
    for (const child of children.toReversed()) await child.stop()
    process.off('exit', kill)
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    const etcd = `http://127.0.0.1:${await freePort()}`
    const peer = 'http://127.0.0.1:0'
    children.push(
      new Child(programs.etcd, [
        ...['--name', 'tests', '--data-dir', join(folder, 'etcd'), '--listen-client-urls', etcd, '--advertise-client-urls', etcd],
        ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer, '--initial-cluster', `tests=${peer}`],
      ]),
    )
    const port = await freePort()
    children.push(new Child(programs.apiserver, apiserverArguments(folder, etcd, port)))
    const ask = await whenReady(children, join(folder, 'apiserver.crt'), port)
    return { ask, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

function apiserverArguments(folder: string, etcd: string, port: number): string[] {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  })
  const file = (name: string, text: string) => {
    writeFileSync(join(folder, name), text, { mode: 0o600 })
    return join(folder, name)
  }
  return [
    `--etcd-servers=${etcd}`,
    `--secure-port=${port}`,
    '--bind-address=127.0.0.1',
    '--advertise-address=127.0.0.1',
    '--endpoint-reconciler-type=none',
    // It makes its certificate there.
    `--cert-dir=${folder}`,
    '--service-cluster-ip-range=10.0.0.0/24',
    '--service-account-issuer=https://kubernetes.default.svc',
    `--service-account-key-file=${file('accounts.pub', publicKey)}`,
    `--service-account-signing-key-file=${file('accounts.key', privateKey)}`,
    `--token-auth-file=${file('tokens.csv', `${TOKEN},tests,tests,"system:masters"\n`)}`,
    '--authorization-mode=RBAC',
  ]
}

class Child {
  readonly process: ChildProcess
  readonly #gone: Promise<void>
  #log = ''

  constructor(program: string, args: readonly string[]) {
    this.process = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env })
    for (const stream of [this.process.stdout, this.process.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#log = (this.#log + text).slice(-4_000)
      })
    }
    this.#gone = new Promise((resolve) => {
      this.process.once('close', () => resolve())
      this.process.once('error', () => resolve())
    })
  }

  get hasEnded(): boolean {
    return this.process.pid === undefined || this.process.exitCode !== null || this.process.signalCode !== null
  }

  /** The end of what it said. */
  get log(): string {
    return `${this.process.spawnfile}: ${this.#log}`
  }

  async stop(): Promise<void> {
    this.process.kill('SIGTERM')
    const timer = setTimeout(() => this.process.kill('SIGKILL'), STOP_MS)
    await this.#gone
    clearTimeout(timer)
  }
}

async function whenReady(children: readonly Child[], certificate: string, port: number): Promise<KubeApiserver['ask']> {
  const until = Date.now() + READY_MS
  let last: unknown
  while (Date.now() < until) {
    for (const child of children) if (child.hasEnded) throw new Error(`it ended: ${child.log}`)
    try {
      const agent = new Agent({ ca: readFileSync(certificate) })
      const ask: KubeApiserver['ask'] = (...args) => send(agent, port, ...args)
      last = await ask('GET', '/readyz')
      if ((last as Answer).status === 200) return ask
    } catch (error) {
      last = error
    }
    await delay(200)
  }
  throw new Error(
    `it is not ready: ${last instanceof Error ? last.message : JSON.stringify(last)}\n${children.map(({ log }) => log).join('\n')}`,
  )
}

function send(agent: Agent, port: number, method: string, path: string, body?: string, contentType = 'application/json'): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${TOKEN}`, ...(body === undefined ? {} : { 'content-type': contentType }) }
    const sent = request({ host: '127.0.0.1', port, method, path, headers, agent, timeout: REQUEST_MS }, (response) => {
      const parts: Buffer[] = []
      response.on('data', (part: Buffer) => parts.push(part))
      response.on('error', reject)
      response.on('end', () => {
        const text = Buffer.concat(parts).toString()
        const isJson = response.headers['content-type']?.startsWith('application/json')
        const { rawHeaders } = response
        const warnings = rawHeaders.filter((_, at) => at % 2 === 1 && rawHeaders[at - 1]?.toLowerCase() === 'warning')
        resolve({ status: response.statusCode ?? 0, warnings, body: isJson ? JSON.parse(text) : text })
      })
    })
    sent.on('timeout', () => sent.destroy(new Error(`no answer to ${method} ${path}`)))
    sent.on('error', reject)
    sent.end(body)
  })
}
