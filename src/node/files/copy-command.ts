/** Commands that copy files: the far ends of `scp`, `sftp -s` and `rsync`. */

import { posix } from 'node:path'
import { shellWords } from './shell-words.ts'

export interface ScpCommand {
  readonly kind: 'scp'
  /** Seen from the client. */
  readonly direction: 'upload' | 'download'
  readonly recursive: boolean
  /** `-d`: the target must be a directory. */
  readonly intoDirectory: boolean
  readonly paths: readonly string[]
}

export type CopyCommand = ScpCommand | { readonly kind: 'sftp' } | { readonly kind: 'rsync' }

const assignment = /^[A-Za-z_][A-Za-z0-9_]*=/

/** Undefined for everything else. A shell can move bytes in ways that nobody can list; this names the ways of the usual tools. */
export function copyCommand(command: string): CopyCommand | undefined {
  const words = shellWords(command)
  const first = words.findIndex((word) => !assignment.test(word))
  const args = words.slice(first + 1)
  switch (posix.basename(words[first] ?? '')) {
    case 'scp':
      return scpCommand(args)
    case 'sftp-server':
      return { kind: 'sftp' }
    case 'rsync':
      return args.includes('--server') ? { kind: 'rsync' } : undefined
    default:
      return undefined
  }
}

/** Options of scp with a value: its letters mean nothing here. */
const takeValue = new Set('cDFiJloPSX')

function scpCommand(args: readonly string[]): ScpCommand | undefined {
  const flags = new Set<string>()
  let at = 0
  for (; at < args.length; at++) {
    const word = args[at] ?? ''
    if (word === '--') {
      at++
      break
    }
    if (!word.startsWith('-') || word === '-') break
    const value = [...word].findIndex((letter, index) => index > 0 && takeValue.has(letter))
    for (const letter of word.slice(1, value < 0 ? undefined : value)) flags.add(letter)
    // The value is the next word when it does not follow the letter.
    if (value === word.length - 1) at++
  }
  const upload = flags.has('t')
  if (!upload && !flags.has('f')) return undefined
  return {
    kind: 'scp',
    direction: upload ? 'upload' : 'download',
    recursive: flags.has('r'),
    intoDirectory: flags.has('d'),
    paths: args.slice(at),
  }
}
