// The layer rules are lint rules; this proves that each of them bites, and that what is allowed passes.

import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, sep } from 'node:path'
import t from 'tap'

const root = process.cwd()
const biome = createRequire(import.meta.url).resolve('@biomejs/biome/bin/biome')

const forbidden: Record<string, readonly string[]> = {
  'proto/x.ts': [
    '../bus/bus.js',
    '../gateway/session.js',
    '../transports/sse.js',
    '../c2s/worker.js',
    '../client/holdwire.js',
    'nats',
    'ws',
  ],
  'bus/embedded.ts': ['../gateway/session.js', '../transports/sse.js', '../c2s/worker.js', '../client/holdwire.js', 'nats', 'node:http'],
  'bus/nats-inbox.ts': ['../gateway/session.js', '../c2s/worker.js', 'ws'],
  'gateway/session.ts': [
    '../transports/sse.js',
    '../c2s/worker.js',
    '../client/holdwire.js',
    '../bench/main.js',
    'nats',
    'ws',
    'node:http',
  ],
  'gateway/api/push.ts': ['../../transports/sse.js', '../../c2s/worker.js', 'node:https', 'uWebSockets.js'],
  'gateway/main.ts': ['nats', 'ws', 'node:http', 'uWebSockets.js', '../test/support/clock.js'],
  'gateway/serve.ts': ['nats', 'ws', 'node:http'],
  'transports/sse.ts': [
    '../c2s/worker.js',
    '../client/holdwire.js',
    '../bench/main.js',
    '../test/support/clock.js',
    'nats',
    'ws',
    'node:http',
  ],
  'transports/bosh/window.ts': ['../../c2s/worker.js', 'uWebSockets.js'],
  'transports/engine/node.ts': ['../../gateway/session.js', '../../bus/bus.js', '../../c2s/worker.js', 'nats'],
  'c2s/roster.ts': ['../gateway/session.js', '../transports/sse.js', '../client/holdwire.js', 'nats', 'node:http'],
  'c2s/xmpp/stream.ts': ['../../gateway/session.js', 'ws'],
  'client/holdwire.ts': ['../bus/bus.js', '../gateway/session.js', '../transports/sse.js', '../c2s/worker.js', 'ws', 'nats'],
}

const allowed: Record<string, readonly string[]> = {
  'bus/nats.ts': ['nats', '../proto/messages.js', './bus.js'],
  'gateway/hub.ts': ['../bus/bus.js', '../proto/cursor.js', './session.js'],
  'gateway/main.ts': ['../transports/sse.js', '../c2s/worker.js', '../bus/nats.js', '../bench/main.js'],
  'gateway/serve.ts': ['../transports/engine/node.js', '../c2s/worker.js', '../bus/nats.js'],
  'transports/poll.ts': ['../gateway/session.js', '../bus/bus.js', '../proto/cursor.js', './engine/engine.js'],
  'transports/engine/uws.ts': ['ws', 'node:http', 'uWebSockets.js', './engine.js'],
  'c2s/topics.ts': ['../bus/bus.js', '../proto/messages.js', './store.js'],
  'client/socket.ts': ['./backoff.js'],
  'bench/generator.ts': ['nats', 'ws', 'node:http', '../bus/user-token.js'],
  'test/gateway/hub.test.ts': ['ws', 'node:http', '../../gateway/hub.js'],
}

/** Every way to import something at all is a line of its own. */
const ways = [
  (from: string, n: number) => `import { a${n} } from '${from}'`,
  (from: string) => `export * from '${from}'`,
  (from: string, n: number) => `export const b${n} = await import('${from}')`,
]
const asType = (from: string, n: number) => `import type { T${n} } from '${from}'`

interface Diagnostic {
  readonly category: string
  readonly location: { readonly path: string; readonly start: { readonly line: number } }
}

/** Lints a tree of snippets with the project's own configuration; `file:line` of all that the layer rules say. */
function lint(dir: string, files: Record<string, readonly string[]>): Set<string> {
  for (const name of ['biome.json', 'client/types-only.grit']) {
    mkdirSync(dirname(join(dir, name)), { recursive: true })
    copyFileSync(join(root, name), join(dir, name))
  }
  // Without a repository around it there is no ignore file to follow.
  const config = JSON.parse(readFileSync(join(dir, 'biome.json'), 'utf8'))
  delete config.vcs
  writeFileSync(join(dir, 'biome.json'), JSON.stringify(config))
  for (const [name, lines] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, name)), { recursive: true })
    writeFileSync(join(dir, name), lines.map((line) => `${line}\n`).join(''))
  }
  let report: string
  try {
    report = execFileSync(process.execPath, [biome, 'lint', '--reporter=json', '--max-diagnostics=none', '.'], {
      cwd: dir,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    })
  } catch (error) {
    // Findings end it with status 1; the report is there all the same.
    report = String((error as { stdout: string }).stdout)
  }
  const { diagnostics } = JSON.parse(report) as { diagnostics: Diagnostic[] }
  const ours = diagnostics.filter(({ category }) => category === 'lint/style/noRestrictedImports' || category === 'plugin')
  return new Set(ours.map(({ location }) => `${location.path.split(sep).join('/')}:${location.start.line}`))
}

t.test('each layer rule refuses what it should, however it is imported', async (t) => {
  const files: Record<string, string[]> = {}
  for (const [file, specifiers] of Object.entries(forbidden)) {
    files[file] = specifiers.flatMap((from, n) => [...ways, asType].map((way) => way(from, n)))
  }
  const found = lint(t.testdir(), files)
  for (const [file, lines] of Object.entries(files)) {
    const missed = lines.filter((_, index) => !found.has(`${file}:${index + 1}`))
    t.strictSame(missed, [], `${file}: nothing slips through`)
  }
})

t.test('what a layer may see passes', async (t) => {
  const files: Record<string, string[]> = {}
  for (const [file, specifiers] of Object.entries(allowed)) {
    files[file] = specifiers.flatMap((from, n) => [...ways, asType].map((way) => way(from, n)))
  }
  t.strictSame([...lint(t.testdir(), files)], [])
})

t.test('the client takes types from proto/, nothing that runs', async (t) => {
  const runs = [
    ...ways.map((way) => way('../proto/cursor.js', 0)),
    `import { type A, b } from '../proto/cursor.js'`,
    `import * as c from '../proto/cursor.js'`,
    `import '../proto/cursor.js'`,
    `export { d } from '../proto/cursor.js'`,
  ]
  const found = lint(t.testdir(), { 'client/holdwire.ts': [...runs, asType('../proto/cursor.js', 0)] })
  t.strictSame(
    [...found].sort(),
    runs.map((_, index) => `client/holdwire.ts:${index + 1}`),
  )
})
