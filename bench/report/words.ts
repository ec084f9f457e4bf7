// Figures and rows in words, as tables and charts name them.

import type { LabRow, Network } from '../lab/result.js'

export const NONE = '–'

/** Three digits that mean something. */
export function figure(value: number | undefined | null): string {
  if (typeof value !== 'number' || !Number.isFinite(value)) return NONE
  const size = Math.abs(value)
  return value.toLocaleString('en', { maximumFractionDigits: size >= 100 || size === 0 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3 })
}

export function milliseconds(us: number | undefined): string {
  return us === undefined ? NONE : figure(us / 1000)
}

export function kilobytes(bytes: number | undefined): string {
  return bytes === undefined ? NONE : figure(bytes / 1000)
}

/** `holdwire uws, embedded` */
export function serverName({ server, engine, bus }: LabRow): string {
  return [[server, engine].filter((one) => one !== undefined).join(' '), bus].filter((one) => one !== undefined).join(', ')
}

export function networkName({ roundTripMs, stalls }: Network): string {
  if (roundTripMs === 0 && stalls === 0) return 'loopback'
  return `${figure(roundTripMs)} ms${stalls > 0 ? `, ${figure(stalls * 100)} % stalls` : ''}`
}

/** What sets a row apart from others of its scenario. */
export function circumstances({ sessions, rate, sizeBytes, subscribers, knownUsers, network }: LabRow): string {
  return [
    `${figure(sessions)} sessions`,
    rate === undefined ? undefined : `${figure(rate)}/s`,
    `${figure(sizeBytes)} B`,
    subscribers === undefined ? undefined : `${figure(subscribers)} subscribers`,
    knownUsers === undefined ? undefined : `${figure(knownUsers)} users known`,
    networkName(network),
  ]
    .filter((one) => one !== undefined)
    .join(', ')
}
