// Where keys may be fetched from: nowhere that somebody on the way, or a mistake, could turn into something else.

import { lookup } from 'node:dns/promises'
import { isLoopback, Networks } from '../networks.js'

/** Link-local addresses, and those beyond where clouds keep the credentials of a machine. */
const METADATA = new Networks(['169.254.0.0/16', 'fe80::/10', 'fd00:ec2::/32', '100.100.100.200', '168.63.129.16'])
const METADATA_NAMES = new Set(['metadata', 'metadata.google.internal'])

/** What is wrong with `jwksUrl`, one line each. */
export function jwksProblems(url: URL, auth: 'dev' | 'jwt'): string[] {
  const host = hostOf(url)
  const problems: string[] = []
  if (url.protocol !== 'https:' && auth !== 'dev' && !isLoopback(host))
    problems.push('jwksUrl: must be https (http only on loopback, or with `auth: dev`): whoever is on the way could forge keys')
  if (url.username !== '' || url.password !== '') problems.push('jwksUrl: must have no user and no password')
  if (METADATA.has(host) || METADATA_NAMES.has(host)) problems.push('jwksUrl: link-local and metadata addresses are no providers of keys')
  return problems
}

/** Rejects with an Error when the name of the host stands for an address that keys are not fetched from. */
export async function checkAddresses(url: URL): Promise<void> {
  const addresses = await lookup(hostOf(url), { all: true })
  if (addresses.some(({ address }) => METADATA.has(address))) throw new Error('the host has a link-local or metadata address')
}

function hostOf(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '').toLowerCase()
}
