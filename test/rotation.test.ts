/**
 * Both authorities are replaced while people work: an open session lives through it, machines follow by themselves, are restarted and
 * killed in each phase, and what is left at the end is the new keys alone (SECURITY V20, F2).
 */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Cluster, freePorts, login, password, startCluster } from './cluster.ts'
import { pidOf } from './processes.ts'
import { bin, Dialog, type Result, run, until } from './run.ts'

const secret = 'a-static-token-of-enough-length'
let cluster: Cluster
let session: Dialog
const nodes = new Map<string, Dialog>()
let lines = 0

beforeAll(async () => {
  const auth = `  authentication: {type: local, second_factor: off}\n  tokens: ["node:${secret}"]`
  cluster = await startCluster({ auth })
  await cluster.addUser('alice')
})
afterAll(async () => {
  session?.child.kill('SIGKILL')
  await Promise.all([...nodes.values()].map((node) => node.stop()))
  await cluster.remove()
})

/** Another machine of the cluster, as far as its data goes. */
async function startNode(name: string): Promise<void> {
  const file = join(cluster.dir, `${name}.yaml`)
  if (!nodes.has(name)) {
    const { node } = await freePorts()
    writeFileSync(
      file,
      `teleport:
  nodename: ${name}
  data_dir: ${cluster.dir}/${name}
  auth_servers: ["127.0.0.1:${cluster.ports.auth}"]
  auth_token: ${secret}
ssh_service: {enabled: yes, listen_addr: "127.0.0.1:${node}"}
auth_service: {enabled: no}
proxy_service: {enabled: no}
`,
    )
  }
  const process = new Dialog(bin('teleport'), ['start', '-c', file], { env: cluster.env() })
  nodes.set(name, process)
  await process.expect(/node .*SSH on/, 120_000)
}
const stopNode = async (name: string) => void (await nodes.get(name)?.stop())

const rotate = (...args: readonly string[]) => cluster.tctl('auth', 'rotate', '--manual', ...args)

async function goTo(phase: string): Promise<void> {
  // The end waits for machines that have not followed yet.
  await until(`the phase ${phase}`, async () => {
    const result = await rotate(`--phase=${phase}`)
    return result.code === 0 || !/would be locked out/.test(result.stderr) ? result : undefined
  }).then((result) => expect(result).toMatchObject({ code: 0 }))
}

/** With the configuration that `tsh config` wrote: strict host checking, known hosts of the login. */
const ssh = (config: string, node: string, command: string): Promise<Result> =>
  run('ssh', ['-F', config, '-o', 'BatchMode=yes', `${login}@${node}.feat`, command])

async function configOf(home: string): Promise<string> {
  const path = join(home, 'ssh_config')
  const result = await cluster.tsh(home, ['config', '--insecure'])
  expect(result).toMatchObject({ code: 0 })
  writeFileSync(path, result.stdout)
  return path
}

/** The session that was opened before anything began still answers. */
async function stillThere(): Promise<void> {
  const word = `line-${++lines}`
  session.send(`${word}\n`)
  await session.expect(new RegExp(`got ${word}`))
}

async function reaches(config: string, node: string): Promise<void> {
  await until(`${node} by plain ssh`, async () => {
    const result = await ssh(config, node, 'echo in')
    return result.stdout === 'in\n' ? true : undefined
  })
}

/** Auth is killed; the supervisor starts it again, in the same phase. */
async function killAuth(phase: string): Promise<void> {
  // 0 would be this process's own group.
  const pid = await until('a process for auth', () => pidOf(cluster, 'auth') || undefined)
  process.kill(pid, 'SIGKILL')
  await until(`auth in the phase ${phase}`, async () => {
    const { stdout } = await cluster.tctl('status')
    return new RegExp(`Host CA .*${phase}[\\s\\S]*User CA .*${phase}`).test(stdout) ? true : undefined
  })
}

test('a whole rotation of both authorities with a session that goes on', { timeout: 600_000 }, async () => {
  await startNode('node-2')
  const early = await cluster.login('alice')
  const earlyConfig = await configOf(early)
  const oldPin = /sha256:[0-9a-f]{64}/.exec((await cluster.tctl('status')).stdout)?.[0] ?? ''
  await reaches(earlyConfig, 'node-2')
  session = new Dialog(
    'ssh',
    ['-F', earlyConfig, `${login}@node-1.feat`, 'while read line; do echo "got $line"; done'],
    {},
  )
  await stillThere()

  for (const phase of ['init', 'update_clients', 'update_servers']) {
    await goTo(phase)
    await stillThere()
    await stopNode('node-2')
    await killAuth(phase)
    await startNode('node-2')
    // Who asks for the list of nodes learns the authorities on the way; plain ssh uses them.
    await until('tsh ls', async () => ((await cluster.tsh(early, ['ls', '--insecure'])).code === 0 ? true : undefined))
    expect(readFileSync(join(early, 'known_hosts'), 'utf8').trim().split('\n')).toHaveLength(2)
    await reaches(earlyConfig, 'node-2')
    await stillThere()
  }
  const pins = [...(await cluster.tctl('status')).stdout.matchAll(/sha256:[0-9a-f]{64}/g)].map(([pin]) => pin)
  expect(pins).toHaveLength(2)
  expect(pins).toContain(oldPin)
  mkdirSync(cluster.home('fresh'), { mode: 0o700 })
  const fresh = cluster.home('fresh')
  const args = ['login', '--insecure', `--proxy=${cluster.proxyAddress}`, '--user=alice']
  expect(await cluster.tsh(fresh, args, { input: `${password}\n` })).toMatchObject({ code: 0 })
  const freshConfig = await configOf(fresh)
  await reaches(freshConfig, 'node-1')

  await goTo('standby')
  await stillThere()
  const status = (await cluster.tctl('status')).stdout
  expect(status).toMatch(/Host CA +rotated .* ago\nUser CA +rotated .* ago/)
  expect([...status.matchAll(/sha256:[0-9a-f]{64}/g)].map(([pin]) => pin)).toEqual(pins.filter((pin) => pin !== oldPin))

  // The certificate from before is good nowhere, and says what to do.
  // Proxy and node hear of it one after the other, and who has not heard yet cannot say it.
  await until('the refusal that says what to do', async () => {
    const result = await cluster.tsh(early, ['ssh', '--insecure', `${login}@node-1`, 'echo in'])
    expect(result).toMatchObject({ code: 255, stdout: '' })
    return /user authority that the cluster has replaced; log in again: tsh login/.test(result.stderr) || undefined
  })
  expect((await ssh(earlyConfig, 'node-1', 'echo in')).code).toBe(255)
  // A login that looks good is asked for again.
  const again = await cluster.tsh(early, args, { input: `${password}\n` })
  expect(again).toMatchObject({ code: 0, stderr: expect.stringContaining('you have to log in again') })
  await reaches(earlyConfig, 'node-2')
  await stopNode('node-2')
  await killAuth('rotated')
  await startNode('node-2')
  await reaches(freshConfig, 'node-2')
  await stillThere()
})
