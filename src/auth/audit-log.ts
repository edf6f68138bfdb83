/**
 * Opens the audit log with what the cluster state knows of it: the key that signs its checkpoints, and how far it reached when it was
 * last signed, so that a log whose end was removed is found out.
 */

import { createPrivateKey } from 'node:crypto'
import { auditKey, formatHead, type Head, keyFingerprint } from '../audit/chain.ts'
import { openSqliteAudit } from '../audit/sqlite.ts'
import type { AuditStore } from '../audit/store.ts'
import type { Backend } from '../backend/contract.ts'
import type { Env } from '../common/env.ts'
import type { Logger } from '../common/log.ts'
import { isCompareFailed } from '../errors/errors.ts'
import { messageOf } from '../errors/system.ts'
import { generateEd25519, keyObjectOf } from '../ssh/keys/private-key.ts'
import type { Tables } from './records.ts'

/** Milliseconds between two notes of how far the log has come. */
const noteEveryMs = 1000
/** Heads that were lost and are remembered. */
const maxLost = 20

export interface AuditLogHandle {
  readonly store: AuditStore
  /** Base64 of the SubjectPublicKeyInfo. */
  readonly publicKey: string
  /** What the log must contain, lost heads included: they stay known, so that what was removed stays found. */
  heads(): readonly Head[]
  /** Heads that the log does not contain any more. */
  lost(): readonly Head[]
  close(): Promise<void>
}

export async function openAuditLog(options: {
  readonly path: string
  readonly backend: Backend
  readonly tables: Tables
  readonly env: Env
  readonly logger: Logger
}): Promise<AuditLogHandle> {
  const { path, tables, env, logger } = options
  const privateKey = await ensureKey(options)
  const known = (await tables.auditHeads.find('log'))?.value ?? { lost: [] }
  const notes = new HeadNotes(options, known)
  const store = await openSqliteAudit(path, {
    privateKey,
    expected: known.head === undefined ? [] : [known.head],
    onSigned: (head) => notes.note(head),
    env,
    logger,
  })
  const { lost } = await store.status()
  await notes.lost(lost)
  for (const head of lost) {
    const remedy = 'restore the file it was, or keep both for an investigation; "tctl audit verify" tells more'
    logger.error(`the audit log does not contain what it contained before; ${remedy}`, {
      file: path,
      head: formatHead(head),
    })
  }
  const { public: publicKey } = auditKey(privateKey)
  logger.debug('audit log opened', { file: path, key: keyFingerprint(publicKey) })
  return {
    store,
    publicKey,
    heads: () => notes.heads,
    lost: () => notes.lostHeads,
    close: async () => {
      await store.close()
      await notes.close()
    },
  }
}

/** Made at the first start, or when a cluster from before the chain is started. */
async function ensureKey(options: {
  readonly backend: Backend
  readonly tables: Tables
  readonly env: Env
}): Promise<string> {
  const { backend, tables, env } = options
  const found = await tables.auditKeys.find('log')
  if (found !== undefined) return found.value.privateKey
  const key = keyObjectOf(generateEd25519(env, 'audit log'))
  const privateKey = key.export({ type: 'pkcs8', format: 'pem' }).toString()
  try {
    await backend.commit([tables.auditKeys.absent('log'), tables.auditKeys.put('log', { privateKey })])
    return privateKey
  } catch (error) {
    const other = isCompareFailed(error) ? await tables.auditKeys.find('log') : undefined
    if (other === undefined) throw error
    return createPrivateKey(other.value.privateKey).export({ type: 'pkcs8', format: 'pem' }).toString()
  }
}

interface NotesOptions {
  readonly backend: Backend
  readonly tables: Tables
  readonly env: Env
  readonly logger: Logger
}

/** Remembers the last signed head in the cluster state: at once when there is nothing to wait for, else once a second. */
class HeadNotes {
  readonly #options: NotesOptions
  readonly #stop = new AbortController()
  #head: Head | undefined
  #lost: readonly Head[]
  #pending = false
  #writing: Promise<void> | undefined

  constructor(options: NotesOptions, known: { readonly head?: Head | undefined; readonly lost: readonly Head[] }) {
    this.#options = options
    this.#head = known.head
    this.#lost = known.lost
  }

  get lostHeads(): readonly Head[] {
    return this.#lost
  }

  get heads(): readonly Head[] {
    return this.#head === undefined ? this.#lost : [...this.#lost, this.#head]
  }

  note(head: Head): void {
    // A lost head is replaced only after it was kept apart.
    this.#head = head
    this.#pending = true
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined
    })
  }

  async lost(heads: readonly Head[]): Promise<void> {
    if (heads.length === 0) return
    const fresh = heads.filter(({ ei, hash }) => !this.#lost.some((known) => known.ei === ei && known.hash === hash))
    this.#lost = [...this.#lost, ...fresh].slice(-maxLost)
    await this.#save()
  }

  async close(): Promise<void> {
    this.#stop.abort()
    await this.#writing
    if (this.#pending) await this.#save().catch(() => undefined)
  }

  async #write(): Promise<void> {
    while (this.#pending && !this.#stop.signal.aborted) {
      try {
        await this.#save()
      } catch (error) {
        this.#options.logger.warn('how far the audit log has come could not be noted', { reason: messageOf(error) })
        this.#pending = true
      }
      await this.#options.env.sleep(noteEveryMs, this.#stop.signal).catch(() => undefined)
    }
  }

  async #save(): Promise<void> {
    this.#pending = false
    const { backend, tables } = this.#options
    const record = { ...(this.#head === undefined ? {} : { head: this.#head }), lost: [...this.#lost] }
    await backend.put(tables.auditHeads.item('log', record))
  }
}
