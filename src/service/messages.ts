/** What supervisor and role processes say to each other over the IPC channel. */

import type { Config } from '../config/types.ts'

export interface Listening {
  /** `SSH`, `HTTPS`, `API` */
  readonly what: string
  /** `host:port` */
  readonly address: string
}

export interface RoleStats {
  readonly rssBytes: number
  readonly heapBytes: number
  readonly cpuSeconds: number
  readonly eventLoopDelayMs: number
}

export type FromRole =
  | { readonly type: 'ready'; readonly listening: readonly Listening[]; readonly notes: readonly string[] }
  /** The role cannot start; trying again with the same configuration would not help when `fatal`. */
  | { readonly type: 'failed'; readonly message: string; readonly exitCode: number; readonly fatal: boolean }
  | { readonly type: 'stats'; readonly id: number; readonly stats: RoleStats }

export type ToRole =
  /** The first message: what to run with. The role cannot read the file itself when its user is not root. */
  { readonly type: 'config'; readonly config: Config } | { readonly type: 'stats'; readonly id: number }

const types = new Set(['ready', 'failed', 'stats'])

/** Role processes run our own code, but a message is still data from outside. */
export function isFromRole(message: unknown): message is FromRole {
  if (typeof message !== 'object' || message === null || !('type' in message)) return false
  return typeof message.type === 'string' && types.has(message.type)
}
