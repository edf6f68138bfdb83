/** What commands print: text for people, JSON and YAML for programs. */

import type { OptionSpec } from './spec.ts'

export type Format = 'text' | 'json' | 'yaml'

export const formatOption: OptionSpec = {
  flags: '-f, --format <format>',
  description: 'output format',
  choices: ['text', 'json', 'yaml'],
}

/** Prints `value` in the format, or `text()` for people. */
export async function print(format: string | undefined, value: unknown, text: () => string): Promise<void> {
  if (format === 'json') process.stdout.write(`${JSON.stringify(value, undefined, 2)}\n`)
  else if (format === 'yaml') {
    const { toYaml } = await import('./to-yaml.ts')
    process.stdout.write(toYaml(value))
  } else process.stdout.write(text())
}
