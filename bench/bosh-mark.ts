// What a stanza of a BOSH measurement carries in its id: who sent it, its number for whoever gets it, and the moment it was meant
// to be sent. Found again without parsing the XML around it; no server has a reason to write it differently.

const MARK = Buffer.from('hw-')
const DIGIT_0 = 48

export function markOf(from: number, k: number, intendedUs: number): string {
  return `hw-${from}-${k}-${intendedUs}-`
}

/** Calls back for each mark in `bytes`, in order. */
export function scanMarks(bytes: Buffer, take: (from: number, k: number, intendedUs: number) => void): void {
  const numbers = [0, 0, 0]
  for (let at = bytes.indexOf(MARK); at !== -1; at = bytes.indexOf(MARK, at)) {
    at += MARK.length
    for (let i = 0; i < numbers.length; i++) {
      let number = 0
      for (let byte = bytes[at]; byte !== undefined && byte >= DIGIT_0 && byte <= DIGIT_0 + 9; byte = bytes[++at]) {
        number = number * 10 + byte - DIGIT_0
      }
      numbers[i] = number
      // Over the dash.
      at++
    }
    take(numbers[0] ?? 0, numbers[1] ?? 0, numbers[2] ?? 0)
  }
}
