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

function scpCommand(args: readonly string[]): ScpCommand | undefined {
  let flags = ''
  let at = 0
  for (; at < args.length; at++) {
    const word = args[at] ?? ''
    if (word === '--') {
      at++
      break
    }
    if (!word.startsWith('-') || word === '-') break
    flags += word.slice(1)
  }
  const upload = flags.includes('t')
  if (!upload && !flags.includes('f')) return undefined
  return {
    kind: 'scp',
    direction: upload ? 'upload' : 'download',
    recursive: flags.includes('r'),
    intoDirectory: flags.includes('d'),
    paths: args.slice(at),
  }
}
