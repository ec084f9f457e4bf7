// Processes of servers that are measured: found, started until they answer, ended.

import type { ChildProcess } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { connect, createServer } from 'node:net'
import { delimiter, join } from 'node:path'

/** Servers are often where only root's shell looks. */
export const WIDER_PATH = `${process.env.PATH ?? ''}${delimiter}/usr/sbin${delimiter}/usr/local/sbin`

const READY_TIMEOUT_MS = 20_000
const STOP_TIMEOUT_MS = 5_000

/** The whole path of a program; undefined: there is none. */
export function findProgram(name: string): string | undefined {
  for (const folder of WIDER_PATH.split(delimiter)) {
    const path = join(folder, name)
    try {
      accessSync(path, constants.X_OK)
      return path
    } catch {
      // Not in this one.
    }
  }
  return undefined
}

/** Tries until it answers; a process that ends before is an error. */
export async function untilReady(child: ChildProcess, name: string, attempt: () => Promise<true | undefined>): Promise<void> {
  let failure: Error | undefined
  child.once('error', (error) => {
    failure = error
  })
  const untilMs = Date.now() + READY_TIMEOUT_MS
  while (Date.now() < untilMs) {
    if (failure !== undefined) throw new Error(`${name} can't be started: ${failure.message}`)
    if (child.exitCode !== null) throw new Error(`${name} ended with ${child.exitCode}`)
    // Not there yet: refused.
    if ((await attempt().catch(() => undefined)) === true) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error(`${name} was not ready in ${READY_TIMEOUT_MS} ms`)
}

/** Ends it, by force when it takes too long. */
export async function stopped(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return
  await new Promise<void>((resolve) => {
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS)
    child.once('exit', () => {
      clearTimeout(timer)
      resolve()
    })
    child.kill('SIGTERM')
  })
}

/** Whether somebody listens on this port of the loopback. */
export async function connects(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => resolve(true))
    socket.once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })
}

/** Ports that nobody has at the moment, all different. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer())
  const ports = await Promise.all(
    servers.map(
      (server) =>
        new Promise<number>((resolve, reject) => {
          server.once('error', reject)
          server.listen(0, '127.0.0.1', () => {
            const address = server.address()
            resolve(typeof address === 'object' && address !== null ? address.port : 0)
          })
        }),
    ),
  )
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}
