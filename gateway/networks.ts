// IP addresses and networks as text: whether one is in a list, and which addresses count as one client.

import { BlockList, isIP } from 'node:net'

/** An address, or `address/bits`. */
export function isNetwork(text: string): boolean {
  return parse(text) !== undefined
}

/** A set of addresses and networks. */
export class Networks {
  readonly #list = new BlockList()

  /** `networks`: each as `isNetwork` wants it. */
  constructor(networks: readonly string[]) {
    for (const text of networks) {
      const network = parse(text)
      if (network === undefined) throw new RangeError(`not a network: ${text}`)
      this.#list.addSubnet(network.address, network.bits, network.family)
    }
  }

  /** False for what is no address. */
  has(address: string): boolean {
    const family = isIP(address)
    return family !== 0 && this.#list.check(address, family === 4 ? 'ipv4' : 'ipv6')
  }
}

/** True if nobody but this machine reaches the address. */
export function isLoopback(host: string): boolean {
  return /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host) || ['localhost', '::1', '[::1]'].includes(host.toLowerCase())
}

/** What limits count as one client: an IPv4 address, or the /64 of an IPv6 address, since whoever has one address there has them all. */
export function clientKey(address: string): string {
  if (isIP(address) !== 6) return address
  const [head = '', tail] = address.replace(/%.*$/, '').split('::')
  const groups = head === '' ? [] : head.split(':')
  // `::` stands for so many zeros that there are eight groups; an IPv4 address at the end for two groups.
  const after = tail === undefined || tail === '' ? 0 : tail.split(':').length + Number(tail.includes('.'))
  if (tail !== undefined) while (groups.length < 8 - after && groups.length < 4) groups.push('0')
  const all = groups.length >= 4 || tail === undefined ? groups : [...groups, ...tail.split(':')]
  return `${all
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, '').toLowerCase())
    .join(':')}::/64`
}

function parse(text: string): { readonly address: string; readonly bits: number; readonly family: 'ipv4' | 'ipv6' } | undefined {
  const [address = '', bits, ...rest] = text.split('/')
  const family = isIP(address)
  if (family === 0 || rest.length > 0 || address.includes('%')) return undefined
  const most = family === 4 ? 32 : 128
  if (bits !== undefined && (!/^\d{1,3}$/.test(bits) || Number(bits) > most)) return undefined
  return { address, bits: bits === undefined ? most : Number(bits), family: family === 4 ? 'ipv4' : 'ipv6' }
}
