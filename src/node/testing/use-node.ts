/** A node for all tests of one file, and a user who logs in there as whoever runs the tests. */

import { userInfo } from 'node:os'
import { afterAll, beforeAll } from 'vitest'
import { type TempDir, tempDir } from '../../ssh/testing/temp-dir.ts'
import { TestNode, type TestUser } from './test-node.ts'

export const me = userInfo().username
export const alice: TestUser = { name: 'alice', roles: ['dev'], logins: [me] }
/** What a role allows that is about options only. */
export const everyNode = { logins: ['{{internal.logins}}'], node_labels: { '*': '*' } }

/** Listens before the first test, with the user but without roles, and is gone after the last one. */
export function useNode(user: TestUser = alice): { readonly node: TestNode; readonly directory: TempDir } {
  const directory = tempDir()
  const node = new TestNode(directory.path)
  beforeAll(async () => {
    node.addUser(user)
    await node.listen()
  })
  afterAll(async () => {
    await node.server.close()
    directory[Symbol.dispose]()
  })
  return { node, directory }
}
