import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseAsk } from './joining.ts'

const sid = '3f1c5f6a-0d6b-4f0e-9d8e-1b2c3d4e5f60'

describe('names of subsystems', () => {
  test.each([
    { name: `join:${sid}`, ask: { kind: 'join', sid, mode: undefined } },
    { name: `join:${sid}:peer`, ask: { kind: 'join', sid, mode: 'peer' } },
    { name: `join:${sid}:observer`, ask: { kind: 'join', sid, mode: 'observer' } },
    { name: `join:${sid}:moderator`, ask: { kind: 'join', sid, mode: 'moderator' } },
    { name: `control:${sid}:pause`, ask: { kind: 'control', sid, action: 'pause' } },
    { name: `control:${sid}:resume`, ask: { kind: 'control', sid, action: 'resume' } },
    { name: `control:${sid}:end`, ask: { kind: 'control', sid, action: 'end' } },
    { name: `attach:${sid}`, ask: { kind: 'attach', sid } },
  ])('$name', ({ name, ask }) => expect(parseAsk(name)).toEqual(ask))

  test.each([
    '',
    'sftp',
    'join:',
    `join:${sid.toUpperCase()}`,
    `join:${sid}:`,
    `join:${sid}:owner`,
    `join:${sid}:peer:peer`,
    `join:${sid}\n`,
    `\njoin:${sid}`,
    ` join:${sid}`,
    `join:${sid.slice(1)}`,
    `control:${sid}`,
    `control:${sid}:kill`,
    `attach:${sid}:peer`,
    `join:${sid}:__proto__`,
  ])('%j is none of them', (name) => expect(parseAsk(name)).toBeUndefined())

  test('whatever comes is one of them or nothing, never a throw', () => {
    const words = fc.constantFrom('join', 'control', 'attach', ':', sid, 'peer', 'pause', '\0', '\n', 'é')
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(words).map((list) => list.join('')),
        ),
        (name) => {
          const ask = parseAsk(name)
          if (ask !== undefined) expect(name.startsWith(`${ask.kind}:${ask.sid}`)).toBe(true)
        },
      ),
    )
  })
})
