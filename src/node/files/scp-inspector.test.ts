import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type ScpFile, ScpInspector } from './scp-inspector.ts'

type Step = readonly ['source' | 'sink', string]
interface Heard {
  readonly files: readonly ScpFile[]
  readonly problems: readonly string[]
  readonly sourceErrors: readonly string[]
}

function hear(steps: readonly Step[], cut?: (bytes: Buffer) => readonly Buffer[]): Heard {
  const files: ScpFile[] = []
  const problems: string[] = []
  const sourceErrors: string[] = []
  const inspector = new ScpInspector({
    pathOf: (directories, name) => ['/t', ...directories, name].join('/'),
    onFile: (file) => files.push(file),
    onProblem: (reason) => problems.push(reason),
    onSourceError: (message) => sourceErrors.push(message),
  })
  for (const [side, text] of steps) {
    const bytes = Buffer.from(text)
    for (const piece of cut?.(bytes) ?? [bytes]) {
      const copy = Buffer.from(piece)
      if (side === 'source') inspector.fromSource(copy)
      else inspector.fromSink(copy)
      copy.fill(0xee)
    }
  }
  inspector.finish()
  return { files, problems, sourceErrors }
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')
const file = (path: string, content: string, number = 1): object => ({
  number,
  path,
  size: content.length,
  mode: '0644',
  sha256: sha256(content),
})

const tree: readonly Step[] = [
  ['sink', '\0'],
  ['source', 'T1 0 2 0\n'],
  ['sink', '\0'],
  ['source', 'D0755 0 dir\n'],
  ['sink', '\0'],
  ['source', 'C0644 5 a b\n'],
  ['sink', '\0'],
  ['source', 'he\nlo\0'],
  ['sink', '\0'],
  ['source', 'C0644 0 empty\n'],
  ['sink', '\0'],
  ['source', '\0'],
  ['sink', '\0'],
  ['source', 'E\n'],
  ['sink', '\0'],
  ['source', 'C0644 3 last\n'],
  ['sink', '\0'],
  ['source', 'xyz\0'],
  ['sink', '\0'],
]
const treeFiles = [file('/t/dir/a b', 'he\nlo', 1), file('/t/dir/empty', '', 2), file('/t/last', 'xyz', 3)]

describe('ScpInspector', () => {
  test('tells the same however the streams are cut', () => {
    const expected = { files: treeFiles, problems: [], sourceErrors: [] }
    expect(hear(tree)).toEqual(expected)
    expect(hear(tree, (bytes) => [...bytes].map((byte) => Buffer.from([byte])))).toEqual(expected)
    for (let at = 1; at < 20; at++) {
      expect(hear(tree, (bytes) => [bytes.subarray(0, at), bytes.subarray(at)])).toEqual(expected)
    }
  })

  test('content that came before the answer waits for it', () => {
    const steps: readonly Step[] = [
      ['source', 'C0644 3 f\nabc\0C0644 3 g\nnot content of g'],
      ['sink', '\0\0\0'],
    ]
    expect(hear(steps).files[0]).toEqual(file('/t/f', 'abc'))
  })

  test('a refused file has no content', () => {
    const steps: readonly Step[] = [
      ['sink', '\0'],
      ['source', 'C0644 9 f\n'],
      ['sink', '\x01scp: f: Permission denied\n'],
      ['source', 'C0644 1 g\n'],
      ['sink', '\0'],
      ['source', 'x\0'],
      ['sink', '\0'],
    ]
    expect(hear(steps).files).toEqual([
      { number: 1, path: '/t/f', size: 0, mode: '0644', error: 'scp: f: Permission denied' },
      file('/t/g', 'x', 2),
    ])
  })

  test('a file that could not be written or read to its end', () => {
    const steps: readonly Step[] = [
      ['sink', '\0'],
      ['source', 'C0644 1 f\n'],
      ['sink', '\0'],
      ['source', 'x\0'],
      ['sink', '\x01scp: f: No space left on device\n'],
      ['source', 'C0644 1 g\n'],
      ['sink', '\0'],
      ['source', 'y\x01scp: g: Input/output error\n'],
      ['sink', '\0'],
    ]
    expect(hear(steps).files).toMatchObject([
      { path: '/t/f', size: 1, error: 'scp: f: No space left on device' },
      { path: '/t/g', size: 1, error: 'scp: g: Input/output error' },
    ])
  })

  test('what the source cannot open', () => {
    const steps: readonly Step[] = [
      ['sink', '\0'],
      ['source', '\x01scp: none: No such file or directory\n'],
    ]
    expect(hear(steps).sourceErrors).toEqual(['scp: none: No such file or directory'])
  })

  test('a session that ends early', () => {
    const steps: readonly Step[] = [
      ['sink', '\0'],
      ['source', 'C0644 9 f\n'],
      ['sink', '\0'],
      ['source', 'abc'],
    ]
    expect(hear(steps).files).toEqual([
      { number: 1, path: '/t/f', size: 3, mode: '0644', error: expect.stringContaining('ended') },
    ])
  })

  test.each([
    { name: 'a line that means nothing', line: 'Hello\n' },
    { name: 'a size of 20 digits', line: `C0644 ${'9'.repeat(20)} f\n` },
    { name: 'a line without end', line: 'C'.repeat(10_000) },
  ])('$name is told once', ({ line }) => {
    const { problems } = hear([
      ['sink', '\0'],
      ['source', line],
      ['source', line],
    ])
    expect(problems).toHaveLength(1)
  })

  test('any bytes on both sides: nothing is thrown, nothing hangs', () => {
    const text = fc.string({
      unit: fc.constantFrom('C0644 3 f\n', '\0', '\n', 'E\n', 'D0755 0 d\n', '\x01', 'abc', 'T'),
    })
    const pieces = fc.array(fc.tuple(fc.constantFrom('source' as const, 'sink' as const), text))
    fc.assert(
      fc.property(pieces, (steps) => {
        hear(steps)
      }),
    )
  })
})
