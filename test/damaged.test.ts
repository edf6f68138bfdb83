/**
 * State that is damaged, missing, loose or not ours: a start that cannot go on says which file and what to do, and changes nothing;
 * what can be made again is made again; over an existing cluster there is never a new authority.
 */

import {
  appendFileSync,
  chmodSync,
  chownSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Cluster, login, startCluster } from './cluster.ts'
import { bin, type Result, run, until } from './run.ts'

const isRoot = process.geteuid?.() === 0
let cluster: Cluster
let home: string
let pin: string
let data: string
let good: string

const at = (path: string) => join(data, path)
const start = (): Promise<Result> =>
  run(bin('teleport'), ['start', '-c', cluster.config], { env: cluster.env(), timeoutMs: 60_000 })
const pinNow = async () => /sha256:[0-9a-f]{64}/.exec((await cluster.tctl('status')).stdout)?.[0] ?? ''
const fingerprint = () =>
  readdirSync(data, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /identity|admin|host_uuid|backend\.sqlite$/.test(entry.name))
    .map((entry) => {
      const path = join(entry.parentPath, entry.name)
      return `${path} ${readFileSync(path).toString('base64').slice(0, 4096)}`
    })
    .sort()

beforeAll(async () => {
  cluster = await startCluster()
  data = join(cluster.dir, 'data')
  good = join(cluster.dir, 'good')
  await cluster.addUser('alice')
  home = await cluster.login('alice')
  pin = await pinNow()
  // The node's cache is on disk a second after its first snapshot.
  await until('caches', () =>
    existsSync(at('node/cache.json')) && existsSync(at('proxy/cache.json')) ? true : undefined,
  )
  await cluster.stop()
  cpSync(data, good, { recursive: true, preserveTimestamps: true })
})
afterAll(async () => {
  await cluster.remove()
})

interface Row {
  readonly name: string
  readonly damage: () => void
  readonly says: readonly (string | RegExp)[]
  readonly onlyRoot?: boolean
}

const rows: readonly Row[] = [
  {
    name: 'the end of the state is cut off',
    damage: () => truncateSync(at('auth/backend.sqlite'), Math.floor(statSync(at('auth/backend.sqlite')).size / 2)),
    says: ['auth/backend.sqlite is damaged', 'restore the file from a backup'],
  },
  {
    name: 'the state is empty',
    damage: () => truncateSync(at('auth/backend.sqlite'), 0),
    says: ['auth/backend.sqlite is damaged (the file is empty)', 'restore the file from a backup'],
  },
  {
    name: 'the state is missing',
    damage: () => rmSync(at('auth/backend.sqlite')),
    says: ['auth/backend.sqlite', 'restore', 'there was one'],
  },
  {
    name: 'the state is rubbish',
    damage: () => writeFileSync(at('auth/backend.sqlite'), 'rubbish'.repeat(2000)),
    says: ['auth/backend.sqlite is damaged', 'restore the file from a backup'],
  },
  {
    name: 'the audit log is rubbish',
    damage: () => writeFileSync(at('auth/events.sqlite'), 'rubbish'.repeat(2000)),
    says: ['auth/events.sqlite is damaged', 'restore the file from a backup'],
  },
  {
    name: 'the identity of auth is rubbish',
    damage: () => writeFileSync(at('auth/identity.json'), '{"version":1'),
    says: ['auth/identity.json', 'damaged', 'move it away'],
  },
  {
    name: 'the identity of a node is cut off',
    damage: () => truncateSync(at('node/identity.json'), 300),
    says: ['node/identity.json', 'damaged', 'joins again with a token'],
  },
  {
    name: 'the identity of a proxy belongs to another key',
    damage: () => {
      const [own, other] = ['proxy', 'node'].map((role) =>
        JSON.parse(readFileSync(at(`${role}/identity.json`), 'utf8')),
      )
      writeFileSync(at('proxy/identity.json'), JSON.stringify({ ...own, privateKey: other.privateKey }))
    },
    says: ['proxy/identity.json', 'damaged'],
  },
  {
    name: 'the uuid of the host is rubbish',
    damage: () => writeFileSync(at('host_uuid'), 'not-a-uuid\n'),
    says: ['host_uuid', 'does not hold a uuid'],
  },
  {
    name: 'others may read the identity of the administrator',
    damage: () => chmodSync(at('auth/admin.json'), 0o644),
    says: [/chmod 600 \S+auth\/admin\.json/],
  },
  {
    name: 'others may read the identity of a node',
    damage: () => chmodSync(at('node/identity.json'), 0o640),
    says: [/chmod 600 \S+node\/identity\.json/],
  },
  {
    name: 'others may read the state',
    damage: () => chmodSync(at('auth/backend.sqlite'), 0o644),
    says: [/chmod 600 \S+auth\/backend\.sqlite/],
  },
  {
    name: 'others may enter the directory of auth',
    damage: () => chmodSync(at('auth'), 0o755),
    says: [/chmod 700 \S+data\/auth/],
  },
  {
    name: 'others may enter the directory of the node',
    damage: () => chmodSync(at('node'), 0o755),
    says: [/chmod 700 \S+data\/node/],
  },
  {
    name: 'the data directory belongs to somebody else',
    damage: () => chownSync(data, 12_345, 12_345),
    says: ['belongs to user id 12345', /chown 0 \S+data/],
    onlyRoot: true,
  },
  {
    name: 'the identity of the proxy belongs to somebody else',
    damage: () => chownSync(at('proxy/identity.json'), 12_345, 12_345),
    says: ['belongs to user id 12345', /chown 0 \S+proxy\/identity\.json/],
    onlyRoot: true,
  },
  {
    name: 'the state belongs to somebody else',
    damage: () => chownSync(at('auth/backend.sqlite'), 12_345, 12_345),
    says: ['belongs to user id 12345', /chown 0 \S+auth\/backend\.sqlite/],
    onlyRoot: true,
  },
  {
    name: 'the directory of auth is a link',
    damage: () => {
      renameSync(at('auth'), join(cluster.dir, 'elsewhere'))
      symlinkSync(join(cluster.dir, 'elsewhere'), at('auth'))
    },
    says: ['data/auth is a symbolic link'],
  },
  {
    name: 'the identity of the node is a link',
    damage: () => {
      copyFileSync(at('node/identity.json'), join(cluster.dir, 'elsewhere'))
      rmSync(at('node/identity.json'))
      symlinkSync(join(cluster.dir, 'elsewhere'), at('node/identity.json'))
    },
    says: ['node/identity.json is a symbolic link'],
  },
  {
    name: 'the state is a link',
    damage: () => {
      renameSync(at('auth/backend.sqlite'), join(cluster.dir, 'elsewhere'))
      symlinkSync(join(cluster.dir, 'elsewhere'), at('auth/backend.sqlite'))
    },
    says: ['auth/backend.sqlite is a symbolic link'],
  },
  {
    name: 'the data directory is a file',
    damage: () => {
      rmSync(data, { recursive: true })
      writeFileSync(data, '')
    },
    says: ['data is not a directory'],
  },
]

beforeEach(() => {
  rmSync(data, { recursive: true, force: true })
  rmSync(join(cluster.dir, 'elsewhere'), { recursive: true, force: true })
  cpSync(good, data, { recursive: true, preserveTimestamps: true })
})
afterEach(async () => {
  await cluster.stop()
})

describe('a start is refused when', () => {
  test.each(rows)('$name', async ({ damage, says, onlyRoot }) => {
    if (onlyRoot === true && !isRoot) return
    damage()
    const before = existsSync(at('host_uuid')) ? fingerprint() : []
    const result = await start()
    const lines = result.stderr.trim().split('\n')
    const last = lines.at(-1) ?? ''
    expect([1, 2], result.stderr).toContain(result.code)
    for (const each of says) {
      if (typeof each === 'string') expect(last).toContain(each)
      else expect(last).toMatch(each)
    }
    expect(result.stderr).not.toMatch(/\n\s+at |internal error/)
    expect(lines.filter((line) => line.startsWith('teleport:'))).toHaveLength(1)
    expect(result.stdout).toBe('')
    if (existsSync(at('host_uuid'))) expect(fingerprint()).toEqual(before)
  })
})

describe('a start goes on when', () => {
  const works = async () => {
    await cluster.start()
    expect((await cluster.tsh(home, ['ssh', `${login}@node-1`, 'echo alive'])).stdout).toBe('alive\n')
    expect(await pinNow()).toBe(pin)
  }

  test('the caches are rubbish: they are said to be, and made again', async () => {
    writeFileSync(at('node/cache.json'), 'rubbish', { mode: 0o600 })
    writeFileSync(at('proxy/cache.json'), '{"version":1,"state":[{"op":"put","kind":"x"}]}', { mode: 0o600 })
    await works()
    expect(cluster.process?.output).toContain('node/cache.json')
    await until('a cache that can be read', () => {
      const text = readFileSync(at('node/cache.json'), 'utf8')
      return text.startsWith('{') ? JSON.parse(text).clusterName === cluster.name || undefined : undefined
    })
  })

  test('the spool ends in half a line, and another line is rubbish', async () => {
    const spool = at('node/spool/events.jsonl')
    mkdirSync(at('node/spool'), { recursive: true, mode: 0o700 })
    appendFileSync(spool, 'rubbish\n{"event":"session.st', { mode: 0o600 })
    await works()
    expect(readFileSync(at('node/spool/events.bad'), 'utf8')).toBe('rubbish\n')
  })

  test('the identity of the administrator is gone: it is made again, by the same authority', async () => {
    rmSync(at('auth/admin.json'))
    rmSync(at('auth/identity.json'))
    await works()
  })

  test('the last write to the state was torn: what was whole is there', async () => {
    appendFileSync(at('auth/backend.sqlite-wal'), Buffer.alloc(5000, 0x5a), { mode: 0o600 })
    await works()
    expect((await cluster.tctl('users', 'ls')).stdout).toContain('alice')
  })
})
