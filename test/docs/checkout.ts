// Where a page is run: a folder that looks like a fresh checkout, ports of its own in place of the ones the page names, and
// stand-ins for the commands that would leave it.

import {
  accessSync,
  chmodSync,
  constants,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { freePort } from '../support/nats-server.js'

const root = process.cwd()
/** Ports a page may name. They are told from other numbers by what stands before them. */
const PORT = /((?:127\.0\.0\.1|localhost|0\.0\.0\.0):|[pP]ort[ =:]+|PORT=| -p )(\d{4,5})\b/g
/** Not in the reader's shell: what the pages set themselves. */
const OURS = /^(HOLDWIRE_|NATS_|TAP|npm_|NODE_OPTIONS$|KUBECONFIG$|DOCKER_)/
/** Programs that reach beyond this folder. A block that shows them says `not run: why`. */
const OUTSIDE = ['docker', 'kubectl', 'git', 'apt-get', 'apt', 'sudo', 'systemctl', 'ssh']
const MARK_IT = `which the tests of the docs do not run; put '<!-- not run: why -->' above the block`

/** A file that is there once one of those was called. */
export const OUTSIDE_WAS_ASKED = join('.tmp', 'outside-was-asked')

export class Checkout {
  readonly folder = mkdtempSync(join(tmpdir(), 'holdwire-docs-'))
  readonly #ports = new Map<string, number>()

  readonly #removeAtExit = () => this.remove()

  constructor() {
    process.on('exit', this.#removeAtExit)
    for (const name of readdirSync(root)) if (!name.startsWith('.')) symlinkSync(join(root, name), join(this.folder, name))
    for (const name of ['.bin', '.home', '.tmp']) mkdirSync(join(this.folder, name))
    for (const [name, script] of Object.entries(standIns(join(this.folder, OUTSIDE_WAS_ASKED)))) {
      const path = join(this.folder, '.bin', name)
      writeFileSync(path, `#!/bin/bash\n${script}\n`)
      chmodSync(path, 0o755)
    }
  }

  /** Ports and the folder for temporary files are ours from here on. */
  async localized(text: string): Promise<string> {
    for (const [, , port = ''] of text.matchAll(PORT)) await this.port(port)
    return (
      text
        .replace(PORT, (whole, before: string, port: string) => (this.#ports.has(port) ? `${before}${this.#ports.get(port)}` : whole))
        // Tests listen on loopback only.
        .replace(/--host 0\.0\.0\.0/g, '--host 127.0.0.1')
        .replace(/(^|[\s'"=:])\/tmp\//g, `$1${join(this.folder, '.tmp')}/`)
    )
  }

  /** The page's words for what was shown here. */
  restored(output: string): string {
    let text = output.replaceAll(join(this.folder, '.tmp'), '/tmp')
    for (const [named, real] of this.#ports) text = text.replaceAll(String(real), named)
    return text
  }

  async port(named: string): Promise<number> {
    const free = this.#ports.get(named) ?? (await freePort())
    // Somebody else may have asked meanwhile.
    const port = this.#ports.get(named) ?? free
    this.#ports.set(named, port)
    return port
  }

  async environment(): Promise<NodeJS.ProcessEnv> {
    const kept = Object.entries(process.env).filter(([name]) => !OURS.test(name))
    const path = [join(this.folder, '.bin'), dirname(process.execPath), process.env.PATH ?? '', '/usr/sbin']
    return {
      ...Object.fromEntries(kept),
      PATH: path.join(delimiter),
      HOME: join(this.folder, '.home'),
      TMPDIR: join(this.folder, '.tmp'),
      NATS_PORT: String(await this.port('4222')),
      HOLDWIRE_CLIENT_PORT: String(await this.port('8000')),
      HOLDWIRE_INTERNAL_PORT: String(await this.port('9000')),
    }
  }

  remove(): void {
    process.off('exit', this.#removeAtExit)
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 })
  }
}

/** Path of a program, also in the folders that only root has on the PATH. */
export function which(name: string): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin']
  return folders
    .map((folder) => join(folder, name))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK)
        return true
      } catch {
        return false // what is asked here
      }
    })
}

/** `npm start` and `npx holdwire` run what package.json says they are, without a build and without npm's own start-up. */
function standIns(asked: string): Record<string, string> {
  const { scripts, bin } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>
    bin: { holdwire: string }
  }
  const holdwire = `exec node "${join(root, bin.holdwire)}" "$@"`
  const cases = Object.entries(scripts).map(([name, script]) => {
    const command = script.replace(/^node build\.js && /, '')
    return `'run ${name}') shift 2; [ "$1" = -- ] && shift; exec ${command} "$@";;`
  })
  const curl = which('curl') ?? 'curl'
  const helm = which('helm')
  const nats = process.env.NATS_SERVER || which('nats-server')
  return {
    holdwire,
    npx: `[ "$1" = holdwire ] || { touch "${asked}"; echo "npx $1: ${MARK_IT}" >&2; exit 64; }\nshift\n${holdwire}`,
    npm: `[ "$1" = start ] && set -- run "$@"\ncase "$1 $2" in ${cases.join('\n')}\nesac\ntouch "${asked}"; echo "npm $*: ${MARK_IT}" >&2; exit 64`,
    // An answer that is an error fails the block, as nobody looks at it here.
    curl: `for word in "$@"; do [[ $word =~ ^(-[a-zA-Z]*f|--fail) ]] && exec ${curl} -sS "$@"; done\nexec ${curl} -sS --fail-with-body "$@"`,
    // What asks no cluster and no registry.
    ...(helm === undefined
      ? {}
      : {
          helm: `case "$1" in template|lint|version) exec ${helm} "$@";; esac\ntouch "${asked}"; echo "helm $1: ${MARK_IT}" >&2; exit 64`,
        }),
    // On loopback, on the page's port for 4222 unless it names one.
    ...(nats === undefined
      ? {}
      : { 'nats-server': `[[ " $* " == *" -p "* ]] || set -- -p "$NATS_PORT" "$@"\nexec ${nats} -a 127.0.0.1 "$@"` }),
    ...Object.fromEntries(OUTSIDE.map((name) => [name, `touch "${asked}"; echo "${name}: ${MARK_IT}" >&2; exit 64`])),
  }
}
