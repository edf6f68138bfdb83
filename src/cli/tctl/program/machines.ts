/** Commands about machines: nodes, join tokens, and the authorities that all of them trust. */

import { formatOption } from '../../common/output.ts'
import type { CommandSpec, OptionSpec } from '../../common/spec.ts'

const ttl: OptionSpec = { flags: '--ttl <duration>', description: 'lifetime: 1h, 30m (a bare number means minutes)' }
const tokens = () => import('../commands/tokens.ts')
const auth = () => import('../commands/auth.ts')

const tokenOptions: readonly OptionSpec[] = [
  ttl,
  { flags: '--labels <list>', description: 'labels k=v,… kept with the token' },
  { flags: '-q, --quiet', description: 'print only the token' },
  formatOption,
]

export const nodesCommand: CommandSpec = {
  name: 'nodes',
  summary: 'Manage nodes',
  commands: [
    {
      name: 'add',
      summary: 'Make an invite token for a machine and print how to start it',
      options: [
        { flags: '--roles <list>', description: 'node, proxy, auth; comma-separated; default: node' },
        { flags: '--token <value>', description: 'use this token; default: a random one' },
        ...tokenOptions,
      ],
      examples: ['tctl nodes add', 'tctl nodes add --roles=node,proxy --ttl=10m'],
      load: async () => (await tokens()).nodesAdd,
    },
    {
      name: 'ls',
      summary: 'List the nodes of the cluster',
      options: [{ flags: '-v, --verbose', description: 'accepted for old scripts' }, formatOption],
      examples: ['tctl nodes ls', 'tctl nodes ls --format=json'],
      load: async () => (await import('../commands/nodes.ts')).nodesLs,
    },
  ],
}

export const tokensCommand: CommandSpec = {
  name: 'tokens',
  summary: 'Manage join tokens',
  aliases: ['token'],
  commands: [
    {
      name: 'add',
      summary: 'Make a join token',
      options: [
        { flags: '--type <list>', description: 'node, proxy, auth; comma-separated', repeat: true },
        { flags: '--value <token>', description: 'use this token; default: a random one' },
        ...tokenOptions,
      ],
      examples: ['tctl tokens add --type=node', 'tctl tokens add --type=node,proxy --ttl=5m'],
      load: async () => (await tokens()).tokensAdd,
    },
    {
      name: 'ls',
      summary: 'List join tokens and pending invites',
      options: [formatOption],
      examples: ['tctl tokens ls'],
      load: async () => (await tokens()).tokensLs,
    },
    {
      name: 'rm',
      summary: 'Revoke a token or an invite',
      aliases: ['del'],
      arguments: [{ name: 'token', description: 'the token, or its abbreviation in the listing', required: true }],
      examples: ['tctl tokens rm 2f8a…'],
      load: async () => (await tokens()).tokensRm,
    },
  ],
}

export const authCommand: CommandSpec = {
  name: 'auth',
  summary: 'Certificate authorities',
  commands: [
    {
      name: 'export',
      summary: 'Print the public keys of the authorities',
      options: [
        { flags: '--type <type>', description: 'which authority; default: both', choices: ['user', 'host'] },
        { flags: '--fingerprint <fingerprint>', description: 'only the key with this SHA256 fingerprint' },
        {
          flags: '--format <format>',
          description: 'teleport (default), or openssh for the bare key',
          choices: ['teleport', 'openssh'],
        },
      ],
      examples: [
        'tctl auth export --type=host >> ~/.ssh/known_hosts',
        "tctl auth export --type=user | sed 's/cert-authority //' > /etc/ssh/teleport_user_ca.pub",
      ],
      load: async () => (await auth()).authExport,
    },
    {
      name: 'sign',
      summary: 'Sign a certificate for a user or an OpenSSH host',
      options: [
        { flags: '--user <name>', description: 'user the certificate is for' },
        { flags: '--host <names>', description: 'host names and addresses, comma-separated' },
        { flags: '--format <format>', description: 'file (default) or openssh', choices: ['file', 'openssh'] },
        { flags: '-o, --out <path>', description: 'where to write it' },
        { flags: '--key <file>', description: 'sign this public key; the private half stays where it is' },
        ttl,
        { flags: '--overwrite', description: 'replace existing files' },
      ],
      examples: [
        'tctl auth sign --user=alice --format=openssh --out=alice',
        'tctl auth sign --user=jenkins --format=file --out=jenkins.pem --ttl=8h',
        'tctl auth sign --host=db-1,db-1.example.com --format=openssh --out=db-1',
        'tctl auth sign --user=alice --key=id_ed25519.pub --format=openssh --out=id_ed25519',
      ],
      load: async () => (await auth()).authSign,
    },
    {
      name: 'rotate',
      summary: 'Replace the keys of the authorities',
      options: [
        { flags: '--type <type>', description: 'which authority; default: both', choices: ['user', 'host'] },
        {
          flags: '--grace-period <duration>',
          description: 'how long the old one is still trusted, default 30h; 0: no longer than now',
        },
        { flags: '--manual', description: 'one phase at a time, each when it is asked for' },
        {
          flags: '--phase <phase>',
          description: 'the phase to go to, with --manual; default: init',
          choices: ['init', 'update_clients', 'update_servers', 'standby', 'rollback'],
        },
        { flags: '--force', description: 'end it though machines are left that have not followed' },
      ],
      examples: [
        'tctl auth rotate',
        'tctl auth rotate --type=host --grace-period=8h',
        'tctl auth rotate --type=user --manual --phase=init',
        'tctl auth rotate --type=user --manual --phase=rollback',
      ],
      load: async () => (await import('../commands/rotate.ts')).authRotate,
    },
  ],
}
