import { expect, test } from 'vitest'
import { realEnv } from '../common/env.ts'
import { Passwords } from './passwords.ts'

test('a password is stored as Argon2id of the full cost, with a salt of its own, and proves itself alone', async () => {
  const passwords = new Passwords(realEnv)
  const [stored, again] = [await passwords.hash('correct horse'), await passwords.hash('correct horse')]
  expect(stored).toMatch(/^\$argon2id\$v=19\$m=32768,t=3,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/)
  expect(again).not.toBe(stored)
  expect(await passwords.verify(stored, 'correct horse')).toBe(true)
  expect(await passwords.verify(stored, 'correct horsf')).toBe(false)
  expect(await passwords.verify(undefined, 'correct horse')).toBe(false)
})
