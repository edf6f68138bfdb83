/** Commands about what happened: the audit log and recordings. */

import { formatOption } from '../../common/output.ts'
import type { CommandSpec, OptionSpec } from '../../common/spec.ts'
import { exportOptions, listOptions } from '../../tsh/play/options.ts'

const recordings = () => import('../commands/recordings.ts')
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

export const auditCommand: CommandSpec = {
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
      load: async () => (await import('../commands/audit.ts')).auditLs,
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
      load: async () => (await import('../commands/audit.ts')).auditSearch,
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
      load: async () => (await import('../commands/audit-verify.ts')).auditVerify,
    },
    {
      name: 'export',
      summary: 'Write the audit log to a file of JSON lines that proves itself',
      options: [{ flags: '-o, --out <path>', description: 'file, or directory for it' }, ...eventOptions, formatOption],
      examples: [
        'tctl audit export --out=audit.jsonl',
        'tctl audit export --out=/var/backups/ --from=2026-11-01 --to=2026-12-01',
      ],
      load: async () => (await import('../commands/audit-export.ts')).auditExport,
    },
  ],
}

export const recordingsCommand: CommandSpec = {
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
}
