import fc from 'fast-check'
import { expect, test } from 'vitest'
import { describeEvent, detailsOf } from './describe.ts'
import { eventNames } from './events.ts'

const session = { user: 'alice', login: 'root', server_hostname: 'db-1', sid: '1' }

test.each([
  [{ event: 'exec', ...session, command: 'uptime', exitCode: '0' }, 'ran on root@db-1: uptime'],
  [{ event: 'exec', ...session, command: 'false', exitCode: '1' }, 'ran on root@db-1: false (exit 1)'],
  [
    { event: 'exec', ...session, command: 'sleep 9', exitError: 'signal TERM' },
    'ran on root@db-1: sleep 9 (signal TERM)',
  ],
  [{ event: 'session.start', ...session, interactive: true }, 'opened a terminal as root@db-1'],
  [
    { event: 'session.start', ...session, interactive: true, initial_command: ['top'] },
    'opened a terminal as root@db-1: top',
  ],
  [
    {
      event: 'session.end',
      ...session,
      session_start: '2026-11-20T10:00:00.000Z',
      session_stop: '2026-11-20T11:02:03.000Z',
      reason: 'idle for 10m0s',
    },
    'ended the session as root@db-1 after 1h2m: idle for 10m0s',
  ],
  [{ event: 'user.login', user: 'alice', method: 'local', success: true }, 'logged in (local)'],
  [{ event: 'user.login', user: 'alice', success: false, error: 'wrong password' }, 'failed to log in: wrong password'],
  [{ event: 'sftp.write', ...session, path: '/tmp/a', size: 2048, success: true }, 'wrote /tmp/a on root@db-1, 2.0KB'],
  [
    { event: 'sftp.rename', ...session, path: '/a', target: '/b', success: false, error: 'permission denied' },
    'could not finish: renamed /a to /b on root@db-1: permission denied',
  ],
  [{ event: 'session.control', ...session, action: 'pause' }, 'paused the session on db-1'],
  [{ event: 'session.control', ...session, action: 'end' }, 'ended the session on db-1'],
  [{ event: 'auth', user: 'eve', error: 'the certificate has expired' }, 'was refused: the certificate has expired'],
  [{ event: 'from.a.newer.release', name: 'x' }, 'name=x'],
  [{ event: '__proto__' }, '__proto__'],
])('%j', (event, sentence) => expect(describeEvent(event)).toBe(sentence))

test('whatever is missing or of another type, there are words on one line', () => {
  const anything = fc.dictionary(fc.string(), fc.anything())
  fc.assert(
    fc.property(fc.constantFrom(...eventNames), anything, (event, fields) => {
      const sentence = describeEvent({ ...fields, event })
      expect(sentence).not.toBe('')
      expect(sentence).not.toContain('\n')
    }),
  )
})

test('details are the fields that no column shows', () => {
  expect(detailsOf({ event: 'exec', user: 'alice', command: 'id', server_labels: { env: 'dev' }, ei: 3 })).toBe(
    'command=id server_labels={"env":"dev"}',
  )
})
