// Compiles the tree to dist/: the TypeScript, then the client's bundle and the demo page. Incremental: a second is enough
// when nothing changed.

import { spawnSync } from 'node:child_process'
import { chmodSync, copyFileSync, existsSync, readdirSync, rmdirSync, rmSync, symlinkSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

const root = import.meta.dirname
const require = createRequire(import.meta.url)
const folders = ['proto', 'bus', 'gateway', 'transports', 'c2s', 'client', 'bench', 'test']
const compiled = /(\.js|\.js\.map|\.d\.ts)$/

function node(script, ...args) {
  const { status } = spawnSync(process.execPath, [script, ...args], { cwd: root, stdio: 'inherit' })
  if (status !== 0) process.exit(status ?? 1)
}

/** What was compiled from a source that is gone would still be run by the tests. Copied and bundled files are not touched. */
function prune(folder) {
  const out = join(root, 'dist', folder)
  if (!existsSync(out)) return
  const entries = readdirSync(out, { withFileTypes: true })
  const modules = new Set(entries.filter(({ name }) => name.endsWith('.d.ts')).map(({ name }) => name.replace(compiled, '')))
  for (const entry of entries) {
    const module = entry.name.replace(compiled, '')
    if (entry.isDirectory()) prune(join(folder, entry.name))
    else if (modules.has(module) && !existsSync(join(root, folder, `${module}.ts`))) rmSync(join(out, entry.name))
  }
  if (readdirSync(out).length === 0) rmdirSync(out)
}

for (const folder of folders) prune(folder)
node(require.resolve('typescript/lib/tsc.js'), '-p', '.')
// What the benchmark's page draws with; an installed package has no devDependencies.
copyFileSync(join(dirname(require.resolve('chart.js')), 'chart.umd.js'), join(root, 'dist', 'bench', 'report', 'chart.umd.js'))
const client = join(root, 'client', 'build.js')
if (existsSync(client)) node(client)
const main = join(root, 'dist', 'gateway', 'main.js')
if (existsSync(main)) {
  chmodSync(main, 0o755)
  linkCommand()
}

/** So that `npx holdwire` works here too: npm links the commands of what it installs, not those of the package it stands in. */
function linkCommand() {
  const link = join(root, 'node_modules', '.bin', 'holdwire')
  if (process.platform === 'win32') return
  rmSync(link, { force: true })
  symlinkSync(join('..', '..', 'dist', 'gateway', 'main.js'), link)
}
