/**
 * Measures the product beside `ssh -J` through two real `sshd`, in the same run on the same machine, and prints the ratios.
 *
 *   npm run bench -- [--quick] [--only NAME[,NAME]] [--profile]
 */

import { appendFile, mkdtemp, rm } from 'node:fs/promises'
import { availableParallelism, cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { closeAudit } from './audit.ts'
import { root, startCluster } from './cluster.ts'
import { must, run } from './processes.ts'
import { type Figure, type Row, rows } from './rows.ts'
import { closeScale } from './scale.ts'
import { startReference } from './sshd.ts'

const names = rows.map(({ name }) => name)

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string' },
      profile: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) {
    console.log(`npm run bench -- [--quick] [--only NAME[,NAME]] [--profile]\n\nNAME: ${names.join(', ')}
--quick    fewer repetitions
--profile  write a CPU profile of each role, for Chrome's developer tools`)
    return 0
  }
  const only = values.only?.split(',')
  const unknown = only?.find((name) => !names.includes(name))
  if (unknown !== undefined) {
    console.error(`bench: there is no figure "${unknown}"; there are: ${names.join(', ')}`)
    return 2
  }
  const chosen = rows.filter(({ name }) => only?.includes(name) ?? true)

  console.error('==> Building dist/')
  await must(['npm', 'run', '-s', 'build'], { cwd: root })
  const directory = await mkdtemp(join(tmpdir(), 'teleport-bench-'))
  const profileTo = values.profile ? join(root, 'bench', 'profiles') : undefined
  try {
    console.error('==> Starting two sshd and our cluster')
    await using reference = await startReference(join(directory, 'openssh'))
    await using cluster = await startCluster(join(directory, 'teleport'), {
      ...(profileTo === undefined ? {} : { profileTo }),
    })
    const context = { cluster, reference, quick: values.quick, ...(profileTo === undefined ? {} : { profileTo }) }
    const results: { row: Row; figure: Figure; ratio: number; reached: boolean }[] = []
    for (const row of chosen) {
      console.error(`==> ${row.title}`)
      const figure = await row.measure(context)
      const ratio = figure.theirs === undefined ? figure.ours : figure.ours / figure.theirs
      const reached = row.goal.is === 'at most' ? ratio <= row.goal.value : ratio >= row.goal.value
      results.push({ row, figure, ratio, reached })
    }
    print(results)
    const file = join(root, 'bench', 'results.jsonl')
    await appendFile(
      file,
      `${JSON.stringify({
        time: new Date().toISOString(),
        commit: (await run(['git', 'rev-parse', '--short', 'HEAD'], { cwd: root })).stdout.trim(),
        openssh: (await run(['ssh', '-V'])).stderr.trim(),
        node: process.version,
        cpu: cpus()[0]?.model,
        cores: availableParallelism(),
        quick: values.quick,
        figures: Object.fromEntries(
          results.map(({ row, figure, ratio, reached }) => [
            row.name,
            { ...figure, ratio: round(ratio), goal: row.goal.value, reached },
          ]),
        ),
      })}\n`,
    )
    console.log(`\nAppended to ${file}`)
    if (profileTo !== undefined) console.log(`Profiles are in ${profileTo}`)
    return 0
  } finally {
    await closeAudit()
    await closeScale()
    await rm(directory, { recursive: true, force: true })
  }
}

function print(results: readonly { row: Row; figure: Figure; ratio: number; reached: boolean }[]): void {
  const table = [
    ['Figure', 'Ours', 'Reference', 'Ratio', 'Goal', ''],
    ...results.map(({ row, figure, ratio, reached }) => [
      row.title,
      `${round(figure.ours)} ${figure.unit}`.trimEnd(),
      figure.theirs === undefined ? '-' : `${round(figure.theirs)} ${figure.unit}`,
      figure.theirs === undefined ? '-' : String(round(ratio)),
      `${row.goal.is === 'at most' ? '≤' : '≥'} ${row.goal.value}`,
      reached ? '✓' : '✗',
    ]),
  ]
  const widths = (table[0] ?? []).map((_, column) => Math.max(...table.map((line) => line[column]?.length ?? 0)))
  for (const line of table)
    console.log(
      line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
}

const round = (value: number): number => Number(value.toPrecision(3))

process.exitCode = await main()
