/** Limits of roles on connections and sessions, seen from OpenSSH. */

import { type ChildProcess, spawn } from 'node:child_process'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ConnectionProblem } from '../../errors/errors.ts'
import { run } from '../../ssh/testing/run.ts'
import { poll } from '../testing/poll.ts'
import type { TestUser } from '../testing/test-node.ts'
import { alice as dev, everyNode, me, useNode } from '../testing/use-node.ts'

const alice: TestUser = { ...dev, roles: ['dev', 'more'] }
const { node, directory } = useNode(alice)
const children: ChildProcess[] = []
let counter = 0

beforeEach(() => {
  node.events.length = 0
  node.leases.problem = undefined
  limits({})
})
afterEach(async () => {
  for (const child of children.splice(0)) {
    child.kill('SIGKILL')
    await new Promise((resolve) =>
      child.exitCode === null && child.signalCode === null ? child.once('close', resolve) : resolve(0),
    )
  }
})
/** The other role says nothing, or something milder: the smallest value counts. */
const limits = (options: Record<string, unknown>, milder: Record<string, unknown> = {}): void => {
  node.addRole('dev', everyNode, options)
  node.addRole('more', {}, milder)
}
const rejected = () => node.events.filter((event) => event.event === 'session.rejected')
const ssh = (...flags: string[]) => node.ssh(alice, me, [...flags, 'echo in'])

/** A connection that stays, with a command that runs on it. */
async function hold(...flags: string[]): Promise<ChildProcess> {
  const [flag = '', config = '', host = ''] = node.openSsh(alice, me)
  const child = spawn('ssh', [flag, config, ...flags, host, 'echo ready; cat'], { stdio: ['pipe', 'pipe', 'ignore'] })
  children.push(child)
  await new Promise((resolve, reject) => {
    child.stdout?.once('data', resolve)
    child.once('close', () => reject(new Error('ssh ended')))
  })
  return child
}
const ended = (child: ChildProcess) => new Promise((resolve) => child.once('close', resolve))

describe('max_connections', () => {
  test('one more than the roles allow is refused with the reason and an event; a place that is free again is given again', async () => {
    limits({ max_connections: 2 }, { max_connections: 5 })
    const [first] = [await hold(), await hold()]
    const refused = await ssh()
    expect(refused.code).toBe(255)
    expect(refused.stdout.toString()).toBe('')
    expect(refused.stderr).toContain('your roles allow 2 connections at a time (max_connections)')
    expect(rejected()).toMatchObject([
      { code: 'T1006W', user: 'alice', login: me, maximum: 2, server_hostname: 'node' },
    ])
    first?.kill()
    await poll(() => node.leases.held.size).toBe(1)
    expect((await ssh()).stdout.toString()).toBe('in\n')
  })

  test('while auth is away nobody with a limit gets in, and everybody else does', async () => {
    node.leases.problem = new ConnectionProblem('cannot reach auth')
    expect((await ssh()).stdout.toString()).toBe('in\n')
    limits({ max_connections: 2 })
    const refused = await ssh()
    expect(refused.code).toBe(255)
    expect(refused.stderr).toMatch(/the auth service cannot be asked how many there are: cannot reach auth/)
    expect(rejected()).toHaveLength(1)
  })

  test('forwards and -N count as well: nothing is served before the place is there', async () => {
    limits({ max_connections: 1 })
    await hold()
    const [flag = '', config = '', host = ''] = node.openSsh(alice, me)
    const result = await run('ssh', [flag, config, '-W', `127.0.0.1:${node.port}`, host])
    expect(result.stdout.toString()).toBe('')
    expect(node.events.filter(({ event }) => event === 'port')).toEqual([])
  })
})

describe('max_sessions', () => {
  test('one session more on a connection is refused with the reason and an event; other connections are not concerned', async () => {
    limits({ max_sessions: 2 })
    const control = directory.file(`c${counter++}`)
    const mux = ['-o', `ControlPath=${control}`, '-o', 'LogLevel=INFO']
    const master = await hold(...mux, '-o', 'ControlMaster=yes')
    const second = await hold(...mux)
    // Through the same connection, or it would be another one.
    const third = await ssh(...mux, '-o', 'ProxyCommand=false')
    expect(third.stdout.toString()).toBe('')
    expect(third.code).toBe(255)
    expect(rejected()).toMatchObject([
      { code: 'T1006W', reason: expect.stringContaining('2 sessions on one connection (max_sessions)'), maximum: 2 },
    ])
    expect((await ssh()).stdout.toString()).toBe('in\n')
    second.stdin?.end()
    await ended(second)
    expect((await ssh(...mux, '-o', 'ProxyCommand=false')).stdout.toString()).toBe('in\n')
    master.kill()
  })
})

test('disconnect_expired_cert of a role ends the connection when the certificate ends, though the cluster does not ask for it', async () => {
  limits({}, { disconnect_expired_cert: true })
  const validBefore = new Date(Date.now() + 1500)
  const [flag = '', config = '', host = ''] = node.openSsh(alice, me, { validBefore })
  const late = spawn('ssh', [flag, config, '-o', 'LogLevel=INFO', host, 'cat'], { stdio: ['pipe', 'ignore', 'pipe'] })
  children.push(late)
  let said = ''
  late.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString()
  })
  expect(await ended(late)).toBe(255)
  expect(said).toContain('your certificate has expired')
  expect(node.events.find(({ event }) => event === 'client.disconnect')).toMatchObject({ user: 'alice' })
})

// The last one: it uses up what alice may leave in the log.
test('endless tries leave a bounded number of events', async () => {
  limits({ max_connections: 1 })
  await hold()
  for (let round = 0; round < 8; round++) await Promise.all([ssh(), ssh(), ssh()])
  expect(rejected().length).toBeGreaterThan(2)
  expect(rejected().length).toBeLessThanOrEqual(22)
})
