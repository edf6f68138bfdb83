/** `kill -9` of anything at any moment, while users are added and log in: back within seconds, with everything that was acknowledged. */

import { randomInt } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { getStatus } from '../src/api/routes.ts'
import { type Cluster, login, startCluster } from './cluster.ts'
import { clusterProcesses, pidOf } from './processes.ts'
import { bin, Dialog, until } from './run.ts'

let cluster: Cluster

beforeAll(async () => {
  cluster = await startCluster()
  await cluster.addUser('alice')
})
afterAll(async () => {
  await cluster.remove()
})

const rounds = (['auth', 'auth', 'proxy', 'node', 'supervisor', 'supervisor', 'all', 'all'] as const).map(
  (target, index) => ({ target, round: index + 1 }),
)
const added = ['alice']
const attempted = ['alice']

/** A start that fails ends at once, with its reason; then again. */
async function startAgain(): Promise<void> {
  const failures: string[] = []
  await until(
    'a start',
    async () => {
      const starting = cluster.start()
      const next = cluster.process
      const over = next?.exited.then(() => false as const)
      const started = await Promise.race([starting.then(() => true as const), over])
      starting.catch(() => undefined)
      if (started === true) return true
      failures.push(next?.output ?? '')
      return undefined
    },
    60_000,
    () => failures.join('\n'),
  )
}

async function openSession(): Promise<Dialog> {
  const session = new Dialog(bin('tsh'), ['ssh', `${login}@node-1`, 'echo begun; read line; echo "got $line"'], {
    env: cluster.env({ TELEPORT_HOME: await cluster.login('alice') }),
  })
  await session.expect(/begun/)
  return session
}

test.each(rounds)('round $round: kill -9 of $target', async ({ target, round }) => {
  let stop = false
  const adding = (async () => {
    for (let index = 0; !stop && index < 20; index++) {
      const name = `u${round}-${index}`
      attempted.push(name)
      const result = await cluster.tctl('users', 'add', name, `--logins=${login}`)
      if (result.code === 0) added.push(name)
      else {
        expect(result.stderr).not.toMatch(/internal error|\n\s+at /)
        return
      }
    }
  })()
  const loggingIn = cluster.login('alice').then(
    () => undefined,
    (error: Error) => expect(error.message).not.toMatch(/internal error|\n\s+at /),
  )
  const delay = randomInt(100, 700)
  await new Promise((resolve) => setTimeout(resolve, delay))
  // What "at once" means on this machine now: fifteen seconds, more where even a listing takes long.
  const asked = performance.now()
  await cluster.tctl('users', 'ls')
  const patience = Math.max(15_000, (performance.now() - asked) * 30)
  const before = cluster.process
  // A session outlives the supervisor, and must not keep anything from its successor: no port, no database.
  const lives = target === 'supervisor' ? await openSession() : undefined
  const victims = target === 'all' ? [...clusterProcesses(cluster).keys()] : [pidOf(cluster, target)]
  expect(victims).not.toContain(0)
  for (const pid of victims) process.kill(pid, 'SIGKILL')
  const began = performance.now()
  if (target === 'supervisor' || target === 'all') {
    // Not its `exited`: that waits for the pipes too, which the session's processes still hold.
    await until('its end', () => (before?.child.signalCode === 'SIGKILL' ? true : undefined))
    // At once: what the old one left behind must be out of the way by itself.
    await startAgain()
  }
  await until('an answer', async () => await cluster.admin.answer((api) => api.call(getStatus)))
  stop = true
  await Promise.all([adding, loggingIn])
  const home = await until('a login', async () => await cluster.login('alice').catch(() => undefined))
  await until(
    'a session',
    async () => {
      const { stdout } = await cluster.tsh(home, ['ssh', `${login}@node-1`, 'echo alive'])
      return stdout === 'alive\n' ? true : undefined
    },
    60_000,
  )
  expect(performance.now() - began).toBeLessThan(patience)
  if (lives !== undefined) {
    lives.send('still here\n')
    await lives.expect(/got still here/)
    expect(await lives.exited).toBe(0)
  }
  const listed = (await cluster.tctl('users', 'ls')).stdout
  for (const name of added) expect(listed).toMatch(new RegExp(`^${name} `, 'm'))
  for (const line of listed.trim().split('\n').slice(2)) expect(attempted).toContain(line.split(' ')[0])
})

test('nobody is left over: one supervisor, one process for each role', async () => {
  expect(added.length).toBeGreaterThan(10)
  await until('four processes', () => {
    const roles = [...clusterProcesses(cluster).values()].sort()
    return roles.join() === 'auth,node,proxy,supervisor' ? true : undefined
  })
})

test('every user that is there has left its event, and only one', async () => {
  const listed = await cluster.events({ type: 'user.create' })
  const names = listed.map(({ name, user }) => String(name ?? user))
  for (const name of added) expect(names.filter((each) => each === name)).toHaveLength(1)
})
