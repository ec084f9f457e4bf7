// prosody as a contestant: the installed one, with configuration and data of its own in a temporary folder, and with nothing loaded
// that BOSH and messages between users do not need.

import { execFileSync, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { NotInstalled, PASSWORD } from './contestant.js'
import { connects, findProgram, freePorts, stopped, untilReady } from './processes.js'
import { COMPONENT, COMPONENT_SECRET, XMPP_WEBSOCKET_PATH, type XmppRival } from './xmpp-rival.js'

const DOMAIN = 'localhost'
const MODULES = ['bosh', 'disco', 'iq', 'message', 'offline', 'ping', 'presence', 'roster', 'saslauth', 'websocket']

export async function startProsody(users: readonly string[], onStarted?: (pid: number) => void): Promise<XmppRival> {
  const prosody = findProgram('prosody')
  if (prosody === undefined) throw new NotInstalled('no prosody on PATH; apt-get install prosody')
  const folder = mkdtempSync(join(tmpdir(), 'holdwire-bench-prosody-'))
  const [port = 0, componentPort = 0] = await freePorts(2)
  const config = join(folder, 'prosody.cfg.lua')
  writeFileSync(config, configuration(folder, port, componentPort))
  writeAccounts(join(folder, DOMAIN, 'accounts'), users)
  const child = spawn(prosody, ['-F', '--config', config], { cwd: folder, stdio: 'ignore' })
  if (child.pid !== undefined) onStarted?.(child.pid)
  const stop = async () => {
    await stopped(child)
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    await untilReady(child, 'prosody', async () => (await connects(port)) || undefined)
  } catch (error) {
    await stop()
    throw error
  }
  return {
    name: 'prosody',
    version: versionOf(config),
    recipe: `prosody -F; plain HTTP, epoll, log level error, authentication internal_plain, modules ${MODULES.join(' ')}: no archive, no limits`,
    ports: [port],
    path: '/http-bind',
    componentPort,
    domain: DOMAIN,
    processes: [{ name: 'lua', pid: child.pid ?? 0 }],
    stop,
  }
}

function configuration(folder: string, port: number, componentPort: number): string {
  const list = (items: readonly string[]) => `{ ${items.map((item) => JSON.stringify(item)).join(', ')} }`
  return `
run_as_root = true
daemonize = false
data_path = ${JSON.stringify(folder)}
log = { { levels = { min = "error" }, to = "console" } }
modules_enabled = ${list(MODULES)}
modules_disabled = ${list(['s2s', 'tls'])}
interfaces = ${list(['127.0.0.1'])}
c2s_ports = {}
s2s_ports = {}
https_ports = {}
http_ports = { ${port} }
http_interfaces = ${list(['127.0.0.1'])}
http_paths = { bosh = "/http-bind", websocket = "${XMPP_WEBSOCKET_PATH}" }
http_default_host = "${DOMAIN}"
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
consider_bosh_secure = true
consider_websocket_secure = true
component_ports = { ${componentPort} }
component_interfaces = ${list(['127.0.0.1'])}
authentication = "internal_plain"
storage = "internal"
network_backend = "epoll"
VirtualHost "${DOMAIN}"
Component "${COMPONENT}"
component_secret = "${COMPONENT_SECRET}"
`
}

/** As its internal storage has them: letters and digits stand for themselves, all else is a percent sign and two hexadecimal ones. */
function writeAccounts(folder: string, users: readonly string[]): void {
  mkdirSync(folder, { recursive: true })
  for (const user of users) {
    const name = user.replace(/[^A-Za-z0-9]/g, (one) => `%${one.charCodeAt(0).toString(16).padStart(2, '0')}`)
    writeFileSync(join(folder, `${name}.dat`), `return { ["password"] = ${JSON.stringify(PASSWORD)} };\n`)
  }
}

function versionOf(config: string): string {
  const prosodyctl = findProgram('prosodyctl')
  if (prosodyctl === undefined) return 'unknown'
  const about = execFileSync(prosodyctl, ['--config', config, 'about'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
  const version = /Prosody +(\S+)/.exec(about)?.[1] ?? 'unknown'
  return `${version} (${/Lua version: *(.+)/.exec(about)?.[1]?.trim() ?? 'Lua'})`
}
