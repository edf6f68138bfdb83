/** A daemon without root: it serves the account it runs under, and says so to everybody else. */

import { userInfo } from 'node:os'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { run } from '../ssh/testing/run.ts'
import { type TempDir, tempDir } from '../ssh/testing/temp-dir.ts'
import { ownPrivileges } from './os/privileges.ts'
import { TestNode, type TestUser } from './testing/test-node.ts'

const me = userInfo().username
const somebodyElse = me === 'nobody' ? 'daemon' : 'nobody'
const alice: TestUser = { name: 'alice', roles: ['dev'], logins: [me, somebodyElse] }
let directory: TempDir
let node: TestNode

beforeAll(async () => {
  directory = tempDir()
  node = new TestNode(directory.path, ownPrivileges(process.getuid?.() ?? -1))
  await node.listen()
  node.addRole('dev', { logins: ['{{internal.logins}}'], node_labels: { '*': '*' } }, { port_forwarding: true })
  node.addUser(alice)
})
afterAll(async () => {
  await node.server.close()
  directory[Symbol.dispose]()
})

test('the own account is served, its shell under the name of a login shell', async () => {
  const result = await node.ssh(alice, me, ['id -un; echo $0'])
  expect(result.stdout.toString().split('\n')[0]).toBe(me)
  const [flag = '', config = '', host = ''] = node.openSsh(alice, me)
  const shell = await run('ssh', [flag, config, '-T', host], { input: 'echo name:$0\n' })
  expect(shell.stdout.toString()).toMatch(/name:-\w+/)
})

test('a terminal works', async () => {
  const result = await node.ssh(alice, me, ['-tt', 'tty'])
  expect(result.stdout.toString()).toMatch(/^\/dev\/pts\/\d+\r\n$/)
})

test('another account is refused with a message that says why', async () => {
  const result = await node.ssh(alice, somebodyElse, ['id'])
  expect(result.code).toBe(255)
  expect(result.stderr).toContain('runs without root')
  expect(result.stderr).toContain('start it as root')
})
