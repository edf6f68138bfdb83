/** Commands about who may do what: explanations, requests, locks. */

import { formatOption } from '../../common/output.ts'
import type { CommandSpec, OptionSpec } from '../../common/spec.ts'

const nameArgument = { name: 'name', description: 'user name', required: true } as const
const requests = () => import('../commands/requests.ts')
const requestIds = { name: 'ids', description: 'ids of requests, separated by commas', required: true } as const
const requestReason: OptionSpec = { flags: '--reason <text>', description: 'why, for the person who asked' }

export const accessCommand: CommandSpec = {
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
      load: async () => (await import('../access/explain.ts')).explain,
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
      load: async () => (await import('../access/simulate.ts')).simulateRoles,
    },
  ],
}

export const requestsCommand: CommandSpec = {
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

export const lockCommand: CommandSpec = {
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
  load: async () => (await import('../commands/lock.ts')).lock,
}
