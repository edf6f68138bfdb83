/** Commands about resources of any kind. */

import { formatOption } from '../../common/output.ts'
import type { CommandSpec, OptionSpec } from '../../common/spec.ts'

const resources = () => import('../commands/resources.ts')
const confirm: OptionSpec = { flags: '--confirm', description: 'change also what the configuration file says' }

export const createCommand: CommandSpec = {
  name: 'create',
  summary: 'Create resources from a YAML or JSON file, several in a file',
  arguments: [{ name: 'file', description: 'file, or - for standard input', required: true }],
  options: [{ flags: '-f, --force', description: 'replace what exists' }, confirm],
  examples: ['tctl create role.yaml', 'tctl create -f role.yaml', 'cat user.yaml | tctl create -'],
  load: async () => (await resources()).create,
}

export const getCommand: CommandSpec = {
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
}

export const rmCommand: CommandSpec = {
  name: 'rm',
  summary: 'Remove a resource',
  arguments: [{ name: 'resource', description: 'KIND/NAME', required: true }],
  examples: ['tctl rm role/dev', 'tctl rm user/alice', 'tctl rm node/0f3c…'],
  load: async () => (await resources()).rm,
}

export const editCommand: CommandSpec = {
  name: 'edit',
  summary: 'Change a resource in an editor (VISUAL, EDITOR, or vi)',
  arguments: [{ name: 'resource', description: 'KIND/NAME', required: true }],
  options: [confirm],
  examples: ['tctl edit role/dev', 'EDITOR=nano tctl edit user/alice', 'tctl edit cap'],
  load: async () => (await import('../commands/edit.ts')).edit,
}

export const updateCommand: CommandSpec = {
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
  load: async () => (await import('../commands/update.ts')).update,
}
