// As much of a Dockerfile and of a .dockerignore as ours use, read the way Docker reads them.

export interface Instruction {
  readonly name: string
  /** `--from=build` is `from: 'build'`. */
  readonly flags: Readonly<Record<string, string>>
  readonly text: string
  /** In exec form the words of the array, else undefined. */
  readonly exec: readonly string[] | undefined
}

/** The first element is what is before the first FROM, each other one a stage that begins with its FROM. */
export function readDockerfile(text: string): Instruction[][] {
  const stages: Instruction[][] = [[]]
  const lines = text.split('\n').filter((line) => !/^\s*(#|$)/.test(line))
  for (const line of lines.join('\n').replaceAll(/\\\n/g, ' ').split('\n')) {
    const instruction = readInstruction(line)
    if (instruction.name === 'FROM') stages.push([])
    stages.at(-1)?.push(instruction)
  }
  return stages
}

function readInstruction(line: string): Instruction {
  const [, name = '', rest = ''] = /^\s*(\w+)\s+(.*)$/s.exec(line) ?? []
  const flags: Record<string, string> = {}
  let text = rest.trim()
  for (let flag = FLAG.exec(text); flag !== null; flag = FLAG.exec(text)) {
    flags[flag[1] ?? ''] = flag[2] ?? ''
    text = text.slice(flag[0].length)
  }
  return { name: name.toUpperCase(), flags, text, exec: readExec(text.replace(/^CMD /, '')) }
}

const FLAG = /^--([a-z-]+)=(\S*)\s+/

function readExec(text: string): string[] | undefined {
  return text.startsWith('[') ? (JSON.parse(text) as string[]) : undefined
}

/** `KEY=value KEY="a value"`, as LABEL and ENV have it. */
export function readPairs(text: string): Map<string, string> {
  const pairs = [...text.matchAll(/([^\s=]+)=(?:"([^"]*)"|(\S*))/g)]
  return new Map(pairs.map(([, key = '', quoted, plain]) => [key, quoted ?? plain ?? '']))
}

/** Whether a file of the context is left out. The last pattern that matches the file or a folder it is in decides. */
export function dockerIgnore(text: string): (path: string) => boolean {
  const patterns = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => ({ leavesOut: !line.startsWith('!'), pattern: toRegExp(line.replace(/^!/, '')) }))
  return (path) => patterns.findLast(({ pattern }) => pattern.test(path))?.leavesOut ?? false
}

function toRegExp(pattern: string): RegExp {
  const body = pattern
    .replaceAll(/[.+^$()|{}]/g, '\\$&')
    .replaceAll(/\*\*\/|\*\*|\*|\?/g, (glob) => ({ '**/': '(?:.*/)?', '**': '.*', '*': '[^/]*' })[glob] ?? '[^/]')
  return new RegExp(`^${body}(?:/.*)?$`)
}
