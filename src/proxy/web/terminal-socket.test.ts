/** What a page may ask for when it opens a terminal. */

import type { IncomingMessage } from 'node:http'
import { describe, expect, test } from 'vitest'
import { joinLogin } from '../../api/session-model.ts'
import { terminalProtocol } from '../../api/web-app.ts'
import { csrfTokenOf, sessionCookie } from './cookies.ts'
import { readTerminalAsk } from './terminal-socket.ts'

const token = '0123456789abcdef0123456789abcdef'
const node = '44444444-4444-4444-8444-444444444444'
const sid = '55555555-5555-4555-8555-555555555555'

const request = (query: Record<string, string>): IncomingMessage =>
  ({
    method: 'GET',
    url: `/webapi/terminal?${new URLSearchParams(query)}`,
    headers: {
      host: 'proxy.example:3080',
      origin: 'https://proxy.example:3080',
      cookie: `${sessionCookie}=${token}`,
      'sec-websocket-protocol': `${terminalProtocol}, csrf.${csrfTokenOf(token)}`,
    },
  }) as unknown as IncomingMessage

describe('joining', () => {
  test.each(['peer', 'observer', 'moderator'])('as %s, which needs no login and takes none', (mode) => {
    expect(readTerminalAsk(request({ node, join: sid, mode, login: 'root' }))).toMatchObject({
      node,
      login: joinLogin,
      join: { sid, mode },
    })
  })
  test.each([
    ['no id of a session', { join: '../../etc' }],
    ['more than an id', { join: `${sid}:peer` }],
    ['no mode', { join: sid }],
    ['another mode', { join: sid, mode: 'owner' }],
    ['more than a mode', { join: sid, mode: 'observer:peer' }],
    ['no server', { join: sid, mode: 'peer', node: '' }],
  ])('%s is refused', (_, query) => {
    expect(() => readTerminalAsk(request({ node, ...query }))).toThrow(/expected/)
  })
  test('a terminal of one’s own has no session to join', () => {
    expect(readTerminalAsk(request({ node, login: 'root' }))).toMatchObject({ login: 'root', join: undefined })
  })
})
