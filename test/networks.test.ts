/**
 * Auth, proxy, node and a user, each in a network namespace of its own, as on four machines. The user's network leads to the proxy
 * alone, the node and the proxy reach auth over different networks, and there is no loopback between any two. Wires that go dead in
 * one direction (SECURITY F8) are machines that send to a hardware address nobody has: dropped in silence, without a firewall.
 */

import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { spawn } from 'node-pty'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { login, makeCaches, password, temporaryDirectory } from './cluster.ts'
import { bin, cleanEnv, Dialog, type Result, type RunOptions, run, succeed, until } from './run.ts'

type Machine = 'auth' | 'proxy' | 'node' | 'user'
const machines: readonly Machine[] = ['auth', 'proxy', 'node', 'user']
/** A wire between two machines: the third number of its addresses; the first machine ends in 1, the second in 2. */
const wires: readonly (readonly [Machine, Machine, number])[] = [
  ['auth', 'proxy', 1],
  ['auth', 'node', 2],
  ['proxy', 'node', 3],
  ['proxy', 'user', 4],
]
/** Seconds between two questions whether the other side is still there; three without an answer, and it is gone. */
const keepAlive = 3
const namespace = (machine: Machine) => `tp${process.pid}-${machine}`
const ip = (...args: readonly string[]) => execFileSync('ip', args, { stdio: ['ignore', 'pipe', 'pipe'] })

/** Why this cannot run here. */
const obstacle = ((): string | undefined => {
  if (process.getuid?.() !== 0) return 'needs root'
  try {
    ip('netns', 'add', `tp${process.pid}-probe`)
    ip('netns', 'del', `tp${process.pid}-probe`)
    return undefined
  } catch {
    return 'needs ip (iproute2) and the right to make network namespaces'
  }
})()

describe.skipIf(obstacle !== undefined)(
  `four machines${obstacle === undefined ? '' : ` (skipped: ${obstacle})`}`,
  () => {
    let dir: string
    let pin: string
    const running: Dialog[] = []
    const secret = 'a-static-token-of-enough-length'

    const env = (machine: Machine, extra: Readonly<Record<string, string>> = {}) => ({
      XDG_CACHE_HOME: join(dir, 'cache'),
      TELEPORT_HOME: join(dir, `home-${machine}`),
      ...extra,
    })
    /** On one of the machines. */
    const on = (machine: Machine, command: readonly string[], options: RunOptions = {}): Promise<Result> =>
      run('ip', ['netns', 'exec', namespace(machine), ...command], { ...options, env: env(machine, options.env) })
    const tctl = async (args: readonly string[], input?: string): Promise<string> => {
      const command = [bin('tctl'), '-c', join(dir, 'auth.yaml'), ...args]
      const result = await on('auth', command, input === undefined ? {} : { input })
      if (result.code !== 0) throw new Error(`tctl ${args.join(' ')}: ${result.stderr}`)
      return result.stdout
    }
    const tsh = (args: readonly string[], options: RunOptions = {}) => on('user', [bin('tsh'), ...args], options)

    /** While `work` runs, what `from` sends over this wire arrives nowhere; what comes the other way does. */
    async function silenced<T>(from: Machine, wire: number, work: () => Promise<T>): Promise<T> {
      const [, second] = wires.find(([, , number]) => number === wire) ?? []
      const entry = [`10.71.${wire}.${second === from ? 1 : 2}`, 'dev', `wire${wire}`]
      ip('-n', namespace(from), 'neigh', 'replace', ...entry, 'lladdr', '02:00:00:00:00:99', 'nud', 'permanent')
      try {
        return await work()
      } finally {
        ip('-n', namespace(from), 'neigh', 'del', ...entry)
      }
    }
    const shell = (): Dialog => {
      const script = 'echo "sid=$SSH_SESSION_ID."; while read -r x; do echo "said $x."; done'
      const command = ['netns', 'exec', namespace('user'), bin('tsh'), 'ssh', '-tt', `${login}@node-1`, script]
      const dialog = new Dialog('ip', command, { env: env('user', { TERM: 'xterm' }) })
      running.push(dialog)
      return dialog
    }
    const nodes = async () => (await tctl(['nodes', 'ls'])).split('\n').filter((line) => line.startsWith('node-1'))

    function start(machine: 'auth' | 'proxy' | 'node', args: readonly string[] = []): Dialog {
      const command = [bin('teleport'), 'start', '-c', join(dir, `${machine}.yaml`), ...args]
      const dialog = new Dialog('ip', ['netns', 'exec', namespace(machine), ...command], { env: env(machine) })
      running.push(dialog)
      return dialog
    }

    function configure(machine: 'auth' | 'proxy' | 'node', teleport: string, service: string): void {
      const services = { auth: 'auth_service', proxy: 'proxy_service', node: 'ssh_service' }
      const off = Object.entries(services).flatMap(([name, key]) =>
        name === machine ? [] : [`${key}: {enabled: no}\n`],
      )
      const own = `${services[machine]}: ${service}\n`
      const common = `nodename: ${machine}-1, data_dir: ${join(dir, machine)}`
      writeFileSync(join(dir, `${machine}.yaml`), `teleport: {${common}${teleport}}\n${own}${off.join('')}`)
    }

    beforeAll(async () => {
      dir = temporaryDirectory()
      makeCaches(dir)
      for (const machine of machines) {
        ip('netns', 'add', namespace(machine))
        ip('-n', namespace(machine), 'link', 'set', 'lo', 'up')
      }
      for (const [a, b, wire] of wires) {
        const [one, two] = [namespace(a), namespace(b)]
        ip('-n', one, 'link', 'add', `wire${wire}`, 'type', 'veth', 'peer', 'name', `wire${wire}`, 'netns', two)
        for (const [index, name] of [one, two].entries()) {
          ip('-n', name, 'addr', 'add', `10.71.${wire}.${index + 1}/24`, 'dev', `wire${wire}`)
          ip('-n', name, 'link', 'set', `wire${wire}`, 'up')
        }
      }
      configure(
        'auth',
        '',
        `{cluster_name: feat, public_addr: "10.71.2.1:3025", tokens: ["proxy:${secret}"], authentication: {second_factor: off}, keep_alive_interval: ${keepAlive}s, session_detach_timeout: 2m}`,
      )
      configure(
        'proxy',
        ', auth_servers: ["10.71.1.1:3025"]',
        '{public_addr: "10.71.4.1:3080", ssh_public_addr: "10.71.4.1:3023"}',
      )
      configure('node', ', auth_servers: ["10.71.2.1:3025"], advertise_ip: 10.71.3.2', '{labels: {env: far}}')
      await start('auth').expect(/^Teleport \d/m)
      pin = /sha256:[0-9a-f]{64}/.exec(await tctl(['status']))?.[0] ?? ''
    })
    afterAll(async () => {
      await Promise.all(running.map((process) => process.stop()))
      for (const machine of machines) await run('ip', ['netns', 'del', namespace(machine)])
      await succeed('rm', ['-rf', dir])
    })

    test('the proxy joins with a static token, the node with the line that tctl nodes add prints', async () => {
      const proxy = start('proxy', [`--token=${secret}`, `--ca-pin=${pin}`])
      const added = await tctl(['nodes', 'add', '--roles=node'])
      const argument = (name: string) => new RegExp(`--${name}=\\S+`).exec(added)?.[0] ?? ''
      expect(argument('auth-server')).toBe('--auth-server=10.71.2.1:3025')
      expect(argument('ca-pin')).toBe(`--ca-pin=${pin}`)
      const node = start('node', ['token', 'ca-pin', 'auth-server'].map(argument))
      await Promise.all([proxy.expect(/proxy +SSH on .*HTTPS on/), node.expect(/node +SSH on/)])
    })

    test('a user with a way to the proxy alone logs in, lists the node and reaches it', async () => {
      await tctl(['users', 'add', 'bob', login])
      await tctl(['users', 'set-password', 'bob'], `${password}\n`)
      const loggedIn = await tsh(['login', '--insecure', '--proxy=10.71.4.1', '--user=bob'], { input: `${password}\n` })
      expect(loggedIn.code, loggedIn.stderr).toBe(0)
      expect((await tsh(['ls'])).stdout).toMatch(/^node-1 +10\.71\.3\.2:3022 +env=far$/m)
      const session = await tsh(['ssh', `${login}@node-1`, 'echo "$SSH_CONNECTION"; cat; exit 3'], { input: 'héllo\n' })
      expect(session, session.stderr).toMatchObject({ code: 3 })
      // The node sees the user's address though the proxy connects.
      expect(session.stdout).toMatch(/^10\.71\.4\.2 \d+ 10\.71\.3\.2 3022\nhéllo\n$/)
    })

    test('plain ssh with the block of tsh config does too', async () => {
      const block = join(dir, 'ssh_config')
      writeFileSync(block, (await tsh(['config'])).stdout)
      const result = await on('user', ['ssh', '-F', block, `${login}@node-1.feat`, 'echo plain'])
      expect(result, result.stderr).toMatchObject({ code: 0, stdout: 'plain\n' })
    })

    test('F8 a link that is dead in one direction: noticed after three questions, and the session waits for its owner', async () => {
      const lost = shell()
      const sid = (await lost.expect(/sid=([0-9a-f-]{36})\./))[1] ?? ''
      lost.send('one\n')
      await lost.expect(/said one\./)
      const began = performance.now()
      await silenced('user', 4, () =>
        until('the node to notice', async () =>
          (await tctl(['audit', 'ls', '--type=session.detach', '--format=json'])).includes(sid) ? true : undefined,
        ),
      )
      expect(performance.now() - began).toBeGreaterThan(keepAlive * 2 * 1000)
      const attach = ['netns', 'exec', namespace('user'), bin('tsh'), 'sessions', 'attach', sid]
      const back = spawn('ip', attach, { name: 'xterm', env: cleanEnv(env('user')) })
      let output = ''
      back.onData((text) => {
        output += text
      })
      const shows = (text: string) =>
        until(
          text,
          () => (output.includes(text) ? true : undefined),
          60_000,
          () => output,
        )
      // The screen as it was.
      await shows('said one.')
      back.write('two\r')
      await shows('said two.')
      back.kill('SIGKILL')
      lost.child.kill('SIGKILL')
    })

    test('F8 a node that hears the proxy and is not heard: others are told, sessions go on when it is over', async () => {
      const session = shell()
      await session.expect(/sid=/)
      await silenced('node', 3, async () => {
        session.send('during\n')
        // The time without an answer is what is tested; shorter than three questions.
        await new Promise((resolve) => setTimeout(resolve, 2000))
        expect(session.output).not.toContain('said during.')
      })
      await session.expect(/said during\./)
      session.send('after\n')
      await session.expect(/said after\./)
      session.child.kill('SIGKILL')
      const refused = await silenced('node', 3, () => tsh(['ssh', '-o', 'ConnectTimeout=2', `${login}@node-1`, 'true']))
      expect(refused.code).toBe(255)
      expect(refused.stderr).toContain('node-1')
      expect(await nodes()).toHaveLength(1)
    })

    test('F8 auth that is not heard any more: certificates go on working, and what was taken away meanwhile is gone once it is back', async () => {
      const word = () => tsh(['ssh', `${login}@node-1`, 'echo in'])
      await silenced('auth', 1, () =>
        silenced('auth', 2, async () => {
          await tctl(['users', 'rm', 'bob'])
          // Neither the proxy nor the node can know.
          expect(await word()).toMatchObject({ code: 0, stdout: 'in\n' })
        }),
      )
      const refused = await until('the refusal', async () => {
        const result = await word()
        // One that is under way when the news come is cut off.
        return /bob|denied|does not exist/.test(result.stderr) ? result : undefined
      })
      expect(refused.code).not.toBe(0)
      expect(await nodes()).toHaveLength(1)
    })

    test('the user has no way around the proxy', async () => {
      for (const target of ['10.71.3.2/3022', '10.71.2.2/3022', '10.71.1.1/3025']) {
        const direct = await on('user', ['timeout', '2', 'bash', '-c', `exec 3<>/dev/tcp/${target}`])
        expect(direct.code).not.toBe(0)
      }
    })
  },
)
