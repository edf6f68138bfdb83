/** `request` in the table of commands. */

import { formatOption } from '../../common/output.ts'
import type { ArgumentSpec, CommandSpec } from '../../common/spec.ts'

const id: ArgumentSpec = { name: 'id', description: 'id of the request', required: true }
const commands = () => import('../commands/request.ts')

export const requestCommand: CommandSpec = {
  name: 'request',
  summary: 'Ask for roles for a limited time, and review what others ask for',
  aliases: ['requests'],
  commands: [
    {
      name: 'new',
      summary: 'Ask for roles; waits for the answer, then goes on with them',
      aliases: ['create'],
      options: [
        { flags: '--roles <list>', description: 'roles, comma-separated; * for all that may be asked for' },
        { flags: '--reason <text>', description: 'why, for those who decide' },
        { flags: '--reviewers <list>', description: 'who should look at it' },
        { flags: '--nowait', description: 'do not wait for the answer' },
      ],
      examples: [
        'tsh request new --roles=dba --reason="ticket 4711"',
        'tsh request new --roles=dba,ops --reviewers=carol,dave --nowait',
      ],
      load: async () => (await commands()).requestNew,
    },
    {
      name: 'ls',
      summary: 'List your requests and those you may review',
      options: [formatOption],
      examples: ['tsh request ls', 'tsh request ls --format=json'],
      load: async () => (await commands()).requestLs,
    },
    {
      name: 'show',
      summary: 'Show one request with its reviews',
      arguments: [id],
      options: [formatOption],
      examples: ['tsh request show 3f1c5f6a-0d6b-4f0e-9d8e-1b2c3d4e5f60'],
      load: async () => (await commands()).requestShow,
    },
    {
      name: 'review',
      summary: 'Approve or deny a request of somebody else',
      arguments: [id],
      options: [
        { flags: '--approve', description: 'grant it, as far as you are concerned' },
        { flags: '--deny', description: 'refuse it' },
        { flags: '--reason <text>', description: 'why' },
      ],
      examples: ['tsh request review --approve --reason="on call" 3f1c5f6a-0d6b-4f0e-9d8e-1b2c3d4e5f60'],
      load: async () => (await commands()).requestReview,
    },
  ],
}
