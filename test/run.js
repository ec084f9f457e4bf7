// Runs the tests: builds, makes sure of nats-server, and hands dist/test to tap. Arguments go to tap (`npm test -- --bail`);
// with a path among them only that is run: `npm test -- dist/test/bus/embedded-bus.test.js`.

import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { delimiter, dirname, join } from 'node:path'

const root = join(import.meta.dirname, '..')

function run(command, args, options = {}) {
  return spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options }).status === 0
}

/** The PATH with nats-server in it, if there is any way to have one. What was done about it is said. */
async function pathWithNats() {
  const { getNatsServer } = await import('../dist/test/support/nats-server.js')
  const found = await getNatsServer()
  if (found !== undefined) console.log(`nats-server: ${found}`)
  else console.log('nats-server: tests that need it are skipped; install it, or name one with NATS_SERVER=path')
  return [process.env.PATH ?? '', ...(found === undefined ? [] : [dirname(found)])].join(delimiter)
}

if (!run(process.execPath, ['build.js'])) process.exit(1)
const tap = join(root, 'node_modules', 'tap', 'dist', 'esm', 'run.mjs')
// tap keeps its set of plugins compiled in; ours (see .taprc) leaves one out, which takes a build once an installation.
const compiledIn = readFileSync(createRequire(tap).resolve('@tapjs/test'), 'utf8')
if (compiledIn.includes('@tapjs/typescript') && !run(process.execPath, [tap, 'build'])) process.exit(1)

const given = process.argv.slice(2)
const all = readdirSync(join(root, 'dist', 'test'), { recursive: true }).filter((file) => file.endsWith('.test.js'))
const files = given.some((argument) => !argument.startsWith('-')) ? [] : all.sort().map((file) => join('dist', 'test', file))
const args = [tap, 'run', ...given, ...files]
process.exit(run(process.execPath, args, { env: { ...process.env, PATH: await pathWithNats() } }) ? 0 : 1)
