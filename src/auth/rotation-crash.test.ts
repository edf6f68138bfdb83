/** The service killed while authorities are rotated (SECURITY F2): it starts again in a whole phase, and nobody is locked out. */

import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, onTestFinished, test } from 'vitest'
import { openClusterCache } from '../api/cache.ts'
import { connectAuth, joinCluster } from '../api/connect.ts'
import { loadIdentity, type MachineIdentity, saveIdentity } from '../api/identity.ts'
import { keepIdentity } from '../api/keep-identity.ts'
import { createToken, getStatus, heartbeat, searchEvents } from '../api/routes.ts'
import { realEnv } from '../common/env.ts'
import { silentLogger } from '../common/log.ts'
import { sayProgram } from '../common/testing/say.ts'
import { tempDir, testCluster } from './testing/cluster.ts'

/** Starts the service and walks through the phases without end, telling each that was acknowledged. */
const program = (dataDir: string) => `
  ${sayProgram}
  import { startAuth, authPaths } from ${JSON.stringify(join(import.meta.dirname, 'server.ts'))}
  import { connectAuth } from ${JSON.stringify(join(import.meta.dirname, '../api/connect.ts'))}
  import { loadIdentity } from ${JSON.stringify(join(import.meta.dirname, '../api/identity.ts'))}
  import { getStatus, rotateAuthorities } from ${JSON.stringify(join(import.meta.dirname, '../api/routes.ts'))}
  const dataDir = ${JSON.stringify(dataDir)}
  const auth = await startAuth({ dataDir, listen: { host: '127.0.0.1', port: 0 }, clusterName: 'crash' })
  const next = { standby: 'init', init: 'update_clients', update_clients: 'update_servers', update_servers: 'standby' }
  for (;;) {
    // As tctl: the identity is read anew for each command.
    const admin = await loadIdentity(authPaths(dataDir).admin)
    const api = connectAuth({ addresses: ['127.0.0.1:' + auth.address.port], identity: () => admin })
    const { authorities } = await api.call(getStatus)
    const [host, user] = authorities.map(({ rotation }) => rotation?.phase ?? 'standby')
    if (host !== user) await say('halves ' + host + ' ' + user)
    await say('seen ' + host)
    await api.call(rotateAuthorities, { body: { mode: 'manual', phase: next[host], force: true } })
    await say('done ' + next[host])
    await api.close()
  }`

test('killed at any moment of a rotation, it goes on in a whole phase', { timeout: 600_000 }, async () => {
  const dataDir = await tempDir()
  const phases = ['standby', 'init', 'update_clients', 'update_servers']
  let last = 'standby'
  for (let round = 0; round < 5; round++) {
    const child = spawn('node', ['--input-type=module', '-e', program(dataDir)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    onTestFinished(() => void child.kill('SIGKILL'))
    const ended = new Promise((resolve) => child.once('close', resolve))
    let [seen, first] = [0, true]
    for await (const line of createInterface({ input: child.stdout })) {
      const [kind = '', value = ''] = line.split(' ')
      expect(kind, line).not.toBe('halves')
      if (kind === 'seen' && first) {
        // What was acknowledged, or the one step more that was under way.
        const at = phases.indexOf(last)
        expect([last, phases[(at + 1) % 4]]).toContain(value)
        first = false
      }
      last = value
      // After a line, or a moment later: in the middle of the step that follows.
      if (++seen <= round) continue
      if (round % 2 === 1) await realEnv.sleep(realEnv.randomBytes(1).readUInt8() / 16)
      child.kill('SIGKILL')
    }
    await ended
    expect(seen).toBeGreaterThan(0)
  }
  const cluster = await testCluster({ dataDir, clusterName: 'crash' })
  const { authorities } = await cluster.admin.call(getStatus)
  expect(authorities[0]?.rotation?.phase).toBe(authorities[1]?.rotation?.phase)
  // Every step that was taken is in the log; one that is in the log and was killed before it happened may be there too.
  const { items } = await cluster.admin.call(searchEvents, { query: { type: 'ca.rotate' } })
  expect(items.length).toBeGreaterThan(5)
})

/** A machine as nodes and proxies are, without what they serve. */
async function machine(cluster: Awaited<ReturnType<typeof testCluster>>, name: string) {
  const dir = await tempDir()
  const path = join(dir, 'identity.json')
  await saveIdentity(path, await cluster.join('node', name))
  return {
    path,
    /** On until the function that comes back is called. */
    async start(address: string) {
      let identity = await loadIdentity(path)
      const stop = new AbortController()
      const client = connectAuth({ addresses: [address], identity: () => identity })
      const { clusterName } = identity
      const state = openClusterCache({ client, path: join(dir, 'cache.json'), clusterName })
      const replace = (renewed: MachineIdentity) => {
        identity = renewed
      }
      const common = { client, state, path, identity: () => identity, replace, hostname: name }
      const running = keepIdentity({ ...common, env: realEnv, logger: silentLogger, signal: stop.signal })
      const body = { hostname: name, address: '127.0.0.1:1', publicAddresses: [], labels: {}, version: '1' }
      return {
        identity: () => identity,
        state,
        /** Works with the connection as it is now. */
        ping: () => client.call(heartbeat, { body }),
        async stop() {
          stop.abort()
          await running
          await state.close()
          await client.close()
        },
      }
    },
  }
}

test('machines that are on, restarted, or away until the last phase all come through, and join with either pin', {
  timeout: 600_000,
}, async () => {
  const cluster = await testCluster()
  const { rotateAuthorities } = await import('../api/routes.ts')
  // As tctl does: the identity is read anew for each command.
  const admin = async () => cluster.connect(await loadIdentity(join(cluster.dataDir, 'auth', 'admin.json')))
  const goTo = async (phase: 'init' | 'update_clients' | 'update_servers' | 'standby') =>
    (await admin()).call(rotateAuthorities, { body: { mode: 'manual', phase, force: true } })
  const joinWith = async (caPin: string, name: string) => {
    const { token } = await (await admin()).call(createToken, { body: { roles: ['node'] } })
    const request = { addresses: [cluster.address], token: token.token, caPin, uuid: realEnv.randomUuid() }
    return joinCluster({ ...request, hostname: name, roles: ['node'], advertisedNames: [] })
  }
  const on = await machine(cluster, 'on')
  const restarted = await machine(cluster, 'restarted')
  const away = await machine(cluster, 'away')
  const gone = await machine(cluster, 'gone')
  const running = await on.start(cluster.address)
  await expect.poll(() => running.state.live).toBe(true)
  const oldKey = running.identity().certificate.signatureKey.blob
  const [oldPin = ''] = cluster.auth.caPins

  for (const phase of ['init', 'update_clients', 'update_servers'] as const) {
    await goTo(phase)
    const again = await restarted.start(cluster.address)
    await expect.poll(() => again.identity().hostAuthorities.length, { timeout: 120_000 }).toBe(2)
    await again.ping()
    if (phase !== 'update_servers') await again.stop()
    else {
      await expect
        .poll(() => again.identity().certificate.signatureKey.blob.equals(oldKey), { timeout: 120_000 })
        .toBe(false)
      await again.stop()
    }
    await expect.poll(() => running.identity().hostAuthorities.length, { timeout: 120_000 }).toBe(2)
    expect(cluster.auth.caPins).toHaveLength(2)
    for (const pin of cluster.auth.caPins) {
      const [joined] = await joinWith(pin, `${phase}-${pin.slice(-8)}`)
      expect(joined?.hostAuthorities).toHaveLength(2)
    }
  }
  await expect
    .poll(() => running.identity().certificate.signatureKey.blob.equals(oldKey), { timeout: 120_000 })
    .toBe(false)

  // It knows the old authority alone: auth shows it the certificate that it can verify, and it learns the rest.
  const back = await away.start(cluster.address)
  await expect
    .poll(() => back.identity().certificate.signatureKey.blob.equals(oldKey), { timeout: 120_000 })
    .toBe(false)

  await goTo('standby')
  await expect.poll(() => running.identity().hostAuthorities.length, { timeout: 120_000 }).toBe(1)
  await expect.poll(() => back.identity().hostAuthorities.length, { timeout: 120_000 }).toBe(1)
  await running.ping()
  await back.ping()
  const final = await restarted.start(cluster.address)
  await expect.poll(() => final.state.live, { timeout: 120_000 }).toBe(true)
  await final.ping()
  await Promise.all([running.stop(), back.stop(), final.stop()])

  // Away all the time: it neither trusts nor is trusted, and says so.
  const late = await gone.start(cluster.address)
  await expect(late.ping()).rejects.toThrow(
    /is not an auth server of the cluster .*not a trusted host authority; .* has to join again/,
  )
  await late.stop()
  await expect(joinWith(oldPin, 'too-late')).rejects.toThrow(/has the CA pin .*, not sha256:/)
  const [joined] = await joinWith(cluster.auth.caPins[0] ?? '', 'in-time')
  expect(joined?.hostAuthorities).toHaveLength(1)
})
