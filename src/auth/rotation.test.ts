/** The rotation of the authorities inside auth: steps and refusals, what is trusted (SECURITY V20), two at once (F18), and by itself. */

import { describe, expect, test } from 'vitest'
import { authenticateUser } from '../api/authenticate-user.ts'
import { verifyMachine } from '../api/host-certificate.ts'
import { formatKeyLine, parseCertificateLine } from '../api/lines.ts'
import {
  createUser,
  getRotation,
  getStatus,
  heartbeat,
  listAuthorities,
  putRole,
  renewHost,
  rotateAuthorities,
  signUser,
  watch,
} from '../api/routes.ts'
import { silentLogger } from '../common/log.ts'
import { isAccessDenied, isBadParameter, isCompareFailed } from '../errors/errors.ts'
import type { Certificate } from '../ssh/certificate/types.ts'
import { fingerprintSha256 } from '../ssh/keys/public-key.ts'
import type { AuthorityType } from './authorities.ts'
import { Rotation } from './rotation.ts'
import type { Phase } from './rotation-phases.ts'
import { newKey } from './testing/cluster.ts'
import { adminCaller, machineCaller, machineUuid, type TestServices, testServices } from './testing/services.ts'

const manual = (phase: Exclude<Phase, 'standby'> | 'standby', type?: AuthorityType) => ({
  body: { mode: 'manual' as const, phase, ...(type === undefined ? {} : { type }) },
})

async function bench() {
  const services = await testServices()
  const admin = services.as(adminCaller)
  await admin.call(createUser, { body: { name: 'alice', roles: ['access'], traits: { logins: ['alice'] } } })
  const userCertificate = async () =>
    parseCertificateLine(
      (await admin.call(signUser, { body: { user: 'alice', publicKey: newKey().line } })).certificate,
    )
  const hostCertificate = async () => {
    const body = { hostname: 'n1', publicKey: newKey().line, advertisedNames: [] }
    const answer = await services.as(machineCaller('Node')).call(renewHost, { body })
    return parseCertificateLine(answer.certificates[0]?.certificate ?? '')
  }
  return { ...services, services: services.services, admin, userCertificate, hostCertificate }
}
const rotations = ({ events }: TestServices) => events.filter(({ event }) => event === 'ca.rotate')

describe('both certificates, old and new, in every phase (V20)', () => {
  const complete = ['init', 'update_clients', 'update_servers', 'standby'] as const
  const back = ['init', 'update_clients', 'update_servers', 'rollback', 'standby'] as const
  /** By the number of steps taken. `old` and `new` are certificates from before, and from the phase that signs with the new key. */
  test.each([
    { name: 'a complete rotation', way: complete, good: { old: [1, 1, 1, 1, 0], new: [0, 1, 1, 1, 1] } },
    { name: 'a rollback', way: back, good: { old: [1, 1, 1, 1, 1, 1], new: [0, 1, 1, 1, 1, 0] } },
  ])('$name', async ({ way, good }) => {
    const b = await bench()
    const { hub } = b.services
    const old = { user: await b.userCertificate(), host: await b.hostCertificate() }
    // A certificate of the new keys, from a rotation that was seen before: what an attacker would like to use too early or too late.
    const made: { user?: Certificate; host?: Certificate } = {}
    const judge = ({ user, host }: { user: Certificate; host: Certificate }) => {
      const now = b.env.now()
      const { hostAuthorities, clusterName } = hub
      const asUser = authenticateUser(hub, { certificate: user, login: 'alice', sourceAddress: '10.0.0.1', now }).ok
      const asHost = verifyMachine(host, { hostAuthorities, clusterName, roles: ['Node'], now }).ok
      expect(asUser).toBe(asHost)
      return asUser ? 1 : 0
    }
    const seen: { hub: { user: readonly unknown[]; host: readonly unknown[] }; old: number }[] = []
    const look = () =>
      void seen.push({ hub: { user: hub.userAuthorities, host: hub.hostAuthorities }, old: judge(old) })
    look()
    for (const phase of way) {
      await b.admin.call(rotateAuthorities, manual(phase))
      look()
      if (phase === 'update_clients') made.user = await b.userCertificate()
      if (phase === 'update_servers') made.host = await b.hostCertificate()
    }
    expect(seen.map((at) => at.old)).toEqual(good.old)
    const { user, host } = made
    if (user === undefined || host === undefined) throw new Error('no new certificates')
    const trusted = seen.map(({ hub: keys }) => {
      const has = (all: readonly unknown[], certificate: Certificate) =>
        (all as typeof hub.userAuthorities).some((key) => key.blob.equals(certificate.signatureKey.blob))
      expect(has(keys.user, user)).toBe(has(keys.host, host))
      return has(keys.user, user) ? 1 : 0
    })
    expect(trusted).toEqual(good.new)
    expect(judge({ user, host })).toBe(good.new.at(-1))
  })

  test.each<{ phase: Phase; user: 'old' | 'new'; host: 'old' | 'new' }>([
    { phase: 'init', user: 'old', host: 'old' },
    { phase: 'update_clients', user: 'new', host: 'old' },
    { phase: 'update_servers', user: 'new', host: 'new' },
    { phase: 'rollback', user: 'old', host: 'old' },
  ])('in $phase users get certificates of the $user key, machines of the $host one', async ({ phase, user, host }) => {
    const b = await bench()
    const before = { user: b.services.authorities.user, host: b.services.authorities.host }
    const way = ['init', 'update_clients', 'update_servers', 'rollback'] as const
    for (const step of way.slice(0, way.indexOf(phase as (typeof way)[number]) + 1)) {
      await b.admin.call(rotateAuthorities, manual(step))
    }
    const isOld = (certificate: Certificate, type: AuthorityType) =>
      certificate.signatureKey.blob.equals(before[type].publicKey.blob) ? 'old' : 'new'
    expect(isOld(await b.userCertificate(), 'user')).toBe(user)
    expect(isOld(await b.hostCertificate(), 'host')).toBe(host)
  })

  test('one authority can be replaced without the other', async () => {
    const b = await bench()
    const { user, host } = b.services.authorities
    for (const phase of ['init', 'update_clients', 'update_servers', 'standby'] as const) {
      await b.admin.call(rotateAuthorities, manual(phase, 'user'))
    }
    expect(formatKeyLine(b.services.authorities.host.publicKey)).toBe(formatKeyLine(host.publicKey))
    expect(formatKeyLine(b.services.authorities.user.publicKey)).not.toBe(formatKeyLine(user.publicKey))
    expect((await b.admin.call(getStatus)).authorities).toMatchObject([
      { type: 'host' },
      { type: 'user', rotated: expect.stringMatching(/^20/) },
    ])
  })
})

describe('what is told', () => {
  test('followers, listings and the status tell both keys and the phase; the pins of both are shown', async () => {
    const b = await bench()
    const [pin] = b.services.authorities.caPins
    await b.admin.call(rotateAuthorities, manual('init'))
    const { items } = await b.admin.call(listAuthorities)
    expect(items.map(({ keys, rotation }) => [keys.length, rotation?.phase])).toEqual([
      [2, 'init'],
      [2, 'init'],
    ])
    const status = await b.admin.call(getStatus)
    expect(status.caPins).toHaveLength(2)
    expect(status.caPins[0]).toBe(pin)
    expect(status.authorities[0]?.rotation).toMatchObject({ phase: 'init', mode: 'manual' })
    for await (const event of b.admin.stream(watch)) {
      if (event.op === 'put' && event.kind === 'authority') {
        expect(event.value.keys).toHaveLength(2)
        break
      }
    }
  })

  test('each step is in the audit log, refused ones too, with who and what', async () => {
    const b = await bench()
    await b.admin.call(rotateAuthorities, manual('init', 'host'))
    await b.admin.call(rotateAuthorities, manual('standby', 'host')).catch(() => undefined)
    expect(rotations(b)).toMatchObject([
      {
        code: 'TCA00I',
        user: 'admin',
        authorities: ['host'],
        previous_phase: 'standby',
        phase: 'init',
        mode: 'manual',
        success: true,
      },
      {
        code: 'TCA00W',
        previous_phase: 'init',
        phase: 'standby',
        success: false,
        error: expect.stringContaining('update_clients or rollback'),
      },
    ])
    expect(JSON.stringify(b.events)).not.toMatch(/PRIVATE/)
  })

  test('what cannot be recorded does not happen', async () => {
    const b = await testServices()
    b.auditFailure = new Error('the disk is full')
    const before = b.services.authorities.caPins
    await expect(b.as(adminCaller).call(rotateAuthorities, manual('init'))).rejects.toThrow()
    expect(b.services.authorities.caPins).toEqual(before)
    await b.services.authorities.refresh()
    expect(b.services.authorities.caPins).toEqual(before)
  })
})

describe('what is refused', () => {
  test.each([
    { name: 'a phase that does not follow', body: manual('update_servers').body, says: /not being rotated/ },
    {
      name: 'a phase in automatic mode',
      body: { mode: 'auto' as const, phase: 'update_clients' as const },
      says: /come by themselves/,
    },
    {
      name: 'a grace period by hand',
      body: { ...manual('init').body, gracePeriodSeconds: 60 },
      says: /is for the automatic mode/,
    },
  ])('$name', async ({ body, says }) => {
    const b = await bench()
    const error: unknown = await b.admin.call(rotateAuthorities, { body }).catch((caught: unknown) => caught)
    expect(isBadParameter(error)).toBe(true)
    expect(String(error)).toMatch(says)
  })

  test('both at once when only one can take the step: neither does', async () => {
    const b = await bench()
    await b.admin.call(rotateAuthorities, manual('init', 'user'))
    await expect(b.admin.call(rotateAuthorities, manual('update_clients'))).rejects.toThrow(
      /host authority is not being rotated/,
    )
    expect((await b.admin.call(getStatus)).authorities.map(({ rotation }) => rotation?.phase)).toEqual([
      undefined,
      'init',
    ])
  })

  test('a user needs the verb rotate, an editor has it not', async () => {
    const b = await bench()
    const rotator = (verbs: string[]) => ({
      params: { name: 'rotator' },
      body: {
        role: {
          kind: 'role' as const,
          version: 'v4',
          metadata: { name: 'rotator' },
          spec: { allow: { rules: [{ resources: ['cert_authority'], verbs }] } },
        },
      },
    })
    await b.admin.call(putRole, rotator(['read', 'update']))
    await b.admin.call(createUser, { body: { name: 'rob', roles: ['rotator', 'editor'], traits: { logins: ['rob'] } } })
    const credentials = await b.admin.call(signUser, { body: { user: 'rob', publicKey: newKey().line } })
    const tryIt = () => b.as(b.user(credentials)).call(rotateAuthorities, manual('init'))
    expect(isAccessDenied(await tryIt().catch((error: unknown) => error))).toBe(true)
    await b.admin.call(putRole, rotator(['rotate']))
    await expect.poll(() => b.services.hub.role('rotator')?.spec.allow.rules[0]?.verbs).toEqual(['rotate'])
    await tryIt()
    expect(rotations(b)).toMatchObject([{ user: 'rob', success: true }])
  })
})

describe('two at once (F18)', () => {
  test('of two services one takes the step, the other says that somebody was faster', async () => {
    const b = await bench()
    const { backend, services, env } = b
    const second = new Rotation({ ...services, backend, env, logger: silentLogger })
    const request = { mode: 'manual', phase: 'init', force: false } as const
    const results = await Promise.allSettled([
      services.rotation.rotate(adminCaller, request),
      second.rotate({ ...adminCaller, name: 'other' }, request),
    ])
    expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    const lost = results.find((result) => result.status === 'rejected')
    expect(isCompareFailed(lost?.reason) || isBadParameter(lost?.reason)).toBe(true)
    expect(String(lost?.reason)).toMatch(/somebody else rotated|is being rotated already/)
    // One new key, and everybody knows the same.
    const stored = await services.tables.authorities.find('host')
    const line = stored?.value.rotation?.key.publicKey ?? ''
    expect(services.authorities.public('host').keys).toContain(line)
  })

  test('many at once: one wins', async () => {
    const b = await bench()
    const all = await Promise.allSettled(
      Array.from({ length: 8 }, () => b.admin.call(rotateAuthorities, manual('init'))),
    )
    expect(all.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  })
})

describe('machines that have not followed', () => {
  async function withNode(b: Awaited<ReturnType<typeof bench>>, trusts: readonly string[], certifiedBy: string) {
    const caller = { ...machineCaller('Node'), certifiedBy }
    const body = {
      hostname: 'n1',
      address: '10.0.0.9:3022',
      publicAddresses: [],
      labels: {},
      version: '1',
      trusts: [...trusts],
    }
    await b.as(caller).call(heartbeat, { body })
    await expect
      .poll(() => b.services.hub.snapshot.servers.byUuid('node', machineUuid, b.env.now().getTime())?.trusts)
      .toEqual(trusts)
  }
  const fingerprints = (b: TestServices) => {
    const { authorities } = b.services
    const host = authorities.stored('host')
    const all = (['host', 'user'] as const).flatMap((type) => authorities.public(type).keys)
    const print = (line: string | undefined) => {
      const parts = (line ?? '').split(' ')
      return fingerprintSha256({ ...authorities.host.publicKey, blob: Buffer.from(parts[1] ?? '', 'base64') })
    }
    return { all: all.map(print), old: print(host.key.publicKey), fresh: print(host.rotation?.key.publicKey) }
  }

  test('are listed, hold up the end by hand, and are left behind only when that is asked for', async () => {
    const b = await bench()
    const before = fingerprints(b)
    await withNode(b, before.all, before.old)
    expect((await b.admin.call(getRotation)).waitingFor).toEqual([])
    await b.admin.call(rotateAuthorities, manual('init'))
    expect((await b.admin.call(getRotation)).waitingFor).toMatchObject([
      { uuid: machineUuid, role: 'node', hostname: 'n1', reason: 'has not heard of the new host authority' },
    ])
    const both = fingerprints(b)
    await withNode(b, both.all, both.old)
    expect((await b.admin.call(getRotation)).waitingForCount).toBe(0)
    await b.admin.call(rotateAuthorities, manual('update_clients'))
    expect((await b.admin.call(rotateAuthorities, manual('update_servers'))).waitingFor).toMatchObject([
      { reason: 'still has a certificate of the other host authority' },
    ])
    await expect(b.admin.call(rotateAuthorities, manual('standby'))).rejects.toThrow(
      /node "n1".*still has.*--force.*join again/,
    )
    expect(rotations(b).at(-1)).toMatchObject({ success: false, phase: 'standby' })
    // A user authority alone locks no machine out.
    await b.admin.call(rotateAuthorities, manual('standby', 'user'))
    await b.admin.call(rotateAuthorities, { body: { ...manual('standby', 'host').body, force: true } })
    expect(rotations(b).at(-1)).toMatchObject({ success: true, left_behind: [`node/${machineUuid}`] })
  })

  test('by itself the end waits for them, but no longer than one share more', async () => {
    const b = await bench()
    b.services.rotation.start()
    const before = fingerprints(b)
    await b.admin.call(rotateAuthorities, { body: { mode: 'auto', gracePeriodSeconds: 300 } })
    await withNode(b, before.all, before.old)
    const phase = () => b.services.authorities.public('host').rotation?.phase
    await b.env.advance(99_000)
    expect(phase()).toBe('init')
    await b.env.advance(3_000)
    await expect.poll(phase).toBe('update_clients')
    await b.env.advance(101_000)
    await expect.poll(phase).toBe('update_servers')
    await b.env.advance(101_000)
    expect(phase()).toBe('update_servers')
    await b.env.advance(80_000)
    expect(phase()).toBe('update_servers')
    await b.env.advance(30_000)
    await expect.poll(phase).toBeUndefined()
    expect(rotations(b).map((event) => ('phase' in event ? event.phase : ''))).toEqual([
      'init',
      'update_clients',
      'update_servers',
      'standby',
    ])
    expect(rotations(b).at(-1)).toMatchObject({ user: 'system', mode: 'auto', left_behind: [`node/${machineUuid}`] })
  })
})

describe('by itself', () => {
  test('walks through the phases in the grace period, and shows when it will be over', async () => {
    const b = await bench()
    b.services.rotation.start()
    const begin = b.env.now().getTime()
    const { authorities } = await b.admin.call(rotateAuthorities, { body: { mode: 'auto', gracePeriodSeconds: 3600 } })
    expect(authorities[0]?.rotation?.ends).toBe(new Date(begin + 3_600_000).toISOString())
    for (const [minutes, phase] of [
      [19, 'init'],
      [2, 'update_clients'],
      [20, 'update_servers'],
      [20, undefined],
    ] as const) {
      await b.env.advance(minutes * 60_000)
      await expect.poll(() => b.services.authorities.public('user').rotation?.phase).toBe(phase)
    }
    expect(b.services.authorities.public('user').rotated).toBeDefined()
  })

  test('a rollback ends the schedule', async () => {
    const b = await bench()
    b.services.rotation.start()
    await b.admin.call(rotateAuthorities, { body: { mode: 'auto', gracePeriodSeconds: 300 } })
    await b.admin.call(rotateAuthorities, { body: { mode: 'auto', phase: 'rollback' } })
    await b.env.advance(3_600_000)
    expect((await b.admin.call(getRotation)).authorities[0]?.rotation).toMatchObject({
      phase: 'rollback',
      mode: 'manual',
    })
  })

  test('a service that was away does not rush: one phase, and time for the machines before the end', async () => {
    const b = await bench()
    await b.admin.call(rotateAuthorities, { body: { mode: 'auto', gracePeriodSeconds: 36_000 } })
    await b.env.advance(100_000_000)
    const again = new Rotation({
      ...b.services,
      backend: b.backend,
      env: b.env,
      logger: silentLogger,
    })
    again.start()
    const phase = () => b.services.authorities.public('host').rotation?.phase
    await expect.poll(phase).toBe('update_clients')
    await b.env.advance(11_000_000)
    expect(phase()).toBe('update_clients')
    await again.close()
  })

  test('a grace period of 0: the old keys are gone with the answer', async () => {
    const b = await bench()
    const old = await b.userCertificate()
    await b.admin.call(rotateAuthorities, { body: { mode: 'auto', gracePeriodSeconds: 0 } })
    const { hub } = b.services
    const ask = { certificate: old, login: 'alice', sourceAddress: '10.0.0.1', now: b.env.now() }
    expect(authenticateUser(hub, ask)).toMatchObject({
      ok: false,
      reason: expect.stringContaining('not a trusted user authority'),
    })
    expect(hub.userAuthorities).toHaveLength(1)
    expect(authenticateUser(hub, { ...ask, certificate: await b.userCertificate() }).ok).toBe(true)
  })
})
