import { chmodSync, chownSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { realEnv } from '../../common/env.ts'
import { openAccounts } from './accounts.ts'
import { asUser } from './as-user.ts'
import { currentPrivileges } from './privileges.ts'
import { connectTcp, connectUnix, listenUnix, unlinkAsUser } from './user-socket.ts'

const privileges = currentPrivileges()
const accounts = openAccounts(realEnv)
const owner = async (name = privileges.isRoot ? 'nobody' : userInfo().username) => {
  const account = await accounts.find(name)
  if (account === undefined) throw new Error(`no account ${name}`)
  return { account, privileges }
}
const never = new AbortController().signal
const directories: string[] = []
afterEach(() => {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true })
})
function directory(uid: number, mode: number): string {
  const path = mkdtempSync(join(tmpdir(), 'user-socket-'))
  directories.push(path)
  chmodSync(path, mode)
  if (privileges.isRoot) chownSync(path, uid, 0)
  return path
}
const text = async (socket: Socket) => {
  const chunks: Buffer[] = []
  for await (const chunk of socket) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString()
}

test('a TCP connection carries bytes both ways', async () => {
  const server = createServer((socket) => socket.pipe(socket)).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const socket = await connectTcp(await owner(), '127.0.0.1', (server.address() as AddressInfo).port, never)
  socket.end('ping')
  expect(await text(socket)).toBe('ping')
  server.close()
})

test('a refused TCP connection says so', async () => {
  await expect(connectTcp(await owner(), '127.0.0.1', 1, never)).rejects.toThrow('connection refused')
})

test('an aborted TCP connection ends', async () => {
  await expect(connectTcp(await owner(), '127.0.0.1', 1, AbortSignal.abort())).rejects.toThrow()
})

test('a unix socket of the user is reached by the user alone', async () => {
  const who = await owner()
  const path = join(directory(who.account.uid, 0o755), 's')
  const server = listenUnix(who, path)
  server.on('connection', (socket) => socket.end('hello'))
  expect(statSync(path)).toMatchObject({ uid: who.account.uid, gid: who.account.gid })
  expect(statSync(path).mode & 0o777).toBe(0o600)
  expect(await text(connectUnix(who, path))).toBe('hello')
  server.close()
  unlinkAsUser(who, path)
  expect(() => statSync(path)).toThrow()
})

test.each(['relative', '/'.padEnd(108, 'x'), '/a\0b', '\0abstract', ''])('the path %j is refused', async (path) => {
  const who = await owner()
  expect(() => connectUnix(who, path)).toThrow('unix socket')
})

test('an existing file is not replaced', async () => {
  const who = await owner()
  const path = join(directory(who.account.uid, 0o700), 's')
  listenUnix(who, path).close()
  expect(() => listenUnix(who, path)).toThrow('in use')
})

describe.runIf(privileges.isRoot)('a root daemon', () => {
  test("cannot be led to a socket that the user cannot reach, nor make one in root's directory", async () => {
    const who = await owner()
    const root = await owner('root')
    const path = join(directory(0, 0o700), 's')
    const server = listenUnix(root, path)
    expect(() => connectUnix(who, path)).toThrow('permission denied')
    expect(() => listenUnix(who, `${path}2`)).toThrow('permission denied')
    server.close()
  })

  test("owns nothing of the user's TCP sockets, and has its own rights again afterwards", async () => {
    const who = await owner()
    const server = createServer(() => {}).listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    const socket = await connectTcp(who, '127.0.0.1', (server.address() as AddressInfo).port, never)
    expect(process.geteuid?.()).toBe(0)
    expect(process.getegid?.()).toBe(0)
    socket.destroy()
    server.close()
  })

  test('has root as real and saved user while it acts, so that the user cannot signal it', async () => {
    const { readFileSync } = await import('node:fs')
    const who = await owner()
    const status = asUser(who.account, privileges, () => readFileSync('/proc/thread-self/status', 'utf8'))
    expect(status).toMatch(new RegExp(`Uid:\\t0\\t${who.account.uid}\\t0\\t${who.account.uid}\n`))
    expect(status).toContain('CapEff:\t0000000000000000')
    expect(() => asUser(who.account, privileges, () => readFileSync('/etc/shadow'))).toThrow('EACCES')
    expect(readFileSync('/etc/shadow').length).toBeGreaterThan(0)
  })

  test('restores its rights when the action throws', async () => {
    const who = await owner()
    expect(() =>
      asUser(who.account, privileges, () => {
        throw new Error('x')
      }),
    ).toThrow('x')
    expect(process.geteuid?.()).toBe(0)
  })
})
