import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { realEnv } from '../../common/env.ts'
import { formatCertAuthorityLine, parseKnownHosts } from '../keys/known-hosts.ts'
import { formatPublicKeyLine } from '../keys/line.ts'
import { generateEcdsa, generateEd25519 } from '../keys/private-key.ts'
import { runOk } from '../testing/run.ts'
import { tempDir } from '../testing/temp-dir.ts'
import { decideHostTrust } from './host-trust.ts'
import { issueCertificateSync } from './issue.ts'

const now = new Date('2026-06-01T12:00:00Z')
const ca = generateEd25519()
const host = generateEd25519()
const hostLine = formatPublicKeyLine(host.publicKey)
const caLine = formatPublicKeyLine(ca.publicKey)
const other = formatPublicKeyLine(generateEd25519().publicKey)
const issue = (principal: string, type: 'host' | 'user' = 'host', signer = ca, endsIn = 3600_000) =>
  issueCertificateSync(
    {
      publicKey: host.publicKey,
      type,
      keyId: 'node',
      principals: [principal],
      validAfter: new Date(now.getTime() - 7_200_000),
      validBefore: new Date(now.getTime() + endsIn),
    },
    signer,
    realEnv,
  )
const good = issue('node1.c')

const rows = [
  { name: 'a known key', file: `node1.c ${hostLine}`, presented: host.publicKey, result: 'ok' },
  {
    name: 'a known key among names',
    file: `a,node1.c,b ${hostLine} me@there`,
    presented: host.publicKey,
    result: 'ok',
  },
  { name: 'names are compared without case', file: `NODE1.C ${hostLine}`, presented: host.publicKey, result: 'ok' },
  { name: 'a wildcard', file: `*.c ${hostLine}`, presented: host.publicKey, result: 'ok' },
  { name: 'a negated name', file: `*.c,!node1.c ${hostLine}`, presented: host.publicKey, result: 'unknown' },
  { name: 'an empty file', file: '', presented: host.publicKey, result: 'unknown' },
  { name: 'another key of the type is known', file: `node1.c ${other}`, presented: host.publicKey, result: 'changed' },
  {
    name: 'a key of another type is known',
    file: `node1.c ${formatPublicKeyLine(generateEcdsa().publicKey)}`,
    presented: host.publicKey,
    result: 'unknown',
  },
  {
    name: 'a revoked key',
    file: `node1.c ${hostLine}\n@revoked * ${hostLine}`,
    presented: host.publicKey,
    result: 'revoked',
  },
  {
    name: 'an authority key is no host key',
    file: `@cert-authority * ${hostLine}`,
    presented: host.publicKey,
    result: 'unknown',
  },
  {
    name: 'a port of its own',
    file: `[node1.c]:3022 ${hostLine}`,
    port: 3022,
    presented: host.publicKey,
    result: 'ok',
  },
  {
    name: 'a port of another',
    file: `[node1.c]:3023 ${hostLine}`,
    port: 3022,
    presented: host.publicKey,
    result: 'unknown',
  },
  {
    name: 'the bare name serves other ports',
    file: `node1.c ${hostLine}`,
    port: 3022,
    presented: host.publicKey,
    result: 'ok',
  },
  { name: 'a certificate', file: `@cert-authority *.c ${caLine}`, presented: good, result: 'ok' },
  {
    name: 'a certificate on another port',
    file: `@cert-authority *.c ${caLine}`,
    port: 3022,
    presented: good,
    result: 'ok',
  },
  {
    name: 'V15 a certificate of another authority',
    file: `@cert-authority *.c ${other}`,
    presented: good,
    result: 'certificate',
  },
  {
    name: 'V15 no fallback to the plain key where an authority is named',
    file: `@cert-authority *.c ${other}\nnode1.c ${hostLine}`,
    presented: good,
    result: 'certificate',
  },
  {
    name: 'V15 an authority for other hosts',
    file: `@cert-authority *.d ${caLine}`,
    presented: good,
    result: 'unknown',
  },
  { name: 'a certificate whose key is known plainly', file: `node1.c ${hostLine}`, presented: good, result: 'ok' },
  {
    name: 'V15 a user certificate',
    file: `@cert-authority * ${caLine}`,
    presented: issue('node1.c', 'user'),
    result: 'certificate',
  },
  {
    name: 'V15 an expired certificate',
    file: `@cert-authority * ${caLine}`,
    presented: issue('node1.c', 'host', ca, -3600_000),
    result: 'certificate',
  },
  {
    name: "V15 another node's certificate",
    file: `@cert-authority * ${caLine}`,
    presented: issue('node2.c'),
    result: 'certificate',
  },
  {
    name: 'a revoked authority',
    file: `@cert-authority * ${caLine}\n@revoked * ${caLine}`,
    presented: good,
    result: 'revoked',
  },
  {
    name: 'the key of a certificate is revoked',
    file: `@cert-authority * ${caLine}\n@revoked node1.c ${hostLine}`,
    port: 3022,
    presented: good,
    result: 'revoked',
  },
] as const

test.each(rows)('$name: $result', (row) => {
  const port = 'port' in row ? row.port : 22
  const verdict = decideHostTrust(parseKnownHosts(row.file), { host: 'node1.c', port, presented: row.presented, now })
  expect(verdict.ok ? 'ok' : verdict.refusal).toBe(row.result)
})

test('names hashed by ssh-keygen -H match', async () => {
  using dir = tempDir()
  dir.write('known_hosts', `node1.c ${hostLine}\n[node2.c]:3022 ${other}\n`)
  await runOk('ssh-keygen', ['-H', '-f', dir.file('known_hosts')])
  const text = readFileSync(dir.file('known_hosts'), 'utf8')
  expect(text).not.toContain('node')
  const claim = { host: 'node1.c', port: 22, presented: host.publicKey, now }
  expect(decideHostTrust(parseKnownHosts(text), claim).ok).toBe(true)
  expect(decideHostTrust(parseKnownHosts(text), { ...claim, host: 'node3.c' }).ok).toBe(false)
})

test('an authority line of ours is read back and found by ssh-keygen -F', async () => {
  using dir = tempDir()
  const line = formatCertAuthorityLine(['*.c', 'c'], ca.publicKey, 'cluster c')
  const file = dir.write('known_hosts', `${line}\n`)
  expect(await runOk('ssh-keygen', ['-F', 'node1.c', '-f', file])).toContain('CA')
  expect(parseKnownHosts(line).entries[0]).toMatchObject({
    marker: 'cert-authority',
    hosts: '*.c,c',
    comment: 'cluster c',
  })
})

test('bad lines are reported and skipped', () => {
  const text = `# comment\n\nnonsense\n@what * ${hostLine}\nh ssh-dss AAAAB3NzaC1kc3MAAAA=\nnode1.c ${hostLine}\r\n`
  const known = parseKnownHosts(text)
  expect(known.problems.map((problem) => problem.line)).toEqual([3, 4, 5])
  expect(known.entries).toHaveLength(1)
})
