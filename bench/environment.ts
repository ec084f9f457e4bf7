// Where a result was made: without it a figure means nothing.

import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { cpus, release, totalmem } from 'node:os'
import { WIDER_PATH } from './processes.js'

export interface Environment {
  readonly holdwire: string
  readonly node: string
  readonly natsServer: string
  readonly kernel: string
  readonly cpu: string
  readonly cores: number
  readonly memoryBytes: number
  readonly time: string
}

/** `packageFile`: Holdwire's package.json. */
export function environment(packageFile: string): Environment {
  const [first] = cpus()
  return {
    holdwire: String(JSON.parse(readFileSync(packageFile, 'utf8')).version),
    node: process.version,
    natsServer: natsVersion(),
    kernel: `${process.platform} ${release()} ${process.arch}`,
    cpu: first?.model ?? 'unknown',
    cores: cpus().length,
    memoryBytes: totalmem(),
    time: new Date().toISOString(),
  }
}

function natsVersion(): string {
  try {
    return execFileSync('nats-server', ['--version'], { encoding: 'utf8', env: { ...process.env, PATH: WIDER_PATH } }).trim()
  } catch {
    // Measured without it (`--topology serve`).
    return 'none'
  }
}
