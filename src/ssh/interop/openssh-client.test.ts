/** What people do with OpenSSH's client all day, at our server: streams, terminals, forwards, agent, multiplexing, renewal of keys. */

import { spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { existsSync, statSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { generateEd25519 } from '../keys/private-key.ts'
import { formatPrivateKey } from '../keys/private-key-file.ts'
import { openssh10Directory, sshOptions } from '../testing/foreign-clients.ts'
import { type ProcessServer, startProcessServer } from '../testing/process-server.ts'
import { type RunOptions, type RunResult, run } from '../testing/run.ts'
import { type TempDir, tempDir } from '../testing/temp-dir.ts'

const key = generateEd25519()
let target: ProcessServer
let home: TempDir
let greeter: Server
let greeterPort: number

beforeAll(async () => {
  // OpenSSH tells only servers of its own name that it stopped reading (eow@openssh.com).
  target = await startProcessServer({ userKeys: [key.publicKey], ident: 'OpenSSH_compatible' })
  home = tempDir()
  home.write('id', formatPrivateKey(key))
  greeter = createServer({ allowHalfOpen: true }, (socket) => {
    const received: Buffer[] = []
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => received.push(chunk))
    // Answers only after the half close: what it says proves that EOF came through.
    socket.on('end', () => socket.end(`you said ${Buffer.concat(received)}`))
  })
  await new Promise<void>((resolve) => greeter.listen(0, '127.0.0.1', resolve))
  greeterPort = portOf(greeter)
})
afterAll(async () => {
  await target.server.close()
  greeter.close()
  home[Symbol.dispose]()
})

const portOf = (server: Server): number => {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('not listening')
  return address.port
}

const programs = [
  { name: 'OpenSSH 9', ssh: 'ssh' },
  { name: 'OpenSSH 10', ssh: `${openssh10Directory}/ssh` },
]

const args = (...more: string[]): string[] => [...sshOptions(home), '-p', String(target.port), ...more]

/** Runs a shell line in which `$SSH` is the client with everything but host and command. */
function shell(program: string, line: string, options: RunOptions = {}): Promise<RunResult> {
  const ssh = [program, ...args()].map((word) => `'${word}'`).join(' ')
  return run('sh', ['-c', line.replaceAll('$SSH', ssh)], { timeoutMs: 60_000, ...options })
}

/** Starts the client and gives what stops it. `ready` is tried until it succeeds. */
async function background(
  program: string,
  options: string[],
  ready: () => Promise<boolean>,
): Promise<() => Promise<void>> {
  const child = spawn(program, args('-o', 'ExitOnForwardFailure=yes', ...options, '127.0.0.1'), { stdio: 'ignore' })
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  await expect.poll(ready, { timeout: 10_000, interval: 20 }).toBe(true)
  return async () => {
    child.kill()
    await exited
  }
}

function ask(where: { port: number; host: string } | { path: string }, question: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket: Socket = connect({ ...where, allowHalfOpen: true })
    let answer = ''
    socket.on('data', (chunk: Buffer) => {
      answer += chunk
    })
    socket.on('end', () => {
      socket.destroy()
      resolve(answer)
    })
    socket.on('error', reject)
    socket.end(question)
  })
}

const answers = async (where: Parameters<typeof ask>[0]): Promise<boolean> =>
  (await ask(where, 'hello').catch(() => '')) === 'you said hello'

const freePort = async (): Promise<number> => {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const port = portOf(server)
  await new Promise((resolve) => server.close(resolve))
  return port
}

describe.each(programs)('$name: streams', ({ ssh }) => {
  test.each([0, 1, 4, 5, 44, 255])('exit status %i', async (status) => {
    expect((await run(ssh, args('127.0.0.1', `exit ${status}`))).code).toBe(status)
  })

  test('exit status after output was closed long before', async () => {
    const result = await run(ssh, args('127.0.0.1', 'exec >/dev/null 2>&1; sleep 0.1; exit 44'))
    expect(result.code).toBe(44)
  })

  test('death by a signal is 255', async () => {
    expect((await run(ssh, args('127.0.0.1', 'kill -USR1 $$'))).code).toBe(255)
  })

  test('standard error is separate, also after standard output ended', async () => {
    const result = await run(ssh, args('127.0.0.1', 'echo out; exec >&-; sleep 0.1; echo late >&2; exit 3'))
    expect([result.stdout.toString(), result.stderr, result.code]).toEqual(['out\n', 'late\n', 3])
  })

  test('much standard error, byte for byte', async () => {
    const result = await shell(ssh, '$SSH 127.0.0.1 "head -c 3000000 /dev/zero >&2" 2>&1 >/dev/null | wc -c')
    expect(result.stdout.toString().trim()).toBe('3000000')
  })

  test('a reader that leaves stops the writer (yes | head), though the input stays open', async () => {
    const child = spawn(ssh, args('127.0.0.1', 'while true; do echo yes; done'), { stdio: ['pipe', 'pipe', 'ignore'] })
    const exited = new Promise((resolve) => child.once('exit', resolve))
    await new Promise((resolve) => child.stdout.once('data', resolve))
    child.stdout.destroy()
    await exited
  })

  test('a command that does not read its input ends (broken pipe)', async () => {
    const result = await shell(ssh, 'head -c 20000000 /dev/zero | $SSH 127.0.0.1 true; echo $?')
    expect(result.stdout.toString()).toBe('0\n')
  })

  test('a command that reads only the beginning ends', async () => {
    const result = await shell(ssh, 'head -c 20000000 /dev/zero | tr "\\\\0" z | $SSH 127.0.0.1 "head -c 3"; echo $?')
    expect(result.stdout.toString()).toBe('zzz0\n')
  })

  test('files of many sizes there and back', async () => {
    for (const size of [0, 1, 32_767, 32_768, 32_769, 65_536, 2_097_152, 2_097_153, 5_000_000]) {
      const input = randomBytes(size)
      const result = await run(ssh, args('127.0.0.1', 'cat'), { input })
      expect(result.stdout.equals(input)).toBe(true)
    }
  })

  test('environment: only what the server allows, and no more than it holds', async () => {
    const result = await run(ssh, args('-o', 'SetEnv=TEST_A=1 LD_PRELOAD=x', '127.0.0.1', 'echo $TEST_A,$LD_PRELOAD'))
    expect(result.stdout.toString()).toBe('1,\n')
  })

  test('a subsystem, and one that does not exist', async () => {
    expect((await run(ssh, args('-s', '127.0.0.1', 'echo'), { input: 'ping' })).stdout.toString()).toBe('ping')
    const missing = await run(ssh, args('-s', '127.0.0.1', 'nothing'))
    expect(missing.code).toBe(255)
    expect(missing.stderr).toContain('subsystem request failed')
  })

  test('a terminal: size, name, control characters', async () => {
    const result = await run('script', [
      '-qec',
      `stty cols 91 rows 37; TERM=vt220 ${[ssh, ...args('-tt', '127.0.0.1')].join(' ')} 'stty size; echo $TERM; tty'`,
      '/dev/null',
    ])
    // `script` types an end-of-file character when its own input ends; the terminal may echo it anywhere.
    expect(result.stdout.toString().replaceAll('^@', '')).toMatch(/37 91\r\nvt220\r\n\/dev\/pts\/\d+/)
  })

  test('rekeying every megabyte keeps the data intact, both ways', async () => {
    const input = randomBytes(20_000_000)
    const result = await run(ssh, args('-o', 'RekeyLimit=1M', '127.0.0.1', 'cat'), { input, timeoutMs: 60_000 })
    expect(createHash('sha256').update(result.stdout).digest('hex')).toBe(
      createHash('sha256').update(input).digest('hex'),
    )
  })

  test('keepalive requests of the client are answered', async () => {
    const options = ['-o', 'ServerAliveInterval=1', '-o', 'ServerAliveCountMax=1']
    expect((await run(ssh, args(...options, '127.0.0.1', 'sleep 3.5; echo alive'))).stdout.toString()).toBe('alive\n')
  })
})

describe.each(programs)('$name: forwarding', ({ ssh }) => {
  test('-L to a port', async () => {
    const port = await freePort()
    const here = { host: '127.0.0.1', port }
    const stop = await background(ssh, ['-N', '-L', `${port}:127.0.0.1:${greeterPort}`], () => answers(here))
    const long = randomBytes(500_000).toString('hex')
    expect(await ask(here, long)).toBe(`you said ${long}`)
    await stop()
  })

  test('-L from a socket to a socket', async () => {
    const [local, remote] = [home.file('l.sock'), home.file('r.sock')]
    const server = createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket))
    await new Promise<void>((resolve) => server.listen(remote, resolve))
    const options = ['-N', '-o', 'StreamLocalBindUnlink=yes', '-L', `${local}:${remote}`]
    const stop = await background(ssh, options, async () => (await ask({ path: local }, 'x').catch(() => '')) === 'x')
    expect(await ask({ path: local }, 'through')).toBe('through')
    await stop()
    await new Promise((resolve) => server.close(resolve))
  })

  test('-R to a port that the server chooses', async () => {
    const child = spawn(ssh, ['-o', 'LogLevel=INFO', ...args('-N', '-R', `0:127.0.0.1:${greeterPort}`, '127.0.0.1')], {
      stdio: 'pipe',
    })
    const line = await new Promise<string>((resolve) =>
      child.stderr.on('data', (data: Buffer) => resolve(String(data))),
    )
    const port = Number(/Allocated port (\d+)/.exec(line)?.[1])
    expect(await ask({ host: '127.0.0.1', port }, 'back')).toBe('you said back')
    child.kill()
    await expect.poll(() => ask({ host: '127.0.0.1', port }, 'x').catch(() => 'closed')).toBe('closed')
  })

  test('-R to a socket, which only its owner may open', async () => {
    const path = home.file(`remote-${programs.findIndex((row) => row.ssh === ssh)}.sock`)
    const options = ['-N', '-R', `${path}:127.0.0.1:${greeterPort}`]
    const stop = await background(ssh, options, async () => existsSync(path) && (await answers({ path })))
    expect(statSync(path).mode & 0o777).toBe(0o600)
    await stop()
    await expect.poll(() => existsSync(path)).toBe(false)
  })

  test('-W', async () => {
    const result = await run(ssh, args('-W', `127.0.0.1:${greeterPort}`, '127.0.0.1'), { input: 'direct' })
    expect(result.stdout.toString()).toBe('you said direct')
  })

  test('-D, SOCKS 5', async () => {
    const port = await freePort()
    const stop = await background(ssh, ['-N', '-D', String(port)], () =>
      run('curl', [
        '-s',
        '--socks5-hostname',
        `127.0.0.1:${port}`,
        '--http0.9',
        '-m',
        '2',
        `http://localhost:${target.port}`,
      ]).then((result) => result.stdout.toString().startsWith('SSH-2.0-')),
    )
    await stop()
  })

  test('-J through ourselves', async () => {
    const result = await shell(
      ssh,
      `$SSH -o "ProxyCommand=$PROXY" 127.0.0.1 "echo inside"`.replace(
        '$PROXY',
        [ssh, ...args('-W', '%h:%p', '127.0.0.1')].join(' '),
      ),
    )
    expect(result.stdout.toString()).toBe('inside\n')
  })

  test('-w is refused', async () => {
    const result = await run(ssh, args('-w', '0:0', '-o', 'ExitOnForwardFailure=yes', '127.0.0.1', 'echo no'))
    expect(result.stdout.toString()).toBe('')
    expect(result.code).not.toBe(0)
  })

  test('-A: the agent serves on the other side, and is gone afterwards', async () => {
    const result = await run('ssh-agent', [
      'sh',
      '-c',
      `ssh-add -q ${home.file('id')} && exec ${[ssh, ...args('-A', '127.0.0.1')].join(' ')} 'ssh-add -L; echo $SSH_AUTH_SOCK'`,
    ])
    const [identity, socket] = result.stdout.toString().split('\n')
    expect(identity).toContain(key.publicKey.blob.toString('base64'))
    await expect.poll(() => existsSync(socket ?? '')).toBe(false)
  })

  test('ControlMaster: several sessions and a forward added later, on one connection', async () => {
    const control = home.file('control')
    const port = await freePort()
    const before = target.connections.size
    const master = spawn(ssh, args('-N', '-M', '-S', control, '127.0.0.1'), { stdio: 'ignore' })
    const exited = new Promise((resolve) => master.once('exit', resolve))
    await expect.poll(() => existsSync(control)).toBe(true)
    const parallel = Array.from({ length: 5 }, (_, index) =>
      run(ssh, args('-S', control, '127.0.0.1', `echo ${index}; exit ${index}`)),
    )
    expect((await Promise.all(parallel)).map(({ stdout, code }) => [stdout.toString(), code])).toEqual(
      Array.from({ length: 5 }, (_, index) => [`${index}\n`, index]),
    )
    expect(target.connections.size).toBe(before + 1)
    const forward = `${port}:127.0.0.1:${greeterPort}`
    expect((await run(ssh, args('-S', control, '-O', 'forward', '-L', forward, '127.0.0.1'))).code).toBe(0)
    expect(await ask({ host: '127.0.0.1', port }, 'shared')).toBe('you said shared')
    await run(ssh, args('-S', control, '-O', 'exit', '127.0.0.1'))
    await exited
  })
})
