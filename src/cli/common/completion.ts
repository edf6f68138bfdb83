/** Shell completion scripts, generated from the command table. They name words only: nothing is executed on TAB. */

import { BadParameter } from '../../errors/errors.ts'
import type { CommandRun, CommandSpec, OptionSpec, ProgramSpec } from './spec.ts'

export const shells = ['bash', 'zsh', 'fish'] as const

/** The `completion` command, the same in every program. */
export const completionCommand = (program: string): CommandSpec => ({
  name: 'completion',
  summary: 'Print the completion script for a shell',
  arguments: [{ name: 'shell', description: 'bash, zsh or fish', required: true, choices: shells }],
  examples: [
    `source <(${program} completion bash)`,
    `${program} completion fish > ~/.config/fish/completions/${program}.fish`,
  ],
  load: async () => printCompletion,
})

const printCompletion: CommandRun = async ({ args, program }) => {
  process.stdout.write(completionScript(program, args[0] ?? ''))
  return 0
}

/** The script's text. Throws BadParameter for a shell it does not know. */
export function completionScript(program: ProgramSpec, shell: string): string {
  switch (shell) {
    case 'bash':
      return bashScript(program)
    case 'zsh':
      return `#compdef ${program.name}\nautoload -U +X bashcompinit && bashcompinit\n${bashScript(program)}`
    case 'fish':
      return fishScript(program)
    default:
      throw new BadParameter('shell', `unknown shell ${shell}: use ${shells.join(', ')}`)
  }
}

const longFlags = (options: readonly OptionSpec[]): string[] =>
  options.filter((option) => option.hidden !== true).flatMap((option) => option.flags.match(/--[\w-]+/g) ?? [])

/** Every command path with the words that may follow it. */
function paths(program: ProgramSpec): Map<string, string[]> {
  const found = new Map<string, string[]>()
  const walk = (path: string, commands: readonly CommandSpec[], options: readonly OptionSpec[]) => {
    const names = commands.filter((command) => command.hidden !== true).map((command) => command.name)
    found.set(path, [...names, ...longFlags(options), ...longFlags(program.globalOptions), '--help'])
    for (const command of commands) walk(`${path} ${command.name}`, command.commands ?? [], command.options ?? [])
  }
  walk(program.name, program.commands, [])
  return found
}

function bashScript(program: ProgramSpec): string {
  const cases = [...paths(program)].map(([path, words]) => `    '${path}') words='${words.join(' ')}' ;;`)
  return `_${program.name}_complete() {
  local current=\${COMP_WORDS[COMP_CWORD]} path='${program.name}' words='' known word i
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    case $word in -*) continue ;; esac
    known="$path $word"
    case $known in
${[...paths(program).keys()]
  .slice(1)
  .map((path) => `      '${path}') path=$known ;;`)
  .join('\n')}
    esac
  done
  case $path in
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _${program.name}_complete ${program.name}
`
}

function fishScript(program: ProgramSpec): string {
  const quote = (text: string) => `'${text.replaceAll("'", "\\'")}'`
  const lines = [`complete -c ${program.name} -f`]
  for (const command of program.commands.filter((each) => each.hidden !== true)) {
    lines.push(`complete -c ${program.name} -n __fish_use_subcommand -a ${command.name} -d ${quote(command.summary)}`)
    const inside = `-n '__fish_seen_subcommand_from ${command.name}'`
    for (const child of command.commands ?? []) {
      lines.push(`complete -c ${program.name} ${inside} -a ${child.name} -d ${quote(child.summary)}`)
    }
    for (const option of command.options ?? []) {
      const long = option.flags.match(/--([\w-]+)/)?.[1]
      if (long !== undefined)
        lines.push(`complete -c ${program.name} ${inside} -l ${long} -d ${quote(option.description)}`)
    }
  }
  return `${lines.join('\n')}\n`
}
