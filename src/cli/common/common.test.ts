import { execFileSync, spawnSync } from 'node:child_process'
import { describe, expect, test } from 'vitest'
import { AccessDenied, BadParameter, MissingParameter } from '../../errors/errors.ts'
import { oldSpellings } from '../tctl/old-spellings.ts'
import { tctlProgram } from '../tctl/program.ts'
import { teleportProgram } from '../teleport/program.ts'
import { tshProgram } from '../tsh/program.ts'
import { completionScript } from './completion.ts'
import { errorLine, exitCodeOf } from './exit.ts'
import { printable, printableLines } from './printable.ts'
import type { CommandSpec } from './spec.ts'
import { shortTime } from './time.ts'

describe('errors at the edge', () => {
  test.each([
    [new BadParameter('x', 'bad'), 2],
    [new MissingParameter('x'), 2],
    [new AccessDenied('no'), 1],
    [new Error('bug'), 1],
  ])('%s', (error, code) => expect(exitCodeOf(error)).toBe(code))
  test('a bug is called one, on one line, without escapes', () => {
    expect(errorLine(new Error('a\n\u001b[2Jb'))).toBe('internal error: a [2Jb')
    expect(errorLine(new AccessDenied('no\u001b]0;title\u0007'))).toBe('no]0;title')
  })
})

describe('text from elsewhere', () => {
  test('loses what a terminal would act on', () => {
    expect(printable('a\u001b[31mb\u0007c\r\nd\u202ee')).toBe('a[31mbcde')
    expect(printableLines('one\r\ntwo\u001b\tthree')).toBe('one\ntwo  three')
  })
})

test('times as scripts know them', () =>
  expect(shortTime(new Date('2026-11-20T15:44:09Z'))).toBe('20 Nov 26 15:44 UTC'))

const programs = [teleportProgram, tctlProgram, tshProgram]
const walk = (commands: readonly CommandSpec[]): readonly CommandSpec[] =>
  commands.flatMap((command) => [command, ...walk(command.commands ?? [])])

describe.each(programs.map((program) => [program.name, program] as const))('%s', (name, program) => {
  test('every command that runs has a summary, and an example unless it is hidden or prints a version', () => {
    for (const command of walk(program.commands)) {
      expect(command.summary, command.name).not.toBe('')
      if (command.load === undefined || command.hidden === true) continue
      if (command.name === 'version') continue
      expect(command.examples?.length ?? 0, `${name} ${command.name}`).toBeGreaterThan(0)
    }
  })

  test('the bash completion is valid and completes commands and flags', () => {
    const script = completionScript(program, 'bash')
    const complete = (...words: string[]) =>
      execFileSync(
        'bash',
        [
          '--norc',
          '-c',
          `${script}\nCOMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}; _${name}_complete; printf '%s\\n' "\${COMPREPLY[@]}"`,
        ],
        { encoding: 'utf8' },
      )
        .trim()
        .split('\n')
    expect(complete(name, 'ver')).toEqual(['version'])
    const [first] = program.commands.filter((command) => (command.options?.length ?? 0) > 0)
    expect(complete(name, first?.name ?? '', '--')).toContain('--help')
    expect(spawnSync('bash', ['-n'], { input: completionScript(program, 'zsh') }).status).toBe(0)
    expect(completionScript(program, 'fish')).toContain(`complete -c ${name} -n __fish_use_subcommand -a version`)
    expect(() => completionScript(program, 'tcsh')).toThrow(BadParameter)
  })
})

describe('old spellings', () => {
  test.each([
    ['authorities --type=user export', 'auth export --type=user'],
    ['authorities export --type=host', 'auth export --type=host'],
    ['-c f authorities --type=user export', '-c f auth export --type=user'],
    ['hostca pubkey', 'auth export --type=host --format=openssh'],
    ['token generate', 'tokens add --type=node --quiet'],
    ['user set_pass -user=alex -pass=x', 'users set_pass --user=alex --pass=x'],
    ['user upsert_key -user alex -keyid k', 'users upsert_key --user alex --keyid k'],
    ['users ls', 'users ls'],
    ['--config', '--config'],
    ['', ''],
  ])('%s', (old, now) => expect(oldSpellings(old.split(' ')).join(' ')).toBe(now))
})
