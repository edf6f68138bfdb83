/** The commands of `tctl`. */

import { completionCommand } from '../common/completion.ts'
import { formatOption } from '../common/output.ts'
import type { CommandSpec, OptionSpec, ProgramSpec } from '../common/spec.ts'
import { exportOptions, listOptions } from '../tsh/play/options.ts'

const ttl: OptionSpec = { flags: '--ttl <duration>', description: 'lifetime: 1h, 30m (a bare number means minutes)' }
const users = () => import('./commands/users.ts')
const tokens = () => import('./commands/tokens.ts')
const auth = () => import('./commands/auth.ts')
const recordings = () => import('./commands/recordings.ts')
const resources = () => import('./commands/resources.ts')
const confirm: OptionSpec = { flags: '--confirm', description: 'change also what the configuration file says' }
const nameArgument = { name: 'name', description: 'user name', required: true } as const

const usersCommand: CommandSpec = {
  name: 'users',
  summary: 'Manage users',
  commands: [
    {
      name: 'add',
      summary: 'Create a user and print the invite link',
      arguments: [nameArgument, { name: 'logins', description: 'OS logins, comma-separated' }],
      options: [
        { flags: '--logins <list>', description: 'OS logins, comma-separated; default: the user name' },
        { flags: '--roles <list>', description: 'roles, comma-separated; default: access' },
        ttl,
        formatOption,
      ],
      examples: ['tctl users add alice root,ubuntu', 'tctl users add bob --roles=access,editor --logins=bob --ttl=8h'],
      load: async () => (await users()).add,
    },
    {
      name: 'ls',
      summary: 'List users',
      options: [formatOption],
      examples: ['tctl users ls', 'tctl users ls --format=json'],
      load: async () => (await users()).ls,
    },
    {
      name: 'update',
      summary: 'Change roles or logins of a user',
      arguments: [nameArgument],
      options: [
        { flags: '--set-roles <list>', description: 'roles, comma-separated' },
        { flags: '--set-logins <list>', description: 'OS logins, comma-separated' },
      ],
      examples: [
        'tctl users update alice --set-roles=access,auditor',
        'tctl users update alice --set-logins=alice,root',
      ],
      load: async () => (await users()).update,
    },
    {
      name: 'reset',
      summary: 'Forget password and second factor; print a link for setting new ones',
      arguments: [nameArgument],
      options: [ttl, formatOption],
      examples: ['tctl users reset alice --ttl=1h'],
      load: async () => (await users()).reset,
    },
    {
      name: 'rm',
      summary: 'Remove users',
      arguments: [{ name: 'names', description: 'user names, comma-separated', required: true }],
      examples: ['tctl users rm alice', 'tctl users rm alice,bob'],
      load: async () => (await users()).rm,
    },
    {
      name: 'set-password',
      summary: 'Set the password of a user; it is read from standard input',
      arguments: [nameArgument],
      examples: ['tctl users set-password alice < password.txt'],
      load: async () => (await users()).setUserPassword,
    },
    {
      name: 'set_pass',
      summary: 'Old spelling of set-password, with the password in the arguments',
      hidden: true,
      options: [
        { flags: '--user <name>', description: 'user name' },
        { flags: '--pass <password>', description: 'password (visible to everyone on this machine)' },
      ],
      load: async () => (await users()).oldSetPass,
    },
    {
      name: 'upsert_key',
      summary: 'Old spelling: sign the public key on standard input for a user',
      hidden: true,
      options: [
        { flags: '--user <name>', description: 'user name' },
        { flags: '--keyid <id>', description: 'ignored: the key id of a certificate is the user name' },
      ],
      load: async () => (await auth()).oldUpsertKey,
    },
  ],
}

const accessCommand: CommandSpec = {
  name: 'access',
  summary: 'Explain who may log in where, and try roles out',
  commands: [
    {
      name: 'explain',
      summary: 'Show whether a user may log in, which rule decides, and what each of their roles says',
      arguments: [
        { name: 'user', description: 'user name', required: true },
        { name: 'target', description: 'LOGIN@NODE; the node by name or uuid', required: true },
      ],
      options: [formatOption],
      examples: ['tctl access explain alice root@db-1', 'tctl access explain alice root@db-1 --format=json'],
      load: async () => (await import('./access/explain.ts')).explain,
    },
    {
      name: 'simulate',
      summary:
        'Show what roles would change: who would gain or lose which login, and which past sessions; nothing is changed',
      arguments: [
        { name: 'file', description: 'file with one or more roles, or - for standard input', required: true },
      ],
      options: [
        { flags: '--from <time>', description: 'judge logins since then: 2026-11-20, or 2h ago as 2h; default: 30d' },
        {
          flags: '--user <names>',
          description: 'as if these users had the roles, too; several with commas',
          repeat: true,
        },
        formatOption,
      ],
      examples: ['tctl access simulate dev.yaml', 'tctl access simulate dev.yaml --user=alice --from=7d --format=json'],
      load: async () => (await import('./access/simulate.ts')).simulateRoles,
    },
  ],
}

const requests = () => import('./commands/requests.ts')
const requestIds = { name: 'ids', description: 'ids of requests, separated by commas', required: true } as const
const requestReason: OptionSpec = { flags: '--reason <text>', description: 'why, for the person who asked' }

const requestsCommand: CommandSpec = {
  name: 'requests',
  summary: 'Requests for roles',
  aliases: ['request'],
  commands: [
    {
      name: 'ls',
      summary: 'List requests, newest first',
      options: [formatOption],
      examples: ['tctl requests ls', 'tctl requests ls --format=json'],
      load: async () => (await requests()).requestsLs,
    },
    {
      name: 'get',
      summary: 'Show requests',
      aliases: ['show'],
      arguments: [requestIds],
      options: [formatOption],
      examples: ['tctl requests get 3f1c5f6a-0d6b-4f0e-9d8e-1b2c3d4e5f60 --format=json'],
      load: async () => (await requests()).requestsGet,
    },
    {
      name: 'approve',
      summary: 'Grant requests, whoever else would have to agree',
      arguments: [requestIds],
      options: [
        { flags: '--roles <list>', description: 'only these of the roles' },
        requestReason,
        { flags: '--annotations <list>', description: 'NAME=VALUE,… kept with the decision' },
      ],
      examples: ['tctl requests approve 3f1c5f6a-0d6b-4f0e-9d8e-1b2c3d4e5f60 --reason="on call"'],
      load: async () => (await requests()).requestsApprove,
    },
    {
      name: 'deny',
      summary: 'Refuse requests, or take back what was granted',
      arguments: [requestIds],
      options: [requestReason, { flags: '--annotations <list>', description: 'NAME=VALUE,… kept with the decision' }],
      examples: ['tctl requests deny 3f1c5f6a-0d6b-4f0e-9d8e-1b2c3d4e5f60 --reason="not today"'],
      load: async () => (await requests()).requestsDeny,
    },
    {
      name: 'create',
      summary: 'Ask for roles on behalf of a user',
      arguments: [nameArgument],
      options: [
        { flags: '--roles <list>', description: 'roles, comma-separated' },
        { flags: '--reason <text>', description: 'why' },
        formatOption,
      ],
      examples: ['tctl requests create alice --roles=dba --reason="ticket 4711"'],
      load: async () => (await requests()).requestsCreate,
    },
    {
      name: 'review',
      summary: 'Review a request on behalf of a user',
      arguments: [{ name: 'id', description: 'id of the request', required: true }],
      options: [
        { flags: '--author <name>', description: 'user whose review it is' },
        { flags: '--approve', description: 'in favour' },
        { flags: '--deny', description: 'against' },
        { flags: '--reason <text>', description: 'why' },
      ],
      examples: ['tctl requests review 3f1c5f6a-0d6b-4f0e-9d8e-1b2c3d4e5f60 --author=carol --approve'],
      load: async () => (await requests()).requestsReview,
    },
    {
      name: 'rm',
      summary: 'Remove requests; roles that they gave are gone at once',
      arguments: [requestIds],
      examples: ['tctl requests rm 3f1c5f6a-0d6b-4f0e-9d8e-1b2c3d4e5f60'],
      load: async () => (await requests()).requestsRm,
    },
  ],
}

const eventOptions: readonly OptionSpec[] = [
  { flags: '--from <time>', description: 'not before: 2026-11-20, 2026-11-20T12:00:00Z, or 2h ago as 2h' },
  { flags: '--to <time>', description: 'before this time' },
  { flags: '--type <event>', description: 'only this event, such as user.login; several with commas', repeat: true },
  { flags: '--user <name>', description: 'only events of this user' },
  { flags: '--session <id>', description: 'only events of this session' },
]

const listedEvents: readonly OptionSpec[] = [
  ...eventOptions,
  { flags: '--limit <count>', description: 'at most so many; default 100' },
  { flags: '-v, --verbose', description: 'every field of each event instead of a sentence' },
  formatOption,
]

const tokenOptions: readonly OptionSpec[] = [
  ttl,
  { flags: '--labels <list>', description: 'labels k=v,… kept with the token' },
  { flags: '-q, --quiet', description: 'print only the token' },
  formatOption,
]

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
    {
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
          load: async () => (await import('./commands/nodes.ts')).nodesLs,
        },
      ],
    },
    {
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
    },
    {
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
          load: async () => (await import('./commands/rotate.ts')).authRotate,
        },
      ],
    },
    {
      name: 'create',
      summary: 'Create resources from a YAML or JSON file, several in a file',
      arguments: [{ name: 'file', description: 'file, or - for standard input', required: true }],
      options: [{ flags: '-f, --force', description: 'replace what exists' }, confirm],
      examples: ['tctl create role.yaml', 'tctl create -f role.yaml', 'cat user.yaml | tctl create -'],
      load: async () => (await resources()).create,
    },
    {
      name: 'get',
      summary: 'Print resources as YAML, JSON or a table',
      arguments: [{ name: 'kinds', description: 'KIND[/NAME], several separated by commas; or all', required: true }],
      options: [formatOption, { flags: '--with-secrets', description: 'private keys and password hashes too' }],
      examples: [
        'tctl get roles',
        'tctl get role/access,user/alice',
        'tctl get nodes --format=text',
        'tctl get cert_authority',
        'tctl get semaphores --format=text',
      ],
      load: async () => (await resources()).get,
    },
    {
      name: 'rm',
      summary: 'Remove a resource',
      arguments: [{ name: 'resource', description: 'KIND/NAME', required: true }],
      examples: ['tctl rm role/dev', 'tctl rm user/alice', 'tctl rm node/0f3c…'],
      load: async () => (await resources()).rm,
    },
    accessCommand,
    {
      name: 'edit',
      summary: 'Change a resource in an editor (VISUAL, EDITOR, or vi)',
      arguments: [{ name: 'resource', description: 'KIND/NAME', required: true }],
      options: [confirm],
      examples: ['tctl edit role/dev', 'EDITOR=nano tctl edit user/alice', 'tctl edit cap'],
      load: async () => (await import('./commands/edit.ts')).edit,
    },
    {
      name: 'update',
      summary: 'Change fields of a resource that exists',
      arguments: [{ name: 'resource', description: 'KIND/NAME' }],
      options: [
        { flags: '--set <field=value>', description: 'set this field; the value is YAML', repeat: true },
        { flags: '--set-labels <list>', description: 'the labels k=v,… instead of those it has' },
        { flags: '--set-ttl <duration>', description: 'expires after this time' },
        { flags: '--file <file>', description: 'take whole resources from a file, or - for standard input' },
        confirm,
      ],
      examples: [
        'tctl update role/dev --set spec.options.max_session_ttl=8h',
        "tctl update role/dev --set 'spec.allow.logins=[root, admin]' --set-labels=team=web",
        'tctl update --file=roles.yaml',
      ],
      load: async () => (await import('./commands/update.ts')).update,
    },
    requestsCommand,
    {
      name: 'lock',
      summary: 'Shut out a user, role, login, node or second factor: at once, and what is open too',
      options: [
        { flags: '--user <name>', description: 'this user' },
        { flags: '--role <name>', description: 'every user with this role' },
        { flags: '--login <name>', description: 'this OS account, on every node' },
        { flags: '--node <name>', description: 'this node, by UUID or name' },
        { flags: '--mfa-device <id>', description: 'this second factor' },
        { flags: '--message <text>', description: 'shown to those who are shut out' },
        { flags: '--expires <time>', description: 'until then: 2030-01-31T12:00:00Z; default: until it is removed' },
        { flags: '--ttl <duration>', description: 'for so long: 8h, 30m (a bare number means minutes)' },
        formatOption,
      ],
      examples: [
        'tctl lock --user=alice --message="laptop stolen"',
        'tctl lock --node=web-1 --ttl=2h',
        'tctl lock --role=contractor --login=root',
        'tctl get locks --format=text',
        'tctl rm lock/2f8a…',
      ],
      load: async () => (await import('./commands/lock.ts')).lock,
    },
    {
      name: 'audit',
      summary: 'The audit log',
      commands: [
        {
          name: 'ls',
          summary: 'List audit events, newest first',
          options: listedEvents,
          examples: [
            'tctl audit ls',
            'tctl audit ls --type=user.login --from=24h',
            'tctl audit ls --format=json --limit=1000',
          ],
          load: async () => (await import('./commands/audit.ts')).auditLs,
        },
        {
          name: 'search',
          summary: 'Search commands, paths, names and errors in audit events, newest first',
          arguments: [{ name: 'text', description: 'words, "a phrase", a begin*', required: true, variadic: true }],
          options: listedEvents,
          examples: [
            'tctl audit search /etc/shadow',
            'tctl audit search \'"permission denied"\' --from=7d --user=alice',
            "tctl audit search 'syst*' --type=exec --format=json",
          ],
          load: async () => (await import('./commands/audit.ts')).auditSearch,
        },
        {
          name: 'verify',
          summary: 'Prove that no event and no recording was changed or removed, or name the first that was',
          options: [
            { flags: '--file <export>', description: 'an exported file instead of the live log; needs no server' },
            { flags: '--key <key>', description: 'with --file: the public key of the log, or a file with it' },
            { flags: '--expect-head <ei:hash>', description: 'a head noted earlier that the log must still contain' },
            { flags: '--no-recordings', description: 'only the events' },
            formatOption,
          ],
          examples: [
            'tctl audit verify',
            'tctl audit verify --expect-head=1042:5f0c…',
            'tctl audit verify --file=audit.jsonl --key=MCowBQYDK2VwAyEA…',
          ],
          load: async () => (await import('./commands/audit-verify.ts')).auditVerify,
        },
        {
          name: 'export',
          summary: 'Write the audit log to a file of JSON lines that proves itself',
          options: [
            { flags: '-o, --out <path>', description: 'file, or directory for it' },
            ...eventOptions,
            formatOption,
          ],
          examples: [
            'tctl audit export --out=audit.jsonl',
            'tctl audit export --out=/var/backups/ --from=2026-11-01 --to=2026-12-01',
          ],
          load: async () => (await import('./commands/audit-export.ts')).auditExport,
        },
      ],
    },
    {
      name: 'recordings',
      summary: 'Recordings of sessions',
      commands: [
        {
          name: 'ls',
          summary: 'List recordings, newest first',
          options: [...listOptions, formatOption],
          examples: ['tctl recordings ls', 'tctl recordings ls --user=alice --from=7d'],
          load: async () => (await recordings()).recordingsLs,
        },
        {
          name: 'export',
          summary: 'Write a recording into a file',
          arguments: [{ name: 'session', description: 'id of the session', required: true }],
          options: exportOptions,
          examples: ['tctl recordings export SID --out=session.cast'],
          load: async () => (await recordings()).recordingsExport,
        },
      ],
    },
    {
      name: 'version',
      summary: 'Print the version',
      options: [formatOption],
      load: async () => (await import('../common/version-command.ts')).printVersion,
    },
    completionCommand('tctl'),
  ],
}
