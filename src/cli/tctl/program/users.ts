/** Commands about users. */

import { formatOption } from '../../common/output.ts'
import type { CommandSpec, OptionSpec } from '../../common/spec.ts'

const ttl: OptionSpec = { flags: '--ttl <duration>', description: 'lifetime: 1h, 30m (a bare number means minutes)' }
const users = () => import('../commands/users.ts')
const auth = () => import('../commands/auth.ts')
const nameArgument = { name: 'name', description: 'user name', required: true } as const

export const usersCommand: CommandSpec = {
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
