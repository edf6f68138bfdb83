/** Settings of the whole cluster as resources: whose they are, who hears of them, two editors. */

import { describe, expect, test } from 'vitest'
import { settingsKinds } from '../api/cluster-settings.ts'
import type { WatchEvent } from '../api/model.ts'
import {
  getAuthPreference,
  getConfig,
  getNetworkingConfig,
  getRecordingConfig,
  putAuthPreference,
  putNetworkingConfig,
  putRecordingConfig,
  resetAuthPreference,
  resetNetworkingConfig,
  resetRecordingConfig,
  watch,
} from '../api/routes.ts'
import { openMemoryBackend } from '../backend/memory.ts'
import { fakeEnv } from '../common/fake-env.ts'
import { isAlreadyExists, isCompareFailed, isReadOnly } from '../errors/errors.ts'
import { defaultSettings, settingsPart } from './settings.ts'
import { adminCaller, machineCaller, testServices } from './testing/services.ts'

const strict = { secondFactor: 'optional', disconnectExpiredCert: true, messageOfTheDay: 'be nice' } as const

test('each setting of the cluster belongs to exactly one kind', () => {
  const parts = settingsKinds.map((kind) => Object.keys(settingsPart(defaultSettings, kind)))
  const settings = Object.keys({ ...defaultSettings.cluster, secondFactor: '' })
  expect(parts.flat().sort()).toEqual(settings.sort())
})

describe('settings that the file says nothing of', () => {
  test('are changed as a resource, heard of by those who follow, and reset', async () => {
    const bench = await testServices()
    const api = bench.as(adminCaller)
    const heard: WatchEvent[] = []
    const stop = new AbortController()
    const following = (async () => {
      for await (const event of bench.as(machineCaller('Node')).stream(watch, undefined, stop.signal)) heard.push(event)
    })().catch(() => undefined)
    await expect.poll(() => heard.some(({ op }) => op === 'ready')).toBe(true)
    const configs = () => heard.flatMap((event) => (event.op === 'put' && event.kind === 'config' ? [event.value] : []))

    const before = await api.call(getAuthPreference)
    expect(before).toMatchObject({ origin: 'defaults', revision: '0', spec: { secondFactor: 'otp' } })
    const put = await api.call(putAuthPreference, { body: { spec: strict, overwrite: false } })
    expect(put).toMatchObject({ origin: 'dynamic', spec: strict })
    expect(await api.call(getAuthPreference)).toEqual(put)
    await expect.poll(() => configs().at(-1)).toMatchObject(strict)
    expect(await api.call(getConfig)).toMatchObject(strict)
    expect(bench.services.settings.secondFactor).toBe('optional')

    await api.call(resetAuthPreference)
    await expect.poll(() => configs().at(-1)).toMatchObject({ secondFactor: 'otp', messageOfTheDay: '' })
    expect(await api.call(getAuthPreference)).toEqual(before)
    const codes = bench.events.flatMap((event) => (event.event === 'auth_preference.update' ? [event] : []))
    expect(codes).toMatchObject([{ code: 'TCAUTH001I', user: 'admin' }, { reset: true }])
    stop.abort()
    await following
  })

  test('of two editors the second hears of the first, from the defaults on', async () => {
    const bench = await testServices()
    const api = bench.as(adminCaller)
    const { spec, revision } = await api.call(getNetworkingConfig)
    const body = { spec: { ...spec, clientIdleTimeout: 60 }, revision }
    const other = bench.as({ ...adminCaller, name: 'zoe' })
    await other.call(putNetworkingConfig, { body })
    const second = api.call(putNetworkingConfig, { body })
    await expect(second).rejects.toSatisfy(isCompareFailed)
    await expect(second).rejects.toThrow(/^cluster_networking_config was changed meanwhile by "zoe"/)
    const again = api.call(putNetworkingConfig, { body: { spec, overwrite: false } })
    await expect(again).rejects.toSatisfy(isAlreadyExists)
    await api.call(resetNetworkingConfig)
  })

  test('at the same time, one wins', async () => {
    const api = (await testServices()).as(adminCaller)
    const { revision } = await api.call(getRecordingConfig)
    const tries = await Promise.allSettled(
      (['node', 'off', 'node-sync'] as const).map((sessionRecording) =>
        api.call(putRecordingConfig, { body: { spec: { sessionRecording }, revision } }),
      ),
    )
    expect(tries.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    await api.call(resetRecordingConfig)
  })
})

describe('settings that the file has', () => {
  test('are changed with a confirmation only, and by the file again at the next start', async () => {
    const file = { secondFactor: 'off', fileSettings: ['cluster_auth_preference'] } as const
    const bench = await testServices(file)
    const api = bench.as(adminCaller)
    const { spec, origin } = await api.call(getAuthPreference)
    expect([spec.secondFactor, origin]).toEqual(['off', 'config-file'])
    const change = api.call(putAuthPreference, { body: { spec: strict } })
    await expect(change).rejects.toSatisfy(isReadOnly)
    await expect(change).rejects.toThrow(/configuration file.*--confirm/)
    await expect(api.call(resetAuthPreference)).rejects.toSatisfy(isReadOnly)
    await api.call(putAuthPreference, { body: { spec: strict, confirm: true } })
    expect(await api.call(getConfig)).toMatchObject({ secondFactor: 'optional' })

    const { clusterSettings } = bench.services
    await clusterSettings.start()
    expect(await clusterSettings.get(adminCaller, 'cluster_auth_preference')).toMatchObject({
      origin: 'config-file',
      spec: { secondFactor: 'off' },
    })
    await expect.poll(() => bench.services.hub.config.secondFactor).toBe('off')
  })

  test('are the defaults when the file does not say them any more; what was put as a resource stays', async () => {
    const backend = openMemoryBackend(fakeEnv(new Date()))
    const first = await testServices({ secondFactor: 'off', fileSettings: ['cluster_auth_preference'] }, backend)
    const api = first.as(adminCaller)
    const { spec } = await api.call(getNetworkingConfig)
    await api.call(putNetworkingConfig, { body: { spec: { ...spec, clientIdleTimeout: 77 } } })
    const second = await testServices({}, backend)
    expect(second.services.hub.config).toMatchObject({ secondFactor: 'otp', clientIdleTimeout: 77 })
  })
})
