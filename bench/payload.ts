// What a benchmark message carries: its number for this user and the moment it was meant to be sent, found again without
// parsing the frame around it.

const MARK = Buffer.from('{"k":')
const DIGIT_0 = 48

/** Microseconds of the machine's monotonic clock: the same in all processes. */
export function nowUs(): number {
  return Math.round(Number(process.hrtime.bigint() / 1000n))
}

/** JSON of about `sizeBytes` bytes. */
export function payloadText(k: number, intendedUs: number, sizeBytes: number): string {
  const text = `{"k":${k},"t":${intendedUs},"p":"`
  return `${text}${'x'.repeat(Math.max(0, sizeBytes - text.length - 2))}"}`
}

/** Calls back for each payload in `bytes`, in order. */
export function scanPayloads(bytes: Buffer, take: (k: number, intendedUs: number) => void): void {
  for (let at = bytes.indexOf(MARK); at !== -1; at = bytes.indexOf(MARK, at)) {
    at += MARK.length
    let k = 0
    for (; isDigit(bytes[at]); at++) k = k * 10 + digit(bytes[at])
    // Over `,"t":`
    at += 5
    let intendedUs = 0
    for (; isDigit(bytes[at]); at++) intendedUs = intendedUs * 10 + digit(bytes[at])
    take(k, intendedUs)
  }
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= DIGIT_0 && byte <= DIGIT_0 + 9
}

function digit(byte: number | undefined): number {
  return (byte ?? DIGIT_0) - DIGIT_0
}
