// Values of options as they are on the command line. Each throws an Error with a sentence for the user.

export function oneOf<const T extends string>(name: string, text: string, choices: readonly T[]): T {
  const choice = choices.find((one) => one === text)
  if (choice === undefined) throw new Error(`${name}: one of ${choices.join(', ')}`)
  return choice
}

export function listOf<const T extends string>(name: string, text: string, choices: readonly T[]): T[] {
  return [...new Set(text.split(',').map((one) => oneOf(name, one.trim(), choices)))]
}

export function integer(name: string, text: string, min: number, max: number): number {
  const value = Number(text)
  if (!/^\d+$/.test(text) || value < min || value > max) throw new Error(`${name}: a whole number from ${min} to ${max}`)
  return value
}
