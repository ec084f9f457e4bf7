// Runs the tests: builds, makes sure of nats-server, and hands dist/test to tap. Arguments go to tap (`npm test -- --bail`);
// with a path among them only that is run: `npm test -- dist/test/bus/embedded-bus.test.js`.

import { spawnSync } from 'node:child_process'
import { accessSync, constants, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { delimiter, join } from 'node:path'

const root = join(import.meta.dirname, '..')
const cache = join(root, 'node_modules', '.cache', 'holdwire')
const extracted = join(cache, 'nats', 'usr', 'sbin')

function run(command, args, options = {}) {
  return spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options }).status === 0
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** On Debian and Ubuntu: unpacks the distribution's package into node_modules/.cache, as any user, leaving the system as it is. */
function unpackDebianPackage() {
  const apt = join(cache, 'apt')
  mkdirSync(join(apt, 'lists', 'partial'), { recursive: true })
  mkdirSync(join(apt, 'cache', 'archives', 'partial'), { recursive: true })
  const own = [
    `Dir::State::lists=${join(apt, 'lists')}`,
    `Dir::Cache=${join(apt, 'cache')}`,
    'Debug::NoLocking=1',
    'APT::Sandbox::User=root',
  ]
  const options = own.flatMap((option) => ['-o', option])
  const quiet = { cwd: apt, stdio: 'ignore', timeout: 120_000 }
  const done =
    run('apt-get', [...options, 'update'], quiet) &&
    run('apt-get', [...options, 'download', 'nats-server'], quiet) &&
    readdirSync(apt).some((file) => file.endsWith('.deb') && run('dpkg', ['-x', file, join(cache, 'nats')], quiet))
  rmSync(apt, { recursive: true })
  return done
}

/** Where Go is installed: builds it into node_modules/.cache. */
function buildWithGo() {
  return run('go', ['install', 'github.com/nats-io/nats-server/v2@latest'], {
    env: { ...process.env, GOBIN: extracted },
    stdio: 'ignore',
    timeout: 300_000,
  })
}

/** The PATH with nats-server in it, if there is any way to have one. */
function pathWithNats() {
  const path = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin', extracted]
  const found = path.map((folder) => join(folder, 'nats-server')).find(isExecutable)
  if (found !== undefined) console.log(`nats-server: ${found}`)
  else if (unpackDebianPackage()) console.log('nats-server: not installed; unpacked the distribution package into node_modules/.cache')
  else if (buildWithGo()) console.log('nats-server: not installed; built with Go into node_modules/.cache')
  else {
    console.log('nats-server: not installed, and neither apt-get nor go could get it. Tests that need it are skipped; to run')
    console.log('them, install it (apt-get install nats-server, brew install nats-server, choco install nats-server).')
  }
  return path.join(delimiter)
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
process.exit(run(process.execPath, args, { env: { ...process.env, PATH: pathWithNats() } }) ? 0 : 1)
