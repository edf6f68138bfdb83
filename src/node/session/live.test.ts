import { userInfo } from 'node:os'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { joinLogin } from '../../api/session-model.ts'
import { type TempDir, tempDir } from '../../ssh/testing/temp-dir.ts'
import { poll } from '../testing/poll.ts'
import { type TerminalClient, terminalClient } from '../testing/terminal-client.ts'
import { TestNode, type TestUser } from '../testing/test-node.ts'

const me = userInfo().username
const alice: TestUser = { name: 'alice', roles: ['dev'], logins: [me] }
const bob: TestUser = { name: 'bob', roles: ['helper'], logins: ['other'] }
const carol: TestUser = { name: 'carol', roles: ['auditor'], logins: ['other'] }
const dave: TestUser = { name: 'dave', roles: ['nothing'], logins: ['other'] }
const erin: TestUser = { name: 'erin', roles: ['watched'], logins: [me] }
let directory: TempDir
let node: TestNode

beforeAll(async () => {
  directory = tempDir()
  node = new TestNode(directory.path)
  await node.listen()
})
afterEach(async () => {
  for (const session of node.context.sessions.list()) session.terminate('the test is over')
  await poll(() => node.context.sessions.count).toBe(0)
})
beforeEach(() => {
  node.events.length = 0
  node.configure({})
  node.recorder.problem = undefined
  const logins = { logins: ['{{internal.logins}}'], node_labels: { '*': '*' } }
  const joins = (roles: string[], modes: string[]) => ({ join_sessions: [{ name: 'j', roles, modes }] })
  node.addRole('dev', logins)
  node.addRole('helper', joins(['dev'], ['peer', 'observer']))
  node.addRole('auditor', joins(['*'], ['observer', 'moderator']))
  node.addRole('nothing', {})
  node.addRole('watched', {
    ...logins,
    require_session_join: [{ name: 'r', roles: ['auditor'], modes: ['moderator'], on_leave: 'pause' }],
  })
  for (const user of [alice, bob, carol, dave, erin]) node.addUser(user)
  node.accessChanged()
})
afterAll(async () => {
  await node.server.close()
  directory[Symbol.dispose]()
})

const ssh = (user: TestUser, login: string, args: readonly string[]): Promise<TerminalClient> => {
  const [flag = '', config = '', host = ''] = node.openSsh(user, login)
  return terminalClient('/usr/bin/ssh', [flag, config, '-tt', ...args.slice(0, -1), host, ...args.slice(-1)], me)
}
const sessionOf = (user: TestUser) => {
  const session = node.context.sessions.list().find((active) => active.user === user.name)
  if (session === undefined) throw new Error(`${user.name} has no session`)
  return session
}
const shell = async (user: TestUser = alice): Promise<TerminalClient> => {
  const client = await ssh(user, me, ['sh -i'])
  await poll(() => node.context.sessions.list().some((active) => active.user === user.name)).toBe(true)
  return client
}
const join = (user: TestUser, owner: TestUser, mode = ''): Promise<TerminalClient> =>
  ssh(user, joinLogin, ['-s', `join:${sessionOf(owner).id}${mode === '' ? '' : `:${mode}`}`])
const control = (user: TestUser, owner: TestUser, action: string): Promise<TerminalClient> =>
  ssh(user, joinLogin, ['-s', `control:${sessionOf(owner).id}:${action}`])
const finish = async (client: TerminalClient): Promise<void> => {
  client.type('\nexit\n')
  await client.exited
  await poll(() => node.context.sessions.count).toBe(0)
}
const events = (name: string) => node.events.filter((event) => event.event === name)

describe('a session with several parties', () => {
  test('a peer types, an observer only looks; everybody sees who comes and goes; the trail tells it', async () => {
    const owner = await shell()
    owner.type('echo before-$((40+2))\n')
    await owner.waitFor('before-42')
    const peer = await join(bob, alice)
    await peer.waitFor('before-42')
    await owner.waitFor('bob joined this session as peer')
    peer.type('echo peer-$((1+1))\n')
    await owner.waitFor('peer-2')
    await peer.waitFor('peer-2')
    const observer = await join(carol, alice, 'observer')
    await observer.waitFor('peer-2')
    await peer.waitFor('carol joined this session as observer')
    observer.type('echo nothing\n')
    await observer.waitFor('you are here as observer')
    owner.type('echo all-$((1+2))\n')
    await Promise.all([owner, peer, observer].map((client) => client.waitFor('all-3')))
    expect(owner.screen()).not.toContain('echo nothing')
    expect(
      sessionOf(alice)
        .status()
        .parties.map(({ user, mode }) => `${user} ${mode}`),
    ).toEqual(['alice peer', 'bob peer', 'carol observer'])
    peer.process.signal('KILL')
    await owner.waitFor('bob left')
    await finish(owner)
    await observer.waitFor('the session has ended')
    expect(await observer.exited).toEqual({ kind: 'exit', status: 0 })
    await poll(() => events('session.end').at(-1)).toMatchObject({
      participants: ['alice', 'bob', 'carol'],
      session_recording: 'node',
    })
    expect(events('session.join').map((event) => ('user' in event ? event.user : ''))).toEqual(['bob', 'carol'])
    expect(events('session.leave')).toMatchObject([
      { user: 'bob', mode: 'peer', reason: 'the connection was lost' },
      { user: 'carol', mode: 'observer', reason: 'the session has ended' },
    ])
    expect(node.events.map(({ event }) => event).indexOf('session.end')).toBeGreaterThan(
      node.events.map(({ event }) => event).lastIndexOf('session.leave'),
    )
    expect(node.recorder.taps.at(-1)?.marks).toEqual(['bob joined as peer', 'carol joined as observer', 'bob left'])
    await poll(() => node.recorder.taps.at(-1)?.participants).toEqual(['alice', 'bob', 'carol'])
    expect(node.recorder.taps.at(-1)?.text).not.toContain('joined this session')
  })

  test('who comes while a program has the whole screen is told in its first row, and nothing scrolls', async () => {
    const owner = await shell()
    owner.type("printf '\\033[?1049h'; echo in-$((1+1))\n")
    await owner.waitFor('in-2')
    const peer = await join(bob, alice)
    const inFirstRow = (text: string) => `\x1b7\x1b[H\x1b[0;7m [teleport] ${text} \x1b[0m\x1b8`
    await owner.waitFor(inFirstRow('bob joined this session as peer'))
    await peer.waitFor(inFirstRow('you joined the session of alice as peer'))
    owner.type("printf '\\033[?1049l'; echo out-$((1+1))\n")
    await peer.waitFor('out-2')
    peer.process.signal('KILL')
    await owner.waitFor('\r\n[teleport] bob left')
    await finish(owner)
  })

  test('the terminal has the size of the smallest window', async () => {
    const owner = await shell()
    owner.resize(100, 40)
    await poll(() => sessionOf(alice).status()).toMatchObject({ columns: 100, rows: 40 })
    const peer = await join(bob, alice)
    await owner.waitFor('bob joined')
    await poll(() => sessionOf(alice).status()).toMatchObject({ columns: 80, rows: 24 })
    owner.type('stty size\n')
    await owner.waitFor('24 80')
    peer.resize(1, 1)
    await poll(() => sessionOf(alice).status()).toMatchObject({ columns: 20, rows: 5 })
    peer.process.signal('KILL')
    await poll(() => sessionOf(alice).status()).toMatchObject({ columns: 100, rows: 40 })
    await finish(owner)
    await poll(() => events('resize').length > 0).toBe(true)
  })

  test('one who may not join hears that there is no such session, and so does one who guesses', async () => {
    const owner = await shell()
    const refused = await join(dave, alice)
    await refused.waitFor('there is no session')
    expect(await refused.exited).toEqual({ kind: 'exit', status: 255 })
    const wrongMode = await join(bob, alice, 'moderator')
    await wrongMode.waitFor('as peer or observer, not as moderator')
    const nobody = await ssh(bob, joinLogin, ['-s', 'join:00000000-0000-4000-8000-000000000000'])
    await nobody.waitFor('there is no session')
    expect(events('session.rejected').length).toBeGreaterThanOrEqual(3)
    await finish(owner)
  })

  test.each([
    { name: 'a shell', args: [] },
    { name: 'a command', args: ['id'] },
    { name: 'sftp', args: ['-s', 'sftp'] },
    { name: 'going on as the owner', args: ['-s', 'attach:00000000-0000-4000-8000-000000000000'] },
  ])('a connection for joiners gives no $name', async ({ args }) => {
    const [flag = '', config = '', host = ''] = node.openSsh(carol, joinLogin)
    const options = args.filter((word) => word === '-s')
    const words = args.filter((word) => word !== '-s')
    const client = await terminalClient('/usr/bin/ssh', [flag, config, '-tt', ...options, host, ...words], me)
    await client.waitFor('this connection can only join sessions')
    expect(await client.exited).toEqual({ kind: 'exit', status: 255 })
  })

  test('nor forwards', async () => {
    const [flag = '', config = '', host = ''] = node.openSsh(carol, joinLogin)
    const client = await terminalClient('/usr/bin/ssh', [flag, config, '-W', `127.0.0.1:${node.port}`, host], me)
    expect(await client.exited).not.toEqual({ kind: 'exit', status: 0 })
    expect(client.screen()).not.toContain('SSH-2.0')
  })

  test('one whose right is taken away leaves at once, the others go on', async () => {
    const owner = await shell()
    const observer = await join(carol, alice, 'observer')
    await owner.waitFor('carol joined')
    node.addRole('auditor', {})
    node.accessChanged()
    await observer.waitFor('the right to take part was taken away')
    await observer.exited
    await owner.waitFor('carol left')
    owner.type('echo still-$((40+2))\n')
    await owner.waitFor('still-42')
    await finish(owner)
  })

  test('nobody takes all places', async () => {
    const owner = await shell()
    const joined: TerminalClient[] = []
    for (let count = 0; count < 4; count++) {
      joined.push(await join(bob, alice, 'observer'))
      await joined.at(-1)?.waitFor('you joined')
    }
    const refused = await join(bob, alice, 'observer')
    await refused.waitFor('you are at this session 4 times')
    expect(await refused.exited).toEqual({ kind: 'exit', status: 255 })
    await finish(owner)
    for (const client of joined) await client.exited
  })

  test('one that was idle too long ends with a line that says why', async () => {
    node.configure({ clientIdleTimeout: 1 })
    const owner = await shell()
    await owner.waitFor('the session was idle for 1 s')
    await owner.exited
    await poll(() => events('client.disconnect')).toMatchObject([{ user: 'alice' }])
    await poll(() => events('session.end').at(-1)).toMatchObject({ reason: expect.stringContaining('idle') })
  })

  test('one whose certificate ends leaves alone, with a word', async () => {
    const owner = await shell()
    node.configure({ disconnectExpiredCert: true })
    const validBefore = new Date(Date.now() + 2_000)
    const [flag = '', config = '', host = ''] = node.openSsh(carol, joinLogin, { validBefore })
    const words = [flag, config, '-tt', '-s', host, `join:${sessionOf(alice).id}:observer`]
    const observer = await terminalClient('/usr/bin/ssh', words, me)
    await owner.waitFor('carol joined')
    await observer.waitFor('your certificate has expired')
    await observer.exited
    await owner.waitFor('carol left')
    owner.type('echo still-$((40+2))\n')
    await owner.waitFor('still-42')
    await poll(() => events('client.disconnect')).toMatchObject([{ user: 'carol' }])
    await finish(owner)
  })

  test('one who does not read is dropped, and neither the program nor the others wait', async () => {
    const owner = await shell()
    const stuck = await join(bob, alice)
    await owner.waitFor('bob joined')
    process.kill(stuck.process.pid, 'SIGSTOP')
    // More than the window of its channel and the buffers of the network take.
    owner.type('head -c 16000000 /dev/zero | tr "\\0" x; echo; echo done-$((1+1))\n')
    await poll(() => owner.screen().includes('done-2')).toBe(true)
    await poll(() => events('session.leave')).toMatchObject([{ user: 'bob', reason: expect.stringContaining('read') }])
    process.kill(stuck.process.pid, 'SIGCONT')
    stuck.process.signal('KILL')
    await finish(owner)
  })
})

describe('a moderated session', () => {
  test('begins when the moderator comes, pauses when they leave, and is paused, resumed and ended by them', async () => {
    const owner = await shell(erin)
    await owner.waitFor('1 more of role "auditor" as moderator')
    expect(sessionOf(erin).status().state).toBe('waiting')
    const moderator = await join(carol, erin, 'moderator')
    await poll(() => sessionOf(erin).status().state).toBe('running')
    owner.type('echo begun-$((40+2))\n')
    await moderator.waitFor('begun-42')
    await (await control(carol, erin, 'pause')).exited
    await owner.waitFor('carol paused the session')
    owner.type('echo lost-$((40+2))\n')
    await owner.waitFor('the session is paused')
    await (await control(carol, erin, 'resume')).exited
    await owner.waitFor('carol lets the session go on')
    owner.type('echo again-$((40+2))\n')
    await owner.waitFor('again-42')
    expect(owner.screen()).not.toContain('lost-42')
    moderator.process.signal('KILL')
    await owner.waitFor('paused until it has 1 more of role "auditor"')
    expect(sessionOf(erin).status().state).toBe('paused')
    const back = await join(carol, erin, 'moderator')
    await owner.waitFor('the session goes on')
    await (await control(carol, erin, 'end')).exited
    await owner.waitFor('carol ended the session')
    await owner.exited
    await back.exited
    await poll(() => events('session.end').at(-1)).toMatchObject({
      user: 'erin',
      reason: expect.stringContaining('carol'),
    })
    expect(events('session.control').map((event) => ('action' in event ? event.action : ''))).toEqual([
      'pause',
      'resume',
      'end',
    ])
  })

  test('can be given up while it waits', async () => {
    const owner = await shell(erin)
    await owner.waitFor('Press Ctrl-C')
    owner.type('\x03')
    await owner.exited
    await poll(() => node.context.sessions.count).toBe(0)
  })

  test('cannot be avoided with a command without a terminal', async () => {
    const result = await node.ssh(erin, me, ['echo free'])
    expect(result.stdout.toString()).toBe('')
    expect(result.stderr).toContain('somebody joins your sessions')
    expect(result.code).toBe(254)
  })

  test('only a moderator controls', async () => {
    const owner = await shell()
    const denied = await control(bob, alice, 'end')
    await denied.waitFor('only a moderator may end a session')
    await denied.exited
    await finish(owner)
  })
})

describe('a lost connection', () => {
  test('leaves the shell, which its owner gets back with its screen, and nobody else', async () => {
    node.configure({ sessionDetachTimeout: 60 })
    const owner = await shell()
    owner.type('echo here-$((40+2))\n')
    await owner.waitFor('here-42')
    const { id } = sessionOf(alice)
    owner.process.signal('KILL')
    await poll(() => sessionOf(alice).status().state).toBe('detached')
    const other = await ssh({ ...alice, name: 'frank' }, me, ['-s', `attach:${id}`])
    expect(await other.exited).not.toEqual({ kind: 'exit', status: 0 })
    const back = await ssh(alice, me, ['-s', `attach:${id}`])
    await back.waitFor('here-42')
    back.type('echo back-$((40+2))\n')
    await back.waitFor('back-42')
    expect(sessionOf(alice).status().state).toBe('running')
    await finish(back)
    expect(events('session.detach')).toHaveLength(1)
    expect(events('session.attach')).toHaveLength(1)
  })

  test('ends with a hang-up when nobody comes', async () => {
    node.configure({ sessionDetachTimeout: 1 })
    const owner = await shell()
    // A shell that has not begun is nothing to come back to.
    owner.type('echo here-$((40+2))\n')
    await owner.waitFor('here-42')
    owner.process.signal('KILL')
    await poll(() => node.context.sessions.count).toBe(0)
    await poll(() => events('session.end').at(-1)).toMatchObject({
      reason: expect.stringContaining('nobody came back'),
    })
  })

  test('is waited for no longer when the node stops', async () => {
    node.configure({ sessionDetachTimeout: 60 })
    const owner = await shell()
    // A shell that has not begun is nothing to come back to.
    owner.type('echo here-$((40+2))\n')
    await owner.waitFor('here-42')
    owner.process.signal('KILL')
    await poll(() => sessionOf(alice).status().state).toBe('detached')
    await node.context.sessions.endAll('the node is stopping', node.context.env)
    expect(node.context.sessions.count).toBe(0)
    await poll(() => events('session.end').at(-1)).toMatchObject({ reason: 'the node is stopping' })
  })

  test('is not what a client does that says good-bye', async () => {
    node.configure({ sessionDetachTimeout: 60 })
    const owner = await shell()
    owner.type('\n~.')
    await owner.exited
    await poll(() => node.context.sessions.count).toBe(0)
  })
})

describe('recording', () => {
  test('what cannot be recorded does not begin', async () => {
    node.recorder.problem = new Error('the disk is full')
    const client = await ssh(alice, me, ['echo free'])
    await client.waitFor('ERROR')
    expect(await client.exited).toEqual({ kind: 'exit', status: 254 })
    expect(client.screen()).not.toContain('free')
    await poll(() => events('session.rejected').at(-1)).toMatchObject({ reason: expect.stringContaining('full') })
  })

  test('a strict session ends when its recording fails, another goes on', async () => {
    node.addRole('dev', { logins: [me], node_labels: { '*': '*' } }, { record_session: { default: 'strict' } })
    const client = await shell()
    expect(node.recorder.taps.at(-1)?.options.strict).toBe(true)
    node.recorder.taps.at(-1)?.options.onFailure(new Error('the disk is full'))
    await client.waitFor('this session cannot be recorded: the disk is full')
    await client.exited
    node.addRole('dev', { logins: [me], node_labels: { '*': '*' } })
    const other = await shell()
    node.recorder.taps.at(-1)?.options.onFailure(new Error('the disk is full'))
    other.type('echo on-$((40+2))\n')
    await other.waitFor('on-42')
    await finish(other)
  })

  test('with node-sync nothing is shown before it is stored', async () => {
    node.configure({ sessionRecording: 'node-sync' })
    const client = await shell()
    const tap = node.recorder.taps.at(-1)
    if (tap === undefined) throw new Error('no recording')
    const stored = Promise.withResolvers<void>()
    tap.answer = () => stored.promise
    client.type('echo secret-$((40+2))\n')
    await poll(() => tap.text).toContain('secret-42')
    expect(client.screen()).not.toContain('secret-42')
    stored.resolve()
    await client.waitFor('secret-42')
    const failed = Promise.reject(new Error('auth is away'))
    failed.catch(() => {})
    tap.answer = () => failed
    client.type('echo hidden-$((40+2))\n')
    await client.waitFor('cannot be recorded: auth is away')
    await client.exited
    expect(client.screen()).not.toContain('hidden-42')
  })

  test('a command without a terminal is recorded where a role asks for it', async () => {
    const before = node.recorder.taps.length
    await node.ssh(alice, me, ['echo one'])
    expect(node.recorder.taps).toHaveLength(before)
    node.addRole('dev', { logins: [me], node_labels: { '*': '*' } }, { record_session: { exec_output: true } })
    const result = await node.ssh(alice, me, ['echo two; echo three >&2'])
    expect(result.stdout.toString() + result.stderr).toBe('two\nthree\n')
    const tap = node.recorder.taps.at(-1)
    expect(tap?.text.split('\n').sort()).toEqual(['', 'three', 'two'])
    await poll(() => tap?.participants).toEqual(['alice'])
  })
})
