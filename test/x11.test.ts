/** X11 from a node to a display here, with real programs: through plain OpenSSH and through tsh, trusted and not. */

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { displayPorts, ownDisplays, startXServer, type XServer } from '../src/node/testing/x-server.ts'
import { type Cluster, login, startCluster } from './cluster.ts'
import { bin, Dialog, run, until } from './run.ts'

let cluster: Cluster
let x: XServer
let home: string
let bobsHome: string
let config: string

beforeAll(async () => {
  const { firstDisplay, lastDisplay } = ownDisplays()
  cluster = await startCluster({
    ssh: `  labels: {env: dev}\n  x11: {display_offset: ${firstDisplay}, max_display: ${lastDisplay}}`,
  })
  await cluster.admin.create(
    `kind: role
version: v4
metadata: {name: windows}
spec:
  options: {permit_x11_forwarding: yes}
  allow: {logins: ['{{internal.logins}}'], node_labels: {'*': '*'}}
`,
  )
  await cluster.addUser('alice', { roles: 'windows' })
  await cluster.addUser('bob')
  ;[home, bobsHome] = [await cluster.login('alice'), await cluster.login('bob')]
  config = join(cluster.dir, 'ssh_config')
  writeFileSync(config, (await cluster.tsh(home, ['config'])).stdout)
  x = await startXServer(join(cluster.dir, 'Xauthority'))
})
afterAll(async () => {
  await x.stop()
  await cluster.remove()
})

const tsh = (flags: readonly string[], command: string, who = home) =>
  cluster.tsh(who, ['ssh', ...flags, `${login}@node-1`, command], { env: x.env })
const dimensions = 'xdpyinfo | grep -o "dimensions: *[0-9x]*" | tr -s " "'

describe('a program of the node finds the display', () => {
  test('through tsh ssh -Y, and never sees its cookie', async () => {
    const result = await tsh(['-Y'], `${dimensions}; echo $DISPLAY; xauth list $DISPLAY`)
    const [found, display, entry] = result.stdout.split('\n')
    expect(found, result.stderr).toBe('dimensions: 640x480')
    expect(display).toMatch(/^localhost:\d+\.0$/)
    expect(entry).toMatch(/MIT-MAGIC-COOKIE-1 {2}[0-9a-f]{32}$/)
    expect(entry).not.toContain(x.cookie)
    expect(result.stderr).toBe('')
  })

  test('through tsh ssh -X with few rights', async () => {
    // XTEST could type into the windows of others: it is there for trusted programs only.
    const command = `${dimensions}; xdpyinfo | grep -c XTEST`
    const result = await tsh(['-X'], command)
    expect(result.stdout, result.stderr).toBe('dimensions: 640x480\n0\n')
    expect((await tsh(['-Y'], command)).stdout).toBe('dimensions: 640x480\n1\n')
  })

  test.each(['-X', '-Y'])('through ssh %s', async (flag) => {
    const result = await run('ssh', ['-F', config, flag, `${login}@node-1.feat`, dimensions], { env: x.env })
    expect(result.stdout, result.stderr).toBe('dimensions: 640x480\n')
  })

  test('a window of the node is there on the display here, and stays until it is closed', async () => {
    const args = ['ssh', '-Y', `${login}@node-1`, 'xmessage -name from-the-node hello & echo started']
    const session = new Dialog(bin('tsh'), args, { env: cluster.env({ TELEPORT_HOME: home, ...x.env }) })
    await session.expect(/started/)
    const tree = async () => (await run('xwininfo', ['-root', '-tree'], { env: x.env })).stdout
    await until('the window', async () => ((await tree()).includes('from-the-node') ? true : undefined))
    const window = /(0x[0-9a-f]+) "?[^\n]*from-the-node/.exec(await tree())?.[1] ?? ''
    await run('xkill', ['-id', window], { env: x.env })
    expect(await session.exited, session.output).toBe(0)
  })
})

describe('what stands in the way is said, and the session goes on', () => {
  test('S19 without permission: no display, no listener, an event', async () => {
    const before = displayPorts()
    const result = await tsh(['-Y'], 'echo "[$DISPLAY]"', bobsHome)
    expect(result).toMatchObject({ code: 0, stdout: '[]\n', stderr: expect.stringContaining('refused X11 forwarding') })
    expect(displayPorts()).toEqual(before)
    await until('the event', async () => {
      const events = await cluster.events({ user: 'bob' })
      return events.some(({ code }) => code === 'T3008W') ? true : undefined
    })
  })

  test('S19 without -X: no display', async () => {
    expect(await tsh([], 'echo "[$DISPLAY]"')).toMatchObject({ stdout: '[]\n', stderr: '' })
    expect(await tsh(['-X', '-x'], 'echo "[$DISPLAY]"')).toMatchObject({ stdout: '[]\n', stderr: '' })
  })

  test.each([
    { name: 'no display', env: { DISPLAY: '' }, says: 'DISPLAY is not set' },
    { name: 'a display that makes no sense', env: { DISPLAY: '$(id):0' }, says: 'is not [host]:number' },
    { name: 'an X server that is not there', env: { DISPLAY: ':9987' }, says: 'no untrusted cookie' },
  ])('$name', async ({ env, says }) => {
    const args = ['ssh', '-X', `${login}@node-1`, 'echo "[$DISPLAY]"']
    const result = await cluster.tsh(home, args, { env: { ...x.env, ...env } })
    expect(result).toMatchObject({ code: 0, stdout: '[]\n', stderr: expect.stringContaining(says) })
    expect(result.stderr.trim().split('\n')).toHaveLength(1)
  })

  test('the time of untrusted windows is over', async () => {
    const result = await tsh(['-X', '--x11-untrusted-timeout=1ms'], 'xdpyinfo >/dev/null 2>&1; echo $?')
    expect(result).toMatchObject({
      stdout: '1\n',
      stderr: expect.stringContaining('the time for untrusted X11 is over'),
    })
  })
})
