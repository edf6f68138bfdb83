/** Every foreign client with every cipher and key exchange it shares with us, at our server. */

import { createHash, randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { generateEd25519 } from '../keys/private-key.ts'
import { formatPrivateKey } from '../keys/private-key-file.ts'
import { fingerprintSha256 } from '../keys/public-key.ts'
import { type ForeignCall, foreignClients, openSshVersions } from '../testing/foreign-clients.ts'
import { type ProcessServer, startProcessServer } from '../testing/process-server.ts'
import { type TempDir, tempDir } from '../testing/temp-dir.ts'
import { KEX_ALGORITHMS } from './algorithm-rows.ts'

const key = generateEd25519()
let target: ProcessServer
let home: TempDir
let base: Pick<ForeignCall, 'port' | 'home' | 'hostFingerprint'>

beforeAll(async () => {
  target = await startProcessServer({ userKeys: [key.publicKey], algorithms: { kex: KEX_ALGORITHMS } })
  home = tempDir()
  home.write('id', formatPrivateKey(key))
  base = { port: target.port, home, hostFingerprint: fingerprintSha256(target.hostKey.publicKey) }
})
afterAll(async () => {
  await target.server.close()
  home[Symbol.dispose]()
})

test('the OpenSSH versions are the ones the rows speak of', async () => {
  const [nine, ten] = await openSshVersions()
  expect(nine).toMatch(/^OpenSSH_9/)
  expect(ten).toMatch(/^OpenSSH_10/)
})

const rows = foreignClients.flatMap((client) => [
  { client, name: `${client.name}: its own choice`, settings: {} },
  ...client.ciphers.map((cipher) => ({ client, name: `${client.name}: ${cipher}`, settings: { cipher } })),
  ...client.kexes.map((kex) => ({ client, name: `${client.name}: ${kex}`, settings: { kex } })),
])

describe('output, errors and exit code', () => {
  test.each(rows)('$name', async ({ client, settings }) => {
    const input = randomBytes(300_000)
    const result = await client.call({ ...base, ...settings, command: 'cat; echo problem >&2; exit 5', input })
    expect(result.stderr).toContain('problem\n')
    expect(result.code).toBe(5)
    expect(result.stdout.equals(input)).toBe(true)
  })
})

describe('10 MB each way unchanged', () => {
  test.each(foreignClients.map((client) => ({ client, name: client.name })))('$name', async ({ client }) => {
    const input = randomBytes(10_000_000)
    const up = await client.call({ ...base, command: 'sha256sum', input })
    expect(up.stdout.toString()).toContain(createHash('sha256').update(input).digest('hex'))
    const down = await client.call({ ...base, command: 'head -c 10000000 /dev/zero | tr "\\\\0" x' })
    expect(down.stdout.length).toBe(10_000_000)
    expect(down.stdout.every((byte) => byte === 0x78)).toBe(true)
  })
})
