/** What a session of tsh carries besides its output: the agent, forwards from the remote side, and where it is. */

import { existsSync, statSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Cluster, freePorts, login, startCluster } from './cluster.ts'
import { bin, Dialog, run, succeed, until } from './run.ts'

let cluster: Cluster
let home: string

beforeAll(async () => {
  cluster = await startCluster()
  await cluster.addUser('alice')
  home = await cluster.login('alice')
})
afterAll(async () => {
  await cluster.remove()
})

const on = (options: readonly string[], command: string, env: Readonly<Record<string, string>> = {}) =>
  cluster.tsh(home, ['ssh', ...options, `${login}@node-1`, command], { env })
const gone = (pid: number) => {
  try {
    process.kill(pid, 0)
    return undefined
  } catch {
    return true
  }
}

describe('tsh ssh -A', () => {
  test('shows the running ssh-agent, which signs', async () => {
    const socket = join(cluster.dir, 'agent.sock')
    const agent = new Dialog('ssh-agent', ['-D', '-a', socket])
    try {
      await until('the agent', () => (existsSync(socket) ? true : undefined))
      const key = join(cluster.dir, 'personal')
      await succeed('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'personal key', '-f', key])
      await succeed('ssh-add', ['-q', key], { env: { SSH_AUTH_SOCK: socket } })
      const result = await on(['-A'], `ssh-add -l && ssh-add -T ${key}.pub && echo signed`, { SSH_AUTH_SOCK: socket })
      expect(result.stdout, result.stderr).toMatch(/personal key \(ED25519\)\nsigned\n/)
    } finally {
      await agent.stop()
    }
  })

  test('without one shows the certificate of the login alone', async () => {
    const result = await on(['-A'], 'ssh-add -l')
    expect(result.stdout, result.stderr).toMatch(/^\d+ \S+ teleport:alice \(ED25519-CERT\)\n$/)
  })

  test('without -A there is no agent', async () => {
    expect((await on([], 'echo "[$SSH_AUTH_SOCK]"')).stdout).toBe('[]\n')
  })
})

describe('tsh ssh -R', () => {
  const server = createServer((_, response) => void response.end('from home'))
  let target: string
  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    target = `127.0.0.1:${(server.address() as AddressInfo).port}`
  })
  afterAll(() => void server.close())

  test('a port and a socket of the node lead here, while the session lasts', async () => {
    const { node: port } = await freePorts()
    const socket = join(cluster.dir, 'remote.sock')
    const result = await on(
      [`-R${port}:${target}`, '-R', `${socket}:${target}`],
      `curl -s http://127.0.0.1:${port}/; echo; curl -s --unix-socket ${socket} http://x/; echo`,
    )
    expect(result, result.stderr).toMatchObject({ code: 0, stdout: 'from home\nfrom home\n' })
    expect((await run('curl', ['-s', `http://127.0.0.1:${port}/`])).code).toBe(7)
  })

  test('a port that is taken is said, and ends the session where that was asked for', async () => {
    const spec = `${cluster.ports.node}:${target}`
    const lenient = await on(['-R', spec], 'echo on')
    expect(lenient).toMatchObject({ code: 0, stdout: 'on\n' })
    expect(lenient.stderr).toContain(String(cluster.ports.node))
    const strict = await on(['-o', 'ExitOnForwardFailure=yes', '-R', spec], 'echo on')
    expect(strict.code).not.toBe(0)
    expect(strict.stdout).toBe('')
  })
})

test('teleport status inside a session names the session and its page', async () => {
  const inside = await until('the address of the web side', async () => {
    const { stdout } = await on([], `${bin('teleport')} status; echo "$SSH_SESSION_WEBPROXY_ADDR $SSH_SESSION_ID"`)
    return stdout.includes('https://') ? stdout : undefined
  })
  const [address, id] = inside.trim().split('\n').at(-1)?.split(' ') ?? []
  expect(address).toBe(cluster.proxyAddress)
  expect(inside).toContain(`https://${address}/web/sessions/${id}\n`)
})

describe('tsh agent --background', () => {
  test('eval $(tsh agent -b) serves the certificate until it is ended, and keeps nothing of the shell', async () => {
    const script = `eval $(${bin('tsh')} agent -b 2>&1) && ssh-add -l && echo "$SSH_AUTH_SOCK $TSH_AGENT_PID"`
    const { stdout, stderr } = await run('bash', ['-c', script], { env: cluster.env({ TELEPORT_HOME: home }) })
    expect(stdout, stderr).toMatch(/teleport:alice \(ED25519-CERT\)/)
    const [socket = '', pid = '0'] = stdout.trim().split('\n').at(-1)?.split(' ') ?? []
    expect(statSync(socket).mode & 0o077).toBe(0)
    expect(statSync(dirname(socket)).mode & 0o077).toBe(0)
    const list = await succeed('ssh-add', ['-l'], { env: { SSH_AUTH_SOCK: socket } })
    expect(list).toContain('teleport:alice')
    process.kill(Number(pid), 'SIGTERM')
    await until('the end of the agent', () => gone(Number(pid)))
    expect(existsSync(dirname(socket))).toBe(false)
  })

  test('ends with tsh logout, and holds nothing from that moment on', async () => {
    await cluster.addUser('frank')
    const franks = await cluster.login('frank')
    const started = await cluster.tsh(franks, ['agent', '-b'])
    const [, socket = '', pid = '0'] =
      /SSH_AUTH_SOCK='?([^';]+)'?;[\s\S]*TSH_AGENT_PID=(\d+)/.exec(started.stdout) ?? []
    const listing = async () => (await run('ssh-add', ['-l'], { env: { SSH_AUTH_SOCK: socket } })).stdout
    expect(await listing(), started.stderr).toContain('teleport:frank')
    expect((await cluster.tsh(franks, ['logout'])).code).toBe(0)
    expect(await listing()).not.toContain('teleport:frank')
    await until('the end of the agent', () => gone(Number(pid)))
    expect(existsSync(dirname(socket))).toBe(false)
  })

  test('what stands in the way is said, with the exit code', async () => {
    const nobody = await cluster.tsh(cluster.home('nobody'), ['agent', '-b'])
    expect(nobody.code).not.toBe(0)
    expect(nobody.stdout).toBe('')
    expect(nobody.stderr).toMatch(/^tsh: .*tsh login/)
    const taken = await cluster.tsh(home, ['agent', '-b', `--socket=${cluster.dir}/no/such/directory/agent.sock`])
    expect(taken.code).toBe(1)
    expect(taken.stderr.trim().split('\n')).toHaveLength(1)
  })
})
