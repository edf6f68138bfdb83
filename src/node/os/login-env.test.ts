import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isAllowedFromClient, loginEnvironment, parseEnvironmentFile, pathFrom } from './login-env.ts'

const account = { name: 'alice', uid: 1000, gid: 1000, home: '/home/alice', shell: '/bin/bash' }
const system = { userPath: undefined, rootPath: undefined, variables: new Map<string, string>() }
const nothing = { account, system, client: new Map(), user: new Map(), session: {} }

describe('the environment of a login', () => {
  test('holds the account and nothing of this process', () => {
    process.env.SECRET_FOR_TEST = 'x'
    expect(loginEnvironment(nothing)).toEqual({
      PATH: '/usr/local/bin:/usr/bin:/bin:/usr/games',
      HOME: '/home/alice',
      USER: 'alice',
      LOGNAME: 'alice',
      SHELL: '/bin/bash',
      MAIL: '/var/mail/alice',
    })
  })

  test('root has the system directories in its path', () => {
    expect(loginEnvironment({ ...nothing, account: { ...account, uid: 0 } }).PATH).toContain('/usr/sbin')
  })

  test.each(['LANG', 'LC_ALL', 'LC_CTYPE'])('the client may set %s', (name) =>
    expect(isAllowedFromClient(name)).toBe(true),
  )
  test.each(['LD_PRELOAD', 'BASH_ENV', 'NODE_OPTIONS', 'PATH', 'LANGUAGE', 'LC_', 'LC_a', 'LC_X=Y', 'TERM', ''])(
    'the client may not set %j',
    (name) => expect(isAllowedFromClient(name)).toBe(false),
  )

  test('later sources win: machine, account, client, own file, session', () => {
    const env = loginEnvironment({
      account,
      system: {
        ...system,
        variables: new Map([
          ['HOME', '/x'],
          ['LANG', 'C'],
          ['A', '1'],
        ]),
      },
      client: new Map([
        ['LANG', 'de_DE.UTF-8'],
        ['LD_PRELOAD', 'x'],
      ]),
      user: new Map([
        ['A', '2'],
        ['SSH_TTY', 'forged'],
      ]),
      session: { SSH_TTY: '/dev/pts/1' },
    })
    expect(env).toMatchObject({ HOME: '/home/alice', LANG: 'de_DE.UTF-8', A: '2', SSH_TTY: '/dev/pts/1' })
    expect(env).not.toHaveProperty('LD_PRELOAD')
  })
})

describe('environment files', () => {
  test('are read as pam_env reads them', () => {
    const text = '# c\nA=1\n  export B="two words" # c\nC=\'x\'\nD=a b # c\nbad line\n1X=2\nE=\n'
    expect(Object.fromEntries(parseEnvironmentFile(text))).toEqual({ A: '1', B: 'two words', C: 'x', D: 'a b', E: '' })
  })
  test('any text gives only well-formed names', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        for (const name of parseEnvironmentFile(text).keys()) expect(name).toMatch(/^[A-Za-z_][A-Za-z0-9_]*$/)
      }),
    )
  })
  test('login.defs gives the path with or without PATH=', () => {
    expect(pathFrom('#ENV_PATH x\nENV_SUPATH\tPATH=/sbin:/bin\nENV_PATH /bin', 'ENV_PATH')).toBe('/bin')
    expect(pathFrom('ENV_SUPATH\tPATH=/sbin:/bin', 'ENV_SUPATH')).toBe('/sbin:/bin')
  })
})
