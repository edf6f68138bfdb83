import { describe, expect, test } from 'vitest'
import { realEnv } from '../../common/env.ts'
import { poll } from '../testing/poll.ts'
import { openAccounts } from './accounts.ts'
import { startDirectory } from './home.ts'
import { currentPrivileges } from './privileges.ts'
import { type ProcessRequest, startProcess, type UserProcess } from './user-process.ts'

const privileges = currentPrivileges()
const accounts = openAccounts(realEnv)
const isRoot = privileges.isRoot

async function me() {
  const { userInfo } = await import('node:os')
  const account = await accounts.find(userInfo().username)
  if (account === undefined) throw new Error('the tests need an account')
  return account
}

async function start(command: string, more: Partial<ProcessRequest> = {}): Promise<UserProcess> {
  const account = more.account ?? (await me())
  return startProcess({
    account,
    directory: await startDirectory(account, realEnv),
    program: { kind: 'command', command: Buffer.from(command) },
    env: { PATH: '/usr/local/bin:/usr/bin:/bin', HOME: '/tmp' },
    pty: undefined,
    ttyGid: undefined,
    privileges,
    clock: realEnv,
    ...more,
  })
}

async function collect(child: UserProcess): Promise<{ out: string; err: string; result: unknown }> {
  const read = async (stream: AsyncIterable<Buffer> | undefined) => {
    const chunks: Buffer[] = []
    if (stream !== undefined) for await (const chunk of stream) chunks.push(chunk)
    return Buffer.concat(chunks).toString()
  }
  const [out, err, result] = await Promise.all([read(child.stdout), read(child.stderr), child.exited])
  return { out, err, result }
}

const size = { columns: 80, rows: 24, widthPixels: 0, heightPixels: 0 }
const pty = { term: 'xterm', modes: new Map<number, number>(), ...size }

describe('a program on pipes', () => {
  test('gets its input and keeps output and errors apart', async () => {
    const child = await start('cat; echo oops > /dev/stderr; exit 7')
    child.stdin.end('hello')
    expect(await collect(child)).toEqual({ out: 'hello', err: 'oops\n', result: { kind: 'exit', status: 7 } })
  })

  test.each(['TERM', 'KILL', 'SEGV', 'USR1'])('reports its death by SIG%s', async (signal) => {
    const child = await start(`ulimit -c 0; kill -${signal} $$; sleep 5`)
    expect((await collect(child)).result).toMatchObject({ kind: 'signal', signal })
  })

  test('has no descriptors but its own, no variables but those given, default signals, its own session', async () => {
    const child = await start(
      'ls /proc/self/fd; env -i /bin/true; tr "\\0" "\\n" < /proc/$$/environ; grep SigIgn /proc/self/status; ps -o sid= -p $$; echo $$; umask; ulimit -n',
    )
    const lines = (await collect(child)).out
      .trim()
      .split('\n')
      .map((line) => line.trim())
    expect(lines.slice(0, 4)).toEqual(['0', '1', '2', '3'])
    expect(
      lines
        .filter((line) => line.includes('='))
        .map((line) => line.split('=')[0])
        .sort(),
    ).toEqual(['HOME', 'PATH'])
    expect(lines.find((line) => line.startsWith('SigIgn'))).toMatch(/0{16}$/)
    const [sid, pid, umask, files] = lines.slice(-4)
    expect(sid).toBe(pid)
    expect(umask).toBe('0022')
    expect(Number(files)).toBeLessThanOrEqual(1024)
  })

  test('gets a signal with its whole group', async () => {
    const child = await start('sh -c "echo ready; exec sleep 100" & wait')
    await new Promise((resolve) => child.stdout.once('data', resolve))
    child.signal('TERM')
    expect((await collect(child)).result).toMatchObject({ kind: 'signal', signal: 'TERM' })
    child.signal('KILL')
  })

  test('a bogus signal is ignored', async () => {
    const child = await start('cat')
    child.signal('CHLD')
    child.signal('../../x')
    child.stdin.end()
    expect((await collect(child)).result).toEqual({ kind: 'exit', status: 0 })
  })

  test('is hung up when the client goes', async () => {
    const child = await start('sleep 100')
    child.hangup()
    expect(await child.exited).toMatchObject({ kind: 'signal', signal: 'HUP' })
  })

  test('a command with bytes that are not UTF-8 arrives as it is', async () => {
    const command = Buffer.concat([Buffer.from('printf "'), Buffer.from([0xff, 0xfe]), Buffer.from('"')])
    const child = await start('', { program: { kind: 'command', command } })
    const chunks: Buffer[] = []
    for await (const chunk of child.stdout) chunks.push(chunk)
    expect(Buffer.concat(chunks)).toEqual(Buffer.from([0xff, 0xfe]))
  })
})

describe('a program on a terminal', () => {
  test('has a controlling terminal of the right size that belongs to the user', async () => {
    const child = await start(
      'tty; stty size; echo $TERM $SSH_TTY; stat -c %U $(tty); : < /dev/tty && echo controlling',
      { pty },
    )
    const { out, result } = await collect(child)
    const path = child.terminal?.path ?? ''
    expect(out.replaceAll('\r', '').split('\n').slice(0, 5)).toEqual([
      path,
      '24 80',
      `xterm ${path}`,
      (await me()).name,
      'controlling',
    ])
    expect(result).toEqual({ kind: 'exit', status: 0 })
  })

  test('takes the modes of the request', async () => {
    const modes = new Map([
      [3, 8],
      [53, 0],
      [42, 1],
      [72, 0],
    ])
    const { out } = await collect(await start('stty -a', { pty: { ...pty, modes } }))
    expect(out).toContain('erase = ^H')
    expect(out).toContain(' -echo ')
    expect(out).toContain(' iutf8')
    expect(out).toContain('-onlcr')
  })

  test('echoes input, sees a resize, and turns ^C into SIGINT', async () => {
    const child = await start(
      'trap "stty size" WINCH; trap "echo int; exit 3" INT; echo ready; while :; do sleep 0.05; done',
      { pty },
    )
    let out = ''
    child.stdout.on('data', (chunk: Buffer) => {
      out += chunk.toString()
    })
    await poll(() => out).toContain('ready')
    child.terminal?.resize({ ...size, columns: 132, rows: 43 })
    await poll(() => out).toContain('43 132')
    child.stdin.write('\x03')
    expect(await child.exited).toEqual({ kind: 'exit', status: 3 })
    expect(out).toContain('int')
  })

  test('gives back a large output whole, though the reader lags', async () => {
    const child = await start('head -c 3000000 /dev/zero | tr "\\0" x', { pty })
    let length = 0
    for await (const chunk of child.stdout) {
      length += (chunk as Buffer).length
      if (length % 7 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    expect(length).toBe(3_000_000)
  })

  test('takes a large paste whole, though the program lags', async () => {
    const child = await start('stty raw -echo; echo go; head -c 300000 | cksum', { pty })
    let out = ''
    child.stdout.on('data', (chunk: Buffer) => {
      out += chunk.toString()
    })
    await poll(() => out).toContain('go')
    child.stdin.write(Buffer.alloc(300_000, 'a'))
    await child.exited
    await child.terminal?.drain()
    expect(out).toContain(' 300000')
  })

  test('ends with its shell, though a background program holds the terminal', async () => {
    const child = await start('trap "" HUP; sleep 30 & echo last words; exit 4', { pty })
    child.exited.then(() => child.terminal?.drain())
    const { out, result } = await collect(child)
    expect(out).toContain('last words')
    expect(result).toEqual({ kind: 'exit', status: 4 })
  })

  test('is hung up when the client goes', async () => {
    const child = await start('sleep 100', { pty })
    child.hangup()
    expect(await child.exited).toMatchObject({ kind: 'signal', signal: 'HUP' })
  })

  test('no other session has the master open', async () => {
    const first = await start('sleep 100', { pty })
    const { out } = await collect(await start('ls -l /proc/self/fd', { pty }))
    expect(out).not.toContain('ptmx')
    first.hangup()
    await first.exited
  })
})

describe.runIf(isRoot)('as another account', () => {
  test('all ids and groups are those of the account and nothing leads back', async () => {
    const account = await accounts.find('nobody')
    if (account === undefined) throw new Error('no account nobody')
    const request = { account: { ...account, shell: '/bin/sh' } }
    const { out } = await collect(
      await start('grep -E "^(Uid|Gid|Groups|CapInh|CapPrm|CapEff|CapAmb)" /proc/self/status; id -un', request),
    )
    expect(out).toMatch(new RegExp(`Uid:\\t${account.uid}\\t${account.uid}\\t${account.uid}\\t${account.uid}\n`))
    expect(out).toMatch(new RegExp(`Gid:\\t${account.gid}\\t${account.gid}\\t${account.gid}\\t${account.gid}\n`))
    for (const cap of ['CapInh', 'CapPrm', 'CapEff', 'CapAmb']) expect(out).toContain(`${cap}:\t0000000000000000`)
    expect(out.trim().endsWith('nobody')).toBe(true)
  })

  test('a home that is missing gives / and a notice', async () => {
    const account = { ...(await me()), home: '/nonexistent/home' }
    const child = await start('pwd', { account })
    expect(child.notice).toContain('/nonexistent/home')
    expect((await collect(child)).out).toBe('/\n')
  })
})
