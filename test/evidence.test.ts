/** `kill -9` at random moments while a session is recorded: what was acknowledged stays, every session has an end, the log proves itself. */

import { randomInt } from 'node:crypto'
import { existsSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Cluster, login, startCluster } from './cluster.ts'
import { clusterProcesses, pidOf } from './processes.ts'
import { bin, Dialog, until } from './run.ts'

let cluster: Cluster
let home = ''

beforeAll(async () => {
  cluster = await startCluster()
  await cluster.addUser('alice', { roles: 'access,auditor' })
  home = await cluster.login('alice')
})
afterAll(async () => {
  await cluster.remove()
})

const recordings = () => cluster.admin.recordings()
const events = (type: string) => cluster.events({ type })

const sids: string[] = []
const script = 'echo "sid=$SSH_SESSION_ID."; i=0; while :; do i=$((i+1)); echo "line $i."; sleep 0.02; done'

/** The node has the most to lose. Killed alone too often in a row, it would be started again only after a while. */
const rounds = Array.from({ length: 20 }, (_, index) => ({
  round: index + 1,
  target: (['node', 'node', 'all', 'auth'] as const)[index % 4] ?? 'node',
}))

test.each(rounds)('round $round: kill -9 of $target', async ({ target }) => {
  const session = new Dialog(bin('tsh'), ['ssh', '-tt', `${login}@node-1`, script], {
    env: cluster.env({ TELEPORT_HOME: home, TERM: 'xterm' }),
  })
  const sid = (await session.expect(/sid=([0-9a-f-]{36})\./))[1] ?? ''
  sids.push(sid)
  await session.expect(/line 5\./)
  const delay = randomInt(0, 1500)
  await new Promise((resolve) => setTimeout(resolve, delay))
  const seen = Number([...session.output.matchAll(/line (\d+)\./g)].at(-1)?.[1] ?? 0)
  // Half a second later they are on the disk, and a busy machine gets some more.
  await session.expect(new RegExp(`line ${seen + 25}\\.`))
  const acknowledged = (await recordings()).find((each) => each.sid === sid)?.chunks ?? 0
  const before = cluster.process
  const victims = target === 'all' ? [...clusterProcesses(cluster).keys()] : [pidOf(cluster, target)]
  expect(victims).not.toContain(0)
  for (const pid of victims) process.kill(pid, 'SIGKILL')
  if (target === 'all') {
    await until('its end', () => (before?.child.signalCode === 'SIGKILL' ? true : undefined))
    await until(
      'a start',
      async () =>
        (await cluster.start().then(
          () => true,
          () => undefined,
        )) ?? undefined,
    )
  }
  // With auth away the session itself goes on: it ends as its user goes.
  if (target === 'auth') session.child.kill('SIGKILL')
  await session.exited
  const found = await until(
    'the complete recording',
    async () => (await recordings()).find((each) => each.sid === sid && each.state !== 'running'),
    // A node that did not find auth asks again 30 s later at the latest, and auth may take long to start.
    180_000,
    () => session.output.slice(-300),
  )
  expect(found.chunks).toBeGreaterThanOrEqual(acknowledged)
  const exported = await cluster.tsh(home, ['recordings', 'export', sid, '--format=text', '--out=-'])
  expect(exported.stderr).toBe('')
  const lines = [...exported.stdout.matchAll(/line (\d+)\./g)].map(([, number]) => Number(number))
  // Nothing is missing in the middle: what is lost, if anything, is the end.
  expect(lines).toEqual(lines.map((_, index) => index + 1))
  expect(lines.length).toBeGreaterThanOrEqual(seen - 30)
  if (acknowledged > 1) expect(lines.length).toBeGreaterThan(0)
})

test('a file that was open when the node was killed is told of by its successor', async () => {
  const [large, target] = [join(cluster.dir, 'large'), join(cluster.dir, 'copied')]
  writeFileSync(large, '')
  // Without taking room: zeros that are nowhere.
  truncateSync(large, 2 ** 31)
  const copying = new Dialog(bin('tsh'), ['scp', '-q', large, `${login}@node-1:${target}`], {
    env: cluster.env({ TELEPORT_HOME: home }),
  })
  await until('a beginning', () => (existsSync(target) && statSync(target).size > 0 ? true : undefined))
  process.kill(pidOf(cluster, 'node'), 'SIGKILL')
  expect(await copying.exited).not.toBe(0)
  rmSync(target, { force: true })
  const told = await until('its record', async () => {
    const found = (await events('sftp.write')).filter(({ path }) => path === target)
    return found.length > 0 ? found : undefined
  })
  expect(told).toMatchObject([
    { user: 'alice', success: false, partial: true, error: expect.stringContaining('the node ended') },
  ])
  sids.push(String(told[0]?.sid))
})

test('every session has an end, and only one', async () => {
  const ends = await until('all ends', async () => {
    const told = (await events('session.end')).map(({ sid }) => sid)
    return sids.every((sid) => told.includes(sid)) ? told : undefined
  })
  for (const sid of sids) expect(ends.filter((each) => each === sid)).toHaveLength(1)
})

test('every recording is told of once', async () => {
  const told = (await events('session.upload')).map(({ sid }) => sid)
  for (const sid of sids.slice(0, rounds.length)) expect(told.filter((each) => each === sid)).toHaveLength(1)
})

test('tctl audit verify holds', async () => {
  const { code, stdout, stderr } = await cluster.tctl('audit', 'verify')
  expect(`${stdout}${stderr}`).toMatch(/^The audit log is whole and unchanged\.\nProven: \d+ events, .*, 20 recordings/)
  expect(code).toBe(0)
})
