/** A disk that is full or cannot be written: what is refused, what is said, and that space given back is enough to go on. */

import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createUser } from '../../src/api/routes.ts'
import { Cluster, freePorts, login, temporaryDirectory } from '../cluster.ts'
import { bin, Dialog, run, until } from '../run.ts'
import { type Bench, openBench } from './bench.ts'

const probe = temporaryDirectory()
const mount = (options: string, path: string): boolean =>
  spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', path], { stdio: 'ignore' }).status === 0
const unmount = (path: string) => spawnSync('umount', ['-l', path], { stdio: 'ignore' })
const canMount = mount('size=1m', probe)
unmount(probe)
rmSync(probe, { recursive: true, force: true })

describe.runIf(canMount)('the disk of the data directory', () => {
  let cluster: Cluster
  let bench: Bench
  let data: string
  let processes: readonly string[]
  const filler = () => join(data, 'filler')

  beforeAll(async () => {
    cluster = new Cluster(temporaryDirectory(), await freePorts(), {})
    data = join(cluster.dir, 'data')
    mkdirSync(data, { mode: 0o700 })
    if (!mount('size=24m,mode=700', data)) throw new Error('cannot mount')
    await cluster.start()
    bench = await openBench(cluster)
    await bench.api.call(createUser, { body: { name: 'alice', roles: ['access'], traits: { logins: [login] } } })
    processes = bench.processes()
  })
  afterAll(async () => {
    await bench?.api.close()
    await cluster?.stop()
    if (data !== undefined) unmount(data)
    await cluster?.remove()
  })

  /** Not a byte is left afterwards. */
  const fill = () => {
    for (const size of ['1M', '4k', '1']) {
      spawnSync('sh', ['-c', `dd if=/dev/zero bs=${size} oflag=append conv=notrunc of="$0" 2>/dev/null`, filler()])
    }
  }

  test('full: what cannot be kept is refused with the reason, and nothing dies', async () => {
    const options = bench.sshOptions('node', bench.mint())
    const running = new Dialog('ssh', [...options, '-l', login, 'target', 'echo begun; read line; echo "got $line"'])
    await running.expect(/begun/)
    fill()
    const added = await until('a refusal', async () => {
      const result = await cluster.tctl('users', 'add', `u${Date.now()}`, `--logins=${login}`, '--roles=access')
      return result.code === 0 ? undefined : result
    })
    expect(added.stderr).toMatch(/no space left|disk/i)
    expect(added.stderr).not.toMatch(/\n\s+at /)
    // A session leaves a record or does not happen.
    const credentials = bench.mint()
    const marker = join(cluster.dir, 'marker')
    await bench.ssh('node', credentials, ['target', 'true'])
    const session = await bench.ssh('node', credentials, ['target', `echo in; touch ${marker}`])
    expect(session.stdout).toBe('')
    expect(session.stderr).toMatch(/audit|record|space|disk/i)
    // One that began before goes on, and whoever was acknowledged is there.
    running.send('still here\n')
    await running.expect(/got still here/)
    expect(await running.exited).toBe(0)
    expect((await cluster.tctl('users', 'ls')).stdout).toContain('alice')
    expect(existsSync(marker)).toBe(false)
    expect(bench.processes()).toEqual(processes)
  })

  test('free again: everything goes on without a restart', async () => {
    rmSync(filler())
    await until('a user', async () => {
      const result = await cluster.tctl('users', 'add', `v${Date.now()}`, `--logins=${login}`, '--roles=access')
      return result.code === 0 ? true : undefined
    })
    const credentials = bench.mint()
    await until('a session', async () => {
      const session = await bench.ssh('node', credentials, ['target', 'echo in'])
      return session.stdout === 'in\n' ? true : undefined
    })
    expect(bench.processes()).toEqual(processes)
  })

  test('read-only: a start says which directory, and what to do', async () => {
    const directory = join(cluster.dir, 'sealed')
    mkdirSync(directory, { mode: 0o700 })
    if (!mount('ro,size=1m,mode=700', directory)) throw new Error('cannot mount')
    try {
      const config = join(cluster.dir, 'sealed.yaml')
      const { auth } = await freePorts()
      writeFileSync(
        config,
        `teleport: {data_dir: ${directory}}
auth_service: {enabled: yes, listen_addr: "127.0.0.1:${auth}"}
ssh_service: {enabled: no}
proxy_service: {enabled: no}
`,
      )
      const result = await run(bin('teleport'), ['start', '-c', config], { env: cluster.env() })
      expect(result.code).not.toBe(0)
      expect(result.stderr).toContain(directory)
      expect(result.stderr).toMatch(/read-only|cannot/i)
      expect(result.stderr).not.toMatch(/\n\s+at /)
    } finally {
      unmount(directory)
    }
  })
})
