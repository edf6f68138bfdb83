import { chmod, mkdir, readFile, rename, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { tempDir } from '../auth/testing/cluster.ts'
import { realEnv } from '../common/env.ts'
import { AccessDenied, BadParameter, NotFound } from '../errors/errors.ts'
import { issueCertificateSync } from '../ssh/certificate/issue.ts'
import { generateEd25519 } from '../ssh/keys/private-key.ts'
import { loadIdentity, type MachineIdentity, saveIdentity } from './identity.ts'

const uuid = '7e1e6b0c-7e8f-4d43-a7a5-2ad1a7bcf001'

function identity(): MachineIdentity {
  const ca = generateEd25519(realEnv)
  const key = generateEd25519(realEnv)
  const certificate = issueCertificateSync(
    {
      publicKey: key.publicKey,
      type: 'host',
      keyId: `${uuid}.c`,
      principals: [uuid],
      validAfter: new Date(0),
      validBefore: new Date(1e12),
    },
    ca,
    realEnv,
  )
  return {
    role: 'Node',
    uuid,
    clusterName: 'c',
    key,
    certificate,
    hostAuthorities: [ca.publicKey],
    userAuthorities: [],
  }
}

test('comes back as it was saved, in a private file', async () => {
  const path = join(await tempDir(), 'node', 'identity.json')
  const saved = identity()
  await saveIdentity(path, saved)
  const loaded = await loadIdentity(path)
  expect(loaded).toMatchObject({ role: 'Node', uuid, clusterName: 'c' })
  expect(loaded.certificate.blob).toEqual(saved.certificate.blob)
  expect(loaded.key.signSync(Buffer.from('x'))).toEqual(saved.key.signSync(Buffer.from('x')))
  expect((await stat(path)).mode & 0o777).toBe(0o600)
})

test.each([
  { name: 'no file', prepare: async () => undefined, kind: NotFound, says: /no such file/ },
  {
    name: 'a readable file',
    prepare: async (path: string) => chmod(path, 0o644),
    kind: AccessDenied,
    says: /chmod 600/,
  },
  {
    name: 'a link',
    prepare: async (path: string) => {
      await rename(path, `${path}.real`)
      await symlink(`${path}.real`, path)
    },
    kind: AccessDenied,
    says: /symbolic link/,
  },
  {
    name: 'half a file',
    prepare: async (path: string) => writeFile(path, (await readFile(path)).subarray(0, 300)),
    kind: BadParameter,
    says: /damaged; restore it/,
  },
  {
    name: "another key's certificate",
    prepare: async (path: string) => {
      const other = `${path}.other`
      await saveIdentity(other, identity())
      const [mine, theirs] = await Promise.all(
        [path, other].map(async (file) => JSON.parse(await readFile(file, 'utf8'))),
      )
      await writeFile(path, JSON.stringify({ ...mine, certificate: theirs.certificate }))
    },
    kind: BadParameter,
    says: /damaged/,
  },
])('$name is refused with its remedy', async ({ name, prepare, kind, says }) => {
  const path = join(await tempDir(), 'identity.json')
  await mkdir(join(path, '..'), { recursive: true })
  if (name !== 'no file') await saveIdentity(path, identity())
  await prepare(path)
  const refusal = loadIdentity(path)
  await expect(refusal).rejects.toThrow(kind)
  await expect(refusal).rejects.toThrow(says)
  await expect(refusal).rejects.not.toThrow(/PRIVATE KEY/)
})
