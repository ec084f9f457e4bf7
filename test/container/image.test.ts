// The container image without a container engine: what its Dockerfile says, and the tree that build/image.js makes of what
// .dockerignore lets in, run as the container runs it. The build itself is left to `npm test`, which has just done it;
// with IMAGE_TEST=full it is done from nothing here too (npm ci, build: a minute or two).

import { type ChildProcess, type SpawnOptions, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, normalize, sep } from 'node:path'
import { createInterface } from 'node:readline'
import t, { type Test } from 'tap'
import { freePort } from '../support/nats-server.js'
import { dockerIgnore, type Instruction, readDockerfile, readPairs } from './dockerfile.js'

if (process.env.IMAGE_TEST === 'full') t.setTimeout(600_000)
const root = process.cwd()
const full = process.env.IMAGE_TEST === 'full'
/** All files of the tree together. */
const LIMIT_BYTES = 25e6
const SECRET = 'a secret of more than thirty-two bytes'
const KEY = 'an-api-key-of-more-than-16'
/** tap loads a recorder into every process that a test starts, by NODE_OPTIONS; it would write where nothing is to be written. */
const UNTAPPED = ['-u', 'NODE_OPTIONS']
/** Not code that runs: sources, types, tests, what is hidden at the top or in a package. */
const UNUSED = /\.([cm]?ts|map|tsbuildinfo)$|(^|\/)tests?\/|^\.|^node_modules\/(@[^/]+\/)?([^/]+\/)?\./
/** What Debian has: https://packages.debian.org/libc6 */
const GLIBC_MINOR: Readonly<Record<string, number>> = { bookworm: 36, trixie: 41 }

interface Manifest {
  readonly version: string
  readonly description: string
  readonly dependencies: Readonly<Record<string, string>>
}
interface Lockfile {
  readonly packages: Readonly<Record<string, { readonly version?: string; readonly dev?: boolean } | undefined>>
}

const manifest = readJson<Manifest>('package.json')
const ignored = dockerIgnore(readFileSync('.dockerignore', 'utf8'))
const [before = [], build = [], final = []] = readDockerfile(readFileSync('Dockerfile', 'utf8'))
const scratch = mkdtempSync(join(tmpdir(), 'holdwire-image-'))
// Others have to get at what is in there.
chmodSync(scratch, 0o755)
t.teardown(() => rmSync(scratch, { recursive: true }))
const source = join(scratch, 'src')
const app = join(scratch, 'app')
const context = filesIn(root, new Set(['.git', '.tap', 'node_modules', 'dist'])).filter((path) => !ignored(path))

function readJson<T>(path: string): T {
  return JSON.parse(readFileSync(path, 'utf8')) as T
}

/** Relative paths with slashes. */
function filesIn(folder: string, except: ReadonlySet<string> = new Set()): string[] {
  return readdirSync(folder)
    .filter((name) => !except.has(name))
    .flatMap((name) =>
      lstatSync(join(folder, name)).isDirectory() ? filesIn(join(folder, name)).map((path) => `${name}/${path}`) : [name],
    )
}

/** What a module imports by relative path. */
function relativeImports(text: string): string[] {
  return [...text.matchAll(/(?:\bfrom|\bimport|\bimport\()\s*'(\.\.?\/[^']+)'/g)].map(([, path = '']) => path)
}

function one(stage: readonly Instruction[], name: string): Instruction {
  const found = stage.filter((instruction) => instruction.name === name)
  if (found[0] === undefined || found.length > 1) throw new Error(`${found.length} times ${name}`)
  return found[0]
}

t.test('.dockerignore', async (t) => {
  await t.test('is read as Docker reads it', async (t) => {
    const leavesOut = dockerIgnore('# all but\n*\n!a\n!b/keep.txt\n**/*.md\n**/.*\n!.npmrc\na/lab\n')
    const kept = ['a/x.ts', 'a/b/c', 'b/keep.txt', '.npmrc', 'a/labs/x', 'a/lab.ts']
    const left = ['c', 'b/other.txt', 'ab', 'a/README.md', 'a/b/c.md', 'a/.env', 'a/.git/config', 'a/lab/x.ts', 'x/.npmrc']
    t.same([...kept, ...left].filter(leavesOut), left)
  })

  await t.test('lets in what the build reads, and nothing else', async (t) => {
    const expected = ['.npmrc', 'LICENSE', 'bench', 'build', 'build.js', 'bus', 'c2s', 'client', 'gateway', 'package-lock.json']
    t.same([...new Set(context.map((path) => path.split('/')[0]))].sort(), [
      ...expected,
      'package.json',
      'proto',
      'transports',
      'tsconfig.json',
    ])
    const strangers = ['.env', '.git/HEAD', 'secrets/jwt-secret', 'gateway/.env', 'proto/node_modules/x/index.js', 'dist/gateway/main.js']
    for (const path of [...strangers, 'node_modules/ws/index.js', 'test/run.js', 'docs/bus.md', 'client/README.md']) {
      t.ok(ignored(path), path)
    }
  })

  await t.test('no module that is let in imports one that is not', async (t) => {
    const there = new Set(context)
    const modules = context.filter((path) => /\.(ts|js)$/.test(path))
    t.ok(modules.length > 200)
    for (const path of modules) {
      for (const imported of relativeImports(readFileSync(path, 'utf8'))) {
        const target = normalize(join(dirname(path), imported)).replaceAll(sep, '/')
        t.ok(there.has(target) || there.has(target.replace(/\.js$/, '.ts')), `${path}: ${imported}`)
      }
    }
  })
})

t.test('the Dockerfile', async (t) => {
  await t.test('stands on Node 24 and a glibc that uWebSockets.js loads on', async (t) => {
    const [, base = ''] = /^RUNTIME=(.+)$/.exec(one(before, 'ARG').text) ?? []
    const [, node, debian = ''] = /^node:(\d+)-(\w+)-slim$/.exec(base) ?? []
    t.equal(node, '24')
    t.equal(one(build, 'FROM').text, `${base} AS build`, 'the binary is chosen by the Node that builds')
    t.equal(one(final, 'FROM').text, `\${RUNTIME}`)
    const glibcMinor = GLIBC_MINOR[debian] ?? 0
    t.ok(glibcMinor >= 38, debian)
    for (const arch of ['x64', 'arm64']) {
      const binary = join('node_modules', 'uWebSockets.js', `uws_linux_${arch}_137.node`)
      if (!existsSync(binary)) {
        t.comment(`no ${binary}`)
        continue
      }
      const needed = [...readFileSync(binary, 'latin1').matchAll(/GLIBC_2\.(\d+)/g)].map(([, minor]) => Number(minor))
      t.ok(needed.length > 0 && Math.max(...needed) <= glibcMinor, `${arch} needs glibc 2.${Math.max(...needed)}`)
    }
  })

  await t.test('needs no shell', async (t) => {
    for (const { name, exec, text } of [...build, ...final]) {
      if (['RUN', 'ENTRYPOINT', 'CMD', 'HEALTHCHECK'].includes(name)) t.ok(exec, `${name} ${text}`)
    }
    t.notOk(final.some(({ name }) => name === 'RUN'))
  })

  await t.test('makes its tree by build/image.js', async (t) => {
    const runs = build.filter(({ name }) => name === 'RUN').map(({ exec }) => exec?.join(' '))
    t.same(runs, ['npm ci', 'node build/image.js /image/app', 'mkdir /image/data'])
  })

  await t.test('copies what is there', async (t) => {
    const all = [...build, ...final]
    t.notOk(all.some(({ name }) => name === 'ADD'))
    for (const { flags, text } of all.filter(({ name }) => name === 'COPY')) {
      const sources = text.split(/\s+/).slice(0, -1)
      for (const path of sources) {
        if (flags.from === undefined) t.ok(path === '.' || context.includes(path), path)
        else
          t.ok(
            build.some(({ name, exec }) => name === 'RUN' && exec?.includes(path)),
            `${flags.from}: ${path}`,
          )
      }
    }
    t.match(
      final.filter(({ name }) => name === 'COPY').map(({ flags, text }) => [flags.chown, text]),
      [
        ['65532:65532', '/image/data /data'],
        ['0:0', '/image/app /app'],
      ],
    )
  })

  await t.test('runs as a number that is not root, and takes its own signals', async (t) => {
    t.match(one(final, 'USER').text, /^[1-9]\d*:[1-9]\d*$/)
    t.equal(one(final, 'STOPSIGNAL').text, 'SIGTERM')
    t.same(one(final, 'ENTRYPOINT').exec?.slice(0, 2), ['node', '--max-semi-space-size=8'])
    t.same(one(final, 'CMD').exec, ['serve'])
    t.same(one(final, 'EXPOSE').text, '8000 9000')
    t.notOk(final.some(({ name }) => name === 'VOLUME'))
  })

  await t.test('is labelled', async (t) => {
    const labels = readPairs(one(final, 'LABEL').text)
    const fromArguments = Object.fromEntries(
      ['version', 'revision', 'created'].map((name) => [`org.opencontainers.image.${name}`, `\${${name.toUpperCase()}}`]),
    )
    t.match(Object.fromEntries(labels), {
      'org.opencontainers.image.title': 'holdwire',
      'org.opencontainers.image.description': manifest.description,
      'org.opencontainers.image.licenses': 'Apache-2.0',
      'org.opencontainers.image.base.name': `\${RUNTIME}`,
      ...fromArguments,
    })
    const given = final.filter(({ name }) => name === 'ARG').map(({ text }) => text)
    t.same(given, ['RUNTIME', `VERSION=${manifest.version}`, 'REVISION=unknown', 'CREATED=unknown'])
  })
})

t.test('the tree', async (t) => {
  for (const path of context) {
    mkdirSync(dirname(join(source, path)), { recursive: true })
    cpSync(path, join(source, path))
  }
  if (!full) {
    cpSync('dist', join(source, 'dist'), { recursive: true })
    t.ok(existsSync(join(source, 'dist', 'test')), 'tests are compiled, and not to be taken along')
  }
  const made = spawnSync('env', [...UNTAPPED, process.execPath, 'build/image.js', ...(full ? [] : ['--built']), app], {
    cwd: source,
    encoding: 'utf8',
    timeout: full ? 300_000 : 180_000,
  })
  if (!t.equal(made.status, 0, `build/image.js: ${made.stdout}${made.stderr}`)) return
  const files = filesIn(app)

  await t.test('is not made where something is', async (t) => {
    const again = spawnSync(process.execPath, ['build/image.js', '--built', app], { cwd: source, encoding: 'utf8' })
    t.equal(again.status, 2)
    t.match(again.stderr, 'empty')
  })

  await t.test('holds what runs, and no more', async (t) => {
    t.same(readdirSync(app).sort(), ['LICENSE', 'dist', 'node_modules', 'package.json', 'proto', 'sbom.spdx.json'])
    t.same(readdirSync(join(app, 'dist')).sort(), ['bench', 'bus', 'c2s', 'client', 'gateway', 'proto', 'transports'])
    t.same(
      files.filter((path) => UNUSED.test(path)),
      [],
    )
    const bytes = files.reduce((sum, path) => sum + lstatSync(join(app, path)).size, 0)
    t.ok(bytes < LIMIT_BYTES, `${(bytes / 1e6).toFixed(1)} MB`)
  })

  await t.test('holds one native binary, for this platform', async (t) => {
    const name = `uws_${process.platform}_${process.arch}_${process.versions.modules}.node`
    const there = existsSync(join('node_modules', 'uWebSockets.js', name))
    t.same(
      files.filter((path) => path.endsWith('.node')),
      there ? [`node_modules/uWebSockets.js/${name}`] : [],
    )
  })

  await t.test('holds the packages of the lockfile that are no development dependencies, with their licences', async (t) => {
    const { packages } = readJson<Lockfile>('package-lock.json')
    const folders = files.flatMap((path) => /^(node_modules\/(?:@[^/]+\/)?[^/]+)\/package\.json$/.exec(path)?.[1] ?? [])
    for (const folder of folders) {
      t.equal(readJson<Manifest>(join(app, folder, 'package.json')).version, packages[folder]?.version, folder)
      t.not(packages[folder]?.dev, true, folder)
      t.ok(
        readdirSync(join(app, folder)).some((name) => /^(licen[cs]e|copying|unlicense|readme)/i.test(name)),
        `${folder} has its licence`,
      )
    }
    for (const name of Object.keys(manifest.dependencies)) t.ok(folders.includes(`node_modules/${name}`), name)
    const bill = readJson<{ spdxVersion: string; packages: { name: string; versionInfo: string }[] }>(join(app, 'sbom.spdx.json'))
    t.match(bill.spdxVersion, /^SPDX-2/)
    const listed = new Set(bill.packages.map(({ name, versionInfo }) => `${name}@${versionInfo}`))
    for (const folder of folders) {
      const name = folder.slice('node_modules/'.length)
      // An alias is listed under the name of what it stands for.
      const real = name === 'uWebSockets.js' ? 'uwebsockets' : name
      t.ok(
        [name, real].some((word) => listed.has(`${word}@${packages[folder]?.version}`)),
        `${name} is in the bill of materials`,
      )
    }
    t.ok(listed.has(`converse.js@${packages['node_modules/converse.js']?.version}`), 'what the demo page brings along is listed')
  })

  await t.test('imports nothing that is not there', async (t) => {
    const there = new Set(files)
    const loaded = new Set<string>()
    for (const path of files.filter((file) => /^dist\/(?!client\/).*\.js$/.test(file))) {
      const text = readFileSync(join(app, path), 'utf8')
      for (const imported of relativeImports(text)) t.ok(there.has(normalize(join(dirname(path), imported))), `${path}: ${imported}`)
      // A peer's package is looked for before its server is started.
      if (!path.startsWith('dist/bench/lab/peers/servers/'))
        for (const [, name = ''] of text.matchAll(/^(?:import|export) .*from '((?!node:|[.#])[^']+)'/gm)) loaded.add(name)
    }
    t.ok(loaded.size > 5)
    t.ok(files.includes('dist/bench/lab/peers/servers/socketio.js'))
    const { status, stderr } = spawnSync(
      process.execPath,
      ['--input-type=module', '-e', [...loaded].map((name) => `import ${JSON.stringify(name)}`).join('\n')],
      { cwd: app, encoding: 'utf8' },
    )
    t.equal(status, 0, `${[...loaded].join(' ')}: ${stderr}`)
  })

  await t.test('can be read by everybody and written by its owner alone', async (t) => {
    for (const path of [...files, ...new Set(files.map((file) => dirname(file)))]) {
      const { mode } = lstatSync(join(app, path))
      const expected = (mode & 0o170000) === 0o040000 || path === 'dist/gateway/main.js' ? 0o755 : 0o644
      if ((mode & 0o7777) !== expected) t.fail(`${path} has mode ${(mode & 0o7777).toString(8)}`)
      if ((mode & 0o170000) === 0o120000) t.fail(`${path} is a link`)
    }
  })

  await t.test('runs', async (t) => runs(t))
})

/** Who runs it: the user of the image where we may choose, on a read-only file system and as process 1 where Linux lets us. */
interface Confinement {
  readonly description: string
  readonly options: Pick<SpawnOptions, 'uid' | 'gid'>
  /** Put before the command. */
  readonly prefix: readonly string[]
}

/** `writable`: where its data may go. */
function confinement(writable: string): Confinement {
  const asSelf = { description: 'as this user', options: {}, prefix: [] }
  if (process.getuid?.() !== 0) return asSelf
  const [uid = 0, gid = 0] = one(final, 'USER').text.split(':').map(Number)
  if (spawnSync(process.execPath, ['--version'], { uid, gid }).status !== 0) return asSelf
  const prefix = [
    'unshare',
    ...['--mount', '--pid', '--fork', '--mount-proc', '--kill-child', '--', 'sh', '-c'],
    'mount --bind "$1" "$1" && mount --bind "$2" "$2" && mount -o remount,bind,ro "$1" && mount -o remount,bind,ro / || exit 99; shift 2; exec "$@"',
    ...[
      'sh',
      app,
      writable,
      'setpriv',
      `--reuid=${uid}`,
      `--regid=${gid}`,
      '--clear-groups',
      '--no-new-privs',
      '--bounding-set=-all',
      '--',
    ],
  ]
  const [program = '', ...rest] = prefix
  if (spawnSync(program, [...rest, process.execPath, '--version']).status === 0) {
    return { description: `as user ${uid} and process 1, on a read-only file system, without capabilities`, options: {}, prefix }
  }
  return { description: `as user ${uid}`, options: { uid, gid }, prefix: [] }
}

/** Exec form of the image, here. */
function here(exec: readonly string[] | undefined): string[] {
  return (exec ?? []).map((word) => (word === 'node' ? process.execPath : word.replace(/^\/app\//, `${app}/`)))
}

async function runs(t: Test): Promise<void> {
  const data = join(scratch, 'data')
  mkdirSync(data)
  if (process.getuid?.() === 0) {
    const [uid = 0, gid = 0] = one(final, 'USER').text.split(':').map(Number)
    chownSync(data, uid, gid)
  }
  const { description, options, prefix } = confinement(data)
  t.comment(description)
  writeFileSync(join(scratch, 'jwt-secret'), SECRET)
  writeFileSync(join(scratch, 'api-keys'), KEY)
  const internalPort = await freePort()
  const env = {
    ...Object.fromEntries(readPairs(one(final, 'ENV').text)),
    HOLDWIRE_HOST: '127.0.0.1',
    HOLDWIRE_CLIENT_PORT: '0',
    HOLDWIRE_INTERNAL_PORT: String(internalPort),
    HOLDWIRE_JWT_SECRET_FILE: join(scratch, 'jwt-secret'),
    HOLDWIRE_API_KEYS_FILE: join(scratch, 'api-keys'),
    HOLDWIRE_DRAIN_SECONDS: '1',
  }
  const entrypoint = here(one(final, 'ENTRYPOINT').exec)

  function start(command: readonly string[], more: Record<string, string> = {}): ChildProcess {
    const pairs = Object.entries({ ...env, ...more }).map(([name, value]) => `${name}=${value}`)
    // Nothing else in the environment: no HOME, and nothing of tap's (see UNTAPPED).
    const [program = '', ...rest] = [...prefix, 'env', '-i', ...pairs, ...command]
    const child = spawn(program, rest, { ...options, cwd: '/', stdio: ['ignore', 'pipe', 'pipe'] })
    const limit = setTimeout(() => child.kill('SIGKILL'), 20_000)
    t.teardown(() => {
      clearTimeout(limit)
      child.kill('SIGKILL')
    })
    return child
  }
  async function result(child: ChildProcess): Promise<{ code: number | null; output: string }> {
    let output = ''
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => (output += chunk.toString()))
    const [code] = (await once(child, 'close')) as [number | null]
    return { code, output }
  }
  const run = (command: readonly string[], more?: Record<string, string>) => result(start(command, more))
  const holdwire = (...words: string[]) => run([...entrypoint, ...words])
  const health = here(one(final, 'HEALTHCHECK').exec)

  await t.test('the commands that need no server', async (t) => {
    const [help, version, config, bench, gateway, c2s, down, keyless] = await Promise.all([
      holdwire('--help'),
      holdwire('--version'),
      holdwire('config'),
      holdwire('bench', 'help'),
      holdwire('gateway'),
      holdwire('c2s'),
      run(health),
      // The key may have been a flag of the server; without one, only the probe may do this.
      run(health, { HOLDWIRE_HOST: '0.0.0.0', HOLDWIRE_JWT_SECRET_FILE: '', HOLDWIRE_API_KEYS_FILE: '' }),
    ])
    t.match(help, { code: 0, output: /serve[\s\S]*gateway[\s\S]*c2s[\s\S]*health[\s\S]*bench/ })
    t.match(version, { code: 0, output: manifest.version })
    t.match(config, { code: 0, output: `internalPort: ${internalPort}` })
    t.match(bench, { code: 0, output: 'unicast' })
    t.match(gateway, { code: 2, output: 'needs --nats-url' })
    t.match(c2s, { code: 2, output: 'needs --nats-url' })
    t.match(down, { code: 1, output: 'cannot reach' })
    t.match(keyless, { code: 1, output: `cannot reach http://127.0.0.1:${internalPort}` })
  })

  await t.test('the server, its health check, a push, and its end', async (t) => {
    const child = start([...entrypoint, ...(one(final, 'CMD').exec ?? [])], { HOLDWIRE_DATA_DIR: data })
    const ended = once(child, 'exit') as Promise<[number | null, string | null]>
    const { clientUrl, pid, engine } = await ready(child)
    t.comment(`engine: ${engine}`)
    if (prefix.length > 0) t.equal(pid, 1)

    t.match(await run(health), { code: 0, output: /^200 \{.*\}\n$/ })
    t.match(await holdwire('health', '--ready'), { code: 0 })
    const listening = result(start([...entrypoint, 'listen', 'alice', '--url', clientUrl, '--count', '1']))
    t.match(await holdwire('push', 'alice', '{"order": 4711}'), { code: 0, output: '"accepted":1' })
    t.match(await listening, { code: 0, output: '"order":4711' })
    t.ok(readdirSync(data).length > 0, 'the data directory is used')

    process.kill(serverPid(child), 'SIGTERM')
    t.same(await ended, [0, null])
  })

  await t.test('a server that waits for NATS can be stopped too', async (t) => {
    const child = start([...entrypoint, 'gateway'], { HOLDWIRE_NATS_URL: `nats://127.0.0.1:${await freePort()}` })
    const ended = once(child, 'exit') as Promise<[number | null, string | null]>
    // Said when signals are heeded.
    for await (const line of createInterface({ input: child.stdout as NodeJS.ReadableStream })) {
      if (line.includes('holdwire starts')) break
    }
    process.kill(serverPid(child), 'SIGTERM')
    t.same(await ended, [143, null])
  })

  t.same(
    filesIn(scratch, new Set(['src', 'app', 'data'])).sort(),
    ['api-keys', 'jwt-secret'],
    'nothing is written but to the data directory',
  )
}

interface Ready {
  readonly clientUrl: string
  readonly engine: string
  readonly pid: number
}

/** Waits for the line that says it is ready; `pid` is as the process itself sees it. */
async function ready(child: ChildProcess): Promise<Ready> {
  const lines: string[] = []
  let pid = 0
  for await (const line of createInterface({ input: child.stdout as NodeJS.ReadableStream })) {
    lines.push(line)
    const entry = JSON.parse(line) as Ready & { msg: string }
    if (entry.msg === 'holdwire starts') pid = entry.pid
    if (!entry.msg.startsWith('holdwire is ready')) continue
    child.stdout?.resume()
    return { ...entry, pid }
  }
  throw new Error(`it ended: ${lines.join('\n')}${String(child.stderr?.read() ?? '')}`)
}

/** Of the server itself, not of the `unshare` before it. */
function serverPid(child: ChildProcess): number {
  const pid = child.pid ?? 0
  if (confined(child)) return Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')[0])
  return pid
}

function confined(child: ChildProcess): boolean {
  return child.spawnfile === 'unshare'
}
