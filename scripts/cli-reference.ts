/**
 * Writes the reference of all commands from the command tables of the three programs.
 * `node scripts/cli-reference.ts` writes `docs/reference/cli.md`; with `--print` the page goes to standard output.
 */

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { exitCode } from '../src/cli/common/exit.ts'
import type { ArgumentSpec, CommandSpec, OptionSpec, ProgramSpec } from '../src/cli/common/spec.ts'
import { tctlProgram } from '../src/cli/tctl/program.ts'
import { teleportProgram } from '../src/cli/teleport/program.ts'
import { tshProgram } from '../src/cli/tsh/program.ts'

const programs: readonly ProgramSpec[] = [teleportProgram, tctlProgram, tshProgram]

const introduction = `# Command line reference

Generated from the command tables by \`node scripts/cli-reference.ts\`. \`PROGRAM help COMMAND\` and \`COMMAND --help\` print the same.

Options of a program stand before the command or after it. A value follows its option as \`--ttl=8h\` or \`--ttl 8h\`. Durations: \`1h30m\`, \`45s\`, \`7d\`.
What a program answers goes to standard output, everything else to standard error. Exit codes: ${exitCode.ok} done; ${exitCode.failure} failed or refused; ${exitCode.usage} wrong usage or configuration; ${exitCode.connection}
from \`tsh ssh\` when there was no connection, otherwise the code of the remote command.
`

/** In a table cell, the bar would end the cell. */
const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('<', '&lt;')

const visible = <T extends { readonly hidden?: boolean }>(all: readonly T[] = []): readonly T[] =>
  all.filter((one) => one.hidden !== true)

const argument = ({ name, required, variadic }: ArgumentSpec): string => {
  const shown = variadic === true ? `${name}...` : name
  return required === true ? `<${shown}>` : `[${shown}]`
}

function table(title: string, options: readonly OptionSpec[]): readonly string[] {
  if (options.length === 0) return []
  const rows = options.map(({ flags, description, choices, repeat }) => {
    const more = [
      ...(choices === undefined ? [] : [`one of ${choices.map((choice) => `\`${choice}\``).join(', ')}`]),
      ...(repeat === true ? ['may be repeated'] : []),
    ]
    return `| \`${flags.replaceAll('|', '\\|')}\` | ${[cell(description), ...more].join('; ')} |`
  })
  return [`| ${title} | |`, '|---|---|', ...rows, '']
}

function describe(path: string, command: CommandSpec): readonly string[] {
  const commands = visible(command.commands)
  if (commands.length > 0) return commands.flatMap((child) => describe(`${path} ${command.name}`, child))
  const options = visible(command.options)
  const usage = [path, command.name, ...(options.length > 0 ? ['[options]'] : [])]
  const argumentRows = (command.arguments ?? []).map((one) => ({ flags: argument(one), description: one.description }))
  return [
    `### ${path} ${command.name}`,
    `${command.summary}.${aliases(command)}`,
    '```',
    [...usage, ...(command.arguments ?? []).map(argument)].join(' '),
    '```',
    ...table('argument', argumentRows),
    ...table('option', options),
    ...(command.examples === undefined ? [] : ['Examples:', '```sh', ...command.examples, '```']),
    '',
  ]
}

const aliases = ({ aliases = [] }: CommandSpec): string =>
  aliases.length === 0 ? '' : ` Also: ${aliases.map((alias) => `\`${alias}\``).join(', ')}.`

/** What stands in `docs/reference/cli.md`. */
export function cliReference(): string {
  const sections = programs.flatMap((program) => [
    `## ${program.name}`,
    program.summary,
    '',
    ...table('option of every command', visible(program.globalOptions)),
    ...visible(program.commands).flatMap((command) => describe(program.name, command)),
  ])
  return `${[introduction, ...sections].join('\n').trimEnd()}\n`
}

if (import.meta.main) {
  const [flag] = process.argv.slice(2)
  if (flag === '--print') process.stdout.write(cliReference())
  else if (flag === undefined) await writeFile(join(import.meta.dirname, '../docs/reference/cli.md'), cliReference())
  else {
    process.stderr.write('usage: node scripts/cli-reference.ts [--print]\n')
    process.exitCode = 2
  }
}
