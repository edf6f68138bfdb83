import { expect, test } from 'vitest'
import type { Presence, ServerRole } from './model.ts'
import { ServerIndex } from './server-index.ts'

const now = Date.parse('2026-01-01T00:00:00Z')

const server = (hostname: string, uuid: string, role: ServerRole = 'node', livesMs = 60_000): Presence => ({
  uuid,
  role,
  hostname,
  address: '10.0.0.1:3022',
  publicAddresses: [],
  labels: {},
  version: '1',
  expires: new Date(now + livesMs).toISOString(),
})

const names = (index: ServerIndex, role?: ServerRole, after = ''): string[] =>
  [...index.inOrder(role, now, after)].map(({ presence }) => `${presence.hostname} ${presence.uuid}`)

test('servers are in order of name and uuid whatever came, went or was renamed since', () => {
  const index = new ServerIndex()
  for (const one of [server('web', '3'), server('db', '2'), server('Web', '1'), server('cache', '4', 'proxy')]) {
    index.put(one)
  }
  expect(names(index)).toEqual(['cache 4', 'db 2', 'Web 1', 'web 3'])
  expect(names(index, 'node')).toEqual(['db 2', 'Web 1', 'web 3'])
  index.put(server('aaa', '3'))
  index.delete('node/1')
  index.put(server('bbb', '5'))
  index.put(server('gone', '6', 'node', -1))
  expect(names(index, 'node')).toEqual(['aaa 3', 'bbb 5', 'db 2'])
})

test('a listing goes on from behind any place, also of a server that has gone', () => {
  const index = new ServerIndex()
  for (let n = 0; n < 9; n++) index.put(server(`host-${n}`, String(n)))
  const all = [...index.inOrder(undefined, now, '')]
  for (const [position, { place }] of all.entries()) {
    expect(names(index, undefined, place)).toEqual(names(index).slice(position + 1))
  }
  const fourth = all[4]?.place ?? ''
  const rest = names(index).slice(5)
  index.delete('node/4')
  expect(names(index, undefined, fourth)).toEqual(rest)
})
