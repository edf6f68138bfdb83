import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { displayWidth, formatPairs, formatTable, nearest, quote, stripControl, truncate } from './text.ts'

describe('control characters', () => {
  test.each([
    ['plain', 'plain'],
    ['a\u001b[31mb', 'a[31mb'],
    ['a\r\nb\tc', 'abc'],
    ['a\u009bb\u007f', 'ab'],
    ['a\u202eb\u2066c\u200bd', 'abcd'],
    ['a\ud800b', 'a\ufffdb'],
    ['ünï 😀', 'ünï 😀'],
  ])('%j prints as %j', (text, expected) => expect(stripControl(text)).toBe(expected))
  test('quotes show what was there', () => {
    expect(quote('a\nb')).toBe('"a\\u000ab"')
    expect(quote('x'.repeat(200))).toHaveLength(102)
  })
  test('whatever the text, nothing a terminal acts on is left', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(stripControl(text)).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e]/)
        expect(quote(text)).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e]/)
      }),
    )
  })
  test('cutting keeps surrogate pairs whole', () => {
    expect(truncate('abcdef', 5)).toBe('ab...')
    expect(truncate('abc', 3)).toBe('abc')
    expect(truncate('ab😀def', 6).isWellFormed()).toBe(true)
  })
})

describe('tables', () => {
  test('columns, rule, no spaces at the end', () => {
    expect(
      formatTable(
        ['Node Name', 'Address', 'Labels'],
        [
          ['one', '127.0.0.1:3022', 'a=b, c=d'],
          ['two-longer-name', '10.0.0.2:3022', ''],
        ],
      ),
    ).toBe(
      [
        'Node Name        Address         Labels',
        '---------------  --------------  --------',
        'one              127.0.0.1:3022  a=b, c=d',
        'two-longer-name  10.0.0.2:3022',
        '',
      ].join('\n'),
    )
  })
  test('no rows: the headings only', () => {
    expect(formatTable(['User', 'Roles'], [])).toBe('User  Roles\n----  -----\n')
  })
  test('hostile cells and wide characters keep the layout', () => {
    expect(
      formatTable(
        ['A', 'B'],
        [
          ['x\n\u001b[2Jy', 'z'],
          ['日本', 'w'],
        ],
      ),
    ).toBe('A      B\n-----  -\nx[2Jy  z\n日本   w\n')
    expect(displayWidth('日本e\u0301😀')).toBe(7)
  })
  test('pairs', () => {
    expect(
      formatPairs([
        ['Cluster', 'main'],
        ['CA pin', 'sha256:ab'],
      ]),
    ).toBe('Cluster  main\nCA pin   sha256:ab\n')
  })
})

test.each([
  ['nodname', 'nodename'],
  ['lables', 'labels'],
  ['xyz', undefined],
  ['', undefined],
  ['NODENAME', 'nodename'],
])('nearest to %j is %j', (word, expected) => expect(nearest(word, ['nodename', 'labels', 'log'])).toBe(expected))
