/** Limits of roles on connections, sessions and targets, through the proxy with tsh and at a real auth service. */

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { listLeases } from '../src/api/routes.ts'
import { type AuditRecord, type Cluster, freePorts, login, startCluster } from './cluster.ts'
import { bin, Dialog, run, until } from './run.ts'

let cluster: Cluster
let port: number
const server = createServer((_, response) => void response.end('inside'))

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  port = (server.address() as AddressInfo).port
  cluster = await startCluster()
  const role = (name: string, options: string) =>
    `kind: role\nversion: v4\nmetadata: {name: ${name}}\nspec:\n  options: {${options}}\n  allow: {logins: ['{{internal.logins}}'], node_labels: {'*': '*'}}\n`
  await cluster.admin.create(
    [
      role('one-connection', 'max_connections: 1'),
      role('one-session', 'max_sessions: 1'),
      role('one-target', `forward_to: ['127.0.0.1:${port}']`),
    ].join('---\n'),
  )
})
afterAll(async () => {
  server.close()
  await cluster.remove()
})

async function user(name: string, roles: string): Promise<string> {
  await cluster.addUser(name, { roles })
  return await cluster.login(name)
}
const tsh = (home: string, ...args: string[]) => cluster.tsh(home, ['ssh', ...args])
const start = (home: string, ...args: string[]) =>
  new Dialog(bin('tsh'), ['ssh', ...args], { env: cluster.env({ TELEPORT_HOME: home }) })

const event = (what: string, matches: (listed: AuditRecord) => boolean) =>
  until(what, async () => (await cluster.events()).find(matches))

describe('max_connections', () => {
  test('the second connection is told why it is refused; the place is free when the first has ended', async () => {
    const home = await user('carol', 'one-connection')
    const first = start(home, `${login}@node-1`, 'echo here; cat')
    await first.expect(/here/)
    const second = await tsh(home, `${login}@node-1`, 'echo too much')
    expect(second).toMatchObject({ code: 255, stdout: '' })
    expect(second.stderr).toContain('your roles allow 1 connection at a time (max_connections)')
    expect(second.stderr.trim().split('\n')).toHaveLength(1)
    expect(await event('the refusal', ({ code }) => code === 'T1006W')).toMatchObject({
      event: 'session.rejected',
      user: 'carol',
      maximum: 1,
    })
    const listed = await cluster.tctl('get', 'semaphores', '--format=text')
    expect(listed.stdout).toMatch(
      /^Kind +Name +LeaseID +Holder +Expires *\n[- ]+\nconnection +carol +[0-9a-f-]{36} +[0-9a-f-]{36} +20/,
    )
    expect((await cluster.tctl('get', 'semaphore/carol')).stdout).toContain('lease_id: ')
    await first.stop('SIGKILL')
    await until('the free place', async () => {
      const { stdout } = await tsh(home, `${login}@node-1`, 'echo next')
      return stdout === 'next\n' ? true : undefined
    })
    await until('an empty list', async () => {
      const held = await cluster.admin.answer((api) => api.call(listLeases, { query: {} }))
      return held?.items.length === 0 ? true : undefined
    })
    expect((await cluster.tctl('rm', 'semaphore/carol')).stderr).toContain('no connections of "carol" are counted')
  })
})

describe('max_sessions', () => {
  test('an ordinary session is one; several one after the other are no trouble', async () => {
    const home = await user('dave', 'one-session')
    for (const word of ['one', 'two']) {
      expect(await tsh(home, `${login}@node-1`, `echo ${word}`)).toMatchObject({ code: 0, stdout: `${word}\n` })
    }
  })
})

describe('forward_to', () => {
  test('S18 the target that the role names is reached, another one is refused with the reason and an event', async () => {
    const home = await user('erin', 'one-target')
    const { node: allowed, web: refused } = await freePorts()
    const forwards = ['-L', `${allowed}:127.0.0.1:${port}`, '-L', `${refused}:127.0.0.1:${cluster.ports.auth}`]
    const session = start(home, '-N', ...forwards, `${login}@node-1`)
    try {
      const page = await until('the forward', async () => {
        const { stdout } = await run('curl', ['-s', `http://127.0.0.1:${allowed}/`])
        return stdout === '' ? undefined : stdout
      })
      expect(page).toBe('inside')
      expect((await run('curl', ['-s', `http://127.0.0.1:${refused}/`])).stdout).toBe('')
      await session.expect(/your roles allow forwarding to other targets only \(forward_to\)/)
      const found = await event('the refusal', ({ code }) => code === 'T3003E')
      expect(found).toMatchObject({ user: 'erin', addr: `127.0.0.1:${cluster.ports.auth}`, direction: 'local' })
    } finally {
      await session.stop()
    }
  })
})
