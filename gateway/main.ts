#!/usr/bin/env -S node --max-semi-space-size=8
// The command line: `holdwire serve | gateway | c2s | token | push | listen | provision | smoke | config | health | bench`.

import { Command, CommanderError } from 'commander'
import { type HealthOptions, health, healthConfig } from './cli/health.js'
import { type ListenOptions, type ListenTarget, listen } from './cli/listen.js'
import { provision } from './cli/provision.js'
import { type PushOptions, push } from './cli/push.js'
import { runServer } from './cli/run-server.js'
import { addSettings, configOf } from './cli/settings.js'
import { type SmokeOptions, type SmokeSocket, smoke } from './cli/smoke.js'
import { signToken, type TokenOptions } from './cli/token.js'
import { ConfigError } from './config.js'
import { configJson, configYaml } from './config-docs.js'
import { createLogger } from './logger.js'
import { VERSION } from './version.js'

// Exit codes: 0 done, 1 it failed, 2 called wrongly.

const ROLES = {
  serve: 'Everything in one process: gateway and c2s worker, on NATS or on the embedded bus',
  gateway: 'A gateway: the connections and sessions of clients (needs NATS)',
  c2s: 'A worker: presence, contacts, topics, routing (needs NATS)',
} as const

function program(): Command {
  const root = new Command('holdwire')
    .description('Multi-protocol push gateway: one session over WebSocket, SSE, keep-alive and long polling, on NATS')
    .version(VERSION)
    .showHelpAfterError('(holdwire --help, holdwire <command> --help)')
    .exitOverride()
  for (const role of ['serve', 'gateway', 'c2s'] as const) {
    addSettings(root.command(role), false)
      .description(ROLES[role])
      .action(async (flags: object) => {
        // Loaded when signals are heeded: process 1 of a container has no default for them.
        await runServer(configOf({ ...flags }), role, async (...given) => (await import('./serve.js')).startHoldwire(...given))
      })
  }
  addSettings(root.command('token'), true)
    .description('Sign a token (HS256) with the configured secret')
    .requiredOption('--user <user>', 'whom the token is for')
    .option('--device <device>', 'stable id of a device')
    .option('--topics <patterns>', 'topics the session may join, comma-separated, `*` allowed')
    .option('--expires-in <time>', '3600, 90s, 15m, 12h, 30d', '1h')
    .action(async (flags: TokenOptions) => print(await signToken(configOf({ ...flags }), flags, Date.now())))
  addSettings(root.command('push'), true)
    .description('Push a message through the internal API: push <user> <data>, push --topic <topic> <data>, push --all <data>')
    .argument('<words...>', 'the user, unless --topic or --all is given, and the data: JSON, or a text')
    .option('--topic <topic>', 'to the subscribers of a topic')
    .option('--all', 'to all users with a session now')
    .option('--id <id>', 'idempotency: a repeat gets the first answer')
    .option('--from <user>', 'whom it comes from')
    .option('--ttl <seconds>', 'not delivered after this long')
    .option('--collapse-key <key>', 'of undelivered messages of one key only the newest remains')
    .option('--ephemeral', 'only for who is there now')
    .option('--url <url>', 'internal port of the server (default: as configured)')
    .option('--key <key>', 'API key (default: the first one configured)')
    .action(runPush)
  addSettings(root.command('listen'), true)
    .description('Print what a user is sent, one JSON object a line; what is printed is acknowledged')
    .argument('<user>')
    .option('--transport <name>', 'websocket, sse or poll (default: the first that works)')
    .option('--url <url>', 'client port of the server (default: as configured)')
    .option('--token <token>', 'who listens (default: made with jwtSecret)')
    .option('--device <device>', 'stable id: what it has seen is kept apart from other devices')
    .option('--cursor <cursor>', 'go on after it')
    .option('--count <n>', 'end after so many messages')
    .action(runListen)
  addSettings(root.command('provision'), true)
    .description('Make streams and buckets in NATS, or find that those there have other settings; changes nothing the second time')
    .action(async (flags: object) => {
      const config = configOf({ ...flags })
      const { startHoldwire } = await import('./serve.js')
      await provision(config, createLogger(config), startHoldwire)
    })
  addSettings(root.command('smoke'), true)
    .description(
      'Push a message to a user over every transport and wait for it there (token: HOLDWIRE_SMOKE_TOKEN, or made with jwtSecret)',
    )
    .option('--url <url>', 'client port of the server (default: as configured)')
    .option('--internal-url <url>', 'internal port of the server (default: as configured)')
    .option('--user <user>', 'who is pushed to', 'smoke')
    .option('--key <key>', 'API key (default: the first one configured)')
    .option('--ready-only', 'only ask whether the server is ready')
    .action(runSmoke)
  addSettings(root.command('config'), true)
    .description(
      'Print every setting: what it does, flag, environment variable, default, and the value in force (takes every flag of serve)',
    )
    .option('--yaml', 'usable as a config file (default)')
    .option('--json', 'for programs')
    .action((flags: { readonly json?: true }) => {
      const config = configOf({ ...flags })
      process.stdout.write(flags.json ? `${configJson(config)}\n` : configYaml(config))
    })
  addSettings(root.command('health'), true)
    .description('Ask a server of this machine whether it lives: exit code 0 or 1, for health checks of containers')
    .option('--ready', 'whether it also takes clients: not before it has reached NATS, not while it drains')
    .option('--url <url>', 'internal port of the server (default: as configured)')
    .action(runHealth)
  root
    .command('bench')
    .description('Measure this server on this machine (holdwire bench help)')
    .argument('[words...]')
    .allowUnknownOption()
    .helpOption(false)
    .action(async (words: string[]) => {
      const { runBench } = await import('../bench/main.js')
      process.exitCode = await runBench(words)
    })
  return root
}

async function runPush(words: string[], flags: PushOptions): Promise<void> {
  const { answer, accepted } = await push(configOf({ ...flags }), words, flags)
  if (accepted) print(answer)
  else fail(answer, 1)
}

async function runHealth(flags: HealthOptions): Promise<void> {
  const { well, answer } = await health(healthConfig({ ...flags }), flags)
  if (well) print(answer)
  else fail(answer, 1)
}

async function runListen(user: string, flags: ListenOptions): Promise<void> {
  const { connect } = await import('../client/holdwire.js')
  const { WebSocket } = await import('../transports/engine/node-websocket.js')
  const interrupted = new Promise<void>((resolve) => {
    process.once('SIGINT', resolve)
    process.once('SIGTERM', resolve)
  })
  const asAsked = await listen(configOf({ ...flags }), user, flags, {
    connect: (target: ListenTarget) => connect({ ...target, environment: { WebSocket } }),
    print,
    note: (line) => process.stderr.write(`${line}\n`),
    interrupted,
  })
  process.exit(asAsked ? 0 : 1)
}

async function runSmoke(flags: SmokeOptions): Promise<void> {
  const { connect } = await import('../client/holdwire.js')
  const { WebSocket } = await import('../transports/engine/node-websocket.js')
  const all = await smoke(configOf({ ...flags }), flags, {
    connect: (target) => connect({ ...target, environment: { WebSocket } }),
    openSocket: (url, protocol) => new WebSocket(url, protocol) as SmokeSocket,
    print,
    token: process.env.HOLDWIRE_SMOKE_TOKEN || undefined,
  })
  process.exit(all ? 0 : 1)
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}

function fail(message: string, exitCode: number): void {
  process.stderr.write(`${message}\n`)
  process.exitCode = exitCode
}

try {
  await program().parseAsync()
} catch (error) {
  // Commander has said it already.
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2
  else if (error instanceof ConfigError) fail(`holdwire: ${error.message}`, 2)
  else fail(`holdwire: ${error instanceof Error ? error.message : String(error)}`, 1)
}
