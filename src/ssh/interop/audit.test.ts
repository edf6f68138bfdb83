/** ssh-audit finds nothing to complain about in what our server offers by default. */

import { expect, test } from 'vitest'
import { startProcessServer } from '../testing/process-server.ts'
import { run, runOk } from '../testing/run.ts'

/** Newer than ssh-audit 2.5 of Debian 12, which warns about any name it never heard. */
const newerThanTheAuditor = ['mlkem768x25519-sha256', 'kex-strict-s-v00@openssh.com']

test('ssh-audit: no failure, and no warning but for names it cannot know', async () => {
  const target = await startProcessServer({ userKeys: [] })
  const where = ['-p', String(target.port), '127.0.0.1']
  const report: unknown = JSON.parse((await run('ssh-audit', ['-j', ...where])).stdout.toString())
  const text = (await run('ssh-audit', ['-n', ...where])).stdout.toString()
  await target.server.close()
  expect(report).toMatchObject({
    banner: { protocol: [2, 0], software: 'TestServer_1' },
    compression: ['none'],
    key: [{ algorithm: 'ssh-ed25519' }],
  })
  expect(text).not.toContain('[fail]')
  const warnings = text.split('\n').filter((line) => line.includes('[warn]'))
  const unexplained = warnings.filter(
    (line) => !(line.includes('unknown algorithm') && newerThanTheAuditor.some((name) => line.includes(name))),
  )
  expect(unexplained).toEqual([])
})

test('ssh-keyscan sees the host key, and the certificate authority is not needed for it', async () => {
  const target = await startProcessServer({ userKeys: [] })
  const lines = await runOk('ssh-keyscan', ['-p', String(target.port), '127.0.0.1'])
  await target.server.close()
  expect(lines).toContain(target.hostKey.publicKey.blob.toString('base64'))
})
