/**
 * The figures about many: 10,000 machines that joined, stay connected and send heartbeats, and what listing them costs; and how fast
 * certificates are issued. The machines have a cluster of their own, so that they burden nobody else.
 */

import { type ChildProcess, fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { connectAuth } from '../src/api/connect.ts'
import { loadIdentity } from '../src/api/identity.ts'
import { formatKeyLine } from '../src/api/lines.ts'
import { signUser } from '../src/api/routes.ts'
import { generateEd25519 } from '../src/ssh/keys/private-key.ts'
import { type Cluster, node, root, startCluster } from './cluster.ts'
import type { FleetCounts, FleetPlan } from './fleet.ts'
import { must, processTree, settled, stop, until } from './processes.ts'
import type { Context, Figure, Row } from './rows.ts'
import { alternate, median } from './statistics.ts'
import { frameTimes } from './web-scroll.ts'

const machines = 10_000
const many = machines.toLocaleString('en')

interface ScaleBench {
  /** `machines` machines and the one that every cluster of this benchmark has. */
  readonly cluster: Cluster
  counts(): Promise<FleetCounts>
  close(): Promise<void>
}

let prepared: Promise<ScaleBench> | undefined
const bench = (context: Context): Promise<ScaleBench> => {
  prepared ??= prepare(context)
  return prepared
}

/** Ends what the rows of this file started. */
export async function closeScale(): Promise<void> {
  await (await prepared?.catch(() => undefined))?.close()
}

export const scaleRows: readonly Row[] = [
  {
    name: 'certificates',
    title: 'user certificates per second through the API, 16 in flight, beside `ssh-keygen -s` in a loop',
    goal: { is: 'at least', value: 3 },
    measure: certificates,
  },
  {
    name: 'heartbeats',
    title: `CPU of auth, ${many} machines connected, each with the watch and a heartbeat a minute`,
    goal: { is: 'at most', value: 0.2 },
    measure: heartbeats,
  },
  {
    name: 'tsh-ls',
    title: `\`tsh ls\` of ${many} nodes, beside one node`,
    goal: { is: 'at most', value: 15 },
    measure: async (context) => beside(await listing('tsh', context), 'one'),
  },
  {
    name: 'tsh-ls-start',
    title: `\`tsh ls\` of ${many} nodes, beside \`node -e 0\``,
    goal: { is: 'at most', value: 20 },
    measure: async (context) => beside(await listing('tsh', context), 'bare'),
  },
  {
    name: 'tctl-ls',
    title: `\`tctl nodes ls\` of ${many} nodes, beside one node`,
    goal: { is: 'at most', value: 15 },
    measure: async (context) => beside(await listing('tctl', context), 'one'),
  },
  {
    name: 'tctl-ls-start',
    title: `\`tctl nodes ls\` of ${many} nodes, beside \`node -e 0\``,
    goal: { is: 'at most', value: 20 },
    measure: async (context) => beside(await listing('tctl', context), 'bare'),
  },
  {
    name: 'web-scroll',
    title: `page: ${many} servers scrolled from the first to the last, time of a frame (p95)`,
    goal: { is: 'at most', value: 50 },
    measure: async (context) => ({
      ours: await frameTimes((await bench(context)).cluster, machines + 1),
      theirs: undefined,
      unit: 'ms',
    }),
  },
]

async function prepare({ profileTo }: Context): Promise<ScaleBench> {
  const directory = await mkdtemp(join(tmpdir(), 'teleport-bench-scale-'))
  const token = randomBytes(16).toString('hex')
  const cluster = await startCluster(directory, {
    auth: `  tokens: ["node:${token}"]\n`,
    ...(profileTo === undefined ? {} : { profileTo }),
  })
  const plan: FleetPlan = { address: `127.0.0.1:${cluster.ports.auth}`, token, count: machines }
  const fleet = fork(join(root, 'bench/fleet.ts'), [JSON.stringify(plan)], {
    execPath: node,
    execArgv: ['--disable-warning=ExperimentalWarning', '--max-old-space-size=8192'],
  })
  const close = async () => {
    await stop(fleet)
    await cluster.stop()
    await rm(directory, { recursive: true, force: true })
  }
  try {
    const begin = performance.now()
    const first = await nextCounts(fleet)
    console.error(`    ${many} machines joined and connected in ${Math.round((performance.now() - begin) / 1000)} s`)
    if (first.failures.length > 0) throw new Error(first.failures.join('\n'))
    return {
      cluster,
      counts: () => {
        fleet.send('counts')
        return nextCounts(fleet)
      },
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

/** What the fleet says next. Throws when it has ended. */
async function nextCounts(fleet: ChildProcess): Promise<FleetCounts> {
  const ended = new AbortController()
  const exit = () => ended.abort(new Error('the fleet has ended'))
  fleet.once('exit', exit)
  try {
    const [counts] = await once(fleet, 'message', { signal: ended.signal })
    return counts as FleetCounts
  } finally {
    fleet.off('exit', exit)
  }
}

/** A whole minute, in which every machine says something once, however soon after each other they came. */
const seconds = 60

/** Cores that the auth process uses, all of its threads together. Throws when the machines were not all there meanwhile. */
async function heartbeats(context: Context): Promise<Figure> {
  const { cluster, counts } = await bench(context)
  const pid = await authProcess(cluster)
  // The joining and what it left behind, such as the search index of its events, is another matter.
  await delay(10_000)
  const before = await counts()
  const cpuBefore = await cpuSeconds(pid)
  const begin = performance.now()
  await delay(seconds * 1000)
  const cpu = (await cpuSeconds(pid)) - cpuBefore
  const wall = (performance.now() - begin) / 1000
  const after = await counts()
  if (after.failures.length > 0) throw new Error(after.failures.join('\n'))
  const expected = { heartbeats: (machines / 60) * wall, lines: (machines / 20) * wall }
  for (const kind of ['heartbeats', 'lines'] as const) {
    const seen = after[kind] - before[kind]
    if (seen < 0.7 * expected[kind]) throw new Error(`${seen} ${kind} in ${wall} s, expected ${expected[kind]}`)
  }
  return { ours: cpu / wall, theirs: undefined, unit: 'cores' }
}

async function authProcess(cluster: Cluster): Promise<number> {
  for (const { pid } of await processTree(cluster.pid())) {
    const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
    if (command.split('\0').includes('--roles=auth')) return pid
  }
  throw new Error('there is no auth process')
}

async function cpuSeconds(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  // utime and stime, in hundredths of a second.
  return (Number(fields[11]) + Number(fields[12])) / 100
}

interface Listing {
  readonly many: number
  readonly one: number
  readonly bare: number
}

const listings = new Map<string, Listing>()

/** Milliseconds of a listing of all, of one node, and of Node.js that does nothing; measured in turn. */
async function listing(program: 'tsh' | 'tctl', context: Context): Promise<Listing> {
  const { cluster: small, quick } = context
  const known = listings.get(program)
  if (known !== undefined) return known
  const { cluster: large } = await bench(context)
  const command = (cluster: Cluster) =>
    program === 'tsh' ? [...cluster.tshAs, 'ls'] : [...cluster.tctl, 'nodes', 'ls']
  await shows(command(large), machines + 1)
  await shows(command(small), 1)
  await settled(large.pid())
  const bare: number[] = []
  const samples = await alternate(
    quick ? 7 : 21,
    async () => (await must(command(large))).ms,
    async () => {
      bare.push((await must([node, '-e', '0'])).ms)
      return (await must(command(small))).ms
    },
  )
  const found = { many: median(samples.ours), one: median(samples.theirs), bare: median(bare) }
  listings.set(program, found)
  return found
}

const beside = (listing: Listing, other: 'one' | 'bare'): Figure => ({
  ours: listing.many,
  theirs: listing[other],
  unit: 'ms',
})

/** Whether it prints a line for each node below the two of the heading; waits for the nodes that have just come. */
async function shows(command: readonly string[], nodes: number): Promise<void> {
  const counted = ['sh', '-c', '"$@" | wc -l', 'sh', ...command]
  const complete = async () => Number((await must(counted)).stdout) === nodes + 2
  await until(`${command.join(' ')} with ${nodes} nodes`, [complete], { timeoutMs: 60_000 })
}

async function certificates({ cluster, quick }: Context): Promise<Figure> {
  const directory = await mkdtemp(join(tmpdir(), 'teleport-bench-certificates-'))
  const keys = Array.from({ length: 200 }, () => formatKeyLine(generateEd25519().publicKey))
  const identity = await loadIdentity(join(cluster.dataDir, 'auth', 'admin.json'))
  const api = connectAuth({ addresses: [`127.0.0.1:${cluster.ports.auth}`], identity: () => identity })
  try {
    const authority = join(directory, 'ca')
    await must(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', authority])
    const key = join(directory, 'key.pub')
    await writeFile(key, `${keys[0]}\n`)
    const through = (count: number) =>
      perSecond(count, async () => {
        let next = 0
        const one = async () => {
          while (next < count) {
            const publicKey = keys[next++ % keys.length] ?? ''
            await api.call(signUser, { body: { user: 'bench', publicKey, ttlSeconds: 3600 } })
          }
        }
        await Promise.all(Array.from({ length: 16 }, one))
      })
    const loop =
      'n=0; while [ $n -lt "$0" ]; do ssh-keygen -q -s "$1" -I bench -n bench -V +1h "$2" || exit; n=$((n+1)); done'
    const straight = (count: number) => perSecond(count, () => must(['sh', '-c', loop, String(count), authority, key]))
    await through(1_000)
    const samples = await alternate(
      quick ? 2 : 8,
      () => through(2_000),
      () => straight(200),
    )
    return { ours: median(samples.ours), theirs: median(samples.theirs), unit: '1/s' }
  } finally {
    await api.close()
    await rm(directory, { recursive: true, force: true })
  }
}

async function perSecond(count: number, run: () => Promise<unknown>): Promise<number> {
  const begin = performance.now()
  await run()
  return count / ((performance.now() - begin) / 1000)
}
