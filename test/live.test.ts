/** Sessions with several people through tsh: join, observe, moderate, lose the connection and come back. */

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type IPty, spawn } from 'node-pty'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Cluster, login, startCluster } from './cluster.ts'
import { bin, cleanEnv, until } from './run.ts'

interface Listed {
  readonly sid: string
  readonly user: string
  readonly state: string
  readonly columns: number
  readonly rows: number
  readonly modes: readonly string[]
  readonly parties: readonly { readonly user: string; readonly mode: string }[]
}

let cluster: Cluster
const homes: Record<string, string> = {}

/** A `tsh` of one person in a terminal of its own. */
class Terminal {
  readonly pty: IPty
  readonly exited: Promise<number>
  output = ''
  #from = 0

  constructor(user: string, args: readonly string[], size: { readonly cols: number; readonly rows: number }) {
    const env = cleanEnv({ TERM: 'xterm-256color', ...cluster.env({ TELEPORT_HOME: homes[user] ?? '' }) })
    this.pty = spawn(bin('tsh'), [...args], { ...size, name: 'xterm-256color', env })
    this.pty.onData((text) => {
      this.output += text
    })
    this.exited = new Promise((resolve) => this.pty.onExit(({ exitCode }) => resolve(exitCode)))
  }

  /** Looks after what was found before. */
  async expect(text: string): Promise<void> {
    const at = await until(
      `${text} on the screen`,
      () => {
        const found = this.output.indexOf(text, this.#from)
        return found < 0 ? undefined : found
      },
      60_000,
      () => this.output.slice(this.#from),
    )
    this.#from = at + text.length
  }

  type(text: string): void {
    this.pty.write(text)
  }
}

const open: Terminal[] = []
const tsh = (user: string, args: readonly string[], size = { cols: 80, rows: 24 }): Terminal => {
  const terminal = new Terminal(user, args, size)
  open.push(terminal)
  return terminal
}
const list = async (user: string): Promise<readonly Listed[]> =>
  JSON.parse((await cluster.tsh(homes[user] ?? '', ['sessions', 'ls', '--format=json'])).stdout) as Listed[]
/** Waits until the user sees a session of the owner that is as wanted. */
const session = (user: string, owner: string, wanted: (found: Listed) => boolean = () => true): Promise<Listed> =>
  until(`a session of ${owner} for ${user}`, async () =>
    (await list(user)).find((found) => found.user === owner && wanted(found)),
  )
const shell = async (user: string, size?: { readonly cols: number; readonly rows: number }): Promise<Terminal> => {
  const command = 'PS1="ready> " exec bash --norc --noprofile --noediting -i'
  return tsh(user, ['ssh', '-t', `${login}@node-1`, command], size)
}

const roles = {
  joiner: { join_sessions: [{ name: 'all', roles: ['access', 'watched'], modes: ['peer', 'observer'] }] },
  guard: { join_sessions: [{ name: 'all', roles: ['*'], modes: ['observer', 'moderator'] }] },
  watched: {
    logins: [login],
    node_labels: { '*': '*' },
    require_session_join: [{ name: 'guards', roles: ['guard'], modes: ['moderator'], on_leave: 'pause' }],
  },
}

beforeAll(async () => {
  cluster = await startCluster({
    auth: '  authentication: {type: local, second_factor: off}\n  session_detach_timeout: 2m',
  })
  for (const [name, allow] of Object.entries(roles)) {
    await cluster.admin.create(JSON.stringify({ kind: 'role', version: 'v4', metadata: { name }, spec: { allow } }))
  }
  for (const [name, role] of [
    ['alice', 'access'],
    ['bob', 'joiner'],
    ['carol', 'guard'],
    ['erin', 'watched'],
  ] as const) {
    await cluster.addUser(name, { roles: role })
    homes[name] = await cluster.login(name)
  }
})
afterAll(async () => {
  for (const { pty } of open) pty.kill('SIGKILL')
  await cluster.remove()
})

describe('three people at one terminal', () => {
  test('the second types, the third only watches, all see the same screen, in the smallest size', async () => {
    const alice = await shell('alice', { cols: 100, rows: 30 })
    await alice.expect('ready> ')
    const file = join(cluster.dir, 'poem.txt')
    writeFileSync(file, 'The woods are lovely, dark and deep\n')
    alice.type(`vim -u NONE -N ${file}\r`)
    await alice.expect('lovely, dark and deep')
    const { sid, modes } = await session('bob', 'alice')
    expect(modes).toEqual(['peer', 'observer'])

    const bob = tsh('bob', ['join', sid], { cols: 80, rows: 24 })
    // What was on the screen before bob came.
    await bob.expect('lovely, dark and deep')
    await bob.expect('you joined the session of alice as peer')
    const carol = tsh('carol', ['join', '--mode=observer', sid], { cols: 120, rows: 40 })
    await carol.expect('lovely, dark and deep')
    await carol.expect('as observer')
    expect(await session('alice', 'alice', ({ parties }) => parties.length === 3)).toMatchObject({
      columns: 80,
      rows: 24,
      state: 'running',
    })

    carol.type('ggdGidestroyed\x1b')
    await carol.expect('what you type goes nowhere')
    bob.type('GoBut I have promises to keep\x1b')
    await Promise.all([alice, bob, carol].map((terminal) => terminal.expect('promises to keep')))
    bob.type(':wq\r')
    await alice.expect('ready> ')
    alice.type(`cat ${file}; stty size\r`)
    await alice.expect('lovely, dark and deep\r\nBut I have promises to keep\r\n24 80')

    // Leaves the session and not more.
    bob.type('\r~.')
    expect(await bob.exited).toBe(0)
    await alice.expect('bob left')
    // What ends tsh does not end the program that is watched.
    carol.pty.kill('SIGHUP')
    await alice.expect('carol left')
    alice.type('stty size\r')
    await alice.expect('30 100')
    alice.type('exit\r')
    expect(await alice.exited).toBe(0)
  })

  test('one without a rule sees and joins no session of others', async () => {
    const erinsGuard = await shell('alice')
    await erinsGuard.expect('ready> ')
    const { sid } = await session('carol', 'alice')
    expect(await list('erin')).toEqual([])
    const refused = await cluster.tsh(homes.erin ?? '', ['join', sid])
    expect(refused.code).toBe(1)
    expect(refused.stderr).toContain(`there is no open session ${sid}`)
    const table = await cluster.tsh(homes.carol ?? '', ['sessions', 'ls'])
    expect(table.stdout).toMatch(/^Session ID +User +Login +Node/)
    expect(table.stdout).toContain(sid)
    const denied = await cluster.tsh(homes.bob ?? '', ['sessions', 'end', sid])
    expect(denied.stderr).toContain('only a moderator may end a session')
    expect(denied.code).toBe(255)
    const ended = await cluster.tsh(homes.carol ?? '', ['sessions', 'end', sid])
    expect(ended, ended.stderr).toMatchObject({ code: 0 })
    await erinsGuard.expect('carol ended the session')
    await erinsGuard.exited
  })
})

test('a moderated session waits for its moderator, who pauses and resumes it', async () => {
  const erin = await shell('erin')
  await erin.expect('1 more of role "guard" as moderator')
  const { sid } = await session('carol', 'erin', ({ state }) => state === 'waiting')
  const carol = tsh('carol', ['join', '--mode=moderator', sid])
  await carol.expect('as moderator')
  await erin.expect('ready> ')
  carol.type('\r~p')
  await erin.expect('carol paused the session')
  await session('carol', 'erin', ({ state }) => state === 'paused')
  carol.type('\r~r')
  await erin.expect('carol lets the session go on')
  erin.type('echo on-$((40+2))\r')
  await carol.expect('on-42')
  carol.type('\r~t')
  await erin.expect('carol ended the session')
  await Promise.all([erin.exited, carol.exited])
  const command = await cluster.tsh(homes.erin ?? '', ['ssh', `${login}@node-1`, 'echo free'])
  expect(command.stdout).toBe('')
  expect(command.stderr).toContain('somebody joins your sessions')
})

test('a session whose client was killed is there again with its screen', async () => {
  const alice = await shell('alice')
  await alice.expect('ready> ')
  const file = join(cluster.dir, 'miles.txt')
  writeFileSync(file, 'And miles to go before I sleep\n')
  alice.type(`vim -u NONE -N ${file}\r`)
  await alice.expect('before I sleep')
  alice.pty.kill('SIGKILL')
  const { sid } = await session('alice', 'alice', ({ state }) => state === 'detached')
  const again = tsh('alice', ['sessions', 'attach', sid])
  await again.expect('before I sleep')
  again.type(':q!\r')
  await again.expect('ready> ')
  again.type('echo here-$((40+2)); exit 3\r')
  await again.expect('here-42')
  expect(await again.exited).toBe(3)
  const events = await until('the events', async () => {
    const names = (await cluster.events({ session: sid })).map(({ event }) => event)
    return names.includes('session.attach') && names.includes('session.end') ? names : undefined
  })
  expect(events).toContain('session.detach')
})
