/** `play` and `recordings` in the table of commands. */

import { formatOption } from '../../common/output.ts'
import type { CommandSpec } from '../../common/spec.ts'
import { exportOptions, listOptions } from './options.ts'

export const playCommand: CommandSpec = {
  name: 'play',
  summary: 'Play the recording of a session, or write it as text',
  arguments: [{ name: 'recording', description: 'id of the session, or an asciicast file', required: true }],
  options: [
    { flags: '--speed <factor>', description: 'how much faster than it was; default: 1' },
    { flags: '--skip-idle-time', description: 'shorten times without output' },
    { flags: '--follow', description: 'go on with what an open session still records' },
    { flags: '--at <time>', description: 'begin there: 90, 1:30 or 1m30s' },
    {
      flags: '-f, --format <format>',
      description: 'write it instead of playing it; default without a terminal: text',
      choices: ['text', 'json', 'cast'],
    },
  ],
  examples: [
    'tsh play 3f1c5f6a-0d6b-4f0e-9d8e-1b2c3d4e5f60',
    'tsh play SID --at=1m30s --speed=2 --skip-idle-time',
    'tsh play session.cast',
    'tsh play SID --format=text | less',
  ],
  load: async () => (await import('../commands/play.ts')).play,
}

export const recordingsCommand: CommandSpec = {
  name: 'recordings',
  summary: 'List and export recordings',
  commands: [
    {
      name: 'ls',
      summary: 'List the recordings that you may see, newest first',
      options: [...listOptions, formatOption],
      examples: [
        'tsh recordings ls',
        'tsh recordings ls --from=24h --node=db-1',
        'tsh recordings ls --search="permission denied"',
        'tsh recordings ls --format=json',
      ],
      load: async () => (await import('../commands/recordings.ts')).recordingsLs,
    },
    {
      name: 'export',
      summary: 'Write a recording into a file',
      arguments: [{ name: 'session', description: 'id of the session', required: true }],
      options: exportOptions,
      examples: [
        'tsh recordings export SID',
        'tsh recordings export SID --out=session.cast && asciinema play session.cast',
        'tsh recordings export SID --format=text --out=-',
      ],
      load: async () => (await import('../commands/recordings.ts')).recordingsExport,
    },
  ],
}
