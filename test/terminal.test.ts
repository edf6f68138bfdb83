/** Interactive sessions in a real pseudo-terminal: shell, sizes, full-screen programs, escapes, prompts. */

import { join } from 'node:path'
import { type IPty, spawn } from 'node-pty'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Cluster, login, password, startCluster } from './cluster.ts'
import { bin, cleanEnv, endedWithout, run, until } from './run.ts'

let cluster: Cluster
let home: string

/** A program in a terminal of its own. */
class Terminal {
  readonly pty: IPty
  readonly exited: Promise<number>
  output = ''
  #code: number | undefined

  constructor(file: string, args: readonly string[], env: Readonly<Record<string, string>> = {}) {
    this.pty = spawn(file, [...args], {
      cols: 80,
      rows: 24,
      name: 'xterm-256color',
      env: cleanEnv({ TERM: 'xterm-256color', ...env }),
    })
    this.pty.onData((text) => {
      this.output += text
    })
    this.exited = new Promise((resolve) =>
      this.pty.onExit(({ exitCode }) => {
        this.#code = exitCode
        resolve(exitCode)
      }),
    )
  }

  async expect(pattern: RegExp): Promise<RegExpExecArray> {
    return await until(
      `${pattern} on the screen`,
      () => pattern.exec(this.output) ?? endedWithout(pattern, this.#code, this.output),
      60_000,
      () => this.output,
    )
  }

  type(text: string): void {
    this.pty.write(text)
  }
}

const tsh = (...args: readonly string[]) => new Terminal(bin('tsh'), args, cluster.env({ TELEPORT_HOME: home }))

/** A shell whose prompt is known. */
async function shell(): Promise<Terminal> {
  const terminal = tsh('ssh', '-t', `${login}@node-1`, 'PS1="ready> " exec bash --norc --noprofile --noediting -i')
  await terminal.expect(/ready> /)
  return terminal
}

beforeAll(async () => {
  cluster = await startCluster()
  await cluster.addUser('alice')
  home = await cluster.login('alice')
})
afterAll(async () => {
  await cluster.remove()
})

describe('a session in a terminal', () => {
  test('size and its changes, exit status, the line at the end of a shell', async () => {
    const terminal = await shell()
    terminal.type('stty size; tty\r')
    await terminal.expect(/24 80\r\n\/dev\/pts\//)
    terminal.pty.resize(100, 30)
    await until('the new size', () => {
      terminal.type('stty size\r')
      return /30 100/.test(terminal.output) ? true : undefined
    })
    terminal.type('echo $TERM; exit 5\r')
    await terminal.expect(/xterm-256color/)
    expect(await terminal.exited).toBe(5)
    const plain = tsh('ssh', `${login}@node-1`)
    plain.type('exit\r')
    await plain.expect(/the connection was closed on the remote side on {2}\d\d \w{3} \d\d \d\d:\d\d UTC/)
  })

  test('Ctrl-C interrupts the remote command, not tsh', async () => {
    const terminal = await shell()
    terminal.type('echo "sleep""ing"; sleep 60\r')
    await terminal.expect(/sleeping/)
    const prompts = () => terminal.output.split('ready> ').length
    const before = prompts()
    terminal.type('\u0003')
    await until('the prompt after the interrupt', () => (prompts() > before ? true : undefined))
    terminal.type('echo still "here"\r')
    await terminal.expect(/still here/)
    terminal.type('exit 0\r')
    expect(await terminal.exited).toBe(0)
  })

  test('UTF-8 and wide characters pass unchanged', async () => {
    const terminal = await shell()
    terminal.type('printf "%s\\n" "grüße 日本 🚀" | od -An -tx1 | tr -d " \\n"; echo\r')
    await terminal.expect(/6772c3bcc39f6520e697a5e69cac20f09f9a800a/)
    terminal.type('exit\r')
    await terminal.exited
  })

  test('vim and tmux draw, take input, and leave', async () => {
    const terminal = await shell()
    const file = join(cluster.dir, 'vim.txt')
    terminal.type(`vim.tiny -u NONE ${file}\r`)
    await terminal.expect(/~\s/)
    terminal.type('ihello from vim\u001b:wq\r')
    await terminal.expect(/written/)
    terminal.type(`cat ${file}\r`)
    await terminal.expect(/\nhello from vim/)
    const socket = join(cluster.dir, 'tmux.sock')
    terminal.type(`tmux -S ${socket} -f /dev/null new-session "echo in-tmux; exec cat"\r`)
    await terminal.expect(/in-tmux/)
    terminal.pty.resize(90, 25)
    await until('the size inside tmux', async () => {
      const { stdout } = await run('tmux', ['-S', socket, 'display-message', '-p', '#{client_width}x#{client_height}'])
      return stdout === '90x25\n' ? true : undefined
    })
    await run('tmux', ['-S', socket, 'kill-server'])
    await until('the shell again', () => {
      terminal.type('echo "ba""ck"\r')
      return /back\r\n/.test(terminal.output) ? true : undefined
    })
    terminal.type('exit\r')
    await terminal.exited
  })

  test('~? helps, ~. ends, at the beginning of a line only', async () => {
    const terminal = await shell()
    terminal.type('echo a~.b\r')
    await terminal.expect(/\na~\.b/)
    terminal.type('~?')
    await terminal.expect(/Supported escape sequences/)
    terminal.type('\r')
    terminal.type('~.')
    expect(await terminal.exited).toBe(255)
    expect(terminal.output).toContain('Connection closed.')
  })

  test('the password is asked without echo', async () => {
    const other = cluster.home('typed')
    const terminal = new Terminal(
      bin('tsh'),
      ['login', '--insecure', `--proxy=${cluster.proxyAddress}`, '--user=alice'],
      cluster.env({ TELEPORT_HOME: other }),
    )
    await terminal.expect(/Enter password for Teleport user alice:/)
    terminal.type(`${password}\r`)
    await terminal.expect(/Logged in as: +alice/)
    expect(terminal.output).not.toContain(password)
    expect(await terminal.exited).toBe(0)
    const given = new Terminal(
      bin('tsh'),
      ['login', '--insecure', `--proxy=${cluster.proxyAddress}`, '--user=bob'],
      cluster.env({ TELEPORT_HOME: other }),
    )
    await given.expect(/Enter password/)
    given.type('\u0003')
    expect(await given.exited).toBe(1)
  })
})
