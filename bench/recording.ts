/** The figures about recorded sessions: what recording costs a session that prints a lot, and what a reader who stops costs the node. */

import { spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { type Cluster, startCluster } from './cluster.ts'
import { memoryOf, must, settled, stop } from './processes.ts'
import type { Figure, Row } from './rows.ts'
import { alternate, median } from './statistics.ts'

/** Text as programs print it: lines of words, no two alike, with colours here and there. */
function text(bytes: number): string {
  const words = ['build', 'src/main.ts', 'ok', 'warning:', '\x1b[32mpassed\x1b[0m', 'in', 'ms', 'of', 'loading', '|']
  const lines: string[] = []
  for (let [size, index] = [0, 0]; size < bytes; index++) {
    const line = `${index} ${Array.from({ length: 9 }, (_, place) => words[(index * (place + 3) + place) % words.length]).join(' ')}\n`
    lines.push(line)
    size += line.length
  }
  return lines.join('')
}

async function recordingCost(quick: boolean, cluster: Cluster, bytes: number): Promise<Figure> {
  const directory = await mkdtemp(join(tmpdir(), 'teleport-bench-recording-'))
  try {
    const file = join(directory, 'text')
    await writeFile(file, text(bytes))
    await using off = await startCluster(join(directory, 'off'), {
      auth: '  session_recording: off\n',
    })
    const one = async ({ ssh, pid }: Pick<Cluster, 'ssh' | 'pid'>): Promise<number> => {
      const [program = '', ...argv] = ssh
      const { ms } = await must([program, '-tt', ...argv, `cat ${file}`])
      // A recording is stored and made searchable after its session.
      await settled(pid())
      return bytes / 1e6 / (ms / 1000)
    }
    await one(cluster)
    await one(off)
    const samples = await alternate(
      quick ? 2 : 9,
      () => one(cluster),
      () => one(off),
    )
    return { ours: median(samples.ours), theirs: median(samples.theirs), unit: 'MB/s' }
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

/** MiB that our processes grow by while a client does not read what `yes` prints. */
async function slowReader(ssh: readonly string[], pid: () => number, seconds: number): Promise<number> {
  const [program = '', ...argv] = ssh
  const child = spawn(program, ['-tt', ...argv, 'yes "a line that nobody reads"'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  try {
    // Enough to have grown what grows once: heaps, pools, compiled code.
    await new Promise<void>((resolve, reject) => {
      let seen = 0
      child.once('exit', () => reject(new Error('the session ended too soon')))
      child.stdout.on('data', (chunk: Buffer) => {
        seen += chunk.length
        if (seen > 64e6) resolve()
      })
    })
    child.stdout.pause()
    // What was printed is still being stored and indexed; that is not what is measured here.
    await settled(pid())
    const before = await memoryOf(pid())
    let most = before
    for (let second = 0; second < seconds; second++) {
      await delay(1_000)
      most = Math.max(most, await memoryOf(pid()))
    }
    return (most - before) / 1024 / 1024
  } finally {
    child.removeAllListeners('exit')
    child.stdout.resume()
    await stop(child, 'SIGKILL')
  }
}

export const recordingRows: readonly Row[] = [
  {
    name: 'recording',
    title: 'a session that prints a large text, recorded, beside one that is not',
    goal: { is: 'at least', value: 0.9 },
    measure: ({ cluster, quick }) => recordingCost(quick, cluster, (quick ? 16 : 64) * 1024 * 1024),
  },
  {
    name: 'slow-reader',
    title: 'growth while a client does not read the output of `yes`',
    goal: { is: 'at most', value: 32 },
    measure: async ({ cluster, quick }) => ({
      ours: await slowReader(cluster.ssh, () => cluster.pid(), quick ? 5 : 60),
      theirs: undefined,
      unit: 'MiB',
    }),
  },
]
