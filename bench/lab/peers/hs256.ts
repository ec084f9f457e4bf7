// Tokens as backends make them for other servers: JWTs with a shared secret.

import { createHmac } from 'node:crypto'

const HEADER = base64url({ alg: 'HS256', typ: 'JWT' })

export function hs256(claims: Readonly<Record<string, unknown>>, secret: string): string {
  const signed = `${HEADER}.${base64url(claims)}`
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`
}

function base64url(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}
