/**
 * The figures about the audit log: events that arrive through the API beside bare inserts into SQLite, and searches through the API
 * beside `grep -c` over the same events as JSON lines. An auth service of its own, so that a million events burden nobody else.
 */

import { spawn } from 'node:child_process'
import { randomInt, randomUUID } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { finished } from 'node:stream/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { type AuthConnection, connectAuth, joinCluster } from '../src/api/connect.ts'
import { loadIdentity } from '../src/api/identity.ts'
import { createToken, emitEvents, getStatus, searchEvents } from '../src/api/routes.ts'
import { root } from './cluster.ts'
import { freePorts, must, sshAnswers, stop, until } from './processes.ts'
import type { Context, Figure, Row } from './rows.ts'
import { median, percentile } from './statistics.ts'

/** As many as one request may hold, and as one transaction of the bare inserts gets. */
const batch = 500
/** Machines that report at the same time. */
const machines = 4

interface AuditBench {
  readonly directory: string
  readonly admin: AuthConnection
  readonly nodes: readonly AuthConnection[]
  /** The same events as JSON, one a line. */
  readonly lines: string
  readonly ingest: Figure
  close(): Promise<void>
}

type Event = Parameters<typeof report>[1][number]

let prepared: Promise<AuditBench> | undefined
const bench = ({ quick }: Context): Promise<AuditBench> => {
  prepared ??= prepare(quick ? 100_000 : 1_000_000, quick)
  return prepared
}

export const auditRows: readonly Row[] = [
  {
    name: 'audit-ingest',
    title: 'audit events through the API, beside bare inserts',
    goal: { is: 'at least', value: 0.3 },
    measure: async (context) => (await bench(context)).ingest,
  },
  {
    name: 'audit-search',
    title: 'audit search by user, type, time or session (p95), beside `grep -c`',
    goal: { is: 'at most', value: 0.05 },
    measure: async (context) => searches(await bench(context), context.quick, filters),
  },
  {
    name: 'audit-text',
    title: 'audit search for words (p95), beside `grep -c`',
    goal: { is: 'at most', value: 0.05 },
    measure: async (context) => searches(await bench(context), context.quick, texts),
  },
]

/** Ends what the rows of this file started. */
export async function closeAudit(): Promise<void> {
  await (await prepared)?.close()
}

async function prepare(count: number, quick: boolean): Promise<AuditBench> {
  const directory = await mkdtemp(join(tmpdir(), 'teleport-bench-audit-'))
  const { admin, nodes, close } = await startAuth(directory)
  const lines = join(directory, 'events.jsonl')
  const file = createWriteStream(lines)
  const bare = new DatabaseSync(join(directory, 'bare.sqlite'))
  bare.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL')
  bare.exec('CREATE TABLE events (ei INTEGER PRIMARY KEY, time INTEGER, uid BLOB, body TEXT) STRICT')
  const rounds = quick ? 4 : 20
  const made = new EventMaker(count)
  const ours: number[] = []
  const theirs: number[] = []
  // The first round is without a clock: code is compiled while it first runs.
  for (let round = -1; round < rounds; round++) {
    const events = Array.from({ length: round < 0 ? 10_000 : count / rounds }, () => made.next())
    const bodies = events.map((event) => JSON.stringify(event))
    if (!file.write(`${bodies.join('\n')}\n`)) await new Promise((resolve) => file.once('drain', resolve))
    const through = async () => ours.push(await rate(events.length, () => ingest(nodes, events)))
    const straight = async () => theirs.push(await rate(events.length, async () => insert(bare, events, bodies)))
    // Both begin when nothing is left to do in the background.
    for (const run of round % 2 !== 0 ? [through, straight] : [straight, through]) {
      await indexed(admin)
      await run()
    }
  }
  ours.shift()
  theirs.shift()
  file.end()
  await finished(file)
  bare.close()
  const ingestFigure: Figure = { ours: median(ours), theirs: median(theirs), unit: '1/s' }
  await indexed(admin)
  return { directory, admin, nodes, lines, ingest: ingestFigure, close }
}

/** Resolves when the search index knows every event. */
async function indexed(admin: AuthConnection): Promise<void> {
  for (;;) {
    const { audit } = await admin.call(getStatus)
    if (audit !== undefined && audit.indexed === audit.last) return
    await delay(200)
  }
}

async function startAuth(directory: string) {
  const [port = 0] = await freePorts(1)
  const data = join(directory, 'data')
  await mkdir(data, { mode: 0o700 })
  const config = join(directory, 'teleport.yaml')
  await writeFile(
    config,
    `teleport: {data_dir: ${data}, log: {severity: WARN}}
auth_service: {enabled: yes, cluster_name: bench, listen_addr: "127.0.0.1:${port}"}
ssh_service: {enabled: no}
proxy_service: {enabled: no}
`,
  )
  const child = spawn(join(root, 'bin/teleport'), ['start', '-c', config], { stdio: ['ignore', 'ignore', 'inherit'] })
  await until('the auth service', [() => sshAnswers(port)], { timeoutMs: 60_000, child, everyMs: 20 })
  const addresses = [`127.0.0.1:${port}`]
  const adminIdentity = await loadIdentity(join(data, 'auth', 'admin.json'))
  const admin = connectAuth({ addresses, identity: () => adminIdentity })
  const caPin = (await admin.call(getStatus)).caPins[0] ?? ''
  const nodes: AuthConnection[] = []
  for (let n = 0; n < machines; n++) {
    const { token } = await admin.call(createToken, { body: { roles: ['node'] } })
    const joining = { addresses, token: token.token, caPin, uuid: randomUUID(), hostname: `n${n}` }
    const [identity] = await joinCluster({ ...joining, roles: ['node'], advertisedNames: [] })
    if (identity === undefined) throw new Error('a machine could not join')
    nodes.push(connectAuth({ addresses, identity: () => identity }))
  }
  const close = async () => {
    await Promise.all([admin, ...nodes].map((connection) => connection.close()))
    await stop(child)
    await rm(directory, { recursive: true, force: true })
  }
  return { admin, nodes, close }
}

const rate = async (count: number, run: () => Promise<void>): Promise<number> => {
  const begin = performance.now()
  await run()
  return count / ((performance.now() - begin) / 1000)
}

const report = (connection: AuthConnection, events: { event: string; code: string; uid: string; time: string }[]) =>
  connection.call(emitEvents, { body: { events } })

async function ingest(nodes: readonly AuthConnection[], events: readonly Event[]): Promise<void> {
  let next = 0
  await Promise.all(
    nodes.map(async (connection) => {
      while (next < events.length) {
        const from = next
        next += batch
        await report(connection, events.slice(from, from + batch))
      }
    }),
  )
}

function insert(database: DatabaseSync, events: readonly Event[], bodies: readonly string[]): void {
  const statement = database.prepare('INSERT INTO events (time, uid, body) VALUES (?, ?, ?)')
  for (let from = 0; from < events.length; from += batch) {
    database.exec('BEGIN')
    for (const [index, event] of events.slice(from, from + batch).entries()) {
      const uid = Buffer.from(event.uid.replaceAll('-', ''), 'hex')
      statement.run(Date.parse(event.time), uid, bodies[from + index] ?? '')
    }
    database.exec('COMMIT')
  }
}

/** Milliseconds: p95 of searches through the API, and a `grep -c` for each of their words or values. */
async function searches(
  { admin, lines }: AuditBench,
  quick: boolean,
  questions: readonly { readonly query: Record<string, string>; readonly grep: string }[],
): Promise<Figure> {
  const one = async (query: Record<string, string>): Promise<number> => {
    const begin = performance.now()
    await admin.call(searchEvents, { query: { limit: 100, ...query } })
    return performance.now() - begin
  }
  // Before, not between: a `grep` goes through 600 MB and leaves the caches of the processor to whoever comes next.
  const theirs: number[] = []
  for (const { grep } of questions) {
    for (let round = 0; round < 3; round++) {
      theirs.push((await must(['sh', '-c', 'grep -c -- "$0" "$1" || :', grep, lines])).ms)
    }
  }
  const ours: number[] = []
  const rounds = quick ? 5 : 20
  // The first rounds are without a clock: code is compiled while it first runs.
  for (let round = -10; round < rounds; round++) {
    for (const { query } of questions) {
      const ms = await one(query)
      if (round >= 0) ours.push(ms)
    }
  }
  return { ours: percentile(ours, 95), theirs: median(theirs), unit: 'ms' }
}

const begin = Date.parse('2026-01-01T00:00:00Z')
const day = 86_400_000
const users = Array.from({ length: 200 }, (_, n) => `user${n}`)
const words = Array.from({ length: 3000 }, (_, n) => `word${(n * 7919) % 3000}`)
/** One session that the questions ask for. */
const knownSession = '5f1c3c1e-0000-4000-8000-000000000001'

const filters = [
  { query: { user: 'user17' }, grep: '"user":"user17"' },
  { query: { user: 'user42', type: 'exec' }, grep: '"user":"user42"' },
  { query: { type: 'session.start,session.end' }, grep: '"event":"session.start"' },
  { query: { type: 'auth', from: new Date(begin + 10 * day).toISOString() }, grep: '"event":"auth"' },
  {
    query: { from: new Date(begin + 3 * day).toISOString(), to: new Date(begin + 3.1 * day).toISOString() },
    grep: '"time":"2026-01-04',
  },
  { query: { session: knownSession }, grep: knownSession },
]
const texts = [
  { query: { text: 'needle' }, grep: 'needle' },
  { query: { text: 'word17' }, grep: 'word17 ' },
  { query: { text: 'word17 word1700' }, grep: 'word17 ' },
  { query: { text: '"tar czf"' }, grep: 'tar czf' },
  { query: { text: '/srv/data/word55' }, grep: '/srv/data/word55/' },
  { query: { text: 'permission denied', user: 'user9' }, grep: 'permission denied' },
  { query: { text: 'backu*' }, grep: 'backu' },
]

/** Events as nodes report them: commands, files, sessions, refusals; spread over thirty days. */
class EventMaker {
  readonly #step: number
  readonly #needles: ReadonlySet<number>
  readonly #known: ReadonlySet<number>
  #n = 0

  constructor(count: number) {
    this.#step = (30 * day) / count
    this.#needles = new Set(Array.from({ length: 5 }, (_, n) => Math.floor((count / 6) * (n + 1))))
    this.#known = new Set(Array.from({ length: 8 }, (_, n) => Math.floor(count / 3) + n))
  }

  next() {
    const n = this.#n++
    const user = pick(users)
    const common = {
      uid: randomUUID(),
      time: new Date(begin + n * this.#step).toISOString(),
      cluster_name: 'bench',
      user,
      login: 'deploy',
      sid: this.#known.has(n) ? knownSession : randomUUID(),
      server_id: '00000000-0000-4000-8000-000000000000',
      server_hostname: `host-${n % 500}.example.com`,
      server_labels: { env: 'prod', region: 'eu-west-1' },
      'addr.remote': `10.${n % 200}.${n % 250}.7:${30_000 + (n % 20_000)}`,
    }
    const path = `/srv/data/${pick(words)}/${pick(words)}.txt`
    switch (n % 8) {
      case 0:
        return { ...common, event: 'session.start', code: 'T2000I', interactive: true, size: '80:25' }
      case 1:
        return { ...common, event: 'session.data', code: 'T2006I', tx: n, rx: n % 1000 }
      case 2:
        return {
          ...common,
          event: 'sftp.write',
          code: 'TS004I',
          path,
          size: n,
          success: true,
          sha256: randomUUID().repeat(2).slice(0, 64),
        }
      case 3:
        return { ...common, event: 'auth', code: 'T3007W', success: false, error: `permission denied for ${user}` }
      case 4:
        return {
          ...common,
          event: 'session.end',
          code: 'T2004I',
          interactive: true,
          participants: [user],
          session_start: common.time,
          session_stop: common.time,
        }
      default: {
        const tool = n % 64 === 5 ? 'tar czf backup.tgz' : 'rsync -a'
        const needle = this.#needles.has(n) ? ' needle' : ''
        const command = `${tool} ${path} ${pick(words)} ${pick(words)}${needle}`
        return { ...common, event: 'exec', code: 'T3002I', command, exitCode: '0' }
      }
    }
  }
}

const pick = <T>(list: readonly T[]): T => list[randomInt(list.length)] as T
