import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { BadParameter } from '../../../errors/errors.ts'
import { OptionValues } from '../../common/spec.ts'
import { globalOptions } from '../globals.ts'
import { EscapeFilter } from './escape.ts'
import { endpointText, parseDynamicForward, parseForward } from './forward-spec.ts'
import { parseSelector, sshOptionSpecs, sshRequest } from './options.ts'
import { afterCommand, quickParse } from './quick-parse.ts'
import { modesOf } from './raw-terminal.ts'

describe('forward specifications', () => {
  test.each([
    ['80:web:8080', 'localhost:80', 'web:8080'],
    ['127.0.0.1:80:web:8080', '127.0.0.1:80', 'web:8080'],
    ['*:80:web:8080', '*:80', 'web:8080'],
    [':80:web:8080', '*:80', 'web:8080'],
    ['[::1]:80:[fe80::1]:22', '[::1]:80', '[fe80::1]:22'],
    ['8080:/run/app.sock', 'localhost:8080', '/run/app.sock'],
    ['0.0.0.0:8080:/run/app.sock', '0.0.0.0:8080', '/run/app.sock'],
    ['/tmp/in.sock:db:5432', '/tmp/in.sock', 'db:5432'],
    ['/tmp/in.sock:/run/out.sock', '/tmp/in.sock', '/run/out.sock'],
    ['0:web:80', 'localhost:0', 'web:80'],
  ])('%s', (text, listen, target) => {
    const forward = parseForward('local', text)
    expect(endpointText(forward.listen)).toBe(listen)
    expect(forward.kind === 'local' && endpointText(forward.target)).toBe(target)
  })

  test.each(['', '80', '80:web', 'x:web:80', '80:web:0', '80:web:99999', '1:2:3:4:5', '80::80', '/a', 'web:80:'])(
    '%j is refused by name',
    (text) => expect(() => parseForward('remote', text)).toThrow(/-R/),
  )

  test.each([
    ['1080', 'localhost:1080'],
    ['*:1080', '*:1080'],
    ['[::1]:1080', '[::1]:1080'],
  ])('-D %s', (text, listen) => expect(endpointText(parseDynamicForward(text).listen)).toBe(listen))

  test('any text is read or refused with a word about the flag', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        try {
          parseForward('local', text)
        } catch (error) {
          expect(error).toBeInstanceOf(BadParameter)
        }
      }),
    )
  })
})

describe('the quick parser', () => {
  const specs = [...globalOptions, ...sshOptionSpecs]
  const parse = (...argv: string[]) => quickParse(specs, argv)

  test('reads options before the host and leaves the rest to the command', () => {
    const parsed = parse('-l', 'root', '--port=2222', '-t', '--trace', 'node', 'ls', '-l', '--color')
    expect(parsed?.args).toEqual(['node', 'ls', '-l', '--color'])
    expect(parsed?.options.string('login')).toBe('root')
    expect(parsed?.options.string('port')).toBe('2222')
    expect(parsed?.options.flag('tty')).toBe(true)
  })

  test.each([
    ['an unknown option', ['--prot=1', 'node']],
    ['a missing value', ['-l']],
    ['a value for a switch', ['--tty=yes', 'node']],
    ['no host', ['-t']],
    ['help', ['--help']],
    ['a double dash', ['--', 'node']],
    ['a double dash behind the host', ['node', '--', 'ls']],
    ['joined short options', ['-tA', 'node']],
  ])('leaves %s to commander', (_, argv) => expect(parse(...argv)).toBeUndefined())
})

describe('the short way', () => {
  test.each([
    ['nothing before the command', ['ssh', '-t', 'node', 'ls'], ['-t', 'node', 'ls']],
    ['options before it', ['-i', 'id', '--proxy=p', 'ssh', 'node'], ['-i', 'id', '--proxy=p', 'node']],
    ['a value that reads like the command', ['--user', 'ssh', 'ssh', 'node'], ['--user', 'ssh', 'node']],
    ['another command', ['ls', 'ssh'], undefined],
    ['the command as a value only', ['--user', 'ssh'], undefined],
    ['an option of the command before it', ['-t', 'ssh', 'node'], undefined],
  ])('%s', (_, argv, expected) => expect(afterCommand('ssh', argv)).toEqual(expected))
})

describe('a request', () => {
  const request = (values: Readonly<Record<string, unknown>>, ...args: string[]) =>
    sshRequest(new OptionValues(new Map(Object.entries(values))), args, {})

  test('the login in the destination wins', () => {
    expect(request({ login: 'x' }, 'root@node', 'a', 'b')).toMatchObject({
      login: 'root',
      host: 'node',
      command: 'a b',
    })
    expect(request({ login: 'x' }, 'node')).toMatchObject({ login: 'x', command: undefined })
    expect(request({ option: ['User=y', 'Port=7'] }, 'node')).toMatchObject({ login: 'y', port: 7 })
  })

  test.each([
    ['proxy-2.example.com', 'proxy-2.example.com:3023'],
    ['proxy-2:4023', 'proxy-2:4023'],
    ['[::1]', '[::1]:3023'],
    ['[::1]:4023', '[::1]:4023'],
  ])('-J %s goes through %s', (jumphost, address) => expect(request({ jumphost }, 'node').jumphost).toBe(address))

  test.each(['alice@proxy', '-oX', 'proxy:0', 'proxy:x', 'a,b', ''])('-J %j is refused', (jumphost) =>
    expect(() => request({ jumphost }, 'node')).toThrow(/--jumphost/),
  )

  test('labels instead of a host', () => {
    expect(request({}, 'root@env=prod,tier=db', 'id').selector).toEqual(
      new Map([
        ['env', 'prod'],
        ['tier', 'db'],
      ]),
    )
    expect(() => parseSelector('=x')).toThrow(BadParameter)
    expect(() => parseSelector('-oProxyCommand=id')).toThrow(BadParameter)
  })

  test.each([['-oProxyCommand'], ['$(id)'], ['a b'], ['a;b'], ['root@'], ['\u001b[2J'], ['a/b']])(
    '%j is no host',
    (host) => expect(() => request({}, host)).toThrow(BadParameter),
  )

  test.each([['-froot@node'], ['a b@node'], ['a/b@node'], ['a\nb@node']])('%j has no login', (destination) =>
    expect(() => request({}, destination)).toThrow(/login/),
  )
})

describe('escapes', () => {
  function type(...chunks: string[]) {
    const actions: string[] = []
    const filter = new EscapeFilter('~', (action) => actions.push(action))
    const sent = chunks.map((chunk) => filter.filter(Buffer.from(chunk)).toString()).join('')
    return { sent, actions }
  }

  test.each([
    ['at the very beginning', ['~.'], '', ['disconnect']],
    ['after a carriage return', ['ls\r~?'], 'ls\r', ['help']],
    ['in pieces', ['ls\r', '~', '.'], 'ls\r', ['disconnect']],
    ['not within a line', ['ls ~.'], 'ls ~.', []],
    ['twice sends one', ['~~.'], '~.', []],
    ['with another character sends both', ['~x'], '~x', []],
    ['suspend and list', ['~\u001a', '~#'], '', ['suspend', 'list']],
  ])('%s', (_, chunks, sent, actions) => expect(type(...chunks)).toEqual({ sent, actions }))

  test('text without the character passes unchanged however it is cut', () => {
    fc.assert(
      fc.property(fc.array(fc.string().map((text) => text.replaceAll('~', '-'))), (chunks) => {
        expect(type(...chunks).sent).toBe(chunks.map((chunk) => Buffer.from(chunk).toString()).join(''))
      }),
    )
  })
})

describe('terminal modes', () => {
  test('from what stty -g prints', () => {
    const modes = modesOf('4500:5:bf:8a3b:3:1c:7f:15:4:0:1:0:11:13:1a:0:12:f:17:16:0:0:0:0')
    expect(modes.get(1)).toBe(3)
    expect(modes.get(3)).toBe(0x7f)
    expect(modes.get(10)).toBe(0x1a)
    expect(modes.get(42)).toBe(1)
    expect(modes.get(50)).toBe(1)
    expect(modes.get(53)).toBe(1)
    expect(modes.get(72)).toBe(1)
  })

  test('something else gives the usual ones', () => expect(modesOf('speed 38400 baud').get(3)).toBe(127))
})
