// What each part of the lab is told, and gives back.

import type { Progress } from '../progress.js'
import type { Places } from './places.js'
import type { LabResult, LabRow, LabServerInfo } from './result.js'

export interface PartOptions {
  /** Compiled tree: `dist`. */
  readonly root: string
  readonly mode: LabResult['mode']
  readonly seed: number
  readonly rounds: number
  /** What it has not measured by then it gives back as invalid rows. */
  readonly budgetSeconds: number
  readonly places: Places
  readonly progress: Progress
  /** Aborted: the user wants it to end. */
  readonly signal: AbortSignal
}

export interface PartResult {
  readonly servers: readonly LabServerInfo[]
  readonly skipped: readonly { readonly name: string; readonly reason: string }[]
  readonly rows: readonly LabRow[]
  readonly notes: readonly string[]
}
