import { expect, test } from 'vitest'
import { isAccessDenied } from '../../errors/errors.ts'
import { openHostUsers } from './host-users.ts'

test('a node that is not root makes no accounts, says so, and the audit trail knows', async () => {
  const told: object[] = []
  const users = openHostUsers({ privileges: { isRoot: false }, audit: async (outcome) => void told.push(outcome) })
  const problem = await users.make('dev', 'alice').catch((error: unknown) => error)
  expect(isAccessDenied(problem)).toBe(true)
  expect(String(problem)).toContain(
    'there is no account "dev" on this node, and none can be made: the node does not run as root',
  )
  expect(told).toEqual([{ login: 'dev', user: 'alice', error: 'the node does not run as root' }])
})

test.each(['-froot', 'a b', '../x', '0', 'x\n', ''])('%j is no name of an account', async (login) => {
  const users = openHostUsers({ privileges: { isRoot: true }, audit: async () => undefined })
  await expect(users.make(login, 'alice')).rejects.toThrow('cannot be one of an account')
})

test('others learn when an account is being made, and when that has ended', async () => {
  const told = Promise.withResolvers<void>()
  const users = openHostUsers({ privileges: { isRoot: false }, audit: () => told.promise })
  expect(users.underWay('dev')).toBeUndefined()
  const making = users.make('dev', 'alice')
  const ended = users.underWay('dev')
  expect(ended).toBeInstanceOf(Promise)
  expect(users.underWay('other')).toBeUndefined()
  told.resolve()
  await expect(making).rejects.toThrow('none can be made')
  await ended
  expect(users.underWay('dev')).toBeUndefined()
})
