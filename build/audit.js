// Asks the registry for known vulnerabilities of what the lockfile pins: `node build/audit.js`, a step of .ci/run. Exit code 1
// for one of `high` or `critical` severity in what is installed in production; those of development tools are only told. Where
// the registry does not answer that question, it says that nothing was looked at, and that is no failure.

import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..')
const FAILS = new Set(['high', 'critical'])
const UNREACHABLE = /\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|EHOSTUNREACH|ENETUNREACH|ETIMEDOUT|ERR_SOCKET_TIMEOUT|FETCH_ERROR)\b/

// Exits with 1 for any finding, and when it could not ask.
const { stdout, stderr } = spawnSync('npm', ['audit', '--json', '--package-lock-only', '--fetch-retries=1'], {
  cwd: root,
  encoding: 'utf8',
  maxBuffer: 64 * 1024 * 1024,
  timeout: 60_000,
})
const report = parse(stdout)
if (report?.vulnerabilities !== undefined) tell(Object.values(report.vulnerabilities))
else if (report?.statusCode >= 400 || UNREACHABLE.test(stdout + stderr)) {
  console.log(`dependency audit: NOT DONE, the registry did not answer it: ${report?.message ?? stderr.trim().split('\n')[0]}`)
} else {
  console.log(`dependency audit: failed\n${stdout}${stderr}`)
  process.exitCode = 1
}

function parse(text) {
  try {
    return JSON.parse(text)
  } catch {
    return undefined // told above
  }
}

/** `nodes` of a finding are keys of the lockfile. */
function tell(findings) {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'))
  const inProduction = ({ nodes }) => nodes.some((node) => packages[node]?.dev !== true)
  const failing = findings.filter((finding) => FAILS.has(finding.severity) && inProduction(finding))
  for (const finding of findings) {
    const titles = finding.via.map((cause) => (typeof cause === 'string' ? `by ${cause}` : `${cause.title} ${cause.url}`))
    const where = inProduction(finding) ? 'production' : 'development'
    console.log(`${finding.severity}, in ${where}: ${finding.name} ${finding.range} (${titles.join('; ')})`)
  }
  const words = failing.length > 0 ? `${failing.length} to be mended before anything is released` : 'nothing high in production'
  console.log(`dependency audit: ${findings.length} known, ${words}`)
  if (failing.length > 0) process.exitCode = 1
}
