/** `tctl audit export` */

import { constants } from 'node:fs'
import * as fs from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { exportEvents } from '../../../api/routes.ts'
import { syncDirectory } from '../../../common/files.ts'
import { ConnectionProblem, MissingParameter } from '../../../errors/errors.ts'
import { convertSystemError } from '../../../errors/system.ts'
import { print } from '../../common/output.ts'
import type { CommandRun } from '../../common/spec.ts'
import { withAdminApi } from '../connect.ts'
import { eventFilter } from './audit.ts'
import { counter } from './progress.ts'

export const auditExport: CommandRun = async ({ options }) => {
  const out = options.string('out')
  if (out === undefined) throw new MissingParameter('--out', 'name the file, or the directory for it, with --out=PATH')
  const filter = eventFilter(options)
  const filtered = Object.keys(filter).length > 0
  return await withAdminApi(options, async (api) => {
    const path = await fileFor(out, filtered)
    const progress = counter('events exported')
    const seen = { lines: 0, last: '' }
    await writeNew(path, async (write) => {
      for await (const { lines, total } of api.stream(exportEvents, { query: filter })) {
        await write(`${lines.join('\n')}\n`)
        seen.lines += lines.length
        seen.last = lines.at(-1) ?? ''
        progress.show(seen.lines, filtered ? undefined : total)
      }
      if (!seen.last.startsWith('{"end":')) {
        throw new ConnectionProblem('the auth server ended the export before its end; try again')
      }
    }).finally(() => progress.end())
    const result = { file: path, lines: seen.lines, filtered }
    await print(options.string('format'), result, () => {
      const check = filtered
        ? 'It is a part of the log: it proves what is in it, and nothing about what is between.'
        : `Check it anywhere with: tctl audit verify --file=${path}`
      return `The audit log was exported to ${path} (${seen.lines} lines).\n${check}\n`
    })
    return 0
  })
}

/** In a directory, a new name. */
async function fileFor(out: string, filtered: boolean): Promise<string> {
  const stat = await fs.stat(out).catch(() => undefined)
  if (stat?.isDirectory() !== true && !out.endsWith('/')) return out
  const time = new Date().toISOString().replace(/[-:]|\.\d+/g, '')
  return join(out, `audit-${time}${filtered ? '-part' : ''}.jsonl`)
}

/** The file appears when it is whole. */
async function writeNew(path: string, fill: (write: (text: string) => Promise<void>) => Promise<void>): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path)}.${process.pid}.tmp`)
  const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants
  try {
    await fs.rm(temporary, { force: true })
    const file = await fs.open(temporary, O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY, 0o600)
    try {
      await fill(async (text) => void (await file.write(text)))
      await file.sync()
    } finally {
      await file.close()
    }
    await fs.rename(temporary, path)
    await syncDirectory(dirname(path))
  } catch (error) {
    await fs.rm(temporary, { force: true })
    throw convertSystemError(error, `write ${path}`)
  }
}
