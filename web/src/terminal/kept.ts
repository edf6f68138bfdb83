/** What this browser tab remembers of terminals, read with distrust: it may be of another version of the page. */

import { readMode } from '../sessions/since.ts'

interface Place {
  readonly node: string
  readonly hostname: string
  readonly login: string
}

/** Somebody's session, in which one takes part. */
export interface Joined {
  readonly sid: string
  readonly mode: 'peer' | 'observer' | 'moderator'
  /** Whose session it is. */
  readonly user: string
}

/** A session of one's own to come back to, or one to join again. */
export type KeptPane = Place & ({ readonly sid: string } | { readonly joined: Joined })

const maxKept = 32

/** Those of that user, in their order. */
export function readKept(text: string | null, user: string): readonly KeptPane[] {
  try {
    const kept: unknown = JSON.parse(text ?? '')
    if (!isRecord(kept) || kept.owner !== user || !Array.isArray(kept.panes)) return []
    return kept.panes.flatMap((pane: unknown) => readPane(pane) ?? []).slice(0, maxKept)
  } catch {
    return []
  }
}

function readPane(pane: unknown): KeptPane | undefined {
  if (!isRecord(pane)) return undefined
  const { node, hostname, login, sid } = pane
  if (!(isWord(node) && isWord(hostname) && isWord(login))) return undefined
  if (pane.joined === undefined) return isWord(sid) ? { node, hostname, login, sid } : undefined
  const joined = readJoined(pane.joined)
  return joined === undefined ? undefined : { node, hostname, login, joined }
}

function readJoined(joined: unknown): Joined | undefined {
  if (!isRecord(joined)) return undefined
  const { sid, user } = joined
  const { mode } = readMode(joined)
  return isWord(sid) && isWord(user) && mode !== undefined ? { sid, mode, user } : undefined
}

const isWord = (value: unknown): value is string => typeof value === 'string' && value !== ''

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null
