// The configuration for people: `holdwire config`, and docs/configuration.md (run this file: `--check` only compares).

import { readFileSync, writeFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { stringify as toYaml } from 'yaml'
import { type Config, maskedValue } from './config.js'
import { SETTINGS, type Setting } from './config-schema.js'

/** docs/configuration.md. */
export function configMarkdown(): string {
  const sections = groups().map(([group, settings]) => `## ${group}\n\n${HEAD}\n${settings.map(markdownRow).join('\n')}\n`)
  return `${INTRODUCTION}\n${sections.join('\n')}`
}

/** True if `text` (docs/configuration.md) says what the schema says. */
export function configDocsFresh(text: string): boolean {
  return text === configMarkdown()
}

/** The whole configuration as commented YAML that can be used as a config file; secrets are commented out. */
export function configYaml(config: Config): string {
  const sections = groups().map(
    ([group, settings]) => `# ---- ${group} ----\n\n${settings.map((one) => yamlEntry(one, config)).join('\n')}`,
  )
  return sections.join('\n')
}

/** The same for programs: an array of settings with `value` (masked; null: not set). */
export function configJson(config: Config): string {
  const values: Readonly<Record<string, unknown>> = { ...config }
  const entries = SETTINGS.map(({ secret: _secret, file: _file, ...setting }, i) => ({
    ...setting,
    value: maskedValue(SETTINGS[i] as Setting, values[setting.key]) ?? null,
  }))
  return JSON.stringify(entries, null, 2)
}

const HEAD = '| key | type | default | |\n|---|---|---|---|'

const INTRODUCTION = `# Configuration

<!-- Generated from gateway/config-schema.ts; do not edit. -->

Flags win over the environment, the environment over the config file, the file over the defaults. A key that is not listed here
stops the start. \`holdwire config\` prints all of it with the values in force.

- **Flag**: \`--client-port 8000\` or \`--client-port=8000\`; switches: \`--deflate\`, \`--no-deflate\`; lists: comma-separated or repeated.
- **Environment**: \`HOLDWIRE_CLIENT_PORT\`. For the keys marked with *file*, \`HOLDWIRE_…_FILE\` names a file that holds the value.
  An empty variable counts as not set. Variables that Kubernetes makes for a service (\`HOLDWIRE_PORT_8000_TCP\` …) are ignored.
- **File**: YAML or JSON, named by \`--config\` or \`HOLDWIRE_CONFIG\`: \`clientPort: 8000\`, or nested: \`client: {port: 8000}\`.
`

function groups(): [group: string, settings: Setting[]][] {
  const byGroup = new Map<string, Setting[]>()
  for (const setting of SETTINGS) byGroup.set(setting.group, [...(byGroup.get(setting.group) ?? []), setting])
  return [...byGroup]
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|')
}

function markdownRow({ key, flag, env, type, description, file, default: value }: Setting): string {
  return `| \`${key}\`<br>\`${flag}\`<br>\`${env}\`${file ? ' *file*' : ''} | ${cell(type)} | ${cell(value)} | ${cell(description)} |`
}

function yamlEntry(setting: Setting, config: Config): string {
  const values: Readonly<Record<string, unknown>> = { ...config }
  const value = values[setting.key]
  const comment = `# ${setting.description}\n# ${setting.flag}, ${setting.env} · ${setting.type} · default: ${setting.default}\n`
  const shown = maskedValue(setting, value)
  const line = shown === undefined ? `${setting.key}:` : toYaml({ [setting.key]: shown }).trimEnd()
  const usable = shown !== undefined && JSON.stringify(shown) === JSON.stringify(value)
  return `${comment}${usable ? line : line.replaceAll(/^/gm, '# ')}\n`
}

function main(check: boolean): void {
  const path = 'docs/configuration.md'
  if (!check) {
    writeFileSync(path, configMarkdown())
  } else if (!configDocsFresh(readFileSync(path, 'utf8'))) {
    process.stderr.write(`${path} is stale: run node dist/gateway/config-docs.js\n`)
    process.exitCode = 1
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) main(process.argv.includes('--check'))
