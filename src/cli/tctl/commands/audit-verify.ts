/** `tctl audit verify`: of the live log, or of an exported file without any server. */

import { createReadStream } from 'node:fs'
import * as fs from 'node:fs/promises'
import type { CallOutput } from '../../../api/client.ts'
import { verifyEvents } from '../../../api/routes.ts'
import { formatHead, keyFingerprint, parseAuditPublicKey, parseHead, publicText } from '../../../audit/chain.ts'
import { type ExportVerdict, verifyExport } from '../../../audit/export.ts'
import { stripControl } from '../../../common/text.ts'
import { BadParameter, ConnectionProblem } from '../../../errors/errors.ts'
import { convertSystemError } from '../../../errors/system.ts'
import { print } from '../../common/output.ts'
import type { CommandRun, OptionValues } from '../../common/spec.ts'
import { withAdminApi } from '../connect.ts'
import { counter } from './progress.ts'

export const auditVerify: CommandRun = async ({ options }) => {
  const file = options.string('file')
  if (file !== undefined) return await verifyFile(file, options)
  if (options.string('key') !== undefined) {
    throw new BadParameter('--key', '--key is for --file: the auth server knows the key of its own log')
  }
  return await verifyLive(options)
}

/** What both print. */
interface Report {
  readonly ok: boolean
  readonly problem?: object & { readonly message: string }
  readonly events: number
  readonly checkpoints: number
  readonly recordings?: number
  readonly signedTo: number
  readonly startsAfter: number
  readonly head: string
  readonly keys: readonly string[]
  readonly filtered?: boolean
}

async function verifyLive(options: OptionValues): Promise<number> {
  const expectHead = options.string('expectHead')
  if (expectHead !== undefined) parseHead(expectHead)
  const progress = counter('events verified')
  const last = await withAdminApi(options, async (api) => {
    let line: CallOutput<typeof verifyEvents> | undefined
    const query = {
      ...(expectHead === undefined ? {} : { expectHead }),
      ...(options.tristate('recordings') === false ? { recordings: 'false' as const } : {}),
    }
    for await (line of api.stream(verifyEvents, { query })) progress.show(line.events, line.total)
    return line
  }).finally(() => progress.end())
  if (last?.result === undefined) {
    throw new ConnectionProblem('the auth server ended the verification before its end; try again')
  }
  const { result, key, head, total: _total, ...counts } = last
  const report = { ...counts, head: formatHead(head), keys: [key] }
  return await tell(options, result === null ? { ok: true, ...report } : { ok: false, problem: result, ...report })
}

async function verifyFile(file: string, options: OptionValues): Promise<number> {
  const keyText = options.string('key')
  const expected = options.string('expectHead')
  const progress = counter('events verified')
  const verdict = await verifyExport(linesOf(file), {
    ...(keyText === undefined ? {} : { key: await readKey(keyText) }),
    ...(expected === undefined ? {} : { expectHead: parseHead(expected) }),
    onProgress: (events) => progress.show(events, undefined),
  }).finally(() => progress.end())
  const code = await tell(options, reportOf(verdict))
  if (code === 0 && keyText === undefined && options.string('format') === undefined) {
    process.stdout.write(
      'The key is the one that the file names itself: compare it with what "tctl audit verify" prints.\n',
    )
  }
  return code
}

function reportOf({ problem, proof, filtered, keys }: ExportVerdict): Report {
  const report = { ...proof, head: formatHead(proof.head), keys, filtered }
  return problem === undefined ? { ok: true, ...report } : { ok: false, problem, ...report }
}

/** The key itself, or a file with it. */
async function readKey(text: string) {
  if (/^MCowBQYDK2VwAyEA[A-Za-z0-9+/]{43}=$/.test(text)) return parseAuditPublicKey(text)
  const content = await fs.readFile(text, 'utf8').catch((error: unknown) => {
    throw convertSystemError(error, `read the key ${text}`)
  })
  return parseAuditPublicKey(publicText(parseAuditPublicKey(content)))
}

/** Longer than any line of an export; a file of something else must not fill the memory. */
const MAX_LINE = 2 * 1024 * 1024

async function* linesOf(file: string): AsyncGenerator<Buffer> {
  let rest: Buffer[] = []
  let length = 0
  try {
    for await (const chunk of createReadStream(file, { highWaterMark: 1024 * 1024 }) as AsyncIterable<Buffer>) {
      let start = 0
      for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, start)) {
        const part = chunk.subarray(start, end)
        yield rest.length === 0 ? part : Buffer.concat([...rest, part])
        rest = []
        length = 0
        start = end + 1
      }
      if (start === chunk.length) continue
      rest.push(chunk.subarray(start))
      length += chunk.length - start
      if (length > MAX_LINE) throw new BadParameter('--file', `${file} has a line longer than any of an export`)
    }
  } catch (error) {
    throw convertSystemError(error, `read ${file}`)
  }
  // A last line without its end was cut off; as a line it counts all the same.
  if (rest.length > 0) yield Buffer.concat(rest)
}

async function tell(options: OptionValues, report: Report): Promise<number> {
  const keys = report.keys.map((key) => ({ key, fingerprint: keyFingerprint(key) }))
  await print(options.string('format'), { ...report, keys }, () => {
    const lines = [report.problem === undefined ? good(report) : `BAD: ${stripControl(report.problem.message)}`]
    const proven = [`${report.events} events`, `${report.checkpoints} signed checkpoints`]
    if (report.recordings !== undefined) proven.push(`${report.recordings} recordings`)
    lines.push(`${report.problem === undefined ? 'Proven' : 'Good until there'}: ${proven.join(', ')}`)
    if (report.startsAfter > 0) lines.push(`Removed by retention: events up to ${report.startsAfter}`)
    if (report.filtered !== true) {
      const { signedTo, head } = report
      const open = Number(head.split(':')[0]) - signedTo
      if (open > 0) lines.push(`Not signed yet: the last ${open} events`)
      lines.push(`Head: ${head}`)
    }
    for (const { key, fingerprint } of keys) lines.push(`Key:  ${stripControl(key)} (${fingerprint})`)
    return `${lines.join('\n')}\n`
  })
  return report.ok ? 0 : 1
}

function good({ filtered }: Report): string {
  if (filtered !== true) return 'The audit log is whole and unchanged.'
  return 'What was exported is unchanged. It is a part of the log: nothing is proven about what is between.'
}
