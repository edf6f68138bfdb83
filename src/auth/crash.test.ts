/** The service killed in the middle of its work (SECURITY F1, F27): what was acknowledged is there, and no token works twice. */

import { spawn } from 'node:child_process'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, onTestFinished, test } from 'vitest'
import { createUser, getStatus, listRecordings, listTokens, listUsers, searchEvents } from '../api/routes.ts'
import { openRecordingDirectory } from '../audit/recording/directory.ts'
import { realEnv } from '../common/env.ts'
import { sayProgram } from '../common/testing/say.ts'
import { startAuth } from './server.ts'
import { tempDir, testCluster } from './testing/cluster.ts'

/** Starts the service, then makes users, tokens and machines without end, and prints each that was acknowledged. */
const program = (dataDir: string, round: number) => `
  ${sayProgram}
  import { startAuth, authPaths } from ${JSON.stringify(join(import.meta.dirname, 'server.ts'))}
  import { connectAuth, joinCluster } from ${JSON.stringify(join(import.meta.dirname, '../api/connect.ts'))}
  import { loadIdentity } from ${JSON.stringify(join(import.meta.dirname, '../api/identity.ts'))}
  import { chunkOf, headerOf, endOf } from ${JSON.stringify(join(import.meta.dirname, '../audit/recording/testing/make.ts'))}
  import { createUser, createToken, beginRecording, appendChunk, completeRecording } from ${JSON.stringify(join(import.meta.dirname, '../api/routes.ts'))}
  const dataDir = ${JSON.stringify(dataDir)}
  const auth = await startAuth({ dataDir, listen: { host: '127.0.0.1', port: 0 }, clusterName: 'crash' })
  await say('pin ' + auth.caPins[0])
  const admin = await loadIdentity(authPaths(dataDir).admin)
  const addresses = ['127.0.0.1:' + auth.address.port]
  const api = connectAuth({ addresses, identity: () => admin })
  const lane = async (lane) => {
    for (let n = 0; ; n++) {
      const name = 'u${round}-' + lane + '-' + n
      await api.call(createUser, { body: { name, roles: ['access'], traits: {}, inviteTtlSeconds: 600 } })
      await say('user ' + name)
      const { token } = await api.call(createToken, { body: { roles: ['node'] } })
      await say('token ' + token.token)
      await joinCluster({ addresses, token: token.token, caPin: auth.caPins[0], uuid: crypto.randomUUID(), hostname: name, roles: ['node'], advertisedNames: [] })
      await say('used ' + token.token)
    }
  }
  const recorder = async () => {
    const { token } = await api.call(createToken, { body: { roles: ['node'] } })
    const [identity] = await joinCluster({ addresses, token: token.token, caPin: auth.caPins[0], uuid: crypto.randomUUID(), hostname: 'rec', roles: ['node'], advertisedNames: [] })
    const node = connectAuth({ addresses, identity: () => identity })
    for (;;) {
      const header = headerOf()
      const params = { sid: header.sid }
      let progress = await node.call(beginRecording, { body: header })
      for (let n = 0; n < 4; n++) {
        const chunk = chunkOf(n, [[n, 'o', 'x'.repeat(n * 1000)]])
        progress = await node.call(appendChunk, { params, body: { ...chunk, data: chunk.data.toString('base64') } })
        await say('chunk ' + header.sid + '/' + progress.next + '/' + progress.chain)
      }
      await node.call(completeRecording, { params, body: endOf(progress.next, progress.chain) })
      await say('recording ' + header.sid)
    }
  }
  await Promise.all([lane('a'), lane('b'), recorder()])`

/** Of what is acknowledged here. */
const kinds = ['pin', 'user', 'token', 'used', 'chunk']

test('killed at any moment, it starts again with all that was acknowledged', { timeout: 300_000 }, async () => {
  const dataDir = await tempDir()
  const said = new Map<string, Set<string>>()
  const heard = (kind: string) => {
    const known = said.get(kind) ?? new Set<string>()
    said.set(kind, known)
    return known
  }
  for (let round = 0; round < 8; round++) {
    const child = spawn('node', ['--input-type=module', '-e', program(dataDir, round)], {
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    onTestFinished(() => void child.kill('SIGKILL'))
    const ended = new Promise((resolve) => child.once('close', resolve))
    // In the first rounds during the start, then after more and more work.
    const lines = round < 3 ? 1 : 5 + (realEnv.randomBytes(1).readUInt8() % 20)
    let seen = 0
    for await (const line of createInterface({ input: child.stdout })) {
      const [kind = '', value = ''] = line.split(' ')
      heard(kind).add(value)
      // The last round goes on until everything has been heard of: on a busy machine some come late.
      if (++seen >= lines && (round < 7 || kinds.every((each) => heard(each).size > 0))) child.kill('SIGKILL')
    }
    await ended
  }
  expect(heard('pin').size).toBe(1)
  expect(heard('user').size).toBeGreaterThan(5)
  const cluster = await testCluster({ dataDir, clusterName: 'crash' })
  expect([...heard('pin')]).toEqual([...cluster.auth.caPins])
  const users = new Set((await cluster.admin.call(listUsers)).items.map((user) => user.name))
  expect([...heard('user')].filter((name) => !users.has(name))).toEqual([])
  // Tokens that let a machine in are gone; the others are all there.
  const left = (await cluster.admin.call(listTokens)).tokens.map((token) => token.token)
  const shown = (token: string) => `${token.slice(0, 6)}…`
  expect([...heard('used')].filter((token) => left.includes(shown(token)))).toEqual([])
  const { items } = await cluster.admin.call(searchEvents, { query: { type: 'user.create' } })
  const audited = new Set(items.map((event) => event.name))
  expect([...heard('user')].filter((name) => !audited.has(name))).toEqual([])
  // Chunks that were acknowledged are there, and whatever is complete is in the audit log, once.
  const told = async (sid: string) =>
    (await cluster.admin.call(searchEvents, { query: { session: sid, type: 'session.upload' } })).items
  for (const { sid, state, chain } of (await cluster.admin.call(listRecordings, { query: {} })).items) {
    await expect.poll(() => told(sid)).toMatchObject(state === 'running' ? [] : [{ sid, sha256: chain }])
    if (heard('recording').has(sid)) expect(state).toBe('complete')
  }
  await cluster.auth.close()
  const store = await openRecordingDirectory(join(dataDir, 'auth', 'recordings'))
  onTestFinished(() => store.close())
  for (const [sid = '', next, chain] of [...heard('chunk')].map((line) => line.split('/'))) {
    expect((await Array.fromAsync(store.read(sid, 0)))[Number(next) - 1]?.chain).toBe(chain)
    expect(await store.verify(sid)).toMatchObject({ ok: true })
  }
})

test('killed during the very first start, it starts again', async () => {
  for (const delay of [60, 120, 180, 240, 300, 360]) {
    const dataDir = await tempDir()
    const child = spawn('node', ['--input-type=module', '-e', program(dataDir, 0)], { stdio: 'ignore' })
    const ended = new Promise((resolve) => child.once('close', resolve))
    // The wait is what is tested: the kill comes at whatever point of the start, and no output tells of the points that matter.
    await realEnv.sleep(delay)
    child.kill('SIGKILL')
    await ended
    const cluster = await testCluster({ dataDir, clusterName: 'crash' })
    expect(await cluster.admin.call(getStatus)).toMatchObject({ clusterName: 'crash' })
    await cluster.auth.close()
  }
})

test('a directory that held a cluster never gets a new one (F27)', async () => {
  const cluster = await testCluster()
  await cluster.admin.call(createUser, { body: { name: 'alice', roles: ['access'], traits: {} } })
  await cluster.auth.close()
  const { dataDir } = cluster
  const state = join(dataDir, 'auth', 'backend.sqlite')
  const start = () => startAuth({ dataDir, listen: { host: '127.0.0.1', port: 0 } })
  await writeFile(state, '')
  await expect(start()).rejects.toThrow(/backend.sqlite is damaged .*restore the file from a backup/)
  for (const suffix of ['', '-wal', '-journal']) await rm(state + suffix, { force: true })
  await expect(start()).rejects.toThrow(/identity.json shows that there was one; restore/)
  await expect(start()).rejects.toThrow(/identity.json shows that there was one; restore/)
})

test('started again it is the same cluster, whatever the name in the file says now', async () => {
  const cluster = await testCluster()
  await cluster.auth.close()
  const again = await testCluster({ dataDir: cluster.dataDir, clusterName: 'other' })
  expect(again.auth).toMatchObject({ clusterName: 'test.example', isNew: false, uuid: cluster.auth.uuid })
  expect(again.auth.caPins).toEqual(cluster.auth.caPins)
})
