import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { AccessDenied } from '../errors/errors.ts'
import { createLogger, type LoggerOptions } from './logger.ts'

function capture(options: LoggerOptions = {}) {
  const lines: string[] = []
  return { lines, log: createLogger({ ...options, write: (line) => void lines.push(line) }) }
}

const withoutTime = (line: string | undefined) => line?.replace(/^\S+ /, '')

describe('text', () => {
  test('time, level, message, fields', () => {
    const { lines, log } = capture()
    log.child({ role: 'proxy' }).info('listening', { address: '0.0.0.0:3023', note: 'two words', count: 3 })
    expect(lines[0]).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO {2}listening/)
    expect(withoutTime(lines[0])).toBe('INFO  listening role=proxy address=0.0.0.0:3023 note="two words" count=3\n')
  })
  test('one line whatever the input', () => {
    const { lines, log } = capture()
    log.warn('a\nb\u001b[2J', { 'k\n': 1, user: 'x\n2026-01-01T00:00:00Z ERROR forged', deep: { a: ['\u0007b'] } })
    expect(lines).toHaveLength(1)
    expect(lines[0]?.match(/\n/g)).toHaveLength(1)
    expect(lines[0]).not.toMatch(/[\u0000-\u0009\u000b-\u001f]/)
  })
  test('severity', () => {
    const { lines, log } = capture({ severity: 'warn' })
    log.debug('a')
    log.info('b')
    log.warn('c')
    log.error('d')
    expect(lines.map(withoutTime)).toEqual(['WARN  c\n', 'ERROR d\n'])
  })
  test('errors: ours by message, bugs with their stack', () => {
    const { lines, log } = capture()
    log.error('refused', { error: new AccessDenied('no\nway') })
    log.error('bug', { error: new Error('oops') })
    expect(withoutTime(lines[0])).toBe('ERROR refused error="no way"\n')
    expect(lines[1]).toMatch(/error=oops\n {4}at /)
  })
})

describe('secrets', () => {
  test.each([
    'token',
    'password',
    'join_token',
    'privateKey',
    'private_key',
    'otp',
    'Authorization',
    'cookies',
    'client-secret',
  ])('%s is not written', (name) => {
    for (const format of ['text', 'json'] as const) {
      const { lines, log } = capture({ format })
      log.info('x', { [name]: 'hush-hush', nested: { [name]: 'hush-hush' } })
      log.child({ [name]: 'hush-hush' }).info('y')
      expect(lines.join('')).not.toContain('hush')
    }
  })
})

describe('json', () => {
  test('one object a line; fields cannot replace its own', () => {
    const { lines, log } = capture({ format: 'json' })
    log.info('hello', {
      level: 'fake',
      message: 'fake',
      when: new Date(0),
      big: 1n,
      bytes: Buffer.from('abc'),
      missing: undefined,
    })
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      level: 'info',
      message: 'hello',
      level_: 'fake',
      message_: 'fake',
      when: '1970-01-01T00:00:00.000Z',
      big: '1',
      bytes: '3 bytes',
    })
  })
  test('cycles and huge values are bounded', () => {
    const { lines, log } = capture({ format: 'json' })
    const cycle: Record<string, unknown> = {}
    cycle.self = cycle
    log.info('x', { cycle, long: 'y'.repeat(1_000_000) })
    expect((lines[0] ?? '').length).toBeLessThan(5000)
    JSON.parse(lines[0] ?? '')
  })
})

test('a file is private and written at once', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'log-'))
  onTestFinished(() => rm(dir, { recursive: true, force: true }))
  const output = join(dir, 'teleport.log')
  createLogger({ output }).info('first')
  createLogger({ output }).info('second')
  expect((await readFile(output, 'utf8')).split('\n').map(withoutTime)).toEqual(['INFO  first', 'INFO  second', ''])
  expect((await stat(output)).mode & 0o777).toBe(0o600)
  expect(() => createLogger({ output: join(dir, 'no', 'x') })).toThrow(expect.objectContaining({ kind: 'NotFound' }))
})
