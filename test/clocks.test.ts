/** Machines whose clocks differ: what is forgiven works, and what is refused names the clock. */

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Cluster, freePorts, login, password, startCluster } from './cluster.ts'
import { bin, Dialog, until } from './run.ts'

let cluster: Cluster

beforeAll(async () => {
  cluster = await startCluster({
    auth: '  authentication: {second_factor: off}\n  tokens: ["node:a-static-token-of-enough-length"]',
  })
  await cluster.addUser('alice')
})
afterAll(async () => {
  await cluster.remove()
})

/** The environment of a program whose clock is so many seconds ahead. */
function ahead(seconds: number): Record<string, string> {
  const file = join(cluster.dir, `clock${seconds}.mjs`)
  writeFileSync(
    file,
    `const Real = Date
const now = () => Real.now() + ${seconds * 1000}
globalThis.Date = class Date extends Real {
  constructor(...given) { super(...(given.length === 0 ? [now()] : given)) }
  static now() { return now() }
}
`,
  )
  return { NODE_OPTIONS: `--import=${file}` }
}

describe('the clock of a user', () => {
  test.each([
    [-300, 'the clock of this computer is 5 min behind the cluster'],
    [7200, 'the clock of this computer is 2 h ahead of the cluster'],
  ])('%d s off is told at login', async (seconds, warning) => {
    const args = ['login', '--insecure', `--proxy=${cluster.proxyAddress}`, '--user=alice']
    const home = cluster.home(`skewed${seconds}`)
    const result = await cluster.tsh(home, args, { input: `${password}\n`, env: ahead(seconds) })
    expect(result.code, result.stderr).toBe(0)
    expect(result.stderr.split('\n').filter((line) => line.includes('clock'))).toEqual([
      expect.stringContaining(warning),
    ])
  })

  test('half a minute off is not', async () => {
    const args = ['login', '--insecure', `--proxy=${cluster.proxyAddress}`, '--user=alice']
    const result = await cluster.tsh(cluster.home('nearly'), args, { input: `${password}\n`, env: ahead(30) })
    expect(result).toMatchObject({ code: 0 })
    expect(result.stderr).not.toContain('clock')
  })
})

describe('the clock of a node', () => {
  const node = async (name: string, seconds: number): Promise<Dialog> => {
    const { node: port } = await freePorts()
    const file = join(cluster.dir, `${name}.yaml`)
    writeFileSync(
      file,
      `teleport: {nodename: ${name}, data_dir: ${join(cluster.dir, name)}, auth_servers: ["127.0.0.1:${cluster.ports.auth}"]}
ssh_service: {listen_addr: "127.0.0.1:${port}", labels: {clock: "${name}"}}
auth_service: {enabled: no}
proxy_service: {enabled: no}
`,
    )
    const options = { env: cluster.env({ ...ahead(seconds), TELEPORT_SSH_TOKEN: 'a-static-token-of-enough-length' }) }
    const dialog = new Dialog(bin('teleport'), ['start', '-c', file], options)
    await dialog.expect(/node +SSH on/)
    await until(`${name} in the listing`, async () => (await cluster.admin.knowsNode(name)) || undefined)
    return dialog
  }

  test('45 s off is told once, and sessions work', async () => {
    const dialog = await node('late', -45)
    try {
      const home = await cluster.login('alice')
      const session = await cluster.tsh(home, ['ssh', `${login}@late`, 'echo in time'])
      expect(session, session.stderr).toMatchObject({ code: 0, stdout: 'in time\n' })
      const line = await dialog.expect(/.*"?the clock of this machine is 4\d s behind the auth server's.*/i)
      expect(line[0]).toContain('NTP')
      expect(dialog.output.match(/the clock of this machine/g)).toHaveLength(1)
    } finally {
      await dialog.stop()
    }
  })

  test('two days off: sessions are refused, and the log of the node says why', async () => {
    const dialog = await node('early', 2 * 86_400)
    try {
      const home = await cluster.login('alice')
      const session = await cluster.tsh(home, ['ssh', `${login}@early`, 'echo never'])
      expect(session.code).not.toBe(0)
      expect(session.stdout).toBe('')
      await dialog.expect(/the clock of this machine is 48 h ahead of the auth server's/)
      await dialog.expect(/connections through the proxy are refused: its clock and the one of this machine differ/)
    } finally {
      await dialog.stop()
    }
  })
})
