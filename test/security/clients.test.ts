/** SECURITY matrix, group C: what `tsh` leaves on disk, takes from a command line, shows to other processes and believes of a server. */

import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { login, password } from '../cluster.ts'
import { bin, Dialog, run, until } from '../run.ts'
import { type Bench, startBench } from './bench.ts'

let bench: Bench
let home: string

beforeAll(async () => {
  bench = await startBench()
  await bench.cluster.addUser('alice')
  home = await bench.cluster.login('alice')
})
afterAll(async () => {
  await bench?.remove()
})

const tsh = (args: readonly string[], env: Readonly<Record<string, string>> = {}) =>
  bench.cluster.tsh(home, args, { env })

function entriesBelow(directory: string): readonly string[] {
  return [
    directory,
    ...readdirSync(directory, { recursive: true, encoding: 'utf8' }).map((name) => join(directory, name)),
  ]
}

describe('C3 files', () => {
  test('are closed to others, whatever the umask says', async () => {
    const open = bench.cluster.home('open')
    const command = `umask 000; exec "$0" login --insecure --proxy=${bench.cluster.proxyAddress} --user=alice`
    const result = await run('sh', ['-c', command, bin('tsh')], {
      env: bench.cluster.env({ TELEPORT_HOME: open }),
      input: `${password}\n`,
    })
    expect(result.code, result.stderr).toBe(0)
    for (const path of entriesBelow(open)) {
      const stat = statSync(path)
      expect((stat.mode & 0o777).toString(8), path).toBe(stat.isDirectory() ? '700' : '600')
    }
  })

  test('that are open, links, or in a directory that is one are refused with the remedy', async () => {
    const key = join(home, 'keys/localhost/alice')
    const attempt = async () => (await tsh(['ssh', `${login}@node-1`, 'echo in'])).stderr
    chmodSync(key, 0o644)
    expect(await attempt()).toContain(`chmod 600 ${key}`)
    chmodSync(key, 0o600)
    chmodSync(join(home, 'keys/localhost'), 0o755)
    expect(await attempt()).toContain('chmod 700')
    chmodSync(join(home, 'keys/localhost'), 0o700)
    renameSync(key, `${key}.real`)
    symlinkSync(`${key}.real`, key)
    expect(await attempt()).toContain('symbolic link')
    rmSync(key)
    renameSync(`${key}.real`, key)
    expect((await tsh(['ssh', `${login}@node-1`, 'echo in'])).stdout).toBe('in\n')
  })

  test('a directory that is a link gets no keys', async () => {
    const target = bench.file('elsewhere')
    mkdirSync(target, { mode: 0o700 })
    const link = bench.cluster.home('link')
    symlinkSync(target, link)
    const args = ['login', '--insecure', `--proxy=${bench.cluster.proxyAddress}`, '--user=alice']
    const result = await bench.cluster.tsh(link, args, { input: `${password}\n` })
    expect(result.code).not.toBe(0)
    expect(result.stderr).toContain('symbolic link')
    expect(readdirSync(target)).toEqual([])
  })
})

describe('C5 names', () => {
  const marker = () => bench.file('pwned')
  test.each([
    ['ssh', '--', '-oProxyCommand=touch MARKER', 'true'],
    ['ssh', 'node-1;touch MARKER', 'true'],
    ['ssh', '$(touch MARKER)@node-1', 'true'],
    ['ssh', '`touch MARKER`', 'true'],
    ['ssh', '-o', 'ProxyCommand=touch MARKER', 'node-1', 'true'],
    ['login', '--proxy=file:///etc/passwd'],
    ['login', '--proxy=$(touch MARKER)'],
    ['login', '--proxy=-oProxyCommand=touch MARKER'],
    ['signup', 'file:///etc/passwd'],
    ['signup', "https://x';touch MARKER;'/web/invite/0123456789abcdef"],
  ])('tsh %s %s is refused before anything runs', async (...words) => {
    const args = words.map((word) => word.replace('MARKER', marker()))
    const result = await bench.cluster.tsh(bench.cluster.home('nobody'), args)
    expect(result.code).not.toBe(0)
    expect(readdirSync(bench.file('.'))).not.toContain('pwned')
    expect(result.stderr).not.toMatch(/root:x:0|\n\s+at /)
  })

  test('a host name with a shell in it does nothing through tsh config either', async () => {
    const config = bench.file('ssh_config')
    const block = await tsh(['config'])
    expect(block.code, block.stderr).toBe(0)
    writeFileSync(config, block.stdout)
    for (const host of [`$(touch ${marker()}).feat`, `\`touch ${marker()}\`.feat`, `x;touch ${marker()};.feat`]) {
      const result = await run('ssh', ['-F', config, '-o', 'BatchMode=yes', `${login}@${host}`, 'true'])
      expect(result.code).not.toBe(0)
      expect(readdirSync(bench.file('.'))).not.toContain('pwned')
    }
  })

  test('a home with quotes and more in its name is written so that ssh reads it', async () => {
    const odd = bench.cluster.home(`odd' %h $(touch pwned)`)
    const args = ['login', '--insecure', `--proxy=${bench.cluster.proxyAddress}`, '--user=alice']
    expect((await bench.cluster.tsh(odd, args, { input: `${password}\n` })).code).toBe(0)
    const block = await bench.cluster.tsh(odd, ['config'])
    expect(block.code, block.stderr).toBe(0)
    const config = bench.file('odd_config')
    writeFileSync(config, block.stdout)
    const result = await run('ssh', ['-F', config, '-o', 'BatchMode=yes', `${login}@node-1.feat`, 'echo in'], {
      cwd: bench.file('.'),
    })
    expect(result.stdout, result.stderr).toBe('in\n')
    expect(readdirSync(bench.file('.'))).not.toContain('pwned')
  })
})

describe('the proxy that is not trusted', () => {
  test('C6 a certificate nobody vouches for is refused without --insecure, before the password is sent', async () => {
    const args = ['login', `--proxy=${bench.cluster.proxyAddress}`, '--user=alice']
    const result = await bench.cluster.tsh(bench.cluster.home('strict'), args, { input: `${password}\n` })
    expect(result.code).not.toBe(0)
    expect(result.stderr).toMatch(/certificate/)
    expect(result.stderr).toContain('--insecure')
  })

  test('V15 tsh refuses a proxy or node that is another SSH server, and sends no name to it', async () => {
    let heard = ''
    const rogue = createServer((socket) => {
      socket.on('error', () => undefined)
      socket.on('data', (chunk) => {
        heard += String(chunk)
      })
      socket.write('SSH-2.0-rogue\r\n')
    })
    const sshd = await startSshd()
    await new Promise<void>((resolve) => rogue.listen(0, '127.0.0.1', resolve))
    try {
      const web = bench.cluster.ports.web
      const result = await tsh([`--proxy=localhost:${web},${sshd.port}`, 'ssh', `${login}@node-1`, 'echo in'])
      expect(result.code).not.toBe(0)
      expect(result.stdout).toBe('')
      expect(result.stderr).toMatch(/certificate|host key/i)
      expect(heard).not.toContain('alice')
    } finally {
      rogue.close()
      await sshd.process.stop()
    }
  })

  test('V15 a machine of the cluster that is not a proxy cannot pass for one, even under its name', async () => {
    const options = ['extension:x-teleport-authority=feat', 'extension:x-teleport-role=Node']
    const sshd = await startSshd(
      (key) =>
        bench.mint({ authority: bench.hostAuthority, flags: ['-h'], principals: 'localhost', options }, key)
          .certificate,
    )
    try {
      const proxy = `--proxy=localhost:${bench.cluster.ports.web},${sshd.port}`
      const result = await tsh([proxy, 'ssh', `${login}@node-1`, 'echo in'])
      expect(result.code).not.toBe(0)
      expect(result.stderr).toContain('not that of a proxy')
    } finally {
      await sshd.process.stop()
    }
  })
})

describe('C7 the life of a key', () => {
  test('no key or password in arguments or environment while it is used, nothing left after logout', async () => {
    const session = new Dialog(bin('tsh'), ['ssh', `${login}@node-1`, 'echo ready; cat'], {
      env: bench.cluster.env({ TELEPORT_HOME: home }),
    })
    await session.expect(/ready/)
    const secret = readFileSync(join(home, 'keys/localhost/alice'), 'utf8').split('\n')[2] ?? ''
    expect(secret.length).toBeGreaterThan(40)
    for (const pid of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
      for (const file of ['cmdline', 'environ']) {
        const text = readProc(`/proc/${pid}/${file}`)
        expect(text.includes(secret) || text.includes(password), `${pid} ${file}`).toBe(false)
      }
    }
    await session.stop()
    expect((await tsh(['logout'])).code).toBe(0)
    for (const path of entriesBelow(home).filter((entry) => statSync(entry).isFile())) {
      expect(readFileSync(path, 'utf8')).not.toContain(secret)
    }
    expect((await tsh(['ssh', `${login}@node-1`, 'true'])).stderr).toContain('not logged in')
  })
})

const readProc = (path: string): string => {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

/** A server of somebody else: OpenSSH's, with a key that no authority of ours has signed. */
async function startSshd(
  certificateOf: (key: string) => string | undefined = () => undefined,
): Promise<{ readonly port: number; readonly process: Dialog }> {
  const probe = createServer()
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve))
  const bound = probe.address()
  const port = typeof bound === 'object' && bound !== null ? bound.port : 0
  await new Promise((resolve) => probe.close(resolve))
  const key = bench.newKey()
  const config = bench.file('sshd_config')
  const certificate = certificateOf(key)
  const line = certificate === undefined ? '' : `HostCertificate ${certificate}\n`
  writeFileSync(config, `ListenAddress 127.0.0.1:${port}\nHostKey ${key}\n${line}PidFile none\nUsePAM no\n`)
  mkdirSync('/run/sshd', { recursive: true })
  const process = new Dialog('/usr/sbin/sshd', ['-D', '-e', '-f', config])
  await until('sshd', async () => (process.output.includes('Server listening') ? true : undefined))
  return { port, process }
}
