/** The figures, one function each: what is measured on both sides, and what is to be reached. */

import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { accessRows } from './access.ts'
import { auditRows } from './audit.ts'
import { type Cluster, node, root } from './cluster.ts'
import { fileRows } from './files.ts'
import { memoryOf, must, run, stop } from './processes.ts'
import { recordingRows } from './recording.ts'
import { scaleRows } from './scale.ts'
import type { Reference } from './sshd.ts'
import { alternate, median } from './statistics.ts'
import { webEchoRow } from './web-echo.ts'
import { webLoadRows } from './web-load.ts'

export interface Context {
  readonly cluster: Cluster
  readonly reference: Reference
  readonly quick: boolean
  /** A directory for CPU profiles of each role, where they are wanted. */
  readonly profileTo?: string
}

export interface Figure {
  readonly ours: number
  /** What ours is compared with; undefined for a figure that stands alone. */
  readonly theirs: number | undefined
  readonly unit: 'ms' | 'MB/s' | '1/s' | 'KB' | 'MiB' | 'cores' | ''
}

export interface Row {
  readonly name: string
  readonly title: string
  /** `ours / theirs` (or `ours` alone) must be at most, or at least, this. */
  readonly goal: { readonly is: 'at most' | 'at least'; readonly value: number }
  measure(context: Context): Promise<Figure>
}

const megabytes = 512

export const rows: readonly Row[] = [
  {
    name: 'exec',
    title: 'OpenSSH through the proxy, `true`',
    goal: { is: 'at most', value: 0.4 },
    measure: ({ cluster, reference, quick }) =>
      compareMedians(quick ? 10 : 40, [...cluster.ssh, 'true'], [...reference.ssh, 'true']),
  },
  {
    name: 'tsh',
    title: '`tsh ssh node true`',
    goal: { is: 'at most', value: 0.25 },
    measure: ({ cluster, reference, quick }) =>
      compareMedians(quick ? 10 : 40, [...cluster.tsh, 'true'], [...reference.ssh, 'true']),
  },
  {
    name: 'download',
    title: `download of ${megabytes} MiB`,
    goal: { is: 'at least', value: 1.1 },
    measure: (context) => throughput(context, (ssh) => `${ssh} 'head -c ${megabytes}M /dev/zero' >/dev/null`),
  },
  {
    name: 'upload',
    title: `upload of ${megabytes} MiB`,
    goal: { is: 'at least', value: 1.2 },
    measure: (context) => throughput(context, (ssh) => `head -c ${megabytes}M /dev/zero | ${ssh} 'cat >/dev/null'`),
  },
  ...fileRows,
  ...recordingRows,
  webEchoRow,
  ...webLoadRows,
  {
    name: 'connections',
    title: 'connections per second, 10 in parallel',
    goal: { is: 'at least', value: 4 },
    async measure({ cluster, reference, quick }) {
      const total = quick ? 60 : 200
      const samples = await alternate(
        quick ? 1 : 2,
        () => perSecond([...cluster.ssh, 'true'], total, 10),
        () => perSecond([...reference.ssh, 'true'], total, 10),
      )
      return { ours: median(samples.ours), theirs: median(samples.theirs), unit: '1/s' }
    },
  },
  {
    name: 'memory',
    title: 'memory of an idle session (PSS, without the shell)',
    goal: { is: 'at most', value: 1 },
    async measure({ cluster, quick }) {
      // The first ones grow heaps and pools once; what is asked is what one more costs.
      await idleSessions(cluster, 10)
      return { ours: (await idleSessions(cluster, quick ? 20 : 40)) / 1024 / 1024, theirs: undefined, unit: 'MiB' }
    },
  },
  {
    name: 'start',
    title: '`teleport start` on existing data, until all ports answer',
    goal: { is: 'at most', value: 30 },
    async measure({ cluster, quick }) {
      const samples = await alternate(
        quick ? 3 : 7,
        async () => {
          await cluster.stop()
          return cluster.start()
        },
        bareNode,
      )
      return { ours: median(samples.ours), theirs: median(samples.theirs), unit: 'ms' }
    },
  },
  {
    name: 'version',
    title: '`tsh version`',
    goal: { is: 'at most', value: 2 },
    async measure({ quick }) {
      const samples = await alternate(
        quick ? 10 : 40,
        async () => (await must([join(root, 'bin/tsh'), 'version'])).ms,
        bareNode,
      )
      return { ours: median(samples.ours), theirs: median(samples.theirs), unit: 'ms' }
    },
  },
  ...accessRows,
  ...auditRows,
  ...scaleRows,
]

const bareNode = async (): Promise<number> => (await must([node, '-e', '0'])).ms

async function compareMedians(rounds: number, ours: readonly string[], theirs: readonly string[]): Promise<Figure> {
  await must(ours)
  await must(theirs)
  const samples = await alternate(
    rounds,
    async () => (await must(ours)).ms,
    async () => (await must(theirs)).ms,
  )
  return { ours: median(samples.ours), theirs: median(samples.theirs), unit: 'ms' }
}

async function throughput({ cluster, reference, quick }: Context, line: (ssh: string) => string): Promise<Figure> {
  const one = async (ssh: readonly string[]): Promise<number> => {
    const { ms } = await must(['sh', '-c', line(ssh.join(' '))])
    return (megabytes * 1024 * 1024) / 1e6 / (ms / 1000)
  }
  // Once each without a clock: code is compiled while it first runs, which is a matter of the row about starting.
  await one(cluster.ssh)
  await one(reference.ssh)
  const samples = await alternate(
    quick ? 1 : 4,
    () => one(cluster.ssh),
    () => one(reference.ssh),
  )
  return { ours: median(samples.ours), theirs: median(samples.theirs), unit: 'MB/s' }
}

async function perSecond(command: readonly string[], total: number, parallel: number): Promise<number> {
  const begin = performance.now()
  let left = total
  await Promise.all(
    Array.from({ length: parallel }, async () => {
      while (left-- > 0) {
        const { status, stderr } = await run(command)
        if (status !== 0) throw new Error(`${command.join(' ')} failed under load: ${stderr}`)
      }
    }),
  )
  return total / ((performance.now() - begin) / 1000)
}

/** Bytes that each of `count` interactive sessions adds to our processes. */
async function idleSessions(cluster: Cluster, count: number): Promise<number> {
  const before = await memoryOf(cluster.pid())
  const [program = '', ...argv] = cluster.ssh
  const sessions = await Promise.all(
    Array.from({ length: count }, () => {
      const child = spawn(program, ['-tt', ...argv], { stdio: ['pipe', 'pipe', 'inherit'] })
      const shown = new Promise<typeof child>((resolve, reject) => {
        let seen = ''
        child.stdout.on('data', (chunk) => {
          seen += String(chunk)
          if (seen.includes('idle-4')) resolve(child)
        })
        child.once('exit', () => reject(new Error('a session ended too soon')))
      })
      child.stdin.write('echo idle-$((2+2))\n')
      return shown
    }),
  )
  // What is measured is idle sessions, and nothing tells when the last garbage of their logins is gone.
  await delay(3_000)
  const after = await memoryOf(cluster.pid())
  for (const child of sessions) child.removeAllListeners('exit')
  await Promise.all(sessions.map((child) => stop(child)))
  // The next figure shall not pay for these sessions' end.
  await delay(1_000)
  return (after - before) / count
}
