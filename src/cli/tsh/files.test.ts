import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { BadParameter } from '../../errors/errors.ts'
import { checkHost, parseProxyAddress, splitHostPort } from './address.ts'
import { configText } from './commands/config.ts'
import { shellQuote } from './commands/env.ts'
import { parseInviteUrl } from './commands/signup.ts'
import { formatIdentityFile, parseIdentityFile } from './identity-file.ts'
import {
  currentProfile,
  formatProfile,
  listProfiles,
  loadLogin,
  loadProfile,
  type Profile,
  parseProfile,
  prepareHome,
  removeProfile,
  saveLogin,
} from './profile.ts'
import { readPrivate, writePrivate } from './store.ts'

let home: string
const mask = process.umask()
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'tsh-'))
  process.umask(0)
})
afterEach(() => {
  process.umask(mask)
  rmSync(home, { recursive: true, force: true })
})

const profile: Profile = {
  proxyHost: 'proxy.example.com',
  webProxyAddress: 'proxy.example.com:3080',
  sshProxyAddress: 'proxy.example.com:3023',
  user: 'alice',
  cluster: 'feat',
}
const login = { profile, privateKey: 'PRIVATE\n', certificate: 'CERTIFICATE', hostAuthorities: ['ssh-ed25519 AAAA'] }
const directory = () => join(home, '.tsh')

describe('the directory of tsh', () => {
  test('a login is stored privately whatever the umask, and read back', () => {
    saveLogin(directory(), login, 'ssh-ed25519 BBBB')
    for (const path of ['', 'keys', 'keys/proxy.example.com']) {
      expect(statSync(join(directory(), path)).mode & 0o777).toBe(0o700)
    }
    const key = join(directory(), 'keys/proxy.example.com/alice')
    for (const path of [key, `${key}.pub`, `${key}-cert.pub`, join(directory(), 'known_hosts')]) {
      expect(statSync(path).mode & 0o777, path).toBe(0o600)
    }
    expect(currentProfile(directory())).toBe('proxy.example.com')
    expect(loadProfile(directory())).toEqual(profile)
    expect(loadLogin(directory(), profile)).toEqual(login)
    expect(readFileSync(join(directory(), 'known_hosts'), 'utf8')).toBe(
      '@cert-authority proxy.example.com,feat,*.feat ssh-ed25519 AAAA type=host\n',
    )
  })

  test('the authorities of other clusters stay, those of this one are replaced', () => {
    saveLogin(
      directory(),
      {
        ...login,
        profile: { ...profile, proxyHost: 'other', sshProxyAddress: 'other:3023', cluster: 'leaf' },
        hostAuthorities: ['ssh-ed25519 LEAF'],
      },
      'x y',
    )
    saveLogin(directory(), login, 'x y')
    saveLogin(directory(), { ...login, hostAuthorities: ['ssh-ed25519 CCCC'] }, 'x y')
    const known = readFileSync(join(directory(), 'known_hosts'), 'utf8')
    expect(known).toContain('LEAF')
    expect(known).toContain('CCCC')
    expect(known).not.toContain('AAAA')
    expect(listProfiles(directory()).map((each) => each.proxyHost)).toEqual(['other', 'proxy.example.com'])
  })

  test('removal leaves no key', () => {
    saveLogin(directory(), login, 'x y')
    removeProfile(directory(), profile)
    expect(loadLogin(directory(), profile)).toBeUndefined()
    expect(currentProfile(directory())).toBeUndefined()
  })

  test.each([
    ['a key that others can read', (path: string) => chmodSync(path, 0o640), /open to other users/],
    [
      'a key that is a link',
      (path: string) => {
        writeFileSync(`${path}.real`, 'KEY', { mode: 0o600 })
        rmSync(path)
        symlinkSync(`${path}.real`, path)
      },
      /symbolic link/,
    ],
    [
      'a key directory that others can enter',
      (path: string) => chmodSync(join(path, '..'), 0o755),
      /open to other users/,
    ],
  ])('%s is refused', (_, spoil, message) => {
    saveLogin(directory(), login, 'x y')
    spoil(join(directory(), 'keys/proxy.example.com/alice'))
    expect(() => loadLogin(directory(), profile)).toThrow(message)
  })

  test('a home that is a link, or loose, is refused before anything is written', () => {
    mkdirSync(join(home, 'elsewhere'), { mode: 0o700 })
    symlinkSync(join(home, 'elsewhere'), directory())
    expect(() => saveLogin(directory(), login, 'x y')).toThrow(/symbolic link/)
    rmSync(directory())
    mkdirSync(directory(), { mode: 0o755 })
    expect(() => saveLogin(directory(), login, 'x y')).toThrow(/chmod 700/)
  })

  test.each([
    ['none', () => undefined, undefined],
    ['a home that others can enter', (path: string) => mkdirSync(path, { mode: 0o755 }), /chmod 700/],
    [
      'a directory of the proxy that others can enter',
      (path: string) => {
        saveLogin(path, login, 'x y')
        chmodSync(join(path, 'keys/proxy.example.com'), 0o755)
      },
      /chmod 700/,
    ],
    [
      'a known_hosts that others can write',
      (path: string) => {
        saveLogin(path, login, 'x y')
        chmodSync(join(path, 'known_hosts'), 0o666)
      },
      /chmod 600/,
    ],
  ])('before a login: %s', (_, make, problem) => {
    make(directory())
    const prepare = () => prepareHome(directory(), profile.proxyHost)
    if (problem !== undefined) expect(prepare).toThrow(problem)
    else {
      prepare()
      expect(statSync(directory()).mode & 0o777).toBe(0o700)
    }
  })

  test('names never lead out of the directory', () => {
    for (const name of ['../x', 'a/b', '..', '', '-x', 'a\0b']) {
      expect(() => saveLogin(directory(), { ...login, profile: { ...profile, user: name } }, 'x y')).toThrow(
        BadParameter,
      )
    }
  })

  test('writing replaces a link instead of following it', () => {
    writeFileSync(join(home, 'victim'), 'untouched')
    symlinkSync(join(home, 'victim'), join(home, 'file'))
    writePrivate(join(home, 'file'), 'secret')
    expect(readFileSync(join(home, 'victim'), 'utf8')).toBe('untouched')
    expect(readPrivate(join(home, 'file'))).toBe('secret')
  })

  test('profiles survive any text in their values, and any text is read or refused', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), (text) => {
        const odd = { ...profile, user: text }
        expect(parseProfile(formatProfile(odd), profile.proxyHost, 'f')).toEqual(odd)
      }),
    )
    fc.assert(
      fc.property(fc.string(), (text) => {
        try {
          parseProfile(text, 'x', 'f')
        } catch (error) {
          expect(error).toBeInstanceOf(BadParameter)
        }
      }),
    )
  })
})

describe('identity files', () => {
  const identity = {
    privateKey: '-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n-----END OPENSSH PRIVATE KEY-----\n',
    certificate: 'ssh-ed25519-cert-v01@openssh.com AAAA',
    hostAuthorities: ['ssh-ed25519 CA'],
    cluster: 'feat',
  }
  test('what is written is read', () => expect(parseIdentityFile(formatIdentityFile(identity), 'f')).toEqual(identity))
  test('any text is read or refused', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(() => parseIdentityFile(text, 'f')).toThrow(BadParameter)
      }),
    )
  })
})

describe('addresses', () => {
  test.each([
    ['host', { host: 'host', webPort: undefined, sshPort: undefined }],
    ['host:443', { host: 'host', webPort: 443, sshPort: undefined }],
    ['host:3080,3023', { host: 'host', webPort: 3080, sshPort: 3023 }],
    ['host:,3023', { host: 'host', webPort: undefined, sshPort: 3023 }],
    ['https://host:3080/', { host: 'host', webPort: 3080, sshPort: undefined }],
    ['[::1]:3080', { host: '::1', webPort: 3080, sshPort: undefined }],
  ])('%s', (text, expected) => expect(parseProxyAddress(text)).toEqual(expected))
  test.each(['', 'a b', 'host:x', 'host:0', 'host:99999', '-host', 'ho$t', 'http://x', 'a/../b', '..'])(
    '%j is refused',
    (text) => expect(() => parseProxyAddress(text)).toThrow(/--proxy/),
  )
  test('host and port', () => {
    expect(splitHostPort('[::1]:22', 'x')).toEqual({ host: '::1', port: 22 })
    expect(() => checkHost('a\nb', 'x')).toThrow(BadParameter)
  })
})

describe('invite links', () => {
  const token = '0123456789abcdef0123456789abcdef'
  test.each([
    [`https://localhost:3080/web/invite/${token}`, { host: 'localhost', port: 3080, token }],
    [`https://[::1]:3080/web/reset/${token}`, { host: '::1', port: 3080, token }],
    [`https://teleport.example.com/web/invite/${token}`, { host: 'teleport.example.com', port: 443, token }],
  ])('%s', (url, expected) => expect(parseInviteUrl(url)).toEqual(expected))
  test.each([
    '',
    'x',
    `http://localhost/web/invite/${token}`,
    `https://user@localhost/web/invite/${token}`,
    'file:///etc/passwd',
    'https://localhost/web/invite/',
    'https://localhost/web/invite/../../x',
    `https://localhost/other/${token}`,
  ])('%j is refused, and not repeated', (url) => {
    expect(() => parseInviteUrl(url)).toThrow(/not an invite link/)
    try {
      parseInviteUrl(url)
    } catch (error) {
      expect(String(error)).not.toContain(token)
    }
  })
})

describe('what other programs read', () => {
  const block = {
    proxyHost: 'p',
    sshHost: 'p',
    sshPort: 3023,
    cluster: 'feat',
    user: 'alice',
    knownHosts: '/home/a b/known_hosts',
    key: '/home/a b/100%/key',
    certificate: "/home/it's/cert",
    mfaCertificate: '/home/u/.tsh/keys/p/u-mfa-cert.pub',
    port: 3022,
  }
  test('the OpenSSH configuration quotes paths', () => {
    const text = configText(block)
    expect(text).toContain('UserKnownHostsFile "/home/a b/known_hosts"')
    // Read by two programs: the outer ssh expands `%`, then the shell takes the quotes, then the inner ssh expands again.
    expect(text).toContain(`-o 'IdentityFile="/home/a b/100%%%%/key"'`)
    expect(text).toContain(`-o 'CertificateFile="/home/it'\\''s/cert"'`)
  })
  test.each([
    { sshHost: 'a;id' },
    { sshHost: '-oProxyCommand=id' },
    { cluster: 'x\nHost *' },
    { cluster: '$(id)' },
    { user: 'a b' },
    { key: '/a"b' },
    { key: `/\${HOME}/b` },
    { key: '/a\nProxyCommand id' },
    { alias: 'x y' },
  ])('%j does not get in', (odd) => expect(() => configText({ ...block, ...odd })).toThrow(BadParameter))
  test('shell words', () => {
    expect(shellQuote('plain-1.2:3')).toBe('plain-1.2:3')
    expect(shellQuote("$(id) 'x'")).toBe(`'$(id) '\\''x'\\'''`)
  })
})
