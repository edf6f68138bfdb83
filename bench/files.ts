/** The figures about files: one large file each way with OpenSSH's `sftp`, through us and through `ssh -J`; and `tsh scp` beside `scp`. */

import { rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { must } from './processes.ts'
import type { Context, Figure, Row } from './rows.ts'
import { alternate, median } from './statistics.ts'

/** Files of a measurement, and what `sftp` and `scp` are given to reach each side. */
interface Place {
  readonly source: string
  readonly target: string
  readonly bytes: number
}

/** `ssh -F CONFIG HOST` as the words for `sftp` and `scp`. */
const configOf = (ssh: readonly string[]) => ({ options: ['-q', '-F', ssh[2] ?? ''], host: ssh[3] ?? '' })

/** The bytes are zeros that no disk has to give; they are written to one. */
async function withFiles<T>(quick: boolean, work: (place: Place) => Promise<T>): Promise<T> {
  const directory = tmpdir()
  const name = `teleport-bench-${process.pid}`
  const [source, target] = [join(directory, `${name}-source`), join(directory, `${name}-target`)]
  const bytes = (quick ? 128 : 1024) * 1024 * 1024
  await writeFile(source, '')
  await truncate(source, bytes)
  try {
    return await work({ source, target, bytes })
  } finally {
    await Promise.all([source, target, `${source}.batch`].map((file) => rm(file, { force: true })))
  }
}

/** MB/s of commands that move the file; each starts without a target, as the first copy of a file does. */
async function rates(
  { quick }: Context,
  place: Place,
  ours: readonly string[],
  theirs: readonly string[],
): Promise<Figure> {
  const one = async (command: readonly string[]): Promise<number> => {
    await rm(place.target, { force: true })
    const { ms } = await must(command)
    return place.bytes / 1e6 / (ms / 1000)
  }
  // Once each without a clock: code is compiled while it first runs.
  await one(ours)
  await one(theirs)
  const samples = await alternate(
    quick ? 1 : 3,
    () => one(ours),
    () => one(theirs),
  )
  return { ours: median(samples.ours), theirs: median(samples.theirs), unit: 'MB/s' }
}

const sftp = (direction: 'put' | 'get') => (context: Context) =>
  withFiles(context.quick, async (place) => {
    const batch = `${place.source}.batch`
    await writeFile(batch, `${direction} ${place.source} ${place.target}\n`)
    const command = (ssh: readonly string[]) => {
      const { options, host } = configOf(ssh)
      return ['sftp', ...options, '-b', batch, host]
    }
    return await rates(context, place, command(context.cluster.ssh), command(context.reference.ssh))
  })

/** `tsh … ssh LOGIN@HOST` becomes `tsh … scp`, with `LOGIN@HOST:` before the path on the node. */
const tshScp = (direction: 'put' | 'get') => (context: Context) =>
  withFiles(context.quick, async (place) => {
    const [node = '', ...before] = [...context.cluster.tsh].reverse()
    const { options, host } = configOf(context.reference.ssh)
    const words = (where: string) =>
      direction === 'put' ? [place.source, `${where}:${place.target}`] : [`${where}:${place.source}`, place.target]
    const ours = [...before.slice(1).reverse(), 'scp', '-q', ...words(node)]
    return await rates(context, place, ours, ['scp', ...options, ...words(host)])
  })

export const fileRows: readonly Row[] = [
  {
    name: 'sftp-up',
    title: '`sftp` put of one large file',
    goal: { is: 'at least', value: 0.8 },
    measure: sftp('put'),
  },
  {
    name: 'sftp-down',
    title: '`sftp` get of one large file',
    goal: { is: 'at least', value: 0.8 },
    measure: sftp('get'),
  },
  {
    name: 'tsh-scp-up',
    title: '`tsh scp` of one large file to a node, beside `scp`',
    goal: { is: 'at least', value: 1 },
    measure: tshScp('put'),
  },
  {
    name: 'tsh-scp-down',
    title: '`tsh scp` of one large file from a node, beside `scp`',
    goal: { is: 'at least', value: 1 },
    measure: tshScp('get'),
  },
]
