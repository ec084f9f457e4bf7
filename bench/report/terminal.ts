// A result for a terminal: the tables in columns, ratios first.

import type { LabResult } from '../lab/result.js'
import { type Table, tablesOf, warningsOf } from './tables.js'

/** A reason or a recipe may be long; the page has it whole. */
const WIDEST_CELL = 60
const NUMBER = /^[\d.,]+$/

export function terminalText(result: LabResult): string {
  const paragraphs = [...warningsOf(result), ...result.notes, ...tablesOf(result).map(columnsOf)]
  return `${paragraphs.join('\n\n')}\n`
}

function columnsOf({ title, columns, rows }: Table): string {
  const lines = [columns, ...rows].map((cells) => cells.map(cut))
  const widths = columns.map((_, at) => Math.max(...lines.map((cells) => cells[at]?.length ?? 0)))
  const isNumeric = columns.map((_, at) => rows.every((cells) => NUMBER.test(cells[at] ?? '') || (cells[at] ?? '').length <= 1))
  const text = lines.map((cells) =>
    cells
      .map((cell, at) => (isNumeric[at] ? cell.padStart(widths[at] ?? 0) : cell.padEnd(widths[at] ?? 0)))
      .join('  ')
      .trimEnd(),
  )
  return [title, ...text].join('\n')
}

function cut(cell: string): string {
  const line = cell.replaceAll(/\s+/g, ' ')
  return line.length > WIDEST_CELL ? `${line.slice(0, WIDEST_CELL - 1)}…` : line
}
