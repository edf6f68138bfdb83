/** The commands of `teleport`. */

import { completionCommand } from '../common/completion.ts'
import { formatOption } from '../common/output.ts'
import type { ProgramSpec } from '../common/spec.ts'

export const teleportProgram: ProgramSpec = {
  name: 'teleport',
  summary: 'The Teleport services: auth, proxy and node.',
  globalOptions: [{ flags: '-d, --debug', description: 'log more' }],
  commands: [
    {
      name: 'start',
      summary: 'Start the services of this machine',
      options: [
        { flags: '-c, --config <file>', description: 'configuration file (TELEPORT_CONFIG_FILE, /etc/teleport.yaml)' },
        { flags: '-r, --roles <list>', description: 'auth, proxy, node; comma-separated; default: all' },
        { flags: '--token <token>', description: 'join token, or a file that holds it (TELEPORT_SSH_TOKEN)' },
        { flags: '--ca-pin <pin>', description: 'sha256:HEX of the authority to join', repeat: true },
        { flags: '--auth-server <address>', description: 'auth server to join', repeat: true },
        { flags: '--nodename <name>', description: 'name of this machine in the cluster; default: the host name' },
        { flags: '--labels <list>', description: 'labels of the node: k=v,…' },
        { flags: '--advertise-ip <ip>', description: 'address that others reach this machine by' },
        { flags: '-l, --listen-ip <ip>', description: 'listen on this address only' },
        { flags: '--pid-file <file>', description: 'write the process id there' },
        { flags: '--diag-addr <address>', description: 'serve /healthz, /readyz and /metrics there' },
        { flags: '--bootstrap <file>', description: 'first start only: resources that the cluster begins with' },
        { flags: '--insecure', description: 'accepted for old scripts; certificates are always verified' },
      ],
      examples: [
        'teleport start',
        'teleport start --config=/etc/teleport.yaml',
        'teleport start --roles=node --token=T --ca-pin=sha256:… --auth-server=auth.example.com:3025',
      ],
      load: async () => (await import('./commands/start.ts')).start,
    },
    {
      name: 'configure',
      summary: 'Print a sample configuration file, or check one',
      options: [
        { flags: '--cluster-name <name>', description: 'name of the cluster' },
        { flags: '--test <file>', description: 'check this file instead' },
      ],
      examples: ['teleport configure > /etc/teleport.yaml', 'teleport configure --test=/etc/teleport.yaml'],
      load: async () => (await import('./commands/configure.ts')).configure,
    },
    {
      name: 'status',
      summary: 'Inside a session: who is logged in where',
      options: [formatOption],
      examples: ['teleport status'],
      load: async () => (await import('./commands/status.ts')).status,
    },
    {
      name: 'version',
      summary: 'Print the version',
      options: [formatOption],
      load: async () => (await import('../common/version-command.ts')).printVersion,
    },
    completionCommand('teleport'),
  ],
}
