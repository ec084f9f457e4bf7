// What is installed is pinned, and CI stops at known vulnerabilities in it. The audit is npm's own, against a registry of ours.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'

type Ranges = Readonly<Record<string, string>>
interface Entry {
  readonly version?: string
  readonly resolved?: string
  readonly integrity?: string
  readonly link?: boolean
  readonly dev?: boolean
  readonly optional?: boolean
  readonly hasInstallScript?: boolean
  readonly os?: readonly string[]
  readonly cpu?: readonly string[]
  readonly dependencies?: Ranges
  readonly devDependencies?: Ranges
  readonly optionalDependencies?: Ranges
}

const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as Entry
const { packages, lockfileVersion } = JSON.parse(readFileSync('package-lock.json', 'utf8')) as {
  packages: Readonly<Record<string, Entry>>
  lockfileVersion: number
}
const entries = Object.entries(packages).filter(([path]) => path !== '')

t.test('the lockfile is that of the manifest', async (t) => {
  t.equal(lockfileVersion, 3)
  for (const kind of ['dependencies', 'devDependencies', 'optionalDependencies'] as const)
    t.same(packages['']?.[kind], manifest[kind], kind)
})

t.test('each package is pinned to what it contains', async (t) => {
  t.ok(entries.length > 300)
  for (const [path, entry] of entries) {
    // A link, and what it leads to, are part of a package that is pinned.
    if (entry.link || !/node_modules\/(@[^/]+\/)?[^/]+$/.test(path)) continue
    if (entry.integrity !== undefined) t.match(entry.integrity, /^sha512-/, path)
    // Tools of developers on other platforms than the one the lockfile was written on.
    else t.ok(entry.dev && entry.optional && entry.os && entry.cpu && path.includes('node_modules/@'), `${path} has no integrity`)
  }
})

t.test('all come from the default registry, whatever it is here', async (t) => {
  t.same(
    entries.filter(([, { resolved = '' }]) => /^[a-z+]+:/.test(resolved)).map(([path]) => path),
    [],
  )
  t.notMatch(readFileSync('.npmrc', 'utf8'), /registry=http/)
})

t.test('nothing that runs in production has a script to be run at its installation', async (t) => {
  t.same(
    entries.filter(([, { dev, hasInstallScript }]) => !dev && hasInstallScript).map(([path]) => path),
    [],
  )
})

t.test('the audit', async (t) => {
  await t.test('fails for a package of production, by severity', async (t) => {
    t.match(await audited(t, { ws: 'high' }), { code: 1, output: /high, in production: ws [\s\S]*1 to be mended/ })
    t.match(await audited(t, { ws: 'moderate' }), { code: 0, output: /moderate, in production: ws [\s\S]*nothing high/ })
  })

  await t.test('tells of a development tool', async (t) => {
    t.match(await audited(t, { 'strophe.js': 'critical' }), { code: 0, output: /critical, in development: strophe\.js/ })
  })

  await t.test('passes when nothing is known', async (t) => {
    t.match(await audited(t, {}), { code: 0, output: 'dependency audit: 0 known' })
  })

  await t.test('says when the registry does not know audits, or is not there', async (t) => {
    t.match(await audit(t, await listen(t, (_request, response) => response.writeHead(405).end())), { code: 0, output: /NOT DONE.*405/ })
    t.match(await audit(t, 'http://127.0.0.1:1/'), { code: 0, output: /NOT DONE.*ECONNREFUSED/ })
  })

  await t.test('fails when the answer is none', async (t) => {
    t.match(await audit(t, await listen(t, (_request, response) => response.end('<html>'))), {
      code: 1,
      output: 'dependency audit: failed',
    })
  })
})

/** With advisories for every version of these packages. */
async function audited(t: Test, severities: Readonly<Record<string, string>>) {
  const advisories = Object.entries(severities).map(([name, severity], index) => [
    name,
    [{ id: index + 1, url: `https://example.com/${index}`, title: 'a hole', severity, vulnerable_versions: '*', cwe: [], cvss: {} }],
  ])
  const registry = await listen(t, (request, response) => {
    if (request.url === '/-/npm/v1/security/advisories/bulk') response.end(JSON.stringify(Object.fromEntries(advisories)))
    else response.writeHead(404).end('{}')
  })
  return audit(t, registry)
}

async function listen(t: Test, listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
}

async function audit(t: Test, registry: string): Promise<{ code: number | null; output: string }> {
  const cache = mkdtempSync(join(tmpdir(), 'holdwire-audit-'))
  t.teardown(() => rmSync(cache, { recursive: true, force: true }))
  const env = { ...process.env, npm_config_registry: registry, npm_config_cache: cache, npm_config_fetch_retry_mintimeout: '10' }
  // Without what tap loads into processes: npm is slow enough.
  const child = spawn('env', ['-u', 'NODE_OPTIONS', process.execPath, 'build/audit.js'], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  const limit = setTimeout(() => child.kill('SIGKILL'), 60_000)
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const [code] = (await once(child, 'close')) as [number | null]
  clearTimeout(limit)
  return { code, output }
}
