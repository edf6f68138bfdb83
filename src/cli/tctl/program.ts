/** The commands of `tctl`. */

import { completionCommand } from '../common/completion.ts'
import { formatOption } from '../common/output.ts'
import type { ProgramSpec } from '../common/spec.ts'
import { accessCommand, lockCommand, requestsCommand } from './program/access.ts'
import { auditCommand, recordingsCommand } from './program/evidence.ts'
import { authCommand, nodesCommand, tokensCommand } from './program/machines.ts'
import { createCommand, editCommand, getCommand, rmCommand, updateCommand } from './program/resources.ts'
import { usersCommand } from './program/users.ts'

export const tctlProgram: ProgramSpec = {
  name: 'tctl',
  summary: 'Teleport for its administrators. Runs on the auth machine, or anywhere with an identity file.',
  globalOptions: [
    { flags: '-c, --config <file>', description: 'configuration file (TELEPORT_CONFIG_FILE, /etc/teleport.yaml)' },
    { flags: '--auth-server <address>', description: 'address of the auth server' },
    { flags: '-i, --identity <file>', description: 'identity file made by "tctl auth sign --format=file"' },
    { flags: '--insecure', description: 'accepted for old scripts; certificates are always verified' },
    { flags: '-d, --debug', description: 'more words about what happens' },
  ],
  commands: [
    {
      name: 'status',
      summary: 'Show cluster name, version and CA pin',
      options: [formatOption],
      examples: ['tctl status'],
      load: async () => (await import('./commands/status.ts')).status,
    },
    usersCommand,
    nodesCommand,
    tokensCommand,
    authCommand,
    createCommand,
    getCommand,
    rmCommand,
    accessCommand,
    editCommand,
    updateCommand,
    requestsCommand,
    lockCommand,
    auditCommand,
    recordingsCommand,
    {
      name: 'version',
      summary: 'Print the version',
      options: [formatOption],
      load: async () => (await import('../common/version-command.ts')).printVersion,
    },
    completionCommand('tctl'),
  ],
}
