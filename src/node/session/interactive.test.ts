import { execFileSync } from 'node:child_process'
import { describe, expect, test } from 'vitest'
import { run } from '../../ssh/testing/run.ts'
import { runningChildren } from '../os/reaper.ts'
import { poll } from '../testing/poll.ts'
import { type TerminalClient, terminalClient } from '../testing/terminal-client.ts'
import { alice, everyNode, me, useNode } from '../testing/use-node.ts'

const { node, directory } = useNode()
node.addRole('dev', everyNode)

const open = (command: readonly string[] = [], modes?: ReadonlyMap<number, number>): Promise<TerminalClient> => {
  const [flag = '', config = '', host = ''] = node.openSsh(alice, me)
  return terminalClient('/usr/bin/ssh', [flag, config, '-tt', host, ...command], me, modes)
}
const has = (program: string): boolean => {
  try {
    execFileSync('which', [program], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

describe('an interactive shell through real ssh', () => {
  test('is a login shell on a terminal of the right size, follows a resize, and gives its status', async () => {
    const client = await open()
    client.type('stty size; tty; echo "$TERM" "$SSH_TTY"; shopt -q login_shell && echo is-login\n')
    await client.waitFor(/24 80\r\n/)
    await client.waitFor(/xterm-256color \/dev\/pts\/\d+\r\n/)
    await client.waitFor(/is-login\r\n/)
    client.resize(132, 43)
    await poll(async () => {
      client.type('stty size\n')
      await client.waitFor(/\d+ \d+\r\n/)
      return client.screen().includes('43 132')
    }).toBe(true)
    client.type('exit 9\n')
    expect(await client.exited).toEqual({ kind: 'exit', status: 9 })
  })

  test('^C reaches the program in the foreground, job control works, UTF-8 passes', async () => {
    const client = await open()
    client.type('echo ready-$((40+2))\n')
    await client.waitFor('ready-42')
    client.type('sleep 1001.5\n')
    await poll(() => execFileSync('ps', ['-eo', 'args']).toString()).toContain('sleep 1001.5')
    client.type('\x03')
    client.type('echo "grüße 日本" $?\n')
    await client.waitFor(/grüße 日本 130\r\n/)
    client.type('sleep 2002.5\n')
    await poll(() => execFileSync('ps', ['-eo', 'args']).toString()).toContain('sleep 2002.5')
    client.type('\x1a')
    await client.waitFor('Stopped')
    client.type('kill %1; exit\n')
    client.type('exit\n')
    await client.exited
  })

  test('takes the modes of the client: its erase character', async () => {
    const client = await open(['stty -a'], new Map([[3, 8]]))
    await client.waitFor('erase = ^H')
    await client.exited
  })

  test('is hung up when the client is killed, and its terminal is given back', async () => {
    const before = runningChildren()
    const client = await open()
    client.type('echo up-and-$((40+2))\n')
    await client.waitFor('up-and-42')
    expect(node.context.sessions.count).toBe(1)
    client.process.signal('KILL')
    await client.exited
    client.process.hangup()
    await poll(() => runningChildren()).toBe(before)
    expect(node.context.sessions.count).toBe(0)
  })

  test('a large output arrives whole', async () => {
    const client = await open(['seq 1 200000; echo done-$((1+1))'])
    await client.waitFor('199999\r\n200000\r\ndone-2')
    await client.exited
    const numbers = client.screen().match(/^\d+\r$/gm)
    expect(numbers?.length).toBe(200_000)
  })

  test.runIf(has('vim'))('vim fills the window and follows a resize', async () => {
    const client = await open(['vim -u NONE -N'])
    await client.waitFor('VIM')
    client.resize(100, 50)
    await client.waitFor('\x1b[49;1H')
    client.type(':echo "size" &lines &columns\r')
    await client.waitFor(/size 50 100/)
    client.type(':qa!\r')
    expect(await client.exited).toEqual({ kind: 'exit', status: 0 })
  })

  test.runIf(has('tmux'))('tmux runs and follows a resize', async () => {
    const socket = directory.file('tmux')
    const client = await open([`tmux -f /dev/null -S ${socket} new-session 'sh -i'`])
    await client.waitFor('[0]')
    client.resize(90, 30)
    client.type('stty size\n')
    await client.waitFor(/29 90/)
    client.type('exit\n')
    expect(await client.exited).toEqual({ kind: 'exit', status: 0 })
  })

  test('F5 a program that is killed ends its own session only', async () => {
    const other = await open()
    other.type('echo up-$((40+2))\n')
    await other.waitFor('up-42')
    await node.ssh(alice, me, ['kill -KILL $$'])
    await poll(() =>
      node.events.find((event) => event.event === 'exec' && event.command === 'kill -KILL $$'),
    ).toMatchObject({
      exitError: 'killed by signal KILL',
    })
    other.type('echo still-$((40+2)); exit\n')
    await other.waitFor('still-42')
    expect(await other.exited).toEqual({ kind: 'exit', status: 0 })
  })

  test('O5 what ignores SIGHUP stays, by its own choice, and the rest goes', async () => {
    const client = await open()
    // A number of this run: what an interrupted run left must not be taken for ours.
    const stays = `sleep 1003.${process.pid}`
    const goes = `sleep 1004.${process.pid}`
    client.type(`nohup ${stays} >/dev/null 2>&1 &\n`)
    client.type(`${goes} &\necho up-$((40+2))\n`)
    await client.waitFor('up-42')
    const list = () => execFileSync('ps', ['-eo', 'pid,args']).toString().split('\n')
    const find = (text: string) => list().find((line) => line.endsWith(text))
    await poll(() => find(stays)).toBeDefined()
    client.process.signal('KILL')
    await client.exited
    await poll(() => find(goes)).toBeUndefined()
    const survivor = find(stays)
    expect(survivor).toBeDefined()
    process.kill(Number.parseInt(survivor ?? '', 10), 'SIGKILL')
  })

  test('ends with a line that says why when it was idle too long', async () => {
    // Long enough for a shell with much to read at its start on a busy machine.
    node.configure({ clientIdleTimeout: 5 })
    const result = await node.ssh(alice, me, ['echo up; sleep 1000'])
    node.configure({})
    expect(result.stdout.toString()).toBe('up\n')
    expect(result.stderr).toContain('idle')
  })

  test('ends with a word when the certificate ends, where the cluster wants that', async () => {
    node.configure({ disconnectExpiredCert: true })
    const now = node.context.env.now().getTime()
    const [flag = '', config = '', host = ''] = node.openSsh(alice, me, {
      validAfter: new Date(now - 60_000),
      validBefore: new Date(now + 6_000),
    })
    const result = await run('ssh', [flag, config, host, 'echo up; sleep 1000'])
    node.configure({ disconnectExpiredCert: false })
    expect(result.stdout.toString()).toBe('up\n')
    expect(result.stderr).toContain('certificate has expired')
    expect(result.code).not.toBe(0)
    await poll(() => node.events.some((event) => event.event === 'client.disconnect')).toBe(true)
  })
})

describe('without a right', () => {
  test('no terminal without permit-pty', async () => {
    const extensions = {
      'teleport-roles': '["dev"]',
      'teleport-traits': JSON.stringify({ logins: [me] }),
      'teleport-route-to-cluster': 'test',
    }
    const [flag = '', config = '', host = ''] = node.openSsh(alice, me, { extensions })
    const result = await run('ssh', [flag, config, '-tt', host, 'tty'])
    expect(result.stdout.toString()).not.toContain('/dev/pts')
    expect(result.stderr).toContain('PTY allocation request failed')
  })

  test('S19 no X11', async () => {
    const result = await node.ssh(alice, me, ['-X', 'echo "[$DISPLAY]"'], { env: { DISPLAY: ':99' } })
    expect(result.stdout.toString()).toBe('[]\n')
  })
})
