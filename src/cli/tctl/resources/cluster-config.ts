/** Settings of the whole cluster, each a resource of which there is one. */

import type { ApiClient } from '../../../api/client.ts'
import {
  parseSettings,
  type Settings,
  type SettingsKind,
  type SettingsSpec,
  settingsName,
  settingsResource,
} from '../../../api/cluster-settings.ts'
import {
  getAuthPreference,
  getNetworkingConfig,
  getRecordingConfig,
  putAuthPreference,
  putNetworkingConfig,
  putRecordingConfig,
  resetAuthPreference,
  resetNetworkingConfig,
  resetRecordingConfig,
} from '../../../api/routes.ts'
import { formatDuration } from '../../../common/durations.ts'
import { NotFound } from '../../../errors/errors.ts'
import { putBy } from './put.ts'
import type { ResourceKind } from './types.ts'

interface Calls<Kind extends SettingsKind> {
  readonly headings: readonly string[]
  row(spec: SettingsSpec<Kind>): readonly string[]
  get(api: ApiClient): Promise<Settings<Kind>>
  put(
    api: ApiClient,
    body: { spec: SettingsSpec<Kind>; overwrite: boolean; confirm: boolean; revision?: string },
  ): Promise<unknown>
  reset(api: ApiClient): Promise<unknown>
}

function settingsKind<Kind extends SettingsKind>(kind: Kind, calls: Calls<Kind>): ResourceKind {
  const only = settingsName(kind)
  return {
    headings: calls.headings,
    async list(api, name) {
      if (name !== undefined && name !== only) throw new NotFound(`there is one ${kind}, called ${only}`)
      const settings = await calls.get(api)
      return [{ value: settingsResource(kind, settings), rows: [calls.row(settings.spec)] }]
    },
    parse(document) {
      const spec = parseSettings(kind, document)
      return {
        name: only,
        title: kind,
        put: (api, { mode, confirm, revision }) =>
          putBy(
            mode,
            () => calls.put(api, { spec, overwrite: false, confirm }),
            () => calls.put(api, { spec, overwrite: true, confirm, ...(revision === undefined ? {} : { revision }) }),
          ),
      }
    },
    removed: 'has been reset to the defaults',
    async remove(api, name) {
      if (name !== only && name !== kind) throw new NotFound(`there is one ${kind}, called ${only}`)
      await calls.reset(api)
      return kind
    },
  }
}

const seconds = (value: number): string => formatDuration(value * 1000)

export const authPreference = settingsKind('cluster_auth_preference', {
  headings: ['Type', 'Second Factor'],
  row: (spec) => ['local', spec.secondFactor],
  get: (api) => api.call(getAuthPreference),
  put: (api, body) => api.call(putAuthPreference, { body }),
  reset: (api) => api.call(resetAuthPreference),
})

export const networkingConfig = settingsKind('cluster_networking_config', {
  headings: ['Client Idle Timeout', 'Keep Alive Interval', 'Keep Alive Count Max', 'Session Detach Timeout'],
  row: (spec) => [
    seconds(spec.clientIdleTimeout),
    seconds(spec.keepAliveInterval),
    String(spec.keepAliveCountMax),
    seconds(spec.sessionDetachTimeout),
  ],
  get: (api) => api.call(getNetworkingConfig),
  put: (api, body) => api.call(putNetworkingConfig, { body }),
  reset: (api) => api.call(resetNetworkingConfig),
})

export const recordingConfig = settingsKind('session_recording_config', {
  headings: ['Mode', 'Proxy Checks Host Keys'],
  row: (spec) => [spec.sessionRecording, 'yes'],
  get: (api) => api.call(getRecordingConfig),
  put: (api, body) => api.call(putRecordingConfig, { body }),
  reset: (api) => api.call(resetRecordingConfig),
})
