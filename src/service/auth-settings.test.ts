import { expect, test } from 'vitest'
import { parseConfig } from '../config/load.ts'
import { authSettings } from './auth-settings.ts'

test('what the file says about connections reaches the cluster', () => {
  const { config } = parseConfig(
    `auth_service:
  client_idle_timeout: 5m
  web_idle_timeout: 15m
  disconnect_expired_cert: yes
  keep_alive_interval: 90s
  keep_alive_count_max: 7
  session_recording: off
  session_detach_timeout: 2m
  message_of_the_day: hello
  audit_retention: 90d
  recording_retention: never
  recording_reserve: 2 GiB
`,
    't.yaml',
    {},
    'box',
  )
  expect(authSettings(config).recordingReserveBytes).toBe(2 * 1024 ** 3)
  expect(authSettings(config).webIdleMs).toBe(15 * 60_000)
  expect(authSettings(config).retention).toEqual({ auditMs: 90 * 86_400_000, recordingMs: 0 })
  expect(authSettings(config).cluster).toEqual({
    clientIdleTimeout: 300,
    disconnectExpiredCert: true,
    keepAliveInterval: 90,
    keepAliveCountMax: 7,
    sessionRecording: 'off',
    sessionDetachTimeout: 120,
    messageOfTheDay: 'hello',
    lockingMode: 'best_effort',
    requireSessionMfa: false,
  })
})
