// The certificates of the two ports, from files: read at the start, checked before they are used, and read again when they change.

import { createPrivateKey, X509Certificate } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import type { TlsMaterial } from '../transports/engine/engine.js'
import type { Config } from './config.js'

/** Paths: of the certificate chain, of the key, and perhaps of the authorities of clients. */
export type TlsFiles = readonly [cert: string, key: string, clientCa?: string]

/** Undefined: the port has no TLS. */
export function tlsFiles(config: Config, port: 'client' | 'internal'): TlsFiles | undefined {
  const { clientTlsCert, clientTlsKey, internalTlsCert, internalTlsKey, internalTlsClientCa: ca } = config
  const [cert, key] = port === 'client' ? [clientTlsCert, clientTlsKey] : [internalTlsCert, internalTlsKey]
  if (cert === undefined || key === undefined) return undefined
  return port === 'internal' && ca !== undefined ? [cert, key, ca] : [cert, key]
}

/** From the texts of the files, in their order. Throws an Error that says what is wrong, and nothing of a key. */
export function tlsMaterial([cert = '', key = '', clientCa]: readonly string[]): TlsMaterial {
  const certificate = certificateOf(cert, 'the certificate')
  if (clientCa !== undefined) certificateOf(clientCa, 'the authority of clients')
  let matches: boolean
  try {
    matches = certificate.checkPrivateKey(createPrivateKey(key))
  } catch {
    throw new Error('the key is no private key in PEM, or has a passphrase')
  }
  if (!matches) throw new Error('the key is not that of the certificate')
  // What else OpenSSL has against it, such as a key that is too short.
  createSecureContext({ cert, key, ca: clientCa })
  return { cert, key, clientCa }
}

/** When the certificate ends, for the log. */
export function validUntil({ cert }: TlsMaterial): Date {
  return new Date(new X509Certificate(cert).validTo)
}

/** The first of a PEM. */
function certificateOf(pem: string, what: string): X509Certificate {
  try {
    return new X509Certificate(pem)
  } catch {
    throw new Error(`${what} is not in PEM`)
  }
}
