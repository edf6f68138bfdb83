import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { OptionValues } from '../../common/spec.ts'
import { fromBytes, fromText, joinPath, ownName, shown, toBytes, toText } from './bytes.ts'
import { parsePlace } from './location.ts'
import { scpRequest } from './options.ts'

describe('a word on the command line', () => {
  const remote = (host: string, path: string, login?: string, port?: string) => ({
    kind: 'remote',
    host,
    login,
    port,
    path,
  })
  test.each([
    { word: 'file', place: { kind: 'local', path: 'file' } },
    { word: './file:with:colons', place: { kind: 'local', path: './file:with:colons' } },
    { word: '/a:b', place: { kind: 'local', path: '/a:b' } },
    { word: ':x', place: { kind: 'local', path: ':x' } },
    { word: 'host:', place: remote('host', '') },
    { word: 'host:a:b', place: remote('host', 'a:b') },
    { word: 'host:/a b;id', place: remote('host', '/a b;id') },
    { word: 'alice@host:~/x', place: remote('host', '~/x', 'alice') },
    { word: '[fe80::1]:/x', place: remote('fe80::1', '/x') },
    { word: 'root@[::1]:x:y', place: remote('::1', 'x:y', 'root') },
    { word: '[x', place: { kind: 'local', path: '[x' } },
    { word: 'dir/user@host:x', place: { kind: 'local', path: 'dir/user@host:x' } },
    { word: 'host:line\nfeed', place: remote('host', 'line\nfeed') },
    { word: 'scp://alice@host:22/etc/x', place: remote('host', 'etc/x', 'alice', '22') },
    { word: 'scp://[::1]//etc/x', place: remote('::1', '/etc/x') },
    { word: 'scp://host', place: remote('host', '') },
    { word: 'é', place: { kind: 'local', path: 'Ã©' } },
  ])('$word', ({ word, place }) => expect(parsePlace(word)).toEqual(place))

  test.each(['a\0b', 'host:a\0b', 'scp:///x', 'scp://host:x:y/z'])('%j is refused', (word) =>
    expect(() => parsePlace(word)).toThrow(/path|NUL|scp:/),
  )

  test('any word is one or the other, or refused', () => {
    fc.assert(
      fc.property(fc.string(), (word) => {
        if (word.includes('\0') || word.startsWith('scp://')) return
        const place = parsePlace(word)
        if (place.kind === 'local') expect(toText(place.path)).toBe(word.toWellFormed())
        else expect(place.host).not.toMatch(/[/:]/)
      }),
    )
  })
})

describe('the whole command line', () => {
  const ask = (args: readonly string[], options: Record<string, unknown> = {}) =>
    scpRequest(new OptionValues(new Map(Object.entries(options))), args, {})

  test('each place has its own login and port, and the options are the rest', () => {
    const request = ask(['a@x:1', 'scp://y:99/2', 'z:3'], { login: 'b', port: '22', recursive: true })
    const ends = [...request.sources, request.target].map((end) =>
      end.kind === 'remote' ? [end.request.login, end.request.host, end.request.port, end.key] : [],
    )
    expect(ends).toEqual([
      ['a', 'x', 22, 'a@x:22'],
      ['b', 'y', 99, 'b@y:99'],
      ['b', 'z', 22, 'b@z:22'],
    ])
    expect(request).toMatchObject({ recursive: true, preserve: false, quiet: false })
  })

  test.each([
    { name: 'one word', args: ['x:1'], says: /SOURCE… and TARGET/ },
    { name: 'nothing remote', args: ['a', 'b'], says: /use cp/ },
    { name: 'an empty word', args: ['', 'x:1'], says: /empty/ },
    { name: 'a host that is an option', args: ['-oProxyCommand=id:1', 'b'], says: /host|label/ },
    { name: 'a host with a shell in it', args: ['$(id):1', 'b'], says: /host/ },
    { name: 'a selector', args: ['env=prod:1', 'b'], says: /selector/ },
    { name: 'a login with a space', args: ['a b@x:1', 'b'], says: /login/ },
  ])('$name is refused', ({ args, says }) => expect(() => ask(args)).toThrow(says))
})

describe('paths as byte strings', () => {
  test('every name survives', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        expect(toBytes(fromBytes(Buffer.from(bytes))).equals(bytes)).toBe(true)
      }),
    )
    expect(toText(fromText('naïve 😀'))).toBe('naïve 😀')
    expect(shown(fromText('a\x1b[2J'))).toBe('"a\\u001b[2J"')
  })

  test.each([
    ['a/b', 'b'],
    ['a/b/', 'b'],
    ['a', 'a'],
    ['/', ''],
    ['.', ''],
    ['a/..', ''],
    ['a/../', ''],
    ['', ''],
    ['...', '...'],
  ])('the own name of %j is %j', (path, name) => expect(ownName(path)).toBe(name))

  test('joining', () => {
    expect([joinPath('', 'x'), joinPath('/', 'x'), joinPath('a', 'x'), joinPath('a/', 'x')]).toEqual([
      'x',
      '/x',
      'a/x',
      'a/x',
    ])
  })
})
