/** `sessions` and `join` in the table of commands. */

import { formatOption } from '../../common/output.ts'
import type { ArgumentSpec, CommandSpec } from '../../common/spec.ts'

const clusterOption = { flags: '-c, --cluster <name>', description: 'cluster (TELEPORT_CLUSTER)' } as const
const session: ArgumentSpec = { name: 'session', description: 'id of the session', required: true }

export const sessionsCommand: CommandSpec = {
  name: 'sessions',
  summary: 'List open sessions, go on with one of yours, end one as its moderator',
  commands: [
    {
      name: 'ls',
      summary: 'List your open sessions and those you may join',
      options: [clusterOption, formatOption],
      examples: ['tsh sessions ls', 'tsh sessions ls --format=json'],
      load: async () => (await import('../commands/sessions.ts')).sessionsLs,
    },
    {
      name: 'attach',
      summary: 'Go on with a session of yours whose connection was lost',
      arguments: [session],
      options: [clusterOption],
      examples: ['tsh sessions attach 3f1c5f6a-0d6b-4f0e-9d8e-1b2c3d4e5f60'],
      load: async () => (await import('../commands/sessions.ts')).sessionsAttach,
    },
    {
      name: 'end',
      summary: 'End a session that you may moderate',
      arguments: [session],
      options: [clusterOption],
      examples: ['tsh sessions end 3f1c5f6a-0d6b-4f0e-9d8e-1b2c3d4e5f60'],
      load: async () => (await import('../commands/sessions.ts')).sessionsEnd,
    },
  ],
}

export const joinCommand: CommandSpec = {
  name: 'join',
  summary: 'Join an open session',
  arguments: [session],
  options: [
    {
      flags: '-m, --mode <mode>',
      description: 'peer types, observer watches, moderator watches, pauses and ends',
      choices: ['peer', 'observer', 'moderator'],
    },
    clusterOption,
  ],
  examples: [
    'tsh join 3f1c5f6a-0d6b-4f0e-9d8e-1b2c3d4e5f60',
    'tsh join SID --mode=observer',
    'tsh join SID --mode=moderator',
  ],
  load: async () => (await import('../commands/join.ts')).join,
}
