// Reads what the server sends. The server is trusted with the fields of the frames it names; the way to it is not.

import { parseObject } from './errors.js'
import type { ServerFrame } from './types.js'

/** Undefined: not a frame (something on the way spoke). A type this client does not know is a frame; whoever gets it ignores it. */
export function parseFrame(text: unknown): ServerFrame | undefined {
  return asFrame(typeof text === 'string' ? parseObject(text) : undefined)
}

/** The frames of a poll's or a send's answer and its cursor; undefined: not an answer. */
export function parseAnswer(text: string): { frames: ServerFrame[]; cursor: string | undefined } | undefined {
  const answer = parseObject(text)
  if (answer === undefined || !Array.isArray(answer.frames)) return undefined
  const frames = answer.frames.map(asFrame).filter((frame) => frame !== undefined)
  return { frames, cursor: typeof answer.cursor === 'string' ? answer.cursor : undefined }
}

function asFrame(value: unknown): ServerFrame | undefined {
  return typeof value === 'object' && value !== null && 'type' in value && typeof value.type === 'string'
    ? (value as ServerFrame)
    : undefined
}
