/** The commands of `tsh`. */

import { completionCommand } from '../common/completion.ts'
import { formatOption } from '../common/output.ts'
import type { ProgramSpec } from '../common/spec.ts'
import { globalOptions } from './globals.ts'
import { joinCommand, sessionsCommand } from './live/commands.ts'
import { playCommand, recordingsCommand } from './play/commands.ts'
import { requestCommand } from './request/commands.ts'
import { scpOptionSpecs } from './scp/options.ts'
import { sshOptionSpecs } from './ssh/options.ts'

const clusterOption = { flags: '-c, --cluster <name>', description: 'cluster (TELEPORT_CLUSTER)' } as const

export const tshProgram: ProgramSpec = {
  name: 'tsh',
  summary: 'Teleport for its users: log in, list servers, open sessions.',
  globalOptions,
  commands: [
    {
      name: 'login',
      summary: 'Log in to a cluster and store a certificate',
      arguments: [{ name: 'cluster', description: 'cluster to select' }],
      options: [
        { flags: '-o, --out <file>', description: 'write the identity to a file instead of ~/.tsh' },
        { flags: '--format <format>', description: 'form of --out', choices: ['file', 'openssh'] },
        { flags: '--overwrite', description: 'replace the file named by --out' },
        {
          flags: '--request-roles <list>',
          description: 'ask for these roles too, wait for the answer, and go on with them',
        },
        { flags: '--request-reason <text>', description: 'why, for those who decide' },
        { flags: '--request-id <id>', description: 'go on with a request that was made before' },
      ],
      examples: [
        'tsh login --proxy=teleport.example.com --user=alice',
        'tsh login --proxy=teleport.example.com:3080,3023 --ttl=8h',
        'tsh login --proxy=teleport.example.com --out=identity --format=file',
        'tsh login --request-roles=dba --request-reason="ticket 4711"',
      ],
      load: async () => (await import('./commands/login.ts')).login,
    },
    {
      name: 'logout',
      summary: 'Remove keys and certificates from disk and from the ssh-agent',
      examples: ['tsh logout', 'tsh logout --proxy=teleport.example.com'],
      load: async () => (await import('./commands/logout.ts')).logout,
    },
    {
      name: 'status',
      summary: 'Show who is logged in where, and until when',
      options: [formatOption],
      examples: ['tsh status', 'tsh status --format=json'],
      load: async () => (await import('./commands/status.ts')).status,
    },
    {
      name: 'env',
      summary: 'Print the environment variables of the current login',
      options: [{ flags: '--unset', description: 'print commands that remove them' }],
      examples: ['eval $(tsh env)', 'eval $(tsh env --unset)'],
      load: async () => (await import('./commands/env.ts')).env,
    },
    {
      name: 'clusters',
      summary: 'List the clusters that can be reached',
      options: [formatOption, { flags: '-q, --quiet', description: 'names only' }],
      examples: ['tsh clusters'],
      load: async () => (await import('./commands/clusters.ts')).clusters,
    },
    {
      name: 'ls',
      summary: 'List the nodes you may reach',
      arguments: [{ name: 'labels', description: 'only nodes with these labels: env=prod,tier=db' }],
      options: [
        { flags: '-v, --verbose', description: 'show node ids and the logins you may use, too' },
        { flags: '--query <text>', description: 'only nodes whose name, address or labels contain the text' },
        clusterOption,
        formatOption,
      ],
      examples: ['tsh ls', 'tsh ls env=prod', 'tsh ls --query=db -v', 'tsh ls --format=json'],
      load: async () => (await import('./commands/ls.ts')).ls,
    },
    {
      name: 'ssh',
      summary: 'Open a shell on a node or run a command there',
      arguments: [
        { name: 'host', description: '[user@]host, or label=value for every node that matches', required: true },
        { name: 'command', description: 'command to run instead of a shell', variadic: true },
      ],
      options: sshOptionSpecs,
      passThrough: true,
      examples: [
        'tsh ssh root@db-1',
        'tsh ssh db-1 uptime',
        'tsh ssh -L 5432:localhost:5432 -N db-1',
        'tsh ssh env=prod systemctl is-active nginx',
        'tsh ssh --trace db-1 true',
      ],
      load: async () => (await import('./commands/ssh.ts')).ssh,
    },
    {
      name: 'scp',
      summary: 'Copy files to, from and between nodes',
      arguments: [
        { name: 'source', description: 'PATH here or [user@]host:PATH, then the target', required: true },
        { name: 'more', description: 'more sources; the last word is the target', variadic: true, required: true },
      ],
      options: scpOptionSpecs,
      examples: [
        'tsh scp report.pdf root@db-1:/tmp/',
        "tsh scp -rp root@db-1:'/var/log/nginx/*.log' logs/",
        'tsh scp root@db-1:/etc/hosts root@db-2:/etc/hosts',
      ],
      load: async () => (await import('./commands/scp.ts')).scp,
    },
    requestCommand,
    sessionsCommand,
    joinCommand,
    playCommand,
    recordingsCommand,
    {
      name: 'config',
      summary: 'Print the OpenSSH configuration for plain ssh',
      options: [clusterOption, { flags: '-p, --port <port>', description: 'port of nodes that do not name one' }],
      examples: ['tsh config >> ~/.ssh/config', 'ssh root@db-1.example.com'],
      load: async () => (await import('./commands/config.ts')).config,
    },
    {
      name: 'agent',
      summary: 'Serve the certificate to plain ssh as an ssh-agent',
      options: [
        { flags: '-s, --socket <path>', description: 'socket to listen on' },
        { flags: '-b, --background', description: 'go to the background, until the certificate expires' },
      ],
      examples: ['tsh agent', 'eval $(tsh agent -b)', 'tsh agent --socket=/run/user/1000/tsh.sock'],
      load: async () => (await import('./commands/agent.ts')).agent,
    },
    {
      name: 'passwd',
      summary: 'Change your password',
      examples: ['tsh passwd', 'tsh passwd --proxy=teleport.example.com --user=alice'],
      load: async () => (await import('./commands/passwd.ts')).passwd,
    },
    {
      name: 'mfa',
      summary: 'List, add and remove your second factors, prove one for many sessions',
      commands: [
        {
          name: 'ls',
          summary: 'List your second factors',
          options: [{ flags: '-v, --verbose', description: 'show ids too' }, formatOption],
          examples: ['tsh mfa ls', 'tsh mfa ls --format=json'],
          load: async () => (await import('./commands/mfa.ts')).mfaLs,
        },
        {
          name: 'add',
          summary: 'Add a second factor; one that you have is asked for first',
          options: [
            { flags: '--type <type>', description: 'TOTP (an authenticator app) or WEBAUTHN (a security key)' },
            { flags: '--name <name>', description: 'what you call it' },
          ],
          examples: ['tsh mfa add', 'tsh mfa add --type=WEBAUTHN --name="blue key"'],
          load: async () => (await import('./commands/mfa.ts')).mfaAdd,
        },
        {
          name: 'rm',
          summary: 'Remove a second factor; one that you have is asked for first',
          arguments: [{ name: 'device', description: 'name or id', required: true }],
          examples: ['tsh mfa rm "old phone"'],
          load: async () => (await import('./commands/mfa.ts')).mfaRm,
        },
        {
          name: 'recovery-codes',
          summary: 'Make new recovery codes; the earlier ones are void',
          examples: ['tsh mfa recovery-codes'],
          load: async () => (await import('./commands/mfa.ts')).mfaRecoveryCodes,
        },
        {
          name: 'grant',
          summary: 'Prove a second factor once for sessions on several servers, for tsh, plain ssh and Ansible',
          options: [
            { flags: '--hosts <list>', description: 'servers and labels: db-1,env=staging' },
            { flags: '--ttl <duration>', description: 'for how long: minutes, or 30m, at most what your roles allow' },
          ],
          examples: ['tsh mfa grant --hosts=db-1,db-2 --ttl=30m', 'tsh mfa grant --hosts=env=staging --ttl=1h'],
          load: async () => (await import('./commands/mfa.ts')).mfaGrant,
        },
      ],
    },
    {
      name: 'signup',
      summary: 'Set password and second factor with an invite or reset link',
      arguments: [{ name: 'url', description: 'https://PROXY/web/invite/…', required: true }],
      examples: ['tsh signup https://teleport.example.com:3080/web/invite/0123…'],
      load: async () => (await import('./commands/signup.ts')).signup,
    },
    {
      name: 'version',
      summary: 'Print the version',
      options: [formatOption],
      load: async () => (await import('../common/version-command.ts')).printVersion,
    },
    completionCommand('tsh'),
  ],
}
