// Makes the tree that the container image holds, /app there, in a directory that is empty or not there yet:
// `node build/image.js <directory>`. The Dockerfile does just this, and so does test/container/image.test.ts. Installs what
// the build needs unless node_modules is there, builds (with --built: takes dist/ as it is), installs what runs, and leaves
// out what does not run.

import { execFileSync } from 'node:child_process'
import { chmodSync, copyFileSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join, relative, resolve, sep } from 'node:path'
import { parseArgs } from 'node:util'

const root = join(import.meta.dirname, '..')
/** Types and maps serve compilers and debuggers. */
const UNUSED_CODE = /\.([cm]?ts|map|tsbuildinfo)$/
const UNUSED_TEXT = /\.(md|markdown|html|yml|yaml|png|svg|zip|sh)$/i
const UNUSED_FOLDERS = new Set(['test', 'tests', 'bench', 'benchmark', 'benchmarks', 'doc', 'docs', 'example', 'examples', 'scripts'])
const LICENCE = /^(licen[cs]e|copying|notice|unlicense)/i

const { values, positionals } = parseArgs({ options: { built: { type: 'boolean' } }, allowPositionals: true })
const out = resolve(positionals[0] ?? root)
if (existsSync(out) && readdirSync(out).length > 0) {
  console.error('node build/image.js [--built] <directory>: one that is empty or not there yet')
  process.exit(2)
}

if (!values.built) {
  if (!existsSync(join(root, 'node_modules'))) npm(root, 'ci')
  execFileSync(process.execPath, [join(root, 'build.js')], { stdio: 'inherit' })
}

mkdirSync(out, { recursive: true })
for (const name of ['package.json', 'package-lock.json', '.npmrc', 'LICENSE']) copyFileSync(join(root, name), join(out, name))
// No package that runs has a script to be run at its installation; were there one, it would not run as root here.
npm(out, 'ci', '--omit=dev', '--ignore-scripts', '--prefer-offline')
const { packages: locked } = readJson(join(out, 'package-lock.json'))
forgetDevelopment()
writeJson('sbom.spdx.json', billOfMaterials())
for (const name of ['package-lock.json', '.npmrc', 'node_modules/.package-lock.json']) rmSync(join(out, name))
rmSync(join(out, 'node_modules', '.bin'), { recursive: true, force: true })
for (const folder of packages(join(out, 'node_modules'))) trim(folder)

const tests = join(root, 'dist', 'test')
const compiled = (path) => path !== tests && !path.startsWith(tests + sep) && !UNUSED_CODE.test(path)
cpSync(join(root, 'dist'), join(out, 'dist'), { recursive: true, filter: compiled })
mkdirSync(join(out, 'proto', 'generated'), { recursive: true })
copyFileSync(join(root, 'proto', 'generated', 'messages.js'), join(out, 'proto', 'generated', 'messages.js'))
settle(out)
console.log(`${out}: ${(sizeOf(out) / 1e6).toFixed(1)} MB`)

function npm(cwd, ...args) {
  // npm itself where this runs as one of its scripts; on Windows what is on the PATH could not be started without a shell.
  const script = process.env.npm_execpath
  const [command, before] = script?.endsWith('.js') ? [process.execPath, [script]] : ['npm', []]
  return execFileSync(command, [...before, ...args, '--no-audit', '--no-fund'], {
    cwd,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
}

function readJson(path) {
  return JSON.parse(readFileSync(path, 'utf8'))
}

function writeJson(name, value) {
  writeFileSync(join(out, name), `${JSON.stringify(value, undefined, 2)}\n`)
}

/** What is only for development leaves the manifest, and its lockfile for `npm sbom`, whose --omit=dev also omits packages that both need. */
function forgetDevelopment() {
  const { devDependencies: _dev, scripts: _scripts, files: _files, ...manifest } = readJson(join(out, 'package.json'))
  writeJson('package.json', manifest)
  const lock = readJson(join(out, 'package-lock.json'))
  delete lock.packages[''].devDependencies
  // A link is to a package that is part of another one, and is marked there.
  const isDev = ({ dev, link, resolved }) => (link ? lock.packages[resolved].dev : dev)
  const entries = Object.entries(lock.packages).filter(([, entry]) => !isDev(entry))
  writeJson('package-lock.json', { ...lock, packages: Object.fromEntries(entries) })
}

/** SPDX: what was installed, and what is in dist/ from a package that is not. */
function billOfMaterials() {
  const bill = JSON.parse(npm(out, 'sbom', '--sbom-format=spdx', '--package-lock-only'))
  const { version, integrity, license } = locked['node_modules/converse.js']
  const id = `SPDXRef-Package-converse.js-${version}`
  bill.packages.push({
    name: 'converse.js',
    SPDXID: id,
    versionInfo: version,
    packageFileName: 'dist/client/demo/xmpp',
    downloadLocation: 'NOASSERTION',
    filesAnalyzed: false,
    licenseDeclared: license ?? 'NOASSERTION',
    externalRefs: [{ referenceCategory: 'PACKAGE-MANAGER', referenceType: 'purl', referenceLocator: `pkg:npm/converse.js@${version}` }],
    checksums: [{ algorithm: 'SHA512', checksumValue: Buffer.from(integrity.replace('sha512-', ''), 'base64').toString('hex') }],
  })
  bill.relationships.push({ spdxElementId: bill.documentDescribes[0], relatedSpdxElement: id, relationshipType: 'CONTAINS' })
  return bill
}

/** The folders of the packages in a node_modules, and in those within them. */
function packages(modules) {
  if (!existsSync(modules)) return []
  return readdirSync(modules).flatMap((name) => {
    const folder = join(modules, name)
    return name.startsWith('@') ? packages(folder) : [folder, ...packages(join(folder, 'node_modules'))]
  })
}

/** Leaves what runs and the licences. A package without a licence file keeps its readme, where it may be. */
function trim(folder) {
  const licensed = readdirSync(folder).some((name) => LICENCE.test(name))
  const keepText = (name) => LICENCE.test(name) || (!licensed && /^readme/i.test(name))
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const { name } = entry
    if (name.startsWith('.') || (entry.isDirectory() && UNUSED_FOLDERS.has(name))) rmSync(join(folder, name), { recursive: true })
  }
  // Of uWebSockets.js: its binary for this platform and this Node, and what loads it. The others are 250 MB.
  if (basename(folder) === 'uWebSockets.js') {
    const binary = `uws_${process.platform}_${process.arch}_${process.versions.modules}.node`
    if (!existsSync(join(folder, binary))) console.warn(`uWebSockets.js has no ${binary}: the engine will be node`)
    const kept = new Set(['package.json', 'uws.js', binary])
    for (const name of readdirSync(folder)) if (!kept.has(name) && !keepText(name)) rmSync(join(folder, name), { recursive: true })
  }
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isDirectory() || keepText(entry.name)) continue
    const path = join(entry.parentPath, entry.name)
    const nested = relative(folder, path).split(sep).includes('node_modules')
    if (!nested && (UNUSED_CODE.test(entry.name) || UNUSED_TEXT.test(entry.name))) rmSync(path)
  }
}

/** Readable by everybody, written by the owner alone, whatever the umask was and the archives said; no empty folders. */
function settle(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (!entry.isDirectory()) chmodSync(path, path === join(out, 'dist', 'gateway', 'main.js') ? 0o755 : 0o644)
    else settle(path)
  }
  if (readdirSync(folder).length === 0) rmSync(folder, { recursive: true })
  else chmodSync(folder, 0o755)
}

function sizeOf(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + readFileSync(join(entry.parentPath, entry.name)).length, 0)
}
