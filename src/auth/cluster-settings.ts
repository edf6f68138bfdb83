/**
 * Settings of the whole cluster. As in Teleport 7: what the configuration file says is written into the store at each start, and
 * changing that with tctl needs a confirmation, since the next start undoes it. What the file does not say is the defaults, or
 * what was put as a resource, and then that stays.
 */

import { authorizeResource } from '../access/authorize.ts'
import type { Caller } from '../api/caller.ts'
import {
  type Settings,
  type SettingsKind,
  type SettingsSpec,
  settingsKinds,
  settingsName,
} from '../api/cluster-settings.ts'
import type { Backend, Operation } from '../backend/contract.ts'
import { AlreadyExists, isCompareFailed, ReadOnly } from '../errors/errors.ts'
import type { Audit } from './audit.ts'
import type { Changes } from './changes.ts'
import { actorOf, authItself } from './permits.ts'
import type { StoredSettings, Tables } from './records.ts'

/** What a revision says while nothing is stored. */
const noRevision = '0'

export type SettingsSpecs = { readonly [Kind in SettingsKind]: SettingsSpec<Kind> }

export interface ClusterSettingsOptions {
  readonly backend: Backend
  readonly tables: Tables
  readonly audit: Audit
  readonly changes: Changes
  readonly defaults: SettingsSpecs
  /** What the configuration file says, for the kinds of which it says anything. */
  readonly file: Partial<SettingsSpecs>
}

export interface PutSettings<Kind extends SettingsKind> {
  readonly spec: SettingsSpec<Kind>
  readonly revision?: string | undefined
  readonly overwrite: boolean
  readonly confirm: boolean
}

const events = {
  cluster_auth_preference: 'auth_preference.update',
  cluster_networking_config: 'cluster_networking_config.update',
  session_recording_config: 'session_recording_config.update',
} as const satisfies Record<SettingsKind, string>

export class ClusterSettings {
  readonly #options: ClusterSettingsOptions

  constructor(options: ClusterSettingsOptions) {
    this.#options = options
  }

  /** Brings the store in step with the configuration file. Before anything reads the settings. */
  async start(): Promise<void> {
    const { backend, tables, file } = this.#options
    for (const kind of settingsKinds) {
      const name = settingsName(kind)
      const found = await tables.clusterSettings.find(name)
      const spec = file[kind]
      if (spec !== undefined) {
        const wanted = { kind, origin: 'config-file', spec } as StoredSettings
        const permit = authorizeResource(authItself, 'update', kind, { name })
        if (JSON.stringify(found?.value) !== JSON.stringify(wanted))
          await backend.commit([tables.clusterSettings.put(permit, wanted)])
      } else if (found?.value.origin === 'config-file') {
        const permit = authorizeResource(authItself, 'delete', kind, { name })
        await backend.commit([tables.clusterSettings.remove(permit)])
      }
    }
  }

  /** Throws AccessDenied. */
  async get<Kind extends SettingsKind>(caller: Caller, kind: Kind): Promise<Settings<Kind>> {
    authorizeResource(actorOf(caller), 'read', kind, { name: settingsName(kind) })
    return await this.#present(kind)
  }

  async #present<Kind extends SettingsKind>(kind: Kind): Promise<Settings<Kind>> {
    const { tables, defaults } = this.#options
    const found = await tables.clusterSettings.find(settingsName(kind))
    if (found === undefined) return { spec: defaults[kind], origin: 'defaults', revision: noRevision }
    return { spec: found.value.spec as SettingsSpec<Kind>, origin: found.value.origin, revision: found.revision }
  }

  /** Throws AccessDenied, AlreadyExists, ReadOnly, CompareFailed for an old revision. */
  async put<Kind extends SettingsKind>(caller: Caller, kind: Kind, change: PutSettings<Kind>): Promise<Settings<Kind>> {
    const { backend, tables, audit, changes } = this.#options
    const permit = authorizeResource(actorOf(caller), 'update', kind, { name: settingsName(kind) })
    const present = await this.#present(kind)
    if (!change.overwrite && present.origin !== 'defaults') {
      throw new AlreadyExists(`${kind} is not the default already; it is replaced with tctl create -f`)
    }
    if (change.revision !== undefined && change.revision !== present.revision) throw await changes.conflict(kind, '')
    if (present.origin === 'config-file' && !change.confirm) throw setInFile(kind)
    const value = { kind, origin: 'dynamic', spec: change.spec } as StoredSettings
    await audit.emit({ event: events[kind], user: caller.name, name: kind })
    try {
      const write = [tables.clusterSettings.put(permit, value), changes.mark(caller, kind, '')]
      // What was judged above must still be so: somebody may have put something since.
      const revision = await backend.commit([this.#unchanged(kind, present.revision), ...write])
      return { spec: change.spec, origin: 'dynamic', revision }
    } catch (error) {
      if (isCompareFailed(error)) throw await changes.conflict(kind, '')
      throw error
    }
  }

  /** The defaults again. Throws AccessDenied, ReadOnly. */
  async reset(caller: Caller, kind: SettingsKind): Promise<void> {
    const { backend, tables, audit, changes } = this.#options
    const permit = authorizeResource(actorOf(caller), 'delete', kind, { name: settingsName(kind) })
    const present = await this.#present(kind)
    if (present.origin === 'config-file') {
      throw new ReadOnly(
        `${kind} is set in the configuration file of the auth service; remove it there and restart the auth service to get the defaults`,
      )
    }
    if (present.origin === 'defaults') return
    await audit.emit({ event: events[kind], user: caller.name, name: kind, reset: true })
    try {
      const write = [tables.clusterSettings.remove(permit), changes.mark(caller, kind, '')]
      await backend.commit([this.#unchanged(kind, present.revision), ...write])
    } catch (error) {
      if (isCompareFailed(error)) throw await changes.conflict(kind, '')
      throw error
    }
  }

  #unchanged(kind: SettingsKind, revision: string): Operation {
    const { clusterSettings } = this.#options.tables
    const id = settingsName(kind)
    return revision === noRevision ? clusterSettings.absent(id) : clusterSettings.unchanged({ id, revision })
  }
}

const setInFile = (kind: SettingsKind) =>
  new ReadOnly(
    `${kind} is set in the configuration file of the auth service; change it there and restart the auth service. With --confirm it is changed now, until the next start`,
  )
