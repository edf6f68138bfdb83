import { describe, expect, test } from 'vitest'
import { hasOtherSources, parsePasswd, parsePasswdLine, parseShadow } from './account-files.ts'
import { isLocked, judgeAccount } from './account-rules.ts'
import { isLoginName } from './login-name.ts'
import { loginShellArgv } from './shell.ts'

const account = { name: 'alice', uid: 1000, gid: 1000, home: '/home/alice', shell: '/bin/bash' }
const today = new Date('2026-11-20T12:00:00Z')
const day = Math.floor(today.getTime() / 86_400_000)
const facts = { account, shadow: undefined, shell: 'ok', nologin: undefined, now: today } as const

describe('whether an account may be used', () => {
  test.each([
    { name: 'an ordinary account', change: {}, ok: true },
    { name: 'no password was ever set (!)', change: { shadow: { password: '!', expireDay: undefined } }, ok: true },
    { name: 'no password was ever set (!!)', change: { shadow: { password: '!!', expireDay: undefined } }, ok: true },
    { name: 'no password is possible (*)', change: { shadow: { password: '*', expireDay: undefined } }, ok: true },
    { name: 'no password is possible (!*)', change: { shadow: { password: '!*', expireDay: undefined } }, ok: true },
    { name: 'a real password', change: { shadow: { password: '$y$j9T$x$y', expireDay: undefined } }, ok: true },
    { name: 'a locked password', change: { shadow: { password: '!$y$j9T$x$y', expireDay: undefined } }, ok: false },
    { name: 'expires tomorrow', change: { shadow: { password: '*', expireDay: day + 1 } }, ok: true },
    { name: 'expires today', change: { shadow: { password: '*', expireDay: day } }, ok: false },
    { name: 'expired with day 0', change: { shadow: { password: '*', expireDay: 0 } }, ok: false },
    { name: 'the shell is missing', change: { shell: 'missing' as const }, ok: false },
    { name: 'the shell cannot be executed', change: { shell: 'not-executable' as const }, ok: false },
    { name: 'a relative shell', change: { account: { ...account, shell: 'bash' } }, ok: false },
    { name: '/etc/nologin exists', change: { nologin: 'back at noon\n' }, ok: false },
    { name: '/etc/nologin exists, for root', change: { nologin: 'x', account: { ...account, uid: 0 } }, ok: true },
  ])('$name: $ok', ({ change, ok }) => {
    expect(judgeAccount({ ...facts, ...change }).ok).toBe(ok)
  })

  test('the text of /etc/nologin is what the person reads', () => {
    const verdict = judgeAccount({ ...facts, nologin: 'back at noon\n' })
    expect(verdict.ok ? undefined : verdict.message).toBe('back at noon')
  })

  test('only a mark before a hash is a lock', () => {
    expect(['', '*', '!', '!*', '$6$x'].some(isLocked)).toBe(false)
    expect(['!$6$x', '!!$6$x', '!abc'].every(isLocked)).toBe(true)
  })
})

describe('login names', () => {
  test.each(['alice', 'root', '_apt', 'a.b-c', 'svc$', 'u1', '0day', 'alice@corp.example', 'x'.repeat(127)])(
    '%s is one',
    (name) => {
      expect(isLoginName(name)).toBe(true)
    },
  )
  test.each([
    '',
    '0',
    '1000',
    '-froot',
    'root ',
    ' root',
    'a/../root',
    '..',
    '.',
    'ro\u043et',
    'a\nb',
    'a:b',
    'a b',
    '$(id)',
    'a\0',
    '~root',
    'x'.repeat(10_240),
  ])('%j is none', (name) => {
    expect(isLoginName(name)).toBe(false)
  })
})

describe('account files', () => {
  test('a passwd line, with its defaults', () => {
    expect(parsePasswdLine('bob:x:1001:100:Bob:/home/bob:/bin/zsh')).toEqual({
      name: 'bob',
      uid: 1001,
      gid: 100,
      home: '/home/bob',
      shell: '/bin/zsh',
    })
    expect(parsePasswdLine('bob:x:1001:100:::')).toMatchObject({ home: '/', shell: '/bin/sh' })
  })
  test.each([
    '',
    '# comment',
    '+::::::',
    'bob:x:1001',
    'bob:x:-1:100::/:/bin/sh',
    'bob:x:4294967295:1::/:/bin/sh',
    'bob:x:1e3:1::/:/bin/sh',
  ])('skips %j', (line) => {
    expect(parsePasswdLine(line)).toBeUndefined()
  })
  test('the first of two entries counts', () => {
    expect(parsePasswd('a:x:1:1::/:/bin/sh\na:x:0:0::/:/bin/sh').get('a')?.uid).toBe(1)
    expect(parseShadow('a:!$6$x:1:::::9:\na:*:::::::').get('a')).toEqual({ password: '!$6$x', expireDay: 9 })
  })
  test('other sources of accounts', () => {
    expect(hasOtherSources('passwd: files')).toBe(false)
    expect(hasOtherSources('passwd: files [NOTFOUND=return]')).toBe(false)
    expect(hasOtherSources('group: sss\npasswd:\tfiles sss # x')).toBe(true)
  })
})

test('a login shell is told by name where possible, else by flag, else not', () => {
  expect(loginShellArgv('/bin/bash', true)).toEqual(['-bash'])
  expect(loginShellArgv('/usr/bin/zsh', false)).toEqual(['/usr/bin/zsh', '-l'])
  expect(loginShellArgv('/usr/bin/git-shell', false)).toEqual(['/usr/bin/git-shell'])
})
