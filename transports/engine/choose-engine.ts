// Which engine a process runs on: uWebSockets.js where it is installed and right, else node, and why in one line.

import type { Module } from 'uWebSockets.js'
import type { Engine } from './engine.js'
import { nodeEngine } from './node-engine.js'
import { selfTest, shimFault } from './self-test.js'
import { createUwsEngine } from './uws-engine.js'

export interface EngineLog {
  info(message: string): void
  warn(message: string): void
}

/** Gets uWebSockets.js. Rejects when it is not installed or its binary does not load. */
export type LoadUws = () => Promise<unknown>

type Tested =
  | { readonly kind: 'loaded'; readonly engine: Engine; readonly faults: readonly string[] }
  | { readonly kind: 'unusable'; readonly why: string }

/**
 * `auto`: uws if it is installed, loads and passes the self-test, else node. `uws`: whatever the self-test says, with a
 * warning that names the faults; rejects when it can't be loaded.
 */
export async function chooseEngine(
  wanted: 'auto' | 'node' | 'uws',
  log: EngineLog,
  load: LoadUws = loadUws,
  tls: 'tls' | 'plain' = 'plain',
): Promise<Engine> {
  if (wanted === 'node') return nodeEngine
  if (tls === 'tls') {
    if (wanted === 'uws') throw new Error("the engine uws can't be used with TLS: it could not reload certificates")
    log.info('engine node, because of TLS: uws could not reload certificates')
    return nodeEngine
  }
  const uws = await testUws(load)
  if (wanted === 'uws') {
    if (uws.kind === 'unusable') throw new Error(`the engine uws can't be used: ${uws.why}`)
    log.warn(`engine uws runs with known faults: ${uws.engine.knownFaults.join('; ')}`)
    return uws.engine
  }
  if (uws.kind === 'unusable') {
    log.info(`engine node, because uws can't be used: ${uws.why}`)
    return nodeEngine
  }
  if (uws.faults.length > 0) {
    log.warn(`engine node, because uWebSockets.js fails its self-test: ${uws.faults.join('; ')}`)
    return nodeEngine
  }
  log.info('engine uws: uWebSockets.js is installed and passes its self-test')
  return uws.engine
}

async function testUws(load: LoadUws): Promise<Tested> {
  let uws: unknown
  try {
    uws = await load()
  } catch (error) {
    return { kind: 'unusable', why: reason(error) }
  }
  const shim = shimFault(uws)
  if (shim !== undefined) return { kind: 'unusable', why: shim }
  // Native functions of these names are what the type says, as far as anybody can tell.
  const native = uws as Module
  const faults = await selfTest(createUwsEngine(native, []))
  return { kind: 'loaded', engine: createUwsEngine(native, faults), faults }
}

async function loadUws(): Promise<unknown> {
  return (await import('uWebSockets.js')).default
}

function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  if ((error as NodeJS.ErrnoException).code === 'ERR_MODULE_NOT_FOUND') return 'uWebSockets.js is not installed'
  // Its own message names all platforms first; what went wrong is the last line.
  return error.message.trim().split('\n').at(-1) ?? ''
}
