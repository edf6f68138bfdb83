/** What a new user does, from the invite link to plain ssh. */

import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Cluster, login, oneTimeCode, password, startCluster } from './cluster.ts'
import { bin, cleanEnv, Dialog, run, succeed } from './run.ts'

let cluster: Cluster
let home: string
let secret: string
/** The code of the login that succeeded. */
let used: string

beforeAll(async () => {
  cluster = await startCluster({
    auth: '  authentication: {type: local, second_factor: otp}\n  message_of_the_day: "Be kind."',
  })
  home = cluster.home('bob')
})
afterAll(async () => {
  await cluster.remove()
})

const tsh = (...args: readonly string[]) => cluster.tsh(home, args)

describe('the first steps of a user', () => {
  test('tctl users add prints a link, tsh signup takes it', async () => {
    const added = await cluster.tctl('users', 'add', 'bob', login, '--roles=access,editor')
    expect(added.stdout).toMatch(
      /^User "bob" has been created but requires a password\. Share this URL with the user to complete user setup, link is valid for 1h:\nhttps:\/\/localhost:\d+\/web\/invite\/[0-9a-f]{32,}\n\nNOTE: Make sure localhost:\d+ points at a Teleport proxy which users can access\.\n$/,
    )
    const url = /https:\S+/.exec(added.stdout)?.[0] ?? ''
    // In a terminal, where a person who mistypes is asked again.
    const signup = new Dialog('script', ['-qec', `${bin('tsh')} signup --insecure ${url}`, '/dev/null'], {
      env: cluster.env({ TELEPORT_HOME: home }),
    })
    const say = async (question: RegExp, answer: string) => {
      await signup.expect(question)
      signup.send(`${answer}\r`)
    }
    await say(/New password \(at least 12 characters\):\s*$/, 'short')
    await say(/fewer than 12 characters; nothing was changed\. Try again\.\s+New password.*:\s*$/, password)
    await say(/again:\s*$/, 'another one')
    await say(/differ; nothing was changed\. Try again\.\s+The same password again:\s*$/, password)
    secret = (await signup.expect(/secret into it: ([A-Z2-7]+)/))[1] ?? ''
    // The picture that phones scan.
    expect(signup.output).toContain('█▀▀▀▀▀█')
    await say(/Code from the app:\s*$/, '12345')
    await say(/a one-time code has six digits\. Try again\.\s+Code from the app:\s*$/, oneTimeCode(secret))
    expect(await signup.exited, signup.output).toBe(0)
    const again = await tsh('signup', '--insecure', url)
    expect(again.code).not.toBe(0)
    expect(again.stderr).not.toContain('internal')
  })

  test('tsh login stores a certificate and prints the block', async () => {
    used = oneTimeCode(secret, 30)
    const result = await cluster.tsh(home, ['login', '--insecure', `--proxy=${cluster.proxyAddress}`, '--user=bob'], {
      input: `${password}\n${used}\n`,
    })
    expect(result.code, result.stderr).toBe(0)
    expect(result.stdout).toContain('Be kind.')
    expect(result.stdout).toMatch(
      new RegExp(
        [
          `> Profile URL: {8}https://localhost:${cluster.ports.web}`,
          '  Logged in as: {7}bob',
          '  Cluster: {12}feat',
          '  Roles: {14}access, editor',
          `  Logins: {13}${login}`,
          '  Valid until: {8}\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d \\+0000 UTC \\[valid for (?:23h0m0s|22h59m0s)\\]',
          '  Extensions: {9}permit-agent-forwarding, permit-port-forwarding, permit-pty',
        ].join('\n'),
      ),
    )
    expect((await tsh('status')).stdout).toContain('Logged in as:       bob')
  })

  test('a code is good for one login', async () => {
    const result = await cluster.tsh(
      cluster.home('replay'),
      ['login', '--insecure', `--proxy=${cluster.proxyAddress}`, '--user=bob'],
      {
        input: `${password}\n${used}\n`,
      },
    )
    expect(result.code).toBe(1)
    expect(result.stderr).toContain('wrong user name, password or code')
  })

  test('keys are private', () => {
    for (const path of ['', 'keys', 'keys/localhost']) expect(statSync(join(home, path)).mode & 0o777, path).toBe(0o700)
    for (const path of [
      'keys/localhost/bob',
      'keys/localhost/bob-cert.pub',
      'known_hosts',
      'localhost.yaml',
      'current-profile',
    ]) {
      expect(statSync(join(home, path)).mode & 0o777, path).toBe(0o600)
    }
  })

  test('tsh ls, clusters, env', async () => {
    const listed = (await tsh('ls')).stdout.split('\n')
    expect(listed[0]).toMatch(/^Node Name {2}Address +Labels$/)
    expect(listed[1]).toMatch(/^-+ {2}-+ +-+$/)
    expect(listed[2]).toMatch(/^node-1 +127\.0\.0\.1:\d+ +env=dev, tier=web$/)
    expect((await tsh('ls', 'env=prod')).stdout.split('\n')).toHaveLength(3)
    expect((await tsh('ls', '-v')).stdout).toMatch(/^Node Name {2}Node ID +Address +Labels +Logins\n/)
    expect(JSON.parse((await tsh('ls', '--format=json')).stdout)[0].hostname).toBe('node-1')
    expect((await tsh('clusters')).stdout).toMatch(/feat +online +root +\*/)
    expect((await tsh('env')).stdout).toContain('export TELEPORT_USER=bob\n')
  })

  test('tsh ssh gives output, errors, input and exit status', async () => {
    const result = await cluster.tsh(home, ['ssh', `${login}@node-1`, 'cat; echo oops >&2; exit 7'], {
      input: 'héllo\n',
    })
    expect(result).toEqual({ code: 7, stdout: 'héllo\n', stderr: 'oops\n' })
    const large = await cluster.tsh(home, ['ssh', `${login}@node-1.feat`, 'head -c 3000000 /dev/zero | tr "\\0" x'])
    expect(large.stdout.length).toBe(3_000_000)
    const environment = await tsh('ssh', `${login}@node-1`, 'env')
    expect(environment.stdout).toMatch(/^SSH_TELEPORT_USER=bob$/m)
    expect(environment.stdout).not.toContain('TELEPORT_ROLE_PROCESS')
  })

  test('tsh ssh on a label runs on every match and names the host', async () => {
    const logs = join(cluster.dir, 'logs')
    const result = await tsh('ssh', `--log-dir=${logs}`, `${login}@env=dev`, 'echo one; echo two')
    expect(result.stdout).toBe('[node-1] one\n[node-1] two\n')
    expect(result.stderr).toContain('1 of 1 hosts succeeded')
    expect(result.code).toBe(0)
    expect(readFileSync(join(logs, 'node-1.log'), 'utf8')).toBe('one\ntwo\n')
    const failing = await tsh('ssh', `${login}@env=dev,tier=web`, 'exit 3')
    expect(failing.code).toBe(1)
    expect(failing.stderr).toContain('node-1: exit status 3')
    expect((await tsh('ssh', `${login}@env=none`, 'true')).stderr).toContain('no node matches')
  })

  test('tsh ssh --trace names the steps', async () => {
    const { stderr } = await tsh('ssh', '--trace', `${login}@node-1`, 'true')
    for (const step of ['TCP to the proxy', 'logged in to the proxy', 'logged in to the node', 'finished'])
      expect(stderr).toContain(step)
  })

  test('a login that the roles do not give is denied by name', async () => {
    const result = await tsh('ssh', 'nobody@node-1', 'true')
    expect(result.code).toBe(255)
    expect(result.stderr).toBe(
      'tsh: access denied: user "bob" may not log in as "nobody" on node "node-1": no role allows the login "nobody"\n',
    )
    const missing = await tsh('ssh', `${login}@nowhere`, 'true')
    expect(missing.code).toBe(255)
    expect(missing.stderr).toContain('nowhere')
  })

  test('tsh config makes plain ssh work, strictly and without a word', async () => {
    const path = join(cluster.dir, 'ssh_config')
    writeFileSync(path, (await tsh('config')).stdout)
    const plain = await run(
      'ssh',
      ['-F', path, '-o', 'StrictHostKeyChecking=yes', `${login}@node-1.feat`, 'cat; exit 4'],
      {
        input: 'plain\n',
      },
    )
    expect(plain).toEqual({ code: 4, stdout: 'plain\n', stderr: '' })
    const other = await run('ssh', ['-F', path, `${login}@node-2.feat`, 'true'])
    expect(other.code).toBe(255)
  })

  test('tsh agent serves the certificate to plain ssh', async () => {
    const agent = new Dialog(bin('tsh'), ['agent'], { env: cluster.env({ TELEPORT_HOME: home }) })
    const socket = (await agent.expect(/SSH_AUTH_SOCK=(\S+); export SSH_AUTH_SOCK;/))[1] ?? ''
    expect(statSync(socket).mode & 0o077).toBe(0)
    expect(await succeed('ssh-add', ['-l'], { env: { SSH_AUTH_SOCK: socket } })).toMatch(
      /teleport:bob \(ED25519-CERT\)/,
    )
    const known = join(home, 'known_hosts')
    const proxy = `ssh -F none -p ${cluster.ports.proxy} -o UserKnownHostsFile=${known} -o StrictHostKeyChecking=yes localhost -s proxy:%h:%p`
    const result = await run(
      'ssh',
      [
        '-F',
        'none',
        '-o',
        `ProxyCommand=${proxy}`,
        '-o',
        `UserKnownHostsFile=${known}`,
        '-o',
        'StrictHostKeyChecking=yes',
        '-p',
        '3022',
        `${login}@node-1.feat`,
        'echo by agent',
      ],
      { env: { SSH_AUTH_SOCK: socket } },
    )
    expect(result.stdout, result.stderr).toBe('by agent\n')
    expect(await agent.stop('SIGINT')).toBe(0)
  })

  test('the running ssh-agent gets the certificate at login and loses it at logout', async () => {
    const agent = new Dialog('ssh-agent', ['-D', '-a', join(cluster.dir, 'agent.sock')], { env: cleanEnv() })
    try {
      await agent.expect(/SSH_AUTH_SOCK/)
      const env = { SSH_AUTH_SOCK: join(cluster.dir, 'agent.sock') }
      const list = async () => (await run('ssh-add', ['-l'], { env })).stdout
      await succeed(bin('tctl'), [
        '-c',
        cluster.config,
        'auth',
        'sign',
        '--user=bob',
        '--format=file',
        `--out=${cluster.dir}/bob.pem`,
      ])
      // Logged in already: nothing is asked, and the agent is left as it is.
      const kept = await cluster.tsh(home, ['login', `--proxy=${cluster.proxyAddress}`], { env })
      expect(kept.code, kept.stderr).toBe(0)
      const withFile = await cluster.tsh(cluster.home('file'), [
        'ssh',
        '-i',
        join(cluster.dir, 'bob.pem'),
        `--proxy=${cluster.proxyAddress},${cluster.ports.proxy}`,
        `${login}@node-1`,
        'echo file',
      ])
      expect(withFile.stdout, withFile.stderr).toBe('file\n')
      expect(await list()).not.toContain('teleport:bob')
      const out = await cluster.tsh(home, ['logout'], { env })
      expect(out.stdout).toBe('Logged out all users.\n')
      expect(await list()).not.toContain('teleport:')
    } finally {
      await agent.stop()
    }
    expect(() => statSync(join(home, 'keys/localhost/bob'))).toThrow('ENOENT')
    const after = await tsh('ssh', `${login}@node-1`, 'true')
    expect(after.code).toBe(255)
    expect(after.stderr).toContain('not logged in')
  })
})
