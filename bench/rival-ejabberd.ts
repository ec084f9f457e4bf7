// ejabberd as a contestant: the installed one, with configuration and data of its own in a temporary folder, without Erlang's
// distribution (so without epmd), and with nothing loaded that BOSH and messages between users do not need.

import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { NotInstalled, PASSWORD } from './contestant.js'
import { connects, findProgram, freePorts, stopped, untilReady } from './processes.js'
import { COMPONENT, COMPONENT_SECRET, XMPP_WEBSOCKET_PATH, type XmppRival } from './xmpp-rival.js'

const DOMAIN = 'localhost'
/** Accounts being made at any time. */
const REGISTERING = 16
const MODULES = ['mod_bosh', 'mod_disco', 'mod_offline', 'mod_ping', 'mod_roster']
/** As ejabberdctl does; and schedulers do not spin while they wait, which would count as CPU of the work. */
const ERL_FLAGS = ['+K', 'true', '+P', '250000', '+sbwt', 'none', '+sbwtdcpu', 'none', '+sbwtdio', 'none']

export async function startEjabberd(users: readonly string[], onStarted?: (pid: number) => void): Promise<XmppRival> {
  const script = findProgram('ejabberdctl')
  const erl = findProgram('erl')
  if (script === undefined || erl === undefined) throw new NotInstalled('no ejabberdctl and erl on PATH; apt-get install ejabberd')
  // Where its libraries are, only its own script knows.
  const libraries = /^ *(?:export )?ERL_LIBS=['"]?([^'"\n]+)/m.exec(readFileSync(script, 'utf8'))?.[1] ?? ''
  const folder = mkdtempSync(join(tmpdir(), 'holdwire-bench-ejabberd-'))
  const [port = 0, apiPort = 0, componentPort = 0] = await freePorts(3)
  const config = join(folder, 'ejabberd.yml')
  writeFileSync(config, configuration(port, apiPort, componentPort))
  const env = { ...process.env, HOME: folder, ERL_LIBS: libraries, ERL_CRASH_DUMP_BYTES: '0' }
  const ejabberd = ['-mnesia', 'dir', JSON.stringify(join(folder, 'spool')), '-ejabberd', 'config', JSON.stringify(config)]
  const log = ['log_path', JSON.stringify(join(folder, 'ejabberd.log'))]
  const child = spawn(erl, [...ERL_FLAGS, '-noshell', '-noinput', ...ejabberd, ...log, '-s', 'ejabberd'], {
    env,
    cwd: folder,
    stdio: 'ignore',
  })
  if (child.pid !== undefined) onStarted?.(child.pid)
  const stop = async () => {
    await stopped(child)
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    await untilReady(child, 'ejabberd', async () => (await connects(port)) || undefined)
    const left = [...users]
    const registerSome = async () => {
      for (let user = left.pop(); user !== undefined; user = left.pop()) await register(apiPort, user)
    }
    await Promise.all(Array.from({ length: REGISTERING }, registerSome))
  } catch (error) {
    await stop()
    throw error
  }
  return {
    name: 'ejabberd',
    version: versionOf(erl, env),
    recipe: `erl ${ERL_FLAGS.join(' ')} -s ejabberd; plain HTTP, loglevel warning, auth internal, modules ${MODULES.join(' ')}: no archive, no shapers`,
    ports: [port],
    path: '/http-bind',
    componentPort,
    domain: DOMAIN,
    processes: [{ name: 'beam', pid: child.pid ?? 0 }],
    stop,
  }
}

function configuration(port: number, apiPort: number, componentPort: number): string {
  // JSON is YAML.
  return JSON.stringify({
    hosts: [DOMAIN],
    loglevel: 'warning',
    listen: [
      {
        port,
        ip: '127.0.0.1',
        module: 'ejabberd_http',
        request_handlers: { '/http-bind': 'mod_bosh', [XMPP_WEBSOCKET_PATH]: 'ejabberd_http_ws' },
      },
      { port: apiPort, ip: '127.0.0.1', module: 'ejabberd_http', request_handlers: { '/api': 'mod_http_api' } },
      { port: componentPort, ip: '127.0.0.1', module: 'ejabberd_service', hosts: { [COMPONENT]: { password: COMPONENT_SECRET } } },
    ],
    auth_method: 'internal',
    registration_timeout: 'infinity',
    api_permissions: { accounts: { who: 'all', what: 'register' } },
    acl: { local: { user_regexp: '' } },
    access_rules: { local: { allow: 'local' } },
    modules: Object.fromEntries(MODULES.map((name) => [name, {}])),
  })
}

async function register(apiPort: number, user: string): Promise<void> {
  const body = JSON.stringify({ user, host: DOMAIN, password: PASSWORD })
  const answer = await fetch(`http://127.0.0.1:${apiPort}/api/register`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
  })
  if (!answer.ok) throw new Error(`ejabberd did not make the account ${user}: HTTP ${answer.status}`)
  await answer.arrayBuffer()
}

function versionOf(erl: string, env: NodeJS.ProcessEnv): string {
  const script =
    'application:load(ejabberd), {ok, V} = application:get_key(ejabberd, vsn), io:format("~s (Erlang/OTP ~s)", [V, erlang:system_info(otp_release)]), halt().'
  return execFileSync(erl, ['-noshell', '-eval', script], { env, encoding: 'utf8' }).trim()
}
