// Settings on the command line: every key of the configuration is a flag of every command.

import { readFileSync } from 'node:fs'
import { type Command, Option } from 'commander'
import { type Config, loadConfig } from '../config.js'
import { SETTINGS, type Setting } from '../config-schema.js'

/** What commander makes of flags: text, repeated text, or a switch. */
type Flags = Readonly<Record<string, unknown>>

/** `hidden`: they work, but the help of the command is about something else. */
export function addSettings(command: Command, hidden: boolean): Command {
  const add = (option: Option, group: string): void => {
    if (hidden) option.hideHelp()
    command.addOption(option.helpGroup(`${group}:`))
  }
  add(new Option('--config <file>', 'YAML or JSON file with settings.'), 'Configuration')
  for (const setting of SETTINGS) {
    add(optionOf(setting), setting.group)
    if (setting.kind === 'boolean') command.addOption(new Option(setting.flag.replace('--', '--no-')).hideHelp())
  }
  return command
}

/** From the flags of a command, the environment and the config file. Throws ConfigError. */
export function configOf(flags: Flags, env: NodeJS.ProcessEnv = process.env): Config {
  const argv: string[] = []
  for (const [key, flag] of [['config', '--config'] as const, ...SETTINGS.map((setting) => [setting.key, setting.flag] as const)]) {
    const value = flags[key]
    if (value !== undefined) for (const one of Array.isArray(value) ? value : [value]) argv.push(`${flag}=${String(one)}`)
  }
  return loadConfig({ argv, env, readFile: (path) => readFileSync(path, 'utf8') })
}

function optionOf({ flag, kind, description, default: value }: Setting): Option {
  const text = `${description} Default: ${value}`
  if (kind === 'boolean') return new Option(`${flag} [true|false]`, text)
  const option = new Option(`${flag} <${kind}>`, text)
  if (kind === 'list') option.argParser((one: string, before: string[] | undefined) => [...(before ?? []), one])
  return option
}
