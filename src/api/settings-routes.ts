/** The part of the auth API that reads and changes settings of the whole cluster: three routes for each kind. */

import { z } from 'zod'
import { type SettingsKind, settingsOrigin, settingsSpecs } from './cluster-settings.ts'
import { empty, endpoint } from './define.ts'

function routesOf<Kind extends SettingsKind>(kind: Kind, path: string, what: string) {
  const spec: (typeof settingsSpecs)[Kind] = settingsSpecs[kind]
  const settings = z.strictObject({ spec, origin: settingsOrigin, revision: z.string() })
  return {
    get: endpoint({
      method: 'GET',
      path,
      summary: `Settings of ${what}, and where they come from`,
      callers: ['Admin', 'User'],
      userRule: { resource: kind, verb: 'read' },
      output: settings,
    }),
    put: endpoint({
      method: 'PUT',
      path,
      summary: `Changes the settings of ${what}; with \`revision\`, only if nobody else changed them`,
      callers: ['Admin', 'User'],
      userRule: { resource: kind, verb: 'update' },
      body: z.strictObject({
        spec,
        revision: z.string().optional(),
        /** False: refuse unless they are the defaults. */
        overwrite: z.boolean().default(true),
        /** Also what the configuration file says, which it says again at the next start of the auth service. */
        confirm: z.boolean().default(false),
      }),
      output: settings,
    }),
    reset: endpoint({
      method: 'DELETE',
      path,
      summary: `Settings of ${what} are the defaults again`,
      callers: ['Admin', 'User'],
      userRule: { resource: kind, verb: 'delete' },
      output: empty,
    }),
  } as const
}

const authPreference = routesOf('cluster_auth_preference', '/v1/settings/auth-preference', 'logins')
export const getAuthPreference = authPreference.get
export const putAuthPreference = authPreference.put
export const resetAuthPreference = authPreference.reset

const networking = routesOf('cluster_networking_config', '/v1/settings/networking', 'connections')
export const getNetworkingConfig = networking.get
export const putNetworkingConfig = networking.put
export const resetNetworkingConfig = networking.reset

const recording = routesOf('session_recording_config', '/v1/settings/session-recording', 'recordings')
export const getRecordingConfig = recording.get
export const putRecordingConfig = recording.put
export const resetRecordingConfig = recording.reset
