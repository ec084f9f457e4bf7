// `holdwire token`: signs a token with the configured secret, for trying things and for backends without a JWT library.

import { SignJWT } from 'jose'
import { isUserId } from '../../bus/user-token.js'
import { isDevice } from '../auth/authenticator.js'
import { type Config, ConfigError } from '../config.js'

export interface TokenOptions {
  readonly user: string
  readonly device?: string | undefined
  /** Comma-separated patterns. */
  readonly topics?: string | undefined
  /** See `seconds`. */
  readonly expiresIn: string
}

const UNIT_SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 }

/** Throws ConfigError. `now`: milliseconds since the epoch. */
export async function signToken(config: Config, options: TokenOptions, now: number): Promise<string> {
  const { user, device, topics, expiresIn } = options
  if (config.jwtSecret === undefined) throw new ConfigError('token: needs jwtSecret (HOLDWIRE_JWT_SECRET or --jwt-secret)')
  if (!isUserId(user)) throw new ConfigError('--user: 1 to 256 bytes of UTF-8 without control characters')
  if (device !== undefined && !isDevice(device)) throw new ConfigError('--device: at most 64 characters, no control characters')
  const issued = Math.floor(now / 1000)
  const claims = {
    ...(device === undefined ? {} : { device }),
    ...(topics === undefined ? {} : { topics: topics.split(',').filter((topic) => topic !== '') }),
  }
  const token = new SignJWT(claims)
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .setSubject(user)
    .setIssuedAt(issued)
    .setExpirationTime(issued + seconds(expiresIn))
  if (config.jwtIssuer !== undefined) token.setIssuer(config.jwtIssuer)
  if (config.jwtAudience !== undefined) token.setAudience(config.jwtAudience)
  return token.sign(Buffer.from(config.jwtSecret))
}

/** `90`, `90s`, `15m`, `12h`, `30d`; negative ones make a token that has expired. Throws ConfigError. */
function seconds(text: string): number {
  const [, number = '', unit = 's'] = /^(-?\d{1,9})([smhd]?)$/.exec(text) ?? []
  if (number === '') throw new ConfigError(`--expires-in: ${text} is not like 3600, 90s, 15m, 12h or 30d`)
  return Number(number) * (UNIT_SECONDS[unit] ?? 1)
}
