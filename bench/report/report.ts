// A result of the transport lab for readers: a page, or Markdown.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { LabResult } from '../lab/result.js'
import { htmlOf } from './html.js'
import { markdownOf } from './markdown.js'

export interface ReportPaths {
  readonly html: string | undefined
  readonly markdown: string | undefined
}

export function writeReport(result: LabResult, { html, markdown }: ReportPaths): void {
  // build.js puts it there: an installed package has no chart.js.
  if (html !== undefined) writeFileSync(html, htmlOf(result, readFileSync(join(import.meta.dirname, 'chart.umd.js'), 'utf8')))
  if (markdown !== undefined) writeFileSync(markdown, markdownOf(result))
}
