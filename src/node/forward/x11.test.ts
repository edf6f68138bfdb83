/** A real `ssh -X` with a real X server behind it, and what a node does when something is missing. */

import { connect, createServer } from 'node:net'
import { type Duplex, duplexPair } from 'node:stream'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { connectSsh } from '../../ssh/client.ts'
import type { SshClient } from '../../ssh/client-types.ts'
import type { X11Request } from '../../ssh/connection/types.ts'
import { generateEd25519 } from '../../ssh/keys/private-key.ts'
import { run } from '../../ssh/testing/run.ts'
import { poll } from '../testing/poll.ts'
import { alice, everyNode, me, useNode } from '../testing/use-node.ts'
import { displayPorts, ownDisplays, startXServer, type XServer } from '../testing/x-server.ts'

const { node, directory } = useNode()
let x: XServer

beforeAll(async () => {
  x = await startXServer(directory.file('Xauthority'))
})
beforeEach(() => {
  node.events.length = 0
  node.x11 = ownDisplays()
  role(true)
})
afterAll(async () => {
  await x.stop()
})

const role = (x11: boolean): unknown => node.addRole('dev', everyNode, { permit_x11_forwarding: x11 })
/** Trusted: the untrusted kind is the client's business. */
const ssh = (command: string, flags: readonly string[] = ['-Y'], input = '') =>
  node.ssh(alice, me, [...flags, command], { env: x.env, input })
const events = () => node.events.filter((event) => event.event === 'x11-forward')

describe('with permission', () => {
  test('a program shows itself on the display of the client, and nothing is left afterwards', async () => {
    const before = displayPorts()
    const result = await ssh('echo $DISPLAY; xauth list $DISPLAY; xdpyinfo | grep -c "dimensions: *640x480"')
    const [name = '', entry = '', found] = result.stdout.toString().split('\n')
    expect(name, result.stderr).toMatch(/^localhost:\d+\.0$/)
    expect(entry).toMatch(/unix:\d+ {2}MIT-MAGIC-COOKIE-1 {2}[0-9a-f]{32}$/)
    expect(entry).not.toContain(x.cookie)
    expect(found, result.stderr).toBe('1')
    const start = node.events.find((event) => event.event === 'session.start')
    expect(events()).toMatchObject([
      { code: 'T3008I', user: 'alice', login: me, display: name, sid: start?.event === 'session.start' && start.sid },
    ])
    await poll(displayPorts).toEqual(before)
    // Never a synchronous child here: it would wait for the lock of the node's own `xauth`, whose input this very process has yet to write.
    await poll(async () => (await run('xauth', ['list', name])).stdout.toString()).toBe('')
  })

  test('sessions have a display each, and programs of one share it', async () => {
    const waits = 'echo $DISPLAY; xdpyinfo >/dev/null; echo $?; read line'
    const [one, two] = await Promise.all([ssh(waits), ssh(waits)])
    const lines = [one, two].map(({ stdout }) => stdout.toString().split('\n'))
    expect(lines.map(([, status]) => status)).toEqual(['0', '0'])
    const both = await ssh('xdpyinfo >/dev/null & xdpyinfo >/dev/null; echo $?; wait $!; echo $?')
    expect(both.stdout.toString(), both.stderr).toBe('0\n0\n')
  })

  test('S19 whoever finds the port without the cookie gets nothing', async () => {
    const script = [
      'number=$(echo $DISPLAY | tr -dc 0-9. | cut -d. -f1)',
      'exec 3<>/dev/tcp/127.0.0.1/$((6000 + number))',
      // A client that authenticates with nothing.
      String.raw`printf 'l\0\013\0\0\0\0\0\0\0\0\0' >&3`,
      'head -c 8 <&3 | wc -c',
    ].join('\n')
    const result = await ssh('bash', ['-Y', '-o', 'LogLevel=INFO'], `${script}\n`)
    expect(result.stdout.toString().trim(), result.stderr).toBe('0')
    expect(result.stderr).toMatch(/X11 connection (?:rejected|uses different authentication)/)
  })

  test('a role that is taken away counts for displays that are there', async () => {
    // The channel's input ends only after the change.
    const running = ssh(`until test -e ${directory.file('go')}; do sleep 0.1; done; xdpyinfo >/dev/null 2>&1; echo $?`)
    await poll(() => events().length).toBe(1)
    role(false)
    directory.write('go', '')
    expect((await running).stdout.toString()).toBe('1\n')
  })

  test('S19 a display that somebody else holds on the other version of IP is passed over', async () => {
    const squatter = createServer()
    const got = await new Promise<boolean>((resolve) => {
      squatter.once('listening', () => resolve(true)).once('error', () => resolve(false))
      squatter.listen(6000 + node.x11.firstDisplay, '::1')
    })
    const result = await ssh('echo $DISPLAY')
    if (got) expect(result.stdout.toString()).toBe(`localhost:${node.x11.firstDisplay + 1}.0\n`)
    squatter.close()
  })

  test('when all displays are taken that is told, and the session goes on', async () => {
    node.x11 = { ...node.x11, lastDisplay: node.x11.firstDisplay }
    const squatter = createServer().listen(6000 + node.x11.firstDisplay, '127.0.0.1')
    await new Promise((resolve) => squatter.once('listening', resolve).once('error', resolve))
    const result = await ssh('echo "[$DISPLAY]"')
    squatter.close()
    expect(result.stdout.toString()).toBe('[]\n')
    expect(result.stderr).toContain('X11 forwarding is not available: all 1 X11 displays of this node are in use')
    expect(events()).toMatchObject([{ code: 'T3008W', sid: expect.any(String) }])
  })

  test('without a record there is no display', async () => {
    const before = displayPorts()
    node.auditProblem = new Error('full')
    const result = await ssh('echo "[$DISPLAY]"')
    node.auditProblem = undefined
    expect(result.stdout.toString()).not.toContain('localhost')
    await poll(displayPorts).toEqual(before)
  })
})

describe('a client of our own', () => {
  let client: SshClient
  /** What came through x11 channels: the near ends. */
  const opened: Duplex[] = []

  const connectClient = async () => {
    const signer = generateEd25519()
    client = await connectSsh({
      stream: connect(node.port, '127.0.0.1'),
      user: me,
      ident: 'test',
      identities: [{ signer, certificate: node.certify(alice, signer.publicKey) }],
      verifyHost: () => undefined,
      async onX11() {
        const [near, far] = duplexPair()
        opened.push(near)
        return far
      },
    })
  }
  const display = async (more: Partial<X11Request>, command = 'echo $DISPLAY; cat') => {
    const session = await client.openSession()
    const cookie = { authProtocol: 'MIT-MAGIC-COOKIE-1', authCookie: 'ab'.repeat(16) }
    await session.requestX11({ singleConnection: false, screenNumber: 0, ...cookie, ...more })
    session.stderr.resume()
    await session.exec(command)
    const said = await new Promise<string>((resolve) => session.channel.once('data', (chunk) => resolve(String(chunk))))
    return { session, said: said.trim(), port: 6000 + Number(/:(\d+)\./.exec(said)?.[1]) }
  }
  const visit = async (port: number) => {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => {})
    await new Promise((resolve) => socket.once('connect', resolve).once('close', resolve))
    return socket
  }
  beforeEach(connectClient)
  afterEach(async () => {
    await client.close()
    opened.length = 0
  })

  test('that wants a single connection gets one, and nobody listens afterwards', async () => {
    const { port } = await display({ singleConnection: true })
    const socket = await visit(port)
    await poll(() => opened.length).toBe(1)
    socket.write('hello')
    const heard = await new Promise((resolve) => opened[0]?.once('data', resolve))
    expect(String(heard)).toBe('hello')
    await poll(() => displayPorts().includes(port)).toBe(false)
    socket.destroy()
  })

  test('hears of so many connections and no more', async () => {
    const { port } = await display({})
    const sockets = await Promise.all(Array.from({ length: 80 }, () => visit(port)))
    await poll(() => sockets.filter((socket) => socket.destroyed || socket.readableEnded).length).toBe(16)
    expect(opened.length).toBeLessThanOrEqual(64)
    for (const socket of sockets) socket.destroy()
  })

  test('passes its screen number and cookie on as they are', async () => {
    const { said } = await display(
      { screenNumber: 3, authCookie: 'cd'.repeat(16) },
      'xauth list $DISPLAY | tail -1; cat',
    )
    expect(said).toMatch(/:\d+ {2}MIT-MAGIC-COOKIE-1 {2}(cd){16}$/)
    expect((await display({ screenNumber: 3 })).said).toMatch(/^localhost:\d+\.3$/)
  })

  test.each([{ authCookie: '' }, { authCookie: 'zz' }, { authProtocol: 'a b' }, { screenNumber: 256 }])(
    'that sends %j gets no display',
    async (odd) => {
      const before = displayPorts()
      const found = await display(odd, 'echo "[$DISPLAY]"; cat').catch(() => undefined)
      if (found !== undefined) expect(found.said).toBe('[]')
      expect(displayPorts()).toEqual(before)
    },
  )

  test('that goes away takes its display along', async () => {
    const { port } = await display({})
    await client.close()
    await poll(() => displayPorts().includes(port)).toBe(false)
  })
})

describe('S19 without permission', () => {
  test.each(['-X', '-Y'])('%s gives no display, no listener and an event', async (flag) => {
    role(false)
    const before = displayPorts()
    const result = await ssh('echo "[$DISPLAY]"', [flag])
    expect(result.stdout.toString()).toBe('[]\n')
    expect(displayPorts()).toEqual(before)
    if (flag === '-X') return
    expect(result.stderr).toContain('X11 forwarding request failed')
    expect(events()).toMatchObject([
      { code: 'T3008W', success: false, error: expect.stringContaining('not permitted') },
    ])
  })

  test('nor on a node where it is switched off', async () => {
    node.x11 = { ...node.x11, enabled: false }
    const result = await ssh('echo "[$DISPLAY]"')
    expect(result.stdout.toString()).toBe('[]\n')
    expect(events()).toMatchObject([{ code: 'T3008W', error: expect.stringContaining('ssh_service.x11') }])
  })

  test('a certificate without the extension is as good as no role', async () => {
    const extensions = { 'permit-pty': '', 'teleport-roles': '["dev"]', 'teleport-route-to-cluster': 'test' }
    const traits = JSON.stringify({ logins: [me] })
    const [flag = '', config = '', host = ''] = node.openSsh(alice, me, {
      extensions: { ...extensions, 'teleport-traits': traits },
    })
    const result = await run('ssh', [flag, config, '-Y', host, 'echo "[$DISPLAY]"'], { env: x.env })
    expect(result.stdout.toString(), result.stderr).toBe('[]\n')
  })
})
