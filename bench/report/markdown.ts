// A result as Markdown, for the documentation.

import type { LabResult } from '../lab/result.js'
import { type Table, tablesOf, warningsOf } from './tables.js'

export function markdownOf(result: LabResult): string {
  const tables = tablesOf(result)
  const warnings = warningsOf(result).map((warning) => `**${escaped(warning)}**\n`)
  const notes = result.notes.map((note) => `- ${escaped(note)}`).join('\n')
  return [...warnings, ...(notes === '' ? [] : [`${notes}\n`]), ...tables.map(table)].join('\n')
}

function table({ title, columns, rows }: Table): string {
  const line = (cells: readonly string[]) => `| ${cells.map(escaped).join(' | ')} |\n`
  return `### ${escaped(title)}\n\n${line(columns)}|${columns.map(() => '---|').join('')}\n${rows.map(line).join('')}`
}

function escaped(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('|', '\\|')
    .replaceAll(/\s*\n\s*/g, ' ')
}
