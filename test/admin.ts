/** The API as the administrator of the auth machine, for what a test needs and is not about: a program costs a hundred times as much as a call. */

import { lstatSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import type { CallInput, CallOutput } from '../src/api/client.ts'
import { type AuthConnection, connectAuth } from '../src/api/connect.ts'
import { loadIdentity } from '../src/api/identity.ts'
import { createUser, listPresence, listRecordings, searchEvents, setPassword } from '../src/api/routes.ts'
import { readDrafts } from '../src/cli/tctl/resources/documents.ts'
import { isConnectionProblem } from '../src/errors/errors.ts'

export const login = userInfo().username
export const password = 'correct horse battery staple'

export type AuditRecord = Readonly<Record<string, unknown>>
export type EventQuery = NonNullable<CallInput<typeof searchEvents>['query']>
export type RecordingRow = CallOutput<typeof listRecordings>['items'][number]

/** Lists with commas, as `tctl users add` takes them. */
export interface NewUser {
  readonly logins?: string
  readonly roles?: string
}

export class Admin {
  readonly #identity: string
  readonly #port: number
  #api: Promise<AuthConnection> | undefined

  /** `data`: the data directory of the machine whose auth service listens at `port`. */
  constructor(data: string, port: number) {
    this.#identity = join(data, 'auth/admin.json')
    this.#port = port
  }

  /** Over one connection, made when first asked for, and again when it was lost. */
  async api(): Promise<AuthConnection> {
    this.#api ??= this.#connect()
    try {
      return await this.#api
    } catch (error) {
      this.#api = undefined
      throw error
    }
  }

  async #connect(): Promise<AuthConnection> {
    // Whoever the service runs as.
    const { uid, gid } = lstatSync(this.#identity)
    const admin = await loadIdentity(this.#identity, { uid, gid })
    return connectAuth({ addresses: [`127.0.0.1:${this.#port}`], identity: () => admin })
  }

  /** What auth answers; undefined while it cannot be reached. For conditions that are waited for. */
  async answer<T>(ask: (api: AuthConnection) => Promise<T>): Promise<T | undefined> {
    try {
      return await ask(await this.api())
    } catch (error) {
      if (isConnectionProblem(error)) return undefined
      throw error
    }
  }

  /** Events of the audit log, the newest first; none while auth cannot be reached. */
  async events(query: EventQuery = {}): Promise<readonly AuditRecord[]> {
    return (await this.answer((api) => api.call(searchEvents, { query: { limit: 1000, ...query } })))?.items ?? []
  }

  /** The thousand newest; none while auth cannot be reached. */
  async recordings(search?: string): Promise<readonly RecordingRow[]> {
    const query = { limit: 1000, ...(search === undefined ? {} : { search }) }
    return (await this.answer((api) => api.call(listRecordings, { query })))?.items ?? []
  }

  /** A user with the fixture's password, without a second factor. */
  async addUser(name: string, { logins = login, roles = 'access' }: NewUser = {}): Promise<void> {
    const api = await this.api()
    await api.call(createUser, { body: { name, roles: roles.split(','), traits: { logins: logins.split(',') } } })
    await api.call(setPassword, { params: { name }, body: { password } })
  }

  /** What `tctl create` would make of the text. */
  async create(text: string): Promise<void> {
    const api = await this.api()
    for (const { draft, revision } of await readDrafts(text, 'the test')) {
      await draft.put(api, { mode: 'create', revision, confirm: false })
    }
  }

  /** Whether a node of that name is in the listing. */
  async knowsNode(name: string): Promise<boolean> {
    const nodes = await this.answer((api) => api.call(listPresence, { query: { role: 'node' } }))
    return nodes?.items.some(({ hostname }) => hostname === name) === true
  }

  /** Ends the connection; the next call makes another one, with the identity of then. */
  async leave(): Promise<void> {
    const api = this.#api
    this.#api = undefined
    await (await api?.catch(() => undefined))?.close()
  }
}
