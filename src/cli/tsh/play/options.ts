/** Options of the commands for recordings; apart, so that the table of commands loads nothing else. */

import type { OptionSpec } from '../../common/spec.ts'

export const listOptions: readonly OptionSpec[] = [
  { flags: '--from <time>', description: 'not begun before: 2026-11-20, 2026-11-20T12:00:00Z, or 2h ago as 2h' },
  { flags: '--to <time>', description: 'begun before' },
  { flags: '--user <name>', description: 'only sessions of this user, or where this user took part' },
  { flags: '--node <name>', description: 'only sessions on this node, by name or id' },
  { flags: '--search <text>', description: 'only sessions with these words on their screen or in their command' },
  { flags: '--limit <count>', description: 'at most so many; default: 100' },
]

export const exportOptions: readonly OptionSpec[] = [
  {
    flags: '-o, --out <file>',
    description: 'where to write it, - for standard output; default: SID.cast and the like',
  },
  {
    flags: '-f, --format <format>',
    description: 'cast (asciicast v2, default), text or json',
    choices: ['cast', 'text', 'json'],
  },
  { flags: '--overwrite', description: 'replace an existing file' },
]
