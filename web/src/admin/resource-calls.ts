/** How each kind of resource is listed, read, written and removed. */

import type { ReadResource, ResourceText, TextKind } from '../../../src/api/resource-text.ts'
import { roleText, settingsText, userText } from '../../../src/api/resource-text.ts'
import { auth, type CallName, type routes } from '../api.ts'
import { allPages } from './data.ts'

export const kinds: readonly TextKind[] = [
  'role',
  'user',
  'cluster_auth_preference',
  'cluster_networking_config',
  'session_recording_config',
]

export const needs: Readonly<Record<TextKind, { read: CallName; write: CallName; remove: CallName }>> = {
  role: { read: 'GET /v1/roles', write: 'PUT /v1/roles/:name', remove: 'DELETE /v1/roles/:name' },
  user: { read: 'GET /v1/users', write: 'PUT /v1/users/:name', remove: 'DELETE /v1/users/:name' },
  cluster_auth_preference: {
    read: 'GET /v1/settings/auth-preference',
    write: 'PUT /v1/settings/auth-preference',
    remove: 'DELETE /v1/settings/auth-preference',
  },
  cluster_networking_config: {
    read: 'GET /v1/settings/networking',
    write: 'PUT /v1/settings/networking',
    remove: 'DELETE /v1/settings/networking',
  },
  session_recording_config: {
    read: 'GET /v1/settings/session-recording',
    write: 'PUT /v1/settings/session-recording',
    remove: 'DELETE /v1/settings/session-recording',
  },
}

export const isSettings = (kind: TextKind): boolean => kind !== 'role' && kind !== 'user'

export async function listNames(kind: TextKind, signal: AbortSignal): Promise<string[]> {
  const options = { signal, background: true }
  switch (kind) {
    case 'role': {
      const roles = await allPages((query) => auth<typeof routes.listRoles>('GET /v1/roles', { query }, options))
      return roles.map(({ metadata }) => metadata.name).sort()
    }
    case 'user': {
      const users = await allPages((query) => auth<typeof routes.listUsers>('GET /v1/users', { query }, options))
      return users.map(({ name }) => name).sort()
    }
    default:
      return [settingsNames[kind]]
  }
}

const settingsNames = {
  cluster_auth_preference: 'cluster-auth-preference',
  cluster_networking_config: 'cluster-networking-config',
  session_recording_config: 'session-recording-config',
} as const

export async function readOne(kind: TextKind, name: string, signal?: AbortSignal): Promise<ResourceText> {
  const options = signal === undefined ? {} : { signal }
  switch (kind) {
    case 'role':
      return roleText(await auth<typeof routes.getRole>('GET /v1/roles/:name', { params: { name } }, options))
    case 'user':
      return userText(await auth<typeof routes.getUser>('GET /v1/users/:name', { params: { name } }, options))
    case 'cluster_auth_preference':
      return settingsText(kind, await auth<typeof routes.getAuthPreference>(needs[kind].read, {}, options))
    case 'cluster_networking_config':
      return settingsText(kind, await auth<typeof routes.getNetworkingConfig>(needs[kind].read, {}, options))
    case 'session_recording_config':
      return settingsText(kind, await auth<typeof routes.getRecordingConfig>(needs[kind].read, {}, options))
  }
}

export interface WriteOptions {
  /** Of what the text was made from; undefined: it must not be there yet. */
  readonly revision: string | undefined
  /** For settings: also what the configuration file says. */
  readonly confirm: boolean
}

export async function write(resource: ReadResource, { revision, confirm }: WriteOptions): Promise<void> {
  const condition = revision === undefined ? { overwrite: false } : { overwrite: true, revision }
  switch (resource.kind) {
    case 'role': {
      const { name, role } = resource
      await auth<typeof routes.putRole>('PUT /v1/roles/:name', { params: { name }, body: { role, ...condition } })
      return
    }
    case 'user': {
      const { name, roles, traits } = resource
      await auth<typeof routes.putUser>('PUT /v1/users/:name', {
        params: { name },
        body: { roles, traits, ...condition },
      })
      return
    }
    case 'cluster_auth_preference':
      await auth<typeof routes.putAuthPreference>(needs[resource.kind].write, {
        body: { spec: resource.spec, confirm, ...condition },
      })
      return
    case 'cluster_networking_config':
      await auth<typeof routes.putNetworkingConfig>(needs[resource.kind].write, {
        body: { spec: resource.spec, confirm, ...condition },
      })
      return
    case 'session_recording_config':
      await auth<typeof routes.putRecordingConfig>(needs[resource.kind].write, {
        body: { spec: resource.spec, confirm, ...condition },
      })
  }
}

export async function remove(kind: TextKind, name: string): Promise<void> {
  await auth<typeof routes.deleteRole>(needs[kind].remove, { params: { name } })
}
